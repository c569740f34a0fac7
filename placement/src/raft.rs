//! The openraft adapter, and the handle that the server holds.
//!
//! A proposal's way: [`Node::propose`] -> the group-commit queue (bounded) -> one raft entry for all that wait -> one redb transaction,
//! one sync -> applied -> the new [`State`](crate::State) is published -> each proposer gets its own outcome.

// This is the shell: here are the files, the thread and the tasks that the rest of the crate must not have.
#![allow(clippy::disallowed_methods)]

mod committer;
pub mod device;
pub mod entry;
mod inspect;
mod log_file;
pub mod log_store;
mod node;
pub mod state_machine;
pub mod transport;
mod voter;

use device::{Device, Disk};
pub use inspect::inspect;
pub use node::Node;
use std::path::PathBuf;
use std::sync::Arc;

/// How to open a node.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The folder of the log (`placement.redb` inside); it must exist.
    pub folder: PathBuf,
    /// Commands in one entry, at most.
    pub batch_commands_max: usize,
    /// Bytes of commands in one entry, at most (a single larger command still goes through alone).
    pub batch_bytes_max: usize,
    /// Proposals waiting, at most; more wait for room.
    pub queue_commands_max: usize,
    /// Entries after which a raft snapshot is taken and the log before it is purged.
    pub snapshot_entries: u64,
    /// Free bytes below which the log's disk counts as full for commands that add data. Those that add none (a drop, a delete) may use up
    /// all but a sixteenth of it.
    pub disk_reserve_bytes: u64,
    /// Where the bytes are kept: the file system, but for tests.
    pub device: Arc<dyn Device>,
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
            disk_reserve_bytes: 16 << 20,
            device: Arc::new(Disk),
        }
    }
}

/// Why a proposal got no answer. Its command may or may not have been committed only for `Unavailable`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlacementError {
    /// The log's disk is full. The command was not committed, and never will be; the node goes on as soon as there is space.
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
