//! Explicit casts between SQL types: `CAST(x AS t)` and `x::t`, whole columns at a time.
//!
//! Text becomes anything by the type's input function, anything becomes text by its output function; between numbers, dates and times the
//! rules are PostgreSQL's: integers are rounded to, never truncated, and what does not fit is an error.

use super::input::ColumnBuilder;
use super::output::ColumnEncoder;
use super::{SqlType, UNCONSTRAINED, datetime, float_digits};
use crate::error::{Result, SqlError, SqlState};
use crate::types::forms::ValueForms;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, IntervalMonthDayNanoArray, ListArray,
    StringViewBuilder, Time64MicrosecondArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use bytes::BytesMut;
use std::sync::Arc;

/// Whether PostgreSQL has an explicit cast between two types.
pub fn castable(from: &SqlType, to: &SqlType) -> bool {
    use SqlType::{Array, Boolean, Bytea, Date, Int4, Interval, Json, Jsonb, Time, Timestamp, Timestamptz, Uuid};
    match (from, to) {
        _ if is_string(from) || is_string(to) => true,
        (Array(from), Array(to)) => castable(from.scalar(), to.scalar()),
        (Array(_), _) | (_, Array(_)) => false,
        (from, to) if is_number(from) && is_number(to) => true,
        (Int4, Boolean) | (Boolean, Int4) => true,
        (Jsonb, to) if is_number(to) || *to == Boolean => true,
        (Json | Jsonb, Json | Jsonb) => true,
        (Date | Timestamp | Timestamptz, Date | Timestamp | Timestamptz) => true,
        (Timestamp | Timestamptz | Interval | Time, Time) | (Time | Interval, Interval) => true,
        (Boolean, Boolean) | (Bytea, Bytea) | (Uuid, Uuid) | (SqlType::Jsonpath, SqlType::Jsonpath) => true,
        _ => false,
    }
}

/// `cannot cast type integer to date`.
pub fn cannot_cast(from: &SqlType, to: &SqlType) -> SqlError {
    SqlError::new(SqlState::CANNOT_COERCE, format!("cannot cast type {} to {}", without_modifiers(from), without_modifiers(to)))
}

/// A type's name without modifiers.
pub fn without_modifiers(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Array(element) => format!("{}[]", without_modifiers(element.scalar())),
        other => other.name().split('(').next().unwrap_or_default().to_string(),
    }
}

/// Text of any length or kind that is kept as it is.
pub fn is_string(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Name)
        || matches!(sql_type, SqlType::Catalog(of_catalog) if of_catalog.arrow() == arrow::datatypes::DataType::Utf8View)
}

/// Integers, floats and decimals.
pub fn is_number(sql_type: &SqlType) -> bool {
    use SqlType::{Float4, Float8, Int2, Int4, Int8, Numeric, Oid};
    matches!(sql_type, Int2 | Int4 | Int8 | Float4 | Float8 | Numeric(_) | Oid)
}

/// Casts a column, explicitly. The result has the Arrow form of `to`.
pub fn convert(values: &ArrayRef, from: &SqlType, to: &SqlType, forms: &ValueForms) -> Result<ArrayRef> {
    use SqlType::{Array, Boolean, Interval, Json, Jsonb, Time};
    if *values.data_type() == DataType::Null {
        return Ok(new_null_array(&to.arrow(), values.len()));
    }
    match (from, to) {
        (from, to) if is_string(from) || matches!((from, to), (Json | Jsonb, Json | Jsonb)) => read(values, to, forms),
        (from, to) if is_string(to) => write(values, from, forms).and_then(|texts| shorten(texts, to)),
        (Array(from), Array(to)) => elements(values, from, to, forms),
        (Jsonb, to) => json_scalars(values, to, forms),
        (from, to) if is_number(from) && is_number(to) => numbers(values, to),
        (Boolean, to) if *to != Boolean => Ok(cast(values, &to.arrow())?),
        (from, Boolean) if *from != Boolean => Ok(cast(values, &DataType::Boolean)?),
        (Time, Interval) => intervals_of_times(values),
        (Interval, Time) => times_of_intervals(values),
        (from, to) if is_moment(from) && (is_moment(to) || *to == Time) => moments(values, to, forms),
        (_, to) if to.arrow() == *values.data_type() => Ok(values.clone()),
        (_, to) => Ok(cast(values, &to.arrow())?),
    }
}

