//! JSON texts: checked as `json` demands, and brought into the normal form of `jsonb`.

use crate::error::{Result, SqlError, SqlState};

/// Nesting beyond this is refused: the reader recurses.
const DEPTH_MAX: usize = 500;

/// Checks a text of type `json`.
pub(super) fn validate(text: &str) -> Result<()> {
    read(text).map(drop)
}

/// The normal form of `jsonb`: keys sorted by length and then bytes, the last of equal keys, one blank after colons and commas, numbers exact.
pub(super) fn normalize(text: &str) -> Result<String> {
    let value = read(text)?;
    let mut out = String::with_capacity(text.len());
    write(&value, &mut out);
    Ok(out)
}

enum Value<'a> {
    /// `true`, `false`, `null`.
    Word(&'a str),
    Number(&'a str),
    Text(String),
    Array(Vec<Value<'a>>),
    Object(Vec<(String, Value<'a>)>),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

fn read(text: &str) -> Result<Value<'_>> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.value().and_then(|value| match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.unexpected("end of input")),
    });
    value.map_err(|error| error.with_context(reader.context()))
}

/// Characters that an excerpt shows before what is wrong, at most; and how near to the line's begin it starts there.
const EXCERPT_CHARS_MAX: usize = 50;
const EXCERPT_CHARS_SKIPPED_MIN: usize = 4;

fn invalid(detail: String) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json").with_detail(detail)
}

/// The bytes of a string with its quotation marks, or of all that is left.
fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

impl<'a> Reader<'a> {
    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }
    /// The text from where the reader stands to the end of a token.
    fn token(&self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let length = match rest.as_bytes().first() {
            Some(b'"') => string_length(rest),
            Some(b'-') => 1 + rest[1..].find(|c: char| !(c.is_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len() - 1),
            _ => word.max(first),
        };
        &rest[..length]
    }
    /// A token that is none, or stands in the wrong place.
    fn unexpected(&self, expected: &str) -> SqlError {
        let token = self.token();
        let is_token = match token.as_bytes() {
            [] => return invalid("The input string ended unexpectedly.".into()),
            [b'{' | b'}' | b'[' | b']' | b':' | b','] | b"true" | b"false" | b"null" => true,
            [b'"', ..] => true,
            [first, ..] => first.is_ascii_digit() || *first == b'-' && token.len() > 1,
        };
        let shown: String = token.chars().take(64).collect();
        invalid(if is_token { format!("Expected {expected}, but found \"{shown}\".") } else { format!("Token \"{shown}\" is invalid.") })
    }
    fn invalid_token(&self) -> SqlError {
        match self.token() {
            "" => invalid("The input string ended unexpectedly.".into()),
            token => invalid(format!("Token \"{}\" is invalid.", token.chars().take(64).collect::<String>())),
        }
    }
    /// The line that is wrong, up to the token that is.
    fn context(&self) -> String {
        let at = self.at.min(self.text.len());
        let end = at + self.token().len();
        let Some(before) = self.text.get(..at) else {
            return format!("JSON data, line 1: {}", self.text.chars().take(64).collect::<String>());
        };
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = &self.text[line_start..end];
        let skipped = line.chars().count().saturating_sub(EXCERPT_CHARS_MAX - 1);
        let skipped = if skipped < EXCERPT_CHARS_SKIPPED_MIN { 0 } else { skipped };
        let excerpt: String = line.chars().skip(skipped).collect();
        let follows = self.text[end..].chars().next().is_some_and(|next| !matches!(next, '\n' | '\r'));
        let (before_it, behind_it) = (if skipped > 0 { "..." } else { "" }, if follows { "..." } else { "" });
        format!("JSON data, line {}: {before_it}{excerpt}{behind_it}", before.matches('\n').count() + 1)
    }
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(&format!("\"{}\"", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }
    fn value(&mut self) -> Result<Value<'a>> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value<'a>>) -> Result<Value<'a>> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, format!("JSON is nested more than {DEPTH_MAX} levels deep")));
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }
    fn object(&mut self) -> Result<Value<'a>> {
        let mut members = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        let mut expected = "string or \"}\"";
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected(expected));
            }
            expected = "string";
            let key = self.string()?;
            self.expect(b':')?;
            members.push((key, self.value()?));
            if !self.more(b'}')? {
                return Ok(Value::Object(members));
            }
        }
    }
    fn array(&mut self) -> Result<Value<'a>> {
        let mut elements = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            if !self.more(b']')? {
                return Ok(Value::Array(elements));
            }
        }
    }
    /// A comma, or the end.
    fn more(&mut self, end: u8) -> Result<bool> {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(byte) if byte == end => {
                self.at += 1;
                return Ok(false);
            }
            _ => return Err(self.unexpected(&format!("\",\" or \"{}\"", char::from(end)))),
        }
        Ok(true)
    }
    fn word(&mut self) -> Result<Value<'a>> {
        let rest = &self.text[self.at..];
        let found = ["true", "false", "null"]
            .into_iter()
            .find(|word| rest.strip_prefix(word).is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')));
        let word = found.ok_or_else(|| self.unexpected("JSON value"))?;
        self.at += word.len();
        Ok(Value::Word(word))
    }
    fn number(&mut self) -> Result<Value<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = digits(at);
        let mut good = whole > at && (bytes[at] != b'0' || whole == at + 1);
        at = whole;
        if bytes.get(at) == Some(&b'.') {
            let end = digits(at + 1);
            good &= end > at + 1;
            at = end;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let from = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let end = digits(from);
            good &= end > from;
            at = end;
        }
        let glued = self.text[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if !good || glued {
            return Err(self.invalid_token());
        }
        self.at = at;
        Ok(Value::Number(&self.text[start..at]))
    }
    fn string(&mut self) -> Result<String> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        let mut out = String::new();
        loop {
            let run = self.at;
            while bytes.get(self.at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            out.push_str(&self.text[run..self.at]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                Some(byte) => return Err(invalid(format!("Character with value 0x{byte:02x} must be escaped."))),
                None => {
                    let start = run.saturating_sub(1);
                    self.at = bytes.len();
                    let token: String = self.text[self.text[..start].rfind('"').unwrap_or(start)..].chars().take(64).collect();
                    return Err(invalid(format!("Token \"{token}\" is invalid.")));
                }
            }
        }
    }
    fn escape(&mut self, out: &mut String) -> Result<()> {
        let escaped = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        match escaped {
            Some(byte @ (b'"' | b'\\' | b'/')) => out.push(char::from(byte)),
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'n') => out.push('\n'),
            Some(b'r') => out.push('\r'),
            Some(b't') => out.push('\t'),
            Some(b'u') => out.push(self.unicode()?),
            _ => return Err(invalid("Escape sequence is invalid.".into())),
        }
        Ok(())
    }
    fn unicode(&mut self) -> Result<char> {
        let first = self.hex4()?;
        if first == 0 {
            return Err(SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
                .with_detail("\\u0000 cannot be converted to text."));
        }
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or_else(|| invalid("Unicode low surrogate must follow a high surrogate.".into()));
        }
        let low_must_follow = || invalid("Unicode high surrogate must be followed by a low surrogate.".into());
        if !self.text[self.at.min(self.text.len())..].starts_with("\\u") {
            return Err(low_must_follow());
        }
        self.at += 2;
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(low_must_follow());
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(low_must_follow)
    }
    fn hex4(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        value.ok_or_else(|| invalid("\"\\u\" must be followed by four hexadecimal digits.".into()))
    }
}

