//! Druid's `CostBalancerStrategy`: segments whose times are near are read together, so they are kept apart.
//!
//! The cost of a segment on a server is the sum, over the segments there, of a joint cost that halves with every 24 hours between them
//! (the integral of `exp(-lambda |x - y|)` over both intervals, `lambda = ln 2 / 24 h`), twice that for segments of one data source; a
//! segment goes where its cost is least. Here every segment covers an hour, and the integral is taken at its middle. Neither memory nor
//! disk nor heat are weighed. In each round some segments are sampled, and moved where they would be cheaper.

use super::{Balancer, Proposal, View, keep_up, movable};
use crate::cluster::{NodeIx, Segment};
use crate::simulate::random::{Random, power_of_two};

/// Segments sampled in one round.
const SAMPLE: usize = 5;
/// Hours beyond which nothing is left of the cost.
const HOURS: u64 = 24 * 20;

/// Druid's strategy.
#[derive(Clone, Debug)]
pub struct DruidCost {
    random: Random,
    /// The joint cost by hours between.
    decay: Vec<u64>,
}

impl Default for DruidCost {
    fn default() -> Self {
        let decay = (0..HOURS as i64).map(|hours| power_of_two(1 << 20, -hours * 65_536 / 24)).collect();
        Self { random: Random::new(0xD201D), decay }
    }
}

impl DruidCost {
    fn cost(&self, view: &View<'_>, segment: &Segment, node: NodeIx) -> u64 {
        let hour = view.facts_of(segment).hour;
        let joint = |other: &Segment| {
            let apart = view.facts_of(other).hour.abs_diff(hour) as usize;
            self.decay.get(apart).copied().unwrap_or(0) * (1 + u64::from(other.table == segment.table))
        };
        let others = view.cluster.node(node).segments.iter().map(|at| view.cluster.segment(*at));
        others.filter(|it| it.id != segment.id).map(joint).sum()
    }

    fn cheapest(&self, view: &View<'_>, segment: &Segment, nodes: &[NodeIx]) -> Option<NodeIx> {
        nodes.iter().copied().min_by_key(|node| (self.cost(view, segment, *node), *node))
    }

    fn sample(&mut self, view: &View<'_>, active: &[NodeIx]) -> Option<Proposal> {
        let node = *active.get(self.random.below(active.len() as u64) as usize)?;
        let count = movable(view, node).count() as u64;
        let (_, segment) = movable(view, node).nth(self.random.below(count) as usize)?;
        let could: Vec<_> = active.iter().copied().filter(|at| *at == node || segment.replicas.on(*at).is_none()).collect();
        let best = self.cheapest(view, segment, &could).filter(|best| *best != node)?;
        view.relocation(segment, node, best, "balance")
    }
}

impl Balancer for DruidCost {
    fn name(&self) -> &'static str {
        "druid-cost"
    }

    fn plan(&mut self, view: &View<'_>) -> Vec<Proposal> {
        let mut proposals = keep_up(view, |segment, nodes| self.cheapest(view, segment, nodes));
        let active = view.active();
        for _ in 0..SAMPLE {
            let sampled = self.sample(view, &active);
            proposals.extend(sampled.filter(|it| proposals.iter().all(|other| other.segment != it.segment)));
        }
        proposals
    }
}
