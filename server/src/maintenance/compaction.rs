//! Rewriting units of one table.

use super::pace::Pace;
use crate::catalog::TableDefinition;
use crate::engine::Engine;
use crate::engine::writers::Rewriting;
use crate::error::{Result, SqlError};
use crate::ingest::writer;
use crate::view::{PinnedState, View};
use placement::{Assertion, Command, Commit, Conflict, LogIndex, NewSegment, Outcome, TableChange, TableId, UnitId, UnitRemoval};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::compaction::{CompactionPolicy, choose};
use storage::{StagedSegment, Unit, WrittenRows};
use tokio_util::sync::CancellationToken;

/// Runs over one table before the others get their turn; what is left comes up again.
const RUNS_MAX: usize = 64;

/// Rewrites what is worth it, until nothing is.
pub(super) async fn compact_table(engine: &Arc<Engine>, table: u32, stop: &CancellationToken) -> Result<()> {
    let policy = CompactionPolicy::default();
    for _ in 0..RUNS_MAX {
        if stop.is_cancelled() || !run(engine, table, &policy, stop).await? {
            return Ok(());
        }
    }
    engine.changes.tables_changed([table]);
    Ok(())
}

/// Rewrites what a policy finds worth it, until nothing is, or a run comes to nothing because the table has changed.
pub(super) async fn compact(engine: &Arc<Engine>, table: u32, policy: &CompactionPolicy, stop: &CancellationToken) -> Result<()> {
    while !stop.is_cancelled() && run(engine, table, policy, stop).await? {}
    Ok(())
}

/// What a run works on.
struct Job {
    snapshot: Arc<PinnedState>,
    assertion: Assertion,
    definition: TableDefinition,
    units: Vec<Unit>,
}

/// One run; false when there was nothing to do, or it came to nothing.
async fn run(engine: &Arc<Engine>, table: u32, policy: &CompactionPolicy, stop: &CancellationToken) -> Result<bool> {
    let Some(job) = job(engine, table, policy)? else { return Ok(false) };
    let mut pace = Pace::new(engine.config.compaction_bytes_per_second_max, stop);
    let pass = Box::new(move |bytes: u64| pace.pass(bytes));
    let Some(written) = writer::rewrite(engine, &job.definition, job.units.clone(), pass).await? else { return Ok(false) };
    let rewriting = tokio::select! {
        rewriting = engine.writers.idle(table) => rewriting,
        () = stop.cancelled() => return Ok(false),
    };
    commit(engine, table, job, written, rewriting).await
}

fn job(engine: &Engine, table: u32, policy: &CompactionPolicy) -> Result<Option<Job>> {
    let snapshot = engine.pin();
    let catalog = engine.catalog(&snapshot.state)?;
    let Some(found) = catalog.by_oid(table) else { return Ok(None) };
    let definition = found.table()?.clone();
    let key = crate::catalog::keys::relation(found.schema, found.name);
    let assertion = Assertion { key, version: found.entry.version };
    let view = View { snapshot: snapshot.clone(), catalog: catalog.clone(), changes: Arc::default() };
    let units = view.units(table);
    let chosen: BTreeSet<_> = choose(&units, policy).into_iter().collect();
    let units: Vec<Unit> = units.iter().filter(|unit| chosen.contains(&unit.id)).cloned().collect();
    Ok((!units.is_empty()).then_some(Job { snapshot, assertion, definition, units }))
}

/// Commits a run in a task of its own, which a stop does not interrupt: the log may name the files from then on.
async fn commit(engine: &Arc<Engine>, table: u32, job: Job, written: WrittenRows, rewriting: Rewriting) -> Result<bool> {
    let command = command(table, &job, &written.segments)?;
    let (engine, staged) = (engine.clone(), written.segments);
    let committing = tokio::spawn(async move {
        let outcome = engine.placement.propose(Command::Commit(command)).await;
        drop(rewriting);
        engine.changes.garbage_made();
        match outcome {
            Ok(Outcome::Committed(index)) => {
                tracing::debug!(table, ?index, removed = job.units.len(), added = staged.len(), "compacted");
                Ok(true)
            }
            Ok(Outcome::Conflict(Conflict::Rows(_) | Conflict::Object(_) | Conflict::Keys(_))) => {
                tracing::debug!(table, "compaction came to nothing: the table has changed");
                Ok(false)
            }
            Ok(other) => Err(SqlError::internal(format!("a compaction was answered with {other:?}"))),
            Err(error @ placement::PlacementError::Unavailable(_)) => {
                engine.hold_uncertain(staged.into_iter().map(Arc::new).collect());
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    });
    committing.await.map_err(|_| SqlError::internal("the commit of a compaction was interrupted"))?
}

fn command(table: u32, job: &Job, added: &[StagedSegment]) -> Result<Commit> {
    let id = TableId(u64::from(table));
    let state = &job.snapshot.state;
    let version = |unit: &Unit| -> Result<LogIndex> {
        let known = state.tables.get(&id).and_then(|table| table.units.get(&UnitId(unit.id.0)));
        known.map(|unit| unit.version).ok_or_else(|| SqlError::internal("a unit of a snapshot is missing"))
    };
    let removals = job.units.iter().map(|unit| Ok(UnitRemoval { unit: UnitId(unit.id.0), version: version(unit)? }));
    let mut change = TableChange::new(id);
    change.remove_units = removals.collect::<Result<_>>()?;
    change.add_segments = added.iter().map(new_segment).collect();
    Ok(Commit { read_index: state.index, assertions: vec![job.assertion.clone()], tables: vec![change], ..Commit::default() })
}

fn new_segment(staged: &StagedSegment) -> NewSegment {
    let summary = &staged.summary;
    let (id, disk_bytes) = (UnitId(summary.id.0), summary.disk_bytes);
    NewSegment { id, rows: summary.rows, disk_bytes, summary: summary.to_bytes(), placing: crate::agent::placing() }
}
