//! `ARRAY(SELECT ...)`: the rows of a query as an array, in the query's order; an empty array if there are none.
//!
//! Where the order can be told to an aggregate, it is one; any other such query is run as [`crate::query::apply`] runs queries.

use super::call;
use super::subqueries::is_aggregate;
use crate::functions::arrays::EMPTY_FOR_NULL;
use crate::functions::records;
use crate::query::apply::function::ROWS;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, Value,
    visit_expressions,
};
use std::ops::ControlFlow;

/// Rewrites such an expression.
pub fn rewrite(expr: &mut Expr) {
    let Expr::Function(function) = &*expr else { return };
    if !function.name.to_string().eq_ignore_ascii_case("array") {
        return;
    }
    let FunctionArguments::Subquery(query) = &function.args else { return };
    *expr = match aggregated(query) {
        Some(aggregated) => call(EMPTY_FOR_NULL, vec![Expr::Subquery(Box::new(aggregated))]),
        None => call(ROWS, vec![Expr::Subquery(query.clone())]),
    };
}

/// Whether it is a row, of which an array has no form of its own to be empty in.
fn is_record(value: &Expr) -> bool {
    let Expr::Function(function) = value else { return matches!(value, Expr::Tuple(_)) };
    let name = function.name.to_string();
    name == records::RECORD || name == records::OUTER_RECORD || name.eq_ignore_ascii_case(records::ROW)
}

/// The query with `array_agg(x ORDER BY ...)` in the place of its only column.
fn aggregated(query: &Query) -> Option<Query> {
    let mut query = query.clone();
    if query.limit_clause.is_some() || query.fetch.is_some() || query.with.is_some() {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    if !is_simple(select) {
        return None;
    }
    let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] = select.projection.as_slice() else {
        return None;
    };
    let value = value.clone();
    if returns_rows(&value) || is_record(&value) {
        return None;
    }
    let alias = match &select.projection[0] {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.clone()),
        _ => None,
    };
    let mut array = call("array_agg", vec![value.clone()]);
    if let Some(order) = query.order_by.take() {
        let OrderByKind::Expressions(mut keys) = order.kind else { return None };
        for key in &mut keys {
            if is_output(&key.expr, alias.as_ref()) {
                key.expr = value.clone();
            }
        }
        ordered(&mut array, FunctionArgumentClause::OrderBy(keys));
    }
    select.projection = vec![SelectItem::UnnamedExpr(array)];
    Some(query)
}

/// Whether a value is of many rows, which no aggregate takes.
fn returns_rows(value: &Expr) -> bool {
    let is_unnest = |expr: &Expr| match expr {
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("unnest") => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    visit_expressions(value, is_unnest).is_break()
}

fn is_simple(select: &Select) -> bool {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    select.distinct.is_none() && select.having.is_none() && !grouped && !is_aggregate(select)
}

/// `ORDER BY 1`, or by the column's alias.
fn is_output(key: &Expr, alias: Option<&Ident>) -> bool {
    match key {
        Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits == "1"),
        Expr::Identifier(name) => alias.is_some_and(|alias| alias.value == name.value),
        _ => false,
    }
}

fn ordered(array: &mut Expr, clause: FunctionArgumentClause) {
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = array {
        list.clauses.push(clause);
    }
}
