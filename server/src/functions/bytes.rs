//! Functions of bytea, and those of texts that have the same name for both: `substr`, `length` of an encoding, `encode`, `decode`.

use super::overloads::{Call, Overloaded, results};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{Bytea, Int4, Int8, Text};
use arrow::array::ArrayRef;
use arrow::datatypes::{Int32Type, Int64Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::logical_expr::ScalarUDF;
use std::fmt::Write;
use std::ops::Range;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Overloaded::named("substr")
            .of(&[Text, Int4], Text, substr)
            .of(&[Text, Int4, Int4], Text, substr)
            .of(&[Bytea, Int4], Bytea, subbytes)
            .of(&[Bytea, Int4, Int4], Bytea, subbytes)
            .build(),
        substring("substring"),
        substring(SUBSTRING_PHRASE),
        Overloaded::named("overlay")
            .of(&[Text, Text, Int4], Text, super::text::overlay)
            .of(&[Text, Text, Int4, Int4], Text, super::text::overlay)
            .of(&[Bytea, Bytea, Int4], Bytea, overlay)
            .of(&[Bytea, Bytea, Int4, Int4], Bytea, overlay)
            .build(),
        Overloaded::named("strpos").of(&[Text, Text], Int4, strpos).of(&[Bytea, Bytea], Int4, position).build(),
        Overloaded::named("bit_length").of(&[Text], Int4, bit_length_of_text).of(&[Bytea], Int4, bit_length).build(),
        Overloaded::named("reverse").of(&[Text], Text, reverse).build(),
        Overloaded::named("convert").of(&[Bytea, Text, Text], Bytea, converted).build(),
        Overloaded::named("encode").of(&[Bytea, Text], Text, encode).build(),
        Overloaded::named("decode").of(&[Text, Text], Bytea, decode).build(),
        Overloaded::named("get_byte").of(&[Bytea, Int4], Int4, get_byte).build(),
        Overloaded::named("set_byte").of(&[Bytea, Int4, Int4], Bytea, set_byte).build(),
        Overloaded::named("get_bit").of(&[Bytea, Int8], Int4, get_bit).build(),
        Overloaded::named("set_bit").of(&[Bytea, Int8, Int4], Bytea, set_bit).build(),
        Overloaded::named("bit_count").of(&[Bytea], Int8, bit_count).build(),
        Overloaded::named("convert_from").of(&[Bytea, Text], Text, convert_from).build(),
        Overloaded::named("convert_to").of(&[Text, Text], Bytea, convert_to).build(),
    ]
}

/// What `substring(x FROM a FOR b)` calls.
pub const SUBSTRING_PHRASE: &str = "pg_catalog.substring";

fn substring(name: &'static str) -> ScalarUDF {
    Overloaded::named(name)
        .of(&[Text, Int4], Text, substr)
        .of(&[Text, Int4, Int4], Text, substr)
        .of(&[Text, Text], Text, super::regular::functions::first_group)
        .of(&[Bytea, Int4], Bytea, subbytes)
        .of(&[Bytea, Int4, Int4], Bytea, subbytes)
        .build()
}

/// The positions from `from` for `length`, counted from 1, that lie within a value of `size`.
fn window(call: &Call, row: usize, size: usize) -> Result<Range<usize>> {
    let from = i64::from(call.int4(1, row)) - 1;
    let end = match call.count() {
        3 => {
            let length = i64::from(call.int4(2, row));
            if length < 0 {
                return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
            }
            from + length
        }
        _ => i64::MAX,
    };
    let within = |at: i64| usize::try_from(at).map_or(if at < 0 { 0 } else { size }, |at| at.min(size));
    Ok(within(from)..within(end).max(within(from)))
}

fn substr(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let text = call.text(0, row);
        if text.is_ascii() {
            out.push_str(&text[window(call, row, text.len())?]);
            return Ok(true);
        }
        let wanted = window(call, row, usize::MAX)?;
        out.extend(text.chars().skip(wanted.start).take(wanted.len()));
        Ok(true)
    })
}

fn subbytes(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| {
        let bytes = call.bytes(0, row);
        out.extend_from_slice(&bytes[window(call, row, bytes.len())?]);
        Ok(())
    })
}

