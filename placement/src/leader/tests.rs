use super::*;
use crate::cluster::{Domain, Move, MoveKind, NodeSpec, Resources, SegmentSpec};
use crate::model::TableId;

const MIB: u64 = 1 << 20;

fn footprint(resident_mib: u64) -> Footprint {
    Footprint { resident_bytes: resident_mib * MIB, disk_bytes: 500 * MIB, cpu_micros: 1_000, load_peak_bytes: 0 }
}

/// Three nodes; twenty segments of 100 MiB, each served on node 1.
fn decisions() -> Vec<Decision> {
    let capacity = Resources::new(10_000 * MIB, 50_000 * MIB, 8_000_000);
    let node = |id: u64| NodeSpec { id: NodeId(id), capacity, domain: Domain { zone: id as u32, rack: id as u32 }, epoch: Epoch(1) };
    let nodes = (1..=3).map(|id| Decision::NodeRegistered(node(id)));
    let segment = |id: u64| {
        let spec = SegmentSpec { id: UnitId(id), table: TableId(1), footprint: footprint(100), replicas_wanted: 1 };
        [Decision::SegmentAdded(spec), Decision::CopyAdded { segment: UnitId(id), node: NodeId(1), serving: true }]
    };
    nodes.chain((1..=20).flat_map(segment)).collect()
}

fn decided(log: &[Decision]) -> Cluster {
    let mut cluster = Cluster::default();
    log.iter().for_each(|it| cluster.decide(it, 0).expect("the log took it"));
    cluster
}

fn leader() -> Leader {
    Leader::new(decided(&decisions()), LeaderPolicy::default(), 0)
}

fn told(leader: &Leader, node: u64, footprints: &[(u64, u64)], at_ms: u64) -> Message {
    let at = leader.cluster.node_ix(NodeId(node)).expect("it is there");
    let mut load = leader.cluster.node(at).projected;
    for (id, mib) in footprints {
        load.0[0] = load.0[0] + mib * MIB - measured_mib(leader, *id) * MIB;
    }
    let report = Report { measured_at_ms: at_ms, load };
    let footprints = footprints.iter().map(|(id, mib)| (UnitId(*id), footprint(*mib))).collect();
    Message { node: NodeId(node), report, epoch: Epoch(1), level: Level::Calm, footprints }
}

fn hear(leader: &mut Leader, footprints: &[(u64, u64)], at_ms: u64) {
    (1..=3).for_each(|node| leader.node_lives(NodeId(node), at_ms));
    let message = told(leader, 1, footprints, at_ms);
    assert_eq!(leader.hear(&message, &Policy::default(), at_ms), None);
}

fn measured_mib(leader: &Leader, segment: u64) -> u64 {
    let at = leader.cluster.segment_ix(UnitId(segment)).expect("it is there");
    leader.cluster.segment(at).footprint.resident_bytes / MIB
}

#[test]
fn a_node_that_is_silent_is_down_but_not_to_a_leader_who_has_just_begun_to_listen() {
    let mut it = leader();
    it.node_lives(NodeId(1), 10_000);
    it.node_lives(NodeId(3), 10_000);
    assert_eq!(it.due(14_999), []);
    let down = |node| Decision::NodeLifecycle { node: NodeId(node), lifecycle: Lifecycle::Down };
    assert_eq!(it.due(15_000), [down(2)]);
    it.decided(&down(2), 15_000).expect("it is there");
    assert_eq!(it.due(24_999), [], "it is known");
    assert_eq!(it.due(25_000), [down(1), down(3)]);
    it.node_lives(NodeId(1), 5_000);
    assert_eq!(it.due(25_000), [down(1), down(3)], "a clock that goes back makes nothing younger");
    let next = Leader::new(it.cluster.clone(), LeaderPolicy::default(), 1_000_000);
    assert_eq!(next.due(1_014_999), []);
}

#[test]
fn a_move_that_nobody_hears_of_is_given_up() {
    let mut it = leader();
    for (generation, segment) in [(1, 1), (2, 2), (3, 3)] {
        let (from, to) = (Some(NodeId(1)), Some(NodeId(2)));
        let (generation, segment, kind) = (Generation(generation), UnitId(segment), MoveKind::Relocate);
        let begun = Move { generation, segment, kind, from, to, to_epoch: Epoch(1), begun_at_ms: 0, phase: Phase::Begun };
        it.decided(&Decision::MoveBegun(begun), 0).expect("it can begin");
    }
    let advanced = |generation, phase| Decision::MoveAdvanced { generation: Generation(generation), phase };
    for phase in [Phase::Warm, Phase::Switched] {
        it.decided(&advanced(3, phase), 50_000).expect("it is under way");
    }
    it.move_lives(Generation(2), 100_000);
    let due = |it: &mut Leader, now_ms: u64| {
        (1..=3).for_each(|node| it.node_lives(NodeId(node), now_ms));
        it.due(now_ms)
    };
    assert_eq!(due(&mut it, 119_999), []);
    assert_eq!(due(&mut it, 120_000), [advanced(1, Phase::Aborted)]);
    assert_eq!(due(&mut it, 170_000), [advanced(1, Phase::Aborted), advanced(3, Phase::Finished)], "it is served there already");
    for decision in due(&mut it, 220_000) {
        it.decided(&decision, 220_000).expect("every one of them can be taken");
    }
    assert_eq!(it.cluster.moves().len(), 0);
    assert_eq!(due(&mut it, 400_000), []);
}

