//! Roles, as the log keeps them, and those that PostgreSQL has built in.

use super::acl::{Grant, Kind};
use crate::catalog::Entry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The superuser that every server has.
pub const SUPERUSER: &str = "plimsoll";
/// Its OID, PostgreSQL's own.
pub const SUPERUSER_OID: u32 = 10;
/// PUBLIC: everybody.
pub const PUBLIC_OID: u32 = 0;
/// The role whose only member is the owner of the database.
pub const DATABASE_OWNER_OID: u32 = 6171;
/// May read all data.
pub const READ_ALL_DATA_OID: u32 = 6181;
/// May write all data.
pub const WRITE_ALL_DATA_OID: u32 = 6182;
/// May see what others run.
pub const READ_ALL_STATS_OID: u32 = 3375;
/// May cancel and end the sessions of others than superusers.
pub const SIGNAL_BACKEND_OID: u32 = 4200;
/// May see settings that are kept from others.
pub const READ_ALL_SETTINGS_OID: u32 = 3374;
/// May read files of the server.
pub const READ_SERVER_FILES_OID: u32 = 4569;
/// May write files of the server.
pub const WRITE_SERVER_FILES_OID: u32 = 4570;

/// PostgreSQL's built-in roles.
const PREDEFINED: [(&str, u32); 12] = [
    ("pg_checkpoint", 4544),
    ("pg_database_owner", DATABASE_OWNER_OID),
    ("pg_execute_server_program", 4571),
    ("pg_monitor", 3373),
    ("pg_read_all_data", READ_ALL_DATA_OID),
    ("pg_read_all_settings", READ_ALL_SETTINGS_OID),
    ("pg_read_all_stats", READ_ALL_STATS_OID),
    ("pg_read_server_files", READ_SERVER_FILES_OID),
    ("pg_signal_backend", SIGNAL_BACKEND_OID),
    ("pg_stat_scan_tables", 3377),
    ("pg_write_all_data", WRITE_ALL_DATA_OID),
    ("pg_write_server_files", WRITE_SERVER_FILES_OID),
];

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleDefinition {
    /// Stable OID.
    pub oid: u32,
    /// May do everything.
    pub superuser: bool,
    /// Has the privileges of the roles that it is a member of.
    pub inherit: bool,
    /// May make roles.
    pub create_role: bool,
    /// May make databases (there is one; kept for clients that ask).
    pub create_db: bool,
    /// May connect.
    pub login: bool,
    /// Kept for clients that ask.
    pub replication: bool,
    /// Kept for clients that ask.
    pub bypass_rls: bool,
    /// Connections at once; -1: no limit.
    pub connection_limit: i32,
    /// What proves its password: `SCRAM-SHA-256$...`; `None`: no password lets it in.
    pub verifier: Option<String>,
    /// The password is good until then, in microseconds since 1970; `None`: for ever.
    pub valid_until_us: Option<i64>,
    /// The roles that it is a member of.
    pub member_of: Vec<Membership>,
    /// ALTER ROLE ... SET.
    pub settings: BTreeMap<String, Vec<String>>,
    /// ALTER DEFAULT PRIVILEGES.
    #[serde(default)]
    pub default_grants: Vec<DefaultGrants>,
}

/// What is granted on the objects of one kind that a role makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultGrants {
    /// OID of the row in `pg_default_acl`.
    pub oid: u32,
    /// In this schema, on top of what holds everywhere; 0: everywhere.
    pub schema: u32,
    /// On what.
    pub kind: Kind,
    /// To whom.
    pub grants: Vec<Grant>,
}

/// One role's membership in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The other role.
    pub role: u32,
    /// Whoever granted it.
    pub grantor: u32,
    /// WITH ADMIN OPTION.
    pub admin: bool,
}

impl RoleDefinition {
    /// A role as CREATE ROLE without options makes it.
    pub fn new(oid: u32) -> Self {
        Self {
            oid,
            superuser: false,
            inherit: true,
            create_role: false,
            create_db: false,
            login: false,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            verifier: None,
            valid_until_us: None,
            member_of: Vec::new(),
            settings: BTreeMap::new(),
            default_grants: Vec::new(),
        }
    }

    /// The superuser before anything is known of it.
    pub fn first_superuser() -> Self {
        Self {
            superuser: true,
            create_role: true,
            create_db: true,
            login: true,
            replication: true,
            bypass_rls: true,
            ..Self::new(SUPERUSER_OID)
        }
    }

    /// Whether a role of this OID is built in.
    pub fn is_predefined(oid: u32) -> bool {
        PREDEFINED.iter().any(|(_, known)| *known == oid)
    }
}

/// The roles that exist before the log says anything.
pub fn built_in() -> BTreeMap<String, Entry<RoleDefinition>> {
    let entry = |definition| Entry { version: None, definition: Arc::new(definition) };
    let mut roles: BTreeMap<_, _> = PREDEFINED.iter().map(|(name, oid)| ((*name).to_string(), entry(predefined(*oid)))).collect();
    roles.insert(SUPERUSER.to_string(), entry(RoleDefinition::first_superuser()));
    roles
}

fn predefined(oid: u32) -> RoleDefinition {
    let member = |role| Membership { role, grantor: SUPERUSER_OID, admin: false };
    let mut role = RoleDefinition::new(oid);
    if oid == 3373 {
        role.member_of = [3374, READ_ALL_STATS_OID, 3377].map(member).into();
    }
    role
}
