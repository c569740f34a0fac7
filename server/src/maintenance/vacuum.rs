//! VACUUM: compaction and sweep at once, by request.

use super::{compaction, sweep};
use crate::engine::Engine;
use crate::error::Result;
use std::sync::Arc;
use storage::compaction::CompactionPolicy;
use tokio_util::sync::CancellationToken;

/// Rewrites what the policy finds worth it in these tables, one after another, at the same rate as in the background; then gives space back.
/// Dropping the future ends it.
pub async fn run(engine: &Arc<Engine>, tables: &[u32], policy: &CompactionPolicy) -> Result<()> {
    let stop = CancellationToken::new();
    let _stopped_when_dropped = stop.clone().drop_guard();
    for table in tables {
        compaction::compact(engine, *table, policy, &stop).await?;
    }
    sweep::sweep(engine).await;
    Ok(())
}
