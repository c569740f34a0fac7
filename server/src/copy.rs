//! COPY data: bytes in text, CSV or binary form <-> columns.
//!
//! 1. Bytes arrive in any pieces. [`lines`] finds the ends of rows (a newline that is not escaped or quoted); [`binary`] finds whole tuples.
//! 2. [`fields`] splits a row into values: where nothing is escaped or quoted, they are taken in place.
//! 3. Each value goes into its column's builder; whoever drives the decoder takes the columns when they are large enough.
//!
//! The way back is [`CopyEncoder`]; [`to_file`] writes its data to a file of the server. JSON objects have readers and writers of their own
//! ([`json_lines`]). A row that does not end within [`ROW_BYTES_MAX`] is refused, so that memory stays bounded.

use crate::error::{Result, SqlError, SqlState};
use crate::session::{CopyFormat, CopyHeader, CopyKind};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::input::{ColumnBuilder, utf8};
use arrow::array::ArrayRef;

mod binary;
mod encode;
mod fields;
pub mod json_lines;
mod line_block;
mod lines;
pub mod to_file;

pub use encode::{BoundRows, CopyEncoder};

/// A row may be this long, in bytes.
pub const ROW_BYTES_MAX: usize = 256 << 20;
/// Errors show at most this much of a line or value, in characters.
const SHOWN_CHARACTERS_MAX: usize = 100;

/// Bytes -> columns. Bounded: a caller takes batches as they fill.
pub struct CopyDecoder {
    format: CopyFormat,
    relation: String,
    columns: Vec<Column>,
    /// Bytes of a row that has not ended.
    pending: Vec<u8>,
    lines: lines::LineEnds,
    binary: binary::State,
    line: u64,
    rows: usize,
    ended: bool,
    fields: fields::Fields,
}

struct Column {
    name: String,
    builder: ColumnBuilder,
    force_null: bool,
    force_not_null: bool,
}

