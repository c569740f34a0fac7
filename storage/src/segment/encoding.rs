//! How a column's values are held in a segment: small, and still one of Arrow's own types.
//!
//! | logical type | stored as | when |
//! |---|---|---|
//! | integers, dates, times, timestamps | a narrower integer, times a factor | every value of the segment fits |
//! | Decimal128 | Decimal32, Decimal64 | every value of the segment fits |
//! | Utf8View | Dictionary of UInt8 or UInt16 over sorted Utf8 | values recur (at most a quarter are distinct) |
//! | everything else | itself | |
//!
//! Decoding is the hot path of every query: one tight loop per type, no checks per value.

use super::map::{trusted_data, trusted_views};
use super::sketch::hash_with;
use crate::error::Result;
use arrow::array::{
    Array, ArrayData, ArrayRef, ArrowPrimitiveType, AsArray, Decimal32Array, Decimal64Array, DictionaryArray, PrimitiveArray, StringArray,
    StringViewArray, make_array, new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::{cast, concat};
use arrow::datatypes::{
    ArrowNativeType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// How one column of one segment is encoded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Encoding {
    /// As its logical type.
    Plain,
    /// As a narrower integer; a value is `factor` times what is stored.
    Integer { stored: DataType, factor: i64 },
    /// As a narrower decimal of the same scale.
    Decimal { stored: DataType },
    /// As keys of this type into a sorted dictionary of distinct strings.
    Dictionary { keys: DataType },
}

/// A whole column, encoded.
#[derive(Debug)]
pub(super) struct EncodedColumn {
    pub(super) encoding: Encoding,
    /// What goes into the file: for a dictionary, a `DictionaryArray`.
    pub(super) array: ArrayRef,
}

/// The type in which a scan hands a column out and statistics speak of it: string and binary types become views.
pub(super) fn logical_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}

/// Chooses the encoding for all values of a segment's column (of a logical type) and encodes them.
pub(super) fn encode(array: &ArrayRef) -> Result<EncodedColumn> {
    let encoded = match array.data_type() {
        DataType::Utf8View => encode_strings(array.as_string_view())?,
        DataType::Decimal128(precision, scale) => encode_decimal(array.as_primitive(), *precision, *scale)?,
        _ => encode_integer(array),
    };
    Ok(encoded.unwrap_or_else(|| EncodedColumn { encoding: Encoding::Plain, array: array.clone() }))
}

// Integers -----------------------------------------------------------------------------------------------------------------------

/// The integer type that a logical type's values are held as in memory.
fn integer_of(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => data_type.clone(),
        DataType::Date32 | DataType::Time32(_) => DataType::Int32,
        DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Duration(_) => DataType::Int64,
        _ => return None,
    })
}

/// Whether an integer encoding with these parameters is one that [`encode`] makes.
pub(super) fn integer_encoding_is_sound(logical: &DataType, stored: &DataType) -> bool {
    let width = |t: &DataType| t.primitive_width().unwrap_or_default();
    let narrow = matches!(stored, DataType::Int8 | DataType::Int16 | DataType::Int32);
    narrow && integer_of(logical).is_some_and(|integer| width(stored) < width(&integer))
}

fn encode_integer(array: &ArrayRef) -> Option<EncodedColumn> {
    let values = Integers::of(array)?;
    let factor = factors(array.data_type()).iter().copied().find(|f| values.all_multiples_of(*f)).unwrap_or(1);
    let (low, high) = values.range()?;
    let width = array.data_type().primitive_width()?;
    let stored = narrowest(low / factor, high / factor).filter(|t| t.primitive_width().is_some_and(|w| w < width))?;
    let narrowed = values.narrow(&stored, factor);
    let data = ArrayData::builder(stored.clone()).len(array.len()).add_buffer(narrowed).nulls(array.nulls().cloned());
    Some(EncodedColumn { encoding: Encoding::Integer { stored, factor }, array: make_array(trusted_data(data)) })
}

