//! The scan: units + projection + predicates -> batches of logical types.
//!
//! 1. A unit whose summary excludes a predicate is skipped without being opened.
//! 2. A granule whose statistics exclude a predicate is skipped without being touched.
//! 3. Predicates are evaluated column by column on the encoded form (once per dictionary value), narrowing a selection.
//! 4. Deleted rows leave the selection.
//! 5. The remaining columns are decoded for the selected rows only, and handed out in batches.

use crate::deletes::Deletes;
use crate::error::Result;
use crate::schema::{ColumnId, ColumnSpec, SegmentId};
use crate::segment::{ColumnStatistics, SegmentSummary};
use crate::store::Store;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// One immutable piece of a table's rows, as a snapshot sees it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its id, which with a row's offset names the row.
    pub id: SegmentId,
    /// Rows, the deleted ones included.
    pub rows: u64,
    /// Where the rows are.
    pub source: UnitSource,
    /// Rows that are gone.
    pub deletes: Option<Arc<Deletes>>,
}

/// Where a unit's rows are.
#[derive(Clone, Debug)]
pub enum UnitSource {
    /// In a segment file, opened when first touched.
    Segment(Arc<SegmentSummary>),
    /// In memory: rows that rode inside a commit, encoded by [`crate::inline::encode`].
    Inline(Arc<[u8]>),
    /// In memory: rows of an open transaction, one array per column of the table in the order of `columns`.
    Batch {
        /// The columns' ids, one for each array.
        columns: Arc<[ColumnId]>,
        /// The rows.
        batch: RecordBatch,
    },
}

/// A condition on one column that a scan applies itself.
pub trait ColumnPredicate: Debug + Send + Sync {
    /// The column.
    fn column(&self) -> ColumnId;
    /// False only if no row that these statistics describe can match. Must not panic on absent statistics.
    fn may_match(&self, statistics: &ColumnStatistics, rows: u64) -> bool;
    /// Evaluates on values of the logical type; NULL counts as false.
    fn evaluate(&self, values: &ArrayRef) -> Result<BooleanArray>;
}

/// What a scan is asked for.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// The columns to hand out, in this order. May be empty: batches then carry only a row count.
    pub projection: Vec<ColumnSpec>,
    /// The schema of the batches: one field per projected column, then `segment: UInt64, row: UInt32` if `row_ids`.
    pub schema: SchemaRef,
    /// Conditions that every row handed out satisfies (a conjunction); each with the spec of its column.
    pub predicates: Vec<(ColumnSpec, Arc<dyn ColumnPredicate>)>,
    /// Append the ids of the rows.
    pub row_ids: bool,
    /// Rows per batch at most.
    pub batch_rows: usize,
}

/// What scans did; shared by all that work on one query.
#[derive(Debug, Default)]
pub struct ScanMetrics {
    /// Units read at least in part.
    pub units_scanned: AtomicU64,
    /// Units skipped whole by their summary.
    pub units_pruned: AtomicU64,
    /// Granules read.
    pub granules_scanned: AtomicU64,
    /// Granules skipped by their statistics.
    pub granules_pruned: AtomicU64,
    /// Rows that predicates removed.
    pub rows_filtered: AtomicU64,
    /// Encoded bytes of the column chunks touched.
    pub bytes_touched: AtomicU64,
}

/// A part of a scan: one unit and a range of its granules. The pieces of one scan can be read in any order, by any thread.
#[derive(Clone, Debug)]
pub struct Morsel {
    /// The unit.
    pub unit: Unit,
    /// Granules of the unit.
    pub granules: std::ops::Range<usize>,
}

/// Splits units into morsels of at most `granules_max` granules, leaving out units that the predicates exclude.
pub fn morsels(_units: &[Unit], _request: &ScanRequest, _granules_max: usize, _metrics: &ScanMetrics) -> Vec<Morsel> {
    todo!()
}

/// Reads one morsel: an iterator of batches.
#[derive(Debug)]
pub struct Scan {}

impl Scan {
    /// Starts reading; touches no file before the first batch is asked for.
    pub fn new(_store: Arc<Store>, _request: Arc<ScanRequest>, _morsel: Morsel, _metrics: Arc<ScanMetrics>) -> Self {
        todo!()
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
