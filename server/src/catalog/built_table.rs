//! The frame in which all built-in tables are made: a line that names the columns with their types, and rows of cells.

use super::pg_catalog::shapes::Shape;
use super::system_columns::{self, BuiltIn};
use crate::error::{Result, SqlError};
use crate::types::SqlType;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array};
use arrow::datatypes::{DataType, Schema};
use chrono::{DateTime, Utc};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// One value of a built-in table.
#[derive(Clone, Debug)]
pub enum Cell {
    /// NULL
    Null,
    /// Text of any kind.
    Text(String),
    /// A number, whole or not, of the column's width.
    Number(i64),
    /// A truth value.
    Boolean(bool),
    /// A point in time.
    Time(DateTime<Utc>),
    /// An array.
    List(Vec<Cell>),
}

impl Cell {
    /// NULL, unless it is shown.
    pub fn filter(self, shown: bool) -> Self {
        if shown { self } else { Self::Null }
    }
}

/// A row.
pub type Row = Vec<Cell>;

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}
impl From<&String> for Cell {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}
impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}
impl From<DateTime<Utc>> for Cell {
    fn from(value: DateTime<Utc>) -> Self {
        Self::Time(value)
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
impl<T: Into<Cell>> From<Vec<T>> for Cell {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}
macro_rules! number_cells {
    ($($number:ty),*) => { $(impl From<$number> for Cell {
        fn from(value: $number) -> Self {
            Self::Number(i64::from(value))
        }
    })* };
}
number_cells!(i16, i32, i64, u8, u16, u32);
impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

/// A row of cells, each of what it is made of.
#[macro_export]
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::catalog::built_table::Cell::from($value)),*] };
}

/// A table. `columns` reads `name type, name type, ...`.
pub fn table(columns: &str, rows: Vec<Row>) -> Result<Arc<dyn TableProvider>> {
    let columns = columns.split(',').map(column).collect::<Result<Vec<_>>>()?;
    let schema = Arc::new(Schema::new(columns.iter().map(|(name, sql_type)| sql_type.field(name, true)).collect::<Vec<_>>()));
    if rows.iter().any(|row| row.len() != columns.len()) {
        return Err(SqlError::internal("a built-in table has a row of another length than its columns"));
    }
    let count = rows.len();
    let mut cells = rows.into_iter().map(Vec::into_iter).collect::<Vec<_>>();
    let mut arrays = Vec::with_capacity(columns.len());
    for (_, sql_type) in &columns {
        arrays.push(array(sql_type, cells.iter_mut().map(|row| row.next().unwrap_or(Cell::Null)))?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// A built-in relation: rows that are always the same, and rows that were made now. `columns` says what each cell of those is; they are brought
/// into the relation's own order, and what they lack is NULL. `shown`: what its system columns hold, where they are shown.
pub fn shaped(
    shape: &Shape,
    always: Option<RecordBatch>,
    columns: &str,
    rows: Vec<Row>,
    shown: Option<BuiltIn>,
) -> Result<Arc<dyn TableProvider>> {
    let mut batches: Vec<RecordBatch> = always.into_iter().collect();
    if !rows.is_empty() || batches.is_empty() {
        batches.push(batch(shape, columns, rows)?);
    }
    if let Some(shown) = shown {
        batches = system_columns::of_batches(shown, &batches)?;
    }
    Ok(Arc::new(MemTable::try_new(batches[0].schema(), vec![batches])?))
}

/// See [`shaped`].
pub fn batch(shape: &Shape, columns: &str, rows: Vec<Row>) -> Result<RecordBatch> {
    let given: Vec<&str> = columns.split(',').filter_map(|column| column.trim().split(' ').next()).collect();
    if let Some(row) = rows.iter().find(|row| row.len() != given.len()) {
        return Err(SqlError::internal(format!("a row of {} has {} cells instead of {}", shape.name, row.len(), given.len())));
    }
    let fields: Vec<_> = shape.columns.iter().map(|(name, sql_type)| sql_type.field(name, true)).collect();
    let mut arrays = Vec::with_capacity(fields.len());
    for (name, sql_type) in &shape.columns {
        let place = given.iter().position(|known| known == name);
        let cells = rows.iter().map(|row| place.and_then(|at| row.get(at)).cloned().unwrap_or(Cell::Null));
        arrays.push(array(sql_type, cells)?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

fn column(text: &str) -> Result<(&str, SqlType)> {
    let (name, sql_type) = text.trim().split_once(' ').ok_or_else(|| SqlError::internal(format!("a column without a type: {text}")))?;
    Ok((name, SqlType::parse_any(sql_type)?))
}

fn array(sql_type: &SqlType, cells: impl Iterator<Item = Cell>) -> Result<ArrayRef> {
    let values = cells.map(|cell| scalar(cell, &sql_type.arrow())).collect::<Result<Vec<_>>>()?;
    match values.is_empty() {
        true => Ok(new_empty_array(&sql_type.arrow())),
        false => Ok(ScalarValue::iter_to_array(values)?),
    }
}

fn scalar(cell: Cell, target: &DataType) -> Result<ScalarValue> {
    let value = match (cell, target) {
        (Cell::Null, _) => return Ok(ScalarValue::try_from(target)?),
        (Cell::Text(text), _) => ScalarValue::Utf8View(Some(text)),
        (Cell::Number(number), _) => ScalarValue::Int64(Some(number)),
        (Cell::Boolean(value), _) => ScalarValue::Boolean(Some(value)),
        (Cell::Time(time), _) => ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), Some("UTC".into())),
        (Cell::List(cells), DataType::List(element)) => {
            let values = cells.into_iter().map(|cell| scalar(cell, element.data_type())).collect::<Result<Vec<_>>>()?;
            return Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, element.data_type())));
        }
        (Cell::List(_), _) => return Err(SqlError::internal("a list in a column of single values")),
    };
    Ok(value.cast_to(target)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cells_become_columns_of_the_declared_types() {
        let made = table(
            "a oid, b name, c text[], d real, e boolean",
            vec![row![7u32, "n", vec!["x"], 2, true], row![1u32, "m", Cell::Null, 0, false]],
        );
        let schema = made.unwrap().schema();
        let types: Vec<_> = schema.fields().iter().map(|field| SqlType::of_field(field).name()).collect();
        assert_eq!(types, ["oid", "name", "text[]", "real", "boolean"]);
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        assert!(table("a oid, b name", vec![row![1u32]]).is_err());
        assert!(table("a oid, b name", vec![]).is_ok());
    }
}
