//! What no plan could do better than, beside what this one does.

use super::plan::{LowerBound, Plan, Why};
use super::workspace::Workspace;
use crate::cluster::NodeIx;

impl Workspace<'_> {
    /// The plan, with its result.
    pub(crate) fn finish(mut self, potential_before: f64) -> Plan {
        let potential_after = self.potential_now();
        let max_to_mean_after = std::array::from_fn(|r| self.max_to_mean(r).0);
        let bound = self.bound();
        Plan { potential_before, potential_after, max_to_mean_after, bound, ..std::mem::take(&mut self.plan) }
    }

    /// The largest share of a resource divided by the mean, and whose it is.
    pub(crate) fn max_to_mean(&self, r: usize) -> (f64, Option<NodeIx>) {
        let active = (0..self.nodes.len() as u32).map(NodeIx).filter(|at| self.node(*at).active);
        let fullest = active.max_by(|a, b| self.share(*a, r).total_cmp(&self.share(*b, r)));
        let mean = self.mean(r);
        if mean > 0.0 { (fullest.map_or(0.0, |at| self.share(at, r) / mean), fullest) } else { (0.0, fullest) }
    }

    fn bound(&self) -> LowerBound {
        let mandatory = self.plan.moves.iter().filter(|it| matches!(it.why, Why::Repair | Why::Drain));
        let load_sum = self.load_sum.map(|it| it as f64);
        LowerBound {
            max_to_mean: std::array::from_fn(|r| self.least_max_to_mean(r)),
            potential: self.potential.least(&load_sum, &self.capacity_sum),
            transfer_bytes: mandatory.map(|it| it.transfer_bytes).sum(),
        }
    }

    /// Shares cannot all be below their mean, and a copy cannot be cut: the largest on the fullest node fills some node at least so far as
    /// it would the largest node.
    fn least_max_to_mean(&self, r: usize) -> f64 {
        let (ratio, Some(fullest)) = self.max_to_mean(r) else { return 0.0 };
        let largest_capacity = self.nodes.iter().filter(|node| node.active).map(|node| node.capacity.0[r]).max().unwrap_or(0);
        if ratio == 0.0 || largest_capacity == 0 {
            return 0.0;
        }
        let served = |at: &&crate::cluster::SegmentIx| self.replicas(**at).on(fullest).is_some_and(|it| it.state.will_serve());
        let copies = self.state.node(fullest).segments.iter().filter(served);
        let largest = copies.map(|at| self.segment(*at).footprint.serving(self.sharers_in_the_end(*at)).0[r]).max().unwrap_or(0);
        (largest as f64 / largest_capacity as f64 / self.mean(r)).max(1.0)
    }
}
