//! `SET a[i] = x` and `SET a[i:j] = array`: the array with an element, or some of them, replaced.
//!
//! An array's first subscript is always 1 here: what would give it another one is refused.

use super::arrays::{list, listed, range};
use super::overloads::Param::{Any, Array as AnyArray, Of};
use super::overloads::{Call, Overloaded, Returns};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::Int4;
use arrow::array::{Array, ArrayRef, AsArray, ListArray, new_null_array};
use arrow::compute::interleave;
use datafusion::logical_expr::ScalarUDF;
use std::ops::Range;
use std::sync::Arc;

/// `array, value, i [, j ...]`.
pub const ELEMENT: &str = "plimsoll_array_with_element";
/// `array, values, first, last`.
pub const SLICE: &str = "plimsoll_array_with_slice";

/// Elements that one array may have.
const LENGTH_MAX: usize = 134_217_727;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Overloaded::named(ELEMENT).variadic(&[AnyArray, Any], Of(Int4), Returns::Array, with_element).build(),
        Overloaded::named(SLICE).taking(&[AnyArray, AnyArray, Of(Int4), Of(Int4)], Returns::Array, with_slice).build(),
    ]
}

fn with_element(call: &Call) -> Result<ArrayRef> {
    match call.count() {
        3 => with_one(call),
        _ => with_inner(call),
    }
}

/// The new elements of the rows: from the old ones (0), the new values (1), or NULL (2).
struct Rows {
    indices: Vec<(usize, usize)>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Rows {
    fn of(call: &Call, mut row: impl FnMut(usize, &mut Vec<(usize, usize)>) -> Result<bool>) -> Result<Self> {
        let mut rows = Self { indices: Vec::new(), lengths: Vec::with_capacity(call.rows), valid: Vec::with_capacity(call.rows) };
        for at in 0..call.rows {
            let before = rows.indices.len();
            rows.valid.push(row(at, &mut rows.indices)?);
            rows.lengths.push(rows.indices.len() - before);
        }
        Ok(rows)
    }
    fn finish(self, call: &Call, old: &ArrayRef, new: &ArrayRef) -> Result<ArrayRef> {
        let new = arrow::compute::cast(new, old.data_type())?;
        let none = new_null_array(old.data_type(), 1);
        let values = match self.indices.is_empty() {
            true => old.slice(0, 0),
            false => interleave(&[old.as_ref(), new.as_ref(), none.as_ref()], &self.indices)?,
        };
        listed(values, self.lengths, self.valid, call)
    }
}

/// One dimension: an element behind the end makes the array longer.
fn with_one(call: &Call) -> Result<ArrayRef> {
    let old = list(call, 0);
    if old.values().as_list_opt::<i32>().is_some() {
        return Err(wrong_number());
    }
    let rows = Rows::of(call, |row, indices| {
        let all = range(old, row);
        let at = subscript(call, 2, row)?;
        check_first(at, all.len())?;
        extended(indices, &all, at, 1, |_| (1, row));
        Ok(true)
    })?;
    rows.finish(call, old.values(), &call.arrays[1])
}

fn with_slice(call: &Call) -> Result<ArrayRef> {
    let (old, new) = (list(call, 0), list(call, 1));
    if old.values().as_list_opt::<i32>().is_some() {
        return Err(SqlError::unsupported("assigning a slice of an array of several dimensions"));
    }
    let rows = Rows::of(call, |row, indices| {
        let all = range(old, row);
        if new.is_null(row) {
            indices.extend(all.map(|at| (0, at)));
            return Ok(old.is_valid(row));
        }
        let (first, last) = (bound(call, 2, row)?, bound(call, 3, row)?);
        let last = if last == i32::MAX { all.len() } else { usize::try_from(last).unwrap_or(0) };
        let first = usize::try_from(first).ok().and_then(|first| first.checked_sub(1)).ok_or_else(other_first)?;
        if first >= last {
            return Err(SqlError::new(SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound"));
        }
        let (count, given) = (last - first, range(new, row));
        if given.len() < count {
            return Err(SqlError::new(SUBSCRIPT_ERROR, "source array too small"));
        }
        check_first(first, all.len())?;
        extended(indices, &all, first, count, |n| (1, given.start + n));
        Ok(true)
    })?;
    rows.finish(call, old.values(), new.values())
}

/// Old elements with `count` of them, from one on, replaced; NULL between the end of the old ones and the first new one.
fn extended(indices: &mut Vec<(usize, usize)>, all: &Range<usize>, from: usize, count: usize, new: impl Fn(usize) -> (usize, usize)) {
    let length = all.len().max(from + count);
    indices.extend((0..length).map(|at| match at {
        at if (from..from + count).contains(&at) => new(at - from),
        at if at < all.len() => (0, all.start + at),
        _ => (2, 0),
    }));
}

/// Several dimensions: all arrays keep their lengths, so that only the innermost values change.
fn with_inner(call: &Call) -> Result<ArrayRef> {
    let mut levels: Vec<ListArray> = vec![list(call, 0).clone()];
    while let Some(inner) = levels.last().and_then(|level| level.values().as_list_opt::<i32>().cloned()) {
        levels.push(inner);
    }
    if levels.len() != call.count() - 2 {
        return Err(wrong_number());
    }
    let leaf = Arc::clone(levels[levels.len() - 1].values());
    let mut picked: Vec<(usize, usize)> = (0..leaf.len()).map(|at| (0, at)).collect();
    for row in 0..call.rows {
        let mut place = row;
        for (depth, level) in levels.iter().enumerate() {
            let all = range(level, place);
            let at = subscript(call, 2 + depth, row)?;
            if at >= all.len() {
                let empty = depth == 0 && all.is_empty();
                return Err(if empty { other_first() } else { SqlError::new(SUBSCRIPT_ERROR, "array subscript out of range") });
            }
            place = all.start + at;
        }
        picked[place] = (1, row);
    }
    let new = arrow::compute::cast(&call.arrays[1], leaf.data_type())?;
    let mut values = interleave(&[leaf.as_ref(), new.as_ref()], &picked)?;
    for level in levels.iter().rev() {
        let arrow::datatypes::DataType::List(field) = level.data_type() else { return Err(SqlError::internal("an array is a list")) };
        values = Arc::new(ListArray::try_new(Arc::clone(field), level.offsets().clone(), values, level.nulls().cloned())?);
    }
    Ok(values)
}

const SUBSCRIPT_ERROR: SqlState = SqlState("2202E");

fn bound(call: &Call, argument: usize, row: usize) -> Result<i32> {
    match call.is_null(argument, row) {
        true => Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "array subscript in assignment must not be null")),
        false => Ok(call.int4(argument, row)),
    }
}

/// A subscript, from 0.
fn subscript(call: &Call, argument: usize, row: usize) -> Result<usize> {
    let at = bound(call, argument, row)?;
    usize::try_from(at).ok().and_then(|at| at.checked_sub(1)).ok_or_else(other_first)
}

/// An empty array begins where its first element is put.
fn check_first(at: usize, length: usize) -> Result<()> {
    if at > 0 && length == 0 {
        return Err(other_first());
    }
    match at < LENGTH_MAX {
        true => Ok(()),
        false => Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("array size exceeds the maximum allowed ({LENGTH_MAX})"))),
    }
}

fn other_first() -> SqlError {
    SqlError::unsupported("an array whose first subscript is not 1")
}

fn wrong_number() -> SqlError {
    SqlError::new(SUBSCRIPT_ERROR, "wrong number of array subscripts")
}
