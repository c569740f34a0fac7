//! Rows that are locked: bitmaps by unit, owner and strength.

use super::OwnerId;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, HashMap};
use storage::SegmentId;

/// How rows are locked, as PostgreSQL has it: the weaker first. What conflicts with one conflicts with each that is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowStrength {
    /// They stay there, changed or not: what a key that they have asks of them.
    Stay,
    /// Their keys stay as they are: a reference to them.
    KeyShare,
    /// They stay as they are.
    Share,
    /// They may be changed, but for their keys.
    NoKeyUpdate,
    /// They may be changed or deleted.
    Update,
    /// They are being deleted, or their keys changed.
    Gone,
}

impl RowStrength {
    /// Whether two owners cannot lock one row so.
    pub fn conflicts(self, other: Self) -> bool {
        let (weaker, stronger) = if self <= other { (self, other) } else { (other, self) };
        match weaker {
            Self::Stay => stronger == Self::Gone,
            Self::KeyShare => stronger >= Self::Update,
            Self::Share => stronger >= Self::NoKeyUpdate,
            Self::NoKeyUpdate | Self::Update | Self::Gone => true,
        }
    }
}

/// Rows of one table, wanted in one strength.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSet {
    /// The table's OID.
    pub table: u32,
    /// How.
    pub strength: RowStrength,
    /// The rows by their unit.
    pub units: BTreeMap<SegmentId, RoaringBitmap>,
}

impl RowSet {
    /// No rows.
    pub fn new(table: u32, strength: RowStrength) -> Self {
        Self { table, strength, units: BTreeMap::new() }
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.units.values().all(RoaringBitmap::is_empty)
    }

    /// Adds a row.
    pub fn add(&mut self, unit: SegmentId, row: u32) {
        self.units.entry(unit).or_default().insert(row);
    }

    /// Forgets units of which it has no row.
    pub fn forget_empty(&mut self) {
        self.units.retain(|_, rows| !rows.is_empty());
    }
}

/// All rows that are locked.
#[derive(Debug, Default)]
pub(super) struct HeldRows {
    units: HashMap<(u32, SegmentId), Vec<Holding>>,
}

#[derive(Debug)]
struct Holding {
    owner: OwnerId,
    strength: RowStrength,
    rows: RoaringBitmap,
}

impl HeldRows {
    /// Those who hold some of the rows so that another cannot have them.
    pub fn holders(&self, owner: OwnerId, wanted: &RowSet) -> Vec<OwnerId> {
        let mut holders = Vec::new();
        for (unit, rows) in &wanted.units {
            let held = self.units.get(&(wanted.table, *unit)).into_iter().flatten();
            let conflicting = held.filter(|held| held.stands_in_the_way(owner, wanted.strength) && !held.rows.is_disjoint(rows));
            holders.extend(conflicting.map(|held| held.owner));
        }
        holders
    }

    /// Those of the rows that others hold so that the owner cannot have them.
    pub fn held_by_others(&self, owner: OwnerId, wanted: &RowSet) -> RowSet {
        let mut found = RowSet::new(wanted.table, wanted.strength);
        for (unit, rows) in &wanted.units {
            let held = self.units.get(&(wanted.table, *unit)).into_iter().flatten();
            for other in held.filter(|held| held.stands_in_the_way(owner, wanted.strength)) {
                *found.units.entry(*unit).or_default() |= rows & &other.rows;
            }
        }
        found.forget_empty();
        found
    }

    /// Whether others hold any rows of a table so that the owner could not have them.
    pub fn any_held_by_others(&self, owner: OwnerId, table: u32, strength: RowStrength) -> bool {
        let of_table = self.units.iter().filter(|((of, _), _)| *of == table).flat_map(|(_, held)| held);
        of_table.into_iter().any(|held| held.stands_in_the_way(owner, strength))
    }

    /// Takes the rows that are free out of `wanted`, which is left with the others; answers the rows that the owner did not hold before.
    pub fn take(&mut self, owner: OwnerId, wanted: &mut RowSet) -> RowSet {
        let mut taken = RowSet::new(wanted.table, wanted.strength);
        for (unit, rows) in &mut wanted.units {
            let held = self.units.entry((wanted.table, *unit)).or_default();
            let mut free = std::mem::take(rows);
            for other in held.iter().filter(|held| held.stands_in_the_way(owner, wanted.strength)) {
                *rows |= &free & &other.rows;
                free -= &other.rows;
            }
            for own in held.iter().filter(|held| held.owner == owner && held.strength >= wanted.strength) {
                free -= &own.rows;
            }
            if !free.is_empty() {
                hold(held, owner, wanted.strength, &free);
                taken.units.insert(*unit, free);
            } else if held.is_empty() {
                self.units.remove(&(wanted.table, *unit));
            }
        }
        wanted.forget_empty();
        taken
    }

    /// Gives rows back.
    pub fn release(&mut self, owner: OwnerId, table: u32, unit: SegmentId, strength: RowStrength, rows: &RoaringBitmap) {
        let Some(held) = self.units.get_mut(&(table, unit)) else { return };
        for own in held.iter_mut().filter(|held| held.owner == owner && held.strength == strength) {
            own.rows -= rows;
        }
        held.retain(|held| !held.rows.is_empty());
        if held.is_empty() {
            self.units.remove(&(table, unit));
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
}

impl Holding {
    fn stands_in_the_way(&self, owner: OwnerId, strength: RowStrength) -> bool {
        self.owner != owner && self.strength.conflicts(strength)
    }
}

fn hold(held: &mut Vec<Holding>, owner: OwnerId, strength: RowStrength, rows: &RoaringBitmap) {
    match held.iter_mut().find(|held| held.owner == owner && held.strength == strength) {
        Some(own) => own.rows |= rows,
        None => held.push(Holding { owner, strength, rows: rows.clone() }),
    }
}
