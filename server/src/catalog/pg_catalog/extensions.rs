//! The extensions whose functions are part of this server. One is in every database; the others are listed once they were created.
//!
//! The server's own schema and views are members of the one that is in every database: so dumps and schema tools leave them out.

use super::{SYSTEM_SCHEMA_OIDS, ownership};
use crate::catalog::Catalog;
use crate::catalog::built_table::{Cell, Row};
use crate::query::Scope;
use crate::row;

/// An extension.
#[derive(Debug)]
pub struct Extension {
    /// Its OID, unless it is created.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// The version whose functions are here; of contributed ones those that docs/sql.md lists.
    pub version: &'static str,
    /// One line about it.
    pub comment: &'static str,
    /// Whether PostgreSQL has it in each database from the start.
    pub from_the_start: bool,
}

/// All that there are.
pub const ALL: [Extension; 3] = [
    Extension { oid: 13_562, name: "pgcrypto", version: "1.3", comment: "cryptographic functions", from_the_start: false },
    Extension { oid: 13_560, name: "plpgsql", version: "1.0", comment: "PL/pgSQL procedural language", from_the_start: true },
    Extension {
        oid: 13_563,
        name: "uuid-ossp",
        version: "1.1",
        comment: "generate universally unique identifiers (UUIDs)",
        from_the_start: false,
    },
];

/// The extension of a name.
pub fn find(name: &str) -> Option<&'static Extension> {
    ALL.iter().find(|extension| extension.name == name)
}

/// Whether an extension is there: from the start, or because it was created.
pub fn is_created(catalog: &Catalog, name: &str) -> bool {
    find(name).is_some_and(|known| known.from_the_start) || catalog.extensions.contains_key(name)
}

/// Columns and rows of a table of this file.
pub fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let catalog = &scope.view.catalog;
    let made = match name {
        "pg_extension" => (EXTENSION, ALL.iter().filter_map(|known| installed(catalog, known)).collect()),
        "pg_available_extensions" => (
            "name name, default_version text, installed_version text, comment text",
            ALL.iter().map(|known| row![known.name, known.version, version(catalog, known), known.comment]).collect(),
        ),
        "pg_available_extension_versions" => (VERSIONS, ALL.iter().map(|known| available(catalog, known)).collect()),
        _ => return None,
    };
    Some(made)
}

/// The extension that every database has, to which the server's own views belong, as far as clients ask.
pub const BASE_OID: u32 = 13_560;
/// What dumps of older versions call it.
pub const OWN_NAME: &str = "plimsoll";

const EXTENSION: &str =
    "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable boolean, extversion text, extconfig oid[], extcondition text[]";

const VERSIONS: &str = "name name, version text, installed boolean, superuser boolean, trusted boolean, relocatable boolean, schema name, \
    requires name[], comment text";

/// The OID and the schema of an extension that is there.
fn place(catalog: &Catalog, known: &Extension) -> Option<(u32, u32)> {
    if known.from_the_start {
        return Some((known.oid, SYSTEM_SCHEMA_OIDS[0]));
    }
    let created = &catalog.extensions.get(known.name)?.definition;
    Some((created.oid, created.schema))
}

fn installed(catalog: &Catalog, known: &Extension) -> Option<Row> {
    let (oid, schema) = place(catalog, known)?;
    let owner = ownership::owner(catalog, oid);
    Some(row![oid, known.name, owner, schema, !known.from_the_start, known.version, Cell::Null, Cell::Null])
}

/// Name and OID of the extensions that are there.
pub fn created(catalog: &Catalog) -> Vec<(u32, &'static str)> {
    ALL.iter().filter_map(|known| place(catalog, known).map(|(oid, _)| (oid, known.name))).collect()
}

fn version(catalog: &Catalog, known: &Extension) -> Option<&'static str> {
    is_created(catalog, known.name).then_some(known.version)
}

fn available(catalog: &Catalog, known: &Extension) -> Row {
    let (is_here, schema) = (is_created(catalog, known.name), known.from_the_start.then_some("pg_catalog"));
    row![known.name, known.version, is_here, true, true, !known.from_the_start, schema, Cell::Null, known.comment]
}
