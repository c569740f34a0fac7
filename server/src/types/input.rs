//! Text and binary forms -> Arrow arrays, as PostgreSQL's input functions read them.

use super::array_text::{self, Item};
use super::forms::{Reading, ValueForms};
use super::{CatalogType, SqlType, UNCONSTRAINED, datetime, interval, json, numeric};
use crate::error::{Result, SqlError, SqlState};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, ListArray, NullBufferBuilder, StringViewArray,
    StringViewBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder, UInt32Builder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, i256};
use datafusion::common::ScalarValue;
use std::borrow::Cow;
use std::sync::Arc;

mod quick;

/// Builds one column from values in text or binary form.
pub struct ColumnBuilder {
    sql_type: SqlType,
    reading: Reading,
    values: Values,
    bytes: usize,
}

enum Values {
    Boolean(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Oid(UInt32Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Text(StringViewBuilder),
    Bytes(BinaryViewBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Array(Box<Elements>),
}

struct Elements {
    values: ColumnBuilder,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

/// Runs the same code on whichever builder there is.
macro_rules! each_builder {
    ($values:expr, $builder:ident => $body:expr, $list:ident => $list_body:expr) => {
        match $values {
            Values::Boolean($builder) => $body,
            Values::Int2($builder) => $body,
            Values::Int4($builder) => $body,
            Values::Int8($builder) => $body,
            Values::Float4($builder) => $body,
            Values::Float8($builder) => $body,
            Values::Oid($builder) => $body,
            Values::Decimal128($builder, _, _) => $body,
            Values::Decimal256($builder, _, _) => $body,
            Values::Text($builder) => $body,
            Values::Bytes($builder) => $body,
            Values::Date($builder) => $body,
            Values::Time($builder) => $body,
            Values::Timestamp($builder) => $body,
            Values::Interval($builder) => $body,
            Values::Array($list) => $list_body,
        }
    };
}

impl ColumnBuilder {
    /// A builder for values of a type. `rows` is the expected number. Texts are read by the default forms; see
    /// [`ColumnBuilder::with_forms`].
    pub fn new(sql_type: &SqlType, rows: usize) -> Self {
        Self { sql_type: sql_type.clone(), reading: Reading::default(), values: Values::new(sql_type, rows), bytes: 0 }
    }
    /// Says what texts are read by.
    pub fn with_forms(mut self, forms: &ValueForms) -> Self {
        self.set_reading(forms.reading());
        self
    }
    fn set_reading(&mut self, reading: Reading) {
        self.reading = reading;
        if let Values::Array(elements) = &mut self.values {
            elements.values.set_reading(reading);
        }
    }
    /// Appends NULL.
    pub fn append_null(&mut self) {
        self.bytes += 1;
        each_builder!(&mut self.values, builder => builder.append_null(), list => list.end_row(false));
    }
    /// Appends a value given as text (22P02, 22003, 22007, 22008, 22001 with PostgreSQL's messages).
    pub fn append_text(&mut self, text: &str) -> Result<()> {
        self.bytes += 16 + if text.len() > 12 { text.len() } else { 0 };
        match &mut self.values {
            Values::Boolean(builder) => builder.append_value(parse_boolean(text)?),
            Values::Int2(builder) => builder.append_value(integer::<i16>(text, "smallint")?),
            Values::Int4(builder) => builder.append_value(integer::<i32>(text, "integer")?),
            Values::Int8(builder) => builder.append_value(integer::<i64>(text, "bigint")?),
            Values::Oid(builder) => builder.append_value(parse_integer::<u32>(text, "oid")?),
            Values::Float4(builder) => builder.append_value(parse_float4(text)?),
            Values::Float8(builder) => builder.append_value(parse_float8(text)?),
            Values::Decimal128(builder, precision, scale) => {
                let value = match quick::decimal(text, *precision, *scale) {
                    Some(value) => value,
                    None => numeric::parse_decimal(text, *precision, *scale, self.sql_type != SqlType::Numeric(None))?,
                };
                builder.append_value(value);
            }
            Values::Decimal256(builder, precision, scale) => {
                builder.append_value(i256::from_i128(numeric::parse_decimal(text, (*precision).min(38), *scale, true)?));
            }
            Values::Text(builder) => builder.append_value(normal_text(&self.sql_type, text)?),
            Values::Bytes(builder) => builder.append_value(parse_bytea(text)?),
            Values::Date(builder) => builder.append_value(datetime::parse_date(text, &self.reading)?),
            Values::Time(builder) => builder.append_value(datetime::parse_time(text, &self.reading)?),
            Values::Timestamp(builder) => builder.append_value(match self.sql_type {
                SqlType::Timestamptz => datetime::parse_timestamptz(text, &self.reading)?,
                _ => datetime::parse_timestamp(text, &self.reading)?,
            }),
            Values::Interval(builder) => builder.append_value(arrow_interval(interval::parse_interval(text, self.reading.interval)?)),
            Values::Array(elements) => elements.append_items(array_text::parse(text)?)?,
        }
        Ok(())
    }
    /// Appends a value given in PostgreSQL's binary form (22P03).
    pub fn append_binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += 16 + if bytes.len() > 12 { bytes.len() } else { 0 };
        match &mut self.values {
            Values::Boolean(builder) => builder.append_value(fixed::<1>(bytes)?[0] != 0),
            Values::Int2(builder) => builder.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Values::Int4(builder) => builder.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Values::Int8(builder) => builder.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Values::Oid(builder) => builder.append_value(u32::from_be_bytes(fixed(bytes)?)),
            Values::Float4(builder) => builder.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Values::Float8(builder) => builder.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Values::Decimal128(..) | Values::Decimal256(..) => {
                let text = numeric::numeric_text_from_binary(bytes)?;
                return self.append_text(&text);
            }
            Values::Text(builder) => builder.append_value(normal_text(&self.sql_type, &text_from_binary(&self.sql_type, bytes)?)?),
            Values::Bytes(builder) => builder.append_value(bytes),
            Values::Date(builder) => builder.append_value(date_from_binary(bytes)?),
            Values::Time(builder) => builder.append_value(time_from_binary(bytes)?),
            Values::Timestamp(builder) => builder.append_value(timestamp_from_binary(bytes)?),
            Values::Interval(builder) => builder.append_value(interval_from_binary(bytes)?),
            Values::Array(elements) => elements.append_binary(bytes)?,
        }
        Ok(())
    }
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// Finishes the column, and starts afresh.
    pub fn finish(&mut self) -> ArrayRef {
        self.bytes = 0;
        each_builder!(&mut self.values, builder => Arc::new(builder.finish()) as ArrayRef, list => list.finish())
    }
}

impl Values {
    fn new(sql_type: &SqlType, rows: usize) -> Self {
        let arrow = sql_type.arrow();
        match sql_type {
            SqlType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            SqlType::Int2 => Self::Int2(Int16Builder::with_capacity(rows)),
            SqlType::Int4 => Self::Int4(Int32Builder::with_capacity(rows)),
            SqlType::Int8 => Self::Int8(Int64Builder::with_capacity(rows)),
            SqlType::Float4 => Self::Float4(Float32Builder::with_capacity(rows)),
            SqlType::Float8 => Self::Float8(Float64Builder::with_capacity(rows)),
            SqlType::Oid => Self::Oid(UInt32Builder::with_capacity(rows)),
            SqlType::Numeric(modifiers) => {
                let (precision, scale) = modifiers.unwrap_or(UNCONSTRAINED);
                if precision > 38 {
                    Self::Decimal256(Decimal256Builder::with_capacity(rows).with_data_type(arrow), precision, scale)
                } else {
                    Self::Decimal128(Decimal128Builder::with_capacity(rows).with_data_type(arrow), precision, scale)
                }
            }
            SqlType::Bytea => Self::Bytes(BinaryViewBuilder::with_capacity(rows)),
            SqlType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            SqlType::Time => Self::Time(Time64MicrosecondBuilder::with_capacity(rows)),
            SqlType::Timestamp | SqlType::Timestamptz => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(arrow))
            }
            SqlType::Interval => Self::Interval(IntervalMonthDayNanoBuilder::with_capacity(rows)),
            SqlType::Array(element) => Self::Array(Box::new(Elements::new(element, rows))),
            SqlType::Catalog(CatalogType::Regproc | CatalogType::Xid | CatalogType::Cid) => Self::Oid(UInt32Builder::with_capacity(rows)),
            SqlType::Catalog(CatalogType::Int2Vector) => Self::Array(Box::new(Elements::new(&SqlType::Int2, rows))),
            SqlType::Catalog(CatalogType::OidVector) => Self::Array(Box::new(Elements::new(&SqlType::Oid, rows))),
            _ => Self::Text(StringViewBuilder::with_capacity(rows)),
        }
    }
}

impl Elements {
    fn new(element: &SqlType, rows: usize) -> Self {
        Self { values: ColumnBuilder::new(element, rows), offsets: vec![0], nulls: NullBufferBuilder::new(rows) }
    }
    fn len(&self) -> usize {
        each_builder!(&self.values.values, builder => arrow::array::ArrayBuilder::len(builder), list => list.offsets.len() - 1)
    }
    fn end_row(&mut self, valid: bool) {
        self.offsets.push(i32::try_from(self.len()).unwrap_or(i32::MAX));
        self.nulls.append(valid);
    }
    fn append_items(&mut self, items: Vec<Item>) -> Result<()> {
        self.check_room(items.len())?;
        for item in items {
            match (item, &mut self.values.values) {
                (Item::Null, _) => self.values.append_null(),
                (Item::Array(inner), Values::Array(elements)) => elements.append_items(inner)?,
                (Item::Value(text), Values::Array(_)) => return Err(wrong_dimensions(&text)),
                (Item::Value(text), _) => self.values.append_text(&text)?,
                (Item::Array(_), _) => return Err(wrong_dimensions("{...}")),
            }
        }
        self.end_row(true);
        Ok(())
    }
    fn check_room(&self, more: usize) -> Result<()> {
        if self.len() + more > i32::MAX as usize {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many array elements in one batch"));
        }
        Ok(())
    }
    fn append_binary(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = BinaryReader { bytes };
        let dimensions = reader.int()?;
        let _has_nulls = reader.int()?;
        let _element_oid = reader.int()?;
        if !(0..=6).contains(&dimensions) {
            return Err(bad_binary());
        }
        let mut lengths = Vec::new();
        for _ in 0..dimensions {
            lengths.push(usize::try_from(reader.int()?).map_err(|_| bad_binary())?);
            let _lower_bound = reader.int()?;
        }
        if lengths.is_empty() {
            lengths.push(0);
        }
        self.append_dimension(&lengths, &mut reader)
    }
    fn append_dimension(&mut self, lengths: &[usize], reader: &mut BinaryReader<'_>) -> Result<()> {
        let (length, inner) = (lengths[0], &lengths[1..]);
        for _ in 0..length {
            match (&mut self.values.values, inner.is_empty()) {
                (Values::Array(elements), false) => elements.append_dimension(inner, reader)?,
                (Values::Array(_), true) | (_, false) => return Err(wrong_dimensions("binary array")),
                (_, true) => match reader.value()? {
                    Some(value) => self.values.append_binary(value)?,
                    None => self.values.append_null(),
                },
            }
        }
        self.check_room(0)?;
        self.end_row(true);
        Ok(())
    }
    fn finish(&mut self) -> ArrayRef {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let field = Arc::new(Field::new_list_field(self.values.sql_type.arrow(), true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Arc::new(ListArray::new(field, offsets, self.values.finish(), self.nulls.finish()))
    }
}

struct BinaryReader<'a> {
    bytes: &'a [u8],
}

impl<'a> BinaryReader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(bad_binary)?;
        self.bytes = rest;
        Ok(taken)
    }
    fn int(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(fixed(self.take(4)?)?))
    }
    fn value(&mut self) -> Result<Option<&'a [u8]>> {
        match self.int()? {
            -1 => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| bad_binary())?).map(Some),
        }
    }
}

