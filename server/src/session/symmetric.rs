//! `x BETWEEN SYMMETRIC a AND b`, which the SQL parser does not know: a sign that no operator has stands in the tokens where the word stood, and
//! the bounds that it stands before are taken in either order.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// What stands for the word.
pub(super) const SIGN: &str = "!!";

/// Gives the marked conditions their meaning.
pub(super) fn conditions<T: VisitMut>(tree: &mut T) {
    let _: ControlFlow<()> = tree.visit(&mut Symmetric);
}

struct Symmetric;

impl VisitorMut for Symmetric {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Between { expr: value, negated, low, high } = expr
            && take_sign(low)
        {
            let between = |low: &Expr, high: &Expr| Expr::Between {
                expr: value.clone(),
                negated: *negated,
                low: Box::new(low.clone()),
                high: Box::new(high.clone()),
            };
            let op = if *negated { BinaryOperator::And } else { BinaryOperator::Or };
            let either = Expr::BinaryOp { left: Box::new(between(low, high)), op, right: Box::new(between(high, low)) };
            *expr = Expr::Nested(Box::new(either));
        }
        ControlFlow::Continue(())
    }
}

/// Takes the sign from before the leftmost operand.
fn take_sign(expr: &mut Expr) -> bool {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::PGPrefixFactorial, expr: inner } => {
            let inner = std::mem::replace(inner.as_mut(), Expr::value(Value::Null));
            *expr = inner;
            true
        }
        Expr::BinaryOp { left: leftmost, .. } | Expr::Cast { expr: leftmost, .. } | Expr::AtTimeZone { timestamp: leftmost, .. } => {
            take_sign(leftmost)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::parse::parse;

    #[test]
    fn bounds_in_either_order() {
        let table = [
            ("select x between symmetric a + 1 and b", "SELECT (x BETWEEN a + 1 AND b OR x BETWEEN b AND a + 1)"),
            ("select x not between symmetric a and b", "SELECT (x NOT BETWEEN a AND b AND x NOT BETWEEN b AND a)"),
            ("select x between asymmetric a and b", "SELECT x BETWEEN a AND b"),
            ("select \"symmetric\" between a and b", "SELECT \"symmetric\" BETWEEN a AND b"),
        ];
        for (sql, expected) in table {
            assert_eq!(parse(sql).unwrap()[0].ast.to_string(), expected);
        }
    }
}
