//! Text -> tokens.

use crate::error::{Result, SqlError, SqlState};
use crate::types::json_path::quoted;

/// A token, and the text that it is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// As it was written.
    pub text: String,
}

/// Kinds of tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A name without quotes; words of the language are names, too.
    Word(String),
    /// Text in quotes.
    Text(String),
    /// `$name`
    Variable(String),
    /// A number.
    Number(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Operators, the longer ones first.
const SIGNS: [&str; 29] = [
    "&&", "||", "==", "!=", "<>", "<=", ">=", "**", "$", "@", "?", "%", ".", "[", "]", "{", "}", "(", ")", "!", "=", "<", ">", ",", "*",
    "-", "+", "/", ":",
];

/// The error of a text that is none.
pub fn syntax_error(near: Option<&str>) -> SqlError {
    let message = match near {
        Some(text) => format!("syntax error at or near \"{text}\" of jsonpath input"),
        None => "syntax error at end of jsonpath input".into(),
    };
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

/// Cuts a text.
pub fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut rest = text;
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").ok_or_else(|| failed("unexpected end of comment", None))?;
            rest = &comment[end + 2..];
            continue;
        }
        if rest.is_empty() {
            return Ok(tokens);
        }
        let (kind, length) = token(rest)?;
        tokens.push(Token { kind, text: rest[..length].to_string() });
        rest = &rest[length..];
    }
}

fn failed(message: &str, near: Option<&str>) -> SqlError {
    let place = near.map_or_else(|| "at end".into(), |near| format!("at or near \"{near}\""));
    SqlError::new(SqlState::SYNTAX_ERROR, format!("{message} {place} of jsonpath input"))
}

fn token(rest: &str) -> Result<(Kind, usize)> {
    if let Some(length) = number(rest)? {
        return Ok((Kind::Number(rest[..length].to_string()), length));
    }
    if rest.starts_with('"') {
        let (text, length) = string(rest)?;
        return Ok((Kind::Text(text), length));
    }
    if let Some(name) = rest.strip_prefix('$') {
        if name.starts_with('"') {
            let (text, length) = string(name)?;
            return Ok((Kind::Variable(text), length + 1));
        }
        let (text, length) = word(name)?;
        return Ok(if length == 0 { (Kind::Sign("$"), 1) } else { (Kind::Variable(text), length + 1) });
    }
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let (text, length) = word(rest)?;
    if length == 0 {
        return Err(syntax_error(Some(&rest[..rest.chars().next().map_or(0, char::len_utf8)])));
    }
    Ok((Kind::Word(text), length))
}

/// How long the number is that a text begins with.
fn number(rest: &str) -> Result<Option<usize>> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    let fraction = if bytes.get(whole) == Some(&b'.') { Some(digits(whole + 1)) } else { None };
    if whole == 0 && fraction.unwrap_or(0) == 0 {
        return Ok(None);
    }
    // `1.type()` is a number's method only behind a blank or parentheses.
    let mut length = whole + fraction.map_or(0, |fraction| fraction + 1);
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = bytes.get(length + 1 + sign..).map_or(0, |_| digits(length + 1 + sign));
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    let junk = rest[length..].chars().next().filter(|next| !is_special(*next) && !next.is_whitespace());
    let leading_zero = whole > 1 && bytes[0] == b'0';
    match junk {
        Some(junk) => Err(failed("trailing junk after numeric literal", Some(&format!("{}{junk}", &rest[..length])))),
        None if leading_zero => Err(failed("trailing junk after numeric literal", Some(&rest[..2]))),
        None => Ok(Some(length)),
    }
}

fn is_special(c: char) -> bool {
    matches!(
        c,
        '?' | '%'
            | '$'
            | '.'
            | '['
            | ']'
            | '{'
            | '}'
            | '('
            | ')'
            | '|'
            | '&'
            | '!'
            | '='
            | '<'
            | '>'
            | '@'
            | '#'
            | ','
            | '*'
            | ':'
            | '-'
            | '+'
            | '/'
    )
}

/// A name, and how long it is as written.
fn word(rest: &str) -> Result<(String, usize)> {
    let mut name = String::new();
    let mut at = 0;
    while let Some(c) = rest[at..].chars().next().filter(|c| !is_special(*c) && !c.is_whitespace() && *c != '"') {
        if c == '\\' {
            let (escaped, length) = escape(&rest[at..])?;
            name.push_str(&escaped);
            at += length;
        } else {
            name.push(c);
            at += c.len_utf8();
        }
    }
    Ok((name, at))
}

/// Text in quotes, and how long it is as written.
fn string(rest: &str) -> Result<(String, usize)> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        match rest[at..].chars().next() {
            None => return Err(failed("unterminated quoted string", None)),
            Some('"') => return Ok((text, at + 1)),
            Some('\\') => {
                let (escaped, length) = escape(&rest[at..])?;
                text.push_str(&escaped);
                at += length;
            }
            Some(c) => {
                text.push(c);
                at += c.len_utf8();
            }
        }
    }
}

/// What stands behind a backslash, and how long it is with it.
fn escape(rest: &str) -> Result<(String, usize)> {
    let c = rest[1..].chars().next().ok_or_else(|| failed("unexpected end after backslash", None))?;
    let plain = |text: &str| Ok((text.to_string(), 2));
    match c {
        'b' => plain("\u{8}"),
        'f' => plain("\u{c}"),
        'n' => plain("\n"),
        'r' => plain("\r"),
        't' => plain("\t"),
        'v' => plain("\u{b}"),
        'x' => {
            let digits = rest.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let code = digits.ok_or_else(|| failed("invalid hexadecimal character sequence", Some(rest)))?;
            Ok((char::from(code).to_string(), 4))
        }
        'u' => unicode(rest),
        other => Ok((other.to_string(), 1 + other.len_utf8())),
    }
}

fn unicode(rest: &str) -> Result<(String, usize)> {
    let invalid = || failed("invalid Unicode escape sequence", Some(rest));
    let one = |rest: &str| -> Option<(u32, usize)> {
        if let Some(open) = rest.strip_prefix("\\u{") {
            let end = open.find('}').filter(|end| (1..=6).contains(end))?;
            return Some((u32::from_str_radix(&open[..end], 16).ok()?, end + 4));
        }
        let digits = rest.strip_prefix("\\u")?.get(..4)?;
        Some((u32::from_str_radix(digits, 16).ok()?, 6))
    };
    let (code, length) = one(rest).ok_or_else(invalid)?;
    if let Some(c) = char::from_u32(code) {
        return Ok((c.to_string(), length));
    }
    let (low, more) = one(&rest[length..]).filter(|(low, _)| (0xdc00..0xe000).contains(low) && code < 0xdc00).ok_or_else(invalid)?;
    let whole = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    Ok((char::from_u32(whole).ok_or_else(invalid)?.to_string(), length + more))
}

/// Text as a literal of a path.
pub fn written(text: &str) -> String {
    quoted(text)
}
