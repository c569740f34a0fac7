//! Decisions are commands of the log: all or nothing, the same on every replica, kept over restarts and snapshots, shared by readers.

use crate::commands::{add_segments, committed, lease, register};
use placement::checker::check_state;
use placement::cluster::{
    Decision, Epoch, Footprint, Generation, Lifecycle, Move, MoveKind, NodeId, Phase, Refusal, RefusalReason, ReplicaState,
};
use placement::{
    Command, Commit, Conflict, Decisions, NewSegment, Node, NodeOptions, Outcome, Placing, State, TableChange, TableId, UnitId, UnitRemoval,
};
use std::sync::Arc;

const FIRST: u64 = State::FIRST_ID;

fn decide(decisions: Vec<Decision>) -> Command {
    Command::Decide(Decisions { now_ms: 5_000, decisions })
}

fn done(state: &mut State, command: &Command) {
    let outcome = state.apply_next(command);
    assert!(matches!(outcome, Outcome::Committed(_)), "{command:?}: {outcome:?}");
}

/// A commit that adds segments to table 1, each on these nodes.
fn write(ids: &[u64], nodes: &[u64]) -> Command {
    let placing = Placing { nodes: nodes.iter().map(|id| NodeId(*id)).collect(), footprint: None, replicas_wanted: 2 };
    let new = |id: &u64| NewSegment { id: UnitId(*id), rows: 9, disk_bytes: 1 << 20, summary: Vec::new(), placing: placing.clone() };
    let change = TableChange { add_segments: ids.iter().map(new).collect(), ..TableChange::new(TableId(1)) };
    Command::Commit(Commit { tables: vec![change], ..Commit::default() })
}

fn begun(state: &State, id: u64, from: u64, to: u64) -> Decision {
    Decision::MoveBegun(Move {
        generation: state.cluster.next_generation(),
        segment: UnitId(id),
        kind: MoveKind::Relocate,
        from: Some(NodeId(from)),
        to: Some(NodeId(to)),
        to_epoch: Epoch(1),
        begun_at_ms: 4_000,
        phase: Phase::Begun,
    })
}

/// Two nodes, and two segments on the first.
fn state() -> State {
    let mut state = State::default();
    [Command::LeaseIds { count: 50 }, register(1), register(2)].iter().for_each(|command| _ = state.apply_next(command));
    done(&mut state, &write(&[FIRST, FIRST + 1], &[1]));
    state
}

fn nodes_of(state: &State, id: u64) -> Vec<u64> {
    let segment = state.cluster.segment(state.cluster.segment_ix(UnitId(id)).unwrap());
    segment.replicas.iter().map(|it| state.cluster.node(it.node).spec.id.0).collect()
}

#[test]
fn a_move_goes_through_the_log_and_ends_where_it_was_to() {
    let mut state = state();
    let generation = Generation(0);
    let begin = begun(&state, FIRST, 1, 2);
    done(&mut state, &decide(vec![begin]));
    for phase in [Phase::Copied, Phase::Warm, Phase::Switched, Phase::Finished] {
        done(&mut state, &decide(vec![Decision::MoveAdvanced { generation, phase }]));
    }
    assert_eq!((nodes_of(&state, FIRST), nodes_of(&state, FIRST + 1)), (vec![2], vec![1]));
    assert_eq!(check_state(&state.cluster), []);
    let stale = decide(vec![begun(&State::default(), FIRST, 2, 1)]);
    assert_eq!(
        state.apply_next(&stale),
        Outcome::Conflict(Conflict::Decision(0, "a later move has begun already".into())),
        "a generation names one move for ever"
    );
}

#[test]
fn decisions_are_taken_together_or_not_at_all() {
    let mut state = state();
    let before = state.clone();
    let good = Decision::NodeLifecycle { node: NodeId(1), lifecycle: Lifecycle::Draining };
    let bad = Decision::CopyLost { segment: UnitId(FIRST), node: NodeId(77) };
    let outcome = state.apply_next(&decide(vec![good, bad]));
    assert_eq!(outcome, Outcome::Conflict(Conflict::Decision(1, "there is no node 77".into())));
    assert_eq!(State { index: before.index, ..state.clone() }, before);
    assert!(Arc::ptr_eq(&state.cluster, &before.cluster), "nothing was even copied");
}

