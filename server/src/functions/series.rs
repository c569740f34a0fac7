//! `generate_series` of integers, numerics and moments, as lists that `unnest` takes apart.
//!
//! Lists go through memory whole: [`ELEMENTS_BYTES_MAX`] bounds those of one batch of rows.

use crate::error::{Result, SqlError, SqlState};
use crate::functions::datetime::calendar::is_infinite;
use crate::functions::datetime::{ArgumentType, Call, Timely, no_function};
use crate::types::zone::Zone;
use crate::types::{SqlType, moment};
use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int32Array, Int64Array, ListArray, TimestampMicrosecondArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// The list of a series.
pub const NAME: &str = "plimsoll_series";

/// The function.
pub fn function() -> ScalarUDF {
    Timely::function(NAME, (2, 3), |types, _| Ok(SqlType::Array(Box::new(element(types)?))), series)
}

/// The lists of one batch of rows take at most this much memory.
const ELEMENTS_BYTES_MAX: usize = 256 << 20;

fn too_long() -> SqlError {
    let message = format!("generate_series made more than {} MiB at once", ELEMENTS_BYTES_MAX >> 20);
    SqlError::new(SqlState::OUT_OF_MEMORY, message).with_hint("generate_series of constant integers in FROM has no such limit.")
}

/// Lists in the making: where each ends, and which are NULL.
struct Lists {
    lengths: Vec<usize>,
    valid: Vec<bool>,
    bytes: usize,
}

impl Lists {
    fn new(rows: usize) -> Self {
        Self { lengths: Vec::with_capacity(rows), valid: Vec::with_capacity(rows), bytes: 0 }
    }
    /// The next row's list has this many elements; `None`: it is NULL.
    fn push(&mut self, elements: Option<usize>) {
        self.valid.push(elements.is_some());
        self.lengths.push(elements.unwrap_or(0));
    }
    /// Refuses what would take too much memory.
    fn charge(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > ELEMENTS_BYTES_MAX { Err(too_long()) } else { Ok(()) }
    }
    fn finish(self, element: DataType, values: ArrayRef) -> Result<ArrayRef> {
        let item = Arc::new(Field::new_list_field(element, true));
        let lists = ListArray::try_new(item, OffsetBuffer::from_lengths(self.lengths), values, Some(NullBuffer::from(self.valid)));
        Ok(Arc::new(lists.map_err(datafusion::error::DataFusionError::from)?))
    }
}

/// The type of the elements that a call shall make.
fn element_of(call: &Call<'_>) -> SqlType {
    match &call.returns {
        SqlType::Array(element) => element.as_ref().clone(),
        other => other.clone(),
    }
}

/// What DataFusion's functions count with, as a type of SQL.
const COUNTED: SqlType = SqlType::Numeric(Some((20, 0)));

fn is_integer(argument: &ArgumentType) -> bool {
    matches!(argument, None | Some(SqlType::Int2 | SqlType::Int4 | SqlType::Int8)) || *argument == Some(COUNTED)
}

fn is_exact(argument: &ArgumentType) -> bool {
    is_integer(argument) || matches!(argument, Some(SqlType::Numeric(_)))
}

fn is_moment(argument: &ArgumentType) -> bool {
    matches!(argument, None | Some(SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz))
}

fn element(types: &[ArgumentType]) -> Result<SqlType> {
    let known = types.iter().flatten().count();
    if known > 0 && types.iter().all(is_integer) {
        let wide = types.iter().flatten().any(|known| matches!(known, SqlType::Int8 | SqlType::Numeric(_)));
        return Ok(if wide { SqlType::Int8 } else { SqlType::Int4 });
    }
    if known > 0 && types.iter().all(is_exact) {
        return Ok(numeric(types));
    }
    let by_interval = matches!(types.get(2), Some(None | Some(SqlType::Interval)));
    if known > 0 && by_interval && types[..2].iter().all(is_moment) {
        let plain = types.contains(&Some(SqlType::Timestamp)) && !types.contains(&Some(SqlType::Timestamptz));
        return Ok(if plain { SqlType::Timestamp } else { SqlType::Timestamptz });
    }
    Err(no_function("generate_series", types))
}

