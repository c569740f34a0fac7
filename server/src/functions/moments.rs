//! Random identifiers, lengths in bytes, and what built-in functions mean here.

use super::scalar::Function;
use crate::types::SqlType;
use crate::types::convert::{is_string, write};
use crate::types::forms::ValueForms;
use arrow::array::{ArrayRef, AsArray, BinaryViewArray, Int32Array, StringViewArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let any = |count| Signature::any(count, Volatility::Stable);
    vec![
        RandomUuid::named("gen_random_uuid"),
        // The name of the extension uuid-ossp.
        RandomUuid::named("uuid_generate_v4"),
        Function::of_columns("octet_length", any(1), DataType::Int32, octets),
    ]
}

/// The function of a name.
pub fn named(name: &str) -> Option<ScalarUDF> {
    functions().into_iter().find(|function| function.name() == name)
}

fn is_constant(args: &ScalarFunctionArgs) -> bool {
    args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
}

fn columns(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
    let rows = if is_constant(args) { 1 } else { args.number_rows };
    args.args.iter().map(|arg| arg.to_array(rows)).collect()
}

fn result(args: &ScalarFunctionArgs, values: ArrayRef) -> Result<ColumnarValue> {
    match is_constant(args) {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)),
        false => Ok(ColumnarValue::Array(values)),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RandomUuid {
    name: &'static str,
    signature: Signature,
}

impl RandomUuid {
    fn named(name: &'static str) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self { name, signature: Signature::nullary(Volatility::Volatile) })
    }
}

impl ScalarUDFImpl for RandomUuid {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }
    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(SqlType::Uuid.field(self.name(), false)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let return_field = Arc::new(Field::new(self.name(), DataType::Utf8, false));
        let made = datafusion::functions::string::uuid().invoke_with_args(ScalarFunctionArgs { return_field, ..args })?;
        made.cast_to(&DataType::Utf8View, None)
    }
}

/// Calls of built-in functions that mean something else here.
#[derive(Debug)]
pub struct InZone;

impl FunctionRewrite for InZone {
    fn name(&self) -> &str {
        "functions as PostgreSQL has them"
    }
    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else { return Ok(Transformed::no(expr)) };
        let replaced = match (func.name(), args.as_slice()) {
            ("character_length", [text]) if text.get_type(schema)?.is_binary() => {
                named("octet_length").map(|function| function.call(args.clone()))
            }
            _ => None,
        };
        Ok(replaced.map_or_else(|| Transformed::no(expr), Transformed::yes))
    }
}

/// Bytes of a bytea, or of a text as it is stored by PostgreSQL: with the blanks of a character(n).
fn octets(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let from = SqlType::of_field(&args.arg_fields[0]);
    let values = &columns(args)?[0];
    let lengths: Int32Array = match &from {
        SqlType::Bytea => {
            let bytes = arrow::compute::cast(values, &DataType::BinaryView)?;
            let bytes: &BinaryViewArray = bytes.as_binary_view();
            bytes.iter().map(|bytes| bytes.map(|bytes| bytes.len() as i32)).collect()
        }
        from => {
            let texts = if is_string(from) {
                arrow::compute::cast(values, &DataType::Utf8View)?
            } else {
                write(values, from, ValueForms::of_options(&args.config_options))?
            };
            let texts: &StringViewArray = texts.as_string_view();
            let blanks = |text: &str| match from {
                SqlType::Char(length) => (*length as usize).saturating_sub(text.chars().count()),
                _ => 0,
            };
            texts.iter().map(|text| text.map(|text| (text.len() + blanks(text)) as i32)).collect()
        }
    };
    result(args, Arc::new(lengths))
}
