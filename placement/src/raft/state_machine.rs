//! openraft's state machine: the state in memory, published after each entry, and stored as raft snapshots only.
//!
//! After a start it begins at the last raft snapshot, and the log is applied again. What was already published is not published again:
//! readers never see time run backwards, not even when the log is opened anew under them.

use super::PlacementError;
use super::entry::TypeConfig;
use super::log_file::{Entry, LogFile};
use super::log_store::cause;
use crate::command::Outcome;
use crate::state::State;
use arc_swap::ArcSwap;
use openraft::storage::RaftStateMachine;
use openraft::{
    BasicNode, EntryPayload, LogId, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError, StorageIOError,
    StoredMembership,
};
use parking_lot::Mutex;
use std::io::Cursor;
use std::sync::Arc;

/// The state machine, as openraft sees it.
#[derive(Clone, Debug)]
pub struct StateMachine {
    applied: Arc<Mutex<Applied>>,
    published: Arc<ArcSwap<State>>,
    file: Arc<LogFile>,
}

/// What the log has come to.
#[derive(Clone, Debug, Default)]
struct Applied {
    state: State,
    last: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
    /// The raft index and the outcomes of the last batch.
    outcomes: Option<(u64, Vec<Outcome>)>,
}

impl StateMachine {
    /// Starts from the raft snapshot in `file`.
    pub(crate) fn recover(file: Arc<LogFile>, published: Arc<ArcSwap<State>>) -> Result<Self, PlacementError> {
        let applied = match file.snapshot()? {
            Some((meta, bytes)) => Applied::from_snapshot(&meta, &bytes).map_err(PlacementError::Storage)?,
            None => Applied::default(),
        };
        publish(&published, &applied.state);
        Ok(Self { applied: Arc::new(Mutex::new(applied)), published, file })
    }

    /// The outcomes of the batch at raft index `index`, if it is the last that was applied.
    pub(crate) fn outcomes_at(&self, index: u64) -> Option<Vec<Outcome>> {
        self.applied.lock().outcomes.as_ref().filter(|(at, _)| *at == index).map(|(_, outcomes)| outcomes.clone())
    }
}

impl Applied {
    fn from_snapshot(meta: &SnapshotMeta<u64, BasicNode>, bytes: &[u8]) -> Result<Self, String> {
        let state = State::from_bytes(bytes)?;
        Ok(Self { state, last: meta.last_log_id, membership: meta.last_membership.clone(), outcomes: None })
    }

    fn apply(&mut self, entry: Entry) -> Vec<Outcome> {
        self.last = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                Vec::new()
            }
            EntryPayload::Normal(batch) => {
                let outcomes: Vec<_> = batch.commands.iter().map(|command| self.state.apply_next(command)).collect();
                self.outcomes = Some((entry.log_id.index, outcomes.clone()));
                outcomes
            }
        }
    }

    fn snapshot_meta(&self) -> SnapshotMeta<u64, BasicNode> {
        let snapshot_id = self.last.map_or_else(|| "empty".to_owned(), |last| format!("{last}"));
        SnapshotMeta { last_log_id: self.last, last_membership: self.membership.clone(), snapshot_id }
    }
}

/// Publishes `state` if it is newer than what readers have.
fn publish(published: &ArcSwap<State>, state: &State) {
    if state.index > published.load().index {
        published.store(Arc::new(state.clone()));
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), StorageError<u64>> {
        let applied = self.applied.lock();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Outcome>>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut applied = self.applied.lock();
        let outcomes = entries.into_iter().map(|entry| applied.apply(entry)).collect();
        publish(&self.published, &applied.state);
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { applied: self.applied.lock().clone(), file: self.file.clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        let bytes = snapshot.into_inner();
        let installed = Applied::from_snapshot(meta, &bytes).map_err(PlacementError::Storage);
        let installed = installed.map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), cause(&error)))?;
        let saved = self.file.save_snapshot(meta, &bytes);
        saved.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), cause(&error)))?;
        publish(&self.published, &installed.state);
        *self.applied.lock() = installed;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError<u64>> {
        let stored = self.file.snapshot().map_err(|error| StorageIOError::read_snapshot(None, cause(&error)))?;
        Ok(stored.map(|(meta, bytes)| Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }))
    }
}

/// The state at one index, on its way into the log file.
#[derive(Debug)]
pub struct SnapshotBuilder {
    applied: Applied,
    file: Arc<LogFile>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError<u64>> {
        let (applied, file) = (self.applied.clone(), self.file.clone());
        let build = move || {
            let (meta, bytes) = (applied.snapshot_meta(), applied.state.to_bytes());
            file.save_snapshot(&meta, &bytes).map(|()| Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) })
        };
        let built = tokio::task::spawn_blocking(build).await.unwrap_or_else(|error| Err(PlacementError::Storage(error.to_string())));
        built.map_err(|error| StorageIOError::write_snapshot(None, cause(&error)).into())
    }
}
