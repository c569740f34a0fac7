//! Ours: [`crate::balancer::plan`]. While debugging, every plan is checked, as it is before it is proposed.

use super::{Balancer, Proposal, View};
use crate::balancer::plan;
use crate::checker::check_plan;

/// The planner under test.
#[derive(Clone, Copy, Debug)]
pub struct Plimsoll;

impl Balancer for Plimsoll {
    fn name(&self) -> &'static str {
        "plimsoll"
    }

    fn plan(&mut self, view: &View<'_>) -> Vec<Proposal> {
        let made = plan(view.cluster, view.offers, view.policy, view.now_ms);
        debug_assert_eq!(check_plan(view.cluster, view.offers, view.policy, view.now_ms, &made), [], "the checker lints every plan");
        let moves = made.moves.iter().map(|it| Proposal {
            segment: it.segment,
            kind: it.kind,
            from: it.from,
            to: it.to,
            why: it.why.name(),
            bound_by: it.bound_by.map(|it| it.name()),
        });
        moves.collect()
    }
}
