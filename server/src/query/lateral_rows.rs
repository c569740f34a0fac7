//! LATERAL functions that return rows: `FROM t, unnest(t.a) AS u(x)` is one `unnest` over the rows of `t`.
//!
//! DataFusion plans the lateral side as a subquery of no table with references to the outer row, which it cannot run. Such a subquery, a
//! chain of projections and one unnest over one empty row, is laid over the other side of the join instead:
//! 1. at its bottom stands the other side, all of whose columns are passed on;
//! 2. references to the outer row become columns;
//! 3. at its top the columns get the names that the join has. A LEFT JOIN keeps rows whose array is empty or NULL.

use crate::functions::{self, arrays};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, Result, ScalarValue, TableReference, UnnestOptions};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection, Unnest};
use std::sync::Arc;

/// Rewrites all such joins of a plan.
pub fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let plan = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => match over_left(&join)? {
            Some(plan) => {
                changed = true;
                Ok(Transformed::yes(plan))
            }
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other if changed => other.recompute_schema().map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

fn over_left(join: &Join) -> Result<Option<LogicalPlan>> {
    let keeps_rows = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        _ => return Ok(None),
    };
    let always = |filter: &Expr| matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    if !join.on.is_empty() || !join.filter.as_ref().is_none_or(always) || !is_lateral_rows(&join.right) {
        return Ok(None);
    }
    let laid = laid_over(&join.right, &join.left, keeps_rows)?;
    let columns = |plan: &LogicalPlan| plan.schema().columns();
    let kept = columns(&join.left).into_iter().map(Expr::Column);
    let left_count = join.left.schema().fields().len();
    let made = columns(&laid).into_iter().skip(left_count);
    let named =
        made.zip(columns(&join.right)).map(|(made, wanted)| Expr::Column(made).alias_qualified(wanted.relation.clone(), wanted.name));
    let items: Vec<Expr> = kept.chain(named).collect();
    Ok(Some(LogicalPlanBuilder::from(laid).project(items)?.build()?))
}

/// Whether a plan is a subquery, perhaps named, of projections and an unnest over one empty row, that refers to an outer row.
fn is_lateral_rows(plan: &LogicalPlan) -> bool {
    fn chain(plan: &LogicalPlan, unnested: bool) -> bool {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => chain(&alias.input, unnested),
            LogicalPlan::Projection(projection) => chain(&projection.input, unnested),
            LogicalPlan::Unnest(unnest) => !unnested && chain(&unnest.input, true),
            LogicalPlan::EmptyRelation(empty) => unnested && empty.produce_one_row,
            _ => false,
        }
    }
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_lateral_rows(&alias.input),
        LogicalPlan::Projection(projection) => is_lateral_rows(&projection.input),
        LogicalPlan::Subquery(subquery) => chain(&subquery.subquery, false),
        _ => false,
    }
}

/// The chain over another bottom, whose columns come first everywhere.
fn laid_over(plan: &LogicalPlan, bottom: &Arc<LogicalPlan>, keeps_rows: bool) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Subquery(subquery) => laid_over(&subquery.subquery, bottom, keeps_rows),
        LogicalPlan::SubqueryAlias(alias) => laid_over(&alias.input, bottom, keeps_rows),
        LogicalPlan::EmptyRelation(_) => Ok(bottom.as_ref().clone()),
        LogicalPlan::Projection(projection) => projected(projection, bottom, keeps_rows),
        LogicalPlan::Unnest(unnest) => unnested(unnest, bottom, keeps_rows),
        other => datafusion::common::internal_err!("no part of a lateral function: {}", other.display()),
    }
}

fn projected(projection: &Projection, bottom: &Arc<LogicalPlan>, keeps_rows: bool) -> Result<LogicalPlan> {
    let input = laid_over(&projection.input, bottom, keeps_rows)?;
    let kept = bottom.schema().columns().into_iter().map(Expr::Column);
    // What an inner alias named is not named here: its columns are found by their names alone.
    let mine = projection.expr.iter().map(|expr| inner(expr.clone(), &projection.input, &input, bottom));
    let items = kept.map(Ok).chain(mine).collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(input).project(items)?.build()
}

/// Outer references become columns of the bottom, columns of the old input those of the new one.
fn inner(expr: Expr, old: &Arc<LogicalPlan>, new: &LogicalPlan, bottom: &Arc<LogicalPlan>) -> Result<Expr> {
    let skipped = bottom.schema().fields().len();
    let replaced = expr.transform_up(|expr| {
        Ok(match expr {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            Expr::Column(column) => {
                let at = old.schema().index_of_column(&column)?;
                Transformed::yes(Expr::Column(Column::from(new.schema().qualified_field(skipped + at))))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(replaced.data)
}

fn unnested(unnest: &Unnest, bottom: &Arc<LogicalPlan>, keeps_rows: bool) -> Result<LogicalPlan> {
    let input = laid_over(&unnest.input, bottom, keeps_rows)?;
    let skipped = bottom.schema().fields().len();
    let at = |index: usize| Column::from(input.schema().qualified_field(skipped + index));
    let columns: Vec<Column> = unnest.list_type_columns.iter().map(|(index, _)| at(*index)).collect();
    let options = UnnestOptions::new().with_preserve_nulls(keeps_rows);
    let input = if keeps_rows { with_nulls_for_empty(input.clone(), &columns)? } else { input.clone() };
    LogicalPlanBuilder::from(input).unnest_columns_with_options(columns, options)?.build()
}

/// An empty array gives no row, NULL gives one if NULLs are kept.
fn with_nulls_for_empty(input: LogicalPlan, lists: &[Column]) -> Result<LogicalPlan> {
    let Some(filled) = functions::named(arrays::FILLED) else { return Ok(input) };
    let items = input.schema().columns().into_iter().map(|column| {
        let relation: Option<TableReference> = column.relation.clone();
        let name = column.name.clone();
        match lists.contains(&column) {
            true => filled.call(vec![Expr::Column(column)]).alias_qualified(relation, name),
            false => Expr::Column(column),
        }
    });
    let items: Vec<Expr> = items.collect();
    LogicalPlanBuilder::from(input).project(items)?.build()
}
