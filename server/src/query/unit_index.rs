//! What the summaries of a table's units say of its columns, gathered: one array per column with a value for each unit. Conditions are held
//! against all units at once, and a table's statistics are added up once for each of its versions, not once for each query.
//!
//! An index lives as long as the list of units that it is of, and is made column by column, when a query first asks for one.

use super::statistics;
use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder, UInt64Array, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::DataType;
use datafusion::common::ColumnStatistics;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};
use storage::{ColumnId, ColumnSpec, Unit, UnitSource};

/// Lists of units shorter than this are not worth keeping anything for.
const UNITS_MIN: usize = 64;
/// Indexes kept at most.
const INDEXES_MAX: usize = 64;
/// Values that are brought together at a time.
const CHUNK_UNITS: usize = 1024;

/// What is known of one table version's units.
#[derive(Debug, Default)]
pub struct UnitIndex {
    columns: Mutex<HashMap<(ColumnId, DataType), Arc<ColumnIndex>>>,
}

/// What is known of one column, with one entry for each unit.
#[derive(Debug)]
pub struct ColumnIndex {
    /// Least values or lower bounds, of the column's type; NULL: not known.
    pub min: ArrayRef,
    /// Greatest values or upper bounds, likewise.
    pub max: ArrayRef,
    /// NULLs; itself NULL where not known.
    pub nulls: UInt64Array,
    /// Rows, the deleted ones included.
    pub rows: UInt64Array,
    /// All of it together.
    pub statistics: ColumnStatistics,
}

type Kept = Vec<(Weak<Vec<Unit>>, Arc<UnitIndex>)>;

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

impl UnitIndex {
    /// The index of a list of units: the same for the same list.
    pub fn of(units: &Arc<Vec<Unit>>) -> Arc<Self> {
        if units.len() < UNITS_MIN {
            return Arc::default();
        }
        let mut kept = KEPT.lock();
        if let Some((_, index)) = kept.iter().find(|(list, _)| std::ptr::eq(list.as_ptr(), Arc::as_ptr(units))) {
            return Arc::clone(index);
        }
        kept.retain(|(list, _)| list.strong_count() > 0);
        if kept.len() >= INDEXES_MAX {
            kept.remove(0);
        }
        let index = Arc::<Self>::default();
        kept.push((Arc::downgrade(units), Arc::clone(&index)));
        index
    }

    /// What is known of a column in these units, which are those that the index is of.
    pub fn column(&self, units: &[Unit], column: &ColumnSpec) -> Arc<ColumnIndex> {
        let key = (column.id, column.data_type.clone());
        if let Some(known) = self.columns.lock().get(&key) {
            return Arc::clone(known);
        }
        // Without the lock: two queries may do the same work, and none waits.
        let built = Arc::new(ColumnIndex::build(units, column));
        Arc::clone(self.columns.lock().entry(key).or_insert(built))
    }
}

impl ColumnIndex {
    fn build(units: &[Unit], column: &ColumnSpec) -> Self {
        let mut combined = statistics::Combined::new();
        let (mut mins, mut maxes) = (Bounds::new(&column.data_type), Bounds::new(&column.data_type));
        let mut nulls = Vec::with_capacity(units.len());
        for unit in units {
            let known = match &unit.source {
                UnitSource::Segment(summary) => summary.column(column.id),
                _ => None,
            };
            if statistics::live_rows(unit) > 0 {
                combined.add(unit, known.as_ref());
            }
            nulls.push(known.as_ref().map(|statistics| statistics.nulls));
            let (min, max) = known.map_or((None, None), |statistics| (statistics.min, statistics.max));
            mins.push(min);
            maxes.push(max);
        }
        let rows = units.iter().map(|unit| unit.rows).collect::<Vec<_>>();
        let live = units.iter().map(statistics::live_rows).sum();
        Self { min: mins.finish(), max: maxes.finish(), nulls: nulls.into(), rows: rows.into(), statistics: combined.finish(live) }
    }
}

/// Arrays of one value, becoming one array.
struct Bounds {
    data_type: DataType,
    waiting: Vec<Option<ArrayRef>>,
    done: Vec<ArrayRef>,
}

impl Bounds {
    fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), waiting: Vec::new(), done: Vec::new() }
    }

    fn push(&mut self, bound: Option<ArrayRef>) {
        self.waiting.push(bound);
        if self.waiting.len() == CHUNK_UNITS {
            self.join();
        }
    }

    fn join(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let joined = match self.data_type {
            DataType::Utf8View => self.join_texts(&waiting),
            _ => self.join_values(&waiting),
        };
        // What cannot be brought together is not known.
        self.done.push(joined.unwrap_or_else(|| new_null_array(&self.data_type, waiting.len())));
    }

    fn join_values(&self, waiting: &[Option<ArrayRef>]) -> Option<ArrayRef> {
        let unknown = new_null_array(&self.data_type, 1);
        // The column may have had another type when a unit was written, and another order.
        let same = |bound: &&ArrayRef| *bound.data_type() == self.data_type;
        let value = |bound: &Option<ArrayRef>| Arc::clone(bound.as_ref().filter(same).unwrap_or(&unknown));
        let values: Vec<ArrayRef> = waiting.iter().map(value).collect();
        concat(&values.iter().map(AsRef::as_ref).collect::<Vec<_>>()).ok()
    }

    /// Texts are copied, so that they lie together.
    fn join_texts(&self, waiting: &[Option<ArrayRef>]) -> Option<ArrayRef> {
        let mut builder = StringViewBuilder::with_capacity(waiting.len());
        for bound in waiting {
            let text = bound.as_ref().and_then(|bound| bound.as_string_view_opt()).filter(|bound| bound.is_valid(0));
            builder.append_option(text.map(|text| text.value(0)));
        }
        Some(Arc::new(builder.finish()))
    }

    fn finish(mut self) -> ArrayRef {
        self.join();
        let total = self.done.iter().map(|array| array.len()).sum();
        let parts: Vec<&dyn Array> = self.done.iter().map(AsRef::as_ref).collect();
        concat(&parts).unwrap_or_else(|_| new_null_array(&self.data_type, total))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};
    use arrow::datatypes::Int64Type;

    #[test]
    fn bounds_of_thousands_of_units_are_one_array() {
        let mut bounds = Bounds::new(&DataType::Int64);
        for i in 0..2500 {
            bounds.push((i % 3 != 0).then(|| Arc::new(Int64Array::from(vec![i])) as ArrayRef));
        }
        let joined = bounds.finish();
        assert_eq!((joined.len(), joined.null_count()), (2500, 834));
        assert_eq!(joined.as_primitive::<Int64Type>().value(2000), 2000);
    }

    #[test]
    fn bounds_of_another_type_are_unknown() {
        let mut bounds = Bounds::new(&DataType::Int64);
        bounds.push(Some(Arc::new(arrow::array::Int32Array::from(vec![7]))));
        bounds.push(Some(Arc::new(StringViewArray::from(vec!["seven"]))));
        bounds.push(Some(Arc::new(Int64Array::from(vec![7]))));
        let joined = bounds.finish();
        assert_eq!(joined.as_primitive::<Int64Type>(), &Int64Array::from(vec![None, None, Some(7)]));
    }
}
