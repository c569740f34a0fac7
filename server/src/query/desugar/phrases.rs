//! Small phrases: FETCH FIRST, LIKE ... ESCAPE, SIMILAR TO, literals, and who binds tighter.

use super::{has_query, operators, ordered_sets, template};
use crate::error::{Result, SqlError, SqlState};
use crate::functions::patterns;
use crate::query::tied_rows;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, ExactNumberInfo, Expr, JoinConstraint, JoinOperator, LimitClause, Offset, Query, Select, UnaryOperator,
    Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// IS [NOT] DISTINCT FROM binds tighter than AND and OR; the parser takes everything to its right.
#[derive(Default)]
pub struct Precedence {
    /// Whether a tree was turned: only then can an operator stand below one that binds tighter.
    turned: bool,
}

impl VisitorMut for Precedence {
    type Break = SqlError;
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match expr {
            Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) if is_logical(right) => {
                self.turned = true;
                turn(expr);
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } if self.turned && is_logical(inner) => turn(expr),
            Expr::BinaryOp { op: BinaryOperator::And, right, .. } if self.turned && is_or(right) => turn(expr),
            Expr::BinaryOp { left, op, .. } if is_arithmetic(op) && is_loose_prefix(left) => loosen(expr),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Divide, Minus, Modulo, Multiply, PGExp, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | Modulo | PGExp)
}

/// Operators before a value that bind looser than arithmetic.
fn is_loose_prefix(expr: &Expr) -> bool {
    use UnaryOperator::{BitwiseNot, PGAbs, PGCubeRoot, PGSquareRoot};
    matches!(expr, Expr::UnaryOp { op: BitwiseNot | PGAbs | PGSquareRoot | PGCubeRoot, .. })
}

/// `~a + b` is `~(a + b)`.
fn loosen(expr: &mut Expr) {
    let Expr::BinaryOp { left, op, right } = std::mem::replace(expr, Expr::value(Value::Null)) else { return };
    *expr = match *left {
        Expr::UnaryOp { op: prefix, expr: operand } => {
            Expr::UnaryOp { op: prefix, expr: Box::new(Expr::Nested(Box::new(Expr::BinaryOp { left: operand, op, right }))) }
        }
        other => Expr::BinaryOp { left: Box::new(other), op, right },
    };
}

fn is_logical(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

fn is_or(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::Or, .. })
}

/// `x OP (a AND b)`, which was written without parentheses, becomes `(x OP a) AND b`.
fn turn(expr: &mut Expr) {
    let place = match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => right,
        Expr::UnaryOp { expr: right, .. } | Expr::BinaryOp { right, .. } => right,
        _ => return,
    };
    let mut operation = std::mem::replace(place.as_mut(), Expr::value(Value::Null));
    // The operand is what stands leftmost beneath the logical operators.
    let mut leaf = &mut operation;
    while is_logical(leaf) {
        let Expr::BinaryOp { left, .. } = leaf else { return };
        leaf = left.as_mut();
    }
    let operand = std::mem::replace(leaf, Expr::value(Value::Null));
    **place = operand;
    *leaf = std::mem::replace(expr, Expr::value(Value::Null));
    *expr = operation;
}

/// The phrases that stand alone.
pub struct Phrases;

