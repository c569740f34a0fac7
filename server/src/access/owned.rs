//! Who owns what: ALTER ... OWNER TO, REASSIGN OWNED, DROP OWNED.

use super::acl::{self, DATABASE_OID, Grant, ObjectAccess};
use super::login::DATABASE;
use super::rights::{Rights, access, not_owner};
use super::role::SUPERUSER_OID;
use super::statements::{catalog, refused, resolve};
use super::{defaults, grants};
use crate::catalog::lookup::Found;
use crate::catalog::{Catalog, Relation};
use crate::ddl::Execution;
use crate::ddl::drop::{self, Target};
use crate::error::{Result, SqlError, SqlState};
use crate::session::role_grammar::{OwnedObject, RoleName};

/// ALTER ... OWNER TO; answers the tag.
pub(super) fn change_owner(execution: &mut Execution<'_>, object: &OwnedObject, to: &RoleName) -> Result<&'static str> {
    let catalog = catalog(execution);
    let (to_name, to_oid) = resolve_owner(execution, &catalog, to)?;
    let rights = Rights::of(&catalog, &execution.source.user);
    let (oid, tag, schema) = match object {
        OwnedObject::Relation(kind, name, if_exists) => {
            let tag = match *kind {
                "VIEW" => "ALTER VIEW",
                "SEQUENCE" => "ALTER SEQUENCE",
                _ => "ALTER TABLE",
            };
            let scope = execution.source.scope(&catalog);
            let Some(found) = scope.find(name, *if_exists)? else {
                execution.notices.extend(scope.skip_missing(name).notices);
                return Ok(tag);
            };
            let wanted = kind.to_lowercase();
            if wanted != "table" && found.relation().kind() != wanted {
                return Err(found.wrong_kind(&wanted));
            }
            rights.require_owner(&found)?;
            check_not_linked(&catalog, &found)?;
            (found.relation().oid(), tag, Some(found.schema.to_string()))
        }
        OwnedObject::Schema(name) => {
            catalog.require_schema(name)?;
            rights.require_schema_owner(name)?;
            (catalog.schemas.get(name).map_or(0, |entry| entry.definition.oid), "ALTER SCHEMA", None)
        }
        OwnedObject::Database(name) if name == DATABASE => {
            if !rights.owns(DATABASE_OID) {
                return Err(not_owner("database", name));
            }
            (DATABASE_OID, "ALTER DATABASE", None)
        }
        OwnedObject::Database(name) => {
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist")));
        }
    };
    if !rights.may_become(to_oid) {
        return Err(refused(format!("must be member of role \"{to_name}\"")));
    }
    if let Some(schema) = schema.filter(|_| !rights.is_superuser()) {
        Rights::of(&catalog, &to_name).require_on_schema(&schema, acl::CREATE)?;
    }
    give(execution, &catalog, oid, to_oid);
    Ok(tag)
}

/// Nobody can give something to everybody.
fn resolve_owner(execution: &Execution<'_>, catalog: &Catalog, to: &RoleName) -> Result<(String, u32)> {
    match to {
        RoleName::Public => Err(SqlError::new(SqlState::UNDEFINED_OBJECT, "role \"public\" does not exist")),
        to => resolve(execution, catalog, to),
    }
}

/// A sequence of a column has the owner of the table.
fn check_not_linked(catalog: &Catalog, found: &Found<'_>) -> Result<()> {
    let Relation::Sequence(sequence) = found.relation() else { return Ok(()) };
    let Some(table) = sequence.owned_by.and_then(|(table, _)| catalog.by_oid(table)) else { return Ok(()) };
    let message = format!("cannot change owner of sequence \"{}\"", found.name);
    let detail = format!("Sequence \"{}\" is linked to table \"{}\".", found.name, table.name);
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_detail(detail))
}

/// CREATE SCHEMA ... AUTHORIZATION: what was just made belongs to another.
pub(crate) fn give_schema(execution: &mut Execution<'_>, schema: &str, to: &RoleName) -> Result<()> {
    let catalog = catalog(execution);
    let (_, to) = resolve_owner(execution, &catalog, to)?;
    if let Some(entry) = catalog.schemas.get(schema) {
        give(execution, &catalog, entry.definition.oid, to);
    }
    Ok(())
}

/// 42501 unless the role that runs the statement is a member of the one that is to own something; its name.
pub(crate) fn check_new_owner(execution: &Execution<'_>, to: &RoleName) -> Result<String> {
    let catalog = catalog(execution);
    let (name, oid) = resolve_owner(execution, &catalog, to)?;
    match Rights::of(&catalog, &execution.source.user).may_become(oid) {
        true => Ok(name),
        false => Err(refused(format!("must be member of role \"{name}\""))),
    }
}

