//! `age`, `overlaps`, and `timestamp - timestamp`.

use super::calendar::{DAY, checked, is_infinite};
use super::{ArgumentType, Call, Timely, no_function, of_intervals};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::moment;
use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::IntervalMonthDayNano;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// `timestamp - timestamp`: whole days, and the rest.
pub const SUBTRACT: &str = "timestamp -";
/// `moment + interval`.
pub const ADD: &str = "moment +";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Timely::function("age", (1, 2), |types, _| age_type(types), age),
        Timely::function(SUBTRACT, (2, 2), |_, _| Ok(SqlType::Interval), difference),
        Timely::function(ADD, (2, 2), |types, _| Ok(sum_type(types)), sum),
        Timely::function("overlaps", (4, 4), |types, _| overlaps_type(types), overlaps),
    ]
}

/// The function of a name.
pub fn named(name: &str) -> Option<ScalarUDF> {
    functions().into_iter().find(|function| function.name() == name)
}

fn is_moment(argument: &ArgumentType) -> bool {
    matches!(argument, None | Some(SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz))
}

fn age_type(types: &[ArgumentType]) -> Result<SqlType> {
    if types.iter().all(is_moment) { Ok(SqlType::Interval) } else { Err(no_function("age", types)) }
}

/// With a zone if one has; both without if they say so.
fn common(call: &Call<'_>, indexes: &[usize]) -> SqlType {
    let zoned = indexes.iter().any(|index| call.argument_type(*index) == Some(&SqlType::Timestamptz));
    let plain = indexes.iter().any(|index| matches!(call.argument_type(*index), Some(SqlType::Timestamp | SqlType::Date)));
    if zoned || !plain { SqlType::Timestamptz } else { SqlType::Timestamp }
}

fn age(call: &Call<'_>) -> Result<ArrayRef> {
    let all: Vec<usize> = (0..call.count()).collect();
    let common = common(call, &all);
    let zone = call.zone();
    let local = |at: i64| if common == SqlType::Timestamptz && !is_infinite(at) { moment::local(at, &zone) } else { at };
    let first = call.moments(0, &common)?;
    let second = match call.count() {
        1 => {
            let now = moment::local(chrono::Utc::now().timestamp_micros(), &zone);
            let midnight = now - now.rem_euclid(DAY);
            let today = if common == SqlType::Timestamptz { moment::utc(midnight, &zone) } else { midnight };
            vec![Some(today); first.len()]
        }
        _ => call.moments(1, &common)?,
    };
    let (later, earlier) = if call.count() == 1 { (second, first) } else { (first, second) };
    of_intervals(later.into_iter().zip(earlier).map(|pair| {
        let (Some(later), Some(earlier)) = pair else { return Ok(None) };
        if is_infinite(later) || is_infinite(earlier) {
            return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"));
        }
        let (months, days, microseconds) = moment::age(local(later), local(earlier));
        Ok(Some(IntervalMonthDayNano::new(months, days, microseconds.saturating_mul(1000))))
    }))
}

fn difference(call: &Call<'_>) -> Result<ArrayRef> {
    let common = common(call, &[0, 1]);
    let (left, right) = (call.moments(0, &common)?, call.moments(1, &common)?);
    of_intervals(left.into_iter().zip(right).map(|pair| {
        let (Some(left), Some(right)) = pair else { return Ok(None) };
        if is_infinite(left) || is_infinite(right) {
            return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps"));
        }
        let elapsed = left.saturating_sub(right);
        Ok(Some(IntervalMonthDayNano::new(0, (elapsed / DAY) as i32, elapsed % DAY * 1000)))
    }))
}

fn sum_type(types: &[ArgumentType]) -> SqlType {
    if types[0] == Some(SqlType::Timestamptz) { SqlType::Timestamptz } else { SqlType::Timestamp }
}

fn sum(call: &Call<'_>) -> Result<ArrayRef> {
    let zone = if call.returns == SqlType::Timestamptz { call.zone() } else { crate::types::zone::Zone::Utc };
    let (moments, by) = (call.moments(0, &call.returns)?, call.intervals(1)?);
    call.of_moments(moments.into_iter().zip(by).map(|pair| match pair {
        (Some(at), Some(_)) if is_infinite(at) => Ok(Some(at)),
        (Some(at), Some(by)) => checked(Some(moment::shift(at, by.months, by.days, by.nanoseconds / 1000, &zone)?)).map(Some),
        _ => Ok(None),
    }))
}

