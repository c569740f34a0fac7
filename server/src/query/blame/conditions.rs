//! Which condition of a statement is not boolean: planning says what type it found, and not always of what.

use super::{Names, literal_type, types_of};
use crate::error::{SqlError, SqlState};
use crate::query::Scope;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Select, Spanned, UnaryOperator};

/// What must be boolean: the clause as errors call it, and the select of this number in which it stands.
pub(super) struct Condition {
    clause: &'static str,
    expr: Expr,
    select: Option<usize>,
}

impl Condition {
    /// The conditions that an expression is made of.
    pub(super) fn within(expr: &Expr, select: Option<usize>) -> Vec<Self> {
        let condition = |clause, expr: &Expr| Self { clause, expr: expr.clone(), select };
        match expr {
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => vec![condition("NOT", expr)],
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => vec![condition("AND", left), condition("AND", right)],
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => vec![condition("OR", left), condition("OR", right)],
            Expr::Case { operand: None, conditions, .. } => conditions.iter().map(|when| condition("CASE/WHEN", &when.condition)).collect(),
            _ => Vec::new(),
        }
    }

    /// Those of a select's own clauses.
    pub(super) fn of(select: &Select, number: usize) -> Vec<Self> {
        let clauses = [("WHERE", &select.selection), ("HAVING", &select.having)];
        let given = clauses.into_iter().filter_map(|(clause, expr)| Some((clause, expr.as_ref()?)));
        given.map(|(clause, expr)| Self { clause, expr: expr.clone(), select: Some(number) }).collect()
    }
}

/// `argument of WHERE must be type boolean, not type integer`, of the condition that is meant. What is inside comes first: it is checked first.
pub(super) async fn refine(scope: &Scope, names: &Names, error: SqlError) -> SqlError {
    if error.state != SqlState::DATATYPE_MISMATCH || !error.message.contains(" must be type boolean, not type ") {
        return error;
    }
    for condition in names.conditions.iter().rev() {
        let from = condition.select.and_then(|index| names.selects.get(index)).map_or(&[][..], |select| select.from.as_slice());
        let found = match literal_type(&condition.expr) {
            Some("unknown") => continue,
            Some(known) => Some(known.to_string()),
            None => types_of(scope, from, std::slice::from_ref(&condition.expr)).await.ok().and_then(|mut types| types.pop()),
        };
        if let Some(found) = found.filter(|found| found != "boolean") {
            return SqlError::not_boolean(condition.clause, &found).at(condition.expr.span());
        }
    }
    error
}