impl VisitorMut for Phrases {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        fetch_is_limit(query);
        numbers_of_rows(query);
        if let Err(error) = tied_rows::as_limit(query) {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match expr {
            Expr::Like { escape_char: Some(_), .. } | Expr::ILike { escape_char: Some(_), .. } => escape_with_backslash(expr),
            Expr::SimilarTo { .. } => similar_is_regular(expr),
            Expr::Substring { .. } => part_of_similar(expr),
            Expr::Cast { expr: inner, data_type, .. } if is_float(data_type) => read_digits(inner),
            _ => {}
        }
        if let Err(error) = operators::rewrite(expr).and_then(|()| ordered_sets::rewrite(expr)) {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
fn fetch_is_limit(query: &mut Query) {
    let Some(fetch) = query.fetch.take_if(|fetch| !fetch.with_ties && !fetch.percent) else { return };
    let limit = Some(fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".into(), false))));
    let offset: Option<Offset> = match query.limit_clause.take() {
        Some(LimitClause::LimitOffset { offset, .. }) => offset,
        _ => None,
    };
    query.limit_clause = Some(LimitClause::LimitOffset { limit, offset, limit_by: Vec::new() });
}

/// LIMIT and OFFSET take numbers with a fraction, and texts: `LIMIT 1.5`, `LIMIT '2'`.
fn numbers_of_rows(query: &mut Query) {
    let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause else { return };
    for count in limit.iter_mut().chain(offset.iter_mut().map(|offset| &mut offset.value)) {
        let whole = match &*count {
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => text.trim().parse::<i64>().ok(),
            Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) if digits.contains('.') => {
                digits.parse::<f64>().ok().filter(|number| *number < 1e15).map(|number| number.round() as i64)
            }
            _ => None,
        };
        if let Some(whole) = whole.filter(|whole| *whole >= 0) {
            *count = Expr::value(Value::Number(whole.to_string(), false));
        }
    }
}

/// A pattern's own escape character becomes the backslash.
fn escape_with_backslash(expr: &mut Expr) {
    let (Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. }) = expr else { return };
    if let Some(escape) = escape_char.take() {
        *pattern.as_mut() = template("like_escape(__x, __x_escape)", &[("__x", pattern), ("__x_escape", &Expr::Value(escape))], None);
    }
}

/// `SIMILAR TO` is a match with a regular expression of the whole text.
fn similar_is_regular(expr: &mut Expr) {
    let Expr::SimilarTo { negated, expr: text, pattern, escape_char } = expr else { return };
    let escape = escape_char.clone().unwrap_or_else(|| ValueWithSpan::from(Value::SingleQuotedString("\\".into())));
    let sql =
        if *negated { "(__x !~ similar_to_escape(__x_pattern, __x_escape))" } else { "(__x ~ similar_to_escape(__x_pattern, __x_escape))" };
    *expr = template(sql, &[("__x", text), ("__x_pattern", pattern), ("__x_escape", &Expr::Value(escape))], None);
}

/// `substring(x FROM pattern FOR 'e')`: a text behind FOR is the escape character of a pattern of SIMILAR TO.
fn part_of_similar(expr: &mut Expr) {
    let Expr::Substring { expr: text, substring_from: Some(pattern), substring_for: Some(escape), .. } = expr else { return };
    if matches!(escape.as_ref(), Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_))) {
        let sql = format!("{}(__x, __x_pattern, __x_escape)", patterns::PART_OF_SIMILAR);
        *expr = template(&sql, &[("__x", text), ("__x_pattern", pattern), ("__x_escape", escape)], None);
    }
}

fn is_float(data_type: &DataType) -> bool {
    let plain_float = |precision: &ExactNumberInfo| matches!(precision, ExactNumberInfo::None | ExactNumberInfo::Precision(_));
    match data_type {
        DataType::Float8 | DataType::Float4 | DataType::Real | DataType::DoublePrecision => true,
        DataType::Double(precision) | DataType::Float(precision) => plain_float(precision),
        _ => false,
    }
}

/// A number that is cast to a float is read from its digits: on the way through a decimal it would lose some.
fn read_digits(expr: &mut Expr) {
    let text = match &*expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.clone(),
            _ => return,
        },
        Expr::Nested(inner) => match inner.as_ref() {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
                Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => format!("-{digits}"),
                _ => return,
            },
            _ => return,
        },
        _ => return,
    };
    *expr = Expr::value(Value::SingleQuotedString(text));
}

/// Only CROSS JOIN joins without a condition.
pub fn joins_have_conditions(select: &Select) -> Result<()> {
    use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    let missing = |operator: &JoinOperator| match operator {
        Join(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on) | FullOuter(on) => *on == JoinConstraint::None,
        _ => false,
    };
    match select.from.iter().flat_map(|table| &table.joins).any(|join| missing(&join.join_operator)) {
        true => Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error: JOIN needs ON or USING")),
        false => Ok(()),
    }
}

