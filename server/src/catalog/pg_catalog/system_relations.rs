//! The built-in relations as the catalog lists them: their rows of `pg_class` and `pg_attribute`, made once.

use super::relations::{ATTRIBUTE, Attribute, CLASS, Class};
use super::shapes::{self, Shape};
use super::{SYSTEM_SCHEMA_OIDS, built_table};
use crate::access::role::SUPERUSER;
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::provider::SYSTEM_SCHEMAS;
use crate::catalog::system_columns;
use crate::error::Result;
use crate::row;
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::LazyLock;

/// OIDs of the catalogs of relations and of schemas.
const PG_CLASS: u32 = 1259;
/// See [`PG_CLASS`].
const PG_NAMESPACE: u32 = 2615;

static BATCHES: LazyLock<Mutex<HashMap<&'static str, RecordBatch>>> = LazyLock::new(Mutex::default);

/// The rows that the built-in relations have in a table; `None` in all but three.
pub fn batch(shape: &'static Shape) -> Result<Option<RecordBatch>> {
    let (columns, rows): (_, fn() -> Vec<Row>) = match shape.name {
        "pg_class" => (CLASS, classes),
        "pg_attribute" => (ATTRIBUTE, attributes),
        "pg_init_privs" => (INIT_PRIVILEGES, first_privileges),
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
        let class = Class { acl: Some(readers(shape)), ..class };
        let class =
            if shape.kind == "r" { Class { access_method: super::relations::HEAP, ..class } } else { Class { ruled: true, ..class } };
        class.row(schema_oid(shape.schema))
    };
    shapes::all().iter().map(class).collect()
}

/// Who may read a built-in relation.
fn readers(shape: &Shape) -> Cell {
    let everybody = (!is_secret(shape.name)).then(|| format!("=r/{SUPERUSER}"));
    Cell::from([format!("{SUPERUSER}=arwdDxt/{SUPERUSER}")].into_iter().chain(everybody).collect::<Vec<_>>())
}

const INIT_PRIVILEGES: &str = "objoid oid, classoid oid, objsubid integer, privtype text, initprivs aclitem[]";

/// The privileges that are there from the start: a dump leaves them out.
fn first_privileges() -> Vec<Row> {
    let users = || Cell::from(vec![format!("{SUPERUSER}=UC/{SUPERUSER}"), format!("=U/{SUPERUSER}")]);
    let schemas = SYSTEM_SCHEMA_OIDS.into_iter().map(|oid| row![oid, PG_NAMESPACE, 0, "i", users()]);
    let relations = shapes::all().iter().map(|shape| row![shape.oid, PG_CLASS, 0, "i", readers(shape)]);
    schemas.chain(relations).collect()
}

fn attributes() -> Vec<Row> {
    let of_one = |shape: &'static Shape| {
        let table = shape.kind == "r";
        let row = move |((name, sql_type), number): (&'static (&'static str, crate::types::SqlType), u32)| {
            // The columns by which a catalog is found are never NULL.
            let not_null = table && (*name == "oid" || number == 1);
            Attribute { relation: shape.oid, name, sql_type, number, declared: None, not_null, acl: None }.row()
        };
        let hidden = table.then(|| system_columns::attributes(shape.oid)).into_iter().flatten();
        shape.columns.iter().zip(1..).map(row).chain(hidden)
    };
    shapes::all().iter().flat_map(of_one).collect()
}
