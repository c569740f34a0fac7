//! What a statement sees: one placement snapshot, and over it what its own transaction has done and not yet committed.
//!
//! Combining them is pure. What is decoded on the way (summaries, deletes) is kept for as long as the snapshot's own object lives, so that
//! a query over ten thousand segments decodes nothing that an earlier one has decoded.

use crate::catalog::{Catalog, Relation, TableDefinition};
use parking_lot::Mutex;
use placement::{State, TableId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Weak};
use storage::{Deletes, SegmentId, SegmentSummary, Unit, UnitSource};

/// A frozen view; cheap to clone. While any clone lives, no segment that it names is removed.
#[derive(Clone, Debug)]
pub struct View {
    /// The snapshot.
    pub snapshot: Arc<PinnedState>,
    /// The catalog at the snapshot, with the transaction's own DDL applied.
    pub catalog: Arc<Catalog>,
    /// The transaction's own changes of rows, by table OID.
    pub changes: Arc<BTreeMap<u32, TableChanges>>,
}

/// A state that the sweep knows to be in use: created by [`crate::engine::Engine::pin`], forgotten when dropped.
#[derive(Debug)]
pub struct PinnedState {
    /// The state.
    pub state: Arc<State>,
    /// Tells the engine when nobody uses the state any more; `None` where nothing is swept.
    pub release: Option<crate::engine::pins::Release>,
}

/// What a transaction has done to the rows of one table.
#[derive(Clone, Debug, Default)]
pub struct TableChanges {
    /// The units of the snapshot are gone (TRUNCATE, or the table is new).
    pub truncated: bool,
    /// Units that the transaction wrote, their own deletes included.
    pub added: Vec<Unit>,
    /// Rows of the snapshot's units that it deleted.
    pub deleted: BTreeMap<SegmentId, Deletes>,
}

/// A table as a statement sees it.
#[derive(Clone, Debug)]
pub struct TableView {
    /// Its schema's name.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub definition: Arc<TableDefinition>,
    /// Its rows.
    pub units: Arc<Vec<Unit>>,
}

impl View {
    /// The table's rows as this view sees them.
    pub fn table(&self, schema: &str, name: &str) -> Option<TableView> {
        let entry = self.catalog.relations.get(&(schema.to_string(), name.to_string()))?;
        let Relation::Table(table) = entry.definition.as_ref() else { return None };
        let definition = Arc::new(table.clone());
        Some(TableView { schema: schema.into(), name: name.into(), units: self.units(definition.oid), definition })
    }

    /// The units of a table: the snapshot's less what the transaction deleted, then what it added.
    pub fn units(&self, table_oid: u32) -> Arc<Vec<Unit>> {
        let committed = match self.snapshot.state.tables.get(&TableId(u64::from(table_oid))) {
            Some(table) => committed_units(table),
            None => Arc::default(),
        };
        match self.changes.get(&table_oid) {
            Some(changes) => Arc::new(apply(&committed, changes)),
            None => committed,
        }
    }
}

/// A transaction's changes over the snapshot's units.
fn apply(committed: &[Unit], changes: &TableChanges) -> Vec<Unit> {
    let kept = if changes.truncated { &[] } else { committed };
    kept.iter().map(|unit| without(unit, changes.deleted.get(&unit.id))).chain(changes.added.iter().cloned()).collect()
}

/// A unit less some more rows.
fn without(unit: &Unit, deleted: Option<&Deletes>) -> Unit {
    let mut unit = unit.clone();
    if let Some(more) = deleted {
        let all = unit.deletes.as_ref().map_or_else(|| more.0.clone(), |before| &before.0 | &more.0);
        unit.deletes = Some(Arc::new(Deletes(all)));
    }
    unit
}

/// Decoded forms of the log's objects, by the identity of the object: an entry dies with its object, so the cache holds no more than the
/// snapshots in use do (dead entries are dropped whenever it has doubled).
struct Decoded<K, V> {
    entries: HashMap<usize, (Weak<K>, V)>,
    sweep_at: usize,
    sweep_at_least: usize,
}

impl<K, V: Clone> Decoded<K, V> {
    fn new(sweep_at_least: usize) -> Self {
        Self { entries: HashMap::new(), sweep_at: sweep_at_least, sweep_at_least }
    }

    fn get(&self, key: &Arc<K>) -> Option<V> {
        self.entries.get(&(Arc::as_ptr(key) as usize)).map(|(_, value)| value.clone())
    }

    /// The weak reference keeps the address from being given to another object while the entry is here.
    fn insert(&mut self, key: &Arc<K>, value: V) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, (key, _)| key.strong_count() > 0);
            self.sweep_at = (self.entries.len() * 2).max(self.sweep_at_least);
        }
        self.entries.insert(Arc::as_ptr(key) as usize, (Arc::downgrade(key), value));
    }
}

type Cache<K, V> = LazyLock<Mutex<Decoded<K, V>>>;

/// Few, for each is as long as its table has units: a version of a table that is gone must not stay for long.
static TABLES: Cache<placement::Table, Arc<Vec<Unit>>> = LazyLock::new(|| Mutex::new(Decoded::new(16)));
static UNITS: Cache<placement::Unit, Unit> = LazyLock::new(|| Mutex::new(Decoded::new(1024)));

/// The units of a table's version.
fn committed_units(table: &Arc<placement::Table>) -> Arc<Vec<Unit>> {
    if let Some(units) = TABLES.lock().get(table) {
        return units;
    }
    let units: Arc<Vec<Unit>> = Arc::new(table.units.values().map(decoded_unit).collect());
    TABLES.lock().insert(table, Arc::clone(&units));
    units
}

fn decoded_unit(unit: &Arc<placement::Unit>) -> Unit {
    if let Some(known) = UNITS.lock().get(unit) {
        return known;
    }
    let decoded = decode(unit);
    UNITS.lock().insert(unit, decoded.clone());
    decoded
}

/// A unit as storage reads it. One whose deletes cannot be read becomes unreadable: a scan then fails, rather than showing deleted rows.
fn decode(unit: &placement::Unit) -> Unit {
    let id = SegmentId(unit.id.0);
    let deletes = unit.deletes.as_ref().map(|(bytes, _)| Deletes::from_bytes(bytes).map(Arc::new)).transpose();
    let source = match (&deletes, &unit.source) {
        (Err(error), _) => {
            tracing::error!(unit = %id, %error, "the deleted rows of a unit cannot be read");
            UnitSource::Inline(Arc::new([]))
        }
        (_, placement::UnitSource::Inline(bytes)) => UnitSource::Inline(Arc::clone(bytes)),
        (_, placement::UnitSource::Segment { disk_bytes, summary }) => UnitSource::Segment(summarize(id, unit.rows, *disk_bytes, summary)),
    };
    Unit { id, rows: unit.rows, source, deletes: deletes.unwrap_or_default() }
}

/// The summary of a segment; one that cannot be read says nothing of the columns, which costs time and no rows.
fn summarize(id: SegmentId, rows: u64, disk_bytes: u64, bytes: &Arc<[u8]>) -> Arc<SegmentSummary> {
    Arc::new(SegmentSummary::from_bytes(Arc::clone(bytes)).unwrap_or_else(|error| {
        tracing::error!(segment = %id, %error, "the summary of a segment cannot be read; it is scanned without statistics");
        let columns = storage::SummaryColumns::default();
        SegmentSummary { id, rows, disk_bytes, decoded_bytes: disk_bytes, granules: 0, columns, sorted_by: Vec::new() }
    }))
}
