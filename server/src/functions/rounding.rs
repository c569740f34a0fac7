//! `round` and `trunc`, with a number of digits or without.
//!
//! A numeric keeps as many digits after the point as the call says, zeros among them; where the number of digits is no literal, the column keeps
//! its scale. Floats are rounded half to even, numerics half away from zero. Only numerics take a number of digits.

use super::quotient::digits;
use crate::error::{SqlError, SqlState};
use crate::types::SqlType;
use crate::types::convert::numbers;
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int32Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Both of them.
pub fn functions() -> Vec<ScalarUDF> {
    let function =
        |name, nearest| ScalarUDF::new_from_impl(Cut { name, nearest, signature: Signature::user_defined(Volatility::Immutable) });
    vec![function("round", true), function("trunc", false)]
}

/// A number cut down to some digits after the point.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Cut {
    name: &'static str,
    /// To the nearest such number, or to the one nearer to zero.
    nearest: bool,
    signature: Signature,
}

/// Digits of a Decimal128.
const PRECISION_MAX: u8 = 38;

impl ScalarUDFImpl for Cut {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let text = |data_type: &DataType| *data_type == DataType::Utf8 || data_type.is_null();
        let decimal = |data_type: &DataType| matches!(data_type, DataType::Decimal128(_, _));
        match arguments {
            [number] if decimal(number) => Ok(vec![number.clone()]),
            [number] if number.is_numeric() || text(number) => Ok(vec![DataType::Float64]),
            [number, count] if is_count(count) && !number.is_floating() => match digits(number) {
                Some((precision, scale)) => Ok(vec![DataType::Decimal128(precision, scale), DataType::Int32]),
                None if text(number) => Ok(vec![SqlType::Numeric(None).arrow(), DataType::Int32]),
                None => Err(self.undefined(arguments)),
            },
            _ => Err(self.undefined(arguments)),
        }
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on its arguments", self.name)
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let DataType::Decimal128(precision, scale) = args.arg_fields[0].data_type() else {
            return Ok(Arc::new(Field::new(self.name, DataType::Float64, true)));
        };
        let wanted = match args.scalar_arguments {
            [_] => Some(0),
            [_, Some(count)] => count.cast_to(&DataType::Int64).ok().and_then(|count| match count {
                ScalarValue::Int64(Some(count)) => Some(count),
                _ => None,
            }),
            _ => None,
        };
        Ok(Arc::new(Field::new(self.name, returned((*precision, *scale), wanted), true)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let values = args.args[0].to_array(rows)?;
        let counts = args.args.get(1).map(|counts| counts.to_array(rows)).transpose()?;
        let result = match values.data_type() {
            DataType::Decimal128(_, _) => self.decimals(values.as_primitive(), counts.as_ref(), args.return_type())?,
            _ => self.doubles(&values)?,
        };
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?) } else { ColumnarValue::Array(result) })
    }
}

fn is_count(data_type: &DataType) -> bool {
    data_type.is_null() || matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Utf8)
}

/// The type of a numeric with so many digits after the point: one more before it, which rounding up may need.
fn returned((precision, scale): (u8, i8), wanted: Option<i64>) -> DataType {
    let whole = (i16::from(precision) - i16::from(scale) + 1).clamp(1, i16::from(PRECISION_MAX));
    let room = i16::from(PRECISION_MAX) - whole;
    let wanted = wanted.map_or(i16::from(scale), |wanted| wanted.clamp(0, i64::from(PRECISION_MAX)) as i16);
    let kept = wanted.min(room.max(i16::from(scale).min(wanted))).min(i16::from(PRECISION_MAX));
    DataType::Decimal128((whole + kept).min(i16::from(PRECISION_MAX)) as u8, kept as i8)
}

impl Cut {
    fn undefined(&self, arguments: &[DataType]) -> datafusion::error::DataFusionError {
        let name = |data_type: &DataType| match data_type {
            DataType::Utf8 | DataType::Null => "unknown".to_string(),
            other => crate::types::convert::without_modifiers(&SqlType::of_arrow(other)),
        };
        let types: Vec<String> = arguments.iter().map(name).collect();
        SqlError::undefined_function(&format!("{}({})", self.name, types.join(", "))).into()
    }