fn write(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Word(word) => out.push_str(word),
        Value::Number(text) => write_number(text, out),
        Value::Text(text) => write_string(text, out),
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write(element, out);
            }
            out.push(']');
        }
        Value::Object(members) => write_object(members, out),
    }
}

fn write_object(members: &[(String, Value<'_>)], out: &mut String) {
    let mut order: Vec<usize> = (0..members.len()).collect();
    let key = |index: usize| (members[index].0.len(), members[index].0.as_bytes());
    order.sort_by(|a, b| key(*a).cmp(&key(*b)).then(b.cmp(a)));
    order.dedup_by(|later, earlier| members[*later].0 == members[*earlier].0);
    out.push('{');
    for (place, index) in order.into_iter().enumerate() {
        out.push_str(if place == 0 { "" } else { ", " });
        write_string(&members[index].0, out);
        out.push_str(": ");
        write(&members[index].1, out);
    }
    out.push('}');
}

/// Appends a JSON string.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Numbers as `numeric` prints them: without exponent, and with no sign before zero. A huge exponent stays as it is written.
fn write_number(text: &str, out: &mut String) {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|exponent| exponent.abs() <= 1000) else { return out.push_str(text) };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if negative && digits.bytes().any(|digit| digit != b'0') {
        out.push('-');
    }
    let point = whole.len() as i64 + exponent;
    if point <= 0 {
        out.push_str("0.");
        (0..-point).for_each(|_| out.push('0'));
        return out.push_str(&digits);
    }
    let point = point as usize;
    let kept = digits[..point.min(digits.len())].trim_start_matches('0');
    let padding = point.saturating_sub(digits.len());
    out.push_str(kept);
    (0..padding).filter(|_| !kept.is_empty()).for_each(|_| out.push('0'));
    if kept.is_empty() {
        out.push('0');
    }
    if point < digits.len() {
        out.push('.');
        out.push_str(&digits[point..]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_normal_form() {
        let table = [
            (r#"{"b":[1,2],"a":1}"#, r#"{"a": 1, "b": [1, 2]}"#),
            (r#"{"bb":1,"a":2,"bb":3,"c":4}"#, r#"{"a": 2, "c": 4, "bb": 3}"#),
            (r#" [ ] "#, "[]"),
            (r#"{}"#, "{}"),
            (r#""A\n""#, r#""A\n""#),
            (r#""😀""#, "\"😀\""),
            ("1e3", "1000"),
            ("1.50", "1.50"),
            ("-0.0", "0.0"),
            ("1.5e-2", "0.015"),
            ("123456789012345678901234567890.12", "123456789012345678901234567890.12"),
            ("0e5", "0"),
            ("null", "null"),
        ];
        for (text, expected) in table {
            assert_eq!(normalize(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_json() {
        for text in ["", "{", "[1,]", "{a:1}", "01", "1.", "tru", "truex", "\"abc", "\"\u{1}\"", "\"\\x\"", "1 2", "'a'", "{\"a\" 1}", "-"]
        {
            let error = validate(text).unwrap_err();
            assert_eq!((error.state.0, error.message.as_ref()), ("22P02", "invalid input syntax for type json"), "{text}");
        }
        assert_eq!(validate("{x}").unwrap_err().detail.unwrap(), "Token \"x\" is invalid.");
        assert_eq!(validate(&"[".repeat(100_000)).unwrap_err().state.0, "54001");
    }

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(text in "[\\[\\]{}\",:0-9a-z\\\\. ]{0,30}") {
            if let Ok(once) = normalize(&text) {
                prop_assert_eq!(normalize(&once).unwrap(), once);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = validate(&text);
        }
    }
}
