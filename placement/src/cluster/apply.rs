//! `apply`: an event is checked as a whole, then carried out; what is refused has changed nothing.

use super::event::{Decision, Event, EventError};
use super::moves::{Generation, Move, MoveKind, Phase};
use super::node::{Level, Lifecycle, Node, NodeId, NodeIx, NodeSpec, Report};
use super::refusal::Refusal;
use super::resources::{FOOTPRINT_TOO_LARGE, Footprint, Resources};
use super::segment::{REPLICAS_MAX, REPLICAS_WANTED_MAX, ReplicaState, Replicas, Segment, SegmentIx, SegmentSpec};
use super::{Cluster, NODE_COPIES_MAX, REFUSALS_MAX};
use crate::model::UnitId;
use std::sync::Arc;

type Applied = Result<(), EventError>;

impl Cluster {
    /// Takes one event. Costs what the event touches: a node that goes down touches its segments, a copy its segment.
    pub fn apply(&mut self, event: &Event, now_ms: u64) -> Applied {
        match event {
            Event::Decided(decision) => self.decide(decision, now_ms),
            Event::Pressed { node, level } => self.press(*node, *level, now_ms),
            Event::Reported { node, report } => self.report(*node, *report),
            Event::FootprintMeasured { segment, footprint } => self.measure(*segment, *footprint),
        }
    }

    /// Takes one decision: [`Cluster::apply`] of [`Event::Decided`].
    pub fn decide(&mut self, decision: &Decision, now_ms: u64) -> Applied {
        match decision {
            Decision::NodeRegistered(spec) => self.register(*spec, now_ms),
            Decision::NodeLifecycle { node, lifecycle } => self.find_node(*node).map(|at| self.decide_lifecycle(at, *lifecycle, now_ms)),
            Decision::NodeRemoved(node) => self.remove_node(*node, now_ms),
            Decision::SegmentAdded(spec) => self.add_segment(spec),
            Decision::SegmentRemoved(segment) => self.remove_segment(*segment),
            Decision::FootprintNoted { segment, footprint } => self.measure(*segment, *footprint),
            Decision::ReplicasWanted { segment, replicas } => self.want(*segment, *replicas),
            Decision::CopyAdded { segment, node, serving } => self.add_copy(*segment, *node, *serving),
            Decision::CopyLost { segment, node } => self.lose_copy(*segment, *node, now_ms),
            Decision::MoveBegun(it) => self.begin(it),
            Decision::MoveAdvanced { generation, phase } => self.advance(*generation, *phase, now_ms),
            Decision::Refused { generation, refusal } => self.refuse(*generation, refusal, now_ms),
        }
    }

    pub(super) fn find_node(&self, id: NodeId) -> Result<NodeIx, EventError> {
        self.node_ix(id).ok_or(EventError::UnknownNode(id))
    }

    fn find_segment(&self, id: UnitId) -> Result<SegmentIx, EventError> {
        self.segment_ix(id).ok_or(EventError::UnknownSegment(id))
    }

    fn node_mut(&mut self, at: NodeIx) -> &mut Node {
        &mut self.nodes[at.0 as usize]
    }

    // Nodes.

    fn register(&mut self, spec: NodeSpec, now_ms: u64) -> Applied {
        let Some(at) = self.node_ix(spec.id) else {
            let at = u32::try_from(self.nodes.len()).map_err(|_| EventError::Contradiction("there are no more than 2^32 nodes"))?;
            Arc::make_mut(&mut self.node_by_id).insert(spec.id, NodeIx(at));
            self.nodes.push(Node { lifecycle_since_ms: now_ms, ..Node::new(spec) });
            self.change_member(NodeIx(at), None, true);
            return Ok(());
        };
        if spec.epoch < self.node(at).spec.epoch {
            return Err(EventError::Contradiction("a node registers with an epoch that is past"));
        }
        let before = self.node(at).clone();
        let node = self.node_mut(at);
        node.spec = spec;
        node.refusals.retain(|refusal| refusal.epoch >= spec.epoch);
        self.change_member(at, Some(&before), true);
        self.set_lifecycle(at, if before.drains { Lifecycle::Draining } else { Lifecycle::Active }, now_ms);
        if before.spec.domain != spec.domain {
            self.touch_segments_of(at);
        }
        Ok(())
    }

