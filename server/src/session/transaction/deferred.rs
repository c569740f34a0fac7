//! Foreign keys and unique constraints in a transaction: which are checked later, what is to be checked then, and how it waits for the keys of others.

use super::Transaction;
use crate::catalog::lookup::Found;
use crate::engine::locks::{KeyMode, KeySet as LockedKeys, RowSet, Wanted};
use crate::error::Result;
use crate::foreign_keys::key_set::KeySet;
use crate::foreign_keys::link::Link;
use crate::foreign_keys::pending::{self, Mode, Owed};
use crate::foreign_keys::queue::Event;
use crate::ingest::unique::OwedKeys;
use crate::session::context::SessionFacts;
use crate::view::View;
use std::sync::Arc;
use std::time::Duration;

/// How a transaction waits for locks, and what its statements see.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    read_committed: bool,
    lock_limit: Option<Duration>,
}

impl Default for Manner {
    fn default() -> Self {
        Self { read_committed: true, lock_limit: None }
    }
}

impl Transaction {
    /// Says for whom it waits, and how long.
    pub fn act_for(&mut self, session: &SessionFacts) {
        self.locks.act_for(session.process_id);
        self.manner.lock_limit = session.lock_timeout();
    }

    /// Says whether each statement sees what was committed before it.
    pub fn set_read_committed(&mut self, read_committed: bool) {
        self.manner.read_committed = read_committed;
    }

    /// Whether each statement sees what was committed before it.
    pub fn is_read_committed(&self) -> bool {
        self.manner.read_committed
    }

    /// What is committed by now, with what the transaction has done over it.
    pub fn newest_view(&self) -> View {
        View { snapshot: self.engine.pin(), ..self.view() }
    }

    /// Locks keys until the transaction ends.
    pub async fn lock_references(&mut self, space: u64, mode: KeyMode, fingerprints: Vec<u64>) -> Result<()> {
        self.lock_space(space, mode, Some(fingerprints)).await
    }

    /// The same; without fingerprints all keys of the space.
    pub async fn lock_space(&mut self, space: u64, mode: KeyMode, fingerprints: Option<Vec<u64>>) -> Result<()> {
        let keys = LockedKeys { space, mode, fingerprints };
        self.wait_for(Wanted::Keys(keys), self.manner.lock_limit).await.map(drop)
    }

    /// Locks rows that are referred to, so that they keep their keys; whether it had to wait.
    pub async fn share_keys(&mut self, rows: RowSet) -> Result<bool> {
        let Some(rows) = self.of_others(rows) else { return Ok(false) };
        let waited = self.wait_for(Wanted::Rows(rows.clone()), self.manner.lock_limit).await?;
        self.note_locked(rows);
        Ok(waited)
    }

    /// Waits until nobody holds the rows so that they could not be locked, and locks none.
    pub async fn wait_for_leaving(&mut self, rows: RowSet) -> Result<()> {
        self.wait_until_settled(rows, self.manner.lock_limit).await
    }

    /// From here on what follows from changes waits: several parts of one statement change rows, and only all of them are to hold together.
    pub fn hold_events(&mut self) {
        self.held_events = Some(Vec::new());
    }

    /// Ends [`Transaction::hold_events`]; what has come together.
    pub fn release_events(&mut self) -> Vec<Event> {
        self.held_events.take().unwrap_or_default()
    }

    /// What is to be done now of what follows from a change: nothing, while it waits.
    pub fn due(&mut self, events: Vec<Event>) -> Vec<Event> {
        match &mut self.held_events {
            Some(held) => {
                held.extend(events);
                Vec::new()
            }
            None => events,
        }
    }

    /// Whether a foreign key is checked later.
    pub fn defers(&self, link: &Link) -> bool {
        link.key.deferrable && self.pending.modes.of(&link.id()).unwrap_or(link.key.deferred)
    }

    /// Remembers references to be checked later.
    pub fn defer_referred(&mut self, link: &Link, keys: &KeySet) -> Result<()> {
        Arc::make_mut(&mut self.pending).owed(link.id()).referred.add(keys, link.references.positions.len())
    }

    /// Remembers keys that are gone, to which nothing may refer in the end.
    pub fn defer_gone(&mut self, link: &Link, keys: &KeySet) -> Result<()> {
        Arc::make_mut(&mut self.pending).owed(link.id()).gone.add(keys, link.keys.positions.len())
    }

    /// Whether a deferrable unique constraint is checked later; `deferred` is what it says of itself.
    pub fn defers_key(&self, table: u32, constraint: &str, deferred: bool) -> bool {
        self.pending.modes.of(&(table, constraint.to_string())).unwrap_or(deferred)
    }

    /// Remembers keys to be looked for later.
    pub fn defer_keys(&mut self, owed: Vec<OwedKeys>) {
        let pending = Arc::make_mut(&mut self.pending);
        owed.into_iter().for_each(|keys| pending.owe_keys(keys));
    }

    /// SET CONSTRAINTS: sets when foreign keys are checked (`None`: all of them), and checks what is owed of those that are immediate now.
    pub async fn set_constraint_modes(&mut self, of: Option<&[(u32, String)]>, deferred: bool) -> Result<()> {
        let mode = if deferred { Mode::Deferred } else { Mode::Immediate };
        Arc::make_mut(&mut self.pending).modes.set(of, mode);
        match deferred {
            true => Ok(()),
            false => self.check_deferred(|id| of.is_none_or(|of| of.contains(id))).await,
        }
    }

    /// Checks what is owed of some foreign keys.
    pub(super) async fn check_deferred(&mut self, wanted: impl Fn(&(u32, String)) -> bool) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        for (id, keys) in Arc::make_mut(&mut self.pending).take_keys(&wanted) {
            // What others have committed since counts too: they had the key before this transaction locked it.
            let view = self.newest_view();
            let is_there = view.catalog.by_oid(id.0).and_then(|found| found.relation().as_table());
            if is_there.is_some_and(|table| table.constraints.iter().any(|constraint| constraint.name() == id.1)) {
                keys.check(self.engine.store.clone(), view.units(id.0)).await?;
            }
        }
        let owed = Arc::make_mut(&mut self.pending).take(wanted);
        for (id, owed) in owed {
            if let Some(link) = self.link_of(&id)? {
                self.check_owed(&link, owed).await?;
            }
        }
        Ok(())
    }

    /// The foreign key, unless it is gone.
    fn link_of(&self, (child, name): &(u32, String)) -> Result<Option<Arc<Link>>> {
        let found = self.catalog.by_oid(*child);
        let of = |found: Found<'_>| -> Result<Option<Arc<Link>>> {
            let referring = self.catalog.foreign_keys().find(|it| it.table.oid == found.relation().oid() && it.key.name == *name);
            referring.map(|referring| Link::of(&self.catalog, &referring)).transpose()
        };
        found.map_or(Ok(None), of)
    }

    async fn check_owed(&mut self, link: &Arc<Link>, owed: Owed) -> Result<()> {
        pending::check(self, link, owed).await
    }
}
