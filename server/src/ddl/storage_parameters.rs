//! Storage parameters of tables (`WITH (fillfactor = 100)`): known by name and range, and of no effect, since segments are always full and are
//! looked after by themselves.

use crate::catalog::names::fold;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Expr, SqlOption};

/// Parameters that PostgreSQL has beside `autovacuum_...` and `toast....`.
const NAMES: [&str; 5] = ["fillfactor", "toast_tuple_target", "parallel_workers", "vacuum_index_cleanup", "user_catalog_table"];

/// Checks parameters: 22023 for those that PostgreSQL does not have, and for a fill factor out of its range.
pub fn check(options: &[SqlOption]) -> Result<()> {
    options.iter().try_for_each(check_one)
}

fn check_one(option: &SqlOption) -> Result<()> {
    let (name, value) = match option {
        SqlOption::KeyValue { key, value } => (fold(key), Some(value)),
        SqlOption::Ident(name) => (fold(name), None),
        other => return Err(SqlError::unsupported(format!("the storage parameter {other}"))),
    };
    let known = NAMES.contains(&name.as_str()) || name.starts_with("autovacuum_") || name.starts_with("toast.");
    match (name.as_str(), value) {
        ("fillfactor", Some(value)) => check_fill_factor(value),
        _ if known => Ok(()),
        _ => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized parameter \"{name}\""))),
    }
}

fn check_fill_factor(value: &Expr) -> Result<()> {
    let text = value.to_string();
    let text = text.trim_matches('\'');
    let invalid = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let percent: i64 = text.parse().map_err(|_| invalid(format!("invalid value for integer option \"fillfactor\": {text}")))?;
    match percent {
        10..=100 => Ok(()),
        _ => Err(invalid(format!("value {text} out of bounds for option \"fillfactor\""))
            .with_detail("Valid values are between \"10\" and \"100\".")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::sql::sqlparser::ast::{Ident, Value};

    fn state(name: &str, value: &str) -> &'static str {
        let value = Expr::value(Value::Number(value.into(), false));
        check(&[SqlOption::KeyValue { key: Ident::new(name), value }]).map_or_else(|error| error.state.0, |()| "ok")
    }

    #[test]
    fn parameters_are_known_by_name_and_range() {
        assert_eq!(state("fillfactor", "100"), "ok");
        assert_eq!(state("FillFactor", "10"), "ok");
        assert_eq!(state("autovacuum_enabled", "1"), "ok");
        for (name, value) in [("fillfactor", "9"), ("fillfactor", "101"), ("fillfactor", "x"), ("nope", "1")] {
            assert_eq!(state(name, value), "22023", "{name} = {value}");
        }
    }
}