    /// A node has come, has changed, or has gone for good (`stays`: it has not). Costs a look at every segment, but only when a zone or rack
    /// comes or goes of which there are fewer than copies.
    fn change_member(&mut self, at: NodeIx, before: Option<&Node>, stays: bool) {
        let counted = self.members.domains_counted();
        before.into_iter().for_each(|before| self.members.remove(at, before));
        if stays {
            self.members.add(at, &self.nodes[at.0 as usize]);
        }
        if counted != self.members.domains_counted() {
            (0..self.segments.len()).for_each(|at| self.refresh_need(SegmentIx(at as u32)));
        }
    }

    /// To be drained is kept while a node is down, and until somebody decides that it is active.
    fn decide_lifecycle(&mut self, at: NodeIx, lifecycle: Lifecycle, now_ms: u64) {
        if lifecycle != Lifecycle::Down && self.node(at).drains != (lifecycle == Lifecycle::Draining) {
            self.node_mut(at).drains = lifecycle == Lifecycle::Draining;
        }
        if lifecycle != Lifecycle::Draining || self.node(at).is_up() {
            self.set_lifecycle(at, lifecycle, now_ms);
        }
    }

    fn set_lifecycle(&mut self, at: NodeIx, lifecycle: Lifecycle, now_ms: u64) {
        if self.node(at).lifecycle == lifecycle {
            return;
        }
        if lifecycle == Lifecycle::Down {
            self.end_moves_of(at, now_ms);
        }
        let before = self.node(at).clone();
        let node = self.node_mut(at);
        (node.lifecycle, node.lifecycle_since_ms) = (lifecycle, now_ms);
        if before.lifecycle == Lifecycle::Down || lifecycle == Lifecycle::Down {
            self.touch_segments_of(at);
        }
        self.change_member(at, Some(&before), true);
    }

    /// A move that has switched is finished; all others are given up.
    fn end_moves_of(&mut self, at: NodeIx, now_ms: u64) {
        let id = self.node(at).spec.id;
        let touching: Vec<_> = self.moves.values().filter(|it| it.from == Some(id) || it.to == Some(id)).map(|it| it.generation).collect();
        for generation in touching {
            self.end_move(generation, now_ms);
        }
    }

    fn end_move(&mut self, generation: Generation, now_ms: u64) {
        let Some(phase) = self.moves.get(&generation).map(|it| it.phase) else { return };
        let last = if phase == Phase::Switched { Phase::Finished } else { Phase::Aborted };
        let ended = self.advance(generation, last, now_ms);
        debug_assert_eq!(ended, Ok(()), "a move in flight can be ended in every phase");
    }

    fn touch_segments_of(&mut self, at: NodeIx) {
        for position in 0..self.node(at).segments.len() {
            let segment = self.node(at).segments[position];
            self.edit(segment, |_| {});
        }
    }

    fn remove_node(&mut self, id: NodeId, now_ms: u64) -> Applied {
        let at = self.find_node(id)?;
        self.set_lifecycle(at, Lifecycle::Down, now_ms);
        while let Some(segment) = self.node(at).segments.last().copied() {
            self.take_copy(segment, at);
        }
        Arc::make_mut(&mut self.node_by_id).remove(&id);
        let before = self.node(at).clone();
        self.change_member(at, Some(&before), false);
        let node = self.node_mut(at);
        node.refusals.clear();
        node.release_settled(u64::MAX);
        Ok(())
    }

    fn press(&mut self, id: NodeId, level: Level, now_ms: u64) -> Applied {
        let at = self.find_node(id)?;
        let node = self.node_mut(at);
        if node.level != level {
            (node.level, node.level_since_ms) = (level, now_ms);
        }
        Ok(())
    }

    /// A report that is older than the last changes nothing.
    fn report(&mut self, id: NodeId, report: Report) -> Applied {
        let at = self.find_node(id)?;
        let node = self.node_mut(at);
        if node.report.is_none_or(|last| last.measured_at_ms <= report.measured_at_ms) {
            node.report = Some(report);
            node.release_settled(report.measured_at_ms);
            let in_flight = node.moves_in > 0 || node.moves_out > 0;
            let least = |r: usize| if in_flight { 0 } else { node.projected.0[r].min(node.adjusted.0[r]) };
            let mut most = node.adjusted;
            most.add(&Resources::new(node.load_peak_bytes, 0, 0));
            node.believed = (most, Resources(std::array::from_fn(least)));
            node.lasting.measure(report.load.0[2] as f64 / most.0[2].max(1) as f64, report.measured_at_ms);
        }
        Ok(())
    }

    // Segments and copies.

