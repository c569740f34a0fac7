//! Writes segments: collects rows up to a bounded size, chooses encodings, writes, syncs, renames.
//!
//! 1. Batches wait in memory until their values take `segment_bytes_max`.
//! 2. A thread makes a segment of them (`build.rs`) while the next rows come together: one segment at a time, so that a writer holds at most the
//!    rows of two segments and what one takes while it is built.

use super::buffered::{Buffered, value_bytes};
use super::build::{SegmentBuild, StagedSegment};
use super::reader::file_name;
use crate::array_bytes::supported;
use crate::error::{Result, StorageError};
use crate::schema::{ColumnId, ColumnSpec, SegmentId};
use crate::store::Store;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Bounds and wishes of a writer.
#[derive(Clone, Debug)]
pub struct SegmentWriterOptions {
    /// A segment is finished when its rows take this much memory (bytes). The writer holds about three times this at its peak.
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
    columns: Arc<[ColumnSpec]>,
    options: SegmentWriterOptions,
    next_id: Box<dyn FnMut() -> SegmentId + Send>,
    waiting: Buffered,
    building: Option<JoinHandle<Result<StagedSegment>>>,
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
        Self { store, columns: columns.into(), options, next_id, waiting, building: None, segments: Vec::new(), rows: 0 }
    }

    /// Takes a batch (logical types, the columns in order); a segment is written and synced when enough has come together. Blocking: while the segment before that is not done.
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
        if self.waiting.rows > 0 && self.segments.is_empty() && self.building.is_none() && few {
            inline = Some(self.inline_batch()?);
        } else if self.waiting.rows > 0 {
            self.write_segment()?;
        }
        self.join()?;
        Ok(WrittenRows { segments: std::mem::take(&mut self.segments), inline, rows: self.rows })
    }

    fn inline_batch(&mut self) -> Result<RecordBatch> {
        let fields: Vec<Field> = self.columns.iter().map(|c| Field::new(&c.name, c.data_type.clone(), true)).collect();
        let conform = |(i, column): (usize, &ColumnSpec)| column.conform(self.waiting.take(i)?);
        let arrays = self.columns.iter().enumerate().map(conform).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.waiting.rows));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
    }

    /// Hands the waiting rows on, once the segment before them is done.
    fn write_segment(&mut self) -> Result<()> {
        self.join()?;
        let rows = std::mem::replace(&mut self.waiting, Buffered::new(&self.columns));
        let (store, columns, options) = (self.store.clone(), self.columns.clone(), self.options.clone());
        let id = (self.next_id)();
        let build = SegmentBuild { id, store, columns, options, rows };
        let named = thread::Builder::new().name("segment writer".into());
        let spawned = named.spawn(move || build.write()).map_err(|error| StorageError::io("write", &file_name(id), error))?;
        self.building = Some(spawned);
        Ok(())
    }

    /// Waits for the segment that is being built, if one is.
    fn join(&mut self) -> Result<()> {
        if let Some(building) = self.building.take() {
            let built = building.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            self.segments.push(built);
        }
        Ok(())
    }
}

/// Rows that are given up leave no thread behind, and no file under way.
impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if let Some(building) = self.building.take() {
            let _ = building.join();
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_staged_can_cross_threads() {
        fn shared<T: Send + Sync + 'static>() {}
        shared::<StagedSegment>();
        fn sent<T: Send + 'static>() {}
        sent::<SegmentWriter>();
    }
}
