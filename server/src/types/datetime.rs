//! Dates, times and timestamps: the calendar beneath, and their text as PostgreSQL writes it with DateStyle `ISO`.

use super::numeric::{write_integer, write_pair};
use super::zone::Zone;
use bytes::{BufMut, BytesMut};

mod date_fields;
mod reading;

pub(super) use reading::{parse_date, parse_time, parse_timestamp, parse_timestamptz};

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

/// The digits after a decimal point of seconds, rounded to microseconds.
pub(super) fn fraction_microseconds(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(value + i64::from(digits.as_bytes().get(6).is_some_and(|digit| *digit >= b'5')))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::Result;
    use crate::types::forms::Reading;
    use proptest::prelude::*;

    fn parse_timestamp_utc(text: &str) -> Result<i64> {
        parse_timestamp(text, &Reading::default())
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
            assert_eq!(shown(|out| write_date(parse_date(text, &Reading::default()).unwrap(), out)), "2024-02-29", "{text}");
        }
        for text in ["0044-03-15 BC", "0001-01-01", "9999-12-31", "12345-01-01", "1970-01-01"] {
            assert_eq!(shown(|out| write_date(parse_date(text, &Reading::default()).unwrap(), out)), text);
        }
        for (text, state) in [
            ("2023-02-29", "22008"),
            ("2024-13-01", "22008"),
            ("hello", "22007"),
            ("", "22007"),
            ("2024-01", "22007"),
            ("0000-01-01", "22008"),
        ] {
            assert_eq!(parse_date(text, &Reading::default()).unwrap_err().state.0, state, "{text}");
        }
        assert_eq!(
            parse_date("2023-02-29", &Reading::default()).unwrap_err().message,
            "date/time field value out of range: \"2023-02-29\""
        );
    }

    #[test]
    fn timestamps_and_zones() {
        let utc = |text: &str| shown(|out| write_timestamp(parse_timestamptz(text, &Reading::default()).unwrap(), Some(&Zone::Utc), out));
        assert_eq!(utc("2024-01-01T10:00:00.5+02:00"), "2024-01-01 08:00:00.5+00");
        assert_eq!(utc("2024-07-01 10:00 America/New_York"), "2024-07-01 14:00:00+00");
        assert_eq!(utc("2024-01-01 01:02:03 PM Z"), "2024-01-01 13:02:03+00");
        assert_eq!(utc("2024-01-01"), "2024-01-01 00:00:00+00");
        assert_eq!(utc("epoch"), "1970-01-01 00:00:00+00");
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let moment = parse_timestamptz("2024-07-01 12:00", &Reading { zone: berlin, ..Reading::default() }).unwrap();
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
            assert_eq!(shown(|out| write_time(parse_time(text, &Reading::default()).unwrap(), out)), expected);
        }
        assert!(parse_time("25:00", &Reading::default()).is_err() && parse_time("abc", &Reading::default()).is_err());
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
            let _ = (parse_date(&text, &Reading::default()), parse_time(&text, &Reading::default()), parse_timestamptz(&text, &Reading::default()));
        }
    }
}
