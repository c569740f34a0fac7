//! Savepoints: what a transaction had done at some moment. All of it is shared, so that taking one copies nothing.

use super::{InsertedKeys, Transaction};
use crate::catalog::Catalog;
use crate::foreign_keys::pending::Pending;
use crate::view::{PinnedState, TableChanges};
use placement::{LogIndex, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use storage::{SegmentId, StagedSegment};

/// What a transaction can go back to. Files of rows that were added before it are held by it.
#[derive(Clone)]
pub struct Savepoint {
    /// The catalog as it was; `None` if the transaction had not changed it.
    pub(super) catalog: Option<OwnCatalog>,
    changes: Arc<BTreeMap<u32, TableChanges>>,
    keys: Arc<BTreeMap<u32, InsertedKeys>>,
    staged: Arc<BTreeMap<SegmentId, Arc<StagedSegment>>>,
    assertions: Arc<BTreeMap<ObjectKey, Option<LogIndex>>>,
    seen_all: Arc<BTreeMap<u32, LogIndex>>,
    seen_unchanged: Arc<BTreeMap<u32, LogIndex>>,
    pending: Arc<Pending>,
    dropped_tables: Arc<BTreeSet<u32>>,
    dropped_counters: Arc<Vec<ObjectKey>>,
}

/// A catalog with changes of the transaction, and what they were made on.
#[derive(Clone)]
pub(super) struct OwnCatalog {
    pub snapshot: Arc<PinnedState>,
    pub base: Arc<Catalog>,
    pub catalog: Arc<Catalog>,
}

impl Transaction {
    /// Remembers what was done up to now.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            catalog: (!Arc::ptr_eq(&self.base, &self.catalog)).then(|| self.own_catalog()),
            changes: self.changes.clone(),
            keys: self.keys.clone(),
            staged: self.staged.clone(),
            assertions: self.assertions.clone(),
            seen_all: self.seen_all.clone(),
            seen_unchanged: self.seen_unchanged.clone(),
            pending: self.pending.clone(),
            dropped_tables: self.dropped_tables.clone(),
            dropped_counters: self.dropped_counters.clone(),
        }
    }

    fn own_catalog(&self) -> OwnCatalog {
        OwnCatalog { snapshot: self.snapshot.clone(), base: self.base.clone(), catalog: self.catalog.clone() }
    }

    /// Undoes what was done since; the snapshot stays.
    pub fn roll_back_to(&mut self, savepoint: &Savepoint) {
        let gone = self.staged.keys().any(|id| !savepoint.staged.contains_key(id));
        self.restore_catalog(savepoint);
        let Savepoint { changes, keys, staged, assertions, seen_all, seen_unchanged, pending, dropped_tables, dropped_counters, .. } =
            savepoint.clone();
        (self.changes, self.keys, self.staged) = (changes, keys, staged);
        (self.assertions, self.seen_all, self.seen_unchanged) = (assertions, seen_all, seen_unchanged);
        self.pending = pending;
        // A statement of several parts that was broken off has not released what it held.
        (self.units_held, self.held_events) = (false, None);
        (self.dropped_tables, self.dropped_counters) = (dropped_tables, dropped_counters);
        if gone {
            self.engine.changes.garbage_made();
        }
    }

    /// Undoes everything; the snapshot stays.
    pub fn undo_all(&mut self) {
        let nothing = Savepoint {
            catalog: None,
            changes: Arc::default(),
            keys: Arc::default(),
            staged: Arc::default(),
            assertions: Arc::default(),
            seen_all: Arc::default(),
            seen_unchanged: Arc::default(),
            pending: Arc::default(),
            dropped_tables: Arc::default(),
            dropped_counters: Arc::default(),
        };
        self.roll_back_to(&nothing);
    }
}
