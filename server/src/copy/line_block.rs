//! Columns -> lines of text or CSV, a block of rows at a time.
//!
//! Columns whose values cannot need an escape (numbers, dates) are written to their places at once; texts are looked at once, and copied as they
//! are unless something in them must be escaped or quoted; of all others, each value is written aside first.

use crate::error::Result;
use crate::session::{CopyFormat, CopyKind};
use crate::types::output::{BoundColumn, Cells};
use arrow::array::Array;
use bytes::{BufMut, BytesMut};
use std::ops::Range;

/// Kind and length of a CopyData message.
const HEAD_BYTES: usize = 5;
/// What numbers, dates and timestamps consist of.
const NUMBER_BYTES: &[u8] = b"0123456789+-.: BCNaInfity";

/// How values are written in lines.
pub(super) struct LineStyle {
    pub(super) format: CopyFormat,
    columns: usize,
    force_quote: Vec<bool>,
    /// Bytes that must be escaped or make a value quoted; control characters from 8 to 13 apart.
    special: [u8; 4],
    controls: u8,
    /// Whether a number may stand as it is.
    plain_numbers: bool,
}

impl LineStyle {
    pub(super) fn new(format: &CopyFormat, columns: usize) -> Self {
        let csv = format.kind == CopyKind::Csv;
        let special = match csv {
            true => [format.delimiter, format.quote, b'\n', b'\r'],
            false => [format.delimiter, b'\\', b'\\', b'\\'],
        };
        let plain_numbers = !special.iter().any(|byte| NUMBER_BYTES.contains(byte)) && (!csv || format.null.is_empty());
        let force_quote = (0..columns).map(|index| format.force_quote.contains(&index)).collect();
        Self { format: format.clone(), columns, force_quote, special, controls: if csv { 0 } else { 6 }, plain_numbers }
    }
    fn is_special(&self, byte: u8) -> bool {
        let [a, b, c, d] = self.special;
        (byte == a) | (byte == b) | (byte == c) | (byte == d) | (byte.wrapping_sub(8) < self.controls)
    }
    fn any_special(&self, value: &[u8]) -> bool {
        // Without an early end, so that many bytes are compared at a time.
        value.iter().fold(false, |found, byte| found | self.is_special(*byte))
    }
    fn csv(&self) -> bool {
        self.format.kind == CopyKind::Csv
    }
    fn must_change(&self, value: &[u8], force_quote: bool) -> bool {
        let looks_else = || self.csv() && (value == self.format.null.as_bytes() || (self.columns == 1 && value == b"\\."));
        force_quote || self.any_special(value) || looks_else()
    }
    /// Appends a value, escaped or quoted where it must be.
    pub(super) fn put(&self, value: &[u8], force_quote: bool, out: &mut BytesMut) {
        match (self.must_change(value, force_quote), self.csv()) {
            (false, _) => out.put_slice(value),
            (true, true) => self.quote(value, out),
            (true, false) => self.escape(value, out),
        }
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
            if self.is_special(*byte) {
                out.put_u8(b'\\');
            }
            out.put_u8(letter);
        }
    }
}

/// Writes blocks of rows, each row a line in a CopyData message. Reused from block to block.
#[derive(Default)]
pub(super) struct LineBlock {
    columns: Vec<Cells>,
    /// Where the next value of each row goes.
    places: Vec<usize>,
}

impl LineBlock {
    /// Appends some rows of the columns; nothing if it fails.
    pub(super) fn append(&mut self, style: &LineStyle, columns: &[BoundColumn], rows: Range<usize>, out: &mut BytesMut) -> Result<()> {
        self.columns.resize_with(columns.len(), Cells::default);
        for (index, (column, cells)) in columns.iter().zip(&mut self.columns).enumerate() {
            measure(style, column, style.force_quote[index], rows.clone(), cells)?;
        }
        self.heads(style, rows.len(), out);
        for (index, (column, cells)) in columns.iter().zip(&self.columns).enumerate() {
            if index > 0 {
                self.places.iter_mut().for_each(|place| {
                    out[*place] = style.format.delimiter;
                    *place += 1;
                });
            }
            column.place(rows.clone(), cells, &self.places, out);
            pass(&mut self.places, style, cells, out);
        }
        self.places.iter().for_each(|place| out[*place] = b'\n');
        Ok(())
    }
    /// Makes room for the rows, and writes what each message begins with.
    fn heads(&mut self, style: &LineStyle, rows: usize, out: &mut BytesMut) {
        self.places.clear();
        // A delimiter between values, and the newline.
        self.places.resize(rows, HEAD_BYTES + self.columns.len().max(1));
        let null_bytes = style.format.null.len();
        for cells in &self.columns {
            for (length, size) in self.places.iter_mut().zip(cells.sizes()) {
                *length += usize::try_from(*size).unwrap_or(null_bytes);
            }
        }
        let mut start = out.len();
        out.resize(start + self.places.iter().sum::<usize>(), 0);
        for place in &mut self.places {
            let length = *place;
            let [a, b, c, d] = (length as u32 - 1).to_be_bytes();
            out[start..start + HEAD_BYTES].copy_from_slice(&[b'd', a, b, c, d]);
            *place = start + HEAD_BYTES;
            start += length;
        }
    }
}

/// Goes on behind a column's values; NULLs are written on the way.
fn pass(places: &mut [usize], style: &LineStyle, cells: &Cells, out: &mut [u8]) {
    let null = style.format.null.as_bytes();
    for (place, size) in places.iter_mut().zip(cells.sizes()) {
        match usize::try_from(*size) {
            Ok(size) => *place += size,
            Err(_) => {
                out[*place..*place + null.len()].copy_from_slice(null);
                *place += null.len();
            }
        }
    }
}

fn measure(style: &LineStyle, column: &BoundColumn, force_quote: bool, rows: Range<usize>, cells: &mut Cells) -> Result<()> {
    if style.plain_numbers && !force_quote && column.is_number_or_time() {
        return column.measure(rows, cells);
    }
    if let Some(texts) = column.texts() {
        let changes = |row: usize| texts.is_valid(row) && style.must_change(texts.value(row).as_bytes(), force_quote);
        if !rows.clone().any(changes) {
            return column.measure(rows, cells);
        }
    }
    let mut value = BytesMut::new();
    cells.set_aside(rows, |row, out| {
        if column.is_null(row) {
            return Ok(false);
        }
        value.clear();
        column.write(row, &mut value)?;
        style.put(&value, force_quote, out);
        Ok(true)
    })
}
