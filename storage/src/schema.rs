//! What a column is to storage: a stable id and an Arrow type; names are the SQL catalog's affair.

use arrow::array::ArrayRef;
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
