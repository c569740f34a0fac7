//! Offers: what nodes say that they will take. The planner proposes nothing beyond them.

mod sizer;

use crate::cluster::arena::Arena;
use crate::cluster::{Epoch, NodeId};
pub use sizer::{Window, WindowPolicy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one node will take, soft state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who offers.
    pub node: NodeId,
    /// In which epoch of itself: an offer of an epoch that is past is void.
    pub epoch: Epoch,
    /// Memory that it will take, peaks while loading included.
    pub resident_bytes: u64,
    /// Space on disk that it will take.
    pub disk_bytes: u64,
    /// Loads that it will have under way at once, those that already are included.
    pub loads_at_once: u32,
    /// When it was made, on the leader's clock. Moves begun since are taken off it.
    pub made_at_ms: u64,
    /// Until when it stands.
    pub until_ms: u64,
}

impl Offer {
    /// Does it stand?
    pub fn stands(&self, epoch: Epoch, now_ms: u64) -> bool {
        self.epoch == epoch && now_ms < self.until_ms
    }
}

/// The last offer of each node. A clone costs its roots, and tells later which offers have changed since.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Where each node's offer lies.
    by_node: Arc<BTreeMap<NodeId, u32>>,
    offers: Arena<Offer, 16, 64>,
}

impl Offers {
    /// Takes an offer, in place of the node's last; one that was made earlier than that changes nothing.
    pub fn take(&mut self, offer: Offer) {
        let Some(at) = self.by_node.get(&offer.node).map(|at| *at as usize) else {
            let at = u32::try_from(self.offers.len()).expect("there are no more nodes than that");
            Arc::make_mut(&mut self.by_node).insert(offer.node, at);
            return self.offers.push(offer);
        };
        if self.offers[at].made_at_ms <= offer.made_at_ms {
            self.offers[at] = offer;
        }
    }

    /// Forgets a node's offer.
    pub fn withdraw(&mut self, node: NodeId) {
        if !self.by_node.contains_key(&node) {
            return;
        }
        let by_node = Arc::make_mut(&mut self.by_node);
        let Some(at) = by_node.remove(&node) else { return };
        self.offers.swap_remove(at as usize);
        if let Some(moved) = self.offers.get(at as usize) {
            by_node.insert(moved.node, at);
        }
    }

    /// The last offer of `node`.
    pub fn of(&self, node: NodeId) -> Option<&Offer> {
        self.by_node.get(&node).and_then(|at| self.offers.get(*at as usize))
    }

    /// All of them, by node.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.by_node.values().filter_map(|at| self.offers.get(*at as usize))
    }

    /// Nodes whose offer may be another than it was `before`: costs what has changed, or a look at all of them when nodes have come or gone.
    pub(crate) fn changed_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = NodeId> + 'a {
        let same_nodes = Arc::ptr_eq(&self.by_node, &before.by_node);
        let changed = self.offers.changed_since(&before.offers).filter(move |_| same_nodes).filter_map(|at| self.offers.get(at));
        let is_other = |it: &&Offer| before.of(it.node) != Some(*it);
        let changed = changed.filter(is_other);
        let all = self.iter().filter(move |it| !same_nodes && is_other(it));
        let gone = before.iter().filter(move |it| !same_nodes && self.of(it.node).is_none());
        changed.chain(all).chain(gone).map(|it| it.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn offer(node: u64, made_at_ms: u64) -> Offer {
        let (node, epoch) = (NodeId(node), Epoch(1));
        Offer { node, epoch, resident_bytes: 1, disk_bytes: 1, loads_at_once: 1, made_at_ms, until_ms: made_at_ms + 10 }
    }

    #[test]
    fn the_latest_offer_of_each_node_counts_and_what_has_changed_is_known() {
        let (mut offers, mut expected) = (Offers::default(), BTreeMap::new());
        for step in 0..3_000u64 {
            let node = step.wrapping_mul(2_654_435_761) % 97;
            let before = offers.clone();
            if step % 7 == 3 {
                offers.withdraw(NodeId(node));
                expected.remove(&NodeId(node));
            } else {
                let made = offer(node, if step % 5 == 0 { 0 } else { step });
                offers.take(made);
                let last = expected.entry(made.node).or_insert(made);
                *last = if last.made_at_ms <= made.made_at_ms { made } else { *last };
            }
            let changed: BTreeSet<_> = offers.changed_since(&before).collect();
            let differs = |node: &NodeId| offers.of(*node) != before.of(*node);
            assert_eq!(changed, (0..97).map(NodeId).filter(differs).collect::<BTreeSet<_>>());
        }
        assert!(offers.iter().eq(expected.values()));
    }
}
