//! The replicated state, and `apply`: deterministic, synchronous, total.

use crate::cluster::Cluster;
use crate::command::{Command, Conflict, Outcome};
use crate::model::{LogIndex, Object, ObjectKey, Table, TableId};
use crate::{apply, codec, decide};
use rpds::RedBlackTreeMapSync;
use std::sync::Arc;

/// Everything that the log has decided up to one index. Cloning is cheap: a snapshot is an `Arc<State>`, and stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The index of the last command applied. Every command has its own, refused ones too.
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
    /// What is decided of nodes and of the copies of segments: each segment of a table is a segment of it, and no other. What is measured
    /// (pressure, reports) is not in it. A commit that adds or removes no segment does not touch it.
    pub cluster: Arc<Cluster>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            index: LogIndex::default(),
            next_id: Self::FIRST_ID,
            objects_version: LogIndex::default(),
            objects: RedBlackTreeMapSync::default(),
            tables: RedBlackTreeMapSync::default(),
            counters: RedBlackTreeMapSync::default(),
            cluster: Arc::default(),
        }
    }
}

impl State {
    /// Ids below this one are for what is built in (PostgreSQL's OIDs of its own objects end at 16383).
    pub const FIRST_ID: u64 = 16384;

    /// Applies one command at `index`. Never fails: a command that cannot be carried out changes nothing but [`State::index`] and says why.
    pub fn apply(&mut self, index: LogIndex, command: &Command) -> Outcome {
        let outcome = match command {
            Command::Commit(commit) => match apply::commit(self, index, commit) {
                Ok(next) => {
                    *self = next;
                    Outcome::Committed(index)
                }
                Err(conflict) => Outcome::Conflict(conflict),
            },
            Command::LeaseIds { count } => self.lease_ids(*count),
            Command::LeaseCounter { key, count } => self.lease_counter(key, *count),
            Command::Decide(decisions) => match decide::decided(&self.cluster, decisions) {
                Ok(cluster) => {
                    self.cluster = cluster;
                    Outcome::Committed(index)
                }
                Err(conflict) => Outcome::Conflict(conflict),
            },
        };
        self.index = index;
        outcome
    }

    /// Applies one command at the index after the last: what the log does with each command of an entry in turn.
    pub fn apply_next(&mut self, command: &Command) -> Outcome {
        self.apply(LogIndex(self.index.0 + 1), command)
    }

    /// Serializes everything, for a raft snapshot.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode_state(self)
    }

    /// Reads [`State::to_bytes`] back.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        codec::decode_state(bytes)
    }

    fn lease_ids(&mut self, count: u64) -> Outcome {
        let first = self.next_id;
        let Some(next) = first.checked_add(count) else { return invalid("there are not that many ids left") };
        self.next_id = next;
        Outcome::Leased(first)
    }

    fn lease_counter(&mut self, key: &ObjectKey, count: u64) -> Outcome {
        let before = self.counters.get(key).copied().unwrap_or(0);
        let Some(after) = before.checked_add(count) else { return invalid("the counter would overflow") };
        self.counters.insert_mut(key.clone(), after);
        Outcome::Leased(before)
    }
}

fn invalid(reason: &str) -> Outcome {
    Outcome::Conflict(Conflict::Invalid(reason.to_owned()))
}
