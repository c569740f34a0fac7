//! Dates, times and timestamps: their text as PostgreSQL reads and writes it with DateStyle `ISO, MDY`, and the calendar beneath.

use super::numeric::{write_integer, write_pair};
use super::zone::{Zone, parse_offset};
use crate::error::{Result, SqlError, SqlState};
use bytes::{BufMut, BytesMut};

pub(super) const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL's binary forms count.
pub(super) const EPOCH_2000_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_2000_MICROSECONDS: i64 = EPOCH_2000_DAYS as i64 * DAY_MICROSECONDS;

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
pub(super) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a number of days since 1970-01-01.
pub(super) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, (day_of_year - (153 * shifted + 2) / 5 + 1) as u32)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Appends the date without its era; answers whether ` BC` must follow at the end.
fn write_civil(days: i64, out: &mut BytesMut) -> bool {
    let (year, month, day) = civil_from_days(days);
    let shown = if year > 0 { year } else { 1 - year };
    match shown {
        0..=9_999 => {
            write_pair(shown as u32 / 100, out);
            write_pair(shown as u32 % 100, out);
        }
        _ => write_integer(shown, out),
    }
    out.put_u8(b'-');
    write_pair(month, out);
    out.put_u8(b'-');
    write_pair(day, out);
    year <= 0
}

/// Appends a date.
pub(super) fn write_date(days: i32, out: &mut BytesMut) {
    match days {
        i32::MAX => return out.put_slice(b"infinity"),
        i32::MIN => return out.put_slice(b"-infinity"),
        _ => {}
    }
    if write_civil(i64::from(days), out) {
        out.put_slice(b" BC");
    }
}

/// Appends a time of day in microseconds.
pub(super) fn write_time(microseconds: i64, out: &mut BytesMut) {
    let seconds = microseconds / 1_000_000;
    write_pair((seconds / 3600) as u32, out);
    out.put_u8(b':');
    write_pair((seconds / 60 % 60) as u32, out);
    out.put_u8(b':');
    write_pair((seconds % 60) as u32, out);
    write_fraction((microseconds % 1_000_000) as u32, out);
}

/// Appends a fraction of a second without zeros at its end; nothing for zero.
pub(super) fn write_fraction(microseconds: u32, out: &mut BytesMut) {
    if microseconds == 0 {
        return;
    }
    out.put_u8(b'.');
    write_pair(microseconds / 10_000, out);
    write_pair(microseconds / 100 % 100, out);
    write_pair(microseconds % 100, out);
    while out.ends_with(b"0") {
        out.truncate(out.len() - 1);
    }
}

/// Appends a timestamp in microseconds since 1970; with a zone, in its time and with its offset.
pub(super) fn write_timestamp(microseconds: i64, zone: Option<&Zone>, out: &mut BytesMut) {
    match microseconds {
        i64::MAX => return out.put_slice(b"infinity"),
        i64::MIN => return out.put_slice(b"-infinity"),
        _ => {}
    }
    let offset = zone.map(|zone| zone.offset_at(microseconds.div_euclid(1_000_000)));
    let local = i128::from(microseconds) + i128::from(offset.unwrap_or(0)) * 1_000_000;
    let day = i128::from(DAY_MICROSECONDS);
    let before_christ = write_civil(local.div_euclid(day) as i64, out);
    out.put_u8(b' ');
    write_time(local.rem_euclid(day) as i64, out);
    if let Some(offset) = offset {
        write_offset(offset, out);
    }
    if before_christ {
        out.put_slice(b" BC");
    }
}

