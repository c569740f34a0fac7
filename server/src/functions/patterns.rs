//! Patterns of LIKE with an escape character of its own, and of SIMILAR TO.

use super::scalar::{Function, as_text, text};
use crate::error::{Result, SqlError, SqlState};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

/// `like_escape(pattern, escape)` and `similar_to_escape(pattern, escape)`.
pub fn functions() -> Vec<ScalarUDF> {
    vec![of_pattern("like_escape", like), of_pattern("similar_to_escape", similar)]
}

fn of_pattern(name: &'static str, convert: fn(&str, Option<char>) -> Result<String>) -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8View, DataType::Utf8View], Volatility::Immutable);
    Function::of_rows(name, signature, DataType::Utf8View, move |args| match (as_text(&args[0]), as_text(&args[1])) {
        (Some(pattern), Some(escape)) => Ok(text(convert(pattern, escape_character(escape)?)?)),
        _ => Ok(ScalarValue::Utf8View(None)),
    })
}

fn escape_character(escape: &str) -> Result<Option<char>> {
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (first, None) => Ok(first),
        _ => Err(SqlError::new(SqlState("22025"), "invalid escape string").with_hint("Escape string must be empty or one character.")),
    }
}

fn unfinished() -> SqlError {
    SqlError::new(SqlState("22025"), "LIKE pattern must not end with escape character")
}

/// A LIKE pattern in which the backslash is the escape character.
fn like(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut converted = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            converted.push('\\');
            converted.push(characters.next().ok_or_else(unfinished)?);
        } else if character == '\\' {
            converted.push_str("\\\\");
        } else {
            converted.push(character);
        }
    }
    Ok(converted)
}

/// A regular expression for a SIMILAR TO pattern.
fn similar(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut converted = String::from("^(?:");
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            let literal = characters.next().ok_or_else(unfinished)?;
            push_literal(&mut converted, literal);
            continue;
        }
        match character {
            _ if in_class => {
                in_class = character != ']';
                converted.push(character);
            }
            '[' => {
                in_class = true;
                converted.push('[');
            }
            '%' => converted.push_str(".*"),
            '_' => converted.push('.'),
            '(' => converted.push_str("(?:"),
            '\\' | '.' | '^' | '$' => push_literal(&mut converted, character),
            other => converted.push(other),
        }
    }
    converted.push_str(")$");
    Ok(converted)
}

fn push_literal(converted: &mut String, character: char) {
    if !character.is_alphanumeric() && character.is_ascii() {
        converted.push('\\');
    }
    converted.push(character);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn escapes_become_backslashes() {
        assert_eq!(like("50!%", Some('!')).unwrap(), "50\\%");
        assert_eq!(like("a\\b!!%", Some('!')).unwrap(), "a\\\\b\\!%");
        assert_eq!(like("a%", None).unwrap(), "a%");
        assert_eq!(like("a!", Some('!')).unwrap_err().state.0, "22025");
    }

    #[test]
    fn similar_patterns_match_the_whole_text() {
        assert_eq!(similar("(a|b)%", Some('\\')).unwrap(), "^(?:(?:a|b).*)$");
        assert_eq!(similar("a.b_[%_]\\%", Some('\\')).unwrap(), "^(?:a\\.b.[%_]\\%)$");
    }
}
