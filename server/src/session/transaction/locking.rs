//! Rows that a statement changes or locks: held from the end of its scan to the end of the transaction.
//!
//! 1. [`Transaction::lock_rows`] takes them, and waits for those who hold them (`crate::engine::locks`).
//! 2. Then it looks at the newest state: a row that has been changed or moved meanwhile is not the one that the statement has seen. The
//!    statement is lost; whoever runs it undoes it, moves on to the newest snapshot and runs it again ([`Attempts`]), or tells of it (40001).
//! 3. Rows that are still there stay so until the transaction ends: who would change them waits for it, and compaction keeps away.

use super::commit::serialization_failure;
use super::refresh::is_disjoint;
use super::{Savepoint, Transaction};
use crate::engine::locks::{KeySet, RowSet, RowStrength, TableLock, TableMode, Wanted};
use crate::engine::writers::Turn;
use crate::error::{Result, SqlError};
use crate::view::View;
use placement::{KeyFingerprints, LogIndex, State, TableId, UnitId};
use std::time::Duration;
use storage::Deletes;

/// How often a statement is run: each time it has lost to somebody who got on.
const ATTEMPTS_MAX: usize = 10_000;

/// How often of these because keys may have come: the log forgets which, and says so of all then.
const LOST_TO_KEYS_MAX: usize = 16;

/// What a transaction knows of the statement that runs in it.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// The rows that it has locked in this attempt.
    wanted: Vec<RowSet>,
    /// It has met rows that are not what it had seen.
    lost: bool,
    /// A statement that is lost can be run again.
    read_committed: bool,
    /// The table at which it has waited.
    waited_at: Option<u32>,
    /// How often it was lost to keys of others.
    lost_to_keys: usize,
}

/// The attempts of one statement.
pub struct Attempts {
    before: Savepoint,
    count: usize,
    read_committed: bool,
}

impl Transaction {
    /// Locks rows that the statement has seen, and waits for those who hold them, each time no longer than `limit`; 40001 if they are not what
    /// it saw any more.
    pub async fn lock_rows(&mut self, rows: RowSet, limit: Option<Duration>) -> Result<()> {
        let Some(rows) = self.begin_locking(rows) else { return Ok(()) };
        self.take(rows.table, Wanted::Rows(rows.clone()), limit).await?;
        self.end_locking(rows).await
    }

    /// The same without waiting; false if somebody holds one of them.
    pub async fn lock_rows_at_once(&mut self, rows: RowSet) -> Result<bool> {
        let Some(rows) = self.begin_locking(rows) else { return Ok(true) };
        if !self.locks.try_lock(&Wanted::Rows(rows.clone())) {
            return Ok(false);
        }
        self.end_locking(rows).await.map(|()| true)
    }

    /// The same of the rows that nobody else holds; answers which these are. The transaction's own new rows are among them.
    pub async fn lock_free_rows(&mut self, rows: RowSet) -> Result<RowSet> {
        let Some(shared) = self.begin_locking(rows.clone()) else { return Ok(rows) };
        let mut free = self.locks.lock_free(&shared);
        self.end_locking(free.clone()).await?;
        free.units.extend(rows.units.into_iter().filter(|(unit, _)| !shared.units.contains_key(unit)));
        Ok(free)
    }

    /// Locks a table, and waits for those who hold it, no longer than `limit`; if it had to, and rows or the definition have changed meanwhile,
    /// the statement is lost where it can be run again.
    pub async fn lock_table(&mut self, table: u32, mode: TableMode, limit: Option<Duration>) -> Result<()> {
        self.lock_of(table, Wanted::Table(TableLock { table, mode }), limit).await
    }

    /// Locks keys of a table's constraint in the same way.
    pub async fn lock_keys(&mut self, table: u32, keys: KeySet, limit: Option<Duration>) -> Result<()> {
        self.lock_of(table, Wanted::Keys(keys), limit).await
    }

