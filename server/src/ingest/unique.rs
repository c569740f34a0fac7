//! UNIQUE and PRIMARY KEY.
//!
//! 1. [`KeyChecks::add`] sees every new row: keys that occur twice in the statement are found at once.
//! 2. [`KeyChecks::check_against`] looks once, at the end, for the keys among the rows that the transaction sees. Units whose statistics
//!    exclude the keys are not opened; few keys are looked for by value, so that granules are skipped too; of the others only the key columns
//!    are read.
//! 3. Before that they are locked ([`KeyChecks::locks`]): who inserts the same key waits. The log gets a 64-bit fingerprint of each, up to a number,
//!    and refuses what no lock has kept apart.
//!
//! A key with a NULL is never equal to another, unless NULLS NOT DISTINCT says so. What a row's key is, [`super::unique_key`] says.
//!
//! Memory: 16 bytes a key and the set's slack, reserved from the pool. Two different keys are taken for equal only if two independent 64-bit
//! hashes agree, one of them keyed at random. A load whose keys do not fit is refused (53200) with a hint to load in parts.

use super::key_form::merges_values;
use super::unique_key::{Key, PROBE_BATCH_ROWS};
use super::writer::scan_schema;
use super::{KeysChanged, Target};
use crate::catalog::columns;
use crate::engine::Engine;
use crate::engine::aside::{self, Stop};
use crate::engine::locks::{KeyMode, KeySet, RowSet, RowStrength};
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::RandomState;
use std::sync::{Arc, LazyLock};
use storage::scan::{ScanMetrics, morsels};
use storage::{ColumnId, ColumnPredicate, ColumnSpec, ColumnStatistics, Scan, ScanRequest, SegmentId, Store, Unit, UnitSource};

/// What is interrupted when a server ends.
const CHECK: &str = "a check of unique keys";
/// Fingerprints that a statement lists; more are "too many to list".
const FINGERPRINTS_MAX: usize = 16_384;
/// Sets the locks of keys that are inserted apart from those of keys that are referred to.
const INSERTED_SPACE: u64 = 0x6b65_7973_2d69_6e00;
/// Distinct values of a key column that are looked for one by one.
const VALUES_MAX: usize = 1024;
/// Keys that are compared with every value of a granule, rather than hashed.
const EQUALITIES_MAX: usize = 8;
/// What a key takes in the set of keys, in bytes: 16, an index, and the slack of a hash table.
const KEY_BYTES: usize = 32;
/// Fingerprints in the cache of inlined units, before it is emptied.
const CACHE_FINGERPRINTS_MAX: usize = 1 << 20;

/// Keys are told apart by a hash that nobody outside this process can compute.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The unique constraints of a table that a statement may break.
pub struct KeyChecks {
    checks: Vec<KeyCheck>,
    memory: MemoryReservation,
}

/// One unique constraint, and the keys that the statement inserts.
struct KeyCheck {
    key: Arc<Key>,
    /// The first key that the statement itself has twice, if that is found out in the end.
    twice: Option<SqlError>,
    seen: HashSet<u128>,
    fingerprints: Option<Vec<u64>>,
    /// The values of those inputs that are parts of the key as they are.
    values: Vec<(usize, KeyValues)>,
}

impl KeyChecks {
    /// Checks of the constraints that the statement may break.
    pub fn new(context: &QueryContext, target: &Target, changed: KeysChanged<'_>) -> Result<Self> {
        let memory = MemoryConsumer::new("unique keys").register(&context.engine.runtime.memory_pool);
        let keys = target.definition.constraints.iter().filter_map(|constraint| Key::new(context, target, constraint).transpose());
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let may_break = |key: &Key| match changed {
            KeysChanged::All => true,
            KeysChanged::Columns(columns) => key.columns.iter().any(|column| columns.contains(column)),
        };
        let checks = keys.into_iter().filter(may_break).map(KeyCheck::new).collect::<Result<_>>()?;
        Ok(Self { checks, memory })
    }

    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// Takes new rows; 23505 for a key that the statement has inserted before.
    pub fn add(&mut self, target: &Target, batch: &RecordBatch) -> Result<()> {
        let bytes = batch.num_rows() * KEY_BYTES * self.checks.len();
        self.memory.try_grow(bytes).map_err(too_many_keys)?;
        self.checks.iter_mut().try_for_each(|check| check.add(target, batch, &HASHER))
    }

