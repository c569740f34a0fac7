//! `make_date`, `make_time`, `make_timestamp`, `make_timestamptz`, `make_interval`, and `to_timestamp(seconds)`.

use super::calendar::{DAY, checked, exists};
use super::fields::doubles;
use super::zones::named_zone;
use super::{ArgumentType, Call, Timely, no_function, of_intervals};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::convert::is_number;
use crate::types::moment;
use arrow::array::{ArrayRef, Date32Array, Time64MicrosecondArray};
use arrow::datatypes::IntervalMonthDayNano;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Timely::function("make_date", (3, 3), |types, _| numbers("make_date", types, SqlType::Date), date),
        Timely::function("make_time", (3, 3), |types, _| numbers("make_time", types, SqlType::Time), time),
        Timely::function("make_timestamp", (6, 6), |types, _| numbers("make_timestamp", types, SqlType::Timestamp), timestamp),
        Timely::function("make_timestamptz", (6, 7), |types, _| zoned(types), timestamptz),
        Timely::function("make_interval", (0, 7), |types, _| numbers("make_interval", types, SqlType::Interval), interval),
    ]
}

fn numbers(name: &str, types: &[ArgumentType], returns: SqlType) -> Result<SqlType> {
    let fits = types.iter().all(|argument| argument.as_ref().is_none_or(is_number));
    if fits { Ok(returns) } else { Err(no_function(name, types)) }
}

fn zoned(types: &[ArgumentType]) -> Result<SqlType> {
    match types.get(6) {
        Some(zone) if !super::may_be_text(zone) => Err(no_function("make_timestamptz", types)),
        _ => numbers("make_timestamptz", &types[..6], SqlType::Timestamptz),
    }
}

/// Rows of numbers; `None` for a row with a NULL.
fn rows(call: &Call<'_>, count: usize) -> Result<Vec<Option<Vec<f64>>>> {
    let columns = (0..count).map(|index| doubles(&call.column(index, &SqlType::Float8)?)).collect::<Result<Vec<_>>>()?;
    Ok((0..call.rows()).map(|row| columns.iter().map(|column| column[row]).collect()).collect())
}

fn days(numbers: &[f64]) -> Result<i64> {
    let (year, month, day) = (numbers[0] as i64, numbers[1] as i64, numbers[2] as i64);
    let shown = format!("date field value out of range: {year}-{month:02}-{day:02}");
    let astronomical = if year < 0 { year + 1 } else { year };
    let fits = year != 0 && (-4713..=5_874_897).contains(&astronomical) && exists(astronomical, month, day);
    if !fits {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, shown));
    }
    Ok(moment::days(astronomical, month as u32, day as u32))
}

fn micros(numbers: &[f64]) -> Result<i64> {
    let (hour, minute, second) = (numbers[0], numbers[1], numbers[2]);
    let fits = (0.0..=24.0).contains(&hour) && (0.0..=59.0).contains(&minute) && (0.0..=60.0).contains(&second);
    let total = if fits { (hour * 60.0 + minute) as i64 * 60_000_000 + (second * 1e6).round_ties_even() as i64 } else { 0 };
    if !fits || total > DAY {
        let message = format!("time field value out of range: {hour}:{minute:02}:{second:02}");
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message));
    }
    Ok(total)
}

fn date(call: &Call<'_>) -> Result<ArrayRef> {
    let values = rows(call, 3)?.into_iter().map(|row| row.map(|numbers| days(&numbers).map(|days| days as i32)).transpose());
    Ok(Arc::new(Date32Array::from(values.collect::<Result<Vec<_>>>()?)))
}

fn time(call: &Call<'_>) -> Result<ArrayRef> {
    let values = rows(call, 3)?.into_iter().map(|row| row.map(|numbers| micros(&numbers)).transpose());
    Ok(Arc::new(Time64MicrosecondArray::from(values.collect::<Result<Vec<_>>>()?)))
}

