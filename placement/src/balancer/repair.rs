//! What comes first: copies that are missing, and copies on disk that should be served.

use super::plan::{UnmetReason, Why};
use super::targets::{Target, Wanted};
use super::workspace::{Choice, Workspace};
use crate::cluster::{MoveKind, NodeIx, REPLICAS_MAX, ReplicaState, SegmentIx};
use crate::potential::real;

/// Segments that are sorted by size before they are repaired.
const SORTED_AT_ONCE: usize = 4096;

impl Workspace<'_> {
    /// Segments with the fewest whole copies left are first; of those, some at a time, the largest: what is small fills what is left.
    pub(crate) fn repair(&mut self) {
        let state = self.state;
        let mut rest = state.attention.short().peekable();
        while rest.peek().is_some() && self.has_room_for_moves() {
            let mut some: Vec<_> = rest.by_ref().take(SORTED_AT_ONCE).collect();
            some.sort_by_cached_key(|(left, at)| (*left, std::cmp::Reverse(self.segment(*at).footprint.resident_bytes), *at));
            for (_, segment) in some {
                if !self.has_room_for_moves() {
                    return;
                }
                self.repair_segment(segment);
            }
        }
    }

    fn repair_segment(&mut self, segment: SegmentIx) {
        self.plan.segments_examined += 1;
        let wanted = usize::from(self.segment(segment).replicas_wanted);
        for _ in 0..wanted {
            let replicas = self.replicas(segment);
            let held = replicas.iter().filter(|it| it.state.stays() && self.is_up(it.node)).count();
            let serving = self.sharers(segment) as usize;
            if held >= wanted && serving >= wanted || !self.has_room_for_moves() {
                return;
            }
            if serving == 0 && self.promote(segment) {
                continue;
            }
            if held < wanted && self.is_delayed(segment, wanted - held) {
                return self.unmet(segment, Why::Repair, UnmetReason::Delayed);
            }
            if serving < wanted && self.promote(segment) {
                continue;
            }
            let done = if held < wanted { self.add_missing(segment) } else { self.serve_elsewhere(segment) };
            if let Err(reason) = done {
                return self.unmet(segment, if held < wanted { Why::Repair } else { Why::Serve }, reason);
            }
        }
    }

    /// Are the copies that are missing on nodes that went down not long ago, and is a whole one left?
    fn is_delayed(&self, segment: SegmentIx, missing: usize) -> bool {
        let whole = |it: &&crate::cluster::Replica| it.state.is_whole();
        let replicas = self.replicas(segment);
        let awaited = replicas.iter().filter(whole).filter(|it| self.is_awaited(it.node)).count();
        awaited >= missing && replicas.iter().filter(whole).any(|it| self.is_up(it.node))
    }

    /// Serves a copy that is on disk, on the cheapest node that has memory for it.
    fn promote(&mut self, segment: SegmentIx) -> bool {
        let wanted = self.wanted(segment, MoveKind::Promote, None);
        let memory_and_cpu = [wanted.load.0[0] as f64, 0.0, wanted.load.0[2] as f64];
        let kept = self.replicas(segment).iter().filter(|it| it.state == ReplicaState::DiskOnly && self.is_up(it.node));
        let able = kept.map(|it| it.node).filter(|node| self.excluded(&wanted, *node).is_none());
        let costs = able.map(|node| (self.node(node).slope.cost(&memory_and_cpu), node));
        let Some((cost, node)) = costs.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))) else { return false };
        let choice = Choice { kind: MoveKind::Promote, from: None, to: Some(node), why: Why::Serve, gain: -cost, bound_by: None };
        self.begin(segment, choice);
        true
    }

    fn add_missing(&mut self, segment: SegmentIx) -> Result<(), UnmetReason> {
        let source = self.source(segment)?;
        let served = self.wanted(segment, MoveKind::Replicate, None);
        let at_once = Wanted { rest_ms: 0, ..served };
        let on_disk = self.wanted(segment, MoveKind::ReplicateToDisk, None);
        let rest_ms = if self.has_other_nodes(segment) { on_disk.rest_ms } else { 0 };
        let on_disk = Wanted { rest_ms, ..on_disk };
        let mut found = self.best_target(&served);
        if found.is_err() && !self.has_other_nodes(segment) {
            found = self.best_target(&at_once);
        }
        let found = found.map(|target| (MoveKind::Replicate, target));
        let (kind, target) = match found {
            Err(_) if self.policy.disk_only_copies => {
                (MoveKind::ReplicateToDisk, self.best_target(&on_disk).map_err(UnmetReason::NoTarget)?)
            }
            found => found.map_err(UnmetReason::NoTarget)?,
        };
        self.copy(segment, kind, source, target, Why::Repair);
        Ok(())
    }

    /// Is there an active node, be it busy, that has no copy and that the segment has not left lately? Otherwise a missing copy is worth a
    /// return.
    fn has_other_nodes(&self, segment: SegmentIx) -> bool {
        let replicas = self.replicas(segment);
        let recent = self.segment(segment).departures.recent(self.now_ms, self.policy.segment_rest_ms).map(|it| it.node);
        let left = recent.filter(|node| replicas.on(*node).is_none());
        let mut taken: Vec<_> = replicas.iter().map(|it| it.node).chain(left).filter(|node| self.node(*node).active).collect();
        taken.sort();
        taken.dedup();
        self.base.active > taken.len()
    }

    /// Enough copies, but too few where there is memory: one more where there is; the one on disk is then surplus. Only if what keeps those on
    /// disk from being served will last: to wait for a load that is under way is cheaper than a transfer.
    fn serve_elsewhere(&mut self, segment: SegmentIx) -> Result<(), UnmetReason> {
        let promoted = self.wanted(segment, MoveKind::Promote, None);
        if self.replicas(segment).iter().any(|it| it.state == ReplicaState::Storing) {
            return Err(UnmetReason::NoTarget(super::Binding::LoadsAtOnce));
        }
        let kept = self.replicas(segment).iter().filter(|it| it.state == ReplicaState::DiskOnly && self.is_up(it.node));
        let bindings = kept.filter_map(|it| self.excluded(&promoted, it.node));
        if let Some(passing) = bindings.into_iter().find(|binding| binding.passes()) {
            return Err(UnmetReason::NoTarget(passing));
        }
        if self.replicas(segment).len() + 2 > REPLICAS_MAX {
            return Err(UnmetReason::NoTarget(super::Binding::HasCopy));
        }
        let source = self.source(segment)?;
        let wanted = self.wanted(segment, MoveKind::Replicate, None);
        let target = self.best_target(&wanted).map_err(UnmetReason::NoTarget)?;
        self.copy(segment, MoveKind::Replicate, source, target, Why::Serve);
        Ok(())
    }

    pub(crate) fn copy(&mut self, segment: SegmentIx, kind: MoveKind, source: NodeIx, target: Target, why: Why) {
        let (to, gain, bound_by) = (Some(target.node), -target.cost, target.bound_by);
        self.begin(segment, Choice { kind, from: Some(source), to, why, gain, bound_by });
    }

    /// The whole copy to read from: of those whose node may still begin a move, the one on the least loaded.
    pub(crate) fn source(&self, segment: SegmentIx) -> Result<NodeIx, UnmetReason> {
        let whole = || self.replicas(segment).iter().filter(|it| it.state.is_whole() && it.state.stays() && self.is_up(it.node));
        if whole().next().is_none() {
            return Err(UnmetReason::NoSource);
        }
        let able = whole().map(|it| it.node).filter(|node| self.node(*node).reads_left > 0);
        let load = real(&self.segment(segment).footprint.serving(self.sharers_in_the_end(segment)));
        let by_cost = able.map(|node| (self.node(node).slope.cost(&load), node));
        by_cost.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(_, node)| node).ok_or(UnmetReason::SourcesBusy)
    }
}
