//! A unit that is being read: where its columns are, whatever it is made of.

use super::{ScanRequest, Unit, UnitSource, missing_matches, selection};
use crate::error::{Result, StorageError};
use crate::inline;
use crate::schema::{ColumnId, ColumnSpec};
use crate::segment::{ColumnStatistics, Segment};
use crate::store::Store;
use arrow::array::ArrayRef;
use std::ops::Range;
use std::sync::Arc;

/// A unit's columns.
#[derive(Debug)]
pub(super) struct OpenUnit {
    columns: Columns,
    /// For each column of the projection, where it is; `None` if the unit lacks it.
    pub(super) projection: Vec<Option<usize>>,
    pub(super) filters: Vec<Filter>,
    /// The chunks of the granule at hand that have been read.
    chunks: Vec<Option<ArrayRef>>,
}

#[derive(Debug)]
enum Columns {
    Segment(Arc<Segment>),
    Memory { ids: Vec<ColumnId>, arrays: Vec<ArrayRef>, rows: u64 },
}

/// One of the request's predicates, as far as it can be known for a whole unit.
#[derive(Debug)]
pub(super) enum Filter {
    /// The unit lacks the column: every row matches, or none.
    Constant(bool),
    /// Evaluated on each entry of the dictionary, and last on NULL.
    Entries { column: usize, matches: Vec<bool> },
    /// To be evaluated on values.
    Values { column: usize },
}

impl OpenUnit {
    pub(super) fn new(store: &Store, unit: &Unit, request: &ScanRequest) -> Result<Self> {
        let columns = open_columns(store, unit, request)?;
        let count = match &columns {
            Columns::Segment(segment) => segment.column_count(),
            Columns::Memory { arrays, .. } => arrays.len(),
        };
        let projection = request.projection.iter().map(|spec| columns.place(spec.id)).collect();
        let mut open = Self { columns, projection, filters: Vec::new(), chunks: vec![None; count] };
        open.filters = (0..request.predicates.len()).map(|i| open.filter(request, i)).collect::<Result<_>>()?;
        Ok(open)
    }

    fn filter(&self, request: &ScanRequest, i: usize) -> Result<Filter> {
        let (spec, predicate) = &request.predicates[i];
        let Some(column) = self.columns.place(spec.id) else {
            return Ok(Filter::Constant(missing_matches(spec, predicate.as_ref())?));
        };
        let dictionary = match &self.columns {
            Columns::Segment(segment) => segment.dictionary(column)?,
            Columns::Memory { .. } => None,
        };
        let Some(dictionary) = dictionary else { return Ok(Filter::Values { column }) };
        let values = spec.conform(dictionary.values_and_null.clone())?;
        let matches = selection::mask_of(&predicate.evaluate(&values)?);
        Ok(Filter::Entries { column, matches: matches.iter().collect() })
    }

    /// The rows of a granule.
    pub(super) fn granule_rows(&self, granule: usize) -> Range<u64> {
        match &self.columns {
            Columns::Segment(segment) => segment.granule_rows(granule),
            Columns::Memory { rows, .. } => 0..*rows,
        }
    }

    /// Statistics of a column over a granule, where there are any.
    pub(super) fn granule_statistics(&self, column: ColumnId, granule: usize) -> Option<ColumnStatistics> {
        match &self.columns {
            Columns::Segment(segment) => segment.granule_statistics(column, granule),
            Columns::Memory { .. } => None,
        }
    }

    /// Goes on to another granule.
    pub(super) fn forget_chunks(&mut self) {
        self.chunks.iter_mut().for_each(|chunk| *chunk = None);
    }

    /// A column's part of the granule at hand, as it is stored; with the bytes that this touched for the first time.
    pub(super) fn encoded(&mut self, column: usize, granule: usize) -> Result<(ArrayRef, u64)> {
        if let Some(chunk) = &self.chunks[column] {
            return Ok((chunk.clone(), 0));
        }
        let (chunk, bytes) = match &self.columns {
            Columns::Segment(segment) => (segment.encoded(column, granule)?, segment.chunk_bytes(column, granule)),
            Columns::Memory { arrays, .. } => (arrays[column].clone(), 0),
        };
        self.chunks[column] = Some(chunk.clone());
        Ok((chunk, bytes))
    }

    /// Decodes stored values of a column to the type that is asked for.
    pub(super) fn decode(&self, column: usize, spec: &ColumnSpec, encoded: &ArrayRef) -> Result<ArrayRef> {
        match &self.columns {
            Columns::Segment(segment) => spec.conform(segment.decode(column, encoded)?),
            Columns::Memory { .. } => spec.conform(encoded.clone()),
        }
    }
}

impl Columns {
    fn place(&self, id: ColumnId) -> Option<usize> {
        match self {
            Self::Segment(segment) => segment.column_index(id),
            Self::Memory { ids, .. } => ids.iter().position(|c| *c == id),
        }
    }
}

fn open_columns(store: &Store, unit: &Unit, request: &ScanRequest) -> Result<Columns> {
    match &unit.source {
        UnitSource::Segment(summary) => {
            let segment = store.segment(unit.id)?;
            if segment.rows() != unit.rows || segment.granules() != summary.granules as usize {
                let reason = format!("it has {} rows instead of {}", segment.rows(), unit.rows);
                return Err(StorageError::damaged(segment.file_name(), None, reason));
            }
            Ok(Columns::Segment(segment))
        }
        UnitSource::Inline(bytes) => {
            let mut specs: Vec<ColumnSpec> = request.projection.clone();
            let wanted = request.predicates.iter().map(|(spec, _)| spec);
            wanted.for_each(|spec| {
                if specs.iter().all(|s| s.id != spec.id) {
                    specs.push(spec.clone());
                }
            });
            let batch = inline::decode(bytes, &specs)?;
            let ids = specs.iter().map(|s| s.id).collect();
            Ok(Columns::Memory { ids, arrays: batch.columns().to_vec(), rows: batch.num_rows() as u64 })
        }
        UnitSource::Batch { columns, batch } => {
            Ok(Columns::Memory { ids: columns.to_vec(), arrays: batch.columns().to_vec(), rows: batch.num_rows() as u64 })
        }
    }
}
