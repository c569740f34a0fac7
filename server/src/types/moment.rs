//! Arithmetic of points in time by the calendar: months, zones, and the fields that `extract` gives exactly.

use super::datetime::{DAY_MICROSECONDS, civil_from_days, days_from_civil};
use super::zone::Zone;
use crate::error::{Result, SqlError, SqlState};

/// Microseconds of local time in a zone, of microseconds since 1970 UTC.
pub fn local(utc: i64, zone: &Zone) -> i64 {
    utc + i64::from(zone.offset_at(utc.div_euclid(1_000_000))) * 1_000_000
}

/// Microseconds since 1970 UTC, of local time in a zone.
pub fn utc(local: i64, zone: &Zone) -> i64 {
    local - i64::from(zone.offset_at_local(local.div_euclid(1_000_000))) * 1_000_000
}

/// `timestamptz + interval`: months and days by the zone's calendar, the rest in elapsed time.
pub fn shift(at: i64, months: i32, days: i32, microseconds: i64, zone: &Zone) -> Result<i64> {
    let moved = if months == 0 && days == 0 { Some(at) } else { shift_local(local(at, zone), months, days).map(|at| utc(at, zone)) };
    moved.and_then(|at| at.checked_add(microseconds)).ok_or_else(out_of_range)
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

fn shift_local(at: i64, months: i32, days: i32) -> Option<i64> {
    let (date, time) = (at.div_euclid(DAY_MICROSECONDS), at.rem_euclid(DAY_MICROSECONDS));
    let (year, month, day) = civil_from_days(date);
    let months = year.checked_mul(12)? + i64::from(month) - 1 + i64::from(months);
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
    let date = days_from_civil(year, month, day.min(days_in(year, month))) + i64::from(days);
    date.checked_mul(DAY_MICROSECONDS)?.checked_add(time)
}

fn days_in(year: i64, month: u32) -> u32 {
    let next = if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
    (next - days_from_civil(year, month, 1)) as u32
}

/// `age(later, earlier)`: years, months and days as a person counts them; months, days, microseconds.
pub fn age(later: i64, earlier: i64) -> (i32, i32, i64) {
    if later < earlier {
        let (months, days, microseconds) = age(earlier, later);
        return (-months, -days, -microseconds);
    }
    let split = |at: i64| (civil_from_days(at.div_euclid(DAY_MICROSECONDS)), at.rem_euclid(DAY_MICROSECONDS));
    let ((y1, m1, d1), t1) = split(later);
    let ((y2, m2, d2), t2) = split(earlier);
    let mut months = (y1 - y2) * 12 + i64::from(m1) - i64::from(m2);
    let (mut days, mut time) = (i64::from(d1) - i64::from(d2), t1 - t2);
    if time < 0 {
        time += DAY_MICROSECONDS;
        days -= 1;
    }
    if days < 0 {
        days += i64::from(days_in(y2, m2));
        months -= 1;
    }
    (months as i32, days as i32, time)
}

/// A field of local time that is not a small whole number of its calendar; a value and its digits after the point.
pub fn field(part: &str, at: i64) -> Option<(i128, i8)> {
    let at = i128::from(at);
    let in_minute = at.rem_euclid(60_000_000);
    let (year, _, _) = civil_from_days(at.div_euclid(i128::from(DAY_MICROSECONDS)) as i64);
    let periods =
        |years: i64| i128::from(if year > 0 { (year + years - 1).div_euclid(years) } else { -((years - year).div_euclid(years)) });
    Some(match part {
        "second" | "seconds" => (in_minute, 6),
        "millisecond" | "milliseconds" => (in_minute, 3),
        "microsecond" | "microseconds" => (in_minute, 0),
        "epoch" => (at, 6),
        "century" => (periods(100), 0),
        "millennium" => (periods(1000), 0),
        "decade" => (i128::from(year.div_euclid(10)), 0),
        _ => return None,
    })
}

/// The digits after the point of such a field; `None` if it is not one.
pub fn field_scale(part: &str) -> Option<i8> {
    field(part, 0).map(|(_, scale)| scale)
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Words of a pattern, longest first; a pattern has no others, and what is none of them stands for itself.
const WORDS: [&str; 37] = [
    "MONTH", "Month", "month", "HH24", "HH12", "YYYY", "yyyy", "hh24", "hh12", "DDD", "Day", "DAY", "day", "MON", "Mon", "mon", "YYY",
    "HH", "hh", "MI", "mi", "SS", "ss", "MS", "US", "MM", "mm", "DD", "dd", "DY", "Dy", "dy", "YY", "AM", "PM", "am", "pm",
];

/// Words that PostgreSQL knows and this does not.
const REFUSED: [&str; 20] =
    ["FM", "TH", "th", "TM", "SP", "IYYY", "IW", "ID", "WW", "CC", "RM", "TZ", "tz", "OF", "BC", "AD", "A.M.", "P.M.", "Y,YYY", "SSSS"];

/// Local time as a pattern of `to_char` prints it; patterns with other words than the usual ones are refused (0A000).
pub fn pattern(shape: &str, at: i64) -> Result<String> {
    let (mut out, mut rest) = (String::with_capacity(shape.len() + 8), shape);
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (inside, after) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
            out.push_str(inside);
            rest = after;
        } else if let Some(word) = REFUSED.iter().find(|word| rest.starts_with(**word)) {
            return Err(SqlError::unsupported(format!("\"{word}\" in a pattern of to_char")));
        } else if let Some(word) = WORDS.iter().find(|word| rest.starts_with(**word)) {
            out.push_str(&pattern_word(word, at));
            rest = &rest[word.len()..];
        } else if matches!(first, 'D' | 'd' | 'Q' | 'q' | 'Y' | 'y' | 'W' | 'w' | 'J' | 'j') {
            return Err(SqlError::unsupported(format!("\"{first}\" in a pattern of to_char")));
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(out)
}

fn pattern_word(word: &str, at: i64) -> String {
    let (date, time) = (at.div_euclid(DAY_MICROSECONDS), at.rem_euclid(DAY_MICROSECONDS));
    let (year, month, day) = civil_from_days(date);
    let (hour, minute, second) = (time / 3_600_000_000, time / 60_000_000 % 60, time / 1_000_000 % 60);
    let month_name = MONTHS[(month as usize - 1) % 12];
    let day_name = DAYS[(date + 4).rem_euclid(7) as usize];
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    match word {
        "YYYY" | "yyyy" => format!("{year:04}"),
        "YYY" => format!("{:03}", year.rem_euclid(1000)),
        "YY" => format!("{:02}", year.rem_euclid(100)),
        "MM" | "mm" => format!("{month:02}"),
        "DD" | "dd" => format!("{day:02}"),
        "DDD" => format!("{:03}", date - days_from_civil(year, 1, 1) + 1),
        "HH24" | "hh24" => format!("{hour:02}"),
        "HH12" | "hh12" | "HH" | "hh" => format!("{twelve:02}"),
        "MI" | "mi" => format!("{minute:02}"),
        "SS" | "ss" => format!("{second:02}"),
        "MS" => format!("{:03}", time / 1000 % 1000),
        "US" => format!("{:06}", time % 1_000_000),
        "AM" | "PM" => if hour < 12 { "AM" } else { "PM" }.into(),
        "am" | "pm" => if hour < 12 { "am" } else { "pm" }.into(),
        "MONTH" => format!("{:<9}", month_name.to_uppercase()),
        "Month" => format!("{month_name:<9}"),
        "month" => format!("{:<9}", month_name.to_lowercase()),
        "DAY" => format!("{:<9}", day_name.to_uppercase()),
        "Day" => format!("{day_name:<9}"),
        "day" => format!("{:<9}", day_name.to_lowercase()),
        "MON" => month_name[..3].to_uppercase(),
        "Mon" => month_name[..3].into(),
        "mon" => month_name[..3].to_lowercase(),
        "DY" => day_name[..3].to_uppercase(),
        "Dy" => day_name[..3].into(),
        _ => day_name[..3].to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DAY: i64 = DAY_MICROSECONDS;

    #[test]
    fn days_are_of_the_calendar_and_hours_of_the_clock() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        // 2024-03-30 12:00 in Berlin is 11:00 UTC; the clocks change in the night after it.
        let at = days_from_civil(2024, 3, 30) * DAY + 11 * 3_600_000_000;
        assert_eq!(shift(at, 0, 1, 0, &zone).unwrap() - at, 23 * 3_600_000_000);
        assert_eq!(shift(at, 0, 0, DAY, &zone).unwrap() - at, DAY);
        let january = days_from_civil(2024, 1, 31) * DAY;
        assert_eq!(shift(january, 1, 0, 0, &Zone::Utc).unwrap(), days_from_civil(2024, 2, 29) * DAY);
    }

    #[test]
    fn ages_count_as_people_do() {
        let day = |y, m, d| days_from_civil(y, m, d) * DAY;
        assert_eq!(age(day(2024, 3, 1), day(2023, 1, 15)), (13, 17, 0));
        assert_eq!(age(day(2023, 1, 15), day(2024, 3, 1)), (-13, -17, 0));
        assert_eq!(field("century", day(2000, 12, 31)), Some((20, 0)));
        let at = day(2024, 3, 5) + 50_706_000_000;
        assert_eq!(pattern("YYYY-MM-DD HH24:MI:SS", at).unwrap(), "2024-03-05 14:05:06");
        assert_eq!(pattern("Dy DD Mon YY, HH12 \"o'clock\" AM", at).unwrap(), "Tue 05 Mar 24, 02 o'clock PM");
        assert_eq!(pattern("FMDD", at).unwrap_err().state, SqlState::FEATURE_NOT_SUPPORTED);
        assert_eq!(field("decade", day(1999, 1, 1)), Some((199, 0)));
    }
}
