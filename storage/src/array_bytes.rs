//! Types and small arrays as compact bytes: what inlined rows, summaries and granule statistics are made of.
//!
//! Numbers are LEB128 varints; values are little-endian as Arrow holds them. An array is a validity byte (0: no NULL, 1: a bitmap
//! follows, 2: all NULL and nothing follows), then the bitmap, then the values: fixed-width ones back to back, booleans as a
//! bitmap, strings and binaries as varint lengths and bytes in turn, lists as varint lengths and then the array of their elements.
//! Reading never trusts: every length is held against the bytes that are left before anything is allocated.

use crate::error::StorageError;
use crate::segment::map::trusted_data;
use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, LargeBinaryArray, LargeStringArray, ListArray,
    StringArray, StringViewArray, make_array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use std::str;
use std::sync::Arc;

/// Why bytes cannot be read.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl Malformed {
    /// As an error about `file`.
    pub(crate) fn of(self, file: &str) -> StorageError {
        StorageError::damaged(file, None, self.0)
    }
}

type Parsed<T> = std::result::Result<T, Malformed>;

/// Appends an unsigned number.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes being read, front to back.
#[derive(Clone, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Parsed<u8> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn varint(&mut self) -> Parsed<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("a number is too long"))
    }

    /// A number of things of which each takes at least one more byte.
    pub(crate) fn count(&mut self) -> Parsed<usize> {
        let count = self.length()?;
        if count > self.0.len() { Err(Malformed("a count is larger than what follows")) } else { Ok(count) }
    }

    pub(crate) fn length(&mut self) -> Parsed<usize> {
        usize::try_from(self.varint()?).map_err(|_| Malformed("a length is too large"))
    }

    pub(crate) fn text(&mut self) -> Parsed<&'a str> {
        let length = self.length()?;
        str::from_utf8(self.take(length)?).map_err(|_| Malformed("a name is not UTF-8"))
    }

    pub(crate) fn end(&self) -> Parsed<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("bytes are left over")) }
    }
}

const LIST_DEPTH_MAX: usize = 8;

/// Appends a type; false (and nothing of use) for one that storage does not support.
pub(crate) fn put_type(out: &mut Vec<u8>, data_type: &DataType) -> bool {
    if let Some(tag) = SIMPLE_TYPES.iter().position(|t| t == data_type) {
        out.push(tag as u8);
        return true;
    }
    match data_type {
        DataType::Decimal32(p, s) => out.extend([40, *p, *s as u8]),
        DataType::Decimal64(p, s) => out.extend([41, *p, *s as u8]),
        DataType::Decimal128(p, s) => out.extend([42, *p, *s as u8]),
        DataType::FixedSizeBinary(width) => {
            out.push(43);
            put_varint(out, *width as u64);
        }
        DataType::Timestamp(unit, Some(zone)) => {
            out.extend([44, *unit as u8]);
            put_text(out, zone);
        }
        DataType::List(field) => {
            out.extend([45, u8::from(field.is_nullable())]);
            put_text(out, field.name());
            return put_type(out, field.data_type());
        }
        _ => return false,
    }
    true
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Types without parameters; a type's place is its tag.
const SIMPLE_TYPES: [DataType; 37] = [
    DataType::Null,
    DataType::Boolean,
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Float16,
    DataType::Float32,
    DataType::Float64,
    DataType::Utf8,
    DataType::LargeUtf8,
    DataType::Utf8View,
    DataType::Binary,
    DataType::LargeBinary,
    DataType::BinaryView,
    DataType::Date32,
    DataType::Date64,
    DataType::Time32(TimeUnit::Second),
    DataType::Time32(TimeUnit::Millisecond),
    DataType::Time64(TimeUnit::Microsecond),
    DataType::Time64(TimeUnit::Nanosecond),
    DataType::Timestamp(TimeUnit::Second, None),
    DataType::Timestamp(TimeUnit::Millisecond, None),
    DataType::Timestamp(TimeUnit::Microsecond, None),
    DataType::Timestamp(TimeUnit::Nanosecond, None),
    DataType::Duration(TimeUnit::Second),
    DataType::Duration(TimeUnit::Millisecond),
    DataType::Duration(TimeUnit::Microsecond),
    DataType::Duration(TimeUnit::Nanosecond),
    DataType::Interval(IntervalUnit::YearMonth),
    DataType::Interval(IntervalUnit::DayTime),
    DataType::Interval(IntervalUnit::MonthDayNano),
    DataType::Decimal256(76, 0), // Holds the place; not supported.
];

/// Reads [`put_type`]'s bytes.
pub(crate) fn read_type(bytes: &mut Bytes<'_>) -> Parsed<DataType> {
    read_type_within(bytes, LIST_DEPTH_MAX)
}

fn read_type_within(bytes: &mut Bytes<'_>, depth: usize) -> Parsed<DataType> {
    let unknown = Malformed("a type is not known");
    Ok(match bytes.byte()? {
        tag if (tag as usize) < SIMPLE_TYPES.len() - 1 => SIMPLE_TYPES[tag as usize].clone(),
        40 => decimal(bytes, 9, DataType::Decimal32)?,
        41 => decimal(bytes, 18, DataType::Decimal64)?,
        42 => decimal(bytes, 38, DataType::Decimal128)?,
        43 => DataType::FixedSizeBinary(i32::try_from(bytes.varint()?).map_err(|_| unknown)?),
        44 => {
            let unit = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
            let unit = *unit.get(bytes.byte()? as usize).ok_or(unknown)?;
            DataType::Timestamp(unit, Some(bytes.text()?.into()))
        }
        45 if depth > 0 => {
            let nullable = bytes.byte()? != 0;
            let name = bytes.text()?.to_string();
            DataType::List(Arc::new(Field::new(name, read_type_within(bytes, depth - 1)?, nullable)))
        }
        _ => return Err(unknown),
    })
}

fn decimal(bytes: &mut Bytes<'_>, precision_max: u8, make: fn(u8, i8) -> DataType) -> Parsed<DataType> {
    let (precision, scale) = (bytes.byte()?, bytes.byte()? as i8);
    let scale_min = -i16::from(precision_max);
    if precision == 0 || precision > precision_max || !(scale_min..=precision.into()).contains(&scale.into()) {
        return Err(Malformed("a decimal has an impossible precision"));
    }
    Ok(make(precision, scale))
}

/// Whether values of the type can be stored at all.
pub(crate) fn supported(data_type: &DataType) -> bool {
    put_type(&mut Vec::new(), data_type) && *data_type != DataType::Null
}

/// Bytes per value, of types that have a fixed number of whole bytes.
pub(crate) fn fixed_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
        other => other.primitive_width(),
    }
}

