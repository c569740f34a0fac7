//! Distinct keys of one side, in the order in which they came, each with what belongs to it.
//!
//! Memory: the values of the columns, and 16 bytes and the slack of a hash table for each key, reserved from the pool.

use super::link::Link;
use super::side::{KeyHash, Side, cast, fingerprint};
use crate::engine::Engine;
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::unique::KeyValues;
use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::sync::Arc;
use storage::{ColumnPredicate, ColumnSpec};

/// What a key takes beside its values, in bytes.
const KEY_BYTES: usize = 48;

/// A set of keys.
pub struct KeySet {
    side: Arc<Side>,
    hasher: RandomState,
    /// Values of the side's columns, then of what goes with them.
    batches: Vec<Vec<ArrayRef>>,
    /// By hash: batch and row.
    places: HashMap<u128, (u32, u32)>,
    /// What they are as values of the sides in which they are looked for.
    sought: Vec<Sought>,
    memory: MemoryReservation,
}

/// The keys as values of the columns in which they are looked for.
struct Sought {
    side: Arc<Side>,
    values: Vec<KeyValues>,
}

impl KeySet {
    /// No keys of a side, to be looked for in both sides of their foreign key.
    pub fn new(engine: &Engine, side: &Arc<Side>, link: &Link) -> Result<Self> {
        let sought = |side: &Arc<Side>| {
            let values = side.specs.iter().map(KeyValues::new).collect::<Result<_>>()?;
            Ok(Sought { side: side.clone(), values })
        };
        let sought = [&link.references, &link.keys].into_iter().map(sought).collect::<Result<_>>()?;
        Ok(Self {
            side: side.clone(),
            hasher: RandomState::new(),
            batches: Vec::new(),
            places: HashMap::new(),
            sought,
            memory: MemoryConsumer::new("foreign keys").register(&engine.runtime.memory_pool),
        })
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The hash of each row's key in values of a side.
    pub fn hashes(&self, side: &Side, arrays: &[ArrayRef]) -> Result<Vec<KeyHash>> {
        side.hashes(arrays, &self.hasher)
    }

    /// Takes the rows of its own side that `wanted` picks and whose keys are new; `with` are the columns that go with each.
    pub fn add(&mut self, arrays: &[ArrayRef], with: &[ArrayRef], hashes: &[KeyHash], wanted: impl Fn(usize) -> bool) -> Result<()> {
        let batch = self.batches.len() as u32;
        let mut rows: Vec<u32> = Vec::new();
        for (row, hash) in hashes.iter().enumerate() {
            let Some(hash) = hash.known().filter(|_| wanted(row)) else { continue };
            if let std::collections::hash_map::Entry::Vacant(place) = self.places.entry(hash) {
                place.insert((batch, rows.len() as u32));
                rows.push(row as u32);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let indices = UInt32Array::from(rows);
        let taken = arrays.iter().chain(with).map(|array| Ok(take(array, &indices, None)?)).collect::<Result<Vec<ArrayRef>>>()?;
        let bytes: usize = taken.iter().map(|array| array.get_array_memory_size()).sum();
        self.memory.try_grow(bytes + indices.len() * KEY_BYTES).map_err(too_many_keys)?;
        for sought in &mut self.sought {
            for ((values, spec), array) in sought.values.iter_mut().zip(&sought.side.specs).zip(&taken) {
                values.add(&cast(array, &spec.data_type)?)?;
            }
        }
        self.batches.push(taken);
        Ok(())
    }

    /// Takes whole batches of its own side.
    pub fn add_all(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let hashes = self.hashes(&self.side, arrays)?;
        self.add(arrays, &[], &hashes, |_| true)
    }

    /// The keys.
    pub fn all(&self) -> HashSet<u128> {
        self.places.keys().copied().collect()
    }

    /// What two sessions know the keys by.
    pub fn fingerprints(&self) -> Vec<u64> {
        self.places.keys().map(|hash| fingerprint(*hash)).collect()
    }

    /// The values of the key that came first of some.
    pub fn first(&self, of: &HashSet<u128>) -> Option<(&[ArrayRef], usize)> {
        let (batch, row) = of.iter().filter_map(|hash| self.places.get(hash)).min()?;
        Some((&self.batches[*batch as usize], *row as usize))
    }

    /// The batch and the row that a key came with.
    pub fn place(&self, hash: u128) -> Option<(usize, usize)> {
        self.places.get(&hash).map(|(batch, row)| (*batch as usize, *row as usize))
    }

    /// Values of the key's columns, then of what goes with them.
    pub fn batches(&self) -> &[Vec<ArrayRef>] {
        &self.batches
    }

    /// What a scan of a side can leave out when the keys are looked for in it.
    pub fn predicates(&self, side: &Side) -> Vec<(ColumnSpec, Arc<dyn ColumnPredicate>)> {
        let predicate = |(spec, values): (&ColumnSpec, &KeyValues)| (spec.clone(), Arc::new(values.clone()) as Arc<dyn ColumnPredicate>);
        let sought = self.sought.iter().find(|sought| sought.side.cache_key() == side.cache_key());
        sought.map_or_else(Vec::new, |sought| sought.side.specs.iter().zip(&sought.values).map(predicate).collect())
    }
}

fn too_many_keys(error: datafusion::error::DataFusionError) -> SqlError {
    SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory for checking foreign keys")
        .with_detail(error.to_string())
        .with_hint("Change the rows in several parts.")
}
