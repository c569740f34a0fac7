//! The units of a table as ranges of a column that do not overlap: what lets a scan promise an order.

use datafusion::common::ScalarValue;
use storage::{ColumnId, SegmentSummary, Unit, UnitSource};

/// How much longer than the average the longest range may be, the partitions then waiting for it.
const IMBALANCE_MAX: f64 = 1.3;

/// Units in the order of a column; one list for each partition.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// The column that all are sorted by, ascending, without NULLs.
    pub column: ColumnId,
    /// The units of each partition.
    pub parts: Vec<Vec<Unit>>,
    /// The least value of each part but the first.
    pub starts: Vec<ScalarValue>,
}

struct Span<'a> {
    unit: &'a Unit,
    rows: u64,
    min: ScalarValue,
    max: ScalarValue,
}

/// `units` in `count` ranges of about the same length, if they can be so divided.
pub fn divide(units: &[Unit], count: usize) -> Option<Ranges> {
    let column = *summary(units.first()?)?.sorted_by.first()?;
    let mut spans: Vec<Span> = units.iter().map(|unit| span(unit, column)).collect::<Option<_>>()?;
    spans.sort_by(|a, b| a.min.partial_cmp(&b.min).unwrap_or(std::cmp::Ordering::Equal));
    if !spans.windows(2).all(|pair| pair[0].max <= pair[1].min) {
        return None;
    }
    let cuts = cuts(&spans, count)?;
    let starts = cuts.iter().map(|cut| spans[*cut].min.clone()).collect();
    let mut parts = Vec::new();
    for (from, to) in std::iter::once(0).chain(cuts.iter().copied()).zip(cuts.iter().copied().chain([spans.len()])) {
        parts.push(spans[from..to].iter().map(|span| span.unit.clone()).collect());
    }
    Some(Ranges { column, parts, starts })
}

fn summary(unit: &Unit) -> Option<&SegmentSummary> {
    match &unit.source {
        UnitSource::Segment(summary) => Some(summary),
        _ => None,
    }
}

fn span(unit: &Unit, column: ColumnId) -> Option<Span<'_>> {
    let summary = summary(unit)?;
    let sorted = summary.sorted_by.first() == Some(&column);
    let statistics = summary.column(column).filter(|s| sorted && s.nulls == 0)?;
    let value = |array: &Option<arrow::array::ArrayRef>| ScalarValue::try_from_array(array.as_ref()?, 0).ok().filter(ordered);
    Some(Span { unit, rows: summary.rows, min: value(&statistics.min)?, max: value(&statistics.max)? })
}

/// Whether a value is of a type whose bounds are exact and whose order is the same everywhere.
fn ordered(value: &ScalarValue) -> bool {
    let kind = value.data_type();
    !value.is_null() && (kind.is_integer() || kind.is_temporal())
}

/// Where to cut: as near as possible to even parts, and only where no value is on both sides.
fn cuts(spans: &[Span], count: usize) -> Option<Vec<usize>> {
    let total: u64 = spans.iter().map(|span| span.rows).sum();
    let even = total as f64 / count as f64;
    let mut allowed = Vec::new();
    let mut before = 0;
    for (i, pair) in spans.windows(2).enumerate() {
        before += pair[0].rows;
        if pair[0].max < pair[1].min {
            allowed.push((i + 1, before));
        }
    }
    let nearest = |part: usize| {
        let off = |(_, before): &&(usize, u64)| (*before as f64 - even * part as f64).abs();
        allowed.iter().min_by(|a, b| off(a).total_cmp(&off(b))).copied()
    };
    let chosen: Vec<(usize, u64)> = (1..count).map(nearest).collect::<Option<_>>()?;
    let ends: Vec<u64> = std::iter::once(0).chain(chosen.iter().map(|(_, before)| *before)).chain([total]).collect();
    let fits = ends.windows(2).all(|pair| pair[1] > pair[0] && (pair[1] - pair[0]) as f64 <= even * IMBALANCE_MAX);
    fits.then(|| chosen.into_iter().map(|(cut, _)| cut).collect())
}
