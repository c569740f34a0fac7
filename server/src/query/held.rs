//! Rows that a part of a statement has left for the rest of it to read: those that a subquery has locked, and those that a change in WITH returned.
//!
//! They stand in the catalog [`HELD_CATALOG`] under their numbers, for as long as the statement runs.

use super::QueryContext;
use crate::error::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, TableFactor};
use std::sync::Arc;

/// The catalog of such rows.
pub const HELD_CATALOG: &str = "__held";

/// Rows that are held.
#[derive(Clone, Debug)]
pub struct HeldRows {
    /// The rows.
    pub table: Arc<MemTable>,
    /// What they take.
    pub memory: Arc<MemoryReservation>,
}

impl HeldRows {
    /// Rows, with the memory that is reserved for them. Their columns may share names.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>, memory: MemoryReservation) -> Result<Self> {
        let schema = super::naming::told_apart(&schema);
        let named = |batch: RecordBatch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec());
        let batches = batches.into_iter().map(named).collect::<std::result::Result<_, _>>()?;
        Ok(Self { table: Arc::new(MemTable::try_new(schema, vec![batches])?), memory: Arc::new(memory) })
    }
}

/// The relation as which a statement reads the rows of a number.
pub fn relation(number: usize) -> TableFactor {
    let parts = [HELD_CATALOG, "rows", &number.to_string()].map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', part)));
    super::relation(ObjectName(parts.into()), None)
}

impl QueryContext {
    /// Holds rows; they have the next number.
    pub fn hold(&mut self, rows: HeldRows) {
        self.held = self.held.iter().cloned().chain([rows]).collect();
    }
}