fn wrong_dimensions(text: &str) -> SqlError {
    SqlError::unsupported(format!("an array with another number of dimensions than its type has (\"{text}\")"))
        .with_hint("Declare the type with as many pairs of brackets as the values have dimensions, for instance integer[][].")
}

fn bad_binary() -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| bad_binary())
}

fn invalid_syntax(type_name: &str, text: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {type_name}: \"{text}\""))
}

fn parse_boolean(text: &str) -> Result<bool> {
    let word = text.trim_ascii().to_ascii_lowercase();
    let is = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if word == "1" || is("true", 1) || is("yes", 1) || is("on", 2) {
        return Ok(true);
    }
    if word == "0" || is("false", 1) || is("no", 1) || is("off", 2) {
        return Ok(false);
    }
    Err(invalid_syntax("boolean", text))
}

#[inline]
fn integer<T: TryFrom<i64> + TryFrom<i128>>(text: &str, type_name: &str) -> Result<T> {
    match quick::integer(text).and_then(|value| T::try_from(value).ok()) {
        Some(value) => Ok(value),
        None => parse_integer(text, type_name),
    }
}

/// An integer, its digits summed in 64 bits as long as they fit.
fn parse_integer<T: TryFrom<i128>>(text: &str, type_name: &str) -> Result<T> {
    let bytes = text.trim_ascii().as_bytes();
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid_syntax(type_name, text));
    }
    let digits = &digits[digits.iter().take_while(|digit| **digit == b'0').count()..];
    let magnitude = match digits.len() {
        0..=18 => Some(i128::from(digits.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0')))),
        19..=20 => Some(digits.iter().fold(0i128, |sum, digit| sum * 10 + i128::from(digit - b'0'))),
        _ => None,
    };
    let value = magnitude.map(|value| if negative { -value } else { value }).and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| {
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{text}\" is out of range for type {type_name}"))
    })
}