    /// What to lock, so that others who insert the same keys wait.
    pub fn locks(&self) -> impl Iterator<Item = KeySet> + '_ {
        self.checks.iter().filter(|check| !check.seen.is_empty()).map(KeyCheck::lock)
    }

    /// What the log knows the keys by, or `None` for too many.
    pub fn fingerprints(&self) -> Option<Vec<u64>> {
        listed(&self.checks)
    }

    /// Takes out the checks of constraints that are deferred, as what is owed to them.
    pub fn take_deferred(&mut self, target: &Target, is_deferred: impl Fn(&str, bool) -> bool) -> Option<Deferred> {
        let later = |check: &mut KeyCheck| check.key.deferrable && is_deferred(&check.key.constraint, check.key.deferred);
        let later: Vec<KeyCheck> = self.checks.extract_if(.., later).collect();
        if later.is_empty() {
            return None;
        }
        let (locks, fingerprints) = (later.iter().map(KeyCheck::lock).collect(), listed(&later));
        let memory = Arc::new(self.memory.take());
        let owed = |check: KeyCheck| OwedKeys { target: target.clone(), key: check.key, seen: check.seen, memory: vec![memory.clone()] };
        Some(Deferred { locks, fingerprints, owed: later.into_iter().map(owed).collect() })
    }

    /// Looks for the keys among the live rows of `units`: 23505 if one is there.
    pub async fn check_against(self: &Arc<Self>, engine: &Arc<Engine>, target: &Target, units: Arc<Vec<Unit>>) -> Result<()> {
        let touches_files = self.checks.iter().any(|check| check.may_be_in_a_segment(&units));
        let (keys, target, engine) = (self.clone(), target.clone(), engine.clone());
        let look = move |stop: &Stop| {
            let (store, cache) = (&engine.store, &engine.key_cache);
            keys.checks.iter().try_for_each(|check| check.look((store, cache), &target, &units, &HASHER, stop))
        };
        if touches_files { aside::run(CHECK, look).await } else { look(&Stop::default()) }
    }

    /// The live rows of `units` that have one of the keys.
    pub async fn rows_with_keys(self: &Arc<Self>, engine: &Arc<Engine>, target: &Target, units: Arc<Vec<Unit>>) -> Result<RowSet> {
        let (keys, table, engine) = (self.clone(), target.oid(), engine.clone());
        let look = move |stop: &Stop| {
            let mut rows = RowSet::new(table, RowStrength::Stay);
            keys.checks.iter().try_for_each(|check| check.find(&engine.store, &units, &HASHER, &mut rows, stop))?;
            Ok(rows)
        };
        aside::run(CHECK, look).await
    }
}

/// Keys of constraints that are checked later.
pub struct Deferred {
    /// What to lock, so that others who insert the same keys wait.
    pub locks: Vec<KeySet>,
    /// What the log knows them by, or `None` for too many.
    pub fingerprints: Option<Vec<u64>>,
    /// What is to be looked at later.
    pub owed: Vec<OwedKeys>,
}

fn listed(checks: &[KeyCheck]) -> Option<Vec<u64>> {
    let all = checks.iter().map(|check| check.fingerprints.as_deref()).collect::<Option<Vec<_>>>()?.concat();
    (all.len() <= FINGERPRINTS_MAX).then_some(all)
}

impl KeyCheck {
    fn new(key: Key) -> Result<Self> {
        let values = key.values()?;
        Ok(Self { key: Arc::new(key), twice: None, seen: HashSet::new(), fingerprints: Some(Vec::new()), values })
    }

    fn add(&mut self, target: &Target, batch: &RecordBatch, hasher: &RandomState) -> Result<()> {
        let arrays: Vec<ArrayRef> = self.key.columns.iter().map(|column| batch.column(*column).clone()).collect();
        let hashes = self.key.hashes(&arrays, hasher)?;
        for (row, hash) in hashes.iter().enumerate() {
            if hash.is_some_and(|hash| !self.seen.insert(hash)) {
                match self.key.deferrable {
                    false => return Err(self.key.violated(target, &arrays, row)),
                    true if self.twice.is_none() => self.twice = Some(self.key.violated(target, &arrays, row)),
                    true => {}
                }
            }
        }
        for (input, values) in &mut self.values {
            values.add(&arrays[*input])?;
        }
        self.list(hashes.into_iter().flatten());
        Ok(())
    }

