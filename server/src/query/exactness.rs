//! A rule of analysis, after types are coerced: arithmetic that fails instead of wrapping around, casts to integers that round.

use crate::functions::{arithmetic, like, math};
use crate::types::SqlType;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// The rule.
#[derive(Debug)]
pub struct Exactness;

impl AnalyzerRule for Exactness {
    fn name(&self) -> &str {
        "exactness"
    }
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(rewrite_plan).map(|plan| plan.data)
    }
}

fn rewrite_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expression(expr, &schema)?.update_data(|expr| name.restore(expr)))
    })?;
    match plan.transformed {
        true => plan.map_data(LogicalPlan::recompute_schema),
        false => Ok(plan),
    }
}

/// Rewrites an expression whose types are coerced.
pub fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| Ok(exact(expr, schema)))
}

fn exact(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match checked(&left, op, &right, schema) {
            Some(function) => Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: function, args: vec![*left, *right] })),
            None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        },
        Expr::Negative(inner) => match inner.get_type(schema) {
            Ok(data_type) if is_integer(&data_type) => Transformed::yes(arithmetic::negative().call(vec![*inner])),
            _ => Transformed::no(Expr::Negative(inner)),
        },
        Expr::ScalarFunction(call) if call.func.name() == "abs" && call.args[0].get_type(schema).is_ok_and(|found| is_integer(&found)) => {
            Transformed::yes(arithmetic::absolute().call(call.args))
        }
        Expr::Cast(Cast { expr, field }) if is_integer(field.data_type()) && has_fraction(&expr, schema) => {
            Transformed::yes(Expr::Cast(Cast { expr: Box::new(rounded(*expr)), field }))
        }
        Expr::ScalarFunction(call) if call.func.name() == "log2" && call.args.len() == 1 => within_domain(call, schema),
        Expr::Like(mut like) if is_character(&like.expr, schema) => {
            like.expr = Box::new(like::padded(*like.expr));
            Transformed::yes(exact(Expr::Like(like), schema).data)
        }
        Expr::Like(like) => match like::checked(&like) {
            Some(call) if is_text(&like.expr, schema) => Transformed::yes(call),
            _ => Transformed::no(Expr::Like(like)),
        },
        other => Transformed::no(other),
    }
}

/// Whether a value is of type character(n), casts of the engine aside.
fn is_character(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Cast(cast) => is_character(&cast.expr, schema),
        expr => expr.to_field(schema).is_ok_and(|(_, field)| matches!(SqlType::of_field(&field), SqlType::Char(_))),
    }
}

fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|found| found.is_string() || found.is_null())
}

/// The logarithm of what has none is an error, not an infinity.
fn within_domain(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let double = matches!(call.args[0].get_type(schema), Ok(DataType::Float64));
    let func = math::logarithm_argument();
    let checked = matches!(&call.args[0], Expr::ScalarFunction(inner) if inner.func == func);
    if !double || checked {
        return Transformed::no(Expr::ScalarFunction(call));
    }
    call.args = vec![Expr::ScalarFunction(ScalarFunction { func, args: call.args })];
    Transformed::yes(Expr::ScalarFunction(call))
}

fn checked(
    left: &Expr,
    operator: datafusion::logical_expr::Operator,
    right: &Expr,
    schema: &DFSchema,
) -> Option<std::sync::Arc<datafusion::logical_expr::ScalarUDF>> {
    let (left, right) = (left.get_type(schema).ok()?, right.get_type(schema).ok()?);
    if left == right { arithmetic::checked(operator, &left) } else { None }
}

fn rounded(expr: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func: arithmetic::round(), args: vec![expr] })
}

fn is_integer(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

fn has_fraction(expr: &Expr, schema: &DFSchema) -> bool {
    let decimal = |scale: i8| scale > 0;
    match expr.get_type(schema) {
        Ok(DataType::Float32 | DataType::Float64) => true,
        Ok(DataType::Decimal128(_, scale)) => decimal(scale),
        _ => false,
    }
}
