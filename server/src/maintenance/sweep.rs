//! Giving space back.

use crate::engine::Engine;
use crate::engine::pins::Holders;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Sweeps at the start, and whenever files may have become unneeded; then again as the snapshots that hold such files are let go of.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    engine.changes.garbage_made();
    let mut holders = Holders::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = engine.changes.wait_garbage() => {}
            () = engine.holder_gone(&holders) => {}
        }
        // Before the sweep: who lets go while it runs brings about another one.
        holders = engine.garbage_holders();
        sweep(&engine).await;
    }
}

/// Removes what no snapshot in use names.
pub(super) async fn sweep(engine: &Arc<Engine>) {
    let sweeper = engine.clone();
    match tokio::task::spawn_blocking(move || sweeper.sweep()).await {
        Ok(Ok((0, _))) => {}
        Ok(Ok((files, bytes))) => tracing::debug!(files, bytes, "space was given back"),
        Ok(Err(error)) => tracing::warn!(%error, "could not give space back"),
        Err(error) => tracing::error!(%error, "the sweep failed"),
    }
}
