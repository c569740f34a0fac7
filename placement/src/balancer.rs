//! `plan(state, offers, policy)`: pure, deterministic, idempotent.
//!
//! 1. A workspace is laid over the state: nodes copied, segments copied only where the plan touches them.
//! 2. What is urgent, in this order: copies that are missing, strained nodes, draining nodes, copies that share a zone or rack, hot
//!    segments, copies too many. Each looks only at the segments that need it: the state keeps them apart, event by event.
//! 3. Balance, by moves that each gain at least a step.
//! 4. The result, beside the lower bound.

mod balance;
mod base;
mod bound;
mod copies;
mod order;
mod plan;
mod relieve;
mod repair;
mod targets;
pub(crate) mod workspace;

use crate::cluster::Cluster;
use crate::offers::Offers;
use crate::policy::Policy;
pub use plan::{Binding, LowerBound, Plan, PlannedMove, UNMET_MAX, Unmet, UnmetReason, Why};
use workspace::Workspace;

/// What to do next.
///
/// Reads nothing but its arguments, changes nothing: to carry a plan out, each of its moves becomes a
/// [`crate::cluster::Decision::MoveBegun`] ([`Plan::decisions`]), and planning on the state with those moves in flight yields nothing.
///
/// - `state`: what the log decided and what was measured. Loads are counted as they will be once the moves in flight are done; room is
///   counted with those moves charged at both ends.
/// - `offers`: nothing is brought to a node without an offer that stands, nor beyond it.
/// - `policy`: every threshold.
/// - `now_ms`: the leader's clock, for what expires: offers, refusals, rests, delays.
pub fn plan(state: &Cluster, offers: &Offers, policy: &Policy, now_ms: u64) -> Plan {
    Planner::default().plan(state, offers, policy, now_ms)
}

/// Plans again and again, on states that come one after another: what it knows of nodes that have not changed it does not compute anew. Its
/// plans are those of [`plan`]: it remembers, and decides nothing by that.
#[derive(Clone, Debug, Default)]
pub struct Planner {
    base: base::Base,
}

impl Planner {
    /// [`plan`], at the cost of what has changed since the last one. The state may be any: of one that has nothing in common with the last, all is
    /// looked at.
    pub fn plan(&mut self, state: &Cluster, offers: &Offers, policy: &Policy, now_ms: u64) -> Plan {
        let mut workspace = Workspace::begun(std::mem::take(&mut self.base), state, offers, policy, now_ms);
        let potential_before = workspace.base.potential_now();
        workspace.repair();
        workspace.relieve();
        workspace.drain();
        workspace.spread_copies();
        workspace.copy_hot();
        workspace.drop_surplus();
        workspace.balance();
        let (plan, base) = workspace.finish(potential_before);
        self.base = base;
        plan
    }

    /// Nodes that the last plan had to look at before it began; the others were as they had been.
    pub fn nodes_looked_at(&self) -> usize {
        self.base.looked_at
    }
}
