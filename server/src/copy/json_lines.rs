//! JSON objects, one after the other, usually one per line <-> columns. A member goes into the column of its name, whatever its place.
//!
//! A value is read by the input function of the column's type: what a number, a boolean or a string says is text to it. JSON arrays become
//! arrays; columns of json and jsonb take any value as it stands.

use super::{ROW_BYTES_MAX, shown};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::input::{ColumnBuilder, utf8};
use crate::types::json_path::{as_text, check, elements, kind, members, quoted};
use crate::types::output::ColumnEncoder;
use arrow::array::{ArrayRef, RecordBatch};
use bytes::{BufMut, BytesMut};

/// Columns -> objects. NULL is written, so that each object has all members.
pub struct JsonEncoder {
    columns: Vec<(String, ColumnEncoder)>,
}

impl JsonEncoder {
    /// An encoder of rows with these columns; dates and intervals are in ISO form whatever the session shows.
    pub fn new(columns: Vec<(String, SqlType)>, forms: &ValueForms) -> Self {
        let forms = ValueForms::in_zone(&forms.time_zone);
        let encoder = |(name, sql_type): (String, SqlType)| (quoted(&name), ColumnEncoder::new(&sql_type, false, &forms));
        Self { columns: columns.into_iter().map(encoder).collect() }
    }
    /// Appends a batch's rows.
    pub fn append(&self, batch: &RecordBatch, out: &mut BytesMut) -> Result<()> {
        let bound = self.columns.iter().zip(batch.columns()).map(|((_, encoder), values)| encoder.bind(values));
        let bound = bound.collect::<Result<Vec<_>>>()?;
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, ((name, encoder), values)) in self.columns.iter().zip(&bound).enumerate() {
                line.push(if index == 0 { '{' } else { ',' });
                line.push_str(name);
                line.push(':');
                values.write_json(encoder.sql_type(), row, &mut line)?;
            }
            line.push_str(if self.columns.is_empty() { "{}\n" } else { "}\n" });
            out.put_slice(line.as_bytes());
        }
        Ok(())
    }
}

