//! What all sessions of a server share.
//!
//! 1. [`Engine::open`] locks the data folder, opens segments and log, empties the spill folder.
//! 2. [`pins`] knows which snapshots are in use, so that the sweep removes nothing that somebody reads.
//! 3. [`ids`] leases ids in blocks, ahead of need.
//! 4. [`writers`] knows who writes to which table: compaction waits for them, and contenders queue up.
//! 5. [`activity`] knows the sessions, [`cancel`] how to stop them, [`advisory`] what they agree to lock, [`locks`] what their transactions
//!    lock.
//! 6. [`threads`] plan and run queries.
//!
//! The folder holds `segments/`, `placement/`, `tmp/` and `LOCK`.

use crate::catalog::Catalog;
use crate::config::Config;
use crate::error::{Result, SqlError, SqlState};
use crate::view::PinnedState;
use arc_swap::ArcSwapOption;
use datafusion::execution::runtime_env::RuntimeEnv;
use parking_lot::Mutex;
use placement::{Node, NodeOptions, State};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::{SegmentId, StagedSegment, Store};
use tokio::sync::Notify;

pub mod activity;
pub mod advisory;
pub mod aside;
pub mod cancel;
pub mod counters;
pub mod folder;
pub mod ids;
pub mod locks;
pub mod memory;
pub mod pins;
pub mod threads;
pub mod writers;

/// The shared parts of a running server.
pub struct Engine {
    /// Settings of the server.
    pub config: Config,
    /// Segments.
    pub store: Arc<Store>,
    /// The commit log.
    pub placement: Arc<Node>,
    /// DataFusion's memory pool, spill folder and object stores.
    pub runtime: Arc<RuntimeEnv>,
    /// The sessions.
    pub activity: activity::Registry,
    /// Advisory locks.
    pub advisory: Arc<advisory::AdvisoryLocks>,
    /// Locks of open transactions.
    pub locks: Arc<locks::Locks>,
    /// The sessions that can be cancelled.
    pub cancels: Arc<cancel::Cancels>,
    /// What the sessions have done.
    pub counters: Arc<counters::Counters>,
    /// Where queries are planned and run.
    pub threads: threads::QueryThreads,
    /// Who writes to which table.
    pub writers: Arc<writers::Writers>,
    /// Plans of prepared statements.
    pub plans: crate::query::plan_cache::PlanCache,
    /// Numbers of sequences leased by this process.
    pub sequences: Arc<crate::session::sequences::SequenceCache>,
    /// `pg_reload_conf()`: the rules and the certificate are to be read again.
    pub reload: Arc<tokio::sync::Notify>,
    /// What background work has to look at.
    pub changes: Changes,
    /// Tables that statements write, with what was compiled for them.
    pub(crate) targets: crate::ingest::TargetCache,
    /// Keys of inlined rows, so that a unique check does not decode them again.
    pub(crate) key_cache: crate::ingest::KeyCache,
    /// The limit that the memory pool was made with, in bytes.
    pub memory_limit_bytes: u64,
    pins: Arc<pins::Pins>,
    ids: Arc<ids::IdLease>,
    catalog: ArcSwapOption<Catalog>,
    sessions_begun: AtomicU64,
    /// Files of commits whose outcome is not known: held until the process ends.
    uncertain: Mutex<Vec<Arc<StagedSegment>>>,
    _lock: folder::FolderLock,
}

/// Tables that changed and files that may be garbage; background work waits for them.
#[derive(Debug, Default)]
pub struct Changes {
    tables: Mutex<BTreeSet<u32>>,
    tables_wake: Notify,
    garbage_wake: Notify,
}

impl Changes {
    /// Rows of these tables changed.
    pub fn tables_changed(&self, tables: impl IntoIterator<Item = u32>) {
        self.tables.lock().extend(tables);
        self.tables_wake.notify_one();
    }
    /// Files may have become unneeded.
    pub fn garbage_made(&self) {
        self.garbage_wake.notify_one();
    }
    /// Takes the tables that changed since the last call.
    pub(crate) fn take_tables(&self) -> BTreeSet<u32> {
        std::mem::take(&mut self.tables.lock())
    }
    /// Waits for a table that changed since the last wait.
    pub(crate) async fn wait_tables(&self) {
        self.tables_wake.notified().await;
    }
    /// Waits for garbage made since the last wait.
    pub(crate) async fn wait_garbage(&self) {
        self.garbage_wake.notified().await;
    }
}

pub use folder::FolderLock;

/// The folder of segment files, in the data folder.
pub const SEGMENTS_FOLDER: &str = "segments";
/// The folder of the placement log, in the data folder.
pub const PLACEMENT_FOLDER: &str = "placement";

