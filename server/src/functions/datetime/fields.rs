//! `extract(unit FROM moment)`, exactly and as numeric, and `date_part('unit', moment)`, as double precision.

use super::calendar::{Civil, DAY, JULIAN_1970, is_infinite};
use super::units::{Unit, not_recognized, not_supported};
use super::{ArgumentType, Call, Timely, no_function};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::convert::numbers;
use crate::types::moment;
use crate::types::zone::Zone;
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::datatypes::{DataType, IntervalMonthDayNano, Time64MicrosecondType};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// The function that `extract(unit FROM moment)` calls.
pub const EXTRACT: &str = "extract";

/// Both.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Timely::function(EXTRACT, (2, 2), extract_type, extract),
        // A library function of the same name would come back under its alias.
        Timely::function("date_part", (2, 2), |types, literals| source("date_part", types, literals).map(|_| SqlType::Float8), date_part)
            .with_aliases(["datepart"]),
    ]
}

/// What has fields.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
}

impl Source {
    fn sql_type(self) -> SqlType {
        match self {
            Self::Date => SqlType::Date,
            Self::Time => SqlType::Time,
            Self::Timestamp => SqlType::Timestamp,
            Self::Timestamptz => SqlType::Timestamptz,
            Self::Interval => SqlType::Interval,
        }
    }
    fn knows(self, unit: Unit) -> bool {
        use Unit::{
            Century, Day, Decade, Epoch, Hour, Microsecond, Millennium, Millisecond, Minute, Month, Quarter, Second, Timezone,
            TimezoneHour, TimezoneMinute, Year,
        };
        match (self, unit) {
            (Self::Timestamptz, _) => true,
            (_, Timezone | TimezoneHour | TimezoneMinute) => false,
            (Self::Timestamp, _) => true,
            (Self::Date, unit) => !matches!(unit, Microsecond | Millisecond | Second | Minute | Hour),
            (Self::Time, unit) => matches!(unit, Microsecond | Millisecond | Second | Minute | Hour | Epoch),
            (Self::Interval, unit) => matches!(
                unit,
                Microsecond | Millisecond | Second | Minute | Hour | Day | Month | Quarter | Year | Decade | Century | Millennium | Epoch
            ),
        }
    }
}

fn source(name: &str, types: &[ArgumentType], _literals: &[Option<String>]) -> Result<Source> {
    match &types[1] {
        Some(SqlType::Date) => Ok(Source::Date),
        Some(SqlType::Time) => Ok(Source::Time),
        Some(SqlType::Timestamp) => Ok(Source::Timestamp),
        Some(SqlType::Timestamptz) => Ok(Source::Timestamptz),
        Some(SqlType::Interval) => Ok(Source::Interval),
        None => {
            let shown = if name == EXTRACT { "pg_catalog.extract" } else { name };
            let error = SqlError::new(SqlState("42725"), format!("function {shown}(unknown, unknown) is not unique"));
            Err(error.with_hint("Could not choose a best candidate function. You might need to add explicit type casts."))
        }
        _ if name == EXTRACT => Err(no_function("pg_catalog.extract", &[None, types[1].clone()])),
        _ => Err(no_function(name, types)),
    }
}

/// Digits after the point of a field.
fn scale(unit: Unit, source: Source) -> i8 {
    match (unit, source) {
        (Unit::Epoch, Source::Date) | (Unit::Julian, Source::Date) => 0,
        (Unit::Second | Unit::Epoch, _) => 6,
        (Unit::Millisecond, _) => 3,
        (Unit::Julian, _) => 20,
        _ => 0,
    }
}

fn extract_type(types: &[ArgumentType], literals: &[Option<String>]) -> Result<SqlType> {
    let source = source(EXTRACT, types, literals)?;
    let name = literals[0].as_deref().unwrap_or_default();
    let scale = scale(known_unit(name, source)?, source);
    // Twenty digits before the point hold every epoch, and more than that every other field.
    Ok(SqlType::Numeric(Some((if scale == 20 { 38 } else { 20 + scale.unsigned_abs() }, scale))))
}

fn known_unit(name: &str, source: Source) -> Result<Unit> {
    let type_name = source.sql_type().name();
    let unit = Unit::parse(name).ok_or_else(|| not_recognized(name, &type_name))?;
    if source.knows(unit) { Ok(unit) } else { Err(not_supported(name, &type_name)) }
}

fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let source = source(EXTRACT, &[None, call.argument_type(1).cloned()], &[])?;
    let names = call.texts(0)?;
    let DataType::Decimal128(precision, scale) = call.returns.arrow() else { return Err(SqlError::unsupported("this field")) };
    let moments = moments(call, source)?;
    let mut values = Vec::with_capacity(moments.len());
    for (name, at) in names.iter().zip(moments) {
        values.push(match (name, at) {
            (Some(name), Some(at)) => exact(known_unit(name, source)?, at, source, &call.zone())?,
            _ => None,
        });
    }
    Ok(Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).map_err(SqlError::from)?))
}

fn date_part(call: &Call<'_>) -> Result<ArrayRef> {
    let given = source("date_part", &[None, call.argument_type(1).cloned()], &[])?;
    // A date has the fields of its midnight.
    let source = if given == Source::Date { Source::Timestamp } else { given };
    let names = call.texts(0)?;
    let mut values = Vec::with_capacity(names.len());
    for (name, at) in names.iter().zip(moments(call, source)?) {
        values.push(match (name, at) {
            (Some(name), Some(at)) => {
                let unit = known_unit(name, source)?;
                match inexact(unit, at, source) {
                    Some(value) => Some(value),
                    None => exact(unit, at, source, &call.zone())?.map(|value| double(value, scale(unit, source))),
                }
            }
            _ => None,
        });
    }
    Ok(Arc::new(Float64Array::from(values)))
}

/// The nearest double.
fn double(value: i128, scale: i8) -> f64 {
    value as f64 / 10f64.powi(i32::from(scale))
}

/// What is measured: an interval, or microseconds.
#[derive(Clone, Copy, Debug)]
enum Moment {
    At(i64),
    Span(IntervalMonthDayNano),
}

fn moments(call: &Call<'_>, source: Source) -> Result<Vec<Option<Moment>>> {
    Ok(match source {
        Source::Interval => call.intervals(1)?.into_iter().map(|value| value.map(Moment::Span)).collect(),
        Source::Time => {
            let times = call.column(1, &SqlType::Time)?;
            times.as_primitive::<Time64MicrosecondType>().iter().map(|time| time.map(Moment::At)).collect()
        }
        Source::Date => call.moments(1, &SqlType::Timestamp)?.into_iter().map(|at| at.map(Moment::At)).collect(),
        other => call.moments(1, &other.sql_type())?.into_iter().map(|at| at.map(Moment::At)).collect(),
    })
}

/// Fields whose double is not the nearest one of an exact number.
fn inexact(unit: Unit, moment: Moment, _source: Source) -> Option<f64> {
    match (unit, moment) {
        (Unit::Epoch, Moment::Span(value)) => {
            const DAY_SECONDS: f64 = 86_400.0;
            let seconds = (value.nanoseconds / 1000) as f64 / 1e6;
            let years = 365.25 * DAY_SECONDS * f64::from(value.months / 12);
            let months = 30.0 * DAY_SECONDS * f64::from(value.months % 12);
            Some(seconds + years + months + DAY_SECONDS * f64::from(value.days))
        }
        (Unit::Epoch | Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium | Unit::Isoyear | Unit::Julian, Moment::At(at))
            if is_infinite(at) =>
        {
            Some(if at > 0 { f64::INFINITY } else { f64::NEG_INFINITY })
        }
        (Unit::Julian, Moment::At(at)) => Some((at.div_euclid(DAY) + JULIAN_1970) as f64 + at.rem_euclid(DAY) as f64 / 1e6 / 86_400.0),
        _ => None,
    }
}

/// A field in units of its last digit after the point.
fn exact(unit: Unit, moment: Moment, source: Source, zone: &Zone) -> Result<Option<i128>> {
    match moment {
        Moment::Span(value) => Ok(Some(of_interval(unit, value))),
        Moment::At(at) if is_infinite(at) && source != Source::Time => of_infinity(unit),
        Moment::At(at) => Ok(Some(of_moment(unit, at, source, zone))),
    }
}

/// What grows for ever is infinite, what swings is nothing.
fn of_infinity(unit: Unit) -> Result<Option<i128>> {
    match unit {
        Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium | Unit::Julian | Unit::Isoyear | Unit::Epoch => {
            Err(SqlError::unsupported("an infinite numeric").with_hint("Use date_part, which gives double precision."))
        }
        _ => Ok(None),
    }
}

fn of_interval(unit: Unit, value: IntervalMonthDayNano) -> i128 {
    let micros = i128::from(value.nanoseconds / 1000);
    let (years, months) = (i128::from(value.months / 12), i128::from(value.months % 12));
    match unit {
        Unit::Microsecond | Unit::Millisecond | Unit::Second => micros % 60_000_000,
        Unit::Minute => micros / 60_000_000 % 60,
        Unit::Hour => micros / 3_600_000_000,
        Unit::Day => value.days.into(),
        Unit::Month => months,
        Unit::Quarter => months / 3 + 1,
        Unit::Year => years,
        Unit::Decade => years / 10,
        Unit::Century => years / 100,
        Unit::Millennium => years / 1000,
        // A year has 365.25 days, and a month that is left 30.
        _ => years * i128::from(DAY) / 4 * 1461 + (months * 30 + i128::from(value.days)) * i128::from(DAY) + micros,
    }
}

