//! Compaction: which units to merge (pure), and merging them (bounded in memory).

use crate::scan::Unit;
use crate::schema::SegmentId;

/// What compaction strives for.
#[derive(Clone, Debug)]
pub struct CompactionPolicy {
    /// Segments below this many bytes are small.
    pub small_segment_bytes: u64,
    /// Merge when at least this many small segments have come together.
    pub small_segments_min: usize,
    /// Fold inlined batches into a segment when there are this many of them ...
    pub inline_units_min: usize,
    /// ... or their rows take this many bytes.
    pub inline_bytes_min: u64,
    /// Rewrite a segment when at least this share of its rows is deleted (per cent).
    pub deleted_percent_min: u64,
    /// At most this many bytes of input in one run.
    pub run_bytes_max: u64,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            small_segment_bytes: 16 << 20,
            small_segments_min: 8,
            inline_units_min: 256,
            inline_bytes_min: 1 << 20,
            deleted_percent_min: 30,
            run_bytes_max: 256 << 20,
        }
    }
}

/// Chooses the units of one table to rewrite now; empty when nothing is worth it. Deterministic; a chosen set never regresses to
/// a state in which it would be chosen again.
pub fn choose(_units: &[Unit], _policy: &CompactionPolicy) -> Vec<SegmentId> {
    todo!()
}
