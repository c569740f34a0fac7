//! Who holds what, and who waits for it: pure, synchronous, under one mutex.
//!
//! A request takes at once what is free of what it wants, as PostgreSQL locks row by row, and stands in the queue for the rest. Whenever
//! somebody gives something back, those who waited for them are looked at in the order in which they came, and take what is free now; who has
//! all is told so.
//!
//! A table is not taken before those who wait for it already, if one excludes the other: so LOCK TABLE gets its turn among many who change rows.
//! Whoever holds what another waits for goes before that one.

use super::Wanted;
use super::circle::Edge;
use super::held::Taken;
use super::keys::HeldKeys;
use super::rows::{HeldRows, RowSet, RowStrength};
use super::tables::{HeldTables, TableLock, TableMode};
use crate::error::{Result, SqlError};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// A transaction, as far as it locks.
pub type OwnerId = u64;

/// All locks.
#[derive(Debug, Default)]
pub struct LockTable {
    rows: HeldRows,
    keys: HeldKeys,
    tables: HeldTables,
    holders: BTreeMap<OwnerId, Holder>,
    queue: BTreeMap<Ticket, Waiting>,
    tickets: u64,
    /// Sessions that have got a part of what they wait for: who waits for that waits for them now.
    partly_served: Vec<i32>,
}

/// Who comes before somebody that wants a table.
#[derive(Clone, Copy)]
enum Line {
    /// All who wait.
    All,
    /// Those who came before.
    Before(Ticket),
    /// Nobody.
    Nobody,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What an owner held at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

impl Mark {
    /// Nothing.
    pub const START: Self = Self(0);
}

/// The answer to a request.
#[derive(Debug)]
pub enum Asked {
    /// All of it is held.
    Granted,
    /// It is waited for: the channel tells when it is held.
    Queued(Ticket, oneshot::Receiver<Result<()>>),
}

/// A lock as `pg_locks` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Who holds it, or waits for it.
    pub process_id: i32,
    /// Its transaction.
    pub owner: OwnerId,
    /// What.
    pub lock: ShownLock,
    /// Since when it is waited for; `None`: it is held.
    pub waits_since: Option<DateTime<Utc>>,
}

/// What is locked.
#[derive(Clone, Debug, PartialEq)]
pub enum ShownLock {
    /// A transaction: it holds itself, and others wait for its end.
    Transaction(OwnerId),
    /// A table.
    Table(u32, TableMode),
}

#[derive(Debug)]
struct Holder {
    process_id: i32,
    /// What it took, by the marks between.
    taken: Vec<Taken>,
    /// What the statement took that runs now.
    statement: Option<Taken>,
}

#[derive(Debug)]
struct Waiting {
    owner: OwnerId,
    process_id: i32,
    /// What it does not hold yet.
    wanted: Wanted,
    /// Who held it when it was looked at last.
    holders: BTreeSet<OwnerId>,
    since: DateTime<Utc>,
    /// It goes before all who wait.
    overtakes: bool,
    granted: oneshot::Sender<Result<()>>,
}

impl LockTable {
    /// Takes what is free, and queues for the rest.
    pub fn ask(&mut self, owner: OwnerId, process_id: i32, mut wanted: Wanted) -> Asked {
        if !self.take(owner, process_id, &mut wanted, Line::All).left {
            return Asked::Granted;
        }
        self.tickets += 1;
        let (ticket, (granted, receiver)) = (Ticket(self.tickets), oneshot::channel());
        let holders = self.in_the_way(owner, &wanted, Line::All);
        self.queue.insert(ticket, Waiting { owner, process_id, wanted, holders, since: Utc::now(), overtakes: false, granted });
        Asked::Queued(ticket, receiver)
    }

    /// Takes all of it or nothing.
    pub fn try_lock(&mut self, owner: OwnerId, process_id: i32, wanted: &Wanted) -> bool {
        let free = self.in_the_way(owner, wanted, Line::All).is_empty();
        free && !self.take(owner, process_id, &mut wanted.clone(), Line::All).left
    }

