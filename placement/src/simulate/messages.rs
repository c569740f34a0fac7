//! What nodes tell, and what becomes of it: heartbeats, measured footprints, silence. Signs of life are never late, reports may be.

use super::node::TICK_MS;
use super::random::scale;
use super::world::{World, note};
use crate::UnitId;
use crate::cluster::{Decision, Footprint, NodeIx, Report};
use crate::explain::{self, Finding, Question};
use crate::footprints::{Measured, TellingPolicy};
use crate::leader::Message;
use crate::load::Trust;

/// Heartbeats after which exact measurements have nothing new to tell.
const SETTLED_HEARTBEATS: u64 = 60;

/// A segment as it truly is.
#[derive(Clone, Debug)]
pub struct TrueSegment {
    /// Its table, by its place in the scenario.
    pub table: usize,
    /// Its number within the table.
    pub number: u64,
    /// What it costs.
    pub truth: Footprint,
    /// What nodes measured of it, and told.
    measured: Measured,
}

impl World<'_> {
    pub(super) fn tell(&mut self) {
        let every = self.scenario.heartbeat_ms;
        for at in 0..self.nodes.len() {
            let offset = (at as u64 * TICK_MS) % every;
            if !self.nodes[at].is_up() {
                continue;
            }
            let due = (self.now_ms + offset) % every < TICK_MS;
            if self.eager.contains(&at) || due {
                let offer = self.agents[at].offer(&self.nodes[at], self.now_ms);
                self.leader.take_offer(offer);
            }
            if due {
                self.leader.node_lives(self.nodes[at].id, self.now_ms);
                let message = self.message(at);
                self.told += 1;
                self.mail.insert((self.now_ms + self.reports.late_ms, self.told), message);
            }
        }
        self.eager.clear();
    }

    fn message(&mut self, at: usize) -> Message {
        let (now_ms, noise) = (self.now_ms, self.reports.noise_percent);
        let footprints = self.measure_footprints(at);
        let node = &self.nodes[at];
        let mut load = node.carried;
        load.0[0] = node.working_set_bytes();
        for value in &mut load.0 {
            *value = self.noise.around(scale(*value, node.says_percent, 100), noise);
        }
        let report = Report { measured_at_ms: now_ms, load };
        Message { node: node.id, epoch: node.epoch, report, level: self.agents[at].level(), footprints }
    }

    /// What a node's segments cost, where that is not what was told. The first node that serves a segment speaks for it.
    fn measure_footprints(&mut self, at: usize) -> Vec<(UnitId, Footprint)> {
        let cluster = &self.leader.cluster;
        let says = self.nodes[at].says_percent;
        let mut told = Vec::new();
        let is_exact = self.reports.noise_percent == 0 && self.liars.is_empty();
        if is_exact && self.now_ms > self.changed_ms + SETTLED_HEARTBEATS * self.scenario.heartbeat_ms {
            return told;
        }
        for segment in cluster.node(NodeIx(at as u32)).segments.iter() {
            let segment = cluster.segment(*segment);
            let speaker = segment.replicas.iter().find(|it| it.state.is_served() && self.nodes[it.node.0 as usize].is_up());
            if speaker.is_none_or(|it| it.node.0 as usize != at) {
                continue;
            }
            let it = &mut self.segments[segment.id.0 as usize];
            let mut measured = it.truth;
            measured.resident_bytes = self.noise.around(scale(it.truth.resident_bytes, says, 100), self.reports.noise_percent);
            measured.cpu_micros = self.noise.around(scale(it.truth.cpu_micros, says, 100), self.reports.noise_percent);
            if it.measured.learn(measured, &TellingPolicy::default()) || segment.footprint != it.measured.told() {
                told.push((segment.id, it.measured.told()));
            }
        }
        told
    }

    pub(super) fn hear(&mut self) {
        while let Some(entry) = self.mail.first_entry().filter(|it| it.key().0 <= self.now_ms) {
            let message = entry.remove();
            let disbelieved = self.leader.hear(&message, &self.policy, self.now_ms);
            if let Some((node, Trust::Implausible(resource, ratio))) = disbelieved
                && self.disbelieved.insert(node)
            {
                let tenths = (ratio * 10.0) as u64;
                note!(self, "node {} is not believed: it says {}.{} times its {}", node.0, tenths / 10, tenths % 10, resource.name());
                self.measures.count("disbelieved-nodes");
                self.explain();
            }
        }
    }

    /// Whom `EXPLAIN PLACEMENT` points at, as one whose reports are set aside.
    fn explain(&mut self) {
        let (state, offers, policy) = (&self.leader.cluster, &self.leader.offers, &self.policy);
        let explained = explain::cluster(&Question { state, offers, policy, now_ms: self.now_ms });
        for (node, _) in explained.findings.iter().filter(|(_, it)| matches!(it, Finding::Implausible(..))) {
            note!(self, "EXPLAIN PLACEMENT points at node {}", node.0);
            self.explained.insert(*node);
        }
        self.measures.set("explained-nodes", self.explained.len() as u64);
    }

    /// What the leader decides by itself: nodes that were silent are down, moves that nobody hears of are given up, footprints are noted.
    pub(super) fn decide_what_is_due(&mut self) {
        for decision in self.leader.due(self.now_ms) {
            if let Decision::NodeLifecycle { node, .. } = &decision {
                note!(self, "node {} is down", node.0);
            }
            self.decide(decision);
        }
    }
}

impl TrueSegment {
    /// A new one, known as it is.
    pub fn new(table: usize, number: u64, truth: Footprint) -> Self {
        Self { table, number, truth, measured: Measured::expected(truth) }
    }
}
