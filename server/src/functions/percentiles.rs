//! What ordered-set aggregates take from their set, which is a sorted array without NULLs; see `query/desugar/ordered_sets.rs`.

use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::convert::{is_number, numbers};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, IntervalMonthDayNanoArray, ListArray, UInt64Array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// All of them. No client writes their names.
pub fn functions() -> Vec<ScalarUDF> {
    let function =
        |name, what, count| ScalarUDF::new_from_impl(OfSet { name, what, signature: Signature::any(count, Volatility::Immutable) });
    vec![
        function("plimsoll_percentile_cont", What::Between, 2),
        function("plimsoll_percentile_disc", What::Of, 2),
        function("plimsoll_mode", What::MostFrequent, 1),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    /// A value between two of the set.
    Between,
    /// A value of the set.
    Of,
    /// The first of those that occur most often.
    MostFrequent,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfSet {
    name: &'static str,
    what: What,
    signature: Signature,
}

impl OfSet {
    fn shown(&self) -> &'static str {
        self.name.trim_start_matches("plimsoll_")
    }
    /// The field of one value.
    fn element(&self, set: &Field) -> datafusion::common::Result<FieldRef> {
        let element = match set.data_type() {
            DataType::List(field) => Arc::clone(field),
            DataType::Null => Arc::new(Field::new("item", DataType::Null, true)),
            other => return internal_err!("{} of {other}", self.name),
        };
        let sql_type = SqlType::of_field(&element);
        match self.what {
            What::Between if *element.data_type() == DataType::Null || is_number(&sql_type) => {
                Ok(Arc::new(Field::new("item", DataType::Float64, true)))
            }
            What::Between if sql_type == SqlType::Interval => Ok(element),
            What::Between => Err(SqlError::undefined_function(&format!("{}(numeric, {})", self.shown(), sql_type.name())).into()),
            _ => Ok(element),
        }
    }
}

impl ScalarUDFImpl for OfSet {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> datafusion::common::Result<DataType> {
        internal_err!("the type depends on the set's")
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> datafusion::common::Result<FieldRef> {
        let element = self.element(&args.arg_fields[0])?;
        let named = |data_type: DataType| Field::new(self.name, data_type, true).with_metadata(element.metadata().clone());
        Ok(Arc::new(match args.arg_fields.get(1).map(|field| field.data_type()) {
            Some(DataType::List(_)) => {
                let item = Field::new("item", element.data_type().clone(), true).with_metadata(element.metadata().clone());
                Field::new(self.name, DataType::List(Arc::new(item)), true)
            }
            _ => named(element.data_type().clone()),
        }))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::common::Result<ColumnarValue> {
        let sets = args.args[0].to_array(args.number_rows)?;
        let Some(sets) = sets.as_list_opt::<i32>() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(args.return_field.data_type())?));
        };
        let element = self.element(&args.arg_fields[0])?;
        let Some(fraction) = args.args.get(1) else {
            return Ok(ColumnarValue::Array(picked(sets, |row| most_frequent(&sets.value(row)))?));
        };
        let fractions = fraction.to_array(args.number_rows)?;
        match fractions.as_list_opt::<i32>() {
            Some(lists) => Ok(ColumnarValue::Array(self.of_lists(sets, lists, &element)?)),
            None => Ok(ColumnarValue::Array(self.of_fractions(sets, &fraction_values(&fractions)?, &element)?)),
        }
    }
}

fn fraction_values(values: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let values = if *values.data_type() == DataType::Null {
        arrow::array::new_null_array(&DataType::Float64, values.len())
    } else {
        numbers(values, &SqlType::Float8)?
    };
    let values: Vec<Option<f64>> = values.as_primitive::<Float64Type>().iter().collect();
    match values.iter().flatten().find(|value| !(0.0..=1.0).contains(*value)) {
        Some(value) => {
            let message = format!("percentile value {value} is not between 0 and 1");
            Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message))
        }
        None => Ok(values),
    }
}

