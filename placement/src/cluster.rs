//! What the planner knows: nodes, segments, their copies, moves in flight, refusals; kept up to date event by event.
//!
//! 1. [`resources`]: vectors of exact integers.
//! 2. [`node`], [`segment`], [`moves`], [`refusal`]: the nouns.
//! 3. [`event`]: what changes them; `apply.rs`: how.
//! 4. [`Cluster::apply`]: the only entrance. `saved.rs`: what was decided, serialized.
//!
//! Nodes and segments lie in arenas and are named by 32-bit indexes; a segment owns no heap memory. Sums are kept, not computed: each
//! node knows its load as it will be (*projected*) and as it is while moves are charged at both ends (*adjusted*).
//!
//! A clone shares all that does not change: it costs microseconds, and a decision after it what it touches. So a state of the log can hold
//! a cluster of ten million segments, and readers keep the one that they have.
//!
//! Architecture invariant: whatever is derived here (loads, lists, attention) is a function of nodes, segments and moves; the checker
//! computes it anew and compares.

mod apply;
pub mod arena;
pub(crate) mod attention;
pub mod event;
mod id_index;
pub(crate) mod ledger;
pub(crate) mod members;
pub mod moves;
pub mod node;
pub mod refusal;
pub mod resources;
mod saved;
pub mod segment;
mod segment_set;

use crate::model::UnitId;
use arena::Arena;
use attention::Attention;
pub use attention::HOT_MICROS_MIN;
pub use event::{Decision, Event, EventError};
use id_index::IdIndex;
use members::Members;
pub use moves::{Generation, Move, MoveKind, Phase};
pub use node::{Domain, Epoch, Level, Lifecycle, Node, NodeId, NodeIx, NodeSpec, Report, Settling};
pub use refusal::{Refusal, RefusalReason};
pub use resources::{FOOTPRINT_MAX, Footprint, RESOURCES, Resource, Resources};
use rpds::RedBlackTreeMapSync;
pub use segment::{
    DEPARTURES_MAX, Departure, Departures, REPLICAS_MAX, REPLICAS_WANTED_MAX, Replica, ReplicaState, Replicas, Segment, SegmentIx,
    SegmentSpec,
};
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;

/// Refusals remembered of one node, at most; beyond, the oldest are merged, never forgotten.
pub const REFUSALS_MAX: usize = 64;
/// Copies that one node has or gets, at most.
pub const NODE_COPIES_MAX: usize = 1 << 23;
/// Departures that one node is still charged with, at most; beyond, the oldest are believed to have been reported.
pub const SETTLING_MAX: usize = 1024;

/// The state that is planned on.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    nodes: Arena<Node, 1, 64>,
    node_by_id: Arc<BTreeMap<NodeId, NodeIx>>,
    segments: Arena<Segment, 32, 256>,
    segment_by_id: IdIndex,
    free: Arena<SegmentIx, 256, 64>,
    moves: RedBlackTreeMapSync<Generation, Move>,
    /// The last move that was ever begun.
    last_generation: Option<Generation>,
    pub(crate) attention: Attention,
    pub(crate) members: Members,
}

impl Cluster {
    /// Nodes, by index. Those that were removed keep their place, and are down.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> + DoubleEndedIterator + Clone {
        self.nodes.iter()
    }

    pub(crate) fn node_arena(&self) -> &Arena<Node, 1, 64> {
        &self.nodes
    }

    /// A node by its index.
    pub fn node(&self, node: NodeIx) -> &Node {
        &self.nodes[node.0 as usize]
    }

    /// The index of a node.
    pub fn node_ix(&self, id: NodeId) -> Option<NodeIx> {
        self.node_by_id.get(&id).copied()
    }

    /// Nodes that are not removed, by id.
    pub fn nodes_by_id(&self) -> impl Iterator<Item = (NodeIx, &Node)> {
        self.node_by_id.values().map(|ix| (*ix, self.node(*ix)))
    }

    /// A segment by its index.
    pub fn segment(&self, segment: SegmentIx) -> &Segment {
        &self.segments[segment.0 as usize]
    }

    /// The index of a segment.
    pub fn segment_ix(&self, id: UnitId) -> Option<SegmentIx> {
        self.segment_by_id.get(id)
    }

    /// All segments, by index.
    pub fn segments(&self) -> impl Iterator<Item = (SegmentIx, &Segment)> {
        self.segments.iter().enumerate().filter(|(_, it)| it.live).map(|(at, it)| (SegmentIx(at as u32), it))
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.segments.len() - self.free.len()
    }

    /// Moves in flight, oldest first.
    pub fn moves(&self) -> impl ExactSizeIterator<Item = &Move> {
        self.moves.values()
    }

    /// The name for the next move.
    pub fn next_generation(&self) -> Generation {
        Generation(self.last_generation.map_or(0, |last| last.0.saturating_add(1)))
    }

    /// A move in flight.
    pub fn move_in_flight(&self, generation: Generation) -> Option<&Move> {
        self.moves.get(&generation)
    }

    /// Nodes that are down, and not removed.
    pub fn nodes_down(&self) -> impl Iterator<Item = (NodeIx, &Node)> {
        self.members.down().map(|at| (at, self.node(at)))
    }

    /// Zones in which a node is active.
    pub fn zones_active(&self) -> usize {
        self.members.zones()
    }

    /// Racks in which a node is active.
    pub fn racks_active(&self) -> usize {
        self.members.racks()
    }
}

/// Ids are handed out in sequence; one multiplication spreads them. Deterministic, unlike the standard hasher.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }
}
