//! The world: nodes and segments as they truly are, the leader as it believes them to be, and time.
//!
//! One tick, in this order:
//!
//! 1. What the scenario says happens (`happen.rs`); heat drifts.
//! 2. Transfers advance; moves that are over are decided to be.
//! 3. Nodes come back; loads are summed up; nodes feel them ([`super::node`]), and some die.
//! 4. Nodes whose turn it is tell how they are; what was told earlier arrives; who is silent is noticed (`messages.rs`).
//! 5. The leader plans when something has changed, or after 10 s; targets say yes or no (`proposals.rs`).
//! 6. Measures are taken.

use super::agent::Agent;
use super::balancers::{self, Balancer, Facts};
use super::leader::Leader;
use super::measures::Measures;
use super::messages::TrueSegment;
use super::node::{Presence, TICK_MS, TrueNode};
use super::picture::Samples;
use super::random::{Random, scale};
use super::scenario::{Reports, Scenario};
use super::transcript::Transcript;
use super::transfers::{Shares, Stage, Transfer};
use crate::UnitId;
use crate::checker::check_state;
use crate::cluster::{Decision, Footprint, Generation, Level, NodeId, NodeIx, Phase, Resources};
use crate::explain::{self, Question};
use crate::leader::Message;
use crate::policy::Policy;
use std::collections::{BTreeMap, BTreeSet};

/// Heat on its way to another value.
#[derive(Clone, Debug)]
pub struct Drift {
    pub(super) from: Vec<(UnitId, Footprint)>,
    pub(super) percent: u64,
    pub(super) starts_ms: u64,
    pub(super) ends_ms: u64,
}

/// Everything.
pub struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) policy: Policy,
    pub(super) balancer: Box<dyn Balancer>,
    pub(super) random: Random,
    /// Of its own, so that noise changes nothing else.
    pub(super) noise: Random,
    pub(super) now_ms: u64,
    pub(super) nodes: Vec<TrueNode>,
    pub(super) agents: Vec<Agent>,
    pub(super) segments: Vec<TrueSegment>,
    pub(super) facts: Vec<Facts>,
    pub(super) written: BTreeMap<usize, u64>,
    pub(super) drifts: Vec<Drift>,
    pub(super) reports: Reports,
    pub(super) leader: Leader,
    pub(super) transfers: BTreeMap<Generation, Transfer>,
    pub(super) mail: BTreeMap<(u64, u64), Message>,
    pub(super) told: u64,
    /// Nodes a load of which is over: they offer anew at once.
    pub(super) eager: BTreeSet<usize>,
    pub(super) dirty: bool,
    /// When loads last changed.
    pub(super) changed_ms: u64,
    pub(super) cold_since: Option<(u64, u64)>,
    pub(super) liars: BTreeSet<NodeId>,
    pub(super) cold: BTreeSet<NodeId>,
    pub(super) disbelieved: BTreeSet<NodeId>,
    pub(super) explained: BTreeSet<NodeId>,
    pub(super) short: (u64, u64),
    /// What is measured.
    pub measures: Measures,
    /// What is told.
    pub transcript: Transcript,
    /// What is drawn.
    pub samples: Samples,
}

macro_rules! note {
    ($world:expr, $($what:tt)*) => { $world.transcript.note($world.now_ms, format_args!($($what)*)) };
}
pub(super) use note;

