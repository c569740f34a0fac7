//! Tables that are locked, in PostgreSQL's modes. Those who only read lock nothing: no change takes their snapshot from them.

use super::OwnerId;
use std::collections::HashMap;

/// How a table is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableMode {
    /// Reads.
    AccessShare,
    /// Locks rows.
    RowShare,
    /// Changes rows.
    RowExclusive,
    /// VACUUM, and the like.
    ShareUpdateExclusive,
    /// Nobody changes rows.
    Share,
    /// Only its owner changes rows.
    ShareRowExclusive,
    /// Others can only read.
    Exclusive,
    /// Its definition, or all of its rows, may change.
    AccessExclusive,
}

impl TableMode {
    /// Whether two owners cannot lock one table so.
    pub fn conflicts(self, other: Self) -> bool {
        use TableMode::*;
        let (weaker, stronger) = if self <= other { (self, other) } else { (other, self) };
        match weaker {
            AccessShare => stronger == AccessExclusive,
            RowShare => stronger >= Exclusive,
            RowExclusive => stronger >= Share,
            ShareUpdateExclusive => true,
            Share => stronger != Share,
            ShareRowExclusive | Exclusive | AccessExclusive => true,
        }
    }

    /// As `pg_locks` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }
}

/// A table, wanted in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableLock {
    /// Its OID.
    pub table: u32,
    /// How.
    pub mode: TableMode,
}

/// All tables that are locked.
#[derive(Debug, Default)]
pub(super) struct HeldTables {
    tables: HashMap<u32, Vec<(OwnerId, TableMode)>>,
}

impl HeldTables {
    /// Those who hold the table so that another cannot have it.
    pub fn holders(&self, owner: OwnerId, wanted: TableLock) -> Vec<OwnerId> {
        let held = self.tables.get(&wanted.table).into_iter().flatten();
        held.filter(|(holder, mode)| *holder != owner && mode.conflicts(wanted.mode)).map(|(holder, _)| *holder).collect()
    }

    /// Whether the owner holds the table so that others cannot have it as wanted.
    pub fn excludes(&self, owner: OwnerId, wanted: TableLock) -> bool {
        let held = self.tables.get(&wanted.table).into_iter().flatten();
        held.into_iter().any(|(holder, mode)| *holder == owner && mode.conflicts(wanted.mode))
    }

    /// Whether the owner holds the table so.
    pub fn has(&self, owner: OwnerId, wanted: TableLock) -> bool {
        self.tables.get(&wanted.table).is_some_and(|held| held.contains(&(owner, wanted.mode)))
    }

    /// Takes the table, for an owner that does not hold it so.
    pub fn take(&mut self, owner: OwnerId, wanted: TableLock) {
        self.tables.entry(wanted.table).or_default().push((owner, wanted.mode));
    }

    /// Gives it back.
    pub fn release(&mut self, owner: OwnerId, taken: TableLock) {
        let Some(held) = self.tables.get_mut(&taken.table) else { return };
        held.retain(|held| *held != (owner, taken.mode));
        if held.is_empty() {
            self.tables.remove(&taken.table);
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::TableMode::{self, *};

    /// The table of PostgreSQL's documentation.
    #[test]
    fn modes_conflict_as_documented() {
        let modes = [AccessShare, RowShare, RowExclusive, ShareUpdateExclusive, Share, ShareRowExclusive, Exclusive, AccessExclusive];
        let expected = ["       x", "      xx", "    xxxx", "   xxxxx", "  xx xxx", "  xxxxxx", " xxxxxxx", "xxxxxxxx"];
        let row = |mode: TableMode| modes.iter().map(|other| if mode.conflicts(*other) { 'x' } else { ' ' }).collect::<String>();
        assert_eq!(modes.map(row), expected);
    }
}
