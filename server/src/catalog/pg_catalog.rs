//! `pg_catalog`: what exists here from the view, with its stable OIDs; what is PostgreSQL's own (types, functions, operators) from files;
//! what this server does not have, as empty tables.
//!
//! 1. [`shapes`] says which relations there are, and their columns.
//! 2. [`built_in`] has the rows that are the same in every database.
//! 3. The other modules make rows of what the statement sees.

use super::built_table::{self, Row};
use super::system_columns::BuiltIn;
use crate::error::{Result, SqlError, SqlState};
use crate::query::Scope;
use crate::row;
use datafusion::catalog::TableProvider;
use shapes::Shape;
use std::sync::Arc;

pub mod activity;
pub mod built_in;
pub mod constraints;
pub mod dependencies;
pub mod describe;
pub mod descriptions;
pub mod empty;
pub mod expression_text;
pub mod extensions;
pub mod foreign_keys;
pub mod locks;
pub mod oids;
pub mod ownership;
pub mod plain_indexes;
pub mod procedures;
pub mod relations;
pub mod roles;
pub mod server;
pub mod shapes;
pub mod system_relations;
pub mod time_zones;
pub mod type_names;
pub mod view_definition;

/// OIDs of the built-in schemas, in the order of [`super::provider::SYSTEM_SCHEMAS`]; the first is PostgreSQL's own.
pub const SYSTEM_SCHEMA_OIDS: [u32; 3] = [11, 13_000, 13_001];

/// The OID of the superuser, PostgreSQL's own.
pub const OWNER_OID: u32 = 10;

/// A table of the schema, as the statement sees it; `system_columns`: with those, where it is a table.
pub fn table(scope: &Scope, name: &str, system_columns: bool) -> Result<Option<Arc<dyn TableProvider>>> {
    // A function that PostgreSQL reads a view of this name from.
    let name = if name == "pg_show_all_settings" { "pg_settings" } else { name };
    let Some(shape) = shapes::find("pg_catalog", name) else { return of_function(scope, name) };
    let made = relations::table(scope, name)
        .or_else(|| constraints::table(scope, name))
        .or_else(|| dependencies::table(scope, name))
        .or_else(|| descriptions::table(scope, name))
        .or_else(|| activity::table(scope, name))
        .or_else(|| roles::table(scope, name))
        .or_else(|| server::table(scope, name))
        .or_else(|| extensions::table(scope, name))
        .or_else(|| time_zones::table(name));
    let (columns, rows) = made.unwrap_or_default();
    // Half the digits of a place in the log tell changes apart well enough.
    let changed = scope.view.snapshot.state.objects_version.0 as u32;
    let shown = (system_columns && shape.kind == "r").then_some(BuiltIn { relation: shape.oid, changed });
    built_table::shaped(shape, always(scope, shape)?, columns, rows, shown).map(Some)
}

/// The rows of a table that are the same in every statement.
fn always(scope: &Scope, shape: &'static Shape) -> Result<Option<arrow::array::RecordBatch>> {
    match system_relations::batch(shape)? {
        Some(batch) => Ok(Some(batch)),
        None => built_in::batch(scope, shape),
    }
}

/// What a function without arguments returns as a table: the rewriting of statements takes the parentheses away.
fn of_function(scope: &Scope, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    match name {
        "pg_get_keywords" => {
            let rows = built_in::KEYWORDS.lines().map(keyword).collect();
            built_table::table("word text, catcode \"char\", barelabel boolean, catdesc text, baredesc text", rows).map(Some)
        }
        "pg_ls_waldir" => built_table::table("name text, size bigint, modification timestamptz", log_files(scope)?).map(Some),
        _ => Ok(None),
    }
}

/// The files of the commit log, which stands for the write-ahead log.
fn log_files(scope: &Scope) -> Result<Vec<Row>> {
    if !scope.rights_of_user().is_superuser() {
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied for function pg_ls_waldir"));
    }
    let folder = std::path::Path::new(scope.session.settings.get("data_directory")).join(crate::engine::PLACEMENT_FOLDER);
    let row = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let facts = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let modified = facts.modified().ok().map(chrono::DateTime::<chrono::Utc>::from);
        Some(row![entry.file_name().to_string_lossy().into_owned(), facts.len(), modified])
    };
    let entries = std::fs::read_dir(&folder).map_err(|error| crate::engine::io_error("list", &folder, &error))?;
    Ok(entries.filter_map(row).collect())
}

/// Names of the functions that are read as tables.
pub const TABLE_FUNCTIONS: [&str; 5] =
    ["pg_get_keywords", "pg_ls_waldir", "pg_show_all_settings", "pg_timezone_abbrevs", "pg_timezone_names"];

fn keyword(line: &str) -> Row {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    row![next(), next(), next() == "t", next(), next()]
}

pub use built_in::{type_name, type_oid};
