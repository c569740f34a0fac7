//! The one voter: openraft running over an open log file, from recovery to leadership to the end.
//!
//! A life: open the file; start from its raft snapshot; apply the log again; become leader; commit what the log holds beyond what was known
//! to be committed (on a single voter, whatever is durable is committed); write batches; now and then take a raft snapshot; close.

use super::device::Failure;
use super::entry::{Batch, TypeConfig};
use super::log_file::LogFile;
use super::log_store::LogStore;
use super::state_machine::StateMachine;
use super::transport::{Alone, Network};
use super::{NodeOptions, PlacementError};
use crate::command::Outcome;
use crate::state::State;
use arc_swap::ArcSwap;
use openraft::{BasicNode, Config, Raft, ServerState, SnapshotPolicy};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// This node's id, for ever.
const NODE_ID: u64 = 1;
/// How long to wait for leadership of a cluster of one, which takes milliseconds, and for the log to be applied again.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an orderly end may wait for a raft snapshot.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of entries after which a raft snapshot is taken, however few they are.
const SNAPSHOT_LOG_BYTES: u64 = 64 << 20;

/// A leader of a cluster of one.
pub(crate) struct Voter {
    raft: Raft<TypeConfig>,
    file: Arc<LogFile>,
    machine: StateMachine,
    /// The raft index of the last batch written.
    last_index: u64,
    /// The raft index up to which the last raft snapshot was asked for, or taken in an earlier life.
    snapshot_index: u64,
    /// The same, if it was asked for in this life.
    snapshot_asked: Option<u64>,
    /// Bytes of entries since.
    log_bytes: u64,
}

impl Voter {
    /// Opens the log, applies it, and becomes leader.
    pub(crate) async fn open(options: &NodeOptions, published: &Arc<ArcSwap<State>>) -> Result<Self, PlacementError> {
        let file = Arc::new(LogFile::open(&*options.device, &options.folder)?);
        let opened = Self::start(file.clone(), published).await;
        if opened.is_err() {
            file.close();
        }
        opened
    }

    async fn start(file: Arc<LogFile>, published: &Arc<ArcSwap<State>>) -> Result<Self, PlacementError> {
        let machine = StateMachine::recover(file.clone(), published.clone())?;
        let log_bytes = file.log_bytes()?;
        let store = LogStore::new(file.clone());
        let config = Arc::new(config()?);
        let raft = Raft::new(NODE_ID, config, Network(Arc::new(Alone)), store, machine.clone()).await;
        let raft = raft.map_err(|error| fatal(&file, &error))?;
        let mut voter = Self { raft, file, machine, last_index: 0, snapshot_index: 0, snapshot_asked: None, log_bytes };
        match voter.lead().await {
            Ok(()) => Ok(voter),
            Err(error) => {
                voter.close().await;
                Err(error)
            }
        }
    }

    async fn lead(&mut self) -> Result<(), PlacementError> {
        let members = BTreeMap::from([(NODE_ID, BasicNode::default())]);
        match self.raft.is_initialized().await.map_err(|error| fatal(&self.file, &error))? {
            true => self.elect().await?,
            false => self.raft.initialize(members).await.map_err(|error| fatal(&self.file, &error))?,
        }
        let last = self.file.last_log_id()?.map_or(0, |id| id.index);
        let wait = self.raft.wait(Some(START_TIMEOUT));
        let leads = wait.metrics(
            |metrics| metrics.state == ServerState::Leader && metrics.last_applied.is_some_and(|id| id.index >= last),
            "leadership",
        );
        let metrics = leads.await.map_err(|error| fatal(&self.file, &error))?;
        self.last_index = metrics.last_applied.map_or(0, |id| id.index);
        self.snapshot_index = metrics.snapshot.map_or(0, |id| id.index);
        Ok(())
    }

    /// Whoever led before goes on without an election; one that crashed in the middle of an election holds another at once.
    async fn elect(&self) -> Result<(), PlacementError> {
        let leads = self.raft.metrics().borrow().state == ServerState::Leader;
        if leads { Ok(()) } else { self.raft.trigger().elect().await.map_err(|error| fatal(&self.file, &error)) }
    }

    /// Writes one batch; returns when it is durable, applied and published. After an error this voter is of no more use.
    pub(crate) async fn write(&mut self, batch: Batch) -> Result<Vec<Outcome>, PlacementError> {
        let bytes = batch.bytes.len() as u64;
        let response = self.raft.client_write(batch).await.map_err(|error| fatal(&self.file, &error))?;
        self.last_index = response.log_id.index;
        self.log_bytes += bytes;
        Ok(response.data)
    }

    /// The raft index of the last batch that was written here.
    pub(crate) fn last_index(&self) -> u64 {
        self.last_index
    }

    /// The outcomes of `batch`, if the log holds it after raft index `after`: it was the last batch of a voter that failed.
    pub(crate) fn outcomes_of(&self, batch: &Batch, after: u64) -> Result<Option<Vec<Outcome>>, PlacementError> {
        let entries = self.file.entries(after + 1..)?;
        let found = entries.iter().find(|entry| batch.is_in(entry));
        Ok(found.and_then(|entry| self.machine.outcomes_at(entry.log_id.index)))
    }

    /// Is it time for a raft snapshot?
    pub(crate) fn snapshot_is_due(&self, entries: u64) -> bool {
        self.last_index >= self.snapshot_index + entries || self.log_bytes >= SNAPSHOT_LOG_BYTES
    }

    /// Has a raft snapshot taken in the background, and the log before it purged.
    pub(crate) async fn snapshot(&mut self) {
        self.snapshot_index = self.last_index;
        self.snapshot_asked = Some(self.last_index);
        self.log_bytes = 0;
        if let Err(error) = self.raft.trigger().snapshot().await {
            tracing::warn!("could not ask for a raft snapshot: {error}");
        }
    }

    /// Waits, not for long, until the raft snapshot that was last asked for is taken and the log purged: a server that never runs for long
    /// must not have an endless log.
    pub(crate) async fn finish_snapshot(&self) {
        let Some(asked) = self.snapshot_asked else { return };
        let wait = self.raft.wait(Some(SNAPSHOT_TIMEOUT));
        let purged = wait.metrics(|metrics| metrics.purged.is_some_and(|id| id.index >= asked), "a raft snapshot");
        if let Err(error) = purged.await {
            tracing::warn!("ended without a raft snapshot: {error}");
        }
    }

    /// Why the file failed, if it did.
    pub(crate) fn first_failure(&self) -> Option<Failure> {
        self.file.first_failure()
    }

    /// Ends raft and closes the file.
    pub(crate) async fn close(self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!("raft did not end well: {error}");
        }
        self.file.close();
    }
}

fn config() -> Result<Config, PlacementError> {
    let config = Config {
        cluster_name: "plimsoll".to_owned(),
        heartbeat_interval: 250,
        election_timeout_min: 1_000,
        election_timeout_max: 3_000,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        ..Config::default()
    };
    config.validate().map_err(|error| PlacementError::Storage(error.to_string()))
}

/// What an error of openraft means: the file knows better, if it was the file.
fn fatal(file: &LogFile, error: &dyn std::error::Error) -> PlacementError {
    match file.first_failure() {
        Some(failure) => (&failure).into(),
        None => PlacementError::Unavailable(error.to_string()),
    }
}
