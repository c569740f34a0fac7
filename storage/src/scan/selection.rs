//! Which rows of a granule are still wanted.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{ArrowNativeType, DataType, UInt8Type, UInt16Type};

/// The rows of a granule that are still wanted: all, or those of a mask.
#[derive(Debug)]
pub(super) struct Selection {
    rows: usize,
    mask: Option<BooleanBuffer>,
    count: usize,
}

/// Below a quarter it is cheaper to gather the selected values before evaluating on them.
const SPARSE_DIVISOR: usize = 4;

impl Selection {
    /// All rows, or those of a mask.
    pub(super) fn new(rows: usize, mask: Option<BooleanBuffer>) -> Self {
        let count = mask.as_ref().map_or(rows, BooleanBuffer::count_set_bits);
        Self { rows, mask: mask.filter(|_| count < rows), count }
    }

    /// How many rows are wanted.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The mask; `None` if all rows are wanted.
    pub(super) fn mask(&self) -> Option<&BooleanBuffer> {
        self.mask.as_ref()
    }

    /// Whether so few are wanted that gathering them first is worth it.
    pub(super) fn is_sparse(&self) -> bool {
        self.count * SPARSE_DIVISOR < self.rows
    }

    /// Keeps the rows that also match a mask over the whole granule.
    pub(super) fn narrow(&mut self, matches: BooleanBuffer) {
        let mask = match self.mask.take() {
            Some(mask) => &mask & &matches,
            None => matches,
        };
        *self = Self::new(self.rows, Some(mask));
    }

    /// Keeps those of the wanted rows that match a mask over just these.
    pub(super) fn narrow_selected(&mut self, matches: &BooleanBuffer) {
        let Some(mask) = &self.mask else { return self.narrow(matches.clone()) };
        let mut bits = vec![0u8; self.rows.div_ceil(8)];
        for (place, row) in mask.set_indices().enumerate() {
            bits[row / 8] |= u8::from(matches.value(place)) << (row % 8);
        }
        *self = Self::new(self.rows, Some(BooleanBuffer::new(bits.into(), 0, self.rows)));
    }
}

/// A predicate's result as a mask: NULL counts as false.
pub(super) fn mask_of(result: &BooleanArray) -> BooleanBuffer {
    match result.nulls() {
        Some(nulls) => result.values() & nulls.inner(),
        None => result.values().clone(),
    }
}

/// Which keys point to entries that match; the last of `matches` is for NULL.
pub(super) fn match_keys(keys: &ArrayRef, matches: &[bool]) -> BooleanBuffer {
    fn look_up<K: ArrowNativeType>(keys: &[K], matches: &[bool]) -> BooleanBuffer {
        BooleanBuffer::collect_bool(keys.len(), |row| matches[keys[row].as_usize()])
    }
    let found = match keys.data_type() {
        DataType::UInt8 => look_up(keys.as_primitive::<UInt8Type>().values(), matches),
        _ => look_up(keys.as_primitive::<UInt16Type>().values(), matches),
    };
    match (keys.nulls(), matches.last()) {
        (Some(nulls), Some(true)) => &found | &!nulls.inner(),
        (Some(nulls), _) => &found & nulls.inner(),
        (None, _) => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::UInt8Array;
    use proptest::prelude::*;
    use std::sync::Arc;

    #[test]
    fn null_has_an_entry_of_its_own() {
        let keys: ArrayRef = Arc::new(UInt8Array::from(vec![Some(0), None, Some(1)]));
        let matched = |matches: &[bool]| match_keys(&keys, matches).iter().collect::<Vec<_>>();
        assert_eq!(matched(&[true, false, false]), [true, false, false]);
        assert_eq!(matched(&[false, true, true]), [false, true, true]);
    }

    proptest! {
        #[test]
        fn narrowing_dense_or_sparse_is_the_same(rows in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200)) {
            let first: BooleanBuffer = rows.iter().map(|r| r.0).collect();
            let second: BooleanBuffer = rows.iter().map(|r| r.1).collect();
            let of_selected: BooleanBuffer = rows.iter().filter(|r| r.0).map(|r| r.1).collect();
            let expected: BooleanBuffer = rows.iter().map(|r| r.0 && r.1).collect();
            let mut dense = Selection::new(rows.len(), Some(first.clone()));
            dense.narrow(second);
            let mut sparse = Selection::new(rows.len(), Some(first));
            sparse.narrow_selected(&of_selected);
            for selection in [dense, sparse] {
                prop_assert_eq!(selection.count(), expected.count_set_bits());
                prop_assert!(selection.mask().is_none_or(|m| *m == expected));
            }
        }
    }
}
