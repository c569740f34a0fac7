//! CREATE, ALTER and DROP ROLE, memberships. GRANT and REVOKE are in [`grants`], owners in [`owned`], ALTER DEFAULT PRIVILEGES in [`defaults`].

use super::acl::{DATABASE_OID, Grant};
use super::login::DATABASE;
use super::rights::{Rights, memberships};
use super::role::{Membership, PUBLIC_OID, RoleDefinition, SUPERUSER_OID};
use super::{defaults, grants, owned, scram};
use crate::catalog::Catalog;
use crate::ddl::Execution;
use crate::ddl::decision::{SUCCESS, notice};
use crate::error::{Result, SqlError, SqlState};
use crate::session::role_grammar::{AccessStatement, RoleName, RoleOption};
use crate::session::settings;
use crate::types::SqlType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Value};
use std::sync::Arc;

/// Runs a statement; answers its tag.
pub async fn execute(execution: &mut Execution<'_>, statement: &AccessStatement) -> Result<String> {
    let tag = match statement {
        AccessStatement::CreateRole(name, options) => {
            create_role(execution, name, options).await?;
            "CREATE ROLE"
        }
        AccessStatement::AlterRole(name, options) => {
            alter_role(execution, name, options)?;
            "ALTER ROLE"
        }
        AccessStatement::SetDefault(name, setting, values) => {
            set_default(execution, name, setting.as_deref(), values.as_deref())?;
            "ALTER ROLE"
        }
        AccessStatement::RenameRole(from, to) => {
            rename_role(execution, from, to)?;
            "ALTER ROLE"
        }
        AccessStatement::DropRoles(names, if_exists) => {
            drop_roles(execution, names, *if_exists)?;
            "DROP ROLE"
        }
        AccessStatement::GrantRoles(roles, members, admin) => {
            change_memberships(execution, roles, members, Some(*admin), false)?;
            "GRANT ROLE"
        }
        AccessStatement::RevokeRoles(roles, members, only_admin) => {
            change_memberships(execution, roles, members, None, *only_admin)?;
            "REVOKE ROLE"
        }
        AccessStatement::Privileges(change, target) => {
            grants::change(execution, change, target)?;
            if change.grant { "GRANT" } else { "REVOKE" }
        }
        AccessStatement::DefaultPrivileges(change, target) => {
            defaults::change(execution, change, target).await?;
            "ALTER DEFAULT PRIVILEGES"
        }
        AccessStatement::Owner(object, to) => owned::change_owner(execution, object, to)?,
        AccessStatement::ReassignOwned(from, to) => {
            owned::reassign(execution, from, to)?;
            "REASSIGN OWNED"
        }
        AccessStatement::DropOwned(of, cascade) => {
            owned::drop(execution, of, *cascade).await?;
            "DROP OWNED"
        }
    };
    Ok(tag.into())
}

pub(super) fn catalog(execution: &Execution<'_>) -> Arc<Catalog> {
    execution.transaction.view().catalog
}

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
}

pub(super) fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
}

/// Name and OID of a role that a statement names.
pub(super) fn resolve(execution: &Execution<'_>, catalog: &Catalog, name: &RoleName) -> Result<(String, u32)> {
    let name = match name {
        RoleName::Named(name) => name.clone(),
        RoleName::Current => execution.source.user.clone(),
        RoleName::Session => execution.source.session.settings.get("session_authorization").to_string(),
        RoleName::Public => return Ok(("public".into(), PUBLIC_OID)),
    };
    let oid = catalog.roles.get(&name).map(|entry| entry.definition.oid).ok_or_else(|| missing(&name))?;
    Ok((name, oid))
}

pub(super) fn definition(catalog: &Catalog, name: &str) -> Result<RoleDefinition> {
    catalog.roles.get(name).map(|entry| RoleDefinition::clone(&entry.definition)).ok_or_else(|| missing(name))
}

