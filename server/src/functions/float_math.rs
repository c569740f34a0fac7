//! Mathematics of double precision: PostgreSQL's names, and its errors where a value has no result (22003, 2201E, 2201G).

use super::overloads::{Call, Overloaded, results};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{Float8, Int4};
use arrow::array::ArrayRef;
use arrow::datatypes::{Float64Type, Int32Type};
use datafusion::logical_expr::ScalarUDF;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Overloaded::named("asin").of(&[Float8], Float8, |call| within(call, -1.0, 1.0, f64::asin)).build(),
        Overloaded::named("acos").of(&[Float8], Float8, |call| within(call, -1.0, 1.0, f64::acos)).build(),
        Overloaded::named("acosh").of(&[Float8], Float8, |call| within(call, 1.0, f64::INFINITY, acosh)).build(),
        Overloaded::named("asinh").of(&[Float8], Float8, |call| within(call, f64::NEG_INFINITY, f64::INFINITY, asinh)).build(),
        Overloaded::named("atanh").of(&[Float8], Float8, |call| within(call, -1.0, 1.0, f64::atanh)).build(),
        Overloaded::named("sin").of(&[Float8], Float8, |call| angles(call, f64::sin)).build(),
        Overloaded::named("cos").of(&[Float8], Float8, |call| angles(call, f64::cos)).build(),
        Overloaded::named("tan").of(&[Float8], Float8, |call| angles(call, f64::tan)).build(),
        Overloaded::named("cot").of(&[Float8], Float8, |call| angles(call, |angle| 1.0 / angle.tan())).build(),
        Overloaded::named("degrees").of(&[Float8], Float8, |call| finite(call, |angle| angle / RADIANS_OF_A_DEGREE)).build(),
        Overloaded::named("radians").of(&[Float8], Float8, |call| finite(call, |angle| angle * RADIANS_OF_A_DEGREE)).build(),
        Overloaded::named("exp").of(&[Float8], Float8, exp).build(),
        Overloaded::named("ln").of(&[Float8], Float8, |call| logarithm(call, f64::ln)).build(),
        Overloaded::named("log10").of(&[Float8], Float8, |call| logarithm(call, f64::log10)).build(),
        Overloaded::named("log")
            .of(&[Float8], Float8, |call| logarithm(call, f64::log10))
            .of(&[Float8, Float8], Float8, logarithm_to_base)
            .build(),
        Overloaded::named("sqrt").of(&[Float8], Float8, sqrt).build(),
        Overloaded::named("power").of(&[Float8, Float8], Float8, power).build(),
        Overloaded::named("pow").of(&[Float8, Float8], Float8, power).build(),
        Overloaded::named("atan2d").of(&[Float8, Float8], Float8, atan2d).build(),
        Overloaded::named("sind").of(&[Float8], Float8, |call| angles(call, sind)).build(),
        Overloaded::named("cosd").of(&[Float8], Float8, |call| angles(call, |angle| sind(90.0 - angle % 360.0))).build(),
        Overloaded::named("tand").of(&[Float8], Float8, |call| angles(call, tand)).build(),
        Overloaded::named("cotd").of(&[Float8], Float8, |call| angles(call, |angle| tand(90.0 - angle % 360.0))).build(),
        Overloaded::named("asind").of(&[Float8], Float8, |call| within(call, -1.0, 1.0, asind)).build(),
        Overloaded::named("acosd").of(&[Float8], Float8, |call| within(call, -1.0, 1.0, |value| 90.0 - asind(value))).build(),
        Overloaded::named("atand").of(&[Float8], Float8, |call| within(call, f64::NEG_INFINITY, f64::INFINITY, atand)).build(),
        Overloaded::named("width_bucket").of(&[Float8, Float8, Float8, Int4], Int4, width_bucket).build(),
    ]
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

/// PostgreSQL's constant.
const RADIANS_OF_A_DEGREE: f64 = 0.017_453_292_519_943_295;

/// A function whose result is infinite only where the value is.
fn finite(call: &Call, value: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| {
        let given = call.float8(0, row);
        let result = value(given);
        if result.is_infinite() && !given.is_infinite() { Err(overflow()) } else { Ok(Some(result)) }
    })
}

fn exp(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| {
        let given = call.float8(0, row);
        match given.exp() {
            result if result.is_infinite() && given.is_finite() => Err(overflow()),
            0.0 if given.is_finite() => Err(underflow()),
            result => Ok(Some(result)),
        }
    })
}

/// What a logarithm is taken of.
fn positive(value: f64) -> Result<f64> {
    match value {
        0.0 => Err(SqlError::new(SqlState("2201E"), "cannot take logarithm of zero")),
        value if value < 0.0 => Err(SqlError::new(SqlState("2201E"), "cannot take logarithm of a negative number")),
        value => Ok(value),
    }
}

fn logarithm(call: &Call, value: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| positive(call.float8(0, row)).map(|given| Some(value(given))))
}

fn logarithm_to_base(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| {
        let (base, value) = (positive(call.float8(0, row))?, positive(call.float8(1, row))?);
        if base == 1.0 {
            return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
        }
        let exact = match base {
            10.0 => value.log10(),
            2.0 => value.log2(),
            base => value.ln() / base.ln(),
        };
        Ok(Some(exact))
    })
}

fn sqrt(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| match call.float8(0, row) {
        given if given < 0.0 => Err(SqlError::new(SqlState("2201F"), "cannot take square root of a negative number")),
        given => Ok(Some(given.sqrt())),
    })
}

