//! Which rows of a unit are gone: a roaring bitmap of row offsets.

use crate::error::{Result, StorageError};
use arrow::buffer::BooleanBuffer;
use roaring::RoaringBitmap;
use std::ops::Range;

/// The deleted row offsets of one segment or inlined batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deletes(pub RoaringBitmap);

impl Deletes {
    /// The portable serialized form that commits carry.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        self.0.serialize_into(&mut bytes).expect("writing to memory does not fail");
        bytes
    }

    /// Reads [`Deletes::to_bytes`] back; refuses anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let refused = |reason: String| StorageError::damaged("deletes", None, reason);
        let mut rest = bytes;
        let bitmap = RoaringBitmap::deserialize_from(&mut rest).map_err(|e| refused(e.to_string()))?;
        if rest.is_empty() { Ok(Self(bitmap)) } else { Err(refused("bytes are left over".to_string())) }
    }

    /// How many rows are gone.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether every row is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rows of a range that are still there, as a mask over the range; `None` if that is all of them.
    pub fn live(&self, rows: Range<u64>) -> Option<BooleanBuffer> {
        let start = u32::try_from(rows.start).ok()?;
        let end = u32::try_from(rows.end.checked_sub(1)?).unwrap_or(u32::MAX);
        if end < start {
            return None;
        }
        let mut gone = self.0.range(start..=end).peekable();
        gone.peek()?;
        let mut mask = vec![0xffu8; ((rows.end - rows.start) as usize).div_ceil(8)];
        for row in gone {
            let place = (row - start) as usize;
            mask[place / 8] &= !(1 << (place % 8));
        }
        Some(BooleanBuffer::new(mask.into(), 0, (rows.end - rows.start) as usize))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn deletes(rows: &[u32]) -> Deletes {
        Deletes(rows.iter().copied().collect())
    }

    #[test]
    fn a_mask_covers_just_its_range() {
        let gone = deletes(&[0, 3, 9, 10, 100]);
        let mask = gone.live(3..11).unwrap();
        assert_eq!(mask.iter().collect::<Vec<_>>(), [false, true, true, true, true, true, false, false]);
        assert!(gone.live(11..100).is_none());
        assert!(gone.live(5..5).is_none() && gone.live(0..0).is_none());
        assert_eq!(gone.live(100..101).unwrap().count_set_bits(), 0);
    }

    proptest! {
        #[test]
        fn bytes_come_back(rows in prop::collection::vec(any::<u32>(), 0..300)) {
            let gone = deletes(&rows);
            prop_assert_eq!(Deletes::from_bytes(&gone.to_bytes()).unwrap(), gone);
        }

        #[test]
        fn other_bytes_are_refused(rows in prop::collection::vec(any::<u32>(), 1..50), cut in 1..20usize, junk in prop::collection::vec(any::<u8>(), 0..100)) {
            let bytes = deletes(&rows).to_bytes();
            prop_assert!(Deletes::from_bytes(&bytes[..bytes.len() - cut.min(bytes.len())]).is_err());
            prop_assert!(Deletes::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
            let _ = Deletes::from_bytes(&junk);
        }
    }
}
