//! Functions and operators of dates, times and intervals that DataFusion lacks. Operators are functions whose names no client writes.

use super::scalar::{Function, as_text};
use crate::error::{SqlError, SqlState};
use crate::types::SqlType;
use crate::types::convert::convert;
use crate::types::moment;
use crate::types::zone::Zone;
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, IntervalMonthDayNanoArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, FieldRef, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::sync::Arc;

/// A product of an interval and a number.
pub const MULTIPLY: &str = "interval *";
/// A quotient of an interval and a number.
pub const DIVIDE: &str = "interval /";
/// What intervals are compared by.
pub const KEY: &str = "interval key";
/// `timestamptz + interval`.
pub const ADD: &str = "timestamptz +";
/// Local time of a timestamptz; anything else as it is.
pub const LOCAL: &str = "local time";
/// `extract` of a field that has digits after the point, or that DataFusion does not know.
pub const EXTRACT: &str = "extract exactly";

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
        one("justify_interval", |value| justify_days(justify_hours(value))),
        with_number(MULTIPLY, times),
        with_number(DIVIDE, divided),
        Function::of_columns(KEY, key, DataType::Decimal128(38, 0), |args| {
            let values = intervals(&columns(args)?[0])?;
            array(
                args,
                Arc::new(values.iter().map(|value| value.map(comparable)).collect::<Decimal128Array>().with_precision_and_scale(38, 0)?),
            )
        }),
        add(),
        age(),
        ScalarUDF::new_from_impl(LocalTime { signature: Signature::any(1, Volatility::Stable) }),
        ScalarUDF::new_from_impl(Extract { signature: Signature::any(2, Volatility::Stable) }),
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