/// Appends an array of a supported type.
pub(crate) fn put_array(out: &mut Vec<u8>, array: &dyn Array) {
    match array.logical_nulls().filter(|n| n.null_count() > 0) {
        Some(nulls) if nulls.null_count() == array.len() => return out.push(2),
        Some(nulls) => {
            out.push(1);
            put_bits(out, nulls.inner());
        }
        None => out.push(0),
    }
    put_values(out, array);
}

fn put_bits(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    out.extend_from_slice(&bits.sliced()[..bits.len().div_ceil(8)]);
}

fn put_values(out: &mut Vec<u8>, array: &dyn Array) {
    match array.data_type() {
        DataType::Null => {}
        DataType::Boolean => put_bits(out, array.as_boolean().values()),
        DataType::Utf8 => array.as_string::<i32>().iter().for_each(|v| put_binary(out, v.unwrap_or_default().as_bytes())),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().for_each(|v| put_binary(out, v.unwrap_or_default().as_bytes())),
        DataType::Utf8View => array.as_string_view().iter().for_each(|v| put_binary(out, v.unwrap_or_default().as_bytes())),
        DataType::Binary => array.as_binary::<i32>().iter().for_each(|v| put_binary(out, v.unwrap_or_default())),
        DataType::LargeBinary => array.as_binary::<i64>().iter().for_each(|v| put_binary(out, v.unwrap_or_default())),
        DataType::BinaryView => array.as_binary_view().iter().for_each(|v| put_binary(out, v.unwrap_or_default())),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            list.offsets().lengths().for_each(|length| put_varint(out, length as u64));
            let offsets = list.offsets();
            let (first, last) = (offsets[0] as usize, offsets[list.len()] as usize);
            put_array(out, &list.values().slice(first, last - first));
        }
        other => {
            let width = fixed_width(other).unwrap_or_default();
            let data = array.to_data();
            out.extend_from_slice(&data.buffers()[0][data.offset() * width..(data.offset() + data.len()) * width]);
        }
    }
}

