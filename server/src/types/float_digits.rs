//! Floats as numerics: PostgreSQL takes the digits that a float surely has, 6 of a real and 15 of a double precision, not all of its binary ones.

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type};
use std::fmt::LowerExp;
use std::sync::Arc;

/// Digits of a real that mean something.
const REAL_DIGITS: usize = 6;
/// The same of a double precision.
const DOUBLE_DIGITS: usize = 15;

/// A column of floats as decimals; `None` if this is no such cast, or if a value has no place in them.
pub fn decimals(values: &ArrayRef, target: &DataType) -> Option<ArrayRef> {
    let DataType::Decimal128(precision, scale) = *target else { return None };
    let decimals = match values.data_type() {
        DataType::Float32 => of_floats(values.as_primitive::<Float32Type>(), REAL_DIGITS, precision, scale),
        DataType::Float64 => of_floats(values.as_primitive::<Float64Type>(), DOUBLE_DIGITS, precision, scale),
        _ => None,
    }?;
    Some(Arc::new(decimals.with_data_type(target.clone())))
}

fn of_floats<T>(values: &PrimitiveArray<T>, digits: usize, precision: u8, scale: i8) -> Option<Decimal128Array>
where
    T: ArrowPrimitiveType,
    T::Native: LowerExp,
{
    let mut decimals = Vec::with_capacity(values.len());
    for value in values {
        decimals.push(match value {
            Some(value) => Some(decimal(&format!("{value:.*e}", digits - 1), precision, scale)?),
            None => None,
        });
    }
    Some(decimals.into_iter().collect::<PrimitiveArray<Decimal128Type>>())
}

/// `1.23457e5`, rounded half away from zero; `None` if it is no number, or has more digits than there are.
fn decimal(written: &str, precision: u8, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = written.split_once('e')?;
    let places = mantissa.split_once('.').map_or(0, |(_, places)| places.len());
    let digits: i128 = mantissa.replace('.', "").parse().ok()?;
    let shift = exponent.parse::<i32>().ok()? - i32::try_from(places).ok()? + i32::from(scale);
    let unit = 10i128.checked_pow(shift.unsigned_abs());
    let value = match (shift >= 0, unit) {
        _ if digits == 0 => 0,
        (true, unit) => digits.checked_mul(unit?)?,
        (false, None) => 0,
        (false, Some(unit)) => digits / unit + if (digits % unit).abs() >= unit - unit / 2 { digits.signum() } else { 0 },
    };
    (value.unsigned_abs() < 10u128.checked_pow(u32::from(precision))?).then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Float32Array, Float64Array};

    fn doubles(value: f64, precision: u8, scale: i8) -> Option<i128> {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(value), None]));
        let cast = decimals(&values, &DataType::Decimal128(precision, scale))?;
        assert!(cast.is_null(1));
        Some(cast.as_primitive::<Decimal128Type>().value(0))
    }

    #[test]
    fn a_real_has_six_digits() {
        let values: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 123_456.79, -1.1]));
        let cast = decimals(&values, &DataType::Decimal128(38, 10)).unwrap();
        assert_eq!(cast.as_primitive::<Decimal128Type>().values().to_vec(), vec![1_000_000_000, 1_234_570_000_000_000, -11_000_000_000]);
    }

    #[test]
    fn a_double_has_fifteen() {
        assert_eq!(doubles(1e20, 38, 10), Some(10i128.pow(30)));
        assert_eq!(doubles(123_456_789.123_456_79, 38, 10), Some(1_234_567_891_234_570_000));
        assert_eq!(doubles(-1e-300, 38, 10), Some(0));
        assert_eq!(doubles(0.0, 5, 2), Some(0));
    }

    #[test]
    fn the_last_place_is_rounded_away_from_zero() {
        assert_eq!(doubles(0.125, 5, 2), Some(13));
        assert_eq!(doubles(-2.5, 5, 0), Some(-3));
        assert_eq!(doubles(2.4, 5, 0), Some(2));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(doubles(999.996, 5, 2), None);
        assert_eq!(doubles(f64::NAN, 38, 10), None);
        assert_eq!(doubles(f64::INFINITY, 38, 10), None);
        assert_eq!(doubles(1e30, 38, 10), None);
    }
}
