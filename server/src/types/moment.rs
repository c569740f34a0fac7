//! Arithmetic of points in time by the calendar: months and zones.

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

/// Days of a month.
pub fn days_in(year: i64, month: u32) -> u32 {
    let next = if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
    (next - days_from_civil(year, month, 1)) as u32
}

/// Year, month and day of a number of days since 1970.
pub fn civil(days: i64) -> (i64, u32, u32) {
    civil_from_days(days)
}

/// Days since 1970 of a date.
pub fn days(year: i64, month: u32, day: u32) -> i64 {
    days_from_civil(year, month, day)
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
    }
}
