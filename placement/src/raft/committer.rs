//! Group commit: whatever waits becomes one entry; while it is written, the next collects.
//!
//! It also survives a full disk. Space is looked at before a batch is written, and a batch that does not fit is refused. Should the disk
//! be full all the same, raft ends and the file is closed; both are opened anew at once or with the next batch. The log then says whether
//! the batch that failed is in it: its proposers hear what became of it, and only if the log cannot even be read, that it is not known.

use super::device::Failure;
use super::entry::Batch;
use super::inspect::View;
use super::log_file::LogFile;
use super::voter::Voter;
use super::{NodeOptions, PlacementError};
use crate::command::{Command, Outcome};
use crate::state::State;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A command that waits.
pub(crate) struct Proposal {
    pub(crate) command: Command,
    /// The command, encoded.
    pub(crate) bytes: Vec<u8>,
    pub(crate) answer: oneshot::Sender<Result<Outcome, PlacementError>>,
}

/// The one who writes batches.
pub(crate) struct Committer {
    options: NodeOptions,
    published: Arc<ArcSwap<State>>,
    queue: mpsc::Receiver<Proposal>,
    /// Taken from the queue, and not yet in a batch.
    waiting: Vec<Proposal>,
    voter: Option<Voter>,
    /// Why nothing will be written any more.
    stopped: Option<PlacementError>,
}

type Answers = Vec<oneshot::Sender<Result<Outcome, PlacementError>>>;

impl Committer {
    pub(crate) fn new(options: NodeOptions, published: Arc<ArcSwap<State>>, queue: mpsc::Receiver<Proposal>, voter: Voter) -> Self {
        Self { options, published, queue, waiting: Vec::new(), voter: Some(voter), stopped: None }
    }

