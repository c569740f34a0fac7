//! Background work: folding inlined rows into segments, merging segments, giving space back.
//!
//! 1. Commits wake the task: [`crate::engine::Changes`] names the tables that changed. At the start all are looked at.
//! 2. [`compaction`] rewrites one set of units of a table after another, until nothing is worth it. It waits for writers of rows of that
//!    table before it commits, and drops its work when it loses a race.
//! 3. [`sweep`] removes files that no snapshot in use names; it runs again when an old snapshot is let go of.
//!
//! 4. [`vacuum`] does the same at once when somebody asks for it.
//!
//! One table is worked on at a time, so memory and I/O are those of one segment writer, and the rate of reading has a bound.

use crate::engine::Engine;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod compaction;
mod pace;
mod sweep;
pub mod vacuum;

/// The running background work.
#[derive(Debug)]
pub struct Maintenance {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Maintenance {
    /// Starts the background work of a server.
    pub fn start(engine: &Arc<Engine>) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = vec![tokio::spawn(sweep::run(engine.clone(), stop.clone()))];
        if engine.config.compaction {
            tasks.push(tokio::spawn(compact(engine.clone(), stop.clone())));
        }
        Self { stop, tasks }
    }

    /// Stops, and waits until the work has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "background work failed");
            }
        }
    }
}

async fn compact(engine: Arc<Engine>, stop: CancellationToken) {
    let mut due: BTreeSet<u32> = all_tables(&engine);
    loop {
        due.extend(engine.changes.take_tables());
        let Some(table) = due.pop_first() else {
            tokio::select! {
                () = stop.cancelled() => return,
                () = engine.changes.wait_tables() => continue,
            }
        };
        match compaction::compact_table(&engine, table, &stop).await {
            Ok(()) => {}
            // Lost races and full disks are nothing to give up for: the next change of the table brings it back.
            Err(error) => tracing::warn!(table, %error, "compaction"),
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

fn all_tables(engine: &Engine) -> BTreeSet<u32> {
    engine.placement.state().tables.keys().filter_map(|table| u32::try_from(table.0).ok()).collect()
}
