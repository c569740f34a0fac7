//! `pg_typeof(any)`: the name of a value's type, without modifiers.

use crate::types::{CatalogType, SqlType};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The function.
pub fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(TypeOf { signature: Signature::any(1, Volatility::Stable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &str {
        "pg_typeof"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("pg_typeof says its type with a field")
    }
    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(SqlType::Catalog(CatalogType::Regtype).field("pg_typeof", false)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = match (args.arg_fields[0].data_type(), &args.args[0]) {
            // A literal in quotes has no type of its own.
            (DataType::Null, _) | (DataType::Utf8, ColumnarValue::Scalar(_)) => "unknown".to_string(),
            (DataType::Struct(_), _) => "record".to_string(),
            _ => name_of(&SqlType::of_field(&args.arg_fields[0])),
        };
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(Some(name))))
    }
}

fn name_of(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Array(_) => format!("{}[]", name_of(sql_type.scalar())),
        SqlType::Numeric(_) => "numeric".into(),
        SqlType::Varchar(_) => "character varying".into(),
        SqlType::Char(_) => "character".into(),
        other => other.name(),
    }
}