/// Gives an object to another owner, and the sequences of a table with it; what the old one had or gave, the new one has or gave.
fn give(execution: &mut Execution<'_>, catalog: &Catalog, oid: u32, to: u32) {
    let owned = catalog.sequences_of(oid, None).map(|(_, sequence)| sequence.oid);
    for oid in std::iter::once(oid).chain(owned) {
        let mut access = ObjectAccess::clone(&access(catalog, oid));
        let from = access.owner;
        let renamed = |role: u32| if role == from { to } else { role };
        for grants in access.grants.iter_mut().chain(access.columns.values_mut()) {
            let old = std::mem::take(grants);
            old.into_iter().for_each(|g| acl::add(grants, Grant { grantee: renamed(g.grantee), grantor: renamed(g.grantor), ..g }));
        }
        access.owner = to;
        execution.transaction.put_access(oid, access);
    }
}

/// REASSIGN OWNED.
pub(super) fn reassign(execution: &mut Execution<'_>, from: &[RoleName], to: &RoleName) -> Result<()> {
    let seen = catalog(execution);
    let rights = Rights::of(&seen, &execution.source.user);
    let (_, to) = resolve(execution, &seen, to)?;
    for name in from {
        let (name, from) = resolve(execution, &seen, name)?;
        if !rights.has_role(from) || !rights.has_role(to) {
            return Err(refused("permission denied to reassign objects"));
        }
        check_not_required(from, &name, "reassign ownership of objects")?;
        let owned: Vec<u32> = seen.access.iter().filter(|(_, entry)| entry.definition.owner == from).map(|(oid, _)| *oid).collect();
        for oid in owned {
            let catalog = catalog(execution);
            give(execution, &catalog, oid, to);
        }
    }
    Ok(())
}

/// What the first superuser owns holds the database together.
fn check_not_required(role: u32, name: &str, what: &str) -> Result<()> {
    if role != SUPERUSER_OID {
        return Ok(());
    }
    let message = format!("cannot {what} owned by role {name} because they are required by the database system");
    Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message))
}

/// DROP OWNED: what the roles own goes, and so does what was granted to them.
pub(super) async fn drop(execution: &mut Execution<'_>, of: &[RoleName], cascade: bool) -> Result<()> {
    let seen = catalog(execution);
    let mut roles = Vec::new();
    for name in of {
        let (name, oid) = resolve(execution, &seen, name)?;
        if !Rights::of(&seen, &execution.source.user).has_role(oid) {
            return Err(refused("permission denied to drop objects"));
        }
        check_not_required(oid, &name, "drop objects")?;
        roles.push(oid);
    }
    let targets = owned_by(&seen, &roles);
    execution.decide(|scope| drop::decide(scope, targets, cascade)).await?;
    for (name, entry) in seen.extensions.iter() {
        if roles.contains(&access(&seen, entry.definition.oid).owner) {
            execution.transaction.put_extension(name, None);
        }
    }
    for role in roles {
        revoke_everything(execution, role);
        defaults::forget(execution, role);
    }
    Ok(())
}

/// Schemas and relations of these owners; sequences that belong to a column go with it.
fn owned_by(catalog: &Catalog, roles: &[u32]) -> Vec<Target> {
    let owned = |oid: u32| roles.contains(&access(catalog, oid).owner);
    let of_column = |found: &Found<'_>| matches!(found.relation(), Relation::Sequence(sequence) if sequence.owned_by.is_some());
    let relations = catalog.all().filter(|found| owned(found.relation().oid()) && !of_column(found));
    let relations = relations.map(|found| Target::Relation((found.schema.to_string(), found.name.to_string())));
    let schemas = catalog.schemas.iter().filter(|(_, entry)| owned(entry.definition.oid)).map(|(name, _)| Target::Schema(name.clone()));
    schemas.chain(relations).collect()
}

fn revoke_everything(execution: &mut Execution<'_>, role: u32) {
    let seen = catalog(execution);
    for (oid, entry) in &seen.access {
        let mut access = ObjectAccess::clone(&entry.definition);
        access.grants.iter_mut().chain(access.columns.values_mut()).for_each(|list| grants::forget(list, role));
        access.columns.retain(|_, list| !list.is_empty());
        if access != *entry.definition {
            execution.transaction.put_access(*oid, access);
        }
    }
}