fn float_out_of_range(text: &str, type_name: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{}\" is out of range for type {type_name}", text.trim_ascii()))
}

fn parse_float8(text: &str) -> Result<f64> {
    let value: f64 = text.trim_ascii().parse().map_err(|_| invalid_syntax("double precision", text))?;
    if lost(text, value.is_infinite(), value == 0.0) { Err(float_out_of_range(text, "double precision")) } else { Ok(value) }
}

fn parse_float4(text: &str) -> Result<f32> {
    let value: f32 = text.trim_ascii().parse().map_err(|_| invalid_syntax("real", text))?;
    if lost(text, value.is_infinite(), value == 0.0) { Err(float_out_of_range(text, "real")) } else { Ok(value) }
}

/// Whether a number became infinite or zero that was neither.
fn lost(text: &str, infinite: bool, zero: bool) -> bool {
    let mantissa = || text.split(['e', 'E']).next().unwrap_or(text);
    (infinite && text.bytes().any(|byte| byte.is_ascii_digit())) || (zero && mantissa().bytes().any(|byte| matches!(byte, b'1'..=b'9')))
}

fn parse_bytea(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => parse_hex(digits),
        None => parse_escaped_bytes(text),
    }
}

fn parse_hex(digits: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut high: Option<u8> = None;
    for c in digits.chars().filter(|c| !c.is_ascii_whitespace()) {
        let Some(digit) = c.to_digit(16) else {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid hexadecimal digit: \"{c}\"")));
        };
        match high.take() {
            Some(high) => bytes.push(high << 4 | digit as u8),
            None => high = Some(digit as u8),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid hexadecimal data: odd number of digits")),
    }
}

