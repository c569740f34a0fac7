//! Arithmetic that fails where PostgreSQL's fails: overflow (22003) and division by zero (22012), and rounding to the nearest integer.
//!
//! DataFusion's own operators wrap around and make infinities. [`crate::query::exactness`] puts these in their place.

use super::long_names;
use super::scalar::Function;
use crate::error::{SqlError, SqlState};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalUnit,
};
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;
use std::sync::{Arc, LazyLock};

/// `+`, `-`, `*`, and `/` of floats.
static OPERATORS: LazyLock<[(Operator, Arc<ScalarUDF>); 4]> = LazyLock::new(|| {
    let make = |operator, name| (operator, Arc::new(ScalarUDF::new_from_impl(Checked { operator, name, signature: signature(2) })));
    [
        make(Operator::Plus, "checked_add"),
        make(Operator::Minus, "checked_subtract"),
        make(Operator::Multiply, "checked_multiply"),
        make(Operator::Divide, "checked_divide"),
    ]
});

static ROUND: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Round { signature: signature(1) })));

/// The function that stands for an operator on two values of the type; `None` where DataFusion's own is right.
pub fn checked(operator: Operator, operands: &DataType) -> Option<Arc<ScalarUDF>> {
    let integer = matches!(operands, DataType::Int16 | DataType::Int32 | DataType::Int64);
    let float = matches!(operands, DataType::Float32 | DataType::Float64);
    let wanted = float || (integer && operator != Operator::Divide);
    let found = OPERATORS.iter().find(|(candidate, _)| *candidate == operator && wanted);
    found.map(|(_, function)| Arc::clone(function))
}

/// The function that rounds floats half to even and decimals half away from zero, to a whole number of the same type.
pub fn round() -> Arc<ScalarUDF> {
    Arc::clone(&ROUND)
}

/// `interval * number`: fractions of months become days of a thirtieth, fractions of days become time.
pub fn interval_multiple() -> Arc<ScalarUDF> {
    static MULTIPLE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let signature = Signature::exact(vec![interval.clone(), DataType::Float64], Volatility::Immutable);
        Arc::new(Function::of_rows("interval_multiple", signature, interval, |args| match args {
            [ScalarValue::IntervalMonthDayNano(Some(interval)), ScalarValue::Float64(Some(factor))] => {
                Ok(ScalarValue::IntervalMonthDayNano(Some(multiplied(*interval, *factor)?)))
            }
            _ => Ok(ScalarValue::IntervalMonthDayNano(None)),
        }))
    });
    Arc::clone(&MULTIPLE)
}

fn multiplied(interval: IntervalMonthDayNano, factor: f64) -> Result<IntervalMonthDayNano> {
    const DAY_NANOS: f64 = 86_400e9;
    let months = f64::from(interval.months) * factor;
    let days = f64::from(interval.days) * factor + months.fract() * 30.0;
    let nanos = interval.nanoseconds as f64 * factor + days.fract() * DAY_NANOS;
    let micros = (nanos / 1000.0).round_ties_even();
    let fits = months.abs() < f64::from(i32::MAX) && days.abs() < f64::from(i32::MAX) && nanos.abs() < i64::MAX as f64;
    match fits {
        true => Ok(IntervalMonthDayNano::new(months.trunc() as i32, days.trunc() as i32, micros as i64 * 1000)),
        false => Err(SqlError::new(SqlState("22008"), "interval out of range").into()),
    }
}

/// `-x` of whole numbers.
pub fn negative() -> Arc<ScalarUDF> {
    static NEGATIVE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| magnitude("checked_negative", true));
    Arc::clone(&NEGATIVE)
}

/// `abs(x)` of whole numbers.
pub fn absolute() -> Arc<ScalarUDF> {
    static ABSOLUTE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| magnitude("checked_absolute", false));
    Arc::clone(&ABSOLUTE)
}

fn magnitude(name: &'static str, all: bool) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Turned { name, all, signature: signature(1) }))
}

/// Whole numbers of which all, or those below zero, have their sign turned.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Turned {
    name: &'static str,
    all: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Turned {
    fn name(&self) -> &str {
        self.name
    }
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        long_names::schema_name(self.name, arguments)
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(same_field(self.name, &args))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let turn = |value: i64| if self.all || value < 0 { value.checked_neg() } else { Some(value) };
        match &args.args[0] {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(turned(array, turn)?)),
            ColumnarValue::Scalar(value) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&turned(&value.to_array()?, turn)?, 0)?)),
        }
    }
}

fn turned(array: &ArrayRef, turn: impl Fn(i64) -> Option<i64>) -> Result<ArrayRef> {
    macro_rules! of {
        ($values:ty, $native:ty) => {{
            let error = || ArrowError::ExternalError(Box::new(integer_overflow(array.data_type())));
            let value = |value: $native| turn(i64::from(value)).and_then(|value| <$native>::try_from(value).ok()).ok_or_else(error);
            Ok(Arc::new(array.as_primitive::<$values>().try_unary::<_, $values, ArrowError>(value)?))
        }};
    }
    match array.data_type() {
        DataType::Int16 => of!(Int16Type, i16),
        DataType::Int32 => of!(Int32Type, i32),
        DataType::Int64 => of!(Int64Type, i64),
        other => datafusion::common::internal_err!("the sign of {other} cannot be turned"),
    }
}

/// All functions of this module, for the registry.
pub fn functions() -> Vec<ScalarUDF> {
    OPERATORS
        .iter()
        .map(|(_, function)| function.as_ref().clone())
        .chain([ROUND.as_ref().clone(), interval_multiple().as_ref().clone()])
        .collect()
}

fn signature(arguments: usize) -> Signature {
    Signature::any(arguments, Volatility::Immutable)
}

