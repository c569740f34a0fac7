//! Numbers as text, and numerics in PostgreSQL's binary form. Formatting is by hand: it is what most results consist of.

use crate::error::{Result, SqlError, SqlState};
use arrow::datatypes::i256;
use bytes::{BufMut, BytesMut};

/// `00` to `99`.
pub(super) const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Digits right-aligned in a buffer; answers where they start. At least one digit.
fn digits_u64(mut value: u64, buffer: &mut [u8; 80], mut at: usize) -> usize {
    while value >= 100 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value >= 10 {
        let pair = value as usize * 2;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        buffer[at] = b'0' + value as u8;
    }
    at
}

/// Fills a slot with the last digits of a number, zeros in front.
#[inline]
pub(super) fn write_digits_into(mut value: u64, slot: &mut [u8]) {
    let first = slot.len() % 2;
    for last in slot[first..].rchunks_exact_mut(2) {
        let pair = (value % 100) as usize * 2;
        last.copy_from_slice(&PAIRS[pair..pair + 2]);
        value /= 100;
    }
    if first == 1 {
        slot[0] = b'0' + (value % 10) as u8;
    }
}

fn digits_u128(mut value: u128, buffer: &mut [u8; 80]) -> usize {
    const CHUNK: u128 = 10_000_000_000_000_000_000;
    let mut end = buffer.len();
    loop {
        if let Ok(small) = u64::try_from(value) {
            return digits_u64(small, buffer, end);
        }
        let at = digits_u64((value % CHUNK) as u64, buffer, end);
        buffer[end - 19..at].fill(b'0');
        end -= 19;
        value /= CHUNK;
    }
}

/// Appends an integer.
pub(super) fn write_integer(value: i64, out: &mut BytesMut) {
    let mut buffer = [0u8; 80];
    let mut at = digits_u64(value.unsigned_abs(), &mut buffer, 80);
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    out.put_slice(&buffer[at..]);
}

/// Appends a number below 100 as two digits.
pub(super) fn write_pair(value: u32, out: &mut BytesMut) {
    let pair = (value % 100) as usize * 2;
    out.put_slice(&PAIRS[pair..pair + 2]);
}

/// Appends a decimal; `trim` leaves out zeros at the end of the fraction.
pub(super) fn write_decimal(value: i128, scale: i8, trim: bool, out: &mut BytesMut) {
    let mut buffer = [0u8; 80];
    let at = digits_u128(value.unsigned_abs(), &mut buffer);
    write_digits(value < 0, &buffer[at..], scale, trim, out);
}

/// What a numeric is the result of, which says how many digits PostgreSQL shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotient {
    /// Of two numerics.
    Plain,
    Variance,
    /// The root of a variance, with as many digits as that has.
    Deviation,
}

impl Quotient {
    /// By the name that fields give it.
    pub(super) fn named(name: Option<&str>) -> Self {
        match name {
            Some("variance") => Self::Variance,
            Some("deviation") => Self::Deviation,
            _ => Self::Plain,
        }
    }
    /// Digits after the point that a value has at least.
    fn scale(self, value: i128, scale: i8) -> usize {
        const GROUP: i32 = 4;
        const DIGITS_MIN: i32 = 16;
        let Some(length) = value.unsigned_abs().checked_ilog10() else {
            return if self == Self::Plain { (DIGITS_MIN + GROUP) as usize } else { 0 };
        };
        let exponent = match self {
            Self::Plain | Self::Variance => length as i32 - i32::from(scale),
            Self::Deviation => (2.0 * ((value as f64).abs().log10() - f64::from(scale))).floor() as i32,
        };
        (DIGITS_MIN - exponent.div_euclid(GROUP) * GROUP).max(0) as usize
    }
}

/// Appends a quotient as PostgreSQL shows it: at least 16 digits from the first group of four on, and no zeros after those.
pub(super) fn write_quotient(value: i128, scale: i8, of: Quotient, out: &mut BytesMut) {
    let start = out.len();
    write_decimal(value, scale, false, out);
    let Some(point) = out[start..].iter().position(|byte| *byte == b'.') else { return };
    let shortest = start + point + 1 + of.scale(value, scale);
    while out.len() > shortest && out.ends_with(b"0") {
        out.truncate(out.len() - 1);
    }
    if out.ends_with(b".") {
        out.truncate(out.len() - 1);
    }
}

