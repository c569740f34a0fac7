//! Functions and operators of dates, times and intervals that DataFusion lacks. Operators are functions whose names no client writes.

use super::scalar::Function;
use crate::error::{SqlError, SqlState};
use crate::types::SqlType;
use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, Signature, Volatility};
use std::sync::Arc;

/// A product of an interval and a number.
pub const MULTIPLY: &str = "interval *";
/// A quotient of an interval and a number.
pub const DIVIDE: &str = "interval /";
/// What intervals are compared by.
pub const KEY: &str = "interval key";
const DAY_NANOSECONDS: i64 = 86_400_000_000_000;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let interval = SqlType::Interval.arrow();
    let one = |name, change: fn(IntervalMonthDayNano) -> IntervalMonthDayNano| {
        let interval = SqlType::Interval.arrow();
        Function::of_columns(name, Signature::exact(vec![interval.clone()], Volatility::Immutable), interval, move |args| {
            let values = intervals(&columns(args)?[0])?;
            array(args, Arc::new(values.unary::<_, IntervalMonthDayNanoType>(change)))
        })
    };
    let with_number = |name, operate: fn(IntervalMonthDayNano, f64) -> Result<IntervalMonthDayNano>| {
        let signature = Signature::exact(vec![interval.clone(), DataType::Float64], Volatility::Immutable);
        Function::of_columns(name, signature, interval.clone(), move |args| scaled(args, operate))
    };
    let key = Signature::exact(vec![interval.clone()], Volatility::Immutable);
    vec![
        one("justify_hours", justify_hours),
        one("justify_days", justify_days),
        one("justify_interval", justify_all),
        with_number(MULTIPLY, times),
        with_number(DIVIDE, divided),
        Function::of_columns(KEY, key, DataType::Decimal128(38, 0), |args| {
            let values = intervals(&columns(args)?[0])?;
            array(
                args,
                Arc::new(values.iter().map(|value| value.map(comparable)).collect::<Decimal128Array>().with_precision_and_scale(38, 0)?),
            )
        }),
    ]
}

/// The function of a name.
pub fn named(name: &str) -> Option<ScalarUDF> {
    functions().into_iter().find(|function| function.name() == name)
}

fn columns(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
    let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    args.args.iter().map(|arg| arg.to_array(if constant { 1 } else { args.number_rows })).collect()
}

/// The result: constant if all arguments were.
fn array(args: &ScalarFunctionArgs, values: ArrayRef) -> Result<ColumnarValue> {
    match args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
        true => Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&values, 0)?)),
        false => Ok(ColumnarValue::Array(values)),
    }
}

fn intervals(values: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
    Ok(arrow::compute::cast(values, &SqlType::Interval.arrow())?.as_primitive().clone())
}

/// A month has 30 days and a day 24 hours where intervals are compared.
fn comparable(value: IntervalMonthDayNano) -> i128 {
    let days = i128::from(value.months) * 30 + i128::from(value.days);
    days * i128::from(DAY_NANOSECONDS / 1000) + i128::from(value.nanoseconds / 1000)
}

fn justify_hours(value: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let (mut days, mut nanoseconds) =
        (value.days.saturating_add((value.nanoseconds / DAY_NANOSECONDS) as i32), value.nanoseconds % DAY_NANOSECONDS);
    if days > 0 && nanoseconds < 0 {
        (days, nanoseconds) = (days - 1, nanoseconds + DAY_NANOSECONDS);
    } else if days < 0 && nanoseconds > 0 {
        (days, nanoseconds) = (days + 1, nanoseconds - DAY_NANOSECONDS);
    }
    IntervalMonthDayNano::new(value.months, days, nanoseconds)
}

fn justify_days(value: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let (mut months, mut days) = (value.months.saturating_add(value.days / 30), value.days % 30);
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - 30);
    }
    IntervalMonthDayNano::new(months, days, value.nanoseconds)
}

/// All parts of one sign.
fn justify_all(value: IntervalMonthDayNano) -> IntervalMonthDayNano {
    let justified = justify_days(justify_hours(value));
    let (mut months, mut days, mut nanoseconds) = (justified.months, justified.days, justified.nanoseconds);
    if months > 0 && (days < 0 || (days == 0 && nanoseconds < 0)) {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && (days > 0 || (days == 0 && nanoseconds > 0)) {
        (months, days) = (months + 1, days - 30);
    }
    if days > 0 && nanoseconds < 0 {
        (days, nanoseconds) = (days - 1, nanoseconds + DAY_NANOSECONDS);
    } else if days < 0 && nanoseconds > 0 {
        (days, nanoseconds) = (days + 1, nanoseconds - DAY_NANOSECONDS);
    }
    IntervalMonthDayNano::new(months, days, nanoseconds)
}

fn scaled(args: &ScalarFunctionArgs, operate: fn(IntervalMonthDayNano, f64) -> Result<IntervalMonthDayNano>) -> Result<ColumnarValue> {
    let columns = columns(args)?;
    let (values, factors): (_, &Float64Array) = (intervals(&columns[0])?, columns[1].as_primitive::<Float64Type>());
    let rows = values.iter().zip(factors).map(|(value, factor)| match (value, factor) {
        (Some(value), Some(factor)) => operate(value, factor).map(Some),
        _ => Ok(None),
    });
    array(args, Arc::new(rows.collect::<Result<IntervalMonthDayNanoArray>>()?))
}

fn divided(value: IntervalMonthDayNano, by: f64) -> Result<IntervalMonthDayNano> {
    if by == 0.0 {
        return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero").into());
    }
    scale(value, |part| part / by)
}

/// An interval, so many times.
pub(super) fn times(value: IntervalMonthDayNano, factor: f64) -> Result<IntervalMonthDayNano> {
    scale(value, |part| part * factor)
}

/// Parts of months become days, and parts of days time, as PostgreSQL spills them.
fn scale(value: IntervalMonthDayNano, change: impl Fn(f64) -> f64) -> Result<IntervalMonthDayNano> {
    let months = change(f64::from(value.months));
    let days = change(f64::from(value.days));
    let micros = change((value.nanoseconds / 1000) as f64);
    let day_parts = (months.fract() * 30.0 * 1e6).round() / 1e6;
    let seconds = ((day_parts.fract() + days.fract()) * 86_400.0 * 1e6).round();
    let (months, days, micros) = (months.trunc(), days.trunc() + day_parts.trunc(), (micros + seconds).round());
    let fits = months.abs() < 2_147_483_648.0 && days.abs() < 2_147_483_648.0 && micros.abs() < 9_223_372_036_854_775.0;
    if !fits {
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range").into());
    }
    let mut extra_days = 0.0;
    let mut micros = micros;
    // Only what the fractions gave is carried into days: the time that was there stays.
    if seconds.abs() >= 86_400e6 {
        extra_days = (seconds / 86_400e6).trunc();
        micros -= extra_days * 86_400e6;
    }
    Ok(IntervalMonthDayNano::new(months as i32, (days + extra_days) as i32, (micros as i64) * 1000))
}

/// The key of a value that orders intervals.
pub fn key(value: Expr) -> Expr {
    named(KEY).map_or_else(|| value.clone(), |function| function.call(vec![value.clone()]))
}
