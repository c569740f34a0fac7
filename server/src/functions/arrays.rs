//! Functions and operators of arrays. An array of several dimensions is a list of lists; PostgreSQL's lower bounds are always 1 here.

use super::overloads::Param::{Any, Array as AnyArray, Element, Of};
use super::overloads::{Call, Overloaded, Returns, results};
use super::text::shown;
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{self, Boolean, Int4, Int8, Text};
use arrow::array::{Array, ArrayRef, AsArray, DynComparator, ListArray, UInt32Array, make_comparator, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, interleave, take};
use arrow::datatypes::{Field, Int32Type, Int64Type};
use datafusion::logical_expr::ScalarUDF;
use std::fmt::Write;
use std::sync::Arc;

/// `array || array` and `array || element`.
pub const CONCATENATE: &str = "plimsoll_array_concat";
/// `array || NULL`, where NULL is an array.
pub const CONCATENATE_NULL: &str = "array_cat";
/// `array @> array`.
pub const CONTAINS: &str = "plimsoll_array_contains";
/// `array && array`.
pub const OVERLAPS: &str = "plimsoll_array_overlaps";
/// How two arrays compare: -1, 0, 1.
pub const COMPARE: &str = "plimsoll_array_compare";
/// `array[i][j]`.
pub const SUBSCRIPT: &str = "plimsoll_subscript";
/// `array[a:b][c:d]`: pairs of bounds.
pub const SLICE: &str = "plimsoll_slice";
/// The elements of all dimensions in one list.
pub const FLATTEN: &str = "plimsoll_flatten";
/// The array, or an empty one for NULL.
pub const EMPTY_FOR_NULL: &str = "plimsoll_empty_for_null";
/// 1, 2, ... as far as the longest of the lists goes.
pub const ORDINALS: &str = "plimsoll_ordinals";
/// The list, or NULL if it is empty.
pub const FILLED: &str = "plimsoll_filled";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let element = [AnyArray, Element];
    let two = [AnyArray, AnyArray];
    let integers = || SqlType::Array(Box::new(Int4));
    vec![
        Overloaded::named("array_ndims").taking(&[AnyArray], Returns::Of(Int4), ndims).build(),
        Overloaded::named("array_dims").taking(&[AnyArray], Returns::Of(Text), dims).build(),
        Overloaded::named("cardinality").taking(&[AnyArray], Returns::Of(Int4), cardinality).build(),
        Overloaded::named("array_length").taking(&[AnyArray, Of(Int4)], Returns::Of(Int4), length).build(),
        Overloaded::named("array_upper").taking(&[AnyArray, Of(Int4)], Returns::Of(Int4), length).build(),
        Overloaded::named("array_lower").taking(&[AnyArray, Of(Int4)], Returns::Of(Int4), lower).build(),
        Overloaded::named("array_append").taking(&element, Returns::Array, append).build(),
        Overloaded::named("array_prepend").taking(&[Element, AnyArray], Returns::Array, prepend).build(),
        Overloaded::named("array_cat")
            .taking(&two, Returns::Array, concatenate)
            .taking(&element, Returns::Array, append)
            .taking(&[Element, AnyArray], Returns::Array, prepend)
            .build(),
        Overloaded::named(CONCATENATE)
            .taking(&two, Returns::Array, concatenate)
            .taking(&element, Returns::Array, append)
            .taking(&[Element, AnyArray], Returns::Array, prepend)
            .build(),
        Overloaded::named("array_remove").taking(&element, Returns::Array, remove).build(),
        Overloaded::named("array_replace").taking(&[AnyArray, Element, Element], Returns::Array, replace).build(),
        Overloaded::named("array_position")
            .taking(&element, Returns::Of(Int4), position)
            .taking(&[AnyArray, Element, Of(Int4)], Returns::Of(Int4), position)
            .build(),
        Overloaded::named("array_positions").taking(&element, Returns::Of(integers()), positions).build(),
        Overloaded::named("array_to_string")
            .taking(&[AnyArray, Of(Text)], Returns::Of(Text), to_string)
            .taking(&[AnyArray, Of(Text), Of(Text)], Returns::Of(Text), to_string)
            .build(),
        Overloaded::named("array_fill").taking(&[Element, Of(integers())], Returns::ArrayOfElement, fill).build(),
        Overloaded::named("trim_array").taking(&[AnyArray, Of(Int4)], Returns::Array, trim).build(),
        Overloaded::named(CONTAINS).taking(&two, Returns::Of(Boolean), contains).build(),
        Overloaded::named(OVERLAPS).taking(&two, Returns::Of(Boolean), overlaps).build(),
        Overloaded::named("plimsoll_any_equal").taking(&element, Returns::Of(Boolean), any_equal).build(),
        Overloaded::named(COMPARE).taking(&two, Returns::Of(Int4), compare).build(),
        Overloaded::named("plimsoll_subscripts")
            .taking(&[AnyArray, Of(Int4)], Returns::Of(integers()), subscripts)
            .taking(&[AnyArray, Of(Int4), Of(Boolean)], Returns::Of(integers()), subscripts)
            .build(),
        Overloaded::named(SLICE)
            .variadic(&[AnyArray], Of(Int4), Returns::Array, slice)
            .variadic(&[Of(SqlType::Jsonb)], Any, Returns::Of(SqlType::Jsonb), |_| {
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "jsonb subscript does not support slices"))
            })
            .build(),
        Overloaded::named(FLATTEN).taking(&[AnyArray], Returns::ArrayOfScalar, flatten).build(),
        Overloaded::named(EMPTY_FOR_NULL).taking(&[AnyArray], Returns::Array, empty_for_null).build(),
        Overloaded::named(FILLED).taking(&[AnyArray], Returns::Array, filled).build(),
        Overloaded::named(ORDINALS)
            .variadic(&[], super::overloads::Param::Any, Returns::Of(SqlType::Array(Box::new(Int8))), ordinals)
            .build(),
    ]
}

