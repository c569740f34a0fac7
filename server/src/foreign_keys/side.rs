//! One side of a foreign key: some columns of a table, and hashes of their values in the form that both sides share.

use crate::catalog::{TableDefinition, columns};
use crate::error::{Result, SqlError};
use crate::ingest::key_form::{key_type, key_values};
use crate::ingest::unique::stable_hash;
use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use std::hash::{BuildHasher, RandomState};
use storage::{ColumnId, ColumnSpec};

/// Values that the common type does not have become NULL: nothing is equal to them.
const CAST: CastOptions<'static> = CastOptions { safe: true, format_options: arrow::util::display::FormatOptions::new() };

/// The columns of a key in one of its tables.
#[derive(Debug)]
pub struct Side {
    /// Positions of the columns in the table.
    pub positions: Vec<usize>,
    /// The columns as storage has them.
    pub specs: Vec<ColumnSpec>,
    compared: Vec<DataType>,
    converter: RowConverter,
    seed: u64,
    /// The seed, and which columns: what is remembered of units is remembered of these.
    cache_key: u64,
}

/// A hash of one row's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHash {
    /// All of it is known.
    Known(u128),
    /// All of it is NULL.
    Null,
    /// Some of it is NULL.
    Mixed,
}

impl Side {
    /// The columns of a table, compared in these types.
    pub fn new(table: &TableDefinition, ids: &[ColumnId], compared: Vec<DataType>, seed: u64) -> Result<Self> {
        let all = columns::storage_columns(table)?;
        let position = |id: &ColumnId| all.iter().position(|spec| spec.id == *id);
        let gone = || SqlError::internal("a foreign key names a column that is gone");
        let positions = ids.iter().map(position).collect::<Option<Vec<_>>>().ok_or_else(gone)?;
        let specs = positions.iter().map(|position| all[*position].clone()).collect();
        let converter = RowConverter::new(compared.iter().map(|of| SortField::new(key_type(of))).collect())?;
        let columns: Vec<u8> = [table.oid].into_iter().chain(ids.iter().map(|id| id.0)).flat_map(u32::to_le_bytes).collect();
        Ok(Self { positions, specs, compared, converter, seed, cache_key: stable_hash(seed, &columns) })
    }

    /// What the fingerprints of the keys in a unit are remembered by, beside the unit.
    pub fn cache_key(&self) -> u64 {
        self.cache_key
    }

    /// The hash of each row's key; `arrays` are the values of the side's columns.
    pub fn hashes(&self, arrays: &[ArrayRef], hasher: &RandomState) -> Result<Vec<KeyHash>> {
        let any = arrays.iter().fold(None, |nulls, array| NullBuffer::union(nulls.as_ref(), array.logical_nulls().as_ref()));
        let keys = arrays.iter().zip(&self.compared).map(|(array, to)| compared(array, to)).collect::<Result<Vec<_>>>()?;
        let rows = self.converter.convert_columns(&keys)?;
        let is_null = |row: usize| any.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let all_null = |row: usize| arrays.iter().all(|array| array.is_null(row));
        let hash = |(row, key): (usize, arrow::row::Row<'_>)| match is_null(row) {
            true if all_null(row) => KeyHash::Null,
            true => KeyHash::Mixed,
            false => KeyHash::Known((u128::from(hasher.hash_one(key.data())) << 64) | u128::from(stable_hash(self.seed, key.data()))),
        };
        Ok(rows.iter().enumerate().map(hash).collect())
    }
}

impl KeyHash {
    /// The hash of a key that is known.
    pub fn known(self) -> Option<u128> {
        match self {
            Self::Known(hash) => Some(hash),
            Self::Null | Self::Mixed => None,
        }
    }
}

/// What two sessions know a key by: it depends on nothing but its value and its foreign key.
pub fn fingerprint(hash: u128) -> u64 {
    hash as u64
}

fn compared(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match array.data_type() == to {
        true => key_values(array),
        false => key_values(&cast_with_options(array, to, &CAST)?),
    }
}

/// Values in the type of another column, NULL where it has no such value.
pub fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match array.data_type() == to {
        true => Ok(array.clone()),
        false => Ok(cast_with_options(array, to, &CAST)?),
    }
}
