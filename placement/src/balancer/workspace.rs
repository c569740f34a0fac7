//! What a plan works on: the cluster, and over it the nodes and segments that the plan has changed so far.
//!
//! Nodes are copied (a few hundred bytes each); of segments, only those that the plan touches. The sums follow the same rules as the
//! cluster's own, so that the state with the plan's moves begun is the state that the plan ended with.

use super::Plan;
use super::base::Base;
use super::plan::{Binding, PlannedMove, UNMET_MAX, Unmet, UnmetReason, Why};
use crate::cluster::ledger::{Sharers, charges};
use crate::cluster::{
    Cluster, Domain, Footprint, IdHasher, Level, MoveKind, NODE_COPIES_MAX, Node, NodeId, NodeIx, REPLICAS_MAX, RESOURCES, Replica,
    ReplicaState, Replicas, Resources, Segment, SegmentIx,
};
use crate::load::{self, Awaited};
use crate::offers::{Offer, Offers};
use crate::policy::Policy;
use crate::potential::Slope;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// A node, as the plan sees it so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodePlan {
    pub(crate) id: NodeId,
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
    /// When something of this may be another by itself.
    pub(crate) runs_out_ms: u64,
    /// The plan has changed it.
    pub(crate) changed: bool,
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
    pub(crate) base: Base,
    pub(crate) capacity_sum: [f64; RESOURCES],
    touched: HashMap<SegmentIx, Touched, BuildHasherDefault<IdHasher>>,
    pub(crate) moves_left: u32,
    pub(crate) plan: Plan,
}

impl<'a> Workspace<'a> {
    /// For a question: begun from nothing.
    pub(crate) fn new(state: &'a Cluster, offers: &Offers, policy: &'a Policy, now_ms: u64) -> Self {
        Self::begun(Base::default(), state, offers, policy, now_ms)
    }

    /// Laid over the nodes as the plan before left them.
    pub(crate) fn begun(mut base: Base, state: &'a Cluster, offers: &Offers, policy: &'a Policy, now_ms: u64) -> Self {
        base.update(state, offers, policy, now_ms);
        Self {
            state,
            policy,
            now_ms,
            capacity_sum: base.capacity_sums(),
            base,
            touched: HashMap::default(),
            moves_left: policy.moves_in_flight_max.saturating_sub(u32::try_from(state.moves().len()).unwrap_or(u32::MAX)),
            plan: Plan::default(),
        }
    }