impl<'a> World<'a> {
    /// The world at the beginning of a scenario.
    pub fn new(scenario: &'a Scenario, balancer: Box<dyn Balancer>) -> Self {
        let mut world = Self {
            scenario,
            policy: Policy::default(),
            balancer,
            random: Random::new(scenario.seed),
            noise: Random::new(scenario.seed).fork(1),
            now_ms: 0,
            nodes: Vec::new(),
            agents: Vec::new(),
            segments: Vec::new(),
            facts: Vec::new(),
            written: BTreeMap::new(),
            drifts: Vec::new(),
            reports: scenario.reports,
            leader: Leader::new(scenario.heartbeat_ms),
            transfers: BTreeMap::new(),
            mail: BTreeMap::new(),
            told: 0,
            eager: BTreeSet::new(),
            dirty: true,
            changed_ms: 0,
            cold_since: None,
            liars: BTreeSet::new(),
            cold: BTreeSet::new(),
            disbelieved: BTreeSet::new(),
            explained: BTreeSet::new(),
            short: (0, 0),
            measures: Measures::default(),
            transcript: Transcript::default(),
            samples: Samples::new(scenario.duration_ms),
        };
        scenario.nodes.iter().for_each(|nodes| world.join(nodes, false));
        (0..scenario.tables.len()).for_each(|table| world.place_table(table));
        world
    }

    /// Runs it to its end.
    pub fn run(&mut self) {
        let mut happened = 0;
        while self.now_ms < self.scenario.duration_ms {
            while let Some(it) = self.scenario.happenings.get(happened).filter(|it| it.at_ms <= self.now_ms) {
                self.happen(&it.what);
                happened += 1;
            }
            self.tick();
            self.now_ms += TICK_MS;
        }
        self.finish();
    }

    fn tick(&mut self) {
        self.drift();
        self.advance_transfers();
        self.bring_back();
        self.sum_up();
        self.feel();
        self.tell();
        self.hear();
        self.decide_what_is_due();
        self.plan();
        self.measure();
    }

    /// Takes a decision. What the state does not take is a fault of the simulator, but for moves, which may have been overtaken.
    pub(super) fn decide(&mut self, decision: Decision) -> bool {
        self.dirty = true;
        self.leader.decide(decision, self.now_ms).is_ok()
    }

    pub(super) fn is_ours(&self) -> bool {
        self.balancer.name() == balancers::NAMES[0]
    }

    pub(super) fn name_of(&self, segment: UnitId) -> String {
        let it = &self.segments[segment.0 as usize];
        format!("{}/{}", self.scenario.tables[it.table].name, it.number)
    }

    // Transfers.

    fn advance_transfers(&mut self) {
        let gone: Vec<_> = self.transfers.keys().filter(|it| self.leader.cluster.move_in_flight(**it).is_none()).copied().collect();
        gone.into_iter().for_each(|generation| self.forget_transfer(generation));
        if self.transfers.is_empty() {
            return;
        }
        self.dirty = true;
        let up = |node: Option<usize>| node.is_none_or(|node| self.nodes[node].is_up());
        let active: Vec<_> = self.transfers.values().copied().filter(|it| up(it.from) && up(it.to)).collect();
        let shares = Shares::count(self.nodes.len(), active.iter().copied());
        for it in active {
            it.to.into_iter().for_each(|node| self.agents[node].renew(it.generation, self.now_ms));
            self.leader.move_lives(it.generation, self.now_ms);
            self.reach(&it, shares.advance(&self.nodes, &it));
        }
    }

    fn forget_transfer(&mut self, generation: Generation) {
        let Some(it) = self.transfers.remove(&generation) else { return };
        let Some(node) = it.to else { return };
        self.agents[node].release(generation);
        self.eager.insert(node);
    }

    /// A transfer is somewhere else now: the log learns of it.
    fn reach(&mut self, before: &Transfer, stage: Stage) {
        let generation = before.generation;
        if let Some(it) = self.transfers.get_mut(&generation) {
            it.stage = stage;
        }
        let copied = matches!(before.stage, Stage::Copying(_)) && !matches!(stage, Stage::Copying(_));
        if copied && before.kind.serves() {
            self.advance(before, Phase::Copied);
        }
        if before.stage == Stage::Draining || stage == Stage::Draining && !before.kind.serves() {
            return self.finish_move(before);
        }
        if stage == Stage::Draining {
            self.advance(before, Phase::Warm);
            self.advance(before, Phase::Switched);
            self.arrived(before);
            if !before.kind.removes() {
                self.finish_move(before);
            }
        }
    }