    fn add_segment(&mut self, spec: &SegmentSpec) -> Applied {
        if self.segment_ix(spec.id).is_some() {
            return Err(EventError::Contradiction("there is a segment of that id"));
        }
        check_wanted(spec.replicas_wanted)?;
        check_footprint(&spec.footprint)?;
        let segment = Segment {
            id: spec.id,
            table: spec.table,
            footprint: spec.footprint,
            replicas: Replicas::default(),
            departures: Default::default(),
            replicas_wanted: spec.replicas_wanted,
            sharers: Default::default(),
            moves: 0,
            attention: 0,
            live: true,
            heat: Default::default(),
        };
        let at = match self.free.pop() {
            Some(at) => at,
            None => SegmentIx(u32::try_from(self.segments.len()).map_err(|_| EventError::Contradiction("no more than 2^32 segments"))?),
        };
        match (at.0 as usize) < self.segments.len() {
            true => self.segments[at.0 as usize] = segment,
            false => self.segments.push(segment),
        }
        self.segment_by_id.insert(spec.id, at);
        self.refresh_need(at);
        Ok(())
    }

    fn remove_segment(&mut self, id: UnitId) -> Applied {
        let at = self.find_segment(id)?;
        self.forget_moves_of(at);
        while let Some(replica) = self.segment(at).replicas.first().copied() {
            self.take_copy(at, replica.node);
        }
        self.segments[at.0 as usize].live = false;
        self.refresh_need(at);
        self.segment_by_id.remove(id);
        self.free.push(at);
        Ok(())
    }

    fn moves_of(&self, at: SegmentIx) -> Vec<Generation> {
        let segment = self.segment(at);
        if segment.moves == 0 {
            return Vec::new();
        }
        self.moves.values().filter(|it| it.segment == segment.id).map(|it| it.generation).collect()
    }

    fn forget_moves_of(&mut self, at: SegmentIx) {
        for generation in self.moves_of(at) {
            if let Some(it) = self.moves.get(&generation).copied() {
                self.moves.remove_mut(&generation);
                self.count_move(&it, at, false);
            }
        }
    }

    fn want(&mut self, id: UnitId, replicas: u8) -> Applied {
        let at = self.find_segment(id)?;
        check_wanted(replicas)?;
        self.edit(at, |segment| segment.replicas_wanted = replicas);
        Ok(())
    }

    fn measure(&mut self, id: UnitId, footprint: Footprint) -> Applied {
        let at = self.find_segment(id)?;
        check_footprint(&footprint)?;
        self.edit(at, |segment| segment.footprint = footprint);
        Ok(())
    }

    fn add_copy(&mut self, segment: UnitId, node: NodeId, serving: bool) -> Applied {
        let (at, node) = (self.find_segment(segment)?, self.find_node(node)?);
        if self.segment(at).replicas.on(node).is_some() {
            return Err(EventError::Contradiction("the node has a copy of the segment"));
        }
        self.check_list(node)?;
        self.make_room(at)?;
        self.put_copy(at, node, if serving { ReplicaState::Serving } else { ReplicaState::DiskOnly });
        Ok(())
    }

    fn lose_copy(&mut self, segment: UnitId, node: NodeId, now_ms: u64) -> Applied {
        let (at, node) = (self.find_segment(segment)?, self.find_node(node)?);
        if self.segment(at).replicas.on(node).is_none() {
            return Err(EventError::Contradiction("the node has no copy of the segment"));
        }
        let id = self.node(node).spec.id;
        for generation in self.moves_of(at) {
            if self.moves.get(&generation).is_some_and(|it| it.from == Some(id) || it.to == Some(id)) {
                self.end_move(generation, now_ms);
            }
        }
        self.take_copy(at, node);
        Ok(())
    }

    /// Room in a node's list.
    fn check_list(&self, node: NodeIx) -> Applied {
        match self.node(node).segments.len() < NODE_COPIES_MAX {
            true => Ok(()),
            false => Err(EventError::Contradiction("a node has at most eight million copies")),
        }
    }

    /// Room for one more copy: one on a node that is down is forgotten if there is no other way.
    fn make_room(&mut self, at: SegmentIx) -> Applied {
        let replicas = &self.segment(at).replicas;
        if replicas.len() < REPLICAS_MAX {
            return Ok(());
        }
        let down = replicas.iter().map(|it| it.node).find(|node| !self.node(*node).is_up());
        let down = down.ok_or(EventError::Contradiction("the segment has as many copies as can be"))?;
        self.take_copy(at, down);
        Ok(())
    }

