//! What depends on what: `pg_depend`, and the rules by which views read other relations.

use super::{SYSTEM_SCHEMA_OIDS, describe, extensions, foreign_keys, oids, relations, shapes};
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::lookup::Found;
use crate::catalog::names::QualifiedName;
use crate::catalog::provider::SYSTEM_SCHEMAS;
use crate::catalog::{Relation, SequenceDefinition, ViewDefinition};
use crate::ddl::expressions::nextval_argument;
use crate::query::Scope;
use crate::row;

/// Columns and rows of a table of this file.
pub fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let made = match name {
        "pg_depend" => (DEPEND, dependencies(scope)),
        "pg_rewrite" => (REWRITE, rules(scope)),
        _ => return None,
    };
    Some(made)
}

/// OIDs of `pg_class`, `pg_rewrite`, `pg_namespace` and `pg_constraint`, in which what depends and what is depended on lie.
const PG_CLASS: u32 = 1259;
/// See [`PG_CLASS`].
const PG_REWRITE: u32 = 2618;
/// See [`PG_CLASS`].
const PG_NAMESPACE: u32 = 2615;
/// See [`PG_CLASS`].
const PG_CONSTRAINT: u32 = 2606;
/// OID of `pg_attrdef`.
const PG_ATTRDEF: u32 = 2604;
/// OID of `pg_extension`.
const PG_EXTENSION: u32 = 3079;

const DEPEND: &str = "classid oid, objid oid, objsubid integer, refclassid oid, refobjid oid, refobjsubid integer, deptype text";

fn dependencies(scope: &Scope) -> Vec<Row> {
    let mut all = in_schemas(scope);
    all.extend(of_sequences(scope));
    all.extend(of_views(scope));
    all.extend(of_indexes(scope));
    all.extend(of_defaults(scope));
    all.extend(of_extension());
    all
}

/// Relations depend on their schema.
fn in_schemas(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let row = |found: Found<'_>| {
        let schema = relations::schema_oid(catalog, found.schema);
        row![PG_CLASS, found.relation().oid(), 0, PG_NAMESPACE, schema, 0, "n"]
    };
    catalog.all().map(row).collect()
}

/// A default belongs to its column, and depends on the sequence whose next value it is.
fn of_defaults(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let mut all = Vec::new();
    for (found, table) in catalog.all().filter_map(|found| Some((found, found.relation().as_table()?))) {
        for column in &table.columns {
            let Some(default) = describe::shown_default(column) else { continue };
            let oid = oids::default(table.oid, column.id);
            if let Some(generated) = &column.generated {
                let used = describe::columns_in(table, generated).into_iter();
                all.extend(used.map(|used| row![PG_ATTRDEF, oid, 0, PG_CLASS, table.oid, used.0, "n"]));
                all.push(row![PG_ATTRDEF, oid, 0, PG_CLASS, table.oid, column.id.0, "i"]);
                continue;
            }
            all.push(row![PG_ATTRDEF, oid, 0, PG_CLASS, table.oid, column.id.0, "a"]);
            let name = nextval_argument(default).and_then(|text| QualifiedName::from_text(&text).ok());
            let sequence = name.and_then(|name| catalog.find(&name, &[found.schema.to_string()]));
            all.extend(sequence.map(|sequence| row![PG_ATTRDEF, oid, 0, PG_CLASS, sequence.relation().oid(), 0, "n"]));
        }
    }
    all
}

/// The server's own schema and its views are members of the extension that every database has: no dump has them.
fn of_extension() -> Vec<Row> {
    let schema = SYSTEM_SCHEMA_OIDS[2];
    let views = shapes::all().iter().filter(|shape| shape.schema == SYSTEM_SCHEMAS[2]);
    let views = views.map(|shape| row![PG_CLASS, shape.oid, 0, PG_EXTENSION, extensions::BASE_OID, 0, "e"]);
    [row![PG_NAMESPACE, schema, 0, PG_EXTENSION, extensions::BASE_OID, 0, "e"]].into_iter().chain(views).collect()
}

/// Sequences depend on the columns that own them, internally on an identity column.
fn of_sequences(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let row = |(_, sequence): (_, &SequenceDefinition)| {
        let (table, column) = sequence.owned_by?;
        let found = catalog.by_oid(table)?;
        let identity = found.relation().as_table()?.column_by_id(column)?.identity.is_some();
        Some(row![PG_CLASS, sequence.oid, 0, PG_CLASS, table, column.0, if identity { "i" } else { "a" }])
    };
    relations::all_sequences(catalog).filter_map(row).collect()
}

fn views(scope: &Scope) -> impl Iterator<Item = &ViewDefinition> {
    scope.view.catalog.all().filter_map(|found| match found.relation() {
        Relation::View(view) => Some(view),
        _ => None,
    })
}

/// A view's rule belongs to the view, and depends on what the view reads.
fn of_views(scope: &Scope) -> Vec<Row> {
    let mut all = Vec::new();
    for view in views(scope) {
        let rule = oids::rule(view.oid);
        all.push(row![PG_REWRITE, rule, 0, PG_CLASS, view.oid, 0, "i"]);
        all.push(row![PG_REWRITE, rule, 0, PG_CLASS, view.oid, 0, "n"]);
        for read in &view.depends_on {
            if read.columns.is_empty() {
                all.push(row![PG_REWRITE, rule, 0, PG_CLASS, read.relation, 0, "n"]);
            }
            all.extend(read.columns.iter().map(|column| row![PG_REWRITE, rule, 0, PG_CLASS, read.relation, column.0, "n"]));
        }
    }
    all
}

/// An index belongs to its constraint, a constraint to its columns.
fn of_indexes(scope: &Scope) -> Vec<Row> {
    let mut all = Vec::new();
    let numbers = oids::constraints(&scope.view.catalog);
    for numbered in numbers.iter().copied() {
        let columns = match numbered.constraint {
            crate::catalog::Constraint::Unique { columns, .. } => {
                all.push(row![PG_CLASS, numbered.oid, 0, PG_CONSTRAINT, numbered.oid, 0, "i"]);
                columns.clone()
            }
            crate::catalog::Constraint::Check { expression, .. } => super::describe::columns_in(numbered.table, expression),
            crate::catalog::Constraint::Foreign(key) => {
                all.extend(foreign_keys::depends_on(&scope.view.catalog, &numbers, &numbered, key));
                key.columns.clone()
            }
        };
        all.extend(columns.iter().map(|column| row![PG_CONSTRAINT, numbered.oid, 0, PG_CLASS, numbered.table.oid, column.0, "a"]));
    }
    all
}

const REWRITE: &str =
    "oid oid, rulename name, ev_class oid, ev_type text, ev_enabled text, is_instead boolean, ev_qual text, ev_action text";

/// The rule `_RETURN` of each view.
fn rules(scope: &Scope) -> Vec<Row> {
    let rule = |view: u32| row![oids::rule(view), "_RETURN", view, "1", "O", true, "<>", Cell::Null];
    let built_in = super::shapes::all().iter().filter(|shape| shape.kind == "v").map(|shape| shape.oid);
    views(scope).map(|view| view.oid).chain(built_in).map(rule).collect()
}
