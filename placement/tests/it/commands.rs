//! Short ways to write commands.

use placement::{
    Command, Commit, Expect, InlineRows, LogIndex, NewSegment, Node, ObjectChange, ObjectKey, Outcome, PlacementError, TableChange,
    TableId, UnitId,
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
    change.add_segments =
        ids.map(|id| NewSegment { id: UnitId(id), rows: 100, disk_bytes: 1 << 20, summary: vec![id as u8; summary_bytes] }).collect();
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

/// A commit with three parts: a unit in table 100, one in `table`, and an object.
pub(crate) fn create_two_units(table: u64, first: u64, payload_bytes: usize) -> Command {
    let unit = |table: u64, id: u64| {
        let mut change = TableChange::new(TableId(table));
        change.add_inline = vec![InlineRows { id: UnitId(id), rows: 1, payload: vec![id as u8; payload_bytes] }];
        change
    };
    let object = ObjectChange { key: key(&format!("o{first}")), expect: Expect::Absent, value: Some(vec![1; 10]) };
    Command::Commit(Commit { objects: vec![object], tables: vec![unit(100, first), unit(table, first + 1)], ..Commit::default() })
}