    /// Locks keys of a table's constraint; what others have done meanwhile is the caller's to look at.
    pub async fn take_keys(&mut self, table: u32, keys: KeySet, limit: Option<Duration>) -> Result<()> {
        self.take(table, Wanted::Keys(keys), limit).await.map(drop)
    }

    /// The index that its snapshot was taken at.
    pub fn read_at(&self) -> LogIndex {
        self.snapshot.state.index
    }

    /// Whether others have committed any of some keys since, or may have.
    pub fn keys_came(&self, table: u32, keys: &KeyFingerprints, since: LogIndex) -> bool {
        let newest = self.engine.placement.state();
        newest.tables.get(&TableId(u64::from(table))).is_some_and(|table| table.recent_keys.conflicts(keys, since))
    }

    /// The newest state with its own changes over it: at READ COMMITTED the transaction moves on to it. Its own snapshot, where a definition has
    /// changed that it relies on: COMMIT tells of that.
    pub fn view_of_newest(&mut self) -> Result<View> {
        if self.is_read_committed() {
            self.refresh()?;
        }
        let view = self.newest_view();
        let unchanged = self.assertions_hold(&view.snapshot.state);
        Ok(if unchanged { view } else { self.view() })
    }

    /// Lost, if others have committed any of the keys that it inserts since the snapshot which it has chosen its rows by.
    pub fn lose_to_keys(&mut self, table: u32, keys: &KeyFingerprints) -> Result<()> {
        let may_be_run_again = self.running.read_committed && self.running.lost_to_keys < LOST_TO_KEYS_MAX;
        if !may_be_run_again || !self.keys_came(table, keys, self.read_at()) {
            return Ok(());
        }
        self.running.lost_to_keys += 1;
        Err(self.lose())
    }

    /// Whether others hold rows of a table so that they could not be locked in a strength.
    pub fn others_hold(&self, table: u32, strength: RowStrength) -> bool {
        self.locks.any_held_by_others(table, strength)
    }

    /// Those of the rows that others hold so that they could not be locked.
    pub fn leaving(&self, rows: &RowSet) -> RowSet {
        self.locks.held_by_others(rows)
    }

    /// Waits until nobody holds the rows so that they could not be locked, and locks none.
    pub async fn wait_until_settled(&mut self, rows: RowSet, limit: Option<Duration>) -> Result<()> {
        self.take(rows.table, Wanted::Settled(rows), limit).await.map(drop)
    }

    /// Lost, unless the rows are still what it has seen: those that others are deleting are waited for.
    pub async fn see_settled(&mut self, rows: RowSet, limit: Option<Duration>) -> Result<()> {
        let Some(rows) = self.of_others(rows) else { return Ok(()) };
        let leaving = self.leaving(&rows);
        if !leaving.is_empty() {
            self.wait_until_settled(leaving, limit).await?;
        }
        if self.are_there(&rows) { Ok(()) } else { Err(self.lose()) }
    }

    async fn lock_of(&mut self, table: u32, wanted: Wanted, limit: Option<Duration>) -> Result<()> {
        let waited = self.take(table, wanted, limit).await?;
        let version = |state: &State| (state.objects_version, state.tables.get(&TableId(u64::from(table))).map(|table| table.version));
        match waited && self.running.read_committed && version(&self.snapshot.state) != version(&self.engine.placement.state()) {
            true => Err(self.lose()),
            false => Ok(()),
        }
    }

    /// The same transaction as one statement, which may have a turn.
    pub(super) fn in_turn(mut self, turn: Option<Turn>) -> Self {
        self.alone = true;
        self.turn = turn;
        self
    }

    /// Takes a lock of a table that it changes; whether it had to wait.
    async fn take(&mut self, table: u32, wanted: Wanted, limit: Option<Duration>) -> Result<bool> {
        let waited = self.wait_for(wanted, limit).await?;
        if waited {
            self.running.waited_at = Some(table);
        }
        Ok(waited)
    }

