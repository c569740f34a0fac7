//! Power is lost at any moment, and the unsynced part of the file with it: every acknowledged command is there afterwards, and no half of any.

use crate::commands::{create_two_units, lease_or_error, register};
use crate::medium::Medium;
use placement::checker::check_state;
use placement::{LogIndex, Node, NodeOptions, Outcome, State, TableId, UnitId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

/// A commit that was acknowledged: the first of its two units, and its index.
type Acknowledged = (u64, LogIndex);

fn options(medium: &Medium) -> NodeOptions {
    NodeOptions { snapshot_entries: 8, device: Arc::new(medium.clone()), ..NodeOptions::new("/nonexistent") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_halved() {
    let seeds = std::env::var("PLIMSOLL_CRASH_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(40);
    let mut acknowledged = 0;
    for seed in 0..seeds {
        acknowledged += lives(seed).await;
    }
    assert!(acknowledged > 10 * seeds as usize, "the power was cut so early that little was tested: {acknowledged} commits");
}

/// Some lives of one file, each ended by a loss of power.
async fn lives(seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let medium = Medium::default();
    let mut acknowledged = Vec::new();
    for life in 0..4 {
        medium.cut_power_after(rng.random_range(1..600));
        if let Ok(node) = Node::open(options(&medium)).await {
            check(&node.state(), &acknowledged, seed);
            acknowledged.extend(work(&node).await);
            node.shutdown().await.unwrap();
        }
        medium.restore_power(seed * 10 + life);
    }
    let node = Node::open(options(&medium)).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    check(&node.state(), &acknowledged, seed);
    assert!(lease_or_error(&node, 1).await.is_ok());
    node.shutdown().await.unwrap();
    acknowledged.len()
}

/// Proposes from several tasks until the power is cut.
async fn work(node: &Arc<Node>) -> Vec<Acknowledged> {
    if node.propose(register(1)).await.is_err() {
        return Vec::new();
    }
    let tasks: Vec<_> = (0..6).map(|task| tokio::spawn(propose_until_dark(node.clone(), task))).collect();
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    acknowledged
}

async fn propose_until_dark(node: Arc<Node>, task: u64) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    loop {
        let Ok(first) = lease_or_error(&node, 3).await else { return acknowledged };
        match node.propose(create_two_units(task, first, 700 * (task as usize + 1))).await {
            Ok(Outcome::Committed(index)) => {
                assert!(node.state().index >= index, "answered before it was published");
                acknowledged.push((first, index));
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => return acknowledged,
        }
    }
}

fn check(state: &State, acknowledged: &[Acknowledged], seed: u64) {
    for (first, index) in acknowledged {
        let version = |table: u64, id: u64| state.tables.get(&TableId(table))?.units.get(&UnitId(id)).map(|unit| unit.version);
        assert_eq!(version(100, *first), Some(*index), "seed {seed}: an acknowledged commit is lost or moved");
    }
    let firsts = state.tables.get(&TableId(100)).map_or(0, |table| table.units.size());
    let seconds: usize = (0..6).filter_map(|task| state.tables.get(&TableId(task))).map(|table| table.units.size()).sum();
    assert_eq!(firsts, seconds, "seed {seed}: a commit is halved");
    assert_eq!(firsts, state.objects.size(), "seed {seed}: a commit is halved");
    let placed = state.cluster.segments().filter(|(_, it)| it.replicas.len() == 1).count();
    assert_eq!((firsts, firsts), (state.cluster.segment_count(), placed), "seed {seed}: the cluster has other segments than the tables");
    assert_eq!(check_state(&state.cluster), [], "seed {seed}");
}
