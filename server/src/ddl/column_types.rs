//! The type that a column is declared with, and apart from it the digits of a second that its moments keep.

use crate::error::{Result, SqlError};
use crate::query::casts::without_precision;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::DataType;

/// The most digits of a second that a moment has.
const DIGITS_MAX: u64 = 6;

/// Reads a type; more digits than there are mean all of them.
pub fn read(data_type: &DataType) -> Result<(SqlType, Option<u8>)> {
    if matches!(data_type, DataType::Interval { fields: Some(_), .. }) {
        return Err(SqlError::unsupported(format!("a column of type {}", data_type.to_string().to_lowercase())));
    }
    match without_precision(data_type) {
        None => Ok((SqlType::from_ast(data_type)?, None)),
        Some((plain, digits, _)) => Ok((SqlType::from_ast(&plain)?, digits.and_then(|digits| u8::try_from(digits.min(DIGITS_MAX)).ok()))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

    #[test]
    fn digits_are_apart_from_the_type() {
        let table = [
            ("timestamp", SqlType::Timestamp, None),
            ("timestamp(3)", SqlType::Timestamp, Some(3)),
            ("timestamptz(0)", SqlType::Timestamptz, Some(0)),
            ("timestamp(6) with time zone", SqlType::Timestamptz, Some(6)),
            ("time(9)", SqlType::Time, Some(6)),
            ("interval(2)", SqlType::Interval, Some(2)),
            ("numeric(5,2)", SqlType::Numeric(Some((5, 2))), None),
        ];
        for (text, sql_type, digits) in table {
            let ast = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).unwrap().parse_data_type().unwrap();
            assert_eq!(read(&ast).unwrap(), (sql_type, digits), "{text}");
        }
        let fields = Parser::new(&PostgreSqlDialect {}).try_with_sql("interval day to second").unwrap().parse_data_type().unwrap();
        assert_eq!(read(&fields).unwrap_err().state.0, "0A000");
    }
}
