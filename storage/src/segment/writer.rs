//! Writes segments: collects rows up to a bounded size, chooses encodings, writes, syncs, renames.

use super::SegmentSummary;
use crate::error::Result;
use crate::schema::{ColumnId, ColumnSpec, SegmentId};
use crate::store::Store;
use arrow::array::RecordBatch;
use std::sync::Arc;

/// Bounds and wishes of a writer.
#[derive(Clone, Debug)]
pub struct SegmentWriterOptions {
    /// A segment is finished when its rows take this much memory (bytes). The writer holds about twice this at its peak.
    pub segment_bytes_max: usize,
    /// ... or when it has this many rows.
    pub segment_rows_max: usize,
    /// Rows per granule.
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
pub struct SegmentWriter {}

impl SegmentWriter {
    /// A writer of rows with these columns. `next_id` hands out ids for the segments.
    pub fn new(
        _store: Arc<Store>,
        _columns: Vec<ColumnSpec>,
        _options: SegmentWriterOptions,
        _next_id: Box<dyn FnMut() -> SegmentId + Send>,
    ) -> Self {
        todo!()
    }
    /// Takes a batch (logical types, the columns in order); writes and syncs a segment when enough has come together. Blocking.
    pub fn push(&mut self, _batch: RecordBatch) -> Result<()> {
        todo!()
    }
    /// Bytes of rows held in memory now.
    pub fn buffered_bytes(&self) -> usize {
        todo!()
    }
    /// Finishes: every segment returned is durable under its final name.
    ///
    /// Rows that together take at most `inline_bytes_max` are not written, but handed back to be inlined in the commit.
    pub fn finish(self, _inline_bytes_max: usize) -> Result<WrittenRows> {
        todo!()
    }
}

/// What a writer leaves behind. Files not committed are swept when the `StagedSegment`s are dropped and no snapshot names them.
pub struct WrittenRows {
    /// Segments, in the order of the rows.
    pub segments: Vec<StagedSegment>,
    /// Rows too few for a file (only when there is no segment).
    pub inline: Option<RecordBatch>,
    /// Rows in all.
    pub rows: u64,
}

/// A durable segment that no commit names yet; while it is held, the sweep leaves its file alone.
pub struct StagedSegment {
    /// What to commit.
    pub summary: SegmentSummary,
}
