//! What all sessions of a server share.

use crate::config::Config;
use crate::error::Result;
use crate::view::PinnedState;
use placement::Node;
use std::sync::Arc;
use storage::{SegmentId, Store};

/// The shared parts of a running server.
pub struct Engine {
    /// Settings of the server.
    pub config: Config,
    /// Segments.
    pub store: Arc<Store>,
    /// The commit log.
    pub placement: Arc<Node>,
    /// DataFusion's memory pool, spill folder and object stores.
    pub runtime: Arc<datafusion::execution::runtime_env::RuntimeEnv>,
}

impl Engine {
    /// Opens or creates the data folder's log and segments, and makes the schema `public` on a new one.
    pub async fn open(_config: Config) -> Result<Arc<Self>> {
        todo!()
    }
    /// Pins the newest snapshot.
    pub fn pin(&self) -> Arc<PinnedState> {
        todo!()
    }
    /// An id nobody else gets, from this process's lease.
    pub fn next_segment_id(&self) -> SegmentId {
        todo!()
    }
}
