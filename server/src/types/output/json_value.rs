//! Values as `to_json` writes them: a column is bound once, with the columns that it is made of.

use super::{BoundColumn, ColumnEncoder, json, text_of};
use crate::error::Result;
use crate::types::SqlType;
use crate::types::convert::is_number;
use crate::types::forms::ValueForms;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};

/// A column of a batch, to be written as JSON value by value.
pub(crate) struct JsonColumn {
    array: ArrayRef,
    form: Form,
}

enum Form {
    Boolean(BooleanArray),
    /// Numbers (`NaN` is none), and JSON.
    Bare(BoundColumn),
    Quoted(BoundColumn),
    /// The `T` between date and time, and whether an offset follows.
    Moment(BoundColumn, bool),
    List(ListArray, Box<JsonColumn>),
    /// Each member's name, as it is written.
    Record(Vec<(String, JsonColumn)>),
}

impl JsonColumn {
    /// Binds a column.
    pub(crate) fn new(field: &Field, array: &ArrayRef, style: &ValueForms) -> Result<Self> {
        let form = match (SqlType::of_field(field), array.data_type()) {
            (_, DataType::Struct(_)) => Self::record(array.as_struct(), style)?,
            (SqlType::Array(element), DataType::List(item)) => {
                let list = array.as_list().clone();
                let item = if item.metadata().is_empty() { element.field("item", true) } else { item.as_ref().clone() };
                let item = if matches!(item.data_type(), DataType::Struct(_)) { item } else { element.field("item", true) };
                let items = Self::new(&item, list.values(), style)?;
                Form::List(list, Box::new(items))
            }
            (SqlType::Array(_), DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item)) => {
                let list = cast(array, &DataType::List(item.clone()))?;
                return Self::new(&field.clone().with_data_type(list.data_type().clone()), &list, style);
            }
            (SqlType::Boolean, DataType::Boolean) => Form::Boolean(array.as_boolean().clone()),
            (sql_type, _) => Self::scalar(&sql_type, ColumnEncoder::new(&sql_type, false, style).bind(array)?),
        };
        Ok(Self { array: array.clone(), form })
    }

    fn scalar(sql_type: &SqlType, column: BoundColumn) -> Form {
        match sql_type {
            SqlType::Timestamp => Form::Moment(column, false),
            SqlType::Timestamptz => Form::Moment(column, true),
            SqlType::Json | SqlType::Jsonb => Form::Bare(column),
            sql_type if is_number(sql_type) => Form::Bare(column),
            _ => Form::Quoted(column),
        }
    }

    fn record(record: &StructArray, style: &ValueForms) -> Result<Form> {
        let member = |(field, column): (&arrow::datatypes::FieldRef, &ArrayRef)| {
            let mut name = String::new();
            json::write_string(crate::query::naming::shown(field.name()), &mut name);
            name.push(':');
            Ok((name, Self::new(field, column, style)?))
        };
        Ok(Form::Record(record.fields().iter().zip(record.columns()).map(member).collect::<Result<_>>()?))
    }

    /// Whether `json_agg` gives each value a line of its own.
    pub(crate) fn is_structured(&self) -> bool {
        matches!(self.form, Form::List(..) | Form::Record(_))
    }

    /// Whether the value at `row` is NULL.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row) || self.array.data_type().is_null()
    }

    /// Appends the value at `row`; what is between its own parts: a comma, or a comma and a new line.
    pub(crate) fn write(&self, row: usize, between: &str, out: &mut String) -> Result<()> {
        if self.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.form {
            Form::Boolean(values) => out.push_str(if values.value(row) { "true" } else { "false" }),
            Form::Bare(column) => {
                let text = text_of(column, row)?;
                // Infinity and NaN are no numbers of JSON.
                let bare =
                    text.bytes().any(|byte| !byte.is_ascii_alphabetic() && byte != b'-') || matches!(&*text, "null" | "true" | "false");
                if bare { out.push_str(&text) } else { json::write_string(&text, out) }
            }
            Form::Quoted(column) => json::write_string(&text_of(column, row)?, out),
            Form::Moment(column, zoned) => {
                let text = text_of(column, row)?.replacen(' ', "T", 1);
                json::write_string(&if *zoned { with_minutes(&text) } else { text }, out);
            }
            Form::List(list, items) => {
                let (start, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
                out.push('[');
                for index in start..end {
                    out.push_str(if index == start { "" } else { between });
                    items.write(index, ",", out)?;
                }
                out.push(']');
            }
            Form::Record(members) => {
                out.push('{');
                for (at, (name, column)) in members.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { between });
                    out.push_str(name);
                    column.write(row, ",", out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

/// In JSON the offset of a moment has minutes.
fn with_minutes(shown: &str) -> String {
    let offset = shown.rfind(['+', '-']).map_or("", |at| &shown[at..]);
    if offset.len() == 3 { format!("{shown}:00") } else { shown.to_string() }
}
