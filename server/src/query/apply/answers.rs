//! What a subquery answered, by the values that it was asked with. Bounded, and accounted for in the pool of queries' memory.

use arrow::array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow::compute::{concat, take};
use arrow::datatypes::FieldRef;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Answers that are kept for later batches take at most this much.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// The answers of one subquery.
pub struct Answers {
    kept: Mutex<Kept>,
    pool: Arc<dyn MemoryPool>,
}

struct Kept {
    by_values: HashMap<Box<[u8]>, ArrayRef>,
    bytes: usize,
    reservation: MemoryReservation,
}

impl Answers {
    /// None yet.
    pub fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        let reservation = MemoryConsumer::new("answers of a subquery").register(pool);
        Self { kept: Mutex::new(Kept { by_values: HashMap::new(), bytes: 0, reservation }), pool: Arc::clone(pool) }
    }

    /// The answer for each row; asks once for rows of the same values, unless the subquery is `volatile`.
    pub fn of_rows(
        &self,
        columns: &[ArrayRef],
        rows: usize,
        volatile: bool,
        returns: &FieldRef,
        ask: impl Fn(&[ScalarValue]) -> Result<ArrayRef>,
    ) -> Result<ArrayRef> {
        if rows == 0 {
            return Ok(new_empty_array(returns.data_type()));
        }
        let keys = keys(columns, rows)?;
        let reservation = MemoryConsumer::new("answers of a subquery").register(&self.pool);
        let mut places: HashMap<&[u8], u32> = HashMap::new();
        let mut answers: Vec<ArrayRef> = Vec::new();
        let mut indexes: Vec<u32> = Vec::with_capacity(rows);
        for (row, key) in keys.iter().enumerate() {
            if let Some(place) = places.get(key.as_ref()).filter(|_| !volatile) {
                indexes.push(*place);
                continue;
            }
            let known = if volatile { None } else { self.kept.lock().by_values.get(key).cloned() };
            let answer = match known {
                Some(answer) => answer,
                None => {
                    let values = columns.iter().map(|column| ScalarValue::try_from_array(column, row)).collect::<Result<Vec<_>>>()?;
                    let answer = ask(&values)?;
                    self.keep(key, &answer, volatile);
                    answer
                }
            };
            reservation.try_grow(answer.get_array_memory_size())?;
            places.insert(key, answers.len() as u32);
            indexes.push(answers.len() as u32);
            answers.push(answer);
        }
        let all = concat(&answers.iter().map(AsRef::as_ref).collect::<Vec<_>>())?;
        Ok(take(&all, &UInt32Array::from(indexes), None)?)
    }

    fn keep(&self, key: &[u8], answer: &ArrayRef, volatile: bool) {
        let bytes = key.len() + answer.get_array_memory_size() + 64;
        if volatile || bytes > KEPT_BYTES_MAX {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.bytes + bytes > KEPT_BYTES_MAX {
            kept.by_values.clear();
            kept.bytes = 0;
            kept.reservation.free();
        }
        if kept.reservation.try_grow(bytes).is_ok() {
            kept.bytes += bytes;
            kept.by_values.insert(key.into(), Arc::clone(answer));
        }
    }
}

/// The values of each row, as bytes that are equal if the values are.
fn keys(columns: &[ArrayRef], rows: usize) -> Result<Vec<Box<[u8]>>> {
    if columns.is_empty() {
        return Ok(vec![Box::default(); rows]);
    }
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let converted = RowConverter::new(fields)?.convert_columns(columns)?;
    Ok(converted.iter().map(|row| row.as_ref().into()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{AsArray, Int32Array, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type};
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn asked(pool_bytes: usize, volatile: bool) -> Result<(Vec<i64>, usize)> {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(pool_bytes));
        let answers = Answers::new(&pool);
        let count = AtomicUsize::new(0);
        let column: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(2), Some(1), None, None]));
        let returns = Arc::new(Field::new("n", DataType::Int64, true));
        let mut all = Vec::new();
        for _ in 0..2 {
            let batch = answers.of_rows(std::slice::from_ref(&column), 5, volatile, &returns, |values| {
                count.fetch_add(1, Ordering::Relaxed);
                let value = values[0].cast_to(&DataType::Int64)?;
                let doubled = if let ScalarValue::Int64(Some(value)) = value { value * 2 } else { -1 };
                Ok(Arc::new(Int64Array::from(vec![doubled])) as ArrayRef)
            })?;
            all.extend(batch.as_primitive::<Int64Type>().values());
        }
        Ok((all, count.into_inner()))
    }

    #[test]
    fn each_tuple_is_asked_once() {
        let expected = vec![2, 4, 2, -1, -1, 2, 4, 2, -1, -1];
        assert_eq!(asked(1 << 20, false).unwrap(), (expected.clone(), 3));
        assert_eq!(asked(1 << 20, true).unwrap(), (expected, 10));
    }

    #[test]
    fn answers_need_memory() {
        assert!(asked(16, false).is_err());
    }
}