/// `x <> 0 AND 100 / x > 30`: what stands first guards the division.
///
/// The divisor becomes NULL in rows that the guard excludes, so it does not matter what is evaluated first.
pub fn guard_divisions(select: &mut Select) {
    let Some(selection) = &mut select.selection else { return };
    let mut conjuncts = Vec::new();
    collect_conjuncts(selection, &mut conjuncts);
    let guards: Vec<Expr> = conjuncts.iter().map(|conjunct| (**conjunct).clone()).collect();
    for (position, conjunct) in conjuncts.into_iter().enumerate().skip(1) {
        if !has_query(conjunct) {
            let _: ControlFlow<()> = VisitMut::visit(conjunct, &mut Guard { guards: &guards[..position] });
        }
    }
}

fn collect_conjuncts<'a>(expr: &'a mut Expr, conjuncts: &mut Vec<&'a mut Expr>) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            collect_conjuncts(left, conjuncts);
            collect_conjuncts(right, conjuncts);
        }
        Expr::Nested(inner) => collect_conjuncts(inner, conjuncts),
        other => conjuncts.push(other),
    }
}

struct Guard<'a> {
    guards: &'a [Expr],
}

impl VisitorMut for Guard<'_> {
    type Break = ();
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo, right, .. } = expr {
            let columns = columns(right);
            let about = |guard: &&Expr| !has_query(guard) && !self.columns_apart(&columns, guard);
            for guard in self.guards.iter().filter(about) {
                **right = template("(CASE WHEN __x_guard THEN __x END)", &[("__x_guard", guard), ("__x", right)], None);
            }
        }
        ControlFlow::Continue(())
    }
}

impl Guard<'_> {
    fn columns_apart(&self, divisor: &HashSet<String>, guard: &Expr) -> bool {
        columns(guard).is_disjoint(divisor)
    }
}

/// The columns that an expression names.
fn columns(expr: &Expr) -> HashSet<String> {
    struct Collect(HashSet<String>);
    impl Visitor for Collect {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(name) => drop(self.0.insert(crate::catalog::names::fold(name))),
                Expr::CompoundIdentifier(parts) => self.0.extend(parts.last().map(crate::catalog::names::fold)),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut collect = Collect(HashSet::new());
    let _: ControlFlow<()> = expr.visit(&mut collect);
    collect.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::{parse_expression, parse_query};
    use datafusion::sql::sqlparser::ast::Statement;

    fn plain(sql: &str) -> String {
        let mut expr = parse_expression(sql).unwrap();
        crate::query::desugar::expression(&mut expr).unwrap();
        expr.to_string()
    }

    fn rewritten(sql: &str) -> String {
        let mut statement = Statement::Query(Box::new(parse_query(sql).unwrap()));
        crate::query::desugar::statement(&mut statement).unwrap();
        statement.to_string()
    }

    #[test]
    fn distinct_from_binds_tighter_than_and_and_or() {
        let shown = |sql: &str| {
            format!("{:?}", {
                let mut e = parse_expression(sql).unwrap();
                crate::query::desugar::expression(&mut e).unwrap();
                e
            })
        };
        let same = |left: &str, right: &str| assert_eq!(plain(left), plain(right), "{left}: {}", shown(left));
        same("a is distinct from b and c", "a is distinct from b and c");
        let mut expr = parse_expression("x and a is not distinct from b or c").unwrap();
        crate::query::desugar::expression(&mut expr).unwrap();
        assert!(is_or(&expr), "{expr:?}");
        let mut expr = parse_expression("not a is distinct from b and c").unwrap();
        crate::query::desugar::expression(&mut expr).unwrap();
        assert!(matches!(expr, Expr::BinaryOp { op: BinaryOperator::And, .. }), "{expr:?}");
    }

    #[test]
    fn fetch_says_limit() {
        assert_eq!(rewritten("select i from n offset 4 rows fetch next 2 rows only"), "SELECT i FROM n LIMIT 2 OFFSET 4 ROWS");
    }

    #[test]
    fn floats_are_read_from_their_digits() {
        assert_eq!(plain("1e15::float8"), "'1e15'::FLOAT8");
    }

    #[test]
    fn guards_reach_the_divisor() {
        let guarded = "SELECT 1 FROM t WHERE x <> 0 AND 100 / (CASE WHEN (x <> 0) THEN (x) END) > 30";
        assert_eq!(rewritten("select 1 from t where x <> 0 and 100 / x > 30"), guarded);
        assert_eq!(rewritten("select 1 from t where y <> 0 and 100 / x > 30"), "SELECT 1 FROM t WHERE y <> 0 AND 100 / x > 30");
    }
}
