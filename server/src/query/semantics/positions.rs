//! Constants in ORDER BY, GROUP BY, LIMIT and OFFSET.

use super::FunctionKinds;
use super::placement::item_expr;
use super::relations::folded;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, Spanned, UnaryOperator, Value,
};

pub(super) fn query(query: &Query, _: &FunctionKinds) -> Result<()> {
    if let SetExpr::Select(select) = query.body.as_ref()
        && let GroupByExpr::Expressions(keys, _) = &select.group_by
    {
        keys.iter().try_for_each(|key| constant(key, "GROUP BY"))?;
    }
    if let Some(order_by) = &query.order_by
        && let OrderByKind::Expressions(keys) = &order_by.kind
    {
        keys.iter().try_for_each(|key| constant(&key.expr, "ORDER BY"))?;
        set_operation(&query.body, keys)?;
    }
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => {
            limit.as_ref().map_or(Ok(()), |limit| bound(limit, "LIMIT", SqlState::INVALID_LIMIT))?;
            offset.as_ref().map_or(Ok(()), |offset| bound(&offset.value, "OFFSET", SqlState::INVALID_OFFSET))
        }
        _ => Ok(()),
    }
}

/// A key that is a constant must be the position of a column.
fn constant(key: &Expr, clause: &str) -> Result<()> {
    let at = |error: SqlError| Err(error.at(key.span()));
    match key {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => {
                at(SqlError::new(SqlState::SYNTAX_ERROR, format!("non-integer constant in {clause}")))
            }
            Value::Number(digits, _) if digits.bytes().any(|digit| !digit.is_ascii_digit()) => {
                at(SqlError::new(SqlState::SYNTAX_ERROR, format!("non-integer constant in {clause}")))
            }
            _ => Ok(()),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match number(expr) {
            Some(digits) => {
                at(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, format!("{clause} position -{digits} is not in select list")))
            }
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}

/// The rows of a set operation are ordered by its own columns only.
fn set_operation(body: &SetExpr, keys: &[OrderByExpr]) -> Result<()> {
    let SetExpr::SetOperation { .. } = body else { return Ok(()) };
    for key in keys {
        match &key.expr {
            Expr::Value(_) => {}
            Expr::Identifier(name) => {
                if output_names(body).is_some_and(|names| !names.contains(&folded(name))) {
                    let message = format!("column \"{}\" does not exist", folded(name));
                    return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(name.span));
                }
            }
            other => {
                let error = SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                    .with_detail("Only result column names can be used, not expressions or functions.")
                    .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.");
                return Err(error.at(other.span()));
            }
        }
    }
    Ok(())
}

/// The names of a set operation's columns, where the text alone tells them.
fn output_names(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::SetOperation { left, .. } => output_names(left),
        SetExpr::Query(query) => output_names(&query.body),
        SetExpr::Select(select) => select.projection.iter().map(output_name).collect(),
        _ => None,
    }
}

fn output_name(item: &SelectItem) -> Option<String> {
    if let SelectItem::ExprWithAlias { alias, .. } = item {
        return Some(folded(alias));
    }
    match item_expr(item)? {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    }
}

fn bound(expr: &Expr, clause: &str, negative: SqlState) -> Result<()> {
    let error = match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if number(expr).is_some_and(|digits| digits.bytes().any(|d| d != b'0')) => {
            return Err(SqlError::new(negative, format!("{clause} must not be negative")));
        }
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) if text.trim().parse::<i64>().is_err() => {
                let message = format!("invalid input syntax for type bigint: \"{text}\"");
                SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
            }
            Value::Boolean(_) => {
                SqlError::new(SqlState::DATATYPE_MISMATCH, format!("argument of {clause} must be type bigint, not type boolean"))
            }
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    Err(error.at(expr.span()))
}
