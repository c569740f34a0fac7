//! What is known of a column's values without reading them.

use crate::array_bytes::{Bytes, Malformed, put_array, put_type, put_varint, read_array, read_type, skip_value};
use crate::schema::{ColumnId, SegmentId};
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringViewArray};
use arrow::compute::{
    concat, max_binary_view, max_boolean, max_fixed_size_binary, max_string_view, min_binary_view, min_boolean, min_fixed_size_binary,
    min_string_view,
};
use arrow::datatypes::DataType;
use arrow::downcast_primitive_array;
use std::fmt;
use std::sync::Arc;

/// Statistics of one column over one granule or one segment.
#[derive(Clone, Debug)]
pub struct ColumnStatistics {
    /// The column.
    pub column: ColumnId,
    /// Smallest non-null value, an array of one element of the type that a scan hands out (strings: Utf8View; floats: total order, so
    /// that NaN is the largest). Strings and binaries beyond 64 bytes: a prefix (a lower bound).
    pub min: Option<ArrayRef>,
    /// Largest non-null value, likewise. Strings and binaries beyond 64 bytes: an upper bound.
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

/// What a commit says of a segment, so that queries are planned and units skipped without opening a file. The columns stay in their
/// serialized form, which takes a twentieth of the memory, and are read one by one when they are asked for.
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
    /// Statistics of the columns.
    pub columns: SummaryColumns,
    /// Columns by which the rows are sorted (ascending, nulls last), longest prefix known; may be empty.
    pub sorted_by: Vec<ColumnId>,
}

/// Statistics of a segment's columns, serialized.
#[derive(Clone, Default)]
pub struct SummaryColumns {
    /// A whole summary, shared with whoever keeps it.
    bytes: Arc<[u8]>,
    /// Where in it the columns begin.
    start: usize,
    count: usize,
}

impl SummaryColumns {
    /// Serializes statistics.
    pub fn new(columns: &[ColumnStatistics]) -> Self {
        let mut bytes = Vec::new();
        columns.iter().for_each(|column| put_column(&mut bytes, column));
        Self { bytes: bytes.into(), start: 0, count: columns.len() }
    }

    /// All of them. What cannot be read is left out: that costs time and no rows.
    pub fn iter(&self) -> impl Iterator<Item = ColumnStatistics> {
        let mut bytes = Bytes(&self.bytes[self.start..]);
        (0..self.count).map_while(move |_| read_column(&mut bytes).ok())
    }

    fn find(&self, id: ColumnId) -> Option<ColumnStatistics> {
        let mut bytes = Bytes(&self.bytes[self.start..]);
        for _ in 0..self.count {
            if read_id(&mut bytes.clone()).ok()? == id {
                return read_column(&mut bytes).ok();
            }
            skip_column(&mut bytes).ok()?;
        }
        None
    }
}

impl fmt::Debug for SummaryColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

const SUMMARY_VERSION: u8 = 1;

impl SegmentSummary {
    /// The serialized form that commits carry, opaque to placement.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![SUMMARY_VERSION];
        for number in [self.id.0, self.rows, self.disk_bytes, self.decoded_bytes, u64::from(self.granules)] {
            put_varint(&mut out, number);
        }
        put_varint(&mut out, self.sorted_by.len() as u64);
        self.sorted_by.iter().for_each(|c| put_varint(&mut out, u64::from(c.0)));
        put_varint(&mut out, self.columns.count as u64);
        out.extend_from_slice(&self.columns.bytes[self.columns.start..]);
        out
    }

    /// Reads [`SegmentSummary::to_bytes`] back; refuses anything else, as far as that can be seen without decoding values.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> crate::Result<Self> {
        Self::read(bytes.into()).map_err(|e| e.of("segment summary"))
    }

    fn read(whole: Arc<[u8]>) -> Result<Self, Malformed> {
        let mut bytes = Bytes(&whole);
        if bytes.byte()? != SUMMARY_VERSION {
            return Err(Malformed("its version is not known"));
        }
        let mut summary = Self {
            id: SegmentId(bytes.varint()?),
            rows: bytes.varint()?,
            disk_bytes: bytes.varint()?,
            decoded_bytes: bytes.varint()?,
            granules: u32::try_from(bytes.varint()?).map_err(|_| Malformed("it has too many granules"))?,
            sorted_by: (0..bytes.count()?).map(|_| read_id(&mut bytes)).collect::<Result<_, _>>()?,
            columns: SummaryColumns::default(),
        };
        let count = bytes.count()?;
        let start = whole.len() - bytes.0.len();
        (0..count).try_for_each(|_| skip_column(&mut bytes))?;
        bytes.end()?;
        summary.columns = SummaryColumns { bytes: Arc::clone(&whole), start, count };
        Ok(summary)
    }

    /// Statistics of a column, if the segment has it.
    pub fn column(&self, id: ColumnId) -> Option<ColumnStatistics> {
        self.columns.find(id)
    }
}

