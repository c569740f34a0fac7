//! SQL values as JSON: `to_json`, `to_jsonb`, `row_to_json`, `array_to_json`, and what `json_agg` collects.

use super::long_names;
use crate::error::{SqlError, SqlState};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::input::ColumnBuilder;
use crate::types::output::JsonColumn;
use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::sync::Arc;

/// A value of `json_agg`: rows and arrays stand on lines of their own.
pub const ITEM: &str = "plimsoll_json_item";
/// What a value begins with that stands on a line of its own.
pub const LINE: &str = "\n ";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let named = |name, form, arguments: &[usize]| {
        let counts = arguments.iter().map(|count| TypeSignature::Any(*count)).collect();
        ScalarUDF::new_from_impl(ToJson { name, form, signature: Signature::one_of(counts, Volatility::Stable) })
    };
    vec![
        named("to_json", JsonForm::Any, &[1]),
        named("to_jsonb", JsonForm::Binary, &[1]),
        named("row_to_json", JsonForm::Row, &[1, 2]),
        named("array_to_json", JsonForm::Array, &[1, 2]),
        named(ITEM, JsonForm::Item, &[1]),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum JsonForm {
    Any,
    Binary,
    Row,
    Array,
    Item,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToJson {
    name: &'static str,
    form: JsonForm,
    signature: Signature,
}

impl ToJson {
    fn returns(&self) -> SqlType {
        if self.form == JsonForm::Binary { SqlType::Jsonb } else { SqlType::Json }
    }

    fn check(&self, field: &FieldRef, literal: Option<&ScalarValue>) -> std::result::Result<(), SqlError> {
        let unknown = matches!(literal, Some(ScalarValue::Utf8(Some(_))));
        let refused = || {
            let shown = if unknown || field.data_type().is_null() { "unknown".into() } else { SqlType::of_field(field).name() };
            Err(SqlError::undefined_function(&format!("{}({shown})", self.name)))
        };
        match self.form {
            JsonForm::Row if unknown => {
                Err(wrong("input of anonymous composite types is not implemented", SqlState::FEATURE_NOT_SUPPORTED))
            }
            JsonForm::Row if !matches!(field.data_type(), DataType::Struct(_) | DataType::Null) => refused(),
            JsonForm::Array if unknown => Err(undetermined()),
            JsonForm::Array if !matches!(SqlType::of_field(field), SqlType::Array(_)) && !field.data_type().is_null() => refused(),
            JsonForm::Any | JsonForm::Binary | JsonForm::Item if unknown => Err(undetermined()),
            _ => Ok(()),
        }
    }

    fn write(&self, field: &FieldRef, values: &ArrayRef, forms: &ValueForms, lines: &[bool]) -> Result<ArrayRef> {
        let column = JsonColumn::new(field, values, forms)?;
        let mut text = String::new();
        let mut binary = ColumnBuilder::new(&SqlType::Jsonb, values.len());
        let mut plain = StringViewBuilder::with_capacity(values.len());
        for row in 0..values.len() {
            text.clear();
            if column.is_null(row) {
                if self.form == JsonForm::Binary {
                    binary.append_null()
                } else {
                    plain.append_null()
                }
                continue;
            }
            if self.form == JsonForm::Item && column.is_structured() {
                text.push_str(LINE);
            }
            let in_lines = lines.get(row).or(lines.first().filter(|_| lines.len() == 1)).is_some_and(|in_lines| *in_lines);
            column.write(row, if in_lines { ",\n " } else { "," }, &mut text)?;
            if self.form == JsonForm::Binary { binary.append_text(&text)? } else { plain.append_value(&text) }
        }
        Ok(if self.form == JsonForm::Binary { binary.finish() } else { Arc::new(plain.finish()) })
    }
}

fn wrong(message: &'static str, state: SqlState) -> SqlError {
    SqlError::new(state, message)
}

fn undetermined() -> SqlError {
    wrong("could not determine polymorphic type because input has type unknown", SqlState::DATATYPE_MISMATCH)
}

/// Which rows are written in lines.
fn in_lines(argument: Option<&ColumnarValue>, rows: usize) -> Result<Vec<bool>> {
    let Some(argument) = argument else { return Ok(vec![false]) };
    let values = arrow::compute::cast(&argument.to_array(rows)?, &DataType::Boolean)?;
    Ok(arrow::array::AsArray::as_boolean(&values).iter().map(|value| value == Some(true)).collect())
}

impl ScalarUDFImpl for ToJson {
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
        Ok(self.returns().arrow())
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(field) = args.arg_fields.first() else { return internal_err!("{} takes a value", self.name) };
        self.check(field, args.scalar_arguments[0])?;
        Ok(Arc::new(self.returns().field(self.name, true)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let forms = ValueForms::of_options(&args.config_options).with_iso_dates();
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let lines = in_lines(args.args.get(1), rows)?;
        let json = self.write(&args.arg_fields[0], &args.args[0].to_array(rows)?, &forms, &lines)?;
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&json, 0)?) } else { ColumnarValue::Array(json) })
    }
}
