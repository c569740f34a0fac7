//! Refusals: a node's typed no. They are decisions of the log: they survive a leader, and the planner keeps to them.

use super::node::{Epoch, NodeId};
use super::resources::Footprint;
use crate::model::UnitId;
use serde::{Deserialize, Serialize};

/// Why a node said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RefusalReason {
    /// The node could not hold it if it held nothing else.
    NeverFits,
    /// What is free is promised to loads that are under way.
    ReservationInFlight,
    /// Its memory is pressed.
    Pressure,
    /// Its queries are too slow already.
    Latency,
    /// Its disk has no room.
    Disk,
}

impl RefusalReason {
    /// Its name, as users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverFits => "never fits",
            Self::ReservationInFlight => "reservation in flight",
            Self::Pressure => "pressure",
            Self::Latency => "latency",
            Self::Disk => "disk",
        }
    }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who refused.
    pub node: NodeId,
    /// In which epoch of itself: a later epoch takes the refusal back.
    pub epoch: Epoch,
    /// What was refused.
    pub segment: UnitId,
    /// What it was expected to cost then.
    pub footprint: Footprint,
    /// Why.
    pub reason: RefusalReason,
    /// Until when nothing that it covers may be proposed. `u64::MAX`: for as long as the node stays as it is.
    pub retry_after_ms: u64,
}

impl Refusal {
    /// Does it still hold?
    pub fn holds(&self, epoch: Epoch, now_ms: u64) -> bool {
        epoch == self.epoch && now_ms < self.retry_after_ms
    }

    /// Does it cover whatever is brought?
    pub fn is_node_wide(&self) -> bool {
        matches!(self.reason, RefusalReason::Pressure | RefusalReason::Latency)
    }

    /// Does it cover a segment of that footprint? What is said of one segment is said of every one that is no smaller in what was short;
    /// pressure and latency speak of the node, whatever is brought.
    pub fn covers(&self, segment: UnitId, footprint: &Footprint) -> bool {
        let memory = |it: &Footprint| it.resident_bytes.saturating_add(it.load_peak_bytes);
        match self.reason {
            RefusalReason::Pressure | RefusalReason::Latency => true,
            RefusalReason::Disk => footprint.disk_bytes >= self.footprint.disk_bytes,
            RefusalReason::NeverFits | RefusalReason::ReservationInFlight => {
                segment == self.segment || memory(footprint) >= memory(&self.footprint)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(reason: RefusalReason) -> Refusal {
        let footprint = Footprint { resident_bytes: 100, disk_bytes: 200, cpu_micros: 1, load_peak_bytes: 10 };
        Refusal { node: NodeId(1), epoch: Epoch(3), segment: UnitId(7), footprint, reason, retry_after_ms: 500 }
    }

    #[test]
    fn it_holds_until_its_time_or_until_the_node_has_changed() {
        let refusal = refusal(RefusalReason::NeverFits);
        assert!(refusal.holds(Epoch(3), 499) && !refusal.holds(Epoch(3), 500) && !refusal.holds(Epoch(4), 0));
    }

    #[test]
    fn it_covers_what_is_no_smaller_in_what_was_short() {
        let smaller = Footprint { resident_bytes: 99, disk_bytes: 999, cpu_micros: 1, load_peak_bytes: 10 };
        assert!(!refusal(RefusalReason::NeverFits).covers(UnitId(8), &smaller));
        assert!(refusal(RefusalReason::NeverFits).covers(UnitId(7), &smaller), "the segment itself, whatever became of it");
        assert!(refusal(RefusalReason::Disk).covers(UnitId(8), &smaller));
        assert!(refusal(RefusalReason::Pressure).covers(UnitId(8), &Footprint::default()));
    }
}
