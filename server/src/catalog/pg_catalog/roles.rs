//! The tables about roles: who there is, who is a member of whom, how their connections are encrypted.

use super::ownership::role_name;
use crate::access::role::{DefaultGrants, Membership, RoleDefinition};
use crate::access::{acl, defaults};
use crate::catalog::built_table::{Cell, Row};
use crate::query::Scope;
use crate::row;

/// Columns and rows of a table of this file.
pub fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let made = match name {
        "pg_roles" => (ROLES, roles(scope, false)),
        "pg_authid" => (ROLES, roles(scope, true)),
        "pg_user" => (USERS, users(scope, false)),
        "pg_shadow" => (USERS, users(scope, true)),
        "pg_group" => ("groname name, grosysid oid, grolist oid[]", groups(scope)),
        "pg_auth_members" => ("roleid oid, member oid, grantor oid, admin_option boolean", members(scope)),
        "pg_db_role_setting" => ("setdatabase oid, setrole oid, setconfig text[]", role_settings(scope)),
        "pg_default_acl" => {
            ("oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype \"char\", defaclacl aclitem[]", default_grants(scope))
        }
        "pg_stat_ssl" => ("pid integer, ssl boolean, version text, cipher text, bits integer", encryption(scope)),
        "pg_stat_gssapi" => {
            ("pid integer, gss_authenticated boolean, encrypted boolean", sessions(scope).map(|pid| row![pid, false, false]).collect())
        }
        _ => return None,
    };
    Some(made)
}

const ROLES: &str = "oid oid, rolname name, rolsuper boolean, rolinherit boolean, rolcreaterole boolean, rolcreatedb boolean, \
    rolcanlogin boolean, rolreplication boolean, rolbypassrls boolean, rolconnlimit integer, rolpassword text, rolvaliduntil timestamptz, \
    rolconfig text[]";

/// `pg_authid` shows what proves a password, to superusers only; everything else shows stars.
fn shown_password(role: &RoleDefinition, secret: bool) -> Option<String> {
    if secret { role.verifier.clone() } else { Some("********".to_string()) }
}

fn valid_until(role: &RoleDefinition) -> Option<chrono::DateTime<chrono::Utc>> {
    role.valid_until_us.and_then(chrono::DateTime::from_timestamp_micros)
}

/// ALTER ROLE ... SET, as `name=value`.
fn config(role: &RoleDefinition) -> Option<Vec<String>> {
    let set = || role.settings.iter().map(|(name, values)| format!("{name}={}", values.join(", "))).collect();
    (!role.settings.is_empty()).then(set)
}

fn roles(scope: &Scope, secret: bool) -> Vec<Row> {
    let all = scope.view.catalog.roles.iter().map(|(name, entry)| (name, &*entry.definition));
    let row = |(name, role): (&String, &RoleDefinition)| {
        row![
            role.oid,
            name,
            role.superuser,
            role.inherit,
            role.create_role,
            role.create_db,
            role.login,
            role.replication,
            role.bypass_rls,
            role.connection_limit,
            shown_password(role, secret),
            valid_until(role),
            config(role)
        ]
    };
    all.map(row).collect()
}

const USERS: &str = "usename name, usesysid oid, usecreatedb boolean, usesuper boolean, userepl boolean, usebypassrls boolean, passwd text, \
    valuntil timestamptz, useconfig text[]";

fn users(scope: &Scope, secret: bool) -> Vec<Row> {
    let all = scope.view.catalog.roles.iter().map(|(name, entry)| (name, &*entry.definition));
    let row = |(name, role): (&String, &RoleDefinition)| {
        let password = shown_password(role, secret);
        let facts = (role.create_db, role.superuser, role.replication, role.bypass_rls);
        row![name, role.oid, facts.0, facts.1, facts.2, facts.3, password, valid_until(role), config(role)]
    };
    all.filter(|(_, role)| role.login).map(row).collect()
}

/// All memberships: (member, membership).
fn memberships(scope: &Scope) -> impl Iterator<Item = (u32, Membership)> {
    let of_one = |role: &RoleDefinition| role.member_of.clone().into_iter().map(|membership| (role.oid, membership)).collect::<Vec<_>>();
    scope.view.catalog.roles.values().flat_map(move |entry| of_one(&entry.definition))
}

fn groups(scope: &Scope) -> Vec<Row> {
    let all = scope.view.catalog.roles.iter().map(|(name, entry)| (name, &*entry.definition));
    let row = |(name, role): (&String, &RoleDefinition)| {
        let members: Vec<u32> = memberships(scope).filter(|(_, of)| of.role == role.oid).map(|(member, _)| member).collect();
        row![name, role.oid, members]
    };
    all.filter(|(_, role)| !role.login).map(row).collect()
}

fn members(scope: &Scope) -> Vec<Row> {
    memberships(scope).map(|(member, of)| row![of.role, member, of.grantor, of.admin]).collect()
}

fn role_settings(scope: &Scope) -> Vec<Row> {
    let row = |role: &RoleDefinition| Some(row![0, role.oid, config(role)?]);
    scope.view.catalog.roles.values().filter_map(|entry| row(&entry.definition)).collect()
}

fn default_grants(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let of_one = |role: &RoleDefinition| {
        let row = |it: &DefaultGrants| {
            let list = acl::text(&it.grants, |oid| role_name(catalog, oid));
            row![it.oid, role.oid, it.schema, defaults::letter(it.kind), list]
        };
        defaults::standing(catalog, role).map(row).collect::<Vec<_>>()
    };
    catalog.roles.values().flat_map(|entry| of_one(&entry.definition)).collect()
}

/// The process ids of the sessions.
fn sessions(scope: &Scope) -> impl Iterator<Item = i32> {
    scope.activity.sessions().into_iter().map(|session| session.identity.process_id)
}

fn encryption(scope: &Scope) -> Vec<Row> {
    let row = |session: crate::engine::activity::Activity| {
        let pid = session.identity.process_id;
        match session.identity.encryption {
            Some(it) => row![pid, true, it.version, it.cipher, it.bits],
            None => row![pid, false, Cell::Null, Cell::Null, Cell::Null],
        }
    };
    scope.activity.sessions().into_iter().map(row).collect()
}
