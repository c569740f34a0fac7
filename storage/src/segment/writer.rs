//! Writes segments: collects rows up to a bounded size, chooses encodings, writes, syncs, renames.
//!
//! 1. Batches wait in memory until their values take `segment_bytes_max`.
//! 2. The rows are put into the order of `cluster_by`, if the table has one.
//! 3. Column by column: statistics per granule, then the encoding that fits all values; the waiting arrays are given back.
//! 4. Granule by granule, the file is written under a temporary name, synced, renamed, and the folder synced.

use super::buffered::{Buffered, value_bytes};
use super::encoding::{EncodedColumn, Encoding, encode};
use super::file::SegmentFile;
use super::format::{Block, Column};
use super::order::{is_sorted, natural_order, sorting};
use super::sketch::Sketch;
use super::statistics::{ColumnStatistics, Extremes, extremes, merge_extremes};
use super::{SegmentSummary, SummaryColumns};
use crate::array_bytes::{put_array, supported};
use crate::error::Result;
use crate::schema::{ColumnId, ColumnSpec, SegmentId};
use crate::store::{Staged, Store};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringViewArray, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use std::ops::Range;
use std::sync::Arc;

/// Bounds and wishes of a writer.
#[derive(Clone, Debug)]
pub struct SegmentWriterOptions {
    /// A segment is finished when its rows take this much memory (bytes). The writer holds about twice this at its peak.
    pub segment_bytes_max: usize,
    /// ... or when it has this many rows.
    pub segment_rows_max: usize,
    /// Rows per granule; fewer if they are so wide that they take more than 8 MiB.
    pub granule_rows: usize,
    /// Sort each segment by these columns before writing.
    pub cluster_by: Vec<ColumnId>,
}

impl Default for SegmentWriterOptions {
    fn default() -> Self {
        Self { segment_bytes_max: 64 << 20, segment_rows_max: 2 << 20, granule_rows: 32 << 10, cluster_by: Vec::new() }
    }
}

/// Writes a stream of batches as one or more segments, each of bounded size.
pub struct SegmentWriter {
    store: Arc<Store>,
    columns: Vec<ColumnSpec>,
    options: SegmentWriterOptions,
    next_id: Box<dyn FnMut() -> SegmentId + Send>,
    waiting: Buffered,
    segments: Vec<StagedSegment>,
    rows: u64,
}

impl SegmentWriter {
    /// A writer of rows with these columns. `next_id` hands out ids for the segments.
    pub fn new(
        store: Arc<Store>,
        columns: Vec<ColumnSpec>,
        options: SegmentWriterOptions,
        next_id: Box<dyn FnMut() -> SegmentId + Send>,
    ) -> Self {
        let waiting = Buffered::new(&columns);
        Self { store, columns, options, next_id, waiting, segments: Vec::new(), rows: 0 }
    }

