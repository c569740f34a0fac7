//! `date_trunc('unit', moment [, zone])` and `date_bin(stride, moment, origin)`.

use super::calendar::{Civil, DAY, checked, is_infinite};
use super::units::{Unit, not_recognized, not_supported};
use super::zones::named_zone;
use super::{ArgumentType, Call, Timely, may_be_text, no_function, of_intervals};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::moment;
use crate::types::zone::Zone;
use arrow::array::ArrayRef;
use arrow::datatypes::IntervalMonthDayNano;
use datafusion::logical_expr::ScalarUDF;

/// Both.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Timely::function("date_trunc", (2, 3), truncated_type, truncate).with_aliases(["datetrunc"]),
        Timely::function("date_bin", (3, 3), binned_type, bin),
    ]
}

fn truncated_type(types: &[ArgumentType], _literals: &[Option<String>]) -> Result<SqlType> {
    let found = match (&types[1], types.get(2)) {
        (Some(SqlType::Timestamp | SqlType::Timestamptz | SqlType::Date) | None, Some(zone)) if may_be_text(zone) => {
            Some(SqlType::Timestamptz)
        }
        (Some(SqlType::Date | SqlType::Timestamptz), None) => Some(SqlType::Timestamptz),
        (Some(SqlType::Timestamp), None) => Some(SqlType::Timestamp),
        (Some(SqlType::Interval | SqlType::Time), None) => Some(SqlType::Interval),
        (None, None) => return Err(ambiguous()),
        _ => None,
    };
    found.filter(|_| may_be_text(&types[0])).ok_or_else(|| no_function("date_trunc", types))
}

fn ambiguous() -> SqlError {
    let error = SqlError::new(SqlState("42725"), "function date_trunc(unknown, unknown) is not unique");
    error.with_hint("Could not choose a best candidate function. You might need to add explicit type casts.")
}

fn truncate(call: &Call<'_>) -> Result<ArrayRef> {
    let units = call.texts(0)?;
    if call.returns == SqlType::Interval {
        let rows = units.iter().zip(call.intervals(1)?).map(|pair| match pair {
            (Some(unit), Some(value)) => truncated_interval(unit, value).map(Some),
            _ => Ok(None),
        });
        return of_intervals(rows.collect::<Vec<_>>());
    }
    let zones = (call.count() == 3).then(|| call.texts(2)).transpose()?;
    let moments = call.moments(1, &call.returns)?;
    let zoned = call.returns == SqlType::Timestamptz;
    let row = |(row, (unit, at)): (usize, (Option<&str>, Option<i64>))| {
        let (Some(unit), Some(at)) = (unit, at) else { return Ok(None) };
        let zone = match &zones {
            Some(zones) if arrow::array::Array::is_null(zones, row) => return Ok(None),
            Some(zones) => named_zone(zones.value(row))?,
            None => call.zone(),
        };
        let unit = length(unit, &call.returns.name())?;
        if is_infinite(at) {
            return Ok(Some(at));
        }
        if zoned { truncated_in_zone(unit, at, &zone).map(Some) } else { truncated(unit, at).map(Some) }
    };
    call.of_moments(units.iter().zip(moments).enumerate().map(row).collect::<Vec<_>>())
}

fn length(unit: &str, type_name: &str) -> Result<Unit> {
    match Unit::of_length(unit) {
        Some(Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute) => Err(not_supported(unit, type_name)),
        Some(found) => Ok(found),
        None => Err(not_recognized(unit, type_name)),
    }
}

/// Hours and less keep the offset that the moment has; days and more begin by the clocks of the zone.
fn truncated_in_zone(unit: Unit, at: i64, zone: &Zone) -> Result<i64> {
    let local = moment::local(at, zone);
    let cut = truncated(unit, local)?;
    match unit {
        Unit::Microsecond | Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour => Ok(cut - (local - at)),
        _ => Ok(moment::utc(cut, zone)),
    }
}

fn truncated(unit: Unit, at: i64) -> Result<i64> {
    let micros = |length: i64| at - at.rem_euclid(length);
    let civil = Civil::of(at);
    let month = |year: i64, month: u32| Civil { year, month, day: 1, ..Civil::default() }.at();
    let year = civil.year;
    let cut = match unit {
        Unit::Microsecond => at,
        Unit::Millisecond => micros(1000),
        Unit::Second => micros(1_000_000),
        Unit::Minute => micros(60_000_000),
        Unit::Hour => micros(3_600_000_000),
        Unit::Day => micros(DAY),
        Unit::Week => micros(DAY) - (civil.iso_weekday() - 1) * DAY,
        Unit::Month => month(year, civil.month),
        Unit::Quarter => month(year, (civil.month - 1) / 3 * 3 + 1),
        Unit::Year => month(year, 1),
        Unit::Decade => month(year.div_euclid(10) * 10, 1),
        Unit::Century => month(first_of(year, 100), 1),
        _ => month(first_of(year, 1000), 1),
    };
    checked(Some(cut))
}

