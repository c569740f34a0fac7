//! Intervals: months, days and microseconds that do not convert into each other.

use super::datetime::{fraction_microseconds, write_fraction};
use super::forms::IntervalForm;
use super::numeric::{write_integer, write_pair};
use crate::error::{Result, SqlError, SqlState};
use bytes::{BufMut, BytesMut};

const SECOND: i128 = 1_000_000;
const DAY: i128 = 86_400 * SECOND;

/// An interval; microseconds are kept wide while a text is read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Interval {
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) microseconds: i64,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    months: i128,
    days: i128,
    microseconds: i128,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Months(i128),
    Days(i128),
    Microseconds(i128),
}

/// A decimal number: whole part, and millionths of its fraction, both with the sign.
#[derive(Clone, Copy)]
struct Number {
    whole: i128,
    millionths: i128,
}

impl Sum {
    fn add(&mut self, number: Number, unit: Unit) {
        match unit {
            Unit::Months(size) => {
                let total = number.millionths * size;
                self.months += number.whole * size + total / 1_000_000;
                self.add_days_fraction(total % 1_000_000 * 30);
            }
            Unit::Days(size) => {
                self.days += number.whole * size;
                self.add_days_fraction(number.millionths * size);
            }
            Unit::Microseconds(size) => self.microseconds += number.whole * size + number.millionths * size / 1_000_000,
        }
    }
    fn add_days_fraction(&mut self, millionths: i128) {
        self.days += millionths / 1_000_000;
        self.microseconds += millionths % 1_000_000 * DAY / 1_000_000;
    }
    fn negated(self) -> Self {
        Self { months: -self.months, days: -self.days, microseconds: -self.microseconds }
    }
    fn finish(self) -> Option<Interval> {
        Some(Interval {
            months: self.months.try_into().ok()?,
            days: self.days.try_into().ok()?,
            microseconds: self.microseconds.try_into().ok()?,
        })
    }
}

/// Reads an interval: `1 year 2 mons -3 days 04:05:06`, `1-2`, `P1DT2H`, `@ 1 hour ago`, `90` (seconds).
pub(super) fn parse_interval(text: &str, form: IntervalForm) -> Result<Interval> {
    let syntax = || SqlError::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type interval: \"{text}\""));
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() || trimmed.len() > 256 {
        return Err(syntax());
    }
    if trimmed.trim_start_matches(['+', '-']).eq_ignore_ascii_case("infinity") {
        return Err(SqlError::unsupported(format!("interval value \"{text}\"")));
    }
    let sum = match trimmed.strip_prefix('P') {
        Some(iso) => iso_8601(iso),
        None if form == IntervalForm::SqlStandard => verbose(&sign_of_all(joined_signs(trimmed))),
        None => verbose(&joined_signs(trimmed)),
    };
    let out_of_range = || SqlError::new(SqlState::INTERVAL_FIELD_OVERFLOW, format!("interval field value out of range: \"{text}\""));
    // An interval's nanoseconds are 64 bits in Arrow.
    let result = sum.ok_or_else(syntax)?.finish().filter(|interval| interval.microseconds.checked_mul(1000).is_some());
    result.ok_or_else(out_of_range)
}

fn verbose(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut pending: Option<Number> = None;
    let mut ago = false;
    let mut any = false;
    for token in tokens(text) {
        match token {
            "@" => {}
            _ if token.eq_ignore_ascii_case("ago") && any && !ago => ago = true,
            _ if ago => return None,
            _ if token.contains(':') => {
                if let Some(days) = pending.take() {
                    sum.add(days, Unit::Days(1));
                }
                sum.microseconds += clock(token)?;
                any = true;
            }
            _ if token.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                sum.add(pending.take()?, unit(token)?);
                any = true;
            }
            _ if token.get(1..).is_some_and(|rest| rest.contains('-')) => {
                sum.months += years_months(token)?;
                any = true;
            }
            _ => {
                if pending.replace(number(token)?).is_some() {
                    return None;
                }
                any = true;
            }
        }
    }
    if let Some(seconds) = pending {
        sum.add(seconds, Unit::Microseconds(SECOND));
    }
    any.then(|| if ago { sum.negated() } else { sum })
}

