//! The statistics views over tables and the database: counts of rows are exact here; what was done is counted since the start of the server
//! ([`crate::engine::counters`]); what is not counted is 0, as in a fresh PostgreSQL.

use super::{oids, relations, server};
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::lookup::Found;
use crate::query::Scope;
use crate::row;

/// Columns and rows of a table of this file.
pub fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let made = match name {
        "pg_stat_user_tables" | "pg_stat_all_tables" => (TABLES, of_tables(scope)),
        "pg_statio_user_tables" | "pg_statio_all_tables" => (TABLE_BLOCKS, table_blocks(scope)),
        "pg_stat_user_indexes" | "pg_stat_all_indexes" => (INDEXES, of_indexes(scope)),
        "pg_statio_user_indexes" | "pg_statio_all_indexes" => (INDEX_BLOCKS, index_blocks(scope)),
        "pg_stat_database" => (DATABASE, vec![of_database(scope)]),
        "pg_stat_database_conflicts" => (CONFLICTS, vec![row![server::DATABASE_OID, &scope.database, 0, 0, 0, 0, 0]]),
        "pg_stat_bgwriter" => (BGWRITER, vec![row![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, scope.activity.counters().since()]]),
        "pg_stat_archiver" => (ARCHIVER, vec![row![0, 0, scope.activity.counters().since()]]),
        "pg_stat_wal" => (WAL, vec![row![scope.view.snapshot.state.index.0, 0, 0, 0, 0, 0, 0, 0, scope.activity.counters().since()]]),
        _ => return None,
    };
    Some(made)
}

const TABLES: &str = "relid oid, schemaname name, relname name, seq_scan bigint, seq_tup_read bigint, idx_scan bigint, idx_tup_fetch bigint, \
    n_tup_ins bigint, n_tup_upd bigint, n_tup_del bigint, n_tup_hot_upd bigint, n_live_tup bigint, n_dead_tup bigint, \
    n_mod_since_analyze bigint, n_ins_since_vacuum bigint, last_vacuum timestamptz, last_autovacuum timestamptz, last_analyze timestamptz, \
    last_autoanalyze timestamptz, vacuum_count bigint, autovacuum_count bigint, analyze_count bigint, \
    autoanalyze_count bigint";

/// Each table with its OID.
fn tables(scope: &Scope) -> impl Iterator<Item = (Found<'_>, u32)> {
    scope.view.catalog.all().filter_map(|found| Some((found, found.relation().as_table()?.oid)))
}

fn of_tables(scope: &Scope) -> Vec<Row> {
    let counters = scope.activity.counters();
    let row = |(found, oid): (Found<'_>, u32)| {
        let live = relations::rows(scope, oid);
        let written: u64 = scope.view.units(oid).iter().map(|unit| unit.rows).sum();
        let dead = written.saturating_sub(live);
        let did = counters.of_table(oid);
        row![
            oid,
            found.schema,
            found.name,
            did.scans,
            did.rows_read,
            0,
            0,
            did.inserted,
            did.updated,
            did.deleted,
            0,
            live,
            dead,
            0,
            0,
            did.last_vacuum,
            Cell::Null,
            did.last_analyze,
            Cell::Null,
            did.vacuums,
            0,
            did.analyzes,
            0
        ]
    };
    tables(scope).map(row).collect()
}

const TABLE_BLOCKS: &str = "relid oid, schemaname name, relname name, heap_blks_read bigint, heap_blks_hit bigint, idx_blks_read bigint, \
    idx_blks_hit bigint";

fn table_blocks(scope: &Scope) -> Vec<Row> {
    tables(scope).map(|(found, oid)| row![oid, found.schema, found.name, 0, 0, 0, 0]).collect()
}

const INDEXES: &str = "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name, idx_scan bigint, idx_tup_read bigint, \
    idx_tup_fetch bigint";

fn of_indexes(scope: &Scope) -> Vec<Row> {
    let row = |index: oids::Numbered<'_>| {
        row![index.table.oid, index.oid, index.found.schema, index.found.name, index.constraint.name(), 0, 0, 0]
    };
    oids::indexes(&scope.view.catalog).into_iter().map(row).collect()
}

const INDEX_BLOCKS: &str =
    "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name, idx_blks_read bigint, idx_blks_hit bigint";

fn index_blocks(scope: &Scope) -> Vec<Row> {
    let row =
        |index: oids::Numbered<'_>| row![index.table.oid, index.oid, index.found.schema, index.found.name, index.constraint.name(), 0, 0];
    oids::indexes(&scope.view.catalog).into_iter().map(row).collect()
}

const CONFLICTS: &str = "datid oid, datname name, confl_tablespace bigint, confl_lock bigint, confl_snapshot bigint, \
    confl_bufferpin bigint, confl_deadlock bigint";

/// There is no background writer: files are written once, by whoever makes them.
const BGWRITER: &str = "checkpoints_timed bigint, checkpoints_req bigint, checkpoint_write_time float8, checkpoint_sync_time float8, \
    buffers_checkpoint bigint, buffers_clean bigint, maxwritten_clean bigint, buffers_backend bigint, buffers_backend_fsync bigint, \
    buffers_alloc bigint, stats_reset timestamptz";

const ARCHIVER: &str = "archived_count bigint, failed_count bigint, stats_reset timestamptz";

/// `wal_records` are the entries of the commit log.
const WAL: &str = "wal_records bigint, wal_fpi bigint, wal_bytes numeric, wal_buffers_full bigint, wal_write bigint, wal_sync bigint, \
    wal_write_time float8, wal_sync_time float8, stats_reset timestamptz";

const DATABASE: &str = "datid oid, datname name, numbackends integer, xact_commit bigint, xact_rollback bigint, blks_read bigint, \
    blks_hit bigint, tup_returned bigint, tup_fetched bigint, tup_inserted bigint, tup_updated bigint, tup_deleted bigint, \
    conflicts bigint, temp_files bigint, temp_bytes bigint, deadlocks bigint, stats_reset timestamptz";

fn of_database(scope: &Scope) -> Row {
    let sessions = scope.activity.sessions().len();
    let counters = scope.activity.counters();
    let (all, (commits, rollbacks)) = (counters.of_all(), counters.transactions());
    row![
        server::DATABASE_OID,
        &scope.database,
        sessions,
        commits,
        rollbacks,
        0,
        0,
        all.rows_read,
        0,
        all.inserted,
        all.updated,
        all.deleted,
        0,
        0,
        0,
        0,
        counters.since()
    ]
}
