//! Every setting: its name, default and unit.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings of a server, resolved from defaults, file, environment and flags, in that order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the data is.
    pub data_dir: PathBuf,
    /// Where PostgreSQL clients connect.
    pub listen: SocketAddr,
    /// Memory for queries, ingest and caches, in bytes; `None`: four fifths of what the machine or its cgroup has.
    pub memory_limit_bytes: Option<u64>,
    /// Where queries spill; `None`: `tmp` in the data folder.
    pub temp_dir: Option<PathBuf>,
    /// Connections at once.
    pub connections_max: usize,
    /// Threads that run queries; 0: one per core.
    pub query_threads: usize,
    /// Rows of a segment are written when they take this much memory, in bytes.
    pub segment_bytes_max: usize,
    /// Segments kept mapped at once.
    pub open_segments_max: usize,
    /// Whether compaction runs in the background.
    pub compaction: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "plimsoll-data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 5432)),
            memory_limit_bytes: None,
            temp_dir: None,
            connections_max: 512,
            query_threads: 0,
            segment_bytes_max: 64 << 20,
            open_segments_max: 16_384,
            compaction: true,
        }
    }
}
