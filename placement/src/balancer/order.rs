//! Nodes by their share of each resource: who may be a target, those with the least first, and who may be a source, those with the most first.
//! Kept lazily, each of the two by itself: a change marks, the next look sorts in.

use crate::cluster::{NodeIx, RESOURCES};
use std::collections::BTreeSet;

/// Some nodes, ordered by their share of each resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    sets: [BTreeSet<(u64, NodeIx)>; RESOURCES],
    /// What each node stands at.
    placed: Vec<Place>,
    marked: Vec<NodeIx>,
    built: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    keys: [u64; RESOURCES],
    is_in: bool,
    marked: bool,
}

/// A share as a number that sorts like it: shares are not negative.
fn key(share: f64) -> u64 {
    share.to_bits()
}

impl Order {
    /// The node has changed.
    pub(crate) fn mark(&mut self, node: NodeIx) {
        if !self.built {
            return;
        }
        if self.placed.len() <= node.0 as usize {
            self.placed.resize(node.0 as usize + 1, Place::default());
        }
        if !std::mem::replace(&mut self.placed[node.0 as usize].marked, true) {
            self.marked.push(node);
        }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.built && self.marked.is_empty()
    }

    /// Brings all that was marked up to date: `look` tells a node's shares, and whether it is one of those.
    pub(crate) fn refresh(&mut self, nodes: usize, look: impl Fn(NodeIx) -> ([f64; RESOURCES], bool)) {
        if !self.built {
            return self.build(nodes, look);
        }
        while let Some(node) = self.marked.pop() {
            let (shares, is_in) = look(node);
            let before = std::mem::replace(&mut self.placed[node.0 as usize], Place { keys: shares.map(key), is_in, marked: false });
            let after = self.placed[node.0 as usize];
            for (r, set) in self.sets.iter_mut().enumerate() {
                change(set, node, (before.keys[r], before.is_in), (after.keys[r], after.is_in));
            }
        }
    }

    fn build(&mut self, nodes: usize, look: impl Fn(NodeIx) -> ([f64; RESOURCES], bool)) {
        let looked = (0..nodes as u32).map(|at| look(NodeIx(at)));
        self.placed = looked.map(|(shares, is_in)| Place { keys: shares.map(key), is_in, marked: false }).collect();
        let all = || self.placed.iter().zip(0..).filter(|(place, _)| place.is_in);
        self.sets = std::array::from_fn(|r| all().map(|(place, at)| (place.keys[r], NodeIx(at))).collect());
        self.built = true;
    }

    /// Those with the least share first; from the end, those with the most.
    pub(crate) fn by_share(&self, r: usize) -> impl DoubleEndedIterator<Item = NodeIx> {
        self.sets[r].iter().map(|(_, node)| *node)
    }
}

fn change(set: &mut BTreeSet<(u64, NodeIx)>, node: NodeIx, before: (u64, bool), after: (u64, bool)) {
    if before == after {
        return;
    }
    if before.1 {
        set.remove(&(before.0, node));
    }
    if after.1 {
        set.insert((after.0, node));
    }
}
