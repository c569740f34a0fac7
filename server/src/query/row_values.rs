//! Rows and numbers as PostgreSQL takes them: `ROW(a, b) IS NULL` asks each of its fields, and `1e308` is a number however large.

use crate::error::{Result, SqlError, SqlState};
use crate::functions::records;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Select, Statement,
    UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut, visit_expressions_mut,
};
use std::ops::ControlFlow;

/// Digits that a decimal holds.
const DECIMAL_DIGITS: i64 = 38;

/// What stands behind the sign of the smallest bigint.
const SMALLEST_BIGINT: &str = "9223372036854775808";

/// Rewrites a statement.
pub fn statement(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Rewrite);
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            // `GROUP BY (a, b)` is `GROUP BY a, b`.
            *keys = std::mem::take(keys)
                .into_iter()
                .flat_map(|key| match key {
                    Expr::Tuple(fields) if !fields.is_empty() => fields,
                    key => vec![key],
                })
                .collect();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let rewritten = match &*expr {
            Expr::IsNull(inner) => fields(inner).and_then(|fields| all(fields, Expr::IsNull)),
            Expr::IsNotNull(inner) => fields(inner).and_then(|fields| all(fields, Expr::IsNotNull)),
            other => comparison(other),
        };
        let number = match &*expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) if is_beyond_decimals(digits) => Some(as_double(digits)),
                Value::Number(digits, kept) => as_decimal(digits).map(|digits| Expr::value(Value::Number(digits, *kept))),
                _ => None,
            },
            _ => None,
        };
        if let Some(rewritten) = rewritten.or(number) {
            *expr = rewritten;
        }
        ControlFlow::Continue(())
    }
}

/// Rows that the planner does not read become calls.
pub fn call_rows(statement: &mut Statement) {
    let _ = visit_expressions_mut(statement, |expr| {
        if let Expr::Tuple(fields) = expr
            && fields.first().is_some_and(is_computed)
        {
            *expr = super::desugar::call(records::ROW, std::mem::take(fields));
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Whether the planner does not read a row that begins with this.
fn is_computed(first: &Expr) -> bool {
    !matches!(first, Expr::Identifier(_) | Expr::Value(_) | Expr::CompoundIdentifier(_))
}

/// A comparison of rows that are written out, field by field: NULL only where it decides.
fn comparison(expr: &Expr) -> Option<Expr> {
    match expr {
        // Rows of tables are values: NULL equals NULL in them.
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } if is_record(left) && is_record(right) => {
            joined(pair(left, right)?, BinaryOperator::And, |(l, r)| Expr::IsNotDistinctFrom(Box::new(l), Box::new(r)))
        }
        Expr::BinaryOp { left, op: BinaryOperator::NotEq, right } if is_record(left) && is_record(right) => {
            joined(pair(left, right)?, BinaryOperator::Or, |(l, r)| Expr::IsDistinctFrom(Box::new(l), Box::new(r)))
        }
        Expr::BinaryOp { left, op, right } => compared(&pair(left, right)?, op),
        Expr::IsDistinctFrom(left, right) => {
            joined(pair(left, right)?, BinaryOperator::Or, |(l, r)| Expr::IsDistinctFrom(Box::new(l), Box::new(r)))
        }
        Expr::IsNotDistinctFrom(left, right) => {
            joined(pair(left, right)?, BinaryOperator::And, |(l, r)| Expr::IsNotDistinctFrom(Box::new(l), Box::new(r)))
        }
        Expr::InList { expr, list, negated } => {
            let tests: Option<Vec<Expr>> = list.iter().map(|item| compared(&pair(expr, item)?, &BinaryOperator::Eq)).collect();
            let any = tests?.into_iter().reduce(|left, right| binary(left, BinaryOperator::Or, right)).map(nested)?;
            Some(if *negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(any) } } else { any })
        }
        Expr::Between { expr, negated, low, high } => {
            let from = compared(&pair(expr, low)?, &BinaryOperator::GtEq)?;
            let to = compared(&pair(expr, high)?, &BinaryOperator::LtEq)?;
            let both = nested(binary(from, BinaryOperator::And, to));
            Some(if *negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(both) } } else { both })
        }
        _ => None,
    }
}

/// Whether it is the row of a table that no join can miss.
fn is_record(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_record(inner),
        Expr::Function(function) => function.name.to_string() == records::RECORD,
        _ => false,
    }
}