fn parse_escaped_bytes(text: &str) -> Result<Vec<u8>> {
    let mut rest = text.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            (b'\\', _) => return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")),
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    Ok(bytes)
}

/// The form in which a text type keeps a text.
fn normal_text<'a>(sql_type: &SqlType, text: &'a str) -> Result<Cow<'a, str>> {
    match sql_type {
        SqlType::Varchar(Some(length)) => limited(text, *length, "character varying").map(Cow::Borrowed),
        SqlType::Char(length) => limited(text.trim_end_matches(' '), *length, "character").map(Cow::Borrowed),
        SqlType::Uuid => normal_uuid(text).map(Cow::Owned),
        SqlType::Json => json::validate(text).map(|()| Cow::Borrowed(text)),
        SqlType::Jsonb => json::normalize(text).map(Cow::Owned),
        SqlType::Jsonpath => super::jsonpath::normalized(text).map(Cow::Owned),
        SqlType::Name => Ok(Cow::Borrowed(&text[..text.floor_char_boundary(63)])),
        _ => Ok(Cow::Borrowed(text)),
    }
}

/// Blanks beyond the length are cut off, anything else is refused.
fn limited<'a>(text: &'a str, length: u32, type_name: &str) -> Result<&'a str> {
    let length_max = length as usize;
    if text.len() <= length_max {
        return Ok(text);
    }
    match text.char_indices().nth(length_max) {
        None => Ok(text),
        Some((end, _)) if text[end..].bytes().all(|byte| byte == b' ') => Ok(&text[..end]),
        Some(_) => Err(SqlError::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value too long for type {type_name}({length})"))),
    }
}

