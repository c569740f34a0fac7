//! Long chains of AND and OR as balanced trees: `a OR b OR c OR d` is `(a OR b) OR (c OR d)`.
//!
//! The parser makes a tree as deep as the chain is long, and everything after it recurses over the tree. Both operators are associative.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::Word;
use std::ops::ControlFlow;

/// Shorter chains stay as they are.
const CHAIN_MIN: usize = 16;

/// Whether a word is an operator whose chains are balanced.
pub fn joins(word: &Word) -> bool {
    word.quote_style.is_none() && ["AND", "OR"].iter().any(|operator| word.value.eq_ignore_ascii_case(operator))
}

/// Balances all chains within a statement, query or expression.
pub fn conditions<T: VisitMut>(tree: &mut T) {
    let _: ControlFlow<()> = tree.visit(&mut Balance);
}

struct Balance;

impl VisitorMut for Balance {
    type Break = ();
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } = expr {
            let op = op.clone();
            if length(expr, &op) >= CHAIN_MIN {
                let mut operands = taken(std::mem::replace(expr, Expr::value(Value::Null)), &op);
                *expr = tree(&mut operands, &op);
            }
        }
        ControlFlow::Continue(())
    }
}

fn length(expr: &Expr, operator: &BinaryOperator) -> usize {
    let mut length = 0;
    let mut rest = expr;
    while let Expr::BinaryOp { left, op, .. } = rest
        && op == operator
    {
        (length, rest) = (length + 1, left);
    }
    length
}

/// The operands of a chain, in their order.
fn taken(expr: Expr, operator: &BinaryOperator) -> Vec<Expr> {
    let mut operands = Vec::new();
    let mut rest = expr;
    loop {
        match rest {
            Expr::BinaryOp { left, op, right } if op == *operator => {
                operands.push(*right);
                rest = *left;
            }
            first => {
                operands.push(first);
                break;
            }
        }
    }
    operands.reverse();
    operands
}

fn tree(operands: &mut Vec<Expr>, operator: &BinaryOperator) -> Expr {
    if operands.len() <= 1 {
        return operands.pop().unwrap_or_else(|| Expr::value(Value::Null));
    }
    let mut right = operands.split_off(operands.len() / 2);
    let (left, right) = (tree(operands, operator), tree(&mut right, operator));
    Expr::BinaryOp { left: Box::new(left), op: operator.clone(), right: Box::new(right) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::parse::parse_expression;
    use datafusion::sql::sqlparser::ast::Expr;

    fn depth(expr: &Expr) -> usize {
        match expr {
            Expr::BinaryOp { left, right, .. } => 1 + depth(left).max(depth(right)),
            _ => 0,
        }
    }

    #[test]
    fn long_chains_are_shallow_and_read_the_same() {
        let sql = (0..5000).map(|i| format!("a = {i}")).collect::<Vec<_>>().join(" OR ");
        let parsed = parse_expression(&sql).unwrap();
        assert!(depth(&parsed) < 20);
        assert_eq!(parsed.to_string(), sql);
    }

    #[test]
    fn mixed_operators_keep_their_meaning() {
        let sql = (0..40).map(|i| format!("a = {i} AND b")).collect::<Vec<_>>().join(" OR ");
        assert_eq!(parse_expression(&sql).unwrap().to_string(), sql);
        assert_eq!(depth(&parse_expression("a or b or c").unwrap()), 2, "short chains stay");
    }
}
