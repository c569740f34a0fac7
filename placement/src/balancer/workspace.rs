//! What a plan works on: the cluster, and over it the nodes and segments that the plan has changed so far.
//!
//! Nodes are copied (a few hundred bytes each); of segments, only those that the plan touches. The sums follow the same rules as the
//! cluster's own, so that the state with the plan's moves begun is the state that the plan ended with.

use super::plan::{Binding, PlannedMove, UNMET_MAX, Unmet, UnmetReason, Why};
use super::{Plan, order::Orders};
use crate::cluster::ledger::{Sharers, charges};
use crate::cluster::{
    Cluster, Domain, Footprint, IdHasher, MoveKind, NodeIx, REPLICAS_MAX, RESOURCES, Replica, ReplicaState, Replicas, Resources, Segment,
    SegmentIx,
};
use crate::load::{self, Awaited};
use crate::offers::Offers;
use crate::policy::Policy;
use crate::potential::{Potential, Slope};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// A node, as the plan sees it so far.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    pub(crate) projected: Resources,
    pub(crate) adjusted: Resources,
    pub(crate) capacity: Resources,
    /// Up to where it may be filled.
    pub(crate) line: Resources,
    pub(crate) slope: Slope,
    /// What is left of its offer.
    pub(crate) offer_resident_bytes: u64,
    pub(crate) offer_disk_bytes: u64,
    pub(crate) loads_left: u32,
    /// Moves that may still begin to read from it, or relieve it.
    pub(crate) reads_left: u32,
    pub(crate) domain: Domain,
    pub(crate) up: bool,
    pub(crate) active: bool,
    /// It is active, or awaited back: means and the potential count it.
    pub(crate) shares: bool,
    /// What rules it out as a target, whatever the segment.
    pub(crate) closed: Option<Binding>,
    pub(crate) has_refusals: bool,
}

/// A segment that the plan has changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touched {
    pub(crate) replicas: Replicas,
    pub(crate) sharers: Sharers,
    pub(crate) moves: u8,
}

/// See the module.
pub(crate) struct Workspace<'a> {
    pub(crate) state: &'a Cluster,
    pub(crate) policy: &'a Policy,
    pub(crate) now_ms: u64,
    pub(crate) potential: Potential,
    pub(crate) nodes: Vec<NodePlan>,
    awaited: Awaited,
    /// Of the nodes that share the load: the mean of each resource.
    pub(crate) load_sum: [u128; RESOURCES],
    pub(crate) capacity_sum: [f64; RESOURCES],
    pub(crate) orders: Orders,
    touched: HashMap<SegmentIx, Touched, BuildHasherDefault<IdHasher>>,
    pub(crate) moves_left: u32,
    pub(crate) plan: Plan,
}

impl<'a> Workspace<'a> {
    pub(crate) fn new(state: &'a Cluster, offers: &Offers, policy: &'a Policy, now_ms: u64) -> Self {
        let awaited = Awaited::new(state, policy, now_ms);
        let mut capacity_sum = [0.0; RESOURCES];
        for (node, _) in state.nodes().zip(0..).filter(|(node, at)| node.is_active() || awaited.is_awaited(NodeIx(*at))) {
            (0..RESOURCES).for_each(|r| capacity_sum[r] += node.spec.capacity.0[r] as f64);
        }
        let potential = Potential::new(policy, &capacity_sum);
        let brought = brought_since_offers(state, offers);
        let nodes: Vec<_> = (0..state.nodes().len() as u32)
            .map(|at| node_plan(state, offers, policy, &potential, now_ms, NodeIx(at), (&brought, &awaited)))
            .collect();
        let mut workspace = Self {
            state,
            policy,
            now_ms,
            potential,
            nodes,
            awaited,
            load_sum: [0; RESOURCES],
            capacity_sum,
            orders: Orders::default(),
            touched: HashMap::default(),
            moves_left: policy.moves_in_flight_max.saturating_sub(u32::try_from(state.moves().count()).unwrap_or(u32::MAX)),
            plan: Plan::default(),
        };
        workspace.sum_up();
        workspace
    }

    /// Counts the sums of the nodes that share the load anew.
    pub(crate) fn sum_up(&mut self) {
        self.load_sum = [0; RESOURCES];
        for node in self.nodes.iter().filter(|node| node.shares) {
            (0..RESOURCES).for_each(|r| self.load_sum[r] += u128::from(node.projected.0[r]));
        }
    }

