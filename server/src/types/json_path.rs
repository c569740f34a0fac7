//! Parts of JSON texts: members, elements, containment. The texts are valid JSON, checked when they were stored or cast; a part is a slice
//! of the text, so that what was written stays as it was written.

use serde_json::Value;

/// What kind of JSON value a text is, as `jsonb_typeof` calls it.
pub fn kind(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// Checks a text of type `json` (22P02).
pub fn check(text: &str) -> crate::error::Result<()> {
    super::json::validate(text)
}

/// The value of a key; the last, if the text has more than one.
pub fn member<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    members(text)?.into_iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
}

/// The members of an object; `None` for any other value.
pub fn members(text: &str) -> Option<Vec<(String, &str)>> {
    let parts = parts(text, b'{', b'}')?;
    parts.into_iter().map(|part| split_member(part)).collect()
}

fn split_member(part: &str) -> Option<(String, &str)> {
    let end = string_end(part.as_bytes(), 0);
    let key = serde_json::from_str(part.get(..end)?).ok()?;
    let (_, value) = part.get(end..)?.split_once(':')?;
    Some((key, value.trim()))
}

/// The element at a position; a negative one counts from the end.
pub fn element(text: &str, index: i64) -> Option<&str> {
    let elements = elements(text)?;
    let index = if index < 0 { index + elements.len() as i64 } else { index };
    elements.get(usize::try_from(index).ok()?).copied()
}

/// The elements of an array; `None` for any other value.
pub fn elements(text: &str) -> Option<Vec<&str>> {
    parts(text, b'[', b']')
}

/// What stands between the commas of the outermost brackets.
fn parts(text: &str, open: u8, close: u8) -> Option<Vec<&str>> {
    let text = text.trim();
    let inner = text.as_bytes().first().filter(|byte| **byte == open).and_then(|_| text[1..].strip_suffix(char::from(close)))?;
    let bytes = inner.as_bytes();
    let (mut parts, mut depth, mut start, mut at) = (Vec::new(), 0usize, 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    let last = inner[start..].trim();
    if !(parts.is_empty() && last.is_empty()) {
        parts.push(last);
    }
    Some(parts)
}

/// Behind the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A value as text: a string without its quotes; `None` for `null`.
pub fn as_text(text: &str) -> Option<String> {
    match kind(text) {
        "null" => None,
        "string" => serde_json::from_str(text).ok(),
        _ => Some(text.to_string()),
    }
}

/// Follows a path of keys and positions.
pub fn at_path<'a>(text: &'a str, path: &[String]) -> Option<&'a str> {
    path.iter().try_fold(text, |text, step| match kind(text) {
        "array" => element(text, step.trim().parse().ok()?),
        _ => member(text, step),
    })
}

/// `jsonb @> jsonb`.
pub fn contains(whole: &str, part: &str) -> bool {
    match (serde_json::from_str::<Value>(whole), serde_json::from_str::<Value>(part)) {
        // An array contains a scalar that is one of its elements, at the top only.
        (Ok(Value::Array(items)), Ok(part @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)))) => {
            items.iter().any(|item| equal(item, &part))
        }
        (Ok(whole), Ok(part)) => holds(&whole, &part),
        _ => false,
    }
}

fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| holds(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => part.iter().all(|part| whole.iter().any(|whole| holds(whole, part))),
        (whole, part) => equal(whole, part),
    }
}

/// `jsonb = jsonb`: numbers by value.
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal(left, right)))
        }
        (left, right) => left == right,
    }
}

/// Whether two texts are equal as `jsonb`.
pub fn equal_texts(left: &str, right: &str) -> bool {
    match (serde_json::from_str(left), serde_json::from_str(right)) {
        (Ok(left), Ok(right)) => left == right || equal(&left, &right),
        _ => left == right,
    }
}

/// Text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    super::json::write_string(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_are_found_between_brackets_and_quotes() {
        let text = r#"{"a": {"b": [10, "x,]", null]}, "c\"d": "e\u00e9", "a2": 1, "n": null}"#;
        assert_eq!(member(text, "a"), Some(r#"{"b": [10, "x,]", null]}"#));
        assert_eq!(member(text, "c\"d").and_then(as_text).as_deref(), Some("eé"));
        assert_eq!(member(text, "z"), None);
        assert_eq!(as_text(member(text, "n").unwrap()), None);
        assert_eq!(at_path(text, &["a".into(), "b".into(), "-2".into()]), Some(r#""x,]""#));
        assert_eq!((element("[]", 0), element("[1, 2]", -1), element("{}", 0)), (None, Some("2"), None));
        assert_eq!(elements("[ ]").unwrap().len(), 0);
    }

    #[test]
    fn containment_is_postgresqls() {
        for (whole, part, expected) in [
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 1}"#, true),
            (r#"{"a": 1}"#, r#"{"a": 2}"#, false),
            ("[1, 2, 3]", "[3, 1]", true),
            ("[1, 2, 3]", "3", true),
            ("3", "[3]", false),
            ("1.0", "1", true),
            (r#"{"a": [{"b": 1, "c": 2}]}"#, r#"{"a": [{"c": 2}]}"#, true),
        ] {
            assert_eq!(contains(whole, part), expected, "{whole} @> {part}");
        }
    }
}