    /// Takes a batch (logical types, the columns in order); writes and syncs a segment when enough has come together. Blocking.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.check(&batch)?;
        let step = self.step_rows(&batch);
        for start in (0..batch.num_rows()).step_by(step) {
            let part = batch.slice(start, step.min(batch.num_rows() - start));
            self.waiting.push(&part)?;
            self.rows += part.num_rows() as u64;
            if self.waiting.bytes >= self.options.segment_bytes_max || self.waiting.rows >= self.options.segment_rows_max {
                self.write_segment()?;
            }
        }
        Ok(())
    }

    fn check(&self, batch: &RecordBatch) -> Result<()> {
        if batch.num_columns() != self.columns.len() {
            let reason = format!("a batch has {} columns instead of {}", batch.num_columns(), self.columns.len());
            return Err(ArrowError::InvalidArgumentError(reason).into());
        }
        match self.columns.iter().find(|c| !supported(&c.data_type)) {
            Some(column) => Err(ArrowError::NotYetImplemented(format!(
                "values of type {} cannot be stored (column \"{}\")",
                column.data_type, column.name
            ))
            .into()),
            None => Ok(()),
        }
    }

    /// Rows of a batch to take at once, so that even one huge batch is cut into segments of the right size.
    fn step_rows(&self, batch: &RecordBatch) -> usize {
        let bytes: usize = batch.columns().iter().map(|c| value_bytes(c.as_ref())).sum();
        let parts = bytes.div_ceil(self.options.segment_bytes_max / 8 + 1).max(1);
        batch.num_rows().div_ceil(parts).clamp(1, self.options.segment_rows_max.max(1))
    }

    /// Bytes of rows held in memory now.
    pub fn buffered_bytes(&self) -> usize {
        self.waiting.bytes
    }

    /// Finishes: every segment returned is durable under its final name.
    ///
    /// Rows that together take at most `inline_bytes_max` are not written, but handed back to be inlined in the commit;
    /// given zero, all rows are written.
    pub fn finish(mut self, inline_bytes_max: usize) -> Result<WrittenRows> {
        let mut inline = None;
        let few = inline_bytes_max > 0 && self.waiting.bytes <= inline_bytes_max && self.waiting.rows <= crate::inline::ROWS_MAX;
        if self.waiting.rows > 0 && self.segments.is_empty() && few {
            inline = Some(self.inline_batch()?);
        } else if self.waiting.rows > 0 {
            self.write_segment()?;
        }
        Ok(WrittenRows { segments: self.segments, inline, rows: self.rows })
    }

    fn inline_batch(&mut self) -> Result<RecordBatch> {
        let fields: Vec<Field> = self.columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect();
        let conform = |(i, column): (usize, &ColumnSpec)| column.conform(self.waiting.take(i)?);
        let arrays = self.columns.iter().enumerate().map(conform).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.waiting.rows));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
    }

    fn write_segment(&mut self) -> Result<()> {
        let mut waiting = std::mem::replace(&mut self.waiting, Buffered::new(&self.columns));
        let rows = waiting.rows;
        let decoded_bytes = waiting.bytes as u64;
        let sorting = self.sorting(&waiting)?;
        let granules = granules(rows, waiting.bytes, self.options.granule_rows);
        let mut prepared = Vec::with_capacity(self.columns.len());
        for (i, spec) in self.columns.iter().enumerate() {
            let array = waiting.take(i)?;
            let array = match &sorting {
                Some(order) => take(&array, order, None)?,
                None => array,
            };
            prepared.push(prepare(spec, &waiting.types()[i], array, &granules)?);
        }
        let id = (self.next_id)();
        let sorted_by = self.sorted_by(&prepared, rows)?;
        let block = Block {
            segment: id.0,
            rows: rows as u64,
            granules: granules.iter().map(|g| g.len() as u32).collect(),
            gaps_crc32c: 0,
            columns: Vec::new(),
            sorted_by: sorted_by.iter().map(|c| c.0).collect(),
        };
        let staged = self.store.stage(id);
        let (columns, disk_bytes) = write_file(&self.store, id, prepared, block, &granules)?;
        let (columns, granules) = (SummaryColumns::new(&columns), granules.len() as u32);
        let summary = SegmentSummary { id, rows: rows as u64, disk_bytes, decoded_bytes, granules, columns, sorted_by };
        self.segments.push(StagedSegment { summary, _staged: staged });
        Ok(())
    }

    fn cluster_columns(&self) -> Vec<usize> {
        let place = |id: &ColumnId| self.columns.iter().position(|c| c.id == *id);
        self.options.cluster_by.iter().map_while(place).collect()
    }

    fn sorting(&self, waiting: &Buffered) -> Result<Option<UInt32Array>> {
        let columns = self.cluster_columns().into_iter().map(|c| waiting.peek(c)).collect::<Result<Vec<_>>>()?;
        if columns.is_empty() { Ok(None) } else { sorting(&columns, waiting.rows) }
    }

    fn sorted_by(&self, prepared: &[Prepared], rows: usize) -> Result<Vec<ColumnId>> {
        let clustered = self.cluster_columns();
        let order = if clustered.is_empty() {
            let sorted: Vec<bool> = prepared.iter().map(|p| p.column.sorted).collect();
            let constant: Vec<bool> = prepared.iter().map(|p| p.statistics.distinct <= 1 && p.statistics.nulls == 0).collect();
            natural_order(prepared.len(), rows, &sorted, &constant, |c| Ok(prepared[c].encoded.array.clone()))?
        } else {
            clustered
        };
        Ok(order.into_iter().map(|c| self.columns[c].id).collect())
    }
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

/// What a writer leaves behind. Files not committed are swept when the `StagedSegment`s are dropped and no snapshot names them.
#[derive(Debug)]
pub struct WrittenRows {
    /// Segments, in the order of the rows.
    pub segments: Vec<StagedSegment>,
    /// Rows too few for a file (only when there is no segment).
    pub inline: Option<RecordBatch>,
    /// Rows in all.
    pub rows: u64,
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

    #[test]
    fn what_is_staged_can_cross_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<StagedSegment>();
        fn sent<T: Send + 'static>() {}
        sent::<SegmentWriter>();
    }
}
