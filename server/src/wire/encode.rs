//! Batches -> DataRow frames, columns bound once per batch, and written by blocks of rows.

use super::message::{CHUNK_BYTES, format_of};
use crate::error::{Result, SqlError};
use crate::types::forms::ValueForms;
use crate::types::output::{BoundColumn, ColumnEncoder, TupleBlock};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::BytesMut;

/// Rows that are measured, then written, together: few enough that they stay in the processor's cache.
const BLOCK_ROWS_MAX: usize = 256;
/// What a row is taken to need before any is measured: the first block is short.
const ROW_BYTES_GUESS: usize = 4 << 10;

/// Writes the rows of one result.
pub(super) struct RowEncoder {
    columns: Vec<ColumnEncoder>,
}

/// A batch of which some rows are written.
pub(super) struct BoundBatch {
    columns: Vec<BoundColumn>,
    block: TupleBlock,
    rows: usize,
    next: usize,
    /// Bytes that a row of the last block took.
    row_bytes: usize,
}

impl RowEncoder {
    pub(super) fn new(schema: &Schema, formats: &[i16], style: &ValueForms) -> Self {
        let encoder = |(index, field)| ColumnEncoder::of_field(field, format_of(formats, index) == 1, style);
        Self { columns: schema.fields().iter().map(AsRef::as_ref).enumerate().map(encoder).collect() }
    }
    pub(super) fn bind(&self, batch: &RecordBatch) -> Result<BoundBatch> {
        if batch.num_columns() != self.columns.len() {
            return Err(SqlError::internal("a batch has other columns than its result"));
        }
        let columns = self.columns.iter().zip(batch.columns()).map(|(encoder, column)| encoder.bind(column)).collect::<Result<_>>()?;
        Ok(BoundBatch { columns, block: TupleBlock::new(b'D'), rows: batch.num_rows(), next: 0, row_bytes: ROW_BYTES_GUESS })
    }
}

impl BoundBatch {
    pub(super) fn is_done(&self) -> bool {
        self.next == self.rows
    }
    /// Leaves out up to some rows; answers how many.
    pub(super) fn skip(&mut self, rows_max: u64) -> u64 {
        let skipped = rows_max.min((self.rows - self.next) as u64);
        self.next += skipped as usize;
        skipped
    }
    /// Appends rows until there are `rows_max`, or a chunk is full; answers how many.
    pub(super) fn fill(&mut self, rows_max: u64, out: &mut BytesMut) -> Result<u64> {
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let mut written = 0;
        while self.next < self.rows && written < rows_max && out.len() < CHUNK_BYTES {
            let fitting = (CHUNK_BYTES - out.len()) / self.row_bytes + 1;
            let count = fitting.min(BLOCK_ROWS_MAX).min(self.rows - self.next).min(rows_max - written);
            let before = out.len();
            self.block.append(&self.columns, self.next..self.next + count, out)?;
            self.row_bytes = ((out.len() - before) / count).max(1);
            self.next += count;
            written += count;
        }
        Ok(written as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn rows_come_in_pieces() {
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let mut bound = RowEncoder::new(&batch.schema(), &[1, 0], &ValueForms::default()).bind(&batch).unwrap();
        let mut out = BytesMut::new();
        assert_eq!((bound.fill(2, &mut out).unwrap(), bound.is_done()), (2, false));
        assert_eq!(&out[..], b"D\0\0\0\x13\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x01aD\0\0\0\x0f\0\x02\xff\xff\xff\xff\0\0\0\x01b");
        assert_eq!((bound.fill(9, &mut out).unwrap(), bound.is_done()), (1, true));
    }

    #[test]
    fn a_chunk_is_bounded() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000); 1000]));
        let batch = RecordBatch::try_from_iter([("t", texts)]).unwrap();
        let mut bound = RowEncoder::new(&batch.schema(), &[], &ValueForms::default()).bind(&batch).unwrap();
        let mut out = BytesMut::new();
        bound.fill(u64::MAX, &mut out).unwrap();
        assert!(out.len() < CHUNK_BYTES + 2_000 && !bound.is_done());
    }
}
