//! The frame of a small function: a name, types, and a closure over its arguments.

use super::long_names;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

type Body = Arc<dyn Fn(&ScalarFunctionArgs) -> Result<ColumnarValue> + Send + Sync>;

/// A function made of a closure.
pub struct Function {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    body: Body,
}

impl Function {
    /// A function of columns.
    pub fn of_columns(
        name: &'static str,
        signature: Signature,
        returns: DataType,
        body: impl Fn(&ScalarFunctionArgs) -> Result<ColumnarValue> + Send + Sync + 'static,
    ) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self { name, signature, returns, body: Arc::new(body) })
    }

    /// A function of single values, called for each row; NULL for a row is the closure's to make.
    pub fn of_rows(
        name: &'static str,
        signature: Signature,
        returns: DataType,
        body: impl Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync + 'static,
    ) -> ScalarUDF {
        let empty = returns.clone();
        Self::of_columns(name, signature, returns, move |args| by_row(args, &empty, &body))
    }

    /// A constant: the same for every row of a statement.
    pub fn constant(name: &'static str, value: ScalarValue) -> ScalarUDF {
        let returns = value.data_type();
        Self::of_columns(name, Signature::nullary(Volatility::Stable), returns, move |_| Ok(ColumnarValue::Scalar(value.clone())))
    }
}

fn by_row(args: &ScalarFunctionArgs, returns: &DataType, body: &dyn Fn(&[ScalarValue]) -> Result<ScalarValue>) -> Result<ColumnarValue> {
    let scalars = args.args.iter().map(|arg| match arg {
        ColumnarValue::Scalar(value) => Some(value.clone()),
        ColumnarValue::Array(_) => None,
    });
    if let Some(values) = scalars.collect::<Option<Vec<_>>>() {
        return Ok(ColumnarValue::Scalar(body(&values)?));
    }
    let columns = ColumnarValue::values_to_arrays(&args.args)?;
    let value = |row: usize| {
        let values = columns.iter().map(|column| ScalarValue::try_from_array(column, row)).collect::<Result<Vec<_>>>()?;
        body(&values)
    };
    let values = (0..args.number_rows).map(value).collect::<Result<Vec<_>>>()?;
    match values.is_empty() {
        true => Ok(ColumnarValue::Array(arrow::array::new_empty_array(returns))),
        false => Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?)),
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        long_names::schema_name(self.name, arguments)
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        (self.body)(&args)
    }
}

/// Some text.
pub fn text(value: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8View(Some(value.into()))
}

/// The text of a value; `None` for NULL.
pub fn as_text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

/// A whole number; `None` for NULL.
pub fn as_integer(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(value)) => value,
        _ => None,
    }
}