    /// Writes batches until nobody can propose any more, then closes the log.
    pub(crate) async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            self.commit(batch).await;
        }
        if let Some(voter) = self.voter.take() {
            voter.finish_snapshot().await;
            voter.close().await;
        }
    }

    /// What waits, up to the bounds of a batch; `None` when there will be nothing more.
    async fn next_batch(&mut self) -> Option<Vec<Proposal>> {
        let room = self.options.batch_commands_max.max(1).saturating_sub(self.waiting.len());
        if self.waiting.is_empty() && self.queue.recv_many(&mut self.waiting, room).await == 0 {
            return None;
        }
        let mut bytes = 0;
        let fits = |proposal: &&Proposal| {
            bytes += proposal.bytes.len();
            bytes <= self.options.batch_bytes_max
        };
        let count = self.waiting.iter().take_while(fits).count().max(1);
        let rest = self.waiting.split_off(count);
        Some(std::mem::replace(&mut self.waiting, rest))
    }

    async fn commit(&mut self, proposals: Vec<Proposal>) {
        let refused = self.refusal(&proposals).await;
        let (batch, answers) = into_batch(proposals);
        let result = match refused {
            Some(error) => Err(error),
            None => self.write(batch).await,
        };
        reply(answers, result);
        self.snapshot_if_due().await;
    }

    /// Why these proposals cannot be written now; opens the log anew if it must be.
    async fn refusal(&mut self, proposals: &[Proposal]) -> Option<PlacementError> {
        if let Some(stopped) = &self.stopped {
            return Some(stopped.clone());
        }
        if self.voter.is_none()
            && let Err(error) = self.reopen().await
        {
            return Some(error);
        }
        let bytes: usize = proposals.iter().map(|proposal| proposal.bytes.len()).sum();
        let adds = proposals.iter().any(|proposal| adds_data(&proposal.command));
        let reserve = if adds { self.options.disk_reserve_bytes } else { self.options.disk_reserve_bytes / 16 };
        (!self.has_room(reserve.saturating_add(4 * bytes as u64))).then_some(PlacementError::DiskFull)
    }

    /// A disk that cannot be asked is taken to have room: writing will tell.
    fn has_room(&self, bytes: u64) -> bool {
        self.options.device.free_bytes(&self.options.folder).map_or(true, |free| free >= bytes)
    }

    async fn write(&mut self, batch: Batch) -> Result<Vec<Outcome>, PlacementError> {
        let Some(voter) = &mut self.voter else { return Err(PlacementError::Unavailable("the log is closed".to_owned())) };
        match voter.write(batch.clone()).await {
            Ok(outcomes) => Ok(outcomes),
            Err(error) => self.recover(&batch, error).await,
        }
    }

    /// Opens the log anew after a failure, and finds out what became of `batch`.
    async fn recover(&mut self, batch: &Batch, error: PlacementError) -> Result<Vec<Outcome>, PlacementError> {
        let Some(failed) = self.voter.take() else { return Err(error) };
        let (failure, after) = (failed.first_failure(), failed.last_index());
        failed.close().await;
        tracing::error!("the placement log failed: {error}");
        if !matches!(failure, None | Some(Failure::Full)) {
            self.stopped = Some(error.clone());
            return Err(PlacementError::Unavailable(format!("{error}; whether the command was committed is not known")));
        }
        let unknown = |reason| PlacementError::Unavailable(format!("{reason}; whether the command was committed is not known"));
        if let Err(reason) = self.reopen().await {
            return Err(if self.is_absent(batch, after) { reason } else { unknown(reason) });
        }
        let found = self.voter.as_ref().map(|voter| voter.outcomes_of(batch, after)).transpose().map_err(unknown)?;
        found.flatten().ok_or(match failure {
            Some(_) => PlacementError::DiskFull,
            None => error,
        })
    }

    /// Is it certain that the log, which cannot be written now, does not hold `batch`? What it does not hold now it will never hold.
    fn is_absent(&self, batch: &Batch, after: u64) -> bool {
        let entries = LogFile::open(&View(&*self.options.device), &self.options.folder).and_then(|file| file.entries(after + 1..));
        entries.is_ok_and(|entries| !entries.iter().any(|entry| batch.is_in(entry)))
    }

    async fn reopen(&mut self) -> Result<(), PlacementError> {
        let opened = Voter::open(&self.options, &self.published).await;
        self.voter = Some(opened.inspect_err(|error| tracing::error!("could not open the placement log anew: {error}"))?);
        tracing::info!("the placement log is open again");
        Ok(())
    }

    /// A raft snapshot needs space for a second copy of the state; without it, the log just grows.
    async fn snapshot_if_due(&mut self) {
        let due = self.voter.as_ref().is_some_and(|voter| voter.snapshot_is_due(self.options.snapshot_entries));
        if due
            && self.has_room(self.options.disk_reserve_bytes.saturating_mul(2))
            && let Some(voter) = &mut self.voter
        {
            voter.snapshot().await;
        }
    }
}

/// Does the command make the log or the tables larger? Those that do not may use up some of the disk's reserve, to free more.
fn adds_data(command: &Command) -> bool {
    match command {
        Command::Commit(commit) => commit.tables.iter().any(|table| !table.add_segments.is_empty() || !table.add_inline.is_empty()),
        Command::LeaseIds { .. } | Command::LeaseCounter { .. } | Command::Decide(_) => false,
    }
}

fn into_batch(proposals: Vec<Proposal>) -> (Batch, Answers) {
    let mut answers = Answers::with_capacity(proposals.len());
    let encoded = proposals.into_iter().map(|proposal| {
        answers.push(proposal.answer);
        (proposal.command, proposal.bytes)
    });
    let batch = Batch::new(encoded);
    (batch, answers)
}

/// Whoever no longer waits for the answer does not get one.
fn reply(answers: Answers, result: Result<Vec<Outcome>, PlacementError>) {
    match result {
        Ok(outcomes) => answers.into_iter().zip(outcomes).for_each(|(answer, outcome)| _ = answer.send(Ok(outcome))),
        Err(error) => answers.into_iter().for_each(|answer| _ = answer.send(Err(error.clone()))),
    }
}
