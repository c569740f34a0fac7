//! EXPLAIN as PostgreSQL's clients expect it: one column `QUERY PLAN`, one row per line.
//!
//! The plan shown is the one that would run, from the same planner; with ANALYZE it is run to its end, and each node says what it took:
//!
//! 1. `style.rs` reads the options.
//! 2. What is explained is planned, optimized and bound as it would be by itself, under a node of ours.
//! 3. INSERT, UPDATE and DELETE are planned and run by [`crate::dml`]; what yields their rows is shown below the [`Change`], and for ANALYZE comes
//!    from [`Ran`], which has seen it run.
//! 4. `node.rs` turns operators into a tree with PostgreSQL's names, `cost.rs` says what each is estimated to cost; `render.rs` writes it as text, JSON, XML or YAML.

mod cost;
mod node;
mod render;
mod style;

pub(super) use node::ScanShown;

use super::Scope;
use super::{pauses, repeated_rows};
use crate::error::{Result, SqlError};
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef, Result as PlanResult, internal_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, execute_stream};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use node::{Actual, Detail, Node};
use render::Times;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use style::Style;
use tokio_util::sync::CancellationToken;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8View, false)])));

/// Plans an EXPLAIN of a query.
pub async fn plan(scope: &Scope, statement: &ast::Statement) -> Result<LogicalPlan> {
    let (style, started) = (style_of(statement)?, Instant::now());
    let ast::Statement::Explain { statement, .. } = statement else { return Err(SqlError::internal("not an EXPLAIN")) };
    let input = match statement.as_ref() {
        ast::Statement::Query(_) => Box::pin(scope.plan(statement)).await?,
        ast::Statement::CreateTable(ast::CreateTable { query: Some(query), .. }) if !style.analyze => {
            Box::pin(scope.plan(&ast::Statement::Query(query.clone()))).await?
        }
        _ => return Err(SqlError::unsupported("EXPLAIN of this kind of statement")),
    };
    explained(input, None, style, started)
}

/// Plans an EXPLAIN, without ANALYZE, of a change whose rows `input` yields; `None` where no query is needed for them.
pub fn plan_change(statement: &ast::Statement, change: Change, input: Option<LogicalPlan>) -> Result<LogicalPlan> {
    let nothing = || LogicalPlanBuilder::empty(true).build();
    explained(input.map_or_else(nothing, Ok)?, Some(change), style_of(statement)?, Instant::now())
}

/// The answer to EXPLAIN ANALYZE of a change that was made: how many rows it changed, the plan that yielded them, and how long all took.
pub fn changed(statement: &ast::Statement, change: &Change, rows: usize, ran: &Ran, took: Duration) -> Result<RecordBatch> {
    let style = style_of(statement)?;
    let child = ran.plan().map(|plan| node::tree(&plan, style));
    let actual = Some(Actual { rows, cpu_ms: None, workers: 1 });
    let head = change.node(child);
    let head = Node { actual, ..head };
    let planning = ran.began_after(took);
    let times = Times { planning, execution: Some(took.saturating_sub(planning)) };
    Ok(lines(render::rows(&head, style, &times))?)
}

/// Whether an EXPLAIN runs what it explains.
pub fn analyzes(statement: &ast::Statement) -> Result<bool> {
    Ok(style_of(statement)?.analyze)
}

fn style_of(statement: &ast::Statement) -> Result<Style> {
    match statement {
        ast::Statement::Explain { analyze, verbose, options, .. } => Style::new(*analyze, *verbose, options.as_deref().unwrap_or_default()),
        _ => Err(SqlError::internal("not an EXPLAIN")),
    }
}

fn explained(input: LogicalPlan, change: Option<Change>, style: Style, started: Instant) -> Result<LogicalPlan> {
    let schema = Arc::new(DFSchema::try_from(Arc::clone(&SCHEMA))?);
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(Explain { input, schema, change, style, started }) }))
}

/// What a statement does with the rows that its query yields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// `Insert`, `Update`, `Delete`.
    pub operation: &'static str,
    /// The table: `public.t`.
    pub relation: String,
    /// What else is to be shown: `Conflict Resolution`, `NOTHING`.
    pub details: Vec<(&'static str, String)>,
}

impl Change {
    fn node(&self, child: Option<Node>) -> Node {
        let details = self.details.iter().map(|(name, text)| ((*name).to_string(), Detail::Text(text.clone()))).collect();
        // As PostgreSQL has it: a change yields no rows.
        let cost = child.as_ref().map(|child| child.cost).unwrap_or_default();
        let children = child.into_iter().collect();
        Node {
            changes: true,
            relation: Some(self.relation.clone()),
            details,
            rows_expected: Some(0),
            cost,
            children,
            ..Node::new(self.operation)
        }
    }
}

/// Sees the first plan that a statement runs.
#[derive(Clone, Debug, Default)]
pub struct Ran(Arc<Mutex<Option<Begun>>>);

