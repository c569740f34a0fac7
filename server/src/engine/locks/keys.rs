//! Keys that are locked: 64-bit fingerprints within a space, which is a constraint.
//!
//! Two keys of one fingerprint are one to the locks: that costs a wait, never a wrong result. An owner that would hold more than
//! [`FINGERPRINTS_MAX`] in a space locks all of it instead.

use super::OwnerId;
use std::collections::HashMap;

/// Fingerprints that one owner holds in one space; beyond that it holds the space.
pub const FINGERPRINTS_MAX: usize = 16_384;

/// How a key is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyMode {
    /// It stays there: a reference to it.
    Shared,
    /// It comes, or goes.
    Exclusive,
}

impl KeyMode {
    fn conflicts(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

/// Keys of one space, wanted in one mode.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySet {
    /// The constraint: the seed of its fingerprints.
    pub space: u64,
    /// How.
    pub mode: KeyMode,
    /// The keys; `None`: all that there can be.
    pub fingerprints: Option<Vec<u64>>,
}

impl KeySet {
    fn is_empty(&self) -> bool {
        self.fingerprints.as_ref().is_some_and(Vec::is_empty)
    }
}

/// All keys that are locked.
#[derive(Debug, Default)]
pub(super) struct HeldKeys {
    spaces: HashMap<u64, Space>,
}

#[derive(Debug, Default)]
struct Space {
    keys: HashMap<u64, Vec<(OwnerId, KeyMode)>>,
    whole: Vec<(OwnerId, KeyMode)>,
    /// How many keys each owner holds, by mode.
    counts: HashMap<(OwnerId, KeyMode), usize>,
}

impl HeldKeys {
    /// Those who hold some of the keys so that another cannot have them.
    pub fn holders(&self, owner: OwnerId, wanted: &KeySet) -> Vec<OwnerId> {
        self.spaces.get(&wanted.space).map(|space| space.holders(owner, wanted)).unwrap_or_default()
    }

    /// Takes the keys that are free out of `wanted`, which is left with the others (`false`: nothing is left); answers what the owner did not
    /// hold before. A whole space is taken at once or not at all.
    pub fn take(&mut self, owner: OwnerId, wanted: &mut KeySet) -> (KeySet, bool) {
        let space = self.spaces.entry(wanted.space).or_default();
        if let Some(fingerprints) = &wanted.fingerprints
            && space.count(owner) + fingerprints.len() > FINGERPRINTS_MAX
        {
            wanted.fingerprints = None;
            wanted.mode = wanted.mode.max(space.strongest(owner));
        }
        let taken = match &mut wanted.fingerprints {
            None => space.take_whole(owner, wanted.mode),
            Some(fingerprints) => Some(space.take_keys(owner, wanted.mode, fingerprints)),
        };
        let left = taken.is_none() || wanted.fingerprints.as_ref().is_some_and(|left| !left.is_empty());
        let (space, mode) = (wanted.space, wanted.mode);
        let taken =
            taken.map_or(KeySet { space, mode, fingerprints: Some(Vec::new()) }, |fingerprints| KeySet { space, mode, fingerprints });
        self.forget_empty(space);
        (taken, left)
    }

    /// Gives keys back.
    pub fn release(&mut self, owner: OwnerId, taken: &KeySet) {
        if taken.is_empty() {
            return;
        }
        let Some(space) = self.spaces.get_mut(&taken.space) else { return };
        let own = (owner, taken.mode);
        match &taken.fingerprints {
            None => space.whole.retain(|held| *held != own),
            Some(fingerprints) => fingerprints.iter().for_each(|fingerprint| space.release(own, *fingerprint)),
        }
        self.forget_empty(taken.space);
    }

    fn forget_empty(&mut self, space: u64) {
        if self.spaces.get(&space).is_some_and(|space| space.keys.is_empty() && space.whole.is_empty()) {
            self.spaces.remove(&space);
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }
}

impl Space {
    fn count(&self, owner: OwnerId) -> usize {
        [KeyMode::Shared, KeyMode::Exclusive].iter().filter_map(|mode| self.counts.get(&(owner, *mode))).sum()
    }

    fn strongest(&self, owner: OwnerId) -> KeyMode {
        if self.counts.contains_key(&(owner, KeyMode::Exclusive)) { KeyMode::Exclusive } else { KeyMode::Shared }
    }

    fn has_whole(&self, owner: OwnerId, mode: KeyMode) -> bool {
        self.whole.iter().any(|(holder, held)| *holder == owner && *held >= mode)
    }

    fn holders(&self, owner: OwnerId, wanted: &KeySet) -> Vec<OwnerId> {
        let stands_in_the_way = |held: &&(OwnerId, KeyMode)| held.0 != owner && held.1.conflicts(wanted.mode);
        let of_whole = self.whole.iter().filter(stands_in_the_way).map(|(holder, _)| *holder);
        match &wanted.fingerprints {
            None => of_whole.chain(self.counts.keys().filter(stands_in_the_way).map(|(holder, _)| *holder)).collect(),
            Some(fingerprints) => {
                let held = fingerprints.iter().filter_map(|fingerprint| self.keys.get(fingerprint)).flatten();
                of_whole.chain(held.filter(stands_in_the_way).map(|(holder, _)| *holder)).collect()
            }
        }
    }

    /// `None` if somebody stands in the way; else what was taken: the whole space, or nothing that the owner did not have.
    fn take_whole(&mut self, owner: OwnerId, mode: KeyMode) -> Option<Option<Vec<u64>>> {
        let in_the_way = |held: &(OwnerId, KeyMode)| held.0 != owner && held.1.conflicts(mode);
        if self.whole.iter().any(in_the_way) || self.counts.keys().any(in_the_way) {
            return None;
        }
        if self.has_whole(owner, mode) {
            return Some(Some(Vec::new()));
        }
        self.whole.push((owner, mode));
        Some(None)
    }

    /// Takes what is free; leaves the rest in `wanted`.
    fn take_keys(&mut self, owner: OwnerId, mode: KeyMode, wanted: &mut Vec<u64>) -> Option<Vec<u64>> {
        let in_the_way = |held: &(OwnerId, KeyMode)| held.0 != owner && held.1.conflicts(mode);
        if self.has_whole(owner, mode) {
            wanted.clear();
            return Some(Vec::new());
        }
        if self.whole.iter().any(in_the_way) {
            return Some(Vec::new());
        }
        let mut taken = Vec::new();
        wanted.retain(|fingerprint| {
            let held = self.keys.entry(*fingerprint).or_default();
            if held.iter().any(in_the_way) {
                return true;
            }
            if !held.iter().any(|(holder, held)| *holder == owner && *held >= mode) {
                held.push((owner, mode));
                taken.push(*fingerprint);
            }
            false
        });
        if !taken.is_empty() {
            *self.counts.entry((owner, mode)).or_default() += taken.len();
        }
        Some(taken)
    }

    fn release(&mut self, own: (OwnerId, KeyMode), fingerprint: u64) {
        let Some(held) = self.keys.get_mut(&fingerprint) else { return };
        let before = held.len();
        held.retain(|held| *held != own);
        let released = before - held.len();
        if held.is_empty() {
            self.keys.remove(&fingerprint);
        }
        if let Some(count) = self.counts.get_mut(&own) {
            *count -= released;
            if *count == 0 {
                self.counts.remove(&own);
            }
        }
    }
}
