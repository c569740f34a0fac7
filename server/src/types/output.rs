//! Arrow arrays -> PostgreSQL's text and binary forms, column by column.
//!
//! A column of a batch is bound once ([`ColumnEncoder::bind`]): brought into one of few Arrow forms and downcast. After that each value is one
//! branch on the form and a write by hand.

mod columnar;
mod json_form;
mod json_value;
mod tuples;

pub(crate) use columnar::Cells;
pub(crate) use json_value::JsonColumn;
pub(crate) use tuples::TupleBlock;

use super::datetime::{self, DAY_MICROSECONDS, EPOCH_2000_DAYS, EPOCH_2000_MICROSECONDS};
use super::forms::{DateForm, IntervalForm, Styles, ValueForms};
use super::numeric::Quotient;
use super::zone::Zone;
use super::{CatalogType, DIGITS_KEY, SqlType, TYPE_KEY, array_text, interval, json, numeric};
use crate::error::{Result, SqlError};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, LargeBinaryArray, LargeStringArray, ListArray, MapArray,
    StringArray, StringViewArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt32Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};

mod styles;

/// Writes values of one column.
#[derive(Clone, Debug)]
pub struct ColumnEncoder {
    sql_type: SqlType,
    binary: bool,
    zone: Zone,
    extra_float_digits: i32,
    styles: Styles,
    /// Numerics whose scale is that of a division.
    quotient: Option<Quotient>,
}

/// One batch's column, ready to be written value by value.
#[derive(Debug)]
pub struct BoundColumn {
    array: ArrayRef,
    values: Values,
    binary: bool,
    styles: Styles,
}