fn put_binary(out: &mut Vec<u8>, value: &[u8]) {
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Reads an array of `rows` values that [`put_array`] wrote. All NULL, it allocates by `rows`: bound that before.
pub(crate) fn read_array(bytes: &mut Bytes<'_>, data_type: &DataType, rows: usize) -> Parsed<ArrayRef> {
    let nulls = match bytes.byte()? {
        0 => None,
        1 => Some(NullBuffer::new(read_bits(bytes, rows)?)),
        2 => return Ok(new_null_array(data_type, rows)),
        _ => return Err(Malformed("a validity is not known")),
    };
    read_values(bytes, data_type, rows, nulls)
}

/// Steps over an array of one value that [`put_array`] wrote.
pub(crate) fn skip_value(bytes: &mut Bytes<'_>, data_type: &DataType) -> Parsed<()> {
    match bytes.byte()? {
        0 => {}
        1 => _ = bytes.byte()?,
        2 => return Ok(()),
        _ => return Err(Malformed("a validity is not known")),
    }
    let length = match data_type {
        DataType::Boolean => 1,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => bytes.length()?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => bytes.length()?,
        other => match fixed_width(other) {
            Some(width) => width,
            None => return read_values(bytes, other, 1, None).map(drop),
        },
    };
    bytes.take(length).map(drop)
}

fn read_bits(bytes: &mut Bytes<'_>, rows: usize) -> Parsed<BooleanBuffer> {
    Ok(BooleanBuffer::new(Buffer::from(bytes.take(rows.div_ceil(8))?), 0, rows))
}

fn read_values(bytes: &mut Bytes<'_>, data_type: &DataType, rows: usize, nulls: Option<NullBuffer>) -> Parsed<ArrayRef> {
    Ok(match data_type {
        DataType::Null => new_null_array(data_type, rows),
        DataType::Boolean => Arc::new(BooleanArray::new(read_bits(bytes, rows)?, nulls)),
        DataType::Utf8 => Arc::new(StringArray::from(read_strings(bytes, rows, nulls)?)),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(read_strings(bytes, rows, nulls)?)),
        DataType::Utf8View => Arc::new(StringViewArray::from(read_strings(bytes, rows, nulls)?)),
        DataType::Binary => Arc::new(BinaryArray::from(read_binaries(bytes, rows, nulls)?)),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from(read_binaries(bytes, rows, nulls)?)),
        DataType::BinaryView => Arc::new(BinaryViewArray::from(read_binaries(bytes, rows, nulls)?)),
        DataType::List(field) => read_list(bytes, field, rows, nulls)?,
        other => read_fixed(bytes, other, rows, nulls)?,
    })
}

fn read_fixed(bytes: &mut Bytes<'_>, data_type: &DataType, rows: usize, nulls: Option<NullBuffer>) -> Parsed<ArrayRef> {
    let width = fixed_width(data_type).ok_or(Malformed("a type is not supported"))?;
    let length = rows.checked_mul(width).ok_or(Malformed("a length is too large"))?;
    let values = Buffer::from_slice_ref(bytes.take(length)?);
    Ok(make_array(trusted_data(ArrayData::builder(data_type.clone()).len(rows).add_buffer(values).nulls(nulls))))
}

fn read_binaries<'a>(bytes: &mut Bytes<'a>, rows: usize, nulls: Option<NullBuffer>) -> Parsed<Vec<Option<&'a [u8]>>> {
    if rows > bytes.0.len() {
        return Err(Malformed("it ends too early"));
    }
    let value = |row| {
        let length = bytes.length()?;
        let value = bytes.take(length)?;
        Ok(nulls.as_ref().is_none_or(|n| n.is_valid(row)).then_some(value))
    };
    (0..rows).map(value).collect()
}

fn read_strings<'a>(bytes: &mut Bytes<'a>, rows: usize, nulls: Option<NullBuffer>) -> Parsed<Vec<Option<&'a str>>> {
    let text = |value: Option<&'a [u8]>| value.map(str::from_utf8).transpose().map_err(|_| Malformed("a string is not UTF-8"));
    read_binaries(bytes, rows, nulls)?.into_iter().map(text).collect()
}

fn read_list(bytes: &mut Bytes<'_>, field: &Arc<Field>, rows: usize, nulls: Option<NullBuffer>) -> Parsed<ArrayRef> {
    if rows > bytes.0.len() {
        return Err(Malformed("it ends too early"));
    }
    let lengths = (0..rows).map(|_| bytes.length()).collect::<Parsed<Vec<_>>>()?;
    let total = lengths.iter().try_fold(0usize, |sum, l| sum.checked_add(*l));
    // Elements that are all NULL take no bytes of their own: hold their number against what any honest writer makes.
    let total = total.filter(|t| *t <= LIST_ELEMENTS_MAX).ok_or(Malformed("a list is too long"))?;
    let values = read_array(bytes, field.data_type(), total)?;
    let list = ListArray::try_new(field.clone(), OffsetBuffer::from_lengths(lengths), values, nulls);
    Ok(Arc::new(list.map_err(|_| Malformed("a list is not consistent"))?))
}