    fn doubles(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let values = numbers(values, &SqlType::Float8)?;
        let cut = if self.nearest { f64::round_ties_even } else { f64::trunc };
        Ok(Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(cut)))
    }

    fn decimals(&self, values: &Decimal128Array, counts: Option<&ArrayRef>, returns: &DataType) -> Result<ArrayRef> {
        let DataType::Decimal128(_, scale) = returns else { return internal_err!("a numeric is cut to a numeric") };
        let counts = counts.map(|counts| counts.as_primitive::<Int32Type>());
        let value = |row: usize| {
            let count = counts.map_or(0, |counts| counts.value(row));
            let known = values.is_valid(row) && counts.is_none_or(|counts| counts.is_valid(row));
            known.then(|| self.cut(values.value(row), i32::from(values.scale()), count, i32::from(*scale))).transpose()
        };
        let cut = (0..values.len()).map(value).collect::<std::result::Result<Decimal128Array, SqlError>>()?;
        Ok(Arc::new(cut.with_data_type(returns.clone())))
    }

    /// A value of `scale` digits after the point, cut to `count` of them, with `kept` of them.
    fn cut(&self, value: i128, scale: i32, count: i32, kept: i32) -> std::result::Result<i128, SqlError> {
        let overflow = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
        let power = |exponent: i32| 10_i128.checked_pow(exponent.unsigned_abs());
        let dropped = scale.saturating_sub(count.min(kept));
        let whole = match dropped {
            ..=0 => value,
            dropped => match power(dropped) {
                Some(unit) => self.multiple(value, unit),
                None => 0,
            },
        };
        if whole == 0 {
            return Ok(0);
        }
        // What is left has `scale - dropped` digits after the point, of which there may be none.
        let shift = kept - (scale - dropped.max(0));
        match shift {
            0.. => power(shift).and_then(|unit| whole.checked_mul(unit)),
            _ => power(shift).map(|unit| whole / unit),
        }
        .ok_or_else(overflow)
    }

    /// How many units a value is.
    fn multiple(&self, value: i128, unit: i128) -> i128 {
        let (whole, rest) = (value / unit, value % unit);
        let up = self.nearest && rest.unsigned_abs() >= unit.unsigned_abs() - rest.unsigned_abs();
        if up { whole + rest.signum() } else { whole }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digits_are_cut_and_zeros_kept() {
        let function = |nearest| Cut { name: "", nearest, signature: Signature::any(2, Volatility::Immutable) };
        // The value, its scale, digits asked for, digits kept, rounded, truncated.
        let table = [
            (1_234_567, 3, 2, 2, 123_457, 123_456),
            (1_234_567, 3, 5, 5, 123_456_700, 123_456_700),
            (1_234_567, 3, -2, 0, 1200, 1200),
            (1250, 0, -2, 0, 1300, 1200),
            (-25, 1, 0, 0, -3, -2),
            (25, 1, -40, 0, 0, 0),
            (1_234_567, 3, 1, 3, 1_234_600, 1_234_500),
        ];
        for (value, scale, count, kept, rounded, truncated) in table {
            assert_eq!(function(true).cut(value, scale, count, kept).unwrap(), rounded, "{value} {count}");
            assert_eq!(function(false).cut(value, scale, count, kept).unwrap(), truncated, "{value} {count}");
        }
    }

    #[test]
    fn a_result_has_room_for_a_digit_more() {
        assert_eq!(returned((3, 1), Some(0)), DataType::Decimal128(3, 0));
        assert_eq!(returned((1, 1), Some(0)), DataType::Decimal128(1, 0));
        assert_eq!(returned((38, 10), Some(2)), DataType::Decimal128(31, 2));
        assert_eq!(returned((38, 10), None), DataType::Decimal128(38, 10));
        assert_eq!(returned((7, 3), Some(5)), DataType::Decimal128(10, 5));
    }
}
