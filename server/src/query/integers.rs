//! Numbers as they are written: integer where they fit, else bigint, else numeric; with an exponent, numeric too.
//!
//! DataFusion reads them as bigint, or unsigned where that is too narrow, and gives `1e10` a negative scale. The syntax tree has no literal of
//! another width, so the number is put into a phrase that no client can write (`POSITION('7' IN '\u{1}integer')`), which [`literal`] turns into
//! a constant when the expression is planned.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr as Planned;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Distinct, Expr, Function, FunctionArg, FunctionArgExpr, GroupByExpr, LimitClause, OrderByKind, Query, Select, Subscript,
    TableFactor, UnaryOperator, Value, VisitMut, VisitorMut, WindowFrameBound, WindowType,
};
use std::ops::ControlFlow;

/// What stands for the text in the phrase of an integer.
const MARK: &str = "\u{1}integer";

/// The same of a numeric.
const NUMERIC_MARK: &str = "\u{1}numeric";

/// Digits of a numeric, at most.
const DIGITS_MAX: usize = 38;

/// Gives the numbers of a statement or expression their width. Positions (`ORDER BY 1`), limits, bounds of frames, subscripts, fields of
/// rows and arguments of functions that stand for tables stay as they are: they are read from the tree.
pub fn narrow<T: VisitMut>(tree: &mut T) {
    let _: ControlFlow<()> = tree.visit(&mut Narrow);
    let _: ControlFlow<()> = tree.visit(&mut Release);
}

/// Takes the marks off again: the planner reads bounds of frames only from numbers without one.
struct Release;

impl VisitorMut for Release {
    type Break = ();
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Number(_, kept) = &mut value.value
        {
            *kept = false;
        }
        ControlFlow::Continue(())
    }
}

/// The constant that a phrase stands for.
pub fn literal(arguments: &[Planned]) -> Option<Planned> {
    let text = |expr: &Planned| match expr {
        Planned::Literal(value, _) => value.try_as_str().flatten().map(str::to_string),
        _ => None,
    };
    let texts: Vec<String> = arguments.iter().filter_map(text).collect();
    let marked = |mark: &str| match texts.as_slice() {
        [first, digits] | [digits, first] if first == mark => Some(digits),
        _ => None,
    };
    let value = match (marked(MARK), marked(NUMERIC_MARK)) {
        (Some(digits), _) => ScalarValue::Int32(Some(digits.parse().ok()?)),
        (None, Some(digits)) => {
            let precision = digits.trim_start_matches('-').len().min(DIGITS_MAX);
            ScalarValue::Decimal128(Some(digits.parse().ok()?), u8::try_from(precision).ok()?, 0)
        }
        _ => return None,
    };
    Some(Planned::Literal(value, None))
}

struct Narrow;

impl VisitorMut for Narrow {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            keys.iter_mut().for_each(|key| keep(&mut key.expr));
        }
        if let Some(limit) = &mut query.limit_clause {
            keep_limit(limit);
        }
        if let Some(quantity) = query.fetch.as_mut().and_then(|fetch| fetch.quantity.as_mut()) {
            keep_all(quantity);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            keys.iter_mut().for_each(keep);
        }
        if let Some(Distinct::On(keys)) = &mut select.distinct {
            keys.iter_mut().for_each(keep);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { args: Some(arguments), .. } => arguments.args.iter_mut().for_each(keep_argument),
            TableFactor::Function { args, .. } => args.iter_mut().for_each(keep_argument),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => keep_bounds(function),
            Expr::Interval(interval) => keep_all(&mut interval.value),
            Expr::Tuple(fields) => fields.iter_mut().for_each(keep),
            Expr::CompoundFieldAccess { access_chain, .. } => access_chain.iter_mut().for_each(keep_subscript),
            _ => {}
        }
        if let Some(number) = twice_negative(expr) {
            *expr = number;
        }
        if let Some(text) = signed(expr) {
            match phrase(&text) {
                Some(phrase) => *expr = phrase,
                // The sign belongs to the least bigint, too.
                None if text.parse::<i64>().is_ok() => keep(expr),
                None => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// The number of `-(-7)`: signs belong to numbers before these have a width.
fn twice_negative(expr: &Expr) -> Option<Expr> {
    fn negated(expr: &Expr) -> Option<&Expr> {
        match expr {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(expr),
            Expr::Nested(inner) => negated(inner),
            _ => None,
        }
    }
    let Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } = expr else { return None };
    match negated(inner)? {
        Expr::Value(value) if matches!(value.value, Value::Number(_, false)) => Some(Expr::Value(value.clone())),
        _ => None,
    }
}

/// A number's text. A sign belongs to the number.
fn signed(expr: &Expr) -> Option<String> {
    fn number(expr: &Expr) -> Option<&str> {
        match expr {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, false) => Some(digits),
                _ => None,
            },
            _ => None,
        }
    }
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => number(expr).map(|digits| format!("-{digits}")),
        other => number(other).map(str::to_string),
    }
}

