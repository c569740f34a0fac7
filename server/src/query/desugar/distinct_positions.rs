//! `SELECT DISTINCT ON (1) a, b`: a number is a place in the select list. The engine would take it for a constant, and keep one row.

use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Distinct, Expr, Select, SelectItem, Statement, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Puts the columns in the place of their numbers; 42P10 where there is none.
pub fn statement(statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut Positions) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Positions;

impl VisitorMut for Positions {
    type Break = SqlError;
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        let Select { distinct: Some(Distinct::On(keys)), projection, .. } = select else { return ControlFlow::Continue(()) };
        for key in keys {
            let Some(position) = number(key) else { continue };
            match item(projection, position) {
                Ok(expr) => *key = expr,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

fn number(key: &Expr) -> Option<usize> {
    match key {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn item(projection: &[SelectItem], position: usize) -> Result<Expr> {
    let before = &projection[..position.min(projection.len())];
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if !before.iter().all(plain) {
        return Err(SqlError::unsupported("a position in DISTINCT ON beside *").with_hint("Name the column."));
    }
    match position.checked_sub(1).and_then(|at| projection.get(at)) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Ok(expr.clone()),
        _ => {
            let message = format!("DISTINCT ON position {position} is not in select list");
            Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message))
        }
    }
}
