//! Looking for keys among the rows of a table.

use super::key_set::KeySet;
use super::side::{Side, fingerprint};
use crate::catalog::columns;
use crate::engine::Engine;
use crate::engine::aside::{self, Stop};
use crate::engine::locks::{RowSet, RowStrength};
use crate::error::Result;
use crate::ingest::Target;
use crate::ingest::writer::scan_schema;
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::{UInt32Type, UInt64Type};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use std::collections::HashSet;
use std::sync::Arc;
use storage::scan::{ScanMetrics, morsels};
use storage::{Scan, ScanRequest, SegmentId, Unit, UnitSource};

/// What is interrupted when a server ends.
const CHECK: &str = "a check of foreign keys";
/// Rows per batch.
const BATCH_ROWS: usize = 8192;

/// Keys that were found, and rows that have them.
pub struct Found {
    /// The keys.
    pub keys: HashSet<u128>,
    /// The rows: of each key one, or all.
    pub rows: RowSet,
}

/// Which of the keys are among the live rows of `units`, which are the table of `side`. Reads until all are found.
pub async fn present(engine: &Arc<Engine>, keys: Arc<KeySet>, side: &Arc<Side>, units: Arc<Vec<Unit>>) -> Result<HashSet<u128>> {
    aside(engine, keys, side, units, look).await
}

/// The same of those that are wanted, with a row of a table for each key, or (`all`) all rows that have one.
pub async fn places(
    engine: &Arc<Engine>,
    keys: Arc<KeySet>,
    side: &Arc<Side>,
    (table, units): (u32, Arc<Vec<Unit>>),
    (wanted, all): (HashSet<u128>, bool),
) -> Result<Found> {
    let find = move |engine: &Engine, keys: &KeySet, side: &Side, units: &[Unit], stop: &Stop| {
        let mut found = Found { keys: HashSet::new(), rows: RowSet::new(table, RowStrength::KeyShare) };
        visit((engine, stop), keys, side, units, true, |hash, (unit, row)| {
            if wanted.contains(&hash) && (found.keys.insert(hash) || all) {
                found.rows.add(unit, row);
            }
            all || found.keys.len() < wanted.len()
        })?;
        Ok(found)
    };
    aside(engine, keys, side, units, find).await
}

/// Looks for keys here, or where it may take its time if there are files to be read.
async fn aside<T: Send + 'static>(
    engine: &Arc<Engine>,
    keys: Arc<KeySet>,
    side: &Arc<Side>,
    units: Arc<Vec<Unit>>,
    look: impl FnOnce(&Engine, &KeySet, &Side, &[Unit], &Stop) -> Result<T> + Send + 'static,
) -> Result<T> {
    let in_files = !keys.is_empty() && units.iter().any(|unit| matches!(unit.source, UnitSource::Segment(_)));
    let (engine, side) = (engine.clone(), side.clone());
    let look = move |stop: &Stop| look(&engine, &keys, &side, &units, stop);
    if in_files { aside::run(CHECK, look).await } else { look(&Stop::default()) }
}

/// As [`present`]; blocking.
pub fn look(engine: &Engine, keys: &KeySet, side: &Side, units: &[Unit], stop: &Stop) -> Result<HashSet<u128>> {
    let (mut left, mut found) = (keys.all(), HashSet::new());
    visit((engine, stop), keys, side, units, false, |hash, _| {
        if left.remove(&hash) {
            found.insert(hash);
        }
        !left.is_empty()
    })?;
    Ok(found)
}

