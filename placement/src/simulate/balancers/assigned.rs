//! Balancers that compute where a segment belongs, whatever it costs.
//!
//! - Round robin with replicas: a missing copy goes to the next node in turn (Druid's `useRoundRobinSegmentAssignment`, on by default);
//!   nothing that is there is moved.
//! - Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016, as in HAProxy and Vimeo's load balancer): a segment goes
//!   to the first nodes clockwise of its hash that have fewer than 1.25 times the mean number of copies.

use super::{Balancer, Proposal, View, keep_up};
use crate::cluster::{NodeIx, Segment};
use crate::simulate::random::Random;
use std::collections::BTreeMap;

/// The next in turn.
#[derive(Clone, Debug, Default)]
pub struct RoundRobin {
    turn: usize,
}

impl Balancer for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn plan(&mut self, view: &View<'_>) -> Vec<Proposal> {
        keep_up(view, |_, nodes| {
            self.turn += 1;
            nodes.get(self.turn % nodes.len().max(1)).copied()
        })
    }
}

/// Points of one node on the ring.
const POINTS: u64 = 64;
/// Moves of one round, at most.
const MOVES_MAX: usize = 50;

/// The ring.
#[derive(Clone, Debug, Default)]
pub struct BoundedHashing;

impl BoundedHashing {
    /// Where each segment belongs.
    fn assign(view: &View<'_>, active: &[NodeIx]) -> Vec<(crate::cluster::SegmentIx, Vec<NodeIx>)> {
        let points = active.iter().flat_map(|node| (0..POINTS).map(|point| (hash(view.id(*node).0 * POINTS + point, 1), *node)));
        let ring: BTreeMap<u64, NodeIx> = points.collect();
        let mut segments: Vec<_> = view.cluster.segments().collect();
        segments.sort_by_key(|(_, it)| it.id);
        let copies: usize = segments.iter().map(|(_, it)| usize::from(it.replicas_wanted)).sum();
        let most = (copies * 5).div_ceil(active.len().max(1) * 4).max(1);
        let mut counts: BTreeMap<NodeIx, usize> = BTreeMap::new();
        let assigned = segments.into_iter().map(|(at, segment)| (at, take(&ring, &mut counts, segment, most)));
        assigned.collect()
    }
}

fn take(ring: &BTreeMap<u64, NodeIx>, counts: &mut BTreeMap<NodeIx, usize>, segment: &Segment, most: usize) -> Vec<NodeIx> {
    let mut chosen = Vec::new();
    let start = hash(segment.id.0, 2);
    for node in ring.range(start..).chain(ring.range(..start)).map(|(_, node)| *node) {
        if chosen.len() == usize::from(segment.replicas_wanted) {
            break;
        }
        let count = counts.entry(node).or_default();
        if *count < most && !chosen.contains(&node) {
            *count += 1;
            chosen.push(node);
        }
    }
    chosen
}

fn hash(value: u64, purpose: u64) -> u64 {
    Random::new(value).fork(purpose).draw()
}

impl Balancer for BoundedHashing {
    fn name(&self) -> &'static str {
        "bounded-hashing"
    }

    fn plan(&mut self, view: &View<'_>) -> Vec<Proposal> {
        let active = view.active();
        let assigned = Self::assign(view, &active);
        let belongs: BTreeMap<_, _> = assigned.iter().map(|(at, nodes)| (view.cluster.segment(*at).id, nodes)).collect();
        let mut proposals = keep_up(view, |segment, nodes| {
            let right = belongs.get(&segment.id).and_then(|right| right.iter().copied().find(|node| nodes.contains(node)));
            right.or_else(|| nodes.first().copied())
        });
        for (at, right) in &assigned {
            let segment = view.cluster.segment(*at);
            if proposals.len() >= MOVES_MAX || view.held(segment) != usize::from(segment.replicas_wanted) {
                continue;
            }
            let wrong = segment.replicas.iter().map(|it| it.node).find(|node| !right.contains(node));
            let missing = right.iter().copied().find(|node| segment.replicas.on(*node).is_none());
            let pair = wrong.filter(|node| view.cluster.node(*node).is_active()).zip(missing);
            proposals.extend(pair.and_then(|(from, to)| view.relocation(segment, from, to, "balance")));
        }
        proposals
    }
}
