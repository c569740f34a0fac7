//! A node as it truly is: what it carries, and how it suffers from that. Every formula is here, with its source.
//!
//! 1. **Working set** `W`: what the queries keep resident of the segments that are served, what loads under way need, and the background.
//!    `M` is the budget.
//! 2. **Misses**: once `W > M`, a page is missing with probability `1 - M / W` (the independent reference model, as in Denning's "Working
//!    sets past and present", 1980: which page is referenced next does not depend on the last).
//! 3. **Stall**: a miss costs `R` times a hit, so the share of time stalled is `miss R / (1 + miss R)`. `R` is 8: on the reference machine a
//!    page off the disk takes about 100 us, a warm one 0.4 us, and one read brings 32 pages (128 KiB of read-ahead): 100 / 0.4 / 32.
//! 4. **PSI avg10**: the kernel's own average: every 2 s, `avg = avg * 1677/2048 + sample * 371/2048` (`kernel/sched/loadavg.c`, `psi.c`:
//!    `EXP_10s` is `exp(-2 s / 10 s)` in fixed point).
//! 5. **p99**: of M/M/1, whose response time is exponential with mean `s / (1 - u)`: `ln 100 = 4.605` times that. `s` is 10 ms, longer by
//!    stalls and slowness; `u` is the processor time asked for over what there is, at most 0.98.
//! 6. **Death**: avg10 of at least 60 % for 30 s: what systemd-oomd kills for (`DefaultMemoryPressureLimit=60%`,
//!    `DefaultMemoryPressureDurationSec=30s`). `W = 1.23 M` is enough. It restarts after a minute, and queries want the same of it again.
//!    Shedding queries would save a node under any policy; it is left out, so that what is compared is placement.
//!
//! All in integers, parts in millionths: the same on every machine.

use super::random::scale;
use super::scenario::Hardware;
use crate::cluster::{Domain, Epoch, NodeId, NodeSpec, Resources};

/// One step of virtual time: the kernel's interval between two samples of pressure.
pub const TICK_MS: u64 = 2_000;
/// One, in millionths.
pub const WHOLE: u64 = 1_000_000;

const MISS_COST: u64 = 8;
const EXP_10S: u64 = 1677;
const EXP_ONE: u64 = 2048;
const SERVICE_MICROS: u64 = 10_000;
const BUSY_MAX: u64 = 980_000;
const LETHAL_STALL: u64 = 600_000;
const LETHAL_MS: u64 = 30_000;
/// How long a node that died of memory takes to be back.
pub const RESTART_MS: u64 = 60_000;

/// Is it there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It works.
    Up,
    /// It does not.
    Down {
        /// When it is back; none: only if somebody brings it back.
        until_ms: Option<u64>,
        /// It must load before it serves.
        cold: bool,
        /// It died of memory.
        of_memory: bool,
        /// Since when.
        since_ms: u64,
    },
}

/// A node.
#[derive(Clone, Debug)]
pub struct TrueNode {
    /// Its id.
    pub id: NodeId,
    /// What it has.
    pub hardware: Hardware,
    /// Where it stands.
    pub domain: Domain,
    /// Times that it started.
    pub epoch: Epoch,
    /// Is it there?
    pub presence: Presence,
    /// It joined during the run.
    pub joined: bool,
    /// What it carries: memory that served segments need, disk, processor time asked for.
    pub carried: Resources,
    /// Memory that loads need: peaks, and what is being warmed.
    pub loading_bytes: u64,
    /// The kernel's average of stalled time, in millionths.
    pub stall: u64,
    /// The 99th percentile of its queries.
    pub p99_micros: u64,
    /// Its speed, in percent.
    pub speed_percent: u64,
    /// What it says of itself, in percent of the truth.
    pub says_percent: u64,
    /// Until when it refuses whatever is asked.
    pub refuses_until_ms: u64,
    lethal_since_ms: Option<u64>,
}

impl TrueNode {
    /// A node that has just started.
    pub fn new(id: NodeId, hardware: Hardware, domain: Domain, joined: bool) -> Self {
        Self {
            id,
            hardware,
            domain,
            epoch: Epoch(1),
            presence: Presence::Up,
            joined,
            carried: Resources::default(),
            loading_bytes: 0,
            stall: 0,
            p99_micros: 0,
            speed_percent: 100,
            says_percent: 100,
            refuses_until_ms: 0,
            lethal_since_ms: None,
        }
    }

    /// Does it work?
    pub fn is_up(&self) -> bool {
        self.presence == Presence::Up
    }

    /// Did it die of memory, and is not back?
    pub fn is_dead_of_memory(&self) -> bool {
        matches!(self.presence, Presence::Down { of_memory: true, .. })
    }