fn is_moment(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz)
}

/// Texts, read by a type's input function; an explicit cast cuts text to the length of its type.
fn read(values: &ArrayRef, to: &SqlType, forms: &ValueForms) -> Result<ArrayRef> {
    let texts = if *values.data_type() == DataType::Utf8View { values.clone() } else { cast(values, &DataType::Utf8View)? };
    if is_string(to) {
        return shorten(texts, to);
    }
    let mut builder = ColumnBuilder::new(to, texts.len()).with_forms(forms);
    for text in texts.as_string_view() {
        match text {
            Some(text) => builder.append_text(text)?,
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

fn shorten(texts: ArrayRef, to: &SqlType) -> Result<ArrayRef> {
    let (length_max, blank) = match to {
        SqlType::Varchar(Some(length)) => (*length as usize, false),
        SqlType::Char(length) => (*length as usize, true),
        _ => return Ok(texts),
    };
    let cut = |text: &str| {
        let text = text.char_indices().nth(length_max).map_or(text, |(end, _)| &text[..end]);
        if blank { text.trim_end_matches(' ').to_string() } else { text.to_string() }
    };
    let mut builder = StringViewBuilder::with_capacity(texts.len());
    texts.as_string_view().iter().for_each(|text| builder.append_option(text.map(cut)));
    Ok(Arc::new(builder.finish()))
}

/// Values as their type's output function writes them; a boolean is spelled out.
pub fn write(values: &ArrayRef, from: &SqlType, forms: &ValueForms) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(values.len());
    if let Some(booleans) = values.as_boolean_opt() {
        booleans.iter().for_each(|value| builder.append_option(value.map(|value| if value { "true" } else { "false" })));
        return Ok(Arc::new(builder.finish()));
    }
    let bound = ColumnEncoder::new(from, false, forms).bind(values)?;
    let mut text = BytesMut::new();
    for row in 0..values.len() {
        if bound.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        bound.write(row, &mut text)?;
        builder.append_value(String::from_utf8_lossy(&text));
    }
    Ok(Arc::new(builder.finish()))
}

fn elements(values: &ArrayRef, from: &SqlType, to: &SqlType, forms: &ValueForms) -> Result<ArrayRef> {
    let list = match values.as_list_opt::<i32>() {
        Some(list) => list.clone(),
        None => cast(values, &DataType::List(Arc::new(Field::new_list_field(from.arrow(), true))))?.as_list().clone(),
    };
    let inner = match (from, to) {
        // Casting keeps the dimensions: integer[][] to text[] is text[][].
        (SqlType::Array(inner), to) if !matches!(to, SqlType::Array(_)) => elements(list.values(), inner, to, forms)?,
        (from, SqlType::Array(inner)) if !matches!(from, SqlType::Array(_)) => convert(list.values(), from, inner.scalar(), forms)?,
        (from, to) => convert(list.values(), from, to, forms)?,
    };
    let field = Arc::new(Field::new_list_field(inner.data_type().clone(), true));
    Ok(Arc::new(ListArray::new(field, list.offsets().clone(), inner, list.nulls().cloned())))
}

/// A number or boolean of JSON, taken out.
fn json_scalars(values: &ArrayRef, to: &SqlType, forms: &ValueForms) -> Result<ArrayRef> {
    let texts = cast(values, &DataType::Utf8View)?;
    let mut builder = ColumnBuilder::new(&SqlType::Numeric(None), texts.len());
    let mut booleans = Vec::new();
    for text in texts.as_string_view() {
        let number = text.is_none_or(|text| text.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
        match (text, to) {
            (None, _) => {
                builder.append_null();
                booleans.push(None);
            }
            (Some(word @ ("true" | "false")), SqlType::Boolean) => booleans.push(Some(word == "true")),
            (Some(text), to) if number && *to != SqlType::Boolean => builder.append_text(text)?,
            (Some(text), to) => return Err(not_that_json(text, to)),
        }
    }
    match to {
        SqlType::Boolean => Ok(Arc::new(BooleanArray::from(booleans))),
        to => convert(&builder.finish(), &SqlType::Numeric(None), to, forms),
    }
}

fn not_that_json(text: &str, to: &SqlType) -> SqlError {
    let kind = match text.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "numeric",
    };
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("cannot cast jsonb {kind} to type {}", without_modifiers(to)))
}

/// Between numbers: rounded, and checked.
pub fn numbers(values: &ArrayRef, to: &SqlType) -> Result<ArrayRef> {
    let target = to.arrow();
    if *values.data_type() == target {
        return Ok(values.clone());
    }
    if let (Some(decimals), DataType::Float64) = (values.as_any().downcast_ref::<Decimal128Array>(), &target) {
        return Ok(Arc::new(doubles(decimals)));
    }
    if let Some(decimals) = float_digits::decimals(values, &target) {
        return Ok(decimals);
    }
    if *to == SqlType::Numeric(None) {
        require_places(values)?;
    }
    let rounded = if target.is_integer() { rounded(values)? } else { values.clone() };
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let result = cast_with_options(&rounded, &target, &strict).map_err(|_| out_of_range(to))?;
    check_infinities(values, &result)?;
    Ok(result)
}

/// That a numeric without precision keeps all digits of numerics that were declared or written with theirs. Those of full precision are
/// results of divisions and the like, which are rounded anyway.
fn require_places(values: &ArrayRef) -> Result<()> {
    let (DataType::Decimal128(precision, scale), (_, places)) = (values.data_type(), UNCONSTRAINED) else { return Ok(()) };
    if *precision == UNCONSTRAINED.0 || *scale <= places {
        return Ok(());
    }
    let unit = 10i128.pow(u32::from((scale - places).unsigned_abs()));
    match values.as_primitive::<Decimal128Type>().iter().flatten().any(|value| value % unit != 0) {
        true => Err(super::numeric::too_many_places(places)),
        false => Ok(()),
    }
}

/// `integer out of range`.
pub fn out_of_range(sql_type: &SqlType) -> SqlError {
    let message = match sql_type {
        SqlType::Numeric(_) => "numeric field overflow".to_string(),
        other => format!("{} out of range", other.name()),
    };
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

/// The nearest double of each decimal. Where there is a NULL the value can be any.
fn doubles(decimals: &Decimal128Array) -> Float64Array {
    const EXACT: u128 = 1 << 53;
    let scale = i32::from(decimals.scale());
    let nearest = |value: i128| match scale {
        // Both are exact, and so the quotient is rounded once.
        0..=22 if value.unsigned_abs() <= EXACT => value as f64 / 10f64.powi(scale),
        _ => format!("{value}e{}", -scale).parse().unwrap_or(f64::NAN),
    };
    decimals.unary::<_, Float64Type>(nearest)
}

/// Numbers as PostgreSQL rounds them to integers: floats half to even, decimals half away from zero. Arrow would truncate.
fn rounded(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Float64 => Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even)),
        DataType::Float32 => Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even)),
        DataType::Decimal128(_, scale) if *scale > 0 => Arc::new(whole(values.as_primitive::<Decimal128Type>(), *scale)),
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) if *scale > 0 => {
            rounded(&cast(values, &DataType::Decimal128(38, *scale))?)?
        }
        DataType::Decimal256(_, scale) if *scale > 0 => cast(values, &DataType::Decimal256(76, 0))?,
        _ => values.clone(),
    })
}

