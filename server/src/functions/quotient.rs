//! `numeric / numeric` with as many digits as PostgreSQL gives: at least 16 significant ones, rounded half away from zero.
//!
//! PostgreSQL decides the scale for each value; a column here has one scale. Values are rounded where PostgreSQL rounds them, and shown with
//! the column's scale: up to 20 digits after the point.

use super::long_names;
use super::scalar::Function;
use crate::error::{SqlError, SqlState};
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, i256};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::{Arc, LazyLock};

/// Digits of a Decimal128.
const PRECISION_MAX: i32 = 38;
/// PostgreSQL's least number of significant digits of a quotient.
const SIGNIFICANT_MIN: i32 = 16;
/// Digits after the point where the quotient's size allows them.
const SCALE_WANTED: i32 = 20;
/// Decimal digits in one of PostgreSQL's digits.
const GROUP: i32 = 4;

/// The function; its name is one that no client writes.
pub fn function() -> Arc<ScalarUDF> {
    static QUOTIENT: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Quotient { signature: Signature::any(2, Volatility::Immutable) })));
    Arc::clone(&QUOTIENT)
}

/// A call of it.
pub fn call(dividend: Expr, divisor: Expr) -> Expr {
    function().call(vec![dividend, divisor])
}

/// Precision and scale of a number's decimal form; `None` for what is no exact number.
pub fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Some((5, 0)),
        DataType::UInt16 | DataType::Int32 => Some((10, 0)),
        DataType::UInt32 | DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => Some((*p, *s)),
        _ => None,
    }
}

/// The type of a quotient.
pub fn quotient_type(dividend: (u8, i8), divisor: (u8, i8)) -> DataType {
    let (p1, s1, s2) = (i32::from(dividend.0), i32::from(dividend.1), i32::from(divisor.1));
    let whole = (p1 - s1 + s2).clamp(1, PRECISION_MAX);
    let least = s1.max(s2).max(SIGNIFICANT_MIN);
    let scale = (PRECISION_MAX - whole).clamp(least, least.max(SCALE_WANTED)).min(PRECISION_MAX - 1);
    DataType::Decimal128(PRECISION_MAX as u8, scale as i8)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
}

impl ScalarUDFImpl for Quotient {
    fn name(&self) -> &str {
        "numeric /"
    }
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        long_names::schema_name(self.name(), arguments)
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match (digits(&arguments[0]), digits(&arguments[1])) {
            (Some(dividend), Some(divisor)) => Ok(quotient_type(dividend, divisor)),
            _ if arguments.iter().any(DataType::is_null) => Ok(DataType::Decimal128(38, 16)),
            _ => internal_err!("a quotient of {} and {}", arguments[0], arguments[1]),
        }
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let [dividends, divisors] = [0, 1].map(|side| args.args[side].to_array(rows).and_then(|array| decimals(&array)));
        let values: ArrayRef = Arc::new(divide(&dividends?, &divisors?, args.return_type())?);
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?) } else { ColumnarValue::Array(values) })
    }
}

fn decimals(values: &ArrayRef) -> Result<Decimal128Array> {
    let (precision, scale) = digits(values.data_type()).unwrap_or((38, 0));
    Ok(cast(values, &DataType::Decimal128(precision, scale))?.as_primitive::<Decimal128Type>().clone())
}

fn divide(dividends: &Decimal128Array, divisors: &Decimal128Array, returns: &DataType) -> Result<Decimal128Array> {
    let DataType::Decimal128(_, scale) = returns else { return internal_err!("a quotient is numeric") };
    let scale = i32::from(*scale);
    let left = |value| Number::new(value, dividends);
    let right = |value| Number::new(value, divisors);
    let rows = dividends.iter().zip(divisors).map(|(dividend, divisor)| match (dividend, divisor) {
        (Some(dividend), Some(divisor)) => quotient(left(dividend), right(divisor), scale).map(Some),
        _ => Ok(None),
    });
    Ok(rows.collect::<std::result::Result<Decimal128Array, SqlError>>()?.with_data_type(returns.clone()))
}

/// A value with the number of digits after its point, of which `shown` count for PostgreSQL's choice of scale.
#[derive(Clone, Copy)]
pub(super) struct Number {
    /// Its digits without the point.
    pub value: i128,
    /// How many of them are after the point.
    pub scale: i32,
    /// The scale that it is written with.
    pub shown: i32,
}

impl Number {
    fn new(value: i128, of: &Decimal128Array) -> Self {
        let scale = i32::from(of.scale());
        // Without precision and scale, a value has the digits that it needs.
        let shown = if (of.precision(), scale) == (38, 10) { needed(value, scale) } else { scale };
        Self { value, scale, shown }
    }
    /// The weight and value of the first digit in base 10,000, counted from the decimal point.
    fn first_digit(self) -> (i32, u128) {
        let magnitude = self.value.unsigned_abs();
        let Some(length) = magnitude.checked_ilog10() else { return (0, 0) };
        let weight = (length as i32 - self.scale).div_euclid(GROUP);
        let shift = self.scale + weight * GROUP;
        let power = |exponent: i32| 10u128.checked_pow(exponent.unsigned_abs());
        let digit = if shift >= 0 { power(shift).map(|power| magnitude / power) } else { power(shift).map(|power| magnitude * power) };
        (weight, digit.unwrap_or(0))
    }
}