    pub(crate) fn node(&self, at: NodeIx) -> &NodePlan {
        &self.nodes[at.0 as usize]
    }

    pub(crate) fn segment(&self, at: SegmentIx) -> &'a Segment {
        self.state.segment(at)
    }

    /// A segment's copies, as planned so far.
    pub(crate) fn replicas(&self, at: SegmentIx) -> &Replicas {
        match self.touched.get(&at) {
            Some(touched) => &touched.replicas,
            None => &self.segment(at).replicas,
        }
    }

    pub(crate) fn sharers(&self, at: SegmentIx) -> u32 {
        u32::from(self.touched.get(&at).map_or(self.segment(at).sharers, |touched| touched.sharers).projected)
    }

    /// Among how many copies queries are shared in the end: with those of nodes that are awaited back.
    pub(crate) fn sharers_in_the_end(&self, at: SegmentIx) -> u32 {
        match self.touched.get(&at) {
            Some(touched) => touched.sharers.in_the_end(),
            None => u32::from(self.segment(at).sharers.projected) + u32::from(self.awaited.sharers(&self.segment(at).replicas)),
        }
    }

    /// Is the node down, and awaited back?
    pub(crate) fn is_awaited(&self, at: NodeIx) -> bool {
        self.awaited.is_awaited(at)
    }

    pub(crate) fn present_sharers(&self, at: SegmentIx) -> u32 {
        u32::from(self.touched.get(&at).map_or(self.segment(at).sharers, |touched| touched.sharers).present)
    }

    /// Is a move of it in flight, or planned?
    pub(crate) fn is_moving(&self, at: SegmentIx) -> bool {
        self.segment(at).moves > 0 || (!self.touched.is_empty() && self.touched.contains_key(&at))
    }

    /// Nodes that are active or draining.
    pub(crate) fn is_up(&self, at: NodeIx) -> bool {
        self.node(at).up
    }

    /// The mean share of a resource.
    pub(crate) fn mean(&self, r: usize) -> f64 {
        if self.capacity_sum[r] > 0.0 { self.load_sum[r] as f64 / self.capacity_sum[r] } else { 0.0 }
    }

    /// A node's share of a resource; of one that it does not have, none.
    pub(crate) fn share(&self, at: NodeIx, r: usize) -> f64 {
        let node = self.node(at);
        if node.capacity.0[r] > 0 { node.projected.0[r] as f64 / node.capacity.0[r] as f64 } else { 0.0 }
    }

    /// The potential of the nodes that share the load, as planned so far.
    pub(crate) fn potential_now(&self) -> f64 {
        self.nodes.iter().filter(|node| node.shares).map(|node| self.potential.term(&node.projected, &node.capacity)).sum()
    }

    /// Notes what cannot be done.
    pub(crate) fn unmet(&mut self, segment: SegmentIx, why: Why, reason: UnmetReason) {
        self.plan.unmet_total += 1;
        if self.plan.unmet.len() < UNMET_MAX {
            self.plan.unmet.push(Unmet { segment: self.segment(segment).id, why, reason });
        }
    }

    /// May one more move begin at all?
    pub(crate) fn has_room_for_moves(&mut self) -> bool {
        self.plan.cut_short |= self.moves_left == 0;
        self.moves_left > 0
    }

    /// Plans a move: the sums, the budgets, the copies are from now on as if it had begun.
    pub(crate) fn begin(&mut self, segment: SegmentIx, choice: Choice) {
        let Choice { kind, from, to, why, gain, bound_by } = choice;
        self.spend(segment, kind, from, to);
        self.change_copies(segment, kind, from, to);
        let transfer_bytes = if kind.transfers() { self.segment(segment).footprint.disk_bytes } else { 0 };
        let id = |at: NodeIx| self.state.node(at).spec.id;
        self.plan.moves.push(PlannedMove {
            segment: self.segment(segment).id,
            kind,
            from: from.map(id),
            to: to.map(id),
            transfer_bytes,
            why,
            gain,
            step: self.potential.step(transfer_bytes),
            bound_by,
        });
    }

    /// Takes a move off what its ends allow.
    fn spend(&mut self, segment: SegmentIx, kind: MoveKind, from: Option<NodeIx>, to: Option<NodeIx>) {
        self.moves_left = self.moves_left.saturating_sub(1);
        let footprint = &self.state.segment(segment).footprint;
        if let Some(to) = to {
            let (resident_bytes, disk_bytes) = taken_off_offer(footprint, kind);
            let node = &mut self.nodes[to.0 as usize];
            node.offer_resident_bytes = node.offer_resident_bytes.saturating_sub(resident_bytes);
            node.offer_disk_bytes = node.offer_disk_bytes.saturating_sub(disk_bytes);
            node.loads_left = node.loads_left.saturating_sub(1);
            if node.loads_left == 0 && node.closed.is_none() {
                node.closed = Some(Binding::LoadsAtOnce);
                self.orders.mark(to);
            }
        }
        if let Some(from) = from {
            let node = &mut self.nodes[from.0 as usize];
            node.reads_left = node.reads_left.saturating_sub(1);
        }
    }

    fn change_copies(&mut self, segment: SegmentIx, kind: MoveKind, from: Option<NodeIx>, to: Option<NodeIx>) {
        self.edit(segment, |replicas, down| {
            if let Some(replica) = from.and_then(|from| replicas.on_mut(from)) {
                replica.state = leaving_state(kind, replica.state);
            }
            let Some(to) = to else { return };
            let state = arriving_state(kind);
            if let Some(replica) = replicas.on_mut(to) {
                replica.state = state;
                return;
            }
            if replicas.len() == REPLICAS_MAX
                && let Some(down) = down
            {
                replicas.remove(down);
            }
            replicas.push(Replica { node: to, state, position: 0 });
        });
    }

    /// What `Cluster::edit` does, on the plan's copies.
    fn edit(&mut self, at: SegmentIx, change: impl FnOnce(&mut Replicas, Option<NodeIx>)) {
        let segment = self.state.segment(at);
        let sharers = Sharers { awaited: self.awaited.sharers(&segment.replicas), ..segment.sharers };
        let base = Touched { replicas: segment.replicas, sharers, moves: segment.moves };
        let mut touched = self.touched.get(&at).copied().unwrap_or(base);
        self.charge(&segment.footprint, &touched, false);
        let down = touched.replicas.iter().map(|it| it.node).find(|node| !self.is_up(*node));
        change(&mut touched.replicas, down);
        let sharers = Sharers::count(&touched.replicas, |node| self.is_up(node));
        touched.sharers = Sharers { awaited: self.awaited.sharers(&touched.replicas), ..sharers };
        touched.moves += 1;
        self.charge(&segment.footprint, &touched, true);
        self.touched.insert(at, touched);
    }

    fn charge(&mut self, footprint: &Footprint, touched: &Touched, add: bool) {
        for replica in touched.replicas.iter() {
            let (projected, mut adjusted, peak) = charges(footprint, replica.state, touched.sharers);
            adjusted.0[0] = adjusted.0[0].saturating_add(peak);
            let node = &mut self.nodes[replica.node.0 as usize];
            let apply = if add { Resources::add } else { Resources::subtract };
            let before = node.projected;
            apply(&mut node.projected, &projected);
            apply(&mut node.adjusted, &adjusted);
            node.slope = self.potential.slope(&node.projected, &node.capacity);
            if node.shares {
                for (r, sum) in self.load_sum.iter_mut().enumerate() {
                    *sum = *sum + u128::from(node.projected.0[r]) - u128::from(before.0[r]);
                }
            }
            self.orders.mark(replica.node);
        }
    }

    /// Brings the orders up to date.
    pub(crate) fn refresh_orders(&mut self) {
        if self.orders.is_fresh() {
            return;
        }
        let mut orders = std::mem::take(&mut self.orders);
        orders.refresh(self.nodes.len(), |at| {
            let node = self.node(at);
            let shares = std::array::from_fn(|r| self.share(at, r));
            (shares, node.active && node.closed.is_none(), node.active && node.reads_left > 0)
        });
        self.orders = orders;
    }
}