fn whole(values: &Decimal128Array, scale: i8) -> Decimal128Array {
    let unit = 10i128.pow(u32::from(scale.unsigned_abs()));
    let round = |value: i128| value / unit + if (value % unit).abs() * 2 >= unit { value.signum() } else { 0 };
    values.unary::<_, Decimal128Type>(round).with_data_type(DataType::Decimal128(38, 0))
}

/// A number that does not fit into a float became infinite or zero: that is out of range.
fn check_infinities(before: &ArrayRef, after: &ArrayRef) -> Result<()> {
    let Some(after) = after.as_any().downcast_ref::<Float32Array>() else { return Ok(()) };
    let Some(before) = before.as_any().downcast_ref::<Float64Array>() else { return Ok(()) };
    for (before, after) in before.iter().zip(after).filter_map(|(before, after)| Some((before?, after?))) {
        let lost = match (before, after) {
            (before, after) if before.is_finite() && after.is_infinite() => "overflow",
            (before, after) if before != 0.0 && after == 0.0 => "underflow",
            _ => continue,
        };
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value out of range: {lost}")));
    }
    Ok(())
}

/// Dates and timestamps, where the session's time zone decides between those with and without a zone.
fn moments(values: &ArrayRef, to: &SqlType, forms: &ValueForms) -> Result<ArrayRef> {
    let zone = forms.zone();
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let zoned = matches!(values.data_type(), DataType::Timestamp(_, Some(_)));
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let local = match values.data_type() {
        DataType::Date32 => local_of_dates(values.as_primitive::<Date32Type>())?,
        DataType::Timestamp(_, Some(utc)) => {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(utc.clone()));
            let values = cast_with_options(values, &utc, &strict)?;
            let local = |value: i64| if infinite(value) { value } else { super::moment::local(value, &zone) };
            values.as_primitive::<TimestampMicrosecondType>().unary::<_, TimestampMicrosecondType>(local)
        }
        _ => cast_with_options(values, &micros, &strict)?.as_primitive::<TimestampMicrosecondType>().clone(),
    };
    Ok(match to {
        SqlType::Timestamptz if zoned => cast(values, &to.arrow())?,
        SqlType::Timestamptz => {
            let utc = |value: i64| if infinite(value) { value } else { super::moment::utc(value, &zone) };
            Arc::new(local.unary::<_, TimestampMicrosecondType>(utc).with_data_type(to.arrow()))
        }
        SqlType::Date => Arc::new(local.unary::<_, Date32Type>(|value| match value {
            i64::MAX => i32::MAX,
            i64::MIN => i32::MIN,
            value => value.div_euclid(datetime::DAY_MICROSECONDS) as i32,
        })),
        SqlType::Time => Arc::new(
            local.unary_opt::<_, Time64MicrosecondType>(|value| (!infinite(value)).then(|| value.rem_euclid(datetime::DAY_MICROSECONDS))),
        ),
        _ => Arc::new(local.with_data_type(micros)),
    })
}