    // Moves.

    fn begin(&mut self, it: &Move) -> Applied {
        let at = self.find_segment(it.segment)?;
        let from = it.from.map(|id| self.find_node(id)).transpose()?;
        let to = it.to.map(|id| self.find_node(id)).transpose()?;
        if it.phase != Phase::Begun {
            return Err(EventError::IllegalTransition { from: Phase::Begun, to: it.phase });
        }
        if self.last_generation.is_some_and(|last| last >= it.generation) {
            return Err(EventError::Contradiction("a later move has begun already"));
        }
        self.check_ends(at, it.kind, from, to)?;
        if let Some(to) = to.filter(|_| it.kind.transfers()) {
            self.check_list(to)?;
            self.make_room(at)?;
        }
        self.start_states(at, it.kind, from, to);
        self.count_move(it, at, true);
        self.moves.insert_mut(it.generation, *it);
        self.last_generation = Some(it.generation);
        Ok(())
    }

    /// May a move of that kind begin, with the copies as they are?
    fn check_ends(&self, at: SegmentIx, kind: MoveKind, from: Option<NodeIx>, to: Option<NodeIx>) -> Applied {
        let segment = self.segment(at);
        let state = |node: Option<NodeIx>| {
            let node = node.filter(|node| self.node(*node).is_up())?;
            segment.replicas.on(node).map(|replica| replica.state)
        };
        let free = |node: Option<NodeIx>| node.is_some_and(|node| self.node(node).is_active() && segment.replicas.on(node).is_none());
        let (source, target) = (state(from), state(to));
        let allowed = match kind {
            MoveKind::Relocate => source == Some(ReplicaState::Serving) && free(to),
            MoveKind::RelocateOnDisk => source == Some(ReplicaState::DiskOnly) && free(to),
            MoveKind::Replicate | MoveKind::ReplicateToDisk => source.is_some_and(ReplicaState::is_whole) && free(to),
            MoveKind::Promote => target == Some(ReplicaState::DiskOnly) && from.is_none(),
            MoveKind::Demote => source == Some(ReplicaState::Serving) && to.is_none(),
            MoveKind::Drop => matches!(source, Some(ReplicaState::Serving | ReplicaState::DiskOnly)) && to.is_none(),
        };
        allowed.then_some(()).ok_or(EventError::Contradiction("the copies are not such that this move could begin"))
    }

    fn start_states(&mut self, at: SegmentIx, kind: MoveKind, from: Option<NodeIx>, to: Option<NodeIx>) {
        if let Some(from) = from {
            match (kind, self.segment(at).replicas.on(from).map(|it| it.state)) {
                (MoveKind::Demote, _) => self.set_copy(at, from, ReplicaState::Cooling),
                (kind, Some(ReplicaState::DiskOnly)) if kind.removes() => self.set_copy(at, from, ReplicaState::LeavingDisk),
                (kind, _) if kind.removes() => self.set_copy(at, from, ReplicaState::Leaving),
                _ => {}
            }
        }
        if let Some(to) = to {
            match kind {
                MoveKind::Promote => self.set_copy(at, to, ReplicaState::Warming),
                kind if kind.serves() => self.put_copy(at, to, ReplicaState::Loading),
                _ => self.put_copy(at, to, ReplicaState::Storing),
            }
        }
    }

    pub(super) fn count_move(&mut self, it: &Move, at: SegmentIx, begun: bool) {
        let step = |count: &mut u32| *count = if begun { *count + 1 } else { count.saturating_sub(1) };
        if let Some(to) = it.to.and_then(|id| self.node_ix(id)) {
            step(&mut self.node_mut(to).moves_in);
        }
        if let Some(from) = it.from.and_then(|id| self.node_ix(id)) {
            step(&mut self.node_mut(from).moves_out);
        }
        let moves = &mut self.segments[at.0 as usize].moves;
        *moves = if begun { moves.saturating_add(1) } else { moves.saturating_sub(1) };
    }

    fn advance(&mut self, generation: Generation, phase: Phase, now_ms: u64) -> Applied {
        let it = *self.moves.get(&generation).ok_or(EventError::UnknownMove(generation))?;
        if !it.phase.may_become(phase) {
            return Err(EventError::IllegalTransition { from: it.phase, to: phase });
        }
        let at = self.find_segment(it.segment)?;
        let it = Move { phase, ..it };
        self.moves.insert_mut(generation, it);
        if phase == Phase::Switched || phase == Phase::Finished {
            self.arrive(&it, at);
        }
        if !phase.is_over() {
            return Ok(());
        }
        self.moves.remove_mut(&generation);
        self.count_move(&it, at, false);
        match phase {
            Phase::Finished => self.depart(&it, at, now_ms),
            _ => self.undo(&it, at),
        }
        Ok(())
    }

