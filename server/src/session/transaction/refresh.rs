//! The newest state beside a transaction's snapshot: whether what it did is lost already, and moving on to it.

use super::Transaction;
use super::commit::serialization_failure;
use crate::error::Result;
use crate::view::TableChanges;
use placement::{State, TableId, UnitId};
use storage::{Deletes, SegmentId};

impl Transaction {
    /// Moves on to the newest snapshot, as far as what the transaction has done allows: what would be a conflict at COMMIT keeps it where it
    /// is.
    pub fn refresh(&mut self) -> Result<()> {
        let snapshot = self.engine.pin();
        if snapshot.state.index == self.snapshot.state.index {
            return Ok(());
        }
        let base = match snapshot.state.objects_version == self.base.version {
            true => self.base.clone(),
            false => self.engine.catalog(&snapshot.state)?,
        };
        let untouched = self.is_read_only() && self.assertions.is_empty();
        if !untouched && !self.fits(&snapshot.state) {
            return Ok(());
        }
        let Some(catalog) = self.rebased(&snapshot.state, &base) else { return Ok(()) };
        if untouched || self.keys_are_new(&snapshot.state) {
            self.read_index = snapshot.state.index;
        }
        (self.snapshot, self.base, self.catalog) = (snapshot, base, catalog);
        Ok(())
    }

    /// 40001 if rows that the transaction deleted or updated have been changed by others meanwhile: it cannot be committed any more.
    pub fn check_conflicts(&self) -> Result<()> {
        match self.deletes_hold(&self.engine.placement.state()) {
            true => Ok(()),
            false => Err(serialization_failure()),
        }
    }

    /// Whether the definitions that it relies on are as it has seen them.
    pub(super) fn assertions_hold(&self, state: &State) -> bool {
        self.assertions.iter().all(|(key, version)| state.objects.get(key).map(|object| object.version) == *version)
    }

    fn fits(&self, state: &State) -> bool {
        let unextended = self.unextended();
        let grown = |it: &placement::Unextended| state.tables.get(&it.table).is_some_and(|table| table.rows_added > it.since);
        let unchanged_tables = self.unchanged();
        let moved = |it: &placement::Unextended| state.tables.get(&it.table).is_some_and(|table| table.version > it.since);
        self.assertions_hold(state) && !unextended.iter().any(grown) && !unchanged_tables.iter().any(moved) && self.deletes_hold(state)
    }

    /// Whether nobody has inserted the keys that the transaction has: what it did might have been done on this state.
    fn keys_are_new(&self, state: &State) -> bool {
        let conflicts = |oid: &u32| {
            let table = state.tables.get(&TableId(u64::from(*oid)));
            table.is_some_and(|table| table.recent_keys.conflicts(&self.fingerprints(*oid), self.read_index))
        };
        !self.keys.keys().any(conflicts)
    }

    fn deletes_hold(&self, state: &State) -> bool {
        self.changes.iter().all(|(oid, changes)| self.changes_hold(state, *oid, changes))
    }

    fn changes_hold(&self, state: &State, oid: u32, changes: &TableChanges) -> bool {
        let Some(table) = state.tables.get(&TableId(u64::from(oid))) else { return changes.deleted.is_empty() };
        if changes.truncated && self.is_old_table(oid) && table.version > self.read_index {
            return false;
        }
        let seen = self.snapshot.state.tables.get(&TableId(u64::from(oid)));
        let holds = |(unit, rows): (&SegmentId, &Deletes)| {
            let Some(now) = table.units.get(&UnitId(unit.0)) else { return false };
            let as_seen = seen.and_then(|table| table.units.get(&UnitId(unit.0))).is_some_and(|unit| unit.version == now.version);
            as_seen || is_disjoint(now, rows)
        };
        changes.deleted.iter().all(holds)
    }
}

pub(super) fn is_disjoint(unit: &placement::Unit, rows: &Deletes) -> bool {
    match &unit.deletes {
        None => true,
        Some((bytes, _)) => Deletes::from_bytes(bytes).is_ok_and(|deleted| deleted.0.is_disjoint(&rows.0)),
    }
}
