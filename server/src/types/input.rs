//! Text and binary forms -> Arrow arrays, as PostgreSQL's input functions read them.

use super::SqlType;
use crate::error::Result;
use arrow::array::ArrayRef;
use datafusion::common::ScalarValue;

/// Builds one column from values in text or binary form.
pub struct ColumnBuilder {}

impl ColumnBuilder {
    /// A builder for values of a type. `rows` is the expected number.
    pub fn new(_sql_type: &SqlType, _rows: usize) -> Self {
        todo!()
    }
    /// Appends NULL.
    pub fn append_null(&mut self) {
        todo!()
    }
    /// Appends a value given as text (22P02, 22003, 22007, 22008, 22001 with PostgreSQL's messages).
    pub fn append_text(&mut self, _text: &str) -> Result<()> {
        todo!()
    }
    /// Appends a value given in PostgreSQL's binary form (22P03).
    pub fn append_binary(&mut self, _bytes: &[u8]) -> Result<()> {
        todo!()
    }
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        todo!()
    }
    /// Finishes the column, and starts afresh.
    pub fn finish(&mut self) -> ArrayRef {
        todo!()
    }
}

/// One value from text.
pub fn scalar_from_text(_sql_type: &SqlType, _text: &str) -> Result<ScalarValue> {
    todo!()
}

/// One value from PostgreSQL's binary form.
pub fn scalar_from_binary(_sql_type: &SqlType, _bytes: &[u8]) -> Result<ScalarValue> {
    todo!()
}

/// Makes a column fit its declared type where the Arrow form does not say it all, as an assignment cast does: varchar(n) and char(n) lengths
/// (22001), uuid and json texts (22P02, and their normal forms). The array has the type's Arrow form already.
pub fn coerce_assignment(_sql_type: &SqlType, _values: ArrayRef) -> Result<ArrayRef> {
    todo!()
}
