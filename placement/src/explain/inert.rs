//! Settings that decide nothing on the present state.

use super::Question;
use crate::balancer::{PlannedMove, plan};
use crate::cluster::RESOURCES;
use crate::policy::Policy;

/// A setting, and how it is multiplied.
type Setting = (&'static str, fn(&mut Policy, f64));

/// One for each resource where there are as many. Multiplied together, the weights would only move the step.
const SETTINGS: [Setting; 20 + 2 * RESOURCES] = [
    ("weights: memory", |policy, by| policy.weights[0] *= by),
    ("weights: disk", |policy, by| policy.weights[1] *= by),
    ("weights: cpu", |policy, by| policy.weights[2] *= by),
    ("fill_share_max: memory", |policy, by| policy.fill_share_max[0] *= by),
    ("fill_share_max: disk", |policy, by| policy.fill_share_max[1] *= by),
    ("fill_share_max: cpu", |policy, by| policy.fill_share_max[2] *= by),
    ("balance_band", |policy, by| policy.balance_band *= by),
    ("balance_floor_share", |policy, by| policy.balance_floor_share *= by),
    ("step_per_share", |policy, by| policy.step_per_share *= by),
    ("step_min", |policy, by| policy.step_min *= by),
    ("moves_in_per_node_max", |policy, by| policy.moves_in_per_node_max = scaled(policy.moves_in_per_node_max, by)),
    ("moves_out_per_node_max", |policy, by| policy.moves_out_per_node_max = scaled(policy.moves_out_per_node_max, by)),
    ("moves_in_flight_max", |policy, by| policy.moves_in_flight_max = scaled(policy.moves_in_flight_max, by)),
    ("segment_rest_ms", |policy, by| policy.segment_rest_ms = scaled_ms(policy.segment_rest_ms, by)),
    ("segment_return_ms", |policy, by| policy.segment_return_ms = scaled_ms(policy.segment_return_ms, by)),
    ("hot_share", |policy, by| policy.hot_share *= by),
    ("hot_release", |policy, by| policy.hot_release *= by),
    ("hot_replicas_max", |policy, by| policy.hot_replicas_max = (f64::from(policy.hot_replicas_max) * by) as u8),
    ("repair_delay_ms", |policy, by| policy.repair_delay_ms = scaled_ms(policy.repair_delay_ms, by)),
    ("strained_relief", |policy, by| policy.strained_relief *= by),
    ("critical_relief", |policy, by| policy.critical_relief *= by),
    ("relief_pause_ms", |policy, by| policy.relief_pause_ms = scaled_ms(policy.relief_pause_ms, by)),
    ("report_implausible_ratio", |policy, by| policy.report_implausible_ratio *= by),
    ("report_noise", |policy, by| policy.report_noise *= by),
    ("report_age_max_ms", |policy, by| policy.report_age_max_ms = scaled_ms(policy.report_age_max_ms, by)),
    ("disk_only_copies", |policy, by| policy.disk_only_copies = by > 1.0),
];

fn scaled(value: u32, by: f64) -> u32 {
    (f64::from(value) * by) as u32
}

fn scaled_ms(value: u64, by: f64) -> u64 {
    (value as f64 * by) as u64
}

/// The settings that could be half or twice what they are without any other decision now. Costs two plans for each setting.
pub fn inert_settings(question: &Question<'_>) -> Vec<&'static str> {
    let moves = |policy: &Policy| plan(question.state, question.offers, policy, question.now_ms).moves;
    let decided = moves(question.policy);
    let inert = SETTINGS.iter().filter(|(_, change)| {
        [0.5, 2.0].into_iter().all(|by| {
            let mut policy = *question.policy;
            change(&mut policy, by);
            same_decisions(&decided, &moves(&policy))
        })
    });
    inert.map(|(name, _)| *name).collect()
}

/// The same moves, whatever their gains are said to be.
fn same_decisions(a: &[PlannedMove], b: &[PlannedMove]) -> bool {
    let decision = |it: &PlannedMove| (it.segment, it.kind, it.from, it.to, it.why);
    a.iter().map(decision).eq(b.iter().map(decision))
}
