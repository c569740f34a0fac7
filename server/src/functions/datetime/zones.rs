//! `timezone(zone, moment)`, which is what `moment AT TIME ZONE zone` calls.

use super::calendar::is_infinite;
use super::{ArgumentType, Call, Timely, may_be_text, no_function};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::moment;
use crate::types::zone::Zone;
use arrow::array::ArrayRef;
use arrow::datatypes::IntervalMonthDayNano;
use datafusion::logical_expr::ScalarUDF;

/// The function.
pub fn functions() -> Vec<ScalarUDF> {
    vec![Timely::function("timezone", (2, 2), moved_type, moved)]
}

fn moved_type(types: &[ArgumentType], _literals: &[Option<String>]) -> Result<SqlType> {
    let zone = may_be_text(&types[0]) || types[0] == Some(SqlType::Interval);
    match &types[1] {
        Some(SqlType::Timestamp) if zone => Ok(SqlType::Timestamptz),
        Some(SqlType::Timestamptz | SqlType::Date) | None if zone => Ok(SqlType::Timestamp),
        Some(SqlType::Time) if zone => Err(SqlError::unsupported("type time with time zone")),
        _ => Err(no_function("timezone", types)),
    }
}

fn moved(call: &Call<'_>) -> Result<ArrayRef> {
    let (from, to_local) = match call.returns {
        SqlType::Timestamp => (SqlType::Timestamptz, true),
        _ => (SqlType::Timestamp, false),
    };
    let moments = call.moments(1, &from)?;
    let zones: Vec<Option<Zone>> = match call.argument_type(0) {
        Some(SqlType::Interval) => call.intervals(0)?.into_iter().map(|value| value.map(distance).transpose()).collect::<Result<_>>()?,
        _ => call.texts(0)?.iter().map(|name| name.map(named_zone).transpose()).collect::<Result<_>>()?,
    };
    call.of_moments(moments.into_iter().zip(zones).map(|pair| {
        let (Some(at), Some(zone)) = pair else { return Ok(None) };
        Ok(Some(match to_local {
            _ if is_infinite(at) => at,
            true => moment::local(at, &zone),
            false => moment::utc(at, &zone),
        }))
    }))
}

/// A zone by its name or abbreviation, or as POSIX writes it.
pub fn named_zone(name: &str) -> Result<Zone> {
    Zone::named(name).ok_or_else(|| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized")))
}

/// A zone that is so far east of Greenwich.
fn distance(value: IntervalMonthDayNano) -> Result<Zone> {
    if value.months != 0 || value.days != 0 {
        let shown = crate::types::output::interval_text(value);
        let message = format!("interval time zone \"{shown}\" must not include months or days");
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(Zone::Fixed(i32::try_from(value.nanoseconds / 1_000_000_000).unwrap_or(0)))
}