fn overlaps_type(types: &[ArgumentType]) -> Result<SqlType> {
    let end = |argument: &ArgumentType| is_moment(argument) || *argument == Some(SqlType::Interval);
    let times = |argument: &ArgumentType| matches!(argument, None | Some(SqlType::Time | SqlType::Interval));
    let moments = is_moment(&types[0]) && end(&types[1]) && is_moment(&types[2]) && end(&types[3]);
    if moments || types.iter().all(times) { Ok(SqlType::Boolean) } else { Err(no_function("pg_catalog.overlaps", types)) }
}

fn overlaps(call: &Call<'_>) -> Result<ArrayRef> {
    let (one, two) = (stretch(call, 0)?, stretch(call, 2)?);
    let values: BooleanArray = one.into_iter().zip(two).map(|(one, two)| overlap(one, two)).collect();
    Ok(Arc::new(values))
}

/// Both ends of a stretch of time, of which the second may be said by its distance.
fn stretch(call: &Call<'_>, index: usize) -> Result<Vec<(Option<i64>, Option<i64>)>> {
    if call.argument_type(index) == Some(&SqlType::Time) {
        return of_times(call, index);
    }
    let common = common(call, &[index, if call.argument_type(index + 1) == Some(&SqlType::Interval) { index } else { index + 1 }]);
    let starts = call.moments(index, &common)?;
    if call.argument_type(index + 1) != Some(&SqlType::Interval) {
        return Ok(starts.into_iter().zip(call.moments(index + 1, &common)?).collect());
    }
    let zone = if common == SqlType::Timestamptz { call.zone() } else { crate::types::zone::Zone::Utc };
    let pairs = starts.into_iter().zip(call.intervals(index + 1)?);
    pairs
        .map(|(start, by)| {
            let end = match (start, by) {
                (Some(at), Some(by)) => Some(moment::shift(at, by.months, by.days, by.nanoseconds / 1000, &zone)?),
                _ => None,
            };
            Ok((start, end))
        })
        .collect()
}

fn of_times(call: &Call<'_>, index: usize) -> Result<Vec<(Option<i64>, Option<i64>)>> {
    let micros = |index: usize| -> Result<Vec<Option<i64>>> {
        Ok(call.intervals(index)?.into_iter().map(|value| value.map(|value| value.nanoseconds / 1000)).collect())
    };
    let (starts, ends) = (micros(index)?, micros(index + 1)?);
    let by = call.argument_type(index + 1) == Some(&SqlType::Interval);
    let end =
        |start: Option<i64>, end: Option<i64>| if by { start.zip(end).map(|(start, end)| (start + end).rem_euclid(DAY)) } else { end };
    Ok(starts.into_iter().zip(ends).map(|(start, value)| (start, end(start, value))).collect())
}

/// Two stretches overlap unless one ends before the other begins; NULL where that cannot be told.
fn overlap(one: (Option<i64>, Option<i64>), two: (Option<i64>, Option<i64>)) -> Option<bool> {
    let ordered = |(start, end): (Option<i64>, Option<i64>)| match (start, end) {
        (None, None) => None,
        (None, Some(known)) | (Some(known), None) => Some((known, None)),
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
    };
    let ((start1, end1), (start2, end2)) = (ordered(one)?, ordered(two)?);
    match start1.cmp(&start2) {
        std::cmp::Ordering::Greater => match end2 {
            None => None,
            Some(end2) if start1 < end2 => Some(true),
            Some(_) => end1.map(|_| false),
        },
        std::cmp::Ordering::Less => match end1 {
            None => None,
            Some(end1) if start2 < end1 => Some(true),
            Some(_) => end2.map(|_| false),
        },
        std::cmp::Ordering::Equal => end1.and(end2).map(|_| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_overlap_in_more_than_a_point() {
        let of = |a, b| (Some(a), Some(b));
        assert_eq!(overlap(of(1, 5), of(4, 8)), Some(true));
        assert_eq!(overlap(of(1, 4), of(4, 8)), Some(false));
        assert_eq!(overlap(of(4, 4), of(4, 8)), Some(true));
        assert_eq!(overlap(of(8, 4), of(5, 1)), Some(true));
        assert_eq!(overlap((Some(1), None), of(5, 8)), None);
    }
}