    pub(crate) fn node(&self, at: NodeIx) -> &NodePlan {
        &self.base.nodes[at.0 as usize]
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
            None => u32::from(self.segment(at).sharers.projected) + u32::from(self.base.awaited.sharers(&self.segment(at).replicas)),
        }
    }

    /// Is the node down, and awaited back?
    pub(crate) fn is_awaited(&self, at: NodeIx) -> bool {
        self.base.awaited.is_awaited(at)
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
        if self.capacity_sum[r] > 0.0 { self.base.load_sum[r] as f64 / self.capacity_sum[r] } else { 0.0 }
    }

    /// A node's share of a resource; of one that it does not have, none.
    pub(crate) fn share(&self, at: NodeIx, r: usize) -> f64 {
        let node = self.node(at);
        if node.capacity.0[r] > 0 { node.projected.0[r] as f64 / node.capacity.0[r] as f64 } else { 0.0 }
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
        let id = |at: NodeIx| self.node(at).id;
        self.plan.moves.push(PlannedMove {
            segment: self.segment(segment).id,
            kind,
            from: from.map(id),
            to: to.map(id),
            transfer_bytes,
            why,
            gain,
            step: self.base.potential.step(transfer_bytes),
            bound_by,
        });
    }

    /// Takes a move off what its ends allow.
    fn spend(&mut self, segment: SegmentIx, kind: MoveKind, from: Option<NodeIx>, to: Option<NodeIx>) {
        self.moves_left = self.moves_left.saturating_sub(1);
        let footprint = &self.state.segment(segment).footprint;
        if let Some(to) = to {
            let (resident_bytes, disk_bytes) = taken_off_offer(footprint, kind);
            let node = &mut self.base.nodes[to.0 as usize];
            node.offer_resident_bytes = node.offer_resident_bytes.saturating_sub(resident_bytes);
            node.offer_disk_bytes = node.offer_disk_bytes.saturating_sub(disk_bytes);
            node.loads_left = node.loads_left.saturating_sub(1);
            if node.loads_left == 0 && node.closed.is_none() {
                node.closed = Some(Binding::LoadsAtOnce);
            }
            self.base.change(to);
        }
        if let Some(from) = from {
            let node = &mut self.base.nodes[from.0 as usize];
            node.reads_left = node.reads_left.saturating_sub(1);
            self.base.change(from);
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
            replicas.push(Replica::new(to, state, 0));
        });
    }

    /// What `Cluster::edit` does, on the plan's copies.
    fn edit(&mut self, at: SegmentIx, change: impl FnOnce(&mut Replicas, Option<NodeIx>)) {
        let segment = self.state.segment(at);
        let sharers = Sharers { awaited: self.base.awaited.sharers(&segment.replicas), ..segment.sharers };
        let base = Touched { replicas: segment.replicas, sharers, moves: segment.moves };
        let mut touched = self.touched.get(&at).copied().unwrap_or(base);
        self.charge(&segment.footprint, &touched, false);
        let down = touched.replicas.iter().map(|it| it.node).find(|node| !self.is_up(*node));
        change(&mut touched.replicas, down);
        let sharers = Sharers::count(&touched.replicas, |node| self.is_up(node));
        touched.sharers = Sharers { awaited: self.base.awaited.sharers(&touched.replicas), ..sharers };
        touched.moves += 1;
        self.charge(&segment.footprint, &touched, true);
        self.touched.insert(at, touched);
    }

    fn charge(&mut self, footprint: &Footprint, touched: &Touched, add: bool) {
        for replica in touched.replicas.iter() {
            let (projected, mut adjusted, peak) = charges(footprint, replica.state, touched.sharers);
            adjusted.0[0] = adjusted.0[0].saturating_add(peak);
            let node = &mut self.base.nodes[replica.node.0 as usize];
            let apply = if add { Resources::add } else { Resources::subtract };
            let before = node.projected;
            apply(&mut node.projected, &projected);
            apply(&mut node.adjusted, &adjusted);
            if node.shares {
                for (r, sum) in self.base.load_sum.iter_mut().enumerate() {
                    *sum = *sum + u128::from(node.projected.0[r]) - u128::from(before.0[r]);
                }
            }
            self.base.settle(replica.node);
            self.base.change(replica.node);
        }
    }

    /// Brings the order of those that may be targets up to date.
    pub(crate) fn refresh_targets(&mut self) {
        let mut targets = std::mem::take(&mut self.base.targets);
        if !targets.is_fresh() {
            targets.refresh(self.base.nodes.len(), |at| (self.shares(at), self.node(at).active && self.node(at).closed.is_none()));
        }
        self.base.targets = targets;
    }

    /// Brings the order of those that may be sources up to date.
    pub(crate) fn refresh_sources(&mut self) {
        let mut sources = std::mem::take(&mut self.base.sources);
        if !sources.is_fresh() {
            sources.refresh(self.base.nodes.len(), |at| (self.shares(at), self.node(at).active && self.node(at).reads_left > 0));
        }
        self.base.sources = sources;
    }

    fn shares(&self, at: NodeIx) -> [f64; RESOURCES] {
        std::array::from_fn(|r| self.share(at, r))
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
pub(crate) type Brought = HashMap<NodeIx, (u64, u64), BuildHasherDefault<IdHasher>>;

/// What the moves begun since each node made its offer have taken off it.
pub(crate) fn brought_since_offers(state: &Cluster, offers: &Offers) -> Brought {
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

pub(crate) fn node_plan(
    state: &Cluster,
    offers: &Offers,
    policy: &Policy,
    now_ms: u64,
    at: NodeIx,
    (brought, awaited): (&Brought, &Awaited),
) -> NodePlan {
    let node = state.node(at);
    let (mut load, capacity) = (load::of(node, policy, now_ms), node.spec.capacity);
    load.projected.subtract(&Resources::new(0, 0, awaited.relief_micros(at)));
    let offer = offers.of(node.spec.id).filter(|it| it.stands(node.spec.epoch, now_ms));
    let (brought_resident, brought_disk) = brought.get(&at).copied().unwrap_or_default();
    let room = u32::try_from(NODE_COPIES_MAX.saturating_sub(node.segments.len())).unwrap_or(u32::MAX);
    let loads_at_once = offer.map_or(0, |it| it.loads_at_once).min(policy.moves_in_per_node_max);
    let loads_left = loads_at_once.saturating_sub(node.moves_in).min(room);
    NodePlan {
        id: node.spec.id,
        projected: load.projected,
        adjusted: load.adjusted,
        capacity,
        line: Resources(std::array::from_fn(|r| policy.line(crate::cluster::Resource::ALL[r], capacity.0[r]))),
        slope: Slope::default(),
        offer_resident_bytes: offer.map_or(0, |it| it.resident_bytes).saturating_sub(brought_resident),
        offer_disk_bytes: offer.map_or(0, |it| it.disk_bytes).saturating_sub(brought_disk),
        loads_left,
        reads_left: policy.moves_out_per_node_max.saturating_sub(node.moves_out),
        domain: node.spec.domain,
        up: node.is_up(),
        active: node.is_active(),
        shares: node.is_active() || awaited.is_awaited(at),
        closed: closed(node, offer, loads_left, now_ms),
        has_refusals: node.refusals.iter().any(|it| it.holds(node.spec.epoch, now_ms)),
        runs_out_ms: runs_out_ms(node, offer, policy, now_ms),
        changed: false,
    }
}

/// What rules a node out as a target, whatever the segment.
fn closed(node: &Node, offer: Option<&Offer>, loads_left: u32, now_ms: u64) -> Option<Binding> {
    let refuses = || node.refusals.iter().any(|it| it.holds(node.spec.epoch, now_ms) && it.is_node_wide());
    match () {
        () if !node.is_active() => Some(Binding::Lifecycle),
        () if node.level != Level::Calm => Some(Binding::Pressure),
        () if refuses() => Some(Binding::Refusal),
        () if offer.is_none() => Some(Binding::NoOffer),
        () if loads_left == 0 => Some(Binding::LoadsAtOnce),
        () => None,
    }
}

/// When an offer that stands, a refusal that holds, or a report that counts will no longer do so.
fn runs_out_ms(node: &Node, offer: Option<&Offer>, policy: &Policy, now_ms: u64) -> u64 {
    let refusals = node.refusals.iter().map(|it| it.retry_after_ms);
    let report = node.report.map(|it| it.measured_at_ms.saturating_add(policy.report_age_max_ms).saturating_add(1));
    let all = refusals.chain(report).chain(offer.map(|it| it.until_ms));
    all.filter(|at_ms| *at_ms > now_ms).min().unwrap_or(u64::MAX)
}