/// Appends a decimal of 256 bits.
pub(super) fn write_decimal256(value: i256, scale: i8, trim: bool, out: &mut BytesMut) {
    let text = value.to_string();
    write_digits(value.is_negative(), text.trim_start_matches('-').as_bytes(), scale, trim, out);
}

fn write_digits(negative: bool, digits: &[u8], scale: i8, trim: bool, out: &mut BytesMut) {
    if negative {
        out.put_u8(b'-');
    }
    if scale <= 0 {
        out.put_slice(digits);
        if digits != b"0" {
            out.put_bytes(b'0', usize::from(scale.unsigned_abs()));
        }
        return;
    }
    let scale = scale as usize;
    let start = out.len();
    if digits.len() > scale {
        out.put_slice(&digits[..digits.len() - scale]);
        out.put_u8(b'.');
        out.put_slice(&digits[digits.len() - scale..]);
    } else {
        out.put_slice(b"0.");
        out.put_bytes(b'0', scale - digits.len());
        out.put_slice(digits);
    }
    if trim {
        trim_fraction(start, out);
    }
}

fn trim_fraction(start: usize, out: &mut BytesMut) {
    let mut end = out.len();
    while end > start && out[end - 1] == b'0' {
        end -= 1;
    }
    if end > start && out[end - 1] == b'.' {
        end -= 1;
    }
    out.truncate(end);
}

/// Appends a float as PostgreSQL does: the shortest digits that read back the same, or fewer where `extra_float_digits` says so.
pub(super) fn write_float8(value: f64, extra_digits: i32, out: &mut BytesMut) {
    if !write_special(value, out) {
        let precision = if extra_digits > 0 { None } else { Some((15 + extra_digits).max(1) as usize) };
        let mut text = SmallText::default();
        let _ = match precision {
            None => std::fmt::write(&mut text, format_args!("{value:e}")),
            Some(digits) => std::fmt::write(&mut text, format_args!("{value:.*e}", digits - 1)),
        };
        write_float_digits(text.bytes(), precision.unwrap_or(15), out);
    }
}

/// The same for `real`.
pub(super) fn write_float4(value: f32, extra_digits: i32, out: &mut BytesMut) {
    if !write_special(f64::from(value), out) {
        let precision = if extra_digits > 0 { None } else { Some((6 + extra_digits).max(1) as usize) };
        let mut text = SmallText::default();
        let _ = match precision {
            None => std::fmt::write(&mut text, format_args!("{value:e}")),
            Some(digits) => std::fmt::write(&mut text, format_args!("{value:.*e}", digits - 1)),
        };
        write_float_digits(text.bytes(), precision.unwrap_or(6), out);
    }
}

fn write_special(value: f64, out: &mut BytesMut) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value.is_infinite() {
        if value > 0.0 { b"Infinity" } else { b"-Infinity" }
    } else if value == 0.0 {
        if value.is_sign_negative() { b"-0" } else { b"0" }
    } else {
        return false;
    };
    out.put_slice(text);
    true
}