fn write_offset(seconds_east: i32, out: &mut BytesMut) {
    out.put_u8(if seconds_east < 0 { b'-' } else { b'+' });
    let seconds = seconds_east.unsigned_abs();
    write_pair(seconds / 3600, out);
    if !seconds.is_multiple_of(3600) {
        out.put_u8(b':');
        write_pair(seconds / 60 % 60, out);
    }
    if !seconds.is_multiple_of(60) {
        out.put_u8(b':');
        write_pair(seconds % 60, out);
    }
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
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
    date: Option<(i64, u32, u32)>,
    time: Option<i64>,
    zone: Option<Zone>,
    afternoon: Option<bool>,
    before_christ: bool,
    month: Option<u32>,
    numbers: Vec<(i64, usize)>,
    epoch: bool,
    /// Infinity: later or earlier than all.
    infinite: Option<bool>,
    /// A day by its number: Julian, or within its year.
    day: Option<i64>,
    /// Words that mean a day or moment by the clock: days from today, and whether the time is meant too.
    relative: Option<(i64, bool)>,
}

/// Reads a date into days since 1970.
pub(super) fn parse_date(text: &str, zone: &Zone) -> Result<i32> {
    if let Some(days) = parse_iso_date(text.as_bytes()) {
        return Ok(days);
    }
    let parts = read(text, zone).map_err(|fault| error(fault, "date", text))?;
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
pub(super) fn parse_time(text: &str, zone: &Zone) -> Result<i64> {
    let parts = read_time(text, zone).map_err(|fault| error(fault, "time", text))?;
    let time = parts.time_of_day().map_err(|fault| error(fault, "time", text))?;
    match time {
        Some(time) if time <= DAY_MICROSECONDS => Ok(time),
        Some(_) => Err(error(Fault::Range, "time", text)),
        None => Err(error(Fault::Syntax, "time", text)),
    }
}

/// Reads a timestamp into microseconds since 1970; a zone in the text is ignored, as in PostgreSQL.
pub(super) fn parse_timestamp(text: &str, zone: &Zone) -> Result<i64> {
    let fail = |fault| error(fault, "timestamp", text);
    let parts = read(text, zone).map_err(fail)?;
    if let Some(later) = parts.infinite {
        return Ok(if later { i64::MAX } else { i64::MIN });
    }
    let local = parts.local_microseconds().map_err(fail)?;
    in_range(local, "timestamp", text)
}

/// Timestamps begin with Julian day 0, as PostgreSQL's, and end where 64 bits end, in the year 294247.
fn in_range(at: i64, _type_name: &str, text: &str) -> Result<i64> {
    match (-JULIAN_1970 * DAY_MICROSECONDS..i64::MAX).contains(&at) {
        true => Ok(at),
        false => Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\""))),
    }
}

/// Julian day of 1970-01-01.
const JULIAN_1970: i64 = 2_440_588;