    fn advance(&mut self, it: &Transfer, phase: Phase) {
        self.decide(Decision::MoveAdvanced { generation: it.generation, phase });
    }

    fn arrived(&mut self, it: &Transfer) {
        if let Some(to) = it.to.filter(|_| it.kind.transfers()) {
            self.measures.came(it.segment, self.nodes[to].id, self.now_ms);
        }
    }

    fn finish_move(&mut self, it: &Transfer) {
        if !it.kind.serves() {
            self.arrived(it);
        }
        self.advance(it, Phase::Finished);
        if let Some(from) = it.from.filter(|_| it.kind.removes()) {
            self.measures.left(it.segment, self.nodes[from].id, self.now_ms);
        }
        self.forget_transfer(it.generation);
    }

    // Loads.

    /// What each node carries: its copies, as the log has them; queries go to the copies whose nodes work.
    pub(super) fn sum_up(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        self.changed_ms = self.now_ms;
        let mut carried = vec![Resources::default(); self.nodes.len()];
        let (mut short, mut unavailable) = (0, 0);
        for (_, segment) in self.leader.cluster.segments() {
            let truth = self.segments[segment.id.0 as usize].truth;
            let serving = |it: &crate::cluster::Replica| it.state.is_served() && self.nodes[it.node.0 as usize].is_up();
            let sharers = segment.replicas.iter().filter(|it| serving(it)).count();
            short += u64::from(sharers < usize::from(segment.replicas_wanted));
            unavailable += u64::from(sharers == 0);
            for it in segment.replicas.iter() {
                let load = if serving(it) { truth.serving(sharers as u32) } else { truth.disk_only() };
                carried[it.node.0 as usize].add(&load);
            }
        }
        let mut loading = vec![0; self.nodes.len()];
        for it in self.transfers.values() {
            let warming = matches!(it.stage, Stage::Warming(_));
            let bytes = if it.kind.serves() && it.stage != Stage::Draining { it.peak_bytes } else { 0 };
            it.to.into_iter().for_each(|node| loading[node] += bytes + if warming { it.resident_bytes } else { 0 });
        }
        for ((node, carried), loading) in self.nodes.iter_mut().zip(carried).zip(loading) {
            (node.carried, node.loading_bytes) = (carried, if node.is_up() { loading } else { 0 });
        }
        self.short = (short, unavailable);
    }

    fn bring_back(&mut self) {
        for at in 0..self.nodes.len() {
            if let Presence::Down { until_ms: Some(until_ms), cold, .. } = self.nodes[at].presence
                && until_ms <= self.now_ms
            {
                self.start(at, cold);
            }
        }
    }

    fn feel(&mut self) {
        let up: Vec<_> = (0..self.nodes.len()).filter(|at| self.nodes[*at].is_up()).collect();
        up.into_iter().for_each(|at| self.feel_node(at));
    }

    fn feel_node(&mut self, at: usize) {
        let died = self.nodes[at].feel(self.now_ms);
        let before = self.agents[at].level();
        let level = self.agents[at].observe(&self.nodes[at], self.now_ms);
        let node = &self.nodes[at];
        let (id, memory, stall, p99) = (node.id.0, node.memory_percent(), node.stall / 10_000, node.p99_micros / 1000);
        self.measures.raise("memory-max-percent", memory);
        if node.joined || self.cold.contains(&node.id) {
            self.measures.raise("new-memory-max-percent", memory);
        }
        if before != level {
            note!(self, "node {id} is {} (memory {memory} %, PSI {stall} %, p99 {p99} ms)", level_name(level));
        }
        if died {
            note!(self, "node {id} DIES of memory (memory {memory} %, PSI {stall} %)");
            self.measures.count("deaths");
            self.nodes[at].stop(self.now_ms, Some(self.now_ms + super::node::RESTART_MS), false, true);
            self.samples.deaths.push((id, self.now_ms));
            self.dirty = true;
        }
    }

