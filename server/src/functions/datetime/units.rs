//! The names of units of time, as `extract`, `date_part` and `date_trunc` take them.

use crate::error::{SqlError, SqlState};

/// A unit of time, or another field of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
    Dow,
    Isodow,
    Doy,
    Isoyear,
    Julian,
    Epoch,
}

/// PostgreSQL looks at so many letters of a unit's name.
const LETTERS: usize = 10;

impl Unit {
    /// A unit that has a length: what `date_trunc` knows.
    pub fn of_length(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let short = name.get(..LETTERS).unwrap_or(&name);
        Some(match short {
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => Self::Microsecond,
            "ms" | "msec" | "msecs" | "mseconds" | "millisecon" => Self::Millisecond,
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "w" | "week" | "weeks" => Self::Week,
            "mon" | "mons" | "month" | "months" => Self::Month,
            "qtr" | "quarter" => Self::Quarter,
            "y" | "yr" | "yrs" | "year" | "years" => Self::Year,
            "dec" | "decs" | "decade" | "decades" => Self::Decade,
            "c" | "cent" | "century" | "centuries" => Self::Century,
            "mil" | "mils" | "millennia" | "millennium" => Self::Millennium,
            "timezone" => Self::Timezone,
            "timezone_h" => Self::TimezoneHour,
            "timezone_m" => Self::TimezoneMinute,
            _ => return None,
        })
    }
    /// Any field of a moment: what `extract` knows.
    pub fn parse(name: &str) -> Option<Self> {
        Self::of_length(name).or_else(|| {
            Some(match name.to_ascii_lowercase().as_str() {
                "dow" => Self::Dow,
                "isodow" => Self::Isodow,
                "doy" => Self::Doy,
                "isoyear" => Self::Isoyear,
                "julian" | "j" | "jd" => Self::Julian,
                "epoch" => Self::Epoch,
                _ => return None,
            })
        })
    }
}

/// `unit "fortnight" not recognized for type timestamp without time zone`.
pub fn not_recognized(unit: &str, type_name: &str) -> SqlError {
    let message = format!("unit \"{}\" not recognized for type {type_name}", unit.to_lowercase());
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// `unit "hour" not supported for type date`.
pub fn not_supported(unit: &str, type_name: &str) -> SqlError {
    let message = format!("unit \"{}\" not supported for type {type_name}", unit.to_lowercase());
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}