/// The leading minus of a text without further signs is that of all its fields, as the SQL standard has it.
fn sign_of_all(text: String) -> String {
    let mut words = text.split_ascii_whitespace();
    let signed = words.next().is_some_and(|first| first.starts_with('-'));
    if !signed || words.any(|word| word.starts_with(['-', '+'])) {
        return text;
    }
    let signed = |word: &str| if word.starts_with(|first: char| first.is_ascii_digit()) { format!("-{word}") } else { word.to_string() };
    text.split_ascii_whitespace().map(signed).collect::<Vec<_>>().join(" ")
}

/// A sign that stands alone belongs to what follows: `1 month - 1 day`.
fn joined_signs(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        joined.push_str(word);
        joined.push_str(if matches!(word, "+" | "-") { "" } else { " " });
    }
    joined
}

/// Splits at blanks, and between a number and its unit (`1d`).
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace().flat_map(|word| {
        let letters = word.bytes().position(|byte| byte.is_ascii_alphabetic()).unwrap_or(word.len());
        let (first, rest) = word.split_at(letters);
        [first, rest].into_iter().filter(|part| !part.is_empty())
    })
}

fn unit(word: &str) -> Option<Unit> {
    let word = word.to_ascii_lowercase();
    Some(match word.as_str() {
        "millennium" | "millennia" | "mil" | "mils" => Unit::Months(12_000),
        "century" | "centuries" | "c" | "cent" => Unit::Months(1_200),
        "decade" | "decades" | "dec" | "decs" => Unit::Months(120),
        "year" | "years" | "y" | "yr" | "yrs" => Unit::Months(12),
        "month" | "months" | "mon" | "mons" => Unit::Months(1),
        "week" | "weeks" | "w" => Unit::Days(7),
        "day" | "days" | "d" => Unit::Days(1),
        "hour" | "hours" | "h" | "hr" | "hrs" => Unit::Microseconds(3600 * SECOND),
        "minute" | "minutes" | "m" | "min" | "mins" => Unit::Microseconds(60 * SECOND),
        "second" | "seconds" | "s" | "sec" | "secs" => Unit::Microseconds(SECOND),
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => Unit::Microseconds(1_000),
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" => Unit::Microseconds(1),
        _ => return None,
    })
}