/// Finds the ends of objects in bytes that come in pieces.
#[derive(Default)]
struct ObjectEnds {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl ObjectEnds {
    /// Where the object that `bytes` goes on with ends, if it does.
    fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// What the members of objects go into.
struct Column {
    name: String,
    sql_type: SqlType,
    builder: ColumnBuilder,
    /// Rows whose object lacks the member.
    missing: Vec<usize>,
}

/// Values of some rows, and of which rows there was none.
pub struct Decoded {
    /// NULL where there was none.
    pub values: ArrayRef,
    /// Rows without the member.
    pub missing: Vec<usize>,
}

/// Objects -> columns. Bounded: a caller takes batches as they fill.
pub struct JsonDecoder {
    relation: String,
    columns: Vec<Column>,
    /// Members that the table has, but that are not asked for.
    ignored: Vec<String>,
    pending: Vec<u8>,
    ends: ObjectEnds,
    line: u64,
    rows: usize,
}

impl JsonDecoder {
    /// A decoder of these columns; `ignored` are the table's other columns.
    pub fn new(relation: &str, columns: Vec<(String, SqlType)>, ignored: Vec<String>, forms: &ValueForms) -> Self {
        let column = |(name, sql_type): (String, SqlType)| {
            let builder = ColumnBuilder::new(&sql_type, 0).with_forms(forms);
            Column { name, sql_type, builder, missing: Vec::new() }
        };
        let columns = columns.into_iter().map(column).collect();
        Self { relation: relation.into(), columns, ignored, pending: Vec::new(), ends: ObjectEnds::default(), line: 1, rows: 0 }
    }
    /// Takes bytes that need not be aligned to objects.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while let Some(end) = self.ends.next_end(rest) {
            let (object, behind) = rest.split_at(end);
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(object);
            self.take_object(&pending)?;
            pending.clear();
            self.pending = pending;
            rest = behind;
        }
        self.pending.extend_from_slice(rest);
        match self.pending.len() > ROW_BYTES_MAX {
            true => Err(self.at_line(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("an object of JSON data is longer than {ROW_BYTES_MAX} bytes"),
            ))),
            false => Ok(()),
        }
    }
    /// No more bytes.
    pub fn finish(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        match pending.trim_ascii().is_empty() {
            true => Ok(()),
            false => Err(self.no_object(&pending)),
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
    /// Takes the rows decoded up to now, column by column.
    pub fn take(&mut self) -> Vec<Decoded> {
        self.rows = 0;
        let take = |column: &mut Column| Decoded { values: column.builder.finish(), missing: std::mem::take(&mut column.missing) };
        self.columns.iter_mut().map(take).collect()
    }

    fn take_object(&mut self, bytes: &[u8]) -> Result<()> {
        let blank = bytes.len() - bytes.trim_ascii_start().len();
        self.line += newlines(&bytes[..blank]);
        let text = utf8(&bytes[blank..]).map_err(|error| self.at_line(error))?;
        check(text).map_err(|error| self.at_line(error))?;
        let Some(members) = members(text) else { return Err(self.no_object(&bytes[blank..])) };
        let mut found = vec![None; self.columns.len()];
        for (key, value) in members {
            match self.columns.iter().position(|column| column.name == key) {
                Some(index) => found[index] = Some(value),
                None if self.ignored.contains(&key) => {}
                None => {
                    let message = format!("column \"{key}\" of relation \"{}\" does not exist", self.relation);
                    return Err(self.at_line(SqlError::new(SqlState::UNDEFINED_COLUMN, message)));
                }
            }
        }
        for (index, value) in found.into_iter().enumerate() {
            self.append(index, value)?;
        }
        self.rows += 1;
        self.line += newlines(text.as_bytes());
        Ok(())
    }
    fn append(&mut self, index: usize, value: Option<&str>) -> Result<()> {
        let column = &mut self.columns[index];
        let Some(value) = value else {
            column.missing.push(self.rows);
            column.builder.append_null();
            return Ok(());
        };
        match input_text(&column.sql_type, value) {
            None => column.builder.append_null(),
            Some(text) => {
                if let Err(error) = column.builder.append_text(&text) {
                    let (relation, line, name) = (&self.relation, self.line, &column.name);
                    let place = format!("COPY {relation}, line {line}, column {name}: \"{}\"", shown(text.as_bytes()));
                    return Err(error.with_context(place));
                }
            }
        }
        Ok(())
    }
    fn no_object(&self, bytes: &[u8]) -> SqlError {
        let error = SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "JSON data must be objects, one after the other");
        error.with_context(format!("COPY {}, line {}: \"{}\"", self.relation, self.line, shown(bytes.trim_ascii())))
    }
    fn at_line(&self, error: SqlError) -> SqlError {
        error.with_context(format!("COPY {}, line {}", self.relation, self.line))
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// What a type's input function is given for a JSON value; `None` for NULL.
fn input_text(sql_type: &SqlType, value: &str) -> Option<String> {
    match (sql_type, kind(value)) {
        (_, "null") => None,
        (SqlType::Json | SqlType::Jsonb, _) => Some(value.to_string()),
        (SqlType::Array(element), "array") => Some(array_text(element, value)),
        _ => as_text(value),
    }
}

/// A JSON array as the text of an array.
fn array_text(element: &SqlType, value: &str) -> String {
    let item = |item: &str| match (kind(item), input_text(element, item)) {
        (_, None) => "NULL".to_string(),
        ("array", Some(_)) if !matches!(element, SqlType::Json | SqlType::Jsonb) => array_text(element, item),
        (_, Some(text)) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    let items: Vec<String> = elements(value).unwrap_or_default().into_iter().map(item).collect();
    format!("{{{}}}", items.join(","))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int32Type, Schema};
    use std::sync::Arc;

    fn decoder() -> JsonDecoder {
        let columns = vec![("n".to_string(), SqlType::Int4), ("s".to_string(), SqlType::Text)];
        JsonDecoder::new("t", columns, vec!["other".into()], &ValueForms::default())
    }

    #[test]
    fn members_go_by_name_however_the_bytes_are_cut() {
        let data = b"{\"s\":\"a}\\\"\",\"n\":1}\n{\"n\":null}\n\n{\"other\":[1],\"s\":7.50,\n\"n\":2}";
        for size in 1..data.len() {
            let mut decoder = decoder();
            data.chunks(size).for_each(|piece| decoder.push(piece).unwrap());
            decoder.finish().unwrap();
            assert_eq!(decoder.rows(), 3);
            let [numbers, texts] = &decoder.take()[..] else { panic!() };
            let numbers = numbers.values.as_primitive::<Int32Type>();
            assert_eq!((numbers.value(0), numbers.is_null(1), numbers.value(2)), (1, true, 2));
            assert_eq!(texts.values.as_string_view().iter().collect::<Vec<_>>(), [Some("a}\""), None, Some("7.50")]);
            assert_eq!(texts.missing, [1]);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_line() {
        for (data, state, context) in [
            ("{\"n\":1}\n{\"n\":\"x\"}", "22P02", "COPY t, line 2, column n: \"x\""),
            ("{\"n\":1}\n{\"z\":1}", "42703", "COPY t, line 2"),
            ("{\"n\":1", "22P04", "COPY t, line 1: \"{\"n\":1\""),
            ("7", "22P04", "COPY t, line 1: \"7\""),
            ("[{\"n\":1}]", "22P04", "COPY t, line 1: \"[{\"n\":1}]\""),
            ("{\"n\" 1}", "22P02", "JSON data, line 1: {\"n\" 1...\nCOPY t, line 1"),
            ("x{\"n\":1}", "22P02", "JSON data, line 1: x...\nCOPY t, line 1"),
        ] {
            let mut decoder = decoder();
            let error = decoder.push(data.as_bytes()).and_then(|()| decoder.finish()).unwrap_err();
            assert_eq!((error.state.0, error.context.as_deref()), (state, Some(context)), "{data}");
        }
    }

    #[test]
    fn values_come_back_as_they_were() {
        let cases = [
            (SqlType::Bytea, "\\x00ff", "\"\\\\x00ff\""),
            (SqlType::Float8, "NaN", "\"NaN\""),
            (SqlType::Float8, "1.5", "1.5"),
            (SqlType::Interval, "1 mon -2 days", "\"1 mon -2 days\""),
            (SqlType::Jsonb, "\"a\"", "\"a\""),
            (SqlType::Json, "{\"a\":\n1}", "{\"a\": 1}"),
            (SqlType::Array(Box::new(SqlType::Text)), "{\"a \\\"b\\\\\",NULL,\"NULL\",\"\"}", "[\"a \\\"b\\\\\",null,\"NULL\",\"\"]"),
            (SqlType::Array(Box::new(SqlType::Int4)), "{1,NULL}", "[1,null]"),
            (SqlType::Timestamptz, "2024-01-01 00:00:00+00", "\"2024-01-01 00:00:00+00\""),
        ];
        for (sql_type, text, json) in cases {
            let columns = vec![("c".to_string(), sql_type.clone())];
            let mut builder = ColumnBuilder::new(&sql_type, 0);
            builder.append_text(text).unwrap();
            let values = builder.finish();
            let field = arrow::datatypes::Field::new("c", values.data_type().clone(), true);
            let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![values.clone()]).unwrap();
            let mut out = BytesMut::new();
            JsonEncoder::new(columns.clone(), &ValueForms::default()).append(&batch, &mut out).unwrap();
            assert_eq!(std::str::from_utf8(&out).unwrap(), format!("{{\"c\":{json}}}\n"));
            let mut decoder = JsonDecoder::new("t", columns, Vec::new(), &ValueForms::default());
            decoder.push(&out).unwrap();
            let back = decoder.take().remove(0).values;
            match sql_type {
                SqlType::Json => assert_eq!(back.as_string_view().value(0), "{\"a\": 1}"),
                _ => assert_eq!(&back, &values, "{text}"),
            }
        }
    }
}