/// Whether a moment is before or after all others.
fn infinite(at: i64) -> bool {
    at == i64::MIN || at == i64::MAX
}

fn local_of_dates(dates: &Date32Array) -> Result<TimestampMicrosecondArray> {
    // The last whole day of 64 bits of microseconds is in the year 294247.
    const DAYS_MAX: i32 = 106_751_990;
    let local = |days: i32| match days {
        i32::MAX => Ok(i64::MAX),
        i32::MIN => Ok(i64::MIN),
        days if days > DAYS_MAX => Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")),
        days => Ok(i64::from(days) * datetime::DAY_MICROSECONDS),
    };
    dates.try_unary::<_, TimestampMicrosecondType, SqlError>(local)
}

/// Times, timestamps and intervals with so many digits of a second.
pub fn rounded_to(values: &ArrayRef, digits: u8) -> Result<ArrayRef> {
    let unit = 10i64.pow(6u32.saturating_sub(digits.into()));
    let round = |value: i64| {
        if infinite(value) { value } else { (value.saturating_add(unit / 2 * value.signum())) / unit * unit }
    };
    // What is before 2000 is rounded from there, as PostgreSQL counts.
    let moment = |value: i64| {
        if infinite(value) { value } else { round(value - datetime::EPOCH_2000_MICROSECONDS) + datetime::EPOCH_2000_MICROSECONDS }
    };
    Ok(match values.data_type() {
        DataType::Time64(_) => Arc::new(values.as_primitive::<Time64MicrosecondType>().unary::<_, Time64MicrosecondType>(round)),
        DataType::Timestamp(..) => {
            let rounded = values.as_primitive::<TimestampMicrosecondType>().unary::<_, TimestampMicrosecondType>(moment);
            Arc::new(rounded.with_data_type(values.data_type().clone()))
        }
        DataType::Interval(_) => {
            let interval =
                |value: IntervalMonthDayNano| IntervalMonthDayNano::new(value.months, value.days, round(value.nanoseconds / 1000) * 1000);
            Arc::new(values.as_primitive::<IntervalMonthDayNanoType>().unary::<_, IntervalMonthDayNanoType>(interval))
        }
        _ => values.clone(),
    })
}