async fn create_role(execution: &mut Execution<'_>, name: &str, options: &[RoleOption]) -> Result<()> {
    let catalog = catalog(execution);
    let rights = Rights::of(&catalog, &execution.source.user);
    if !rights.may_create_roles() {
        return Err(refused("permission denied to create role"));
    }
    check_superuser_options(&rights, options, "create")?;
    check_role_name(name)?;
    if catalog.roles.contains_key(name) {
        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists")));
    }
    let mut ids = execution.ids(1).await?;
    let mut role = RoleDefinition::new(ids.take()?);
    let oid = role.oid;
    // CREATE USER says LOGIN first; what is written wins.
    for option in options {
        apply_option(execution, &mut role, option)?;
    }
    let grantor = rights.role();
    for option in options {
        if let RoleOption::InRole(of) = option {
            for other in of {
                let (other_name, other) = resolve(execution, &catalog, other)?;
                check_admin(&rights, &catalog, &other_name, other)?;
                role.member_of.push(Membership { role: other, grantor, admin: false });
            }
        }
    }
    execution.transaction.put_role(name, role);
    for option in options {
        let (members, admin) = match option {
            RoleOption::Role(members) => (members, false),
            RoleOption::Admin(members) => (members, true),
            _ => continue,
        };
        for member in members {
            let (member, _) = resolve(execution, &catalog, member)?;
            add_member(execution, &member, Membership { role: oid, grantor, admin })?;
        }
    }
    Ok(())
}

fn check_role_name(name: &str) -> Result<()> {
    if name.starts_with("pg_") {
        return Err(SqlError::new(SqlState("42939"), format!("role name \"{name}\" is reserved"))
            .with_detail("Role names starting with \"pg_\" are reserved."));
    }
    if matches!(name, "public" | "none") {
        return Err(SqlError::new(SqlState("42939"), format!("role name \"{name}\" is reserved")));
    }
    Ok(())
}

fn check_superuser_options(rights: &Rights<'_>, options: &[RoleOption], verb: &str) -> Result<()> {
    let touches = |option: &RoleOption| match option {
        RoleOption::Superuser(on) => (*on || verb == "alter").then_some("superuser"),
        RoleOption::Replication(on) => (*on || verb == "alter").then_some("replication user"),
        RoleOption::BypassRls(on) => (*on || verb == "alter").then_some("bypassrls user"),
        _ => None,
    };
    match options.iter().find_map(touches).filter(|_| !rights.is_superuser()) {
        Some("superuser") if verb == "create" => Err(refused("must be superuser to create superusers")),
        Some("replication user") if verb == "create" => Err(refused("must be superuser to create replication users")),
        Some("bypassrls user") if verb == "create" => Err(refused("must be superuser to create bypassrls users")),
        Some("superuser") => Err(refused("must be superuser to alter superuser roles or change superuser attribute")),
        Some(_) => Err(refused("must be superuser to alter replication roles or change replication attribute")),
        None => Ok(()),
    }
}

fn apply_option(execution: &mut Execution<'_>, role: &mut RoleDefinition, option: &RoleOption) -> Result<()> {
    match option {
        RoleOption::Superuser(on) => role.superuser = *on,
        RoleOption::CreateDb(on) => role.create_db = *on,
        RoleOption::CreateRole(on) => role.create_role = *on,
        RoleOption::Inherit(on) => role.inherit = *on,
        RoleOption::Login(on) => role.login = *on,
        RoleOption::Replication(on) => role.replication = *on,
        RoleOption::BypassRls(on) => role.bypass_rls = *on,
        RoleOption::ConnectionLimit(limit) => {
            let invalid = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid connection limit: {limit}"));
            let limit = i32::try_from(*limit).ok().filter(|limit| *limit >= -1);
            role.connection_limit = limit.ok_or_else(invalid)?;
        }
        RoleOption::Password(password) => role.verifier = verifier(execution, password.as_deref())?,
        RoleOption::ValidUntil(text) => role.valid_until_us = valid_until(execution, text)?,
        RoleOption::InRole(_) | RoleOption::Role(_) | RoleOption::Admin(_) => {}
    }
    Ok(())
}

