//! Where copies stand, and how many there are: spread over failure domains, copies for heat, copies too many.

use super::plan::{UnmetReason, Why};
use super::targets::{Spread, Target};
use super::workspace::{Choice, Workspace};
use crate::cluster::{MoveKind, NodeIx, REPLICAS_MAX, Replica, ReplicaState, SegmentIx};
use crate::potential::real;

impl Workspace<'_> {
    /// Moves copies that share a zone or a rack without need.
    pub(crate) fn spread_copies(&mut self) {
        let state = self.state;
        for segment in state.attention.crowded.iter() {
            if !self.has_room_for_moves() {
                return;
            }
            if self.is_moving(segment) || self.is_restless(segment) {
                continue;
            }
            self.plan.segments_examined += 1;
            if let Err(reason) = self.spread_segment(segment) {
                self.unmet(segment, Why::Spread, reason);
            }
        }
    }

    fn spread_segment(&mut self, segment: SegmentIx) -> Result<(), UnmetReason> {
        let now = self.spread_with(segment, None, None);
        let mut best: Option<(NodeIx, MoveKind, Target)> = None;
        let mut reason = UnmetReason::SourcesBusy;
        for replica in self.replicas(segment).to_vec() {
            let Some(kind) = relocation(&replica).filter(|_| self.can_leave(replica.node)) else { continue };
            let wanted = self.wanted(segment, kind, Some(replica.node));
            match self.best_target(&wanted) {
                Ok(target) if target.spread > now => {
                    let better = best.as_ref().is_none_or(|(_, _, it)| rank(&target) > rank(it));
                    best = if better { Some((replica.node, kind, target)) } else { best };
                }
                Ok(_) => reason = UnmetReason::NoTarget(super::Binding::Domain),
                Err(binding) => reason = UnmetReason::NoTarget(binding),
            }
        }
        let (from, kind, target) = best.ok_or(reason)?;
        let load = real(&self.wanted(segment, kind, Some(from)).load);
        let gain = self.node(from).slope.relief(&load) - target.cost;
        let choice = Choice { kind, from: Some(from), to: Some(target.node), why: Why::Spread, gain, bound_by: target.bound_by };
        self.begin(segment, choice);
        Ok(())
    }

    fn can_leave(&self, node: NodeIx) -> bool {
        self.node(node).active && self.node(node).reads_left > 0
    }

    /// Processor time of one copy beyond which a segment is hot.
    pub(crate) fn hot_line_micros(&self) -> u64 {
        let line = self.capacity_sum[2] / self.base.sharing.max(1) as f64 * self.policy.hot_share;
        (line as u64).max(crate::cluster::HOT_MICROS_MIN)
    }

    /// Processor time of each copy, were there one fewer, up to which a copy for heat goes again.
    fn cooled_line_micros(&self, line: u64) -> u64 {
        (line as f64 * self.policy.hot_release) as u64
    }

    /// One more copy of every segment each of whose copies takes too much.
    pub(crate) fn copy_hot(&mut self) {
        let (state, line) = (self.state, self.hot_line_micros());
        for segment in state.attention.hot(line, self.policy.hot_replicas_max) {
            if !self.has_room_for_moves() {
                return;
            }
            self.plan.segments_examined += 1;
            if !self.is_moving(segment)
                && self.wants_copy_for_heat(segment, line)
                && let Err(reason) = self.add_for_heat(segment)
            {
                self.unmet(segment, Why::Heat, reason);
            }
        }
    }

    pub(crate) fn wants_copy_for_heat(&self, segment: SegmentIx, line: u64) -> bool {
        let (it, replicas) = (self.segment(segment), self.replicas(segment));
        let held = replicas.iter().filter(|it| it.state.stays() && self.is_up(it.node)).count();
        let most = usize::from(it.replicas_wanted) + usize::from(self.policy.hot_replicas_max);
        let wanted = usize::from(it.replicas_wanted);
        let enough = held >= wanted && self.sharers(segment) as usize >= wanted;
        enough && held < most && replicas.len() + 1 < REPLICAS_MAX && it.footprint.serving(self.sharers_in_the_end(segment)).0[2] > line
    }

    fn add_for_heat(&mut self, segment: SegmentIx) -> Result<(), UnmetReason> {
        let source = self.source(segment)?;
        let wanted = self.wanted(segment, MoveKind::Replicate, None);
        let target = self.best_target(&wanted).map_err(UnmetReason::NoTarget)?;
        self.copy(segment, MoveKind::Replicate, source, target, Why::Heat);
        Ok(())
    }

    /// Drops what is beyond the copies wanted, unless heat needs it.
    pub(crate) fn drop_surplus(&mut self) {
        let (state, line) = (self.state, self.hot_line_micros());
        for segment in state.attention.surplus(self.cooled_line_micros(line), self.policy.hot_replicas_max) {
            if !self.has_room_for_moves() {
                return;
            }
            self.plan.segments_examined += 1;
            if !self.is_moving(segment)
                && let Some(node) = self.least_needed(segment, line)
            {
                self.drop_copy(segment, node, Why::Surplus);
            }
        }
    }

    /// The copy that can go: the others stand best without it, then the one that costs the most.
    fn least_needed(&self, segment: SegmentIx, line: u64) -> Option<NodeIx> {
        let footprint = &self.segment(segment).footprint;
        let sharers = self.sharers(segment);
        let cooled = self.cooled_line_micros(line);
        let heat_allows = |replica: &Replica| {
            replica.state != ReplicaState::Serving
                || footprint.serving(sharers.saturating_sub(1)).0[2] <= cooled
                || sharers as usize > usize::from(self.segment(segment).replicas_wanted) + usize::from(self.policy.hot_replicas_max)
        };
        let load = real(&footprint.serving(self.sharers_in_the_end(segment)));
        let droppable = self.replicas(segment).iter().filter(|it| {
            relocation(it).is_some()
                && self.is_up(it.node)
                && self.node(it.node).reads_left > 0
                && heat_allows(it)
                && self.can_drop(segment, it.node)
        });
        let ranked = droppable.map(|it| {
            let spread = self.spread_with(segment, Some(it.node), None);
            (!self.node(it.node).active, spread, self.node(it.node).slope.relief(&load), it.node)
        });
        ranked.max_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)).then(b.3.cmp(&a.3))).map(|it| it.3)
    }
}

/// How a copy can be moved, if it stands still.
pub(crate) fn relocation(replica: &Replica) -> Option<MoveKind> {
    match replica.state {
        ReplicaState::Serving => Some(MoveKind::Relocate),
        ReplicaState::DiskOnly => Some(MoveKind::RelocateOnDisk),
        _ => None,
    }
}

fn rank(target: &Target) -> (Spread, std::cmp::Reverse<u64>) {
    (target.spread, std::cmp::Reverse(target.cost.max(0.0).to_bits()))
}