/// As many digits after the point as the argument with the most.
fn numeric(types: &[ArgumentType]) -> SqlType {
    let scale = |argument: &ArgumentType| match argument {
        Some(SqlType::Numeric(modifiers)) => modifiers.map(|(_, scale)| scale),
        _ => Some(0),
    };
    let scales: Option<Vec<i8>> = types.iter().map(scale).collect();
    SqlType::Numeric(scales.and_then(|scales| scales.into_iter().max()).map(|scale| (38, scale)))
}

fn series(call: &Call<'_>) -> Result<ArrayRef> {
    match element_of(call) {
        element @ (SqlType::Timestamp | SqlType::Timestamptz) => of_moments(call, &element),
        element @ SqlType::Numeric(_) => of_numerics(call, &element),
        element => of_integers(call, &element),
    }
}

fn invalid(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message.to_string())
}

fn of_integers(call: &Call<'_>, element: &SqlType) -> Result<ArrayRef> {
    let column = |index| integers(call, index);
    let steps = if call.count() == 3 { column(2)? } else { vec![Some(1); call.rows()] };
    let mut lists = Lists::new(call.rows());
    let mut values: Vec<i64> = Vec::new();
    for ((start, stop), step) in column(0)?.into_iter().zip(column(1)?).zip(steps) {
        let (Some(start), Some(stop), Some(step)) = (start, stop, step) else {
            lists.push(None);
            continue;
        };
        let count = count(i128::from(start), i128::from(stop), i128::from(step))?;
        lists.charge(count.saturating_mul(8))?;
        lists.push(Some(count));
        values.extend((0..count as i64).map(|at| start + at * step));
    }
    let values: ArrayRef = match element {
        SqlType::Int4 => Arc::new(values.into_iter().map(|value| value as i32).collect::<Int32Array>()),
        _ => Arc::new(Int64Array::from(values)),
    };
    lists.finish(element.arrow(), values)
}

fn integers(call: &Call<'_>, index: usize) -> Result<Vec<Option<i64>>> {
    let column = call.column(index, &SqlType::Int8)?;
    Ok(column.as_primitive::<Int64Type>().iter().collect())
}

/// How many values there are.
fn count(start: i128, stop: i128, step: i128) -> Result<usize> {
    if step == 0 {
        return Err(invalid("step size cannot equal zero"));
    }
    let distance = stop.saturating_sub(start);
    if distance != 0 && (distance > 0) != (step > 0) {
        return Ok(0);
    }
    Ok(usize::try_from(distance / step).map_or(usize::MAX, |steps| steps.saturating_add(1)))
}

fn of_numerics(call: &Call<'_>, element: &SqlType) -> Result<ArrayRef> {
    let one = match element {
        SqlType::Numeric(Some((_, scale))) => 10i128.pow((*scale).max(0) as u32),
        _ => 10i128.pow(10),
    };
    let column = |index| numerics(call, index, element);
    let steps = if call.count() == 3 { column(2)? } else { vec![Some(one); call.rows()] };
    let mut lists = Lists::new(call.rows());
    let mut values: Vec<i128> = Vec::new();
    for ((start, stop), step) in column(0)?.into_iter().zip(column(1)?).zip(steps) {
        let (Some(start), Some(stop), Some(step)) = (start, stop, step) else {
            lists.push(None);
            continue;
        };
        let count = count(start, stop, step)?;
        lists.charge(count.saturating_mul(16))?;
        lists.push(Some(count));
        values.extend((0..count as i128).map(|at| start + at * step));
    }
    let arrow = element.arrow();
    lists.finish(arrow.clone(), Arc::new(Decimal128Array::from(values).with_data_type(arrow)))
}