pub(super) fn list(call: &Call, argument: usize) -> &ListArray {
    call.arrays[argument].as_list::<i32>()
}

/// The elements of a row among its list's values; none for NULL.
pub(super) fn range(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    if list.is_null(row) {
        return 0..0;
    }
    let offsets = list.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// The lengths of an array's dimensions; none for an empty one.
fn dimensions(items: &ArrayRef) -> Vec<i32> {
    if items.is_empty() {
        return Vec::new();
    }
    let mut all = vec![items.len() as i32];
    if let Some(inner) = items.as_list_opt::<i32>() {
        all.extend(dimensions(&inner.value(0)));
    }
    all
}

fn of_dimensions(call: &Call, value: impl Fn(usize, Vec<i32>) -> Option<i32>) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| Ok(value(row, dimensions(&call.items(0, row)))))
}

fn ndims(call: &Call) -> Result<ArrayRef> {
    of_dimensions(call, |_, all| i32::try_from(all.len()).ok().filter(|count| *count > 0))
}

fn cardinality(call: &Call) -> Result<ArrayRef> {
    of_dimensions(call, |_, all| if all.is_empty() { Some(0) } else { Some(all.iter().product()) })
}

fn at(call: &Call, row: usize, all: &[i32]) -> Option<i32> {
    all.get(usize::try_from(call.int4(1, row)).ok()?.checked_sub(1)?).copied()
}

fn length(call: &Call) -> Result<ArrayRef> {
    of_dimensions(call, |row, all| at(call, row, &all))
}

fn lower(call: &Call) -> Result<ArrayRef> {
    of_dimensions(call, |row, all| at(call, row, &all).map(|_| 1))
}

fn dims(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let all = dimensions(&call.items(0, row));
        for length in &all {
            let _ = write!(out, "[1:{length}]");
        }
        Ok(!all.is_empty())
    })
}

/// Lists made of chosen elements of two columns of elements: (column, index).
struct Picked {
    indices: Vec<(usize, usize)>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Picked {
    fn new(rows: usize) -> Self {
        Self { indices: Vec::new(), lengths: Vec::with_capacity(rows), valid: Vec::with_capacity(rows) }
    }
    fn row(&mut self, indices: impl IntoIterator<Item = (usize, usize)>) {
        let before = self.indices.len();
        self.indices.extend(indices);
        self.lengths.push(self.indices.len() - before);
        self.valid.push(true);
    }
    fn null(&mut self) {
        self.lengths.push(0);
        self.valid.push(false);
    }
    fn finish(self, call: &Call, columns: &[&ArrayRef]) -> Result<ArrayRef> {
        let arrays: Vec<&dyn Array> = columns.iter().map(|column| column.as_ref()).collect();
        let values = match self.indices.is_empty() {
            true => columns[0].slice(0, 0),
            false => interleave(&arrays, &self.indices)?,
        };
        listed(values, self.lengths, self.valid, call)
    }
}

pub(super) fn listed(values: ArrayRef, lengths: Vec<usize>, valid: Vec<bool>, call: &Call) -> Result<ArrayRef> {
    let arrow::datatypes::DataType::List(field) = call.returns.arrow() else { return Err(SqlError::internal("an array is a list")) };
    let field = Arc::new(Field::new(field.name(), values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, Some(NullBuffer::from(valid)))?))
}

