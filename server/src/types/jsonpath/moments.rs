//! Dates and times of paths, in the ISO forms that `.datetime()` reads without a template.

use crate::error::{Result, SqlError, SqlState};
use crate::types::datetime::{DAY_MICROSECONDS, days_from_civil, write_date, write_time, write_timestamp};
use crate::types::zone::Zone;
use bytes::BytesMut;
use std::cmp::Ordering;
use std::fmt;

/// A date, a time of day, or both; times in microseconds, offsets in seconds east of Greenwich.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// Days since 1970.
    Date(i32),
    /// A time of day.
    Time(i64),
    /// A time of day and its offset.
    Timetz(i64, i32),
    /// Local time.
    Timestamp(i64),
    /// UTC, and the offset that it was written with.
    Timestamptz(i64, i32),
}

impl Moment {
    /// Reads a text in one of the known forms.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((days, rest)) = date(text) {
            let Some(rest) = rest.strip_prefix(['T', ' ']) else { return rest.is_empty().then_some(Self::Date(days)) };
            let (time, offset) = time(rest)?;
            let local = i64::from(days) * DAY_MICROSECONDS + time;
            return Some(match offset {
                Some(offset) => Self::Timestamptz(local - i64::from(offset) * 1_000_000, offset),
                None => Self::Timestamp(local),
            });
        }
        let (time, offset) = time(text)?;
        Some(offset.map_or(Self::Time(time), |offset| Self::Timetz(time, offset)))
    }

    /// As `.type()` says it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Date(_) => "date",
            Self::Time(_) => "time without time zone",
            Self::Timetz(..) => "time with time zone",
            Self::Timestamp(_) => "timestamp without time zone",
            Self::Timestamptz(..) => "timestamp with time zone",
        }
    }

    fn short_kind(&self) -> &'static str {
        match self {
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Timetz(..) => "timetz",
            Self::Timestamp(_) => "timestamp",
            Self::Timestamptz(..) => "timestamptz",
        }
    }

    /// The order of two moments; `None` if they do not compare. `zone` is that of moments without one, if it may be used (0A000).
    pub fn order(&self, other: &Self, zone: Option<&Zone>) -> Result<Option<Ordering>> {
        let refused = |from: &Self, to: &Self| {
            let message = format!("cannot convert value from {} to {} without time zone usage", from.short_kind(), to.short_kind());
            SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_hint("Use *_tz() function for time zone support.")
        };
        let utc = |moment: &Self, other: &Self| match (moment, moment.local(), zone) {
            (Self::Timestamptz(utc, _), ..) => Ok(*utc),
            (_, Some(local), Some(zone)) => Ok(local - i64::from(zone.offset_at_local(local.div_euclid(1_000_000))) * 1_000_000),
            _ => Err(refused(moment, other)),
        };
        let greenwich = |moment: &Self, other: &Self| match (moment, zone) {
            (Self::Timetz(time, offset), _) => Ok((time - i64::from(*offset) * 1_000_000, -*offset)),
            (Self::Time(time), Some(zone)) => {
                let offset = zone.offset_at_local(0);
                Ok((time - i64::from(offset) * 1_000_000, -offset))
            }
            _ => Err(refused(moment, other)),
        };
        Ok(Some(match (self, other) {
            (Self::Time(left), Self::Time(right)) => left.cmp(right),
            (Self::Time(_) | Self::Timetz(..), Self::Time(_) | Self::Timetz(..)) => greenwich(self, other)?.cmp(&greenwich(other, self)?),
            (Self::Time(_) | Self::Timetz(..), _) | (_, Self::Time(_) | Self::Timetz(..)) => return Ok(None),
            (Self::Timestamptz(..), _) | (_, Self::Timestamptz(..)) => utc(self, other)?.cmp(&utc(other, self)?),
            _ => self.local().cmp(&other.local()),
        }))
    }

    fn local(&self) -> Option<i64> {
        match self {
            Self::Date(days) => Some(i64::from(*days) * DAY_MICROSECONDS),
            Self::Timestamp(local) => Some(*local),
            _ => None,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = BytesMut::new();
        let offset = match self {
            Self::Date(days) => {
                write_date(*days, &mut out);
                None
            }
            Self::Time(time) => {
                write_time(*time, &mut out);
                None
            }
            Self::Timetz(time, offset) => {
                write_time(*time, &mut out);
                Some(*offset)
            }
            Self::Timestamp(local) => {
                write_timestamp(*local, None, &mut out);
                None
            }
            Self::Timestamptz(utc, offset) => {
                write_timestamp(utc + i64::from(*offset) * 1_000_000, None, &mut out);
                Some(*offset)
            }
        };
        f.write_str(&String::from_utf8_lossy(&out).replacen(' ', "T", 1))?;
        match offset {
            Some(offset) => write!(f, "{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3600, offset.abs() / 60 % 60),
            None => Ok(()),
        }
    }
}

/// Digits of a fixed number, and what follows.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let found = text.get(..digits).filter(|found| found.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((found.parse().ok()?, &text[digits..]))
}

fn date(text: &str) -> Option<(i32, &str)> {
    let (year, rest) = number(text, 4)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let exists = year > 0 && (1..=12).contains(&month) && day > 0 && day <= crate::types::moment::days_in(year, month);
    exists.then(|| days_from_civil(year, month, day) as i32).map(|days| (days, rest))
}

/// A time of day, and its offset if there is one.
fn time(text: &str) -> Option<(i64, Option<i32>)> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, rest) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let micros = format!("{:0<6}", &fraction[..digits]).get(..6)?.parse::<i64>().ok().filter(|_| (1..=6).contains(&digits))?;
            (micros, &fraction[digits..])
        }
    };
    let time = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    if rest.is_empty() {
        return Some((time, None));
    }
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    let (hours, rest) = number(rest.strip_prefix(['+', '-'])?, 2)?;
    let minutes = match rest.strip_prefix(':') {
        Some(rest) => number(rest, 2).filter(|(minutes, rest)| rest.is_empty() && *minutes < 60)?.0,
        None if rest.is_empty() => 0,
        None => return None,
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok().filter(|seconds| *seconds < 16 * 3600)?;
    Some((time, Some(sign * seconds)))
}
