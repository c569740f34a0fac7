//! GRANT and REVOKE.

use super::acl::{self, DATABASE_OID, Grant, Kind, ObjectAccess, Privileges};
use super::login::DATABASE;
use super::rights::{Rights, access, denied, kind_of};
use super::role::PUBLIC_OID;
use super::statements::{catalog, resolve};
use crate::catalog::lookup::Found;
use crate::catalog::{Catalog, Relation};
use crate::ddl::Execution;
use crate::ddl::decision::{SUCCESS, notice};
use crate::error::{Result, SqlError, SqlState};
use crate::session::role_grammar::{GrantTarget, PrivilegeChange};
use datafusion::sql::sqlparser::ast::ObjectName;

/// One object that GRANT or REVOKE is on.
struct Granted {
    kind: Kind,
    oid: u32,
    name: String,
    word: &'static str,
}

fn relation(found: &Found<'_>) -> Granted {
    Granted { kind: kind_of(found.relation()), oid: found.relation().oid(), name: found.name.to_string(), word: found.relation().kind() }
}

fn objects(execution: &Execution<'_>, catalog: &Catalog, target: &GrantTarget) -> Result<Vec<Granted>> {
    let scope = execution.source.scope(catalog);
    let schema_oid = |name: &String| {
        catalog.require_schema(name)?;
        Ok::<u32, SqlError>(catalog.schemas.get(name).map_or(0, |entry| entry.definition.oid))
    };
    let in_schemas = |schemas: &[String], sequences: bool| -> Result<Vec<Granted>> {
        let mut all = Vec::new();
        for schema in schemas {
            catalog.require_schema(schema)?;
            let wanted = |found: &Found<'_>| matches!(found.relation(), Relation::Sequence(_)) == sequences;
            all.extend(catalog.in_schema(schema).filter(wanted).map(|found| relation(&found)));
        }
        Ok(all)
    };
    let named = |name: &ObjectName| scope.require(name).map(|found| relation(&found));
    match target {
        GrantTarget::Tables(names) => names.iter().map(named).collect(),
        GrantTarget::Sequences(names) => names
            .iter()
            .map(|name| {
                let found = scope.require(name)?;
                if matches!(found.relation(), Relation::Sequence(_)) { Ok(relation(&found)) } else { Err(found.wrong_kind("sequence")) }
            })
            .collect(),
        GrantTarget::Schemas(names) => names
            .iter()
            .map(|name| Ok(Granted { kind: Kind::Schema, oid: schema_oid(name)?, name: name.clone(), word: "schema" }))
            .collect(),
        GrantTarget::Databases(names) => names
            .iter()
            .map(|name| {
                if name != DATABASE {
                    return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist")));
                }
                Ok(Granted { kind: Kind::Database, oid: DATABASE_OID, name: name.clone(), word: "database" })
            })
            .collect(),
        GrantTarget::AllTables(schemas) => in_schemas(schemas, false),
        GrantTarget::AllSequences(schemas) => in_schemas(schemas, true),
    }
}

/// GRANT, or REVOKE, on objects.
pub(super) fn change(execution: &mut Execution<'_>, change: &PrivilegeChange, target: &GrantTarget) -> Result<()> {
    let seen = catalog(execution);
    let grantees = change.grantees.iter().map(|name| resolve(execution, &seen, name).map(|(_, oid)| oid)).collect::<Result<Vec<_>>>()?;
    if change.grant && change.option && grantees.contains(&PUBLIC_OID) {
        return Err(SqlError::new(SqlState("0LP01"), "grant options can only be granted to roles"));
    }
    for object in objects(execution, &seen, target)? {
        let catalog = catalog(execution);
        change_one(execution, &catalog, change, &object, &grantees)?;
    }
    Ok(())
}

fn change_one(
    execution: &mut Execution<'_>,
    catalog: &Catalog,
    change: &PrivilegeChange,
    object: &Granted,
    grantees: &[u32],
) -> Result<()> {
    let rights = Rights::of(catalog, &execution.source.user);
    let mut access = ObjectAccess::clone(&access(catalog, object.oid));
    let (_, grantable) = rights.privileges(object.kind, object.oid);
    // Whoever has the owner's rights grants as the owner.
    let grantor = if rights.owns(object.oid) { access.owner } else { rights.role() };
    let (whole, by_column) = wanted(catalog, change, object)?;
    let asked = by_column.iter().fold(whole, |all, (_, some)| all | some);
    let allowed = asked & grantable;
    warn_of_less(execution, &rights, change, object, (asked, allowed))?;
    let mut grants = access.effective(object.kind, object.oid);
    for grantee in grantees {
        edit(&mut grants, change, (*grantee, grantor, access.owner), whole & allowed)?;
        for (column, privileges) in &by_column {
            let owner = access.owner;
            edit(access.columns.entry(*column).or_default(), change, (*grantee, grantor, owner), privileges & allowed)?;
        }
        if !change.grant && object.kind == Kind::Table {
            // A privilege on the whole table, taken away, is taken on its columns too.
            let whole = whole & allowed & Kind::Column.all();
            access.columns.values_mut().for_each(|grants| acl::remove(grants, *grantee, grantor, whole, change.option));
        }
    }
    access.columns.retain(|_, grants| !grants.is_empty());
    if whole != 0 {
        access.grants = Some(grants);
    }
    execution.transaction.put_access(object.oid, access);
    Ok(())
}