    /// Takes the rows that are free; answers those that the owner holds now.
    pub fn lock_free(&mut self, owner: OwnerId, process_id: i32, rows: &RowSet) -> RowSet {
        let mut left = Wanted::Rows(rows.clone());
        self.take(owner, process_id, &mut left, Line::All);
        let mut held = rows.clone();
        if let Wanted::Rows(left) = left {
            for (unit, rows) in left.units {
                held.units.entry(unit).and_modify(|held| *held -= rows);
            }
        }
        held.forget_empty();
        held
    }

    /// Those of the rows that others hold so that the owner cannot have them.
    pub fn held_by_others(&self, owner: OwnerId, rows: &RowSet) -> RowSet {
        self.rows.held_by_others(owner, rows)
    }

    /// Whether others hold any rows of a table so that the owner could not have them.
    pub fn any_held_by_others(&self, owner: OwnerId, table: u32, strength: RowStrength) -> bool {
        self.rows.any_held_by_others(owner, table, strength)
    }

    /// Remembers what an owner holds now.
    pub fn mark(&mut self, owner: OwnerId, process_id: i32) -> Mark {
        let holder = self.holder(owner, process_id);
        holder.end_statement();
        if holder.taken.last().is_none_or(|last| !last.is_empty()) {
            holder.taken.push(Taken::default());
        }
        Mark(holder.taken.len() - 1)
    }

    /// Gives back what was taken since a mark, which stays.
    pub fn release_after(&mut self, owner: OwnerId, mark: Mark) {
        let Some(holder) = self.holders.get_mut(&owner) else { return };
        holder.end_statement();
        let later = holder.taken.split_off(mark.0.min(holder.taken.len()));
        holder.taken.push(Taken::default());
        self.give_back(owner, later);
    }

    /// Of the marks only those up to this one will be asked for; `None`: none will.
    pub fn forget_marks_after(&mut self, owner: OwnerId, last: Option<Mark>) {
        let Some(holder) = self.holders.get_mut(&owner) else { return };
        let at = last.map_or(0, |mark| mark.0).min(holder.taken.len());
        let mut joined = Taken::default();
        holder.taken.split_off(at).into_iter().for_each(|later| joined.join(later));
        holder.taken.push(joined);
    }

    /// A statement begins.
    pub fn begin_statement(&mut self, owner: OwnerId, process_id: i32) {
        let holder = self.holder(owner, process_id);
        holder.end_statement();
        holder.statement = Some(Taken::default());
    }

    /// A statement ends: these are the rows that it wanted in the end.
    pub fn end_statement(&mut self, owner: OwnerId, wanted: &[RowSet]) {
        let Some(holder) = self.holders.get_mut(&owner) else { return };
        let unwanted = holder.statement.as_mut().map(|statement| statement.split_unwanted(wanted));
        holder.end_statement();
        self.give_back(owner, unwanted.into_iter().filter(|unwanted| !unwanted.is_empty()).collect());
    }

    /// An owner ends: it gives back all.
    pub fn end(&mut self, owner: OwnerId) {
        if let Some(mut holder) = self.holders.remove(&owner) {
            holder.end_statement();
            self.give_back(owner, holder.taken);
        }
    }

    /// Somebody does not wait any more, or has been told that it need not.
    pub fn leave(&mut self, ticket: Ticket) {
        if let Some(gone) = self.queue.remove(&ticket) {
            self.look_again(gone.owner);
        }
    }

    /// A session goes before all who wait for the table that it wants.
    pub fn overtake(&mut self, process_id: i32) {
        let mut tickets = Vec::new();
        for (ticket, waiting) in self.queue.iter_mut().filter(|(_, waiting)| waiting.process_id == process_id) {
            waiting.overtakes = true;
            tickets.push(*ticket);
        }
        tickets.into_iter().for_each(|ticket| self.serve(ticket));
    }

    /// A session that has got a part of what it waits for, each once.
    pub fn partly_served(&mut self) -> Option<i32> {
        self.partly_served.pop()
    }

    /// Tells a session that waits of an error.
    pub fn refuse(&mut self, process_id: i32, error: SqlError) {
        let ticket = self.queue.iter().find(|(_, waiting)| waiting.process_id == process_id).map(|(ticket, _)| *ticket);
        let Some(waiting) = ticket.and_then(|ticket| self.queue.remove(&ticket)) else { return };
        _ = waiting.granted.send(Err(error));
        self.look_again(waiting.owner);
    }