const HAS_MIN: u8 = 1;
const HAS_MAX: u8 = 2;
const EXACT: u8 = 4;

fn put_column(out: &mut Vec<u8>, column: &ColumnStatistics) {
    put_varint(out, u64::from(column.column.0));
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(flag(column.min.is_some(), HAS_MIN) | flag(column.max.is_some(), HAS_MAX) | flag(column.exact, EXACT));
    for number in [column.nulls, column.distinct, column.bytes] {
        put_varint(out, number);
    }
    for bound in [&column.min, &column.max].into_iter().flatten() {
        put_type(out, bound.data_type());
        put_array(out, bound);
    }
}

fn read_column(bytes: &mut Bytes<'_>) -> Result<ColumnStatistics, Malformed> {
    let column = read_id(bytes)?;
    let flags = bytes.byte()?;
    let (nulls, distinct, size) = (bytes.varint()?, bytes.varint()?, bytes.varint()?);
    let mut bound = |bit: u8| (flags & bit != 0).then(|| read_type(bytes).and_then(|t| read_array(bytes, &t, 1))).transpose();
    let (min, max) = (bound(HAS_MIN)?, bound(HAS_MAX)?);
    Ok(ColumnStatistics { column, min, max, exact: flags & EXACT != 0, nulls, distinct, bytes: size })
}

/// Steps over what [`put_column`] wrote.
fn skip_column(bytes: &mut Bytes<'_>) -> Result<(), Malformed> {
    read_id(bytes)?;
    let flags = bytes.byte()?;
    (0..3).try_for_each(|_| bytes.varint().map(drop))?;
    [HAS_MIN, HAS_MAX].into_iter().filter(|bit| flags & bit != 0).try_for_each(|_| {
        let data_type = read_type(bytes)?;
        skip_value(bytes, &data_type)
    })
}

fn read_id(bytes: &mut Bytes<'_>) -> Result<ColumnId, Malformed> {
    u32::try_from(bytes.varint()?).map(ColumnId).map_err(|_| Malformed("a column id is too large"))
}

/// The smallest and the largest value (or bounds of them, then not exact).
#[derive(Clone, Debug)]
pub(super) struct Extremes {
    pub(super) min: Option<ArrayRef>,
    pub(super) max: Option<ArrayRef>,
    pub(super) exact: bool,
}

/// Strings and binaries are kept up to this length (bytes).
const BOUND_BYTES_MAX: usize = 64;

/// Finds the extremes of an array of a type that has an order; of other types there are none.
pub(super) fn extremes(array: &ArrayRef) -> Extremes {
    let none = Extremes { min: None, max: None, exact: false };
    if array.null_count() == array.len() {
        return none;
    }
    downcast_primitive_array! {
        array => primitive_extremes(array),
        DataType::Boolean => {
            let array = array.as_boolean();
            let one = |v: Option<bool>| v.map(|v| Arc::new(BooleanArray::from(vec![v])) as ArrayRef);
            Extremes { min: one(min_boolean(array)), max: one(max_boolean(array)), exact: true }
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            string_extremes(min_string_view(array).unwrap_or_default(), max_string_view(array).unwrap_or_default())
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            binary_extremes(min_binary_view(array).unwrap_or_default(), max_binary_view(array).unwrap_or_default())
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            let one = |v: Option<&[u8]>| FixedSizeBinaryArray::try_from_iter(v.into_iter()).ok().map(|a| Arc::new(a) as ArrayRef);
            Extremes { min: one(min_fixed_size_binary(array)), max: one(max_fixed_size_binary(array)), exact: true }
        }
        _ => none
    }
}

