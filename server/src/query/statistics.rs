//! What the planner is told of a table without reading it: rows, and each column's range, NULLs and distinct values.

use super::cardinality::number;
use super::unit_index::UnitIndex;
use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::statistics::StatisticsArgs;
use std::sync::Arc;
use storage::{ColumnSpec, SegmentSummary, Unit, UnitSource};

/// Rows of a unit that are there.
pub fn live_rows(unit: &Unit) -> u64 {
    unit.rows.saturating_sub(unit.deletes.as_ref().map_or(0, |deletes| deletes.0.len()))
}

/// Statistics of all rows of `units`, and of those columns that `wanted` says (by position); the others, and those beyond `columns` (the row
/// ids), are unknown.
pub fn of_units(units: &Arc<Vec<Unit>>, columns: &[ColumnSpec], schema: &SchemaRef, wanted: impl Fn(usize) -> bool) -> Statistics {
    let rows: u64 = units.iter().map(live_rows).sum();
    let index = UnitIndex::of(units);
    let of_column = |(position, column)| match wanted(position) {
        true => index.column(units, column).statistics.clone(),
        false => ColumnStatistics::new_unknown(),
    };
    let mut column_statistics: Vec<_> = columns.iter().enumerate().map(of_column).collect();
    column_statistics.resize_with(schema.fields().len(), ColumnStatistics::new_unknown);
    let bytes: u64 = units.iter().filter_map(summary).map(|s| s.decoded_bytes).sum();
    Statistics { num_rows: Precision::Exact(rows as usize), total_byte_size: Precision::Inexact(bytes as usize), column_statistics }
}

fn summary(unit: &Unit) -> Option<&SegmentSummary> {
    match &unit.source {
        UnitSource::Segment(summary) => Some(summary),
        _ => None,
    }
}

/// A column's statistics over units, combined. A unit without statistics (inlined rows) makes the range unknown when exactness is at stake, and
/// is otherwise taken to be like the rest: those units are small.
pub(super) struct Combined {
    exact: bool,
    min: Option<ScalarValue>,
    max: Option<ScalarValue>,
    nulls: u64,
    distinct: Distinct,
    known: bool,
}

impl Combined {
    /// Of no unit.
    pub(super) fn new() -> Self {
        Self { exact: true, min: None, max: None, nulls: 0, distinct: Distinct::default(), known: false }
    }

    /// Adds a unit with live rows.
    pub(super) fn add(&mut self, unit: &Unit, column: Option<&storage::ColumnStatistics>) {
        let Some(column) = column else {
            self.exact = false;
            return;
        };
        self.known = true;
        self.exact &= column.exact && unit.deletes.as_ref().is_none_or(|deletes| deletes.0.is_empty());
        self.nulls += column.nulls;
        let (min, max) = (scalar(&column.min), scalar(&column.max));
        self.distinct.add(live_rows(unit), column.distinct, min.as_ref(), max.as_ref());
        widen(&mut self.min, min, std::cmp::Ordering::Less);
        widen(&mut self.max, max, std::cmp::Ordering::Greater);
    }

    /// The statistics of `rows` live rows.
    pub(super) fn finish(self, rows: u64) -> ColumnStatistics {
        if !self.known {
            return ColumnStatistics::new_unknown();
        }
        let bound = |value: Option<ScalarValue>| match value {
            Some(value) if self.exact => Precision::Exact(value),
            Some(value) => Precision::Inexact(value),
            None => Precision::Absent,
        };
        let nulls = self.nulls as usize;
        ColumnStatistics {
            null_count: if self.exact { Precision::Exact(nulls) } else { Precision::Inexact(nulls) },
            min_value: bound(self.min),
            max_value: bound(self.max),
            distinct_count: Precision::Inexact((self.distinct.total() as u64).min(rows) as usize),
            ..ColumnStatistics::new_unknown()
        }
    }
}

/// Distinct values of several units together. Where their ranges lie apart they add up; where they overlap the units are taken for samples
/// of one set of values.
#[derive(Default)]
struct Distinct {
    units: usize,
    rows: f64,
    sum: f64,
    /// The values of which the units are samples, by the unit that tells of the most.
    population: f64,
    widths: f64,
    low: f64,
    high: f64,
    /// Whether the column's values have a place on a line.
    unplaced: bool,
}

