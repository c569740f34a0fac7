//! Functions of whole numbers, and of the digits of numerics: `gcd`, `lcm`, `factorial`, `sign`, `scale`, `min_scale`, `trim_scale`.

use super::overloads::{Call, Overloaded, results};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{self, Float8, Int4, Int8, Numeric};
use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let numeric = || Numeric(None);
    let whole = || Numeric(Some((38, 0)));
    let pairs = |name, of_int4, of_int8| Overloaded::named(name).of(&[Int4, Int4], Int4, of_int4).of(&[Int8, Int8], Int8, of_int8).build();
    vec![
        pairs("gcd", |call| int4s(call, gcd), |call| int8s(call, gcd)),
        pairs("lcm", |call| int4s(call, lcm), |call| int8s(call, lcm)),
        Overloaded::named("factorial").of(&[Int8], whole(), factorial).build(),
        Overloaded::named("sign").of(&[Float8], Float8, sign_of_float).of(&[numeric()], whole(), sign_of_numeric).build(),
        Overloaded::named("scale").of(&[numeric()], Int4, |call| scales(call, true)).build(),
        Overloaded::named("min_scale").of(&[numeric()], Int4, |call| scales(call, false)).build(),
        Overloaded::named("trim_scale").of(&[numeric()], numeric(), trimmed).build(),
    ]
}

fn int4s(call: &Call, value: fn(i128, i128) -> Option<i128>) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| {
        let value = value(i128::from(call.int4(0, row)), i128::from(call.int4(1, row)));
        value.and_then(|value| i32::try_from(value).ok()).map(Some).ok_or_else(|| out_of_range("integer out of range"))
    })
}

fn int8s(call: &Call, value: fn(i128, i128) -> Option<i128>) -> Result<ArrayRef> {
    results::numbers::<Int64Type>(call, |row| {
        let value = value(i128::from(call.int8(0, row)), i128::from(call.int8(1, row)));
        value.and_then(|value| i64::try_from(value).ok()).map(Some).ok_or_else(|| out_of_range("bigint out of range"))
    })
}

fn out_of_range(message: &'static str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

fn gcd(left: i128, right: i128) -> Option<i128> {
    let (mut a, mut b) = (left.abs(), right.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    Some(a)
}

fn lcm(left: i128, right: i128) -> Option<i128> {
    match gcd(left, right)? {
        0 => Some(0),
        divisor => (left / divisor).checked_mul(right).map(i128::abs),
    }
}

fn factorial(call: &Call) -> Result<ArrayRef> {
    let values = results::numbers::<Decimal128Type>(call, |row| {
        let count = call.int8(0, row);
        if count < 0 {
            return Err(out_of_range("factorial of a negative number is undefined"));
        }
        let product = (1..=i128::from(count)).try_fold(1_i128, i128::checked_mul);
        let fits = product.filter(|product| product.unsigned_abs() < 10_u128.pow(38));
        fits.map(Some).ok_or_else(|| out_of_range("value overflows numeric format"))
    })?;
    of_type(&values, &call.returns)
}

/// Decimals made without a precision get their column's.
fn of_type(values: &ArrayRef, returns: &SqlType) -> Result<ArrayRef> {
    Ok(Arc::new(values.as_primitive::<Decimal128Type>().clone().with_data_type(returns.arrow())))
}

fn sign_of_float(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| {
        let value = call.float8(0, row);
        Ok(Some(if value > 0.0 { 1.0 } else { -f64::from(u8::from(value < 0.0)) + 0.0 }))
    })
}

fn sign_of_numeric(call: &Call) -> Result<ArrayRef> {
    let values = call.arrays[0].as_primitive::<Decimal128Type>();
    let signs = results::numbers::<Decimal128Type>(call, |row| Ok(Some(values.value(row).signum())))?;
    of_type(&signs, &call.returns)
}

/// The digits after the point that a value has (without a declared scale: those that it needs), or that it needs.
fn scales(call: &Call, declared: bool) -> Result<ArrayRef> {
    let values = call.arrays[0].as_primitive::<Decimal128Type>();
    let scale = i32::from(values.scale());
    let is_declared = declared && !matches!(call.types[0], Numeric(None));
    results::numbers::<Int32Type>(call, |row| Ok(Some(if is_declared { scale } else { needed(values.value(row), scale) })))
}

fn needed(mut value: i128, mut scale: i32) -> i32 {
    while scale > 0 && value % 10 == 0 {
        (value, scale) = (value / 10, scale - 1);
    }
    scale
}

/// A numeric without a declared scale is shown without zeros at its end.
fn trimmed(call: &Call) -> Result<ArrayRef> {
    let values = call.arrays[0].as_primitive::<Decimal128Type>();
    let scale = i32::from(values.scale());
    let kept = i32::from(SqlType::numeric_scale_without_modifiers());
    if values.iter().flatten().any(|value| needed(value, scale) > kept) {
        return Err(SqlError::unsupported(format!("trim_scale of a number with more than {kept} digits after the point")));
    }
    Ok(cast(&call.arrays[0], &call.returns.arrow())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_divisors_and_multiples() {
        assert_eq!((gcd(12, -18), gcd(0, 0), gcd(0, -5)), (Some(6), Some(0), Some(5)));
        assert_eq!((lcm(-12, 18), lcm(0, 7)), (Some(36), Some(0)));
    }

    #[test]
    fn zeros_at_the_end_are_not_needed() {
        assert_eq!((needed(84_100, 4), needed(0, 3), needed(7, 0), needed(-50, 1)), (2, 0, 0, 0));
    }
}
