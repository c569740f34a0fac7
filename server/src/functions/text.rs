//! Functions of texts that DataFusion lacks, or understands otherwise than PostgreSQL.

use super::overloads::Param::{Any, Of};
use super::overloads::{Call, Overloaded, Returns, results};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{self, Boolean, Char, Int4, Int8, Text, Varchar};
use crate::types::convert;
use crate::types::forms::ValueForms;
use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::Int32Type;
use datafusion::logical_expr::ScalarUDF;
use std::fmt::Write;
use std::sync::Arc;

/// All of them, by their names.
pub fn functions() -> Vec<ScalarUDF> {
    let texts = || SqlType::Array(Box::new(Text));
    vec![
        Overloaded::named("chr").of(&[Int4], Text, chr).build(),
        Overloaded::named("to_hex").of(&[Int4], Text, hex_of_int4).of(&[Int8], Text, hex_of_int8).build(),
        Overloaded::named("upper").of(&[Text], Text, |call| mapped(call, upper)).build(),
        Overloaded::named("lower").of(&[Text], Text, |call| mapped(call, lower)).build(),
        Overloaded::named("left").of(&[Text, Int4], Text, left).build(),
        Overloaded::named("right").of(&[Text, Int4], Text, right).build(),
        Overloaded::named("repeat").of(&[Text, Int4], Text, repeat).build(),
        Overloaded::named("lpad").of(&[Text, Int4], Text, pad_left).of(&[Text, Int4, Text], Text, pad_left).build(),
        Overloaded::named("rpad").of(&[Text, Int4], Text, pad_right).of(&[Text, Int4, Text], Text, pad_right).build(),
        Overloaded::named("concat").variadic(&[], Any, Returns::Of(Text), |call| concatenated(call, 0)).build(),
        Overloaded::named("concat_ws").variadic(&[Of(Text)], Any, Returns::Of(Text), |call| concatenated(call, 1)).build(),
        Overloaded::named("num_nulls").variadic(&[], Any, Returns::Of(Int4), |call| nulls(call, true)).build(),
        Overloaded::named("num_nonnulls").variadic(&[], Any, Returns::Of(Int4), |call| nulls(call, false)).build(),
        Overloaded::named("starts_with").of(&[Text, Text], Boolean, starts_with).build(),
        Overloaded::named("unistr").of(&[Text], Text, unistr).build(),
        Overloaded::named("string_to_array")
            .of(&[Text, Text], texts(), string_to_array)
            .of(&[Text, Text, Text], texts(), string_to_array)
            .build(),
    ]
}

/// The text of any value, as output functions write it; `t` and `f` for booleans.
pub fn shown(values: &ArrayRef, sql_type: &SqlType, forms: &ValueForms) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(values.len());
    match sql_type {
        Boolean => {
            values.as_boolean().iter().for_each(|value| builder.append_option(value.map(|value| if value { "t" } else { "f" })));
            Ok(Arc::new(builder.finish()))
        }
        Char(length) => {
            let width = *length as usize;
            for text in values.as_string_view() {
                builder.append_option(text.map(|text| format!("{text:<width$}")));
            }
            Ok(Arc::new(builder.finish()))
        }
        Text | Varchar(_) | SqlType::Json | SqlType::Jsonb | SqlType::Uuid => Ok(Arc::clone(values)),
        other => convert::convert(values, other, &Text, forms),
    }
}

/// All arguments of a call as texts.
pub fn all_shown(call: &Call) -> Result<Vec<ArrayRef>> {
    call.arrays.iter().zip(&call.types).map(|(values, sql_type)| shown(values, sql_type, &call.forms)).collect()
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn mapped(call: &Call, map: fn(char) -> char) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        out.extend(call.text(0, row).chars().map(map));
        Ok(true)
    })
}

/// One character for one, as the C library has it.
fn upper(c: char) -> char {
    only(c.to_uppercase(), c)
}

fn lower(c: char) -> char {
    if c == '\u{130}' { 'i' } else { only(c.to_lowercase(), c) }
}

fn only(mut characters: impl Iterator<Item = char>, otherwise: char) -> char {
    match (characters.next(), characters.next()) {
        (Some(one), None) => one,
        _ => otherwise,
    }
}

fn chr(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let code = call.int4(0, row);
        let too_large = || SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("requested character too large for encoding: {code}"));
        match code {
            0 => return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "null character not permitted")),
            ..0 => return Err(invalid("character number must be positive")),
            _ => {}
        }
        let not_valid = || SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("requested character not valid for encoding: {code}"));
        let code = u32::try_from(code).ok().filter(|code| *code <= 0x10_ffff).ok_or_else(too_large)?;
        out.push(char::from_u32(code).ok_or_else(not_valid)?);
        Ok(true)
    })
}

fn hex_of_int4(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let _ = write!(out, "{:x}", call.int4(0, row));
        Ok(true)
    })
}

fn hex_of_int8(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let _ = write!(out, "{:x}", call.int8(0, row));
        Ok(true)
    })
}

/// The byte at which the first `count` characters end.
fn end_of(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

/// How many characters to take from a side; a negative number leaves so many at the other.
fn taken(text: &str, count: i32) -> usize {
    match usize::try_from(count) {
        Ok(count) => count,
        Err(_) => text.chars().count().saturating_sub(count.unsigned_abs() as usize),
    }
}

fn left(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let text = call.text(0, row);
        out.push_str(&text[..end_of(text, taken(text, call.int4(1, row)))]);
        Ok(true)
    })
}

