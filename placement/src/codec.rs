//! The serialized form of a state: a magic number, a version, and msgpack with named fields.
//!
//! Named fields make it self-describing: a later version may add fields with defaults and still read what an earlier one wrote. Version 1
//! had no cluster: its segments are taken over with a copy nowhere, until a node says that it has them.

use crate::cluster::Cluster;
use crate::decide;
use crate::model::{LogIndex, Object, ObjectKey, Table, TableId, Unit, UnitId, UnitSource};
use crate::recent_keys::{KeyCommit, RecentKeys};
use crate::state::State;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// The first bytes of a serialized state.
const MAGIC: &[u8; 8] = b"PLIMSTAT";
/// The version that is written; it and those before it are read.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct SavedState<'a> {
    index: LogIndex,
    next_id: u64,
    objects_version: LogIndex,
    #[serde(borrow)]
    objects: Vec<SavedObject<'a>>,
    #[serde(borrow)]
    tables: Vec<SavedTable<'a>>,
    #[serde(borrow)]
    counters: Vec<(&'a str, u64)>,
    /// [`Cluster::to_bytes`].
    #[serde(default, borrow, with = "serde_bytes")]
    cluster: Option<Cow<'a, [u8]>>,
}

#[derive(Serialize, Deserialize)]
struct SavedObject<'a> {
    key: &'a str,
    version: LogIndex,
    #[serde(with = "serde_bytes")]
    value: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct SavedTable<'a> {
    id: TableId,
    version: LogIndex,
    /// Absent in states of the first versions, which did not tell additions from other changes.
    #[serde(default)]
    rows_added: Option<LogIndex>,
    live_rows: u64,
    keys: SavedKeys,
    #[serde(borrow)]
    units: Vec<SavedUnit<'a>>,
}

#[derive(Serialize, Deserialize)]
struct SavedKeys {
    floor: LogIndex,
    last_any: LogIndex,
    last_all: LogIndex,
    commits: Vec<(LogIndex, Vec<u64>)>,
}

#[derive(Serialize, Deserialize)]
struct SavedUnit<'a> {
    id: UnitId,
    rows: u64,
    version: LogIndex,
    /// Size of the segment's file in bytes; none for inlined rows.
    disk_bytes: Option<u64>,
    /// The segment's summary, or the inlined rows.
    #[serde(with = "serde_bytes")]
    payload: &'a [u8],
    #[serde(with = "serde_bytes", borrow)]
    deletes: Option<&'a [u8]>,
    deleted_rows: u64,
}

pub(crate) fn encode_state(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    rmp_serde::encode::write_named(&mut bytes, &saved_state(state)).expect("writing plain data to a vector does not fail");
    bytes
}

pub(crate) fn decode_state(bytes: &[u8]) -> Result<State, String> {
    let body = bytes.strip_prefix(MAGIC).ok_or("it is not a serialized state")?;
    let (version, body) = body.split_first_chunk::<4>().ok_or("a serialized state ends in its head")?;
    let version = u32::from_le_bytes(*version);
    if !(1..=VERSION).contains(&version) {
        return Err(format!("a serialized state of version {version}; this program reads versions up to {VERSION}"));
    }
    let saved: SavedState = rmp_serde::from_slice(body).map_err(|error| format!("a serialized state is damaged: {error}"))?;
    restored_state(saved).map_err(|error| format!("a serialized state is damaged: {error}"))
}

fn saved_state(state: &State) -> SavedState<'_> {
    SavedState {
        index: state.index,
        next_id: state.next_id,
        objects_version: state.objects_version,
        objects: state.objects.iter().map(|(key, it)| SavedObject { key: &key.0, version: it.version, value: &it.value }).collect(),
        tables: state.tables.iter().map(|(id, table)| saved_table(*id, table)).collect(),
        counters: state.counters.iter().map(|(key, value)| (&*key.0, *value)).collect(),
        cluster: Some(Cow::Owned(state.cluster.to_bytes())),
    }
}

fn saved_table(id: TableId, table: &Table) -> SavedTable<'_> {
    let keys = &table.recent_keys;
    let commits = keys.commits.iter().map(|commit| (commit.index, commit.fingerprints.clone())).collect();
    SavedTable {
        id,
        version: table.version,
        rows_added: Some(table.rows_added),
        live_rows: table.live_rows,
        keys: SavedKeys { floor: keys.floor, last_any: keys.last_any, last_all: keys.last_all, commits },
        units: table.units.values().map(|unit| saved_unit(unit)).collect(),
    }
}

fn saved_unit(unit: &Unit) -> SavedUnit<'_> {
    let (disk_bytes, payload) = match &unit.source {
        UnitSource::Segment { disk_bytes, summary } => (Some(*disk_bytes), &**summary),
        UnitSource::Inline(payload) => (None, &**payload),
    };
    let deletes = unit.deletes.as_ref().map(|(bytes, _)| &**bytes);
    let deleted_rows = unit.deletes.as_ref().map_or(0, |(_, count)| *count);
    SavedUnit { id: unit.id, rows: unit.rows, version: unit.version, disk_bytes, payload, deletes, deleted_rows }
}

fn restored_state(saved: SavedState<'_>) -> Result<State, String> {
    let mut state = State {
        index: saved.index,
        next_id: saved.next_id,
        objects_version: saved.objects_version,
        objects: saved.objects.into_iter().map(|it| (object_key(it.key), Object { version: it.version, value: it.value.into() })).collect(),
        tables: saved.tables.into_iter().map(|table| (table.id, Arc::new(restored_table(table)))).collect(),
        counters: saved.counters.into_iter().map(|(key, value)| (object_key(key), value)).collect(),
        cluster: Arc::default(),
    };
    let cluster = match &saved.cluster {
        Some(bytes) => Cluster::from_bytes(bytes)?,
        None => decide::adopted(state.tables.iter())?,
    };
    if !decide::agrees(&cluster, state.tables.iter()) {
        return Err("its tables and its cluster do not name the same segments".to_owned());
    }
    state.cluster = Arc::new(cluster);
    Ok(state)
}

fn object_key(key: &str) -> ObjectKey {
    ObjectKey(key.into())
}

fn restored_table(saved: SavedTable<'_>) -> Table {
    let keys = saved.keys;
    let commits = keys.commits.into_iter().map(|(index, fingerprints)| KeyCommit { index, fingerprints });
    Table {
        version: saved.version,
        rows_added: saved.rows_added.unwrap_or(saved.version),
        units: saved.units.into_iter().map(|unit| (unit.id, Arc::new(restored_unit(unit)))).collect(),
        live_rows: saved.live_rows,
        recent_keys: RecentKeys::restore(keys.floor, keys.last_any, keys.last_all, commits),
    }
}

fn restored_unit(saved: SavedUnit<'_>) -> Unit {
    let source = match saved.disk_bytes {
        Some(disk_bytes) => UnitSource::Segment { disk_bytes, summary: saved.payload.into() },
        None => UnitSource::Inline(saved.payload.into()),
    };
    let deletes = saved.deletes.map(|bytes| (bytes.into(), saved.deleted_rows));
    Unit { id: saved.id, rows: saved.rows, source, deletes, version: saved.version }
}