    /// The target has what it was to get.
    fn arrive(&mut self, it: &Move, at: SegmentIx) {
        let Some(to) = it.to.and_then(|id| self.node_ix(id)) else { return };
        let served = if it.kind.serves() { ReplicaState::Serving } else { ReplicaState::DiskOnly };
        self.set_copy(at, to, served);
    }

    /// The source gives up what it was to give up.
    fn depart(&mut self, it: &Move, at: SegmentIx, now_ms: u64) {
        let Some(from) = it.from.and_then(|id| self.node_ix(id)) else { return };
        let Some(replica) = self.segment(at).replicas.on(from).copied() else { return };
        if it.kind == MoveKind::Demote {
            self.set_copy(at, from, ReplicaState::DiskOnly);
        } else if it.kind.removes() {
            let load = self.segment(at).load_of(replica.state);
            self.take_copy(at, from);
            let node = self.node_mut(from);
            node.settle(load, now_ms);
            node.last_departure_ms = Some(now_ms);
            self.segments[at.0 as usize].departures.push(from, now_ms);
        }
    }

    /// Both ends are as they were before it was begun.
    fn undo(&mut self, it: &Move, at: SegmentIx) {
        if let Some(to) = it.to.and_then(|id| self.node_ix(id)) {
            match it.kind {
                MoveKind::Promote => self.set_copy(at, to, ReplicaState::DiskOnly),
                _ => self.take_copy(at, to),
            }
        }
        let Some(from) = it.from.and_then(|id| self.node_ix(id)) else { return };
        match self.segment(at).replicas.on(from).map(|replica| replica.state) {
            Some(ReplicaState::LeavingDisk) => self.set_copy(at, from, ReplicaState::DiskOnly),
            Some(ReplicaState::Leaving) if it.kind.removes() => self.set_copy(at, from, ReplicaState::Serving),
            Some(ReplicaState::Cooling) if it.kind == MoveKind::Demote => self.set_copy(at, from, ReplicaState::Serving),
            _ => {}
        }
    }

    fn refuse(&mut self, generation: Option<Generation>, refusal: &Refusal, now_ms: u64) -> Applied {
        let at = self.find_node(refusal.node)?;
        if let Some(generation) = generation {
            self.advance(generation, Phase::Refused, now_ms)?;
        }
        let node = self.node_mut(at);
        if refusal.epoch < node.spec.epoch {
            return Ok(());
        }
        node.refusals.retain(|it| it.holds(it.epoch, now_ms) && (it.segment, it.reason) != (refusal.segment, refusal.reason));
        node.refusals.push(*refusal);
        if node.refusals.len() > REFUSALS_MAX {
            merge_oldest(&mut node.refusals);
        }
        Ok(())
    }
}

/// Makes one of the oldest two refusals of one reason: it covers what both covered, for as long as the longer. Nothing that was refused is
/// forgotten.
fn merge_oldest(refusals: &mut Vec<Refusal>) {
    let pair = |at: &usize| refusals[*at + 1..].iter().position(|it| it.reason == refusals[*at].reason).map(|next| (*at, at + 1 + next));
    let Some((first, second)) = (0..refusals.len()).find_map(|at| pair(&at)) else { return };
    let gone = refusals.remove(first);
    let kept = &mut refusals[second - 1];
    let (a, b) = (gone.footprint, kept.footprint);
    kept.footprint.resident_bytes = a.resident_bytes.min(b.resident_bytes);
    kept.footprint.load_peak_bytes = a.load_peak_bytes.min(b.load_peak_bytes);
    kept.footprint.disk_bytes = a.disk_bytes.min(b.disk_bytes);
    kept.retry_after_ms = kept.retry_after_ms.max(gone.retry_after_ms);
}

fn check_footprint(footprint: &Footprint) -> Applied {
    match footprint.is_sane() {
        true => Ok(()),
        false => Err(EventError::Contradiction(FOOTPRINT_TOO_LARGE)),
    }
}

fn check_wanted(replicas: u8) -> Applied {
    match (1..=REPLICAS_WANTED_MAX).contains(&replicas) {
        true => Ok(()),
        false => Err(EventError::Contradiction("a segment has between one copy and five")),
    }
}