    fn list(&mut self, hashes: impl Iterator<Item = u128>) {
        let Some(listed) = &mut self.fingerprints else { return };
        listed.extend(hashes.map(fingerprint));
        if listed.len() > FINGERPRINTS_MAX {
            self.fingerprints = None;
        }
    }

    fn lock(&self) -> KeySet {
        KeySet { space: self.key.seed ^ INSERTED_SPACE, mode: KeyMode::Exclusive, fingerprints: self.fingerprints.clone() }
    }

    fn predicates(&self) -> Vec<(ColumnSpec, Arc<dyn ColumnPredicate>)> {
        self.key.predicates(self.values.iter().cloned())
    }

    fn may_be_in_a_segment(&self, units: &[Unit]) -> bool {
        let summaries = units.iter().filter_map(|unit| match &unit.source {
            UnitSource::Segment(summary) => Some(summary),
            _ => None,
        });
        let excluded = |values: &KeyValues, summary: &storage::SegmentSummary| {
            summary.column(values.column).is_some_and(|statistics| !values.may_match(&statistics, summary.rows))
        };
        let telling = || self.values.iter().map(|(_, values)| values).filter(|values| self.key.is_told_by(values));
        !self.seen.is_empty() && summaries.into_iter().any(|summary| !telling().any(|values| excluded(values, summary)))
    }

    fn look(
        &self,
        (store, cache): (&Arc<Store>, &KeyCache),
        target: &Target,
        units: &[Unit],
        hasher: &RandomState,
        stop: &Stop,
    ) -> Result<()> {
        if let Some(violated) = &self.twice {
            return Err(violated.clone());
        }
        if self.seen.is_empty() {
            return Ok(());
        }
        let listed: Option<HashSet<u64>> = self.fingerprints.as_ref().map(|listed| listed.iter().copied().collect());
        let mut candidates = Vec::new();
        for unit in units {
            stop.check()?;
            let excluded = match (&unit.source, &listed) {
                (UnitSource::Inline(_), Some(listed)) => !cache.holds_any(store, &self.key, unit, listed, hasher)?,
                _ => false,
            };
            if !excluded {
                candidates.push(unit.clone());
            }
        }
        self.scan(store, target, &candidates, hasher, stop)
    }

    fn scan(&self, store: &Arc<Store>, target: &Target, units: &[Unit], hasher: &RandomState, stop: &Stop) -> Result<()> {
        let request = Arc::new(self.key.request(self.predicates(), false));
        let metrics = Arc::new(ScanMetrics::default());
        for morsel in morsels(units, &request, usize::MAX, &metrics) {
            for batch in Scan::new(store.clone(), request.clone(), morsel, metrics.clone()) {
                stop.check()?;
                let batch = batch?;
                let hashes = self.key.hashes(batch.columns(), hasher)?;
                if let Some(row) = hashes.iter().position(|hash| hash.is_some_and(|hash| self.seen.contains(&hash))) {
                    return Err(self.key.violated(target, batch.columns(), row));
                }
            }
        }
        Ok(())
    }
}

impl KeyCheck {
    /// Adds the rows that have one of the keys.
    fn find(&self, store: &Arc<Store>, units: &[Unit], hasher: &RandomState, rows: &mut RowSet, stop: &Stop) -> Result<()> {
        if self.seen.is_empty() {
            return Ok(());
        }
        let request = Arc::new(self.key.request(self.predicates(), true));
        let metrics = Arc::new(ScanMetrics::default());
        for morsel in morsels(units, &request, usize::MAX, &metrics) {
            for batch in Scan::new(store.clone(), request.clone(), morsel, metrics.clone()) {
                stop.check()?;
                let batch = batch?;
                let (inputs, ids) = batch.columns().split_at(batch.num_columns() - 2);
                let (in_unit, offsets): (&UInt64Array, &UInt32Array) = (ids[0].as_primitive(), ids[1].as_primitive());
                let hashes = self.key.hashes(inputs, hasher)?;
                let found = hashes.iter().enumerate().filter(|(_, hash)| hash.is_some_and(|hash| self.seen.contains(&hash)));
                found.for_each(|(row, _)| rows.add(SegmentId(in_unit.value(row)), offsets.value(row)));
            }
        }
        Ok(())
    }
}

