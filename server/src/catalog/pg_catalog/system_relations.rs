//! The built-in relations as the catalog lists them: their rows of `pg_class` and `pg_attribute`, made once.

use super::relations::{ATTRIBUTE, Attribute, CLASS, Class};
use super::shapes::{self, Shape};
use super::{SYSTEM_SCHEMA_OIDS, built_table};
use crate::access::role::SUPERUSER;
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::provider::SYSTEM_SCHEMAS;
use crate::error::Result;
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::LazyLock;

static BATCHES: LazyLock<Mutex<HashMap<&'static str, RecordBatch>>> = LazyLock::new(Mutex::default);

/// The rows that the built-in relations have in a table; `None` in all but two.
pub fn batch(shape: &'static Shape) -> Result<Option<RecordBatch>> {
    let (columns, rows): (_, fn() -> Vec<Row>) = match shape.name {
        "pg_class" => (CLASS, classes),
        "pg_attribute" => (ATTRIBUTE, attributes),
        _ => return Ok(None),
    };
    if let Some(known) = BATCHES.lock().get(shape.name) {
        return Ok(Some(known.clone()));
    }
    let made = built_table::batch(shape, columns, rows())?;
    BATCHES.lock().insert(shape.name, made.clone());
    Ok(Some(made))
}

/// Whether only superusers read a relation of `pg_catalog`: it shows what proves passwords.
pub fn is_secret(name: &str) -> bool {
    matches!(name, "pg_authid" | "pg_shadow")
}

/// The OID of a built-in schema.
pub fn schema_oid(name: &str) -> u32 {
    SYSTEM_SCHEMAS.iter().zip(SYSTEM_SCHEMA_OIDS).find(|(known, _)| **known == name).map_or(0, |(_, oid)| oid)
}

fn classes() -> Vec<Row> {
    let class = |shape: &Shape| {
        let class = Class { oid: shape.oid, name: shape.name, kind: shape.kind, columns: shape.columns.len(), ..Class::default() };
        let readable = !is_secret(shape.name);
        let list = [format!("{SUPERUSER}=arwdDxt/{SUPERUSER}")].into_iter().chain(readable.then(|| format!("=r/{SUPERUSER}")));
        let class = Class { acl: Some(Cell::from(list.collect::<Vec<_>>())), ..class };
        let class =
            if shape.kind == "r" { Class { access_method: super::relations::HEAP, ..class } } else { Class { ruled: true, ..class } };
        class.row(schema_oid(shape.schema))
    };
    shapes::all().iter().map(class).collect()
}

fn attributes() -> Vec<Row> {
    let of_one = |shape: &'static Shape| {
        let table = shape.kind == "r";
        let row = move |((name, sql_type), number): (&'static (&'static str, crate::types::SqlType), u32)| {
            // The columns by which a catalog is found are never NULL.
            let not_null = table && (*name == "oid" || number == 1);
            Attribute { relation: shape.oid, name, sql_type, number, declared: None, not_null, acl: None }.row()
        };
        shape.columns.iter().zip(1..).map(row)
    };
    shapes::all().iter().flat_map(of_one).collect()
}