impl Engine {
    /// Opens or creates the data folder's log and segments. Schema `public` is built into the catalog.
    pub async fn open(config: Config) -> Result<Arc<Self>> {
        let lock = folder::FolderLock::take(&config.data_dir)?;
        let memory_limit_bytes = memory::limit_bytes(config.memory_limit_bytes);
        let temp_dir = config.temp_dir.clone().unwrap_or_else(|| config.data_dir.join("tmp"));
        folder::empty(&temp_dir)?;
        let runtime = memory::runtime(memory_limit_bytes, &temp_dir)?;
        let store = open_store(config.data_dir.join(SEGMENTS_FOLDER), config.open_segments_max).await?;
        let placement_dir = config.data_dir.join(PLACEMENT_FOLDER);
        folder::create(&placement_dir)?;
        let placement = Node::open(NodeOptions::new(placement_dir)).await?;
        crate::agent::register(&placement, memory_limit_bytes, &config.data_dir).await?;
        let ids = ids::IdLease::open(placement.clone()).await?;
        let advisory: Arc<advisory::AdvisoryLocks> = Arc::default();
        Ok(Arc::new(Self {
            activity: activity::Registry::new(config.connections_max),
            locks: locks::Locks::over(advisory.clone()),
            advisory,
            cancels: Arc::default(),
            counters: Arc::default(),
            reload: Arc::default(),
            threads: threads::QueryThreads::start(config.query_threads)?,
            writers: Arc::default(),
            plans: crate::query::plan_cache::PlanCache::new(config.plan_cache_entries_max),
            sequences: crate::session::sequences::SequenceCache::start(placement.clone())?,
            changes: Changes::default(),
            targets: crate::ingest::TargetCache::default(),
            key_cache: crate::ingest::KeyCache::default(),
            pins: pins::Pins::new(),
            catalog: ArcSwapOption::empty(),
            sessions_begun: AtomicU64::new(0),
            uncertain: Mutex::default(),
            _lock: lock,
            config,
            store,
            placement,
            runtime,
            memory_limit_bytes,
            ids,
        }))
    }

    /// Pins the newest snapshot.
    pub fn pin(&self) -> Arc<PinnedState> {
        self.pins.pin(|| self.placement.state())
    }

    /// The catalog of a state, read once for each version of the objects.
    pub fn catalog(&self, state: &State) -> Result<Arc<Catalog>> {
        if let Some(cached) = self.catalog.load_full().filter(|cached| cached.version == state.objects_version) {
            return Ok(cached);
        }
        let read = Arc::new(Catalog::from_state(state)?);
        let newer = self.catalog.load().as_ref().is_none_or(|cached| cached.version < read.version);
        if newer {
            self.catalog.store(Some(read.clone()));
        }
        Ok(read)
    }

    /// Numbers of sessions up to this one are not given.
    pub(crate) fn number_sessions_after(&self, last: u64) {
        self.sessions_begun.fetch_max(last, Ordering::Relaxed);
    }

    /// A number that no other session of this process has.
    pub(crate) fn next_session_number(&self) -> u64 {
        self.sessions_begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether a catalog is the one that new transactions begin with.
    pub fn is_newest_catalog(&self, catalog: &Arc<Catalog>) -> bool {
        self.catalog.load().as_ref().is_some_and(|newest| Arc::ptr_eq(newest, catalog))
    }

    /// An id nobody else gets, from this process's lease. Never waits: see [`ids::IdLease::next`].
    pub fn next_segment_id(&self) -> SegmentId {
        self.ids.next()
    }

    /// Waits until plenty of ids are leased; whoever writes many units calls it now and then.
    pub async fn ids_ready(&self) -> Result<()> {
        self.ids.ready().await
    }

    /// Holds files of a commit that got no answer: the log may name them.
    pub(crate) fn hold_uncertain(&self, staged: Vec<Arc<StagedSegment>>) {
        self.uncertain.lock().extend(staged);
    }

    /// Removes the files that no snapshot in use names; answers (files, bytes). Blocking.
    pub(crate) fn sweep(&self) -> Result<(u64, u64)> {
        Ok(self.store.sweep(|| self.pins.live_segments(|| self.placement.state()))?)
    }

    /// The snapshots in use that keep files from being removed.
    pub(crate) fn garbage_holders(&self) -> pins::Holders {
        self.pins.holding_garbage(&self.placement.state())
    }

    /// Waits until one of these snapshots is let go of; for ever if there are none.
    pub(crate) async fn holder_gone(&self, holders: &pins::Holders) {
        while !self.pins.any_gone(holders) {
            self.pins.released().await;
        }
    }

    /// Removes files that nobody needs, now. What cannot be removed is left to the next sweep.
    pub async fn give_space_back(self: &Arc<Self>) {
        let engine = self.clone();
        let swept = tokio::task::spawn_blocking(move || engine.sweep()).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "the disk is full, and files that nobody needs could not be removed");
        }
    }

    /// Drains and closes the log. Background work must have ended.
    pub async fn shutdown(&self) -> Result<()> {
        Ok(self.placement.shutdown().await?)
    }
}

async fn open_store(folder: PathBuf, open_segments_max: usize) -> Result<Arc<Store>> {
    let opened = tokio::task::spawn_blocking(move || {
        folder::create(&folder)?;
        let directory = storage::directory::disk::DiskDirectory::open(&folder)?;
        Ok::<_, SqlError>(Store::open(Arc::new(directory), open_segments_max)?)
    });
    opened.await.map_err(|_| SqlError::internal("opening the segments was interrupted"))?
}

/// An error of a file operation of the server's own.
pub(crate) fn io_error(what: &str, path: &Path, error: &std::io::Error) -> SqlError {
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    let state = if full { SqlState::DISK_FULL } else { SqlState::IO_ERROR };
    SqlError::new(state, format!("could not {what} \"{}\": {error}", path.display()))
}
