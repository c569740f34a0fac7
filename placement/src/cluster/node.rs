//! Nodes: what they can carry, where they stand, how they are.

use super::arena::Arena;
use super::refusal::Refusal;
use super::resources::Resources;
use super::segment::SegmentIx;
use serde::{Deserialize, Serialize};

/// Names a node for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// A node's place in the arena of one [`super::Cluster`]. Means nothing outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIx(pub u32);

/// Counts the times that a node has changed so that it may answer differently: its start, its budget, its disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// Where a node stands. Two nodes of one rack may fail together, and so may two racks of one zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Domain {
    /// The zone.
    pub zone: u32,
    /// The rack; the number counts within the whole cluster.
    pub rack: u32,
}

/// What is decided of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lifecycle {
    /// Carries segments, and may get more.
    Active,
    /// Carries segments, is to lose them all, gets none.
    Draining,
    /// Cannot be reached: its copies count for nothing until it returns.
    Down,
}

/// How hard a node's memory is pressed; see [`crate::pressure`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Takes what it has offered.
    #[default]
    Calm,
    /// Offers nothing new.
    Loaded,
    /// Refuses, evicts, and is relieved by the planner.
    Strained,
    /// Sheds queries; relieved before everyone else.
    Critical,
}

/// What a node is, as it registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Its id.
    pub id: NodeId,
    /// What it can carry, reserves already taken off. A resource of 0 is one that it does not have.
    pub capacity: Resources,
    /// Where it stands.
    pub domain: Domain,
    /// Its epoch at registration.
    pub epoch: Epoch,
}

/// What a node measured of itself, as soft state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// When it was measured, on the leader's clock: whatever happened later is not in it.
    pub measured_at_ms: u64,
    /// The node's load as it was then.
    pub load: Resources,
}

/// A node, as the cluster knows it.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it registered with.
    pub spec: NodeSpec,
    /// What is decided of it.
    pub lifecycle: Lifecycle,
    /// It is to be emptied, though it be down meanwhile: when it is back, it drains.
    pub drains: bool,
    /// Its pressure.
    pub level: Level,
    /// When `level` last changed.
    pub level_since_ms: u64,
    /// Its last report.
    pub report: Option<Report>,
    /// What was believed of its load when the report came: at most, and at least. The report is judged against that, not against what was
    /// decided since.
    pub believed: (Resources, Resources),
    /// How many times what was believed its reports say of processor time, at least, for a while.
    pub lasting: Lasting,
    /// Segments of which it has or gets a copy, in no particular order.
    pub segments: Arena<SegmentIx, 256, 64>,
    /// What it carries once every move in flight is done: what the planner balances.
    pub projected: Resources,
    /// What it carries while every move in flight is charged at both ends: what must stay below its capacity.
    pub adjusted: Resources,
    /// Memory that the loads in flight need beyond what they leave resident.
    pub load_peak_bytes: u64,
    /// Moves in flight that end here.
    pub moves_in: u32,
    /// Moves in flight that relieve it.
    pub moves_out: u32,
    /// What it has refused, and has not taken back; oldest first.
    pub refusals: Vec<Refusal>,
    /// Departures that are done, but that no report shows yet: still part of `adjusted`.
    pub settling: Vec<Settling>,
    /// When a copy last left it.
    pub last_departure_ms: Option<u64>,
    /// When its lifecycle last changed.
    pub lifecycle_since_ms: u64,
}

/// Load that has left a node, until a late-enough report shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settling {
    /// When it was gone.
    pub gone_at_ms: u64,
    /// What was taken away.
    pub load: Resources,
}

/// The least of a ratio in the last one to two minutes; none until it was measured for a minute.
///
/// While a node is silent and not yet taken to be down, the others serve its queries: for a minute that is no reason to balance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lasting {
    /// Of the minute before, and of this one.
    least: [f64; 2],
    since_ms: Option<u64>,
}

impl Lasting {
    /// The length of a minute.
    const SPAN_MS: u64 = 60_000;

    pub(super) fn measure(&mut self, ratio: f64, measured_at_ms: u64) {
        let since_ms = *self.since_ms.get_or_insert(measured_at_ms);
        if measured_at_ms.saturating_sub(since_ms) >= Self::SPAN_MS {
            (self.least, self.since_ms) = ([self.least[1], ratio], Some(measured_at_ms));
        } else if since_ms == measured_at_ms {
            self.least[1] = ratio;
        } else {
            self.least[1] = self.least[1].min(ratio);
        }
    }

    /// What has lasted.
    pub fn least(&self) -> f64 {
        self.least[0].min(self.least[1])
    }
}

impl Node {
    /// A node without anything on it.
    pub fn new(spec: NodeSpec) -> Self {
        Self {
            spec,
            lifecycle: Lifecycle::Active,
            drains: false,
            level: Level::Calm,
            level_since_ms: 0,
            report: None,
            believed: Default::default(),
            lasting: Lasting::default(),
            segments: Arena::default(),
            projected: Resources::default(),
            adjusted: Resources::default(),
            load_peak_bytes: 0,
            moves_in: 0,
            moves_out: 0,
            refusals: Vec::new(),
            settling: Vec::new(),
            last_departure_ms: None,
            lifecycle_since_ms: 0,
        }
    }

    /// Do its copies count, and can they be read?
    pub fn is_up(&self) -> bool {
        self.lifecycle != Lifecycle::Down
    }

    /// Is it one of those that share the load?
    pub fn is_active(&self) -> bool {
        self.lifecycle == Lifecycle::Active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_the_least_that_was_measured_for_a_minute() {
        let mut lasting = Lasting::default();
        for at_s in (0..60).step_by(4) {
            lasting.measure(1.5, at_s * 1000);
            assert_eq!(lasting.least(), 0.0, "{at_s} s are not long enough");
        }
        lasting.measure(1.6, 60_000);
        assert_eq!(lasting.least(), 1.5);
        lasting.measure(1.0, 64_000);
        assert_eq!(lasting.least(), 1.0);
        (68..180).step_by(4).for_each(|at_s| lasting.measure(1.4, at_s * 1000));
        assert_eq!(lasting.least(), 1.0, "it counts until a minute without it has begun and ended");
        (180..240).step_by(4).for_each(|at_s| lasting.measure(1.4, at_s * 1000));
        assert_eq!(lasting.least(), 1.4);
    }
}