fn numerics(call: &Call<'_>, index: usize, element: &SqlType) -> Result<Vec<Option<i128>>> {
    let column = call.column(index, element)?;
    Ok(column.as_primitive::<Decimal128Type>().iter().collect())
}

fn of_moments(call: &Call<'_>, element: &SqlType) -> Result<ArrayRef> {
    let zone = if *element == SqlType::Timestamptz { call.zone() } else { Zone::Utc };
    let (starts, stops, steps) = (call.moments(0, element)?, call.moments(1, element)?, call.intervals(2)?);
    let mut lists = Lists::new(call.rows());
    let mut values: Vec<i64> = Vec::new();
    for ((start, stop), step) in starts.into_iter().zip(stops).zip(steps) {
        let (Some(start), Some(stop), Some(step)) = (start, stop, step) else {
            lists.push(None);
            continue;
        };
        let before = values.len();
        let step = (step.months, step.days, step.nanoseconds / 1000);
        of_one_row((start, stop), step, &zone, &mut values, &mut lists)?;
        lists.push(Some(values.len() - before));
    }
    let arrow = element.arrow();
    let values = TimestampMicrosecondArray::from(values);
    lists.finish(arrow.clone(), Arc::new(values.with_data_type(arrow)))
}

/// Months are of 30 days where only the direction of a step matters.
fn of_one_row(
    (start, stop): (i64, i64),
    (months, days, micros): (i32, i32, i64),
    zone: &Zone,
    values: &mut Vec<i64>,
    lists: &mut Lists,
) -> Result<()> {
    for (at, which) in [(start, "start"), (stop, "stop")] {
        if is_infinite(at) {
            return Err(invalid(&format!("{which} value cannot be infinity")));
        }
    }
    let length = (i128::from(months) * 30 + i128::from(days)) * 86_400_000_000 + i128::from(micros);
    if length == 0 {
        return Err(invalid("step size cannot equal zero"));
    }
    let mut at = start;
    while if length > 0 { at <= stop } else { at >= stop } {
        lists.charge(8)?;
        values.push(at);
        let next = moment::shift(at, months, days, micros, zone)?;
        // A step of mixed signs may stand still.
        if (next > at) != (length > 0) || next == at {
            return Err(invalid("step size cannot equal zero"));
        }
        at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_counted_before_they_are_made() {
        assert_eq!(count(1, 10, 3).unwrap(), 4);
        assert_eq!(count(5, 1, -2).unwrap(), 3);
        assert_eq!(count(5, 1, 2).unwrap(), 0);
        assert_eq!(count(3, 3, -1).unwrap(), 1);
        assert_eq!(count(1, 2, 0).unwrap_err().state.0, "22023");
    }

    #[test]
    fn the_arguments_say_what_a_series_is_of() {
        let of = |types: &[ArgumentType]| element(types).map(|found| found.name()).map_err(|error| error.state.0);
        assert_eq!(of(&[Some(SqlType::Int4), None]).unwrap(), "integer");
        assert_eq!(of(&[Some(SqlType::Int4), Some(SqlType::Int8)]).unwrap(), "bigint");
        assert_eq!(of(&[Some(SqlType::Numeric(Some((2, 1)))), Some(SqlType::Int4)]).unwrap(), "numeric(38,1)");
        assert_eq!(of(&[Some(SqlType::Timestamp), None, None]).unwrap(), "timestamp without time zone");
        assert_eq!(of(&[Some(SqlType::Date), Some(SqlType::Date), None]).unwrap(), "timestamp with time zone");
        assert_eq!(of(&[Some(SqlType::Date), Some(SqlType::Date)]).unwrap_err(), "42883");
        assert_eq!(of(&[Some(SqlType::Float8), Some(SqlType::Int4)]).unwrap_err(), "42883");
    }
}