/// Shows the keys of rows that may have one of the keys, with the places of the rows if they are wanted, until it is told that that is enough.
fn visit(
    (engine, stop): (&Engine, &Stop),
    keys: &KeySet,
    side: &Side,
    units: &[Unit],
    row_ids: bool,
    mut each: impl FnMut(u128, (SegmentId, u32)) -> bool,
) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let units = candidates(engine, keys, side, units)?;
    let schema = scan_schema(&side.specs, row_ids);
    let request =
        ScanRequest { projection: side.specs.clone(), schema, predicates: keys.predicates(side), row_ids, batch_rows: BATCH_ROWS };
    let (request, metrics) = (Arc::new(request), Arc::new(ScanMetrics::default()));
    for morsel in morsels(&units, &request, usize::MAX, &metrics) {
        for batch in Scan::new(engine.store.clone(), request.clone(), morsel, metrics.clone()) {
            stop.check()?;
            let batch = batch?;
            let (values, ids) = batch.columns().split_at(side.specs.len());
            let place = |row: usize| match ids {
                [units, rows] => (SegmentId(units.as_primitive::<UInt64Type>().value(row)), rows.as_primitive::<UInt32Type>().value(row)),
                _ => (SegmentId(0), 0),
            };
            let hashes = keys.hashes(side, values)?.into_iter().enumerate();
            for (row, hash) in hashes.filter_map(|(row, hash)| Some((row, hash.known()?))) {
                if !each(hash, place(row)) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// The units that may hold a key: of inlined ones the fingerprints of their keys are remembered.
fn candidates(engine: &Engine, keys: &KeySet, side: &Side, units: &[Unit]) -> Result<Vec<Unit>> {
    let wanted: HashSet<u64> = keys.all().into_iter().map(fingerprint).collect();
    let mut all = Vec::new();
    for unit in units {
        let read = || Ok(fingerprints(engine, keys, side, unit)?.into());
        let excluded = match &unit.source {
            UnitSource::Inline(_) => !engine.key_cache.of_unit(unit.id, side.cache_key(), read)?.iter().any(|key| wanted.contains(key)),
            _ => false,
        };
        if !excluded {
            all.push(unit.clone());
        }
    }
    Ok(all)
}

/// Of all rows of a unit, the deleted ones included.
fn fingerprints(engine: &Engine, keys: &KeySet, side: &Side, unit: &Unit) -> Result<Vec<u64>> {
    let schema = scan_schema(&side.specs, false);
    let request = ScanRequest { projection: side.specs.clone(), schema, predicates: Vec::new(), row_ids: false, batch_rows: BATCH_ROWS };
    let (request, metrics) = (Arc::new(request), Arc::new(ScanMetrics::default()));
    let whole = Unit { deletes: None, ..unit.clone() };
    let mut all = Vec::new();
    for morsel in morsels(&[whole], &request, usize::MAX, &metrics) {
        for batch in Scan::new(engine.store.clone(), request.clone(), morsel, metrics.clone()) {
            let hashes = keys.hashes(side, batch?.columns())?;
            all.extend(hashes.into_iter().filter_map(|hash| hash.known()).map(fingerprint));
        }
    }
    Ok(all)
}

/// Rows that refer to some keys.
#[derive(Default)]
pub struct Rows {
    /// Their ids, in the order of the batches.
    pub ids: Vec<(SegmentId, u32)>,
    /// Whole rows, in the form of the table.
    pub batches: Vec<RecordBatch>,
    /// For each the key that it refers to.
    pub keys: Vec<Vec<u128>>,
    /// For the rows, as long as they are held.
    memory: Option<MemoryReservation>,
}

/// The live rows of `units` that have one of the keys in the columns of `side`.
pub async fn rows(engine: &Arc<Engine>, keys: Arc<KeySet>, side: &Arc<Side>, target: &Target, units: Arc<Vec<Unit>>) -> Result<Rows> {
    if keys.is_empty() {
        return Ok(Rows::default());
    }
    let (engine, side, target) = (engine.clone(), side.clone(), target.clone());
    let look = move |stop: &Stop| {
        let units = candidates(&engine, &keys, &side, &units)?;
        collect((&engine, stop), &keys, &side, &target, &units)
    };
    aside::run(CHECK, look).await
}

fn collect((engine, stop): (&Engine, &Stop), keys: &KeySet, side: &Side, target: &Target, units: &[Unit]) -> Result<Rows> {
    let projection = columns::storage_columns(&target.definition)?;
    let schema = scan_schema(&projection, true);
    let request = Arc::new(ScanRequest { projection, schema, predicates: keys.predicates(side), row_ids: true, batch_rows: BATCH_ROWS });
    let metrics = Arc::new(ScanMetrics::default());
    let wanted = keys.all();
    let memory = MemoryConsumer::new("rows of foreign keys").register(&engine.runtime.memory_pool);
    let mut rows = Rows::default();
    for morsel in morsels(units, &request, usize::MAX, &metrics) {
        for batch in Scan::new(engine.store.clone(), request.clone(), morsel, metrics.clone()) {
            stop.check()?;
            rows.keep(&batch?, keys, side, (target, &wanted), &memory)?;
        }
    }
    rows.memory = Some(memory);
    Ok(rows)
}

impl Rows {
    fn keep(
        &mut self,
        batch: &RecordBatch,
        keys: &KeySet,
        side: &Side,
        (target, wanted): (&Target, &HashSet<u128>),
        memory: &MemoryReservation,
    ) -> Result<()> {
        let arrays: Vec<ArrayRef> = side.positions.iter().map(|position| batch.column(*position).clone()).collect();
        let hashes = keys.hashes(side, &arrays)?;
        let found = hashes.iter().enumerate().filter_map(|(row, hash)| Some((row, hash.known().filter(|hash| wanted.contains(hash))?)));
        let found: Vec<(usize, u128)> = found.collect();
        if found.is_empty() {
            return Ok(());
        }
        let indices = UInt32Array::from_iter_values(found.iter().map(|(row, _)| *row as u32));
        let kept = arrow::compute::take_record_batch(batch, &indices)?;
        memory.try_grow(2 * kept.get_array_memory_size())?;
        let columns = kept.num_columns() - 2;
        let (units, offsets) = (kept.column(columns).as_primitive::<UInt64Type>(), kept.column(columns + 1).as_primitive::<UInt32Type>());
        self.ids.extend((0..kept.num_rows()).map(|row| (SegmentId(units.value(row)), offsets.value(row))));
        self.batches.push(RecordBatch::try_new(target.arrow.clone(), kept.columns()[..columns].to_vec())?);
        self.keys.push(found.into_iter().map(|(_, hash)| hash).collect());
        Ok(())
    }
}
