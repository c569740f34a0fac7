//! Joins that pause: a join makes many rows of few, and may compute for minutes before it hands one on, or hand on rows for minutes without
//! ever waiting for its inputs. Meanwhile nobody could end it, and no other query would get its threads.
//!
//! Around each join stands a [`PausingExec`], which
//!
//! 1. ends the stream once nobody wants the result any more (a token of the statement),
//! 2. counts its batches against the budget after which a task gives way to others,
//! 3. where conditions may reject row after row, lets the thread's other tasks go on elsewhere while the join computes; the conditions
//!    themselves look whether the query has ended.

use crate::error::{SqlError, SqlState};
use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, Statistics};
use futures::{Stream, StreamExt};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;

/// An error once nobody wants the result.
pub fn check(ended: &CancellationToken) -> Result<()> {
    if ended.is_cancelled() {
        return Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request").into());
    }
    Ok(())
}

/// The plan with its joins pausing.
pub fn joins(plan: Arc<dyn ExecutionPlan>, ended: &CancellationToken) -> Result<Arc<dyn ExecutionPlan>> {
    let pausing = plan.transform_up(|plan| {
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let interruptible = |filter| NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build();
            return pausing(&plan, join.filter(), ended, |filter| Ok(Arc::new(interruptible(filter)?) as _));
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            return pausing(&plan, join.filter(), ended, |filter| join.builder().with_filter(Some(filter)).build_exec());
        }
        let is_join = plan.is::<CrossJoinExec>() || plan.is::<SortMergeJoinExec>();
        Ok(if is_join { Transformed::yes(PausingExec::around(plan, ended, false)) } else { Transformed::no(plan) })
    });
    Ok(pausing?.data)
}

fn pausing(
    plan: &Arc<dyn ExecutionPlan>,
    filter: Option<&JoinFilter>,
    ended: &CancellationToken,
    with_filter: impl FnOnce(JoinFilter) -> Result<Arc<dyn ExecutionPlan>>,
) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = filter else { return Ok(Transformed::yes(PausingExec::around(Arc::clone(plan), ended, false))) };
    let condition = Arc::new(Interruptible { condition: Arc::clone(filter.expression()), ended: ended.clone() });
    let filter = JoinFilter::new(condition, filter.column_indices().to_vec(), Arc::clone(filter.schema()));
    Ok(Transformed::yes(PausingExec::around(with_filter(filter)?, ended, true)))
}

/// A join, with pauses.
#[derive(Debug)]
pub struct PausingExec {
    join: Arc<dyn ExecutionPlan>,
    ended: CancellationToken,
    /// Whether it may compute for long before it hands on a batch.
    rejects: bool,
    properties: Arc<PlanProperties>,
}

impl PausingExec {
    fn around(join: Arc<dyn ExecutionPlan>, ended: &CancellationToken, rejects: bool) -> Arc<dyn ExecutionPlan> {
        let properties = PlanProperties::clone(join.properties()).with_scheduling_type(SchedulingType::Cooperative);
        Arc::new(Self { join, ended: ended.clone(), rejects, properties: Arc::new(properties) })
    }

    /// The join.
    pub fn join(&self) -> &Arc<dyn ExecutionPlan> {
        &self.join
    }
}

impl DisplayAs for PausingExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PausingExec")
    }
}

impl ExecutionPlan for PausingExec {
    fn name(&self) -> &str {
        "PausingExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.join]
    }
    fn apply_expressions(&self, _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(join) if children.is_empty() => Ok(Self::around(join, &self.ended, self.rejects)),
            _ => datafusion::common::internal_err!("a pausing join has one input"),
        }
    }
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.join.execute(partition, context)?;
        let elsewhere = self.rejects && Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
        Ok(make_cooperative(Box::pin(Pausing { rows, ended: self.ended.clone(), elsewhere })))
    }
    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }
    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&inputs[0]))
    }
}

struct Pausing {
    rows: SendableRecordBatchStream,
    ended: CancellationToken,
    /// The thread's other tasks go on elsewhere meanwhile.
    elsewhere: bool,
}

impl Stream for Pausing {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(ended) = check(&self.ended) {
            return Poll::Ready(Some(Err(ended)));
        }
        match self.elsewhere {
            true => tokio::task::block_in_place(|| self.rows.poll_next_unpin(context)),
            false => self.rows.poll_next_unpin(context),
        }
    }
}

impl RecordBatchStream for Pausing {
    fn schema(&self) -> arrow::datatypes::SchemaRef {
        self.rows.schema()
    }
}

/// A condition that fails once the query has ended.
#[derive(Debug)]
struct Interruptible {
    condition: Arc<dyn PhysicalExpr>,
    ended: CancellationToken,
}

impl PartialEq for Interruptible {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Interruptible {}

impl Hash for Interruptible {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for Interruptible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Interruptible {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.condition.data_type(input)
    }
    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.condition.nullable(input)
    }
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        check(&self.ended)?;
        self.condition.evaluate(batch)
    }
    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.condition.return_field(input)
    }
    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }
    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(condition) if children.is_empty() => Ok(Arc::new(Self { condition, ended: self.ended.clone() })),
            _ => datafusion::common::internal_err!("an interruptible condition has one input"),
        }
    }
    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