fn overlay(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| {
        let (bytes, new) = (call.bytes(0, row), call.bytes(1, row));
        let length = if call.count() == 4 { call.int4(3, row) } else { new.len() as i32 };
        let from = call.int4(2, row);
        if from <= 0 {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        let resume = from.checked_add(length).ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
        let at = |position: i32| usize::try_from(position - 1).unwrap_or(0).min(bytes.len());
        out.extend_from_slice(&bytes[..at(from)]);
        out.extend_from_slice(new);
        out.extend_from_slice(&bytes[at(resume)..]);
        Ok(())
    })
}

fn strpos(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| {
        let text = call.text(0, row);
        let at = text.find(call.text(1, row)).map_or(0, |at| text[..at].chars().count() + 1);
        Ok(i32::try_from(at).ok())
    })
}

fn position(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| {
        let (bytes, sought) = (call.bytes(0, row), call.bytes(1, row));
        if sought.is_empty() {
            return Ok(Some(1));
        }
        let at = bytes.windows(sought.len()).position(|window| window == sought).map_or(0, |at| at + 1);
        Ok(i32::try_from(at).ok())
    })
}

fn bit_length_of_text(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| Ok(i32::try_from(call.text(0, row).len() * 8).ok()))
}

fn bit_length(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| Ok(i32::try_from(call.bytes(0, row).len() * 8).ok()))
}

fn reverse(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        out.extend(call.text(0, row).chars().rev());
        Ok(true)
    })
}

fn unrecognized(encoding: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized encoding: \"{encoding}\""))
}

/// Characters in a line of base64.
const BASE64_LINE: usize = 76;

fn encode(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        let (bytes, encoding) = (call.bytes(0, row), call.text(1, row));
        match encoding.to_ascii_lowercase().as_str() {
            "hex" => bytes.iter().for_each(|byte| hexadecimal(*byte, out)),
            "base64" => base64_lines(bytes, out),
            "escape" => bytes.iter().for_each(|byte| escaped(*byte, out)),
            _ => return Err(unrecognized(encoding)),
        }
        Ok(true)
    })
}

fn hexadecimal(byte: u8, out: &mut String) {
    let _ = write!(out, "{byte:02x}");
}

fn base64_lines(bytes: &[u8], out: &mut String) {
    let line_bytes = BASE64_LINE / 4 * 3;
    for chunk in bytes.chunks(line_bytes) {
        STANDARD.encode_string(chunk, out);
        if chunk.len() == line_bytes {
            out.push('\n');
        }
    }
}

fn escaped(byte: u8, out: &mut String) {
    match byte {
        b'\\' => out.push_str("\\\\"),
        0 | 0x80.. => {
            let _ = write!(out, "\\{byte:03o}");
        }
        byte => out.push(char::from(byte)),
    }
}

fn decode(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| {
        let (text, encoding) = (call.text(0, row), call.text(1, row));
        match encoding.to_ascii_lowercase().as_str() {
            "hex" => from_hex(text, out),
            "base64" => from_base64(text, out),
            "escape" => from_escape(text.as_bytes(), out),
            _ => Err(unrecognized(encoding)),
        }
    })
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn from_hex(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut high = None;
    for c in text.chars() {
        if high.is_none() && matches!(c, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let digit = c.to_digit(16).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{c}\"")))? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => out.push(high << 4 | digit),
        }
    }
    if high.is_some() { Err(invalid("invalid hexadecimal data: odd number of digits")) } else { Ok(()) }
}

fn from_base64(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '\n' | '\t' | '\r' => {}
            c if c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=') => kept.push(c),
            c => return Err(invalid(format!("invalid symbol \"{c}\" found while decoding base64 sequence"))),
        }
    }
    STANDARD.decode_vec(&kept, out).map_err(|_| {
        let error = invalid("invalid base64 end sequence");
        error.with_hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
    })
}

fn from_escape(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let octal = |offset: usize, most: u8| bytes.get(at + offset).filter(|byte| (b'0'..=most).contains(byte)).map(|byte| byte - b'0');
        match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'\\')) => {
                out.push(b'\\');
                at += 2;
            }
            (b'\\', _) => {
                let (Some(a), Some(b), Some(c)) = (octal(1, b'3'), octal(2, b'7'), octal(3, b'7')) else {
                    return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea"));
                };
                out.push(a << 6 | b << 3 | c);
                at += 4;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(())
}

