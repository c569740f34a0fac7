//! INTERSECT ALL and EXCEPT ALL count copies. DataFusion plans them as semi and anti joins, which do not: the copies of a row are numbered
//! on both sides, and the number joins too.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder};
use std::sync::Arc;

/// The column that numbers copies; `\u{1}` cannot be written in SQL.
const COPY: &str = "copy\u{1}";

/// Counts copies in a plan as the planner made it: there, only set operations join with NULL equal to NULL.
pub fn count_copies(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) if is_multiset(&join) => Ok(Transformed::yes(counted(join)?)),
        other => Ok(Transformed::no(other)),
    })
    .map(|plan| plan.data)
}

/// Whether a join, as the planner made it, is an INTERSECT or EXCEPT.
pub fn is_set_operation(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
}

fn is_multiset(join: &Join) -> bool {
    is_set_operation(join) && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let shown: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let left = numbered(&join.left, join.on.iter().map(|(left, _)| left.clone()).collect())?;
    let right = numbered(&join.right, join.on.iter().map(|(_, right)| right.clone()).collect())?;
    let column = |expr: &Expr| expr.try_as_col().cloned().unwrap_or_else(|| Column::from_name(COPY));
    let (mut left_keys, mut right_keys): (Vec<_>, Vec<_>) = join.on.iter().map(|(l, r)| (column(l), column(r))).unzip();
    left_keys.push(Column::from_name(COPY));
    right_keys.push(Column::from_name(COPY));
    let joined = left.join_detailed(right.build()?, join.join_type, (left_keys, right_keys), None, NullEquality::NullEqualsNull)?;
    joined.project(shown)?.build()
}

fn numbered(input: &Arc<LogicalPlan>, keys: Vec<Expr>) -> Result<LogicalPlanBuilder> {
    let number = row_number().partition_by(keys).build()?.alias(COPY);
    LogicalPlanBuilder::from(input.as_ref().clone()).window(vec![number])
}
