//! Locks of open transactions: on rows, on unique and foreign keys, on tables.
//!
//! 1. Each transaction is an [`Owner`]. It holds what it has locked until it is dropped, which happens after the log has answered its commit,
//!    or when it is rolled back, or its client has gone.
//! 2. [`Owner::lock`] takes what is free at once, and waits in a queue for the rest, first come first served ([`table`]). Who stops waiting
//!    (a time limit, a request to cancel, a lost client) leaves the queue. [`Owner::try_lock`] never waits, [`Owner::lock_free`] leaves out
//!    rows that others hold.
//! 3. Who would wait in a circle is told so at once (40P01, [`circle`]): who closes it by waiting, or by getting a part of what it waits for.
//! 4. [`Owner::mark`] remembers what is held, and [`Owner::release_after`] gives back what was locked since (ROLLBACK TO a savepoint).
//!    Between [`Owner::begin_statement`] and [`Owner::end_statement`] a statement may be run again and again: what it locked on its way keeps
//!    its place in the queue, and rows that it does not want in the end are given back.
//!
//! Locks live in this process, and only keep those who would lose from trying: it is the log that decides (docs/decisions/0008). A row is
//! locked as the place that it has, (unit, offset): who has waited looks again at what the newest snapshot holds.
//!
//! ```text
//! let owner = engine.locks.owner();
//! owner.act_for(process_id);                                       // who waits and blocks, for pg_locks and messages
//! let waited = owner.lock(Wanted::Rows(rows), limit).await?;       // rows of a table, in one of four strengths
//! let waited = owner.lock(Wanted::Keys(keys), limit).await?;       // fingerprints of keys of one constraint, shared or exclusive
//! ```

use super::advisory::AdvisoryLocks;
use crate::error::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

pub mod circle;
pub mod held;
pub mod keys;
pub mod rows;
pub mod table;
pub mod tables;

pub use keys::{KeyMode, KeySet};
pub use rows::{RowSet, RowStrength};
pub use table::{Asked, LockTable, Mark, OwnerId, Shown, ShownLock, Ticket};
pub use tables::{TableLock, TableMode};

/// What is to be locked.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Rows of a table.
    Rows(RowSet),
    /// No lock: that nobody holds rows of a table so that they could not be had.
    Settled(RowSet),
    /// Keys of a constraint.
    Keys(KeySet),
    /// A table.
    Table(TableLock),
}

/// All locks of a server.
#[derive(Debug, Default)]
pub struct Locks {
    table: Mutex<LockTable>,
    owners_begun: AtomicU64,
    /// What sessions agree to lock: they may wait for one lock of each kind in one circle.
    advisory: Arc<AdvisoryLocks>,
}

/// A transaction, as far as it locks. What it holds is given back when it is dropped.
#[derive(Debug)]
pub struct Owner {
    locks: Arc<Locks>,
    id: OwnerId,
    process_id: AtomicI32,
    used: AtomicBool,
}

impl Locks {
    /// The locks of transactions beside those of sessions.
    pub fn over(advisory: Arc<AdvisoryLocks>) -> Arc<Self> {
        Arc::new(Self { advisory, ..Self::default() })
    }

    /// A new owner, who holds nothing.
    pub fn owner(self: &Arc<Self>) -> Owner {
        let id = self.owners_begun.fetch_add(1, Ordering::Relaxed) + 1;
        Owner { locks: Arc::clone(self), id, process_id: AtomicI32::new(0), used: AtomicBool::new(false) }
    }

    /// All locks, held and waited for.
    pub fn shown(&self) -> Vec<Shown> {
        self.table.lock().shown()
    }

    /// The sessions that keep a session waiting, each once.
    pub fn blocking(&self, process_id: i32) -> Vec<i32> {
        self.edges(process_id).into_iter().map(|edge| edge.by).collect()
    }

    /// Whether a session waits for a transaction to end, or for a table.
    pub fn is_waiting(&self, process_id: i32) -> bool {
        self.table.lock().is_waiting(process_id)
    }