#[derive(Debug)]
enum Values {
    Boolean(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Oid(UInt32Array),
    Float4(Float32Array, i32),
    Float8(Float64Array, i32),
    Decimal128(Decimal128Array, i8, bool),
    Quotient(Decimal128Array, i8, Quotient),
    Decimal256(Decimal256Array, i8, bool),
    Utf8(StringArray),
    LargeUtf8(LargeStringArray),
    Utf8View(StringViewArray),
    /// character(n)
    Padded(StringViewArray, usize),
    Uuid(StringViewArray),
    Jsonb(StringViewArray),
    Binary(BinaryArray),
    LargeBinary(LargeBinaryArray),
    BinaryView(BinaryViewArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp(TimestampMicrosecondArray, Option<Zone>),
    Interval(IntervalMonthDayNanoArray),
    List(ListArray, Box<BoundColumn>, SqlType),
    /// int2vector, oidvector
    Vector(ListArray, Box<BoundColumn>, SqlType),
    Record(Vec<(SqlType, BoundColumn)>),
    /// Keys and values, and whether values stand without quotes in JSON.
    Map(MapArray, Box<BoundColumn>, Box<BoundColumn>, bool),
    /// Anything that SQL has no form for.
    Other,
}

impl ColumnEncoder {
    /// An encoder of a type's values; `binary` chooses the form.
    pub fn new(sql_type: &SqlType, binary: bool, forms: &ValueForms) -> Self {
        let (zone, styles) = (forms.zone(), forms.styles);
        Self { sql_type: sql_type.clone(), binary, zone, extra_float_digits: forms.extra_float_digits, styles, quotient: None }
    }
    /// An encoder of a result's column. What was not declared and has the scale of a division is shown as PostgreSQL shows quotients.
    pub fn of_field(field: &Field, binary: bool, forms: &ValueForms) -> Self {
        let computed = !field.metadata().contains_key(TYPE_KEY) && matches!(field.data_type(), DataType::Decimal128(38, 16..));
        let quotient = computed.then(|| Quotient::named(field.metadata().get(DIGITS_KEY).map(String::as_str)));
        Self { quotient, ..Self::new(&SqlType::of_field(field), binary, forms) }
    }
    /// The type that is written.
    pub fn sql_type(&self) -> &SqlType {
        &self.sql_type
    }
    /// Prepares one batch's column.
    pub fn bind(&self, array: &ArrayRef) -> Result<BoundColumn> {
        let array = self.canonical(array)?;
        let values = self.downcast(&array)?;
        Ok(BoundColumn { array, values, binary: self.binary, styles: self.styles })
    }
    /// Appends the value at `row` (which is not NULL), without any length prefix. For more than a few values, bind.
    pub fn write(&self, values: &ArrayRef, row: usize, out: &mut BytesMut) -> Result<()> {
        self.bind(&values.slice(row, 1))?.write(0, out)
    }
    fn with_type(&self, sql_type: SqlType) -> Self {
        Self { sql_type, ..self.clone() }
    }
    /// Brings rare Arrow types into the form that the SQL type has here.
    fn canonical(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let wanted = self.sql_type.arrow();
        match (&self.sql_type, array.data_type()) {
            (_, DataType::Null) => Ok(array.clone()),
            (_, DataType::Dictionary(_, values)) => self.canonical(&cast(array, values)?),
            (_, DataType::RunEndEncoded(_, values)) => self.canonical(&cast(array, values.data_type())?),
            (SqlType::Text | SqlType::Json | SqlType::Record, DataType::Struct(_) | DataType::Map(_, _)) => Ok(array.clone()),
            (
                SqlType::Text | SqlType::Varchar(_) | SqlType::Json | SqlType::Name,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
            ) => Ok(array.clone()),
            (SqlType::Bytea, DataType::FixedSizeBinary(_)) => Ok(cast(array, &DataType::Binary)?),
            (SqlType::Bytea, DataType::Binary | DataType::LargeBinary) => Ok(array.clone()),
            (SqlType::Array(_), DataType::List(_)) => Ok(array.clone()),
            (
                SqlType::Array(_),
                DataType::LargeList(field) | DataType::FixedSizeList(field, _) | DataType::ListView(field) | DataType::LargeListView(field),
            ) => Ok(cast(array, &DataType::List(field.clone()))?),
            (SqlType::Timestamp | SqlType::Timestamptz, DataType::Timestamp(TimeUnit::Microsecond, _)) => Ok(array.clone()),
            (SqlType::Text, other) if *other != DataType::Utf8View => Ok(array.clone()),
            (_, found) if *found == wanted => Ok(array.clone()),
            _ => Ok(cast(array, &wanted)?),
        }
    }
    fn downcast(&self, array: &ArrayRef) -> Result<Values> {
        Ok(match array.data_type() {
            DataType::Boolean => Values::Boolean(array.as_boolean().clone()),
            DataType::Int16 => Values::Int2(array.as_primitive::<Int16Type>().clone()),
            DataType::Int32 => Values::Int4(array.as_primitive::<Int32Type>().clone()),
            DataType::Int64 => Values::Int8(array.as_primitive::<Int64Type>().clone()),
            DataType::UInt32 if self.sql_type == SqlType::Catalog(CatalogType::Regproc) && !self.binary => {
                Values::Utf8View(function_names(array.as_primitive()))
            }
            DataType::UInt32 => Values::Oid(array.as_primitive::<UInt32Type>().clone()),
            DataType::Float32 => Values::Float4(array.as_primitive::<Float32Type>().clone(), self.extra_float_digits),
            DataType::Float64 => Values::Float8(array.as_primitive::<Float64Type>().clone(), self.extra_float_digits),
            DataType::Decimal128(_, scale) => {
                let values = array.as_primitive::<Decimal128Type>().clone();
                match self.quotient.filter(|_| !self.binary) {
                    Some(of) => Values::Quotient(values, *scale, of),
                    None => Values::Decimal128(values, *scale, self.trims()),
                }
            }
            DataType::Decimal256(_, scale) => Values::Decimal256(array.as_primitive::<Decimal256Type>().clone(), *scale, self.trims()),
            DataType::Utf8 => Values::Utf8(array.as_string().clone()),
            DataType::LargeUtf8 => Values::LargeUtf8(array.as_string().clone()),
            DataType::Utf8View if self.sql_type == SqlType::Catalog(CatalogType::Tid) && self.binary => {
                Values::BinaryView(places(array.as_string_view())?)
            }
            DataType::Utf8View => self.text_view(array.as_string_view().clone()),
            DataType::Binary => Values::Binary(array.as_binary().clone()),
            DataType::LargeBinary => Values::LargeBinary(array.as_binary().clone()),
            DataType::BinaryView => Values::BinaryView(array.as_binary_view().clone()),
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>().clone()),
            DataType::Time64(TimeUnit::Microsecond) => Values::Time(array.as_primitive::<Time64MicrosecondType>().clone()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let zone = (self.sql_type == SqlType::Timestamptz).then_some(self.zone);
                Values::Timestamp(array.as_primitive::<TimestampMicrosecondType>().clone(), zone)
            }
            DataType::Interval(_) if *array.data_type() == SqlType::Interval.arrow() => {
                Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>().clone())
            }
            DataType::List(_) => self.bind_list(array.as_list())?,
            DataType::Struct(_) => self.bind_record(array.as_struct())?,
            DataType::Map(_, _) => self.bind_map(array.as_map())?,
            _ => Values::Other,
        })
    }
    fn trims(&self) -> bool {
        self.sql_type == SqlType::Numeric(None)
    }
    fn text_view(&self, array: StringViewArray) -> Values {
        match &self.sql_type {
            SqlType::Char(length) => Values::Padded(array, *length as usize),
            SqlType::Uuid if self.binary => Values::Uuid(array),
            SqlType::Jsonb | SqlType::Jsonpath if self.binary => Values::Jsonb(array),
            // Without a character it is one byte of zero.
            SqlType::Catalog(CatalogType::Char) if self.binary => {
                let byte = |text: &'static str, found: &str| if found.is_empty() { text.to_string() } else { found.to_string() };
                Values::Utf8View(array.iter().map(|found| found.map(|found| byte("\0", found))).collect())
            }
            _ => Values::Utf8View(array),
        }
    }
    fn bind_list(&self, array: &ListArray) -> Result<Values> {
        let element = match &self.sql_type {
            SqlType::Array(element) => (**element).clone(),
            SqlType::Catalog(vector) => vector.element().unwrap_or(SqlType::Text),
            _ => SqlType::of_arrow(&array.value_type()),
        };
        let inner = Box::new(self.with_type(element.clone()).bind(array.values())?);
        let scalar = element.scalar().clone();
        Ok(match &self.sql_type {
            SqlType::Catalog(_) => Values::Vector(array.clone(), inner, scalar),
            _ => Values::List(array.clone(), inner, scalar),
        })
    }
    fn bind_record(&self, array: &StructArray) -> Result<Values> {
        let bind = |(field, column): (&FieldRef, &ArrayRef)| {
            let sql_type = SqlType::of_field(field);
            let column = self.with_type(sql_type.clone()).bind(column)?;
            Ok((sql_type, column))
        };
        Ok(Values::Record(array.fields().iter().zip(array.columns()).map(bind).collect::<Result<_>>()?))
    }
    fn bind_map(&self, array: &MapArray) -> Result<Values> {
        let mut text = self.clone();
        text.binary = false;
        let bind = |column: &ArrayRef| text.with_type(SqlType::of_arrow(column.data_type())).bind(column).map(Box::new);
        let values_type = SqlType::of_arrow(array.values().data_type());
        let bare = matches!(
            values_type,
            SqlType::Boolean
                | SqlType::Int2
                | SqlType::Int4
                | SqlType::Int8
                | SqlType::Numeric(_)
                | SqlType::Float4
                | SqlType::Float8
                | SqlType::Json
        );
        Ok(Values::Map(array.clone(), bind(array.keys())?, bind(array.values())?, bare))
    }
}