/// `-1.25e-7` -> `-1.25e-07`, or the plain form where the exponent is at least -4 and below `digits_max`.
fn write_float_digits(text: &[u8], digits_max: usize, out: &mut BytesMut) {
    let text = match text.strip_prefix(b"-") {
        Some(rest) => {
            out.put_u8(b'-');
            rest
        }
        None => text,
    };
    let split = text.iter().position(|byte| *byte == b'e').unwrap_or(text.len());
    let exponent: i32 = std::str::from_utf8(&text[(split + 1).min(text.len())..]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut digits = SmallText::default();
    text[..split].iter().filter(|byte| **byte != b'.').for_each(|byte| digits.push(*byte));
    let mut digits = digits.bytes();
    while digits.len() > 1 && digits.ends_with(b"0") {
        digits = &digits[..digits.len() - 1];
    }
    if exponent >= -4 && exponent < digits_max as i32 {
        write_plain(digits, exponent, out);
    } else {
        write_scientific(digits, exponent, out);
    }
}

fn write_plain(digits: &[u8], exponent: i32, out: &mut BytesMut) {
    if exponent < 0 {
        out.put_slice(b"0.");
        out.put_bytes(b'0', (-exponent - 1) as usize);
        out.put_slice(digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.put_slice(digits);
        out.put_bytes(b'0', whole - digits.len());
    } else {
        out.put_slice(&digits[..whole]);
        out.put_u8(b'.');
        out.put_slice(&digits[whole..]);
    }
}

fn write_scientific(digits: &[u8], exponent: i32, out: &mut BytesMut) {
    out.put_u8(digits[0]);
    if digits.len() > 1 {
        out.put_u8(b'.');
        out.put_slice(&digits[1..]);
    }
    out.put_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.unsigned_abs() < 100 {
        write_pair(exponent.unsigned_abs(), out);
    } else {
        write_integer(i64::from(exponent.unsigned_abs()), out);
    }
}

/// Text on the stack: floats never need more. What does not fit is cut.
struct SmallText {
    buffer: [u8; 48],
    length: usize,
}

impl Default for SmallText {
    fn default() -> Self {
        Self { buffer: [0; 48], length: 0 }
    }
}

impl SmallText {
    fn push(&mut self, byte: u8) {
        if self.length < self.buffer.len() {
            self.buffer[self.length] = byte;
            self.length += 1;
        }
    }
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl std::fmt::Write for SmallText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

/// Reads a numeric with a scale, rounding half away from zero. Errors name the text as PostgreSQL does.
pub(super) fn parse_decimal(text: &str, precision: u8, scale: i8, constrained: bool) -> Result<i128> {
    let trimmed = text.trim_ascii();
    let overflow = || numeric_overflow(precision, scale, constrained);
    let Some((negative, mantissa, exponent)) = split_number(trimmed) else { return Err(not_a_numeric(text, trimmed)) };
    let fraction = mantissa.iter().position(|byte| *byte == b'.').map_or(0, |dot| mantissa.len() - dot - 1);
    // The value is digits * 10^(exponent - fraction); shifted to the scale, digits below it are rounded away.
    let shift = exponent.saturating_sub(fraction as i64).saturating_add(i64::from(scale));
    let digits: Vec<u8> = mantissa.iter().filter(|byte| **byte != b'.').skip_while(|byte| **byte == b'0').map(|byte| byte - b'0').collect();
    if !constrained && loses_digits(&digits, shift) {
        return Err(too_many_places(scale));
    }
    let value = scaled(&digits, shift).ok_or_else(overflow)?;
    if value >= 10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX) {
        return Err(overflow());
    }
    Ok(if negative { -value } else { value })
}

/// Sign, digits with at most one point, and exponent; `None` if it is no number.
fn split_number(text: &str) -> Option<(bool, &[u8], i64)> {
    let bytes = text.as_bytes();
    let (negative, rest) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        b'+' => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let end = rest.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(rest.len());
    let mantissa = &rest[..end];
    let points = mantissa.iter().filter(|byte| **byte == b'.').count();
    let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit()).count();
    if points > 1 || digits == 0 || digits + points != mantissa.len() {
        return None;
    }
    let exponent = if end == rest.len() { 0 } else { std::str::from_utf8(&rest[end + 1..]).ok()?.parse::<i32>().ok()? };
    Some((negative, mantissa, i64::from(exponent)))
}

fn scaled(digits: &[u8], shift: i64) -> Option<i128> {
    if digits.is_empty() {
        return Some(0);
    }
    let kept = (digits.len() as i64).saturating_add(shift);
    if kept < 0 {
        return Some(0);
    }
    if kept > 39 {
        return None;
    }
    let kept = kept as usize;
    let mut value = 0i128;
    for index in 0..kept {
        value = value.checked_mul(10)?.checked_add(i128::from(digits.get(index).copied().unwrap_or(0)))?;
    }
    let round_up = digits.get(kept).is_some_and(|digit| *digit >= 5);
    value.checked_add(i128::from(round_up))
}

/// Whether digits other than zeros are below the scale.
fn loses_digits(digits: &[u8], shift: i64) -> bool {
    let kept = usize::try_from((digits.len() as i64).saturating_add(shift)).unwrap_or(0);
    digits.iter().skip(kept).any(|digit| *digit != 0)
}

/// A value that a numeric without precision cannot keep as it is given.
pub(super) fn too_many_places(scale: i8) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value has more than {scale} digits after the decimal point"))
        .with_detail("A numeric without precision holds 28 digits before and 10 after the decimal point.")
        .with_hint("Declare the type as numeric(precision, scale), with a precision of up to 38.")
}