fn times(value: IntervalMonthDayNano, factor: f64) -> Result<IntervalMonthDayNano> {
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

fn zone_of(args: &ScalarFunctionArgs) -> Zone {
    args.config_options.execution.time_zone.as_deref().and_then(Zone::parse).unwrap_or(Zone::Utc)
}

fn add() -> ScalarUDF {
    let (at, interval) = (SqlType::Timestamptz.arrow(), SqlType::Interval.arrow());
    let signature = Signature::exact(vec![at.clone(), interval], Volatility::Stable);
    Function::of_columns(ADD, signature, at.clone(), move |args| {
        let (columns, zone) = (columns(args)?, zone_of(args));
        let (moments, by) = (columns[0].as_primitive::<TimestampMicrosecondType>(), intervals(&columns[1])?);
        let rows = moments.iter().zip(&by).map(|pair| match pair {
            (Some(at), Some(by)) => Ok(Some(moment::shift(at, by.months, by.days, by.nanoseconds / 1000, &zone)?)),
            _ => Ok(None),
        });
        let shifted = rows.collect::<Result<TimestampMicrosecondArray>>()?.with_data_type(at.clone());
        array(args, Arc::new(shifted))
    })
}

fn age() -> ScalarUDF {
    let signature = Signature::one_of(vec![TypeSignature::Any(1), TypeSignature::Any(2)], Volatility::Stable);
    Function::of_columns("age", signature, SqlType::Interval.arrow(), |args| {
        let zone_name = args.config_options.execution.time_zone.as_deref().unwrap_or("UTC");
        let local = |(values, field): (ArrayRef, &FieldRef)| convert(&values, &SqlType::of_field(field), &SqlType::Timestamp, zone_name);
        let columns = columns(args)?.into_iter().zip(&args.arg_fields).map(local).collect::<crate::error::Result<Vec<_>>>()?;
        let today = || {
            let now = moment::local(chrono::Utc::now().timestamp_micros(), &zone_of(args));
            let midnight = now - now.rem_euclid(86_400_000_000);
            TimestampMicrosecondArray::from(vec![midnight; columns[0].len()])
        };
        let first = columns[0].as_primitive::<TimestampMicrosecondType>().clone();
        let (later, earlier) = match columns.get(1) {
            Some(second) => (first, second.as_primitive::<TimestampMicrosecondType>().clone()),
            None => (today(), first),
        };
        let ages = later.iter().zip(&earlier).map(|(later, earlier)| {
            let (months, days, microseconds) = moment::age(later?, earlier?);
            Some(IntervalMonthDayNano::new(months, days, microseconds.saturating_mul(1000)))
        });
        array(args, Arc::new(ages.collect::<IntervalMonthDayNanoArray>()))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LocalTime {
    signature: Signature,
}

impl ScalarUDFImpl for LocalTime {
    fn name(&self) -> &str {
        LOCAL
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match &arguments[0] {
            DataType::Timestamp(_, Some(_)) => SqlType::Timestamp.arrow(),
            other => other.clone(),
        })
    }
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match args[0].get_type(info.schema())? {
            DataType::Timestamp(_, Some(_)) => Ok(ExprSimplifyResult::Original(args)),
            _ => Ok(ExprSimplifyResult::Simplified(args.into_iter().next().map_or_else(|| internal_err!("no argument"), Ok)?)),
        }
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if !matches!(args.arg_fields[0].data_type(), DataType::Timestamp(_, Some(_))) {
            return Ok(args.args[0].clone());
        }
        let zone = args.config_options.execution.time_zone.as_deref().unwrap_or("UTC");
        let local = convert(&columns(&args)?[0], &SqlType::Timestamptz, &SqlType::Timestamp, zone)?;
        array(&args, local)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extract {
    signature: Signature,
}

impl ScalarUDFImpl for Extract {
    fn name(&self) -> &str {
        EXTRACT
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a field depends on which it is")
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let part = args.scalar_arguments[0].and_then(as_text).unwrap_or_default().to_lowercase();
        let scale = match args.arg_fields[1].data_type() {
            DataType::Date32 if part == "epoch" => 0,
            _ => moment::field_scale(&part).unwrap_or_default(),
        };
        // Twenty digits before the point hold every epoch, and more than that every other field.
        let precision = 20 + scale.unsigned_abs();
        Ok(Arc::new(SqlType::Numeric(Some((precision, scale))).field("extract", true)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ColumnarValue::Scalar(part) = &args.args[0] else { return internal_err!("the field of extract is no literal") };
        let part = as_text(part).unwrap_or_default().to_lowercase();
        let columns = columns(&args)?;
        let micros = microseconds(&columns[1], &args, part == "epoch")?;
        let DataType::Decimal128(precision, scale) = args.return_field.data_type() else { return internal_err!("extract gives a numeric") };
        let value =
            |at: i64| moment::field(&part, at).map(|(value, own)| value / 10i128.pow(u32::from((own - *scale).max(0).unsigned_abs())));
        let values: Decimal128Array = micros.into_iter().map(|at| at.and_then(value)).collect();
        array(&args, Arc::new(values.with_precision_and_scale(*precision, *scale)?))
    }
}

/// Local microseconds of whatever has fields.
fn microseconds(values: &ArrayRef, args: &ScalarFunctionArgs, epoch: bool) -> Result<Vec<Option<i64>>> {
    let sql_type = SqlType::of_field(&args.arg_fields[1]);
    let zone = args.config_options.execution.time_zone.as_deref().unwrap_or("UTC");
    // An epoch counts from 1970 UTC, whatever the zone.
    let zone = if epoch { "UTC" } else { zone };
    Ok(match sql_type {
        SqlType::Time => {
            let times = arrow::compute::cast(values, &SqlType::Time.arrow())?;
            times.as_primitive::<Time64MicrosecondType>().iter().collect()
        }
        SqlType::Interval => intervals(values)?.iter().map(|value| value.map(elapsed)).collect(),
        sql_type if crate::types::convert::castable(&sql_type, &SqlType::Timestamp) && !crate::types::convert::is_string(&sql_type) => {
            let local = convert(values, &sql_type, &SqlType::Timestamp, zone)?;
            local.as_primitive::<TimestampMicrosecondType>().iter().collect()
        }
        other => {
            let message = format!("function pg_catalog.extract(unknown, {}) does not exist", other.name());
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).into());
        }
    })
}

/// A year of an interval has 365.25 days in its epoch, a month that is left 30.
fn elapsed(value: IntervalMonthDayNano) -> i64 {
    let day = DAY_NANOSECONDS / 1000;
    let years = i64::from(value.months / 12) * (day / 4 * 1461);
    years + i64::from(value.months % 12) * 30 * day + i64::from(value.days) * day + value.nanoseconds / 1000
}

/// The key of a value that orders intervals.
pub fn key(value: Expr) -> Expr {
    named(KEY).map_or_else(|| value.clone(), |function| function.call(vec![value.clone()]))
}