#[test]
fn segments_come_and_go_with_commits() {
    let mut state = state();
    let removed = decide(vec![Decision::SegmentRemoved(UnitId(FIRST))]);
    assert_eq!(state.apply_next(&removed), Outcome::Conflict(Conflict::Decision(0, "segments come and go with commits".into())));
    let version = state.tables[&TableId(1)].units[&UnitId(FIRST)].version;
    let mut change = TableChange::new(TableId(1));
    change.remove_units = vec![UnitRemoval { unit: UnitId(FIRST), version }];
    let read_index = state.index;
    done(&mut state, &Command::Commit(Commit { read_index, tables: vec![change], ..Commit::default() }));
    assert!(state.cluster.segment_ix(UnitId(FIRST)).is_none() && nodes_of(&state, FIRST + 1) == [1]);
    let dropped = TableChange { drop: true, ..TableChange::new(TableId(1)) };
    done(&mut state, &Command::Commit(Commit { tables: vec![dropped], ..Commit::default() }));
    assert_eq!((state.cluster.segment_count(), check_state(&state.cluster)), (0, vec![]));
    let unknown = state.apply_next(&write(&[FIRST + 2], &[9]));
    assert!(matches!(unknown, Outcome::Conflict(Conflict::Invalid(_))), "{unknown:?}");
    assert!(!state.tables.contains_key(&TableId(1)));
}

/// A commit that touches no segment shares the cluster with the state before, and a reader's state stays as it is.
#[test]
fn readers_keep_the_cluster_that_they_have() {
    let mut state = state();
    let reader = state.clone();
    let inlined = crate::commands::insert(1, FIRST + 9, b"row");
    done(&mut state, &inlined);
    assert!(Arc::ptr_eq(&state.cluster, &reader.cluster));
    done(&mut state, &decide(vec![Decision::CopyAdded { segment: UnitId(FIRST), node: NodeId(2), serving: true }]));
    assert_eq!((nodes_of(&reader, FIRST), nodes_of(&state, FIRST)), (vec![1], vec![1, 2]));
    assert_eq!((check_state(&reader.cluster), check_state(&state.cluster)), (vec![], vec![]));
}

/// What a new leader, or a node that was away, begins with: a refusal holds, a move in flight goes on.
#[tokio::test]
async fn refusals_and_moves_survive_restarts_and_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let options = || NodeOptions { snapshot_entries: 5, ..NodeOptions::new(folder.path()) };
    let node = Node::open(options()).await.unwrap();
    let first = lease(&node, 50).await;
    for command in [register(1), register(2), write(&[first, first + 1], &[1])] {
        committed(node.propose(command).await.unwrap());
    }
    let footprint = Footprint { resident_bytes: 5 << 20, disk_bytes: 1 << 20, cpu_micros: 7, load_peak_bytes: 0 };
    let refusal = Refusal {
        node: NodeId(2),
        epoch: Epoch(1),
        segment: UnitId(first + 1),
        footprint,
        reason: RefusalReason::ReservationInFlight,
        retry_after_ms: 65_000,
    };
    let noted = Decision::FootprintNoted { segment: UnitId(first + 1), footprint };
    let move_begun = begun(&node.state(), first, 1, 2);
    committed(node.propose(decide(vec![move_begun, noted, Decision::Refused { generation: None, refusal }])).await.unwrap());
    for _ in 0..12 {
        lease(&node, 1).await;
    }
    let before = node.state();
    node.shutdown().await.unwrap();
    let node = Node::open(options()).await.unwrap();
    let after = node.state();
    assert_eq!(*after, *before);
    let cluster = &after.cluster;
    let target = cluster.node(cluster.node_ix(NodeId(2)).unwrap());
    assert_eq!(target.refusals, [refusal]);
    assert_eq!(cluster.segment(cluster.segment_ix(UnitId(first + 1)).unwrap()).footprint, footprint);
    let moving = cluster.segment(cluster.segment_ix(UnitId(first)).unwrap());
    assert_eq!(moving.replicas.iter().map(|it| it.state).collect::<Vec<_>>(), [ReplicaState::Leaving, ReplicaState::Loading]);
    committed(node.propose(decide(vec![Decision::MoveAdvanced { generation: Generation(0), phase: Phase::Copied }])).await.unwrap());
    node.shutdown().await.unwrap();
}

/// A state of the first version, which had no cluster: its segments are taken over, with a copy nowhere yet.
#[test]
fn a_state_of_the_first_version_is_read() {
    let mut state = State::default();
    state.apply_next(&Command::LeaseIds { count: 50 });
    done(&mut state, &add_segments(1, FIRST..FIRST + 3, 10));
    done(&mut state, &crate::commands::insert(1, FIRST + 9, b"row"));
    let bytes = first_version(&state.to_bytes());
    let read = State::from_bytes(&bytes).unwrap();
    assert_eq!((&read, read.cluster.segment_count()), (&state, 3));
    let size = read.cluster.segment(read.cluster.segment_ix(UnitId(FIRST)).unwrap()).footprint;
    assert_eq!(size, Footprint::unmeasured(1 << 20));
}

/// What the first version wrote: another number, and a map with one entry less, the last.
fn first_version(bytes: &[u8]) -> Vec<u8> {
    let name = b"\xa7cluster";
    let at = bytes.windows(name.len()).rposition(|it| it == name).unwrap();
    let mut old = bytes[..at].to_vec();
    assert_eq!((&old[8..12], old[12]), (&[2, 0, 0, 0][..], 0x87), "a map of seven entries");
    (old[8], old[12]) = (1, 0x86);
    old
}