/// Keys that statements have inserted under a constraint that is checked later.
#[derive(Clone)]
pub struct OwedKeys {
    target: Target,
    key: Arc<Key>,
    seen: HashSet<u128>,
    memory: Vec<Arc<MemoryReservation>>,
}

impl std::fmt::Debug for OwedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwedKeys").field("constraint", &self.key.constraint).field("keys", &self.seen.len()).finish()
    }
}

impl OwedKeys {
    /// By what the constraint is known in a transaction: OID of the table, name.
    pub fn id(&self) -> (u32, String) {
        (self.target.oid(), self.key.constraint.clone())
    }

    /// Takes what a later statement owes to the same constraint.
    pub fn join(&mut self, later: Self) {
        self.seen.extend(later.seen);
        self.memory.extend(later.memory);
        (self.target, self.key) = (later.target, later.key);
    }

    /// 23505 if one of the keys is there twice among the live rows of `units`. All of the key's columns are read.
    pub async fn check(self, store: Arc<Store>, units: Arc<Vec<Unit>>) -> Result<()> {
        aside::run(CHECK, move |stop| self.look(&store, &units, stop)).await
    }

    fn look(&self, store: &Arc<Store>, units: &[Unit], stop: &Stop) -> Result<()> {
        let request = Arc::new(self.key.request(Vec::new(), false));
        let metrics = Arc::new(ScanMetrics::default());
        let mut found = HashSet::new();
        for morsel in morsels(units, &request, usize::MAX, &metrics) {
            for batch in Scan::new(store.clone(), request.clone(), morsel, metrics.clone()) {
                stop.check()?;
                let batch = batch?;
                let hashes = self.key.hashes(batch.columns(), &HASHER)?;
                let is_second = |hash: &Option<u128>| hash.is_some_and(|hash| self.seen.contains(&hash) && !found.insert(hash));
                if let Some(row) = hashes.iter().position(is_second) {
                    return Err(self.key.violated(&self.target, batch.columns(), row));
                }
            }
        }
        Ok(())
    }
}

impl Key {
    /// What is collected of the values of those inputs that are parts of the key as they are.
    fn values(&self) -> Result<Vec<(usize, KeyValues)>> {
        let values = |input: usize| Ok((input, KeyValues::new(&self.specs[input])?));
        self.plain_parts().into_iter().map(values).collect()
    }

    /// Whether a row without one of these values in their column has none of the keys: NULLs are not among the values.
    fn is_told_by(&self, values: &KeyValues) -> bool {
        !(self.nulls_equal && values.with_null)
    }

    /// What a scan can leave out.
    fn predicates(&self, values: impl Iterator<Item = (usize, KeyValues)>) -> Vec<(ColumnSpec, Arc<dyn ColumnPredicate>)> {
        let telling = values.filter(|(_, values)| self.is_told_by(values));
        telling.map(|(input, values)| (self.specs[input].clone(), Arc::new(values) as Arc<dyn ColumnPredicate>)).collect()
    }
}

fn fingerprint(hash: u128) -> u64 {
    hash as u64
}

fn too_many_keys(error: datafusion::error::DataFusionError) -> SqlError {
    SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory for checking unique keys")
        .with_detail(error.to_string())
        .with_hint("Load the rows in several parts.")
}

/// FNV-1a, and a finalizer that spreads it over all bits. Every node and every version must agree on it: the log compares its values.
pub(crate) fn stable_hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The values that a key column takes in the new rows: all while they are few, else the smallest and the largest. As a predicate of a scan
/// it lets pass what may be equal to one of them.
#[derive(Clone, Debug)]
pub(crate) struct KeyValues {
    column: ColumnId,
    converter: Arc<RowConverter>,
    values: BTreeSet<OwnedRow>,
    /// Whether `values` are all of them, rather than the ends of their range.
    listed: bool,
    /// The first few values as arrays of one.
    scalars: Vec<ArrayRef>,
    /// Whether values that differ can be one key: nothing is excluded then.
    merged: bool,
    /// Whether there was a NULL.
    with_null: bool,
}

