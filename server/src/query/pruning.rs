//! Conditions that a scan applies itself: each on one column, for pruning by statistics and for filtering on the encoded form.

use super::unit_index::ColumnIndex;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column as ColumnName, Result, ScalarValue};
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{DynamicFilterTracking, PhysicalExpr};
use datafusion::physical_expr::{ScalarFunctionExpr, split_conjunction};
use datafusion::physical_expr_common::physical_expr::{is_volatile, snapshot_generation, snapshot_physical_expr};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use parking_lot::RwLock;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use storage::{ColumnId, ColumnPredicate, ColumnStatistics};

/// Whether an expression changes while the query runs.
pub fn is_dynamic(expression: &Arc<dyn PhysicalExpr>) -> bool {
    DynamicFilterTracking::classify(expression).contains_dynamic_filter()
}

/// The only column of a conjunct which a scan may apply: no other column, nothing that changes from row to row or while the query runs.
pub fn single_column(conjunct: &Arc<dyn PhysicalExpr>) -> Option<Column> {
    let mut columns = collect_columns(conjunct).into_iter();
    let only = columns.next()?;
    let fixed = columns.next().is_none() && !is_volatile(conjunct) && !is_dynamic(conjunct);
    fixed.then_some(only)
}

/// An expression on one column, that column being at `position`.
fn moved(expression: &Arc<dyn PhysicalExpr>, position: usize) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = Arc::clone(expression).transform_down(|node| match node.downcast_ref::<Column>() {
        Some(column) => Ok(Transformed::yes(Arc::new(Column::new(column.name(), position)) as Arc<dyn PhysicalExpr>)),
        None => Ok(Transformed::no(node)),
    })?;
    Ok(moved.data)
}

/// A condition that does not change while the query runs.
pub struct Conjunct {
    column: ColumnId,
    schema: SchemaRef,
    expression: Arc<dyn PhysicalExpr>,
    pruning: Option<PruningPredicate>,
}

impl Conjunct {
    /// A condition on the column `id`, whose field is `field`; the expression names no other column.
    pub fn new(id: ColumnId, field: &Field, expression: &Arc<dyn PhysicalExpr>) -> Result<Self> {
        // NULL statistics must be representable, whatever the column declares.
        let schema = Arc::new(Schema::new(vec![field.clone().with_nullable(true)]));
        let expression = moved(expression, 0)?;
        let pruning = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&schema))
            .try_build(Arc::clone(&expression))
            .ok()
            .filter(|predicate| !predicate.always_true());
        Ok(Self { column: id, schema, expression, pruning })
    }

    /// The condition where its column is at `position`.
    pub fn over(&self, position: usize) -> Arc<dyn PhysicalExpr> {
        moved(&self.expression, position).unwrap_or_else(|_| Arc::clone(&self.expression))
    }

    /// Of many units at once, which may hold a row that matches; `None` if that cannot be said.
    pub fn matching(&self, units: &ColumnIndex) -> Option<Vec<bool>> {
        self.pruning.as_ref()?.prune(units).ok()
    }

    fn mask(&self, values: &ArrayRef) -> Result<BooleanArray> {
        let options = RecordBatchOptions::new().with_row_count(Some(values.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), vec![Arc::clone(values)], &options)?;
        let mask = self.expression.evaluate(&batch)?.into_array(values.len())?;
        let mask = datafusion::common::cast::as_boolean_array(&mask)?;
        Ok(if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() })
    }
}

impl fmt::Debug for Conjunct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expression)
    }
}

impl ColumnPredicate for Conjunct {
    fn column(&self) -> ColumnId {
        self.column
    }

    fn may_match(&self, statistics: &ColumnStatistics, rows: u64) -> bool {
        let Some(pruning) = &self.pruning else { return true };
        // Whatever cannot be decided is read.
        pruning.prune(&OneContainer { statistics, rows }).is_ok_and(|kept| kept == [false]).eq(&false)
    }

    fn evaluate(&self, values: &ArrayRef) -> storage::Result<BooleanArray> {
        self.mask(values).map_err(carry)
    }
}

/// Takes an error of DataFusion through storage's, whole: division by zero in a condition is the user's affair, not the file's.
fn carry(error: datafusion::error::DataFusionError) -> storage::StorageError {
    storage::StorageError::Arrow(match error {
        datafusion::error::DataFusionError::ArrowError(error, _) => *error,
        other => ArrowError::ExternalError(Box::new(other)),
    })
}

/// Statistics of one granule or segment, as DataFusion's pruning asks for them.
struct OneContainer<'a> {
    statistics: &'a ColumnStatistics,
    rows: u64,
}

