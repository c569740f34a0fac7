//! What is known of a column's values without reading them.

use crate::schema::{ColumnId, SegmentId};
use arrow::array::ArrayRef;

/// Statistics of one column over one granule or one segment.
#[derive(Clone, Debug)]
pub struct ColumnStatistics {
    /// The column.
    pub column: ColumnId,
    /// Smallest non-null value, an array of one element of the logical type. Long strings: a prefix (a lower bound).
    pub min: Option<ArrayRef>,
    /// Largest non-null value, likewise. Long strings: an upper bound.
    pub max: Option<ArrayRef>,
    /// Whether `min` and `max` are values that occur, rather than bounds.
    pub exact: bool,
    /// NULLs among the rows.
    pub nulls: u64,
    /// Distinct non-null values, estimated.
    pub distinct: u64,
    /// Encoded bytes in the file.
    pub bytes: u64,
}

/// What a commit says of a segment, so that queries are planned and units skipped without opening a file.
#[derive(Clone, Debug)]
pub struct SegmentSummary {
    /// The segment.
    pub id: SegmentId,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file.
    pub disk_bytes: u64,
    /// Size of the columns when decoded to their logical types, in bytes.
    pub decoded_bytes: u64,
    /// Granules in the file.
    pub granules: u32,
    /// One entry per column.
    pub columns: Vec<ColumnStatistics>,
    /// Columns by which the rows are sorted (ascending, nulls last), longest prefix known; may be empty.
    pub sorted_by: Vec<ColumnId>,
}

impl SegmentSummary {
    /// The serialized form that commits carry, opaque to placement.
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads [`SegmentSummary::to_bytes`] back; refuses anything else.
    pub fn from_bytes(_bytes: &[u8]) -> crate::Result<Self> {
        todo!()
    }
    /// Statistics of a column, if the segment has it.
    pub fn column(&self, id: ColumnId) -> Option<&ColumnStatistics> {
        self.columns.iter().find(|c| c.column == id)
    }
}