    /// As it registers.
    pub fn spec(&self) -> NodeSpec {
        let capacity = Resources::new(self.hardware.memory_bytes, self.hardware.disk_bytes, self.hardware.cpu_micros);
        NodeSpec { id: self.id, capacity, domain: self.domain, epoch: self.epoch }
    }

    /// Memory that is wanted.
    pub fn working_set_bytes(&self) -> u64 {
        self.carried.0[0].saturating_add(self.loading_bytes)
    }

    /// The same, of its budget, in percent.
    pub fn memory_percent(&self) -> u64 {
        scale(self.working_set_bytes(), 100, self.hardware.memory_bytes)
    }

    /// Disk that is used, in percent.
    pub fn disk_percent(&self) -> u64 {
        scale(self.carried.0[1], 100, self.hardware.disk_bytes)
    }

    /// Does it suffer: is it dead of memory, short of it, or asked for more processor time than it has?
    pub fn is_overloaded(&self) -> bool {
        self.is_dead_of_memory() || self.is_up() && (self.working_set_bytes() > self.hardware.memory_bytes || self.busy() >= BUSY_MAX)
    }

    fn busy(&self) -> u64 {
        let able = scale(self.hardware.cpu_micros, self.speed_percent, 100);
        scale(self.carried.0[2], WHOLE, able).min(BUSY_MAX)
    }

    /// One tick passes. `true`: it dies of it.
    pub fn feel(&mut self, now_ms: u64) -> bool {
        let (wanted, there) = (self.working_set_bytes(), self.hardware.memory_bytes);
        let miss = scale(wanted.saturating_sub(there), WHOLE, wanted);
        let cost = miss * MISS_COST;
        self.stall = (self.stall * EXP_10S + scale(cost, WHOLE, WHOLE + cost) * (EXP_ONE - EXP_10S)) / EXP_ONE;
        let service_micros = scale(SERVICE_MICROS * 100 / self.speed_percent, WHOLE + cost, WHOLE);
        self.p99_micros = scale(service_micros * 4_605 / 1000, WHOLE, WHOLE - self.busy());
        if self.stall < LETHAL_STALL {
            self.lethal_since_ms = None;
            return false;
        }
        let since_ms = *self.lethal_since_ms.get_or_insert(now_ms);
        now_ms - since_ms >= LETHAL_MS
    }

    /// It is gone.
    pub fn stop(&mut self, now_ms: u64, until_ms: Option<u64>, cold: bool, of_memory: bool) {
        self.presence = Presence::Down { until_ms, cold, of_memory, since_ms: now_ms };
        (self.stall, self.p99_micros, self.loading_bytes, self.lethal_since_ms) = (0, 0, 0, None);
    }

    /// It is back, as one that may answer differently.
    pub fn start(&mut self) {
        self.presence = Presence::Up;
        self.epoch = Epoch(self.epoch.0 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn node(wanted_percent: u64, cpu_percent: u64) -> TrueNode {
        let hardware = Hardware {
            memory_bytes: 16 * GIB,
            disk_bytes: 100 * GIB,
            cpu_micros: 8_000_000,
            network_bytes_per_s: 1_250_000_000,
            disk_bytes_per_s: 500_000_000,
        };
        let mut node = TrueNode::new(NodeId(1), hardware, Domain::default(), false);
        node.carried = Resources::new(16 * GIB * wanted_percent / 100, 0, 80_000 * cpu_percent);
        node
    }

    fn felt(mut node: TrueNode, ticks: u64) -> (TrueNode, Option<u64>) {
        let died = (0..ticks).find(|tick| node.feel(tick * TICK_MS));
        (node, died)
    }

    #[test]
    fn within_its_memory_it_never_stalls_and_beyond_it_does_soon() {
        assert_eq!(felt(node(100, 0), 100).0.stall, 0);
        let (slightly, died) = felt(node(105, 0), 100);
        assert!((250_000..300_000).contains(&slightly.stall) && died.is_none(), "{}", slightly.stall);
        let (_, died) = felt(node(140, 0), 100);
        assert!(died.is_some_and(|tick| (15..40).contains(&tick)), "{died:?}");
    }

    #[test]
    fn latency_grows_with_load_slowness_and_stalls() {
        assert_eq!(felt(node(50, 0), 1).0.p99_micros, 46_050);
        assert_eq!(felt(node(50, 50), 1).0.p99_micros, 92_100);
        assert!(felt(node(105, 50), 1).0.p99_micros > 120_000);
        let mut slow = node(50, 50);
        slow.speed_percent = 50;
        assert!(felt(slow, 1).0.p99_micros > 4_000_000, "half the speed at half the load is all that it can do");
    }
}