impl BoundColumn {
    /// Whether the value at `row` is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row) || *self.array.data_type() == DataType::Null
    }
    /// Appends the value at `row` (which is not NULL), without any length prefix.
    pub fn write(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        if self.binary { self.write_binary(row, out) } else { self.write_text(row, out) }
    }
    fn write_text(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        if self.styles != Styles::default() && self.write_styled(row, out) {
            return Ok(());
        }
        match &self.values {
            Values::Boolean(values) => out.put_u8(if values.value(row) { b't' } else { b'f' }),
            Values::Int2(values) => numeric::write_integer(values.value(row).into(), out),
            Values::Int4(values) => numeric::write_integer(values.value(row).into(), out),
            Values::Int8(values) => numeric::write_integer(values.value(row), out),
            Values::Oid(values) => numeric::write_integer(values.value(row).into(), out),
            Values::Float4(values, digits) => numeric::write_float4(values.value(row), *digits, out),
            Values::Float8(values, digits) => numeric::write_float8(values.value(row), *digits, out),
            Values::Decimal128(values, scale, trim) => numeric::write_decimal(values.value(row), *scale, *trim, out),
            Values::Quotient(values, scale, of) => numeric::write_quotient(values.value(row), *scale, *of, out),
            Values::Decimal256(values, scale, trim) => numeric::write_decimal256(values.value(row), *scale, *trim, out),
            Values::Binary(values) => write_hex(values.value(row), out),
            Values::LargeBinary(values) => write_hex(values.value(row), out),
            Values::BinaryView(values) => write_hex(values.value(row), out),
            Values::Date(values) => datetime::write_date(values.value(row), out),
            // Midnight is also the end of the day: 24:00.
            Values::Time(values) => match values.value(row) {
                DAY_MICROSECONDS => datetime::write_time(DAY_MICROSECONDS, out),
                time => datetime::write_time(time.rem_euclid(DAY_MICROSECONDS), out),
            },
            Values::Timestamp(values, zone) => datetime::write_timestamp(values.value(row), zone.as_ref(), out),
            Values::Interval(values) => interval::write_interval(interval_at(values, row), out),
            Values::List(list, elements, _) => write_array_text(list, elements, row, out)?,
            Values::Vector(list, elements, _) => write_vector(list, elements, row, out)?,
            _ => self.write_either(row, out)?,
        }
        Ok(())
    }
    /// Values of which a style other than the default says how they are written; false for others.
    fn write_styled(&self, row: usize, out: &mut BytesMut) -> bool {
        let dates = self.styles.date != DateForm::Iso;
        match &self.values {
            Values::Date(values) if dates => styles::write_date(values.value(row), self.styles, out),
            Values::Timestamp(values, zone) if dates => styles::write_timestamp(values.value(row), zone.as_ref(), self.styles, out),
            Values::Interval(values) if self.styles.interval != IntervalForm::Postgres => {
                styles::write_interval(interval_at(values, row), self.styles.interval, out);
            }
            Values::Binary(values) if self.styles.escaped_bytes => styles::write_escaped(values.value(row), out),
            Values::LargeBinary(values) if self.styles.escaped_bytes => styles::write_escaped(values.value(row), out),
            Values::BinaryView(values) if self.styles.escaped_bytes => styles::write_escaped(values.value(row), out),
            _ => return false,
        }
        true
    }
    /// Forms that are the same in text and binary.
    fn write_either(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        match &self.values {
            Values::Utf8(values) => out.put_slice(values.value(row).as_bytes()),
            Values::LargeUtf8(values) => out.put_slice(values.value(row).as_bytes()),
            Values::Utf8View(values) | Values::Uuid(values) | Values::Jsonb(values) => out.put_slice(values.value(row).as_bytes()),
            Values::Padded(values, length) => write_padded(values.value(row), *length, out),
            Values::Record(columns) => write_record(columns, row, out)?,
            Values::Map(map, keys, values, bare) => write_map(map, keys, values, *bare, row, out)?,
            _ => self.write_other(row, out)?,
        }
        Ok(())
    }
    fn write_other(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(&self.array, &options)?;
        out.put_slice(formatter.value(row).try_to_string()?.as_bytes());
        Ok(())
    }
    fn write_binary(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        match &self.values {
            Values::Boolean(values) => out.put_u8(values.value(row).into()),
            Values::Int2(values) => out.put_i16(values.value(row)),
            Values::Int4(values) => out.put_i32(values.value(row)),
            Values::Int8(values) => out.put_i64(values.value(row)),
            Values::Oid(values) => out.put_u32(values.value(row)),
            Values::Float4(values, _) => out.put_f32(values.value(row)),
            Values::Float8(values, _) => out.put_f64(values.value(row)),
            Values::Decimal128(..) | Values::Decimal256(..) => {
                let mut text = BytesMut::with_capacity(80);
                self.write_text(row, &mut text)?;
                numeric::write_numeric_binary(&text, out);
            }
            Values::Uuid(values) => write_uuid(values.value(row), out)?,
            Values::Jsonb(values) => {
                out.put_u8(1);
                out.put_slice(values.value(row).as_bytes());
            }
            Values::Binary(values) => out.put_slice(values.value(row)),
            Values::LargeBinary(values) => out.put_slice(values.value(row)),
            Values::BinaryView(values) => out.put_slice(values.value(row)),
            Values::Date(values) => out.put_i32(match values.value(row) {
                infinite @ (i32::MIN | i32::MAX) => infinite,
                days => days.saturating_sub(EPOCH_2000_DAYS),
            }),
            Values::Time(values) => out.put_i64(values.value(row)),
            Values::Timestamp(values, _) => out.put_i64(match values.value(row) {
                infinite @ (i64::MIN | i64::MAX) => infinite,
                micros => micros.saturating_sub(EPOCH_2000_MICROSECONDS),
            }),
            Values::Interval(values) => write_interval_binary(interval_at(values, row), out),
            Values::List(list, elements, scalar) | Values::Vector(list, elements, scalar) => {
                write_array_binary(list, elements, scalar, row, out)?
            }
            Values::Record(columns) => write_record_binary(columns, row, out)?,
            _ => self.write_either(row, out)?,
        }
        Ok(())
    }
}

