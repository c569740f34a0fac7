//! Templates: `to_char(value, template)`, `to_timestamp(text, template)`, `to_date(text, template)`, `to_number(text, template)`.
//!
//! 1. [`nodes`] cuts a template for dates and times into words, separators and other text.
//! 2. [`writing`] prints a moment or an interval by its nodes; [`reading`] reads a text by them.
//! 3. [`numbers`] does both for numbers, whose templates are of another kind.

use super::calendar::{Civil, DAY, is_infinite};
use super::{ArgumentType, Call, Timely, may_be_text, no_function};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::convert::is_number;
use crate::types::moment;
use crate::types::zone::Zone;
use arrow::array::{Array, ArrayRef, Date32Array, StringViewBuilder};
use datafusion::logical_expr::ScalarUDF;
use std::collections::HashMap;
use std::sync::Arc;

mod nodes;
mod numbers;
mod reading;
mod writing;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        // A library function of the same name would come back under its alias.
        Timely::function("to_char", (2, 2), |types, _| to_char_type(types), to_char).with_aliases(["date_format"]),
        Timely::function("to_timestamp", (1, 2), |types, _| to_timestamp_type(types), to_timestamp),
        Timely::function("to_date", (2, 2), |types, _| texts("to_date", types, SqlType::Date), to_date),
        Timely::function("to_number", (2, 2), |types, _| texts("to_number", types, SqlType::Numeric(None)), numbers::to_number),
    ]
}

/// A moment by a template; with a zone, what that calls it.
pub fn of_moment(template: &str, local: i64, zoned: Option<(i64, Zone)>) -> Result<Option<String>> {
    writing::Moment::of(local, zoned).write(&nodes::parse(template)).map(Some)
}

fn to_char_type(types: &[ArgumentType]) -> Result<SqlType> {
    let known = match &types[0] {
        Some(SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz | SqlType::Interval | SqlType::Time) => true,
        Some(other) => is_number(other),
        None => false,
    };
    if types[0].is_none() {
        let error = SqlError::new(SqlState("42725"), "function to_char(unknown, unknown) is not unique");
        return Err(error.with_hint("Could not choose a best candidate function. You might need to add explicit type casts."));
    }
    if known && may_be_text(&types[1]) { Ok(SqlType::Text) } else { Err(no_function("to_char", types)) }
}

fn texts(name: &str, types: &[ArgumentType], returns: SqlType) -> Result<SqlType> {
    if types.iter().all(may_be_text) { Ok(returns) } else { Err(no_function(name, types)) }
}

fn to_timestamp_type(types: &[ArgumentType]) -> Result<SqlType> {
    let fits = match types {
        [number] => number.as_ref().is_none_or(is_number),
        both => both.iter().all(may_be_text),
    };
    if fits { Ok(SqlType::Timestamptz) } else { Err(no_function("to_timestamp", types)) }
}

fn to_char(call: &Call<'_>) -> Result<ArrayRef> {
    match call.argument_type(0).cloned() {
        Some(number) if is_number(&number) => numbers::to_char(call, &number),
        Some(SqlType::Interval | SqlType::Time) => {
            let values = call.intervals(0)?;
            written(call, |row| values[row].map(writing::Moment::of_interval))
        }
        Some(SqlType::Timestamptz) => {
            let (values, zone) = (call.moments(0, &SqlType::Timestamptz)?, call.zone());
            written(call, |row| {
                let at = values[row].filter(|at| !is_infinite(*at))?;
                Some(writing::Moment::of(moment::local(at, &zone), Some((at, zone))))
            })
        }
        // A date is a moment of the session's zone.
        Some(SqlType::Date) => {
            let (values, zone) = (call.moments(0, &SqlType::Timestamptz)?, call.zone());
            written(call, |row| {
                let at = values[row].filter(|at| !is_infinite(*at))?;
                Some(writing::Moment::of(moment::local(at, &zone), Some((at, zone))))
            })
        }
        _ => {
            let values = call.moments(0, &SqlType::Timestamp)?;
            written(call, |row| Some(writing::Moment::of(values[row].filter(|at| !is_infinite(*at))?, None)))
        }
    }
}

/// Templates are parsed once each.
fn written(call: &Call<'_>, value: impl Fn(usize) -> Option<writing::Moment>) -> Result<ArrayRef> {
    let templates = call.texts(1)?;
    let mut parsed: HashMap<&str, Vec<nodes::Node>> = HashMap::new();
    let mut builder = StringViewBuilder::with_capacity(call.rows());
    for (row, template) in templates.iter().enumerate() {
        match (template.filter(|template| !template.is_empty()), value(row)) {
            (Some(template), Some(value)) => {
                let nodes = parsed.entry(template).or_insert_with(|| nodes::parse(template));
                builder.append_value(value.write(nodes)?);
            }
            _ => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn read(call: &Call<'_>) -> Result<Vec<Option<reading::Parsed>>> {
    let (texts, templates) = (call.texts(0)?, call.texts(1)?);
    let mut parsed: HashMap<&str, Vec<nodes::Node>> = HashMap::new();
    let mut values = Vec::with_capacity(texts.len());
    for pair in texts.iter().zip(&templates) {
        values.push(match pair {
            (Some(text), Some(template)) => {
                let nodes = parsed.entry(template).or_insert_with(|| nodes::parse(template));
                Some(reading::read(text, nodes)?)
            }
            _ => None,
        });
    }
    Ok(values)
}

fn to_date(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let values = read(call)?.into_iter().zip(&texts);
    let days = values.map(|(parsed, text)| parsed.map(|parsed| days(&parsed.civil, text.unwrap_or_default())).transpose());
    Ok(Arc::new(days.collect::<Result<Date32Array>>()?))
}

/// The day of a date that was read from a text, between the first Julian day and the last one there is.
fn days(civil: &Civil, text: &str) -> Result<i32> {
    const LAST: i32 = 2_147_483_493 - super::calendar::JULIAN_1970 as i32;
    let days = i32::try_from(civil.days()).ok().filter(|days| (-super::calendar::JULIAN_1970 as i32..=LAST).contains(days));
    days.ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\"")))
}

fn to_timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    if call.count() == 1 {
        let seconds = super::fields::doubles(&call.column(0, &SqlType::Float8)?)?;
        return call.of_moments(seconds.into_iter().map(|seconds| seconds.map(super::making::of_seconds).transpose()));
    }
    let zone = call.zone();
    call.of_moments(read(call)?.into_iter().map(|parsed| {
        let Some(parsed) = parsed else { return Ok(None) };
        let local = parsed.civil.at();
        let at = match parsed.offset_seconds {
            Some(offset) => local - offset * 1_000_000,
            None => moment::utc(local, &zone),
        };
        super::calendar::checked(Some(at)).map(Some)
    }))
}

/// Julian day of a moment.
fn julian(civil: &Civil) -> i64 {
    civil.at().div_euclid(DAY) + super::calendar::JULIAN_1970
}
