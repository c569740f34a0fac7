//! Parameters whose type follows from what they stand beside: the other values of COALESCE, CASE, GREATEST, NULLIF and ARRAY, the other argument of
//! functions of two alike, the array that an element is sought in, a cast around it. PostgreSQL announces these types, and drivers send values of them; the engine
//! would announce text.
//!
//! Runs on the plan, where the types of columns are known; what the text alone tells is in [`super::desugar::parameter_places`].

use super::common_types::{Given, widest};
use crate::types::SqlType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Case, Placeholder, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::sync::Arc;

/// Functions whose arguments are of one type.
const ALIKE: [&str; 9] = ["coalesce", "greatest", "least", "nullif", "make_array", "mod", "gcd", "lcm", "age"];

/// Says the types of such parameters.
pub fn tell(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !has_untold(&plan)? {
        return Ok(plan);
    }
    let told = plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|expr| Ok(told(expr, &schema)))?.update_data(|expr| name.restore(expr)))
        })?;
        plan.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(told.data)
}

fn has_untold(plan: &LogicalPlan) -> Result<bool> {
    use datafusion::common::tree_node::TreeNodeRecursion::{Continue, Stop};
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= is_untold(expr);
                Ok(if found { Stop } else { Continue })
            })
        })
    })?;
    Ok(found)
}

fn is_untold(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(Placeholder { field: None, .. }))
}

fn told(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(call) => of_call(call, schema),
        Expr::Case(case) => of_case(case, schema),
        Expr::Cast(mut cast) if is_untold(&cast.expr) => {
            let target = SqlType::of_field(&cast.field);
            let changed = give(&mut cast.expr, &target);
            if changed { Transformed::yes(Expr::Cast(cast)) } else { Transformed::no(Expr::Cast(cast)) }
        }
        other => Transformed::no(other),
    }
}

fn of_call(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    if !call.args.iter().any(is_untold) {
        return Transformed::no(Expr::ScalarFunction(call));
    }
    let name = call.name().to_string();
    let changed = match name.as_str() {
        name if ALIKE.contains(&name) => among(&mut call.args.iter_mut().collect::<Vec<_>>(), schema),
        "array_append" | "array_remove" | "array_position" | "array_positions" | "array_replace" | "plimsoll_any_equal" => {
            sought(&mut call.args, 0, schema)
        }
        "array_prepend" => sought(&mut call.args, 1, schema),
        "array_cat" | "array_concat" => among(&mut call.args.iter_mut().collect::<Vec<_>>(), schema),
        _ => false,
    };
    if changed { Transformed::yes(Expr::ScalarFunction(call)) } else { Transformed::no(Expr::ScalarFunction(call)) }
}

/// The results of a CASE are alike, and so are what it compares.
fn of_case(mut case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let mut changed = false;
    {
        let results = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
        let mut results: Vec<&mut Expr> = results.chain(case.else_expr.as_deref_mut()).collect();
        changed |= among(&mut results, schema);
    }
    if let Some(operand) = &mut case.expr {
        let whens = case.when_then_expr.iter_mut().map(|(when, _)| when.as_mut());
        let mut compared: Vec<&mut Expr> = std::iter::once(operand.as_mut()).chain(whens).collect();
        changed |= among(&mut compared, schema);
    }
    if changed { Transformed::yes(Expr::Case(case)) } else { Transformed::no(Expr::Case(case)) }
}

/// Gives the parameters among values the type of the others; whether there was one to give.
fn among(values: &mut [&mut Expr], schema: &DFSchema) -> bool {
    if !values.iter().any(|value| is_untold(value)) {
        return false;
    }
    let known: Vec<SqlType> = values.iter().filter(|value| !is_untold(value)).filter_map(|value| typed(value, schema)).collect();
    let Some(target) = widest(&known) else { return false };
    values.iter_mut().filter_map(|value| give(value, &target).then_some(())).count() > 0
}

/// Elements sought in, or added to, an array.
fn sought(args: &mut [Expr], array: usize, schema: &DFSchema) -> bool {
    let Some(SqlType::Array(element)) = args.get(array).and_then(|array| typed(array, schema)) else { return false };
    args.iter_mut().filter_map(|value| give(value, &element).then_some(())).count() > 0
}

fn typed(expr: &Expr, schema: &DFSchema) -> Option<SqlType> {
    match Given::of(expr, schema) {
        Given::Typed(found) => Some(found),
        _ => None,
    }
}

/// A value is not rounded to the digits of what it stands beside.
fn without_digits(target: &SqlType) -> SqlType {
    match target {
        SqlType::Numeric(_) => SqlType::Numeric(None),
        SqlType::Varchar(_) | SqlType::Char(_) => SqlType::Text,
        other => other.clone(),
    }
}

fn give(value: &mut Expr, target: &SqlType) -> bool {
    match value {
        Expr::Placeholder(placeholder) if placeholder.field.is_none() => {
            placeholder.field = Some(Arc::new(without_digits(target).field(&placeholder.id, true)));
            true
        }
        _ => false,
    }
}
