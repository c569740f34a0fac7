//! `ceil` and `floor`: of a numeric the whole number beside it, which has no digits after the point and may have one more before it; of any other
//! number a double.

use crate::error::SqlError;
use crate::types::convert::numbers;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Both of them.
pub fn functions() -> Vec<ScalarUDF> {
    let function = |up, name, aliases: &[&str]| {
        let aliases = aliases.iter().map(|alias| alias.to_string()).collect();
        ScalarUDF::new_from_impl(Beside { up, name, aliases, signature: Signature::user_defined(Volatility::Immutable) })
    };
    vec![function(true, "ceil", &["ceiling"]), function(false, "floor", &[])]
}

/// The whole number beside a value, above it or below.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Beside {
    up: bool,
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

/// Digits of a Decimal128.
const PRECISION_MAX: u8 = 38;

impl ScalarUDFImpl for Beside {
    fn name(&self) -> &str {
        self.name
    }
    fn aliases(&self) -> &[String] {
        &self.aliases
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [decimal @ DataType::Decimal128(_, _)] => Ok(vec![decimal.clone()]),
            [number] if number.is_numeric() || number.is_null() || is_text(number) => Ok(vec![DataType::Float64]),
            _ => Err(self.undefined(arguments)),
        }
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match arguments.first() {
            Some(DataType::Decimal128(precision, scale)) => {
                let digits = precision.saturating_sub(u8::try_from(*scale).unwrap_or(0)) + 1;
                DataType::Decimal128(digits.min(PRECISION_MAX), 0)
            }
            _ => DataType::Float64,
        })
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let returns = args.return_type();
        match &args.args[0] {
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(self.beside(values, returns)?)),
            ColumnarValue::Scalar(value) => {
                let values = self.beside(&value.to_array()?, returns)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?))
            }
        }
    }
}

/// A literal in quotes is read as a number when the arguments are cast.
fn is_text(data_type: &DataType) -> bool {
    *data_type == DataType::Utf8
}

impl Beside {
    fn undefined(&self, arguments: &[DataType]) -> datafusion::error::DataFusionError {
        let types: Vec<String> =
            arguments.iter().map(|data_type| crate::types::SqlType::of_arrow(data_type).base_name().to_string()).collect();
        SqlError::undefined_function(&format!("{}({})", self.name, types.join(", "))).into()
    }

    fn beside(&self, values: &ArrayRef, returns: &DataType) -> Result<ArrayRef> {
        if let DataType::Decimal128(_, scale) = values.data_type() {
            let Some(unit) = u32::try_from(*scale).ok().and_then(|scale| 10_i128.checked_pow(scale)) else { return Ok(Arc::clone(values)) };
            let up = self.up;
            let whole = values.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(|value| {
                let below = value.div_euclid(unit);
                if up && value.rem_euclid(unit) != 0 { below + 1 } else { below }
            });
            return Ok(Arc::new(whole.with_data_type(returns.clone())));
        }
        let doubles = numbers(values, &crate::types::SqlType::Float8)?;
        let whole = if self.up { f64::ceil } else { f64::floor };
        Ok(Arc::new(doubles.as_primitive::<Float64Type>().unary::<_, Float64Type>(whole)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::Decimal128Array;

    #[test]
    fn a_fraction_has_a_whole_number_on_both_sides() {
        let values: ArrayRef =
            Arc::new(Decimal128Array::from(vec![Some(5), Some(-5), Some(0), None]).with_precision_and_scale(1, 1).unwrap());
        for (at, expected) in [[Some(1), Some(0), Some(0), None], [Some(0), Some(-1), Some(0), None]].iter().enumerate() {
            let function = Beside { up: at == 0, name: "", aliases: Vec::new(), signature: Signature::any(1, Volatility::Immutable) };
            let returns = function.return_type(&[DataType::Decimal128(1, 1)]).unwrap();
            let found = function.beside(&values, &returns).unwrap();
            assert_eq!(found.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(), expected);
            assert_eq!(returns, DataType::Decimal128(1, 0));
        }
    }
}
