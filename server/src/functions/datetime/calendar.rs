//! A moment taken apart by the calendar and the clock, and put together again.

use crate::error::{Result, SqlError, SqlState};
use crate::types::moment;

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// Julian day of 1970-01-01.
pub const JULIAN_1970: i64 = 2_440_588;

/// A moment's fields. Year 0 is 1 BC.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Civil {
    pub year: i64,
    pub month: u32,
    pub day: u32,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub microsecond: i64,
}

/// A moment that is none: before or after all others.
pub fn is_infinite(at: i64) -> bool {
    at == i64::MIN || at == i64::MAX
}

impl Civil {
    /// The fields of microseconds since 1970.
    pub fn of(at: i64) -> Self {
        let (year, month, day) = moment::civil(at.div_euclid(DAY));
        let time = at.rem_euclid(DAY);
        Self { year, month, day, ..Self::of_time(time) }
    }
    /// The fields of a time of day.
    pub fn of_time(time: i64) -> Self {
        Self {
            hour: time / 3_600_000_000,
            minute: time / 60_000_000 % 60,
            second: time / 1_000_000 % 60,
            microsecond: time % 1_000_000,
            ..Self::default()
        }
    }
    /// Days since 1970.
    pub fn days(&self) -> i64 {
        moment::days(self.year, self.month, self.day)
    }
    /// Microseconds since midnight.
    pub fn time(&self) -> i64 {
        ((self.hour * 60 + self.minute) * 60 + self.second) * 1_000_000 + self.microsecond
    }
    /// Microseconds since 1970.
    pub fn at(&self) -> i64 {
        self.days() * DAY + self.time()
    }
    /// Monday is 1, Sunday 7.
    pub fn iso_weekday(&self) -> i64 {
        (self.days() + 3).rem_euclid(7) + 1
    }
    /// January 1 is 1.
    pub fn day_of_year(&self) -> i64 {
        self.days() - moment::days(self.year, 1, 1) + 1
    }
    /// The year and week by ISO 8601: the week's Thursday decides.
    pub fn iso_week(&self) -> (i64, i64) {
        let thursday = self.days() - self.iso_weekday() + 4;
        let (year, _, _) = moment::civil(thursday);
        (year, (thursday - moment::days(year, 1, 1)) / 7 + 1)
    }
}

/// The first day of a week of ISO 8601, in days since 1970.
pub fn iso_week_start(year: i64, week: i64) -> i64 {
    let fourth = moment::days(year, 1, 4);
    fourth - (fourth + 3).rem_euclid(7) + (week - 1) * 7
}

/// Whether a day exists.
pub fn exists(year: i64, month: i64, day: i64) -> bool {
    (1..=12).contains(&month) && day >= 1 && day <= i64::from(moment::days_in(year, month as u32))
}

/// Timestamps begin with 4714-11-24 BC, as PostgreSQL's, and end where 64 bits of microseconds since 1970 end, in the year 294247.
pub fn in_range(at: i64) -> bool {
    (-210_866_803_200_000_000..i64::MAX).contains(&at)
}

/// A moment, checked.
pub fn checked(at: Option<i64>) -> Result<i64> {
    at.filter(|at| in_range(*at)).ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"))
}
