//! Texts of dates, times and timestamps, read as PostgreSQL reads them, in each of DateStyle's orders.

use super::super::forms::Reading;
use super::super::zone::{Zone, parse_offset};
use super::date_fields::{DateFields, month_number};
use super::{DAY_MICROSECONDS, days_from_civil, days_in_month, fraction_microseconds};
use crate::error::{Result, SqlError, SqlState};
use crate::types::moment;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// It cannot be read.
    Syntax,
    /// It can, and no such moment exists.
    Range,
    /// The number of the month or the day is none: they may have been meant the other way.
    MonthOrDay,
}

/// What a text says.
#[derive(Default)]
struct Parts {
    date: DateFields,
    time: Option<i64>,
    zone: Option<Zone>,
    afternoon: Option<bool>,
    before_christ: bool,
    epoch: bool,
    /// Infinity: later or earlier than all.
    infinite: Option<bool>,
    /// A day by its number: Julian, or within its year.
    day: Option<i64>,
    /// Words that mean a day or moment by the clock: days from today, and whether the time is meant too.
    relative: Option<(i64, bool)>,
}

/// Reads a date into days since 1970.
pub(in crate::types) fn parse_date(text: &str, forms: &Reading) -> Result<i32> {
    if let Some(days) = parse_iso_date(text.as_bytes()) {
        return Ok(days);
    }
    let parts = read(text, forms).map_err(|fault| error(fault, "date", text))?;
    if let Some(later) = parts.infinite {
        return Ok(if later { i32::MAX } else { i32::MIN });
    }
    let days = parts.day_number().and_then(|days| parts.time_of_day().map(|_| days)).map_err(|fault| error(fault, "date", text))?;
    let out_of_range = || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\""));
    // The first day is 4714-11-24 BC, Julian day 0.
    i32::try_from(days).ok().filter(|days| *days >= -JULIAN_1970 as i32).ok_or_else(out_of_range)
}

/// `2024-02-29`, and nothing else.
fn parse_iso_date(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let number = |digits: &[u8]| digits.iter().try_fold(0u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')));
    let year = i64::from(number(&[*y1, *y2, *y3, *y4])?);
    let (month, day) = (number(&[*m1, *m2])?, number(&[*d1, *d2])?);
    let exists = year > 0 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    exists.then(|| days_from_civil(year, month, day) as i32)
}

/// Reads a time of day into microseconds.
pub(in crate::types) fn parse_time(text: &str, forms: &Reading) -> Result<i64> {
    let parts = read_time(text, forms).map_err(|fault| error(fault, "time", text))?;
    let time = parts.time_of_day().map_err(|fault| error(fault, "time", text))?;
    match time {
        Some(time) if time <= DAY_MICROSECONDS => Ok(time),
        Some(_) => Err(error(Fault::Range, "time", text)),
        None => Err(error(Fault::Syntax, "time", text)),
    }
}

/// Reads a timestamp into microseconds since 1970; a zone in the text is ignored, as in PostgreSQL.
pub(in crate::types) fn parse_timestamp(text: &str, forms: &Reading) -> Result<i64> {
    let fail = |fault| error(fault, "timestamp", text);
    let parts = read(text, forms).map_err(fail)?;
    if let Some(later) = parts.infinite {
        return Ok(if later { i64::MAX } else { i64::MIN });
    }
    let local = parts.local_microseconds().map_err(fail)?;
    in_range(local, text)
}

/// Timestamps begin with Julian day 0, as PostgreSQL's, and end where 64 bits end, in the year 294247.
fn in_range(at: i64, text: &str) -> Result<i64> {
    match (-JULIAN_1970 * DAY_MICROSECONDS..i64::MAX).contains(&at) {
        true => Ok(at),
        false => Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\""))),
    }
}

/// Julian day of 1970-01-01.
const JULIAN_1970: i64 = 2_440_588;

