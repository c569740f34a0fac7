//! Inlined rows: a small batch as bytes that ride inside a commit instead of a file.
//!
//! The form is one Arrow IPC record batch message without its schema, preceded by the ids of its columns, so that a batch stays
//! readable when the table's columns change.

use crate::error::Result;
use crate::schema::ColumnSpec;
use arrow::array::RecordBatch;

/// Encodes a batch whose columns are `columns`, in that order.
pub fn encode(_columns: &[ColumnSpec], _batch: &RecordBatch) -> Result<Vec<u8>> {
    todo!()
}

/// Decodes [`encode`]'s bytes into the columns asked for now: columns that it lacks are filled with their missing value.
pub fn decode(_bytes: &[u8], _columns: &[ColumnSpec]) -> Result<RecordBatch> {
    todo!()
}
