//! The leader's part: what is decided, what was measured, and when to plan.
//!
//! - Decisions are kept as a log; a new leader has nothing else. Reports, offers, levels and measured footprints are lost with the old one.
//! - A new leader plans once it has heard from every node, or after 30 s: until then footprints are those of the day they were written.
//! - A footprint is believed when the node says that it changed; never from a node whose report is beyond belief, nor until it
//!   has reported believably with no move of its own under way. What a node tells a new leader first is believed: what the leader knows is
//!   older, and honest reports would seem beyond belief beside it.

use crate::UnitId;
use crate::cluster::{Cluster, Decision, Epoch, Event, EventError, Footprint, Generation, Level, NodeId, Report};
use crate::load::{self, Trust};
use crate::offers::{Offer, Offers};
use crate::policy::Policy;
use std::collections::BTreeSet;

/// How long a new leader waits to hear from everybody.
const SETTLES_MS: u64 = 30_000;

/// What a node tells.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who.
    pub node: NodeId,
    /// Its load.
    pub report: Report,
    /// In which epoch of itself.
    pub epoch: Epoch,
    /// Its pressure.
    pub level: Level,
    /// What segments cost that cost something else than it said last.
    pub footprints: Vec<(UnitId, Footprint)>,
}

/// The leader.
#[derive(Clone, Debug, Default)]
pub struct Leader {
    /// What it knows.
    pub cluster: Cluster,
    /// What nodes offer.
    pub offers: Offers,
    /// Something has changed since the last plan.
    pub changed: bool,
    /// When it last planned.
    pub planned_ms: u64,
    /// Times that the leader changed.
    pub term: u64,
    log: Vec<(Decision, u64)>,
    next: u64,
    heard: BTreeSet<NodeId>,
    disbelieved: BTreeSet<NodeId>,
    since_ms: u64,
}

impl Leader {
    /// Takes a decision, and keeps it.
    pub fn decide(&mut self, decision: Decision, now_ms: u64) -> Result<(), EventError> {
        self.cluster.decide(&decision, now_ms)?;
        self.log.push((decision, now_ms));
        self.changed = true;
        Ok(())
    }

    /// The name of the next move.
    pub fn next_generation(&mut self) -> Generation {
        self.next += 1;
        Generation(self.next)
    }

    /// Another takes over, who has the log.
    pub fn change(&mut self, now_ms: u64) {
        let mut cluster = Cluster::default();
        for (decision, at_ms) in &self.log {
            let replayed = cluster.decide(decision, *at_ms);
            debug_assert_eq!(replayed, Ok(()), "what the log has taken once, it takes again");
        }
        self.cluster = cluster;
        (self.offers, self.heard, self.since_ms, self.changed) = (Offers::default(), BTreeSet::new(), now_ms, true);
        self.term += 1;
    }

    /// Takes what a node offers. Offers are promises with a time of their own, and are not what a scenario makes late.
    pub fn take_offer(&mut self, offer: Offer) {
        self.offers.take(offer);
    }

    /// Takes what a node tells; the name of the node if what it says is beyond belief.
    pub fn hear(&mut self, message: Message, policy: &Policy, now_ms: u64) -> Option<(NodeId, Trust)> {
        let Message { node, epoch, report, level, footprints } = message;
        let at = self.cluster.node_ix(node)?;
        if self.cluster.node(at).spec.epoch != epoch || !self.cluster.node(at).is_up() {
            return None;
        }
        if self.heard.insert(node) {
            self.measured(&footprints, now_ms);
        }
        let before = self.cluster.node(at).level;
        let events = [Event::Reported { node, report }, Event::Pressed { node, level }];
        let taken = events.iter().try_for_each(|event| self.cluster.apply(event, now_ms));
        debug_assert_eq!(taken, Ok(()), "the node is known");
        self.changed |= before != level;
        let it = self.cluster.node(at);
        let trust = load::of(it, policy, now_ms).trust;
        if matches!(trust, Trust::Implausible(..)) {
            self.disbelieved.insert(node);
            return Some((node, trust));
        }
        if it.moves_in == 0 && it.moves_out == 0 {
            self.disbelieved.remove(&node);
        }
        if self.disbelieved.contains(&node) {
            return None;
        }
        self.measured(&footprints, now_ms);
        None
    }

    fn measured(&mut self, footprints: &[(UnitId, Footprint)], now_ms: u64) {
        for (segment, footprint) in footprints.iter().copied() {
            // One that was dropped meanwhile costs nothing; of the others the next round hears.
            _ = self.cluster.apply(&Event::FootprintMeasured { segment, footprint }, now_ms);
        }
    }

    /// Does it know enough to plan?
    pub fn is_settled(&self, now_ms: u64) -> bool {
        let mut up = self.cluster.nodes_by_id().filter(|(_, node)| node.is_up()).map(|(_, node)| node.spec.id);
        now_ms >= self.since_ms + SETTLES_MS || up.all(|id| self.heard.contains(&id))
    }
}