/// Reads a timestamp with time zone into microseconds since 1970 UTC.
pub(in crate::types) fn parse_timestamptz(text: &str, forms: &Reading) -> Result<i64> {
    let fail = |fault| error(fault, "timestamp with time zone", text);
    let parts = read(text, forms).map_err(fail)?;
    if let Some(later) = parts.infinite {
        return Ok(if later { i64::MAX } else { i64::MIN });
    }
    let local = parts.local_microseconds().map_err(fail)?;
    if parts.epoch {
        return Ok(local);
    }
    let zone = parts.zone.as_ref().unwrap_or(&forms.zone);
    let offset = zone.offset_at_local(local.div_euclid(1_000_000));
    in_range(local.checked_sub(i64::from(offset) * 1_000_000).ok_or_else(|| fail(Fault::Range))?, text)
}

fn error(fault: Fault, type_name: &str, text: &str) -> SqlError {
    match fault {
        Fault::Syntax => SqlError::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type {type_name}: \"{text}\"")),
        Fault::Range => SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\"")),
        Fault::MonthOrDay => error_of_order(text),
    }
}

fn error_of_order(text: &str) -> SqlError {
    error(Fault::Range, "date", text).with_hint("Perhaps you need a different \"datestyle\" setting.")
}

fn read_time(text: &str, forms: &Reading) -> Result<Parts, Fault> {
    let digits = text.trim().trim_start_matches(['T', 't']);
    let end = digits.bytes().position(|byte| !(byte.is_ascii_digit() || byte == b'.')).unwrap_or(digits.len());
    let whole = digits[..end].split('.').next().unwrap_or_default();
    // `040506`: a time, and not a date, because only that is asked for.
    if matches!(whole.len(), 4 | 6) && !digits[end..].starts_with(['/', ':']) && !digits.contains(' ') {
        let mut parts = Parts { time: Some(packed_clock(&digits[..end])?), ..Parts::default() };
        if end < digits.len() {
            parts.take(&digits[end..])?;
        }
        return Ok(parts);
    }
    read(text, forms)
}

/// `hhmmss` or `hhmm`, perhaps with a fraction.
fn packed_clock(text: &str) -> Result<i64, Fault> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let spelled = match whole.len() {
        4 if fraction.is_empty() => format!("{}:{}", &whole[..2], &whole[2..]),
        6 => format!("{}:{}:{}", &whole[..2], &whole[2..4], &whole[4..]),
        _ => return Err(Fault::Syntax),
    };
    clock(&if fraction.is_empty() { spelled } else { format!("{spelled}.{fraction}") })
}

fn read(text: &str, forms: &Reading) -> Result<Parts, Fault> {
    if text.len() > 128 {
        return Err(Fault::Syntax);
    }
    let mut parts = Parts { date: DateFields::new(forms.order), ..Parts::default() };
    for token in text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|token| !token.is_empty()) {
        parts.take(token)?;
    }
    parts.by_the_clock(&forms.zone);
    Ok(parts)
}