fn interval_at(values: &IntervalMonthDayNanoArray, row: usize) -> interval::Interval {
    let value = values.value(row);
    interval::Interval { months: value.months, days: value.days, microseconds: value.nanoseconds / 1000 }
}

/// An interval as its type writes it.
pub fn interval_text(value: IntervalMonthDayNano) -> String {
    let mut out = BytesMut::new();
    let interval = interval::Interval { months: value.months, days: value.days, microseconds: value.nanoseconds / 1000 };
    interval::write_interval(interval, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn write_interval_binary(interval: interval::Interval, out: &mut BytesMut) {
    out.put_i64(interval.microseconds);
    out.put_i32(interval.days);
    out.put_i32(interval.months);
}

fn write_hex(bytes: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 + bytes.len() * 2);
    out.put_slice(b"\\x");
    bytes.iter().for_each(|byte| out.put_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}

fn write_padded(text: &str, length: usize, out: &mut BytesMut) {
    out.put_slice(text.as_bytes());
    out.put_bytes(b' ', length.saturating_sub(text.chars().count()));
}

fn write_uuid(text: &str, out: &mut BytesMut) -> Result<()> {
    let bytes = hex::decode(text.replace('-', "")).map_err(|_| SqlError::internal("a uuid is not in its canonical form"))?;
    out.put_slice(&bytes);
    Ok(())
}

/// Names of functions in the place of their OIDs.
/// `tid` in binary: four bytes of a unit's id and two of a row's number, which larger ones do not fit.
fn places(texts: &StringViewArray) -> Result<BinaryViewArray> {
    let place = |text: &str| {
        let (unit, row) = text.trim_matches(['(', ')']).split_once(',')?;
        let (unit, row): (u32, u16) = (unit.parse().ok()?, row.parse().ok()?);
        Some([&unit.to_be_bytes()[..], &row.to_be_bytes()[..]].concat())
    };
    let too_large = || SqlError::unsupported("a ctid of a large table in binary").with_hint("Ask for it as text: ctid::text.");
    let places = texts.iter().map(|text| text.map(|text| place(text).ok_or_else(too_large)).transpose());
    Ok(BinaryViewArray::from_iter(places.collect::<Result<Vec<_>>>()?))
}

fn function_names(oids: &UInt32Array) -> StringViewArray {
    oids.iter().map(|oid| oid.map(crate::catalog::pg_catalog::procedures::shown_name)).collect()
}

/// `1 2`
fn write_vector(list: &ListArray, elements: &BoundColumn, row: usize, out: &mut BytesMut) -> Result<()> {
    let (start, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
    for at in start..end {
        if at > start {
            out.put_u8(b' ');
        }
        elements.write(at, out)?;
    }
    Ok(())
}

fn write_array_text(list: &ListArray, elements: &BoundColumn, row: usize, out: &mut BytesMut) -> Result<()> {
    let (start, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
    let nested = matches!(elements.values, Values::List(..));
    let mut scratch = BytesMut::new();
    out.put_u8(b'{');
    for index in start..end {
        if index > start {
            out.put_u8(b',');
        }
        if elements.is_null(index) {
            out.put_slice(b"NULL");
        } else if nested {
            elements.write_text(index, out)?;
        } else {
            scratch.clear();
            elements.write_text(index, &mut scratch)?;
            write_element(&scratch, out);
        }
    }
    out.put_u8(b'}');
    Ok(())
}

fn write_element(value: &[u8], out: &mut BytesMut) {
    if !array_text::needs_quotes(value) {
        return out.put_slice(value);
    }
    out.put_u8(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

/// `ndim, has nulls, element oid, (length, lower bound)*, (length, value)*`; inner arrays must have equal lengths, as PostgreSQL's have.
fn write_array_binary(list: &ListArray, elements: &BoundColumn, scalar: &SqlType, row: usize, out: &mut BytesMut) -> Result<()> {
    let mut lengths = Vec::new();
    measure(list, elements, row, 0, &mut lengths)?;
    let empty = lengths.contains(&0);
    out.put_i32(if empty { 0 } else { lengths.len() as i32 });
    let has_nulls_at = out.len();
    out.put_i32(0);
    out.put_u32(scalar.oid());
    if empty {
        return Ok(());
    }
    for length in &lengths {
        out.put_i32(*length as i32);
        out.put_i32(1);
    }
    if write_elements_binary(list, elements, row, out)? {
        out[has_nulls_at..][..4].copy_from_slice(&1_i32.to_be_bytes());
    }
    Ok(())
}

fn measure(list: &ListArray, elements: &BoundColumn, row: usize, depth: usize, lengths: &mut Vec<usize>) -> Result<()> {
    let (start, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
    match lengths.get(depth) {
        None => lengths.push(end - start),
        Some(length) if *length == end - start => {}
        Some(_) => return Err(SqlError::unsupported("the binary form of an array whose inner arrays differ in length")),
    }
    if let Values::List(inner, inner_elements, _) = &elements.values {
        for index in start..end {
            measure(inner, inner_elements, index, depth + 1, lengths)?;
        }
    }
    Ok(())
}

/// Answers whether one is NULL.
fn write_elements_binary(list: &ListArray, elements: &BoundColumn, row: usize, out: &mut BytesMut) -> Result<bool> {
    let (start, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
    let mut has_nulls = false;
    for index in start..end {
        match &elements.values {
            Values::List(inner, inner_elements, _) => has_nulls |= write_elements_binary(inner, inner_elements, index, out)?,
            _ if elements.is_null(index) => {
                has_nulls = true;
                out.put_i32(-1);
            }
            _ => write_prefixed(elements, index, out)?,
        }
    }
    Ok(has_nulls)
}

/// Appends a value that is not NULL behind its length in four bytes.
pub(crate) fn write_prefixed(column: &BoundColumn, row: usize, out: &mut BytesMut) -> Result<()> {
    let at = out.len();
    out.put_i32(0);
    column.write(row, out)?;
    let length = i32::try_from(out.len() - at - 4).map_err(|_| too_large())?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn too_large() -> SqlError {
    SqlError::new(crate::error::SqlState::PROGRAM_LIMIT_EXCEEDED, "a value is larger than 2 GiB")
}

/// The number of fields; each with its type and behind its length.
fn write_record_binary(columns: &[(SqlType, BoundColumn)], row: usize, out: &mut BytesMut) -> Result<()> {
    out.put_i32(i32::try_from(columns.len()).map_err(|_| too_large())?);
    for (sql_type, column) in columns {
        out.put_u32(sql_type.oid());
        if column.is_null(row) { out.put_i32(-1) } else { write_prefixed(column, row, out)? }
    }
    Ok(())
}

fn write_record(columns: &[(SqlType, BoundColumn)], row: usize, out: &mut BytesMut) -> Result<()> {
    let mut scratch = BytesMut::new();
    out.put_u8(b'(');
    for (index, (_, column)) in columns.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        if column.is_null(row) {
            continue;
        }
        scratch.clear();
        column.write_text(row, &mut scratch)?;
        write_record_field(&scratch, out);
    }
    out.put_u8(b')');
    Ok(())
}

fn write_record_field(value: &[u8], out: &mut BytesMut) {
    let special = |byte: &u8| matches!(byte, b'(' | b')' | b',' | b'"' | b'\\') || byte.is_ascii_whitespace();
    if !value.is_empty() && !value.iter().any(special) {
        return out.put_slice(value);
    }
    out.put_u8(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(*byte);
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

fn write_map(map: &MapArray, keys: &BoundColumn, values: &BoundColumn, bare: bool, row: usize, out: &mut BytesMut) -> Result<()> {
    let (start, end) = (map.value_offsets()[row] as usize, map.value_offsets()[row + 1] as usize);
    let mut text = String::from("{");
    for index in start..end {
        if index > start {
            text.push_str(", ");
        }
        json::write_string(&text_of(keys, index)?, &mut text);
        text.push_str(": ");
        if values.is_null(index) {
            text.push_str("null");
            continue;
        }
        match (&values.values, bare) {
            (Values::Boolean(values), _) => text.push_str(if values.value(index) { "true" } else { "false" }),
            (_, true) => text.push_str(&text_of(values, index)?),
            (_, false) => json::write_string(&text_of(values, index)?, &mut text),
        }
    }
    text.push('}');
    out.put_slice(text.as_bytes());
    Ok(())
}

fn text_of(column: &BoundColumn, row: usize) -> Result<String> {
    let mut out = BytesMut::new();
    column.write_text(row, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests;