fn concatenate(call: &Call) -> Result<ArrayRef> {
    let (left, right) = (list(call, 0), list(call, 1));
    let mut picked = Picked::new(call.rows);
    for row in 0..call.rows {
        if left.is_null(row) && right.is_null(row) {
            picked.null();
            continue;
        }
        picked.row(range(left, row).map(|at| (0, at)).chain(range(right, row).map(|at| (1, at))));
    }
    picked.finish(call, &[left.values(), right.values()])
}

fn append(call: &Call) -> Result<ArrayRef> {
    let list = list(call, 0);
    let mut picked = Picked::new(call.rows);
    (0..call.rows).for_each(|row| picked.row(range(list, row).map(|at| (0, at)).chain([(1, row)])));
    picked.finish(call, &[list.values(), &call.arrays[1]])
}

fn prepend(call: &Call) -> Result<ArrayRef> {
    let list = list(call, 1);
    let mut picked = Picked::new(call.rows);
    (0..call.rows).for_each(|row| picked.row([(1, row)].into_iter().chain(range(list, row).map(|at| (0, at)))));
    picked.finish(call, &[list.values(), &call.arrays[0]])
}

fn comparator(left: &ArrayRef, right: &ArrayRef) -> Result<DynComparator> {
    Ok(make_comparator(left.as_ref(), right.as_ref(), SortOptions::default())?)
}

/// NULLs equal one another here.
fn same(compare: &DynComparator, left: &ArrayRef, at: usize, right: &ArrayRef, other: usize) -> bool {
    match (left.is_null(at), right.is_null(other)) {
        (true, true) => true,
        (false, false) => compare(at, other).is_eq(),
        _ => false,
    }
}

fn one_dimension(list: &ListArray, what: &str) -> Result<()> {
    if list.values().as_list_opt::<i32>().is_some() && !list.values().is_empty() {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} in multidimensional arrays is not supported")));
    }
    Ok(())
}

fn remove(call: &Call) -> Result<ArrayRef> {
    let (list, elements) = (list(call, 0), &call.arrays[1]);
    if list.values().as_list_opt::<i32>().is_some() {
        let message = "removing elements from multidimensional arrays is not supported";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let compare = comparator(list.values(), elements)?;
    let mut picked = Picked::new(call.rows);
    for row in 0..call.rows {
        match list.is_null(row) {
            true => picked.null(),
            false => picked.row(range(list, row).filter(|at| !same(&compare, list.values(), *at, elements, row)).map(|at| (0, at))),
        }
    }
    picked.finish(call, &[list.values()])
}

fn replace(call: &Call) -> Result<ArrayRef> {
    let (list, old, new) = (list(call, 0), &call.arrays[1], &call.arrays[2]);
    let compare = comparator(list.values(), old)?;
    let mut picked = Picked::new(call.rows);
    for row in 0..call.rows {
        let choose = |at| if same(&compare, list.values(), at, old, row) { (1, row) } else { (0, at) };
        match list.is_null(row) {
            true => picked.null(),
            false => picked.row(range(list, row).map(choose)),
        }
    }
    picked.finish(call, &[list.values(), new])
}

fn position(call: &Call) -> Result<ArrayRef> {
    let (list, elements) = (list(call, 0), &call.arrays[1]);
    one_dimension(list, "searching for elements")?;
    let compare = comparator(list.values(), elements)?;
    let mut found = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if call.count() == 3 && call.is_null(2, row) && !list.is_null(row) {
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "initial position must not be null"));
        }
        let first = if call.count() == 3 && !list.is_null(row) { usize::try_from(call.int4(2, row) - 1).unwrap_or(0) } else { 0 };
        let all = range(list, row);
        let start = all.start;
        let place = all.skip(first).find(|at| same(&compare, list.values(), *at, elements, row));
        found.push(place.map(|at| (at - start + 1) as i32));
    }
    Ok(Arc::new(arrow::array::Int32Array::from(found)))
}

