//! Rows as tuples: a number of fields, then each behind its length. What DataRow is made of, and COPY's binary form.

use super::{BoundColumn, Cells};
use crate::error::{Result, SqlError, SqlState};
use bytes::BytesMut;
use std::ops::Range;

/// Kind, length, and number of fields.
const HEAD_BYTES: usize = 7;

/// Writes blocks of rows, each row a message. Reused from block to block.
pub(crate) struct TupleBlock {
    kind: u8,
    columns: Vec<Cells>,
    /// Where the next field of each row goes.
    places: Vec<usize>,
}

impl TupleBlock {
    /// Rows as messages of this kind.
    pub(crate) fn new(kind: u8) -> Self {
        Self { kind, columns: Vec::new(), places: Vec::new() }
    }
    /// Appends some rows of the columns; nothing if it fails.
    pub(crate) fn append(&mut self, columns: &[BoundColumn], rows: Range<usize>, out: &mut BytesMut) -> Result<()> {
        self.columns.resize_with(columns.len(), Cells::default);
        for (column, cells) in columns.iter().zip(&mut self.columns) {
            column.measure(rows.clone(), cells)?;
        }
        self.heads(rows.len(), out)?;
        for (column, cells) in columns.iter().zip(&self.columns) {
            for (place, size) in self.places.iter_mut().zip(cells.sizes()) {
                out[*place..*place + 4].copy_from_slice(&size.to_be_bytes());
                *place += 4;
            }
            column.place(rows.clone(), cells, &self.places, out);
            for (place, size) in self.places.iter_mut().zip(cells.sizes()) {
                *place += (*size).max(0) as usize;
            }
        }
        Ok(())
    }
    /// Makes room for the rows, and writes what each begins with.
    fn heads(&mut self, rows: usize, out: &mut BytesMut) -> Result<()> {
        self.places.clear();
        self.places.resize(rows, HEAD_BYTES + 4 * self.columns.len());
        for cells in &self.columns {
            for (length, size) in self.places.iter_mut().zip(cells.sizes()) {
                *length += (*size).max(0) as usize;
            }
        }
        if self.places.iter().any(|length| *length > i32::MAX as usize) {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a row is larger than 2 GiB"));
        }
        let mut start = out.len();
        out.resize(start + self.places.iter().sum::<usize>(), 0);
        let fields = (self.columns.len() as u16).to_be_bytes();
        for place in &mut self.places {
            let length = *place;
            let [a, b, c, d] = (length as u32 - 1).to_be_bytes();
            out[start..start + HEAD_BYTES].copy_from_slice(&[self.kind, a, b, c, d, fields[0], fields[1]]);
            *place = start + HEAD_BYTES;
            start += length;
        }
        Ok(())
    }
}
