//! Time zones: what `TimeZone` and the zones in texts name, and their offsets from UTC.

use chrono::{NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// The names of the IANA database.
pub fn names() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// Abbreviations that texts may have, and how many minutes they are east of Greenwich.
pub fn abbreviations() -> impl Iterator<Item = (&'static str, i32)> {
    super::abbreviations::all()
}

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Zone {
    /// UTC.
    Utc,
    /// A fixed distance in seconds, east of Greenwich positive.
    Fixed(i32),
    /// A place with rules.
    Named(Tz),
}

impl Zone {
    /// Reads a name of the IANA database, in any case, or an ISO offset such as `+02:00`; `None` if there is no such zone.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if ["UTC", "Z", "GMT", "ZULU", "Etc/UTC"].iter().any(|name| name.eq_ignore_ascii_case(text)) {
            return Some(Self::Utc);
        }
        if text.starts_with(['+', '-']) || text.starts_with(|first: char| first.is_ascii_digit()) {
            return parse_offset(text).map(Self::Fixed);
        }
        Self::parse_name(text)
    }
    fn parse_name(text: &str) -> Option<Self> {
        let exact = text.parse().ok();
        exact.or_else(|| chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(text))).map(Self::Named)
    }
    /// A zone as `AT TIME ZONE` and texts name it: an abbreviation, a name of the IANA database, or a distance as POSIX writes it, in which
    /// east of Greenwich is negative.
    pub fn named(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(seconds) = super::abbreviations::seconds_east(text) {
            return Some(if seconds == 0 { Self::Utc } else { Self::Fixed(seconds) });
        }
        let distance = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(_, distance)| distance);
        let distance = distance.or_else(|| {
            let at = text.find(|c: char| c == '+' || c == '-' || c.is_ascii_digit())?;
            text[..at].bytes().all(|byte| byte.is_ascii_alphabetic()).then(|| &text[at..])
        });
        match distance.and_then(parse_offset) {
            Some(west) if !text.contains(|c: char| c.is_ascii_digit()) || Self::parse_name(text).is_none() => Some(Self::Fixed(-west)),
            _ => Self::parse_name(text),
        }
    }
    /// What the zone's time is called at a moment, given in seconds since 1970 UTC.
    pub fn abbreviation_at(&self, unix_seconds: i64) -> String {
        match self {
            Self::Utc => "UTC".into(),
            Self::Fixed(offset) => {
                let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
                let minutes = if minutes == 0 { String::new() } else { format!(":{minutes:02}") };
                format!("{}{hours:02}{minutes}", if *offset < 0 { '-' } else { '+' })
            }
            Self::Named(zone) => {
                use chrono_tz::OffsetName;
                let named = |utc| zone.offset_from_utc_datetime(&utc).abbreviation().map(str::to_string);
                moment(unix_seconds).and_then(named).unwrap_or_default()
            }
        }
    }
    /// Whether clocks show summer time at a moment, given in seconds since 1970 UTC.
    pub fn is_summer_at(&self, unix_seconds: i64) -> bool {
        use chrono_tz::OffsetComponents;
        let Self::Named(zone) = self else { return false };
        moment(unix_seconds).is_some_and(|utc| !zone.offset_from_utc_datetime(&utc).dst_offset().is_zero())
    }
    /// Seconds east of Greenwich at a moment, given in seconds since 1970 UTC.
    pub fn offset_at(&self, unix_seconds: i64) -> i32 {
        match self {
            Self::Utc => 0,
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => moment(unix_seconds).map_or(0, |utc| zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()),
        }
    }
    /// Seconds east of Greenwich when clocks there show a time, given as seconds since 1970 as if it were UTC. A time that clocks skip is taken by
    /// the offset before the gap, one that they show twice by the standard time after it: as PostgreSQL does.
    pub fn offset_at_local(&self, local_seconds: i64) -> i32 {
        let Self::Named(_) = self else { return self.offset_at(local_seconds) };
        let earlier = self.offset_at(local_seconds - 86_400);
        let later = self.offset_at(local_seconds + 86_400);
        if earlier == later {
            return self.offset_at(local_seconds - i64::from(earlier));
        }
        let fits = |offset: i32| self.offset_at(local_seconds - i64::from(offset)) == offset;
        match (fits(earlier), fits(later)) {
            (_, true) => later,
            _ => earlier,
        }
    }
}

fn moment(unix_seconds: i64) -> Option<NaiveDateTime> {
    chrono::DateTime::from_timestamp(unix_seconds, 0).map(|moment| moment.naive_utc())
}

/// `+02`, `-0330`, `+05:30:15` -> seconds east.
pub(super) fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let parts: Vec<&str> = if digits.contains(':') {
        digits.split(':').collect()
    } else if digits.len() <= 2 {
        vec![digits]
    } else {
        vec![digits.get(..digits.len() - 2)?, digits.get(digits.len() - 2..)?]
    };
    let mut seconds = 0;
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        let number: i32 = Some(part).filter(|part| part.len() <= 2 && !part.is_empty()).and_then(|part| part.parse().ok())?;
        if number >= 60 {
            return None;
        }
        seconds += number * unit;
    }
    (parts.len() <= 3 && seconds < 16 * 3600).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn zones_have_offsets() {
        let berlin = Zone::parse("europe/berlin").unwrap();
        assert_eq!(berlin.offset_at(1_720_000_000), 7200);
        assert_eq!(berlin.offset_at(1_700_000_000), 3600);
        assert_eq!(berlin.offset_at_local(1_720_000_000), 7200);
        assert_eq!(Zone::parse("+05:30"), Some(Zone::Fixed(19_800)));
        assert_eq!(Zone::parse("-0330"), Some(Zone::Fixed(-12_600)));
        assert_eq!((Zone::parse("Nowhere/Land"), Zone::parse("+99")), (None, None));
    }

    #[test]
    fn gaps_and_overlaps() {
        let york = Zone::parse("America/New_York").unwrap();
        // 2024-03-10 02:30 does not exist: the offset before the gap. 2024-11-03 01:30 exists twice: standard time.
        assert_eq!(york.offset_at_local(1_710_037_800), -5 * 3600);
        assert_eq!(york.offset_at_local(1_730_597_400), -5 * 3600);
    }
}
