//! Random happenings: drawn before the run, so that all policies meet the same ones.

use super::random::Random;
use super::scenario::{Happening, Scenario, Timed};

/// How long a node that restarts by chance is down.
const DOWN_MS: u64 = 45_000;
/// No two restart at once: whoever restarts nodes waits for the last to be back.
const RESTARTS_APART_MS: u64 = 180_000;

/// So many happenings, evenly over the time: heat that jumps and drifts, segments written and dropped, restarts, slow nodes, other leaders.
pub fn draw(scenario: &Scenario, mut random: Random, at_ms: u64, count: u64, over_ms: u64) -> Result<Vec<Timed>, String> {
    let Some(nodes) = scenario.nodes.first().filter(|_| !scenario.tables.is_empty()) else {
        return Err("nodes and tables must be named before chance may strike them".into());
    };
    let (first, last) = (*nodes.ids.start(), *nodes.ids.end());
    let mut drawn = Vec::new();
    let mut restarted_ms = 0;
    for turn in 0..count {
        let at_ms = at_ms + (u128::from(over_ms) * u128::from(turn) / u128::from(count)) as u64;
        let table = &scenario.tables[random.below(scenario.tables.len() as u64) as usize];
        let node = first + random.below(last - first + 1);
        let rested = at_ms >= restarted_ms + RESTARTS_APART_MS;
        let what = match one(&mut random, &table.name, node) {
            Happening::Restart { .. } if !rested => Happening::LeaderChanges,
            what => what,
        };
        if matches!(what, Happening::Restart { .. }) {
            restarted_ms = at_ms;
        }
        drawn.push(Timed { at_ms, what });
    }
    Ok(drawn)
}

fn one(random: &mut Random, table: &str, node: u64) -> Happening {
    let table = table.to_string();
    let part_percent = 5 + random.below(20);
    match random.below(100) {
        0..30 => Happening::Heat { table, percent: 110 + random.below(60), over_ms: 0, part_percent },
        30..65 => Happening::Heat { table, percent: 60 + random.below(35), over_ms: random.below(20) * 60_000, part_percent },
        65..78 => Happening::Arrive { table, count: 1 + random.below(4) },
        78..86 => Happening::Delete { table, percent: 1 + random.below(2) },
        86..92 => Happening::Restart { ids: node..=node, down_ms: DOWN_MS, cold: false },
        92..96 => Happening::Slow(node..=node, [40, 100][random.below(2) as usize]),
        _ => Happening::LeaderChanges,
    }
}