fn positions(call: &Call) -> Result<ArrayRef> {
    let (list, elements) = (list(call, 0), &call.arrays[1]);
    one_dimension(list, "searching for elements")?;
    let compare = comparator(list.values(), elements)?;
    results::int4_lists(call, |row| {
        let all = range(list, row);
        let start = all.start;
        let places = all.filter(|at| same(&compare, list.values(), *at, elements, row)).map(|at| (at - start + 1) as i32);
        Ok((!list.is_null(row)).then(|| places.collect()))
    })
}

/// The innermost elements of all rows, and where each row's begin and end.
fn innermost(list: &ListArray) -> (ArrayRef, Vec<std::ops::Range<usize>>) {
    let mut ranges: Vec<_> = (0..list.len()).map(|row| range(list, row)).collect();
    let mut values = Arc::clone(list.values());
    while let Some(inner) = values.clone().as_list_opt::<i32>() {
        let offsets = inner.value_offsets();
        for range in &mut ranges {
            *range = offsets[range.start] as usize..offsets[range.end] as usize;
        }
        values = Arc::clone(inner.values());
    }
    (values, ranges)
}

fn to_string(call: &Call) -> Result<ArrayRef> {
    let (values, ranges) = innermost(list(call, 0));
    let texts = shown(&values, call.types[0].scalar(), &call.forms)?;
    let texts = texts.as_string_view();
    let mut builder = arrow::array::StringViewBuilder::with_capacity(call.rows);
    let mut out = String::new();
    for (row, range) in ranges.iter().enumerate().take(call.rows) {
        if call.is_null(0, row) || call.is_null(1, row) {
            builder.append_null();
            continue;
        }
        let null = (call.count() == 3 && !call.is_null(2, row)).then(|| call.text(2, row));
        out.clear();
        let mut some = false;
        for at in range.clone() {
            let Some(text) = (if texts.is_null(at) { null } else { Some(texts.value(at)) }) else { continue };
            if some {
                out.push_str(call.text(1, row));
            }
            out.push_str(text);
            some = true;
        }
        builder.append_value(&out);
    }
    Ok(Arc::new(builder.finish()))
}

/// PostgreSQL's limit for the elements of an array.
const ELEMENTS_MAX: i64 = 134_217_727;

