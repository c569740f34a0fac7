//! Admission: the node's own yes or no, at the moment of loading.
//!
//! The planner proposes into offers, but an offer is old by the time a move begins. So the node is asked once more, and answers from its own
//! books: what it carries, what it has promised, how it is. A yes is a reservation, which expires; a no is typed, and says when to ask again.

use crate::cluster::{Epoch, Footprint, Generation, Level, NodeId, Refusal, RefusalReason, Resources};
use crate::model::UnitId;
use std::collections::BTreeMap;

/// Every threshold of admission, and its source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdmissionPolicy {
    /// Share of its budget that a node fills with what it carries and has promised; the planner's line is the same.
    pub fill_share_max: f64,
    /// Share of its disk.
    pub disk_share_max: f64,
    /// Loads under way at once. Each reads and maps a whole segment.
    pub loads_at_once_max: u32,
    /// Multiple of its target at which the p99 of the node's queries is reason to refuse: what pressure calls strained.
    pub p99_to_target_max: f64,
    /// For how long a reservation is kept for a load that is not heard of. A segment of 256 MiB at 10 MiB/s takes 26 s; twice that.
    pub reservation_ms: u64,
    /// When to ask again after a refusal for pressure or latency: as long as pressure needs to fall by a level.
    pub retry_pressed_ms: u64,
    /// When to ask again after a refusal for want of disk: reclaim runs every minute.
    pub retry_disk_ms: u64,
}

impl Default for AdmissionPolicy {
    fn default() -> Self {
        Self {
            fill_share_max: 0.90,
            disk_share_max: 0.85,
            loads_at_once_max: 4,
            p99_to_target_max: 2.0,
            reservation_ms: 60_000,
            retry_pressed_ms: 30_000,
            retry_disk_ms: 60_000,
        }
    }
}

/// What a node knows of itself when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The node.
    pub node: NodeId,
    /// Its epoch.
    pub epoch: Epoch,
    /// What it can carry.
    pub capacity: Resources,
    /// What it carries, by its own ledger; reservations not included.
    pub used: Resources,
    /// Its pressure.
    pub level: Level,
    /// The 99th percentile of its queries as a multiple of its target; 0 if there were none.
    pub p99_to_target: f64,
}

/// A load that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadRequest {
    /// The move that asks.
    pub generation: Generation,
    /// The segment.
    pub segment: UnitId,
    /// What it is expected to cost.
    pub footprint: Footprint,
    /// Will it be served? Otherwise only its disk counts.
    pub serves: bool,
    /// Is its file here already?
    pub on_disk: bool,
}

impl LoadRequest {
    fn resident_bytes(&self) -> u64 {
        if self.serves { self.footprint.resident_bytes.saturating_add(self.footprint.load_peak_bytes) } else { 0 }
    }

    fn disk_bytes(&self) -> u64 {
        if self.on_disk { 0 } else { self.footprint.disk_bytes }
    }
}

/// A promise: room for one load, until it is loaded, given up, or not heard of for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The move that it is for.
    pub generation: Generation,
    /// Memory, the peak included.
    pub resident_bytes: u64,
    /// Disk.
    pub disk_bytes: u64,
    /// When it is void.
    pub expires_at_ms: u64,
}

/// The promises of one node. Bounded by [`AdmissionPolicy::loads_at_once_max`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservations {
    held: BTreeMap<Generation, Reservation>,
}

impl Reservations {
    /// Those that are held, by move.
    pub fn iter(&self) -> impl Iterator<Item = &Reservation> {
        self.held.values()
    }

    /// Memory and disk that are promised.
    pub fn promised_bytes(&self) -> (u64, u64) {
        self.held.values().fold((0, 0), |sum, it| (sum.0.saturating_add(it.resident_bytes), sum.1.saturating_add(it.disk_bytes)))
    }

    /// Forgets what is void at `now_ms`.
    pub fn expire(&mut self, now_ms: u64) {
        self.held.retain(|_, it| now_ms < it.expires_at_ms);
    }

    /// The load goes on: its reservation is kept for as long again. `false`: it had expired, and must be asked for anew.
    pub fn renew(&mut self, generation: Generation, policy: &AdmissionPolicy, now_ms: u64) -> bool {
        self.expire(now_ms);
        let Some(held) = self.held.get_mut(&generation) else { return false };
        held.expires_at_ms = now_ms.saturating_add(policy.reservation_ms);
        true
    }

    /// The load is done, and part of what the node carries; or it was given up.
    pub fn release(&mut self, generation: Generation) {
        self.held.remove(&generation);
    }

