//! Reads a table: morsels of segments, pulled by as many partitions as there are threads.
//!
//! 1. Units that the conditions exclude by their summaries are left out before anything is opened.
//! 2. What remains is cut into morsels of a few granules in one queue; a partition takes the next when it has finished its last, so that
//!    none waits for another.
//! 3. Storage reads a morsel: prunes granules, filters on the encoded form, decodes what is left into the types of the schema.
//! 4. Conditions that other operators learn while the query runs (dynamic filters) are looked at before each morsel and granule.

use super::explain::ScanShown;
use super::pauses;
use super::pruning::{Conjunct, DynamicPredicate, is_dynamic};
use super::ranges::{Ranges, divide};
use super::statistics;
use super::unit_index::UnitIndex;
use crate::engine::counters::Counters;
use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, SplitPoint, Statistics, internal_err};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalExpr, PhysicalSortExpr, RangePartitioning, split_conjunction};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::Stream;
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use storage::scan::{Morsel, ScanMetrics, morsels};
use storage::{ColumnId, ColumnPredicate, ColumnSpec, Scan, ScanRequest, Store, Unit, UnitSource};
use tokio_util::sync::CancellationToken;

/// Granules in one morsel: enough to amortize taking it, few enough that all threads end together and none holds its thread for long.
const MORSEL_GRANULES_MAX: usize = 4;
/// Bytes that a value of no fixed width is taken to have when a scan is estimated.
const VARIABLE_WIDTH_BYTES: usize = 32;

/// The table that a scan reads.
#[derive(Clone, Debug)]
pub struct ScanSource {
    /// The table's OID.
    pub table: u32,
    /// `schema.table`, for EXPLAIN.
    pub name: String,
    /// All columns; those beyond `columns` name rows.
    pub schema: SchemaRef,
    /// The stored columns.
    pub columns: Arc<Vec<ColumnSpec>>,
    /// The rows.
    pub units: Arc<Vec<Unit>>,
    /// Where the segments are.
    pub store: Arc<Store>,
}

/// The scan of one table.
#[derive(Clone, Debug)]
pub struct SegmentScanExec {
    source: ScanSource,
    /// Positions in `source.schema`.
    projection: Vec<usize>,
    conjuncts: Vec<Arc<Conjunct>>,
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    fetch: Option<usize>,
    batch_rows: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// Units that the static conditions leave.
    kept: Arc<OnceLock<Arc<Vec<Unit>>>>,
    statistics: Arc<OnceLock<Arc<Statistics>>>,
    /// The units of each partition, where an order has been promised; else all partitions share all units.
    ranges: Option<Arc<Ranges>>,
    run: Arc<Mutex<Option<Run>>>,
}

/// The partitions of one execution share one of these.
#[derive(Clone, Debug)]
struct Run {
    shared: Arc<Shared>,
    started: HashSet<usize>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    request: Arc<ScanRequest>,
    /// One for all partitions, or one for each.
    queues: Vec<Mutex<VecDeque<Morsel>>>,
    counts: Arc<ScanMetrics>,
    /// Rows that may still be handed out.
    remaining: Option<AtomicUsize>,
    /// Positions in the batches of storage, where the order differs.
    order: Option<Vec<usize>>,
    /// Rows handed out.
    given: AtomicU64,
    /// Who counts what was read, and of which table.
    counted: Option<(Arc<Counters>, u32)>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some((counters, table)) = &self.counted {
            counters.scanned(*table, self.given.load(Relaxed) + self.counts.rows_filtered.load(Relaxed));
        }
    }
}

impl SegmentScanExec {
    /// A scan of `projection` (positions in the source's schema), of rows that satisfy all of `conjuncts`, at most `fetch` of them.
    pub fn new(
        source: ScanSource,
        projection: Vec<usize>,
        conjuncts: Vec<Arc<Conjunct>>,
        fetch: Option<usize>,
        partitions_max: usize,
        batch_rows: usize,
    ) -> Result<Self> {
        let schema = Arc::new(source.schema.project(&projection)?);
        Ok(Self {
            properties: properties(schema, partitions(&source.units, partitions_max)),
            source,
            projection,
            conjuncts,
            dynamic: Vec::new(),
            fetch,
            batch_rows,
            metrics: ExecutionPlanMetricsSet::new(),
            kept: Arc::default(),
            statistics: Arc::default(),
            ranges: None,
            run: Arc::default(),
        })
    }

