//! What an assignment to `a[1]`, `a[1:2]` or `j['key']` comes to: the column's new value, made of the one that it has.

use super::query::{assigned, is_default};
use crate::catalog::ColumnDefinition;
use crate::error::{Result, SqlError, SqlState};
use crate::functions::{array_assignment, json_assignment};
use crate::query::casts;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{Expr, Subscript, Value};

/// The value of a column of which a part is assigned; `current`: its value before.
pub(super) fn value(column: &ColumnDefinition, current: Expr, subscripts: &[Subscript], given: Expr) -> Result<Expr> {
    if is_default(&given) {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot set an array element to DEFAULT"));
    }
    match &column.sql_type {
        SqlType::Jsonb => json(column, current, subscripts, given),
        SqlType::Array(_) => array(column, current, subscripts, given),
        other => {
            let message = format!("cannot subscript type {} because it does not support subscripting", other.name());
            Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
        }
    }
}

/// What is assigned, and the subscripts, each with its type.
pub(super) fn types(column: &ColumnDefinition, subscripts: &[Subscript], given: Expr) -> Vec<(Expr, SqlType)> {
    let is_json = column.sql_type == SqlType::Jsonb;
    let step = if is_json { SqlType::Text } else { SqlType::Int4 };
    let (mut all, mut sliced) = (Vec::new(), is_json);
    for subscript in subscripts {
        match subscript {
            Subscript::Index { index } => all.push((index.clone(), step.clone())),
            Subscript::Slice { lower_bound, upper_bound, .. } => {
                sliced = true;
                all.extend(lower_bound.iter().chain(upper_bound).map(|bound| (bound.clone(), step.clone())));
            }
        }
    }
    all.push((given, if sliced { column.sql_type.clone() } else { column.sql_type.scalar().clone() }));
    all
}

fn json(column: &ColumnDefinition, current: Expr, subscripts: &[Subscript], given: Expr) -> Result<Expr> {
    let mut args = vec![current, assigned(&given, column)];
    for subscript in subscripts {
        match subscript {
            Subscript::Index { index } => args.push(index.clone()),
            Subscript::Slice { .. } => return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "jsonb subscript does not support slices")),
        }
    }
    Ok(casts::function(json_assignment::NAME, args))
}

fn array(column: &ColumnDefinition, current: Expr, subscripts: &[Subscript], given: Expr) -> Result<Expr> {
    let number = |digits: &str| Expr::value(Value::Number(digits.into(), false));
    if let [Subscript::Slice { lower_bound, upper_bound, stride: None }] = subscripts {
        let from = lower_bound.clone().unwrap_or_else(|| number("1"));
        let to = upper_bound.clone().unwrap_or_else(|| number("2147483647"));
        let given = assigned(&given, column);
        return Ok(casts::function(array_assignment::SLICE, vec![current, given, from, to]));
    }
    let element = ColumnDefinition { sql_type: column.sql_type.scalar().clone(), ..column.clone() };
    let mut args = vec![current, assigned(&given, &element)];
    for subscript in subscripts {
        match subscript {
            Subscript::Index { index } => args.push(index.clone()),
            Subscript::Slice { .. } => return Err(SqlError::unsupported("assigning a slice of an array of several dimensions")),
        }
    }
    Ok(casts::function(array_assignment::ELEMENT, args))
}
