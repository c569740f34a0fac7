//! Rows that have come together -> one durable segment.
//!
//! 1. The rows are put into the order of `cluster_by`, if the table has one.
//! 2. Column by column: statistics per granule, then the encoding that fits all values; the waiting arrays are given back.
//! 3. Granule by granule, the file is written under a temporary name, synced, renamed, and the folder synced.

use super::buffered::Buffered;
use super::encoding::{EncodedColumn, Encoding, encode};
use super::file::SegmentFile;
use super::format::{Block, Column};
use super::order::{is_sorted, natural_order, sorting};
use super::sketch::Sketch;
use super::statistics::{ColumnStatistics, Extremes, extremes, merge_extremes};
use super::writer::SegmentWriterOptions;
use super::{SegmentSummary, SummaryColumns};
use crate::array_bytes::put_array;
use crate::error::Result;
use crate::schema::{ColumnId, ColumnSpec, SegmentId};
use crate::store::{Staged, Store};
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use std::ops::Range;
use std::sync::Arc;

/// Everything that one segment is made of.
pub(super) struct SegmentBuild {
    pub(super) id: SegmentId,
    pub(super) store: Arc<Store>,
    pub(super) columns: Arc<[ColumnSpec]>,
    pub(super) options: SegmentWriterOptions,
    pub(super) rows: Buffered,
}

impl SegmentBuild {
    /// Writes the segment; it is durable under its final name then.
    pub(super) fn write(self) -> Result<StagedSegment> {
        let Self { id, store, columns, options, rows: mut waiting } = self;
        let rows = waiting.rows;
        let decoded_bytes = waiting.bytes as u64;
        let clustered = cluster_columns(&columns, &options);
        let sorting = order_of(&waiting, &clustered)?;
        let granules = granules(rows, waiting.bytes, options.granule_rows);
        let mut prepared = Vec::with_capacity(columns.len());
        for (i, spec) in columns.iter().enumerate() {
            let array = waiting.take(i)?;
            let array = match &sorting {
                Some(order) => take(&array, order, None)?,
                None => array,
            };
            prepared.push(prepare(spec, &waiting.types()[i], array, &granules)?);
        }
        let sorted_by = sorted_by(&columns, clustered, &prepared, rows)?;
        let block = Block {
            segment: id.0,
            rows: rows as u64,
            granules: granules.iter().map(|g| g.len() as u32).collect(),
            gaps_crc32c: 0,
            columns: Vec::new(),
            sorted_by: sorted_by.iter().map(|c| c.0).collect(),
        };
        let staged = store.stage(id);
        let (columns, disk_bytes) = write_file(&store, id, prepared, block, &granules)?;
        let (columns, granules) = (SummaryColumns::new(&columns), granules.len() as u32);
        let summary = SegmentSummary { id, rows: rows as u64, disk_bytes, decoded_bytes, granules, columns, sorted_by };
        Ok(StagedSegment { summary, _staged: staged })
    }
}

fn cluster_columns(columns: &[ColumnSpec], options: &SegmentWriterOptions) -> Vec<usize> {
    let place = |id: &ColumnId| columns.iter().position(|c| c.id == *id);
    options.cluster_by.iter().map_while(place).collect()
}

fn order_of(waiting: &Buffered, clustered: &[usize]) -> Result<Option<UInt32Array>> {
    let columns = clustered.iter().map(|c| waiting.peek(*c)).collect::<Result<Vec<_>>>()?;
    if columns.is_empty() { Ok(None) } else { sorting(&columns, waiting.rows) }
}

fn sorted_by(columns: &[ColumnSpec], clustered: Vec<usize>, prepared: &[Prepared], rows: usize) -> Result<Vec<ColumnId>> {
    let order = if clustered.is_empty() {
        let sorted: Vec<bool> = prepared.iter().map(|p| p.column.sorted).collect();
        let constant: Vec<bool> = prepared.iter().map(|p| p.statistics.distinct <= 1 && p.statistics.nulls == 0).collect();
        natural_order(prepared.len(), rows, &sorted, &constant, |c| Ok(prepared[c].encoded.array.clone()))?
    } else {
        clustered
    };
    Ok(order.into_iter().map(|c| columns[c].id).collect())
}

/// A granule is copied once while it is written, and is the unit of reading: wide rows make shorter ones (bytes of values).
const GRANULE_BYTES_MAX: usize = 8 << 20;

fn granules(rows: usize, bytes: usize, granule_rows: usize) -> Vec<Range<usize>> {
    let parts = bytes.div_ceil(GRANULE_BYTES_MAX).max(1);
    let step = rows.div_ceil(parts).min(granule_rows).max(1);
    (0..rows).step_by(step).map(|start| start..(start + step).min(rows)).collect()
}

/// A column that is ready to be written.
struct Prepared {
    spec: ColumnSpec,
    logical: DataType,
    encoded: EncodedColumn,
    column: Column,
    statistics: ColumnStatistics,
}

