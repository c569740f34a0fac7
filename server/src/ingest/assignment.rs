//! Assignment casts: what a query yields -> what a column holds, as PostgreSQL casts on INSERT and UPDATE.

use crate::catalog::ColumnDefinition;
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
pub use crate::types::convert::out_of_range;
use crate::types::convert::{numbers, write};
use crate::types::forms::ValueForms;
use crate::types::input::{ColumnBuilder, coerce_assignment};
use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, TimeUnit};

/// Casts values to a column's type. `untyped` values are literals of unknown type, which are read by the type's input function; text that is
/// no literal does not become a number by assignment (42804).
pub fn assign(column: &ColumnDefinition, values: &ArrayRef, source: &Field, untyped: bool, forms: &ValueForms) -> Result<ArrayRef> {
    assign_values(&column.name, &column.sql_type, values, source, untyped, forms)
}

/// Casts values to the type of the column of this name.
pub fn assign_values(
    name: &str,
    sql_type: &SqlType,
    values: &ArrayRef,
    source: &Field,
    untyped: bool,
    forms: &ValueForms,
) -> Result<ArrayRef> {
    let target = sql_type.arrow();
    let from = values.data_type();
    if *from == DataType::Null {
        return Ok(new_null_array(&target, values.len()));
    }
    if *from == target {
        return coerce_assignment(sql_type, values.clone());
    }
    let converted = match (from, &target) {
        (from, target) if is_text(from) && is_text(target) => cast(values, target)?,
        (from, _) if is_text(from) && untyped => return read(sql_type, values, forms),
        (from, DataType::Utf8View) if !is_text(from) && !has_input_form(sql_type) => write(values, &SqlType::of_field(source), forms)?,
        (DataType::Timestamp(..), DataType::Timestamp(..)) => change_zone(values, &target, forms)?,
        (from, target) if castable(from, target) => number_or_date(sql_type, values)?,
        _ => return Err(mismatch(name, sql_type, source)),
    };
    coerce_assignment(sql_type, converted)
}

/// Whether values of a source may be assigned to a column (42804).
pub fn check_assignment(name: &str, sql_type: &SqlType, source: &Field) -> Result<()> {
    let (from, target) = (source.data_type(), sql_type.arrow());
    let fits = match (from, &target) {
        (DataType::Null, _) => true,
        (from, DataType::Utf8View) if is_text(from) => !has_input_form(sql_type) || same_kind(&SqlType::of_field(source), sql_type),
        (_, DataType::Utf8View) => !has_input_form(sql_type),
        (from, target) if from == target => true,
        (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
        (from, target) => castable(from, target),
    };
    if fits { Ok(()) } else { Err(mismatch(name, sql_type, source)) }
}

/// Types that are kept as text and are none.
fn has_input_form(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Uuid | SqlType::Json | SqlType::Jsonb | SqlType::Jsonpath)
}

fn same_kind(from: &SqlType, to: &SqlType) -> bool {
    from == to || matches!((from, to), (SqlType::Json | SqlType::Jsonb, SqlType::Json | SqlType::Jsonb))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Casts that PostgreSQL does on assignment, between types that are not text.
fn castable(from: &DataType, to: &DataType) -> bool {
    use DataType::{Binary, BinaryView, Date32, FixedSizeBinary, Interval, LargeBinary, List, Time64, Timestamp};
    match (from, to) {
        (from, to) if from.is_numeric() && to.is_numeric() => true,
        (Date32, Timestamp(..)) | (Timestamp(..), Date32) => true,
        (DataType::Time32(_) | Time64(_), Time64(_)) | (Interval(_) | DataType::Duration(_), Interval(_)) => true,
        (Binary | LargeBinary | FixedSizeBinary(_), BinaryView) => true,
        (DataType::LargeList(from) | List(from), List(to)) => from.data_type() == to.data_type() || castable_item(from, to),
        (DataType::Dictionary(_, from), to) => from.as_ref() == to || castable(from, to),
        (DataType::Date64, Date32) => true,
        _ => false,
    }
}

fn castable_item(from: &Field, to: &Field) -> bool {
    let (from, to) = (from.data_type(), to.data_type());
    *from == DataType::Null || (is_text(from) && is_text(to)) || castable(from, to)
}

fn number_or_date(sql_type: &SqlType, values: &ArrayRef) -> Result<ArrayRef> {
    if values.data_type().is_numeric() {
        return numbers(values, sql_type);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(values, &sql_type.arrow(), &strict).map_err(|_| out_of_range(sql_type))
}

/// Between timestamps with and without zone the session's time zone decides.
fn change_zone(values: &ArrayRef, target: &DataType, forms: &ValueForms) -> Result<ArrayRef> {
    let DataType::Timestamp(_, from_zone) = values.data_type() else { return Ok(cast(values, target)?) };
    let DataType::Timestamp(_, to_zone) = target else { return Ok(cast(values, target)?) };
    if from_zone.is_some() == to_zone.is_some() {
        return Ok(cast(values, target)?);
    }
    let local = DataType::Timestamp(TimeUnit::Microsecond, Some(forms.time_zone.as_str().into()));
    Ok(cast(&cast(values, &local)?, target)?)
}

/// Literals, read by the type's input function.
fn read(sql_type: &SqlType, values: &ArrayRef, forms: &ValueForms) -> Result<ArrayRef> {
    let values = cast(values, &DataType::Utf8View)?;
    let mut builder = ColumnBuilder::new(sql_type, values.len()).with_forms(forms);
    for value in values.as_string_view() {
        match value {
            Some(text) => builder.append_text(text)?,
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

fn mismatch(name: &str, sql_type: &SqlType, source: &Field) -> SqlError {
    let (wanted, found) = (sql_type.name(), SqlType::of_field(source).name());
    if let (SqlType::Array(wanted_item), SqlType::Array(found_item)) = (sql_type, SqlType::of_field(source))
        && wanted_item.scalar() == found_item.scalar()
    {
        return SqlError::unsupported(format!("an array of type {found} in column \"{name}\" of type {wanted}"))
            .with_hint("Declare the column with as many pairs of brackets as the values have dimensions, for instance integer[][].");
    }
    let message = format!("column \"{name}\" is of type {wanted} but expression is of type {found}");
    SqlError::new(SqlState::DATATYPE_MISMATCH, message).with_hint("You will need to rewrite or cast the expression.")
}
