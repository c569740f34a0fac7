//! Nodes that must carry less: those that are strained, and those that drain.

use super::plan::{UnmetReason, Why};
use super::targets::Wanted;
use super::workspace::{Choice, Workspace};
use crate::cluster::{Level, Lifecycle, MoveKind, NodeIx, ReplicaState, SegmentIx};
use crate::potential::real;

impl Workspace<'_> {
    /// Takes a part of its memory load off every strained node, and a larger one off every critical node, critical ones first. What already
    /// leaves counts; so does what has left, until a report shows it; and after that it is given time for its pressure to fall.
    pub(crate) fn relieve(&mut self) {
        let level = |at: &NodeIx| self.state.node(*at).level;
        let mut strained: Vec<_> = self.base.strained.iter().copied().collect();
        strained.sort_by_key(|at| (std::cmp::Reverse(level(at)), *at));
        for node in strained {
            self.relieve_node(node);
        }
    }

    fn relieve_node(&mut self, node: NodeIx) {
        let state = self.state.node(node);
        let pause_ms = self.policy.relief_pause_ms;
        let relieved = state.last_departure_ms.filter(|at| *at >= state.level_since_ms);
        if relieved.is_some_and(|at| self.now_ms < at.saturating_add(pause_ms)) {
            return;
        }
        let part = if state.level == Level::Critical { self.policy.critical_relief } else { self.policy.strained_relief };
        let leaves_bytes = (self.node(node).adjusted.0[0] as f64 * part) as u64;
        let mut leaving_bytes = (state.adjusted.0[0]).saturating_sub(state.projected.0[0]);
        if leaving_bytes > 0 && leaving_bytes >= leaves_bytes {
            return;
        }
        for segment in self.heaviest(node) {
            if leaving_bytes >= leaves_bytes.max(1) || self.node(node).reads_left == 0 || !self.has_room_for_moves() {
                return;
            }
            if self.relocate(segment, node, Why::Relieve).is_ok() {
                leaving_bytes += self.segment(segment).footprint.resident_bytes;
            }
        }
    }

    /// Segments served by a node and free to move: those first that have rested, then those that free the most memory for each byte
    /// transferred.
    fn heaviest(&self, node: NodeIx) -> Vec<SegmentIx> {
        let free = |at: &SegmentIx| !self.is_moving(*at) && !self.is_restless(*at) && self.segment(*at).footprint.resident_bytes > 0;
        let served = |at: &SegmentIx| self.replicas(*at).on(node).is_some_and(|it| it.state == ReplicaState::Serving);
        let mut segments: Vec<_> = self.state.node(node).segments.iter().copied().filter(free).filter(served).collect();
        let density = |at: &SegmentIx| {
            let footprint = self.segment(*at).footprint;
            footprint.resident_bytes as f64 / footprint.disk_bytes.max(1) as f64
        };
        let resting = |at: &SegmentIx| self.is_resting(*at);
        segments.sort_by(|a, b| {
            let by_density = density(b).total_cmp(&density(a)).then(self.segment(*a).id.cmp(&self.segment(*b).id));
            resting(a).cmp(&resting(b)).then(by_density)
        });
        segments
    }

    /// Takes everything off the nodes that drain, as fast as their bounds allow.
    pub(crate) fn drain(&mut self) {
        for node in self.base.draining.iter().copied().collect::<Vec<_>>() {
            self.drain_node(node);
        }
    }

    fn drain_node(&mut self, node: NodeIx) {
        let mut segments: Vec<_> = self.state.node(node).segments.iter().copied().filter(|at| !self.is_moving(*at)).collect();
        segments.sort_by_cached_key(|at| self.segment(*at).id);
        for segment in segments {
            if self.node(node).reads_left == 0 {
                self.plan.cut_short = true;
                return;
            }
            if !self.has_room_for_moves() {
                return;
            }
            if self.can_drop(segment, node) {
                self.drop_copy(segment, node, Why::Drain);
            } else if self.is_restless(segment) {
                self.unmet(segment, Why::Drain, UnmetReason::NoTarget(super::Binding::Rest));
            } else if let Err(reason) = self.relocate(segment, node, Why::Drain) {
                self.unmet(segment, Why::Drain, reason);
            }
        }
    }

    /// Replaces the copy on `from` by one on the cheapest node where the copies stand best; no worse than now, but for a drain, which may
    /// take the last node of a zone.
    pub(crate) fn relocate(&mut self, segment: SegmentIx, from: NodeIx, why: Why) -> Result<(), UnmetReason> {
        let kind = match self.replicas(segment).on(from).map(|it| it.state) {
            Some(ReplicaState::Serving) => MoveKind::Relocate,
            Some(ReplicaState::DiskOnly) => MoveKind::RelocateOnDisk,
            _ => return Err(UnmetReason::SourcesBusy),
        };
        let wanted = self.wanted(segment, kind, Some(from));
        let wanted = Wanted { keeps_spread: why != Why::Drain, ..wanted };
        let target = self.best_target(&wanted).map_err(UnmetReason::NoTarget)?;
        let relief = if self.node(from).active { self.node(from).slope.relief(&real(&wanted.load)) } else { 0.0 };
        let (to, gain, bound_by) = (Some(target.node), relief - target.cost, target.bound_by);
        self.begin(segment, Choice { kind, from: Some(from), to, why, gain, bound_by });
        Ok(())
    }

    /// Are there copies enough that are served, and stay, without the one on `node`?
    pub(crate) fn can_drop(&self, segment: SegmentIx, node: NodeIx) -> bool {
        let wanted = usize::from(self.segment(segment).replicas_wanted);
        let others = self.replicas(segment).iter().filter(|it| it.node != node && self.is_up(it.node) && !self.is_draining(it.node));
        others.filter(|it| it.state.stays() && it.state.is_served()).count() >= wanted
    }

    pub(crate) fn is_draining(&self, node: NodeIx) -> bool {
        self.state.node(node).lifecycle == Lifecycle::Draining
    }

    pub(crate) fn drop_copy(&mut self, segment: SegmentIx, from: NodeIx, why: Why) {
        let served = self.replicas(segment).on(from).is_some_and(|it| it.state == ReplicaState::Serving);
        let footprint = &self.segment(segment).footprint;
        let load = if served { footprint.serving(self.sharers_in_the_end(segment)) } else { footprint.disk_only() };
        let gain = if self.node(from).active { self.node(from).slope.relief(&real(&load)) } else { 0.0 };
        self.begin(segment, Choice { kind: MoveKind::Drop, from: Some(from), to: None, why, gain, bound_by: None });
    }
}
