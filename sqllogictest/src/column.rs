//! The type letters of a `query` record, and what each accepts.
//!
//! The simple query protocol hands over text, so a letter is a promise about the form of every value in the column, not about the type
//! that the server declared (a suite asks `pg_typeof` for that): `sum(bigint)` may be an int8 or a numeric, and satisfies `I` as either.
//!
//! | letter | every non-null value is                                     |
//! |--------|-------------------------------------------------------------|
//! | `I`    | an integer: digits, perhaps a minus sign before             |
//! | `R`    | a number: an integer, a decimal, 1e+20, NaN, Infinity       |
//! | `B`    | `t` or `f`                                                  |
//! | `T`    | anything: text, dates, arrays                               |
//! | `?`    | anything; written by completion for columns with no values  |
//!
//! The number of letters must be the number of columns.

use sqllogictest::ColumnType;

/// One type letter; for an actual column, the narrowest that all its values satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// `I`
    Integer,
    /// `R`
    Real,
    /// `B`
    Boolean,
    /// `T`
    Text,
    /// `?`
    Any,
}

impl ColumnType for ColumnKind {
    fn from_char(letter: char) -> Option<Self> {
        match letter {
            'I' => Some(Self::Integer),
            'R' => Some(Self::Real),
            'B' => Some(Self::Boolean),
            'T' => Some(Self::Text),
            '?' => Some(Self::Any),
            _ => None,
        }
    }

    fn to_char(&self) -> char {
        match self {
            Self::Integer => 'I',
            Self::Real => 'R',
            Self::Boolean => 'B',
            Self::Text => 'T',
            Self::Any => '?',
        }
    }
}

impl ColumnKind {
    /// The narrowest kind of one value. NULL has the form of every kind.
    pub fn of(value: Option<&str>) -> Self {
        match value {
            None => Self::Any,
            Some("t" | "f") => Self::Boolean,
            Some(text) if is_integer(text) => Self::Integer,
            Some(text) if text.parse::<f64>().is_ok() => Self::Real,
            Some(_) => Self::Text,
        }
    }

    /// The narrowest kind of two values in one column.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Any, kind) | (kind, Self::Any) => kind,
            (Self::Integer, Self::Real) | (Self::Real, Self::Integer) => Self::Real,
            _ => Self::Text,
        }
    }

    fn accepts(self, actual: Self) -> bool {
        match self {
            Self::Text | Self::Any => true,
            Self::Real => matches!(actual, Self::Real | Self::Integer | Self::Any),
            Self::Integer | Self::Boolean => actual == self || actual == Self::Any,
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// True if each expected letter accepts its actual column.
#[expect(clippy::ptr_arg, reason = "the signature that sqllogictest asks for")]
pub fn columns_match(actual: &Vec<ColumnKind>, expected: &Vec<ColumnKind>) -> bool {
    actual.len() == expected.len() && expected.iter().zip(actual).all(|(expected, actual)| expected.accepts(*actual))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[Option<&str>]) -> ColumnKind {
        values.iter().map(|v| ColumnKind::of(*v)).fold(ColumnKind::Any, ColumnKind::and)
    }

    #[test]
    fn a_column_has_the_narrowest_kind_of_its_values() {
        assert_eq!(kind(&[]), ColumnKind::Any);
        assert_eq!(kind(&[None, Some("-7"), Some("12345678901234567890123")]), ColumnKind::Integer);
        assert_eq!(kind(&[Some("7"), Some("7.50"), Some("NaN"), Some("1e+20")]), ColumnKind::Real);
        assert_eq!(kind(&[Some("t"), None]), ColumnKind::Boolean);
        assert_eq!(kind(&[Some("t"), Some("1")]), ColumnKind::Text);
        assert_eq!(kind(&[Some("2024-01-01")]), ColumnKind::Text);
        assert_eq!(kind(&[Some("-")]), ColumnKind::Text);
    }

    #[test]
    fn letters_accept_what_fits_and_no_other_count() {
        let (integer, real, text) = (ColumnKind::Integer, ColumnKind::Real, ColumnKind::Text);
        assert!(columns_match(&vec![integer, text], &vec![real, text]));
        assert!(!columns_match(&vec![real], &vec![integer]));
        assert!(!columns_match(&vec![text], &vec![ColumnKind::Boolean]));
        assert!(columns_match(&vec![ColumnKind::Any], &vec![integer]));
        assert!(!columns_match(&vec![integer, integer], &vec![integer]));
    }
}
