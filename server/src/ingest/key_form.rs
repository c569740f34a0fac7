//! The form in which values are compared as keys: what PostgreSQL takes for equal has one form.
//!
//! An interval is its length (`1 day` equals `24 hours`); of floats the two zeros are one, and so are all NaNs.

use crate::error::Result;
use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use std::sync::Arc;

/// The type of the form of a column's values.
pub fn key_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Interval(IntervalUnit::MonthDayNano) => DataType::Decimal128(38, 0),
        other => other.clone(),
    }
}

/// Whether different values have one form: then statistics and comparisons of the values say nothing about the keys.
pub fn merges_values(data_type: &DataType) -> bool {
    data_type.is_floating() || matches!(data_type, DataType::Interval(_))
}

/// The form of each value.
pub fn key_values(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let lengths: Decimal128Array = values.as_primitive::<IntervalMonthDayNanoType>().unary(length);
            Arc::new(lengths.with_precision_and_scale(38, 0)?)
        }
        DataType::Float32 => Arc::new(values.as_primitive::<Float32Type>().unary::<_, Float32Type>(|value| match value {
            value if value.is_nan() => f32::NAN,
            value => value + 0.0,
        })),
        DataType::Float64 => Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(|value| match value {
            value if value.is_nan() => f64::NAN,
            value => value + 0.0,
        })),
        _ => Arc::clone(values),
    })
}

/// Nanoseconds, with months of 30 days and days of 24 hours.
fn length(interval: IntervalMonthDayNano) -> i128 {
    const DAY_NANOSECONDS: i128 = 86_400_000_000_000;
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * DAY_NANOSECONDS + i128::from(interval.nanoseconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Array, Float64Array, IntervalMonthDayNanoArray};

    #[test]
    fn equal_values_have_one_form() {
        let interval = IntervalMonthDayNano::new;
        let days: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![interval(0, 1, 0), interval(0, 0, 86_400_000_000_000)]));
        let keys = key_values(&days).unwrap();
        assert_eq!(keys.slice(0, 1).to_data(), keys.slice(1, 1).to_data());
        let zeros: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0]));
        let keys = key_values(&zeros).unwrap();
        assert!(keys.as_primitive::<Float64Type>().values().iter().all(|value| value.to_bits() == 0));
    }
}
