//! `parse_ident(text [, strict])`: a qualified name taken apart.

use crate::error::{Result, SqlError, SqlState};
use crate::functions::overloads::{Call, Overloaded, results};
use crate::types::SqlType::{self, Boolean, Text};
use arrow::array::ArrayRef;
use datafusion::logical_expr::ScalarUDF;

/// The function.
pub(super) fn function() -> ScalarUDF {
    let texts = || SqlType::Array(Box::new(Text));
    Overloaded::named("parse_ident").of(&[Text], texts(), parse).of(&[Text, Boolean], texts(), parse).build()
}

fn parse(call: &Call) -> Result<ArrayRef> {
    results::text_lists(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let strict = call.count() < 2 || call.boolean(1, row);
        let names = parts(call.text(0, row), strict)?;
        Ok(Some(names.into_iter().map(Some).collect()))
    })
}

fn invalid(text: &str, detail: &'static str) -> SqlError {
    let error = SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("string is not a valid identifier: \"{text}\""));
    if detail.is_empty() { error } else { error.with_detail(detail) }
}

/// The names between the points; what comes after them is forgiven unless `strict`.
fn parts(text: &str, strict: bool) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => within_quotes(quoted).map_err(|detail| invalid(text, detail))?,
            None => plain(rest),
        };
        if name.is_empty() {
            let detail = match () {
                () if rest.starts_with('.') => "No valid identifier before \".\".",
                () if !names.is_empty() => "No valid identifier after \".\".",
                () => "",
            };
            return Err(invalid(text, detail));
        }
        names.push(name);
        rest = after.trim_start();
        match rest.strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None if rest.is_empty() || !strict => return Ok(names),
            None => return Err(invalid(text, "")),
        }
    }
}

/// A name up to its closing quote, doubled ones within it, and what follows.
fn within_quotes(text: &str) -> std::result::Result<(String, &str), &'static str> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"').ok_or("String has unclosed double quotes.")?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None if name.is_empty() => return Err("Quoted identifier must not be empty."),
            None => return Ok((name, after)),
        }
    }
}

/// A name without quotes, folded; empty if none begins here.
fn plain(text: &str) -> (String, &str) {
    let begins = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || !letter.is_ascii();
    let goes_on = |letter: char| begins(letter) || letter.is_ascii_digit() || letter == '$';
    let end = if text.starts_with(begins) { text.find(|letter| !goes_on(letter)).unwrap_or(text.len()) } else { 0 };
    (text[..end].to_ascii_lowercase(), &text[end..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(parts(" A . \"B \"\"c\" ", true).unwrap(), ["a", "B \"c"]);
        assert_eq!(parts("foo.boo[]", false).unwrap(), ["foo", "boo"]);
        assert_eq!(parts("É.a$1", true).unwrap(), ["É", "a$1"]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let table = [
            ("1a", ""),
            ("", ""),
            ("a b", ""),
            ("a.1b", "No valid identifier after \".\"."),
            ("a.", "No valid identifier after \".\"."),
            (".a", "No valid identifier before \".\"."),
            ("\"a", "String has unclosed double quotes."),
            ("\"\"", "Quoted identifier must not be empty."),
        ];
        for (text, detail) in table {
            let error = parts(text, true).unwrap_err();
            assert_eq!((error.state.0, error.detail.as_deref().unwrap_or("")), ("22023", detail), "{text}");
        }
    }
}
