//! Events: everything that changes what the planner knows. Each costs what it touches.
//!
//! *Decided* events are commands of the placement log; *measured* ones are soft state of the leader, lost with it and measured again.

use super::moves::{Generation, Move, Phase};
use super::node::{Level, Lifecycle, NodeId, NodeSpec, Report};
use super::refusal::Refusal;
use super::resources::Footprint;
use super::segment::SegmentSpec;
use crate::model::UnitId;
use serde::{Deserialize, Serialize};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Decided: something of the log.
    Decided(Decision),
    /// Measured: a node's pressure.
    Pressed {
        /// The node.
        node: NodeId,
        /// Its level now.
        level: Level,
    },
    /// Measured: a node's load.
    Reported {
        /// The node.
        node: NodeId,
        /// What it says.
        report: Report,
    },
    /// Measured: a segment costs something else than was thought.
    FootprintMeasured {
        /// The segment.
        segment: UnitId,
        /// What it costs.
        footprint: Footprint,
    },
}

/// A decision: what the placement log carries of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// A node registers, or comes back: what it carries is kept, its specification is replaced, it is active. A later epoch takes its
    /// refusals back.
    NodeRegistered(NodeSpec),
    /// A node is to be drained, is taken to be down, or is active again. Moves in flight that touch a node which is down end.
    NodeLifecycle {
        /// The node.
        node: NodeId,
        /// What it is from now on.
        lifecycle: Lifecycle,
    },
    /// A node is gone for ever, with whatever it held.
    NodeRemoved(NodeId),
    /// A segment came into being, with no copy yet; [`Decision::CopyAdded`] says where it was written.
    SegmentAdded(SegmentSpec),
    /// A segment is gone, with its copies and its moves.
    SegmentRemoved(UnitId),
    /// A segment has been found to cost something else for a while: what a new leader begins with. See [`Footprint::rounded`].
    FootprintNoted {
        /// The segment.
        segment: UnitId,
        /// What it costs, rounded.
        footprint: Footprint,
    },
    /// Its owner wants another number of copies.
    ReplicasWanted {
        /// The segment.
        segment: UnitId,
        /// 1 to [`super::segment::REPLICAS_WANTED_MAX`].
        replicas: u8,
    },
    /// A copy came to be without a move: the segment was written there.
    CopyAdded {
        /// The segment.
        segment: UnitId,
        /// Where.
        node: NodeId,
        /// Is it served?
        serving: bool,
    },
    /// A copy was lost without a move: damaged, or its disk was.
    CopyLost {
        /// The segment.
        segment: UnitId,
        /// Where it was.
        node: NodeId,
    },
    /// A move begins. Its phase must be [`Phase::Begun`].
    MoveBegun(Move),
    /// A move goes on, or ends.
    MoveAdvanced {
        /// The move.
        generation: Generation,
        /// How far it is now.
        phase: Phase,
    },
    /// A node has said no: the refusal is kept, and the move that it answers, if any, is over.
    Refused {
        /// The move.
        generation: Option<Generation>,
        /// The refusal.
        refusal: Refusal,
    },
}

/// Why an event was not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// No such node.
    #[error("there is no node {}", .0.0)]
    UnknownNode(NodeId),
    /// No such segment.
    #[error("there is no segment {}", .0.0)]
    UnknownSegment(UnitId),
    /// No such move in flight: it is over, or never was.
    #[error("there is no move {} in flight", .0.0)]
    UnknownMove(Generation),
    /// The move may not go from where it is to there.
    #[error("a move that is {from:?} cannot become {to:?}")]
    IllegalTransition {
        /// Where it is.
        from: Phase,
        /// Where it was to go.
        to: Phase,
    },
    /// It contradicts what is there.
    #[error("{0}")]
    Contradiction(&'static str),
}
