//! Arrow arrays -> PostgreSQL's text and binary forms, column by column.

use super::SqlType;
use crate::error::Result;
use arrow::array::ArrayRef;
use bytes::BytesMut;

/// What the session says about how values are written.
#[derive(Clone, Debug)]
pub struct OutputStyle {
    /// `TimeZone`, for timestamptz.
    pub time_zone: String,
    /// `extra_float_digits`.
    pub extra_float_digits: i32,
}

impl Default for OutputStyle {
    fn default() -> Self {
        Self { time_zone: "UTC".into(), extra_float_digits: 1 }
    }
}

/// Writes values of one column.
pub struct ColumnEncoder {}

impl ColumnEncoder {
    /// An encoder of a type's values; `binary` chooses the form.
    pub fn new(_sql_type: &SqlType, _binary: bool, _style: &OutputStyle) -> Self {
        todo!()
    }
    /// Appends the value at `row` (which is not NULL), without any length prefix.
    pub fn write(&self, _values: &ArrayRef, _row: usize, _out: &mut BytesMut) -> Result<()> {
        todo!()
    }
}
