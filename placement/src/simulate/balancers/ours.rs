//! Ours: [`crate::balancer::Planner`]. While debugging, every plan is checked, as it is before it is proposed, and compared with what
//! [`crate::balancer::plan`] says, which remembers nothing.

use super::{Balancer, Proposal, View};
use crate::balancer::{Planner, plan};
use crate::checker::check_plan;

/// The planner under test.
#[derive(Clone, Debug, Default)]
pub struct Plimsoll {
    planner: Planner,
}

impl Balancer for Plimsoll {
    fn name(&self) -> &'static str {
        "plimsoll"
    }

    fn plan(&mut self, view: &View<'_>) -> Vec<Proposal> {
        let made = self.planner.plan(view.cluster, view.offers, view.policy, view.now_ms);
        debug_assert_eq!(made, plan(view.cluster, view.offers, view.policy, view.now_ms), "what is remembered decides nothing");
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
