//! What a column is to storage: a stable id and an Arrow type; names are the SQL catalog's affair.

use crate::error::Result;
use arrow::array::{Array, ArrayRef, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names one segment (or one batch of inlined rows) for ever. Allocated by the placement log; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SegmentId(pub u64);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Names one column of a table for ever: a renamed column keeps it, a dropped one's is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnId(pub u32);

/// A column as storage reads and writes it.
#[derive(Clone, Debug)]
pub struct ColumnSpec {
    /// The stable id: how the column is found in a segment.
    pub id: ColumnId,
    /// The name at the time of writing: kept in the file for whoever opens it with another Arrow reader.
    pub name: String,
    /// The logical type: what a scan hands out, whatever the encoding in the file.
    pub data_type: DataType,
    /// What a segment written before the column existed is read as: an array of one value; `None` is NULL.
    pub missing: Option<ArrayRef>,
}

impl ColumnSpec {
    /// The column's values in `rows` rows that were written before it existed.
    pub fn missing_values(&self, rows: usize) -> Result<ArrayRef> {
        match &self.missing {
            Some(value) => self.conform(take(value, &UInt32Array::from(vec![0; rows]), None)?),
            None => Ok(new_null_array(&self.data_type, rows)),
        }
    }

    /// The array in this column's type; values that the type cannot hold are an error.
    pub fn conform(&self, array: ArrayRef) -> Result<ArrayRef> {
        if *array.data_type() == self.data_type {
            return Ok(array);
        }
        Ok(cast_with_options(&array, &self.data_type, &CastOptions { safe: false, ..Default::default() })?)
    }
}
