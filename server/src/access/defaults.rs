//! ALTER DEFAULT PRIVILEGES: what is granted on what a role will make.
//!
//! A role keeps, for each kind of object, what holds everywhere (instead of the built-in default) and what comes on top in one schema.

use super::acl::{self, Grant, Kind, ObjectAccess};
use super::grants::{edit, whole_privileges};
use super::rights::Rights;
use super::role::{DefaultGrants, RoleDefinition};
use super::statements::{catalog, definition, refused, resolve};
use crate::catalog::Catalog;
use crate::ddl::Execution;
use crate::error::{Result, SqlError, SqlState};
use crate::session::role_grammar::{DefaultTarget, PrivilegeChange};
use crate::session::transaction::Transaction;

/// ALTER DEFAULT PRIVILEGES.
pub(super) async fn change(execution: &mut Execution<'_>, change: &PrivilegeChange, target: &DefaultTarget) -> Result<()> {
    let seen = catalog(execution);
    let rights = Rights::of(&seen, &execution.source.user);
    let roles = match target.roles.is_empty() {
        true => vec![(execution.source.user.clone(), rights.role())],
        false => target.roles.iter().map(|name| resolve(execution, &seen, name)).collect::<Result<Vec<_>>>()?,
    };
    if target.kind == Kind::Schema && !target.schemas.is_empty() {
        return Err(SqlError::new(SqlState("0LP01"), "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS"));
    }
    let privileges = whole_privileges(change, target.kind)?;
    let grantees = change.grantees.iter().map(|name| resolve(execution, &seen, name).map(|(_, oid)| oid)).collect::<Result<Vec<_>>>()?;
    for (name, oid) in roles {
        if !rights.has_role(oid) {
            return Err(refused(format!("must be member of role \"{name}\"")));
        }
        let schemas = schemas(&seen, &target.schemas)?;
        let mut role = definition(&catalog(execution), &name)?;
        for schema in schemas {
            let mut grants = present(&role, schema, target.kind);
            for grantee in &grantees {
                edit(&mut grants, change, (*grantee, oid, oid), privileges)?;
            }
            sort(&mut grants);
            let id = execution.ids(1).await?.take()?;
            put(&mut role, DefaultGrants { oid: id, schema, kind: target.kind, grants });
        }
        execution.transaction.put_role(&name, role);
    }
    Ok(())
}

/// The OIDs of the schemas; 0 stands for all of them. Whether the role may make something there is not asked, as in PostgreSQL.
fn schemas(catalog: &Catalog, names: &[String]) -> Result<Vec<u32>> {
    if names.is_empty() {
        return Ok(vec![0]);
    }
    let oid = |name: &String| {
        catalog.require_schema(name)?;
        Ok(catalog.schemas.get(name).map_or(0, |entry| entry.definition.oid))
    };
    names.iter().map(oid).collect()
}

/// What holds before anything is changed: everywhere the built-in default, in one schema nothing on top.
fn unchanged(role: u32, schema: u32, kind: Kind) -> Vec<Grant> {
    if schema == 0 { kind.default_grants(0, role) } else { Vec::new() }
}

fn present(role: &RoleDefinition, schema: u32, kind: Kind) -> Vec<Grant> {
    let kept = role.default_grants.iter().find(|it| (it.schema, it.kind) == (schema, kind));
    kept.map_or_else(|| unchanged(role.oid, schema, kind), |it| it.grants.clone())
}

/// Keeps what is granted, unless that is what would hold anyway.
fn put(role: &mut RoleDefinition, new: DefaultGrants) {
    let at = role.default_grants.iter().position(|it| (it.schema, it.kind) == (new.schema, new.kind));
    let nothing_special = same(&new.grants, &unchanged(role.oid, new.schema, new.kind));
    match (at, nothing_special) {
        (Some(at), true) => drop(role.default_grants.remove(at)),
        (Some(at), false) => role.default_grants[at].grants = new.grants,
        (None, true) => {}
        (None, false) => role.default_grants.push(new),
    }
}

/// PostgreSQL sorts these lists, and no others.
fn sort(grants: &mut [Grant]) {
    grants.sort_by_key(|grant| (grant.grantee, grant.grantor));
}

fn same(left: &[Grant], right: &[Grant]) -> bool {
    left.len() == right.len() && left.iter().all(|grant| right.contains(grant))
}