fn intervals_of_times(values: &ArrayRef) -> Result<ArrayRef> {
    let values = cast(values, &SqlType::Time.arrow())?;
    let interval = |micros: i64| IntervalMonthDayNano::new(0, 0, micros.saturating_mul(1000));
    let times: &Time64MicrosecondArray = values.as_primitive();
    Ok(Arc::new(times.unary::<_, IntervalMonthDayNanoType>(interval)))
}

/// What is left of whole days.
fn times_of_intervals(values: &ArrayRef) -> Result<ArrayRef> {
    let values = cast(values, &SqlType::Interval.arrow())?;
    let intervals: &IntervalMonthDayNanoArray = values.as_primitive();
    let time = |value: IntervalMonthDayNano| (value.nanoseconds / 1000).rem_euclid(datetime::DAY_MICROSECONDS);
    Ok(Arc::new(intervals.unary::<_, Time64MicrosecondType>(time)))
}

/// The type of what a cast gives, where the value says more than the name of the type: a numeric keeps its scale, an array its dimensions.
pub fn result_type(from: &SqlType, to: &SqlType, literal: Option<&str>) -> SqlType {
    match (from, to, literal) {
        (SqlType::Numeric(_), SqlType::Numeric(None), None) => from.clone(),
        (_, SqlType::Numeric(None), Some(text)) => numeric_of(text),
        (_, SqlType::Array(element), Some(text)) => {
            let depth = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).take_while(|byte| *byte == b'{').count();
            array_of(element.scalar(), depth.max(depth_of(to)))
        }
        (SqlType::Array(_), SqlType::Array(element), None) => array_of(element.scalar(), depth_of(from)),
        _ => to.clone(),
    }
}

fn depth_of(sql_type: &SqlType) -> usize {
    match sql_type {
        SqlType::Array(element) => 1 + depth_of(element),
        _ => 0,
    }
}

fn array_of(element: &SqlType, depth: usize) -> SqlType {
    (0..depth.min(6)).fold(element.clone(), |inner, _| SqlType::Array(Box::new(inner)))
}

/// The type of a number as it is written: `1.50` has two digits after the point.
pub fn numeric_of(text: &str) -> SqlType {
    let digits = text.trim_ascii().trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let precision = (whole.len() + fraction.len()).max(1);
    match (u8::try_from(precision), i8::try_from(fraction.len())) {
        (Ok(precision @ 1..=38), Ok(scale @ 1..)) if plain => SqlType::Numeric(Some((precision, scale))),
        _ => SqlType::Numeric(None),
    }
}
