//! The handle that the server holds: it passes proposals to raft's own thread, and reads what that has published.

use super::committer::{Committer, Proposal};
use super::entry::encode_command;
use super::voter::Voter;
use super::{NodeOptions, PlacementError};
use crate::command::{Command, Conflict, Outcome};
use crate::state::State;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// The largest command in bytes: what one transaction of the log can take without making everybody else wait for long.
const COMMAND_BYTES_MAX: usize = 256 << 20;

/// A node of the placement service, embedded in this process.
#[derive(Debug)]
pub struct Node {
    published: Arc<ArcSwap<State>>,
    /// `None` once shut down.
    queue: Mutex<Option<mpsc::Sender<Proposal>>>,
    /// Closed when raft's thread has ended.
    ended: watch::Receiver<()>,
}

impl Node {
    /// Opens the log, recovers the state to the last committed command, and becomes leader of a single-voter cluster (on a new folder,
    /// makes one). Raft runs on its own runtime and thread.
    pub async fn open(options: NodeOptions) -> Result<Arc<Self>, PlacementError> {
        let published = Arc::new(ArcSwap::from_pointee(State::default()));
        let (queue, proposals) = mpsc::channel(options.queue_commands_max.max(1));
        let (opened_sender, opened) = oneshot::channel();
        let (ending, ended) = watch::channel(());
        let raft = RaftThread { options, published: published.clone(), proposals, opened: opened_sender, _ending: ending };
        let spawned = std::thread::Builder::new().name("placement".to_owned()).spawn(move || raft.run());
        spawned.map_err(|error| PlacementError::Unavailable(format!("could not start its thread: {error}")))?;
        opened.await.unwrap_or_else(|_| Err(PlacementError::Unavailable("its thread died".to_owned())))?;
        Ok(Arc::new(Self { published, queue: Mutex::new(Some(queue)), ended }))
    }

    /// The state as last published; never blocks. Whoever holds it reads one snapshot.
    pub fn state(&self) -> Arc<State> {
        self.published.load_full()
    }

    /// Proposes one command; returns when it is durable, applied and published here. A caller that stops waiting does not take the
    /// command back.
    pub async fn propose(&self, command: Command) -> Result<Outcome, PlacementError> {
        let queue = self.queue.lock().clone().ok_or_else(shut_down)?;
        let bytes = encode_command(&command);
        if bytes.len() > COMMAND_BYTES_MAX {
            let reason = format!("a command of {} bytes, at most {COMMAND_BYTES_MAX} are allowed", bytes.len());
            return Ok(Outcome::Conflict(Conflict::Invalid(reason)));
        }
        let (answer, answered) = oneshot::channel();
        queue.send(Proposal { command, bytes, answer }).await.map_err(|_| shut_down())?;
        drop(queue);
        answered.await.unwrap_or_else(|_| Err(PlacementError::Unavailable("the node died; the command may be committed".to_owned())))
    }

    /// Drains the queue and closes the log.
    pub async fn shutdown(&self) -> Result<(), PlacementError> {
        drop(self.queue.lock().take());
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
        Ok(())
    }
}

fn shut_down() -> PlacementError {
    PlacementError::Unavailable("the node is shut down".to_owned())
}

/// What raft's thread owns.
struct RaftThread {
    options: NodeOptions,
    published: Arc<ArcSwap<State>>,
    proposals: mpsc::Receiver<Proposal>,
    opened: oneshot::Sender<Result<(), PlacementError>>,
    _ending: watch::Sender<()>,
}

impl RaftThread {
    fn run(self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("placement-raft").enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => _ = self.opened.send(Err(PlacementError::Unavailable(format!("could not start its runtime: {error}")))),
        }
    }

    async fn serve(self) {
        let Self { options, published, proposals, opened, _ending } = self;
        let voter = match Voter::open(&options, &published).await {
            Ok(voter) => voter,
            Err(error) => {
                _ = opened.send(Err(error));
                return;
            }
        };
        if opened.send(Ok(())).is_err() {
            return voter.close().await;
        }
        let committer = tokio::spawn(Committer::new(options, published, proposals, voter).run());
        if let Err(error) = committer.await {
            tracing::error!("the placement service died: {error}");
        }
    }
}
