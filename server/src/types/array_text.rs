//! The text of arrays: `{a,"b c",NULL,{..}}`.

use crate::error::{Result, SqlError, SqlState};

/// Nesting beyond this is refused, as in PostgreSQL.
const DIMENSIONS_MAX: usize = 6;

/// A part of an array's text.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Null,
    Value(String),
    Array(Vec<Item>),
}

fn malformed(text: &str, detail: &'static str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\"")).with_detail(detail)
}

/// Reads the items of an array's text.
pub(super) fn parse(text: &str) -> Result<Vec<Item>> {
    let mut rest = text.trim_ascii();
    if rest.starts_with('[') {
        return Err(SqlError::unsupported("an array with explicit bounds"));
    }
    if !rest.starts_with('{') {
        return Err(malformed(text, "Array value must start with \"{\" or dimension information."));
    }
    let items = array(text, &mut rest, 1)?;
    if !rest.trim_ascii().is_empty() {
        return Err(malformed(text, "Junk after closing right brace."));
    }
    Ok(items)
}

fn array(text: &str, rest: &mut &str, depth: usize) -> Result<Vec<Item>> {
    if depth > DIMENSIONS_MAX {
        let message = format!("number of array dimensions exceeds the maximum allowed ({DIMENSIONS_MAX})");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    *rest = rest[1..].trim_ascii_start();
    let mut items = Vec::new();
    if let Some(after) = rest.strip_prefix('}') {
        *rest = after;
        return Ok(items);
    }
    loop {
        items.push(item(text, rest, depth)?);
        *rest = rest.trim_ascii_start();
        match rest.as_bytes().first() {
            Some(b',') => *rest = rest[1..].trim_ascii_start(),
            Some(b'}') => {
                *rest = &rest[1..];
                return Ok(items);
            }
            Some(_) => return Err(malformed(text, "Unexpected array element.")),
            None => return Err(malformed(text, "Unexpected end of input.")),
        }
    }
}

fn item(text: &str, rest: &mut &str, depth: usize) -> Result<Item> {
    match rest.as_bytes().first() {
        Some(b'{') => array(text, rest, depth + 1).map(Item::Array),
        Some(b'"') => quoted(text, rest),
        Some(b',' | b'}') => Err(malformed(text, "Unexpected \"}\" or \",\" character.")),
        Some(_) => bare(text, rest),
        None => Err(malformed(text, "Unexpected end of input.")),
    }
}

fn quoted(text: &str, rest: &mut &str) -> Result<Item> {
    let mut value = String::new();
    let mut characters = rest[1..].char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => {
                *rest = &rest[at + 2..];
                return Ok(Item::Value(value));
            }
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    Err(malformed(text, "Unexpected end of input."))
}

fn bare(text: &str, rest: &mut &str) -> Result<Item> {
    let mut value = String::new();
    let mut kept = 0;
    let mut escaped_any = false;
    let mut end = rest.len();
    let mut characters = rest.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            ',' | '}' => {
                end = at;
                break;
            }
            '{' | '"' => return Err(malformed(text, "Unexpected array element.")),
            '\\' => {
                escaped_any = true;
                value.extend(characters.next().map(|(_, escaped)| escaped));
                kept = value.len();
            }
            c => {
                value.push(c);
                kept = if c.is_ascii_whitespace() { kept } else { value.len() };
            }
        }
    }
    *rest = &rest[end..];
    value.truncate(kept);
    let null = !escaped_any && value.eq_ignore_ascii_case("null");
    Ok(if null { Item::Null } else { Item::Value(value) })
}

/// Whether an element's text must be quoted.
pub(super) fn needs_quotes(value: &[u8]) -> bool {
    value.is_empty()
        || value.eq_ignore_ascii_case(b"null")
        || value.iter().any(|byte| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn value(text: &str) -> Item {
        Item::Value(text.into())
    }

    #[test]
    fn reads() {
        let items = parse(r#" {a, "b c" ,NULL,"NULL",x\,y, d e ,{1,2}} "#).unwrap();
        let expected = vec![
            value("a"),
            value("b c"),
            Item::Null,
            value("NULL"),
            value("x,y"),
            value("d e"),
            Item::Array(vec![value("1"), value("2")]),
        ];
        assert_eq!(items, expected);
        assert_eq!(parse("{}").unwrap(), vec![]);
    }

    #[test]
    fn refuses() {
        for text in ["", "a", "{", "{a", "{a,}", "{\"a", "{a}b", "{a\"b\"}"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.message, format!("malformed array literal: \"{text}\""));
        }
        assert_eq!(parse(&"{".repeat(50)).unwrap_err().state.0, "54000");
    }
}