/// Digits after the point without the zeros at the end.
pub(super) fn needed(mut value: i128, mut scale: i32) -> i32 {
    while scale > 0 && value % 10 == 0 {
        (value, scale) = (value / 10, scale - 1);
    }
    scale
}

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

fn quotient(dividend: Number, divisor: Number, scale: i32) -> std::result::Result<i128, SqlError> {
    let (value, rounded_to) = rounded(dividend, divisor, scale)?;
    let value = 10i128.checked_pow((scale - rounded_to) as u32).and_then(|power| value.checked_mul(power)).ok_or_else(overflow)?;
    if value.unsigned_abs() < 10u128.pow(PRECISION_MAX as u32) { Ok(value) } else { Err(overflow()) }
}

/// A quotient, and how many digits it has after the point: as many as PostgreSQL gives it, but at most `scale_max`.
pub(super) fn rounded(dividend: Number, divisor: Number, scale_max: i32) -> std::result::Result<(i128, i32), SqlError> {
    if divisor.value == 0 {
        return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
    }
    let ((w1, d1), (w2, d2)) = (dividend.first_digit(), divisor.first_digit());
    let weight = w1 - w2 - i32::from(d1 <= d2);
    let rounded_to = (SIGNIFICANT_MIN - weight * GROUP).max(dividend.shown).max(divisor.shown).clamp(0, scale_max);
    // dividend / 10^s1 / (divisor / 10^s2) * 10^rounded_to
    let value = shifted(dividend.value, divisor.value, rounded_to + divisor.scale - dividend.scale).ok_or_else(overflow)?;
    Ok((value, rounded_to))
}

/// `a * 10^shift / b`, rounded half away from zero.
fn shifted(a: i128, b: i128, shift: i32) -> Option<i128> {
    let power = 10i128.checked_pow(shift.unsigned_abs())?;
    let short = if shift >= 0 { a.checked_mul(power).map(|a| (a, b)) } else { b.checked_mul(power).map(|b| (a, b)) };
    if let Some((a, b)) = short {
        let (whole, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
        let up = rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs();
        return Some(if up { whole + if (a < 0) == (b < 0) { 1 } else { -1 } } else { whole });
    }
    let (a, b, power) = (i256::from_i128(a), i256::from_i128(b), i256::from_i128(power));
    let (a, b) = if shift >= 0 { (a.checked_mul(power)?, b) } else { (a, b.checked_mul(power)?) };
    let (whole, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    let up = rest.wrapping_abs() >= b.wrapping_abs().wrapping_sub(rest.wrapping_abs());
    let one = if a.is_negative() == b.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    if up { whole.checked_add(one)?.to_i128() } else { whole.to_i128() }
}

/// `div(a, b)`: the whole part of a quotient.
pub fn whole() -> ScalarUDF {
    let signature = Signature::any(2, Volatility::Immutable);
    let number = |value: &ScalarValue| value.cast_to(&DataType::Decimal128(38, 10));
    Function::of_rows("div", signature, DataType::Decimal128(38, 0), move |args| match [number(&args[0])?, number(&args[1])?] {
        [ScalarValue::Decimal128(Some(_), ..), ScalarValue::Decimal128(Some(0), ..)] => {
            Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero").into())
        }
        [ScalarValue::Decimal128(Some(a), ..), ScalarValue::Decimal128(Some(b), ..)] => Ok(ScalarValue::Decimal128(Some(a / b), 38, 0)),
        _ => Ok(ScalarValue::Decimal128(None, 38, 0)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn divided(a: (i128, i32), b: (i128, i32), scale: i32) -> i128 {
        let number = |(value, scale)| Number { value, scale, shown: scale };
        quotient(number(a), number(b), scale).unwrap()
    }

    #[test]
    fn quotients_are_rounded_where_postgresql_rounds_them() {
        // 10 / 4 = 2.5000000000000000, 1 / 3 = 0.33333333333333333333, 100000 / 3 = 33333.333333333333
        assert_eq!(divided((10, 0), (4, 0), 20), 250_000_000_000_000_000_000);
        assert_eq!(divided((1, 0), (3, 0), 20), 33_333_333_333_333_333_333);
        assert_eq!(divided((2, 0), (3, 0), 20), 66_666_666_666_666_666_667);
        assert_eq!(divided((100_000, 0), (3, 0), 20), 3_333_333_333_333_333_300_000_000);
        assert_eq!(divided((-2, 0), (3, 0), 16), -6_666_666_666_666_667);
        assert_eq!(divided((150, 2), (5, 1), 16), 30_000_000_000_000_000);
    }

    #[test]
    fn large_dividends_take_the_long_way() {
        let large = 12_345_678_901_234_567_890_123_456_789_012_345_678;
        assert_eq!(shifted(large, large, 10), Some(10_000_000_000));
        assert_eq!(shifted(large, 3, 20), None, "it does not fit");
        assert_eq!(shifted(large, -large, 1), Some(-10));
    }

    #[test]
    fn zero_divides_nothing() {
        let number = |value| Number { value, scale: 0, shown: 0 };
        assert_eq!(quotient(number(1), number(0), 16).unwrap_err().state, SqlState::DIVISION_BY_ZERO);
        assert_eq!(quotient(number(0), number(7), 16).unwrap(), 0);
    }
}
