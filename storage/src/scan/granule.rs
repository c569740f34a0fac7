//! One granule: narrowing the selection, then handing out the wanted rows, decoded batch by batch.

use super::open_unit::{Filter, OpenUnit};
use super::selection::{Selection, mask_of, match_keys};
use super::{ScanMetrics, ScanRequest, Unit};
use crate::error::Result;
use crate::segment::compact;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::compute::{FilterBuilder, FilterPredicate, filter};
use std::ops::Range;
use std::sync::Arc;

/// The wanted rows of one granule, still encoded.
#[derive(Debug)]
pub(super) struct Selected {
    columns: Vec<Option<ArrayRef>>,
    row_ids: Option<RowIds>,
    rows: usize,
    next: usize,
}

#[derive(Debug)]
struct RowIds {
    segment: u64,
    rows: ArrayRef,
}

/// Narrows a granule down to the rows that are wanted; `None` if there are none.
pub(super) fn select(
    open: &mut OpenUnit,
    granule: usize,
    unit: &Unit,
    request: &ScanRequest,
    metrics: &ScanMetrics,
) -> Result<Option<Selected>> {
    open.forget_chunks();
    let rows = open.granule_rows(granule);
    if excluded(open, granule, request, rows.end - rows.start) {
        metrics.add(|m| &m.granules_pruned, 1);
        return Ok(None);
    }
    metrics.add(|m| &m.granules_scanned, 1);
    let live = unit.deletes.as_ref().and_then(|d| d.live(rows.clone()));
    let mut selection = Selection::new((rows.end - rows.start) as usize, live);
    let before = selection.count();
    for i in 0..open.filters.len() {
        if selection.count() > 0 {
            narrow(open, granule, request, i, &mut selection, metrics)?;
        }
    }
    metrics.add(|m| &m.rows_filtered, (before - selection.count()) as u64);
    if selection.count() == 0 {
        return Ok(None);
    }
    gather(open, granule, unit, request, rows, &selection, metrics).map(Some)
}

/// Whether the granule's statistics say that no row can match.
fn excluded(open: &OpenUnit, granule: usize, request: &ScanRequest, rows: u64) -> bool {
    let constant = open.filters.iter().any(|f| matches!(f, Filter::Constant(false)));
    let impossible = |f: &Filter| matches!(f, Filter::Entries { matches, .. } if !matches.contains(&true));
    constant
        || open.filters.iter().any(impossible)
        || request.predicates.iter().any(|(spec, predicate)| {
            open.granule_statistics(spec.id, granule).is_some_and(|statistics| !predicate.may_match(&statistics, rows))
        })
}

fn narrow(
    open: &mut OpenUnit,
    granule: usize,
    request: &ScanRequest,
    i: usize,
    selection: &mut Selection,
    metrics: &ScanMetrics,
) -> Result<()> {
    let (Filter::Entries { column, .. } | Filter::Values { column }) = open.filters[i] else { return Ok(()) };
    let (encoded, bytes) = open.encoded(column, granule)?;
    metrics.add(|m| &m.bytes_touched, bytes);
    if let Filter::Entries { matches, .. } = &open.filters[i] {
        selection.narrow(match_keys(&encoded, matches));
        return Ok(());
    }
    let (spec, predicate) = &request.predicates[i];
    match selection.mask().filter(|_| selection.is_sparse()) {
        Some(mask) => {
            let wanted = filter(&encoded, &BooleanArray::new(mask.clone(), None))?;
            let matches = predicate.evaluate(&open.decode(column, spec, &wanted)?)?;
            selection.narrow_selected(&mask_of(&matches));
        }
        None => {
            let matches = predicate.evaluate(&open.decode(column, spec, &encoded)?)?;
            selection.narrow(mask_of(&matches));
        }
    }
    Ok(())
}

/// Takes the wanted rows of each projected column, without decoding them.
fn gather(
    open: &mut OpenUnit,
    granule: usize,
    unit: &Unit,
    request: &ScanRequest,
    rows: Range<u64>,
    selection: &Selection,
    metrics: &ScanMetrics,
) -> Result<Selected> {
    let taking = selection.mask().map(|mask| FilterBuilder::new(&BooleanArray::new(mask.clone(), None)).optimize().build());
    let mut columns = Vec::with_capacity(open.projection.len());
    for i in 0..open.projection.len() {
        let Some(column) = open.projection[i] else {
            columns.push(None);
            continue;
        };
        let (encoded, bytes) = open.encoded(column, granule)?;
        metrics.add(|m| &m.bytes_touched, bytes);
        columns.push(Some(take(encoded, taking.as_ref(), selection)?));
    }
    let row_ids = request.row_ids.then(|| RowIds { segment: unit.id.0, rows: row_numbers(rows, selection) });
    Ok(Selected { columns, row_ids, rows: selection.count(), next: 0 })
}

fn take(encoded: ArrayRef, taking: Option<&FilterPredicate>, selection: &Selection) -> Result<ArrayRef> {
    let Some(taking) = taking else { return Ok(encoded) };
    let taken = taking.filter(&encoded)?;
    // A few views should not be charged with, nor hold on to, the bytes of a whole chunk.
    Ok(if selection.is_sparse() { compact(&taken) } else { taken })
}

fn row_numbers(rows: Range<u64>, selection: &Selection) -> ArrayRef {
    let start = rows.start as u32;
    Arc::new(match selection.mask() {
        Some(mask) => UInt32Array::from_iter_values(mask.set_indices().map(|row| start + row as u32)),
        None => UInt32Array::from_iter_values(start..rows.end as u32),
    })
}

impl Selected {
    /// Decodes the next batch; `None` when all rows have been handed out.
    pub(super) fn next_batch(&mut self, open: &OpenUnit, request: &ScanRequest) -> Result<Option<RecordBatch>> {
        let count = (self.rows - self.next).min(request.batch_rows.max(1));
        if count == 0 {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(request.schema.fields().len());
        for ((encoded, place), spec) in self.columns.iter().zip(&open.projection).zip(&request.projection) {
            arrays.push(match (encoded, place) {
                (Some(encoded), Some(column)) => open.decode(*column, spec, &encoded.slice(self.next, count))?,
                _ => spec.missing_values(count)?,
            });
        }
        if let Some(ids) = &self.row_ids {
            arrays.push(Arc::new(UInt64Array::from_value(ids.segment, count)));
            arrays.push(ids.rows.slice(self.next, count));
        }
        self.next += count;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(Some(RecordBatch::try_new_with_options(request.schema.clone(), arrays, &options)?))
    }
}