    // Measures.

    fn measure(&mut self) {
        let overloaded = |it: &&TrueNode| it.is_overloaded();
        let all = self.nodes.iter().filter(overloaded).count() as u64;
        let others = self.nodes.iter().filter(overloaded).filter(|it| !self.liars.contains(&it.id)).count() as u64;
        let (short, unavailable) = self.short;
        self.measures.tick(all, others, short, unavailable);
        self.samples.take(self.now_ms, &self.nodes);
        if let Some((since_ms, ideal_ms)) = self.cold_since.filter(|_| short == 0) {
            self.measures.set("restore-percent", scale(self.now_ms - since_ms, 100, ideal_ms));
            note!(
                self,
                "all is served again, {} s after the cold start; reading it takes {} s",
                (self.now_ms - since_ms) / 1000,
                ideal_ms / 1000
            );
            self.cold_since = None;
        }
    }

    fn finish(&mut self) {
        self.measures.finish();
        debug_assert_eq!(check_state(&self.leader.cluster), [], "the state's sums and lists are what the checker computes anew");
        let active = |at: usize| self.leader.cluster.node(NodeIx(at as u32)).is_active();
        let up = || self.nodes.iter().enumerate().filter(|(at, it)| it.is_up() && active(*at)).map(|(_, it)| it);
        let spread = |value: fn(&TrueNode) -> u64| {
            let (least, most) = (up().map(value).min().unwrap_or(0), up().map(value).max().unwrap_or(0));
            (most, most - least)
        };
        let (memory, memory_skew) = spread(TrueNode::memory_percent);
        let (disk, disk_skew) = spread(TrueNode::disk_percent);
        let cpu = up().map(|it| scale(it.carried.0[2], 100, it.hardware.cpu_micros)).max().unwrap_or(0);
        let (wanted, there) = up().fold((0, 0), |sum, it| (sum.0 + it.working_set_bytes(), sum.1 + it.hardware.memory_bytes));
        let ratio =
            |it: &TrueNode| scale(scale(it.working_set_bytes(), 1_000_000, it.hardware.memory_bytes), 100, scale(wanted, 1_000_000, there));
        let max_to_mean = up().map(ratio).max().unwrap_or(0);
        let unrestored = self.cold_since.is_some();
        let sum = |of: fn(&TrueNode) -> u64| up().map(of).fold(0, u64::saturating_add);
        let joined = |it: &TrueNode| if it.joined { it.hardware.disk_bytes } else { 0 };
        let even_part = scale(sum(|it| it.carried.0[1]), sum(joined), sum(|it| it.hardware.disk_bytes).max(1));
        let values = [
            ("memory-skew-percent", memory_skew),
            ("disk-max-percent", disk),
            ("disk-skew-percent", disk_skew),
            ("cpu-max-percent", cpu),
            ("memory-max-to-mean-percent", max_to_mean),
        ];
        values.into_iter().for_each(|(name, value)| self.measures.set(name, value));
        if even_part > 0 {
            self.measures.set("moved-of-even-part-percent", scale(self.measures.moved_bytes(), 100, even_part));
        }
        if unrestored {
            self.measures.set("restore-percent", 999_999);
        }
        let (state, offers, policy) = (&self.leader.cluster, &self.leader.offers, &self.policy);
        let explained = explain::cluster(&Question { state, offers, policy, now_ms: self.now_ms });
        if self.is_ours() {
            explained.to_string().lines().for_each(|line| note!(self, "EXPLAIN PLACEMENT: {line}"));
        }
        note!(self, "the end: fullest memory {memory} %, fullest disk {disk} %");
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Calm => "calm",
        Level::Loaded => "loaded",
        Level::Strained => "strained",
        Level::Critical => "critical",
    }
}