    /// A copy that shares nothing that depends on conditions or has begun to run.
    fn fresh(&self) -> Self {
        Self {
            metrics: ExecutionPlanMetricsSet::new(),
            kept: Arc::default(),
            statistics: Arc::default(),
            run: Arc::default(),
            ..self.clone()
        }
    }

    /// Units whose summaries do not exclude a condition.
    fn kept_units(&self) -> &Arc<Vec<Unit>> {
        self.kept.get_or_init(|| match self.conjuncts.is_empty() {
            true => Arc::clone(&self.source.units),
            false => self.matching_units(),
        })
    }

    fn matching_units(&self) -> Arc<Vec<Unit>> {
        let units = &self.source.units;
        let index = UnitIndex::of(units);
        let mut kept = vec![true; units.len()];
        for conjunct in &self.conjuncts {
            let Some((_, column)) = self.spec(conjunct.column()) else { continue };
            if let Some(matching) = conjunct.matching(&index.column(units, column)) {
                kept.iter_mut().zip(matching).for_each(|(kept, may_match)| *kept &= may_match);
            }
        }
        // A unit in memory has no summary, and matches.
        Arc::new(units.iter().zip(kept).filter(|(_, kept)| *kept).map(|(unit, _)| unit.clone()).collect())
    }

    fn spec(&self, id: ColumnId) -> Option<(usize, &ColumnSpec)> {
        self.source.columns.iter().enumerate().find(|(_, column)| column.id == id)
    }

    /// The stored column that a column of the output is.
    fn stored(&self, output: &Column) -> Option<(ColumnId, Field)> {
        let position = *self.projection.get(output.index())?;
        let column = self.source.columns.get(position)?;
        Some((column.id, self.source.schema.field(position).clone()))
    }

    fn predicates(&self) -> Vec<(ColumnSpec, Arc<dyn ColumnPredicate>)> {
        let fixed = self.conjuncts.iter().map(|c| Arc::clone(c) as Arc<dyn ColumnPredicate>);
        let dynamic = self.dynamic.iter().flat_map(|filter| DynamicPredicate::all(filter, |column| self.stored(column)));
        let all = fixed.chain(dynamic.map(|predicate| Arc::new(predicate) as Arc<dyn ColumnPredicate>));
        all.filter_map(|predicate| self.spec(predicate.column()).map(|(_, spec)| (spec.clone(), predicate))).collect()
    }

    /// What storage is asked for, and the order in which its columns make the output.
    fn request(&self) -> (ScanRequest, Option<Vec<usize>>) {
        let stored_count = self.source.columns.len();
        let (stored, ids): (Vec<usize>, Vec<usize>) = self.projection.iter().partition(|position| **position < stored_count);
        let row_ids = !ids.is_empty();
        let fields = stored.iter().copied().chain((stored_count..stored_count + 2).filter(|_| row_ids));
        let wanted: Vec<usize> = fields.collect();
        let order = (wanted != self.projection)
            .then(|| self.projection.iter().filter_map(|position| wanted.iter().position(|w| w == position)).collect());
        let request = ScanRequest {
            projection: stored.iter().map(|position| self.source.columns[*position].clone()).collect(),
            schema: Arc::new(Schema::new(wanted.iter().map(|p| Arc::clone(&self.source.schema.fields()[*p])).collect::<Vec<_>>())),
            predicates: self.predicates(),
            row_ids,
            batch_rows: self.batch_rows,
        };
        (request, order)
    }

    /// What the partitions of the present execution share; a partition that starts a second time starts a new execution.
    fn join_run(&self, partition: usize, counters: Option<Arc<Counters>>) -> Arc<Shared> {
        let mut run = self.run.lock();
        if let Some(run) = run.as_mut()
            && run.started.insert(partition)
        {
            return Arc::clone(&run.shared);
        }
        let shared = Arc::new(self.start(counters));
        *run = Some(Run { shared: Arc::clone(&shared), started: HashSet::from([partition]) });
        shared
    }

