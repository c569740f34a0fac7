//! Sizes that are written or measured: `pg_size_bytes`, `pg_column_size`, `pg_tablespace_size`.

use super::scalar::{Function, as_text};
use crate::catalog::pg_catalog::relations;
use crate::error::{SqlError, SqlState};
use crate::query::Scope;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let one = || Signature::any(1, Volatility::Stable);
    let whole = scope.clone();
    vec![
        Function::of_rows("pg_size_bytes", one(), DataType::Int64, |args| match as_text(&args[0]) {
            Some(text) => Ok(ScalarValue::Int64(Some(bytes_of(text)?))),
            None => Ok(ScalarValue::Int64(None)),
        }),
        Function::of_rows("pg_column_size", one(), DataType::Int32, |args| Ok(ScalarValue::Int32(column_size(&args[0])))),
        Function::of_rows("pg_tablespace_size", one(), DataType::Int64, move |args| {
            // All tables are in the default tablespace, 1663.
            let default = matches!(&args[0], ScalarValue::UInt32(Some(1663))) || as_text(&args[0]).is_some_and(|name| name == "pg_default");
            let tables = whole.view.catalog.all().filter_map(|found| found.relation().as_table());
            let bytes: u64 = if default { tables.map(|table| relations::bytes(&whole, table.oid)).sum() } else { 0 };
            Ok(ScalarValue::Int64(Some(i64::try_from(bytes).unwrap_or(i64::MAX))))
        }),
    ]
}

/// `1.5 MB` in bytes.
fn bytes_of(text: &str) -> Result<i64, SqlError> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let invalid = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid size: \"{text}\""));
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let unit = unit.trim();
    let power = match unit.to_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 1,
        "mb" => 2,
        "gb" => 3,
        "tb" => 4,
        "pb" => 5,
        _ => {
            return Err(invalid()
                .with_detail(format!("Invalid size unit: \"{unit}\"."))
                .with_hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\"."));
        }
    };
    let bytes = (number * 1024f64.powi(power)).round();
    match bytes.abs() < 9.2e18 {
        true => Ok(bytes as i64),
        false => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")),
    }
}

/// Bytes of a value: of a text with the four that PostgreSQL puts before it, where it computes a text; of others those of their Arrow form.
fn column_size(value: &ScalarValue) -> Option<i32> {
    if value.is_null() {
        return None;
    }
    let bytes = match (as_text(value), value) {
        (Some(text), _) => text.len() + 4,
        (None, ScalarValue::Boolean(_)) => 1,
        (None, value) => value.data_type().primitive_width().unwrap_or_else(|| value.size()),
    };
    i32::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("1.5 MB", 1_572_864), ("-3kB", -3072), ("7", 7), (" 2 bytes ", 2), ("1PB", 1 << 50)] {
            assert_eq!(bytes_of(text).unwrap(), bytes, "{text}");
        }
        for text in ["x", "1 XB", "", "9999999 PB"] {
            assert!(bytes_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_have_sizes() {
        assert_eq!(column_size(&ScalarValue::Int32(Some(1))), Some(4));
        assert_eq!(column_size(&ScalarValue::from("abc")), Some(7));
        assert_eq!(column_size(&ScalarValue::Int32(None)), None);
    }
}
