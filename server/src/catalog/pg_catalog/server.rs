//! The tables about the server: database, roles, settings, sessions.

use super::{OWNER_OID, locks, ownership};
use crate::catalog::built_table::{Cell, Row};
use crate::query::Scope;
use crate::row;
use crate::session::settings::confidential;

/// Columns and rows of a table of this file.
pub fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let made = match name {
        "pg_database" => (DATABASE, databases(scope)),
        "pg_tablespace" => (
            "oid oid, spcname name, spcowner oid, spcacl text[], spcoptions text[]",
            vec![
                row![DEFAULT_TABLESPACE, "pg_default", OWNER_OID, Cell::Null, Cell::Null],
                row![1664, "pg_global", OWNER_OID, Cell::Null, Cell::Null],
            ],
        ),
        "pg_settings" => (SETTINGS, settings(scope)),
        "pg_locks" => (locks::LOCKS, locks::rows(scope)),
        "pg_cursors" => (CURSORS, cursors(scope)),
        "pg_prepared_statements" => (PREPARED, prepared(scope)),
        "pg_stat_activity" => (ACTIVITY, activity(scope)),
        _ => return None,
    };
    Some(made)
}

/// The OID of the only database.
pub const DATABASE_OID: u32 = 5;
const DEFAULT_TABLESPACE: u32 = 1663;
/// `pg_database.encoding` of UTF8.
const UTF8: i32 = 6;

const DATABASE: &str = "oid oid, datname name, datdba oid, encoding integer, datlocprovider text, datistemplate boolean, \
    datallowconn boolean, datconnlimit integer, datfrozenxid bigint, datminmxid bigint, dattablespace oid, datcollate text, datctype text, \
    daticulocale text, datcollversion text, datacl text[]";

fn databases(scope: &Scope) -> Vec<Row> {
    vec![row![
        DATABASE_OID,
        &scope.database,
        ownership::owner(&scope.view.catalog, DATABASE_OID),
        UTF8,
        "c",
        false,
        true,
        -1,
        0,
        0,
        DEFAULT_TABLESPACE,
        "C",
        "C",
        Cell::Null,
        Cell::Null,
        ownership::list(&scope.view.catalog, DATABASE_OID)
    ]]
}

const SETTINGS: &str = "name text, setting text, unit text, category text, short_desc text, extra_desc text, context text, vartype text, \
    source text, min_val text, max_val text, enumvals text[], boot_val text, reset_val text, sourcefile text, sourceline integer, \
    pending_restart boolean";

fn settings(scope: &Scope) -> Vec<Row> {
    let row = |setting: crate::session::settings::Described| {
        row![
            setting.name,
            setting.value,
            setting.unit,
            setting.category,
            setting.description,
            Cell::Null,
            setting.context,
            setting.kind,
            setting.source,
            setting.min,
            setting.max,
            setting.words,
            setting.built_in,
            setting.reset,
            Cell::Null,
            Cell::Null,
            false
        ]
    };
    let rights = scope.rights_of_user();
    let shown = scope.session.settings.described().filter(|setting| confidential::check(&setting.name, &rights).is_ok());
    shown.map(row).collect()
}

const CURSORS: &str = "name text, statement text, is_holdable boolean, is_binary boolean, is_scrollable boolean, creation_time timestamptz";

fn cursors(scope: &Scope) -> Vec<Row> {
    let all = scope.session.cursors.iter();
    all.map(|c| row![&c.name, c.statement.to_string(), c.holdable, c.binary, c.scrollable, c.created]).collect()
}

const PREPARED: &str = "name text, statement text, prepare_time timestamptz, parameter_types text[], from_sql boolean, \
    generic_plans bigint, custom_plans bigint";

fn prepared(scope: &Scope) -> Vec<Row> {
    let row = |p: &crate::session::prepared::PreparedFacts| {
        let types: Vec<String> = p.parameters.iter().map(crate::types::SqlType::name).collect();
        row![&p.name, p.statement.to_string(), p.prepared, types, p.from_sql, 0, 0]
    };
    scope.session.prepared.iter().map(row).collect()
}

const ACTIVITY: &str = "datid oid, datname name, pid integer, leader_pid integer, usesysid oid, usename name, application_name text, \
    client_addr text, client_hostname text, client_port integer, backend_start timestamptz, xact_start timestamptz, query_start timestamptz, \
    state_change timestamptz, wait_event_type text, wait_event text, state text, backend_xid bigint, backend_xmin bigint, query_id bigint, \
    query text, backend_type text";

fn activity(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let rights = scope.rights_of_user();
    let all = rights.has_role(crate::access::role::READ_ALL_STATS_OID);
    let row = |session: crate::engine::activity::Activity| {
        let idle = session.state != "active";
        let user = catalog.roles.get(&session.identity.user).map(|entry| entry.definition.oid);
        let own = user.is_some_and(|oid| rights.has_role(oid));
        let shown = own || all;
        let lock = scope.activity.locks().wait_event(session.identity.process_id);
        let query = if shown { session.query } else { "<insufficient privilege>".to_string() };
        let address = session.identity.client_address.filter(|_| shown);
        row![
            DATABASE_OID,
            session.identity.database,
            session.identity.process_id,
            Cell::Null,
            user,
            session.identity.user,
            Cell::from(session.application_name).filter(shown),
            address.map(|a| a.ip().to_string()),
            Cell::Null,
            address.map(|a| a.port()),
            Cell::from(session.connected).filter(shown),
            Cell::from(session.xact_start).filter(shown),
            Cell::from(session.query_start).filter(shown),
            Cell::from(session.since).filter(shown),
            Cell::from(if idle { Some("Client") } else { lock.map(|_| "Lock") }).filter(shown),
            Cell::from(if idle { Some("ClientRead") } else { lock }).filter(shown),
            Cell::from(session.state).filter(shown),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            query,
            "client backend"
        ]
    };
    scope.activity.sessions().into_iter().map(row).collect()
}
