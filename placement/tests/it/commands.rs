//! Short ways to write commands.

use placement::cluster::{Decision, Domain, Epoch, NodeId, NodeSpec, Resources};
use placement::{
    Command, Commit, Decisions, Expect, InlineRows, LogIndex, NewSegment, Node, ObjectChange, ObjectKey, Outcome, PlacementError, Placing,
    TableChange, TableId, UnitId,
};

pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey(name.into())
}

pub(crate) async fn lease(node: &Node, count: u64) -> u64 {
    match node.propose(Command::LeaseIds { count }).await.unwrap() {
        Outcome::Leased(first) => first,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn insert(table: u64, id: u64, payload: &[u8]) -> Command {
    let mut change = TableChange::new(TableId(table));
    change.add_inline = vec![InlineRows { id: UnitId(id), rows: 1, payload: payload.to_vec() }];
    Command::Commit(Commit { tables: vec![change], ..Commit::default() })
}

pub(crate) fn add_segments(table: u64, ids: impl Iterator<Item = u64>, summary_bytes: usize) -> Command {
    let mut change = TableChange::new(TableId(table));
    change.add_segments = ids
        .map(|id| NewSegment {
            id: UnitId(id),
            rows: 100,
            disk_bytes: 1 << 20,
            summary: vec![id as u8; summary_bytes],
            placing: Placing::default(),
        })
        .collect();
    Command::Commit(Commit { tables: vec![change], ..Commit::default() })
}

pub(crate) fn create(name: &str, value: &[u8]) -> Command {
    let change = ObjectChange { key: key(name), expect: Expect::Absent, value: Some(value.to_vec()) };
    Command::Commit(Commit { objects: vec![change], ..Commit::default() })
}

pub(crate) fn committed(outcome: Outcome) -> LogIndex {
    match outcome {
        Outcome::Committed(index) => index,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn lease_or_error(node: &Node, count: u64) -> Result<u64, PlacementError> {
    match node.propose(Command::LeaseIds { count }).await? {
        Outcome::Leased(first) => Ok(first),
        other => panic!("{other:?}"),
    }
}

/// Registers a node.
pub(crate) fn register(node: u64) -> Command {
    let (capacity, domain) = (Resources::new(1 << 30, 1 << 34, 4_000_000), Domain { zone: 0, rack: node as u32 });
    let spec = NodeSpec { id: NodeId(node), capacity, domain, epoch: Epoch(1) };
    Command::Decide(Decisions { now_ms: 1, decisions: vec![Decision::NodeRegistered(spec)] })
}

/// One segment more in table 200; node 1 has it.
fn placed(id: u64) -> TableChange {
    let mut change = TableChange::new(TableId(200));
    let placing = Placing { nodes: vec![NodeId(1)], ..Placing::default() };
    change.add_segments = vec![NewSegment { id: UnitId(id), rows: 1, disk_bytes: 100, summary: Vec::new(), placing }];
    change
}

/// A commit with four parts: a unit in table 100, one in `table`, an object, and a segment on node 1.
pub(crate) fn create_two_units(table: u64, first: u64, payload_bytes: usize) -> Command {
    let unit = |table: u64, id: u64| {
        let mut change = TableChange::new(TableId(table));
        change.add_inline = vec![InlineRows { id: UnitId(id), rows: 1, payload: vec![id as u8; payload_bytes] }];
        change
    };
    let object = ObjectChange { key: key(&format!("o{first}")), expect: Expect::Absent, value: Some(vec![1; 10]) };
    Command::Commit(Commit {
        objects: vec![object],
        tables: vec![unit(100, first), unit(table, first + 1), placed(first + 2)],
        ..Commit::default()
    })
}