fn verifier(execution: &mut Execution<'_>, password: Option<&str>) -> Result<Option<String>> {
    match password {
        None => Ok(None),
        Some("") => {
            execution.notices.push(notice(SUCCESS, "empty string is not a valid password, clearing password"));
            Ok(None)
        }
        Some(verifier) if scram::is_verifier(verifier) => Ok(Some(verifier.to_string())),
        Some(md5) if md5.len() == 35 && md5.starts_with("md5") => {
            Err(SqlError::unsupported("an MD5 password").with_hint("Give the password, or a SCRAM-SHA-256 verifier."))
        }
        Some(password) => Ok(Some(scram::verifier_of(password))),
    }
}

fn valid_until(execution: &Execution<'_>, text: &str) -> Result<Option<i64>> {
    if text.eq_ignore_ascii_case("infinity") {
        return Ok(None);
    }
    let literal = Expr::Value(Value::SingleQuotedString(text.to_string()).into());
    let context = execution.source.context(execution.transaction.view());
    match context.constant(&literal, &SqlType::parse("timestamptz")?)? {
        ScalarValue::TimestampMicrosecond(Some(at), _) => Ok(Some(at)),
        _ => Err(SqlError::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid input syntax for type timestamp with time zone: \"{text}\""),
        )),
    }
}

fn alter_role(execution: &mut Execution<'_>, name: &RoleName, options: &[RoleOption]) -> Result<()> {
    let catalog = catalog(execution);
    let rights = Rights::of(&catalog, &execution.source.user);
    let (name, oid) = resolve(execution, &catalog, name)?;
    let mut role = definition(&catalog, &name)?;
    if RoleDefinition::is_predefined(oid) {
        return Err(SqlError::new(SqlState("42939"), format!("role name \"{name}\" is reserved")));
    }
    check_superuser_options(&rights, options, "alter")?;
    if role.superuser && !rights.is_superuser() {
        return Err(refused("must be superuser to alter superuser roles or change superuser attribute"));
    }
    let own_password = oid == rights.role() && options.iter().all(|option| matches!(option, RoleOption::Password(_)));
    if !rights.may_create_roles() && !own_password {
        return Err(refused("permission denied"));
    }
    for option in options {
        // It is the way in when there is no other.
        if oid == SUPERUSER_OID && matches!(option, RoleOption::Superuser(false) | RoleOption::Login(false)) {
            return Err(SqlError::unsupported("taking SUPERUSER or LOGIN from the first superuser"));
        }
        apply_option(execution, &mut role, option)?;
    }
    let grantor = rights.role();
    execution.transaction.put_role(&name, role);
    for option in options {
        if let RoleOption::Role(members) = option {
            for member in members {
                let (member, _) = resolve(execution, &catalog, member)?;
                add_member(execution, &member, Membership { role: oid, grantor, admin: false })?;
            }
        }
    }
    Ok(())
}

fn set_default(execution: &mut Execution<'_>, name: &RoleName, setting: Option<&str>, values: Option<&[String]>) -> Result<()> {
    let catalog = catalog(execution);
    let rights = Rights::of(&catalog, &execution.source.user);
    let (name, oid) = resolve(execution, &catalog, name)?;
    let mut role = definition(&catalog, &name)?;
    if role.superuser && !rights.is_superuser() {
        return Err(refused("must be superuser to alter superusers"));
    }
    if !rights.may_create_roles() && oid != rights.role() {
        return Err(refused("permission denied"));
    }
    match (setting, values) {
        (None, _) => role.settings.clear(),
        (Some(setting), None) => drop(role.settings.remove(settings::full_name(setting)?)),
        (Some(setting), Some(values)) => {
            let setting = settings::full_name(setting)?.to_string();
            // A value that would not do is refused now, not when the role comes in.
            execution.source.session.settings.clone().set(&setting, Some(values), false)?;
            role.settings.insert(setting, values.to_vec());
        }
    }
    execution.transaction.put_role(&name, role);
    Ok(())
}

