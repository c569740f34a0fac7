//! Balancers that even out one number: rows, bytes on disk, Milvus's score.
//!
//! - By rows: what the engine did that Plimsoll comes from, and Milvus's `RowCountBasedBalancer`: a node's score is the rows that it serves.
//! - By disk bytes: elasticsearch's and HDFS's idea of full: a node's score is the bytes that it stores.
//! - Milvus's `ScoreBasedBalancer`: per collection; a node's score is the collection's rows there plus a tenth
//!   (`queryCoord.globalRowCountFactor: 0.1`) of all rows there; nothing moves while two scores differ by less than 5 %
//!   (`scoreUnbalanceTolerationFactor`). The other two have the same tolerance.

use super::{Balancer, Proposal, View, keep_up, movable};
use crate::TableId;
use crate::cluster::{NodeIx, Segment};
use std::collections::{BTreeMap, BTreeSet};

/// Moves of one round and collection, at most: `queryCoord.collectionBalanceSegmentBatchSize`.
const MOVES_MAX: usize = 5;
const TOLERANCE_PERCENT: u64 = 5;

/// A balancer by score.
#[derive(Clone, Debug)]
pub struct Scored {
    name: &'static str,
    weight: fn(&View<'_>, &Segment) -> u64,
    /// Per collection, the rest of the node counting a tenth.
    per_table: bool,
}

fn rows(view: &View<'_>, segment: &Segment) -> u64 {
    view.facts_of(segment).rows
}

fn disk_bytes(_: &View<'_>, segment: &Segment) -> u64 {
    segment.footprint.disk_bytes
}

/// Weights by node and table, and by node.
#[derive(Default)]
struct Weights {
    by_table: BTreeMap<(NodeIx, TableId), u64>,
    by_node: BTreeMap<NodeIx, u64>,
}

impl Scored {
    /// By rows.
    pub fn by_rows() -> Self {
        Self { name: "row-count", weight: rows, per_table: false }
    }

    /// By bytes on disk.
    pub fn by_disk_bytes() -> Self {
        Self { name: "disk-bytes", weight: disk_bytes, per_table: false }
    }

    /// Milvus's score.
    pub fn milvus() -> Self {
        Self { name: "milvus-score", weight: rows, per_table: true }
    }

    fn weigh(&self, view: &View<'_>) -> Weights {
        let mut weights = Weights::default();
        for (_, segment) in view.cluster.segments() {
            let weight = (self.weight)(view, segment);
            for replica in segment.replicas.iter().filter(|it| it.state.stays()) {
                weights.change(replica.node, segment.table, |sum| sum + weight);
            }
        }
        weights
    }

    fn score(&self, weights: &Weights, node: NodeIx, table: TableId) -> u64 {
        let all = weights.by_node.get(&node).copied().unwrap_or(0);
        let table = weights.by_table.get(&(node, table)).copied().unwrap_or(0);
        if self.per_table { table * 10 + all } else { all * 10 }
    }

    fn level(&self, view: &View<'_>, weights: &mut Weights, table: TableId, moved: &mut BTreeSet<u64>) -> Vec<Proposal> {
        let mut nodes = view.active();
        let mut proposals = Vec::new();
        while proposals.len() < MOVES_MAX && nodes.len() > 1 {
            nodes.sort_by_key(|node| (self.score(weights, *node, table), *node));
            let (low, high) = (nodes[0], nodes[nodes.len() - 1]);
            let (least, most) = (self.score(weights, low, table), self.score(weights, high, table));
            let Some((weight, proposal, of)) = self.best(view, (high, low), table, most - least, moved).filter(|_| tolerates(least, most))
            else {
                nodes.pop();
                continue;
            };
            moved.insert(proposal.segment.0);
            weights.change(high, of, |sum| sum.saturating_sub(weight));
            weights.change(low, of, |sum| sum + weight);
            proposals.push(proposal);
        }
        proposals
    }

    /// The heaviest segment that does not turn the difference around.
    fn best(
        &self,
        view: &View<'_>,
        (high, low): (NodeIx, NodeIx),
        table: TableId,
        difference: u64,
        moved: &BTreeSet<u64>,
    ) -> Option<(u64, Proposal, TableId)> {
        let counted = if self.per_table { 11 } else { 10 };
        let candidates = movable(view, high).filter(|(_, it)| (!self.per_table || it.table == table) && !moved.contains(&it.id.0));
        let weighed = candidates.map(|(_, it)| ((self.weight)(view, it), it)).filter(|(weight, _)| weight * counted * 2 <= difference);
        let (weight, segment) = weighed.filter(|(_, it)| it.replicas.on(low).is_none()).max_by_key(|(weight, it)| (*weight, it.id))?;
        Some((weight, view.relocation(segment, high, low, "balance")?, segment.table))
    }
}

fn tolerates(least: u64, most: u64) -> bool {
    (most - least) * 100 > most * TOLERANCE_PERCENT
}

impl Weights {
    fn change(&mut self, node: NodeIx, table: TableId, change: impl Fn(u64) -> u64) {
        let by_table = self.by_table.entry((node, table)).or_default();
        *by_table = change(*by_table);
        let by_node = self.by_node.entry(node).or_default();
        *by_node = change(*by_node);
    }
}

impl Balancer for Scored {
    fn name(&self) -> &'static str {
        self.name
    }

    fn plan(&mut self, view: &View<'_>) -> Vec<Proposal> {
        let mut weights = self.weigh(view);
        let mut proposals = keep_up(view, |segment, nodes| {
            let best = nodes.iter().copied().min_by_key(|node| (self.score(&weights, *node, segment.table), *node))?;
            weights.change(best, segment.table, |sum| sum + (self.weight)(view, segment));
            Some(best)
        });
        let mut moved: BTreeSet<u64> = proposals.iter().map(|it| it.segment.0).collect();
        let tables: BTreeSet<_> = view.cluster.segments().map(|(_, it)| it.table).collect();
        for table in tables.into_iter().take(if self.per_table { usize::MAX } else { 1 }) {
            proposals.extend(self.level(view, &mut weights, table, &mut moved));
        }
        proposals
    }
}
