//! The openraft adapter, and the handle that the server holds.
//!
//! A proposal's way: [`Node::propose`] -> the group-commit queue (bounded) -> one raft entry for all that wait -> one redb transaction,
//! one fsync -> applied -> the new [`State`] is published -> each proposer gets its own outcome.

use crate::command::{Command, Outcome};
use crate::state::State;
use std::path::PathBuf;
use std::sync::Arc;

/// How to open a node.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The folder of the log (`placement.redb` inside).
    pub folder: PathBuf,
    /// Commands in one entry, at most.
    pub batch_commands_max: usize,
    /// Bytes of commands in one entry, at most (a single larger command still goes through alone).
    pub batch_bytes_max: usize,
    /// Proposals waiting, at most; more wait for room.
    pub queue_commands_max: usize,
    /// Entries after which a raft snapshot is taken and the log before it is purged.
    pub snapshot_entries: u64,
}

impl NodeOptions {
    /// Defaults that serve, for a log in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            batch_commands_max: 1024,
            batch_bytes_max: 8 << 20,
            queue_commands_max: 4096,
            snapshot_entries: 20_000,
        }
    }
}

/// Why a proposal got no answer. Its command may or may not have been committed only for `Unavailable`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlacementError {
    /// The log's disk is full.
    #[error("could not write the placement log: no space left on device")]
    DiskFull,
    /// The log could not be written or read; the node has stopped taking commands.
    #[error("the placement log failed: {0}")]
    Storage(String),
    /// The node is shutting down, or has no leader.
    #[error("the placement service is not available: {0}")]
    Unavailable(String),
    /// Another process has the log open.
    #[error("the placement log is in use by another process")]
    InUse,
}

/// A node of the placement service, embedded in this process.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// Opens the log, recovers the state to the last committed command, and becomes leader of a single-voter cluster (on a new folder,
    /// makes one). Raft runs on its own runtime and thread.
    pub async fn open(_options: NodeOptions) -> Result<Arc<Self>, PlacementError> {
        todo!()
    }
    /// The state as last published; never blocks. Whoever holds it reads one snapshot.
    pub fn state(&self) -> Arc<State> {
        todo!()
    }
    /// Proposes one command; returns when it is durable, applied and published here.
    pub async fn propose(&self, _command: Command) -> Result<Outcome, PlacementError> {
        todo!()
    }
    /// Drains the queue and closes the log.
    pub async fn shutdown(&self) -> Result<(), PlacementError> {
        todo!()
    }
}