fn rename_role(execution: &mut Execution<'_>, from: &str, to: &str) -> Result<()> {
    let catalog = catalog(execution);
    let rights = Rights::of(&catalog, &execution.source.user);
    let role = definition(&catalog, from)?;
    check_role_name(to)?;
    if RoleDefinition::is_predefined(role.oid) {
        return Err(SqlError::new(SqlState("42939"), format!("role name \"{from}\" is reserved")));
    }
    if role.oid == SUPERUSER_OID {
        return Err(SqlError::unsupported("renaming the first superuser"));
    }
    if catalog.roles.contains_key(to) {
        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, format!("role \"{to}\" already exists")));
    }
    if from == execution.source.user {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "current user cannot be renamed"));
    }
    if role.superuser && !rights.is_superuser() {
        return Err(refused("must be superuser to rename superusers"));
    }
    if !rights.may_create_roles() {
        return Err(refused("permission denied to rename role"));
    }
    execution.transaction.drop_role(from);
    execution.transaction.put_role(to, role);
    Ok(())
}

fn drop_roles(execution: &mut Execution<'_>, names: &[RoleName], if_exists: bool) -> Result<()> {
    for name in names {
        let catalog = catalog(execution);
        let rights = Rights::of(&catalog, &execution.source.user);
        if !rights.may_create_roles() {
            return Err(refused("permission denied to drop role"));
        }
        if !matches!(name, RoleName::Named(_)) {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "cannot use special role specifier in DROP ROLE"));
        }
        let (name, oid) = match resolve(execution, &catalog, name) {
            Err(error) if if_exists && error.state == SqlState::UNDEFINED_OBJECT => {
                execution.notices.push(notice(SUCCESS, format!("{}, skipping", error.message)));
                continue;
            }
            found => found?,
        };
        check_droppable(execution, &catalog, &rights, &name, oid)?;
        execution.transaction.drop_role(&name);
        for (other, entry) in &catalog.roles {
            if entry.definition.member_of.iter().any(|membership| membership.role == oid) {
                let mut role = RoleDefinition::clone(&entry.definition);
                role.member_of.retain(|membership| membership.role != oid);
                execution.transaction.put_role(other, role);
            }
        }
    }
    Ok(())
}

fn check_droppable(execution: &Execution<'_>, catalog: &Catalog, rights: &Rights<'_>, name: &str, oid: u32) -> Result<()> {
    let in_use = |message: &'static str| Err(SqlError::new(SqlState::OBJECT_IN_USE, message));
    if name == execution.source.user {
        return in_use("current user cannot be dropped");
    }
    if name == execution.source.session.settings.get("session_authorization") {
        return in_use("session user cannot be dropped");
    }
    if oid == SUPERUSER_OID || RoleDefinition::is_predefined(oid) {
        let message = format!("cannot drop role {name} because it is required by the database system");
        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
    }
    if catalog.role(oid).is_some_and(|(_, role)| role.superuser) && !rights.is_superuser() {
        return Err(refused("must be superuser to drop superusers"));
    }
    let reasons = dependencies(catalog, oid);
    if reasons.is_empty() {
        return Ok(());
    }
    let message = format!("role \"{name}\" cannot be dropped because some objects depend on it");
    Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).with_detail(reasons.join("\n")))
}

/// What a role owns, and where it has privileges.
fn dependencies(catalog: &Catalog, role: u32) -> Vec<String> {
    let mut reasons = Vec::new();
    for (oid, entry) in &catalog.access {
        let what = described(catalog, *oid);
        let granted = |grants: &Vec<Grant>| grants.iter().any(|grant| grant.grantee == role || grant.grantor == role);
        if entry.definition.owner == role {
            reasons.push(format!("owner of {what}"));
        } else if entry.definition.grants.as_ref().is_some_and(granted) || entry.definition.columns.values().any(granted) {
            reasons.push(format!("privileges for {what}"));
        }
    }
    reasons.extend(defaults::dependencies(catalog, role));
    reasons
}

