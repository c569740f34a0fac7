//! Whether a role may change the catalog as a statement decided: every change passes here before it goes into the transaction.

use super::decision::{Change, Scope};
use crate::access::acl::{self, Kind, ObjectAccess};
use crate::access::defaults;
use crate::access::rights::{access, kind_of, not_owner};
use crate::catalog::Relation;
use crate::catalog::names::fold;
use crate::catalog::temporary::is_temporary;
use crate::error::{Result, SqlError, SqlState};
use crate::session::transaction::Transaction;
use datafusion::sql::sqlparser::ast::{ObjectName, ObjectType};

/// 42501 unless the role may make the change. What a DROP takes along is not asked for: [`permit_drop`] has asked for what it names.
pub(super) fn permit(scope: Scope<'_>, change: &Change) -> Result<()> {
    let rights = scope.rights();
    match change {
        Change::PutSchema(name, _) if scope.catalog.schemas.contains_key(name) => rights.require_schema_owner(name),
        Change::PutSchema(..) => rights.require_on_database(scope.database, acl::CREATE),
        Change::DropSchema(name) => rights.require_schema_owner(name),
        Change::PutRelation(schema, name, relation) => match scope.catalog.get(schema, name) {
            Some(found) => rights.require_owner(&found).and_then(|()| permit_linking(scope, change)),
            // Renamed within this statement: it was asked for under its old name.
            None if scope.catalog.by_oid(relation.oid()).is_some() => Ok(()),
            None if is_temporary(schema) => permit_temporary(scope).and_then(|()| permit_linking(scope, change)),
            None => rights.require_on_schema(schema, acl::CREATE).and_then(|()| permit_linking(scope, change)),
        },
        Change::DropRelation(..) | Change::Need(_) | Change::Touch(_) => Ok(()),
        Change::PutExtension(name, Some(_)) => permit_new_extension(scope, name),
        Change::PutExtension(_, None) => Ok(()),
        Change::PutComments(oid, _) => permit_comment(scope, *oid),
        Change::RenameRelation(from, to) => {
            if let Some(found) = scope.catalog.get(&from.0, &from.1) {
                rights.require_owner(&found)?;
            }
            rights.require_on_schema(&to.0, acl::CREATE)
        }
    }
}

fn permit_temporary(scope: Scope<'_>) -> Result<()> {
    scope.rights().require_on_database(scope.database, acl::TEMPORARY).map_err(|error| {
        SqlError::new(error.state, format!("permission denied to create temporary tables in database \"{}\"", scope.database))
    })
}

/// 42501 unless the role owns the table whose column a sequence is to belong to.
fn permit_linking(scope: Scope<'_>, change: &Change) -> Result<()> {
    let Change::PutRelation(_, _, Relation::Sequence(sequence)) = change else { return Ok(()) };
    match sequence.owned_by.and_then(|(table, _)| scope.catalog.by_oid(table)) {
        Some(table) => scope.rights().require_owner(&table),
        None => Ok(()),
    }
}

/// 42501 unless the role may create things in the database.
fn permit_new_extension(scope: Scope<'_>, name: &str) -> Result<()> {
    scope.rights().require_on_database(scope.database, acl::CREATE).map_err(|error| {
        SqlError::new(error.state, format!("permission denied to create extension \"{name}\""))
            .with_hint("Must have CREATE privilege on current database to create this extension.")
    })
}

/// 42501 unless the role owns what is commented on; that of an extension comes with it.
fn permit_comment(scope: Scope<'_>, oid: u32) -> Result<()> {
    let rights = scope.rights();
    if let Some((name, _)) = scope.catalog.extensions.iter().find(|(_, entry)| entry.definition.oid == oid) {
        return if rights.owns(oid) { Ok(()) } else { Err(not_owner("extension", name)) };
    }
    if let Some(found) = scope.catalog.by_oid(oid) {
        return rights.require_owner(&found);
    }
    match scope.catalog.schemas.iter().find(|(_, entry)| entry.definition.oid == oid) {
        Some((schema, _)) => rights.require_schema_owner(schema),
        None if oid != acl::DATABASE_OID || rights.owns(oid) => Ok(()),
        None => Err(not_owner("database", scope.database)),
    }
}

/// 42501 unless the role owns each of what a DROP names, or its schema.
pub(super) fn permit_drop(scope: Scope<'_>, object_type: ObjectType, names: &[ObjectName]) -> Result<()> {
    let rights = scope.rights();
    for name in names {
        if object_type == ObjectType::Schema {
            let name = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
            rights.require_schema_owner(&name)?;
            continue;
        }
        let found = match scope.find(name, true) {
            Err(error) if error.state != SqlState::INSUFFICIENT_PRIVILEGE => continue,
            found => found?,
        };
        if let Some(found) = found
            && rights.require_schema_owner(found.schema).is_err()
            && !rights.owns(found.relation().oid())
        {
            return Err(not_owner(found.relation().kind(), found.name));
        }
    }
    Ok(())
}

/// What is new belongs to whoever made it, and has the grants that this role has said; what was only renamed keeps what it had.
pub(super) fn adopt(scope: Scope<'_>, transaction: &mut Transaction, change: &Change) {
    let (kind, oid, schema) = match change {
        Change::PutSchema(_, definition) => (Kind::Schema, definition.oid, 0),
        Change::PutExtension(_, Some(definition)) => {
            return transaction.put_access(definition.oid, ObjectAccess::owned_by(scope.rights().role()));
        }
        Change::PutRelation(schema, _, relation) => (kind_of(relation), relation.oid(), schema_oid(transaction, schema)),
        _ => return,
    };
    if transaction.view().catalog.access.contains_key(&oid) || oid == acl::PUBLIC_SCHEMA_OID {
        return;
    }
    if let Some(kept) = scope.catalog.access.get(&oid) {
        return transaction.put_access(oid, ObjectAccess::clone(&kept.definition));
    }
    let existed = scope.catalog.by_oid(oid).is_some() || scope.catalog.schemas.values().any(|entry| entry.definition.oid == oid);
    let new = defaults::of_new(scope.catalog, owner_of_new(scope, change), kind, schema);
    if !existed && new != ObjectAccess::built_in(oid) {
        transaction.put_access(oid, new);
    }
}

fn schema_oid(transaction: &Transaction, schema: &str) -> u32 {
    transaction.view().catalog.schemas.get(schema).map_or(0, |entry| entry.definition.oid)
}

/// A sequence of a column belongs to the owner of the table, everything else to whoever makes it.
fn owner_of_new(scope: Scope<'_>, change: &Change) -> u32 {
    let table = match change {
        Change::PutRelation(_, _, Relation::Sequence(sequence)) => sequence.owned_by.map(|(table, _)| table),
        _ => None,
    };
    let table = table.filter(|table| scope.catalog.by_oid(*table).is_some());
    table.map_or_else(|| scope.rights().role(), |table| access(scope.catalog, table).owner)
}
