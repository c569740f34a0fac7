//! Dates and intervals as PostgreSQL adds and multiplies them: a date and an interval are a timestamp, an interval has multiples.

use crate::functions::arithmetic;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Plans such operators.
#[derive(Debug)]
pub struct DateArithmetic;

impl ExprPlanner for DateArithmetic {
    fn plan_binary_op(&self, mut expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let sum = matches!(expr.op, BinaryOperator::Plus | BinaryOperator::Minus);
        match (&left, &right) {
            (DataType::Date32, DataType::Interval(_)) if sum => expr.left = at_midnight(expr.left),
            (DataType::Interval(_), DataType::Date32) if sum => expr.right = at_midnight(expr.right),
            (DataType::Interval(_), number) if number.is_numeric() && expr.op == BinaryOperator::Multiply => {
                return Ok(PlannerResult::Planned(multiple(expr.left, expr.right)));
            }
            (number, DataType::Interval(_)) if number.is_numeric() && expr.op == BinaryOperator::Multiply => {
                return Ok(PlannerResult::Planned(multiple(expr.right, expr.left)));
            }
            _ => {}
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn at_midnight(date: Expr) -> Expr {
    cast(date, DataType::Timestamp(TimeUnit::Microsecond, None))
}

fn multiple(interval: Expr, number: Expr) -> Expr {
    arithmetic::interval_multiple().call(vec![interval, cast(number, DataType::Float64)])
}