fn sign(text: &str) -> (i128, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

fn number(text: &str) -> Option<Number> {
    let (sign, digits) = sign(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 18 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some(Number { whole: sign * whole, millionths: sign * i128::from(fraction_microseconds(fraction)?) })
}

/// `[-]hh:mm[:ss[.ffffff]]`, hours without limit.
fn clock(text: &str) -> Option<i128> {
    let (sign, text) = sign(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fields: Vec<i128> = whole
        .split(':')
        .map(|field| {
            Some(field)
                .filter(|field| field.len() <= 12 && field.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|field| field.parse().ok())
        })
        .collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match fields.as_slice() {
        [minutes, seconds] if !fraction.is_empty() => (0, *minutes, *seconds),
        [hours, minutes] => (*hours, *minutes, 0),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    if minutes > 59 || seconds > 60 {
        return None;
    }
    Some(sign * (((hours * 60 + minutes) * 60 + seconds) * SECOND + i128::from(fraction_microseconds(fraction)?)))
}

/// `1-2`: years and months.
fn years_months(text: &str) -> Option<i128> {
    let (sign, text) = sign(text);
    let (years, months) = text.split_once('-')?;
    let (years, months) = (number(years)?.whole, number(months)?.whole);
    (0..12).contains(&months).then_some(sign * (years * 12 + months))
}

/// What follows the P of `P1Y2M3DT4H5M6S`.
fn iso_8601(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut in_time = false;
    let mut rest = text;
    let mut any = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T').filter(|_| !in_time) {
            in_time = true;
            rest = after;
            continue;
        }
        let at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let unit = match (&rest[at..=at], in_time) {
            ("Y", false) => Unit::Months(12),
            ("M", false) => Unit::Months(1),
            ("W", false) => Unit::Days(7),
            ("D", false) => Unit::Days(1),
            ("H", true) => Unit::Microseconds(3600 * SECOND),
            ("M", true) => Unit::Microseconds(60 * SECOND),
            ("S", true) => Unit::Microseconds(SECOND),
            _ => return None,
        };
        sum.add(number(&rest[..at])?, unit);
        any = true;
        rest = &rest[at + 1..];
    }
    any.then_some(sum)
}

/// Appends an interval in the style `postgres`.
pub(super) fn write_interval(interval: Interval, out: &mut BytesMut) {
    let start = out.len();
    let mut before = false;
    for (value, name) in [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")] {
        if value != 0 {
            if out.len() > start {
                out.put_u8(b' ');
            }
            write_part(value, name, before, out);
            before = value < 0;
        }
    }
    let microseconds = interval.microseconds;
    if microseconds == 0 && out.len() > start {
        return;
    }
    if out.len() > start {
        out.put_u8(b' ');
    }
    write_clock(microseconds, before, out);
}

fn write_part(value: i32, name: &str, before: bool, out: &mut BytesMut) {
    if before && value > 0 {
        out.put_u8(b'+');
    }
    write_integer(i64::from(value), out);
    out.put_u8(b' ');
    out.put_slice(name.as_bytes());
    if value != 1 {
        out.put_u8(b's');
    }
}

fn write_clock(microseconds: i64, before: bool, out: &mut BytesMut) {
    if microseconds < 0 {
        out.put_u8(b'-');
    } else if before {
        out.put_u8(b'+');
    }
    let total = microseconds.unsigned_abs();
    let seconds = total / 1_000_000;
    let hours = seconds / 3600;
    if hours < 100 {
        write_pair(hours as u32, out);
    } else {
        write_integer(hours as i64, out);
    }
    out.put_u8(b':');
    write_pair((seconds / 60 % 60) as u32, out);
    out.put_u8(b':');
    write_pair((seconds % 60) as u32, out);
    write_fraction((total % 1_000_000) as u32, out);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn shown(interval: Interval) -> String {
        let mut out = BytesMut::new();
        write_interval(interval, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn texts() {
        let table = [
            ("1 day 02:03:04", "1 day 02:03:04"),
            ("1 year 2 mons", "1 year 2 mons"),
            ("1-2", "1 year 2 mons"),
            ("P1DT2H", "1 day 02:00:00"),
            ("P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"),
            ("@ 1 hour ago", "-01:00:00"),
            ("90", "00:01:30"),
            ("1.5 days", "1 day 12:00:00"),
            ("1.5 months", "1 mon 15 days"),
            ("1.5 years", "1 year 6 mons"),
            ("2 weeks", "14 days"),
            ("-1 year 2 days", "-1 years +2 days"),
            ("1 day -01:00", "1 day -01:00:00"),
            ("1d", "1 day"),
            ("0", "00:00:00"),
            ("100:00:00", "100:00:00"),
            ("-1 day +02:03", "-1 days +02:03:00"),
        ];
        for (text, expected) in table {
            assert_eq!(shown(parse_interval(text, IntervalForm::Postgres).unwrap()), expected, "{text}");
        }
        for (text, state) in
            [("", "22007"), ("1 lightyear", "22007"), ("abc", "22007"), ("1 2", "22007"), ("99999999999 years", "22015"), ("P", "22007")]
        {
            assert_eq!(parse_interval(text, IntervalForm::Postgres).unwrap_err().state.0, state, "{text}");
        }
    }

    proptest! {
        #[test]
        fn intervals_read_back(months in -100_000i32..100_000, days in -100_000i32..100_000, microseconds in -9_000_000_000_000_000i64..9_000_000_000_000_000) {
            let interval = Interval { months, days, microseconds };
            prop_assert_eq!(parse_interval(&shown(interval), IntervalForm::Postgres).unwrap(), interval);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = parse_interval(&text, IntervalForm::Postgres);
        }
    }
}
