//! What each node carries, of what it has, and what it will take.

use super::Question;
use crate::cluster::{Level, Lifecycle, NodeId, Resources};
use crate::load;

/// A node's load beside what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCarries {
    /// The node.
    pub node: NodeId,
    /// What is decided of it.
    pub lifecycle: Lifecycle,
    /// Its pressure.
    pub level: Level,
    /// Copies that it has or gets.
    pub copies: usize,
    /// What they cost, moves in flight charged at both ends.
    pub load: Resources,
    /// What it has.
    pub capacity: Resources,
    /// Up to where it may be filled.
    pub line: Resources,
    /// Memory and disk that it offers; none if its offer does not stand.
    pub offered_bytes: Option<(u64, u64)>,
}

/// Every node, by id.
pub fn nodes(question: &Question<'_>) -> Vec<NodeCarries> {
    let carries = |(_, node): (_, &crate::cluster::Node)| {
        let offer = question.offers.of(node.spec.id).filter(|it| it.stands(node.spec.epoch, question.now_ms));
        let line = |r: crate::cluster::Resource| question.policy.line(r, node.spec.capacity.get(r));
        NodeCarries {
            node: node.spec.id,
            lifecycle: node.lifecycle,
            level: node.level,
            copies: node.segments.len(),
            load: load::of(node, question.policy, question.now_ms).adjusted,
            capacity: node.spec.capacity,
            line: Resources(crate::cluster::Resource::ALL.map(line)),
            offered_bytes: offer.map(|it| (it.resident_bytes, it.disk_bytes)),
        }
    };
    question.state.nodes_by_id().map(carries).collect()
}