impl PruningStatistics for OneContainer<'_> {
    fn min_values(&self, _column: &ColumnName) -> Option<ArrayRef> {
        self.statistics.min.clone()
    }
    fn max_values(&self, _column: &ColumnName) -> Option<ArrayRef> {
        self.statistics.max.clone()
    }
    fn num_containers(&self) -> usize {
        1
    }
    fn null_counts(&self, _column: &ColumnName) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(vec![self.statistics.nulls])))
    }
    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(vec![self.rows])))
    }
    fn contained(&self, _column: &ColumnName, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

impl PruningStatistics for ColumnIndex {
    fn min_values(&self, _column: &ColumnName) -> Option<ArrayRef> {
        Some(Arc::clone(&self.min))
    }
    fn max_values(&self, _column: &ColumnName) -> Option<ArrayRef> {
        Some(Arc::clone(&self.max))
    }
    fn num_containers(&self) -> usize {
        self.rows.len()
    }
    fn null_counts(&self, _column: &ColumnName) -> Option<ArrayRef> {
        Some(Arc::new(self.nulls.clone()))
    }
    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.clone()))
    }
    fn contained(&self, _column: &ColumnName, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// A filter that another operator tightens while the query runs (the k-th best row up to now, the range of a join's build side), as far
/// as it concerns one column. It only saves work: the operator checks every row again.
pub struct DynamicPredicate {
    column: ColumnId,
    field: Field,
    filter: Arc<dyn PhysicalExpr>,
    current: RwLock<Current>,
    rows_seen: AtomicU64,
    rows_kept: AtomicU64,
}

/// What a dynamic filter says at one of its generations.
#[derive(Default)]
struct Current {
    generation: Option<u64>,
    conjuncts: Arc<Vec<(Conjunct, Cheap)>>,
}

/// Whether a conjunct is worth evaluating on every row, not only on statistics.
type Cheap = bool;

/// Rows after which a dynamic filter that removes few of them is no longer evaluated row by row.
const TRIAL_ROWS: u64 = 64 << 10;

impl DynamicPredicate {
    /// One for each column of the filter that `resolve` knows.
    pub fn all(filter: &Arc<dyn PhysicalExpr>, resolve: impl Fn(&Column) -> Option<(ColumnId, Field)>) -> Vec<Self> {
        let mut columns: Vec<_> = collect_columns(filter).iter().filter_map(resolve).collect();
        columns.sort_by_key(|(id, _)| *id);
        columns.dedup_by_key(|(id, _)| *id);
        columns.into_iter().map(|(id, field)| Self::new(id, field, filter)).collect()
    }

    fn new(column: ColumnId, field: Field, filter: &Arc<dyn PhysicalExpr>) -> Self {
        Self {
            column,
            field,
            filter: Arc::clone(filter),
            current: RwLock::default(),
            rows_seen: AtomicU64::new(0),
            rows_kept: AtomicU64::new(0),
        }
    }

    /// What the filter says now of this column.
    fn conjuncts(&self) -> Arc<Vec<(Conjunct, Cheap)>> {
        let generation = snapshot_generation(&self.filter);
        {
            let current = self.current.read();
            if current.generation == Some(generation) {
                return Arc::clone(&current.conjuncts);
            }
        }
        let conjuncts = Arc::new(self.read_filter().unwrap_or_default());
        *self.current.write() = Current { generation: Some(generation), conjuncts: Arc::clone(&conjuncts) };
        conjuncts
    }

    fn read_filter(&self) -> Result<Vec<(Conjunct, Cheap)>> {
        let now = snapshot_physical_expr(Arc::clone(&self.filter))?;
        let mine = |conjunct: &Arc<dyn PhysicalExpr>| single_column(conjunct).is_some_and(|c| c.name() == self.field.name());
        split_conjunction(&now)
            .into_iter()
            .filter(|conjunct| mine(conjunct))
            .map(|conjunct| Ok((Conjunct::new(self.column, &self.field, conjunct)?, is_cheap(conjunct))))
            .collect()
    }

    fn pays(&self) -> bool {
        let seen = self.rows_seen.load(Relaxed);
        seen < TRIAL_ROWS || self.rows_kept.load(Relaxed) < seen / 10 * 9
    }
}

/// Comparisons cost less than decoding the rows that they remove; looking values up in a hash table need not.
fn is_cheap(conjunct: &Arc<dyn PhysicalExpr>) -> bool {
    conjunct.is::<BinaryExpr>() && !conjunct.exists(|node| Ok(node.is::<ScalarFunctionExpr>())).unwrap_or(true)
}

impl fmt::Debug for DynamicPredicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.filter)
    }
}

impl ColumnPredicate for DynamicPredicate {
    fn column(&self) -> ColumnId {
        self.column
    }

    fn may_match(&self, statistics: &ColumnStatistics, rows: u64) -> bool {
        self.conjuncts().iter().all(|(conjunct, _)| conjunct.may_match(statistics, rows))
    }

    fn evaluate(&self, values: &ArrayRef) -> storage::Result<BooleanArray> {
        let everything = || BooleanArray::new(arrow::buffer::BooleanBuffer::new_set(values.len()), None);
        if !self.pays() {
            return Ok(everything());
        }
        let mut mask = everything();
        for (conjunct, _) in self.conjuncts().iter().filter(|(_, cheap)| *cheap) {
            mask = arrow::compute::and(&mask, &conjunct.evaluate(values)?)?;
        }
        self.rows_seen.fetch_add(values.len() as u64, Relaxed);
        self.rows_kept.fetch_add(mask.true_count() as u64, Relaxed);
        Ok(mask)
    }
}
