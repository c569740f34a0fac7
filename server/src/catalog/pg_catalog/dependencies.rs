//! What depends on what: `pg_depend`, and the rules by which views read other relations.

use super::{oids, relations};
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::lookup::Found;
use crate::catalog::{Relation, SequenceDefinition, ViewDefinition};
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

const DEPEND: &str = "classid oid, objid oid, objsubid integer, refclassid oid, refobjid oid, refobjsubid integer, deptype text";

fn dependencies(scope: &Scope) -> Vec<Row> {
    let mut all = in_schemas(scope);
    all.extend(of_sequences(scope));
    all.extend(of_views(scope));
    all.extend(of_indexes(scope));
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
    for numbered in oids::constraints(&scope.view.catalog) {
        let columns = match numbered.constraint {
            crate::catalog::Constraint::Unique { columns, .. } => {
                all.push(row![PG_CLASS, numbered.oid, 0, PG_CONSTRAINT, numbered.oid, 0, "i"]);
                columns.clone()
            }
            crate::catalog::Constraint::Check { expression, .. } => super::describe::columns_in(numbered.table, expression),
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
