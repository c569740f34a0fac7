//! Offers: what nodes say that they will take. The planner proposes nothing beyond them.

mod sizer;

use crate::cluster::{Epoch, NodeId};
pub use sizer::{Window, WindowPolicy};
use std::collections::BTreeMap;

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

/// The last offer of each node.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    by_node: BTreeMap<NodeId, Offer>,
}

impl Offers {
    /// Takes an offer, in place of the node's last; one that was made earlier than that changes nothing.
    pub fn take(&mut self, offer: Offer) {
        let last = self.by_node.entry(offer.node).or_insert(offer);
        if last.made_at_ms <= offer.made_at_ms {
            *last = offer;
        }
    }

    /// Forgets a node's offer.
    pub fn withdraw(&mut self, node: NodeId) {
        self.by_node.remove(&node);
    }

    /// The last offer of `node`.
    pub fn of(&self, node: NodeId) -> Option<&Offer> {
        self.by_node.get(&node)
    }

    /// All of them, by node.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.by_node.values()
    }
}
