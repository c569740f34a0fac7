//! What every PostgreSQL has: types, functions, operators, casts, as far as this server has them too.
//!
//! The files in `data/` are the rows of PostgreSQL 15's own catalogs (PostgreSQL License), in COPY's text form, less what uses types that do not
//! exist here. `pg_proc` is further reduced, when it is read, to the functions that the planner knows; see [`super::procedures`].

use super::procedures;
use super::shapes::Shape;
use crate::error::{Result, SqlError};
use crate::query::Scope;
use crate::types::SqlType;
use crate::types::input::ColumnBuilder;
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The rows of a table of which there is a file.
fn file(name: &str) -> Option<&'static str> {
    Some(match name {
        "pg_aggregate" => include_str!("data/pg_aggregate.tsv"),
        "pg_am" => include_str!("data/pg_am.tsv"),
        "pg_amop" => include_str!("data/pg_amop.tsv"),
        "pg_cast" => include_str!("data/pg_cast.tsv"),
        "pg_collation" => include_str!("data/pg_collation.tsv"),
        "pg_description" => include_str!("data/pg_description.tsv"),
        "pg_language" => include_str!("data/pg_language.tsv"),
        "pg_opclass" => include_str!("data/pg_opclass.tsv"),
        "pg_operator" => include_str!("data/pg_operator.tsv"),
        "pg_opfamily" => include_str!("data/pg_opfamily.tsv"),
        "pg_proc" => include_str!("data/pg_proc.tsv"),
        "pg_type" => include_str!("data/pg_type.tsv"),
        _ => return None,
    })
}

/// Word, category code, whether it can be a label without AS, and both in words: what `pg_get_keywords()` lists.
pub const KEYWORDS: &str = include_str!("data/pg_get_keywords.tsv");

static BATCHES: LazyLock<Mutex<HashMap<&'static str, RecordBatch>>> = LazyLock::new(Mutex::default);

/// The built-in rows of a table, read once; `None` if it has none.
pub fn batch(scope: &Scope, shape: &'static Shape) -> Result<Option<RecordBatch>> {
    let Some(text) = file(shape.name).filter(|_| shape.schema == "pg_catalog") else { return Ok(None) };
    if let Some(known) = BATCHES.lock().get(shape.name) {
        return Ok(Some(known.clone()));
    }
    let exists = |line: &&str| match shape.name {
        "pg_proc" => procedures::exists(scope, line),
        _ => true,
    };
    let made = read(&shape.columns, text.lines().filter(exists))?;
    BATCHES.lock().insert(shape.name, made.clone());
    Ok(Some(made))
}

/// Lines of COPY's text form as columns.
pub fn read<'a>(columns: &[(&'static str, SqlType)], lines: impl Iterator<Item = &'a str>) -> Result<RecordBatch> {
    let mut builders: Vec<_> = columns.iter().map(|(_, sql_type)| ColumnBuilder::new(sql_type, 0)).collect();
    for line in lines {
        if line.split('\t').count() != columns.len() {
            return Err(SqlError::internal(format!("a built-in row has another number of columns: {line}")));
        }
        for ((field, builder), (_, sql_type)) in line.split('\t').zip(&mut builders).zip(columns) {
            match unescape(field) {
                None => builder.append_null(),
                Some(text) => builder.append_text(&array_form(sql_type, text))?,
            }
        }
    }
    let fields: Vec<_> = columns.iter().map(|(name, sql_type)| sql_type.field(name, true)).collect();
    let arrays = builders.iter_mut().map(ColumnBuilder::finish).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

/// A field of COPY's text form; `None` for NULL.
pub fn unescape(field: &str) -> Option<Cow<'_, str>> {
    match field {
        "\\N" => None,
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        escaped => Some(Cow::Owned(escaped.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\"))),
    }
}

/// A vector is read as an array is: `1 2` as `{1,2}`.
fn array_form<'a>(sql_type: &SqlType, text: Cow<'a, str>) -> Cow<'a, str> {
    match sql_type {
        SqlType::Catalog(of_catalog) if of_catalog.element().is_some() => {
            Cow::Owned(format!("{{{}}}", text.split_whitespace().collect::<Vec<_>>().join(",")))
        }
        _ => text,
    }
}

/// `pg_type.typname` of a type of PostgreSQL's.
pub fn type_name(oid: u32) -> Option<&'static str> {
    TYPE_NAMES.get(&oid).copied()
}

static TYPE_NAMES: LazyLock<HashMap<u32, &'static str>> = LazyLock::new(|| {
    let lines = file("pg_type").unwrap_or_default().lines();
    lines.filter_map(|line| line.split_once('\t')).filter_map(|(oid, rest)| Some((oid.parse().ok()?, rest.split('\t').next()?))).collect()
});

/// The OID of a type by `pg_type.typname`.
pub fn type_oid(name: &str) -> Option<u32> {
    TYPE_NAMES.iter().find(|(_, known)| **known == name).map(|(oid, _)| *oid)
}

/// What PostgreSQL says of an object of its own.
pub fn description(oid: u32, class: u32, part: i64) -> Option<String> {
    let wanted = (oid, class, part);
    file("pg_description").unwrap_or_default().lines().find_map(|line| {
        let mut fields = line.split('\t');
        let found = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (found == wanted).then(|| unescape(fields.next()?).map(Cow::into_owned))?
    })
}

/// The default operator class of a type's indexes: `pg_opclass.oid`; 0 if there is none.
pub fn operator_class(type_oid: u32) -> u32 {
    let lines = file("pg_opclass").unwrap_or_default().lines();
    // Lengths and arrays have the class of what they are made of.
    let wanted = match type_oid {
        1043 => 25,
        _ => type_oid,
    };
    let found = lines.filter_map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        let (oid, of_type, default) = (fields.first()?.parse::<u32>().ok()?, fields.get(6)?.parse::<u32>().ok()?, *fields.get(7)? == "t");
        (of_type == wanted && default).then_some(oid)
    });
    found.min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::catalog::pg_catalog::shapes;

    #[test]
    fn all_files_are_read_with_their_types() {
        for shape in shapes::all().iter().filter(|shape| shape.schema == "pg_catalog") {
            let Some(text) = file(shape.name) else { continue };
            let batch = read(&shape.columns, text.lines()).unwrap();
            assert!(batch.num_rows() > 0, "{}", shape.name);
        }
    }

    #[test]
    fn single_facts_are_found() {
        assert_eq!((type_name(23), type_oid("int4"), type_oid("nothing")), (Some("int4"), Some(23), None));
        assert_eq!((operator_class(23), operator_class(25), operator_class(1043)), (1978, 3126, 3126));
        assert_eq!(description(23, 1247, 0).unwrap(), "-2 billion to 2 billion integer, 4-byte storage");
    }
}
