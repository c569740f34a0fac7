//! What one owner holds, in the order of its savepoints, so that it can be given back.

use super::keys::{KeyMode, KeySet};
use super::rows::{RowSet, RowStrength};
use super::tables::TableLock;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use storage::SegmentId;

/// Rows of a unit of a table, in one strength.
pub(super) type Place = (u32, SegmentId, RowStrength);

/// What an owner has taken since a mark.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub rows: BTreeMap<Place, RoaringBitmap>,
    pub keys: BTreeMap<(u64, KeyMode), Vec<u64>>,
    pub spaces: Vec<(u64, KeyMode)>,
    pub tables: Vec<TableLock>,
}

impl Taken {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.keys.is_empty() && self.spaces.is_empty() && self.tables.is_empty()
    }

    pub fn note_rows(&mut self, taken: RowSet) {
        for (unit, rows) in taken.units {
            self.add_rows((taken.table, unit, taken.strength), rows);
        }
    }

    pub fn note_keys(&mut self, taken: KeySet) {
        let of = (taken.space, taken.mode);
        match taken.fingerprints {
            None => self.spaces.push(of),
            Some(fingerprints) if fingerprints.is_empty() => {}
            Some(fingerprints) => self.keys.entry(of).or_default().extend(fingerprints),
        }
    }

    /// Takes over what was taken later.
    pub fn join(&mut self, later: Self) {
        later.rows.into_iter().for_each(|(place, rows)| self.add_rows(place, rows));
        for (of, fingerprints) in later.keys {
            self.keys.entry(of).or_default().extend(fingerprints);
        }
        self.spaces.extend(later.spaces);
        self.tables.extend(later.tables);
    }

    /// Takes out the rows of tables of which none is wanted any more. Where some are, all stay: who waits behind an old place of a row would only
    /// find it at its new one, which is locked.
    pub fn split_unwanted(&mut self, wanted: &[RowSet]) -> Self {
        let is_wanted = |table: u32| wanted.iter().any(|kept| kept.table == table && !kept.is_empty());
        let rows = std::mem::take(&mut self.rows).into_iter();
        let (kept, unwanted) = rows.partition(|((table, _, _), _)| is_wanted(*table));
        self.rows = kept;
        Self { rows: unwanted, ..Self::default() }
    }

    fn add_rows(&mut self, place: Place, rows: RoaringBitmap) {
        match self.rows.get_mut(&place) {
            Some(held) => *held |= rows,
            None => _ = self.rows.insert(place, rows),
        }
    }
}