fn described(catalog: &Catalog, oid: u32) -> String {
    if oid == DATABASE_OID {
        return format!("database {DATABASE}");
    }
    if let Some(found) = catalog.by_oid(oid) {
        let name =
            if found.schema == crate::catalog::PUBLIC_SCHEMA { found.name.to_string() } else { format!("{}.{}", found.schema, found.name) };
        return format!("{} {name}", found.relation().kind());
    }
    if let Some((name, _)) = catalog.extensions.iter().find(|(_, entry)| entry.definition.oid == oid) {
        return format!("extension {name}");
    }
    let schema = catalog.schemas.iter().find(|(_, entry)| entry.definition.oid == oid);
    schema.map_or_else(|| format!("object {oid}"), |(name, _)| format!("schema {name}"))
}

fn check_admin(rights: &Rights<'_>, catalog: &Catalog, name: &str, oid: u32) -> Result<()> {
    let superuser = catalog.role(oid).is_some_and(|(_, role)| role.superuser);
    if superuser && !rights.is_superuser() {
        return Err(refused("must be superuser to alter superusers"));
    }
    let allowed = rights.may_admin(oid) || (rights.may_create_roles() && !RoleDefinition::is_predefined(oid));
    if allowed { Ok(()) } else { Err(refused(format!("must have admin option on role \"{name}\""))) }
}

fn change_memberships(
    execution: &mut Execution<'_>,
    roles: &[String],
    members: &[RoleName],
    grant: Option<bool>,
    only_admin: bool,
) -> Result<()> {
    let catalog = catalog(execution);
    let rights = Rights::of(&catalog, &execution.source.user);
    for role in roles {
        let (role, oid) = resolve(execution, &catalog, &RoleName::Named(role.clone()))?;
        check_admin(&rights, &catalog, &role, oid)?;
        for member in members {
            if *member == RoleName::Public {
                return Err(missing("public"));
            }
            let (member, _) = resolve(execution, &catalog, member)?;
            match grant {
                Some(admin) => add_member(execution, &member, Membership { role: oid, grantor: rights.role(), admin })?,
                None => remove_member(execution, &member, (&role, oid), only_admin)?,
            }
        }
    }
    Ok(())
}

fn add_member(execution: &mut Execution<'_>, member: &str, new: Membership) -> Result<()> {
    let catalog = catalog(execution);
    let mut definition = definition(&catalog, member)?;
    let role = catalog.role_name(new.role).unwrap_or_default().to_string();
    if memberships(&catalog, new.role, false).contains(&definition.oid) {
        let message = format!("role \"{role}\" is a member of role \"{member}\"");
        return Err(SqlError::new(SqlState("0LP01"), message));
    }
    match definition.member_of.iter_mut().find(|membership| membership.role == new.role) {
        Some(present) if present.admin >= new.admin => {
            execution.notices.push(notice(SUCCESS, format!("role \"{member}\" is already a member of role \"{role}\"")));
            return Ok(());
        }
        Some(present) => *present = new,
        None => definition.member_of.push(new),
    }
    execution.transaction.put_role(member, definition);
    Ok(())
}

fn remove_member(execution: &mut Execution<'_>, member: &str, (role, oid): (&str, u32), only_admin: bool) -> Result<()> {
    let mut definition = definition(&catalog(execution), member)?;
    let Some(at) = definition.member_of.iter().position(|membership| membership.role == oid) else {
        let mut warning = notice(SUCCESS, format!("role \"{member}\" is not a member of role \"{role}\""));
        (warning.severity, warning.error.state) = ("WARNING", SqlState("01000"));
        execution.notices.push(warning);
        return Ok(());
    };
    if only_admin {
        definition.member_of[at].admin = false;
    } else {
        definition.member_of.remove(at);
    }
    execution.transaction.put_role(member, definition);
    Ok(())
}
