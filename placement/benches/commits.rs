//! Durable one-row commits a second, from 1, 16 and 64 proposers at once, in a folder under the target directory's disk.
//! Run with `cargo bench -p plimsoll-placement`; `PLIMSOLL_BENCH_FOLDER` names another folder.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use placement::{Command, Commit, InlineRows, Node, NodeOptions, Outcome, TableChange, TableId, UnitId};
use std::sync::Arc;
use std::time::{Duration, Instant};

const DURATION: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let base = std::env::var("PLIMSOLL_BENCH_FOLDER").unwrap_or_else(|_| ".".to_owned());
    for proposers in [1, 16, 64] {
        let folder = tempfile::tempdir_in(&base).unwrap();
        let node = Node::open(NodeOptions::new(folder.path())).await.unwrap();
        let (started, cpu) = (Instant::now(), cpu_time());
        let tasks: Vec<_> = (0..proposers).map(|_| tokio::spawn(propose(node.clone(), started))).collect();
        let mut commits = 0;
        for task in tasks {
            commits += task.await.unwrap();
        }
        let (elapsed, cpu) = (started.elapsed().as_secs_f64(), cpu_time() - cpu);
        let rate = f64::from(commits) / elapsed;
        let cpu_micros = cpu * 1e6 / f64::from(commits);
        println!(
            "{proposers:3} proposers: {rate:7.0} commits/s, {cpu_micros:5.0} us of CPU each, {:3.0} % of a core",
            100.0 * cpu / elapsed
        );
        node.shutdown().await.unwrap();
    }
}

async fn propose(node: Arc<Node>, started: Instant) -> u32 {
    let mut commits = 0;
    let Outcome::Leased(first) = node.propose(Command::LeaseIds { count: 1_000_000 }).await.unwrap() else { unreachable!() };
    while started.elapsed() < DURATION {
        let mut change = TableChange::new(TableId(1));
        change.add_inline = vec![InlineRows { id: UnitId(first + u64::from(commits)), rows: 1, payload: vec![7; 300] }];
        let commit = Commit { read_index: node.state().index, tables: vec![change], ..Commit::default() };
        assert!(matches!(node.propose(Command::Commit(commit)).await.unwrap(), Outcome::Committed(_)));
        commits += 1;
    }
    commits
}

/// Seconds of CPU that this process has used.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or("").split_whitespace().skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
    fields.iter().sum::<f64>() / 100.0
}
