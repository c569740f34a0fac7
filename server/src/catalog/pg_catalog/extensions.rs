//! The extensions whose functions are part of this server: they are there from the start, and CREATE EXTENSION has nothing to do for them.

use super::{OWNER_OID, SYSTEM_SCHEMA_OIDS};
use crate::catalog::built_table::{Cell, Row};
use crate::row;

/// An extension.
#[derive(Debug)]
pub struct Extension {
    /// Its OID.
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

/// All that PostgreSQL knows by name; the server's own is not among them.
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

/// Columns and rows of a table of this file.
pub fn table(name: &str) -> Option<(&'static str, Vec<Row>)> {
    let made = match name {
        "pg_extension" => (EXTENSION, ALL.iter().map(installed).chain([own()]).collect()),
        "pg_available_extensions" => (
            "name name, default_version text, installed_version text, comment text",
            ALL.iter().map(|known| row![known.name, known.version, known.version, known.comment]).collect(),
        ),
        "pg_available_extension_versions" => (VERSIONS, ALL.iter().map(version).collect()),
        _ => return None,
    };
    Some(made)
}

/// The extension to which the server's own views belong, as far as clients ask.
pub const OWN_OID: u32 = 13_561;
/// Its name.
pub const OWN_NAME: &str = "plimsoll";

const EXTENSION: &str =
    "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable boolean, extversion text, extconfig oid[], extcondition text[]";

const VERSIONS: &str = "name name, version text, installed boolean, superuser boolean, trusted boolean, relocatable boolean, schema name, \
    requires name[], comment text";

fn installed(known: &Extension) -> Row {
    row![known.oid, known.name, OWNER_OID, SYSTEM_SCHEMA_OIDS[0], false, known.version, Cell::Null, Cell::Null]
}

fn own() -> Row {
    let version = env!("CARGO_PKG_VERSION");
    row![OWN_OID, OWN_NAME, OWNER_OID, SYSTEM_SCHEMA_OIDS[2], false, version, Cell::Null, Cell::Null]
}

fn version(known: &Extension) -> Row {
    row![known.name, known.version, true, true, true, !known.from_the_start, "pg_catalog", Cell::Null, known.comment]
}