fn primitive_extremes<T: arrow::datatypes::ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Extremes {
    use arrow::array::ArrowNativeTypeOp;
    // Months, days and nanoseconds have no order of their own.
    if matches!(array.data_type(), DataType::Interval(_)) {
        return Extremes { min: None, max: None, exact: false };
    }
    let less = |a: T::Native, b: T::Native| if b.is_lt(a) { b } else { a };
    let more = |a: T::Native, b: T::Native| if b.is_gt(a) { b } else { a };
    let (low, high) =
        if array.null_count() == 0 { fold(array.values().iter().copied(), less, more) } else { fold(array.iter().flatten(), less, more) };
    let one = |v: T::Native| Arc::new(PrimitiveArray::<T>::new(vec![v].into(), None).with_data_type(array.data_type().clone())) as ArrayRef;
    Extremes { min: Some(one(low)), max: Some(one(high)), exact: true }
}

/// Both ends in one pass; of nothing, the default (callers have seen to it that there is something).
fn fold<V: Copy + Default>(mut values: impl Iterator<Item = V>, less: impl Fn(V, V) -> V, more: impl Fn(V, V) -> V) -> (V, V) {
    let first = values.next().unwrap_or_default();
    values.fold((first, first), |(low, high), value| (less(low, value), more(high, value)))
}

fn string_extremes(low: &str, high: &str) -> Extremes {
    let one = |v: &str| Some(Arc::new(StringViewArray::from(vec![v])) as ArrayRef);
    let exact = low.len() <= BOUND_BYTES_MAX && high.len() <= BOUND_BYTES_MAX;
    let max = if high.len() <= BOUND_BYTES_MAX { Some(high.to_string()) } else { string_above(high) };
    Extremes { min: one(&low[..low.floor_char_boundary(BOUND_BYTES_MAX)]), max: max.and_then(|max| one(&max)), exact }
}

/// A short string that is larger than any that starts like `text`.
fn string_above(text: &str) -> Option<String> {
    let mut chars: Vec<char> = text[..text.floor_char_boundary(BOUND_BYTES_MAX)].chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = ((last as u32 + 1)..=u32::from(char::MAX)).find_map(char::from_u32) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn binary_extremes(low: &[u8], high: &[u8]) -> Extremes {
    let one = |v: &[u8]| Some(Arc::new(BinaryViewArray::from(vec![v])) as ArrayRef);
    let exact = low.len() <= BOUND_BYTES_MAX && high.len() <= BOUND_BYTES_MAX;
    let max = if high.len() <= BOUND_BYTES_MAX { Some(high.to_vec()) } else { binary_above(&high[..BOUND_BYTES_MAX]) };
    Extremes { min: one(&low[..low.len().min(BOUND_BYTES_MAX)]), max: max.and_then(|max| one(&max)), exact }
}

fn binary_above(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|b| *b < 0xff)?;
    let mut above = prefix[..=last].to_vec();
    above[last] += 1;
    Some(above)
}

