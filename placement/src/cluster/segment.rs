//! Segments, and the copies of them that nodes keep.

use super::attention::Heat;
use super::ledger::Sharers;
use super::node::NodeIx;
use super::resources::Footprint;
use crate::model::{TableId, UnitId};
use serde::{Deserialize, Serialize};

/// Copies of one segment, at most: those that are wanted, those for heat, and those of a move in flight.
pub const REPLICAS_MAX: usize = 8;

/// A segment's place in the arena of one [`super::Cluster`]. Means nothing outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentIx(pub u32);

/// What is known of a segment when it comes into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentSpec {
    /// Its id.
    pub id: UnitId,
    /// Its table.
    pub table: TableId,
    /// What it costs.
    pub footprint: Footprint,
    /// Copies that its owner asked for: 1 to [`REPLICAS_WANTED_MAX`]. Heat may add to them.
    pub replicas_wanted: u8,
}

/// The most copies that anybody may ask for; the rest of [`REPLICAS_MAX`] is for heat and for moves in flight.
pub const REPLICAS_WANTED_MAX: u8 = 5;

/// What a copy is good for, and on its way to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReplicaState {
    /// On its way here, to be served; nothing can be read from it.
    Loading,
    /// On its way to the disk here; nothing can be read from it.
    Storing,
    /// Queries read it here.
    Serving,
    /// Whole on the disk, not served: it protects, and costs no memory.
    DiskOnly,
    /// Whole on the disk, and on its way to be served.
    Warming,
    /// Served until its move is finished; then it is kept on disk only.
    Cooling,
    /// Served here until its move has switched; then it goes.
    Leaving,
    /// Whole on the disk until its move is finished; then it goes.
    LeavingDisk,
}

impl ReplicaState {
    /// Can it be copied from?
    pub fn is_whole(self) -> bool {
        !matches!(self, Self::Loading | Self::Storing)
    }

    /// Do queries read it now?
    pub fn is_served(self) -> bool {
        matches!(self, Self::Serving | Self::Cooling | Self::Leaving)
    }

    /// Is it there when all moves in flight are done?
    pub fn stays(self) -> bool {
        !matches!(self, Self::Leaving | Self::LeavingDisk)
    }

    /// Is it served when all moves in flight are done?
    pub fn will_serve(self) -> bool {
        matches!(self, Self::Loading | Self::Serving | Self::Warming)
    }
}

/// One copy of a segment, in eight bytes: two of them lie in a segment's first cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Replica {
    /// The node.
    pub node: NodeIx,
    /// What it is good for.
    pub state: ReplicaState,
    position: Position,
}

/// Where a segment stands in a node's list: 24 bits, more than [`super::NODE_COPIES_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position([u8; 3]);

impl Replica {
    /// A copy that stands at `position` of its node's list.
    pub(crate) fn new(node: NodeIx, state: ReplicaState, position: u32) -> Self {
        let mut replica = Self { node, state, position: Position::default() };
        replica.set_position(position);
        replica
    }

    /// Where the segment stands in the node's list.
    pub(crate) fn position(&self) -> u32 {
        let [low, middle, high] = self.position.0;
        u32::from_le_bytes([low, middle, high, 0])
    }

    pub(crate) fn set_position(&mut self, position: u32) {
        let [low, middle, high, over] = position.to_le_bytes();
        debug_assert_eq!(over, 0, "a node has at most NODE_COPIES_MAX copies");
        self.position = Position([low, middle, high]);
    }
}

/// The copies of one segment: a small array, nothing on the heap.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Replicas {
    count: u8,
    slots: [Replica; REPLICAS_MAX],
}

impl Default for Replicas {
    fn default() -> Self {
        let none = Replica::new(NodeIx(u32::MAX), ReplicaState::Loading, 0);
        Self { slots: [none; REPLICAS_MAX], count: 0 }
    }
}

impl std::ops::Deref for Replicas {
    type Target = [Replica];
    fn deref(&self) -> &[Replica] {
        &self.slots[..usize::from(self.count)]
    }
}