/// Computes a column's statistics and encodes it.
fn prepare(spec: &ColumnSpec, logical: &DataType, array: ArrayRef, granules: &[Range<usize>]) -> Result<Prepared> {
    let encoded = encode(&array)?;
    let mut column = Column::new(spec.id.0, &spec.name, logical, &encoded.encoding);
    column.sorted = is_sorted(&encoded.array);
    let mut parts = Vec::with_capacity(granules.len());
    let mut whole = Sketch::new();
    for granule in granules {
        let part = array.slice(granule.start, granule.len());
        let nulls = part.null_count();
        let (found, distinct) = match &encoded.encoding {
            Encoding::Dictionary { .. } => dictionary_statistics(&encoded.array.slice(granule.start, granule.len())),
            _ => (extremes(&part), whole.add_part(&part)),
        };
        column.nulls.push(nulls as u32);
        column.distinct.push(distinct.min((part.len() - nulls) as u64) as u32);
        column.exact.push(found.exact);
        parts.push((found, nulls == part.len()));
    }
    column.min = bounds(&parts, logical, |e| e.min.as_ref())?;
    column.max = bounds(&parts, logical, |e| e.max.as_ref())?;
    let Extremes { min, max, exact } = merge_extremes(&parts);
    let present = (array.len() - array.null_count()) as u64;
    let distinct = match &encoded.encoding {
        Encoding::Dictionary { .. } => encoded.array.as_any_dictionary().values().len() as u64,
        _ => whole.estimate(),
    };
    let nulls = array.null_count() as u64;
    let statistics = ColumnStatistics { column: spec.id, min, max, exact, nulls, distinct: distinct.min(present), bytes: 0 };
    Ok(Prepared { spec: spec.clone(), logical: logical.clone(), encoded, column, statistics })
}

/// Extremes and distinct values of a part of a dictionary column: its entries are sorted, so the first and the last one used are it.
fn dictionary_statistics(part: &ArrayRef) -> (Extremes, u64) {
    let dictionary = part.as_any_dictionary();
    let values: ArrayRef = dictionary.values().clone();
    let mut used = vec![false; values.len()];
    let keys = dictionary.normalized_keys();
    for row in (0..part.len()).filter(|row| dictionary.is_valid(*row)) {
        used[keys[row]] = true;
    }
    let ends = [used.iter().position(|u| *u), used.iter().rposition(|u| *u)];
    let ends: StringViewArray = ends.iter().flatten().map(|entry| Some(values.as_string::<i32>().value(*entry))).collect();
    (extremes(&(Arc::new(ends) as ArrayRef)), used.iter().filter(|u| **u).count() as u64)
}

/// One bound per granule, NULL where there is none.
fn bounds(parts: &[(Extremes, bool)], logical: &DataType, of: fn(&Extremes) -> Option<&ArrayRef>) -> Result<Vec<u8>> {
    let none = new_null_array(logical, 1);
    let all: Vec<&dyn Array> = parts.iter().map(|(e, _)| of(e).unwrap_or(&none).as_ref()).collect();
    let mut out = Vec::new();
    if !all.is_empty() {
        put_array(&mut out, &concat(&all)?);
    }
    Ok(out)
}

/// Writes, syncs and renames a segment's file; gives the statistics of its columns, now with their sizes, and the file's size.
fn write_file(
    store: &Store,
    id: SegmentId,
    prepared: Vec<Prepared>,
    mut block: Block,
    granules: &[Range<usize>],
) -> Result<(Vec<ColumnStatistics>, u64)> {
    let mut statistics = Vec::new();
    let mut encoded = Vec::new();
    for p in prepared {
        block.columns.push(p.column);
        statistics.push(p.statistics);
        encoded.push((p.spec, p.logical, p.encoded));
    }
    let disk_bytes = store.write_file(id, |out| {
        let mut file = SegmentFile::new(out, &encoded)?;
        for granule in granules {
            let arrays = encoded.iter().map(|(_, _, e)| e.array.slice(granule.start, granule.len())).collect();
            file.write_granule(granule.len(), arrays, &mut block.columns)?;
        }
        for (column, statistics) in block.columns.iter().zip(&mut statistics) {
            statistics.bytes = column.chunks.iter().chain(&column.dictionary).map(|c| c.bytes()).sum();
        }
        file.finish(block)
    })?;
    Ok((statistics, disk_bytes))
}

/// A durable segment that no commit names yet; while it is held, the sweep leaves its file alone.
///
/// Hold it until the commit that names the segment was applied *and published* to whoever computes the live set of a sweep.
#[derive(Debug)]
pub struct StagedSegment {
    /// What to commit.
    pub summary: SegmentSummary,
    _staged: Staged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_rows_make_short_granules() {
        assert_eq!(granules(70_000, 1 << 20, 32_768), [0..32_768, 32_768..65_536, 65_536..70_000]);
        assert_eq!(granules(10, 40 << 20, 32_768), [0..2, 2..4, 4..6, 6..8, 8..10]);
        assert_eq!(granules(3, 1 << 30, 0), [0..1, 1..2, 2..3]);
        assert!(granules(0, 0, 100).is_empty());
    }
}