/// Says that less is done than was asked for; 42501 where the role has nothing to do with the object.
fn warn_of_less(
    execution: &mut Execution<'_>,
    rights: &Rights<'_>,
    change: &PrivilegeChange,
    object: &Granted,
    (asked, allowed): (Privileges, Privileges),
) -> Result<()> {
    if allowed == asked || (allowed != 0 && change.privileges.is_empty()) {
        return Ok(());
    }
    let has_some = rights.has_any(object.kind, object.oid, object.kind.all())
        || (object.kind == Kind::Table && acl::names(Kind::Column.all()).any(|(one, _)| rights.has_on_any_column(object.oid, one)));
    if allowed == 0 && !has_some {
        return Err(denied(object.word, &object.name));
    }
    let (verb, code) = if change.grant { ("granted", "01007") } else { ("could be revoked", "01006") };
    let which = if allowed == 0 { "no" } else { "not all" };
    let verb = if change.grant { format!("were {verb}") } else { verb.to_string() };
    let mut warning = notice(SUCCESS, format!("{which} privileges {verb} for \"{}\"", object.name));
    (warning.severity, warning.error.state) = ("WARNING", SqlState(code));
    execution.notices.push(warning);
    Ok(())
}

/// Adds to a list what is granted, or takes from it what is revoked.
pub(super) fn edit(
    grants: &mut Vec<Grant>,
    change: &PrivilegeChange,
    (grantee, grantor, owner): (u32, u32, u32),
    privileges: Privileges,
) -> Result<()> {
    if privileges == 0 {
        return Ok(());
    }
    if change.grant {
        acl::add(grants, Grant { grantee, grantor, privileges, grantable: if change.option { privileges } else { 0 } });
        return Ok(());
    }
    acl::remove(grants, grantee, grantor, privileges, change.option);
    // An owner can always give what is its own: nothing depends on what it takes from itself.
    if grantee == owner { Ok(()) } else { revoke_dependent(grants, grantee, privileges, change.cascade) }
}

/// Takes out of a list what a role has, and what others have through it.
pub(super) fn forget(grants: &mut Vec<Grant>, role: u32) {
    grants.retain(|grant| grant.grantee != role);
    // With CASCADE nothing is refused.
    let _ = revoke_dependent(grants, role, Privileges::MAX, true);
}

/// What the grantee gave on without still having the right to.
fn revoke_dependent(grants: &mut Vec<Grant>, grantee: u32, privileges: Privileges, cascade: bool) -> Result<()> {
    let mut lost = vec![grantee];
    while let Some(role) = lost.pop() {
        let still = grants.iter().filter(|grant| grant.grantee == role).fold(0, |all, grant| all | grant.grantable);
        let gone = privileges & !still;
        let dependent = |grant: &&mut Grant| grant.grantor == role && grant.grantee != role && grant.privileges & gone != 0;
        for grant in grants.iter_mut().filter(dependent) {
            if !cascade {
                return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, "dependent privileges exist")
                    .with_hint("Use CASCADE to revoke them too."));
            }
            grant.privileges &= !gone;
            grant.grantable &= !gone;
            lost.push(grant.grantee);
        }
        grants.retain(|grant| grant.privileges != 0);
    }
    Ok(())
}

/// What is granted on the whole object, and on which columns.
fn wanted(catalog: &Catalog, change: &PrivilegeChange, object: &Granted) -> Result<(Privileges, Vec<(u32, Privileges)>)> {
    if change.privileges.is_empty() {
        return Ok((object.kind.all(), Vec::new()));
    }
    let (mut whole, mut by_column) = (0, Vec::new());
    for (name, columns) in &change.privileges {
        if name == "usage" && object.kind == Kind::Table {
            return Err(SqlError::new(SqlState("0LP01"), "invalid privilege type USAGE for table"));
        }
        let privilege = privilege(name, if columns.is_empty() { object.kind } else { Kind::Column })?;
        if columns.is_empty() {
            whole |= privilege;
            continue;
        }
        let found = catalog.by_oid(object.oid).filter(|_| object.kind == Kind::Table);
        let Some(found) = found else { return Err(SqlError::new(SqlState("0LP01"), "column privileges are only valid for relations")) };
        let Relation::Table(table) = found.relation() else { return Err(SqlError::unsupported("privileges on the columns of a view")) };
        for column in columns {
            by_column.push((table.require_column(found.name, column)?.id.0, privilege));
        }
    }
    Ok((whole, by_column))
}

/// The privilege of a word, if there is such a one on such an object.
fn privilege(name: &str, kind: Kind) -> Result<Privileges> {
    if name == "all" {
        return Ok(kind.all());
    }
    let unknown = || SqlError::new(SqlState::SYNTAX_ERROR, format!("unrecognized privilege type \"{name}\""));
    let privilege = acl::named(name).ok_or_else(unknown)?;
    if privilege & !kind.all() != 0 {
        let text = name.to_uppercase();
        return Err(SqlError::new(SqlState("0LP01"), format!("invalid privilege type {text} for {}", kind_word(kind))));
    }
    Ok(privilege)
}

/// The privileges of a statement that cannot name columns.
pub(super) fn whole_privileges(change: &PrivilegeChange, kind: Kind) -> Result<Privileges> {
    if change.privileges.is_empty() {
        return Ok(kind.all());
    }
    if change.privileges.iter().any(|(_, columns)| !columns.is_empty()) {
        return Err(SqlError::new(SqlState("0LP01"), "default privileges cannot be set for columns"));
    }
    change.privileges.iter().try_fold(0, |all, (name, _)| Ok(all | privilege(name, kind)?))
}

fn kind_word(kind: Kind) -> &'static str {
    if kind == Kind::Table { "relation" } else { kind.word() }
}