impl KeyValues {
    pub(crate) fn new(spec: &ColumnSpec) -> Result<Self> {
        let converter = Arc::new(RowConverter::new(vec![SortField::new(spec.data_type.clone())])?);
        let merged = merges_values(&spec.data_type);
        Ok(Self { column: spec.id, converter, values: BTreeSet::new(), listed: true, scalars: Vec::new(), merged, with_null: false })
    }

    pub(crate) fn add(&mut self, array: &ArrayRef) -> Result<()> {
        self.with_null |= array.null_count() > 0;
        if self.merged {
            return Ok(());
        }
        if self.scalars.len() <= EQUALITIES_MAX {
            let room = EQUALITIES_MAX + 1 - self.scalars.len();
            self.scalars.extend((0..array.len().min(room)).map(|row| array.slice(row, 1)));
        }
        let rows = self.converter.convert_columns(std::slice::from_ref(array))?;
        for row in rows.iter().enumerate().filter(|(i, _)| array.is_valid(*i)).map(|(_, row)| row) {
            if self.listed || self.is_outside(row) {
                self.values.insert(row.owned());
                self.shrink();
            }
        }
        Ok(())
    }

    fn is_outside(&self, row: arrow::row::Row<'_>) -> bool {
        let ends = self.values.first().zip(self.values.last());
        ends.is_none_or(|(first, last)| row < first.row() || row > last.row())
    }

    /// Keeps only the ends once there are too many.
    fn shrink(&mut self) {
        let values_max = if self.listed { VALUES_MAX } else { 2 };
        if self.values.len() > values_max {
            self.listed = false;
            let ends = [self.values.pop_first(), self.values.pop_last()];
            self.values = ends.into_iter().flatten().collect();
        }
    }

    fn overlaps(&self, min: &ArrayRef, max: &ArrayRef) -> Result<bool> {
        let min = self.converter.convert_columns(std::slice::from_ref(min))?;
        let max = self.converter.convert_columns(std::slice::from_ref(max))?;
        let (min, max) = (min.row(0).owned(), max.row(0).owned());
        if min > max {
            return Ok(true);
        }
        match self.listed {
            true => Ok(self.values.range(min..=max).next().is_some()),
            false => Ok(self.values.first().is_some_and(|first| *first <= max) && self.values.last().is_some_and(|last| *last >= min)),
        }
    }

    fn equal_to_any(&self, values: &ArrayRef) -> storage::Result<BooleanArray> {
        let mut any = BooleanArray::from(vec![false; values.len()]);
        for scalar in &self.scalars {
            let equal = arrow::compute::kernels::cmp::eq(values, &arrow::array::Scalar::new(scalar))?;
            any = arrow::compute::or_kleene(&any, &equal)?;
        }
        Ok(any)
    }
}

impl ColumnPredicate for KeyValues {
    fn column(&self) -> ColumnId {
        self.column
    }

    fn may_match(&self, statistics: &ColumnStatistics, rows: u64) -> bool {
        match (&statistics.min, &statistics.max) {
            (Some(min), Some(max)) if !self.merged => self.overlaps(min, max).unwrap_or(true),
            _ => statistics.nulls < rows,
        }
    }

    fn evaluate(&self, values: &ArrayRef) -> storage::Result<BooleanArray> {
        match self.scalars.len() <= EQUALITIES_MAX && !self.merged {
            true => self.equal_to_any(values),
            false => Ok(arrow::compute::is_not_null(values)?),
        }
    }
}

/// Fingerprints of the keys in inlined units: between two foldings there may be hundreds of such units, each of a row or two, and every
/// insertion has to know what is in them. Emptied when it has grown too large.
#[derive(Debug, Default)]
pub struct KeyCache {
    units: Mutex<HashMap<KeyedUnit, Arc<[u64]>>>,
}

/// A unit, and what stands for a key.
type KeyedUnit = (SegmentId, u64);

impl KeyCache {
    /// Whether a unit holds a row, live or deleted, with one of the fingerprints.
    fn holds_any(&self, store: &Arc<Store>, key: &Key, unit: &Unit, listed: &HashSet<u64>, hasher: &RandomState) -> Result<bool> {
        let fingerprints = match self.of_unit(unit.id, key.cache_key, || Self::read(store, key, unit, hasher)) {
            Err(_) if key.may_fail() => return Ok(true),
            found => found?,
        };
        Ok(fingerprints.iter().any(|fingerprint| listed.contains(fingerprint)))
    }