impl Distinct {
    fn add(&mut self, rows: u64, distinct: u64, min: Option<&ScalarValue>, max: Option<&ScalarValue>) {
        if distinct == 0 {
            return;
        }
        self.population = self.population.max(population(rows as f64, distinct as f64));
        self.rows += rows as f64;
        self.sum += distinct as f64;
        match (min.and_then(number), max.and_then(number)) {
            (Some(min), Some(max)) => {
                self.low = if self.units == 0 { min } else { self.low.min(min) };
                self.high = if self.units == 0 { max } else { self.high.max(max) };
                self.widths += max - min;
            }
            _ => self.unplaced = true,
        }
        self.units += 1;
    }

    fn total(&self) -> f64 {
        let sampled = sampled(self.population, self.rows).min(self.sum);
        let overlap = self.overlap();
        sampled * overlap + self.sum * (1.0 - overlap)
    }

    /// From 0, ranges that lie apart, to 1, ranges that are all the same.
    fn overlap(&self) -> f64 {
        let (span, others) = (self.high - self.low, self.units as f64 - 1.0);
        if self.unplaced || span <= 0.0 || others < 1.0 {
            return 1.0;
        }
        ((self.widths / span - 1.0) / others).clamp(0.0, 1.0)
    }
}

/// How many different values are met in `rows` draws from `population` values.
fn sampled(population: f64, rows: f64) -> f64 {
    population * (1.0 - (-rows / population.max(1.0)).exp())
}

/// From how many values `rows` draws have met `distinct` different ones; at most 1000 times as many.
fn population(rows: f64, distinct: f64) -> f64 {
    let (mut low, mut high) = (distinct, distinct * 1000.0);
    for _ in 0..30 {
        let middle = (low + high) / 2.0;
        if sampled(middle, rows) < distinct { low = middle } else { high = middle }
    }
    high
}

fn scalar(value: &Option<arrow::array::ArrayRef>) -> Option<ScalarValue> {
    value.as_ref().and_then(|array| ScalarValue::try_from_array(array, 0).ok()).filter(|value| !value.is_null())
}

fn widen(bound: &mut Option<ScalarValue>, value: Option<ScalarValue>, direction: std::cmp::Ordering) {
    let Some(value) = value else { return };
    let wider = bound.as_ref().is_none_or(|bound| value.partial_cmp(bound) == Some(direction));
    if wider {
        *bound = Some(value);
    }
}

/// What is left of `all` after conditions over the same schema, as DataFusion's own filter estimates it.
pub fn filtered(all: Statistics, schema: &SchemaRef, conditions: Vec<Arc<dyn PhysicalExpr>>) -> Result<Statistics> {
    if conditions.is_empty() {
        return Ok(all);
    }
    let filter = FilterExec::try_new(conjunction(conditions), Arc::new(EmptyExec::new(Arc::clone(schema))))?;
    let estimate = filter.statistics_from_inputs(&[Arc::new(all)], &StatisticsArgs::new())?;
    Ok(Arc::unwrap_or_clone(estimate).to_inexact())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(units: &[(u64, u64, i64, i64)]) -> f64 {
        let mut distinct = Distinct::default();
        for (rows, values, min, max) in units {
            distinct.add(*rows, *values, Some(&ScalarValue::Int64(Some(*min))), Some(&ScalarValue::Int64(Some(*max))));
        }
        distinct.total()
    }

    #[test]
    fn ranges_that_lie_apart_add_up() {
        let units: Vec<_> = (0..19).map(|i| (315_000, 79_000, i * 79_000, (i + 1) * 79_000)).collect();
        assert!((total(&units) / (19.0 * 79_000.0) - 1.0).abs() < 0.01);
    }

    #[test]
    fn the_same_few_values_everywhere_are_as_few_together() {
        let units = [(315_000, 10_000, 1, 10_000); 19];
        assert!((total(&units) / 10_000.0 - 1.0).abs() < 0.01);
    }

    #[test]
    fn samples_of_many_values_meet_more_together() {
        // 315,000 draws from 200,000 values meet about 158,600.
        let units = [(315_000, 158_600, 1, 200_000); 19];
        assert!((total(&units) / 200_000.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn unique_values_stay_so_where_ranges_overlap() {
        let units = [(1000, 1000, 0, 1_000_000_000); 10];
        assert!(total(&units) > 9000.0);
    }
}