fn normal_uuid(text: &str) -> Result<String> {
    let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'));
    let digits: Option<Vec<u8>> = inner.and_then(|inner| {
        let mut digits = Vec::with_capacity(32);
        for byte in inner.bytes() {
            match byte {
                b'-' if !digits.is_empty() && digits.len() % 4 == 0 && digits.len() < 32 => {}
                byte if byte.is_ascii_hexdigit() && digits.len() < 32 => digits.push(byte.to_ascii_lowercase()),
                _ => return None,
            }
        }
        (digits.len() == 32).then_some(digits)
    });
    let digits = digits.ok_or_else(|| invalid_syntax("uuid", text))?;
    Ok(hyphenated(&digits))
}

fn hyphenated(digits: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, digit) in digits.iter().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(char::from(*digit));
    }
    text
}

fn text_from_binary<'a>(sql_type: &SqlType, bytes: &'a [u8]) -> Result<Cow<'a, str>> {
    match (sql_type, bytes) {
        (SqlType::Uuid, _) => Ok(Cow::Owned(hyphenated(hex::encode(fixed::<16>(bytes)?).as_bytes()))),
        (SqlType::Jsonb | SqlType::Jsonpath, [1, rest @ ..]) => utf8(rest).map(Cow::Borrowed),
        (SqlType::Jsonb, _) => Err(SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "unsupported jsonb version number")),
        _ => utf8(bytes).map(Cow::Borrowed),
    }
}

/// Bytes as text, or PostgreSQL's error (22021) that shows the first bad bytes. A zero byte is refused too.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    let bad = |at: usize| {
        let shown: Vec<String> = bytes[at..].iter().take(if bytes[at] == 0 { 1 } else { 2 }).map(|byte| format!("0x{byte:02x}")).collect();
        SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")))
    };
    let text = std::str::from_utf8(bytes).map_err(|error| bad(error.valid_up_to()))?;
    match memchr::memchr(0, bytes) {
        None => Ok(text),
        Some(at) => Err(bad(at)),
    }
}

fn date_from_binary(bytes: &[u8]) -> Result<i32> {
    match i32::from_be_bytes(fixed(bytes)?) {
        infinite @ (i32::MAX | i32::MIN) => Ok(infinite),
        days => {
            days.checked_add(datetime::EPOCH_2000_DAYS).ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"))
        }
    }
}

fn time_from_binary(bytes: &[u8]) -> Result<i64> {
    let microseconds = i64::from_be_bytes(fixed(bytes)?);
    match (0..datetime::DAY_MICROSECONDS).contains(&microseconds) {
        true => Ok(microseconds),
        false => Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range")),
    }
}

