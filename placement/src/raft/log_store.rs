//! openraft's log storage, over the log file.
//!
//! Writes are made, and synced, before the call returns: openraft 0.9 waits for each of them anyway. This blocks one thread of raft's own
//! runtime and none of the server's.

use super::PlacementError;
use super::entry::TypeConfig;
use super::log_file::{Entry, LogFile};
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogId, LogState, OptionalSend, RaftLogReader, StorageError, StorageIOError, Vote};
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::Arc;

/// The log, as openraft sees it.
#[derive(Clone, Debug)]
pub struct LogStore {
    file: Arc<LogFile>,
}

impl LogStore {
    pub(crate) fn new(file: Arc<LogFile>) -> Self {
        Self { file }
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        self.file.entries(range).map_err(|error| StorageIOError::read_logs(cause(&error)).into())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError<u64>> {
        let read = || Ok(LogState { last_purged_log_id: self.file.purged()?, last_log_id: self.file.last_log_id()? });
        read().map_err(|error: PlacementError| StorageIOError::read_logs(cause(&error)).into())
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        self.file.save_vote(vote).map_err(|error| StorageIOError::write_vote(cause(&error)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        self.file.vote().map_err(|error| StorageIOError::read_vote(cause(&error)).into())
    }

    async fn save_committed(&mut self, committed: Option<LogId<u64>>) -> Result<(), StorageError<u64>> {
        self.file.set_committed(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<u64>>, StorageError<u64>> {
        Ok(self.file.committed())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.file.append(&entries).map_err(|error| StorageIOError::write_logs(cause(&error)))?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.file.truncate(log_id.index).map_err(|error| StorageIOError::write_logs(cause(&error)).into())
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.file.purge(&log_id).map_err(|error| StorageIOError::write_logs(cause(&error)).into())
    }
}

pub(crate) fn cause(error: &PlacementError) -> AnyError {
    AnyError::new(error)
}