/// Reads a timestamp with time zone into microseconds since 1970 UTC; `zone` is the session's, for texts without one.
pub(super) fn parse_timestamptz(text: &str, zone: &Zone) -> Result<i64> {
    let fail = |fault| error(fault, "timestamp with time zone", text);
    let parts = read(text, zone).map_err(fail)?;
    if let Some(later) = parts.infinite {
        return Ok(if later { i64::MAX } else { i64::MIN });
    }
    let local = parts.local_microseconds().map_err(fail)?;
    if parts.epoch {
        return Ok(local);
    }
    let zone = parts.zone.as_ref().unwrap_or(zone);
    let offset = zone.offset_at_local(local.div_euclid(1_000_000));
    in_range(local.checked_sub(i64::from(offset) * 1_000_000).ok_or_else(|| fail(Fault::Range))?, "timestamp", text)
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

fn read_time(text: &str, zone: &Zone) -> Result<Parts, Fault> {
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
    read(text, zone)
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

fn read(text: &str, zone: &Zone) -> Result<Parts, Fault> {
    if text.len() > 128 {
        return Err(Fault::Syntax);
    }
    let mut parts = Parts::default();
    for token in text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|token| !token.is_empty()) {
        parts.take(token)?;
    }
    parts.settle()?;
    parts.by_the_clock(zone);
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
        if (self.date.is_some() || self.day.is_some()) && self.time.is_none() && is_packed_time(token) {
            return self.take_packed_time(token);
        }
        if let Some((date, time)) =
            token.split_once(['T', 't']).filter(|(date, _)| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
        {
            self.take_number(date)?;
            return self.take_packed_time(time);
        }
        let month_first = first.is_ascii_alphabetic()
            && token.split(['-', '/', '.']).next().and_then(|word| month_number(&word.to_ascii_lowercase())).is_some();
        if (first.is_ascii_digit() || month_first) && token[1..].contains(['-', '/', '.']) {
            return self.take_date(token);
        }
        if matches!(first, b'+' | b'-') && self.time.is_some() {
            return self.set_zone(Zone::Fixed(parse_offset(token).ok_or(Fault::Syntax)?));
        }
        self.take_word(token)
    }
    fn take_number(&mut self, token: &str) -> Result<(), Fault> {
        if token.len() == 8 && self.date.is_none() && self.month.is_none() {
            let number = |part: &str| part.parse::<u32>().map_err(|_| Fault::Syntax);
            return self.set_date(i64::from(number(&token[..4])?), number(&token[4..6])?, number(&token[6..])?);
        }
        if token.len() == 6 && (self.date.is_some() || self.day.is_some()) && self.time.is_none() {
            return self.take_packed_time(token);
        }
        if token.len() == 6 && self.date.is_none() && self.month.is_none() && self.numbers.is_empty() {
            let number = |part: &str| part.parse::<u32>().map_err(|_| Fault::Syntax);
            return self.set_date(full_year(i64::from(number(&token[..2])?), 2), number(&token[2..4])?, number(&token[4..])?);
        }
        if self.numbers.len() == 2 || token.len() > 6 {
            return Err(Fault::Syntax);
        }
        self.numbers.push((token.parse().map_err(|_| Fault::Syntax)?, token.len()));
        Ok(())
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
                Some(month) if self.month.is_none() => self.month = Some(month),
                _ => return self.set_zone(Zone::named(token).filter(|_| !word.starts_with(['+', '-'])).ok_or(Fault::Syntax)?),
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
    fn take_date(&mut self, token: &str) -> Result<(), Fault> {
        let fields: Vec<&str> = token.split(['-', '/', '.']).collect();
        if let [year, day] = fields.as_slice()
            && year.len() == 4
            && day.len() == 3
        {
            return self.take_day_of_year(year, day);
        }
        let [a, b, c] = fields.as_slice() else { return Err(Fault::Syntax) };
        if let Some(month) = month_number(&a.to_ascii_lowercase()) {
            let number = |text: &str| text.parse::<u32>().map_err(|_| Fault::Syntax);
            let (day, year) = if b.len() > 2 { (c, b) } else { (b, c) };
            return self.set_date(full_year(number(year)?.into(), year.len()), month, number(day)?);
        }
        let number = |text: &str| match text.len() {
            1..=7 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<i64>().map_err(|_| Fault::Syntax),
            _ => Err(Fault::Syntax),
        };
        let small = |text: &str| number(text).map(|value| value as u32);
        match month_number(&b.to_ascii_lowercase()) {
            Some(month) if a.len() > 2 => self.set_date(number(a)?, month, small(c)?),
            // Of two that could be the day, the one that can be.
            Some(month) if small(a)? > 31 => self.set_date(full_year(number(a)?, a.len()), month, small(c)?),
            Some(month) => self.set_date(full_year(number(c)?, c.len()), month, small(a)?),
            None if a.len() > 2 => self.set_date(number(a)?, small(b)?, small(c)?),
            None => self.set_date(full_year(number(c)?, c.len()), small(a)?, small(b)?),
        }
    }
    fn take_day_of_year(&mut self, year: &str, day: &str) -> Result<(), Fault> {
        let year: i64 = year.parse().map_err(|_| Fault::Syntax)?;
        let day: i64 = day.parse().map_err(|_| Fault::Syntax)?;
        let length = days_from_civil(year + 1, 1, 1) - days_from_civil(year, 1, 1);
        if !(1..=length).contains(&day) {
            return Err(Fault::Range);
        }
        let (year, month, day) = civil_from_days(days_from_civil(year, 1, 1) + day - 1);
        self.set_date(year, month, day)
    }
    fn take_packed_time(&mut self, text: &str) -> Result<(), Fault> {
        let end = text.bytes().position(|byte| !(byte.is_ascii_digit() || byte == b'.')).unwrap_or(text.len());
        self.time = Some(packed_clock(&text[..end])?);
        if end < text.len() { self.take(&text[end..]) } else { Ok(()) }
    }
    /// What words say that are about today and now.
    fn by_the_clock(&mut self, zone: &Zone) {
        let Some((days, with_time)) = self.relative else { return };
        let now = super::moment::local(chrono::Utc::now().timestamp_micros(), zone);
        self.day = Some(now.div_euclid(DAY_MICROSECONDS) + days);
        if with_time {
            self.time = Some(now.rem_euclid(DAY_MICROSECONDS));
        }
    }
    fn set_date(&mut self, year: i64, month: u32, day: u32) -> Result<(), Fault> {
        if self.date.replace((year, month, day)).is_some() {
            return Err(Fault::Syntax);
        }
        Ok(())
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
    /// Numbers that stood beside the name of a month are its day and year.
    fn settle(&mut self) -> Result<(), Fault> {
        match (self.month, self.numbers.as_slice()) {
            (None, []) => Ok(()),
            (Some(month), [(a, a_width), (b, b_width)]) => {
                // A year before Christ is written whole.
                let full = |year: i64, width: usize| if self.before_christ { year } else { full_year(year, width) };
                let (day, year) = if *a_width > 2 { (*b, *a) } else { (*a, full(*b, *b_width)) };
                self.set_date(year, month, day as u32)
            }
            _ => Err(Fault::Syntax),
        }
    }
    fn day_number(&self) -> Result<i64, Fault> {
        if self.epoch {
            return Ok(0);
        }
        if let Some(day) = self.day {
            return Ok(day);
        }
        let (year, month, day) = self.date.ok_or(Fault::Syntax)?;
        let year = if self.before_christ { 1 - year } else { year };
        let zero = self.date.is_some_and(|(year, _, _)| year == 0);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Fault::MonthOrDay);
        }
        let exists = day <= days_in_month(year, month);
        if zero || !exists || !(-4713..=5_874_897).contains(&year) {
            return Err(Fault::Range);
        }
        Ok(days_from_civil(year, month, day))
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

fn full_year(year: i64, width: usize) -> i64 {
    match (width, year) {
        (1..=2, 0..70) => year + 2000,
        (1..=2, _) => year + 1900,
        _ => year,
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

/// The digits after a decimal point of seconds, rounded to microseconds.
pub(super) fn fraction_microseconds(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(value + i64::from(digits.as_bytes().get(6).is_some_and(|digit| *digit >= b'5')))
}

fn month_number(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
    if word == "sept" {
        return Some(9);
    }
    let index = MONTHS.iter().position(|month| *month == word || (word.len() == 3 && month.starts_with(word)))?;
    Some(index as u32 + 1)
}

fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    DAYS.iter().any(|day| *day == word || (word.len() >= 3 && day.starts_with(word)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn parse_timestamp_utc(text: &str) -> Result<i64> {
        parse_timestamp(text, &Zone::Utc)
    }

    fn shown(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn dates_in_all_spellings() {
        for text in [
            "2024-02-29",
            "20240229",
            "02/29/2024",
            "Feb 29, 2024",
            "29-Feb-2024",
            "29 February 2024",
            "Thu Feb 29 2024",
            "2024-Feb-29",
            "2/29/24",
        ] {
            assert_eq!(shown(|out| write_date(parse_date(text, &Zone::Utc).unwrap(), out)), "2024-02-29", "{text}");
        }
        for text in ["0044-03-15 BC", "0001-01-01", "9999-12-31", "12345-01-01", "1970-01-01"] {
            assert_eq!(shown(|out| write_date(parse_date(text, &Zone::Utc).unwrap(), out)), text);
        }
        for (text, state) in [
            ("2023-02-29", "22008"),
            ("2024-13-01", "22008"),
            ("hello", "22007"),
            ("", "22007"),
            ("2024-01", "22007"),
            ("0000-01-01", "22008"),
        ] {
            assert_eq!(parse_date(text, &Zone::Utc).unwrap_err().state.0, state, "{text}");
        }
        assert_eq!(parse_date("2023-02-29", &Zone::Utc).unwrap_err().message, "date/time field value out of range: \"2023-02-29\"");
    }

    #[test]
    fn timestamps_and_zones() {
        let utc = |text: &str| shown(|out| write_timestamp(parse_timestamptz(text, &Zone::Utc).unwrap(), Some(&Zone::Utc), out));
        assert_eq!(utc("2024-01-01T10:00:00.5+02:00"), "2024-01-01 08:00:00.5+00");
        assert_eq!(utc("2024-07-01 10:00 America/New_York"), "2024-07-01 14:00:00+00");
        assert_eq!(utc("2024-01-01 01:02:03 PM Z"), "2024-01-01 13:02:03+00");
        assert_eq!(utc("2024-01-01"), "2024-01-01 00:00:00+00");
        assert_eq!(utc("epoch"), "1970-01-01 00:00:00+00");
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let moment = parse_timestamptz("2024-07-01 12:00", &berlin).unwrap();
        assert_eq!(shown(|out| write_timestamp(moment, Some(&berlin), out)), "2024-07-01 12:00:00+02");
        assert_eq!(shown(|out| write_timestamp(0, Some(&Zone::Fixed(19_800)), out)), "1970-01-01 05:30:00+05:30");
        assert_eq!(
            shown(|out| write_timestamp(parse_timestamp_utc("1999-12-31 23:59:59.999999").unwrap(), None, out)),
            "1999-12-31 23:59:59.999999"
        );
        assert_eq!(parse_timestamp_utc("2024-01-01 25:00").unwrap_err().state.0, "22008");
        assert_eq!(parse_timestamp_utc("2024-01-01 xx").unwrap_err().message, "invalid input syntax for type timestamp: \"2024-01-01 xx\"");
        assert_eq!(parse_timestamp_utc("2024-01-01 24:00").unwrap(), parse_timestamp_utc("2024-01-02").unwrap());
    }

    #[test]
    fn times() {
        for (text, expected) in [("04:05:06.789", "04:05:06.789"), ("04:05", "04:05:00"), ("4:05 PM", "16:05:00"), ("12:00 AM", "00:00:00")]
        {
            assert_eq!(shown(|out| write_time(parse_time(text, &Zone::Utc).unwrap(), out)), expected);
        }
        assert!(parse_time("25:00", &Zone::Utc).is_err() && parse_time("abc", &Zone::Utc).is_err());
    }

    proptest! {
        #[test]
        fn the_calendar_goes_both_ways(days in -2_400_000i32..100_000_000) {
            let (year, month, day) = civil_from_days(i64::from(days));
            prop_assert_eq!(days_from_civil(year, month, day), i64::from(days));
        }

        #[test]
        fn timestamps_read_back(microseconds in -200_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            let text = shown(|out| write_timestamp(microseconds, None, out));
            prop_assert_eq!(parse_timestamp_utc(&text).unwrap(), microseconds);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = (parse_date(&text, &Zone::Utc), parse_time(&text, &Zone::Utc), parse_timestamptz(&text, &Zone::Utc));
        }
    }
}