const LIST_ELEMENTS_MAX: usize = 64 << 20;

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::*;
    use arrow::datatypes::*;

    /// One array of every supported type, with NULLs and odd values.
    pub(crate) fn every_type() -> Vec<ArrayRef> {
        let long = "x".repeat(100_000);
        let mut list = ListBuilder::new(Int32Builder::new());
        list.append_value([Some(1), None, Some(3)]);
        list.append_null();
        list.append_value([]);
        list.append_value([Some(i32::MAX)]);
        let mut names = ListBuilder::new(StringViewBuilder::new());
        names.append_value([Some("a"), Some("a string beyond twelve bytes")]);
        names.append_value([None::<&str>]);
        names.append_null();
        names.append_value([Some(&*long)]);
        let interval = |m, d, n| Some(IntervalMonthDayNano::new(m, d, n));
        vec![
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)])),
            Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(1), Some(i8::MAX)])),
            Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(1), Some(i16::MAX)])),
            Arc::new(Int32Array::from(vec![Some(7), None, Some(-1), Some(100)])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(1), Some(i64::MAX)])),
            Arc::new(Int64Array::from(vec![Some(-40_000), None, Some(1), Some(70_000)])),
            Arc::new(UInt8Array::from(vec![Some(0), None, Some(1), Some(255)])),
            Arc::new(UInt16Array::from(vec![Some(0), None, Some(1), Some(u16::MAX)])),
            Arc::new(UInt32Array::from(vec![Some(0), None, Some(1), Some(200)])),
            Arc::new(UInt64Array::from(vec![Some(0), None, Some(1), Some(u64::MAX)])),
            Arc::new(Float32Array::from(vec![Some(f32::NAN), None, Some(-0.0), Some(f32::INFINITY)])),
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(-0.0), Some(f64::MIN_POSITIVE)])),
            Arc::new(Decimal128Array::from(vec![Some(12345), None, Some(-1), Some(0)]).with_precision_and_scale(15, 2).unwrap()),
            Arc::new(Decimal128Array::from(vec![Some(10i128.pow(17)), None, Some(-1), Some(0)]).with_precision_and_scale(20, 4).unwrap()),
            Arc::new(Decimal128Array::from(vec![Some(10i128.pow(37)), None, Some(-1), Some(0)]).with_precision_and_scale(38, 10).unwrap()),
            Arc::new(StringViewArray::from(vec![Some("dictionary"), None, Some(""), Some("dictionary")])),
            Arc::new(StringViewArray::from(vec![Some(&*long), None, Some("ünï"), Some("a string beyond twelve bytes")])),
            Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("b")])),
            Arc::new(LargeStringArray::from(vec![Some("a"), None, Some(""), Some("b")])),
            Arc::new(BinaryViewArray::from(vec![Some(&b"\xff\x00"[..]), None, Some(b""), Some(&[9u8; 70_000])])),
            Arc::new(BinaryArray::from(vec![Some(&b"\xff\x00"[..]), None, Some(b""), Some(b"1")])),
            Arc::new(Date32Array::from(vec![Some(19_000), None, Some(-719_162), Some(2_932_896)])),
            Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(86_399_999_999), Some(1)])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_700_000_000_000_000), Some(-1_000_000)])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(i64::MAX), None, Some(i64::MIN), Some(1)]).with_timezone("UTC")),
            Arc::new(IntervalMonthDayNanoArray::from(vec![interval(1, -2, 3), None, interval(0, 0, 0), interval(i32::MIN, 1, i64::MAX)])),
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    [Some([1u8; 16]), None, Some([0; 16]), Some([255; 16])].into_iter(),
                    16,
                )
                .unwrap(),
            ),
            Arc::new(list.finish()),
            Arc::new(names.finish()),
        ]
    }

    #[test]
    fn every_type_comes_back() {
        for array in every_type() {
            let null = new_null_array(array.data_type(), 3);
            for array in [array.clone(), array.slice(2, 2), array.slice(1, 1), array.slice(0, 0), null] {
                let mut out = Vec::new();
                assert!(put_type(&mut out, array.data_type()));
                put_array(&mut out, &array);
                let mut bytes = Bytes(&out);
                let data_type = read_type(&mut bytes).unwrap();
                let back = read_array(&mut bytes, &data_type, array.len()).unwrap();
                assert_eq!(bytes.end(), Ok(()));
                assert_eq!(&back, &array, "{data_type}");
                back.to_data().validate_full().unwrap();
            }
        }
    }

    #[test]
    fn cut_or_altered_bytes_are_refused_or_read_but_never_crash() {
        for array in every_type() {
            let mut out = Vec::new();
            put_type(&mut out, array.data_type());
            put_array(&mut out, &array);
            out.truncate(300);
            for place in 0..out.len() * 8 {
                let mut altered = out.clone();
                altered[place / 8] ^= 1 << (place % 8);
                altered.truncate(altered.len() - place % 3);
                let mut bytes = Bytes(&altered);
                if let Ok(array) = read_type(&mut bytes).and_then(|t| read_array(&mut bytes, &t, array.len())) {
                    array.to_data().validate_full().unwrap();
                }
            }
        }
    }
}
