//! What a plan is: moves, each with its reasons, and how far the result is from the best that there could be.

use crate::cluster::{Cluster, Decision, Generation, Move, MoveKind, NodeId, Phase, RESOURCES};
use crate::model::UnitId;

/// The answer of [`super::plan`]. Nothing in it is left to choose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to begin, in this order: what is urgent first.
    pub moves: Vec<PlannedMove>,
    /// The potential before, and once all moves in flight and all of these are done.
    pub potential_before: f64,
    /// See `potential_before`.
    pub potential_after: f64,
    /// The largest share of each resource that an active node has of its capacity, divided by the mean, once all is done; 0 where nothing
    /// is carried.
    pub max_to_mean_after: [f64; RESOURCES],
    /// What no plan could do better than.
    pub bound: LowerBound,
    /// What should be done and cannot: the first [`UNMET_MAX`].
    pub unmet: Vec<Unmet>,
    /// How much of that there is in all.
    pub unmet_total: u64,
    /// More would be done but for the bounds on a round and on the moves of a node: plan again when some are done.
    pub cut_short: bool,
    /// Segments that were looked at: what the plan cost.
    pub segments_examined: u64,
}

/// Entries of [`Plan::unmet`], at most.
pub const UNMET_MAX: usize = 100;

/// A move that is to begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedMove {
    /// The segment.
    pub segment: UnitId,
    /// What happens to it.
    pub kind: MoveKind,
    /// See [`Move::from`].
    pub from: Option<NodeId>,
    /// See [`Move::to`].
    pub to: Option<NodeId>,
    /// Bytes that go over the network.
    pub transfer_bytes: u64,
    /// Why.
    pub why: Why,
    /// By how much the potential falls; less than 0 where something more urgent makes it rise.
    pub gain: f64,
    /// What a balancing move must gain at least: its step.
    pub step: f64,
    /// What ruled out a node that would have been cheaper still.
    pub bound_by: Option<Binding>,
}

/// Why a move is made, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// Fewer copies than wanted.
    Repair,
    /// A node is strained, or critical.
    Relieve,
    /// A node is draining.
    Drain,
    /// A copy on disk can be served, or one that is served is to be kept on disk.
    Serve,
    /// The copies could stand in more zones or racks.
    Spread,
    /// A segment is hot.
    Heat,
    /// More copies than wanted.
    Surplus,
    /// The potential falls.
    Balance,
}

impl Why {
    /// Its name, as users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repair => "repair",
            Self::Relieve => "relieve",
            Self::Drain => "drain",
            Self::Serve => "serve",
            Self::Spread => "spread",
            Self::Heat => "heat",
            Self::Surplus => "surplus",
            Self::Balance => "balance",
        }
    }
}

/// A constraint that rules a node out for a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Binding {
    /// It is draining, or down.
    Lifecycle,
    /// It has a copy already.
    HasCopy,
    /// It is not calm.
    Pressure,
    /// It has refused this, and that still holds.
    Refusal,
    /// It has not offered anything that still stands.
    NoOffer,
    /// Its offer has not that much memory left.
    OfferMemory,
    /// Its offer has not that much disk left.
    OfferDisk,
    /// It takes no more loads at once, or the policy allows it no more.
    LoadsAtOnce,
    /// It would be beyond its line: memory.
    LineMemory,
    /// It would be beyond its line: disk.
    LineDisk,
    /// It would be beyond its line: processor.
    LineCpu,
    /// The copies would stand in fewer zones or racks.
    Domain,
    /// The segment left it not long ago.
    Rest,
}

impl Binding {
    /// Does it pass by itself before long, as moves end and offers are made anew?
    pub fn passes(self) -> bool {
        matches!(self, Self::NoOffer | Self::OfferMemory | Self::OfferDisk | Self::LoadsAtOnce)
    }

    /// Its name, as users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lifecycle => "draining or down",
            Self::HasCopy => "has a copy",
            Self::Pressure => "pressed",
            Self::Refusal => "refused",
            Self::NoOffer => "no offer",
            Self::OfferMemory => "offer: memory",
            Self::OfferDisk => "offer: disk",
            Self::LoadsAtOnce => "loads at once",
            Self::LineMemory => "line: memory",
            Self::LineDisk => "line: disk",
            Self::LineCpu => "line: cpu",
            Self::Domain => "failure domain",
            Self::Rest => "left it lately",
        }
    }
}

/// Something that should be done and cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The segment.
    pub segment: UnitId,
    /// What should be done.
    pub why: Why,
    /// Why it cannot.
    pub reason: UnmetReason,
}

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmetReason {
    /// No whole copy can be reached.
    NoSource,
    /// Every node is ruled out; the last to be was by this.
    NoTarget(Binding),
    /// The sources have as many moves as they may.
    SourcesBusy,
    /// It waits for a node that went down not long ago.
    Delayed,
}

/// What no plan could do better than, whatever it moves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LowerBound {
    /// Of [`Plan::max_to_mean_after`].
    pub max_to_mean: [f64; RESOURCES],
    /// Of the potential.
    pub potential: f64,
    /// Bytes that must be transferred for what is not balance: copies that are missing, nodes that drain.
    pub transfer_bytes: u64,
}

impl Plan {
    /// Bytes that go over the network.
    pub fn transfer_bytes(&self) -> u64 {
        self.moves.iter().map(|it| it.transfer_bytes).sum()
    }

    /// The decisions that begin the plan's moves, numbered from `first`.
    pub fn decisions<'a>(&'a self, state: &'a Cluster, first: Generation, now_ms: u64) -> impl Iterator<Item = Decision> + 'a {
        self.moves.iter().zip(first.0..).map(move |(it, generation)| {
            let to_node = it.to.and_then(|id| state.node_ix(id)).map(|at| state.node(at));
            Decision::MoveBegun(Move {
                generation: Generation(generation),
                segment: it.segment,
                kind: it.kind,
                from: it.from,
                to: it.to,
                to_epoch: to_node.map(|node| node.spec.epoch).unwrap_or_default(),
                begun_at_ms: now_ms,
                phase: Phase::Begun,
            })
        })
    }
}
