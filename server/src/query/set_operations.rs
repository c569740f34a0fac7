//! INTERSECT and EXCEPT of two types have their common type, as UNION has. DataFusion plans them as joins, which keep the left side's.

use super::common_types::{self, Given};
use super::multisets;
use super::operators::{Class, class};
use crate::types::SqlType;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan, LogicalPlanBuilder};
use std::sync::Arc;

/// Gives both sides of such joins one type. Must run while only set operations join with NULL equal to NULL.
pub fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let settled = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(mut join) if multisets::is_set_operation(&join) => match in_common(&mut join)? {
            true => {
                changed = true;
                LogicalPlan::Join(join).recompute_schema().map(Transformed::yes)
            }
            false => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other if changed => other.recompute_schema().map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(settled.data)
}

/// Whether anything had to change.
fn in_common(join: &mut Join) -> Result<bool> {
    let given = |side: &LogicalPlan| -> Vec<Given> {
        let schema = side.schema();
        schema.columns().into_iter().map(|column| Given::of(&Expr::Column(column), schema)).collect()
    };
    let (left, right) = (given(&join.left), given(&join.right));
    let targets = left.iter().zip(&right).map(|(left, right)| common(left, right)).collect::<Result<Vec<_>>>()?;
    if targets.iter().all(Option::is_none) {
        return Ok(false);
    }
    join.left = Arc::new(converted(&join.left, &left, &targets)?);
    join.right = Arc::new(converted(&join.right, &right, &targets)?);
    Ok(true)
}

/// The type of numbers, or of moments, of two types.
fn common(left: &Given, right: &Given) -> Result<Option<SqlType>> {
    let (Given::Typed(one), Given::Typed(two)) = (left, right) else { return Ok(None) };
    let decimals = matches!((one, two), (SqlType::Numeric(_), SqlType::Numeric(_)));
    if one == two || decimals || class(one) != class(two) || !matches!(class(one), Class::Number | Class::Moment) {
        return Ok(None);
    }
    Ok(common_types::chosen("INTERSECT", &[left.clone(), right.clone()])?)
}

/// The names stay, which the join goes by; what is distinct stays so, and says so.
fn converted(side: &Arc<LogicalPlan>, given: &[Given], targets: &[Option<SqlType>]) -> Result<LogicalPlan> {
    if let LogicalPlan::Distinct(Distinct::All(input)) = side.as_ref() {
        return LogicalPlanBuilder::from(converted(input, given, targets)?).distinct()?.build();
    }
    let items = side.schema().columns().into_iter().zip(given).zip(targets).map(|((column, given), target)| {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        Ok(match target {
            Some(target) => common_types::converted(Expr::Column(column), given, target)?.alias_qualified(relation, name),
            None => Expr::Column(column),
        })
    });
    let items = items.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(side.as_ref().clone()).project(items)?.build()
}
