//! Comments: COMMENT ON's, and PostgreSQL's own on what is built in.

use super::{built_in, extensions, oids, plain_indexes, relations};
use crate::catalog::built_table::Row;
use crate::catalog::lookup::Found;
use crate::catalog::{Catalog, Relation};
use crate::query::Scope;
use crate::row;
use storage::ColumnId;

/// Columns and rows of a table of this file; `pg_description` has PostgreSQL's own before them.
pub fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let columns = "objoid oid, classoid oid, objsubid integer, description text";
    let made = match name {
        "pg_description" => {
            (columns, all(&scope.view.catalog).into_iter().map(|said| row![said.oid, said.class, said.part, said.text]).collect())
        }
        "pg_shdescription" => ("objoid oid, classoid oid, description text", of_database(&scope.view.catalog)),
        _ => return None,
    };
    Some(made)
}

/// The OID of `pg_class`, the catalog of relations; those of the others by [`class_of`].
pub const PG_CLASS: u32 = 1259;
const PG_NAMESPACE: u32 = 2615;
const PG_CONSTRAINT: u32 = 2606;
const PG_DATABASE: u32 = 1262;
const PG_EXTENSION: u32 = 3079;

/// A comment.
struct Said<'a> {
    oid: u32,
    class: u32,
    part: u32,
    text: &'a str,
}

fn all(catalog: &Catalog) -> Vec<Said<'_>> {
    let schemas = relations::schemas(catalog).into_iter().filter_map(|(_, oid)| said(oid, PG_NAMESPACE, 0, catalog.comment(oid)));
    let extensions = extensions::ALL.iter().filter_map(|known| {
        let created = catalog.extensions.get(known.name).map(|entry| entry.definition.oid);
        match created {
            Some(oid) => said(oid, PG_EXTENSION, 0, catalog.comment(oid)),
            None => said(known.oid, PG_EXTENSION, 0, known.from_the_start.then_some(known.comment)),
        }
    });
    let relations = catalog.all().flat_map(|found| of_relation(catalog, found));
    let mut all: Vec<_> = schemas.chain(extensions).chain(relations).collect();
    for numbered in oids::constraints(catalog) {
        let text = catalog.constraint_comment(numbered.table.oid, numbered.constraint.name());
        all.extend(said(numbered.oid, PG_CONSTRAINT, 0, text));
        let indexed = matches!(numbered.constraint, crate::catalog::Constraint::Unique { .. });
        all.extend(said(numbered.oid, PG_CLASS, 0, text).filter(|_| indexed));
    }
    for index in plain_indexes::all(catalog) {
        all.extend(said(index.oid, PG_CLASS, 0, catalog.constraint_comment(index.table.oid, &index.index.name)));
    }
    all
}

fn said(oid: u32, class: u32, part: u32, text: Option<&str>) -> Option<Said<'_>> {
    text.map(|text| Said { oid, class, part, text })
}

fn of_relation<'a>(catalog: &'a Catalog, found: Found<'a>) -> Vec<Said<'a>> {
    let oid = found.relation().oid();
    let columns: Vec<u32> = match found.relation() {
        Relation::Table(table) => table.columns.iter().map(|column| column.id.0).collect(),
        Relation::View(view) => (1..).take(view.columns.len()).collect(),
        _ => Vec::new(),
    };
    let of_columns = columns.into_iter().filter_map(|part| said(oid, PG_CLASS, part, catalog.column_comment(oid, ColumnId(part))));
    said(oid, PG_CLASS, 0, catalog.comment(oid)).into_iter().chain(of_columns).collect()
}

fn of_database(catalog: &Catalog) -> Vec<Row> {
    let oid = super::server::DATABASE_OID;
    catalog.comment(oid).map(|text| row![oid, PG_DATABASE, text]).into_iter().collect()
}

/// `obj_description`, `col_description`: what is said of an object, or of a part of it.
pub fn of(catalog: &Catalog, oid: u32, class: u32, part: u32) -> Option<String> {
    let own = all(catalog).into_iter().find(|said| (said.oid, said.class, said.part) == (oid, class, part));
    own.map(|said| said.text.to_string()).or_else(|| built_in::description(oid, class, i64::from(part)))
}

/// `shobj_description` of the database.
pub fn of_shared(catalog: &Catalog, oid: u32) -> Option<String> {
    (oid == super::server::DATABASE_OID).then(|| catalog.comment(oid).map(String::from))?
}

/// The OID of a catalog by its name: comments are asked for by that.
pub fn class_of(name: &str) -> Option<u32> {
    super::shapes::find("pg_catalog", name).map(|shape| shape.oid)
}
