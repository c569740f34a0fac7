//! A disk that fills up: commands are refused, the node lives, and goes on when there is space again.

use crate::commands::{committed, create, create_two_units, insert, lease, lease_or_error, register};
use crate::medium::Medium;
use placement::{Command, Commit, Node, NodeOptions, Outcome, PlacementError, TableChange, TableId, UnitId};
use std::sync::Arc;

fn options(medium: &Medium) -> NodeOptions {
    NodeOptions { snapshot_entries: 6, device: Arc::new(medium.clone()), ..NodeOptions::new("/nonexistent") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_in_the_midst_of_a_write_is_survived() {
    let (mut refused, mut unknown) = (0, 0);
    for changes in 0..60 {
        let medium = Medium::default();
        let node = Node::open(options(&medium)).await.unwrap();
        let first = lease(&node, 100).await;
        committed(node.propose(register(1)).await.unwrap());
        committed(node.propose(insert(1, first, b"before")).await.unwrap());
        medium.full_after(Some(changes));
        let (mut lost, mut doubtful) = (Vec::new(), Vec::new());
        for id in (first + 1..first + 44).step_by(3) {
            match node.propose(create_two_units(1, id, 3_000)).await {
                Ok(outcome) => _ = committed(outcome),
                Err(PlacementError::DiskFull) => lost.push(id),
                Err(PlacementError::Unavailable(_)) => doubtful.push(id),
                Err(error) => panic!("{error}"),
            }
        }
        assert!(doubtful.len() <= 1, "only a batch in flight may be in doubt: {doubtful:?}");
        assert!(node.state().tables[&TableId(1)].live_rows >= 1, "readers go on");
        medium.full_after(None);
        committed(node.propose(create("after", b"")).await.unwrap());
        let state = node.state();
        let has = |id: u64| state.tables.get(&TableId(100)).is_some_and(|table| table.units.contains_key(&UnitId(id)));
        assert!(!lost.iter().any(|id| has(*id)), "what was refused must not be found later");
        node.shutdown().await.unwrap();
        let node = Node::open(options(&medium)).await.unwrap();
        assert_eq!(*node.state(), *state);
        node.shutdown().await.unwrap();
        (refused, unknown) = (refused + lost.len(), unknown + doubtful.len());
    }
    println!("{refused} refused, {unknown} in doubt");
    assert!(refused > 40, "{refused}");
    // Only where the command got into the log, and something else filled the disk before it was answered.
    assert!(unknown <= 15, "{unknown} times nobody could say what became of a command");
}

#[tokio::test]
async fn the_last_of_the_space_is_kept_for_what_frees_more() {
    let medium = Medium::default();
    let node = Node::open(options(&medium)).await.unwrap();
    let first = lease(&node, 10).await;
    committed(node.propose(insert(1, first, b"row")).await.unwrap());
    medium.say_free(Some(8 << 20));
    assert!(matches!(node.propose(insert(1, first + 1, b"row")).await, Err(PlacementError::DiskFull)));
    let dropped = TableChange { drop: true, ..TableChange::new(TableId(1)) };
    committed(node.propose(Command::Commit(Commit { tables: vec![dropped], ..Commit::default() })).await.unwrap());
    medium.say_free(Some(100));
    assert!(matches!(lease_or_error(&node, 1).await, Err(PlacementError::DiskFull)));
    medium.say_free(None);
    assert!(matches!(node.propose(insert(1, first + 1, b"row")).await, Ok(Outcome::Committed(_))));
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_wait_together_share_a_sync() {
    let medium = Medium::default();
    let node = Node::open(options(&medium)).await.unwrap();
    let first = lease(&node, 3_200).await;
    let before = medium.syncs();
    let tasks = (0..16).map(|task| {
        let node = node.clone();
        tokio::spawn(async move {
            for id in (first + task * 100..).take(100) {
                committed(node.propose(insert(task, id, b"row")).await.unwrap());
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.unwrap();
    }
    let syncs = medium.syncs() - before;
    assert!(syncs < 800, "{syncs} syncs for 1,600 commits");
    node.shutdown().await.unwrap();
}

/// A small file system of its own, unmounted at the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = std::process::Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", &size, "plimsoll-test"]).arg(folder.path()).output();
        done.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        _ = std::process::Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_file_system_that_is_full_is_survived() {
    let Some(disk) = Tmpfs::mount(24) else {
        eprintln!("SKIPPED: mounting a small tmpfs needs root");
        return;
    };
    let folder = disk.0.path();
    let options = NodeOptions { disk_reserve_bytes: 0, ..NodeOptions::new(folder) };
    let node = Node::open(options.clone()).await.unwrap();
    let first = lease(&node, 10_000).await;
    let filler = folder.join("filler");
    let mut next = first;
    for round in 0..3_u64 {
        committed(node.propose(insert(1, next, &[0; 60_000])).await.unwrap());
        std::fs::write(&filler, vec![0; (14 - round as usize * 2) << 20]).unwrap();
        let mut acknowledged = vec![next];
        let error = loop {
            next += 1;
            match node.propose(insert(1, next, &[round as u8; 60_000])).await {
                Ok(outcome) => _ = committed(outcome),
                Err(error) => break error,
            }
            acknowledged.push(next);
        };
        assert!(matches!(error, PlacementError::DiskFull), "{error}");
        next += 1;
        std::fs::remove_file(&filler).unwrap();
        committed(node.propose(insert(1, next, b"there is space again")).await.unwrap());
        let state = node.state();
        assert!(acknowledged.iter().all(|id| state.tables[&TableId(1)].units.contains_key(&UnitId(*id))));
        let dropped = TableChange { drop: true, ..TableChange::new(TableId(1)) };
        committed(node.propose(Command::Commit(Commit { tables: vec![dropped], ..Commit::default() })).await.unwrap());
        next += 1;
    }
    let state = node.state();
    node.shutdown().await.unwrap();
    let node = Node::open(options).await.unwrap();
    assert_eq!(*node.state(), *state);
    node.shutdown().await.unwrap();
}