impl std::ops::DerefMut for Replicas {
    fn deref_mut(&mut self) -> &mut [Replica] {
        &mut self.slots[..usize::from(self.count)]
    }
}

impl Replicas {
    /// The copy on `node`.
    pub fn on(&self, node: NodeIx) -> Option<&Replica> {
        self.iter().find(|replica| replica.node == node)
    }

    pub(crate) fn on_mut(&mut self, node: NodeIx) -> Option<&mut Replica> {
        self.iter_mut().find(|replica| replica.node == node)
    }

    /// Adds a copy; `false` if there is no room for one more.
    pub(crate) fn push(&mut self, replica: Replica) -> bool {
        let Some(slot) = self.slots.get_mut(usize::from(self.count)) else { return false };
        *slot = replica;
        self.count += 1;
        true
    }

    pub(crate) fn remove(&mut self, node: NodeIx) -> Option<Replica> {
        let at = self.iter().position(|replica| replica.node == node)?;
        let removed = self.slots[at];
        self.slots.copy_within(at + 1..usize::from(self.count), at);
        self.count -= 1;
        Some(removed)
    }
}

/// A departure that is remembered, so that the segment does not come back soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The node that it left.
    pub node: NodeIx,
    /// When, in seconds (rounded up) of the clock that passes milliseconds in.
    pub at_s: u32,
}

impl Departure {
    /// Is it less than `rest_ms` ago?
    pub fn is_recent(&self, now_ms: u64, rest_ms: u64) -> bool {
        now_ms < u64::from(self.at_s).saturating_mul(1000).saturating_add(rest_ms)
    }
}

/// Departures remembered for each segment. One that has left so many nodes not long ago stays where it is for as long.
pub const DEPARTURES_MAX: usize = 6;

/// Where a segment was lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departures([Departure; DEPARTURES_MAX]);

impl Default for Departures {
    fn default() -> Self {
        Self([Departure { node: NodeIx(u32::MAX), at_s: 0 }; DEPARTURES_MAX])
    }
}

impl Departures {
    /// Those that are remembered, latest first.
    pub fn iter(&self) -> impl Iterator<Item = &Departure> + Clone {
        self.0.iter().filter(|it| it.node != NodeIx(u32::MAX))
    }

    /// Those less than `rest_ms` ago.
    pub fn recent(&self, now_ms: u64, rest_ms: u64) -> impl Iterator<Item = &Departure> + Clone {
        self.iter().filter(move |it| it.is_recent(now_ms, rest_ms))
    }

    pub(crate) fn push(&mut self, node: NodeIx, now_ms: u64) {
        self.0.rotate_right(1);
        self.0[0] = Departure { node, at_s: u32::try_from(now_ms.div_ceil(1000)).unwrap_or(u32::MAX) };
    }
}

/// A segment, as the cluster knows it.
///
/// What the planner weighs (the footprint, what moves, the first copies) comes first and lies in one cache line: a plan that looks at
/// segments at random is bound by that.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Segment {
    /// What it costs.
    pub footprint: Footprint,
    /// Moves of it in flight.
    pub moves: u8,
    /// Copies that its owner asked for.
    pub replicas_wanted: u8,
    /// Copies among which its queries are shared.
    pub(crate) sharers: Sharers,
    /// What it needs of the planner, as bits of [`super::attention`].
    pub(crate) attention: u8,
    /// The arena's slot is in use.
    pub(crate) live: bool,
    /// Its copies.
    pub replicas: Replicas,
    /// Where it was lately.
    pub departures: Departures,
    /// Its id.
    pub id: UnitId,
    /// Its table.
    pub table: TableId,
    /// What heat makes of it, as in [`super::attention`].
    pub(crate) heat: Heat,
}

// Three cache lines, whatever is added.
const _: () = assert!(size_of::<Segment>() == 192 && size_of::<Replica>() == 8);
