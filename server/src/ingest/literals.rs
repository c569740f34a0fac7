//! The short way of `INSERT ... VALUES` whose values are literals or parameters: no plan is made, the literals are read by the types' input
//! functions. Whatever is not plain takes the long way, which gives the same result or the same error.

use super::Target;
use super::assignment::assign;
use crate::catalog::ColumnDefinition;
use crate::error::Result;
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::input::ColumnBuilder;
use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value};

/// One value, as far as the short way goes.
enum Literal<'a> {
    Null,
    Text(&'a str),
    NegativeText(&'a str),
    Parameter(&'a ScalarValue),
}

/// The columns at `positions` of the target, from rows of expressions; `None` if the long way must be taken.
pub fn columns(
    target: &Target,
    positions: &[usize],
    rows: &[&[Expr]],
    parameters: &[ScalarValue],
    forms: &ValueForms,
) -> Result<Option<Vec<ArrayRef>>> {
    let mut columns = Vec::with_capacity(positions.len());
    for (index, position) in positions.iter().enumerate() {
        let definition = &target.definition.columns[*position];
        let literals = rows.iter().map(|row| literal(&row[index], &definition.sql_type, parameters));
        let Some(literals) = literals.collect::<Option<Vec<_>>>() else { return Ok(None) };
        match column(definition, &literals, forms)? {
            Some(column) => columns.push(column),
            None => return Ok(None),
        }
    }
    Ok(Some(columns))
}

fn literal<'a>(expression: &'a Expr, sql_type: &SqlType, parameters: &'a [ScalarValue]) -> Option<Literal<'a>> {
    match expression {
        Expr::Value(value) => plain(&value.value, sql_type, parameters),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match plain_number(expr, sql_type)? {
            Literal::Text(text) => Some(Literal::NegativeText(text)),
            _ => None,
        },
        _ => None,
    }
}

fn plain<'a>(value: &'a Value, sql_type: &SqlType, parameters: &'a [ScalarValue]) -> Option<Literal<'a>> {
    match value {
        Value::Null => Some(Literal::Null),
        Value::SingleQuotedString(text) => Some(Literal::Text(text)),
        Value::Number(text, false) => number(text, sql_type),
        Value::Boolean(value) if *sql_type == SqlType::Boolean => Some(Literal::Text(if *value { "true" } else { "false" })),
        Value::Placeholder(name) => parameter(name, parameters),
        _ => None,
    }
}

fn plain_number<'a>(expression: &'a Expr, sql_type: &SqlType) -> Option<Literal<'a>> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(text, false) => number(text, sql_type),
            _ => None,
        },
        _ => None,
    }
}

/// A number is read by the column's type where that is what the cast would do: integers by all number types, fractions by inexact ones.
fn number<'a>(text: &'a str, sql_type: &SqlType) -> Option<Literal<'a>> {
    let whole = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match sql_type {
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 if whole && text.len() < 19 => Some(Literal::Text(text)),
        SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_) if plain => Some(Literal::Text(text)),
        _ => None,
    }
}

fn parameter<'a>(name: &str, parameters: &'a [ScalarValue]) -> Option<Literal<'a>> {
    let number: usize = name.strip_prefix('$')?.parse().ok()?;
    let value = parameters.get(number.checked_sub(1)?)?;
    Some(if value.is_null() { Literal::Null } else { Literal::Parameter(value) })
}

fn column(definition: &ColumnDefinition, literals: &[Literal<'_>], forms: &ValueForms) -> Result<Option<ArrayRef>> {
    if literals.iter().any(|literal| matches!(literal, Literal::Parameter(_))) {
        return column_of_parameters(definition, literals, forms);
    }
    let mut builder = ColumnBuilder::new(&definition.sql_type, literals.len()).with_forms(forms);
    for literal in literals {
        let read = match literal {
            Literal::Null | Literal::Parameter(_) => {
                builder.append_null();
                Ok(())
            }
            Literal::Text(text) => builder.append_text(text),
            Literal::NegativeText(text) => builder.append_text(&format!("-{text}")),
        };
        if let Err(error) = read {
            // A number out of range has another message when it is cast than when it is read.
            return if is_number(&definition.sql_type) { Ok(None) } else { Err(error) };
        }
    }
    Ok(Some(builder.finish()))
}

fn is_number(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_))
}

/// Parameters of one type and NULLs, as most clients send them.
fn column_of_parameters(definition: &ColumnDefinition, literals: &[Literal<'_>], forms: &ValueForms) -> Result<Option<ArrayRef>> {
    let first = literals.iter().find_map(|literal| match literal {
        Literal::Parameter(value) => Some(value.data_type()),
        _ => None,
    });
    let Some(data_type) = first else { return Ok(None) };
    let value = |literal: &Literal<'_>| match literal {
        Literal::Null => ScalarValue::try_from(&data_type).ok(),
        Literal::Parameter(value) if value.data_type() == data_type => Some((*value).clone()),
        _ => None,
    };
    let Some(values) = literals.iter().map(value).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let array = ScalarValue::iter_to_array(values)?;
    let source = Field::new("?column?", data_type, true);
    assign(definition, &array, &source, true, forms).map(Some)
}
