//! Rows as text, for the details of errors: `(1, null)`, `(id)=(1)`.

use super::Target;
use super::target::Told;
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::output::ColumnEncoder;
use arrow::array::{ArrayRef, RecordBatch};
use bytes::BytesMut;

/// PostgreSQL shows so many bytes of a value at most.
const VALUE_BYTES_MAX: usize = 64;

/// `Failing row contains (1, null).`; `Failing row contains (id, x) = (1, null).` of the columns that may be told; `None` if none may.
pub fn failing_row(target: &Target, batch: &RecordBatch, row: usize) -> Option<String> {
    let text = |columns: &[usize]| {
        let arrays: Vec<ArrayRef> = columns.iter().map(|column| ArrayRef::clone(batch.column(*column))).collect();
        values(target, &arrays, columns, row).join(", ")
    };
    match target.told() {
        Told::Everything => Some(format!("Failing row contains ({}).", text(&(0..batch.num_columns()).collect::<Vec<_>>()))),
        Told::Columns { readable, given } => {
            let columns: Vec<usize> = readable.union(given).copied().collect();
            (!columns.is_empty()).then(|| format!("Failing row contains ({}) = ({}).", names(target, &columns), text(&columns)))
        }
    }
}

/// `(a, b)=(1, x)`. `arrays` are the values of `columns`, in that order. `None` if not all may be told.
pub fn key(target: &Target, arrays: &[ArrayRef], columns: &[usize], row: usize) -> Option<String> {
    let shown = tells(target, columns, false);
    shown.then(|| format!("({})=({})", names(target, columns), values(target, arrays, columns, row).join(", ")))
}

/// Whether all of these columns may be told; of expressions over them only to whoever may read the table.
pub fn tells(target: &Target, columns: &[usize], in_expressions: bool) -> bool {
    match target.told() {
        Told::Everything => true,
        Told::Columns { readable, .. } => !in_expressions && columns.iter().all(|column| readable.contains(column)),
    }
}

fn names(target: &Target, columns: &[usize]) -> String {
    let names: Vec<_> = columns.iter().map(|column| target.definition.columns[*column].name.as_str()).collect();
    names.join(", ")
}

fn values(target: &Target, arrays: &[ArrayRef], columns: &[usize], row: usize) -> Vec<String> {
    arrays.iter().zip(columns).map(|(array, column)| value(&target.definition.columns[*column].sql_type, array, row)).collect()
}

/// One value.
pub fn value(sql_type: &SqlType, array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".into();
    }
    let encoder = ColumnEncoder::new(sql_type, false, &ValueForms::default());
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::rights::Rights;
    use crate::catalog::{Catalog, ColumnDefinition, TableDefinition};
    use arrow::array::{Int32Array, StringViewArray};
    use std::sync::Arc;
    use storage::ColumnId;

    fn target() -> Target {
        let column = |id: u32, name: &str, sql_type| ColumnDefinition {
            id: ColumnId(id),
            name: name.into(),
            sql_type,
            not_null: false,
            default: None,
            identity: None,
            missing: None,
            digits: None,
            generated: None,
        };
        let columns = vec![column(1, "id", SqlType::Int4), column(2, "x", SqlType::Text)];
        let table = TableDefinition {
            oid: 17_000,
            columns,
            next_column_id: 3,
            constraints: vec![],
            cluster_by: vec![],
            indexes: vec![],
            on_commit: Default::default(),
        };
        Target::new("public", "t", table)
    }

    fn row(target: &Target) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![2])), Arc::new(StringViewArray::from(vec!["bad"]))];
        RecordBatch::try_new(Arc::clone(&target.arrow), columns).unwrap()
    }

    /// What the error's detail says of the row and of the key (id), to somebody who may read nothing.
    fn told(given: &[usize]) -> (Option<String>, Option<String>) {
        let catalog = Catalog::default();
        let target = target().told_to(&Rights::of(&catalog, "ghost"), given);
        let batch = row(&target);
        (failing_row(&target, &batch, 0), key(&target, batch.columns(), &[0], 0))
    }

    #[test]
    fn whoever_may_read_a_table_is_told_all() {
        let target = target();
        let batch = row(&target);
        assert_eq!(failing_row(&target, &batch, 0).as_deref(), Some("Failing row contains (2, bad)."));
        assert_eq!(key(&target, batch.columns(), &[0, 1], 0).as_deref(), Some("(id, x)=(2, bad)"));
    }

    #[test]
    fn others_are_told_what_they_gave_and_no_keys() {
        assert_eq!(told(&[1]), (Some("Failing row contains (x) = (bad).".into()), None));
        assert_eq!(told(&[1, 0]), (Some("Failing row contains (id, x) = (2, bad).".into()), None));
        assert_eq!(told(&[]), (None, None));
    }
}
