//! The order of a segment's rows: sorting by the columns of CLUSTER BY, and noticing an order that is there already.
//!
//! Everywhere: ascending, NULLs last; floats by total order.

use crate::error::Result;
use arrow::array::{Array, ArrayRef, UInt32Array, make_comparator};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices};
use arrow::datatypes::DataType;
use std::cmp::Ordering;

const OPTIONS: SortOptions = SortOptions { descending: false, nulls_first: false };
/// Columns of a natural order that are worth knowing.
const PREFIX_MAX: usize = 4;

/// Where each row comes from when the rows are sorted by these columns; `None` if they are sorted already. Rows that are equal keep
/// their order.
pub(super) fn sorting(columns: &[ArrayRef], rows: usize) -> Result<Option<UInt32Array>> {
    let mut order = Order::new(rows);
    if columns.iter().all(|column| order.extend(column)) {
        return Ok(None);
    }
    let row_numbers: ArrayRef = std::sync::Arc::new(UInt32Array::from_iter_values(0..rows as u32));
    let columns = columns.iter().chain([&row_numbers]);
    let sort: Vec<SortColumn> = columns.map(|values| SortColumn { values: values.clone(), options: Some(OPTIONS) }).collect();
    Ok(Some(lexsort_to_indices(&sort, None)?))
}

/// Which neighbouring rows are still tied under the columns seen up to now.
struct Order {
    /// Rows that are not yet larger than the one before them.
    tied: Vec<u32>,
}

impl Order {
    fn new(rows: usize) -> Self {
        Self { tied: (1..rows as u32).collect() }
    }

    /// Whether the rows are also sorted by this column after those before it; if not, nothing changes.
    fn extend(&mut self, column: &ArrayRef) -> bool {
        let Some(mut compare) = comparator(column) else { return false };
        let mut still_tied = Vec::new();
        for row in &self.tied {
            match compare(*row as usize - 1, *row as usize) {
                Ordering::Greater => return false,
                Ordering::Equal => still_tied.push(*row),
                Ordering::Less => {}
            }
        }
        self.tied = still_tied;
        true
    }
}

fn comparator(column: &ArrayRef) -> Option<impl FnMut(usize, usize) -> Ordering> {
    if matches!(column.data_type(), DataType::List(_) | DataType::Interval(_)) {
        return None;
    }
    make_comparator(column, column, OPTIONS).ok()
}

/// Whether a column by itself is sorted.
pub(super) fn is_sorted(column: &ArrayRef) -> bool {
    comparator(column).is_some_and(|mut compare| (1..column.len()).all(|row| compare(row - 1, row) != Ordering::Greater))
}

/// A natural order of the rows: the first sorted column that is not constant, and columns that sort what it leaves tied.
/// `sorted` are the columns which by themselves are sorted, `column` gives one.
pub(super) fn natural_order(
    columns: usize,
    rows: usize,
    sorted: &[bool],
    constant: &[bool],
    mut column: impl FnMut(usize) -> Result<ArrayRef>,
) -> Result<Vec<usize>> {
    let mut prefix = Vec::new();
    let mut order = Order::new(rows);
    let Some(first) = (0..columns).find(|c| sorted[*c] && !constant[*c]) else { return Ok(prefix) };
    for next in std::iter::once(first).chain((0..columns).filter(|c| *c != first && !constant[*c])) {
        if prefix.len() == PREFIX_MAX || (order.tied.is_empty() && !prefix.is_empty()) {
            break;
        }
        if order.extend(&column(next)?) {
            prefix.push(next);
        }
    }
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};
    use std::sync::Arc;

    fn natural(columns: &[ArrayRef]) -> Vec<usize> {
        let sorted: Vec<bool> = columns.iter().map(is_sorted).collect();
        let constant: Vec<bool> = columns.iter().map(|c| c.len() == 1).collect();
        natural_order(columns.len(), columns[0].len(), &sorted, &constant, |c| Ok(columns[c].clone())).unwrap()
    }

    #[test]
    fn a_natural_order_goes_on_where_the_first_column_ties() {
        let unsorted: ArrayRef = Arc::new(StringViewArray::from(vec!["b", "a", "c", "a"]));
        let order: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1), Some(2), None]));
        let line: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 1, 1]));
        assert_eq!(natural(&[unsorted.clone(), order.clone(), line.clone()]), [1, 2]);
        assert_eq!(natural(&[unsorted.clone(), line]), Vec::<usize>::new());
        let nulls_first: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(1), Some(1), Some(2)]));
        assert!(!is_sorted(&nulls_first) && is_sorted(&order));
    }

    #[test]
    fn sorting_is_stable_and_leaves_the_sorted_alone() {
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![Some(2), None, Some(1), Some(2), Some(1)]));
        assert_eq!(sorting(&[keys], 5).unwrap().unwrap().values(), &[2, 4, 0, 3, 1]);
        let sorted: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1), None]));
        assert!(sorting(&[sorted], 3).unwrap().is_none());
    }
}
