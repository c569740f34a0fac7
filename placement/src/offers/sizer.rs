//! How much a node offers: its window grows while its queries are fast, and is halved when they are not.
//!
//! Additive growth and halving is what lets many senders share a link without knowing of one another; here the link is the node's memory,
//! and the sign of congestion is the latency of its own queries.

use super::Offer;
use crate::admission::{AdmissionPolicy, Reservations, Standing, lines};
use crate::cluster::Level;

/// Every threshold of the window, and its source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowPolicy {
    /// What the window grows by, each time: this part of the node's memory. A sixty-fourth: an empty node is open within minutes.
    pub growth_share: f64,
    /// The window's largest size. A quarter: what comes in one breath must not be able to turn the node over.
    pub share_max: f64,
    /// The window's smallest size. A calm node always offers a little: otherwise nothing would ever tell that it could. A thirty-second: of
    /// 8 GiB one segment of 256 MiB, the largest that is written.
    pub share_min: f64,
    /// Time between two changes: latency needs as long to show what the last change did.
    pub interval_ms: u64,
    /// For how long an offer stands: three heartbeats.
    pub offer_ms: u64,
}

impl Default for WindowPolicy {
    fn default() -> Self {
        Self { growth_share: 1.0 / 64.0, share_max: 0.25, share_min: 1.0 / 32.0, interval_ms: 10_000, offer_ms: 15_000 }
    }
}

/// A node's window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// Part of the node's memory that it offers at most; 0 until the first offer.
    share: f64,
    changed_at_ms: u64,
}

impl Window {
    /// The window after a look at how the node is.
    pub fn step(self, standing: &Standing, policy: &WindowPolicy, now_ms: u64) -> Self {
        if self.share == 0.0 {
            return Self { share: policy.share_max / 2.0, changed_at_ms: now_ms };
        }
        if now_ms.saturating_sub(self.changed_at_ms) < policy.interval_ms {
            return self;
        }
        let slow = standing.p99_to_target > 1.0 || standing.level > Level::Calm;
        let share = if slow { self.share / 2.0 } else { self.share + policy.growth_share };
        Self { share: share.clamp(policy.share_min, policy.share_max), changed_at_ms: now_ms }
    }

    /// The part of the node's memory that is offered at most.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// What the node offers now. Nothing, unless it is calm.
    pub fn offer(
        &self,
        standing: &Standing,
        held: &Reservations,
        admission: &AdmissionPolicy,
        policy: &WindowPolicy,
        now_ms: u64,
    ) -> Offer {
        let (memory_line, disk_line) = lines(standing, admission);
        let (promised_memory, promised_disk) = held.promised_bytes();
        let free = |line: u64, used: u64, promised: u64| line.saturating_sub(used).saturating_sub(promised);
        let window_bytes = (standing.capacity.0[0] as f64 * self.share) as u64;
        let calm = standing.level == Level::Calm;
        let calm_only = |value: u64| if calm { value } else { 0 };
        Offer {
            node: standing.node,
            epoch: standing.epoch,
            resident_bytes: calm_only(free(memory_line, standing.used.0[0], promised_memory).min(window_bytes)),
            disk_bytes: calm_only(free(disk_line, standing.used.0[1], promised_disk)),
            loads_at_once: if calm { admission.loads_at_once_max } else { 0 },
            made_at_ms: now_ms,
            until_ms: now_ms.saturating_add(policy.offer_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Epoch, NodeId, Resources};

    fn standing(p99_to_target: f64, level: Level) -> Standing {
        let (capacity, used) = (Resources::new(6_400, 10_000, 1), Resources::new(100, 500, 0));
        Standing { node: NodeId(1), epoch: Epoch(1), capacity, used, level, p99_to_target }
    }

    #[test]
    fn it_grows_by_steps_and_halves() {
        let policy = WindowPolicy::default();
        let mut window = Window::default().step(&standing(0.5, Level::Calm), &policy, 0);
        assert_eq!(window.share(), 0.125);
        window = window.step(&standing(0.5, Level::Calm), &policy, 9_999);
        assert_eq!(window.share(), 0.125, "too early to tell");
        window = window.step(&standing(0.5, Level::Calm), &policy, 10_000);
        assert_eq!(window.share(), 0.140625);
        for (round, share) in [(2, 0.0703125), (3, 0.03515625), (4, 0.03125), (5, 0.03125)] {
            window = window.step(&standing(1.5, Level::Calm), &policy, round * 10_000);
            assert_eq!(window.share(), share);
        }
        for round in 6..60 {
            window = window.step(&standing(0.5, Level::Calm), &policy, round * 10_000);
        }
        assert_eq!(window.share(), 0.25);
    }

    #[test]
    fn it_offers_what_is_free_within_the_window_and_nothing_when_it_is_not_calm() {
        let (policy, admission) = (WindowPolicy::default(), AdmissionPolicy::default());
        let calm = standing(0.5, Level::Calm);
        let window = Window::default().step(&calm, &policy, 0);
        let offer = window.offer(&calm, &Reservations::default(), &admission, &policy, 5);
        assert_eq!((offer.resident_bytes, offer.disk_bytes, offer.loads_at_once, offer.until_ms), (800, 8_000, 4, 15_005));
        let full = Standing { used: Resources::new(5_700, 8_500, 0), ..calm };
        let offer = window.offer(&full, &Reservations::default(), &admission, &policy, 5);
        assert_eq!((offer.resident_bytes, offer.disk_bytes), (60, 0));
        let loaded = standing(0.5, Level::Loaded);
        let offer = window.offer(&loaded, &Reservations::default(), &admission, &policy, 5);
        assert_eq!((offer.resident_bytes, offer.disk_bytes, offer.loads_at_once), (0, 0, 0));
    }
}
