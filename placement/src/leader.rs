//! The leader's side: what nodes tell it, what of that it believes, and what is to be decided because of it.
//!
//! 1. It begins with what the log has decided. All else is soft state: offers, reports, levels, measured footprints, who was heard of when.
//! 2. [`Leader::decided`]: whatever the log takes, it takes too. [`Leader::hear`]: a node tells how it is.
//! 3. [`Leader::due`]: decisions that nobody asks for: a node that is silent is down; a move that is not heard of is given up; a footprint that is
//!    another for a while is noted.
//! 4. [`Leader::plans_now`], [`Leader::plan`]: when to plan, and the plan.
//!
//! What it returns is to be proposed to the log, and has not happened before it comes back by [`Leader::decided`].
//!
//! A measured footprint is never believed of a node whose report is beyond belief, nor until it has reported believably with no move of
//! its own under way. What a node tells a new leader first is believed: what the leader knows is older, and honest reports would seem
//! beyond belief beside it.
//!
//! Architecture invariant: it waits for nothing and asks nobody; clocks are passed in.

use crate::balancer::{Plan, Planner};
use crate::cluster::{Cluster, Decision, Epoch, Event, EventError, Footprint, Generation, Level, Lifecycle, NodeId, Phase, Report};
use crate::load::{self, Trust};
use crate::model::UnitId;
use crate::offers::{Offer, Offers};
use crate::policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// Every threshold of the leader, and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderPolicy {
    /// How long a new leader waits to hear from everybody before it plans. Several heartbeats, and a late one.
    pub settles_ms: u64,
    /// The longest time between two plans; something that has changed is planned for at once. Druid's coordinator has rounds of a minute.
    pub plan_every_ms: u64,
    /// A node that was not heard of for so long is taken to be down: three heartbeats and more.
    pub silence_ms: u64,
    /// A move that was not heard of for so long is given up: twice as long as the target keeps its reservation.
    pub move_silence_ms: u64,
    /// How long a footprint must have been another before the log learns of it: what was heat for a moment does not fill it.
    pub note_after_ms: u64,
    /// Footprints that are noted at once, at most.
    pub notes_max: usize,
}

impl Default for LeaderPolicy {
    fn default() -> Self {
        Self {
            settles_ms: 30_000,
            plan_every_ms: 10_000,
            silence_ms: 15_000,
            move_silence_ms: 120_000,
            note_after_ms: 60_000,
            notes_max: 1_000,
        }
    }
}

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
    /// What segments cost that cost something else than it said last; see [`crate::footprints`].
    pub footprints: Vec<(UnitId, Footprint)>,
}

/// A footprint of which the log knows another than what was measured.
#[derive(Clone, Copy, Debug)]
struct Noted {
    /// As the log has it.
    footprint: Footprint,
    /// Since when what is measured is news.
    news_since_ms: Option<u64>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Leader {
    /// What was decided, and what was measured since.
    pub cluster: Cluster,
    /// What nodes offer.
    pub offers: Offers,
    policy: LeaderPolicy,
    planner: Planner,
    since_ms: u64,
    changed: bool,
    planned_ms: u64,
    /// Nodes that have told how they are.
    heard: BTreeSet<NodeId>,
    disbelieved: BTreeSet<NodeId>,
    /// When a node was last heard of, and a move.
    node_heard_ms: BTreeMap<NodeId, u64>,
    move_heard_ms: BTreeMap<Generation, u64>,
    /// Segments that were measured.
    noted: BTreeMap<UnitId, Noted>,
    /// Those of which the log is to learn, by the time since when.
    news: BTreeSet<(u64, UnitId)>,
}

impl Leader {
    /// One that has just become the leader, and has what was decided.
    pub fn new(decided: Cluster, policy: LeaderPolicy, now_ms: u64) -> Self {
        Self { cluster: decided, policy, since_ms: now_ms, changed: true, ..Self::default() }
    }

