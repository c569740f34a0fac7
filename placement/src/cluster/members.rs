//! The nodes taken together, kept up to date with every change of one: how many are active, in how many zones and racks, and who is down.

use super::node::{Lifecycle, Node, NodeIx};
use super::{Cluster, REPLICAS_MAX};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

/// See the module. A change costs the logarithm of the number of nodes; a clone shares everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Members {
    /// Active nodes, by zone and by rack.
    zones: RedBlackTreeMapSync<u32, u32>,
    racks: RedBlackTreeMapSync<u32, u32>,
    /// Nodes that are down, but for those that were removed.
    down: RedBlackTreeSetSync<NodeIx>,
}

impl Members {
    /// Zones in which a node is active.
    pub(super) fn zones(&self) -> usize {
        self.zones.size()
    }

    /// Racks in which a node is active.
    pub(super) fn racks(&self) -> usize {
        self.racks.size()
    }

    /// Nodes that are down, and not removed.
    pub(super) fn down(&self) -> impl Iterator<Item = NodeIx> + '_ {
        self.down.iter().copied()
    }

    /// Takes a node in.
    pub(super) fn add(&mut self, at: NodeIx, node: &Node) {
        match node.lifecycle {
            Lifecycle::Active => {
                step(&mut self.zones, node.spec.domain.zone, true);
                step(&mut self.racks, node.spec.domain.rack, true);
            }
            Lifecycle::Draining => {}
            Lifecycle::Down => self.down.insert_mut(at),
        }
    }

    /// Takes a node out: it must be as it was when it was taken in.
    pub(super) fn remove(&mut self, at: NodeIx, node: &Node) {
        match node.lifecycle {
            Lifecycle::Active => {
                step(&mut self.zones, node.spec.domain.zone, false);
                step(&mut self.racks, node.spec.domain.rack, false);
            }
            Lifecycle::Draining => {}
            Lifecycle::Down => _ = self.down.remove_mut(&at),
        }
    }

    /// As far as copies can tell zones and racks apart.
    pub(super) fn domains_counted(&self) -> (usize, usize) {
        (self.zones().min(REPLICAS_MAX), self.racks().min(REPLICAS_MAX))
    }
}

fn step(counts: &mut RedBlackTreeMapSync<u32, u32>, domain: u32, more: bool) {
    let count = counts.get(&domain).copied().unwrap_or(0);
    match if more { count.saturating_add(1) } else { count.saturating_sub(1) } {
        0 => _ = counts.remove_mut(&domain),
        count => counts.insert_mut(domain, count),
    }
}

impl Cluster {
    /// The members, counted anew.
    pub(crate) fn members_counted(&self) -> Members {
        let mut members = Members::default();
        self.nodes_by_id().for_each(|(at, node)| members.add(at, node));
        members
    }
}