fn narrowest(low: i64, high: i64) -> Option<DataType> {
    let fits = |min: i64, max: i64| low >= min && high <= max;
    Some(match () {
        () if fits(i8::MIN.into(), i8::MAX.into()) => DataType::Int8,
        () if fits(i16::MIN.into(), i16::MAX.into()) => DataType::Int16,
        () if fits(i32::MIN.into(), i32::MAX.into()) => DataType::Int32,
        () => return None,
    })
}

/// What all values of a type may be multiples of: whole days, whole hours, whole seconds.
fn factors(data_type: &DataType) -> &'static [i64] {
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Time64(TimeUnit::Microsecond) => {
            &[86_400_000_000, 3_600_000_000, 1_000_000]
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => &[86_400_000, 3_600_000, 1_000],
        DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::Time64(TimeUnit::Nanosecond) => &[86_400_000_000_000, 1_000_000_000],
        _ => &[],
    }
}

/// A column's values as 64-bit integers, whatever they are.
struct Integers {
    values: Vec<i64>,
    nulls: Option<NullBuffer>,
}

impl Integers {
    /// `None` for types that are not integers within, and for values beyond `i64`.
    fn of(array: &ArrayRef) -> Option<Self> {
        fn widened<T: ArrowPrimitiveType>(data: &ArrayData) -> Option<Vec<i64>>
        where
            i64: TryFrom<T::Native>,
        {
            let values = ScalarBuffer::<T::Native>::new(data.buffers()[0].clone(), data.offset(), data.len());
            let valid = |row: usize| data.nulls().is_none_or(|n| n.is_valid(row));
            values.iter().enumerate().map(|(row, v)| if valid(row) { i64::try_from(*v).ok() } else { Some(0) }).collect()
        }
        let data = array.to_data();
        let values = match integer_of(array.data_type())? {
            DataType::Int16 => widened::<Int16Type>(&data)?,
            DataType::Int32 => widened::<Int32Type>(&data)?,
            DataType::Int64 => widened::<Int64Type>(&data)?,
            DataType::UInt16 => widened::<UInt16Type>(&data)?,
            DataType::UInt32 => widened::<UInt32Type>(&data)?,
            _ => widened::<UInt64Type>(&data)?,
        };
        Some(Self { values, nulls: array.nulls().cloned() })
    }

    fn all_multiples_of(&self, factor: i64) -> bool {
        self.values.iter().all(|v| v % factor == 0)
    }

    /// The range of the non-null values; of none, zero to zero.
    fn range(&self) -> Option<(i64, i64)> {
        let valid = |row: usize| self.nulls.as_ref().is_none_or(|n| n.is_valid(row));
        let mut present = self.values.iter().enumerate().filter(|(row, _)| valid(*row)).map(|(_, v)| *v);
        let first = present.next().unwrap_or_default();
        Some(present.fold((first, first), |(low, high), v| (low.min(v), high.max(v))))
    }

    fn narrow(&self, stored: &DataType, factor: i64) -> Buffer {
        let scaled = self.values.iter().map(|v| v / factor);
        match stored {
            DataType::Int8 => Buffer::from_vec(scaled.map(|v| v as i8).collect::<Vec<_>>()),
            DataType::Int16 => Buffer::from_vec(scaled.map(|v| v as i16).collect::<Vec<_>>()),
            _ => Buffer::from_vec(scaled.map(|v| v as i32).collect::<Vec<_>>()),
        }
    }
}

/// Widens narrowed integers: sign extension, then the factor, both wrapping so that no stored bytes can panic.
fn decode_integer(array: &ArrayRef, logical: &DataType, factor: i64) -> ArrayRef {
    let values = match array.data_type() {
        DataType::Int8 => widen::<Int8Type>(array, logical, factor, |v| v.into()),
        DataType::Int16 => widen::<Int16Type>(array, logical, factor, |v| v.into()),
        _ => widen::<Int32Type>(array, logical, factor, |v| v.into()),
    };
    let data = ArrayData::builder(logical.clone()).len(array.len()).add_buffer(values).nulls(array.nulls().cloned());
    make_array(trusted_data(data))
}

