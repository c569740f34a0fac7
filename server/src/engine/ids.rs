//! Ids of units, leased from the log in blocks ahead of need.

use crate::error::{Result, SqlError};
use parking_lot::Mutex;
use placement::{Command, Node, Outcome};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use storage::SegmentId;
use tokio::sync::watch;

/// Ids in one lease: at ten thousand commits a second, a lease lasts six seconds, and the next one takes milliseconds.
const BLOCK: u64 = 65_536;
/// A lease is asked for when fewer than these are left.
const AHEAD: u64 = BLOCK / 2;

/// Ids that this process may use.
pub struct IdLease {
    node: Arc<Node>,
    blocks: Mutex<Vec<Range<u64>>>,
    asking: AtomicBool,
    asked: watch::Sender<u64>,
    unleased: AtomicU64,
    runtime: tokio::runtime::Handle,
}

impl IdLease {
    /// Takes a first lease.
    pub async fn open(node: Arc<Node>) -> Result<Arc<Self>> {
        let lease = Arc::new(Self {
            node,
            blocks: Mutex::default(),
            asking: AtomicBool::new(false),
            asked: watch::Sender::new(0),
            unleased: AtomicU64::new(u64::MAX),
            runtime: tokio::runtime::Handle::current(),
        });
        lease.extend().await?;
        Ok(lease)
    }

    /// The next id; never waits. When the log has not answered for the time of half a block, the id is one that [`is_leased`] tells
    /// apart: unique in this process, so that a file may carry it, but refused at commit.
    pub fn next(self: &Arc<Self>) -> SegmentId {
        let (id, left) = self.take();
        if left < AHEAD {
            self.extend_in_background();
        }
        SegmentId(id.unwrap_or_else(|| self.unleased.fetch_sub(1, Ordering::Relaxed)))
    }

    /// Waits until a comfortable number of ids is leased.
    pub async fn ready(self: &Arc<Self>) -> Result<()> {
        while self.left() < AHEAD / 4 {
            let mut asked = self.asked.subscribe();
            if self.extend_once().await? {
                continue;
            }
            if asked.changed().await.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn take(&self) -> (Option<u64>, u64) {
        let mut blocks = self.blocks.lock();
        let id = blocks.first_mut().and_then(Iterator::next);
        if blocks.first().is_some_and(Range::is_empty) {
            blocks.remove(0);
        }
        (id, blocks.iter().map(|block| block.end - block.start).sum())
    }

    fn left(&self) -> u64 {
        self.blocks.lock().iter().map(|block| block.end - block.start).sum()
    }

    fn extend_in_background(self: &Arc<Self>) {
        if self.asking.load(Ordering::Acquire) {
            return;
        }
        let lease = self.clone();
        self.runtime.spawn(async move {
            if let Err(error) = lease.extend_once().await {
                tracing::warn!(%error, "could not lease ids");
            }
        });
    }

    /// Extends the lease unless somebody else is at it; answers whether it did.
    async fn extend_once(self: &Arc<Self>) -> Result<bool> {
        if self.asking.swap(true, Ordering::AcqRel) {
            return Ok(false);
        }
        let turn = AskingTurn(self);
        let extended = self.extend().await;
        drop(turn);
        extended.map(|()| true)
    }

    async fn extend(&self) -> Result<()> {
        match self.node.propose(Command::LeaseIds { count: BLOCK }).await? {
            Outcome::Leased(first) => {
                self.blocks.lock().push(first..first + BLOCK);
                Ok(())
            }
            other => Err(SqlError::internal(format!("a lease of ids was answered with {other:?}"))),
        }
    }
}

/// Ends the turn of whoever extends the lease, also when it is cancelled, and wakes who waits for it.
struct AskingTurn<'a>(&'a IdLease);

impl Drop for AskingTurn<'_> {
    fn drop(&mut self) {
        self.0.asking.store(false, Ordering::Release);
        self.0.asked.send_modify(|count| *count += 1);
    }
}

/// Whether an id came from the log.
pub fn is_leased(id: SegmentId) -> bool {
    id.0 < u64::MAX / 2
}
