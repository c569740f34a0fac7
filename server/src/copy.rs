//! COPY data: bytes in text, CSV or binary form <-> columns.

use crate::error::Result;
use crate::session::CopyFormat;
use crate::types::SqlType;
use crate::types::output::OutputStyle;
use arrow::array::{ArrayRef, RecordBatch};
use bytes::BytesMut;

/// Bytes -> columns. Bounded: a caller takes batches as they fill.
pub struct CopyDecoder {}

impl CopyDecoder {
    /// A decoder of rows with these columns (name and type, in the order of the data), for the relation named in errors' context.
    pub fn new(_format: &CopyFormat, _relation: &str, _columns: Vec<(String, SqlType)>) -> Self {
        todo!()
    }
    /// Takes bytes that need not be aligned to rows. Errors carry PostgreSQL's SQLSTATE, and its context line (`COPY t, line 3, column b: "x"`).
    pub fn push(&mut self, _bytes: &[u8]) -> Result<()> {
        todo!()
    }
    /// No more bytes: the last row may lack its newline.
    pub fn finish(&mut self) -> Result<()> {
        todo!()
    }
    /// Rows decoded and not taken.
    pub fn rows(&self) -> usize {
        todo!()
    }
    /// Bytes that the rows not taken hold.
    pub fn bytes(&self) -> usize {
        todo!()
    }
    /// Takes the rows decoded up to now, one array per column, and which of the values are to be the column's default (option DEFAULT).
    pub fn take(&mut self) -> Vec<ArrayRef> {
        todo!()
    }
}

/// Batches -> bytes.
pub struct CopyEncoder {}

impl CopyEncoder {
    /// An encoder of rows with these columns.
    pub fn new(_format: &CopyFormat, _columns: Vec<(String, SqlType)>, _style: &OutputStyle) -> Self {
        todo!()
    }
    /// What comes before the first row (header line, binary signature).
    pub fn start(&self, _out: &mut BytesMut) {
        todo!()
    }
    /// Appends rows.
    pub fn rows(&self, _batch: &RecordBatch, _out: &mut BytesMut) -> Result<()> {
        todo!()
    }
    /// What comes after the last row (binary trailer).
    pub fn end(&self, _out: &mut BytesMut) {
        todo!()
    }
}
