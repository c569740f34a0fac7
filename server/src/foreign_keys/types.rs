//! In which type the values of a referring and a referenced column are compared.

use crate::types::SqlType;
use arrow::datatypes::{DataType, TimeUnit};

/// How values of two columns can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Both cast to this type, which keeps every value of either apart from the others.
    As(DataType),
    /// PostgreSQL can, this server cannot.
    Unsupported,
    /// Not at all.
    None,
}

/// Digits of the decimals in which numbers of different scales are compared.
const DIGITS: u8 = 76;

/// How a referring column's values are compared with those of the referenced one.
pub fn comparison(from: &SqlType, to: &SqlType) -> Comparison {
    use SqlType::{Char, Date, Float4, Float8, Numeric, Text, Timestamp, Timestamptz, Varchar};
    let is_text = |of: &SqlType| matches!(of, Text | Varchar(_) | Char(_));
    let is_whole = |of: &SqlType| matches!(of, SqlType::Int2 | SqlType::Int4 | SqlType::Int8);
    let is_moment = |of: &SqlType| matches!(of, Date | Timestamp | Timestamptz);
    match (from, to) {
        (from, to) if from == to => Comparison::As(from.arrow()),
        (from, to) if is_text(from) && is_text(to) => Comparison::As(DataType::Utf8View),
        (from, to) if is_whole(from) && is_whole(to) => Comparison::As(DataType::Int64),
        (Numeric(_), Numeric(_)) => Comparison::As(decimals(from, to)),
        (from, Numeric(_)) if is_whole(from) => Comparison::As(decimals(to, to)),
        (Float4 | Float8, Float4 | Float8) => Comparison::As(DataType::Float64),
        (SqlType::Int2 | SqlType::Int4, Float8) => Comparison::As(DataType::Float64),
        (Date | Timestamp, Date | Timestamp) => Comparison::As(DataType::Timestamp(TimeUnit::Microsecond, None)),
        (from, to) if is_moment(from) && is_moment(to) => Comparison::Unsupported,
        (from, Float4 | Float8) if is_whole(from) || matches!(from, Numeric(_)) => Comparison::Unsupported,
        (SqlType::Array(from), SqlType::Array(to)) if from.arrow() == to.arrow() && is_text(from) == is_text(to) => {
            Comparison::As(SqlType::Array(from.clone()).arrow())
        }
        _ => Comparison::None,
    }
}

fn decimals(one: &SqlType, other: &SqlType) -> DataType {
    let scale = |of: &SqlType| match of.arrow() {
        DataType::Decimal128(_, scale) => scale,
        _ => 0,
    };
    match one.arrow() == other.arrow() && one == other {
        true if matches!(one.arrow(), DataType::Decimal128(38, _)) => one.arrow(),
        _ => DataType::Decimal256(DIGITS, scale(one).max(scale(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_for_postgresql_is_compared_in_one_type() {
        use SqlType::{Char, Date, Float8, Int2, Int4, Int8, Numeric, Text, Timestamp, Timestamptz, Uuid, Varchar};
        assert_eq!(comparison(&Int4, &Int4), Comparison::As(DataType::Int32));
        assert_eq!(comparison(&Int2, &Int8), Comparison::As(DataType::Int64));
        assert_eq!(comparison(&Varchar(Some(3)), &Char(5)), Comparison::As(DataType::Utf8View));
        assert_eq!(comparison(&Int4, &Numeric(Some((10, 2)))), Comparison::As(DataType::Decimal256(76, 2)));
        assert_eq!(comparison(&Numeric(Some((10, 1))), &Numeric(Some((5, 3)))), Comparison::As(DataType::Decimal256(76, 3)));
        assert_eq!(comparison(&Numeric(Some((10, 2))), &Int4), Comparison::None);
        assert_eq!(comparison(&Text, &Int4), Comparison::None);
        assert_eq!(comparison(&Uuid, &Text), Comparison::None);
        assert_eq!(comparison(&Date, &Timestamp), Comparison::As(DataType::Timestamp(TimeUnit::Microsecond, None)));
        assert_eq!(comparison(&Date, &Timestamptz), Comparison::Unsupported);
        assert_eq!(comparison(&Numeric(None), &Float8), Comparison::Unsupported);
    }
}