/// The first year of the century or millennium of a year: 2001 of 2024.
fn first_of(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length * length - (length - 1) } else { -((length - year) / length) * length + 1 }
}

fn truncated_interval(unit: &str, value: IntervalMonthDayNano) -> Result<IntervalMonthDayNano> {
    let nanos = |length: i64| IntervalMonthDayNano::new(value.months, value.days, value.nanoseconds / length * length);
    let months = |length: i32| IntervalMonthDayNano::new(value.months / length * length, 0, 0);
    Ok(match length(unit, "interval")? {
        Unit::Microsecond => value,
        Unit::Millisecond => nanos(1_000_000),
        Unit::Second => nanos(1_000_000_000),
        Unit::Minute => nanos(60_000_000_000),
        Unit::Hour => nanos(3_600_000_000_000),
        Unit::Day => IntervalMonthDayNano::new(value.months, value.days, 0),
        Unit::Week => {
            let detail = "Months usually have fractional weeks.";
            return Err(not_supported(unit, "interval").with_detail(detail));
        }
        Unit::Month => months(1),
        Unit::Quarter => months(3),
        Unit::Year => months(12),
        Unit::Decade => months(120),
        Unit::Century => months(1_200),
        _ => months(12_000),
    })
}

fn binned_type(types: &[ArgumentType], _literals: &[Option<String>]) -> Result<SqlType> {
    let fits = matches!(types[0], None | Some(SqlType::Interval));
    let is = |wanted: &SqlType| types[1..].iter().any(|found| found.as_ref() == Some(wanted));
    let moments = types[1..].iter().all(|found| matches!(found, None | Some(SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz)));
    match (fits && moments, is(&SqlType::Timestamptz) || is(&SqlType::Date), is(&SqlType::Timestamp)) {
        (true, false, true) => Ok(SqlType::Timestamp),
        (true, true, _) | (true, false, false) => Ok(SqlType::Timestamptz),
        _ => Err(no_function("date_bin", types)),
    }
}

fn bin(call: &Call<'_>) -> Result<ArrayRef> {
    let (moments, origins) = (call.moments(1, &call.returns)?, call.moments(2, &call.returns)?);
    let rows = call.intervals(0)?.into_iter().zip(moments.into_iter().zip(origins));
    call.of_moments(rows.map(|row| match row {
        (Some(stride), (Some(at), Some(origin))) => binned(stride, at, origin).map(Some),
        _ => Ok(None),
    }))
}

fn binned(stride: IntervalMonthDayNano, at: i64, origin: i64) -> Result<i64> {
    if is_infinite(at) {
        return Ok(at);
    }
    if is_infinite(origin) {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "origin out of range"));
    }
    if stride.months != 0 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let stride = i128::from(stride.days) * i128::from(DAY) + i128::from(stride.nanoseconds / 1000);
    if stride <= 0 {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "stride must be greater than zero"));
    }
    let elapsed = i128::from(at) - i128::from(origin);
    checked(i64::try_from(i128::from(origin) + elapsed.div_euclid(stride) * stride).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(year: i64, month: u32, day: u32) -> i64 {
        Civil { year, month, day, ..Civil::default() }.at()
    }

    #[test]
    fn units_begin_where_people_say() {
        let moment = at(2024, 8, 29) + 12_345_678_901;
        let table = [
            (Unit::Day, at(2024, 8, 29)),
            (Unit::Week, at(2024, 8, 26)),
            (Unit::Quarter, at(2024, 7, 1)),
            (Unit::Decade, at(2020, 1, 1)),
            (Unit::Century, at(2001, 1, 1)),
            (Unit::Millennium, at(2001, 1, 1)),
        ];
        for (unit, expected) in table {
            assert_eq!(truncated(unit, moment).unwrap(), expected, "{unit:?}");
        }
        assert_eq!(truncated(Unit::Century, at(-43, 3, 15)).unwrap(), at(-99, 1, 1));
    }

    #[test]
    fn an_hour_that_comes_twice_is_two_hours() {
        let york = Zone::parse("America/New_York").unwrap();
        let first = at(2024, 11, 3) + 5 * 3_600_000_000;
        assert_eq!(truncated_in_zone(Unit::Hour, first + 1_800_000_000, &york).unwrap(), first);
    }

    #[test]
    fn bins_count_from_their_origin_both_ways() {
        let stride = IntervalMonthDayNano::new(0, 7, 0);
        assert_eq!(binned(stride, at(2024, 1, 10), at(2024, 1, 1)).unwrap(), at(2024, 1, 8));
        assert_eq!(binned(stride, at(2023, 12, 31), at(2024, 1, 1)).unwrap(), at(2023, 12, 25));
        assert!(binned(IntervalMonthDayNano::new(1, 0, 0), 0, 0).is_err());
    }
}
