//! Invariants of a state: everything derived, computed anew.

use super::{Invariant, Violation};
use crate::cluster::attention::Need;
use crate::cluster::{Cluster, Node, NodeId, NodeIx, ReplicaState, Resources, Segment, SegmentIx};
use crate::model::UnitId;
use std::collections::BTreeMap;

/// All violations in `state`. Costs a look at every node, segment and move.
pub fn check_state(state: &Cluster) -> Vec<Violation> {
    let mut check = Check { state, sums: vec![Sum::default(); state.nodes().len()], violations: Vec::new() };
    state.segments().for_each(|(at, segment)| check.segment(at, segment));
    state.nodes().enumerate().for_each(|(at, node)| check.node(NodeIx(at as u32), node));
    check.moves();
    check.attention();
    if state.members != state.members_counted() {
        check.found(Invariant::ListsAgree, None, None, "active zones and racks, or the nodes that are down, are out of date".into());
    }
    check.violations
}

#[derive(Clone, Debug, Default)]
struct Sum {
    projected: Resources,
    adjusted: Resources,
    peak_bytes: u64,
    copies: usize,
}

struct Check<'a> {
    state: &'a Cluster,
    sums: Vec<Sum>,
    violations: Vec<Violation>,
}

impl Check<'_> {
    fn found(&mut self, invariant: Invariant, segment: Option<UnitId>, node: Option<NodeId>, found: String) {
        self.violations.push(Violation { invariant, segment, node, found });
    }

    fn segment(&mut self, at: SegmentIx, segment: &Segment) {
        let up = |node: NodeIx| self.state.node(node).is_up();
        let replicas = || segment.replicas.iter();
        let future = replicas().filter(|it| up(it.node) && it.state.will_serve()).count() as u64;
        let present = replicas().filter(|it| up(it.node) && it.state.is_served()).count() as u64;
        let footprint = segment.footprint;
        let memory_cpu = |sharers: u64| (footprint.resident_bytes, footprint.cpu_micros.div_ceil(sharers.max(1)));
        for replica in segment.replicas.iter() {
            let sum = &mut self.sums[replica.node.0 as usize];
            sum.copies += 1;
            let stays = replica.state.stays();
            let served = replica.state.is_served() || replica.state.will_serve();
            let arrives = replica.state.will_serve() && !replica.state.is_served();
            let (memory, cpu) = memory_cpu(future);
            let projected = [memory, footprint.disk_bytes, cpu];
            let adjusted_cpu = memory_cpu(future.min(present)).1;
            let keep = |on: bool, value: u64| if on { value } else { 0 };
            let serves = replica.state.will_serve();
            sum.projected.add(&Resources([keep(serves, projected[0]), keep(stays, projected[1]), keep(serves, projected[2])]));
            sum.adjusted.add(&Resources([keep(served, memory), footprint.disk_bytes, keep(served, adjusted_cpu)]));
            sum.peak_bytes = sum.peak_bytes.saturating_add(keep(arrives, footprint.load_peak_bytes));
            if self.state.node(replica.node).segments.get(replica.position() as usize) != Some(&at) {
                let node = self.state.node(replica.node).spec.id;
                self.found(
                    Invariant::ListsAgree,
                    Some(segment.id),
                    Some(node),
                    "it is not where it is said to be in the node's list".into(),
                );
            }
        }
        let mut nodes: Vec<_> = segment.replicas.iter().map(|it| it.node).collect();
        nodes.sort();
        nodes.dedup();
        if nodes.len() != segment.replicas.len() {
            self.found(Invariant::ListsAgree, Some(segment.id), None, "two copies on one node".into());
        }
    }

    fn node(&mut self, at: NodeIx, node: &Node) {
        let mut sum = std::mem::take(&mut self.sums[at.0 as usize]);
        node.settling.iter().for_each(|it| sum.adjusted.add(&it.load));
        let kept = (node.projected, node.adjusted, node.load_peak_bytes);
        let computed = (sum.projected, sum.adjusted, sum.peak_bytes);
        if kept != computed {
            self.found(Invariant::LoadsAreSums, None, Some(node.spec.id), format!("{kept:?} is kept, {computed:?} is right"));
        }
        if node.segments.len() != sum.copies {
            let found = format!("{} segments in its list, {} copies", node.segments.len(), sum.copies);
            self.found(Invariant::ListsAgree, None, Some(node.spec.id), found);
        }
    }

    fn moves(&mut self) {
        let mut ends: BTreeMap<NodeId, (u32, u32)> = BTreeMap::new();
        let mut of_segment: BTreeMap<UnitId, u8> = BTreeMap::new();
        for it in self.state.moves() {
            it.to.into_iter().for_each(|node| ends.entry(node).or_default().0 += 1);
            it.from.into_iter().for_each(|node| ends.entry(node).or_default().1 += 1);
            *of_segment.entry(it.segment).or_default() += 1;
            if it.phase.is_over() {
                self.found(Invariant::MovesAgree, Some(it.segment), None, "a move that is over is in flight".into());
            }
        }
        for (_, node) in self.state.nodes_by_id() {
            let counted = ends.get(&node.spec.id).copied().unwrap_or_default();
            if counted != (node.moves_in, node.moves_out) {
                let found = format!("{:?} moves in and out are kept, {counted:?} are in flight", (node.moves_in, node.moves_out));
                self.found(Invariant::MovesAgree, None, Some(node.spec.id), found);
            }
        }
        for (_, segment) in self.state.segments() {
            let moving = of_segment.get(&segment.id).copied().unwrap_or_default();
            let still = |state: ReplicaState| matches!(state, ReplicaState::Serving | ReplicaState::DiskOnly);
            let on_their_way = segment.replicas.iter().any(|it| !still(it.state));
            if moving != segment.moves || (on_their_way && moving == 0) {
                self.found(
                    Invariant::MovesAgree,
                    Some(segment.id),
                    None,
                    format!("{} moves are kept, {moving} are in flight", segment.moves),
                );
            }
        }
    }

    fn attention(&mut self) {
        let sets = &self.state.attention;
        let mut listed = 0;
        let mut wrong = Vec::new();
        for (at, segment) in self.state.segments() {
            let need = self.state.need(segment);
            listed += need.listed();
            if Need::unpacked(segment.attention, segment.heat) != need || !sets.lists(at, need) {
                wrong.push(segment.id);
            }
        }
        let kept = sets.count();
        wrong.into_iter().for_each(|id| self.found(Invariant::AttentionIsRight, Some(id), None, "what it needs is out of date".into()));
        if kept != listed {
            self.found(Invariant::AttentionIsRight, None, None, format!("{kept} needs are kept, there are {listed}"));
        }
    }
}