/// A plan, and when it began to run.
type Begun = (Arc<dyn ExecutionPlan>, Instant);

impl Ran {
    /// Notes a plan that begins to run.
    pub fn note(&self, plan: &Arc<dyn ExecutionPlan>) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| (Arc::clone(plan), Instant::now()));
    }
    /// Forgets what was seen: the statement is run again.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
    fn plan(&self) -> Option<Arc<dyn ExecutionPlan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(plan, _)| Arc::clone(plan))
    }
    /// How long after the start of a statement, which took `took` until now, its plan began to run.
    fn began_after(&self, took: Duration) -> Duration {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.as_ref().map_or(Duration::ZERO, |(_, began)| took.saturating_sub(began.elapsed()))
    }
}

/// The logical node: its input is the plan explained, so that it is optimized, and its parameters are bound.
#[derive(Clone)]
struct Explain {
    input: LogicalPlan,
    schema: DFSchemaRef,
    /// What is done with the rows of the input, if it is no query.
    change: Option<Change>,
    style: Style,
    /// When planning began.
    started: Instant,
}

impl fmt::Debug for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_for_explain(f)
    }
}

impl PartialEq for Explain {
    fn eq(&self, other: &Self) -> bool {
        self.style == other.style && self.change == other.change && self.input == other.input
    }
}

impl Eq for Explain {}

impl Hash for Explain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.style.hash(state);
        self.change.hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for Explain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for Explain {
    fn name(&self) -> &str {
        "ExplainQuery"
    }
    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }
    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }
    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }
    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ExplainQuery: analyze={}", self.style.analyze)
    }
    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> PlanResult<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Ok(Self { input, ..self.clone() }),
            _ => internal_err!("EXPLAIN has one input"),
        }
    }
}

/// DataFusion's planner, its joins with pauses, and EXPLAIN around it: what is explained is planned as it would be by itself.
#[derive(Debug)]
pub struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, logical: &LogicalPlan, session: &dyn Session) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(repeated_rows::Planner)]);
        let ended = session.config().get_extension::<CancellationToken>().unwrap_or_default();
        if let LogicalPlan::Extension(extension) = logical
            && let Some(explain) = extension.node.as_any().downcast_ref::<Explain>()
        {
            let plan = pauses::joins(planner.create_physical_plan(&explain.input, session).await?, &ended)?;
            return Ok(Arc::new(ExplainExec::new(plan, explain)));
        }
        pauses::joins(planner.create_physical_plan(logical, session).await?, &ended)
    }
}

/// Shows a plan; with ANALYZE runs it first. The plan is no child: nothing above may change it.
#[derive(Debug)]
struct ExplainExec {
    plan: Arc<dyn ExecutionPlan>,
    change: Option<Change>,
    style: Style,
    planning: Duration,
    properties: Arc<PlanProperties>,
}

impl ExplainExec {
    fn new(plan: Arc<dyn ExecutionPlan>, explain: &Explain) -> Self {
        let (change, style, planning) = (explain.change.clone(), explain.style, explain.started.elapsed());
        let equivalence = EquivalenceProperties::new(Arc::clone(&SCHEMA));
        let partitioning = Partitioning::UnknownPartitioning(1);
        let properties = Arc::new(PlanProperties::new(equivalence, partitioning, EmissionType::Final, Boundedness::Bounded));
        Self { plan, change, style, planning, properties }
    }
}

impl DisplayAs for ExplainExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExplainExec")
    }
}

impl ExecutionPlan for ExplainExec {
    fn name(&self) -> &str {
        "ExplainExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }
    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }
    fn execute(&self, _partition: usize, context: Arc<TaskContext>) -> PlanResult<SendableRecordBatchStream> {
        let (plan, change, style, planning) = (Arc::clone(&self.plan), self.change.clone(), self.style, self.planning);
        let shown = async move {
            let execution = if style.analyze { Some(run(&plan, context).await?) } else { None };
            let tree = node::tree(&plan, style);
            let tree = match change {
                Some(change) => change.node(Some(tree)),
                None => tree,
            };
            lines(render::rows(&tree, style, &Times { planning, execution }))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&SCHEMA), futures::stream::once(shown))))
    }
}

/// Runs a plan to its end; how long that took.
async fn run(plan: &Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> PlanResult<Duration> {
    let started = Instant::now();
    let stream = execute_stream(Arc::clone(plan), context)?;
    stream.try_for_each(|_| async { Ok(()) }).await?;
    Ok(started.elapsed())
}

fn lines(rows: Vec<String>) -> PlanResult<RecordBatch> {
    let lines: ArrayRef = Arc::new(StringViewArray::from_iter_values(rows));
    Ok(RecordBatch::try_new(Arc::clone(&SCHEMA), vec![lines])?)
}