/// 2202E.
fn outside(index: i64, most: i64) -> SqlError {
    SqlError::new(SqlState("2202E"), format!("index {index} out of valid range, 0..{most}"))
}

/// An index into bytes or bits, checked.
fn index(index: i64, size: usize) -> Result<usize> {
    usize::try_from(index).ok().filter(|at| *at < size).ok_or_else(|| outside(index, size as i64 - 1))
}

fn get_byte(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| {
        let bytes = call.bytes(0, row);
        Ok(Some(i32::from(bytes[index(i64::from(call.int4(1, row)), bytes.len())?])))
    })
}

/// The new value is cut to a byte, as PostgreSQL does.
fn set_byte(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| {
        out.extend_from_slice(call.bytes(0, row));
        let at = index(i64::from(call.int4(1, row)), out.len())?;
        out[at] = call.int4(2, row) as u8;
        Ok(())
    })
}

fn get_bit(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| {
        let bytes = call.bytes(0, row);
        let at = index(call.int8(1, row), bytes.len() * 8)?;
        Ok(Some(i32::from(bytes[at / 8] >> (at % 8) & 1)))
    })
}

fn set_bit(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| {
        out.extend_from_slice(call.bytes(0, row));
        let at = index(call.int8(1, row), out.len() * 8)?;
        match call.int4(2, row) {
            0 => out[at / 8] &= !(1 << (at % 8)),
            1 => out[at / 8] |= 1 << (at % 8),
            _ => return Err(invalid("new bit must be 0 or 1")),
        }
        Ok(())
    })
}

fn bit_count(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Int64Type>(call, |row| Ok(Some(call.bytes(0, row).iter().map(|byte| i64::from(byte.count_ones())).sum())))
}

/// Encodings that texts are converted from and to.
#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
}

fn encoding(name: &str, from_or_to: &str) -> Result<Encoding> {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match letters.as_str() {
        "utf8" | "unicode" => Ok(Encoding::Utf8),
        "latin1" | "iso88591" => Ok(Encoding::Latin1),
        "sqlascii" => Ok(Encoding::Ascii),
        _ => Err(invalid(format!("invalid {from_or_to} encoding name \"{name}\""))),
    }
}

/// The text that bytes are in an encoding.
fn decoded(bytes: &[u8], encoding: Encoding, out: &mut String) -> Result<()> {
    match encoding {
        Encoding::Latin1 => out.extend(bytes.iter().map(|byte| char::from(*byte))),
        _ => out.push_str(crate::types::input::utf8(bytes)?),
    }
    Ok(())
}

/// The bytes of a text in an encoding.
fn encoded(text: &str, encoding: Encoding, out: &mut Vec<u8>) -> Result<()> {
    if encoding != Encoding::Latin1 {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    for c in text.chars() {
        let byte = u8::try_from(u32::from(c)).map_err(|_| {
            let message = format!("character \"{c}\" of encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"");
            SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, message)
        })?;
        out.push(byte);
    }
    Ok(())
}

fn convert_from(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| decoded(call.bytes(0, row), encoding(call.text(1, row), "source")?, out).map(|()| true))
}

fn convert_to(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| encoded(call.text(0, row), encoding(call.text(1, row), "destination")?, out))
}

fn converted(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| {
        let mut text = String::new();
        decoded(call.bytes(0, row), encoding(call.text(1, row), "source")?, &mut text)?;
        encoded(&text, encoding(call.text(2, row), "destination")?, out)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_of_bytes_read_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (mut base64, mut escape) = (String::new(), String::new());
        base64_lines(&bytes, &mut base64);
        bytes.iter().for_each(|byte| escaped(*byte, &mut escape));
        let (mut one, mut two) = (Vec::new(), Vec::new());
        from_base64(&base64, &mut one).unwrap();
        from_escape(escape.as_bytes(), &mut two).unwrap();
        assert_eq!((&one, &two), (&bytes, &bytes));
        assert!(base64.lines().all(|line| line.len() <= BASE64_LINE));
        for text in ["0", "zz"] {
            assert_eq!(from_hex(text, &mut Vec::new()).unwrap_err().state.0, "22023");
        }
    }
}