    fn start(&self, counters: Option<Arc<Counters>>) -> Shared {
        let (request, order) = self.request();
        let counts = Arc::new(ScanMetrics::default());
        let queue = |units: &[Unit]| Mutex::new(VecDeque::from(morsels(units, &request, MORSEL_GRANULES_MAX, &counts)));
        let queues: Vec<_> = match &self.ranges {
            Some(ranges) => ranges.parts.iter().map(|units| queue(units)).collect(),
            None => vec![queue(self.kept_units())],
        };
        let listed = self.ranges.as_ref().map_or(self.kept_units().len(), |ranges| ranges.parts.iter().map(Vec::len).sum());
        counts.units_pruned.fetch_add(self.source.units.len().saturating_sub(listed) as u64, Relaxed);
        Shared {
            store: Arc::clone(&self.source.store),
            request: Arc::new(request),
            queues,
            counts,
            remaining: self.fetch.map(AtomicUsize::new),
            order,
            given: AtomicU64::new(0),
            counted: counters.map(|counters| (counters, self.source.table)),
        }
    }

    /// The same scan, each partition one range of the column that the table is sorted by, in order; `None` if the table is not, if that
    /// column is not read, or if the ranges would be too uneven.
    pub fn in_ranges(&self) -> Option<Self> {
        if self.fetch.is_some() {
            return None;
        }
        let count = self.properties.output_partitioning().partition_count();
        let ranges = divide(self.kept_units(), count)?;
        let position = |output: &usize| self.source.columns.get(*output).is_some_and(|column| column.id == ranges.column);
        let index = self.projection.iter().position(position)?;
        let schema = self.schema();
        let column = Arc::new(Column::new(schema.field(index).name(), index)) as Arc<dyn PhysicalExpr>;
        let order = LexOrdering::new([PhysicalSortExpr::new(column, SortOptions { descending: false, nulls_first: false })])?;
        let splits = ranges.starts.iter().map(|start| SplitPoint::new(vec![start.clone()])).collect();
        let partitioning = match count {
            1 => Partitioning::UnknownPartitioning(1),
            _ => Partitioning::Range(RangePartitioning::try_new(order.clone(), splits).ok()?),
        };
        let equivalence = EquivalenceProperties::new_with_orderings(schema, [order]);
        let properties = plan_properties(equivalence, partitioning);
        Some(Self { properties, ranges: Some(Arc::new(ranges)), ..self.fresh() })
    }

    fn estimate(&self) -> Result<Arc<Statistics>> {
        if let Some(known) = self.statistics.get() {
            return Ok(Arc::clone(known));
        }
        let conditional = |position: usize| self.conjuncts.iter().any(|c| c.column() == self.source.columns[position].id);
        let wanted = |position| self.projection.contains(&position) || conditional(position);
        let all = statistics::of_units(self.kept_units(), &self.source.columns, &self.source.schema, wanted);
        let conditions = self.conjuncts.iter().filter_map(|c| Some(c.over(self.spec(c.column())?.0)));
        let filtered = statistics::filtered(all, &self.source.schema, conditions.collect())?;
        let projected = filtered.project(Some(&self.projection));
        Ok(Arc::clone(self.statistics.get_or_init(|| Arc::new(projected))))
    }

    /// How many rows are looked at, and about how many bytes its columns take: of the units that the conditions leave.
    pub(super) fn expected_work(&self) -> (f64, f64) {
        let units = self.kept_units();
        let rows = units.iter().map(statistics::live_rows).sum::<u64>() as f64;
        let width = |field: &Arc<Field>| field.data_type().primitive_width().unwrap_or(VARIABLE_WIDTH_BYTES) as f64;
        (rows, rows * self.schema().fields().iter().map(width).sum::<f64>())
    }

    /// What EXPLAIN shows.
    pub(super) fn shown(&self) -> ScanShown {
        let segments = self.source.units.len();
        ScanShown {
            relation: self.source.name.clone(),
            conditions: self.conjuncts.iter().map(|c| format!("{c:?}")).collect(),
            runtime_conditions: self.dynamic.iter().map(|filter| filter.to_string()).collect(),
            limit: self.fetch,
            ordered: self.ranges.is_some(),
            segments,
            excluded: segments - self.kept_units().len(),
        }
    }
}

