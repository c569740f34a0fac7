//! COMMIT: what the transaction did, as one command of the log.
//!
//! 1. Own segments of which rows were deleted again are written anew; small batches are encoded to ride inside the command, large ones are
//!    written as segments.
//! 2. Changed objects carry the version that was read, tables the ids of deleted rows and the fingerprints of inserted keys.
//! 3. The log answers. Files stay held until the state that names them is published.
//!
//! Bounds: inlined rows take at most 64 KiB; ids of deleted rows take at most [`DELETES_BYTES_MAX`] (a roaring bitmap holds a range of any
//! length in a few bytes, and scattered rows in at most two bytes each).

use super::changes::{batch_bytes, live_rows};
use super::{InsertedKeys, Transaction};
use crate::catalog::{Entry, columns, keys};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::writer;
use crate::view::TableChanges;
use placement::command::INLINE_BYTES_MAX;
use placement::{
    Command, Commit, Conflict, Expect, InlineRows, KeyFingerprints, NewSegment, ObjectChange, ObjectKey, Outcome, PlacementError,
    RowsDeleted, TableChange, TableId, UnitId,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use storage::{SegmentId, Unit, UnitSource};

/// Ids of deleted rows in one commit, in bytes; a larger one is refused (54000).
const DELETES_BYTES_MAX: usize = 256 << 20;

impl Transaction {
    /// Commits; a conflict is 40001. A read-only transaction proposes nothing.
    ///
    /// Once begun it is carried through, even if the caller stops waiting: the log may name the staged files at any moment from then on.
    pub async fn commit(mut self) -> Result<()> {
        self.check_deferred(|_| true).await?;
        self.end_temporary();
        if self.is_read_only() {
            return Ok(());
        }
        let carried_through = tokio::spawn(self.commit_changes());
        carried_through.await.map_err(|_| SqlError::internal("the commit was interrupted"))?
    }

    async fn commit_changes(mut self) -> Result<()> {
        self.settle_for_commit().await?;
        let commit = self.command()?;
        match self.engine.placement.propose(Command::Commit(commit)).await {
            Ok(Outcome::Committed(_)) => {
                self.succeed();
                Ok(())
            }
            Ok(Outcome::Conflict(conflict)) => Err(self.conflict_error(conflict)),
            Ok(Outcome::Leased(_)) => Err(SqlError::internal("a commit was answered with a lease")),
            Err(error) => Err(self.no_answer(error)),
        }
    }

    fn succeed(&mut self) {
        // Published: the files need no hold any more.
        self.staged = Arc::default();
        self.engine.changes.tables_changed(self.changes.keys().copied());
        if self.removed_units() {
            self.engine.changes.garbage_made();
        }
    }

    /// Whether units of the snapshot are gone now: dropped, truncated, or without a live row.
    fn removed_units(&self) -> bool {
        let now = self.engine.placement.state();
        let gone = |oid: &u32, unit: &SegmentId| {
            let table = now.tables.get(&TableId(u64::from(*oid)));
            !table.is_some_and(|table| table.units.contains_key(&UnitId(unit.0)))
        };
        let emptied = |(oid, changes): (&u32, &TableChanges)| changes.truncated || changes.deleted.keys().any(|unit| gone(oid, unit));
        !self.dropped_tables.is_empty() || self.changes.iter().any(emptied)
    }

    /// Without an answer nobody knows whether the commit went through: the client is told so, and the files stay until the next start.
    fn no_answer(&mut self, error: PlacementError) -> SqlError {
        let PlacementError::Unavailable(reason) = error else { return error.into() };
        self.engine.hold_uncertain(Arc::unwrap_or_clone(std::mem::take(&mut self.staged)).into_values().collect());
        SqlError::new(SqlState("40003"), "the outcome of the commit is not known").with_detail(reason)
    }

    /// Leaves only segments without deletes, and batches that fit into the command.
    async fn settle_for_commit(&mut self) -> Result<()> {
        let tables: Vec<u32> = self.changes.keys().copied().collect();
        for table in &tables {
            self.rewrite_holey_segments(*table).await?;
        }
        let batches = |changes: &TableChanges| changes.added.iter().map(batch_bytes).sum::<usize>();
        // Arrays take more memory than their encoded form, but never so much that these would fit.
        let too_large = self.changes.values().map(batches).sum::<usize>() > 64 * INLINE_BYTES_MAX;
        if !too_large {
            self.encode_batches()?;
        }
        if too_large || self.inlined.values().map(|rows| rows.payload.len()).sum::<usize>() > INLINE_BYTES_MAX {
            self.inlined.clear();
            for table in tables {
                self.write_batches(table, 0).await?;
            }
        }
        Ok(())
    }

    fn encode_batches(&mut self) -> Result<()> {
        for (table, changes) in self.changes.iter() {
            if let Some(rows) = self.inline_rows(*table, changes)? {
                self.inlined.insert(*table, rows);
            }
        }
        Ok(())
    }

    async fn rewrite_holey_segments(&mut self, table_oid: u32) -> Result<()> {
        let Some(changes) = self.changes.get(&table_oid) else { return Ok(()) };
        let holey = |unit: &Unit| unit.deletes.is_some() && matches!(unit.source, UnitSource::Segment(_));
        let (holey, kept): (Vec<_>, Vec<_>) = changes.added.iter().cloned().partition(holey);
        if holey.is_empty() {
            return Ok(());
        }
        let definition = self.table_definition(table_oid)?;
        let written = writer::rewrite(&self.engine, &definition, holey.clone(), Box::new(|_| true)).await?;
        let written = written.ok_or_else(|| SqlError::internal("a rewrite ended early"))?;
        Arc::make_mut(&mut self.changes).entry(table_oid).or_default().added = kept;
        self.add_rows(table_oid, written)?;
        super::forget_staged(Arc::make_mut(&mut self.staged), &holey);
        self.engine.changes.garbage_made();
        Ok(())
    }

    /// The table's batches as one inlined unit.
    fn inline_rows(&self, table_oid: u32, changes: &TableChanges) -> Result<Option<InlineRows>> {
        let batches: Vec<_> = changes.added.iter().filter(|unit| matches!(unit.source, UnitSource::Batch { .. })).collect();
        let Some(first) = batches.first() else { return Ok(None) };
        let specs = columns::storage_columns(&self.table_definition(table_oid)?)?;
        let live = batches.iter().map(|unit| live_rows(unit, &specs)).collect::<Result<Vec<_>>>()?;
        let batch = arrow::compute::concat_batches(&live[0].schema(), &live)?;
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let payload = storage::inline::encode(&specs, &batch)?;
        Ok(Some(InlineRows { id: UnitId(first.id.0), rows: batch.num_rows() as u64, payload }))
    }

    fn command(&self) -> Result<Commit> {
        let mut objects = changed_objects(&self.base.schemas, &self.catalog.schemas, |name| keys::schema(name));
        objects.extend(changed_objects(&self.base.relations, &self.catalog.relations, |(schema, name)| keys::relation(schema, name)));
        objects.extend(changed_objects(&self.base.roles, &self.catalog.roles, |name| keys::role(name)));
        objects.extend(changed_objects(&self.base.access, &self.catalog.access, |oid| keys::access(*oid)));
        objects.extend(changed_objects(&self.base.comments, &self.catalog.comments, |oid| keys::comments(*oid)));
        objects.extend(changed_objects(&self.base.extensions, &self.catalog.extensions, |name| keys::extension(name)));
        objects.extend(self.dependent_changes());
        let changed: BTreeSet<ObjectKey> = objects.iter().map(|object| object.key.clone()).collect();
        Ok(Commit {
            read_index: self.read_index,
            assertions: self.assertions(&changed),
            unextended: self.unextended(),
            unchanged: self.unchanged(),
            emptied: self.emptied(),
            objects,
            tables: self.table_changes()?,
            drop_counters: self.dropped_counters.to_vec(),
        })
    }

    fn table_changes(&self) -> Result<Vec<TableChange>> {
        let dropped = self.dropped_tables.iter().filter(|oid| self.is_old_table(**oid));
        let dropped = dropped.map(|oid| Ok(TableChange { drop: true, ..TableChange::new(TableId(u64::from(*oid))) }));
        let changed = self.changes.iter().filter(|(oid, _)| !self.dropped_tables.contains(*oid));
        let changes: Vec<_> = dropped.chain(changed.map(|(oid, changes)| self.table_change(*oid, changes))).collect::<Result<_>>()?;
        let deletes: usize = changes.iter().flat_map(|change| &change.delete_rows).map(|rows| rows.rows.len()).sum();
        match deletes > DELETES_BYTES_MAX {
            true => Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the transaction deletes too many scattered rows")),
            false => Ok(changes.into_iter().filter(does_something).collect()),
        }
    }

    fn table_change(&self, oid: u32, changes: &TableChanges) -> Result<TableChange> {
        let mut change = TableChange::new(TableId(u64::from(oid)));
        change.truncate = changes.truncated && self.is_old_table(oid);
        change.delete_rows =
            changes.deleted.iter().map(|(unit, rows)| RowsDeleted { unit: UnitId(unit.0), rows: rows.to_bytes() }).collect();
        change.keys = self.fingerprints(oid);
        change.add_segments = changes.added.iter().filter_map(new_segment).collect();
        change.add_inline = self.inlined.get(&oid).cloned().into_iter().collect();
        Ok(change)
    }

    pub(super) fn fingerprints(&self, oid: u32) -> KeyFingerprints {
        match self.keys.get(&oid) {
            None => KeyFingerprints::default(),
            Some(InsertedKeys::Listed(listed)) => KeyFingerprints { inserted: listed.clone(), all: false },
            Some(InsertedKeys::TooMany) => KeyFingerprints { inserted: Vec::new(), all: true },
        }
    }

    fn conflict_error(&self, conflict: Conflict) -> SqlError {
        match conflict {
            Conflict::Object(key) => self.object_conflict(&key),
            Conflict::Rows(_) | Conflict::Prefix(_) => serialization_failure(),
            Conflict::Added(_) => serialization_failure().with_detail("Rows were added to a table whose rows had been checked."),
            Conflict::Keys(_) => serialization_failure().with_detail("A unique key may have been inserted by a concurrent transaction."),
            Conflict::Decision(_, reason) | Conflict::Invalid(reason) => SqlError::internal(format!("the commit was refused: {reason}")),
        }
    }

    /// Something that this transaction creates exists by now, or what it builds on has changed.
    fn object_conflict(&self, key: &ObjectKey) -> SqlError {
        let created = |name: &(String, String)| keys::relation(&name.0, &name.1) == *key && !self.base.relations.contains_key(name);
        if let Some((_, name)) = self.catalog.relations.keys().find(|name| created(name)) {
            return SqlError::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"));
        }
        let created = |name: &str| keys::schema(name) == *key && !self.base.schemas.contains_key(name);
        if let Some(name) = self.catalog.schemas.keys().find(|name| created(name)) {
            return SqlError::new(SqlState::DUPLICATE_SCHEMA, format!("schema \"{name}\" already exists"));
        }
        serialization_failure()
    }
}

/// Whether running the statement again on a fresh snapshot may succeed.
pub fn conflict_is_retryable(error: &SqlError) -> bool {
    error.state == SqlState::SERIALIZATION_FAILURE
}

pub(super) fn serialization_failure() -> SqlError {
    SqlError::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")
}

fn does_something(change: &TableChange) -> bool {
    let adds = !change.add_segments.is_empty() || !change.add_inline.is_empty();
    change.drop || change.truncate || adds || !change.delete_rows.is_empty() || !change.remove_units.is_empty()
}

fn new_segment(unit: &Unit) -> Option<NewSegment> {
    let UnitSource::Segment(summary) = &unit.source else { return None };
    let (id, disk_bytes) = (UnitId(unit.id.0), summary.disk_bytes);
    Some(NewSegment { id, rows: unit.rows, disk_bytes, summary: summary.to_bytes(), placing: crate::agent::placing() })
}

/// The objects that differ between two versions of a map; a definition that is the same `Arc` is unchanged.
fn changed_objects<K: Ord, T: Serialize>(
    base: &BTreeMap<K, Entry<T>>,
    now: &BTreeMap<K, Entry<T>>,
    key: impl Fn(&K) -> ObjectKey,
) -> Vec<ObjectChange> {
    let expect = |name: &K| base.get(name).and_then(|entry| entry.version).map_or(Expect::Absent, Expect::Version);
    let same = |name: &K, entry: &Entry<T>| base.get(name).is_some_and(|before| Arc::ptr_eq(&before.definition, &entry.definition));
    let removed = base.iter().filter(|(name, entry)| !now.contains_key(*name) && entry.version.is_some());
    let removed = removed.map(|(name, _)| ObjectChange { key: key(name), expect: expect(name), value: None });
    let put = now.iter().filter(|(name, entry)| !same(name, entry));
    let put = put.map(|(name, entry)| ObjectChange { key: key(name), expect: expect(name), value: Some(keys::encode(&*entry.definition)) });
    removed.chain(put).collect()
}