/// The extremes of a whole from those of its parts. A part without a bound (unless it is all NULL) leaves the whole without it.
pub(super) fn merge_extremes(parts: &[(Extremes, bool)]) -> Extremes {
    let parts: Vec<&Extremes> = parts.iter().filter(|(_, all_null)| !all_null).map(|(e, _)| e).collect();
    let bound = |of: fn(&Extremes) -> Option<&ArrayRef>| -> Option<ArrayRef> {
        let bounds: Vec<&dyn Array> = parts.iter().map(|p| of(p).map(|a| a.as_ref())).collect::<Option<_>>()?;
        if bounds.is_empty() { None } else { concat(&bounds).ok() }
    };
    let min = bound(|e| e.min.as_ref()).and_then(|all| extremes(&all).min);
    let max = bound(|e| e.max.as_ref()).and_then(|all| extremes(&all).max);
    Extremes { exact: min.is_some() && max.is_some() && parts.iter().all(|p| p.exact), min, max }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::array_bytes::tests::every_type;
    use arrow::array::{Float64Array, Int64Array, new_null_array};
    use proptest::prelude::*;

    fn summary() -> SegmentSummary {
        let column = |(i, array): (usize, ArrayRef)| {
            let Extremes { min, max, exact } = extremes(&array);
            ColumnStatistics { column: ColumnId(i as u32), min, max, exact, nulls: 1, distinct: 3, bytes: 1 << 20 }
        };
        let normal = every_type().into_iter().filter(|a| !matches!(a.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary));
        SegmentSummary {
            id: SegmentId(77),
            rows: 4,
            disk_bytes: 1000,
            decoded_bytes: 2000,
            granules: 1,
            columns: SummaryColumns::new(&normal.enumerate().map(column).collect::<Vec<_>>()),
            sorted_by: vec![ColumnId(3), ColumnId(1)],
        }
    }

    #[test]
    fn a_summary_comes_back() {
        let bytes = summary().to_bytes();
        let back = SegmentSummary::from_bytes(bytes.clone()).unwrap();
        assert_eq!(format!("{back:?}"), format!("{:?}", summary()));
        assert_eq!(back.to_bytes(), bytes);
        assert!(bytes.len() < 40 * back.columns.count, "{}", bytes.len());
        for (i, column) in summary().columns.iter().enumerate() {
            assert_eq!(format!("{:?}", back.column(ColumnId(i as u32)).unwrap()), format!("{column:?}"));
        }
        assert!(back.column(ColumnId(9999)).is_none());
    }

    #[test]
    fn an_altered_summary_never_crashes() {
        let bytes = summary().to_bytes();
        for place in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[place / 8] ^= 1 << (place % 8);
            if let Ok(summary) = SegmentSummary::from_bytes(altered) {
                let _ = (summary.columns.iter().count(), summary.column(ColumnId(5)));
            }
            assert!(SegmentSummary::from_bytes(&bytes[..place / 8]).is_err());
        }
    }

    #[test]
    fn nan_is_the_largest_and_nulls_have_no_extremes() {
        let found = extremes(&(Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::NAN), Some(-5.0)])) as ArrayRef));
        assert_eq!(found.min.unwrap().as_primitive::<arrow::datatypes::Float64Type>().value(0), -5.0);
        assert!(found.max.unwrap().as_primitive::<arrow::datatypes::Float64Type>().value(0).is_nan());
        assert!(extremes(&new_null_array(&DataType::Int64, 3)).min.is_none());
    }

    #[test]
    fn a_whole_without_one_bound_has_none() {
        let part = |v: i64| (extremes(&(Arc::new(Int64Array::from(vec![v])) as ArrayRef)), false);
        let null = (Extremes { min: None, max: None, exact: false }, true);
        let whole = merge_extremes(&[part(3), null.clone(), part(-1)]);
        assert!(whole.exact);
        assert_eq!(whole.min.unwrap().as_ref(), &Int64Array::from(vec![-1]) as &dyn Array);
        assert_eq!(whole.max.unwrap().as_ref(), &Int64Array::from(vec![3]) as &dyn Array);
        let unbounded = (null.0.clone(), false);
        assert!(merge_extremes(&[part(3), unbounded]).max.is_none());
        assert!(merge_extremes(&[null]).min.is_none());
    }

    proptest! {
        #[test]
        fn bounds_hold_for_any_strings(texts in prop::collection::vec("[a\u{10ffff}\u{d7ff}é]{0,80}", 1..8)) {
            let found = extremes(&(Arc::new(StringViewArray::from_iter_values(&texts)) as ArrayRef));
            let (low, high) = (texts.iter().min().unwrap(), texts.iter().max().unwrap());
            let min = found.min.unwrap();
            prop_assert!(min.as_string_view().value(0) <= low.as_str());
            if let Some(max) = found.max {
                prop_assert!(max.as_string_view().value(0) >= high.as_str());
                prop_assert!(max.as_string_view().value(0).len() <= 68);
            }
            let blobs: Vec<&[u8]> = texts.iter().map(|t| t.as_bytes()).collect();
            let found = extremes(&(Arc::new(BinaryViewArray::from(blobs)) as ArrayRef));
            prop_assert!(found.max.is_none_or(|max| max.as_binary_view().value(0) >= high.as_bytes()));
        }
    }
}