fn local(numbers: &[f64]) -> Result<i64> {
    let (days, time) = (days(&numbers[..3])?, micros(&numbers[3..])?);
    checked(days.checked_mul(DAY).and_then(|start| start.checked_add(time)))
}

fn timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    call.of_moments(rows(call, 6)?.into_iter().map(|row| row.map(|numbers| local(&numbers)).transpose()))
}

fn timestamptz(call: &Call<'_>) -> Result<ArrayRef> {
    let zones = (call.count() == 7).then(|| call.texts(6)).transpose()?;
    call.of_moments(rows(call, 6)?.into_iter().enumerate().map(|(row, numbers)| {
        let Some(numbers) = numbers else { return Ok(None) };
        let zone = match &zones {
            Some(zones) if arrow::array::Array::is_null(zones, row) => return Ok(None),
            // A distance is taken as ISO writes it here: east is positive.
            Some(zones) => match zones.value(row) {
                offset if offset.starts_with(['+', '-']) => {
                    crate::types::zone::Zone::parse(offset).map_or_else(|| named_zone(offset), Ok)?
                }
                name => named_zone(name)?,
            },
            None => call.zone(),
        };
        Ok(Some(moment::utc(local(&numbers)?, &zone)))
    }))
}

fn interval(call: &Call<'_>) -> Result<ArrayRef> {
    if call.count() == 0 {
        return of_intervals([Ok(Some(IntervalMonthDayNano::ZERO))]);
    }
    of_intervals(rows(call, call.count())?.into_iter().map(|row| row.map(|numbers| sum(&numbers)).transpose()))
}

/// Years, months, weeks, days, hours, minutes, seconds: what is left out is zero.
fn sum(numbers: &[f64]) -> Result<IntervalMonthDayNano> {
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0.0);
    let out_of_range = || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range");
    let (months, days) = (at(0) * 12.0 + at(1), at(2) * 7.0 + at(3));
    let micros = (at(4) * 60.0 + at(5)) * 60e6 + (at(6) * 1e6).round_ties_even();
    let fits = |value: f64, most: f64| value.is_finite() && value.abs() < most;
    if !fits(months, 2_147_483_648.0) || !fits(days, 2_147_483_648.0) || !fits(micros, 9_223_372_036_854_775.0) {
        return Err(out_of_range());
    }
    Ok(IntervalMonthDayNano::new(months as i32, days as i32, micros as i64 * 1000))
}

/// `to_timestamp(seconds)`: since 1970 UTC.
pub fn of_seconds(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { i64::MAX } else { i64::MIN });
    }
    // Counted from 2000, as PostgreSQL counts: rounding is done there.
    const FROM_1970_TO_2000: f64 = 946_684_800.0;
    let micros = ((seconds - FROM_1970_TO_2000) * 1e6).round_ties_even();
    let fits = micros.abs() < 9.3e18;
    let at = fits.then_some(micros as i64).and_then(|micros| micros.checked_add(FROM_1970_TO_2000 as i64 * 1_000_000));
    checked(at).map_err(|_| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{seconds}\"")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn dates_before_christ_have_no_year_zero() {
        assert_eq!(days(&[-44.0, 3.0, 15.0]).unwrap(), moment::days(-43, 3, 15));
        assert_eq!(days(&[0.0, 1.0, 1.0]).unwrap_err().message, "date field value out of range: 0-01-01");
        assert_eq!(days(&[2013.0, 2.0, 30.0]).unwrap_err().state, SqlState::DATETIME_FIELD_OVERFLOW);
    }

    #[test]
    fn times_and_intervals() {
        assert_eq!(micros(&[8.0, 15.0, 23.5]).unwrap(), 29_723_500_000);
        assert_eq!(micros(&[24.0, 0.0, 2.1]).unwrap_err().message, "time field value out of range: 24:00:2.1");
        assert_eq!(sum(&[1.0, 2.0, 3.0, 4.0]).unwrap(), IntervalMonthDayNano::new(14, 25, 0));
        assert!(sum(&[2_147_483_647.0]).is_err());
        assert_eq!(of_seconds(0.0).unwrap(), 0);
    }
}
