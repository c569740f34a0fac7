//! Segments by id: a hash table that shares what does not change, and grows by one bucket at a time (linear hashing), so that no commit
//! pays for all segments at once.

use super::arena::Arena;
use super::segment::SegmentIx;
use crate::model::UnitId;

/// Entries of a bucket, on the average.
const BUCKET_ENTRIES: usize = 8;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdIndex {
    buckets: Arena<Vec<(UnitId, SegmentIx)>, 8, 256>,
    count: usize,
}

/// Ids are handed out in sequence; one multiplication spreads them. Deterministic, unlike the standard hasher.
fn hash(id: UnitId) -> usize {
    let mixed = id.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 32)) as usize
}

impl IdIndex {
    pub(crate) fn get(&self, id: UnitId) -> Option<SegmentIx> {
        let bucket = self.buckets.get(self.bucket_of(id))?;
        bucket.iter().find(|entry| entry.0 == id).map(|entry| entry.1)
    }

    /// Adds a segment that is not there yet.
    pub(crate) fn insert(&mut self, id: UnitId, at: SegmentIx) {
        if self.count >= self.buckets.len() * BUCKET_ENTRIES {
            self.grow();
        }
        let bucket = self.bucket_of(id);
        self.buckets[bucket].push((id, at));
        self.count += 1;
    }

    pub(crate) fn remove(&mut self, id: UnitId) {
        let bucket = self.bucket_of(id);
        let Some(at) = self.buckets.get(bucket).and_then(|entries| entries.iter().position(|entry| entry.0 == id)) else { return };
        self.buckets[bucket].swap_remove(at);
        self.count -= 1;
    }

    /// Of as many buckets as the next power of two, those that are there; a bucket that is not there yet shares that of half of it.
    fn bucket_of(&self, id: UnitId) -> usize {
        let mask = self.buckets.len().next_power_of_two() - 1;
        let bucket = hash(id) & mask;
        if bucket < self.buckets.len() { bucket } else { bucket & (mask >> 1) }
    }

    /// One bucket more: it takes its part of the bucket that it shared.
    fn grow(&mut self) {
        let new = self.buckets.len();
        self.buckets.push(Vec::new());
        if new == 0 {
            return;
        }
        let shared = new - (new + 1).next_power_of_two() / 2;
        let entries = std::mem::take(&mut self.buckets[shared]);
        for entry in entries {
            let bucket = self.bucket_of(entry.0);
            self.buckets[bucket].push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_is_found_however_many_there_are() {
        let mut index = IdIndex::default();
        for round in 0..3u32 {
            for id in 0..5_000u32 {
                assert_eq!(index.get(UnitId(u64::from(id) * 3)), None);
                index.insert(UnitId(u64::from(id) * 3), SegmentIx(id + round));
                assert_eq!(index.get(UnitId(u64::from(id / 2) * 3)), Some(SegmentIx(id / 2 + round)));
            }
            let before = index.clone();
            (0..5_000u32).for_each(|id| index.remove(UnitId(u64::from(id) * 3)));
            assert!((0..5_000u32).all(|id| index.get(UnitId(u64::from(id) * 3)).is_none()));
            assert!((0..5_000u32).all(|id| before.get(UnitId(u64::from(id) * 3)) == Some(SegmentIx(id + round))));
        }
        let longest = index.buckets.iter().map(Vec::capacity).max();
        assert!(longest <= Some(64), "buckets are even: {longest:?}");
    }
}
