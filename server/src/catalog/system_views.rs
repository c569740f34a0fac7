//! The views of schema `plimsoll`, and the frame in which all built-in tables are made: a list of columns, filled from the view when named.

use super::{Relation, SequenceDefinition};
use crate::error::Result;
use crate::query::Scope;
use crate::query::statistics::live_rows;
use crate::types::SqlType;
use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::Schema;
use datafusion::catalog::{MemTable, TableProvider};
use std::sync::Arc;
use storage::{Unit, UnitSource};

/// Where the views are.
pub const SCHEMA: &str = "plimsoll";

/// The values of one column.
pub enum Column {
    /// `text`
    Text(Vec<Option<String>>),
    /// `bigint`
    Int8(Vec<Option<i64>>),
    /// `integer`
    Int4(Vec<Option<i32>>),
    /// `boolean`
    Boolean(Vec<bool>),
}

impl Column {
    /// Texts.
    pub fn text<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::Text(values.into_iter().map(|value| Some(value.into())).collect())
    }
    /// Numbers.
    pub fn int8(values: impl IntoIterator<Item = u64>) -> Self {
        Self::Int8(values.into_iter().map(|value| i64::try_from(value).ok()).collect())
    }

    fn sql_type(&self) -> SqlType {
        match self {
            Self::Text(_) => SqlType::Text,
            Self::Int8(_) => SqlType::Int8,
            Self::Int4(_) => SqlType::Int4,
            Self::Boolean(_) => SqlType::Boolean,
        }
    }

    fn array(self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(StringViewArray::from(values)),
            Self::Int8(values) => Arc::new(Int64Array::from(values)),
            Self::Int4(values) => Arc::new(Int32Array::from(values)),
            Self::Boolean(values) => Arc::new(BooleanArray::from(values)),
        }
    }
}

/// A table of these columns, all equally long.
pub fn built(columns: Vec<(&str, Column)>) -> Result<Arc<dyn TableProvider>> {
    let fields: Vec<_> = columns.iter().map(|(name, column)| column.sql_type().field(name, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, column)| column.array()).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// A view of the schema, as the statement sees it.
pub fn table(scope: &Scope, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    match name {
        "tables" => tables(scope).map(Some),
        "segments" => segments(scope).map(Some),
        _ => Ok(None),
    }
}

/// Every table with its units.
fn all_units(scope: &Scope) -> Vec<(String, String, Arc<Vec<Unit>>)> {
    let tables = scope.view.catalog.all().filter_map(|found| match found.relation() {
        Relation::Table(table) => Some((found.schema.to_string(), found.name.to_string(), scope.view.units(table.oid))),
        _ => None,
    });
    tables.collect()
}

/// Bytes that a unit takes on disk, or in the log.
pub fn disk_bytes(unit: &Unit) -> u64 {
    match &unit.source {
        UnitSource::Segment(summary) => summary.disk_bytes,
        UnitSource::Inline(bytes) => bytes.len() as u64,
        UnitSource::Batch { batch, .. } => batch.get_array_memory_size() as u64,
    }
}

fn is_segment(unit: &Unit) -> bool {
    matches!(unit.source, UnitSource::Segment(_))
}

/// `plimsoll.tables`
fn tables(scope: &Scope) -> Result<Arc<dyn TableProvider>> {
    let all = all_units(scope);
    let sum = |of: fn(&Unit) -> u64| Column::int8(all.iter().map(|(_, _, units)| units.iter().map(of).sum::<u64>()));
    built(vec![
        ("schema_name", Column::text(all.iter().map(|(schema, ..)| schema))),
        ("table_name", Column::text(all.iter().map(|(_, name, _)| name))),
        ("rows", sum(live_rows)),
        ("segments", sum(|unit| u64::from(is_segment(unit)))),
        ("inline_units", sum(|unit| u64::from(!is_segment(unit)))),
        ("bytes", sum(disk_bytes)),
    ])
}

/// `plimsoll.segments`
fn segments(scope: &Scope) -> Result<Arc<dyn TableProvider>> {
    let all = all_units(scope);
    let units: Vec<_> = all.iter().flat_map(|(schema, name, units)| units.iter().map(move |unit| (schema, name, unit))).collect();
    let granules = |unit: &Unit| match &unit.source {
        UnitSource::Segment(summary) => u64::from(summary.granules),
        _ => 0,
    };
    built(vec![
        ("schema_name", Column::text(units.iter().map(|(schema, ..)| *schema))),
        ("table_name", Column::text(units.iter().map(|(_, name, _)| *name))),
        ("segment_id", Column::text(units.iter().map(|(.., unit)| unit.id.to_string()))),
        ("rows", Column::int8(units.iter().map(|(.., unit)| unit.rows))),
        ("deleted", Column::int8(units.iter().map(|(.., unit)| unit.rows - live_rows(unit)))),
        ("bytes", Column::int8(units.iter().map(|(.., unit)| disk_bytes(unit)))),
        ("granules", Column::int8(units.iter().map(|(.., unit)| granules(unit)))),
        ("inline", Column::Boolean(units.iter().map(|(.., unit)| !is_segment(unit)).collect())),
    ])
}

/// A sequence, read as a table: its columns are those of [`super::lookup::SEQUENCE_COLUMN_NAMES`].
pub fn sequence(scope: &Scope, sequence: &SequenceDefinition) -> Result<Arc<dyn TableProvider>> {
    let position = scope.sequences.position(sequence);
    let [last_value, log_cnt, is_called] = super::lookup::SEQUENCE_COLUMN_NAMES;
    built(vec![
        (last_value, Column::Int8(vec![Some(position.last_value)])),
        (log_cnt, Column::int8([position.leased])),
        (is_called, Column::Boolean(vec![position.is_called])),
    ])
}