/// A move that was chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) kind: MoveKind,
    pub(crate) from: Option<NodeIx>,
    pub(crate) to: Option<NodeIx>,
    pub(crate) why: Why,
    pub(crate) gain: f64,
    pub(crate) bound_by: Option<Binding>,
}

fn leaving_state(kind: MoveKind, state: ReplicaState) -> ReplicaState {
    match (kind, state) {
        (MoveKind::Demote, _) => ReplicaState::Cooling,
        (kind, ReplicaState::DiskOnly) if kind.removes() => ReplicaState::LeavingDisk,
        (kind, _) if kind.removes() => ReplicaState::Leaving,
        (_, state) => state,
    }
}

fn arriving_state(kind: MoveKind) -> ReplicaState {
    match kind {
        MoveKind::Promote => ReplicaState::Warming,
        kind if kind.serves() => ReplicaState::Loading,
        _ => ReplicaState::Storing,
    }
}

/// Memory and disk that a move takes off its target's offer.
pub(crate) fn taken_off_offer(footprint: &Footprint, kind: MoveKind) -> (u64, u64) {
    let resident_bytes = if kind.serves() { footprint.resident_bytes.saturating_add(footprint.load_peak_bytes) } else { 0 };
    (resident_bytes, if kind.transfers() { footprint.disk_bytes } else { 0 })
}

