//! What the leader decides: plans, moves that begin, targets that say yes or no.

use super::balancers::{Proposal, View};
use super::quantity::show_bytes;
use super::transfers::{Stage, Transfer};
use super::world::{World, note};
use crate::admission::LoadRequest;
use crate::cluster::{Decision, Footprint, Move, NodeId, Phase};

/// The rounds of the others; ours plans when its leader says so.
const PLAN_MS: u64 = 10_000;

impl World<'_> {
    pub(super) fn plan(&mut self) {
        let is_round = self.now_ms >= self.leader.planned_ms + PLAN_MS;
        let due = if self.is_ours() { self.leader.plans_now(self.now_ms) } else { is_round && self.leader.is_settled(self.now_ms) };
        if !due {
            return;
        }
        self.leader.plans(self.now_ms);
        let view = View {
            cluster: &self.leader.cluster,
            offers: &self.leader.offers,
            policy: &self.policy,
            facts: &self.facts,
            now_ms: self.now_ms,
        };
        let proposals = self.balancer.plan(&view);
        let refused: Vec<_> = proposals.iter().map(|it| self.is_refused(it)).collect();
        proposals.iter().zip(refused).for_each(|(proposal, is_refused)| self.begin(proposal, is_refused));
    }

    /// Does a refusal that is known rule it out?
    fn is_refused(&self, it: &Proposal) -> bool {
        let cluster = &self.leader.cluster;
        let Some(footprint) = cluster.segment_ix(it.segment).map(|at| cluster.segment(at).footprint) else { return false };
        it.to.and_then(|id| cluster.node_ix(id)).map(|at| cluster.node(at)).is_some_and(|node| {
            node.refusals.iter().any(|refusal| refusal.holds(node.spec.epoch, self.now_ms) && refusal.covers(it.segment, &footprint))
        })
    }

    fn begin(&mut self, it: &Proposal, is_refused: bool) {
        if self.is_ours() && !is_refused && self.is_refused(it) {
            return note!(self, "{} is not proposed: refused a moment ago", self.name_of(it.segment));
        }
        let (cluster, now_ms) = (&self.leader.cluster, self.now_ms);
        let Some(segment) = cluster.segment_ix(it.segment).map(|at| cluster.segment(at)) else { return };
        let to = it.to.and_then(|id| cluster.node_ix(id));
        let believed = segment.footprint;
        let from = it.from.and_then(|id| cluster.node_ix(id)).map(|at| at.0 as usize);
        let to_epoch = to.map(|at| cluster.node(at).spec.epoch).unwrap_or_default();
        let generation = self.leader.next_generation();
        let begun = Move {
            generation,
            segment: it.segment,
            kind: it.kind,
            from: it.from,
            to: it.to,
            to_epoch,
            begun_at_ms: now_ms,
            phase: Phase::Begun,
        };
        if !self.decide(Decision::MoveBegun(begun)) {
            return;
        }
        self.count_move(it, is_refused);
        self.note_move(it);
        let to = to.map(|at| at.0 as usize);
        self.ask(&begun, believed, (from, to));
    }

    fn count_move(&mut self, it: &Proposal, is_refused: bool) {
        self.measures.began(self.now_ms);
        if is_refused {
            self.measures.count("reoffers");
        }
        if it.why == "balance" {
            self.measures.count("balance-moves");
        }
        if self.now_ms * 4 >= self.scenario.duration_ms * 3 {
            self.measures.count("late-moves");
        }
    }

    fn note_move(&mut self, it: &Proposal) {
        let name = self.name_of(it.segment);
        let end = |node: Option<NodeId>| node.map_or("-".to_string(), |id| id.0.to_string());
        let bound_by = it.bound_by.map(|by| format!(", not where {by}")).unwrap_or_default();
        let bytes = show_bytes(self.segments[it.segment.0 as usize].truth.resident_bytes);
        note!(self, "{} {name} ({bytes} resident) {} -> {}: {}{bound_by}", it.kind.name(), end(it.from), end(it.to), it.why);
    }

    /// The target says yes, and the transfer begins; or no.
    fn ask(&mut self, begun: &Move, believed: Footprint, (from, to): (Option<usize>, Option<usize>)) {
        let truth = self.segments[begun.segment.0 as usize].truth;
        let takes_everything = self.scenario.baselines_take_everything && !self.is_ours();
        if let Some(node) = to.filter(|node| self.nodes[*node].is_up() && !takes_everything) {
            let request = LoadRequest {
                generation: begun.generation,
                segment: begun.segment,
                footprint: believed,
                serves: begun.kind.serves(),
                on_disk: !begun.kind.transfers(),
            };
            if let Err(refusal) = self.agents[node].ask(&self.nodes[node], &request, self.now_ms) {
                self.measures.count("refused");
                note!(self, "node {} refuses {}: {}", refusal.node.0, self.name_of(begun.segment), refusal.reason.name());
                self.decide(Decision::Refused { generation: Some(begun.generation), refusal });
                return;
            }
        }
        let stage = match begun.kind {
            kind if kind.transfers() => Stage::Copying(truth.disk_bytes),
            kind if kind.serves() => Stage::Warming(truth.resident_bytes),
            _ => Stage::Draining,
        };
        if begun.kind.transfers() {
            self.measures.moved(truth.disk_bytes);
        }
        let (resident_bytes, peak_bytes) = (truth.resident_bytes, truth.load_peak_bytes);
        let transfer = Transfer {
            generation: begun.generation,
            segment: begun.segment,
            kind: begun.kind,
            from,
            to,
            stage,
            resident_bytes,
            peak_bytes,
        };
        self.transfers.insert(begun.generation, transfer);
    }
}
