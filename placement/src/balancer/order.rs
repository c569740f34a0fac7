//! Nodes by their share of each resource: who has the most, who the least. Kept lazily: a change marks, the next look sorts in.

use crate::cluster::{NodeIx, RESOURCES};
use std::collections::BTreeSet;

/// Who may be a target, and who a source, by share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    targets: [BTreeSet<(u64, NodeIx)>; RESOURCES],
    sources: [BTreeSet<(u64, NodeIx)>; RESOURCES],
    /// What each node stands at.
    placed: Vec<Place>,
    marked: Vec<NodeIx>,
    built: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    keys: [u64; RESOURCES],
    target: bool,
    source: bool,
    marked: bool,
}

/// A share as a number that sorts like it: shares are not negative.
fn key(share: f64) -> u64 {
    share.to_bits()
}

impl Orders {
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

    /// Brings all that was marked up to date: `look` tells a node's shares, whether it may be a target, and whether a source.
    pub(crate) fn refresh(&mut self, nodes: usize, look: impl Fn(NodeIx) -> ([f64; RESOURCES], bool, bool)) {
        if !self.built {
            self.build(nodes, look);
            return;
        }
        while let Some(node) = self.marked.pop() {
            let (shares, target, source) = look(node);
            let before = self.placed[node.0 as usize];
            let after = Place { keys: shares.map(key), target, source, marked: false };
            for r in 0..RESOURCES {
                change(&mut self.targets[r], node, (before.keys[r], before.target), (after.keys[r], after.target));
                change(&mut self.sources[r], node, (before.keys[r], before.source), (after.keys[r], after.source));
            }
            self.placed[node.0 as usize] = after;
        }
    }

    fn build(&mut self, nodes: usize, look: impl Fn(NodeIx) -> ([f64; RESOURCES], bool, bool)) {
        let looked = (0..nodes as u32).map(|at| look(NodeIx(at)));
        self.placed = looked.map(|(shares, target, source)| Place { keys: shares.map(key), target, source, marked: false }).collect();
        let all = || self.placed.iter().enumerate().map(|(at, place)| (NodeIx(at as u32), place));
        self.targets = std::array::from_fn(|r| all().filter(|it| it.1.target).map(|(at, it)| (it.keys[r], at)).collect());
        self.sources = std::array::from_fn(|r| all().filter(|it| it.1.source).map(|(at, it)| (it.keys[r], at)).collect());
        self.built = true;
    }

    /// Possible targets, those with the least share first.
    pub(crate) fn targets(&self, r: usize) -> impl Iterator<Item = NodeIx> {
        self.targets[r].iter().map(|(_, node)| *node)
    }

    /// Possible sources, those with the largest share first.
    pub(crate) fn sources(&self, r: usize) -> impl Iterator<Item = NodeIx> {
        self.sources[r].iter().rev().map(|(_, node)| *node)
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