/// The phrase of a number that DataFusion would read as something else.
fn phrase(text: &str) -> Option<Expr> {
    let string = |text: &str| Box::new(Expr::value(Value::SingleQuotedString(text.into())));
    let phrase = |digits: &str, mark: &str| Some(Expr::Position { expr: string(digits), r#in: string(mark) });
    if text.parse::<i32>().is_ok() {
        return phrase(text, MARK);
    }
    match whole_digits(text) {
        Some(digits) if text.parse::<i64>().is_err() => phrase(&digits, NUMERIC_MARK),
        _ => None,
    }
}

/// All digits of a number that is whole by the way it is written: `7`, `1.5e3`, not `1.50e1`, which has a digit after the point.
fn whole_digits(text: &str) -> Option<String> {
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = exponent.parse::<usize>().ok()?.checked_sub(fraction.len()).filter(|zeros| *zeros <= DIGITS_MAX)?;
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) || mantissa.contains('.') && exponent == "0" {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0".to_string() } else { digits.to_string() + &"0".repeat(zeros) };
    (digits.len() <= DIGITS_MAX).then(|| format!("{sign}{digits}"))
}

/// Numbers are marked to stay by the flag that the parser sets for `7L`, which PostgreSQL does not have.
fn keep(expr: &mut Expr) {
    match expr {
        Expr::Value(value) => {
            if let Value::Number(_, kept) = &mut value.value {
                *kept = true;
            }
        }
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => keep(inner),
        _ => {}
    }
}

fn keep_all(expr: &mut Expr) {
    struct Keep;
    impl VisitorMut for Keep {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            keep(expr);
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = VisitMut::visit(expr, &mut Keep);
}

fn keep_limit(limit: &mut LimitClause) {
    match limit {
        LimitClause::LimitOffset { limit, offset, .. } => {
            limit.iter_mut().chain(offset.iter_mut().map(|offset| &mut offset.value)).for_each(keep_all);
        }
        LimitClause::OffsetCommaLimit { offset, limit } => [offset, limit].into_iter().for_each(keep_all),
    }
}

fn keep_argument(argument: &mut FunctionArg) {
    let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) = argument;
    if let FunctionArgExpr::Expr(expr) = arg {
        keep_all(expr);
    }
}

fn keep_subscript(access: &mut AccessExpr) {
    match access {
        AccessExpr::Subscript(Subscript::Index { index }) => keep(index),
        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
            [lower_bound, upper_bound, stride].into_iter().flatten().for_each(keep);
        }
        AccessExpr::Dot(_) => {}
    }
}

fn keep_bounds(function: &mut Function) {
    let Some(WindowType::WindowSpec(spec)) = &mut function.over else { return };
    spec.order_by.iter_mut().for_each(|key| keep(&mut key.expr));
    let Some(frame) = &mut spec.window_frame else { return };
    for bound in [Some(&mut frame.start_bound), frame.end_bound.as_mut()].into_iter().flatten() {
        if let WindowFrameBound::Preceding(Some(offset)) | WindowFrameBound::Following(Some(offset)) = bound {
            keep_all(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse_query;

    fn narrowed(sql: &str) -> String {
        let mut query = parse_query(sql).unwrap();
        narrow(&mut query);
        query.to_string().replace(&format!(" IN '{MARK}'"), "")
    }

    #[test]
    fn numbers_get_the_width_that_postgresql_gives_them() {
        assert_eq!(narrowed("select -(-2147483648), - -7"), "SELECT 2147483648, POSITION('7')");
        assert_eq!(narrowed("select 1, -2147483648, 2147483648, 1.5"), "SELECT POSITION('1'), POSITION('-2147483648'), 2147483648, 1.5");
        assert_eq!(narrowed("select a + 1 from t where b in (2)"), "SELECT a + POSITION('1') FROM t WHERE b IN (POSITION('2'))");
    }

    #[test]
    fn wide_numbers_and_exponents_are_numerics() {
        let numeric = |sql: &str| narrowed(sql).replace(&format!(" IN '{NUMERIC_MARK}'"), "");
        assert_eq!(numeric("select 9223372036854775807, -9223372036854775808"), "SELECT 9223372036854775807, -9223372036854775808");
        assert_eq!(
            numeric("select 9223372036854775808, -9223372036854775809"),
            "SELECT POSITION('9223372036854775808'), POSITION('-9223372036854775809')"
        );
        assert_eq!(numeric("select -(18446744073709551615)"), "SELECT -(POSITION('18446744073709551615'))");
        assert_eq!(
            numeric("select 1e10, 1.5e3, 12e+2, .5e1"),
            "SELECT POSITION('10000000000'), POSITION('1500'), POSITION('1200'), POSITION('5')"
        );
        assert_eq!(numeric("select 1e0, 0e5"), "SELECT POSITION('1'), POSITION('0')");
        assert_eq!(numeric("select 1.50e1, 1e-3, 1.5, 1e40"), "SELECT 1.50e1, 1e-3, 1.5, 1e40");
    }

    #[test]
    fn what_is_read_from_the_tree_stays() {
        for sql in [
            "SELECT a FROM t GROUP BY 1 ORDER BY 1 LIMIT 5 OFFSET 2",
            "SELECT sum(a) OVER (ORDER BY b ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM t",
            "SELECT g FROM generate_series(1, 5) AS g",
            "SELECT a[1], a[1:2] FROM t WHERE (a, b) = (1, 2)",
        ] {
            assert_eq!(narrowed(sql), sql);
        }
    }

    #[test]
    fn a_phrase_is_a_constant_again() {
        let text = |text: &str| Planned::Literal(ScalarValue::Utf8(Some(text.into())), None);
        assert_eq!(literal(&[text("-7"), text(MARK)]), Some(Planned::Literal(ScalarValue::Int32(Some(-7)), None)));
        let numeric = Planned::Literal(ScalarValue::Decimal128(Some(-10_000_000_000), 11, 0), None);
        assert_eq!(literal(&[text("-10000000000"), text(NUMERIC_MARK)]), Some(numeric));
        assert_eq!(literal(&[text("b"), text("abc")]), None);
    }
}