    /// Takes a lock; whether it had to wait. Who waits gives up its turn.
    pub(super) async fn wait_for(&mut self, wanted: Wanted, limit: Option<Duration>) -> Result<bool> {
        if self.turn.is_some() && self.locks.try_lock(&wanted) {
            return Ok(false);
        }
        self.turn = None;
        self.locks.lock(wanted, limit).await
    }

    /// Begins a statement that may lock rows.
    pub fn attempt(&mut self, read_committed: bool) -> Attempts {
        self.running = Running { read_committed, ..Running::default() };
        self.locks.begin_statement();
        Attempts { before: self.savepoint(), count: 0, read_committed }
    }

    /// The statement is lost: what others have done meanwhile is in its way.
    pub fn lose(&mut self) -> SqlError {
        self.running.lost = true;
        serialization_failure()
    }

    /// The rows that others may want too: not those that the transaction itself has added.
    pub(super) fn of_others(&self, mut rows: RowSet) -> Option<RowSet> {
        if let Some(changes) = self.changes.get(&rows.table) {
            rows.units.retain(|unit, _| !changes.added.iter().any(|own| own.id == *unit));
        }
        (!rows.is_empty()).then_some(rows)
    }

    /// Adds what rows that the transaction has written itself may stand in for: their keys are those of rows that it has changed before, and go
    /// with them. Which of these that is, is not remembered: all of the table's.
    pub fn add_replaced(&self, rows: &mut RowSet) {
        let Some(changes) = self.changes.get(&rows.table) else { return };
        if changes.added.iter().any(|unit| rows.units.contains_key(&unit.id)) {
            changes.deleted.iter().for_each(|(unit, replaced)| *rows.units.entry(*unit).or_default() |= &replaced.0);
        }
    }

    fn begin_locking(&mut self, rows: RowSet) -> Option<RowSet> {
        let rows = self.of_others(rows)?;
        self.will_change_rows(rows.table);
        Some(rows)
    }

    /// The rows stay locked when the statement ends.
    pub(super) fn note_locked(&mut self, rows: RowSet) {
        self.running.wanted.push(rows);
    }

    async fn end_locking(&mut self, rows: RowSet) -> Result<()> {
        self.engine.writers.settled(rows.table).await;
        let are_there = self.are_there(&rows);
        self.running.wanted.push(rows);
        if are_there { Ok(()) } else { Err(self.lose()) }
    }

    /// Whether nobody has changed or moved the rows.
    fn are_there(&self, rows: &RowSet) -> bool {
        let now = self.engine.placement.state();
        let table = now.tables.get(&TableId(u64::from(rows.table)));
        rows.units.iter().all(|(unit, offsets)| {
            let unit = table.and_then(|table| table.units.get(&UnitId(unit.0)));
            unit.is_some_and(|unit| is_disjoint(unit, &Deletes(offsets.clone())))
        })
    }
}

impl Attempts {
    /// Whether the statement is to be run again after an attempt that may have failed: it is undone then, and the transaction has moved on to the newest snapshot.
    pub async fn again(&mut self, transaction: &mut Transaction, failed: bool) -> Result<bool> {
        self.count += 1;
        let Running { wanted, lost, waited_at, lost_to_keys, .. } = std::mem::take(&mut transaction.running);
        if lost && failed && self.read_committed && self.count < ATTEMPTS_MAX {
            let seen = transaction.snapshot.state.index;
            transaction.roll_back_to(&self.before);
            if let Some(table) = waited_at.filter(|_| transaction.alone) {
                transaction.turn = Some(transaction.engine.writers.turn(table).await);
            }
            transaction.refresh()?;
            if transaction.snapshot.state.index > seen {
                transaction.running = Running { read_committed: true, lost_to_keys, ..Running::default() };
                return Ok(true);
            }
        }
        transaction.locks.end_statement(&wanted);
        Ok(false)
    }
}