fn widen<S: ArrowPrimitiveType>(array: &ArrayRef, logical: &DataType, factor: i64, wide: impl Fn(S::Native) -> i64) -> Buffer {
    let values = array.as_primitive::<S>().values();
    match logical.primitive_width() {
        Some(2) => Buffer::from_vec(values.iter().map(|v| wide(*v) as i16).collect::<Vec<_>>()),
        Some(4) => Buffer::from_vec(values.iter().map(|v| wide(*v) as i32).collect::<Vec<_>>()),
        _ if factor == 1 => Buffer::from_vec(values.iter().map(|v| wide(*v)).collect::<Vec<_>>()),
        _ => Buffer::from_vec(values.iter().map(|v| wide(*v).wrapping_mul(factor)).collect::<Vec<_>>()),
    }
}

// Decimals -----------------------------------------------------------------------------------------------------------------------

fn encode_decimal(array: &PrimitiveArray<Decimal128Type>, precision: u8, scale: i8) -> Result<Option<EncodedColumn>> {
    let largest = array.iter().flatten().map(i128::unsigned_abs).max().unwrap_or_default();
    let fits = |digits: u8| scale >= 0 && scale as u8 <= digits && largest < 10u128.pow(digits.into());
    let nulls = array.nulls().cloned();
    let array: ArrayRef = if fits(9) {
        let values: Vec<i32> = array.values().iter().map(|v| *v as i32).collect();
        Arc::new(Decimal32Array::new(values.into(), nulls).with_precision_and_scale(precision.min(9), scale)?)
    } else if fits(18) {
        let values: Vec<i64> = array.values().iter().map(|v| *v as i64).collect();
        Arc::new(Decimal64Array::new(values.into(), nulls).with_precision_and_scale(precision.min(18), scale)?)
    } else {
        return Ok(None);
    };
    Ok(Some(EncodedColumn { encoding: Encoding::Decimal { stored: array.data_type().clone() }, array }))
}

fn decode_decimal(array: &ArrayRef, logical: &DataType) -> ArrayRef {
    let values: Vec<i128> = match array.data_type() {
        DataType::Decimal32(..) => array.as_primitive::<Decimal32Type>().values().iter().map(|v| i128::from(*v)).collect(),
        _ => array.as_primitive::<Decimal64Type>().values().iter().map(|v| i128::from(*v)).collect(),
    };
    Arc::new(PrimitiveArray::<Decimal128Type>::new(values.into(), array.nulls().cloned()).with_data_type(logical.clone()))
}

// Strings ------------------------------------------------------------------------------------------------------------------------

/// Keys are 16 bits at most.
const DICTIONARY_ENTRIES_MAX: usize = 1 << 16;
/// The dictionary is read whole by whoever reads one granule.
const DICTIONARY_BYTES_MAX: usize = 16 << 20;
/// After this many rows a column that hardly repeats itself is given up.
const PROBE_ROWS: usize = 4096;

/// Hashes strings with a seed of its own for each column, so that nobody can choose values that collide.
struct Seeded(u64);

struct ByteHasher {
    seed: u64,
    state: u64,
}

