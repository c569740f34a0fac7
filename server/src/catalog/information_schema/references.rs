//! Foreign keys in the information schema.

use crate::catalog::TableDefinition;
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::foreign_key::{ForeignKey, Referring};
use crate::catalog::lookup::Found;
use crate::query::Scope;
use crate::row;

const REFERENTIAL_CONSTRAINTS: &str = "constraint_catalog name, constraint_schema name, constraint_name name, \
    unique_constraint_catalog name, unique_constraint_schema name, unique_constraint_name name, match_option varchar, \
    update_rule varchar, delete_rule varchar";

fn parent<'a>(scope: &'a Scope, key: &ForeignKey) -> Option<(Found<'a>, &'a TableDefinition)> {
    let found = scope.view.catalog.by_oid(key.parent)?;
    Some((found, found.relation().as_table()?))
}

fn yes(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

/// The row of `table_constraints`.
pub fn table_constraint(scope: &Scope, found: &Found<'_>, key: &ForeignKey) -> Row {
    let (database, schema) = (&scope.database, found.schema);
    let (deferrable, deferred) = (yes(key.deferrable), yes(key.deferred));
    let name = key.name.as_str();
    row![database, schema, name, database, schema, found.name, "FOREIGN KEY", deferrable, deferred, "YES", Cell::Null]
}

/// The rows of `key_column_usage`.
pub fn key_columns(scope: &Scope) -> Vec<Row> {
    let database = &scope.database;
    let mut all = Vec::new();
    for Referring { found, table, key } in scope.view.catalog.foreign_keys() {
        let unique = parent(scope, key).and_then(|(_, parent)| parent.unique_on(&key.parent_columns));
        for (at, (column, referred)) in key.columns.iter().zip(&key.parent_columns).enumerate() {
            let Some(column) = table.column_by_id(*column) else { continue };
            let place = unique.and_then(|(_, columns)| columns.iter().position(|of| of == referred));
            let place = place.map_or(Cell::Null, |place| Cell::from(place + 1));
            let name = key.name.as_str();
            all.push(row![database, found.schema, name, database, found.schema, found.name, &column.name, at + 1, place]);
        }
    }
    all
}

/// The rows of `constraint_column_usage`: the columns that are referred to.
pub fn used_columns(scope: &Scope, found: &Found<'_>, key: &ForeignKey) -> Vec<Row> {
    let database = &scope.database;
    let Some((place, table)) = parent(scope, key) else { return Vec::new() };
    let columns = key.parent_columns.iter().filter_map(|id| table.column_by_id(*id));
    let name = key.name.as_str();
    columns.map(|column| row![database, place.schema, place.name, &column.name, database, found.schema, name]).collect()
}

/// `referential_constraints`.
pub fn referential_constraints(scope: &Scope) -> (&'static str, Vec<Row>) {
    let database = &scope.database;
    let row = |Referring { found, key, .. }: Referring<'_>| {
        let (place, table) = parent(scope, key)?;
        let unique = table.unique_on(&key.parent_columns).map(|(name, _)| name);
        let matches = if key.is_full { "FULL" } else { "NONE" };
        let (schema, name) = (found.schema, key.name.as_str());
        Some(row![database, schema, name, database, place.schema, unique, matches, key.on_update.words(), key.on_delete.words()])
    };
    (REFERENTIAL_CONSTRAINTS, scope.view.catalog.foreign_keys().filter_map(row).collect())
}