fn not_a_numeric(text: &str, trimmed: &str) -> SqlError {
    let word = trimmed.trim_start_matches(['+', '-']);
    if ["nan", "inf", "infinity"].iter().any(|special| special.eq_ignore_ascii_case(word)) {
        return SqlError::unsupported(format!("numeric value {trimmed}"));
    }
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type numeric: \"{text}\""))
}

fn numeric_overflow(precision: u8, scale: i8, constrained: bool) -> SqlError {
    if !constrained {
        return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
            .with_detail("A numeric without precision holds 28 digits before and 10 after the decimal point.");
    }
    let whole = i32::from(precision) - i32::from(scale);
    let bound = if whole == 0 { "1".to_string() } else { format!("10^{whole}") };
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow")
        .with_detail(format!("A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."))
}

/// Appends PostgreSQL's binary form of a number written as text: digits in base 10,000.
pub(super) fn write_numeric_binary(text: &[u8], out: &mut BytesMut) {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let (whole, fraction) = (&text[..dot], text.get(dot + 1..).unwrap_or(&[]));
    let mut groups: Vec<i16> = Vec::with_capacity(24);
    let lead = whole.len() % 4;
    if lead > 0 {
        groups.push(group(&whole[..lead], 0));
    }
    whole[lead..].chunks(4).for_each(|chunk| groups.push(group(chunk, 0)));
    let mut weight = groups.len() as i16 - 1;
    fraction.chunks(4).for_each(|chunk| groups.push(group(chunk, 4 - chunk.len())));
    let leading = groups.iter().take_while(|digit| **digit == 0).count();
    weight -= leading as i16;
    let mut groups = &groups[leading..];
    while let [rest @ .., 0] = groups {
        groups = rest;
    }
    out.put_i16(groups.len() as i16);
    out.put_i16(if groups.is_empty() { 0 } else { weight });
    out.put_u16(if negative && !groups.is_empty() { 0x4000 } else { 0 });
    out.put_i16(fraction.len() as i16);
    groups.iter().for_each(|digit| out.put_i16(*digit));
}

fn group(digits: &[u8], missing: usize) -> i16 {
    let value = digits.iter().fold(0i16, |value, digit| value * 10 + i16::from(digit - b'0'));
    value * [1, 10, 100, 1000][missing.min(3)]
}