    /// Yes or no. Asking again for the same move renews its reservation; for more than was promised it is asked as anything else is, and after a no what
    /// was promised stays so.
    pub fn ask(
        &mut self,
        request: &LoadRequest,
        standing: &Standing,
        policy: &AdmissionPolicy,
        now_ms: u64,
    ) -> Result<Reservation, Refusal> {
        self.expire(now_ms);
        let before = self.held.remove(&request.generation);
        let is_promised = before.is_some_and(|it| request.resident_bytes() <= it.resident_bytes && request.disk_bytes() <= it.disk_bytes);
        if !is_promised && let Some((reason, retry_after_ms)) = self.reason_against(request, standing, policy, now_ms) {
            before.into_iter().for_each(|it| _ = self.held.insert(it.generation, it));
            let Standing { node, epoch, .. } = *standing;
            return Err(Refusal { node, epoch, segment: request.segment, footprint: request.footprint, reason, retry_after_ms });
        }
        let reservation = Reservation {
            generation: request.generation,
            resident_bytes: request.resident_bytes(),
            disk_bytes: request.disk_bytes(),
            expires_at_ms: now_ms.saturating_add(policy.reservation_ms),
        };
        self.held.insert(request.generation, reservation);
        Ok(reservation)
    }

    fn reason_against(
        &self,
        request: &LoadRequest,
        standing: &Standing,
        policy: &AdmissionPolicy,
        now_ms: u64,
    ) -> Option<(RefusalReason, u64)> {
        let (memory, disk) = (request.resident_bytes(), request.disk_bytes());
        let (memory_line, disk_line) = lines(standing, policy);
        let (promised_memory, promised_disk) = self.promised_bytes();
        let (used_memory, used_disk) = (standing.used.0[0], standing.used.0[1]);
        let pressed_ms = now_ms.saturating_add(policy.retry_pressed_ms);
        let promises_ms = self.held.values().map(|it| it.expires_at_ms).min().unwrap_or(pressed_ms);
        let promised = (RefusalReason::ReservationInFlight, promises_ms);
        match () {
            () if memory > memory_line || disk > disk_line => Some((RefusalReason::NeverFits, u64::MAX)),
            () if standing.level >= Level::Strained => Some((RefusalReason::Pressure, pressed_ms)),
            () if standing.p99_to_target >= policy.p99_to_target_max => Some((RefusalReason::Latency, pressed_ms)),
            () if used_disk.saturating_add(disk) > disk_line => Some((RefusalReason::Disk, now_ms.saturating_add(policy.retry_disk_ms))),
            () if memory > 0 && used_memory.saturating_add(memory) > memory_line => Some((RefusalReason::Pressure, pressed_ms)),
            () if self.held.len() as u64 >= u64::from(policy.loads_at_once_max) => Some(promised),
            () if memory > 0 && used_memory.saturating_add(promised_memory).saturating_add(memory) > memory_line => Some(promised),
            () if used_disk.saturating_add(promised_disk).saturating_add(disk) > disk_line => Some(promised),
            () => None,
        }
    }
}

