//! A node on a real disk: proposing, reopening, sharing the folder.

use crate::commands::{add_segments, committed, create, insert, key, lease};
use placement::{Command, Commit, Conflict, Node, NodeOptions, Outcome, PlacementError, State, TableChange, TableId};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

async fn open(folder: &tempfile::TempDir) -> Arc<Node> {
    Node::open(NodeOptions::new(folder.path())).await.unwrap()
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(&folder).await;
    assert_eq!(*node.state(), State::default());
    let first = lease(&node, 10).await;
    assert_eq!(first, State::FIRST_ID);
    committed(node.propose(create("relation/public/t", b"abc")).await.unwrap());
    let index = committed(node.propose(insert(7, first, b"row")).await.unwrap());
    let before = node.state();
    assert_eq!(before.index, index);
    assert_eq!(before.tables[&TableId(7)].live_rows, 1);
    node.shutdown().await.unwrap();
    assert!(matches!(node.propose(create("x", b"")).await, Err(PlacementError::Unavailable(_))));

    let started = Instant::now();
    let node = open(&folder).await;
    println!("reopened in {:?}", started.elapsed());
    assert_eq!(*node.state(), *before);
    assert_eq!(lease(&node, 1).await, first + 10);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_second_node_on_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(&folder).await;
    assert!(matches!(Node::open(NodeOptions::new(folder.path())).await, Err(PlacementError::InUse)));
    node.shutdown().await.unwrap();
    open(&folder).await.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_proposals_each_get_their_own_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(&folder).await;
    let tasks: Vec<_> = (0..16).map(|task| tokio::spawn(propose_many(node.clone(), task))).collect();
    let mut ids = HashSet::new();
    for task in tasks {
        for id in task.await.unwrap() {
            assert!(ids.insert(id), "id {id} was handed out twice");
        }
    }
    let state = node.state();
    assert_eq!(ids.len(), 16 * 20);
    assert_eq!(state.tables.values().map(|table| table.live_rows).sum::<u64>(), 16 * 20);
    assert!(state.objects.contains_key(&key("race")));
    node.shutdown().await.unwrap();
    let node = open(&folder).await;
    assert_eq!(*node.state(), *state);
    node.shutdown().await.unwrap();
}

async fn propose_many(node: Arc<Node>, task: u64) -> Vec<u64> {
    let mut ids = Vec::new();
    for round in 0..20 {
        let id = lease(&node, 1).await;
        committed(node.propose(insert(task, id, &round.to_string().into_bytes())).await.unwrap());
        ids.push(id);
    }
    let race = node.propose(create("race", b"")).await.unwrap();
    assert!(matches!(race, Outcome::Committed(_) | Outcome::Conflict(Conflict::Object(_))));
    ids
}

#[tokio::test]
async fn a_raft_snapshot_replaces_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let options = NodeOptions { snapshot_entries: 10, ..NodeOptions::new(folder.path()) };
    let node = Node::open(options.clone()).await.unwrap();
    let first = lease(&node, 10_000).await;
    committed(node.propose(add_segments(3, first..first + 1_500, 2_000)).await.unwrap());
    for id in first + 5_000..first + 5_060 {
        committed(node.propose(insert(4, id, b"x")).await.unwrap());
        node.propose(Command::LeaseCounter { key: key("s"), count: 3 }).await.unwrap();
    }
    let before = node.state();
    node.shutdown().await.unwrap();
    for _ in 0..2 {
        let node = Node::open(options.clone()).await.unwrap();
        assert_eq!(*node.state(), *before);
        node.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_was_large_gives_its_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(&folder).await;
    let first = lease(&node, 1_000).await;
    for id in (first..).take(18) {
        committed(node.propose(add_segments(3, id..id + 1, 3 << 20)).await.unwrap());
    }
    let dropped = TableChange { drop: true, ..TableChange::new(TableId(3)) };
    committed(node.propose(Command::Commit(Commit { tables: vec![dropped], ..Commit::default() })).await.unwrap());
    node.shutdown().await.unwrap();
    let file = folder.path().join("placement.redb");
    let largest = std::fs::metadata(&file).unwrap().len();
    assert!(largest > 50 << 20, "{largest}");
    // The first of these lives purges the log; space is given back when the file is opened again.
    let options = NodeOptions { snapshot_entries: 5, ..NodeOptions::new(folder.path()) };
    for _ in 0..3 {
        let node = Node::open(options.clone()).await.unwrap();
        lease(&node, 1).await;
        println!("{} bytes", std::fs::metadata(&file).unwrap().len());
        node.shutdown().await.unwrap();
    }
    let smallest = std::fs::metadata(&file).unwrap().len();
    assert!(smallest < 16 << 20, "{largest} bytes became {smallest}");
}
