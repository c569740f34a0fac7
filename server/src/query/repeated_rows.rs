//! A key is none any more once `unnest` repeats its rows.
//!
//! DataFusion keeps the functional dependencies of what it unnests: it would say that a table's primary key, or what a query is grouped by,
//! determines the elements too, and leave them out of ORDER BY and GROUP BY. A node that knows no dependencies stands above such an unnest;
//! it does nothing, and has no physical form.

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DFSchemaRef, FunctionalDependencies, Result, internal_err};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Puts the node where it is needed.
pub fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let settled = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Unnest(_) => {
            let marked = without_keys(plan)?;
            changed |= marked.transformed;
            Ok(marked)
        }
        other if changed => other.recompute_schema().map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(settled.data)
}

/// A plan whose rows have no keys.
pub fn without_keys(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if plan.schema().functional_dependencies().is_empty() {
        return Ok(Transformed::no(plan));
    }
    let node = RepeatedRows { schema: schema_of(&plan)?, input: plan };
    Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
}

fn schema_of(input: &LogicalPlan) -> Result<DFSchemaRef> {
    let schema: DFSchema = input.schema().as_ref().clone();
    Ok(Arc::new(schema.with_functional_dependencies(FunctionalDependencies::empty())?))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RepeatedRows {
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl PartialOrd for RepeatedRows {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for RepeatedRows {
    fn name(&self) -> &str {
        "RepeatedRows"
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
        write!(f, "RepeatedRows")
    }
    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Ok(Self { schema: schema_of(&input)?, input }),
            _ => internal_err!("repeated rows have one input"),
        }
    }
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}

/// Plans the node as what is beneath it.
pub struct Planner;

#[async_trait]
impl ExtensionPlanner for Planner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let ours = node.as_any().is::<RepeatedRows>();
        Ok(physical_inputs.first().filter(|_| ours).cloned())
    }
}