/// Up to where a node fills its memory and its disk.
pub(crate) fn lines(standing: &Standing, policy: &AdmissionPolicy) -> (u64, u64) {
    let line = |capacity: u64, share: f64| (capacity as f64 * share) as u64;
    (line(standing.capacity.0[0], policy.fill_share_max), line(standing.capacity.0[1], policy.disk_share_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(used_memory: u64, used_disk: u64) -> Standing {
        Standing {
            node: NodeId(1),
            epoch: Epoch(2),
            capacity: Resources::new(1_000, 10_000, 1_000),
            used: Resources::new(used_memory, used_disk, 0),
            level: Level::Calm,
            p99_to_target: 0.5,
        }
    }

    fn request(generation: u64, resident_bytes: u64, disk_bytes: u64) -> LoadRequest {
        let footprint = Footprint { resident_bytes, disk_bytes, cpu_micros: 1, load_peak_bytes: 10 };
        LoadRequest { generation: Generation(generation), segment: UnitId(generation), footprint, serves: true, on_disk: false }
    }

    fn refused(reservations: &mut Reservations, request: &LoadRequest, standing: &Standing) -> (RefusalReason, u64) {
        let refusal = reservations.ask(request, standing, &AdmissionPolicy::default(), 1_000).expect_err("it must be refused");
        assert_eq!((refusal.node, refusal.epoch, refusal.segment), (NodeId(1), Epoch(2), request.segment));
        (refusal.reason, refusal.retry_after_ms)
    }

    #[test]
    fn each_no_says_which() {
        let mut none = Reservations::default();
        let strained = Standing { level: Level::Strained, ..standing(0, 0) };
        let slow = Standing { p99_to_target: 2.0, ..standing(0, 0) };
        assert_eq!(refused(&mut none, &request(1, 891, 1), &standing(0, 0)), (RefusalReason::NeverFits, u64::MAX));
        assert_eq!(refused(&mut none, &request(1, 1, 8_501), &standing(0, 0)), (RefusalReason::NeverFits, u64::MAX));
        assert_eq!(refused(&mut none, &request(1, 1, 1), &strained), (RefusalReason::Pressure, 31_000));
        assert_eq!(refused(&mut none, &request(1, 1, 1), &slow), (RefusalReason::Latency, 31_000));
        assert_eq!(refused(&mut none, &request(1, 1, 5_000), &standing(0, 4_000)), (RefusalReason::Disk, 61_000));
        assert_eq!(refused(&mut none, &request(1, 500, 1), &standing(500, 0)), (RefusalReason::Pressure, 31_000));
        let loaded = Standing { level: Level::Loaded, ..standing(0, 0) };
        assert!(none.ask(&request(1, 100, 1), &loaded, &AdmissionPolicy::default(), 0).is_ok(), "loaded keeps to what it has offered");
    }

    #[test]
    fn what_is_promised_is_not_promised_again_until_it_is_released_or_expires() {
        let (mut held, policy) = (Reservations::default(), AdmissionPolicy::default());
        held.ask(&request(1, 500, 100), &standing(0, 0), &policy, 0).expect("there is room");
        assert_eq!(refused(&mut held, &request(2, 500, 100), &standing(0, 0)), (RefusalReason::ReservationInFlight, 60_000));
        let again = held.ask(&request(1, 500, 100), &standing(0, 0), &policy, 50_000).expect("it is the same load");
        assert_eq!((again.expires_at_ms, held.iter().count()), (110_000, 1));
        assert!(held.ask(&request(2, 500, 100), &standing(0, 0), &policy, 110_000).is_ok(), "the first has expired");
        assert!(!held.renew(Generation(1), &policy, 110_000) && held.renew(Generation(2), &policy, 110_000));
        held.release(Generation(2));
        assert_eq!(held.promised_bytes(), (0, 0));
    }

    #[test]
    fn a_load_that_has_grown_is_asked_for_anew() {
        let (mut held, policy) = (Reservations::default(), AdmissionPolicy::default());
        held.ask(&request(1, 500, 100), &standing(0, 0), &policy, 0).expect("there is room");
        held.ask(&request(2, 200, 100), &standing(0, 0), &policy, 0).expect("there is room");
        assert_eq!(refused(&mut held, &request(1, 700, 100), &standing(0, 0)).0, RefusalReason::ReservationInFlight);
        assert_eq!(held.promised_bytes(), (720, 200), "what was promised stays so");
        let more = held.ask(&request(1, 600, 100), &standing(0, 0), &policy, 1_000).expect("there is room for that");
        assert_eq!((more.resident_bytes, held.promised_bytes().0), (610, 820));
        let absurd = Footprint { resident_bytes: u64::MAX, disk_bytes: u64::MAX, cpu_micros: u64::MAX, load_peak_bytes: u64::MAX };
        let absurd = LoadRequest { footprint: absurd, ..request(1, 0, 0) };
        assert_eq!(refused(&mut held, &absurd, &standing(0, 0)).0, RefusalReason::NeverFits);
    }

    #[test]
    fn a_copy_that_is_not_served_needs_no_memory() {
        let mut none = Reservations::default();
        let kept = LoadRequest { serves: false, ..request(1, 5_000, 100) };
        let reservation = none.ask(&kept, &standing(900, 0), &AdmissionPolicy::default(), 0).expect("it needs disk only");
        assert_eq!((reservation.resident_bytes, reservation.disk_bytes), (0, 100));
    }

    #[test]
    fn loads_at_once_are_bounded() {
        let mut held = Reservations::default();
        for generation in 0..4 {
            held.ask(&request(generation, 1, 1), &standing(0, 0), &AdmissionPolicy::default(), 0).expect("there is room");
        }
        assert_eq!(refused(&mut held, &request(9, 1, 1), &standing(0, 0)).0, RefusalReason::ReservationInFlight);
    }
}