fn fill(call: &Call) -> Result<ArrayRef> {
    let invalid = |state, message: &'static str| SqlError::new(state, message);
    let mut picked = Picked::new(call.rows);
    for row in 0..call.rows {
        if call.is_null(1, row) {
            return Err(invalid(SqlState::NULL_VALUE_NOT_ALLOWED, "dimension array or low bound array cannot be null"));
        }
        let sizes = call.items(1, row);
        let sizes = sizes.as_primitive::<Int32Type>();
        if sizes.null_count() > 0 {
            return Err(invalid(SqlState::NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null"));
        }
        if sizes.len() > 1 {
            return Err(SqlError::unsupported("array_fill with more than one dimension"));
        }
        let size = if sizes.is_empty() { 0 } else { i64::from(sizes.value(0)) };
        if !(0..=ELEMENTS_MAX).contains(&size) {
            let message = format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        picked.row((0..size).map(|_| (0, row)));
    }
    picked.finish(call, &[&call.arrays[0]])
}

fn trim(call: &Call) -> Result<ArrayRef> {
    let list = list(call, 0);
    let mut picked = Picked::new(call.rows);
    for row in 0..call.rows {
        if call.any_null(row) {
            picked.null();
            continue;
        }
        let all = range(list, row);
        let Some(kept) = usize::try_from(call.int4(1, row)).ok().and_then(|count| all.len().checked_sub(count)) else {
            let message = format!("number of elements to trim must be between 0 and {}", all.len());
            return Err(SqlError::new(SqlState("2202E"), message));
        };
        picked.row(all.take(kept).map(|at| (0, at)));
    }
    picked.finish(call, &[list.values()])
}

/// For each row, whether `accept` says so of its elements; NULLs equal nothing.
fn by_elements(
    call: &Call,
    accept: impl Fn(std::ops::Range<usize>, std::ops::Range<usize>, &dyn Fn(usize, usize) -> bool) -> bool,
) -> Result<ArrayRef> {
    let (left, left_ranges) = innermost(list(call, 0));
    let (right, right_ranges) = innermost(list(call, 1));
    let compare = comparator(&left, &right)?;
    let equal = |l: usize, r: usize| !left.is_null(l) && !right.is_null(r) && compare(l, r).is_eq();
    results::booleans(call, |row| Ok(Some(accept(left_ranges[row].clone(), right_ranges[row].clone(), &equal))))
}

/// `x = ANY (array)`: NULL where no element is equal and one of them is NULL.
fn any_equal(call: &Call) -> Result<ArrayRef> {
    let (values, ranges) = innermost(list(call, 0));
    let sought = &call.arrays[1];
    let compare = comparator(&values, sought)?;
    results::booleans(call, |row| {
        let mut some_null = false;
        for at in ranges[row].clone() {
            if values.is_null(at) {
                some_null = true;
            } else if compare(at, row).is_eq() {
                return Ok(Some(true));
            }
        }
        Ok((!some_null).then_some(false))
    })
}

fn contains(call: &Call) -> Result<ArrayRef> {
    by_elements(call, |left, mut right, equal| right.all(|r| left.clone().any(|l| equal(l, r))))
}

fn overlaps(call: &Call) -> Result<ArrayRef> {
    by_elements(call, |left, mut right, equal| right.any(|r| left.clone().any(|l| equal(l, r))))
}

/// Element by element, a NULL after all values; the shorter of two that begin alike comes first, then the one of fewer dimensions.
fn compare(call: &Call) -> Result<ArrayRef> {
    let (left, left_ranges) = innermost(list(call, 0));
    let (right, right_ranges) = innermost(list(call, 1));
    let compare = make_comparator(left.as_ref(), right.as_ref(), SortOptions { descending: false, nulls_first: false })?;
    results::numbers::<Int32Type>(call, |row| {
        let (l, r) = (left_ranges[row].clone(), right_ranges[row].clone());
        let elements = l.clone().zip(r.clone()).map(|(l, r)| compare(l, r)).find(|order| order.is_ne());
        let order = elements.unwrap_or_else(|| l.len().cmp(&r.len()).then_with(|| shapes(call, row)));
        Ok(Some(order as i32))
    })
}

fn shapes(call: &Call, row: usize) -> std::cmp::Ordering {
    let (left, right) = (dimensions(&call.items(0, row)), dimensions(&call.items(1, row)));
    left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
}

fn subscripts(call: &Call) -> Result<ArrayRef> {
    results::int4_lists(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let last = at(call, row, &dimensions(&call.items(0, row))).unwrap_or(0);
        let reverse = call.count() == 3 && call.boolean(2, row);
        Ok(Some(if reverse { (1..=last).rev().collect() } else { (1..=last).collect() }))
    })
}

fn flatten(call: &Call) -> Result<ArrayRef> {
    let list = list(call, 0);
    if list.values().as_list_opt::<i32>().is_none() {
        return Ok(Arc::clone(&call.arrays[0]));
    }
    let (values, ranges) = innermost(list);
    let indices: UInt32Array = ranges.iter().flat_map(|range| range.clone()).map(|at| at as u32).collect();
    let lengths = ranges.iter().map(|range| range.len()).collect();
    listed(take(&values, &indices, None)?, lengths, (0..call.rows).map(|row| list.is_valid(row)).collect(), call)
}

fn empty_for_null(call: &Call) -> Result<ArrayRef> {
    let list = list(call, 0);
    let mut picked = Picked::new(call.rows);
    (0..call.rows).for_each(|row| picked.row(range(list, row).map(|at| (0, at))));
    picked.finish(call, &[list.values()])
}

fn filled(call: &Call) -> Result<ArrayRef> {
    let list = list(call, 0);
    let valid = (0..call.rows).map(|row| !range(list, row).is_empty()).collect::<Vec<_>>();
    let (field, offsets, values, _) = list.clone().into_parts();
    Ok(Arc::new(ListArray::try_new(field, offsets, values, Some(NullBuffer::from(valid)))?))
}

fn ordinals(call: &Call) -> Result<ArrayRef> {
    let lists: Vec<&ListArray> = call.arrays.iter().filter_map(|array| array.as_list_opt::<i32>()).collect();
    let mut builder = arrow::array::ListBuilder::new(arrow::array::PrimitiveBuilder::<Int64Type>::new());
    for row in 0..call.rows {
        let longest = lists.iter().map(|list| range(list, row).len()).max().unwrap_or(0) as i64;
        (1..=longest).for_each(|number| builder.values().append_value(number));
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

/// `array[i][j]`: NULL outside the array, and for fewer subscripts than dimensions.
pub fn subscript(call: &Call) -> Result<ArrayRef> {
    let mut values = Arc::clone(&call.arrays[0]);
    let mut at: Vec<Option<usize>> = (0..call.rows).map(Some).collect();
    for argument in 1..call.count() {
        let Some(list) = values.clone().as_list_opt::<i32>().cloned() else { return Ok(nothing(call)) };
        for (row, place) in at.iter_mut().enumerate() {
            *place = place.filter(|place| list.is_valid(*place) && !call.is_null(argument, row)).and_then(|place| {
                let all = range(&list, place);
                let index = usize::try_from(call.int4(argument, row)).ok()?.checked_sub(1)?;
                (index < all.len()).then_some(all.start + index)
            });
        }
        values = Arc::clone(list.values());
    }
    if values.as_list_opt::<i32>().is_some() {
        return Ok(nothing(call));
    }
    let indices: UInt32Array = at.into_iter().map(|place| place.map(|place| place as u32)).collect();
    Ok(take(&values, &indices, None)?)
}

fn nothing(call: &Call) -> ArrayRef {
    new_null_array(&call.returns.arrow(), call.rows)
}

/// `array[a:b][c:d]`.
pub fn slice(call: &Call) -> Result<ArrayRef> {
    let mut values = Arc::clone(&call.arrays[0]);
    let bounds = (call.count() - 1) / 2;
    let rows: Vec<ArrayRef> = (0..call.rows)
        .map(|row| {
            if call.any_null(row) {
                return Ok(new_null_array(values.data_type(), 1));
            }
            let pairs: Vec<(i32, i32)> = (0..bounds).map(|n| (call.int4(1 + 2 * n, row), call.int4(2 + 2 * n, row))).collect();
            sliced(&values.slice(row, 1), &pairs)
        })
        .collect::<Result<_>>()?;
    if rows.is_empty() {
        values = values.slice(0, 0);
        return Ok(values);
    }
    let parts: Vec<&dyn Array> = rows.iter().map(|row| row.as_ref()).collect();
    Ok(arrow::compute::concat(&parts)?)
}

/// Lists cut down to bounds, one pair for each dimension; an empty list if any dimension ends up empty.
fn sliced(lists: &ArrayRef, bounds: &[(i32, i32)]) -> Result<ArrayRef> {
    let Some(list) = lists.as_list_opt::<i32>() else { return Ok(lists.slice(0, 0)) };
    let Some(((from, to), rest)) = bounds.split_first() else { return Ok(Arc::clone(lists)) };
    let mut indices = Vec::new();
    let mut lengths = Vec::new();
    for row in 0..list.len() {
        let all = range(list, row);
        let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(0).min(all.len());
        let end = usize::try_from(*to).unwrap_or(0).min(all.len());
        let before = indices.len();
        indices.extend((all.start + skip..all.start + end.max(skip)).map(|at| at as u32));
        lengths.push(indices.len() - before);
    }
    let mut values = take(list.values(), &UInt32Array::from(indices), None)?;
    if values.as_list_opt::<i32>().is_some() {
        values = sliced(&values, rest)?;
        let empty = values.as_list::<i32>().iter().all(|inner| inner.is_none_or(|inner| inner.is_empty()));
        if empty && !rest.is_empty() {
            values = values.slice(0, 0);
            lengths.fill(0);
        }
    } else if !rest.is_empty() {
        // More pairs of bounds than dimensions.
        values = values.slice(0, 0);
        lengths.fill(0);
    }
    let arrow::datatypes::DataType::List(field) = lists.data_type() else { return Err(SqlError::internal("an array is a list")) };
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), values, None)?))
}
