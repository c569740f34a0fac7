//! Records: `ROW(a, b)`, the rows of tables as values, and the fields of either.

use super::long_names;
use crate::error::{SqlError, SqlState};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StructArray, new_null_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::sync::Arc;

/// `ROW(...)`: its fields are called f1, f2, and so on.
pub const ROW: &str = "row";
/// A row of a table: names and values, one after the other.
pub const RECORD: &str = "plimsoll_record";
/// The same of a table that an outer join may have no row of: NULL where all values are.
pub const OUTER_RECORD: &str = "plimsoll_outer_record";
/// A field of a record, by its name.
pub const FIELD: &str = "plimsoll_field";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let any = || Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], Volatility::Immutable);
    let made = |name| ScalarUDF::new_from_impl(Record { name, signature: any() });
    let field = ScalarUDF::new_from_impl(FieldOf { signature: Signature::any(2, Volatility::Immutable) });
    vec![made(ROW), made(RECORD), made(OUTER_RECORD), field]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Record {
    name: &'static str,
    signature: Signature,
}

impl Record {
    /// Which of the arguments are values.
    fn values(&self, arguments: usize) -> Vec<usize> {
        if self.name == ROW { (0..arguments).collect() } else { (1..arguments).step_by(2).collect() }
    }

    fn fields(&self, args: &ReturnFieldArgs) -> Result<Fields> {
        let values = self.values(args.arg_fields.len());
        let field = |(at, value): (usize, usize)| {
            let name = match value.checked_sub(1).filter(|_| self.name != ROW) {
                None => format!("f{}", at + 1),
                Some(name) => match args.scalar_arguments[name].and_then(|name| name.try_as_str().flatten()) {
                    Some(name) => name.to_string(),
                    None => return exec_err!("a record names its fields by literals"),
                },
            };
            let field = &args.arg_fields[value];
            let data_type = if field.data_type().is_null() { DataType::Utf8View } else { field.data_type().clone() };
            Ok(Field::new(name, data_type, true).with_metadata(field.metadata().clone()))
        };
        values.into_iter().enumerate().map(field).collect()
    }
}

impl ScalarUDFImpl for Record {
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
        internal_err!("the type of a record depends on its fields")
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(ROW, DataType::Struct(self.fields(&args)?), true)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else { return internal_err!("a record is a struct") };
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let column = |(at, field): (usize, &FieldRef)| {
            let column = args.args[at].to_array(rows)?;
            if column.data_type() == field.data_type() { Ok(column) } else { Ok(cast(&column, field.data_type())?) }
        };
        let columns: Vec<ArrayRef> = self.values(args.args.len()).into_iter().zip(fields).map(column).collect::<Result<_>>()?;
        let nulls = (self.name == OUTER_RECORD).then(|| some_value(&columns, rows));
        let record: ArrayRef = Arc::new(match fields.is_empty() {
            true => StructArray::new_empty_fields(rows, nulls),
            false => StructArray::try_new(fields.clone(), columns, nulls)?,
        });
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&record, 0)?),
            false => ColumnarValue::Array(record),
        })
    }
}

/// The rows in which some column is not NULL.
fn some_value(columns: &[ArrayRef], rows: usize) -> NullBuffer {
    let valid = |column: &ArrayRef| column.logical_nulls().map_or_else(|| BooleanBuffer::new_set(rows), |nulls| nulls.inner().clone());
    let any = columns.iter().map(valid).reduce(|left, right| &left | &right);
    NullBuffer::new(any.unwrap_or_else(|| BooleanBuffer::new_set(rows)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldOf {
    signature: Signature,
}

impl ScalarUDFImpl for FieldOf {
    fn name(&self) -> &str {
        FIELD
    }
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        long_names::schema_name(FIELD, arguments)
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a field depends on its record")
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(name) = args.scalar_arguments[1].and_then(|name| name.try_as_str().flatten()) else {
            return exec_err!("a field is named by a literal");
        };
        let DataType::Struct(fields) = args.arg_fields[0].data_type() else {
            let shown = crate::types::convert::without_modifiers(&crate::types::SqlType::of_field(&args.arg_fields[0]));
            let message = format!("column notation .{name} applied to type {shown}, which is not a composite type");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).into());
        };
        match fields.iter().find(|field| field.name() == name) {
            Some(field) => Ok(Arc::clone(field)),
            None => {
                let message = format!("could not identify column \"{name}\" in record data type");
                Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).into())
            }
        }
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let record = args.args[0].to_array(args.number_rows)?;
        if record.data_type().is_null() {
            return Ok(ColumnarValue::Array(new_null_array(args.return_field.data_type(), args.number_rows)));
        }
        let record = record.as_struct();
        let Some(field) = record.column_by_name(args.return_field.name()) else { return internal_err!("a record lost a field") };
        let Some(nulls) = record.nulls() else { return Ok(ColumnarValue::Array(Arc::clone(field))) };
        Ok(ColumnarValue::Array(nullif(field, &BooleanArray::new(!nulls.inner(), None))?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::Int32Array;

    #[test]
    fn a_row_of_nothing_but_null_is_none() {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int32Array::from(vec![Some(1), None, None])), Arc::new(Int32Array::from(vec![None, None, Some(2)]))];
        let found = some_value(&columns, 3);
        assert_eq!((0..3).map(|row| found.is_null(row)).collect::<Vec<_>>(), [false, true, false]);
    }
}
