//! Rows and numbers as PostgreSQL takes them: `ROW(a, b) IS NULL` asks each of its fields, and `1e308` is a number however large.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

/// Digits that a decimal holds.
const DECIMAL_DIGITS: i64 = 38;

/// Rewrites a statement.
pub fn statement(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Rewrite);
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let rewritten = match &*expr {
            Expr::IsNull(inner) => fields(inner).and_then(|fields| all(fields, Expr::IsNull)),
            Expr::IsNotNull(inner) => fields(inner).and_then(|fields| all(fields, Expr::IsNotNull)),
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) if is_beyond_decimals(digits) => Some(as_double(digits)),
                _ => None,
            },
            _ => None,
        };
        if let Some(rewritten) = rewritten {
            *expr = rewritten;
        }
        ControlFlow::Continue(())
    }
}

/// The fields of a row that is written out.
fn fields(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Nested(inner) => fields(inner),
        Expr::Tuple(fields) => Some(fields.clone()),
        Expr::Function(function) => row_call(function),
        _ => None,
    }
}

fn row_call(function: &Function) -> Option<Vec<Expr>> {
    let [name] = function.name.0.as_slice() else { return None };
    let is_row = name.as_ident().is_some_and(|name| name.value.eq_ignore_ascii_case("row"));
    let FunctionArguments::List(list) = &function.args else { return None };
    let field = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().filter(|_| is_row).map(field).collect::<Option<Vec<_>>>().filter(|fields| !fields.is_empty())
}

fn all(fields: Vec<Expr>, test: fn(Box<Expr>) -> Expr) -> Option<Expr> {
    let tests = fields.into_iter().map(|field| test(Box::new(Expr::Nested(Box::new(field)))));
    let joined = tests.reduce(|left, right| Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) })?;
    Some(Expr::Nested(Box::new(joined)))
}

/// Whether a number has an exponent that no decimal has.
fn is_beyond_decimals(digits: &str) -> bool {
    let Some((mantissa, exponent)) = digits.split_once(['e', 'E']) else { return false };
    let Ok(exponent) = exponent.parse::<i64>() else { return false };
    let whole = mantissa.split('.').next().unwrap_or_default().trim_start_matches('0').len();
    exponent.saturating_add(i64::try_from(whole).unwrap_or(0)) > DECIMAL_DIGITS || exponent < -DECIMAL_DIGITS
}

fn as_double(digits: &str) -> Expr {
    Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(Expr::value(Value::SingleQuotedString(digits.to_string()))),
        data_type: DataType::DoublePrecision,
        array: false,
        format: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse_query;

    #[test]
    fn rows_and_large_numbers() {
        let table = [
            ("SELECT (a, b) IS NULL", "SELECT ((a) IS NULL AND (b) IS NULL)"),
            ("SELECT row(a, null) IS NOT NULL", "SELECT ((a) IS NOT NULL AND (NULL) IS NOT NULL)"),
            ("SELECT a IS NULL, (a) IS NULL", "SELECT a IS NULL, (a) IS NULL"),
            ("SELECT 1e308, 1.5e3, 12", "SELECT '1e308'::DOUBLE PRECISION, 1.5e3, 12"),
        ];
        for (sql, expected) in table {
            let mut rewritten = Statement::Query(Box::new(parse_query(sql).unwrap()));
            statement(&mut rewritten);
            assert_eq!(rewritten.to_string(), expected);
        }
    }
}