    /// The log has taken a decision. A noted footprint does not replace what is measured, which is more exact.
    pub fn decided(&mut self, decision: &Decision, now_ms: u64) -> Result<(), EventError> {
        if let Decision::FootprintNoted { segment, footprint } = decision
            && self.noted.contains_key(segment)
        {
            return self.note(*segment, *footprint, now_ms);
        }
        self.cluster.decide(decision, now_ms)?;
        self.changed = true;
        match decision {
            Decision::NodeRegistered(spec) => _ = self.node_heard_ms.insert(spec.id, now_ms),
            Decision::NodeRemoved(node) => self.forget(*node),
            Decision::MoveBegun(it) => _ = self.move_heard_ms.insert(it.generation, now_ms),
            Decision::MoveAdvanced { generation, phase } if !phase.is_over() => _ = self.move_heard_ms.insert(*generation, now_ms),
            Decision::SegmentRemoved(segment) => {
                if let Some(Noted { news_since_ms: Some(since_ms), .. }) = self.noted.remove(segment) {
                    self.news.remove(&(since_ms, *segment));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn forget(&mut self, node: NodeId) {
        self.heard.remove(&node);
        self.disbelieved.remove(&node);
        self.node_heard_ms.remove(&node);
        self.offers.withdraw(node);
    }

    // What nodes tell.

    /// Takes what a node offers.
    pub fn take_offer(&mut self, offer: Offer) {
        self.offers.take(offer);
    }

    /// A node is there, whatever it has to tell.
    pub fn node_lives(&mut self, node: NodeId, now_ms: u64) {
        raise(self.node_heard_ms.entry(node).or_insert(now_ms), now_ms);
    }

    /// A move goes on.
    pub fn move_lives(&mut self, generation: Generation, now_ms: u64) {
        if let Some(at_ms) = self.move_heard_ms.get_mut(&generation) {
            raise(at_ms, now_ms);
        }
    }

    /// Takes what a node tells; the name of the node if what it says is beyond belief. What is told of an epoch that is past, or by a node that is
    /// down, says nothing.
    pub fn hear(&mut self, message: &Message, policy: &Policy, now_ms: u64) -> Option<(NodeId, Trust)> {
        let Message { node, epoch, report, level, ref footprints } = *message;
        let at = self.cluster.node_ix(node)?;
        if self.cluster.node(at).spec.epoch != epoch || !self.cluster.node(at).is_up() {
            return None;
        }
        if self.heard.insert(node) {
            self.measured(footprints, now_ms);
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
        if !self.disbelieved.contains(&node) {
            self.measured(footprints, now_ms);
        }
        None
    }

    fn measured(&mut self, footprints: &[(UnitId, Footprint)], now_ms: u64) {
        for (segment, footprint) in footprints.iter().copied() {
            let Some(before) = self.cluster.segment_ix(segment).map(|at| self.cluster.segment(at).footprint) else { continue };
            // One that is too large to be true is not taken; of the others the next round hears.
            if self.cluster.apply(&Event::FootprintMeasured { segment, footprint }, now_ms).is_ok() {
                let kept = self.noted.get(&segment).map_or(before, |it| it.footprint);
                self.judge_news(segment, kept, footprint, now_ms);
            }
        }
    }

    fn note(&mut self, segment: UnitId, footprint: Footprint, now_ms: u64) -> Result<(), EventError> {
        let at = self.cluster.segment_ix(segment).ok_or(EventError::UnknownSegment(segment))?;
        self.judge_news(segment, footprint, self.cluster.segment(at).footprint, now_ms);
        Ok(())
    }

    /// Is what is measured news beside what the log has, and since when?
    fn judge_news(&mut self, segment: UnitId, kept: Footprint, measured: Footprint, now_ms: u64) {
        let before = self.noted.get(&segment).and_then(|it| it.news_since_ms);
        let news_since_ms = kept.is_news(&measured).then(|| before.unwrap_or(now_ms));
        self.noted.insert(segment, Noted { footprint: kept, news_since_ms });
        before.into_iter().for_each(|since_ms| _ = self.news.remove(&(since_ms, segment)));
        news_since_ms.into_iter().for_each(|since_ms| _ = self.news.insert((since_ms, segment)));
    }

    // What is to be decided.

    /// Decisions that are due, in this order: nodes that are down, moves that are given up, footprints that are noted. None from a leader that has
    /// not been one for as long as the silence that it would hear.
    pub fn due(&self, now_ms: u64) -> Vec<Decision> {
        let silent = self.silent_nodes(now_ms).into_iter().map(|node| Decision::NodeLifecycle { node, lifecycle: Lifecycle::Down });
        silent.chain(self.silent_moves(now_ms)).chain(self.notes(now_ms)).collect()
    }

    /// Nodes that are taken to work and were not heard of for too long.
    pub fn silent_nodes(&self, now_ms: u64) -> Vec<NodeId> {
        let heard_ms = |node: NodeId| self.node_heard_ms.get(&node).copied().unwrap_or(0).max(self.since_ms);
        let up = self.cluster.nodes_by_id().filter(|(_, node)| node.is_up()).map(|(_, node)| node.spec.id);
        up.filter(|id| now_ms.saturating_sub(heard_ms(*id)) >= self.policy.silence_ms).collect()
    }

    /// A move that has switched is finished, and any other is aborted, when neither end was heard of for too long.
    fn silent_moves(&self, now_ms: u64) -> impl Iterator<Item = Decision> + '_ {
        let heard_ms = |generation: Generation| self.move_heard_ms.get(&generation).copied().unwrap_or(0).max(self.since_ms);
        let silent = move |at_ms: u64| now_ms.saturating_sub(at_ms) >= self.policy.move_silence_ms;
        let silent = self.cluster.moves().filter(move |it| silent(heard_ms(it.generation)));
        silent.map(|it| {
            let phase = if it.phase == Phase::Switched { Phase::Finished } else { Phase::Aborted };
            Decision::MoveAdvanced { generation: it.generation, phase }
        })
    }

    /// Footprints of which the log is to learn, those first that have been another for longest.
    pub fn notes(&self, now_ms: u64) -> impl Iterator<Item = Decision> + '_ {
        let is_due = move |since_ms: u64| now_ms.saturating_sub(since_ms) >= self.policy.note_after_ms;
        let due = self.news.iter().take_while(move |(since_ms, _)| is_due(*since_ms)).take(self.policy.notes_max);
        due.filter_map(|(_, segment)| {
            let footprint = self.cluster.segment(self.cluster.segment_ix(*segment)?).footprint.rounded();
            Some(Decision::FootprintNoted { segment: *segment, footprint })
        })
    }

    /// Does it know enough to plan?
    pub fn is_settled(&self, now_ms: u64) -> bool {
        let mut up = self.cluster.nodes_by_id().filter(|(_, node)| node.is_up()).map(|(_, node)| node.spec.id);
        now_ms >= self.since_ms.saturating_add(self.policy.settles_ms) || up.all(|id| self.heard.contains(&id))
    }

    /// Is it time to plan: has something changed, or was there no plan for long; and does it know enough?
    pub fn plans_now(&self, now_ms: u64) -> bool {
        let late = now_ms >= self.planned_ms.saturating_add(self.policy.plan_every_ms);
        (self.changed || late) && self.is_settled(now_ms)
    }

    /// The next plan: [`crate::balancer::plan`], from what is known.
    pub fn plan(&mut self, policy: &Policy, now_ms: u64) -> Plan {
        self.planned(now_ms);
        self.planner.plan(&self.cluster, &self.offers, policy, now_ms)
    }

    /// A plan was made now, whoever made it.
    pub(crate) fn planned(&mut self, now_ms: u64) {
        (self.changed, self.planned_ms) = (false, now_ms);
        self.move_heard_ms.retain(|generation, _| self.cluster.move_in_flight(*generation).is_some());
    }
}

/// A clock may go back: what was heard later stays.
fn raise(at_ms: &mut u64, now_ms: u64) {
    *at_ms = now_ms.max(*at_ms);
}

#[cfg(test)]
mod tests;