/// As many partitions as there can be morsels, up to the number of threads.
fn partitions(units: &[Unit], partitions_max: usize) -> usize {
    let granules = |unit: &Unit| match &unit.source {
        UnitSource::Segment(summary) => (summary.granules as usize).max(1),
        _ => 1,
    };
    let total: usize = units.iter().map(|unit| granules(unit).div_ceil(MORSEL_GRANULES_MAX)).take(partitions_max).sum();
    total.clamp(1, partitions_max.max(1))
}

fn properties(schema: SchemaRef, partitions: usize) -> Arc<PlanProperties> {
    plan_properties(EquivalenceProperties::new(schema), Partitioning::UnknownPartitioning(partitions))
}

fn plan_properties(equivalence: EquivalenceProperties, partitioning: Partitioning) -> Arc<PlanProperties> {
    Arc::new(
        PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded)
            .with_scheduling_type(SchedulingType::Cooperative),
    )
}

impl DisplayAs for SegmentScanExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentScanExec: table={}, predicates={:?}", self.source.name, self.conjuncts)
    }
}

impl ExecutionPlan for SegmentScanExec {
    fn name(&self) -> &str {
        "SegmentScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        for filter in &self.dynamic {
            if f(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a scan has no children") }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("a scan has no children") }
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { run: Arc::default(), metrics: ExecutionPlanMetricsSet::new(), ..self.as_ref().clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let shared = self.join_run(partition, context.session_config().get_extension::<Counters>());
        Ok(make_cooperative(Box::pin(MorselStream {
            schema: self.schema(),
            shared,
            partition,
            reading: None,
            ended: context.session_config().get_extension::<CancellationToken>().unwrap_or_default(),
            baseline: BaselineMetrics::new(&self.metrics, partition),
        })))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let run = self.run.lock();
        if let Some(run) = run.as_ref() {
            publish(&self.metrics, &run.shared.counts);
        }
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let all = self.estimate()?;
        match (args.partition(), self.fetch) {
            (None, None) => Ok(all),
            (None, fetch) => Ok(Arc::new(Arc::unwrap_or_clone(all).with_fetch(fetch, 0, 1)?)),
            // Which rows a partition gets is decided while it runs.
            (Some(_), _) => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
        }
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        // A limit counts the rows of all partitions together: the first rows of each, as an order demands, it cannot promise.
        if self.ranges.is_some() {
            return None;
        }
        Some(Arc::new(Self { fetch: limit, kept: Arc::clone(&self.kept), ..self.fresh() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        offered: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let mut scan = self.fresh();
        let filters: Vec<_> = offered.parent_filters.iter().map(|f| scan.take(&f.filter)).collect::<Result<_>>()?;
        let changed = scan.conjuncts.len() > self.conjuncts.len() || scan.dynamic.len() > self.dynamic.len();
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(filters);
        Ok(if changed { answer.with_updated_node(Arc::new(scan) as Arc<dyn ExecutionPlan>) } else { answer })
    }
}

impl SegmentScanExec {
    /// Takes a filter over: wholly if each of its parts is on one stored column, as a hint if it is dynamic, else not at all. A scan with a
    /// limit takes none: its limit counts the rows before the filter.
    fn take(&mut self, filter: &Arc<dyn PhysicalExpr>) -> Result<PushedDown> {
        if is_dynamic(filter) {
            if self.fetch.is_none() {
                self.dynamic.push(Arc::clone(filter));
            }
            return Ok(PushedDown::No);
        }
        let parts: Option<Vec<_>> = split_conjunction(filter).into_iter().map(|part| self.own_column(part)).collect();
        let (Some(parts), None) = (parts, self.fetch) else { return Ok(PushedDown::No) };
        for (id, field, part) in parts {
            self.conjuncts.push(Arc::new(Conjunct::new(id, &field, &part)?));
        }
        Ok(PushedDown::Yes)
    }

    fn own_column(&self, part: &Arc<dyn PhysicalExpr>) -> Option<(ColumnId, Field, Arc<dyn PhysicalExpr>)> {
        let (id, field) = self.stored(&super::pruning::single_column(part)?)?;
        Some((id, field, Arc::clone(part)))
    }
}

/// Sets the metrics to what has been counted up to now.
fn publish(metrics: &ExecutionPlanMetricsSet, counts: &ScanMetrics) {
    let known = metrics.clone_inner();
    let all = [
        ("segments_scanned", &counts.units_scanned),
        ("segments_pruned", &counts.units_pruned),
        ("granules_scanned", &counts.granules_scanned),
        ("granules_pruned", &counts.granules_pruned),
        ("rows_filtered", &counts.rows_filtered),
        ("bytes_touched", &counts.bytes_touched),
    ];
    for (name, count) in all {
        let shown = known.sum_by_name(name).map_or(0, |value| value.as_usize());
        let now = count.load(Relaxed) as usize;
        MetricBuilder::new(metrics).global_counter(name).add(now.saturating_sub(shown));
    }
}

/// One partition.
struct MorselStream {
    schema: SchemaRef,
    shared: Arc<Shared>,
    partition: usize,
    reading: Option<Scan>,
    ended: Arc<CancellationToken>,
    baseline: BaselineMetrics,
}

impl MorselStream {
    /// The next batch, `Pending` after a morsel that had none: another task may have its turn.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        if self.shared.exhausted() {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            let Some(morsel) = self.shared.next_morsel(self.partition) else { return Poll::Ready(None) };
            let shared = &self.shared;
            self.reading = Some(Scan::new(Arc::clone(&shared.store), Arc::clone(&shared.request), morsel, Arc::clone(&shared.counts)));
        }
        match self.reading.as_mut().and_then(Iterator::next) {
            Some(batch) => Poll::Ready(self.finish(batch)),
            None => {
                self.reading = None;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn finish(&self, batch: storage::Result<RecordBatch>) -> Option<Result<RecordBatch>> {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return Some(Err(raise(error))),
        };
        let rows = self.shared.take_rows(batch.num_rows());
        if rows == 0 && batch.num_rows() > 0 {
            return None;
        }
        let batch = if rows < batch.num_rows() { batch.slice(0, rows) } else { batch };
        self.shared.given.fetch_add(rows as u64, Relaxed);
        Some(self.shared.reorder(batch))
    }
}

/// Storage's error as DataFusion carries it; an error that a condition raised comes out as it went in.
fn raise(error: storage::StorageError) -> datafusion::error::DataFusionError {
    match error {
        storage::StorageError::Arrow(arrow::error::ArrowError::ExternalError(inner)) => match inner.downcast() {
            Ok(inner) => *inner,
            Err(inner) => datafusion::error::DataFusionError::External(inner),
        },
        storage::StorageError::Arrow(error) => error.into(),
        other => crate::error::SqlError::from(other).into(),
    }
}

impl Shared {
    fn next_morsel(&self, partition: usize) -> Option<Morsel> {
        self.queues.get(partition.min(self.queues.len() - 1))?.lock().pop_front()
    }

    fn exhausted(&self) -> bool {
        self.remaining.as_ref().is_some_and(|remaining| remaining.load(Relaxed) == 0)
    }

    /// How many of `rows` may be handed out.
    fn take_rows(&self, rows: usize) -> usize {
        let Some(remaining) = &self.remaining else { return rows };
        let before = remaining.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(rows)));
        before.unwrap_or(0).min(rows)
    }

    fn reorder(&self, batch: RecordBatch) -> Result<RecordBatch> {
        match &self.order {
            Some(order) => Ok(batch.project(order)?),
            None => Ok(batch),
        }
    }
}

impl Stream for MorselStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let timer = self.baseline.elapsed_compute().clone();
        let started = timer.timer();
        let wanted = pauses::check(&self.ended);
        let polled = wanted.map_or_else(|ended| Poll::Ready(Some(Err(ended))), |()| self.advance(context));
        started.done();
        self.baseline.record_poll(polled)
    }
}

impl RecordBatchStream for MorselStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