    /// Whom a session waits for, each once.
    pub fn blocking(&self, process_id: i32) -> Vec<Edge> {
        let mut edges: Vec<Edge> = Vec::new();
        for (ticket, waiting) in self.queue.iter().filter(|(_, waiting)| waiting.process_id == process_id) {
            let holders = self.in_the_way(waiting.owner, &waiting.wanted, Line::Nobody);
            let ahead = self.in_the_way(waiting.owner, &waiting.wanted, waiting.line(*ticket));
            for owner in holders.iter().chain(ahead.difference(&holders)) {
                let by = self.holders.get(owner).map_or(0, |holder| holder.process_id);
                if by != process_id && !edges.iter().any(|edge| edge.by == by) {
                    let soft = !holders.contains(owner);
                    edges.push(Edge { waiter: process_id, what: told(&waiting.wanted, *owner), by, soft });
                }
            }
        }
        edges
    }

    /// What a session waits for, as `pg_stat_activity` calls it.
    pub fn wait_event(&self, process_id: i32) -> Option<&'static str> {
        let waiting = self.queue.values().find(|waiting| waiting.process_id == process_id)?;
        Some(if matches!(waiting.wanted, Wanted::Table(_)) { "relation" } else { "transactionid" })
    }

    /// Whether a session waits.
    pub fn is_waiting(&self, process_id: i32) -> bool {
        self.queue.values().any(|waiting| waiting.process_id == process_id)
    }

    /// All locks, held and waited for.
    pub fn shown(&self) -> Vec<Shown> {
        let mut all = Vec::new();
        for (owner, holder) in &self.holders {
            let shown = |lock| Shown { process_id: holder.process_id, owner: *owner, lock, waits_since: None };
            let tables: BTreeSet<_> =
                holder.taken.iter().chain(&holder.statement).flat_map(|taken| &taken.tables).map(|lock| (lock.table, lock.mode)).collect();
            all.push(shown(ShownLock::Transaction(*owner)));
            all.extend(tables.into_iter().map(|(table, mode)| shown(ShownLock::Table(table, mode))));
        }
        for waiting in self.queue.values() {
            let shown = |lock| Shown { process_id: waiting.process_id, owner: waiting.owner, lock, waits_since: Some(waiting.since) };
            match &waiting.wanted {
                Wanted::Table(lock) => all.push(shown(ShownLock::Table(lock.table, lock.mode))),
                wanted => {
                    let holders = self.in_the_way(waiting.owner, wanted, Line::Nobody);
                    all.extend(holders.into_iter().map(|holder| shown(ShownLock::Transaction(holder))));
                }
            }
        }
        all
    }

    fn holder(&mut self, owner: OwnerId, process_id: i32) -> &mut Holder {
        let holder = self.holders.entry(owner).or_insert_with(|| Holder { process_id, taken: Vec::new(), statement: None });
        holder.process_id = process_id;
        holder
    }

    /// Takes what is free out of `wanted`.
    fn take(&mut self, owner: OwnerId, process_id: i32, wanted: &mut Wanted, line: Line) -> Outcome {
        let mut taken = Taken::default();
        let left = match wanted {
            Wanted::Rows(rows) => {
                taken.note_rows(self.rows.take(owner, rows));
                !rows.is_empty()
            }
            Wanted::Settled(rows) => !self.rows.holders(owner, rows).is_empty(),
            Wanted::Keys(keys) => {
                let (newly, left) = self.keys.take(owner, keys);
                taken.note_keys(newly);
                left
            }
            Wanted::Table(lock) if self.tables.has(owner, *lock) => false,
            Wanted::Table(lock) if self.before(owner, *lock, line).is_empty() => {
                self.tables.take(owner, *lock);
                taken.tables.push(*lock);
                false
            }
            Wanted::Table(_) => true,
        };
        let outcome = Outcome { left, took: !taken.is_empty() };
        self.holder(owner, process_id).note(taken);
        outcome
    }

    /// Those who hold a table so that the owner cannot have it, and those who come before.
    fn before(&self, owner: OwnerId, lock: TableLock, line: Line) -> Vec<OwnerId> {
        let waiting = match line {
            Line::All => self.queue.range(..),
            Line::Before(ticket) => self.queue.range(..ticket),
            Line::Nobody => return self.tables.holders(owner, lock),
        };
        let for_table = waiting.filter_map(|(_, waiting)| match &waiting.wanted {
            Wanted::Table(other) if other.table == lock.table && waiting.owner != owner => Some((waiting.owner, other.mode)),
            _ => None,
        });
        // Who waits for the owner comes after it, and so do all behind.
        let ahead = for_table.take_while(|(_, mode)| !self.tables.excludes(owner, TableLock { mode: *mode, ..lock }));
        let ahead = ahead.filter(|(_, mode)| mode.conflicts(lock.mode)).map(|(other, _)| other);
        self.tables.holders(owner, lock).into_iter().chain(ahead).collect()
    }

    fn in_the_way(&self, owner: OwnerId, wanted: &Wanted, line: Line) -> BTreeSet<OwnerId> {
        let holders = match wanted {
            Wanted::Rows(rows) | Wanted::Settled(rows) => self.rows.holders(owner, rows),
            Wanted::Keys(keys) => self.keys.holders(owner, keys),
            Wanted::Table(lock) => self.before(owner, *lock, line),
        };
        holders.into_iter().collect()
    }

    fn give_back(&mut self, owner: OwnerId, all: Vec<Taken>) {
        if all.is_empty() {
            return;
        }
        for taken in all {
            for ((table, unit, strength), rows) in &taken.rows {
                self.rows.release(owner, *table, *unit, *strength, rows);
            }
            for ((space, mode), fingerprints) in taken.keys {
                self.keys.release(owner, &super::KeySet { space, mode, fingerprints: Some(fingerprints) });
            }
            for (space, mode) in taken.spaces {
                self.keys.release(owner, &super::KeySet { space, mode, fingerprints: None });
            }
            taken.tables.into_iter().for_each(|lock| self.tables.release(owner, lock));
        }
        self.look_again(owner);
    }

    /// Lets those who waited for an owner take what is free now, in the order in which they came.
    fn look_again(&mut self, owner: OwnerId) {
        let waited: Vec<Ticket> = self.queue.iter().filter(|(_, w)| w.holders.contains(&owner)).map(|(ticket, _)| *ticket).collect();
        waited.into_iter().for_each(|ticket| self.serve(ticket));
    }

    /// Lets somebody who waits take what is free now.
    fn serve(&mut self, ticket: Ticket) {
        let Some(mut waiting) = self.queue.remove(&ticket) else { return };
        let line = waiting.line(ticket);
        let Outcome { left, took } = self.take(waiting.owner, waiting.process_id, &mut waiting.wanted, line);
        if !left {
            // Who has gone gives back what it got when its owner ends.
            _ = waiting.granted.send(Ok(()));
            return;
        }
        if took {
            self.partly_served.push(waiting.process_id);
        }
        waiting.holders = self.in_the_way(waiting.owner, &waiting.wanted, line);
        self.queue.insert(ticket, waiting);
    }
}

/// What came of taking.
struct Outcome {
    /// Something is left to be waited for.
    left: bool,
    /// Something was taken.
    took: bool,
}

impl Waiting {
    fn line(&self, ticket: Ticket) -> Line {
        if self.overtakes { Line::Nobody } else { Line::Before(ticket) }
    }
}

impl Holder {
    fn note(&mut self, taken: Taken) {
        match self.statement.as_mut().or(self.taken.last_mut()) {
            Some(last) => last.join(taken),
            None => self.taken.push(taken),
        }
    }

    fn end_statement(&mut self) {
        if let Some(statement) = self.statement.take() {
            self.note(statement);
        }
    }
}

fn told(wanted: &Wanted, holder: OwnerId) -> String {
    match wanted {
        Wanted::Table(lock) => format!("{} on relation {}", lock.mode.name(), lock.table),
        Wanted::Rows(_) | Wanted::Settled(_) | Wanted::Keys(_) => format!("ShareLock on transaction {holder}"),
    }
}

#[cfg(test)]
impl LockTable {
    /// Whether nobody holds or waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        let nothing = self.rows.is_empty() && self.keys.is_empty() && self.tables.is_empty();
        nothing && self.holders.is_empty() && self.queue.is_empty()
    }
}
