//! `min` and `max` of character(n) are of that type: DataFusion's have the Arrow type, which does not say it.

use crate::functions::casts;
use crate::types::SqlType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};

/// Says the types of such aggregates right above them.
pub fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let settled = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Aggregate(aggregate) => {
            let typed = typed(aggregate)?;
            changed |= typed.transformed;
            Ok(typed)
        }
        other if changed => other.recompute_schema().map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(settled.data)
}

fn typed(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let types: Vec<Option<SqlType>> = aggregate.aggr_expr.iter().map(|expr| char_of(expr, aggregate.input.schema())).collect();
    if types.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let columns = aggregate.schema.columns();
    let keys = columns.len() - types.len();
    let types = std::iter::repeat_n(None, keys).chain(types);
    let items = columns.into_iter().zip(types).map(|(column, of_char)| match of_char {
        Some(of_char) => {
            let (relation, name) = (column.relation.clone(), column.name.clone());
            casts::call(Expr::Column(column), &of_char).alias_qualified(relation, name)
        }
        None => Expr::Column(column),
    });
    let items: Vec<Expr> = items.collect();
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(aggregate)).project(items)?.build().map(Transformed::yes)
}

/// The type of a value whose least or greatest is wanted, if it is a character(n).
fn char_of(expr: &Expr, input: &DFSchema) -> Option<SqlType> {
    let call = match expr {
        Expr::Alias(alias) => return char_of(&alias.expr, input),
        Expr::AggregateFunction(call) if ["min", "max"].contains(&call.func.name()) => call,
        _ => return None,
    };
    let (_, field) = call.params.args.first()?.to_field(input).ok()?;
    Some(SqlType::of_field(&field)).filter(|found| matches!(found, SqlType::Char(_)))
}