/// A date, and the word that stands right behind it: a zone, an era, or the T before a time.
fn date_and_word(token: &str) -> Option<(&str, &str)> {
    let bytes = token.as_bytes();
    let begins = |at: &usize| bytes[*at].is_ascii_alphabetic() && bytes[*at - 1].is_ascii_digit();
    let is_date = |date: &str| {
        let separators = date.bytes().filter(|byte| matches!(byte, b'-' | b'/' | b'.')).count();
        separators == 2 || (date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let at = (6..bytes.len()).filter(begins).find(|at| is_date(&token[..*at]))?;
    Some(token.split_at(at))
}

/// `010203` with a zone right behind it.
fn is_packed_time(token: &str) -> bool {
    let bytes = token.as_bytes();
    bytes.len() > 6 && bytes[..6].iter().all(u8::is_ascii_digit) && bytes[6].is_ascii_alphabetic()
}

impl Parts {
    fn take(&mut self, token: &str) -> Result<(), Fault> {
        let first = token.as_bytes()[0];
        let has_time = token.contains(':');
        if first.is_ascii_digit() && has_time {
            return match token
                .split_once(['T', 't'])
                .filter(|(date, time)| !date.contains(':') && time.starts_with(|c: char| c.is_ascii_digit()))
            {
                Some((date, time)) => self.take(date).and_then(|()| self.take_time(time)),
                None => self.take_time(token),
            };
        }
        if first.is_ascii_digit()
            && !has_time
            && let Some((date, zone)) = token.split_once('+')
        {
            self.take(date)?;
            return self.set_zone(Zone::Fixed(parse_offset(zone).ok_or(Fault::Syntax)?));
        }
        if first.is_ascii_digit() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.take_number(token);
        }
        if let Some((date, word)) = date_and_word(token).filter(|_| !has_time) {
            self.take(date)?;
            return match word.strip_prefix(['T', 't']).filter(|time| time.starts_with(|c: char| c.is_ascii_digit())) {
                Some(time) => self.take_packed_time(time),
                None => self.take_word(word),
            };
        }
        if (self.date.is_complete() || self.day.is_some()) && self.time.is_none() && is_packed_time(token) {
            return self.take_packed_time(token);
        }
        if let Some((date, time)) =
            token.split_once(['T', 't']).filter(|(date, _)| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
        {
            self.take_number(date)?;
            return self.take_packed_time(time);
        }
        // A zone right behind AM or PM.
        if let Some((half, zone)) = token.split_at_checked(2)
            && matches!(half.to_ascii_lowercase().as_str(), "am" | "pm")
            && zone.starts_with(['+', '-'])
        {
            self.take_word(half)?;
            return self.set_zone(Zone::Fixed(parse_offset(zone).ok_or(Fault::Syntax)?));
        }
        let month_first = first.is_ascii_alphabetic()
            && token.split(['-', '/', '.']).next().and_then(|word| month_number(&word.to_ascii_lowercase())).is_some();
        if (first.is_ascii_digit() || month_first) && token[1..].contains(['-', '/', '.']) {
            return self.date.word(token);
        }
        if matches!(first, b'+' | b'-') && self.time.is_some() {
            return self.set_zone(Zone::Fixed(parse_offset(token).ok_or(Fault::Syntax)?));
        }
        self.take_word(token)
    }
    /// A word of digits: a date or a time without separators from six digits on, a year, month or day else.
    fn take_number(&mut self, token: &str) -> Result<(), Fault> {
        let dated = self.date.is_complete() || self.day.is_some();
        match token.len() {
            4 | 6 if dated && self.time.is_none() => self.take_packed_time(token),
            6.. if !dated => self.take_packed_date(token),
            _ if dated => Err(Fault::Syntax),
            _ => self.date.number(token),
        }
    }
    /// Month and day are the last four digits, the year all before them: `yymmdd`, `yyyymmdd`.
    fn take_packed_date(&mut self, digits: &str) -> Result<(), Fault> {
        let number = |part: &str| part.parse::<i32>().map(i64::from).map_err(|_| Fault::Range);
        let (year, rest) = digits.split_at(digits.len() - 4);
        self.date.set(number(year)?, year.len() == 2, number(&rest[..2])?, number(&rest[2..])?)
    }
    fn take_word(&mut self, token: &str) -> Result<(), Fault> {
        let word = token.to_ascii_lowercase();
        match word.as_str() {
            "am" | "pm" => self.afternoon = Some(word == "pm"),
            "bc" => self.before_christ = true,
            "ad" | "at" | "t" => {}
            "epoch" => self.epoch = true,
            "infinity" | "-infinity" => self.infinite = Some(word == "infinity"),
            "now" => self.relative = Some((0, true)),
            "today" => self.relative = Some((0, false)),
            "tomorrow" => self.relative = Some((1, false)),
            "yesterday" => self.relative = Some((-1, false)),
            "allballs" => (self.time, self.zone) = (Some(0), Some(Zone::Utc)),
            _ if word.len() > 1 && word.starts_with('j') && word[1..].bytes().all(|byte| byte.is_ascii_digit()) => {
                let day: i64 = word[1..].parse().map_err(|_| Fault::Range)?;
                self.day = Some(day.checked_sub(JULIAN_1970).ok_or(Fault::Range)?);
            }
            _ if is_weekday(&word) => {}
            _ => match month_number(&word) {
                Some(month) => return self.date.named_month(month),
                None => return self.set_zone(Zone::named(token).filter(|_| !word.starts_with(['+', '-'])).ok_or(Fault::Syntax)?),
            },
        }
        Ok(())
    }
    fn set_zone(&mut self, zone: Zone) -> Result<(), Fault> {
        match self.zone.replace(zone) {
            None => Ok(()),
            Some(_) => Err(Fault::Syntax),
        }
    }
    fn take_packed_time(&mut self, text: &str) -> Result<(), Fault> {
        let end = text.bytes().position(|byte| !(byte.is_ascii_digit() || byte == b'.')).unwrap_or(text.len());
        self.time = Some(packed_clock(&text[..end])?);
        if end < text.len() { self.take(&text[end..]) } else { Ok(()) }
    }
    /// What words say that are about today and now.
    fn by_the_clock(&mut self, zone: &Zone) {
        let Some((days, with_time)) = self.relative else { return };
        let now = moment::local(chrono::Utc::now().timestamp_micros(), zone);
        self.day = Some(now.div_euclid(DAY_MICROSECONDS) + days);
        if with_time {
            self.time = Some(now.rem_euclid(DAY_MICROSECONDS));
        }
    }
    /// `12:34`, `12:34:56.789`, with a zone or AM, PM attached.
    fn take_time(&mut self, token: &str) -> Result<(), Fault> {
        let end = token.bytes().position(|byte| !(byte.is_ascii_digit() || matches!(byte, b':' | b'.'))).unwrap_or(token.len());
        let time = clock(&token[..end])?;
        if self.time.replace(time).is_some() {
            return Err(Fault::Syntax);
        }
        match &token[end..] {
            "" => Ok(()),
            rest => self.take(rest),
        }
    }
    fn day_number(&self) -> Result<i64, Fault> {
        match (self.epoch, self.day) {
            (true, _) => Ok(0),
            (false, Some(day)) => Ok(day),
            (false, None) => self.date.day_number(self.before_christ),
        }
    }
    fn time_of_day(&self) -> Result<Option<i64>, Fault> {
        let (Some(time), Some(afternoon)) = (self.time, self.afternoon) else { return Ok(self.time) };
        let hour = time / 3_600_000_000;
        if !(1..=12).contains(&hour) {
            return Err(Fault::Range);
        }
        Ok(Some(time % 3_600_000_000 + (hour % 12 + if afternoon { 12 } else { 0 }) * 3_600_000_000))
    }
    fn local_microseconds(&self) -> Result<i64, Fault> {
        let days = self.day_number()?;
        let time = self.time_of_day()?.unwrap_or(0);
        days.checked_mul(DAY_MICROSECONDS).and_then(|start| start.checked_add(time)).ok_or(Fault::Range)
    }
}

/// Hours, minutes, and perhaps seconds with a fraction, in microseconds.
fn clock(text: &str) -> Result<i64, Fault> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fields: Vec<&str> = whole.split(':').collect();
    let number = |text: &&str| match text.len() {
        1..=2 => text.parse::<i64>().map_err(|_| Fault::Syntax),
        _ => Err(Fault::Syntax),
    };
    let (hour, minute, second) = match fields.as_slice() {
        [hour, minute] if fraction.is_empty() => (number(hour)?, number(minute)?, 0),
        [hour, minute, second] => (number(hour)?, number(minute)?, number(second)?),
        _ => return Err(Fault::Syntax),
    };
    let total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction_microseconds(fraction).ok_or(Fault::Syntax)?;
    if hour > 24 || minute > 59 || second > 60 || total > DAY_MICROSECONDS {
        return Err(Fault::Range);
    }
    Ok(total)
}

fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    DAYS.iter().any(|day| *day == word || (word.len() >= 3 && day.starts_with(word)))
}