fn of_moment(unit: Unit, at: i64, source: Source, zone: &Zone) -> i128 {
    let local = if source == Source::Timestamptz { moment::local(at, zone) } else { at };
    let civil = Civil::of(local);
    let offset = || i64::from(zone.offset_at(at.div_euclid(1_000_000)));
    let value = match unit {
        Unit::Microsecond | Unit::Millisecond | Unit::Second => civil.second * 1_000_000 + civil.microsecond,
        Unit::Minute => civil.minute,
        Unit::Hour => civil.hour,
        Unit::Day => civil.day.into(),
        Unit::Week => civil.iso_week().1,
        Unit::Month => civil.month.into(),
        Unit::Quarter => i64::from((civil.month - 1) / 3 + 1),
        Unit::Year => before_christ(civil.year),
        Unit::Isoyear => before_christ(civil.iso_week().0),
        Unit::Decade => civil.year.div_euclid(10),
        Unit::Century => periods(civil.year, 100),
        Unit::Millennium => periods(civil.year, 1000),
        Unit::Dow => civil.iso_weekday() % 7,
        Unit::Isodow => civil.iso_weekday(),
        Unit::Doy => civil.day_of_year(),
        Unit::Timezone => offset(),
        Unit::TimezoneHour => offset() / 3600,
        Unit::TimezoneMinute => offset() / 60 % 60,
        Unit::Julian => return julian(local, source),
        Unit::Epoch if source == Source::Date => at / 1_000_000,
        Unit::Epoch => at,
    };
    value.into()
}

/// There is no year 0.
fn before_christ(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

fn periods(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { -((length - year) / length) }
}

fn julian(local: i64, source: Source) -> i128 {
    let day = i128::from(local.div_euclid(DAY) + JULIAN_1970);
    if source == Source::Date {
        return day;
    }
    const UNIT: i128 = 100_000_000_000_000_000_000;
    let part = i128::from(local.rem_euclid(DAY));
    // 10^20 = 864 * 10^8 * ..., so the quotient is taken in two steps that fit.
    let fraction = (part * (UNIT / 100_000_000) * 2 + 864) / (864 * 2);
    day * UNIT + fraction
}

/// A number of a field, of an array of any numbers.
pub fn doubles(values: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let values = numbers(values, &SqlType::Float8)?;
    Ok(values.as_primitive::<arrow::datatypes::Float64Type>().iter().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(unit: &str, civil: Civil) -> i128 {
        of_moment(Unit::parse(unit).unwrap(), civil.at(), Source::Timestamp, &Zone::Utc)
    }

    #[test]
    fn fields_of_moments() {
        let civil = Civil { year: 2024, month: 8, day: 29, hour: 13, minute: 14, second: 15, microsecond: 678_901 };
        let table = [
            ("year", 2024),
            ("century", 21),
            ("decade", 202),
            ("week", 35),
            ("dow", 4),
            ("doy", 242),
            ("quarter", 3),
            ("second", 15_678_901),
        ];
        for (unit, expected) in table {
            assert_eq!(of(unit, civil), expected, "{unit}");
        }
        let ides = Civil { year: -43, month: 3, day: 15, ..Civil::default() };
        assert_eq!((of("year", ides), of("century", ides), of("decade", ides)), (-44, -1, -5));
        let noon = Civil { year: 2000, month: 1, day: 1, hour: 12, ..Civil::default() };
        assert_eq!(of("julian", noon), 245_154_550_000_000_000_000_000_000);
    }

    #[test]
    fn fields_of_intervals() {
        let value = IntervalMonthDayNano::new(-13, -3, -14_706_789_000_000);
        assert_eq!(of_interval(Unit::Month, value), -1);
        assert_eq!(of_interval(Unit::Second, value), -6_789_000);
        assert_eq!(inexact(Unit::Epoch, Moment::Span(value), Source::Interval), Some(-34_423_506.789_000_005));
    }

    #[test]
    fn units_that_a_type_has_not() {
        assert_eq!(known_unit("hour", Source::Date).unwrap_err().state, SqlState::FEATURE_NOT_SUPPORTED);
        assert_eq!(known_unit("fortnight", Source::Date).unwrap_err().state, SqlState::INVALID_PARAMETER_VALUE);
    }
}
