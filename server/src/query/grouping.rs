//! Keys of groups, after planning: each key once, and keys of grouping sets are columns.
//!
//! 1. `GROUP BY a, a` has one key: DataFusion keeps both in the expressions, but one in the schema, and fails later.
//! 2. An expression in ROLLUP, CUBE or GROUPING SETS is computed beneath the aggregation, as a column of the name that it has above. DataFusion's
//!    rules rewrite it in its place else, and whoever refers to it by its name does not find it any more.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, LogicalPlanBuilder};
use std::sync::Arc;

/// Settles the groups of a plan as the planner made it.
pub fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let settled = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate) if repeats(&aggregate) || computes(&aggregate) => {
            changed = true;
            settled(aggregate).map(|aggregate| Transformed::yes(LogicalPlan::Aggregate(aggregate)))
        }
        other if changed => other.recompute_schema().map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(settled.data)
}

fn sets(aggregate: &Aggregate) -> Option<&GroupingSet> {
    match aggregate.group_expr.as_slice() {
        [Expr::GroupingSet(sets)] => Some(sets),
        _ => None,
    }
}

fn repeats(aggregate: &Aggregate) -> bool {
    let twice = |keys: &[Expr]| (1..keys.len()).any(|at| keys[..at].contains(&keys[at]));
    match sets(aggregate) {
        Some(GroupingSet::GroupingSets(sets)) => sets.iter().any(|set| twice(set)),
        Some(_) => false,
        None => twice(&aggregate.group_expr),
    }
}

fn computes(aggregate: &Aggregate) -> bool {
    sets(aggregate).is_some_and(|sets| sets.distinct_expr().into_iter().any(|key| !is_column(key)))
}

fn is_column(key: &Expr) -> bool {
    matches!(key, Expr::Column(_))
}

fn settled(aggregate: Aggregate) -> Result<Aggregate> {
    let Some(sets) = sets(&aggregate) else {
        return Aggregate::try_new(aggregate.input, once(aggregate.group_expr), aggregate.aggr_expr);
    };
    let mut items: Vec<Expr> = aggregate.input.schema().columns().into_iter().map(Expr::Column).collect();
    let columns = items.len();
    for key in sets.distinct_expr().into_iter().filter(|key| !is_column(key)) {
        items.push(key.clone().alias(key.schema_name().to_string()));
    }
    let sets = Expr::GroupingSet(of_columns(sets.clone()));
    let input = match items.len() == columns {
        true => aggregate.input,
        false => Arc::new(LogicalPlanBuilder::from(Arc::unwrap_or_clone(aggregate.input)).project(items)?.build()?),
    };
    let aggregates = aggregate.aggr_expr.into_iter().map(|expr| of_sets(expr, &sets)).collect::<Result<_>>()?;
    Aggregate::try_new(input, vec![sets], aggregates)
}

/// GROUPING asks for the computed columns, too, which leaves it its name.
fn of_sets(expr: Expr, sets: &Expr) -> Result<Expr> {
    let known = |column: &Expr| matches!(sets, Expr::GroupingSet(sets) if sets.distinct_expr().contains(&column));
    let asked = expr.transform_up(|expr| match expr {
        Expr::AggregateFunction(mut call) if call.func.name() == "grouping" => {
            for argument in &mut call.params.args {
                let column = column_of(argument.clone());
                if known(&column) {
                    *argument = column;
                }
            }
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(asked.data)
}

fn column_of(key: Expr) -> Expr {
    match key {
        Expr::Column(_) => key,
        other => Expr::Column(Column::new_unqualified(other.schema_name().to_string())),
    }
}

/// The same sets of the computed columns.
fn of_columns(sets: GroupingSet) -> GroupingSet {
    let columns = |keys: Vec<Expr>| keys.into_iter().map(column_of).collect();
    match sets {
        GroupingSet::Rollup(keys) => GroupingSet::Rollup(columns(keys)),
        GroupingSet::Cube(keys) => GroupingSet::Cube(columns(keys)),
        GroupingSet::GroupingSets(sets) => GroupingSet::GroupingSets(sets.into_iter().map(|set| once(columns(set))).collect()),
    }
}

fn once(keys: Vec<Expr>) -> Vec<Expr> {
    let mut seen: Vec<Expr> = Vec::with_capacity(keys.len());
    for key in keys {
        if !seen.contains(&key) {
            seen.push(key);
        }
    }
    seen
}
