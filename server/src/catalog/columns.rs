//! A table's columns as the other layers want them: storage's specifications, and an Arrow schema.

use super::{ColumnDefinition, TableDefinition};
use crate::error::Result;
use crate::types::input::scalar_from_text;
use arrow::array::ArrayRef;
use arrow::datatypes::{Schema, SchemaRef};
use std::sync::Arc;
use storage::ColumnSpec;

/// The columns as storage reads and writes them.
pub fn storage_columns(table: &TableDefinition) -> Result<Vec<ColumnSpec>> {
    table.columns.iter().map(storage_column).collect()
}

/// The columns as a client sees them; each field carries its SQL type.
pub fn arrow_schema(table: &TableDefinition) -> SchemaRef {
    let field = |column: &ColumnDefinition| column.sql_type.field(&column.name, !column.not_null);
    Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()))
}

fn storage_column(column: &ColumnDefinition) -> Result<ColumnSpec> {
    Ok(ColumnSpec {
        id: column.id,
        name: column.name.clone(),
        data_type: column.sql_type.arrow(),
        missing: column.missing.as_deref().map(|text| missing_value(column, text)).transpose()?,
    })
}

fn missing_value(column: &ColumnDefinition, text: &str) -> Result<ArrayRef> {
    Ok(scalar_from_text(&column.sql_type, text)?.to_array_of_size(1)?)
}
