//! Which node may take a segment, and which of those is the cheapest.

use super::plan::Binding;
use super::workspace::Workspace;
use crate::cluster::ledger::spread;
use crate::cluster::{MoveKind, NodeIx, RESOURCES, Resources, SegmentIx};
use crate::potential::real;

/// A copy that is to come to some node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) segment: SegmentIx,
    /// How it comes: what is charged, what is taken off the offer.
    pub(crate) kind: MoveKind,
    /// The copy that goes in exchange.
    pub(crate) leaves: Option<NodeIx>,
    /// The copies must not stand worse than now.
    pub(crate) keeps_spread: bool,
    /// Nodes that the segment left less than this ago are ruled out.
    pub(crate) rest_ms: u64,
    /// What the target is charged with in the end, and its peak on the way.
    pub(crate) load: Resources,
    pub(crate) peak_bytes: u64,
    /// Processor time that there must be room for while it comes.
    pub(crate) cpu_micros: u64,
}

/// Zones and racks that the copies stand in.
pub(crate) type Spread = (usize, usize);

/// A target that was chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) node: NodeIx,
    pub(crate) cost: f64,
    pub(crate) spread: Spread,
    /// What ruled out a cheaper node.
    pub(crate) bound_by: Option<Binding>,
}

/// Targets weighed for one copy, once one of the best spread is found.
const WEIGHED_MAX: usize = 8;

