//! The columns of other queries that a subquery names, and values in their place.

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The columns that a plan names and that are not of it.
pub fn free(plan: &LogicalPlan) -> Result<BTreeMap<Column, FieldRef>> {
    let mut found = BTreeMap::new();
    collect(plan, &mut found)?;
    Ok(found)
}

/// Whether a plan names any.
pub fn correlated(plan: &LogicalPlan) -> bool {
    free(plan).map_or(true, |found| !found.is_empty())
}

fn collect(plan: &LogicalPlan, found: &mut BTreeMap<Column, FieldRef>) -> Result<()> {
    let schema = merge_schema(&plan.inputs());
    plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            if let Expr::OuterReferenceColumn(field, column) = expr {
                found.entry(column.clone()).or_insert_with(|| Arc::clone(field));
            }
            if let Some(sub) = super::subquery_of(expr) {
                found.extend(free(&sub.subquery)?.into_iter().filter(|(column, _)| !schema.has_column(column)));
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    match plan {
        LogicalPlan::Join(join) if super::lateral(&join.right).is_some() => {
            collect(&join.left, found)?;
            let left = join.left.schema();
            found.extend(free(&join.right)?.into_iter().filter(|(column, _)| !left.has_column(column)));
        }
        other => {
            for input in other.inputs() {
                collect(input, found)?;
            }
        }
    }
    Ok(())
}

/// A plan with values in the place of the columns that it names.
pub fn bound(plan: LogicalPlan, values: &HashMap<Column, ScalarValue>) -> Result<LogicalPlan> {
    if let LogicalPlan::Subquery(subquery) = plan {
        let subquery = within(subquery, values)?;
        return Ok(match correlated(&subquery.subquery) {
            true => LogicalPlan::Subquery(subquery),
            false => Arc::unwrap_or_clone(subquery.subquery),
        });
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let replaced = expr.transform(|expr| match expr {
            Expr::OuterReferenceColumn(_, ref column) => match values.get(column) {
                Some(value) => Ok(Transformed::yes(Expr::Literal(value.clone(), None))),
                None => Ok(Transformed::no(expr)),
            },
            other => Ok(Transformed::no(other)),
        })?;
        Ok(replaced.update_data(|expr| name.restore(expr)))
    })?;
    let plan = plan.data.map_subqueries(|sub| match sub {
        LogicalPlan::Subquery(sub) => {
            // A name that the query around the subquery has is not ours.
            let visible = values.iter().filter(|(column, _)| !schema.has_column(column));
            let visible = visible.map(|(column, value)| (column.clone(), value.clone())).collect();
            within(sub, &visible).map(LogicalPlan::Subquery).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })?;
    let plan = plan.data.map_children(|child| bound(child, values).map(Transformed::yes))?;
    plan.data.recompute_schema()
}

fn within(mut subquery: Subquery, values: &HashMap<Column, ScalarValue>) -> Result<Subquery> {
    subquery.subquery = Arc::new(bound(Arc::unwrap_or_clone(subquery.subquery), values)?);
    subquery.outer_ref_columns.retain(|expr| !matches!(expr, Expr::OuterReferenceColumn(_, column) if values.contains_key(column)));
    Ok(subquery)
}