fn right(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let text = call.text(0, row);
        let skipped = text.chars().count().saturating_sub(taken(text, call.int4(1, row)));
        out.push_str(&text[end_of(text, skipped)..]);
        Ok(true)
    })
}

/// PostgreSQL's limit for one value.
const TEXT_BYTES_MAX: usize = (1 << 30) - 1;

fn too_long() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

/// What of a text fits into a length, and the characters that fill what is left.
fn padded<'a>(call: &'a Call, row: usize) -> Result<(&'a str, impl Iterator<Item = char> + 'a)> {
    let (text, length) = (call.text(0, row), usize::try_from(call.int4(1, row)).unwrap_or(0));
    // A character has at most four bytes.
    if length > TEXT_BYTES_MAX / 4 {
        return Err(too_long());
    }
    let fill = if call.count() == 3 { call.text(2, row) } else { " " };
    let missing = if fill.is_empty() { 0 } else { length.saturating_sub(text.chars().count()) };
    Ok((&text[..end_of(text, length)], fill.chars().cycle().take(missing)))
}

fn pad_left(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let (text, fill) = padded(call, row)?;
        out.extend(fill);
        out.push_str(text);
        Ok(true)
    })
}

fn pad_right(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let (text, fill) = padded(call, row)?;
        out.push_str(text);
        out.extend(fill);
        Ok(true)
    })
}

fn repeat(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let (text, count) = (call.text(0, row), usize::try_from(call.int4(1, row)).unwrap_or(0));
        if text.len().checked_mul(count).is_none_or(|bytes| bytes > TEXT_BYTES_MAX) {
            return Err(too_long());
        }
        (0..count).for_each(|_| out.push_str(text));
        Ok(true)
    })
}

/// `concat` (with `first` 0) and `concat_ws`, whose argument 0 stands between the others. NULLs are left out.
fn concatenated(call: &Call, first: usize) -> Result<ArrayRef> {
    let texts = all_shown(call)?;
    let texts: Vec<_> = texts.iter().map(|texts| texts.as_string_view()).collect();
    let mut builder = StringViewBuilder::with_capacity(call.rows);
    let (mut out, mut bytes) = (String::new(), results::BatchBytes::default());
    for row in 0..call.rows {
        if first == 1 && texts[0].is_null(row) {
            builder.append_null();
            continue;
        }
        out.clear();
        let mut some = false;
        for text in texts[first..].iter().filter(|text| text.is_valid(row)) {
            if first == 1 && some {
                out.push_str(texts[0].value(row));
            }
            out.push_str(text.value(row));
            some = true;
        }
        bytes.add(out.len())?;
        builder.append_value(&out);
    }
    Ok(Arc::new(builder.finish()))
}

fn nulls(call: &Call, null: bool) -> Result<ArrayRef> {
    let count = |row| call.arrays.iter().filter(|array| array.is_null(row) == null).count() as i32;
    let counts = (0..call.rows).map(count);
    Ok(Arc::new(arrow::array::PrimitiveArray::<Int32Type>::from_iter_values(counts)))
}

/// `overlay` of texts.
pub fn overlay(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let (text, new) = (call.text(0, row), call.text(1, row));
        let length = if call.count() == 4 { call.int4(3, row) } else { new.chars().count() as i32 };
        let from = call.int4(2, row);
        if from <= 0 {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        let resume = from.checked_add(length).ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
        out.push_str(&text[..end_of(text, from as usize - 1)]);
        out.push_str(new);
        out.push_str(&text[end_of(text, usize::try_from(resume - 1).unwrap_or(0))..]);
        Ok(true)
    })
}

fn starts_with(call: &Call) -> Result<ArrayRef> {
    results::booleans(call, |row| Ok(Some(call.text(0, row).starts_with(call.text(1, row)))))
}

fn string_to_array(call: &Call) -> Result<ArrayRef> {
    results::text_lists(call, |row| {
        if call.is_null(0, row) {
            return Ok(None);
        }
        let text = call.text(0, row);
        let null = (call.count() == 3 && !call.is_null(2, row)).then(|| call.text(2, row));
        let item = |part: &str| (Some(part) != null).then(|| part.to_string());
        Ok(Some(match () {
            () if text.is_empty() => Vec::new(),
            () if call.is_null(1, row) => text.chars().map(|c| item(c.encode_utf8(&mut [0; 4]))).collect(),
            () if call.text(1, row).is_empty() => vec![item(text)],
            () => text.split(call.text(1, row)).map(item).collect(),
        }))
    })
}

/// Escapes of Unicode characters: `\XXXX`, `\+XXXXXX`, `\uXXXX`, `\UXXXXXXXX`, `\\`.
fn unistr(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let mut rest = call.text(0, row);
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('\\') {
                out.push('\\');
                rest = after;
                continue;
            }
            let (skipped, digits) = match rest.as_bytes().first() {
                Some(b'+') => (1, 6),
                Some(b'u') => (1, 4),
                Some(b'U') => (1, 8),
                _ => (0, 4),
            };
            let code = rest.get(skipped..skipped + digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let invalid_escape = || {
                let error = SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape");
                error.with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
            };
            let code = u32::from_str_radix(code.ok_or_else(invalid_escape)?, 16).map_err(|_| invalid_escape())?;
            out.push(char::from_u32(code).filter(|c| *c != '\0').ok_or_else(|| invalid("invalid Unicode code point"))?);
            rest = &rest[skipped + digits..];
        }
        out.push_str(rest);
        Ok(true)
    })
}
