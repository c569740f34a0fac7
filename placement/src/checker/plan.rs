//! Invariants of a plan, on books of its own: the plan is carried out move by move.

use super::{Invariant, Violation};
use crate::balancer::{Plan, PlannedMove, Why};
use crate::cluster::{Cluster, Footprint, Level, Lifecycle, MoveKind, NodeId, NodeIx, RESOURCES, ReplicaState, Resource, Segment};
use crate::load::{self, Awaited};
use crate::model::UnitId;
use crate::offers::Offers;
use crate::policy::Policy;
use std::collections::BTreeMap;

/// All violations of `plan`, made for that state. Costs what the plan touches, and a look at every move in flight.
pub fn check_plan(state: &Cluster, offers: &Offers, policy: &Policy, now_ms: u64, plan: &Plan) -> Vec<Violation> {
    let awaited = Awaited::new(state, policy, now_ms);
    let capacities = std::array::from_fn(|r| sharing_capacity(state, &awaited, r));
    let (copies, nodes) = (BTreeMap::new(), BTreeMap::new());
    let mut books = Books { state, offers, policy, now_ms, capacities, awaited, copies, nodes, violations: Vec::new() };
    books.in_flight();
    plan.moves.iter().for_each(|it| books.check(it));
    let flying = state.moves().count() + plan.moves.len();
    if flying as u64 > u64::from(policy.moves_in_flight_max).max(state.moves().count() as u64) {
        books.violations.push(Violation {
            invariant: Invariant::WithinBounds,
            segment: None,
            node: None,
            found: format!("{flying} moves would be in flight"),
        });
    }
    books.violations
}

/// Of the nodes among which the load is shared, those that are awaited back included.
fn sharing_capacity(state: &Cluster, awaited: &Awaited, r: usize) -> f64 {
    let sharing = state.nodes().zip(0..).filter(|(node, at)| node.is_active() || awaited.is_awaited(NodeIx(*at)));
    sharing.map(|(node, _)| node.spec.capacity.0[r] as f64).sum()
}

/// One copy, as the books have it: served now, served in the end, there in the end, whole now.
#[derive(Clone, Copy, Debug)]
struct Copy {
    node: NodeIx,
    served: bool,
    serves: bool,
    stays: bool,
    whole: bool,
}

/// What the plan, and moves in flight since its offer, bring to a node.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    offered_resident_bytes: u64,
    offered_disk_bytes: u64,
    moves_in: u32,
    moves_out: u32,
    /// Added to the node's adjusted load.
    arrives: [u64; RESOURCES],
    /// The node's load in the end, once it was needed.
    projected: Option<[f64; RESOURCES]>,
}

struct Books<'a> {
    state: &'a Cluster,
    offers: &'a Offers,
    policy: &'a Policy,
    now_ms: u64,
    capacities: [f64; RESOURCES],
    awaited: Awaited,
    copies: BTreeMap<UnitId, Vec<Copy>>,
    nodes: BTreeMap<NodeIx, Account>,
    violations: Vec<Violation>,
}

