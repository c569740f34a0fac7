//! The sums that are kept: what each node carries, and what each segment needs of the planner.

use super::attention::{CROWDED, Heat, Need, SHORT, SURPLUS};
use super::node::{Node, NodeIx};
use super::resources::{Footprint, Resources};
use super::segment::{Replica, ReplicaState, Replicas, Segment, SegmentIx};
use super::{Cluster, SETTLING_MAX, Settling};

/// Among how many copies a segment's queries are shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sharers {
    /// Once all moves in flight are done.
    pub(crate) projected: u8,
    /// At present.
    pub(crate) present: u8,
    /// On nodes that are down and awaited back: in plans only.
    pub(crate) awaited: u8,
}

impl Sharers {
    /// Once all moves in flight are done, and who is awaited is back.
    pub(crate) fn in_the_end(self) -> u32 {
        u32::from(self.projected) + u32::from(self.awaited)
    }

    /// While moves are in flight.
    pub(crate) fn fewest(self) -> u8 {
        self.projected.min(self.present)
    }

    pub(crate) fn count(replicas: &Replicas, is_up: impl Fn(NodeIx) -> bool) -> Self {
        let count = |of: fn(ReplicaState) -> bool| replicas.iter().filter(|it| of(it.state) && is_up(it.node)).count() as u8;
        Self { projected: count(ReplicaState::will_serve), present: count(ReplicaState::is_served), awaited: 0 }
    }
}

/// What a copy is charged with: in the projected load, in the adjusted one, and as a peak while it loads. The adjusted load assumes the
/// fewest sharers on the way: a copy that comes does not help yet, and one that leaves helps no longer. So no move makes room for another
/// before it is done.
pub(crate) fn charges(footprint: &Footprint, state: ReplicaState, sharers: Sharers) -> (Resources, Resources, u64) {
    let (served, kept, none) = (footprint.serving(sharers.in_the_end()), footprint.disk_only(), Resources::default());
    let adjusted = footprint.serving(u32::from(sharers.fewest()));
    match state {
        ReplicaState::Loading | ReplicaState::Warming => (served, adjusted, footprint.load_peak_bytes),
        ReplicaState::Serving => (served, adjusted, 0),
        ReplicaState::Storing | ReplicaState::DiskOnly => (kept, kept, 0),
        ReplicaState::Cooling => (kept, adjusted, 0),
        ReplicaState::Leaving => (none, adjusted, 0),
        ReplicaState::LeavingDisk => (none, kept, 0),
    }
}

impl Node {
    fn charge(&mut self, footprint: &Footprint, state: ReplicaState, sharers: Sharers) {
        let (projected, adjusted, peak) = charges(footprint, state, sharers);
        self.projected.add(&projected);
        self.adjusted.add(&adjusted);
        self.load_peak_bytes = self.load_peak_bytes.saturating_add(peak);
    }

    fn discharge(&mut self, footprint: &Footprint, state: ReplicaState, sharers: Sharers) {
        let (projected, adjusted, peak) = charges(footprint, state, sharers);
        self.projected.subtract(&projected);
        self.adjusted.subtract(&adjusted);
        self.load_peak_bytes = self.load_peak_bytes.saturating_sub(peak);
    }

    /// Keeps charging what has just gone, until a report shows that it went. A node that never reports is believed at once.
    pub(super) fn settle(&mut self, load: Resources, gone_at_ms: u64) {
        if self.report.is_none() {
            return;
        }
        self.adjusted.add(&load);
        self.settling.push(Settling { gone_at_ms, load });
        if self.settling.len() > SETTLING_MAX {
            let oldest = self.settling.remove(0);
            self.adjusted.subtract(&oldest.load);
        }
    }

    /// Forgets departures that a report measured at `measured_at_ms` shows.
    pub(super) fn release_settled(&mut self, measured_at_ms: u64) {
        let adjusted = &mut self.adjusted;
        self.settling.retain(|it| {
            let shown = it.gone_at_ms <= measured_at_ms;
            if shown {
                adjusted.subtract(&it.load);
            }
            !shown
        });
    }
}

impl Segment {
    pub(super) fn load_of(&self, state: ReplicaState) -> Resources {
        charges(&self.footprint, state, self.sharers).1
    }
}

impl Cluster {
    /// Changes a segment, and keeps the sums: every change of footprint, copies or their nodes' lifecycle goes through here.
    pub(super) fn edit(&mut self, at: SegmentIx, change: impl FnOnce(&mut Segment)) {
        let segment = &mut self.segments[at.0 as usize];
        for replica in segment.replicas.iter() {
            self.nodes[replica.node.0 as usize].discharge(&segment.footprint, replica.state, segment.sharers);
        }
        change(segment);
        self.charge_copies(at);
    }

