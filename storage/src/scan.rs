//! The scan: units + projection + predicates -> batches of logical types.
//!
//! 1. A unit whose summary excludes a predicate is skipped without being opened.
//! 2. A granule whose statistics exclude a predicate is skipped without being touched.
//! 3. Predicates are evaluated column by column on the encoded form (once per dictionary value), narrowing a selection.
//! 4. Deleted rows leave the selection.
//! 5. The remaining columns are decoded for the selected rows only, and handed out in batches.

mod granule;
mod open_unit;
mod selection;

use crate::deletes::Deletes;
use crate::error::Result;
use crate::schema::{ColumnId, ColumnSpec, SegmentId};
use crate::segment::{ColumnStatistics, SegmentSummary};
use crate::store::Store;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use granule::Selected;
use open_unit::OpenUnit;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Evaluates on values of the logical type, one result per value; NULL counts as false. Called once per dictionary value where it
    /// can be, so the result may depend on nothing but the value.
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
    pub granules: Range<usize>,
}

impl ScanMetrics {
    fn add(&self, counter: impl Fn(&Self) -> &AtomicU64, amount: u64) {
        counter(self).fetch_add(amount, Ordering::Relaxed);
    }
}

impl Unit {
    /// Rows that are not deleted.
    pub fn live_rows(&self) -> u64 {
        self.rows.saturating_sub(self.deletes.as_ref().map_or(0, |d| d.len()))
    }

    pub(crate) fn granules(&self) -> usize {
        match &self.source {
            UnitSource::Segment(summary) => summary.granules as usize,
            UnitSource::Inline(_) | UnitSource::Batch { .. } => 1,
        }
    }
}

/// Splits units into morsels of at most `granules_max` granules, leaving out units that the predicates exclude.
pub fn morsels(units: &[Unit], request: &ScanRequest, granules_max: usize, metrics: &ScanMetrics) -> Vec<Morsel> {
    let mut morsels = Vec::new();
    for unit in units {
        if unit.live_rows() == 0 || excluded(unit, request) {
            metrics.add(|m| &m.units_pruned, 1);
            metrics.add(|m| &m.granules_pruned, unit.granules() as u64);
            continue;
        }
        let (granules, step) = (unit.granules(), granules_max.max(1));
        let pieces = (0..granules).step_by(step).map(|start| start..(start + step).min(granules));
        morsels.extend(pieces.map(|granules| Morsel { unit: unit.clone(), granules }));
    }
    morsels
}

/// Whether a unit's summary says that no row of it can match.
fn excluded(unit: &Unit, request: &ScanRequest) -> bool {
    let UnitSource::Segment(summary) = &unit.source else { return false };
    request.predicates.iter().any(|(spec, predicate)| match summary.column(spec.id) {
        Some(statistics) => !predicate.may_match(&statistics, summary.rows),
        // The column is the same constant in every row. An error is left for the scan to report.
        None => matches!(missing_matches(spec, predicate.as_ref()), Ok(false)),
    })
}

/// Whether a column's missing value satisfies a predicate.
fn missing_matches(spec: &ColumnSpec, predicate: &dyn ColumnPredicate) -> Result<bool> {
    let result = predicate.evaluate(&spec.missing_values(1)?)?;
    Ok(selection::mask_of(&result).value(0))
}

/// Reads one morsel: an iterator of batches.
#[derive(Debug)]
pub struct Scan {
    store: Arc<Store>,
    request: Arc<ScanRequest>,
    unit: Unit,
    metrics: Arc<ScanMetrics>,
    granules: Range<usize>,
    open: Option<OpenUnit>,
    selected: Option<Selected>,
}

impl Scan {
    /// Starts reading; touches no file before the first batch is asked for.
    pub fn new(store: Arc<Store>, request: Arc<ScanRequest>, morsel: Morsel, metrics: Arc<ScanMetrics>) -> Self {
        let Morsel { unit, granules } = morsel;
        if granules.start == 0 {
            metrics.add(|m| &m.units_scanned, 1);
        }
        Self { store, request, unit, metrics, granules, open: None, selected: None }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.open.is_none() {
            self.open = Some(OpenUnit::new(&self.store, &self.unit, &self.request)?);
        }
        let open = self.open.as_mut().expect("just opened");
        loop {
            if let Some(selected) = &mut self.selected {
                if let Some(batch) = selected.next_batch(open, &self.request)? {
                    return Ok(Some(batch));
                }
                self.selected = None;
            }
            let Some(granule) = self.granules.next() else { return Ok(None) };
            self.selected = granule::select(open, granule, &self.unit, &self.request, &self.metrics)?;
        }
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_batch();
        if batch.is_err() {
            // An error ends the scan: what follows it would be rows with a hole.
            self.granules = 0..0;
            self.selected = None;
        }
        batch.transpose()
    }
}
