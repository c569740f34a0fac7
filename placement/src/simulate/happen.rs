//! What the scenario says happens, done to the world.

use super::agent::Agent;
use super::balancers::Facts;
use super::messages::TrueSegment;
use super::node::{Presence, TrueNode};
use super::random::scale;
use super::scenario::{Happening, Nodes};
use super::world::{Drift, World, note};
use crate::cluster::{Decision, Domain, FOOTPRINT_MAX, Footprint, Lifecycle, NodeId, NodeIx, ReplicaState, SegmentSpec};
use crate::{TableId, UnitId};
use std::ops::RangeInclusive;

/// The most processor time that a segment asks for: a million processors.
const CPU_MICROS_MAX: u64 = 1_000_000_000_000;
/// Hours that a table's segments go round in, for those who partition by time.
const HOURS: u64 = 240;

impl World<'_> {
    pub(super) fn happen(&mut self, what: &Happening) {
        match what {
            Happening::Join(nodes) => self.join(nodes, true),
            Happening::Lost(ids) => self.stop(ids, None, false, "lost"),
            Happening::Restart { ids, down_ms, cold } => self.stop(ids, Some(*down_ms), *cold, "restarting"),
            Happening::Return(ids) => self.each(ids).into_iter().for_each(|at| self.start(at, false)),
            Happening::Drain(ids) => self.drain_nodes(ids),
            Happening::Slow(ids, percent) => self.slow(ids, *percent),
            Happening::Lies(ids, percent) => self.lie(ids, *percent),
            Happening::Refuses { ids, for_ms } => self.refuse(ids, *for_ms),
            Happening::Reports(reports) => {
                note!(self, "reports are {} s late and {} % noisy", reports.late_ms / 1000, reports.noise_percent);
                self.reports = *reports;
            }
            Happening::LeaderChanges => {
                note!(self, "another leader");
                self.leader.change(self.now_ms);
            }
            Happening::Heat { table, percent, over_ms, part_percent } => self.heat(table, *percent, *over_ms, *part_percent),
            Happening::Arrive { table, count } => self.arrive(table, *count),
            Happening::Delete { table, percent } => self.delete(table, *percent),
        }
    }

    /// Nodes of those ids, by their place.
    fn each(&self, ids: &RangeInclusive<u64>) -> Vec<usize> {
        self.nodes.iter().enumerate().filter(|(_, node)| ids.contains(&node.id.0)).map(|(at, _)| at).collect()
    }

    pub(super) fn join(&mut self, nodes: &Nodes, joined: bool) {
        for (turn, id) in nodes.ids.clone().enumerate() {
            let domain = Domain { zone: turn as u32 % nodes.zones, rack: id as u32 };
            let node = TrueNode::new(NodeId(id), nodes.hardware, domain, joined);
            self.decide(Decision::NodeRegistered(node.spec()));
            self.nodes.push(node);
            self.agents.push(Agent::default());
        }
        if joined {
            note!(self, "nodes {}..{} join", nodes.ids.start(), nodes.ids.end());
        }
    }

    fn stop(&mut self, ids: &RangeInclusive<u64>, down_ms: Option<u64>, cold: bool, how: &str) {
        for at in self.each(ids) {
            if self.nodes[at].is_up() {
                note!(self, "node {} is {how}", self.nodes[at].id.0);
                self.nodes[at].stop(self.now_ms, down_ms.map(|down_ms| self.now_ms + down_ms), cold, false);
                self.dirty = true;
            }
        }
    }

    /// A node is back with its disk.
    pub(super) fn start(&mut self, at: usize, cold: bool) {
        if self.nodes[at].presence == Presence::Up {
            return;
        }
        self.nodes[at].start();
        self.agents[at].restart();
        let spec = self.nodes[at].spec();
        note!(self, "node {} is back{}", spec.id.0, if cold { ", cold" } else { "" });
        self.decide(Decision::NodeLifecycle { node: spec.id, lifecycle: Lifecycle::Down });
        self.decide(Decision::NodeRegistered(spec));
        if cold {
            self.chill(at);
        }
    }

    /// Nothing is served there until it is loaded.
    fn chill(&mut self, at: usize) {
        let (cluster, node) = (&self.leader.cluster, self.nodes[at].id);
        let here = cluster.node(NodeIx(at as u32)).segments.iter().map(|it| cluster.segment(*it));
        let served = here.filter(|it| it.replicas.on(NodeIx(at as u32)).is_some_and(|copy| copy.state == ReplicaState::Serving));
        let ids: Vec<_> = served.map(|it| it.id).collect();
        let bytes: u64 = ids.iter().map(|id| self.segments[id.0 as usize].truth.resident_bytes).sum();
        for segment in ids {
            self.decide(Decision::CopyLost { segment, node });
            self.decide(Decision::CopyAdded { segment, node, serving: false });
        }
        let ideal_ms = scale(bytes, 1000, self.nodes[at].hardware.disk_bytes_per_s).max(1);
        let before = self.cold_since.map_or(0, |(_, ideal_ms)| ideal_ms);
        self.cold_since = Some((self.cold_since.map_or(self.now_ms, |(since_ms, _)| since_ms), before.max(ideal_ms)));
        self.cold.insert(node);
    }

    fn drain_nodes(&mut self, ids: &RangeInclusive<u64>) {
        for at in self.each(ids) {
            note!(self, "node {} drains", self.nodes[at].id.0);
            self.decide(Decision::NodeLifecycle { node: self.nodes[at].id, lifecycle: Lifecycle::Draining });
        }
    }

    fn slow(&mut self, ids: &RangeInclusive<u64>, percent: u64) {
        for at in self.each(ids) {
            note!(self, "node {} works at {percent} % of its speed", self.nodes[at].id.0);
            self.nodes[at].speed_percent = percent;
        }
    }

    fn lie(&mut self, ids: &RangeInclusive<u64>, percent: u64) {
        for at in self.each(ids) {
            note!(self, "node {} says {percent} % of the truth", self.nodes[at].id.0);
            self.nodes[at].says_percent = percent;
            self.liars.insert(self.nodes[at].id);
        }
    }

    fn refuse(&mut self, ids: &RangeInclusive<u64>, for_ms: u64) {
        for at in self.each(ids) {
            note!(self, "node {} refuses whatever it is asked", self.nodes[at].id.0);
            self.nodes[at].refuses_until_ms = self.now_ms + for_ms;
        }
    }

    // Tables.

    fn table_at(&self, name: &str) -> usize {
        self.scenario.tables.iter().position(|it| it.name == name).expect("the scenario was checked when it was read")
    }

    fn units_of(&self, table: usize) -> Vec<UnitId> {
        let of = |it: &UnitId| self.segments[it.0 as usize].table == table;
        let mut units: Vec<_> = self.leader.cluster.segments().map(|(_, it)| it.id).filter(of).collect();
        units.sort();
        units
    }

    /// A table as it is at the start: copies on the nodes named, in turn.
    pub(super) fn place_table(&mut self, table: usize) {
        let it = &self.scenario.tables[table];
        let nodes = self.writers(table);
        let copies = usize::from(it.replicas).min(nodes.len());
        for number in 0..it.segments as usize {
            let on: Vec<_> = (0..copies).map(|copy| nodes[(number + copy) % nodes.len()]).collect();
            self.write(table, &on);
        }
    }

    /// Nodes that a table is written on: those named, or all; of those, the ones that work.
    fn writers(&self, table: usize) -> Vec<NodeId> {
        let on = &self.scenario.tables[table].on;
        let named = |node: &&TrueNode| on.is_empty() || on.iter().any(|ids| ids.contains(&node.id.0));
        let active = |node: &&TrueNode| {
            let known = self.leader.cluster.node_ix(node.id).map(|at| self.leader.cluster.node(at));
            node.is_up() && known.is_some_and(|it| it.is_active())
        };
        let named_ids: Vec<_> = self.nodes.iter().filter(named).filter(active).map(|it| it.id).collect();
        if named_ids.is_empty() { self.nodes.iter().filter(active).map(|it| it.id).collect() } else { named_ids }
    }

    fn write(&mut self, table: usize, on: &[NodeId]) {
        let id = UnitId(self.segments.len() as u64);
        let number = self.written.entry(table).or_default();
        *number += 1;
        let (number, truth, rows) = {
            let number = *number;
            let (truth, rows) = self.draw(table);
            (number, truth, rows)
        };
        let it = &self.scenario.tables[table];
        self.segments.push(TrueSegment::new(table, number, truth));
        self.facts.push(Facts { rows, hour: number % HOURS });
        let spec = SegmentSpec { id, table: TableId(table as u64), footprint: truth, replicas_wanted: it.replicas };
        self.decide(Decision::SegmentAdded(spec));
        for node in on {
            self.decide(Decision::CopyAdded { segment: id, node: *node, serving: true });
        }
    }

    fn draw(&mut self, table: usize) -> (Footprint, u64) {
        let it = &self.scenario.tables[table];
        let disk_bytes = self.random.lognormal(it.disk_bytes, it.spread_percent).min(FOOTPRINT_MAX);
        let share = |value: u64| scale(value, disk_bytes, it.disk_bytes.max(1));
        let resident_bytes = self.random.lognormal(share(it.resident_bytes), it.spread_percent / 2).min(disk_bytes);
        let cpu_micros = self.random.lognormal(it.cpu_micros, it.spread_percent).min(CPU_MICROS_MAX);
        let footprint = Footprint { resident_bytes, disk_bytes, cpu_micros, load_peak_bytes: it.peak_bytes };
        (footprint, share(it.rows))
    }

    /// Segments are written where their rows come in: one copy; the others are the balancer's to make.
    fn arrive(&mut self, table: &str, count: u64) {
        let table = self.table_at(table);
        for _ in 0..count {
            let nodes = self.writers(table);
            if nodes.is_empty() {
                return;
            }
            let turn = self.written.get(&table).copied().unwrap_or(0) as usize;
            self.write(table, &[nodes[turn % nodes.len()]]);
        }
        note!(self, "{count} segments of {} are written", self.scenario.tables[table].name);
    }

    fn delete(&mut self, table: &str, percent: u64) {
        let units = self.units_of(self.table_at(table));
        let doomed: Vec<_> = units.into_iter().filter(|_| self.random.percent(percent)).collect();
        note!(self, "{} segments of {table} are dropped", doomed.len());
        for segment in doomed {
            self.decide(Decision::SegmentRemoved(segment));
        }
    }

    fn heat(&mut self, table: &str, percent: u64, over_ms: u64, part_percent: u64) {
        let units = self.units_of(self.table_at(table));
        let hot = units.into_iter().filter(|_| part_percent == 100 || self.random.percent(part_percent));
        let from: Vec<_> = hot.collect::<Vec<_>>().into_iter().map(|it| (it, self.segments[it.0 as usize].truth)).collect();
        note!(self, "{} segments of {table} are read {percent} % as much, over {} s", from.len(), over_ms / 1000);
        self.drifts.push(Drift { from, percent, starts_ms: self.now_ms, ends_ms: self.now_ms + over_ms });
    }

    /// Heat on its way, a step further.
    pub(super) fn drift(&mut self) {
        let now_ms = self.now_ms;
        for drift in std::mem::take(&mut self.drifts) {
            let part = if drift.ends_ms <= now_ms { 1000 } else { scale(now_ms - drift.starts_ms, 1000, drift.ends_ms - drift.starts_ms) };
            let per_100_000 = (100_000 * (1000 - part) + drift.percent * 1000 * part) / 1000;
            for (unit, from) in &drift.from {
                let it = &mut self.segments[unit.0 as usize].truth;
                it.resident_bytes = scale(from.resident_bytes, per_100_000, 100_000).min(it.disk_bytes);
                it.cpu_micros = scale(from.cpu_micros, per_100_000, 100_000).min(CPU_MICROS_MAX);
            }
            self.dirty = true;
            if drift.ends_ms > now_ms {
                self.drifts.push(drift);
            }
        }
    }
}