fn timestamp_from_binary(bytes: &[u8]) -> Result<i64> {
    match i64::from_be_bytes(fixed(bytes)?) {
        infinite @ (i64::MAX | i64::MIN) => Ok(infinite),
        microseconds => microseconds
            .checked_add(datetime::EPOCH_2000_MICROSECONDS)
            .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")),
    }
}

fn interval_from_binary(bytes: &[u8]) -> Result<IntervalMonthDayNano> {
    let bytes = fixed::<16>(bytes)?;
    let microseconds = i64::from_be_bytes(fixed(&bytes[..8])?);
    let (days, months) = (i32::from_be_bytes(fixed(&bytes[8..12])?), i32::from_be_bytes(fixed(&bytes[12..])?));
    if microseconds.checked_mul(1000).is_none() {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"));
    }
    Ok(arrow_interval(interval::Interval { months, days, microseconds }))
}

fn arrow_interval(interval: interval::Interval) -> IntervalMonthDayNano {
    IntervalMonthDayNano::new(interval.months, interval.days, interval.microseconds.saturating_mul(1000))
}

/// One value from text, read by the default forms.
pub fn scalar_from_text(sql_type: &SqlType, text: &str) -> Result<ScalarValue> {
    scalar_from_text_in(sql_type, text, &ValueForms::default())
}

/// One value from text, read by the session's forms.
pub fn scalar_from_text_in(sql_type: &SqlType, text: &str, forms: &ValueForms) -> Result<ScalarValue> {
    let mut builder = ColumnBuilder::new(sql_type, 1).with_forms(forms);
    builder.append_text(text)?;
    Ok(ScalarValue::try_from_array(&builder.finish(), 0)?)
}

/// One value from PostgreSQL's binary form.
pub fn scalar_from_binary(sql_type: &SqlType, bytes: &[u8]) -> Result<ScalarValue> {
    let mut builder = ColumnBuilder::new(sql_type, 1);
    builder.append_binary(bytes)?;
    Ok(ScalarValue::try_from_array(&builder.finish(), 0)?)
}

/// Makes a column fit its declared type where the Arrow form does not say it all, as an assignment cast does: varchar(n) and char(n) lengths
/// (22001), uuid and json texts (22P02, and their normal forms). The array has the type's Arrow form already.
pub fn coerce_assignment(sql_type: &SqlType, values: ArrayRef) -> Result<ArrayRef> {
    match sql_type {
        SqlType::Varchar(Some(_))
        | SqlType::Char(_)
        | SqlType::Uuid
        | SqlType::Json
        | SqlType::Jsonb
        | SqlType::Jsonpath
        | SqlType::Name => coerce_texts(sql_type, values),
        SqlType::Array(element) => coerce_elements(element, values),
        _ => Ok(values),
    }
}

fn coerce_texts(sql_type: &SqlType, values: ArrayRef) -> Result<ArrayRef> {
    let values = if *values.data_type() == DataType::Utf8View { values } else { arrow::compute::cast(&values, &DataType::Utf8View)? };
    let texts: &StringViewArray = values.as_string_view();
    let mut changed: Option<StringViewBuilder> = None;
    for (row, text) in texts.iter().enumerate() {
        let normal = text.map(|text| normal_text(sql_type, text)).transpose()?;
        if changed.is_none() && normal.as_deref() != text {
            let mut builder = StringViewBuilder::with_capacity(texts.len());
            texts.iter().take(row).for_each(|text| builder.append_option(text));
            changed = Some(builder);
        }
        if let Some(builder) = &mut changed {
            builder.append_option(normal);
        }
    }
    Ok(match changed {
        Some(mut builder) => Arc::new(builder.finish()),
        None => values,
    })
}

fn coerce_elements(element: &SqlType, values: ArrayRef) -> Result<ArrayRef> {
    let Some(list) = values.as_list_opt::<i32>() else { return Ok(values) };
    let DataType::List(field) = list.data_type() else { return Ok(values) };
    let inner = coerce_assignment(element, list.values().clone())?;
    Ok(Arc::new(ListArray::new(field.clone(), list.offsets().clone(), inner, list.nulls().cloned())))
}

#[cfg(test)]
mod tests;
