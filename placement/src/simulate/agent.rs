//! The node's own part, as the real one has it: [`crate::pressure`], [`crate::offers`], [`crate::admission`] with their defaults, fed with
//! what the true node feels. It knows its own memory as it truly is, unless it lies.

use super::node::TrueNode;
use super::random::scale;
use crate::admission::{AdmissionPolicy, LoadRequest, Reservations, Standing};
use crate::cluster::{Generation, Level, Refusal, RefusalReason};
use crate::offers::{Offer, Window, WindowPolicy};
use crate::pressure::{Pressure, PressurePolicy, Signals};

/// What the p99 of a node's queries should stay under.
const P99_TARGET_MICROS: u64 = 250_000;
/// How long the refusal of a node holds that refuses whatever it is asked.
const REFUSES_MS: u64 = 600_000;

/// The agent of one node.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    pressure: Pressure,
    window: Window,
    held: Reservations,
}

impl Agent {
    /// How pressed the node is.
    pub fn level(&self) -> Level {
        self.pressure.level
    }

    /// The level that the node's stalls and latency make.
    pub fn observe(&mut self, node: &TrueNode, now_ms: u64) -> Level {
        let signals =
            Signals { some_avg10_percent: node.stall as f64 / 10_000.0, p99_to_target: p99_to_target(node), ..Signals::default() };
        self.pressure = self.pressure.step(&signals, &PressurePolicy::default(), now_ms);
        self.pressure.level
    }

    fn standing(&self, node: &TrueNode, says_percent: u64) -> Standing {
        let mut used = node.carried;
        used.0[0] = node.working_set_bytes();
        used.0.iter_mut().for_each(|value| *value = scale(*value, says_percent, 100));
        Standing {
            node: node.id,
            epoch: node.epoch,
            capacity: node.spec().capacity,
            used,
            level: self.pressure.level,
            p99_to_target: p99_to_target(node),
        }
    }

    /// What the node offers. One that lies about its load lies about what is left.
    pub fn offer(&mut self, node: &TrueNode, now_ms: u64) -> Offer {
        let (standing, policy) = (self.standing(node, node.says_percent), WindowPolicy::default());
        self.window = self.window.step(&standing, &policy, now_ms);
        self.held.expire(now_ms);
        self.window.offer(&standing, &self.held, &AdmissionPolicy::default(), &policy, now_ms)
    }

    /// Yes, or why not.
    pub fn ask(&mut self, node: &TrueNode, request: &LoadRequest, now_ms: u64) -> Result<(), Refusal> {
        if now_ms < node.refuses_until_ms {
            let (segment, footprint, retry_after_ms) = (request.segment, request.footprint, now_ms + REFUSES_MS);
            return Err(Refusal { node: node.id, epoch: node.epoch, segment, footprint, reason: RefusalReason::Pressure, retry_after_ms });
        }
        self.held.ask(request, &self.standing(node, 100), &AdmissionPolicy::default(), now_ms).map(|_| ())
    }

    /// A load goes on.
    pub fn renew(&mut self, generation: Generation, now_ms: u64) {
        self.held.renew(generation, &AdmissionPolicy::default(), now_ms);
    }

    /// A load is over.
    pub fn release(&mut self, generation: Generation) {
        self.held.release(generation);
    }

    /// The node starts anew.
    pub fn restart(&mut self) {
        *self = Self::default();
    }
}

fn p99_to_target(node: &TrueNode) -> f64 {
    node.p99_micros as f64 / P99_TARGET_MICROS as f64
}