impl Books<'_> {
    fn in_flight(&mut self) {
        for it in self.state.moves() {
            let Some(to) = it.to.and_then(|to| self.state.node_ix(to)) else { continue };
            let made_at_ms = it.to.and_then(|to| self.offers.of(to)).map_or(u64::MAX, |offer| offer.made_at_ms);
            let Some(segment) = self.state.segment_ix(it.segment).filter(|_| it.begun_at_ms >= made_at_ms) else { continue };
            let footprint = self.state.segment(segment).footprint;
            self.take_off_offer(to, &footprint, it.kind);
        }
    }

    fn take_off_offer(&mut self, to: NodeIx, footprint: &Footprint, kind: MoveKind) {
        let account = self.nodes.entry(to).or_default();
        if kind.serves() {
            let memory = footprint.resident_bytes.saturating_add(footprint.load_peak_bytes);
            account.offered_resident_bytes = account.offered_resident_bytes.saturating_add(memory);
        }
        if kind.transfers() {
            account.offered_disk_bytes = account.offered_disk_bytes.saturating_add(footprint.disk_bytes);
        }
    }

    fn check(&mut self, it: &PlannedMove) {
        let Some(segment) = self.state.segment_ix(it.segment).map(|at| self.state.segment(at)) else {
            return self.found(it, Invariant::CanBegin, None, "there is no such segment".into());
        };
        let (from, to) = (it.from.map(|id| self.state.node_ix(id)), it.to.map(|id| self.state.node_ix(id)));
        if from == Some(None) || to == Some(None) {
            return self.found(it, Invariant::CanBegin, None, "there is no such node".into());
        }
        let (from, to) = (from.flatten(), to.flatten());
        let before = self.copies_of(segment);
        if !can_begin(&before, it.kind, from, to) {
            return self.found(it, Invariant::CanBegin, it.to, format!("the copies are {before:?}"));
        }
        let after = carried_out(&before, it.kind, from, to);
        self.check_replicas(it, segment, &before, &after);
        self.check_domains(it, &before, &after);
        self.check_rest(it, segment, to);
        self.check_gain(it, segment, &before, &after);
        self.copies.insert(it.segment, after);
        if let Some(to) = to {
            self.check_target(it, segment, to);
        }
        if let Some(from) = from {
            self.check_source(it, from);
        }
    }

    fn found(&mut self, it: &PlannedMove, invariant: Invariant, node: Option<NodeId>, found: String) {
        let found = format!("{} ({}): {found}", it.kind.name(), it.why.name());
        self.violations.push(Violation { invariant, segment: Some(it.segment), node, found });
    }

    fn copies_of(&self, segment: &Segment) -> Vec<Copy> {
        self.copies.get(&segment.id).cloned().unwrap_or_else(|| {
            let up = segment.replicas.iter().filter(|it| self.state.node(it.node).is_up());
            up.map(|it| Copy {
                node: it.node,
                served: it.state.is_served(),
                serves: it.state.will_serve(),
                stays: it.state.stays(),
                whole: !matches!(it.state, ReplicaState::Loading | ReplicaState::Storing),
            })
            .collect()
        })
    }

    fn check_replicas(&mut self, it: &PlannedMove, segment: &Segment, before: &[Copy], after: &[Copy]) {
        let wanted = usize::from(segment.replicas_wanted);
        let count = |copies: &[Copy], of: fn(&Copy) -> bool| copies.iter().filter(|copy| of(copy)).count();
        let kept = |of: fn(&Copy) -> bool| count(after, of) >= count(before, of).min(wanted);
        // What goes for good must leave enough behind at once; what is replaced goes only after its replacement has come.
        let enough =
            it.kind != MoveKind::Drop || count(after, |copy| copy.stays && copy.whole) >= wanted.min(count(before, |copy| copy.whole));
        if !kept(|copy| copy.stays) || !kept(|copy| copy.serves) || !enough {
            self.found(it, Invariant::ReplicasKept, None, format!("{before:?} becomes {after:?}, {wanted} wanted"));
        }
    }

    fn check_domains(&mut self, it: &PlannedMove, before: &[Copy], after: &[Copy]) {
        if matches!(it.why, Why::Repair | Why::Drain | Why::Surplus) {
            return;
        }
        let (was, is) = (self.zones_and_racks(before), self.zones_and_racks(after));
        if is < was {
            self.found(it, Invariant::DomainsKept, it.to, format!("zones and racks {was:?} become {is:?}"));
        }
    }

    fn zones_and_racks(&self, copies: &[Copy]) -> (usize, usize) {
        let domains = || copies.iter().filter(|copy| copy.stays).map(|copy| self.state.node(copy.node).spec.domain);
        let count = |mut of: Vec<u32>| {
            of.sort_unstable();
            of.dedup();
            of.len()
        };
        (count(domains().map(|it| it.zone).collect()), count(domains().map(|it| it.rack).collect()))
    }

    fn check_rest(&mut self, it: &PlannedMove, segment: &Segment, to: Option<NodeIx>) {
        let mut recent = segment.departures.recent(self.now_ms, self.policy.segment_rest_ms);
        let rests = it.why == Why::Balance && recent.next().is_some();
        let rest_ms = if it.why == Why::Balance { self.policy.segment_return_ms } else { self.policy.segment_rest_ms };
        let returns = segment.departures.recent(self.now_ms, rest_ms).any(|departure| Some(departure.node) == to);
        let moves_there = it.kind.transfers() && it.why != Why::Repair;
        if rests || (returns && moves_there) {
            self.found(it, Invariant::Rests, it.to, format!("it left {:?}", segment.departures));
        }
    }

    /// The potential in the end falls by what a balancing move says, and that is its step at least.
    fn check_gain(&mut self, it: &PlannedMove, segment: &Segment, before: &[Copy], after: &[Copy]) {
        let mut nodes: Vec<_> = before.iter().chain(after).map(|copy| copy.node).collect();
        nodes.sort();
        nodes.dedup();
        nodes.iter().for_each(|node| self.projected(*node));
        let potential_before = self.terms(&nodes);
        self.shift(segment, before, -1.0);
        self.shift(segment, after, 1.0);
        let falls = potential_before - self.terms(&nodes);
        if it.why != Why::Balance {
            return;
        }
        let step = self.policy.step_min.max(self.policy.step_per_share * segment.footprint.disk_bytes as f64 / self.capacities[1].max(1.0));
        let error = 1e-9 * it.gain.abs().max(step) + 1e-14 * potential_before;
        if (falls - it.gain).abs() > error || it.gain < step * (1.0 - 1e-9) {
            self.found(it, Invariant::GainsAStep, it.to, format!("the potential falls by {falls:e}; gain {:e}, step {step:e}", it.gain));
        }
    }

    fn terms(&self, nodes: &[NodeIx]) -> f64 {
        nodes.iter().filter(|node| self.state.node(**node).is_active()).map(|node| self.term(*node)).sum()
    }

    fn projected(&mut self, node: NodeIx) {
        let (policy, now_ms, state) = (self.policy, self.now_ms, self.state.node(node));
        let goes_back = [0, 0, self.awaited.relief_micros(node)];
        let account = self.nodes.entry(node).or_default();
        account.projected.get_or_insert_with(|| {
            let projected = load::of(state, policy, now_ms).projected.0;
            std::array::from_fn(|r| projected[r].saturating_sub(goes_back[r]) as f64)
        });
    }

    fn shift(&mut self, segment: &Segment, copies: &[Copy], sign: f64) {
        let returning = usize::from(self.awaited.sharers(&segment.replicas));
        let sharers = (copies.iter().filter(|copy| copy.serves).count() + returning).max(1) as u64;
        let footprint = segment.footprint;
        for copy in copies.iter().filter(|copy| copy.stays) {
            let Some(load) = self.nodes.get_mut(&copy.node).and_then(|account| account.projected.as_mut()) else { continue };
            load[1] += sign * footprint.disk_bytes as f64;
            if copy.serves {
                load[0] += sign * footprint.resident_bytes as f64;
                load[2] += sign * footprint.cpu_micros.div_ceil(sharers) as f64;
            }
        }
    }

    fn term(&self, node: NodeIx) -> f64 {
        let Some(load) = self.nodes.get(&node).and_then(|account| account.projected) else { return 0.0 };
        let capacity = self.state.node(node).spec.capacity;
        let part = |r: usize| match capacity.0[r] {
            0 => 0.0,
            capacity => self.policy.weights[r] * load[r] * load[r] / capacity as f64 / self.capacities[r],
        };
        (0..RESOURCES).map(part).sum()
    }

    fn check_target(&mut self, it: &PlannedMove, segment: &Segment, to: NodeIx) {
        let (state, now_ms) = (self.state, self.now_ms);
        let node = state.node(to);
        let footprint = segment.footprint;
        if node.lifecycle != Lifecycle::Active || node.level != Level::Calm {
            self.found(it, Invariant::TargetsAreCalm, it.to, format!("it is {:?} and {:?}", node.lifecycle, node.level));
        }
        if node.refusals.iter().any(|refusal| refusal.holds(node.spec.epoch, now_ms) && refusal.covers(segment.id, &footprint)) {
            self.found(it, Invariant::RefusalsRespected, it.to, format!("{:?}", node.refusals));
        }
        self.take_off_offer(to, &footprint, it.kind);
        let copies = self.copies_of(segment);
        let present = copies.iter().filter(|copy| copy.served).count();
        let sharers = copies.iter().filter(|copy| copy.serves).count().min(present).max(1) as u64;
        let account = self.nodes.entry(to).or_default();
        account.moves_in += 1;
        let mut arrive = |r: usize, more: u64| account.arrives[r] = account.arrives[r].saturating_add(more);
        if it.kind.serves() {
            arrive(0, footprint.resident_bytes.saturating_add(footprint.load_peak_bytes));
            arrive(2, footprint.cpu_micros.div_ceil(sharers));
        }
        if it.kind.transfers() {
            arrive(1, footprint.disk_bytes);
        }
        let account = *account;
        self.check_offer(it, to, &account);
        self.check_line(it, to, &account);
    }

    fn check_offer(&mut self, it: &PlannedMove, to: NodeIx, account: &Account) {
        let node = self.state.node(to);
        let stands = self.offers.of(node.spec.id).filter(|offer| offer.stands(node.spec.epoch, self.now_ms)).copied();
        let Some(offer) = stands else { return self.found(it, Invariant::WithinOffers, it.to, "there is no offer that stands".into()) };
        let loads = node.moves_in + account.moves_in;
        if account.offered_resident_bytes > offer.resident_bytes && it.kind.serves()
            || account.offered_disk_bytes > offer.disk_bytes && it.kind.transfers()
            || loads > offer.loads_at_once
        {
            self.found(it, Invariant::WithinOffers, it.to, format!("{account:?} is more than {offer:?}"));
        }
        if loads > self.policy.moves_in_per_node_max {
            self.found(it, Invariant::WithinBounds, it.to, format!("{loads} moves into it"));
        }
    }

    fn check_line(&mut self, it: &PlannedMove, to: NodeIx, account: &Account) {
        let node = self.state.node(to);
        let adjusted = load::of(node, self.policy, self.now_ms).adjusted;
        for resource in Resource::ALL {
            let (arrives, line) = (account.arrives[resource as usize], self.policy.line(resource, node.spec.capacity.get(resource)));
            let brings = match resource {
                Resource::DiskBytes => it.kind.transfers(),
                _ => it.kind.serves(),
            };
            if brings && arrives > 0 && adjusted.get(resource).saturating_add(arrives) > line {
                let found = format!("{} {} and {arrives} more, of {line}", resource.name(), adjusted.get(resource));
                self.found(it, Invariant::WithinLines, it.to, found);
            }
        }
    }

    fn check_source(&mut self, it: &PlannedMove, from: NodeIx) {
        let account = self.nodes.entry(from).or_default();
        account.moves_out += 1;
        let moves = self.state.node(from).moves_out + account.moves_out;
        if moves > self.policy.moves_out_per_node_max {
            self.found(it, Invariant::WithinBounds, it.from, format!("{moves} moves out of it"));
        }
    }
}