impl Seeded {
    fn new() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Seeded {
    type Hasher = ByteHasher;
    fn build_hasher(&self) -> ByteHasher {
        ByteHasher { seed: self.0, state: 0 }
    }
}

impl Hasher for ByteHasher {
    fn finish(&self) -> u64 {
        self.state
    }
    fn write(&mut self, bytes: &[u8]) {
        self.state ^= hash_with(self.seed, bytes);
    }
    fn write_u8(&mut self, _: u8) {}
}

fn encode_strings(array: &StringViewArray) -> Result<Option<EncodedColumn>> {
    let Some((texts, codes)) = distinct_strings(array) else { return Ok(None) };
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_unstable_by_key(|i| texts[*i]);
    let mut rank = vec![0u16; texts.len().max(1)];
    order.iter().enumerate().for_each(|(place, i)| rank[*i] = place as u16);
    let mut sorted: Vec<&str> = order.iter().map(|i| texts[*i]).collect();
    if sorted.is_empty() {
        sorted.push(""); // All NULL: their keys, too, must point at something.
    }
    let values = Arc::new(StringArray::from_iter_values(&sorted)) as ArrayRef;
    let nulls = array.nulls().cloned();
    let keys = codes.into_iter().map(|code| rank[code as usize]);
    let array: ArrayRef = if sorted.len() <= 256 {
        let keys = PrimitiveArray::<UInt8Type>::new(keys.map(|k| k as u8).collect::<Vec<_>>().into(), nulls);
        Arc::new(DictionaryArray::try_new(keys, values)?)
    } else {
        Arc::new(DictionaryArray::try_new(PrimitiveArray::<UInt16Type>::new(keys.collect::<Vec<_>>().into(), nulls), values)?)
    };
    let keys = array.as_any_dictionary().keys().data_type().clone();
    Ok(Some(EncodedColumn { encoding: Encoding::Dictionary { keys }, array }))
}

/// The distinct strings and, per row, the index of its own; `None` if a dictionary does not pay.
fn distinct_strings(array: &StringViewArray) -> Option<(Vec<&str>, Vec<u16>)> {
    let mut index = HashMap::<&str, u16, Seeded>::with_hasher(Seeded::new());
    let mut texts: Vec<&str> = Vec::new();
    let mut bytes = 0;
    let mut codes = Vec::with_capacity(array.len());
    for (row, text) in array.iter().enumerate() {
        let Some(text) = text else {
            codes.push(0);
            continue;
        };
        let next = texts.len();
        codes.push(*index.entry(text).or_insert(next as u16));
        if index.len() > next {
            texts.push(text);
            bytes += text.len();
            let rare = row > PROBE_ROWS && texts.len() > row / 2;
            if rare || next >= DICTIONARY_ENTRIES_MAX || bytes > DICTIONARY_BYTES_MAX {
                return None;
            }
        }
    }
    let pays = texts.len() <= 1 || texts.len() * 4 <= array.len() - array.null_count();
    pays.then_some((texts, codes))
}

/// A dictionary, ready for decoding.
#[derive(Debug)]
pub(crate) struct Dictionary {
    /// The values as views.
    pub(super) values: StringViewArray,
    /// The values, then one NULL: what a predicate is evaluated on once for all rows.
    pub(crate) values_and_null: ArrayRef,
}

impl Dictionary {
    pub(super) fn new(values: &StringArray) -> Result<Self> {
        let values: ArrayRef = cast(values, &DataType::Utf8View)?;
        let values_and_null = concat(&[values.as_ref(), new_null_array(&DataType::Utf8View, 1).as_ref()])?;
        Ok(Self { values: values.as_string_view().clone(), values_and_null })
    }

    /// Takes the views for keys, all of which must be below the number of values.
    fn decode(&self, keys: &ArrayRef) -> ArrayRef {
        let views = match keys.data_type() {
            DataType::UInt8 => self.views(keys.as_primitive::<UInt8Type>().values()),
            _ => self.views(keys.as_primitive::<UInt16Type>().values()),
        };
        Arc::new(trusted_views(views, self.values.data_buffers().to_vec(), keys.nulls().cloned()))
    }

    fn views<K: ArrowNativeType>(&self, keys: &[K]) -> ScalarBuffer<u128> {
        let views: &[u128] = self.values.views();
        keys.iter().map(|key| views[key.as_usize()]).collect::<Vec<_>>().into()
    }
}

// Decoding -----------------------------------------------------------------------------------------------------------------------

/// Decodes a stored array (a dictionary's keys) to the logical type.
pub(super) fn decode(array: &ArrayRef, encoding: &Encoding, logical: &DataType, dictionary: Option<&Dictionary>) -> ArrayRef {
    match (encoding, dictionary) {
        (Encoding::Integer { factor, .. }, _) => decode_integer(array, logical, *factor),
        (Encoding::Decimal { .. }, _) => decode_decimal(array, logical),
        (Encoding::Dictionary { .. }, Some(dictionary)) => dictionary.decode(array),
        _ => array.clone(),
    }
}
