//! Batches -> DataRow frames, columns bound once per batch.

use super::message::{CHUNK_BYTES, format_of};
use crate::error::{Result, SqlError, SqlState};
use crate::types::output::{BoundColumn, ColumnEncoder, OutputStyle, write_prefixed};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::{BufMut, BytesMut};

/// Writes the rows of one result.
pub(super) struct RowEncoder {
    columns: Vec<ColumnEncoder>,
}

/// A batch of which some rows are written.
pub(super) struct BoundBatch {
    columns: Vec<BoundColumn>,
    rows: usize,
    next: usize,
}

impl RowEncoder {
    pub(super) fn new(schema: &Schema, formats: &[i16], style: &OutputStyle) -> Self {
        let encoder = |(index, field)| ColumnEncoder::of_field(field, format_of(formats, index) == 1, style);
        Self { columns: schema.fields().iter().map(AsRef::as_ref).enumerate().map(encoder).collect() }
    }
    pub(super) fn bind(&self, batch: &RecordBatch) -> Result<BoundBatch> {
        if batch.num_columns() != self.columns.len() {
            return Err(SqlError::internal("a batch has other columns than its result"));
        }
        let columns = self.columns.iter().zip(batch.columns()).map(|(encoder, column)| encoder.bind(column)).collect::<Result<_>>()?;
        Ok(BoundBatch { columns, rows: batch.num_rows(), next: 0 })
    }
}

impl BoundBatch {
    pub(super) fn is_done(&self) -> bool {
        self.next == self.rows
    }
    /// Appends rows until there are `rows_max`, or a chunk is full; answers how many.
    pub(super) fn fill(&mut self, rows_max: u64, out: &mut BytesMut) -> Result<u64> {
        let mut written = 0;
        while self.next < self.rows && written < rows_max && out.len() < CHUNK_BYTES {
            self.row(self.next, out)?;
            self.next += 1;
            written += 1;
        }
        Ok(written)
    }
    fn row(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let start = out.len();
        out.put_slice(&[b'D', 0, 0, 0, 0]);
        out.put_u16(self.columns.len() as u16);
        for column in &self.columns {
            if column.is_null(row) {
                out.put_i32(-1);
            } else {
                write_prefixed(column, row, out)?;
            }
        }
        let length = i32::try_from(out.len() - start - 1)
            .map_err(|_| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a row is larger than 2 GiB"))?;
        out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        Ok(())
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
        let mut bound = RowEncoder::new(&batch.schema(), &[1, 0], &OutputStyle::default()).bind(&batch).unwrap();
        let mut out = BytesMut::new();
        assert_eq!((bound.fill(2, &mut out).unwrap(), bound.is_done()), (2, false));
        assert_eq!(&out[..], b"D\0\0\0\x13\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x01aD\0\0\0\x0f\0\x02\xff\xff\xff\xff\0\0\0\x01b");
        assert_eq!((bound.fill(9, &mut out).unwrap(), bound.is_done()), (1, true));
    }

    #[test]
    fn a_chunk_is_bounded() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000); 1000]));
        let batch = RecordBatch::try_from_iter([("t", texts)]).unwrap();
        let mut bound = RowEncoder::new(&batch.schema(), &[], &OutputStyle::default()).bind(&batch).unwrap();
        let mut out = BytesMut::new();
        bound.fill(u64::MAX, &mut out).unwrap();
        assert!(out.len() < CHUNK_BYTES + 2_000 && !bound.is_done());
    }
}