/// Reads PostgreSQL's binary form into text.
pub(super) fn numeric_text_from_binary(bytes: &[u8]) -> Result<String> {
    let bad = || SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid external \"numeric\" value");
    let word = |index: usize| bytes.get(index * 2..index * 2 + 2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
    let (Some(count), Some(weight), Some(sign), Some(_)) = (word(0), word(1), word(2), word(3)) else { return Err(bad()) };
    let count = usize::try_from(count).map_err(|_| bad())?;
    if bytes.len() != 8 + count * 2 {
        return Err(bad());
    }
    let mut text = match sign as u16 {
        0 => String::new(),
        0x4000 => "-".to_string(),
        0xC000 | 0xD000 | 0xF000 => return Err(SqlError::unsupported("a numeric that is NaN or infinite")),
        _ => return Err(bad()),
    };
    text.push('0');
    for index in 0..count {
        let digit = word(4 + index).filter(|digit| (0..10_000).contains(digit)).ok_or_else(bad)?;
        text.push_str(&format!("{digit:04}"));
    }
    // The value is the groups as one integer, times 10,000 to the power of what remains of the weight.
    text.push_str(&format!("e{}", (i32::from(weight) - count as i32 + 1) * 4));
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn shown(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn quotients_have_the_digits_of_their_size() {
        let table = [
            (150_000_000_000_000_000_000, 20, "1.5000000000000000"),
            (3_333_333_333_333_333_300_000_000, 20, "33333.333333333333"),
            (33_333_333_333_333_333_333, 20, "0.33333333333333333333"),
            (50_000_000_000_000_000_000, 20, "0.50000000000000000000"),
            (-150_000_000_000_000_000_000, 20, "-1.5000000000000000"),
            (123_456_789_012_345_678_900_000_000_000_000_000, 16, "12345678901234567890"),
        ];
        for (value, scale, text) in table {
            assert_eq!(shown(|out| write_quotient(value, scale, Quotient::Plain, out)), text);
        }
    }

    #[test]
    fn floats_look_like_postgres() {
        let table = [
            (1e20, "1e+20"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (123456.789, "123456.789"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (0.1, "0.1"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (3.0, "3"),
            (-2.5, "-2.5"),
        ];
        for (value, text) in table {
            assert_eq!(shown(|out| write_float8(value, 1, out)), text);
        }
        assert_eq!(shown(|out| write_float8(0.1 + 0.2, 1, out)), "0.30000000000000004");
        assert_eq!(shown(|out| write_float8(0.1 + 0.2, 0, out)), "0.3");
        assert_eq!(shown(|out| write_float4(1e6, 1, out)), "1e+06");
        assert_eq!(shown(|out| write_float4(0.1, 1, out)), "0.1");
    }

    #[test]
    fn decimals() {
        assert_eq!(shown(|out| write_decimal(-1_050, 2, false, out)), "-10.50");
        assert_eq!(shown(|out| write_decimal(5, 3, false, out)), "0.005");
        assert_eq!(shown(|out| write_decimal(15_000_000_000, 10, true, out)), "1.5");
        assert_eq!(shown(|out| write_decimal(0, 10, true, out)), "0");
        assert_eq!(shown(|out| write_decimal(i128::MAX, 0, false, out)), i128::MAX.to_string());
        assert_eq!(parse_decimal(" 1.005 ", 10, 2, true).unwrap(), 101);
        assert_eq!(parse_decimal("-1e3", 10, 0, true).unwrap(), -1000);
        assert_eq!(parse_decimal("0.0049", 10, 2, true).unwrap(), 0);
        assert_eq!(parse_decimal("1e-99999", 10, 2, true).unwrap(), 0);
        for (text, state) in [
            ("", "22P02"),
            (".", "22P02"),
            ("1.2.3", "22P02"),
            ("1e", "22P02"),
            ("999.995", "22003"),
            ("1e99999", "22003"),
            ("NaN", "0A000"),
        ] {
            assert_eq!(parse_decimal(text, 5, 2, true).unwrap_err().state.0, state, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_binary_read_back(value in any::<i128>().prop_map(|value| value % 10i128.pow(38)), scale in 0i8..=38) {
            let text = shown(|out| write_decimal(value, scale, false, out));
            prop_assert_eq!(parse_decimal(&text, 38, scale, true).unwrap(), value);
            let mut binary = BytesMut::new();
            write_numeric_binary(text.as_bytes(), &mut binary);
            prop_assert_eq!(parse_decimal(&numeric_text_from_binary(&binary).unwrap(), 38, scale, true).unwrap(), value);
        }

        #[test]
        fn integers_are_exact(value in any::<i64>()) {
            prop_assert_eq!(shown(|out| write_integer(value, out)), value.to_string());
        }

        #[test]
        fn floats_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let text = shown(|out| write_float8(value, 1, out));
            let back: f64 = text.parse().unwrap();
            prop_assert!(back == value || value.is_nan());
        }

        #[test]
        fn no_binary_numeric_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(text) = numeric_text_from_binary(&bytes) {
                let _ = parse_decimal(&text, 38, 10, false);
            }
        }
    }
}
