//! What can be asked of the log, and what it answers.

use crate::cluster::{Decision, Footprint, NodeId};
use crate::model::{LogIndex, ObjectKey, TableId, UnitId};
use serde::{Deserialize, Serialize};

/// One request to the log. Applied atomically, and deterministically: everything uncertain was decided by whoever proposed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Changes tables and catalog objects, all or nothing.
    Commit(Commit),
    /// Hands out `count` ids that nobody else will ever get (segments, inlined batches, tables, columns' owners, OIDs of relations).
    LeaseIds {
        /// How many.
        count: u64,
    },
    /// Advances the counter named by `key` by `count` and answers its value before: sequences take their numbers from it.
    /// A counter lives beside the objects, starts at 0, and is dropped with [`Commit::drop_counters`].
    LeaseCounter {
        /// The counter.
        key: ObjectKey,
        /// How far to advance it.
        count: u64,
    },
    /// Decides about nodes, copies, moves and refusals, all or nothing.
    Decide(Decisions),
}

/// Decisions that are taken together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisions {
    /// The proposer's clock, in milliseconds since 1970: what refusals and rests are counted from.
    pub now_ms: u64,
    /// What is decided, in this order. Segments come and go with commits, never here.
    pub decisions: Vec<Decision>,
}

/// A multi-table commit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Commit {
    /// The index of the snapshot that the transaction read; one that is yet to come is invalid.
    pub read_index: LogIndex,
    /// Objects that must still have the version that was read (`None`: must be absent), though they are not changed.
    pub assertions: Vec<Assertion>,
    /// Tables whose rows were all looked at: nobody may have added any since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unextended: Vec<Unextended>,
    /// Tables of which nothing may have changed since, not even by compaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchanged: Vec<Unextended>,
    /// Prefixes of keys under which no object may be left once this commit is made: what is removed must not keep anything that was
    /// created meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emptied: Vec<ObjectKey>,
    /// Catalog objects to change.
    pub objects: Vec<ObjectChange>,
    /// Tables to change; at most one entry per table.
    pub tables: Vec<TableChange>,
    /// Counters to forget.
    pub drop_counters: Vec<ObjectKey>,
}

/// An object that must not have changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assertion {
    /// The object.
    pub key: ObjectKey,
    /// Its version when read; `None` if it did not exist.
    pub version: Option<LogIndex>,
}

/// A table that must not have grown: what was found out about all of its rows must still hold. Compaction, which only moves rows, does
/// not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unextended {
    /// The table.
    pub table: TableId,
    /// The index at which its rows were looked at.
    pub since: LogIndex,
}

/// What the present version of an object must be for a change to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// There is no such object.
    Absent,
    /// It has just this version.
    Version(LogIndex),
}

/// A compare-and-set of one object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectChange {
    /// The object.
    pub key: ObjectKey,
    /// The version that was read.
    pub expect: Expect,
    /// The new bytes; `None` removes the object.
    #[serde(with = "serde_bytes")]
    pub value: Option<Vec<u8>>,
}

/// What a commit does to one table. Applied in the order of the fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableChange {
    /// The table; it comes into being with the first change that names it.
    pub table: TableId,
    /// Removes the table and all its units; nothing else may be in this change.
    pub drop: bool,
    /// Removes all units that the snapshot at `read_index` had. Any change of the table since is a conflict.
    pub truncate: bool,
    /// Units to remove (compaction); each must be unchanged since it was read.
    pub remove_units: Vec<UnitRemoval>,
    /// Rows to delete. A unit that is gone, or a row that is already deleted, is a conflict.
    pub delete_rows: Vec<RowsDeleted>,
    /// Unique keys that this change inserts.
    pub keys: KeyFingerprints,
    /// Segments to add; their files are durable.
    pub add_segments: Vec<NewSegment>,
    /// Rows to add without a file.
    pub add_inline: Vec<InlineRows>,
}

impl TableChange {
    /// A change of `table` that does nothing yet.
    pub fn new(table: TableId) -> Self {
        Self {
            table,
            drop: false,
            truncate: false,
            remove_units: Vec::new(),
            delete_rows: Vec::new(),
            keys: KeyFingerprints::default(),
            add_segments: Vec::new(),
            add_inline: Vec::new(),
        }
    }
}

/// A unit to remove.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnitRemoval {
    /// The unit.
    pub unit: UnitId,
    /// [`crate::Unit::version`] as read.
    pub version: LogIndex,
}

/// Rows to delete from one unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowsDeleted {
    /// The unit.
    pub unit: UnitId,
    /// Serialized bitmap of row offsets (`roaring`, portable form): only the rows that this commit deletes.
    #[serde(with = "serde_bytes")]
    pub rows: Vec<u8>,
}

/// Fingerprints of the unique keys that a commit inserts. The proposer has checked them against the snapshot at `read_index`; the
/// log checks them against what was inserted since, as far as it remembers: beyond its memory, a commit with keys is a conflict.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyFingerprints {
    /// 64-bit hashes of (constraint, key values); equal keys have equal fingerprints.
    pub inserted: Vec<u64>,
    /// The commit inserts more keys than are worth listing: conflicts with any other insertion of keys into the table since `read_index`,
    /// and whoever read before it conflicts with it.
    pub all: bool,
}

/// A segment to add.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewSegment {
    /// Its id, from a lease.
    pub id: UnitId,
    /// Rows in it.
    pub rows: u64,
    /// Size of the file in bytes.
    pub disk_bytes: u64,
    /// Opaque to placement.
    #[serde(with = "serde_bytes")]
    pub summary: Vec<u8>,
    /// Where it is to be, and what it is expected to cost.
    #[serde(default, skip_serializing_if = "Placing::is_default")]
    pub placing: Placing,
}

/// Where a new segment is, and what is expected of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placing {
    /// The nodes on which its file is durable, and which serve it. Empty: no node is known to have it yet.
    pub nodes: Vec<NodeId>,
    /// What it is expected to cost; `None`: [`Footprint::unmeasured`].
    pub footprint: Option<Footprint>,
    /// Copies wanted; 0 stands for 1.
    pub replicas_wanted: u8,
}

impl Placing {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Rows to add without a file: at most [`INLINE_BYTES_MAX`] in one commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InlineRows {
    /// The unit's id, from a lease.
    pub id: UnitId,
    /// Rows in it.
    pub rows: u64,
    /// Opaque to placement.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

/// The largest sum of inlined payloads in one commit, in bytes.
pub const INLINE_BYTES_MAX: usize = 64 << 10;

/// What the log answers to one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, at this index.
    Committed(LogIndex),
    /// The first of the ids leased.
    Leased(u64),
    /// Nothing was changed: somebody else was first.
    Conflict(Conflict),
}

/// Why a commit was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conflict {
    /// An object was created, changed or removed since it was read.
    Object(ObjectKey),
    /// An object was created under a prefix that had to be left empty.
    Prefix(ObjectKey),
    /// Rows were added to a table since it was read.
    Added(TableId),
    /// A unit was removed, or rows of it were deleted, since it was read.
    Rows(TableId),
    /// A unique key was inserted since the snapshot was read, or might have been.
    Keys(TableId),
    /// A decision cannot be taken as things are now: which of them, counted from 0, and why.
    Decision(usize, String),
    /// The command contradicts itself or a bound (a double id, an oversized payload); retrying is pointless.
    Invalid(String),
}
