//! Owners and access lists, as the tables of the catalog show them.

use crate::access::acl::{self, Grant, ObjectAccess};
use crate::access::rights::access;
use crate::catalog::Catalog;
use crate::catalog::built_table::Cell;
use storage::ColumnId;

/// The OID of an object's owner.
pub fn owner(catalog: &Catalog, oid: u32) -> u32 {
    access(catalog, oid).owner
}

/// The name of an object's owner.
pub fn owner_name(catalog: &Catalog, oid: u32) -> String {
    role_name(catalog, owner(catalog, oid))
}

/// A role's name; of one that is gone its OID, as PostgreSQL shows it.
pub fn role_name(catalog: &Catalog, oid: u32) -> String {
    catalog.role_name(oid).map_or_else(|| oid.to_string(), String::from)
}

/// `relacl` and the like: NULL as long as nothing has been granted or revoked.
pub fn list(catalog: &Catalog, oid: u32) -> Cell {
    kept(catalog, oid).and_then(|access| access.grants.as_deref()).map_or(Cell::Null, |grants| items(catalog, grants))
}

/// `attacl`
pub fn column_list(catalog: &Catalog, relation: u32, column: ColumnId) -> Cell {
    let grants = kept(catalog, relation).and_then(|access| access.columns.get(&column.0));
    grants.map_or(Cell::Null, |grants| items(catalog, grants))
}

fn kept(catalog: &Catalog, oid: u32) -> Option<&ObjectAccess> {
    catalog.access.get(&oid).map(|entry| &*entry.definition)
}

fn items(catalog: &Catalog, grants: &[Grant]) -> Cell {
    Cell::from(acl::text(grants, |oid| role_name(catalog, oid)))
}
