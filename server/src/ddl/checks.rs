//! What must hold of rows and expressions for a change of the catalog: asked with queries, on what the transaction sees.

use super::decision::{Check, KeyText};
use crate::catalog::names::{literal, quote, quote_qualified};
use crate::catalog::{ColumnDefinition, columns};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::row_text::value;
use crate::query::QueryContext;
use crate::session::parse::{parse_expression, parse_query};
use crate::types::SqlType;
use crate::types::convert::rounded_to;
use crate::types::forms::ValueForms;
use crate::types::output::ColumnEncoder;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use bytes::BytesMut;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;

/// Fails if it does not hold.
pub async fn run(context: &QueryContext, check: &Check) -> Result<()> {
    match check {
        Check::NoRows { table, column } => {
            let sql = format!("SELECT 1 FROM {} LIMIT 1", quoted(table));
            refuse_row(context, &sql, || contains_nulls(column, &table.1)).await
        }
        Check::NoNulls { table, column } => {
            let sql = format!("SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1", quoted(table), quote(column));
            refuse_row(context, &sql, || contains_nulls(column, &table.1)).await
        }
        Check::UniqueKeys { table, constraint, key } => unique_keys(context, table, constraint, key).await,
        Check::Condition { table, constraint, expression } => condition(context, table, constraint.as_deref(), expression).await,
        Check::Default { column, sql_type, expression } => default(context, column, sql_type, expression),
        Check::Generated { table, column } => super::generated::check(context, table, column),
        Check::ForeignKey { table, constraint } => {
            crate::foreign_keys::whole::check(&context.engine, &context.view, table, constraint).await
        }
    }
}

/// The value of a default, as the text that rows present take for it; `None` is NULL.
pub fn default_value(context: &QueryContext, column: &ColumnDefinition) -> Result<Option<String>> {
    let Some(default) = &column.default else { return Ok(None) };
    let value = context.constant(&parse_expression(default)?, &column.sql_type)?;
    if value.is_null() {
        return Ok(None);
    }
    let mut values = value.to_array_of_size(1)?;
    if let Some(digits) = column.digits {
        values = rounded_to(&values, digits)?;
    }
    let mut text = BytesMut::new();
    ColumnEncoder::new(&column.sql_type, false, &ValueForms::default()).write(&values, 0, &mut text)?;
    String::from_utf8(text.to_vec()).map(Some).map_err(|_| SqlError::internal("a default's text is not UTF-8"))
}

/// Whether a table has rows.
pub async fn has_rows(context: &QueryContext, table: &(String, String)) -> Result<bool> {
    Ok(first_row(context, &format!("SELECT 1 FROM {} LIMIT 1", quoted(table))).await?.is_some())
}

fn quoted((schema, name): &(String, String)) -> String {
    quote_qualified(schema, name)
}

fn contains_nulls(column: &str, table: &str) -> SqlError {
    SqlError::new(SqlState::NOT_NULL_VIOLATION, format!("column \"{column}\" of relation \"{table}\" contains null values"))
}

async fn first_row(context: &QueryContext, sql: &str) -> Result<Option<RecordBatch>> {
    let query = ast::Statement::Query(Box::new(parse_query(sql)?));
    let mut batches = context.run(context.plan(&query).await?).await?;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 {
            return Ok(Some(batch.slice(0, 1)));
        }
    }
    Ok(None)
}

async fn refuse_row(context: &QueryContext, sql: &str, error: impl FnOnce() -> SqlError) -> Result<()> {
    if first_row(context, sql).await?.is_some() { Err(error()) } else { Ok(()) }
}

async fn unique_keys(context: &QueryContext, table: &(String, String), constraint: &str, key: &KeyText) -> Result<()> {
    let Some(row) = first_row(context, &duplicates(table, key)).await? else { return Ok(()) };
    let error = SqlError::new(SqlState::UNIQUE_VIOLATION, format!("could not create unique index \"{constraint}\""));
    let error = error.of_table(&table.0, &table.1).of_constraint(constraint);
    let shown: Vec<&str> = key.parts.iter().map(|(_, shown)| shown.as_str()).collect();
    Err(error.with_detail(format!("Key ({})=({}) is duplicated.", shown.join(", "), row_text(&row))))
}

/// A query for a key that several rows have. An expression is computed of those rows only that have a key.
fn duplicates(table: &(String, String), key: &KeyText) -> String {
    let names: Vec<String> = (0..key.parts.len()).map(|at| format!("k{at}")).collect();
    let values: Vec<String> = key.parts.iter().zip(&names).map(|((sql, _), name)| format!("{sql} AS {name}")).collect();
    let picked = key.condition.as_ref().map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    let present: Vec<String> = names.iter().filter(|_| !key.nulls_equal).map(|name| format!("{name} IS NOT NULL")).collect();
    let present = if present.is_empty() { String::new() } else { format!(" WHERE {}", present.join(" AND ")) };
    let (list, values) = (names.join(", "), values.join(", "));
    format!(
        "SELECT {list} FROM (SELECT {values} FROM {}{picked}) AS keys{present} GROUP BY {list} HAVING count(*) > 1 LIMIT 1",
        quoted(table)
    )
}

fn row_text(row: &RecordBatch) -> String {
    let schema = row.schema();
    let mut values = Vec::new();
    for (field, array) in schema.fields().iter().zip(row.columns()) {
        values.push(value(&SqlType::of_field(field), array, 0));
    }
    values.join(", ")
}

async fn condition(context: &QueryContext, table: &(String, String), constraint: Option<&str>, expression: &str) -> Result<()> {
    let definition = context.view.catalog.get(&table.0, &table.1).ok_or_else(|| SqlError::internal("a table vanished"))?;
    let schema = columns::arrow_schema(definition.table()?);
    let planned = context.plan_expression(&parse_expression(expression)?, Some((&table.1, schema.clone())), None)?;
    match planned.data_type(&schema)? {
        DataType::Boolean | DataType::Null => {}
        other => {
            let found = SqlType::of_field(&arrow::datatypes::Field::new("c", other, true)).name();
            let message = format!("argument of CHECK must be type boolean, not type {found}");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
    }
    let Some(constraint) = constraint else { return Ok(()) };
    let sql = format!("SELECT 1 FROM {} WHERE NOT ({expression}) LIMIT 1", quoted(table));
    let violated = || {
        let message = format!("check constraint \"{constraint}\" of relation \"{}\" is violated by some row", table.1);
        SqlError::new(SqlState::CHECK_VIOLATION, message).of_table(&table.0, &table.1).of_constraint(constraint)
    };
    refuse_row(context, &sql, violated).await
}

fn default(context: &QueryContext, column: &str, sql_type: &SqlType, expression: &str) -> Result<()> {
    let parsed = parse_expression(expression)?;
    if super::expressions::is_volatile(&parsed) {
        return context.plan_expression(&parsed, None, Some(sql_type)).map(drop);
    }
    context.constant(&parsed, sql_type).map(drop).map_err(|error| match error.state {
        SqlState::DATATYPE_MISMATCH => {
            let message = format!("column {} is of type {} but default expression is of another type", literal(column), sql_type.name());
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).with_detail(error.message.into_owned())
        }
        _ => error,
    })
}
