//! Rows as text, for the details of errors: `(1, null)`, `(id)=(1)`.

use super::Target;
use crate::types::output::{ColumnEncoder, OutputStyle};
use arrow::array::{ArrayRef, RecordBatch};
use bytes::BytesMut;

/// PostgreSQL shows so many bytes of a value at most.
const VALUE_BYTES_MAX: usize = 64;

/// `Failing row contains (1, null).`
pub fn failing_row(target: &Target, batch: &RecordBatch, row: usize) -> String {
    let columns: Vec<usize> = (0..batch.num_columns()).collect();
    format!("Failing row contains ({}).", values(target, batch.columns(), &columns, row).join(", "))
}

/// `(a, b)=(1, x)`. `arrays` are the values of `columns`, in that order.
pub fn key(target: &Target, arrays: &[ArrayRef], columns: &[usize], row: usize) -> String {
    let names: Vec<_> = columns.iter().map(|column| target.definition.columns[*column].name.as_str()).collect();
    format!("({})=({})", names.join(", "), values(target, arrays, columns, row).join(", "))
}

fn values(target: &Target, arrays: &[ArrayRef], columns: &[usize], row: usize) -> Vec<String> {
    arrays.iter().zip(columns).map(|(array, column)| value(target, array, *column, row)).collect()
}

fn value(target: &Target, array: &ArrayRef, column: usize, row: usize) -> String {
    if array.is_null(row) {
        return "null".into();
    }
    let encoder = ColumnEncoder::new(&target.definition.columns[column].sql_type, false, &OutputStyle::default());
    let mut text = BytesMut::new();
    if encoder.write(array, row, &mut text).is_err() {
        return "?".into();
    }
    cut(&String::from_utf8_lossy(&text))
}

fn cut(text: &str) -> String {
    if text.len() <= VALUE_BYTES_MAX {
        return text.to_string();
    }
    format!("{}...", &text[..text.floor_char_boundary(VALUE_BYTES_MAX)])
}
