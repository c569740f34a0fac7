//! A transaction: the snapshot it reads, what it has done on top, and the one command that it becomes.
//!
//! 1. The first statement pins a snapshot. All statements of a block read that snapshot, with the transaction's own changes on top; at READ
//!    COMMITTED each statement moves on to the newest one ([`refresh`]).
//! 2. DDL changes the catalog overlay; DML stages segments and inlined rows, and collects ids of deleted rows ([`changes`]).
//!    Rows that others may want too are locked before they are changed ([`locking`]).
//! 3. COMMIT turns the overlay into one `placement::Commit` and proposes it ([`commit`]). The log answers: committed, or a conflict (40001).
//! 4. Dropping a transaction rolls it back: staged files are no longer held, and the sweep takes them.
//!
//! A statement outside a block is a transaction of its own, and is run again on a fresh snapshot when it loses a race ([`autocommit`]).

use crate::access::acl::ObjectAccess;
use crate::access::role::RoleDefinition;
use crate::catalog::comments::Comments;
use crate::catalog::{Catalog, Entry, ExtensionDefinition, Relation, SchemaDefinition, keys};
use crate::engine::Engine;
use crate::engine::locks::Owner;
use crate::engine::writers::{Turn, Writing};
use crate::error::{Result, SqlError};
use crate::foreign_keys::pending::Pending;
use crate::foreign_keys::queue::Event;
use crate::view::{PinnedState, TableChanges, View};
use placement::{Assertion, LogIndex, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use storage::{SegmentId, StagedSegment};

pub mod autocommit;
mod changes;
mod commit;
mod deferred;
mod guards;
pub mod locking;
mod rebase;
mod refresh;
mod savepoint;
mod temporary;

pub use commit::conflict_is_retryable;
pub use deferred::Manner;
pub use savepoint::Savepoint;

/// Fingerprints listed in one commit; more are declared as "too many to list" (128 KiB of a commit at most).
const FINGERPRINTS_MAX: usize = 16_384;

/// An open transaction.
pub struct Transaction {
    engine: Arc<Engine>,
    snapshot: Arc<PinnedState>,
    /// The index of the snapshot that its first change was made on.
    read_index: LogIndex,
    /// The catalog of the snapshot.
    base: Arc<Catalog>,
    /// The catalog with the transaction's own DDL: the same `Arc` as `base` until there is any.
    catalog: Arc<Catalog>,
    changes: Arc<BTreeMap<u32, TableChanges>>,
    keys: Arc<BTreeMap<u32, InsertedKeys>>,
    staged: Arc<BTreeMap<SegmentId, Arc<StagedSegment>>>,
    assertions: Arc<BTreeMap<ObjectKey, Option<LogIndex>>>,
    /// Tables whose rows were all looked at, and when.
    seen_all: Arc<BTreeMap<u32, LogIndex>>,
    /// Tables of which nothing may change until the commit, and since when.
    seen_unchanged: Arc<BTreeMap<u32, LogIndex>>,
    dropped_tables: Arc<BTreeSet<u32>>,
    dropped_counters: Arc<Vec<ObjectKey>>,
    writing: BTreeMap<u32, Writing>,
    /// Whether units stay as they are: see [`Transaction::hold_units`].
    units_held: bool,
    /// What follows from the parts of a statement, while they run: see [`Transaction::hold_events`].
    held_events: Option<Vec<Event>>,
    /// What foreign keys are yet to be checked.
    pending: Arc<Pending>,
    /// How it waits for locks, and what its statements see.
    manner: Manner,
    /// What it has locked: given back when the transaction is dropped, which is after the log has answered.
    locks: Owner,
    running: locking::Running,
    /// It is one statement, which may take turns with others.
    alone: bool,
    /// Its turn at a contended table.
    turn: Option<Turn>,
    /// Batches in the form in which they ride inside the commit; filled when committing.
    inlined: BTreeMap<u32, placement::InlineRows>,
}

/// Unique keys that a transaction inserted into one table.
#[derive(Clone, Debug)]
enum InsertedKeys {
    Listed(Vec<u64>),
    TooMany,
}

impl Transaction {
    /// Begins: pins the newest snapshot.
    pub fn begin(engine: Arc<Engine>) -> Result<Self> {
        let snapshot = engine.pin();
        let base = engine.catalog(&snapshot.state)?;
        let locks = engine.locks.owner();
        Ok(Self {
            engine,
            read_index: snapshot.state.index,
            snapshot,
            catalog: base.clone(),
            base,
            changes: Arc::default(),
            keys: Arc::default(),
            staged: Arc::default(),
            assertions: Arc::default(),
            seen_all: Arc::default(),
            seen_unchanged: Arc::default(),
            dropped_tables: Arc::default(),
            dropped_counters: Arc::default(),
            writing: BTreeMap::new(),
            units_held: false,
            held_events: None,
            pending: Arc::default(),
            manner: Manner::default(),
            locks,
            running: locking::Running::default(),
            alone: false,
            turn: None,
            inlined: BTreeMap::new(),
        })
    }

    /// What all sessions share.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Its locks.
    pub fn locks(&self) -> &Owner {
        &self.locks
    }

    /// What the next statement sees: the snapshot and everything done up to now. Frozen: later changes do not show in it.
    pub fn view(&self) -> View {
        View { snapshot: self.snapshot.clone(), catalog: self.catalog.clone(), changes: self.changes.clone() }
    }

    /// Whether a commit would change anything.
    pub fn is_read_only(&self) -> bool {
        Arc::ptr_eq(&self.base, &self.catalog)
            && self.changes.is_empty()
            && self.dropped_counters.is_empty()
            && self.dropped_tables.is_empty()
    }

    /// Creates a schema, or replaces its definition. The caller has checked names and dependencies against [`Transaction::view`].
    pub fn put_schema(&mut self, name: &str, definition: SchemaDefinition) {
        let version = self.base.schemas.get(name).and_then(|entry| entry.version);
        let entry = Entry { version, definition: Arc::new(definition) };
        Arc::make_mut(&mut self.catalog).schemas.insert(name.to_string(), entry);
    }

    /// Drops a schema.
    pub fn drop_schema(&mut self, name: &str) {
        let catalog = Arc::make_mut(&mut self.catalog);
        if let Some(entry) = catalog.schemas.remove(name) {
            catalog.access.remove(&entry.definition.oid);
            catalog.comments.remove(&entry.definition.oid);
        }
    }

    /// Creates a role, or replaces its definition.
    pub fn put_role(&mut self, name: &str, definition: RoleDefinition) {
        let version = self.base.roles.get(name).and_then(|entry| entry.version);
        let entry = Entry { version, definition: Arc::new(definition) };
        Arc::make_mut(&mut self.catalog).roles.insert(name.to_string(), entry);
    }

    /// Drops a role.
    pub fn drop_role(&mut self, name: &str) {
        Arc::make_mut(&mut self.catalog).roles.remove(name);
    }

    /// Says who owns an object and who has which privileges on it.
    pub fn put_access(&mut self, oid: u32, access: ObjectAccess) {
        let version = self.base.access.get(&oid).and_then(|entry| entry.version);
        let entry = Entry { version, definition: Arc::new(access) };
        Arc::make_mut(&mut self.catalog).access.insert(oid, entry);
    }

    /// Creates a relation, or replaces its definition. A new one makes the transaction depend on its schema.
    pub fn put_relation(&mut self, schema: &str, name: &str, relation: Relation) {
        if !self.base.relations.contains_key(&key_of(schema, name)) {
            self.depends_on_schema(schema);
        }
        if let Relation::Table(table) = &relation {
            self.note_new_table(table.oid);
        }
        self.set_relation(schema, name, Arc::new(relation));
    }

    /// Gives a relation a new version, though it stays as it is: whoever relies on its staying so is to look again.
    pub fn touch_relation(&mut self, schema: &str, name: &str) {
        if let Some(entry) = self.catalog.relations.get(&key_of(schema, name)) {
            let relation = Relation::clone(&entry.definition);
            self.set_relation(schema, name, Arc::new(relation));
        }
    }

    /// Drops a relation with its rows (a table) or its counter (a sequence).
    pub fn drop_relation(&mut self, schema: &str, name: &str) {
        let catalog = Arc::make_mut(&mut self.catalog);
        let Some(entry) = catalog.relations.remove(&key_of(schema, name)) else { return };
        catalog.access.remove(&entry.definition.oid());
        catalog.comments.remove(&entry.definition.oid());
        match &*entry.definition {
            Relation::Table(table) => self.drop_rows(table.oid),
            Relation::Sequence(sequence) => Arc::make_mut(&mut self.dropped_counters).push(keys::sequence_counter(sequence.oid)),
            Relation::View(_) => {}
        }
    }

    /// Gives a relation another name or schema; rows and OID stay.
    pub fn rename_relation(&mut self, from: (&str, &str), to: (&str, &str)) {
        let removed = Arc::make_mut(&mut self.catalog).relations.remove(&key_of(from.0, from.1));
        let Some(entry) = removed else { return };
        if from.0 != to.0 {
            self.depends_on_schema(to.0);
        }
        self.set_relation(to.0, to.1, entry.definition);
    }

    /// Creates an extension, or drops it (`None`).
    pub fn put_extension(&mut self, name: &str, definition: Option<ExtensionDefinition>) {
        let version = self.base.extensions.get(name).and_then(|entry| entry.version);
        let catalog = Arc::make_mut(&mut self.catalog);
        let old = match definition {
            Some(definition) => catalog.extensions.insert(name.to_string(), Entry { version, definition: Arc::new(definition) }),
            None => catalog.extensions.remove(name),
        };
        if let Some(old) = old {
            catalog.access.remove(&old.definition.oid);
            catalog.comments.remove(&old.definition.oid);
        }
    }

    /// Says something of an object; nothing takes back what was said.
    pub fn put_comments(&mut self, oid: u32, comments: Comments) {
        let version = self.base.comments.get(&oid).and_then(|entry| entry.version);
        let all = &mut Arc::make_mut(&mut self.catalog).comments;
        match comments.is_empty() {
            true => drop(all.remove(&oid)),
            false => drop(all.insert(oid, Entry { version, definition: Arc::new(comments) })),
        }
    }

    /// Says that the transaction depends on a relation's definition staying as it is (every table that it writes).
    pub fn depends_on(&mut self, schema: &str, name: &str) {
        if let Some(version) = self.base.relations.get(&key_of(schema, name)).and_then(|entry| entry.version) {
            Arc::make_mut(&mut self.assertions).insert(keys::relation(schema, name), Some(version));
        }
    }

    /// Registers the transaction as one that deletes rows of a table, so that compaction does not get in its way.
    pub fn will_change_rows(&mut self, table_oid: u32) {
        let writers = &self.engine.writers;
        self.writing.entry(table_oid).or_insert_with(|| writers.enter(table_oid));
    }

    /// Waits for rewrites of what it changes that were on their way before it came: what they have done, [`Self::check_conflicts`] sees. Without
    /// that they would be committed first, and this transaction lost for nothing that anybody did.
    pub async fn rewrites_settled(&self) {
        for table in self.writing.keys() {
            self.engine.writers.settled(*table).await;
        }
    }

    /// Says which unique keys were inserted (fingerprints), or `None` for too many to list.
    pub fn inserted_keys(&mut self, table_oid: u32, fingerprints: Option<Vec<u64>>) {
        let keys = Arc::make_mut(&mut self.keys).entry(table_oid).or_insert_with(|| InsertedKeys::Listed(Vec::new()));
        match (&mut *keys, fingerprints) {
            (InsertedKeys::Listed(listed), Some(more)) if listed.len() + more.len() <= FINGERPRINTS_MAX => listed.extend(more),
            _ => *keys = InsertedKeys::TooMany,
        }
    }

    fn set_relation(&mut self, schema: &str, name: &str, definition: Arc<Relation>) {
        let key = key_of(schema, name);
        let version = self.base.relations.get(&key).and_then(|entry| entry.version);
        Arc::make_mut(&mut self.catalog).relations.insert(key, Entry { version, definition });
    }

    fn depends_on_schema(&mut self, schema: &str) {
        if let Some(entry) = self.base.schemas.get(schema) {
            Arc::make_mut(&mut self.assertions).insert(keys::schema(schema), entry.version);
        }
    }

    fn note_new_table(&mut self, oid: u32) {
        if !self.is_old_table(oid) {
            Arc::make_mut(&mut self.changes).entry(oid).or_default().truncated = true;
        }
    }

    fn drop_rows(&mut self, oid: u32) {
        let changes = Arc::make_mut(&mut self.changes);
        if let Some(dropped) = changes.remove(&oid) {
            forget_staged(Arc::make_mut(&mut self.staged), &dropped.added);
        }
        Arc::make_mut(&mut self.keys).remove(&oid);
        Arc::make_mut(&mut self.dropped_tables).insert(oid);
    }

    /// Whether the table is older than the transaction.
    fn is_old_table(&self, oid: u32) -> bool {
        self.base.by_oid(oid).is_some()
    }

    fn assertions(&self, changed: &BTreeSet<ObjectKey>) -> Vec<Assertion> {
        let unchanged = self.assertions.iter().filter(|(key, _)| !changed.contains(*key));
        unchanged.map(|(key, version)| Assertion { key: key.clone(), version: *version }).collect()
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.staged.is_empty() {
            self.staged = Arc::default();
            self.engine.changes.garbage_made();
        }
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("read_index", &self.snapshot.state.index).field("tables", &self.changes.keys()).finish()
    }
}

fn key_of(schema: &str, name: &str) -> (String, String) {
    (schema.to_string(), name.to_string())
}

fn forget_staged(staged: &mut BTreeMap<SegmentId, Arc<StagedSegment>>, units: &[storage::Unit]) {
    for unit in units {
        staged.remove(&unit.id);
    }
}

fn lost_ids() -> SqlError {
    SqlError::new(crate::error::SqlState("53000"), "no ids are left for new rows").with_hint("The commit log is slow to answer; try again.")
}
