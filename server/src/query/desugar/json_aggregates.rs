//! `json_agg(x)` is an array of the JSON forms of `x`, made one JSON text; `json_object_agg(k, v)` two such arrays.

use super::{call, simple_name};
use crate::functions::json_values;
use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, OrderByExpr, OrderByOptions,
};

/// Rewrites a call of such an aggregate.
pub fn rewrite(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let Some(name) = simple_name(&function.name).map(|name| name.value.to_lowercase()) else { return };
    let (finish, to_json, count) = match name.as_str() {
        "json_agg" => ("plimsoll_json_array", json_values::ITEM, 1),
        "jsonb_agg" => ("plimsoll_jsonb_array", "to_jsonb", 1),
        "json_object_agg" => ("plimsoll_json_object", "to_json", 2),
        "jsonb_object_agg" => ("plimsoll_jsonb_object", "to_jsonb", 2),
        _ => return,
    };
    let FunctionArguments::List(list) = &function.args else { return };
    if list.args.len() != count {
        return;
    }
    let mut arrays = Vec::with_capacity(count);
    for argument in &list.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) = argument else { return };
        arrays.push(Expr::Function(array_of(function, call(to_json, vec![value.clone()]))));
    }
    *expr = call(finish, arrays);
}

/// What an aggregate collects with DISTINCT comes in order.
pub fn distinct_in_order(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let Some(name) = simple_name(&function.name).map(|name| name.value.to_lowercase()) else { return };
    let FunctionArguments::List(list) = &mut function.args else { return };
    let collects = matches!(name.as_str(), "array_agg" | "string_agg");
    if !collects || list.duplicate_treatment != Some(DuplicateTreatment::Distinct) || !list.clauses.is_empty() {
        return;
    }
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first() {
        let key = OrderByExpr { expr: value.clone(), options: OrderByOptions { asc: None, nulls_first: None }, with_fill: None };
        list.clauses.push(FunctionArgumentClause::OrderBy(vec![key]));
    }
}

/// The aggregate with its ORDER BY, FILTER, DISTINCT and OVER, as `array_agg` of something else.
fn array_of(function: &Function, value: Expr) -> Function {
    let mut array = function.clone();
    array.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new("array_agg"))]);
    if let FunctionArguments::List(list) = &mut array.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value))];
    }
    array
}
