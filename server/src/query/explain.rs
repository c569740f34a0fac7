//! EXPLAIN as PostgreSQL's clients expect it: one column `QUERY PLAN`, one row per line.
//!
//! The plan shown is the one that would run, from the same planner; with ANALYZE it is run to its end, and each node says what it took:
//!
//! 1. `style.rs` reads the options.
//! 2. What is explained is planned, optimized and bound as it would be by itself, under a node of ours.
//! 3. `node.rs` turns operators into a tree with PostgreSQL's names; `render.rs` writes it as text, JSON, XML or YAML.

mod node;
mod render;
mod style;

pub(super) use node::ScanShown;

use super::Scope;
use crate::error::{Result, SqlError};
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef, Result as PlanResult, internal_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, execute_stream};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use render::Times;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use style::Style;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8View, false)])));

/// Plans an EXPLAIN.
pub async fn plan(scope: &Scope, statement: &ast::Statement) -> Result<LogicalPlan> {
    let ast::Statement::Explain { analyze, verbose, statement, options, .. } = statement else {
        return Err(SqlError::internal("not an EXPLAIN"));
    };
    let style = Style::new(*analyze, *verbose, options.as_deref().unwrap_or_default())?;
    let started = Instant::now();
    let input = match statement.as_ref() {
        ast::Statement::Query(_) => Box::pin(scope.plan(statement)).await?,
        ast::Statement::CreateTable(ast::CreateTable { query: Some(query), .. }) if !style.analyze => {
            Box::pin(scope.plan(&ast::Statement::Query(query.clone()))).await?
        }
        _ => return Err(SqlError::unsupported("EXPLAIN of a statement other than SELECT, VALUES and CREATE TABLE AS")),
    };
    let schema = Arc::new(DFSchema::try_from(Arc::clone(&SCHEMA))?);
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(Explain { input, schema, style, started }) }))
}

/// The logical node: its input is the plan explained, so that it is optimized, and its parameters are bound.
#[derive(Clone)]
struct Explain {
    input: LogicalPlan,
    schema: DFSchemaRef,
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
        self.style == other.style && self.input == other.input
    }
}

impl Eq for Explain {}

impl Hash for Explain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.style.hash(state);
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

/// DataFusion's planner, and EXPLAIN around it: what is explained is planned as it would be by itself.
#[derive(Debug)]
pub struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, logical: &LogicalPlan, session: &dyn Session) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::default();
        if let LogicalPlan::Extension(extension) = logical
            && let Some(explain) = extension.node.as_any().downcast_ref::<Explain>()
        {
            let plan = planner.create_physical_plan(&explain.input, session).await?;
            return Ok(Arc::new(ExplainExec::new(plan, explain.style, explain.started.elapsed())));
        }
        planner.create_physical_plan(logical, session).await
    }
}

/// Shows a plan; with ANALYZE runs it first. The plan is no child: nothing above may change it.
#[derive(Debug)]
struct ExplainExec {
    plan: Arc<dyn ExecutionPlan>,
    style: Style,
    planning: Duration,
    properties: Arc<PlanProperties>,
}

impl ExplainExec {
    fn new(plan: Arc<dyn ExecutionPlan>, style: Style, planning: Duration) -> Self {
        let equivalence = EquivalenceProperties::new(Arc::clone(&SCHEMA));
        let partitioning = Partitioning::UnknownPartitioning(1);
        let properties = Arc::new(PlanProperties::new(equivalence, partitioning, EmissionType::Final, Boundedness::Bounded));
        Self { plan, style, planning, properties }
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
        let (plan, style, planning) = (Arc::clone(&self.plan), self.style, self.planning);
        let lines = futures::stream::once(async move { explain(plan, style, planning, context).await });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&SCHEMA), lines)))
    }
}

async fn explain(plan: Arc<dyn ExecutionPlan>, style: Style, planning: Duration, context: Arc<TaskContext>) -> PlanResult<RecordBatch> {
    let started = Instant::now();
    if style.analyze {
        let stream = execute_stream(Arc::clone(&plan), context)?;
        stream.try_for_each(|_| async { Ok(()) }).await?;
    }
    let times = Times { planning, execution: style.analyze.then(|| started.elapsed()) };
    let rows = render::rows(&node::tree(&plan, style), style, &times);
    let lines: ArrayRef = Arc::new(StringViewArray::from_iter_values(rows));
    Ok(RecordBatch::try_new(Arc::clone(&SCHEMA), vec![lines])?)
}
