//! Foreign keys in `pg_constraint` and `pg_depend`, and as SQL text.

use super::constraints::numbers;
use super::{describe, oids, relations};
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::foreign_key::{Action, ForeignKey};
use crate::catalog::names::{QualifiedName, quote, quote_qualified};
use crate::catalog::{Catalog, TableDefinition};
use crate::row;
use crate::types::SqlType;
use storage::ColumnId;

/// OIDs of `pg_class` and `pg_constraint`.
const PG_CLASS: u32 = 1259;
/// See [`PG_CLASS`].
const PG_CONSTRAINT: u32 = 2606;

/// `FOREIGN KEY (a) REFERENCES p(id) ...`, as PostgreSQL prints it.
pub fn text(catalog: &Catalog, table: &TableDefinition, key: &ForeignKey, search_path: &[String]) -> Option<String> {
    let found = catalog.by_oid(key.parent)?;
    let parent = found.relation().as_table()?;
    let bare = QualifiedName { schema: None, name: found.name.to_string() };
    let is_visible = catalog.find(&bare, search_path).is_some_and(|visible| visible.schema == found.schema);
    let name = if is_visible { quote(found.name) } else { quote_qualified(found.schema, found.name) };
    let columns = describe::columns_text(table, &key.columns);
    let mut text = format!("FOREIGN KEY ({columns}) REFERENCES {name}({})", describe::columns_text(parent, &key.parent_columns));
    for (said, words) in [
        (key.is_full, " MATCH FULL".to_string()),
        (key.on_update != Action::NoAction, format!(" ON UPDATE {}", key.on_update.words())),
        (key.on_delete != Action::NoAction, format!(" ON DELETE {}", key.on_delete.words())),
        (!key.set_columns.is_empty(), format!(" ({})", describe::columns_text(table, &key.set_columns))),
        (key.deferrable, " DEFERRABLE".to_string()),
        (key.deferred, " INITIALLY DEFERRED".to_string()),
        (key.not_valid, " NOT VALID".to_string()),
    ] {
        if said {
            text.push_str(&words);
        }
    }
    Some(text)
}

/// The row of `pg_constraint`; `all` are all constraints of the catalog.
pub fn row(catalog: &Catalog, all: &[oids::Numbered<'_>], numbered: &oids::Numbered<'_>, key: &ForeignKey) -> Row {
    let parent = catalog.by_oid(key.parent).and_then(|found| found.relation().as_table());
    let (own, referred) = (operators(Some(numbered.table), &key.columns), operators(parent, &key.parent_columns));
    let set_columns = match key.set_columns.is_empty() {
        true => Cell::Null,
        false => numbers(&key.set_columns),
    };
    row![
        numbered.oid,
        key.name.as_str(),
        relations::schema_oid(catalog, numbered.found.schema),
        "f",
        key.deferrable,
        key.deferred,
        !key.not_valid,
        numbered.table.oid,
        0,
        index(all, parent, key).unwrap_or(0),
        0,
        key.parent,
        key.on_update.letter(),
        key.on_delete.letter(),
        if key.is_full { "f" } else { "s" },
        true,
        0,
        true,
        numbers(&key.columns),
        numbers(&key.parent_columns),
        referred.clone(),
        referred,
        own,
        set_columns,
        Cell::Null,
        Cell::Null
    ]
}

/// The index that it relies on.
fn index(all: &[oids::Numbered<'_>], parent: Option<&TableDefinition>, key: &ForeignKey) -> Option<u32> {
    let (name, _) = parent?.unique_on(&key.parent_columns)?;
    all.iter().find(|numbered| numbered.table.oid == key.parent && numbered.constraint.name() == name).map(|numbered| numbered.oid)
}

/// What it depends on beside its own columns: the referenced ones, and their index.
pub fn depends_on(catalog: &Catalog, all: &[oids::Numbered<'_>], numbered: &oids::Numbered<'_>, key: &ForeignKey) -> Vec<Row> {
    let parent = catalog.by_oid(key.parent).and_then(|found| found.relation().as_table());
    let columns = key.parent_columns.iter().map(|column| row![PG_CONSTRAINT, numbered.oid, 0, PG_CLASS, key.parent, column.0, "n"]);
    let index = index(all, parent, key).map(|index| row![PG_CONSTRAINT, numbered.oid, 0, PG_CLASS, index, 0, "n"]);
    columns.chain(index).collect()
}

/// OIDs of the operators that compare values of columns with their like.
fn operators(table: Option<&TableDefinition>, columns: &[ColumnId]) -> Cell {
    let operator = |id: &ColumnId| table.and_then(|table| table.column_by_id(*id)).map_or(0, |column| equality(&column.sql_type));
    Cell::from(columns.iter().map(operator).collect::<Vec<u32>>())
}

/// PostgreSQL's `=` of two values of a type.
fn equality(sql_type: &SqlType) -> u32 {
    match sql_type {
        SqlType::Boolean => 91,
        SqlType::Int2 => 94,
        SqlType::Int4 => 96,
        SqlType::Int8 => 410,
        SqlType::Float4 => 620,
        SqlType::Float8 => 670,
        SqlType::Numeric(_) => 1752,
        SqlType::Char(_) => 1054,
        SqlType::Bytea => 1955,
        SqlType::Date => 1093,
        SqlType::Time => 1108,
        SqlType::Timestamp => 2060,
        SqlType::Timestamptz => 1320,
        SqlType::Interval => 1330,
        SqlType::Uuid => 2972,
        SqlType::Jsonb => 3240,
        SqlType::Array(_) => 1070,
        _ => 98,
    }
}