    /// The fingerprints of the keys in an inlined unit, the deleted ones included; `key` says of which.
    pub(crate) fn of_unit(&self, unit: SegmentId, key: u64, read: impl FnOnce() -> Result<Arc<[u64]>>) -> Result<Arc<[u64]>> {
        if let Some(known) = self.units.lock().get(&(unit, key)) {
            return Ok(known.clone());
        }
        let fingerprints = read()?;
        self.keep((unit, key), fingerprints.clone());
        Ok(fingerprints)
    }

    fn read(store: &Arc<Store>, key: &Key, unit: &Unit, hasher: &RandomState) -> Result<Arc<[u64]>> {
        let request = Arc::new(key.request(Vec::new(), false));
        let metrics = Arc::new(ScanMetrics::default());
        let whole = Unit { deletes: None, ..unit.clone() };
        let mut fingerprints = Vec::new();
        for morsel in morsels(&[whole], &request, usize::MAX, &metrics) {
            for batch in Scan::new(store.clone(), request.clone(), morsel, metrics.clone()) {
                fingerprints.extend(key.hashes(batch?.columns(), hasher)?.into_iter().flatten().map(fingerprint));
            }
        }
        Ok(fingerprints.into())
    }

    fn keep(&self, key: KeyedUnit, fingerprints: Arc<[u64]>) {
        let mut units = self.units.lock();
        if units.len() * 4 + fingerprints.len() > CACHE_FINGERPRINTS_MAX {
            units.clear();
        }
        units.insert(key, fingerprints);
    }
}

/// Rows of a table that have one of a set of keys: what ON CONFLICT is about.
pub struct KeyLookup {
    key: Key,
    hasher: RandomState,
}

/// A row found: its unit, its offset, and where its columns are.
#[derive(Clone, Copy, Debug)]
pub struct FoundRow {
    /// The unit.
    pub unit: SegmentId,
    /// The row's offset in it.
    pub row: u32,
    /// The batch of [`Existing::batches`] that holds its columns.
    pub batch: usize,
    /// Its place in that batch.
    pub index: usize,
}

/// Rows found by key.
#[derive(Default)]
pub struct Existing {
    /// By hash of the key.
    pub rows: HashMap<u128, FoundRow>,
    /// Whole rows, in the order of the table's columns.
    pub batches: Vec<RecordBatch>,
}

impl KeyLookup {
    /// A look-up by the unique constraint at this place among the table's constraints.
    pub fn new(context: &QueryContext, target: &Target, constraint: usize) -> Result<Self> {
        let constraint = target.definition.constraints.get(constraint);
        let key = constraint.map(|constraint| Key::new(context, target, constraint)).transpose()?.flatten();
        let key = key.ok_or_else(|| SqlError::internal("a unique constraint was expected"))?;
        Ok(Self { key, hasher: RandomState::new() })
    }

    /// A hash of each row's key; `None` where the key has a NULL.
    pub fn hashes(&self, batch: &RecordBatch) -> Result<Vec<Option<u128>>> {
        let arrays: Vec<ArrayRef> = self.key.columns.iter().map(|column| batch.column(*column).clone()).collect();
        self.key.hashes(&arrays, &self.hasher)
    }

    /// The live rows of `units` whose keys occur in `batches`. Blocking.
    pub fn find(&self, engine: &Engine, target: &Target, units: &[Unit], batches: &[RecordBatch], stop: &Stop) -> Result<Existing> {
        let wanted = self.wanted(batches)?;
        let request = Arc::new(self.request(target, batches)?);
        let metrics = Arc::new(ScanMetrics::default());
        let memory = MemoryConsumer::new("rows in conflict").register(&engine.runtime.memory_pool);
        let mut existing = Existing::default();
        for morsel in morsels(units, &request, usize::MAX, &metrics) {
            for batch in Scan::new(engine.store.clone(), request.clone(), morsel, metrics.clone()) {
                stop.check()?;
                self.keep(&wanted, batch?, &mut existing, &memory)?;
            }
        }
        Ok(existing)
    }