/// A field of the first argument's type, NULL only where an argument can be.
fn same_field(name: &str, args: &ReturnFieldArgs<'_>) -> FieldRef {
    let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
    Arc::new(Field::new(name, args.arg_fields[0].data_type().clone(), nullable))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operator: Operator,
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.name
    }
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        long_names::schema_name(self.name, arguments)
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(same_field(self.name, &args))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return Err(DataFusionError::Internal("an operator has two operands".into())) };
        let data_type = left.data_type();
        if self.operator == Operator::Divide {
            refuse_zero(left, right)?;
        }
        let result = match self.operator {
            Operator::Plus => apply(left, right, numeric::add),
            Operator::Minus => apply(left, right, numeric::sub),
            Operator::Multiply => apply(left, right, numeric::mul),
            _ => apply(left, right, numeric::div),
        };
        let result = result.map_err(|error| overflow(error, &data_type))?;
        if is_infinite(&result) && !is_infinite(left) && !is_infinite(right) {
            return Err(out_of_range("value out of range: overflow").into());
        }
        if self.operator == Operator::Multiply && vanished(&result, left, right) {
            return Err(out_of_range("value out of range: underflow").into());
        }
        Ok(result)
    }
}

fn out_of_range(message: &'static str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

fn overflow(error: DataFusionError, data_type: &DataType) -> DataFusionError {
    let DataFusionError::ArrowError(inner, _) = &error else { return error };
    if !matches!(inner.as_ref(), ArrowError::ArithmeticOverflow(_)) {
        return error;
    }
    integer_overflow(data_type).into()
}

fn integer_overflow(data_type: &DataType) -> SqlError {
    out_of_range(match data_type {
        DataType::Int16 => "smallint out of range",
        DataType::Int32 => "integer out of range",
        _ => "bigint out of range",
    })
}

fn floats(value: &ColumnarValue) -> Option<ArrayRef> {
    let array = match value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(value) => value.to_array().ok()?,
    };
    matches!(array.data_type(), DataType::Float32 | DataType::Float64).then_some(array)
}

/// Whether there is an infinity among floats.
fn is_infinite(value: &ColumnarValue) -> bool {
    let Some(array) = floats(value) else { return false };
    match array.data_type() {
        DataType::Float32 => array.as_primitive::<Float32Type>().iter().flatten().any(f32::is_infinite),
        _ => array.as_primitive::<Float64Type>().iter().flatten().any(f64::is_infinite),
    }
}

/// Whether a product of floats other than zero is zero.
fn vanished(product: &ColumnarValue, left: &ColumnarValue, right: &ColumnarValue) -> bool {
    let (Some(products), Some(lefts), Some(rights)) = (floats(product), floats(left), floats(right)) else { return false };
    let at = |array: &ArrayRef, row: usize| float_at(array, if array.len() == 1 { 0 } else { row });
    let zero = |row: usize| at(&products, row) == Some(0.0);
    (0..products.len()).any(|row| zero(row) && at(&lefts, row) != Some(0.0) && at(&rights, row) != Some(0.0))
}

/// A divisor of zero fails, unless the dividend of its row is NULL or not a number.
fn refuse_zero(left: &ColumnarValue, right: &ColumnarValue) -> Result<()> {
    let (Some(dividends), Some(divisors)) = (floats(left), floats(right)) else { return Ok(()) };
    let rows = dividends.len().max(divisors.len());
    let zero = |row: usize| {
        let at = |array: &ArrayRef| float_at(array, if array.len() == 1 { 0 } else { row });
        at(&divisors) == Some(0.0) && at(&dividends).is_some_and(|value| !value.is_nan())
    };
    match (0..rows).any(zero) {
        true => Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero").into()),
        false => Ok(()),
    }
}

fn float_at(array: &ArrayRef, row: usize) -> Option<f64> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)),
        _ => array.as_primitive::<Float64Type>().value(row),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Round {
    signature: Signature,
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        "round_to_integer"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(same_field(self.name(), &args))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[0] {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(rounded(array)?)),
            ColumnarValue::Scalar(value) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&rounded(&value.to_array()?)?, 0)?)),
        }
    }
}

fn rounded(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Float32 => Ok(Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round_ties_even))),
        DataType::Float64 => Ok(Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even))),
        DataType::Decimal128(_, scale) => {
            let Some(unit) = u32::try_from(*scale).ok().and_then(|scale| 10_i128.checked_pow(scale)) else { return Ok(Arc::clone(array)) };
            let values = array.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(|value| away_from_zero(value, unit));
            Ok(Arc::new(values.with_data_type(array.data_type().clone())))
        }
        _ => Ok(Arc::clone(array)),
    }
}

/// The nearest multiple of a unit; the one further from zero if both are as near.
fn away_from_zero(value: i128, unit: i128) -> i128 {
    let rest = value % unit;
    let down = value - rest;
    if rest.unsigned_abs() * 2 < unit.unsigned_abs() { down } else { down.saturating_add(unit * rest.signum()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_half_away_from_zero() {
        let cases = [(25, 10, 30), (24, 10, 20), (-25, 10, -30), (-24, 10, -20), (0, 10, 0), (7, 1, 7), (99, 10, 100)];
        for (value, unit, expected) in cases {
            assert_eq!(away_from_zero(value, unit), expected, "{value}");
        }
    }

    #[test]
    fn integers_overflow_with_an_error_and_decimals_are_left_alone() {
        assert!(checked(Operator::Plus, &DataType::Int32).is_some());
        assert!(checked(Operator::Divide, &DataType::Int32).is_none());
        assert!(checked(Operator::Divide, &DataType::Float64).is_some());
        assert!(checked(Operator::Plus, &DataType::Decimal128(10, 2)).is_none());
    }
}