impl CopyDecoder {
    /// A decoder of rows with these columns (name and type, in the order of the data), for the relation named in errors' context.
    pub fn new(format: &CopyFormat, relation: &str, columns: Vec<(String, SqlType)>) -> Self {
        let columns = columns.into_iter().enumerate().map(|(index, (name, sql_type))| Column {
            name,
            builder: ColumnBuilder::new(&sql_type, 0),
            force_null: format.force_null.contains(&index),
            force_not_null: format.force_not_null.contains(&index),
        });
        Self {
            format: format.clone(),
            relation: relation.into(),
            columns: columns.collect(),
            pending: Vec::new(),
            lines: lines::LineEnds::new(format),
            binary: binary::State::default(),
            line: 0,
            rows: 0,
            ended: false,
            fields: fields::Fields::default(),
        }
    }
    /// Says how the session reads values.
    pub fn with_forms(mut self, forms: &ValueForms) -> Self {
        self.columns = self.columns.into_iter().map(|column| Column { builder: column.builder.with_forms(forms), ..column }).collect();
        self
    }
    /// Takes bytes that need not be aligned to rows. Errors carry PostgreSQL's SQLSTATE, and its context line (`COPY t, line 3, column b: "x"`).
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.format.default.is_some() {
            return Err(SqlError::unsupported("COPY option DEFAULT"));
        }
        if self.ended {
            return Ok(());
        }
        let rest = self.take_pending(bytes)?;
        // What has been looked at belongs to the row that has not ended.
        if self.pending.is_empty() {
            let used = self.take_rows(rest)?;
            self.pending.extend_from_slice(&rest[used..]);
        }
        match self.pending.len() > ROW_BYTES_MAX {
            true => Err(self.at_line(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a row of COPY data is longer than {ROW_BYTES_MAX} bytes"),
            ))),
            false => Ok(()),
        }
    }
    /// Completes the row that has not ended; answers the bytes behind it.
    fn take_pending<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let mut rest = bytes;
        while !self.pending.is_empty() && !rest.is_empty() {
            // Not more than up to the next newline: what is behind it need not be copied.
            let newline = if self.format.kind == CopyKind::Binary { None } else { memchr::memchr(b'\n', rest) };
            let (more, behind) = rest.split_at(newline.map_or(rest.len(), |at| at + 1));
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(more);
            let used = self.take_rows(&pending)?;
            pending.drain(..used);
            self.pending = pending;
            rest = behind;
        }
        Ok(rest)
    }
    /// No more bytes: the last row may lack its newline.
    pub fn finish(&mut self) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.ended = true;
        match self.format.kind {
            CopyKind::Binary => self.binary.finish(!pending.is_empty()),
            _ if pending.is_empty() => Ok(()),
            CopyKind::Csv if self.lines.in_quotes() => {
                self.line += 1;
                let error = SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field");
                Err(error.with_context(self.line_context(&pending)))
            }
            _ => {
                self.ended = false;
                let result = self.take_line(&pending, None, self.lines.newlines_inside());
                self.ended = true;
                result
            }
        }
    }
    /// Rows decoded and not taken.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Bytes that the rows not taken hold.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(|column| column.builder.bytes()).sum()
    }
    /// Takes the rows decoded up to now, one array per column.
    pub fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        self.columns.iter_mut().map(|column| column.builder.finish()).collect()
    }

    /// Decodes the whole rows at the start of some bytes; answers how many bytes that were.
    fn take_rows(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.format.kind == CopyKind::Binary {
            return self.take_tuples(bytes);
        }
        let mut valid = None;
        let mut start = 0;
        while !self.ended {
            let Some(end) = self.lines.next_end(bytes, start) else { break };
            let newlines = self.lines.newlines_inside();
            let text = valid.get_or_insert_with(|| valid_prefix(bytes)).get(start..end);
            self.take_line(&bytes[start..end], text, newlines)?;
            start = end + 1;
        }
        Ok(if self.ended { bytes.len() } else { start })
    }
    /// Takes a row; `text` is the same, if it is known to be text.
    fn take_line(&mut self, line: &[u8], text: Option<&str>, newlines_inside: u64) -> Result<()> {
        self.line += 1;
        let first = self.line == 1;
        let line = match self.lines.strip_return(line, first) {
            Ok(line) => line,
            Err(error) => return Err(error.with_context(self.line_context(line))),
        };
        let result = self.take_stripped(line, text, first);
        self.line += newlines_inside;
        result
    }
    fn take_stripped(&mut self, line: &[u8], text: Option<&str>, first: bool) -> Result<()> {
        if line == b"\\." {
            self.ended = true;
            return Ok(());
        }
        if first && self.format.header != CopyHeader::Off {
            return if self.format.header == CopyHeader::Match { self.check_header(line) } else { Ok(()) };
        }
        let mut fields = std::mem::take(&mut self.fields);
        let result = fields.split(&self.format, line).map_err(|error| error.with_context(self.line_context(line)));
        let result = result.and_then(|()| self.take_fields(&fields, line, text));
        self.fields = fields;
        result
    }
    fn take_fields(&mut self, fields: &fields::Fields, line: &[u8], text: Option<&str>) -> Result<()> {
        if self.columns.is_empty() && line.is_empty() {
            self.rows += 1;
            return Ok(());
        }
        for index in 0..self.columns.len() {
            let Some(field) = fields.get(index, line) else { return Err(self.missing(index, line)) };
            let (format, column) = (&self.format, &mut self.columns[index]);
            if is_null(format, column, &field) {
                column.builder.append_null();
                continue;
            }
            // What is in place in a text is text.
            let known = text.zip(field.in_place).and_then(|(text, range)| text.get(range));
            let value = known.map_or_else(|| utf8(field.value), Ok);
            if let Err(error) = value.and_then(|value| column.builder.append_text(value)) {
                let value = shown(field.value);
                return Err(error.with_context(self.column_context(index, Some(&value))));
            }
        }
        if fields.len() > self.columns.len() {
            let error = SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "extra data after last expected column");
            return Err(error.with_context(self.line_context(line)));
        }
        self.rows += 1;
        Ok(())
    }
    fn missing(&self, index: usize, line: &[u8]) -> SqlError {
        let message = format!("missing data for column \"{}\"", self.columns[index].name);
        SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message).with_context(self.line_context(line))
    }
    fn check_header(&mut self, line: &[u8]) -> Result<()> {
        let mut fields = fields::Fields::default();
        fields.split(&self.format, line)?;
        if fields.len() != self.columns.len() {
            let message = format!("wrong number of fields in header line: got {}, expected {}", fields.len(), self.columns.len());
            return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message).with_context(self.line_context(line)));
        }
        for (index, column) in self.columns.iter().enumerate() {
            let Some(field) = fields.get(index, line) else { continue };
            if field.value != column.name.as_bytes() {
                let found = shown(field.value);
                let message =
                    format!("column name mismatch in header line field {}: got \"{found}\", expected \"{}\"", index + 1, column.name);
                return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message).with_context(self.line_context(line)));
            }
        }
        Ok(())
    }
    fn take_tuples(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut start = 0;
        loop {
            let step = self.binary.next(&bytes[start..], self.columns.len());
            match step.map_err(|error| self.at_line(error))? {
                binary::Step::More => return Ok(start),
                binary::Step::Header(length) => start += length,
                binary::Step::End => {
                    self.ended = true;
                    return Ok(bytes.len());
                }
                binary::Step::Tuple(length) => {
                    self.line += 1;
                    self.take_tuple(&bytes[start..start + length])?;
                    start += length;
                }
            }
        }
    }
    fn take_tuple(&mut self, tuple: &[u8]) -> Result<()> {
        let mut values = binary::values(tuple);
        for index in 0..self.columns.len() {
            let builder = &mut self.columns[index].builder;
            let result = match values.next().flatten() {
                Some(value) => builder.append_binary(value),
                None => {
                    builder.append_null();
                    Ok(())
                }
            };
            result.map_err(|error| error.with_context(self.column_context(index, None)))?;
        }
        self.rows += 1;
        Ok(())
    }
    fn at_line(&self, error: SqlError) -> SqlError {
        error.with_context(format!("COPY {}, line {}", self.relation, self.line + 1))
    }
    fn line_context(&self, line: &[u8]) -> String {
        format!("COPY {}, line {}: \"{}\"", self.relation, self.line, shown(line))
    }
    fn column_context(&self, index: usize, value: Option<&str>) -> String {
        let place = format!("COPY {}, line {}, column {}", self.relation, self.line, self.columns[index].name);
        value.map_or(place.clone(), |value| format!("{place}: \"{value}\""))
    }
}

/// As much of the bytes as is text: many rows are checked at once.
fn valid_prefix(bytes: &[u8]) -> &str {
    let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    memchr::memchr(0, valid.as_bytes()).map_or(valid, |zero| &valid[..zero])
}

fn is_null(format: &CopyFormat, column: &Column, field: &fields::Field<'_>) -> bool {
    if format.kind == CopyKind::Text {
        return field.raw == format.null.as_bytes();
    }
    if field.quoted {
        return column.force_null && field.value == format.null.as_bytes();
    }
    !column.force_not_null && field.value == format.null.as_bytes()
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_CHARACTERS_MAX * 4)]);
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests;