    /// Charges the nodes with a segment's copies, which must not be charged yet.
    pub(super) fn charge_copies(&mut self, at: SegmentIx) {
        let segment = &mut self.segments[at.0 as usize];
        segment.sharers = Sharers::count(&segment.replicas, |node| self.nodes[node.0 as usize].is_up());
        for replica in segment.replicas.iter() {
            self.nodes[replica.node.0 as usize].charge(&segment.footprint, replica.state, segment.sharers);
        }
        self.refresh_need(at);
    }

    /// Puts a copy into a segment and into its node's list. There must be room.
    pub(super) fn put_copy(&mut self, at: SegmentIx, node: NodeIx, state: ReplicaState) {
        let list = &mut self.nodes[node.0 as usize].segments;
        let position = list.len() as u32;
        list.push(at);
        self.edit(at, |segment| _ = segment.replicas.push(Replica::new(node, state, position)));
    }

    /// Takes a copy out of a segment and out of its node's list.
    pub(super) fn take_copy(&mut self, at: SegmentIx, node: NodeIx) {
        let mut taken = None;
        self.edit(at, |segment| taken = segment.replicas.remove(node));
        let Some(taken) = taken else { return };
        let list = &mut self.nodes[node.0 as usize].segments;
        list.swap_remove(taken.position() as usize);
        let Some(moved) = list.get(taken.position() as usize).copied() else { return };
        if let Some(replica) = self.segments[moved.0 as usize].replicas.on_mut(node) {
            replica.set_position(taken.position());
        }
    }

    pub(super) fn set_copy(&mut self, at: SegmentIx, node: NodeIx, state: ReplicaState) {
        self.edit(at, |segment| segment.replicas.on_mut(node).into_iter().for_each(|replica| replica.state = state));
    }

    pub(super) fn refresh_need(&mut self, at: SegmentIx) {
        let segment = &self.segments[at.0 as usize];
        let need = if segment.live { self.need(segment) } else { Need::default() };
        let before = Need::unpacked(segment.attention, segment.heat);
        if before == need {
            return;
        }
        self.attention.replace(at, before, need);
        let segment = &mut self.segments[at.0 as usize];
        (segment.attention, segment.heat) = (need.packed(), need.heat);
    }

    /// What a segment needs of the planner.
    pub(crate) fn need(&self, segment: &Segment) -> Need {
        let wanted = usize::from(segment.replicas_wanted);
        let up = || segment.replicas.iter().filter(|it| self.node(it.node).is_up());
        let held = up().filter(|it| it.state.stays()).count();
        let serving = usize::from(segment.sharers.projected);
        let mut bits = 0;
        bits |= if held < wanted || serving < wanted { SHORT } else { 0 };
        bits |= if held > wanted { SURPLUS } else { 0 };
        bits |= if self.is_crowded(&segment.replicas) { CROWDED } else { 0 };
        let copies_left = up().filter(|it| it.state.is_whole() && it.state.stays()).count() as u8;
        let heat = if bits & SHORT == 0 { self.heat(segment, held - wanted, serving - wanted) } else { Heat::default() };
        Need { bits, copies_left, heat }
    }

    /// Of a segment with so many copies, and served copies, beyond those wanted.
    fn heat(&self, segment: &Segment, extra: usize, extra_served: usize) -> Heat {
        let micros = |sharers: u8| segment.footprint.serving(u32::from(sharers)).0[2];
        let sharers = segment.sharers.projected;
        let heat = Heat::default().with_hot(extra, micros(sharers));
        let is_kept = |it: &Replica| it.state == ReplicaState::DiskOnly && self.node(it.node).is_up();
        match extra > 0 && !segment.replicas.iter().any(is_kept) {
            true => heat.with_warm(extra_served, micros(sharers.saturating_sub(1))),
            false => heat,
        }
    }

    fn is_crowded(&self, replicas: &Replicas) -> bool {
        let held = || replicas.iter().filter(|it| it.state.stays() && self.node(it.node).is_up());
        let count = held().count();
        if count < 2 {
            return false;
        }
        let (zones, racks) = spread(held().map(|it| self.node(it.node).spec.domain));
        zones < count.min(self.zones_active()) || racks < count.min(self.racks_active())
    }
}

/// How many zones and racks there are among `domains`: at most [`super::REPLICAS_MAX`] of them.
pub(crate) fn spread(domains: impl Iterator<Item = super::Domain>) -> (usize, usize) {
    let (mut zones, mut racks) = ([0u32; super::REPLICAS_MAX], [0u32; super::REPLICAS_MAX]);
    let (mut zone_count, mut rack_count) = (0, 0);
    for domain in domains {
        if zone_count < zones.len() && !zones[..zone_count].contains(&domain.zone) {
            zones[zone_count] = domain.zone;
            zone_count += 1;
        }
        if rack_count < racks.len() && !racks[..rack_count].contains(&domain.rack) {
            racks[rack_count] = domain.rack;
            rack_count += 1;
        }
    }
    (zone_count, rack_count)
}