impl OfSet {
    /// One value for each set.
    fn of_fractions(&self, sets: &ListArray, fractions: &[Option<f64>], element: &Field) -> Result<ArrayRef> {
        if self.what == What::Of {
            return picked(sets, |row| place(sets.value_length(row) as usize, fractions[row]));
        }
        if *element.data_type() == DataType::Float64 {
            let between = |row: usize| {
                let set = sets.value(row);
                let values = numbers(&set, &SqlType::Float8).ok()?;
                interpolated(values.as_primitive::<Float64Type>(), fractions[row]?)
            };
            return Ok(Arc::new((0..sets.len()).map(|row| if sets.is_null(row) { None } else { between(row) }).collect::<Float64Array>()));
        }
        let between = |row: usize| interval_between(sets.value(row).as_primitive(), fractions[row]?);
        let values = (0..sets.len()).map(|row| if sets.is_null(row) { None } else { between(row) });
        Ok(Arc::new(values.collect::<IntervalMonthDayNanoArray>()))
    }
    /// A list of values for each set.
    fn of_lists(&self, sets: &ListArray, lists: &ListArray, element: &Field) -> Result<ArrayRef> {
        let mut parts = Vec::with_capacity(sets.len());
        let mut offsets = vec![0i32];
        for row in 0..sets.len() {
            let fractions = fraction_values(&lists.value(row))?;
            let repeated = take(sets, &UInt64Array::from(vec![row as u64; fractions.len()]), None)?;
            let values = self.of_fractions(repeated.as_list::<i32>(), &fractions, element)?;
            offsets.push(offsets[row] + values.len() as i32);
            parts.push(values);
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        let values = if parts.is_empty() { arrow::array::new_empty_array(element.data_type()) } else { arrow::compute::concat(&parts)? };
        let item = Field::new("item", values.data_type().clone(), true).with_metadata(element.metadata().clone());
        let nulls = sets.nulls().cloned();
        Ok(Arc::new(ListArray::new(Arc::new(item), OffsetBuffer::new(ScalarBuffer::from(offsets)), values, nulls)))
    }
}

/// One value of each set, by its place there.
fn picked(sets: &ListArray, place: impl Fn(usize) -> Option<usize>) -> Result<ArrayRef> {
    let index = |row: usize| {
        if sets.is_null(row) {
            return None;
        }
        place(row).map(|at| sets.value_offsets()[row] as u64 + at as u64)
    };
    Ok(take(sets.values(), &(0..sets.len()).map(index).collect::<UInt64Array>(), None)?)
}

/// The first value at or above a fraction of the set.
fn place(length: usize, fraction: Option<f64>) -> Option<usize> {
    let rows = (fraction? * length as f64).ceil() as usize;
    (length > 0).then(|| rows.max(1) - 1)
}

fn neighbours(length: usize, fraction: f64) -> Option<(usize, usize, f64)> {
    let at = fraction * length.checked_sub(1)? as f64;
    Some((at.floor() as usize, at.ceil() as usize, at - at.floor()))
}

fn interpolated(values: &Float64Array, fraction: f64) -> Option<f64> {
    let (low, high, part) = neighbours(values.len(), fraction)?;
    let (low_value, high_value) = (values.value(low), values.value(high));
    Some(if low == high { low_value } else { low_value + part * (high_value - low_value) })
}

fn interval_between(values: &arrow::array::PrimitiveArray<IntervalMonthDayNanoType>, fraction: f64) -> Option<IntervalMonthDayNano> {
    let (low, high, part) = neighbours(values.len(), fraction)?;
    let (low, high) = (values.value(low), values.value(high));
    let difference = IntervalMonthDayNano::new(high.months - low.months, high.days - low.days, high.nanoseconds - low.nanoseconds);
    let by = super::interval::times(difference, part).ok()?;
    Some(IntervalMonthDayNano::new(low.months + by.months, low.days + by.days, low.nanoseconds + by.nanoseconds))
}

/// Where the longest run of equal values begins.
fn most_frequent(set: &ArrayRef) -> Option<usize> {
    let ranges = arrow::compute::partition(&[Arc::clone(set)]).ok()?.ranges();
    let mut best: Option<std::ops::Range<usize>> = None;
    for range in ranges {
        if best.as_ref().is_none_or(|best| range.len() > best.len()) {
            best = Some(range);
        }
    }
    best.map(|range| range.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_set() {
        assert_eq!((place(5, Some(0.5)), place(4, Some(0.5)), place(4, Some(0.0)), place(0, Some(0.5))), (Some(2), Some(1), Some(0), None));
        let values = Float64Array::from(vec![5.0, 7.0, 10.0, 20.0]);
        assert_eq!(interpolated(&values, 0.5), Some(8.5));
        let runs: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![1, 2, 2, 3, 3]));
        assert_eq!(most_frequent(&runs), Some(1));
    }
}
