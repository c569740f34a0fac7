//! Looking at a log that no server has open.

use crate::commands::{add_segments, committed, create, insert, lease};
use placement::raft::inspect;
use placement::{Node, NodeOptions, PlacementError, State};
use std::fs;
use std::path::Path;
use std::time::Instant;

async fn fill(folder: &Path) -> State {
    let options = NodeOptions { snapshot_entries: 5, ..NodeOptions::new(folder) };
    let node = Node::open(options).await.unwrap();
    let first = lease(&node, 200).await;
    committed(node.propose(add_segments(3, first..first + 100, 500)).await.unwrap());
    for id in first + 100..first + 120 {
        committed(node.propose(insert(4, id, b"x")).await.unwrap());
    }
    committed(node.propose(create("o", b"x")).await.unwrap());
    let state = State::clone(&node.state());
    node.shutdown().await.unwrap();
    state
}

#[tokio::test]
async fn inspection_sees_the_state_and_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let expected = fill(folder.path()).await;
    let file = folder.path().join("placement.redb");
    let before = fs::read(&file).unwrap();
    assert_eq!(inspect(folder.path()).await.unwrap(), expected);
    assert!(fs::read(&file).unwrap() == before, "the file was changed");
}

#[tokio::test]
async fn a_file_that_was_not_closed_is_inspected_without_being_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open(NodeOptions::new(folder.path())).await.unwrap();
    let first = lease(&node, 10).await;
    committed(node.propose(insert(4, first, b"x")).await.unwrap());
    assert!(matches!(inspect(folder.path()).await, Err(PlacementError::InUse)));
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("placement.redb");
    fs::copy(folder.path().join("placement.redb"), &file).unwrap();
    let before = fs::read(&file).unwrap();
    assert_eq!(inspect(copy.path()).await.unwrap(), *node.state());
    assert!(fs::read(&file).unwrap() == before, "the file was changed");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn damage_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let expected = fill(folder.path()).await;
    let file = folder.path().join("placement.redb");
    let whole = fs::read(&file).unwrap();
    let mut found = 0;
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&file, &damaged).unwrap();
        match inspect(folder.path()).await {
            Ok(state) => assert_eq!(state, expected, "damage at {at} went unnoticed"),
            Err(PlacementError::Storage(_)) => found += 1,
            Err(error) => panic!("damage at {at}: {error}"),
        }
        match Node::open(NodeOptions::new(folder.path())).await {
            Ok(node) => node.shutdown().await.unwrap(),
            Err(PlacementError::Storage(_)) => {}
            Err(error) => panic!("damage at {at}: {error}"),
        }
    }
    assert!(found > 0, "no damage was found");
}

/// One flipped bit in the name of the log's table: whoever opened the file found no such table and made an empty one, in a page with a new
/// checksum. All that was committed since the last raft snapshot was gone, and every check passed.
#[tokio::test]
async fn a_table_whose_name_is_damaged_is_not_made_anew() {
    const NAMES: &[u8] = b"logmetasnapshot";
    let folder = tempfile::tempdir().unwrap();
    let expected = fill(folder.path()).await;
    let file = folder.path().join("placement.redb");
    let whole = fs::read(&file).unwrap();
    let places: Vec<usize> = (0..whole.len() - NAMES.len()).filter(|at| whole[*at..].starts_with(NAMES)).collect();
    let mut refused = 0;
    for at in places.into_iter().flat_map(|at| at..at + NAMES.len()) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&file, &damaged).unwrap();
        for opening in ["the first", "the second"] {
            match Node::open(NodeOptions::new(folder.path())).await {
                Ok(node) => {
                    assert_eq!(*node.state(), expected, "{opening} opening with damage at {at}");
                    node.shutdown().await.unwrap();
                }
                Err(PlacementError::Storage(_)) => refused += 1,
                Err(error) => panic!("damage at {at}: {error}"),
            }
        }
    }
    assert!(refused >= 2 * NAMES.len(), "{refused} refused");
}

#[tokio::test]
async fn what_is_not_a_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(inspect(folder.path()).await, Err(PlacementError::Storage(_))));
    let file = folder.path().join("placement.redb");
    fs::write(&file, vec![b'x'; 100_000]).unwrap();
    assert!(matches!(inspect(folder.path()).await, Err(PlacementError::Storage(_))));
    assert!(matches!(Node::open(NodeOptions::new(folder.path())).await, Err(PlacementError::Storage(_))));
    assert_eq!(fs::read(&file).unwrap(), vec![b'x'; 100_000]);
}

#[tokio::test]
async fn ten_thousand_segments_open_fast() {
    let folder = tempfile::tempdir().unwrap();
    let options = NodeOptions { snapshot_entries: 5, ..NodeOptions::new(folder.path()) };
    let node = Node::open(options.clone()).await.unwrap();
    let first = lease(&node, 10_000).await;
    for start in (first..first + 10_000).step_by(1_000) {
        committed(node.propose(add_segments(3, start..start + 1_000, 2_000)).await.unwrap());
    }
    node.shutdown().await.unwrap();
    // Nothing is written in the background while the open file is copied, as a kill would leave it.
    let node = Node::open(NodeOptions::new(folder.path())).await.unwrap();
    lease(&node, 1).await;
    let expected = node.state();
    let killed = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join("placement.redb"), killed.path().join("placement.redb")).unwrap();
    node.shutdown().await.unwrap();
    for (folder, how) in [(&folder, "closed"), (&killed, "killed")] {
        let started = Instant::now();
        let node = Node::open(NodeOptions::new(folder.path())).await.unwrap();
        let elapsed = started.elapsed();
        println!("{how}: opened in {elapsed:?}");
        assert_eq!(*node.state(), *expected);
        node.shutdown().await.unwrap();
        assert!(elapsed.as_secs_f64() < 5.0, "{how}: {elapsed:?}");
    }
}
