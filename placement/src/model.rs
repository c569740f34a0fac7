//! The nouns: ids, tables, units, catalog objects.

use crate::recent_keys::RecentKeys;
use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A position in the placement log. Every state is the state at one index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogIndex(pub u64);

/// Names a table for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableId(pub u64);

/// Names a unit of rows (a segment, or an inlined batch) for ever; handed out by [`crate::Command::LeaseIds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitId(pub u64);

/// The name of a catalog object, chosen by the server, for instance `relation/public/orders`. Ordered by bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey(pub Arc<str>);

/// A catalog object: bytes that only the server understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// The log index that last changed it: what compare-and-set compares.
    pub version: LogIndex,
    /// The bytes.
    pub value: Arc<[u8]>,
}

/// The rows of one table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The log index that last changed anything in it.
    pub version: LogIndex,
    /// The log index that last added rows; a compaction, which only moves them, does not count.
    pub rows_added: LogIndex,
    /// Its units, by id: ids grow, so this is the order in which they were written.
    pub units: RedBlackTreeMapSync<UnitId, Arc<Unit>>,
    /// Rows, the deleted ones left out.
    pub live_rows: u64,
    /// Fingerprints of the unique keys that the last commits inserted; see [`crate::KeyFingerprints`].
    pub recent_keys: RecentKeys,
}

/// One immutable piece of a table. A unit all of whose rows are deleted leaves its table at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its id.
    pub id: UnitId,
    /// Rows, the deleted ones included.
    pub rows: u64,
    /// Where they are.
    pub source: UnitSource,
    /// Serialized bitmap of deleted row offsets (`roaring`, portable form), and how many rows it names.
    pub deletes: Option<(Arc<[u8]>, u64)>,
    /// The log index that last changed `deletes`, or that added the unit.
    pub version: LogIndex,
}

/// Where a unit's rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitSource {
    /// A segment file.
    Segment {
        /// Size of the file in bytes.
        disk_bytes: u64,
        /// What the server wants to know of it; opaque here.
        summary: Arc<[u8]>,
    },
    /// Rows that rode inside the commit; opaque here.
    Inline(Arc<[u8]>),
}
