//! The replicated state, and `apply`: deterministic, synchronous, total.

use crate::command::{Command, Outcome};
use crate::model::{LogIndex, Object, ObjectKey, Table, TableId};
use rpds::RedBlackTreeMapSync;
use std::sync::Arc;

/// Everything that the log has decided up to one index. Cloning is cheap: a snapshot is an `Arc<State>`, and stays as it is.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The index of the last command applied.
    pub index: LogIndex,
    /// The next id that [`Command::LeaseIds`] hands out. Starts at [`State::FIRST_ID`].
    pub next_id: u64,
    /// The index at which an object last changed: whoever caches something derived from the objects compares it.
    pub objects_version: LogIndex,
    /// Catalog objects.
    pub objects: RedBlackTreeMapSync<ObjectKey, Object>,
    /// Tables.
    pub tables: RedBlackTreeMapSync<TableId, Arc<Table>>,
    /// Counters.
    pub counters: RedBlackTreeMapSync<ObjectKey, u64>,
}

impl State {
    /// Ids below this one are for what is built in (PostgreSQL's OIDs of its own objects end at 16383).
    pub const FIRST_ID: u64 = 16384;

    /// Applies one command at `index`. Never fails: a command that cannot be carried out changes nothing and says why.
    pub fn apply(&mut self, _index: LogIndex, _command: &Command) -> Outcome {
        todo!()
    }

    /// Serializes everything, for a raft snapshot.
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads [`State::to_bytes`] back.
    pub fn from_bytes(_bytes: &[u8]) -> Result<Self, String> {
        todo!()
    }
}
