//! The nodes as a plan begins with them, kept from plan to plan: a node of which nothing has changed is not looked at again.
//!
//! A node is looked at when one of these is another than the plan before saw:
//!
//! 1. what the state has of it: its page in the arena is another one (so it is when a move begins or ends, or a footprint on its way changes);
//! 2. its offer;
//! 3. the nodes that are awaited, and what goes back to them;
//! 4. the time, when something of it runs out: an offer, a refusal, a report.
//!
//! And those that the plan before has itself changed, to try what would become of them. With another policy, or a clock that went back, all are.
//! What comes out is what would be computed from nothing, to the bit: sums are kept as integers, everything else is computed from them.

use super::order::Order;
use super::workspace::{NodePlan, brought_since_offers, node_plan};
use crate::cluster::arena::Arena;
use crate::cluster::{Cluster, Level, Lifecycle, Node, NodeIx, RESOURCES};
use crate::load::Awaited;
use crate::offers::Offers;
use crate::policy::Policy;
use crate::potential::Potential;
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    seen: Option<Seen>,
    pub(crate) nodes: Vec<NodePlan>,
    /// Who may be a target, and who a source.
    pub(crate) targets: Order,
    pub(crate) sources: Order,
    pub(crate) awaited: Awaited,
    pub(crate) potential: Potential,
    /// Of the nodes that share the load: their sums, and how many there are.
    pub(crate) load_sum: [u128; RESOURCES],
    capacity_sum: [u128; RESOURCES],
    pub(crate) sharing: usize,
    pub(crate) active: usize,
    /// Active nodes that are strained or worse, and nodes that drain.
    pub(crate) strained: BTreeSet<NodeIx>,
    pub(crate) draining: BTreeSet<NodeIx>,
    /// Capacities of active nodes, and how many have each.
    capacities: [BTreeMap<u64, u32>; RESOURCES],
    /// The share of each resource that an active node carries; not a number where there is none.
    pub(crate) shares: Vec<[f64; RESOURCES]>,
    /// Each sharing node's term of the potential.
    terms: Vec<f64>,
    /// Nodes that the plan has changed.
    changed: Vec<NodeIx>,
    /// Nodes that were looked at for this plan: what it cost to begin.
    pub(crate) looked_at: usize,
}

/// What the plan before was made on.
#[derive(Clone, Debug)]
struct Seen {
    nodes: Arena<Node, 1, 64>,
    offers: Offers,
    policy: Policy,
    now_ms: u64,
    runs_out: BTreeSet<(u64, NodeIx)>,
}

impl Base {
    /// Brings everything up to date.
    pub(crate) fn update(&mut self, state: &Cluster, offers: &Offers, policy: &Policy, now_ms: u64) {
        let reusable = |seen: &Seen| seen.policy == *policy && seen.now_ms <= now_ms && seen.nodes.len() <= state.nodes().len();
        let seen = self.seen.take().filter(reusable).unwrap_or_else(|| {
            *self = Self::default();
            Seen::nothing(*policy)
        });
        let awaited = Awaited::new(state, policy, now_ms);
        let brought = brought_since_offers(state, offers);
        let look_at = self.nodes_changed(state, offers, now_ms, &seen, &awaited);
        self.awaited = awaited;
        self.nodes.resize_with(state.nodes().len(), NodePlan::default);
        self.shares.resize(state.nodes().len(), [f64::NAN; RESOURCES]);
        self.terms.resize(state.nodes().len(), 0.0);
        let mut runs_out = seen.runs_out;
        for at in &look_at {
            runs_out.remove(&(self.nodes[at.0 as usize].runs_out_ms, *at));
            let plan = node_plan(state, offers, policy, now_ms, *at, (&brought, &self.awaited));
            if plan.runs_out_ms < u64::MAX {
                runs_out.insert((plan.runs_out_ms, *at));
            }
            self.replace(*at, plan, state.node(*at));
        }
        self.looked_at = look_at.len();
        self.settle_all(policy, &look_at);
        self.seen = Some(Seen { nodes: state.node_arena().clone(), offers: offers.clone(), policy: *policy, now_ms, runs_out });
    }