/// Owner and grants of a new object, in a schema (0 for a schema itself).
pub fn of_new(catalog: &Catalog, owner: u32, kind: Kind, schema: u32) -> ObjectAccess {
    let Some((_, role)) = catalog.role(owner) else { return ObjectAccess::owned_by(owner) };
    let mut grants = present(role, 0, kind);
    if schema != 0 {
        present(role, schema, kind).into_iter().for_each(|grant| acl::add(&mut grants, grant));
    }
    sort(&mut grants);
    // An empty list counts for none, as in PostgreSQL.
    let special = !grants.is_empty() && !same(&grants, &kind.default_grants(0, owner));
    ObjectAccess { grants: special.then_some(grants), ..ObjectAccess::owned_by(owner) }
}

/// Takes a role's grants out of what others' objects will have; its own defaults go altogether.
pub(super) fn forget(execution: &mut Execution<'_>, role: u32) {
    let seen = catalog(execution);
    for (name, entry) in &seen.roles {
        let mut definition = RoleDefinition::clone(&entry.definition);
        let kept = std::mem::take(&mut definition.default_grants);
        if kept.is_empty() {
            continue;
        }
        let owns = definition.oid == role;
        for mut it in kept.into_iter().filter(|_| !owns) {
            it.grants.retain(|grant| grant.grantee != role);
            put(&mut definition, it);
        }
        execution.transaction.put_role(name, definition);
    }
}

/// What was said of schemas that are gone goes with them; a schema that was renamed is still there.
pub fn forget_dropped_schemas(transaction: &mut Transaction) {
    let seen = transaction.view().catalog;
    let is_left = |schema: u32| schema == 0 || seen.schemas.values().any(|entry| entry.definition.oid == schema);
    for (name, entry) in &seen.roles {
        if entry.definition.default_grants.iter().all(|it| is_left(it.schema)) {
            continue;
        }
        let mut definition = RoleDefinition::clone(&entry.definition);
        definition.default_grants.retain(|it| is_left(it.schema));
        transaction.put_role(name, definition);
    }
}

/// The defaults of a role that still mean something: a schema that another statement has dropped meanwhile has none.
pub fn standing<'a>(catalog: &'a Catalog, role: &'a RoleDefinition) -> impl Iterator<Item = &'a DefaultGrants> {
    let is_left = |schema: u32| schema == 0 || catalog.schemas.values().any(|entry| entry.definition.oid == schema);
    role.default_grants.iter().filter(move |it| is_left(it.schema))
}

/// Where a role is mentioned: what DROP ROLE says of it.
pub(super) fn dependencies(catalog: &Catalog, role: u32) -> Vec<String> {
    let mut reasons = Vec::new();
    for (name, entry) in &catalog.roles {
        for it in standing(catalog, &entry.definition) {
            let owns = entry.definition.oid == role;
            if !owns && !it.grants.iter().any(|grant| grant.grantee == role) {
                continue;
            }
            let what = match it.kind {
                Kind::Sequence => "sequences",
                Kind::Schema => "schemas",
                _ => "relations",
            };
            let schema = catalog.schemas.iter().find(|(_, entry)| entry.definition.oid == it.schema);
            let place = schema.map_or_else(String::new, |(schema, _)| format!(" in schema {schema}"));
            let relation = if owns { "owner of" } else { "privileges for" };
            reasons.push(format!("{relation} default privileges on new {what} belonging to role {name}{place}"));
        }
    }
    reasons
}

/// The letter of `pg_default_acl.defaclobjtype`.
pub fn letter(kind: Kind) -> &'static str {
    match kind {
        Kind::Sequence => "S",
        Kind::Schema => "n",
        _ => "r",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_hold_anyway_is_not_kept() {
        let mut role = RoleDefinition::new(7);
        let select = Grant { grantee: 8, grantor: 7, privileges: acl::SELECT, grantable: 0 };
        put(&mut role, DefaultGrants { oid: 1, schema: 5, kind: Kind::Table, grants: vec![select] });
        let mut everywhere = unchanged(7, 0, Kind::Table);
        put(&mut role, DefaultGrants { oid: 2, schema: 0, kind: Kind::Table, grants: everywhere.clone() });
        assert_eq!(role.default_grants.len(), 1);
        everywhere.push(select);
        put(&mut role, DefaultGrants { oid: 2, schema: 0, kind: Kind::Table, grants: everywhere });
        assert_eq!(role.default_grants.len(), 2);
        put(&mut role, DefaultGrants { oid: 1, schema: 5, kind: Kind::Table, grants: Vec::new() });
        put(&mut role, DefaultGrants { oid: 2, schema: 0, kind: Kind::Table, grants: unchanged(7, 0, Kind::Table) });
        assert!(role.default_grants.is_empty());
    }
}
