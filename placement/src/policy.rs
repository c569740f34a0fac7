//! Every threshold of the planner, with its unit and its source. docs/placement.md says more of each.

use crate::cluster::{RESOURCES, Resource};
use serde::{Deserialize, Serialize};

/// How to plan. The defaults serve; `explain` names the settings that decide nothing on the present state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Weight of each resource in the potential. Equal: a resource that is scarce weighs more by itself, since its shares are larger and the
    /// potential is convex.
    pub weights: [f64; RESOURCES],
    /// Share of a node's capacity beyond which nothing is brought to it, moves in flight counted at both ends. Memory 0.90: the capacity is
    /// the node's budget, its reserve already taken off, and milvus' `overloadedMemoryThresholdPercentage` is 90. Disk 0.85: the low
    /// watermark of elasticsearch. Processor 1.0: more than all of it cannot be promised.
    pub fill_share_max: [f64; RESOURCES],
    /// A node is out of balance when its share of a resource differs from the mean by more than this part of the mean, and is then brought
    /// back to half of it. 0.015: with the floor, max/mean stays below what is promised (1.02). HDFS's balancer tolerates 0.10 of the
    /// capacity. Much less would find nodes that no move can help, in every round anew.
    pub balance_band: f64,
    /// ... and by more than this share of the capacity: balancing what nobody is short of is not worth a byte.
    pub balance_floor_share: f64,
    /// The step: what a balancing move must gain for each share of all disks that it transfers. A move from a node at share `a` to one at
    /// `b` gains `2 (a - b)` for each share of a resource, so 0.002 asks for a thousandth of the capacity between them.
    pub step_per_share: f64,
    /// The step of a move however small: with it, the number of moves is bounded even for segments of no size.
    pub step_min: f64,
    /// Moves in flight into one node, at most, whatever it offers. 4: elasticsearch's `node_concurrent_recoveries` is 2, for shards that
    /// are far larger than segments.
    pub moves_in_per_node_max: u32,
    /// Moves in flight that read from one node, at most: fan-out is bounded like fan-in.
    pub moves_out_per_node_max: u32,
    /// Moves in flight in the whole cluster, at most: what bounds a round. Druid moves 100 segments at once for balance
    /// (`maxSegmentsToMove`) and copies 500 (`replicationThrottleLimit`).
    pub moves_in_flight_max: u32,
    /// For how long a segment that was moved rests from balance, and does not return to a node that it left for whatever reason. An hour: the half-life of
    /// heat, so that what was cause for the move has half gone before it is judged anew.
    pub segment_rest_ms: u64,
    /// For how long a segment is not moved back for balance to a node that it left. A day: on a static load balance has long settled by
    /// then, so nothing ever goes there and back; and the same hour of the next day is a new question.
    pub segment_return_ms: u64,
    /// Share of the mean node's processors that one copy of a segment may take; beyond it the segment is hot and gets one more.
    pub hot_share: f64,
    /// A copy for heat goes when the others would then each take less than this part of `hot_share`: hysteresis.
    pub hot_release: f64,
    /// Copies for heat, at most, beyond those wanted.
    pub hot_replicas_max: u8,
    /// How long a node may be down before its copies are made elsewhere, as long as one whole copy is left. 60 s: elasticsearch's
    /// `index.unassigned.node_left.delayed_timeout`; a restart is shorter than that.
    pub repair_delay_ms: u64,
    /// Part of its memory load that one plan takes off a strained node, at least one segment. 0.05: as much as a level differs from the next.
    pub strained_relief: f64,
    /// The same, of a critical node.
    pub critical_relief: f64,
    /// How long a node is left alone after it was relieved, unless its pressure has risen since. 40 s: PSI looks back 10 s, and a level falls
    /// only after 30 s below it; to relieve it before that would be to relieve it twice for one cause.
    pub relief_pause_ms: u64,
    /// A node's report is beyond belief when it says more than this many times what it carries, or less than that part of it. 2: footprints
    /// are kept within tens of percent of what is measured; a factor is a lie or a fault.
    pub report_implausible_ratio: f64,
    /// Part of what a node carries by which its report may exceed it without consequence: noise.
    pub report_noise: f64,
    /// Age beyond which a report says nothing. Three times the default interval of heartbeats with room for a slow one.
    pub report_age_max_ms: u64,
    /// Keep a copy on disk where no node has memory for it, rather than none.
    pub disk_only_copies: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            weights: [1.0; RESOURCES],
            fill_share_max: [0.90, 0.85, 1.0],
            balance_band: 0.015,
            balance_floor_share: 0.001,
            step_per_share: 0.002,
            step_min: 1e-13,
            moves_in_per_node_max: 4,
            moves_out_per_node_max: 4,
            moves_in_flight_max: 1_000,
            segment_rest_ms: 3_600_000,
            segment_return_ms: 86_400_000,
            hot_share: 0.02,
            hot_release: 0.5,
            hot_replicas_max: 2,
            repair_delay_ms: 60_000,
            strained_relief: 0.05,
            critical_relief: 0.10,
            relief_pause_ms: 40_000,
            report_implausible_ratio: 2.0,
            report_noise: 0.25,
            report_age_max_ms: 90_000,
            disk_only_copies: true,
        }
    }
}

impl Policy {
    /// Without bounds on the moves of a node or a round: the plan goes all the way to where balance ends.
    pub fn unbounded() -> Self {
        Self { moves_in_per_node_max: u32::MAX, moves_out_per_node_max: u32::MAX, moves_in_flight_max: u32::MAX, ..Self::default() }
    }

    /// What may be brought of a resource to a node of that capacity.
    pub fn line(&self, resource: Resource, capacity: u64) -> u64 {
        (capacity as f64 * self.fill_share_max[resource as usize]) as u64
    }
}
