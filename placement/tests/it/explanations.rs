//! Explanations, as a person reads them: golden texts.

use crate::decisions::Small;
use placement::cluster::{Decision, Epoch, Level, Lifecycle, NodeId, Refusal, RefusalReason};
use placement::explain::{self, Question};
use placement::{TableId, UnitId};

fn ask(small: &Small) -> Question<'_> {
    Question { state: &small.cluster, offers: &small.offers, policy: &small.policy, now_ms: small.now_ms }
}

fn scene() -> Small {
    let mut small = Small::new(&[1, 1, 2, 2, 3, 3]);
    small.segment(1, 100, 100, &[1, 3]);
    small.segment(2, 700, 50, &[2]);
    small.segment(3, 50, 10, &[5, 6]);
    small.wanted(4, 950, 10, 1);
    small.level(2, Level::Strained);
    small.lifecycle(4, Lifecycle::Draining);
    let refusal = Refusal {
        node: NodeId(6),
        epoch: Epoch(1),
        segment: UnitId(1),
        footprint: crate::decisions::footprint(80, 1),
        reason: RefusalReason::ReservationInFlight,
        retry_after_ms: 1_000,
    };
    small.decide(Decision::Refused { generation: None, refusal });
    small
}

#[track_caller]
fn assert_text(text: &str, expected: &str) {
    assert_eq!(text.trim(), expected.trim(), "\n{text}");
}

#[test]
fn a_segment() {
    let small = scene();
    let explained = explain::segment(&ask(&small), UnitId(1)).unwrap();
    assert_text(&explained.to_string(), SEGMENT);
    assert_eq!(explain::segment(&ask(&small), UnitId(99)), None);
}

#[test]
fn a_table() {
    let small = scene();
    assert_text(&explain::table(&ask(&small), TableId(1)).to_string(), TABLE);
}

#[test]
fn the_cluster_and_what_no_round_can_do() {
    let mut small = scene();
    small.copy(4, 5, false);
    small.report(3, 900);
    assert_text(&explain::cluster(&ask(&small)).to_string(), CLUSTER);
}

#[test]
fn what_each_node_carries() {
    let mut small = scene();
    small.offers.withdraw(NodeId(1));
    let lines: Vec<_> = explain::nodes(&ask(&small)).iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], NODE_1);
    assert_eq!(lines.len(), 6);
    assert!(lines[1].starts_with("node 2: strained, 1 copies; memory 700.0 MiB of 1000.0 MiB, line 900.0 MiB;"), "{}", lines[1]);
    assert!(lines[1].ends_with("; offers memory 9.8 GiB, disk 9.8 GiB"), "{}", lines[1]);
    assert!(lines[3].starts_with("node 4: draining, 0 copies; "), "{}", lines[3]);
}

#[test]
fn settings_that_decide_nothing() {
    let mut small = Small::new(&[1, 1]);
    small.segment(1, 100, 1, &[1]);
    small.segment(2, 100, 1, &[2]);
    let inert = explain::inert_settings(&ask(&small));
    assert_eq!(inert.len(), 26, "nothing is to be decided: {inert:?}");
    small.segment(3, 100, 100, &[1]);
    small.policy = placement::policy::Policy::default();
    let inert = explain::inert_settings(&ask(&small));
    assert!(!inert.contains(&"hot_share") && inert.contains(&"repair_delay_ms"), "{inert:?}");
}

/// Where nodes are full of one resource only, the settings of the others decide nothing, and its own do.
#[test]
fn settings_of_a_resource_that_nobody_is_short_of_decide_nothing() {
    let mut small = Small::new(&[1, 2]);
    small.wanted(1, 500, 1, 2);
    small.copy(1, 1, true);
    let inert = explain::inert_settings(&ask(&small));
    assert!(!inert.contains(&"fill_share_max: memory"), "half of 90 % is too little for 500 of 1000 MiB: {inert:?}");
    assert!(inert.contains(&"fill_share_max: disk") && inert.contains(&"fill_share_max: cpu"), "{inert:?}");
    assert!(["weights: memory", "weights: disk", "weights: cpu"].iter().all(|it| inert.contains(it)), "there is one target: {inert:?}");
}

const NODE_1: &str = "node 1: calm, 1 copies; memory 100.0 MiB of 1000.0 MiB, line 900.0 MiB; disk 200.0 MiB of 3.9 GiB, line 3.3 GiB; \
cpu 0.050 cores of 4.000 cores, line 4.000 cores; offers nothing";
const SEGMENT: &str = "
segment 1 of table 1: memory 100.0 MiB, disk 200.0 MiB, cpu 0.100 cores, peak 1.0 MiB; 2 copies wanted
  node 1      has a copy, Serving; without it the potential falls by 2.531e-3
  node 2      excluded: pressed
  node 3      has a copy, Serving; without it the potential falls by 2.531e-3
  node 4      excluded: draining or down
  node 5      open: one more costs 5.018e-3; moved here gains -2.506e-3, step 2.000e-5: not worth a move; zones 3, racks 3
  node 6      excluded: refused
";
const TABLE: &str = "
table 1: 4 segments
  needs repair: 1
  needs spread: 1
  node 1      1 copies, memory 100.0 MiB, disk 200.0 MiB, cpu 0.050 cores; open to 2; line: memory 1
  node 2      1 copies, memory 700.0 MiB, disk 1.4 GiB, cpu 0.050 cores; open to 0; pressed 3
  node 3      1 copies, memory 100.0 MiB, disk 200.0 MiB, cpu 0.050 cores; open to 2; line: memory 1
  node 4      0 copies, memory 0 B, disk 0 B, cpu 0.000 cores; open to 0; draining or down 4
  node 5      1 copies, memory 50.0 MiB, disk 100.0 MiB, cpu 0.005 cores; open to 2; line: memory 1
  node 6      1 copies, memory 50.0 MiB, disk 100.0 MiB, cpu 0.005 cores; open to 0; refused 3
";
const CLUSTER: &str = "
binding resource: disk
  memory  mean  20.0 %, max/mean 3.500
  disk    mean  19.5 %, max/mean 2.564
  cpu     mean   0.8 %, max/mean 1.562
potential: 0.178719, least possible 0.078089
next round: 3 moves, 1.7 GiB, relieve 1, spread 1, balance 1
node 2: Strained
node 3: reports 9.0 times the memory that it carries: set aside, it lies or is broken
node 4: draining, 0 copies left
node 6: 1 refusals hold
no round can help: 1 segments find no node with enough memory: add 951.0 MiB at least
";
