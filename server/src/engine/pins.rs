//! Which snapshots are in use.

use crate::view::PinnedState;
use parking_lot::Mutex;
use placement::{State, Table, UnitId, UnitSource};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Weak};
use storage::SegmentId;
use tokio::sync::Notify;

/// The register of snapshots in use; bounded by the statements and transactions that run.
#[derive(Debug, Default)]
pub struct Pins {
    pinned: Mutex<Register>,
    released: Notify,
}

#[derive(Debug, Default)]
struct Register {
    next: u64,
    states: BTreeMap<u64, Arc<State>>,
    newest: Weak<PinnedState>,
}

/// Snapshots that keep files from being removed.
#[derive(Debug, Default)]
pub struct Holders(Vec<u64>);

/// Takes a snapshot out of the register when dropped.
#[derive(Debug)]
pub struct Release {
    pins: Weak<Pins>,
    number: u64,
}

impl Pins {
    /// An empty register.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Pins what `newest` answers. It is asked under the register's lock: no sweep reads the register between the two.
    pub fn pin(self: &Arc<Self>, newest: impl FnOnce() -> Arc<State>) -> Arc<PinnedState> {
        let mut register = self.pinned.lock();
        let state = newest();
        if let Some(shared) = register.newest.upgrade().filter(|shared| Arc::ptr_eq(&shared.state, &state)) {
            return shared;
        }
        let number = register.next;
        register.next += 1;
        register.states.insert(number, state.clone());
        let release = Release { pins: Arc::downgrade(self), number };
        let pinned = Arc::new(PinnedState { state, release: Some(release) });
        register.newest = Arc::downgrade(&pinned);
        pinned
    }

    /// The segments of every snapshot in use and of the newest one.
    pub fn live_segments(&self, newest: impl FnOnce() -> Arc<State>) -> BTreeSet<SegmentId> {
        let states: Vec<_> = {
            let register = self.pinned.lock();
            register.states.values().cloned().chain([newest()]).collect()
        };
        // Snapshots share the tables that did not change between them.
        let mut seen = HashSet::new();
        let tables = states.iter().flat_map(|state| state.tables.values()).filter(|table| seen.insert(Arc::as_ptr(table)));
        tables.flat_map(|table| segments(table)).collect()
    }

    /// The snapshots in use that hold segments which the newest state has no more.
    pub fn holding_garbage(&self, newest: &State) -> Holders {
        let states: Vec<_> = self.pinned.lock().states.iter().map(|(number, state)| (*number, state.clone())).collect();
        let holds = |state: &State| state.tables.iter().any(|(id, table)| holds_garbage(table, newest.tables.get(id)));
        Holders(states.into_iter().filter(|(_, state)| holds(state)).map(|(number, _)| number).collect())
    }

    /// Whether one of the holders has let go.
    pub fn any_gone(&self, holders: &Holders) -> bool {
        let register = self.pinned.lock();
        holders.0.iter().any(|number| !register.states.contains_key(number))
    }

    /// Waits until a snapshot is let go of; remembers one that was let go of since the last wait.
    pub async fn released(&self) {
        self.released.notified().await;
    }

    fn forget(&self, number: u64) {
        self.pinned.lock().states.remove(&number);
        self.released.notify_one();
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(pins) = self.pins.upgrade() {
            pins.forget(self.number);
        }
    }
}

fn segments(table: &Table) -> impl Iterator<Item = SegmentId> + '_ {
    let segments = table.units.values().filter(|unit| matches!(unit.source, UnitSource::Segment { .. }));
    segments.map(|unit| SegmentId(unit.id.0))
}

fn holds_garbage(table: &Arc<Table>, newest: Option<&Arc<Table>>) -> bool {
    match newest {
        Some(newest) if Arc::ptr_eq(table, newest) => false,
        Some(newest) => segments(table).any(|id| !newest.units.contains_key(&UnitId(id.0))),
        None => segments(table).next().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use placement::{LogIndex, TableId, Unit};

    fn state(index: u64, units: &[u64]) -> Arc<State> {
        let mut table = Table::default();
        for id in units {
            let source = UnitSource::Segment { disk_bytes: 1, summary: Arc::new([]) };
            let unit = Unit { id: UnitId(*id), rows: 1, source, deletes: None, version: LogIndex(index) };
            table.units.insert_mut(unit.id, Arc::new(unit));
        }
        let mut state = State { index: LogIndex(index), ..State::default() };
        state.tables.insert_mut(TableId(1), Arc::new(table));
        Arc::new(state)
    }

    #[test]
    fn segments_of_snapshots_in_use_are_live() {
        let pins = Pins::new();
        let (old, new) = (state(1, &[1, 2]), state(2, &[2, 3]));
        let first = pins.pin(|| old.clone());
        let shared = pins.pin(|| old.clone());
        assert!(Arc::ptr_eq(&first, &shared));
        let live = |pins: &Pins| pins.live_segments(|| new.clone()).into_iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(live(&pins), [1, 2, 3]);
        let holders = pins.holding_garbage(&new);
        drop(first);
        assert!(holders.0.len() == 1 && !pins.any_gone(&holders));
        drop(shared);
        assert!(pins.any_gone(&holders));
        assert_eq!(live(&pins), [2, 3]);
    }

    #[test]
    fn a_snapshot_that_lacks_nothing_holds_no_garbage() {
        let pins = Pins::new();
        let old = state(1, &[1]);
        let _pin = pins.pin(|| old.clone());
        assert!(pins.holding_garbage(&state(2, &[1, 2])).0.is_empty());
    }
}
