//! One member of a JSON object as a value of a SQL type, for `json_to_record` and its kin.

use super::long_names;
use crate::error::{SqlError, SqlState};
use crate::types::SqlType;
use crate::types::convert::convert;
use crate::types::forms::ValueForms;
use crate::types::input::ColumnBuilder;
use crate::types::json_path::{as_text, elements, kind, members};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The name: an object, the member's name, the type's name, and the name of the function that a client called.
pub const NAME: &str = "plimsoll_json_field";

/// The function.
pub fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(JsonField { signature: Signature::any(4, Volatility::Stable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonField {
    signature: Signature,
}

impl ScalarUDFImpl for JsonField {
    fn name(&self) -> &str {
        NAME
    }
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        long_names::schema_name(NAME, arguments)
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a member is said by a literal")
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(name) = args.scalar_arguments[2].and_then(|name| name.try_as_str().flatten()) else {
            return exec_err!("the type of a member is said by a literal");
        };
        Ok(Arc::new(SqlType::parse(name)?.field(NAME, true)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let literal = |at: usize| match &args.args[at] {
            ColumnarValue::Scalar(value) => value.try_as_str().flatten().unwrap_or_default().to_string(),
            ColumnarValue::Array(_) => String::new(),
        };
        let (member, function, wanted) = (literal(1), literal(3), SqlType::of_field(&args.return_field));
        let forms = ValueForms::of_options(&args.config_options);
        let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
        let rows = if constant { 1 } else { args.number_rows };
        let json = read(&args.args[0].to_array(rows)?, &args.arg_fields[0], &function)?;
        let mut builder = ColumnBuilder::new(&wanted, rows).with_forms(forms);
        for json in json.as_string_view() {
            match json.map(|json| value(json, &member, &wanted, &function)).transpose()?.flatten() {
                Some(text) => builder.append_text(&text)?,
                None => builder.append_null(),
            }
        }
        let values = builder.finish();
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?) } else { ColumnarValue::Array(values) })
    }
}

/// The objects as texts; a literal is read as JSON.
fn read(values: &ArrayRef, field: &FieldRef, function: &str) -> Result<ArrayRef> {
    let own = if function.starts_with("jsonb") { SqlType::Jsonb } else { SqlType::Json };
    Ok(match (SqlType::of_field(field), values.data_type()) {
        (SqlType::Json | SqlType::Jsonb, _) => arrow::compute::cast(values, &DataType::Utf8View)?,
        (_, DataType::Null) => arrow::array::new_null_array(&DataType::Utf8View, values.len()),
        (SqlType::Text, DataType::Utf8) => convert(values, &SqlType::Text, &own, &ValueForms::default())?,
        (other, _) => return Err(SqlError::undefined_function(&format!("{function}({})", other.name())).into()),
    })
}

/// A member as text that the input function of its type reads; `None` if it is missing or null.
fn value(json: &str, name: &str, wanted: &SqlType, function: &str) -> Result<Option<String>> {
    let Some(members) = members(json) else { return Err(no_object(json, function).into()) };
    let Some((_, member)) = members.into_iter().rev().find(|(key, _)| key == name) else { return Ok(None) };
    Ok(text_of(member, wanted)?)
}

fn text_of(json: &str, wanted: &SqlType) -> std::result::Result<Option<String>, SqlError> {
    match wanted {
        SqlType::Json | SqlType::Jsonb => Ok(Some(json.to_string()).filter(|json| wanted == &SqlType::Json || json != "null")),
        _ if kind(json) == "null" => Ok(None),
        SqlType::Array(element) if kind(json) == "array" => array_text(json, element).map(Some),
        SqlType::Array(_) if kind(json) != "string" => Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected JSON array")),
        _ => Ok(as_text(json)),
    }
}

/// An array as its type's text.
fn array_text(json: &str, element: &SqlType) -> std::result::Result<String, SqlError> {
    let item = |item: &str| {
        if let (SqlType::Array(inner), "array") = (element, kind(item)) {
            return array_text(item, inner);
        }
        Ok(match text_of(item, element)? {
            Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            None => "NULL".into(),
        })
    };
    let items = elements(json).unwrap_or_default().into_iter().map(item).collect::<std::result::Result<Vec<_>, SqlError>>()?;
    Ok(format!("{{{}}}", items.join(",")))
}

fn no_object(json: &str, function: &str) -> SqlError {
    let message = match (function.ends_with("recordset"), kind(json)) {
        (true, _) => format!("argument of {function} must be an array of objects"),
        (false, "array") => "cannot call populate_composite on an array".to_string(),
        (false, _) => "cannot call populate_composite on a scalar".to_string(),
    };
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn members_are_read_as_their_types() {
        let json = r#"{"a": 1, "b": "x y", "c": [1, "q\"", null], "d": null, "e": {"f": 1}}"#;
        let read = |name: &str, of: &SqlType| value(json, name, of, "json_to_record").unwrap();
        assert_eq!(read("a", &SqlType::Int4).as_deref(), Some("1"));
        assert_eq!(read("b", &SqlType::Text).as_deref(), Some("x y"));
        assert_eq!(read("c", &SqlType::Array(Box::new(SqlType::Text))).as_deref(), Some(r#"{"1","q\"",NULL}"#));
        assert_eq!(read("d", &SqlType::Text), None);
        assert_eq!(read("e", &SqlType::Json).as_deref(), Some("{\"f\": 1}"));
        assert_eq!(read("nosuch", &SqlType::Text), None);
        assert!(value("[]", "a", &SqlType::Text, "json_to_record").is_err());
    }
}
