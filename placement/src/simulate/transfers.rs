//! Moves under way: bytes over the network, bytes off the disk, both shared among those who want them.
//!
//! A copy goes at the least of what its source's network, its target's network and its target's disk give it; warming reads what is to be
//! resident from the target's disk. Each of them is shared evenly among the transfers that use it.

use super::node::{TICK_MS, TrueNode};
use super::random::scale;
use crate::UnitId;
use crate::cluster::{Generation, MoveKind};

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The file goes over the network; so many bytes are left.
    Copying(u64),
    /// What is to be resident is read; so many bytes are left.
    Warming(u64),
    /// The source finishes what it has begun.
    Draining,
}

/// A move under way. Nodes are named by their place in the world's list.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Its move.
    pub generation: Generation,
    /// The segment.
    pub segment: UnitId,
    /// What it does.
    pub kind: MoveKind,
    /// From where.
    pub from: Option<usize>,
    /// To where.
    pub to: Option<usize>,
    /// How far it is.
    pub stage: Stage,
    /// What is to be resident in the end.
    pub resident_bytes: u64,
    /// Memory that loading needs besides.
    pub peak_bytes: u64,
}

/// How many share each node's network and disk.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    sends: Vec<u64>,
    receives: Vec<u64>,
    warms: Vec<u64>,
}

impl Shares {
    /// Counted from the transfers under way.
    pub fn count(nodes: usize, transfers: impl Iterator<Item = Transfer>) -> Self {
        let mut shares = Self { sends: vec![0; nodes], receives: vec![0; nodes], warms: vec![0; nodes] };
        for it in transfers {
            match it.stage {
                Stage::Copying(_) => {
                    it.from.into_iter().for_each(|node| shares.sends[node] += 1);
                    it.to.into_iter().for_each(|node| shares.receives[node] += 1);
                }
                Stage::Warming(_) => it.to.into_iter().for_each(|node| shares.warms[node] += 1),
                Stage::Draining => {}
            }
        }
        shares
    }

    fn copies_per_s(&self, nodes: &[TrueNode], it: &Transfer) -> u64 {
        let part = |node: usize, bytes: u64, count: u64| scale(bytes, nodes[node].speed_percent, 100 * count.max(1));
        let sends = it.from.map_or(u64::MAX, |node| part(node, nodes[node].hardware.network_bytes_per_s, self.sends[node]));
        let receives = it.to.map_or(u64::MAX, |node| {
            let hardware = nodes[node].hardware;
            let disk = part(node, hardware.disk_bytes_per_s, self.receives[node] + self.warms[node]);
            part(node, hardware.network_bytes_per_s, self.receives[node]).min(disk)
        });
        sends.min(receives).max(1)
    }

    fn warms_per_s(&self, nodes: &[TrueNode], it: &Transfer) -> u64 {
        let Some(node) = it.to else { return u64::MAX };
        let count = self.receives[node] + self.warms[node];
        scale(nodes[node].hardware.disk_bytes_per_s, nodes[node].speed_percent, 100 * count.max(1)).max(1)
    }

    /// One tick of a transfer: where it is then.
    pub fn advance(&self, nodes: &[TrueNode], it: &Transfer) -> Stage {
        let mut left_ms = TICK_MS;
        let mut stage = it.stage;
        if let Stage::Copying(bytes) = stage {
            let rate = self.copies_per_s(nodes, it);
            let needs_ms = scale(bytes, 1000, rate);
            if needs_ms > left_ms {
                return Stage::Copying(bytes - scale(rate, left_ms, 1000).min(bytes));
            }
            left_ms -= needs_ms;
            stage = if it.kind.serves() { Stage::Warming(it.resident_bytes) } else { Stage::Draining };
        }
        if let Stage::Warming(bytes) = stage {
            let rate = self.warms_per_s(nodes, it);
            let needs_ms = scale(bytes, 1000, rate);
            if needs_ms > left_ms {
                return Stage::Warming(bytes - scale(rate, left_ms, 1000).min(bytes));
            }
            stage = Stage::Draining;
        }
        stage
    }
}