#[test]
fn a_footprint_that_is_another_for_a_minute_is_noted_once() {
    let mut it = leader();
    hear(&mut it, &[(1, 300), (2, 110), (3, 300)], 1_000);
    assert_eq!(measured_mib(&it, 2), 110, "what is measured is planned with at once");
    hear(&mut it, &[(3, 100)], 30_000);
    hear(&mut it, &[], 60_999);
    assert_eq!(it.due(60_999), [], "a minute has not passed");
    hear(&mut it, &[], 61_000);
    let note = Decision::FootprintNoted { segment: UnitId(1), footprint: footprint(300).rounded() };
    assert_eq!(it.due(61_000), [note], "a tenth more is no news, and what is as it was is none any more");
    it.decided(&note, 61_000).expect("it is there");
    assert_eq!((it.notes(u64::MAX).count(), measured_mib(&it, 1)), (0, 300), "what is measured is more exact than what was noted");
    hear(&mut it, &[(1, 310)], 70_000);
    assert_eq!(it.notes(u64::MAX).count(), 0, "it drifts within what was noted");
}

#[test]
fn a_new_leader_begins_with_what_was_noted() {
    let (mut log, mut it) = (decisions(), leader());
    hear(&mut it, &[(1, 400)], 1_000);
    hear(&mut it, &[], 62_000);
    for decision in it.due(62_000) {
        it.decided(&decision, 62_000).expect("it can be taken");
        log.push(decision);
    }
    let next = Leader::new(decided(&log), LeaderPolicy::default(), 100_000);
    assert!((400..=450).contains(&measured_mib(&next, 1)), "{}", measured_mib(&next, 1));
}

#[test]
fn notes_are_bounded_and_go_with_their_segments() {
    let policy = LeaderPolicy { notes_max: 3, ..LeaderPolicy::default() };
    let mut it = Leader::new(decided(&decisions()), policy, 0);
    let all: Vec<_> = (1..=20).map(|id| (id, 300)).collect();
    hear(&mut it, &all, 1_000);
    assert_eq!(it.notes(100_000).count(), 3);
    for id in 1..=18 {
        it.decided(&Decision::SegmentRemoved(UnitId(id)), 2_000).expect("it is there");
    }
    let left: Vec<_> = it.notes(100_000).collect();
    assert!(matches!(
        left[..],
        [Decision::FootprintNoted { segment: UnitId(19), .. }, Decision::FootprintNoted { segment: UnitId(20), .. }]
    ));
}

#[test]
fn who_lies_is_named_and_nothing_that_it_tells_is_believed() {
    let mut it = leader();
    hear(&mut it, &[], 1_000);
    let mut lie = told(&it, 1, &[(1, 400)], 2_000);
    lie.report.load = Resources(lie.report.load.0.map(|value| value * 4));
    assert!(matches!(it.hear(&lie, &Policy::default(), 2_000), Some((NodeId(1), Trust::Implausible(..)))));
    assert_eq!(measured_mib(&it, 1), 100);
    let absurd =
        Message { footprints: vec![(UnitId(1), Footprint { resident_bytes: u64::MAX, ..footprint(1) })], ..told(&it, 1, &[], 3_000) };
    assert_eq!(it.hear(&absurd, &Policy::default(), 3_000), None);
    assert_eq!(measured_mib(&it, 1), 100, "what cannot be true is not taken");
    let past = Message { epoch: Epoch(0), level: Level::Critical, ..told(&it, 1, &[], 4_000) };
    assert_eq!(it.hear(&past, &Policy::default(), 4_000), None);
    assert_eq!(it.cluster.nodes().next().map(|node| node.level), Some(Level::Calm));
}

#[test]
fn it_plans_when_it_has_heard_from_all_and_then_when_something_has_changed() {
    let mut it = leader();
    assert!(!it.plans_now(29_999) && it.plans_now(30_000), "it does not wait for ever");
    for node in 1..=3 {
        let message = told(&it, node, &[], 1_000);
        assert_eq!(it.hear(&message, &Policy::default(), 1_000), None);
    }
    assert!(it.plans_now(1_000));
    it.plan(&Policy::default(), 1_000);
    assert!(!it.plans_now(10_999) && it.plans_now(11_000));
    let pressed = Message { level: Level::Strained, ..told(&it, 2, &[], 2_000) };
    assert_eq!(it.hear(&pressed, &Policy::default(), 2_000), None);
    assert!(it.plans_now(2_000));
}
