//! What no plan could do better than, beside what this one does.

use super::base::Base;
use super::plan::{LowerBound, Plan, Why};
use super::workspace::Workspace;
use crate::cluster::{NodeIx, RESOURCES, SegmentIx};

impl Workspace<'_> {
    /// The plan with its result, and the nodes for the plan after it.
    pub(crate) fn finish(mut self, potential_before: f64) -> (Plan, Base) {
        let potential_after = self.base.potential_now();
        let (max_to_mean_after, bound) = (self.fullest().map(|it| it.0), self.bound());
        let plan = Plan { potential_before, potential_after, max_to_mean_after, bound, ..std::mem::take(&mut self.plan) };
        (plan, self.base)
    }

    /// Of each resource the largest share divided by the mean, and whose it is.
    pub(crate) fn fullest(&self) -> [(f64, Option<NodeIx>); RESOURCES] {
        let mut fullest: [Option<(f64, NodeIx)>; RESOURCES] = [None; RESOURCES];
        for (shares, at) in self.base.shares.iter().zip(0..) {
            for (most, share) in fullest.iter_mut().zip(shares) {
                // Where there is no number, no comparison holds.
                if most.map_or(*share >= 0.0, |(most, _)| *share >= most) {
                    *most = Some((*share, NodeIx(at)));
                }
            }
        }
        std::array::from_fn(|r| match (fullest[r], self.mean(r)) {
            (Some((share, at)), mean) if mean > 0.0 => (share / mean, Some(at)),
            _ => (0.0, None),
        })
    }

    fn bound(&self) -> LowerBound {
        let mandatory = self.plan.moves.iter().filter(|it| matches!(it.why, Why::Repair | Why::Drain));
        let load_sum = self.base.load_sum.map(|it| it as f64);
        let fullest = self.fullest();
        LowerBound {
            max_to_mean: std::array::from_fn(|r| self.least_max_to_mean(r, fullest[r])),
            potential: self.base.potential.least(&load_sum, &self.capacity_sum),
            transfer_bytes: mandatory.map(|it| it.transfer_bytes).sum(),
        }
    }

    /// Shares cannot all be below their mean, and a copy cannot be cut: the largest on the fullest node fills some node at least so far as
    /// it would the largest node.
    fn least_max_to_mean(&self, r: usize, (ratio, fullest): (f64, Option<NodeIx>)) -> f64 {
        let Some(fullest) = fullest else { return 0.0 };
        let largest_capacity = self.base.largest_capacity(r);
        if ratio == 0.0 || largest_capacity == 0 {
            return 0.0;
        }
        let load = |at: SegmentIx| self.segment(at).footprint.serving(self.sharers_in_the_end(at)).0[r];
        let is_served = |at: SegmentIx| self.replicas(at).on(fullest).is_some_and(|it| it.state.will_serve());
        let (list, mut largest, mut from) = (&self.state.node(fullest).segments, 0, 0);
        while from < list.len() {
            let mut some = [SegmentIx(0); 64];
            let some = &mut some[..(list.len() - from).min(64)];
            some.iter_mut().zip(from..).for_each(|(it, at)| *it = list[at]);
            self.fetch(some);
            largest = some.iter().filter(|at| is_served(**at)).map(|at| load(*at)).fold(largest, u64::max);
            from += some.len();
        }
        (largest as f64 / largest_capacity as f64 / self.mean(r)).max(1.0)
    }
}
