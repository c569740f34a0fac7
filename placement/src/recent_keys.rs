//! A table's memory of the unique keys that were inserted last: what a commit's keys are checked against.
//!
//! It is part of the replicated state, so it is bounded, deterministic, and the same after a restart. What it has forgotten it treats
//! as a conflict: a commit that read before [`RecentKeys::floor`] cannot be told that its keys are new.

use crate::command::KeyFingerprints;
use crate::model::LogIndex;
use rpds::{QueueSync, RedBlackTreeMapSync};
use std::sync::Arc;

/// Fingerprints remembered in one table, at most.
pub const FINGERPRINTS_MAX: usize = 65_536;
/// Commits whose fingerprints are remembered in one table, at most.
pub const COMMITS_MAX: usize = 4_096;

/// A bounded window of inserted keys, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecentKeys {
    /// Of what was inserted at or before this index, nothing is known.
    pub(crate) floor: LogIndex,
    /// The last commit that inserted keys.
    pub(crate) last_any: LogIndex,
    /// The last commit that inserted more keys than it listed.
    pub(crate) last_all: LogIndex,
    /// The commits remembered, oldest first.
    pub(crate) commits: QueueSync<Arc<KeyCommit>>,
    /// Each remembered fingerprint, and the last index that inserted it.
    by_fingerprint: RedBlackTreeMapSync<u64, LogIndex>,
    /// Sum of the fingerprints in `commits`, doubles counted.
    fingerprints: usize,
}

/// The keys that one commit inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyCommit {
    pub(crate) index: LogIndex,
    pub(crate) fingerprints: Vec<u64>,
}

impl RecentKeys {
    /// Was any of `keys` inserted after `read_index`, or might it have been?
    pub fn conflicts(&self, keys: &KeyFingerprints, read_index: LogIndex) -> bool {
        if !inserts(keys) {
            return false;
        }
        let too_old = read_index < self.floor || read_index < self.last_all;
        let any_since = keys.all && read_index < self.last_any;
        too_old || any_since || keys.inserted.iter().any(|key| self.by_fingerprint.get(key).is_some_and(|at| *at > read_index))
    }

    /// Remembers what the commit at `index` inserted, and forgets the oldest beyond the bounds.
    pub fn record(&mut self, keys: &KeyFingerprints, index: LogIndex) {
        if !inserts(keys) {
            return;
        }
        self.last_any = index;
        if keys.all || keys.inserted.len() > FINGERPRINTS_MAX {
            self.last_all = index;
            return;
        }
        self.push(Arc::new(KeyCommit { index, fingerprints: keys.inserted.clone() }));
        while self.commits.len() > COMMITS_MAX || self.fingerprints > FINGERPRINTS_MAX {
            self.forget_oldest();
        }
    }

    /// The index at or before which nothing is known.
    pub fn floor(&self) -> LogIndex {
        self.floor
    }

    /// Rebuilds the window from what was serialized.
    pub(crate) fn restore(floor: LogIndex, last_any: LogIndex, last_all: LogIndex, commits: impl Iterator<Item = KeyCommit>) -> Self {
        let mut window = Self { floor, last_any, last_all, ..Self::default() };
        commits.for_each(|commit| window.push(Arc::new(commit)));
        window
    }

    fn push(&mut self, commit: Arc<KeyCommit>) {
        for key in &commit.fingerprints {
            self.by_fingerprint.insert_mut(*key, commit.index);
        }
        self.fingerprints += commit.fingerprints.len();
        self.commits.enqueue_mut(commit);
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.commits.peek().cloned() else { return };
        self.commits.dequeue_mut();
        self.fingerprints -= oldest.fingerprints.len();
        self.floor = oldest.index;
        for key in &oldest.fingerprints {
            if self.by_fingerprint.get(key) == Some(&oldest.index) {
                self.by_fingerprint.remove_mut(key);
            }
        }
    }
}

fn inserts(keys: &KeyFingerprints) -> bool {
    keys.all || !keys.inserted.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(inserted: impl IntoIterator<Item = u64>) -> KeyFingerprints {
        KeyFingerprints { inserted: inserted.into_iter().collect(), all: false }
    }

    #[test]
    fn what_was_forgotten_is_a_conflict_and_what_is_remembered_is_exact() {
        let mut window = RecentKeys::default();
        for index in 1..=(COMMITS_MAX as u64 + 10) {
            window.record(&keys([index]), LogIndex(index));
        }
        assert_eq!(window.floor(), LogIndex(10));
        assert_eq!(window.commits.len(), COMMITS_MAX);
        assert!(window.conflicts(&keys([999_999]), LogIndex(9)), "it read before the window");
        assert!(!window.conflicts(&keys([999_999]), LogIndex(10)));
        assert!(window.conflicts(&keys([50]), LogIndex(49)));
        assert!(!window.conflicts(&keys([50]), LogIndex(50)));
        assert!(!window.conflicts(&keys([]), LogIndex(0)), "a commit without keys has no conflict of keys");
    }

    #[test]
    fn fingerprints_are_bounded_too() {
        let mut window = RecentKeys::default();
        for index in 1..=5 {
            window.record(&keys((0..20_000).map(|key| index * 100_000 + key)), LogIndex(index));
        }
        assert_eq!((window.fingerprints, window.floor(), window.by_fingerprint.size()), (60_000, LogIndex(2), 60_000));
        window.record(&keys(0..FINGERPRINTS_MAX as u64 + 1), LogIndex(6));
        assert!(window.conflicts(&keys([77]), LogIndex(5)), "more keys than the window can hold count as all keys");
    }

    #[test]
    fn a_key_inserted_again_is_remembered_by_its_last_insertion() {
        let mut window = RecentKeys::default();
        window.record(&keys([7]), LogIndex(1));
        window.record(&keys([7]), LogIndex(2));
        window.forget_oldest();
        assert!(window.conflicts(&keys([7]), LogIndex(1)));
        let all = KeyFingerprints { inserted: Vec::new(), all: true };
        assert!(window.conflicts(&all, LogIndex(1)) && !window.conflicts(&all, LogIndex(2)));
        window.record(&all, LogIndex(3));
        assert!(window.conflicts(&keys([8]), LogIndex(2)) && !window.conflicts(&keys([8]), LogIndex(3)));
    }
}