fn power(call: &Call) -> Result<ArrayRef> {
    let refused = |message: &'static str| Err(SqlError::new(SqlState("2201F"), message));
    results::numbers::<Float64Type>(call, |row| {
        let (base, exponent) = (call.float8(0, row), call.float8(1, row));
        if base == 0.0 && exponent < 0.0 {
            return refused("zero raised to a negative power is undefined");
        }
        if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
            return refused("a negative number raised to a non-integer power yields a complex result");
        }
        let known = base.is_finite() && exponent.is_finite();
        match base.powf(exponent) {
            result if result.is_infinite() && known => Err(overflow()),
            0.0 if known && base != 0.0 => Err(underflow()),
            result => Ok(Some(result)),
        }
    })
}

fn atan2d(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| Ok(Some(call.float8(0, row).atan2(call.float8(1, row)) / 1.0_f64.atan() * 45.0)))
}

/// As the C library computes it: from twice the value where that is all that matters, from the distance to 1 near 1.
fn acosh(value: f64) -> f64 {
    match value {
        value if value > LARGE => value.ln() + std::f64::consts::LN_2,
        value if value > 2.0 => (2.0 * value - 1.0 / (value + (value * value - 1.0).sqrt())).ln(),
        value => {
            let beyond = value - 1.0;
            (beyond + (2.0 * beyond + beyond * beyond).sqrt()).ln_1p()
        }
    }
}

fn asinh(value: f64) -> f64 {
    let size = value.abs();
    let result = match size {
        size if size > LARGE => size.ln() + std::f64::consts::LN_2,
        size if size > 2.0 => (2.0 * size + 1.0 / ((size * size + 1.0).sqrt() + size)).ln(),
        size => (size + size * size / (1.0 + (1.0 + size * size).sqrt())).ln_1p(),
    };
    result.copysign(value)
}

/// 2 to the 28th: the square of what is larger swallows 1.
const LARGE: f64 = 268_435_456.0;

/// A function of the values from `least` to `most`; NaN is NaN.
fn within(call: &Call, least: f64, most: f64, value: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| match call.float8(0, row) {
        given if given.is_nan() => Ok(Some(given)),
        given if given < least || given > most => Err(out_of_range()),
        given => Ok(Some(value(given))),
    })
}

/// A function of an angle in degrees.
fn angles(call: &Call, value: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    results::numbers::<Float64Type>(call, |row| match call.float8(0, row) {
        given if given.is_nan() => Ok(Some(given)),
        given if given.is_infinite() => Err(out_of_range()),
        given => Ok(Some(value(given))),
    })
}

/// Exact at the multiples of 30 and 90 degrees.
fn sind(angle: f64) -> f64 {
    let angle = angle % 360.0;
    let (sign, angle) = if angle < 0.0 { (-1.0, -angle) } else { (1.0, angle) };
    let (sign, angle) = if angle > 180.0 { (-sign, 360.0 - angle) } else { (sign, angle) };
    let angle = if angle > 90.0 { 180.0 - angle } else { angle };
    sign * if angle <= 30.0 { sin_to_30(angle) } else { cos_to_60(90.0 - angle) }
}

fn sin_to_30(angle: f64) -> f64 {
    angle.to_radians().sin() / 30.0_f64.to_radians().sin() / 2.0
}

fn cos_to_60(angle: f64) -> f64 {
    1.0 - (1.0 - angle.to_radians().cos()) / (1.0 - 60.0_f64.to_radians().cos()) / 2.0
}

fn tand(angle: f64) -> f64 {
    let tangent_of_45 = sind(45.0) / sind(45.0);
    let (sine, cosine) = (sind(angle), sind(90.0 - angle % 360.0));
    let value = sine / cosine / tangent_of_45;
    if value == 0.0 { 0.0 } else { value }
}

fn asind(value: f64) -> f64 {
    let (sign, value) = if value < 0.0 { (-1.0, -value) } else { (1.0, value) };
    sign * match value <= 0.5 {
        true => value.asin() / 0.5_f64.asin() * 30.0,
        false => 90.0 - value.acos() / 0.5_f64.acos() * 60.0,
    }
}

fn atand(value: f64) -> f64 {
    value.atan() / 1.0_f64.atan() * 45.0
}

fn width_bucket(call: &Call) -> Result<ArrayRef> {
    let refused = |message: &'static str| SqlError::new(SqlState("2201G"), message);
    results::numbers::<Int32Type>(call, |row| {
        let (value, low, high, count) = (call.float8(0, row), call.float8(1, row), call.float8(2, row), call.int4(3, row));
        if count <= 0 {
            return Err(refused("count must be greater than zero"));
        }
        if value.is_nan() || low.is_nan() || high.is_nan() {
            return Err(refused("operand, lower bound, and upper bound cannot be NaN"));
        }
        if low.is_infinite() || high.is_infinite() {
            return Err(refused("lower and upper bounds must be finite"));
        }
        if low == high {
            return Err(refused("lower bound cannot equal upper bound"));
        }
        let beyond = || count.checked_add(1).ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"));
        let (before, after) = if low < high { (value < low, value >= high) } else { (value > low, value <= high) };
        match (before, after) {
            (true, _) => Ok(Some(0)),
            (_, true) => beyond().map(Some),
            _ => Ok(Some((f64::from(count) * ((value - low) / (high - low))) as i32 + 1)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_angles_have_round_values() {
        for (angle, expected) in [(0.0, 0.0), (30.0, 0.5), (90.0, 1.0), (150.0, 0.5), (180.0, 0.0), (-30.0, -0.5), (270.0, -1.0)] {
            assert_eq!(sind(angle), expected, "{angle}");
        }
        assert_eq!((asind(0.5), asind(-1.0), atand(1.0), tand(45.0)), (30.0, -90.0, 45.0, 1.0));
    }
}
