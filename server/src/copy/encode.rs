//! Columns -> COPY data, by blocks of rows: see [`super::line_block`] for lines.

use super::binary::SIGNATURE;
use super::line_block::{LineBlock, LineStyle};
use crate::error::Result;
use crate::session::{CopyFormat, CopyHeader, CopyKind};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::output::{BoundColumn, ColumnEncoder, TupleBlock};
use arrow::array::RecordBatch;
use bytes::{BufMut, BytesMut};

/// Rows that are measured, then written, together: few enough that they stay in the processor's cache.
const BLOCK_ROWS_MAX: usize = 256;
/// What a row is taken to need before any is measured: the first block is short.
const ROW_BYTES_GUESS: usize = 4 << 10;

/// Batches -> bytes.
pub struct CopyEncoder {
    names: Vec<String>,
    encoders: Vec<ColumnEncoder>,
    style: LineStyle,
}

/// A batch of which some rows are written.
pub struct BoundRows {
    columns: Vec<BoundColumn>,
    block: Block,
    rows: usize,
    next: usize,
    /// Bytes that a row of the last block took.
    row_bytes: usize,
}

enum Block {
    Lines(LineBlock),
    Tuples(TupleBlock),
}

impl CopyEncoder {
    /// An encoder of rows with these columns.
    pub fn new(format: &CopyFormat, columns: Vec<(String, SqlType)>, style: &ValueForms) -> Self {
        let binary = format.kind == CopyKind::Binary;
        let encoders = columns.iter().map(|(_, sql_type)| ColumnEncoder::new(sql_type, binary, style)).collect();
        let names: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
        Self { style: LineStyle::new(format, names.len()), names, encoders }
    }
    /// What comes before the first row (header line, binary signature).
    pub fn start(&self, out: &mut BytesMut) {
        if self.style.format.kind == CopyKind::Binary {
            out.put_slice(SIGNATURE);
            out.put_i64(0);
        } else if self.style.format.header != CopyHeader::Off {
            for (index, name) in self.names.iter().enumerate() {
                if index > 0 {
                    out.put_u8(self.style.format.delimiter);
                }
                self.style.put(name.as_bytes(), false, out);
            }
            out.put_u8(b'\n');
        }
    }
    /// Prepares a batch, of which [`BoundRows::fill`] then writes rows piece by piece.
    pub fn bind(&self, batch: &RecordBatch) -> Result<BoundRows> {
        let columns = self.encoders.iter().zip(batch.columns()).map(|(encoder, column)| encoder.bind(column)).collect::<Result<_>>()?;
        let block = match self.style.format.kind {
            CopyKind::Binary => Block::Tuples(TupleBlock::new(b'd')),
            _ => Block::Lines(LineBlock::default()),
        };
        Ok(BoundRows { columns, block, rows: batch.num_rows(), next: 0, row_bytes: ROW_BYTES_GUESS })
    }
    /// Appends rows as CopyData messages until `bytes_max` are there, or the batch is at its end; answers whether it is.
    pub fn fill(&self, bound: &mut BoundRows, bytes_max: usize, out: &mut BytesMut) -> Result<bool> {
        while bound.next < bound.rows && out.len() < bytes_max {
            let fitting = (bytes_max - out.len()) / bound.row_bytes + 1;
            let count = fitting.min(BLOCK_ROWS_MAX).min(bound.rows - bound.next);
            let (before, rows) = (out.len(), bound.next..bound.next + count);
            match &mut bound.block {
                Block::Lines(block) => block.append(&self.style, &bound.columns, rows, out)?,
                Block::Tuples(block) => block.append(&bound.columns, rows, out)?,
            }
            bound.row_bytes = ((out.len() - before) / count).max(1);
            bound.next += count;
        }
        Ok(bound.next == bound.rows)
    }
    /// What comes after the last row (binary trailer).
    pub fn end(&self, out: &mut BytesMut) {
        if self.style.format.kind == CopyKind::Binary {
            out.put_i16(-1);
        }
    }
}