impl Workspace<'_> {
    /// What a copy of `segment` that comes by `kind` costs its target: one that comes in addition shares the queries.
    pub(crate) fn wanted(&self, segment: SegmentIx, kind: MoveKind, leaves: Option<NodeIx>) -> Wanted {
        let footprint = &self.segment(segment).footprint;
        let more = u32::from(matches!(kind, MoveKind::Replicate | MoveKind::Promote));
        let (load, peak_bytes) = match kind.serves() {
            true => (footprint.serving(self.sharers_in_the_end(segment) + more), footprint.load_peak_bytes),
            false => (footprint.disk_only(), 0),
        };
        let fewest = self.present_sharers(segment).min(self.sharers(segment) + more);
        let cpu_micros = if kind.serves() { footprint.serving(fewest).0[2] } else { 0 };
        Wanted {
            segment,
            kind,
            leaves,
            cpu_micros,
            keeps_spread: leaves.is_some(),
            rest_ms: if kind.transfers() { self.policy.segment_rest_ms } else { 0 },
            load,
            peak_bytes,
        }
    }

    /// What rules `node` out, if anything does.
    pub(crate) fn excluded(&self, wanted: &Wanted, node: NodeIx) -> Option<Binding> {
        let it = self.node(node);
        it.closed.or_else(|| self.excluded_for_segment(wanted, node)).or_else(|| self.excluded_for_room(wanted, node))
    }

    fn excluded_for_segment(&self, wanted: &Wanted, node: NodeIx) -> Option<Binding> {
        let segment = self.segment(wanted.segment);
        if wanted.kind != MoveKind::Promote && self.replicas(wanted.segment).on(node).is_some() {
            return Some(Binding::HasCopy);
        }
        if self.node(node).has_refusals && self.is_refused(wanted, node) {
            return Some(Binding::Refusal);
        }
        let mut recent = segment.departures.recent(self.now_ms, wanted.rest_ms);
        let left_lately = recent.any(|departure| departure.node == node);
        left_lately.then_some(Binding::Rest)
    }

    fn is_refused(&self, wanted: &Wanted, node: NodeIx) -> bool {
        let (segment, spec) = (self.segment(wanted.segment), self.state.node(node));
        spec.refusals.iter().any(|it| it.holds(spec.spec.epoch, self.now_ms) && it.covers(segment.id, &segment.footprint))
    }

    fn excluded_for_room(&self, wanted: &Wanted, node: NodeIx) -> Option<Binding> {
        let it = self.node(node);
        let brought = if wanted.kind == MoveKind::Promote { 0 } else { wanted.load.0[1] };
        let memory = wanted.load.0[0].saturating_add(wanted.peak_bytes);
        if memory > it.offer_resident_bytes && memory > 0 {
            return Some(Binding::OfferMemory);
        }
        if brought > it.offer_disk_bytes {
            return Some(Binding::OfferDisk);
        }
        let needs = [memory, brought, wanted.cpu_micros];
        let beyond = |r: usize| needs[r] > 0 && it.adjusted.0[r].saturating_add(needs[r]) > it.line.0[r];
        let lines = [Binding::LineMemory, Binding::LineDisk, Binding::LineCpu];
        (0..RESOURCES).find(|r| beyond(*r)).map(|r| lines[r])
    }

    /// Zones and racks of the copies that stay, with one on `added` and without the one on `leaves`.
    pub(crate) fn spread_with(&self, segment: SegmentIx, leaves: Option<NodeIx>, added: Option<NodeIx>) -> Spread {
        let stays = self.replicas(segment).iter().filter(|it| it.state.stays() && Some(it.node) != leaves && self.is_up(it.node));
        spread(stays.map(|it| it.node).chain(added).map(|node| self.node(node).domain))
    }

    /// The best that the spread could be with one copy more than stay: what a target is hoped for to reach.
    fn spread_hoped(&self, segment: SegmentIx, leaves: Option<NodeIx>) -> Spread {
        let now = self.spread_with(segment, leaves, None);
        ((now.0 + 1).min(self.state.zones_active().max(now.0)), (now.1 + 1).min(self.state.racks_active().max(now.1)))
    }

    /// The cheapest target, of those where the copies stand best.
    pub(crate) fn best_target(&mut self, wanted: &Wanted) -> Result<Target, Binding> {
        self.refresh_targets();
        let load = real(&wanted.load);
        let least = wanted.keeps_spread.then(|| self.spread_with(wanted.segment, None, None));
        let hoped = self.spread_hoped(wanted.segment, wanted.leaves);
        let mut search = Search { best: None, excluded: None, last: Binding::NoOffer, weighed: 0, examined: 0 };
        for r in search_order(&load) {
            search.weighed = 0;
            for node in self.base.targets.by_share(r) {
                if search.weighed >= WEIGHED_MAX && search.best.is_some_and(|best| best.spread >= hoped) {
                    break;
                }
                self.weigh(wanted, &load, least, node, &mut search);
            }
        }
        self.plan.segments_examined += 1;
        search.result()
    }

    fn weigh(&self, wanted: &Wanted, load: &[f64; RESOURCES], least: Option<Spread>, node: NodeIx, search: &mut Search) {
        search.examined += 1;
        let cost = self.node(node).slope.cost(load);
        let spread = self.spread_with(wanted.segment, wanted.leaves, Some(node));
        let better = search.best.is_none_or(|best| (spread, best.cost, best.node) > (best.spread, cost, node));
        search.weighed += 1;
        if !better {
            return;
        }
        let domain = least.filter(|least| spread < *least).map(|_| Binding::Domain);
        match domain.or_else(|| self.excluded(wanted, node)) {
            Some(binding) => {
                search.last = binding;
                search.weighed -= 1;
                if search.excluded.is_none_or(|(_, least)| cost < least) && binding != Binding::HasCopy {
                    search.excluded = Some((binding, cost));
                }
            }
            None => search.best = Some(Target { node, cost, spread, bound_by: None }),
        }
    }
}

/// The state of one search.
struct Search {
    best: Option<Target>,
    /// The cheapest that was ruled out, and its cost.
    excluded: Option<(Binding, f64)>,
    last: Binding,
    weighed: usize,
    examined: u64,
}

impl Search {
    fn result(self) -> Result<Target, Binding> {
        let excluded = self.excluded;
        let bound_by = |best: Target| excluded.filter(|(_, cost)| *cost < best.cost).map(|(binding, _)| binding);
        match self.best {
            Some(best) => Ok(Target { bound_by: bound_by(best), ..best }),
            None => Err(excluded.map_or(self.last, |(binding, _)| binding)),
        }
    }
}

/// Resources by which to look for the least loaded, those that the load has.
fn search_order(load: &[f64; RESOURCES]) -> impl Iterator<Item = usize> + use<> {
    let used = load.map(|it| it > 0.0);
    let any = used.contains(&true);
    (0..RESOURCES).filter(move |r| used[*r] || (!any && *r == 0))
}