/// The fields of two rows of the same length, side by side.
fn pair(left: &Expr, right: &Expr) -> Option<Vec<(Expr, Expr)>> {
    let (left, right) = (fields(left)?, fields(right)?);
    (left.len() == right.len()).then(|| left.into_iter().map(nested).zip(right.into_iter().map(nested)).collect())
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn joined(pairs: Vec<(Expr, Expr)>, op: BinaryOperator, test: impl Fn((Expr, Expr)) -> Expr) -> Option<Expr> {
    pairs.into_iter().map(test).map(nested).reduce(|left, right| binary(left, op.clone(), right)).map(nested)
}

fn compared(pairs: &[(Expr, Expr)], op: &BinaryOperator) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    match op {
        Eq => joined(pairs.to_vec(), And, |(left, right)| binary(left, Eq, right)),
        NotEq => joined(pairs.to_vec(), Or, |(left, right)| binary(left, NotEq, right)),
        Lt | LtEq | Gt | GtEq => Some(ordered(pairs, op)),
        _ => None,
    }
}

/// `(a, b) < (x, y)` is `a < x OR a = x AND b < y`.
fn ordered(pairs: &[(Expr, Expr)], op: &BinaryOperator) -> Expr {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, Or};
    let strict = if matches!(op, Lt | LtEq) { Lt } else { Gt };
    let (left, right) = pairs[0].clone();
    if pairs.len() == 1 {
        let last = match op {
            LtEq => LtEq,
            GtEq => GtEq,
            _ => strict,
        };
        return nested(binary(left, last, right));
    }
    let equal = binary(binary(left.clone(), Eq, right.clone()), And, ordered(&pairs[1..], op));
    nested(binary(binary(left, strict, right), Or, nested(equal)))
}

/// Rows of different lengths cannot be compared.
pub fn check(statement: &Statement) -> Result<()> {
    struct Unequal;
    impl Visitor for Unequal {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let (left, right) = match expr {
                Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq | BinaryOperator::Lt, right } => (left, right),
                Expr::BinaryOp { left, op: BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq, right } => (left, right),
                _ => return ControlFlow::Continue(()),
            };
            match (fields(left), fields(right)) {
                (Some(left), Some(right)) if left.len() != right.len() => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match statement.visit(&mut Unequal) {
        ControlFlow::Break(()) => Err(SqlError::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions")),
        ControlFlow::Continue(()) => Ok(()),
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

fn field(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

fn row_call(function: &Function) -> Option<Vec<Expr>> {
    let [name] = function.name.0.as_slice() else { return None };
    let name = &name.as_ident()?.value;
    let is_row = name.eq_ignore_ascii_case(records::ROW);
    let FunctionArguments::List(list) = &function.args else { return None };
    if name == records::RECORD || name == records::OUTER_RECORD {
        let values = list.args.iter().skip(1).step_by(2);
        return values.map(field).collect::<Option<Vec<_>>>().filter(|fields| !fields.is_empty());
    }
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

/// A whole number that is numeric in PostgreSQL, written as one: with an exponent, or too large for bigint.
fn as_decimal(digits: &str) -> Option<String> {
    let Some((mantissa, exponent)) = digits.split_once(['e', 'E']) else {
        // With a minus sign before it, the first of these is the smallest bigint.
        let large = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() < 38 && digits.parse::<i64>().is_err();
        let large = large && digits != SMALLEST_BIGINT;
        return large.then(|| format!("{digits}."));
    };
    let exponent = usize::try_from(exponent.parse::<i64>().ok()?).ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    (fraction.len() <= exponent).then(|| format!("{whole}{fraction:0<exponent$}."))
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
            ("SELECT (a, b) < (1, 2)", "SELECT ((a) < (1) OR ((a) = (1) AND ((b) < (2))))"),
            ("SELECT (a, b) IN ((1, 2))", "SELECT ((((a) = (1)) AND ((b) = (2))))"),
            ("SELECT 1e308, 1.5e3, 12, 1.25e1", "SELECT '1e308'::DOUBLE PRECISION, 1500., 12, 1.25e1"),
            ("SELECT 9223372036854775807, 9223372036854775809", "SELECT 9223372036854775807, 9223372036854775809."),
        ];
        for (sql, expected) in table {
            let mut rewritten = Statement::Query(Box::new(parse_query(sql).unwrap()));
            statement(&mut rewritten);
            assert_eq!(rewritten.to_string(), expected);
        }
    }
}
