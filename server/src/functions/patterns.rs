//! Patterns of LIKE with an escape character of its own, and of SIMILAR TO.

use super::scalar::{Function, as_text, text};
use crate::error::{Result, SqlError, SqlState};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

/// What `substring(x SIMILAR pattern ESCAPE escape)` calls.
pub const PART_OF_SIMILAR: &str = "plimsoll_part_of_similar";

/// `like_escape(pattern, escape)` and `similar_to_escape(pattern, escape)`.
pub fn functions() -> Vec<ScalarUDF> {
    vec![of_pattern("like_escape", like), of_pattern("similar_to_escape", similar), part_of_similar()]
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

/// The part of a text that stands between the two marks (the escape character and a quote) of a pattern; the whole if there are none.
fn part_of_similar() -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8View; 3], Volatility::Immutable);
    Function::of_rows(PART_OF_SIMILAR, signature, DataType::Utf8View, |args| {
        let (Some(whole), Some(pattern), Some(escape)) = (as_text(&args[0]), as_text(&args[1]), as_text(&args[2])) else {
            return Ok(ScalarValue::Utf8View(None));
        };
        let regex = parts(pattern, escape_character(escape)?)?;
        let found = regex.captures(whole).and_then(|found| found.get(1));
        Ok(ScalarValue::Utf8View(found.map(|part| part.as_str().to_string())))
    })
}

/// The first part takes as little as it can, the second as much.
fn parts(pattern: &str, escape: Option<char>) -> Result<regex::Regex> {
    let mut parts = vec![String::new()];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let part = parts.last_mut().expect("there is one part at least");
        if Some(character) != escape {
            part.push(character);
            continue;
        }
        match characters.next().ok_or_else(unfinished)? {
            '"' => parts.push(String::new()),
            escaped => part.extend([character, escaped]),
        }
    }
    let body = |part: &String| similar_body(part, escape);
    let regex = match parts.as_slice() {
        [whole] => format!("(?s)^({})$", body(whole)?),
        [before, wanted, after] => format!("(?s)^(?U:{})({})(?:{})$", body(before)?, body(wanted)?, body(after)?),
        _ => {
            let message = "SQL regular expression may not contain more than two escape-double-quote separators";
            return Err(SqlError::new(SqlState("2200C"), message));
        }
    };
    regex::Regex::new(&regex)
        .map_err(|error| SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {error}")))
}

/// A regular expression for a SIMILAR TO pattern.
fn similar(pattern: &str, escape: Option<char>) -> Result<String> {
    Ok(format!("^(?:{})$", similar_body(pattern, escape)?))
}

fn similar_body(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut converted = String::new();
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
    fn parts_of_patterns() {
        let part = |pattern, text: &str| parts(pattern, Some('#')).unwrap().captures(text).map(|found| found[1].to_string());
        assert_eq!(part("%#\"o_b#\"%", "foobar").as_deref(), Some("oob"));
        assert_eq!(part("#\"o_b#\"%", "foobar"), None);
        assert_eq!(part("a%", "abc").as_deref(), Some("abc"));
        assert_eq!(parts("a#\"b", Some('#')).unwrap_err().state.0, "2200C");
    }

    #[test]
    fn similar_patterns_match_the_whole_text() {
        assert_eq!(similar("(a|b)%", Some('\\')).unwrap(), "^(?:(?:a|b).*)$");
        assert_eq!(similar("a.b_[%_]\\%", Some('\\')).unwrap(), "^(?:a\\.b.[%_]\\%)$");
    }
}