fn can_begin(copies: &[Copy], kind: MoveKind, from: Option<NodeIx>, to: Option<NodeIx>) -> bool {
    let on = |node: Option<NodeIx>| copies.iter().find(|copy| Some(copy.node) == node);
    let still =
        |node: Option<NodeIx>, served: bool| on(node).is_some_and(|it| it.stays && it.whole && it.served == served && it.serves == served);
    match kind {
        MoveKind::Relocate => still(from, true) && to.is_some() && on(to).is_none(),
        MoveKind::RelocateOnDisk => still(from, false) && to.is_some() && on(to).is_none(),
        MoveKind::Replicate | MoveKind::ReplicateToDisk => on(from).is_some_and(|it| it.whole) && to.is_some() && on(to).is_none(),
        MoveKind::Promote => still(to, false) && from.is_none(),
        MoveKind::Demote => still(from, true) && to.is_none(),
        MoveKind::Drop => (still(from, true) || still(from, false)) && to.is_none(),
    }
}

fn carried_out(copies: &[Copy], kind: MoveKind, from: Option<NodeIx>, to: Option<NodeIx>) -> Vec<Copy> {
    let mut copies = copies.to_vec();
    for copy in copies.iter_mut().filter(|copy| Some(copy.node) == from) {
        if kind.removes() {
            (copy.stays, copy.serves) = (false, false);
        } else if kind == MoveKind::Demote {
            copy.serves = false;
        }
    }
    let Some(to) = to else { return copies };
    match copies.iter_mut().find(|copy| copy.node == to) {
        Some(copy) => copy.serves = true,
        None => copies.push(Copy { node: to, served: false, serves: kind.serves(), stays: true, whole: false }),
    }
    copies
}