    /// See the module; each once.
    fn nodes_changed(&mut self, state: &Cluster, offers: &Offers, now_ms: u64, seen: &Seen, awaited: &Awaited) -> Vec<NodeIx> {
        let mut look_at = std::mem::take(&mut self.changed);
        look_at.iter().for_each(|at| self.nodes[at.0 as usize].changed = false);
        look_at.extend(state.node_arena().changed_since(&seen.nodes).map(|at| NodeIx(at as u32)));
        look_at.extend(self.awaited.differences(awaited));
        look_at.extend(seen.runs_out.iter().take_while(|(at_ms, _)| *at_ms <= now_ms).map(|(_, at)| *at));
        look_at.extend(offers.changed_since(&seen.offers).filter_map(|node| state.node_ix(node)));
        look_at.sort_unstable();
        look_at.dedup();
        look_at
    }

    fn replace(&mut self, at: NodeIx, plan: NodePlan, node: &Node) {
        let before = std::mem::replace(&mut self.nodes[at.0 as usize], plan);
        self.count(&before, false);
        let plan = self.nodes[at.0 as usize].clone();
        self.count(&plan, true);
        let is_strained = plan.active && node.level >= Level::Strained;
        set(&mut self.strained, at, is_strained);
        set(&mut self.draining, at, node.lifecycle == Lifecycle::Draining);
        self.mark(at);
    }

    fn count(&mut self, node: &NodePlan, add: bool) {
        let step = |sum: &mut u128, value: u64| *sum = if add { *sum + u128::from(value) } else { *sum - u128::from(value) };
        let one = |count: &mut usize| *count = if add { *count + 1 } else { *count - 1 };
        if node.shares {
            one(&mut self.sharing);
            (0..RESOURCES).for_each(|r| step(&mut self.load_sum[r], node.projected.0[r]));
            (0..RESOURCES).for_each(|r| step(&mut self.capacity_sum[r], node.capacity.0[r]));
        }
        if node.active {
            one(&mut self.active);
            self.capacities.iter_mut().zip(node.capacity.0).for_each(|(counts, capacity)| change_count(counts, capacity, add));
        }
    }

    /// What follows from the sums: all of it, when the capacities have changed.
    fn settle_all(&mut self, policy: &Policy, looked_at: &[NodeIx]) {
        let potential = Potential::new(policy, &self.capacity_sums());
        if potential == self.potential {
            return looked_at.iter().for_each(|at| self.settle(*at));
        }
        self.potential = potential;
        (0..self.nodes.len() as u32).for_each(|at| self.settle(NodeIx(at)));
    }

    /// What follows from a node's load.
    pub(crate) fn settle(&mut self, at: NodeIx) {
        let at = at.0 as usize;
        let node = &mut self.nodes[at];
        let share = |r: usize| if node.capacity.0[r] > 0 { node.projected.0[r] as f64 / node.capacity.0[r] as f64 } else { f64::NAN };
        self.shares[at] = if node.active { std::array::from_fn(share) } else { [f64::NAN; RESOURCES] };
        self.terms[at] = if node.shares { self.potential.term(&node.projected, &node.capacity) } else { 0.0 };
        node.slope = self.potential.slope(&node.projected, &node.capacity);
    }

    /// The plan changes a node: the next one looks at it again.
    pub(crate) fn change(&mut self, at: NodeIx) {
        if !std::mem::replace(&mut self.nodes[at.0 as usize].changed, true) {
            self.changed.push(at);
        }
        self.mark(at);
    }

    fn mark(&mut self, at: NodeIx) {
        self.targets.mark(at);
        self.sources.mark(at);
    }

    /// Of the nodes that share the load.
    pub(crate) fn capacity_sums(&self) -> [f64; RESOURCES] {
        self.capacity_sum.map(|it| it as f64)
    }

    /// The largest capacity of an active node.
    pub(crate) fn largest_capacity(&self, r: usize) -> u64 {
        self.capacities[r].last_key_value().map_or(0, |(capacity, _)| *capacity)
    }

    /// The potential of the nodes that share the load, as planned so far.
    pub(crate) fn potential_now(&self) -> f64 {
        self.terms.iter().sum()
    }
}

impl Seen {
    fn nothing(policy: Policy) -> Self {
        Self { nodes: Arena::default(), offers: Offers::default(), policy, now_ms: 0, runs_out: BTreeSet::new() }
    }
}

fn set(set: &mut BTreeSet<NodeIx>, at: NodeIx, is_in: bool) {
    _ = if is_in { set.insert(at) } else { set.remove(&at) };
}

fn change_count(counts: &mut BTreeMap<u64, u32>, capacity: u64, add: bool) {
    let count = counts.entry(capacity).or_default();
    *count = if add { *count + 1 } else { *count - 1 };
    if *count == 0 {
        counts.remove(&capacity);
    }
}