/// Bytes that moves bring to nodes since their offers: resident, and on disk.
type Brought = HashMap<NodeIx, (u64, u64), BuildHasherDefault<IdHasher>>;

/// What the moves begun since each node made its offer have taken off it.
fn brought_since_offers(state: &Cluster, offers: &Offers) -> Brought {
    let mut brought: HashMap<NodeIx, (u64, u64), _> = HashMap::default();
    for it in state.moves() {
        let Some((to, offer)) = it.to.and_then(|to| Some((state.node_ix(to)?, offers.of(to)?))) else { continue };
        let Some(segment) = state.segment_ix(it.segment).filter(|_| it.begun_at_ms >= offer.made_at_ms) else { continue };
        let (resident_bytes, disk_bytes) = taken_off_offer(&state.segment(segment).footprint, it.kind);
        let sum: &mut (u64, u64) = brought.entry(to).or_default();
        *sum = (sum.0.saturating_add(resident_bytes), sum.1.saturating_add(disk_bytes));
    }
    brought
}

fn node_plan(
    state: &Cluster,
    offers: &Offers,
    policy: &Policy,
    potential: &Potential,
    now_ms: u64,
    at: NodeIx,
    (brought, awaited): (&Brought, &Awaited),
) -> NodePlan {
    let node = state.node(at);
    let (mut load, capacity) = (load::of(node, policy, now_ms), node.spec.capacity);
    load.projected.subtract(&Resources::new(0, 0, awaited.relief_micros(at)));
    let offer = offers.of(node.spec.id).filter(|it| it.stands(node.spec.epoch, now_ms));
    let (brought_resident, brought_disk) = brought.get(&at).copied().unwrap_or_default();
    let loads_at_once = offer.map_or(0, |it| it.loads_at_once).min(policy.moves_in_per_node_max);
    let loads_left = loads_at_once.saturating_sub(node.moves_in);
    let holds = |it: &crate::cluster::Refusal| it.holds(node.spec.epoch, now_ms);
    let node_wide = node.refusals.iter().any(|it| holds(it) && it.is_node_wide());
    let closed = match () {
        () if !node.is_active() => Some(Binding::Lifecycle),
        () if node.level != crate::cluster::Level::Calm => Some(Binding::Pressure),
        () if node_wide => Some(Binding::Refusal),
        () if offer.is_none() => Some(Binding::NoOffer),
        () if loads_left == 0 => Some(Binding::LoadsAtOnce),
        () => None,
    };
    NodePlan {
        projected: load.projected,
        adjusted: load.adjusted,
        capacity,
        line: Resources(std::array::from_fn(|r| policy.line(crate::cluster::Resource::ALL[r], capacity.0[r]))),
        slope: potential.slope(&load.projected, &capacity),
        offer_resident_bytes: offer.map_or(0, |it| it.resident_bytes).saturating_sub(brought_resident),
        offer_disk_bytes: offer.map_or(0, |it| it.disk_bytes).saturating_sub(brought_disk),
        loads_left,
        reads_left: policy.moves_out_per_node_max.saturating_sub(node.moves_out),
        domain: node.spec.domain,
        up: node.is_up(),
        active: node.is_active(),
        shares: node.is_active() || awaited.is_awaited(at),
        closed,
        has_refusals: node.refusals.iter().any(holds),
    }
}