    /// The kind of lock that a session waits for, as `pg_stat_activity` calls it.
    pub fn wait_event(&self, process_id: i32) -> Option<&'static str> {
        let waits = self.table.lock().wait_event(process_id);
        waits.or_else(|| (!self.advisory.blocking(process_id).is_empty()).then_some("advisory"))
    }

    /// 40P01 if a session that waits, waits for itself. Where somebody in the circle waits only because another came before, it overtakes.
    pub fn check(&self, session: i32) -> Result<()> {
        while let Some(circle) = circle::find(session, |waiter| self.edges(waiter)) {
            match circle.iter().find(|edge| edge.soft) {
                Some(edge) => self.table.lock().overtake(edge.waiter),
                None => return Err(circle::deadlock(&circle)),
            }
        }
        Ok(())
    }

    /// Changes the table; then tells those of a circle who have got a part of what they wait for, and so have closed it.
    fn change(&self, change: impl FnOnce(&mut LockTable)) {
        change(&mut self.table.lock());
        loop {
            let partly_served = self.table.lock().partly_served();
            let Some(session) = partly_served else { return };
            if let Err(error) = self.check(session) {
                self.table.lock().refuse(session, error);
            }
        }
    }

    fn edges(&self, waiter: i32) -> Vec<circle::Edge> {
        let mut edges = self.table.lock().blocking(waiter);
        edges.extend(self.advisory.blocking(waiter));
        edges
    }
}

impl Owner {
    /// Says which session the owner acts for.
    pub fn act_for(&self, process_id: i32) {
        self.process_id.store(process_id, Ordering::Relaxed);
    }

    /// Its number, which no other owner of this process has.
    pub fn id(&self) -> OwnerId {
        self.id
    }

    /// Locks all of it, and waits for what others hold, no longer than `limit` (55P03); answers whether it has waited. A circle of waits is
    /// 40P01. Who stops waiting keeps what was free.
    pub async fn lock(&self, wanted: Wanted, limit: Option<Duration>) -> Result<bool> {
        let (place, granted) = match self.asking().ask(self.id, self.session(), wanted) {
            Asked::Granted => return Ok(false),
            Asked::Queued(ticket, granted) => (Place { locks: &self.locks, ticket }, granted),
        };
        self.locks.check(self.session())?;
        let waited = wait(granted, limit).await;
        drop(place);
        waited.map(|()| true)
    }

    /// Locks all of it, or nothing if somebody holds some; answers whether it did.
    pub fn try_lock(&self, wanted: &Wanted) -> bool {
        self.asking().try_lock(self.id, self.session(), wanted)
    }

    /// Locks the rows that are free; answers which these are, with those that it held before.
    pub fn lock_free(&self, rows: &RowSet) -> RowSet {
        self.asking().lock_free(self.id, self.session(), rows)
    }

    /// Those of the rows that others hold so that they cannot be had now.
    pub fn held_by_others(&self, rows: &RowSet) -> RowSet {
        self.locks.table.lock().held_by_others(self.id, rows)
    }

    /// Whether others hold any rows of a table so that they cannot be had now.
    pub fn any_held_by_others(&self, table: u32, strength: RowStrength) -> bool {
        self.locks.table.lock().any_held_by_others(self.id, table, strength)
    }

    /// Remembers what is held now.
    pub fn mark(&self) -> Mark {
        self.asking().mark(self.id, self.session())
    }

    /// Gives back what was locked since a mark, which stays.
    pub fn release_after(&self, mark: Mark) {
        self.locks.change(|table| table.release_after(self.id, mark));
    }

    /// Of the marks only those up to this one will be asked for; `None`: none will.
    pub fn forget_marks_after(&self, last: Option<Mark>) {
        self.locks.table.lock().forget_marks_after(self.id, last);
    }

    /// A statement begins; what it locks is told apart until it ends.
    pub fn begin_statement(&self) {
        self.asking().begin_statement(self.id, self.session());
    }

    /// A statement ends. Rows that it locked before it was run again are given back, if these have none of their table.
    pub fn end_statement(&self, wanted: &[RowSet]) {
        self.locks.change(|table| table.end_statement(self.id, wanted));
    }

    fn asking(&self) -> parking_lot::MutexGuard<'_, LockTable> {
        self.used.store(true, Ordering::Relaxed);
        self.locks.table.lock()
    }

    /// The session; owners that act for none are told apart too.
    fn session(&self) -> i32 {
        match self.process_id.load(Ordering::Relaxed) {
            0 => -i32::try_from(self.id % i32::MAX as u64).unwrap_or(1) - 1,
            process_id => process_id,
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.used.load(Ordering::Relaxed) {
            self.locks.change(|table| table.end(self.id));
        }
    }
}

/// A place in the queue; left when dropped.
struct Place<'a> {
    locks: &'a Locks,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.locks.change(|table| table.leave(self.ticket));
    }
}

async fn wait(granted: oneshot::Receiver<Result<()>>, limit: Option<Duration>) -> Result<()> {
    let gone = |_| SqlError::internal("a lock's queue vanished");
    let Some(limit) = limit else { return granted.await.map_err(gone)? };
    match tokio::time::timeout(limit, granted).await {
        Ok(granted) => granted.map_err(gone)?,
        Err(_) => Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout")),
    }
}

#[cfg(test)]
mod tests;
