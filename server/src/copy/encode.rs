//! Columns -> COPY data.

use super::binary::SIGNATURE;
use crate::error::Result;
use crate::session::{CopyFormat, CopyHeader, CopyKind};
use crate::types::SqlType;
use crate::types::output::{BoundColumn, ColumnEncoder, OutputStyle, write_prefixed};
use arrow::array::RecordBatch;
use bytes::{BufMut, BytesMut};

/// Batches -> bytes.
pub struct CopyEncoder {
    format: CopyFormat,
    names: Vec<String>,
    encoders: Vec<ColumnEncoder>,
    force_quote: Vec<bool>,
    /// Bytes that must be escaped or make a value quoted.
    special: [bool; 256],
}

impl CopyEncoder {
    /// An encoder of rows with these columns.
    pub fn new(format: &CopyFormat, columns: Vec<(String, SqlType)>, style: &OutputStyle) -> Self {
        let binary = format.kind == CopyKind::Binary;
        let encoders = columns.iter().map(|(_, sql_type)| ColumnEncoder::new(sql_type, binary, style)).collect();
        let force_quote = (0..columns.len()).map(|index| format.force_quote.contains(&index)).collect();
        let names = columns.into_iter().map(|(name, _)| name).collect();
        Self { special: special_bytes(format), format: format.clone(), names, encoders, force_quote }
    }
    /// What comes before the first row (header line, binary signature).
    pub fn start(&self, out: &mut BytesMut) {
        if self.format.kind == CopyKind::Binary {
            out.put_slice(SIGNATURE);
            out.put_i64(0);
        } else if self.format.header != CopyHeader::Off {
            for (index, name) in self.names.iter().enumerate() {
                self.delimit(index, out);
                let start = out.len();
                out.put_slice(name.as_bytes());
                self.finish_value(start, false, out);
            }
            out.put_u8(b'\n');
        }
    }
    /// Appends rows.
    pub fn rows(&self, batch: &RecordBatch, out: &mut BytesMut) -> Result<()> {
        self.rows_between(&self.bind(batch)?, 0..batch.num_rows(), out)
    }
    /// Prepares a batch, of which [`CopyEncoder::rows_between`] then writes rows piece by piece.
    pub fn bind(&self, batch: &RecordBatch) -> Result<Vec<BoundColumn>> {
        self.encoders.iter().zip(batch.columns()).map(|(encoder, column)| encoder.bind(column)).collect()
    }
    /// Appends some rows of a batch.
    pub fn rows_between(&self, columns: &[BoundColumn], rows: std::ops::Range<usize>, out: &mut BytesMut) -> Result<()> {
        for row in rows {
            match self.format.kind {
                CopyKind::Binary => tuple(columns, row, out)?,
                _ => self.line(columns, row, out)?,
            }
        }
        Ok(())
    }
    /// What comes after the last row (binary trailer).
    pub fn end(&self, out: &mut BytesMut) {
        if self.format.kind == CopyKind::Binary {
            out.put_i16(-1);
        }
    }
    fn delimit(&self, index: usize, out: &mut BytesMut) {
        if index > 0 {
            out.put_u8(self.format.delimiter);
        }
    }
    fn line(&self, columns: &[BoundColumn], row: usize, out: &mut BytesMut) -> Result<()> {
        for (index, column) in columns.iter().enumerate() {
            self.delimit(index, out);
            if column.is_null(row) {
                out.put_slice(self.format.null.as_bytes());
                continue;
            }
            let start = out.len();
            column.write(row, out)?;
            self.finish_value(start, self.force_quote[index], out);
        }
        out.put_u8(b'\n');
        Ok(())
    }
    /// Escapes or quotes the value that was written from `start` on, where it must be: most need nothing.
    fn finish_value(&self, start: usize, force_quote: bool, out: &mut BytesMut) {
        let value = &out[start..];
        let special = value.iter().any(|byte| self.special[usize::from(*byte)]);
        let csv = self.format.kind == CopyKind::Csv;
        let looks_else = csv && (value == self.format.null.as_bytes() || (self.encoders.len() == 1 && value == b"\\."));
        if !(special || force_quote || looks_else) {
            return;
        }
        let value = out.split_off(start);
        if csv { self.quote(&value, out) } else { self.escape(&value, out) }
    }
    fn quote(&self, value: &[u8], out: &mut BytesMut) {
        out.put_u8(self.format.quote);
        for byte in value {
            if *byte == self.format.quote || *byte == self.format.escape {
                out.put_u8(self.format.escape);
            }
            out.put_u8(*byte);
        }
        out.put_u8(self.format.quote);
    }
    fn escape(&self, value: &[u8], out: &mut BytesMut) {
        for byte in value {
            let letter = match byte {
                8 => b'b',
                9 => b't',
                10 => b'n',
                11 => b'v',
                12 => b'f',
                13 => b'r',
                byte => *byte,
            };
            if self.special[usize::from(*byte)] {
                out.put_u8(b'\\');
            }
            out.put_u8(letter);
        }
    }
}

fn special_bytes(format: &CopyFormat) -> [bool; 256] {
    let mut special = [false; 256];
    let bytes: &[u8] = match format.kind {
        CopyKind::Text => &[b'\\', 8, 9, 10, 11, 12, 13, format.delimiter],
        CopyKind::Csv => &[format.delimiter, format.quote, b'\n', b'\r'],
        CopyKind::Binary => &[],
    };
    bytes.iter().for_each(|byte| special[usize::from(*byte)] = true);
    special
}

fn tuple(columns: &[BoundColumn], row: usize, out: &mut BytesMut) -> Result<()> {
    out.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
    for column in columns {
        if column.is_null(row) {
            out.put_i32(-1);
        } else {
            write_prefixed(column, row, out)?;
        }
    }
    Ok(())
}
