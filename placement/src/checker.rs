//! The checker: named invariants of a state, and of a plan before it is proposed.
//!
//! It shares no arithmetic with the planner: what the cluster keeps up to date it computes anew, and a plan it carries out on its own books.
//! A plan with a violation is not proposed. `state.rs` costs a look at everything, and runs in tests and on demand; `plan.rs` costs what
//! the plan touches, and runs before every proposal.

mod plan;
mod state;

use crate::cluster::NodeId;
use crate::model::UnitId;
pub use plan::check_plan;
pub use state::check_state;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// A node's load is the sum of its copies'.
    LoadsAreSums,
    /// A segment has its copies where the nodes' lists say, at most one on each node.
    ListsAgree,
    /// The planner is told of just the segments that need it.
    AttentionIsRight,
    /// Copies on their way, and nodes' counts of moves, are those of the moves in flight.
    MovesAgree,
    /// What a plan names exists, and can begin in the plan's order.
    CanBegin,
    /// Nothing is brought to a node that is not active and calm.
    TargetsAreCalm,
    /// No offer is exceeded: memory, disk, loads at once, time, epoch.
    WithinOffers,
    /// No node is brought beyond its line, moves charged at both ends.
    WithinLines,
    /// Nothing that a refusal covers is brought to who refused.
    RefusalsRespected,
    /// No segment has fewer whole, or fewer served, copies than before or than wanted, whichever is less.
    ReplicasKept,
    /// What is not repair or drain leaves the copies in as many zones and racks as they were.
    DomainsKept,
    /// A balancing move gains at least its step, and its gain is what the potential falls by.
    GainsAStep,
    /// No segment is balanced while it rests, nor returns for balance to a node that it left lately.
    Rests,
    /// Moves of a node, and in all, are within the policy's bounds.
    WithinBounds,
}

impl Invariant {
    /// Its name, as users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadsAreSums => "loads-are-sums",
            Self::ListsAgree => "lists-agree",
            Self::AttentionIsRight => "attention-is-right",
            Self::MovesAgree => "moves-agree",
            Self::CanBegin => "can-begin",
            Self::TargetsAreCalm => "targets-are-calm",
            Self::WithinOffers => "within-offers",
            Self::WithinLines => "within-lines",
            Self::RefusalsRespected => "refusals-respected",
            Self::ReplicasKept => "replicas-kept",
            Self::DomainsKept => "domains-kept",
            Self::GainsAStep => "gains-a-step",
            Self::Rests => "rests",
            Self::WithinBounds => "within-bounds",
        }
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Of which segment, if of one.
    pub segment: Option<UnitId>,
    /// Of which node, if of one.
    pub node: Option<NodeId>,
    /// What was found.
    pub found: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.invariant.name())?;
        self.segment.map_or(Ok(()), |segment| write!(f, ", segment {}", segment.0))?;
        self.node.map_or(Ok(()), |node| write!(f, ", node {}", node.0))?;
        write!(f, ": {}", self.found)
    }
}