    fn wanted(&self, batches: &[RecordBatch]) -> Result<HashSet<u128>> {
        let mut wanted = HashSet::new();
        for batch in batches {
            wanted.extend(self.hashes(batch)?.into_iter().flatten());
        }
        Ok(wanted)
    }

    fn request(&self, target: &Target, batches: &[RecordBatch]) -> Result<ScanRequest> {
        let mut values = self.key.values()?;
        for batch in batches {
            for (input, values) in &mut values {
                values.add(batch.column(self.key.columns[*input]))?;
            }
        }
        let predicates = self.key.predicates(values.into_iter());
        let projection = columns::storage_columns(&target.definition)?;
        let schema = scan_schema(&projection, true);
        Ok(ScanRequest { projection, schema, predicates, row_ids: true, batch_rows: PROBE_BATCH_ROWS })
    }

    fn keep(&self, wanted: &HashSet<u128>, batch: RecordBatch, existing: &mut Existing, memory: &MemoryReservation) -> Result<()> {
        let columns = batch.num_columns() - 2;
        let rows = batch.project(&(0..columns).collect::<Vec<_>>())?;
        let hashes = self.hashes(&rows)?;
        let found: Vec<usize> = (0..rows.num_rows()).filter(|row| hashes[*row].is_some_and(|hash| wanted.contains(&hash))).collect();
        if found.is_empty() {
            return Ok(());
        }
        let indices = UInt32Array::from_iter_values(found.iter().map(|row| *row as u32));
        let kept = arrow::compute::take_record_batch(&rows, &indices)?;
        memory.try_grow(kept.get_array_memory_size())?;
        let units: &UInt64Array = batch.column(columns).as_primitive();
        let offsets: &UInt32Array = batch.column(columns + 1).as_primitive();
        for (index, row) in found.into_iter().enumerate() {
            let place = FoundRow { unit: SegmentId(units.value(row)), row: offsets.value(row), batch: existing.batches.len(), index };
            existing.rows.extend(hashes[row].map(|hash| (hash, place)));
        }
        existing.batches.push(kept);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::Int32Array;
    use arrow::datatypes::DataType;

    fn values(of: impl IntoIterator<Item = i32>) -> KeyValues {
        let spec = ColumnSpec { id: ColumnId(1), name: "a".into(), data_type: DataType::Int32, missing: None };
        let mut values = KeyValues::new(&spec).unwrap();
        values.add(&(Arc::new(Int32Array::from_iter_values(of)) as ArrayRef)).unwrap();
        values
    }

    fn may_match(values: &KeyValues, min: i32, max: i32) -> bool {
        let array = |value| Some(Arc::new(Int32Array::from(vec![value])) as ArrayRef);
        let statistics =
            ColumnStatistics { column: ColumnId(1), min: array(min), max: array(max), exact: true, nulls: 0, distinct: 1, bytes: 4 };
        values.may_match(&statistics, 10)
    }

    #[test]
    fn few_values_exclude_ranges_between_them() {
        let few = values([10, 500]);
        assert!(may_match(&few, 1, 10) && may_match(&few, 400, 600));
        assert!(!may_match(&few, 11, 499) && !may_match(&few, 501, 900));
        let many = values((0..5000).map(|i| i * 2));
        assert!(!many.listed && may_match(&many, 11, 11) && !may_match(&many, 10_000, 20_000) && !may_match(&many, -5, -1));
    }

    #[test]
    fn few_values_are_compared_one_by_one() {
        let rows: ArrayRef = Arc::new(Int32Array::from(vec![Some(10), None, Some(11), Some(500)]));
        let passes = |values: &KeyValues| {
            (0..4)
                .filter(|row| {
                    let r = values.evaluate(&rows).unwrap();
                    r.is_valid(*row) && r.value(*row)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(passes(&values([10, 500])), [0, 3]);
        assert_eq!(passes(&values(0..100)), [0, 2, 3]);
    }

    #[test]
    fn fingerprints_never_change() {
        assert_eq!(stable_hash(7, b"orders_pkey"), stable_hash(7, b"orders_pkey"));
        assert_ne!(stable_hash(7, b"orders_pkey"), stable_hash(8, b"orders_pkey"));
        assert_eq!(stable_hash(0, b""), 0xefd0_1f60_ba99_2926);
    }
}
