//! Texts as parts of SQL: `quote_literal`, `quote_nullable`, `quote_ident`, and `format`.

use super::overloads::Param::{Any, Of};
use super::overloads::{Call, Overloaded, Returns, results};
use super::text::{all_shown, shown};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{self, Text};
use crate::types::convert::convert;
use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

mod parse_ident;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Overloaded::named("quote_literal").taking(&[Any], Returns::Of(Text), |call| quoted(call, None)).build(),
        Overloaded::named("quote_nullable").taking(&[Any], Returns::Of(Text), |call| quoted(call, Some("NULL"))).build(),
        Overloaded::named("quote_ident").of(&[Text], Text, quote_ident).build(),
        parse_ident::function(),
        Overloaded::named("format").variadic(&[Of(Text)], Any, Returns::Of(Text), format).build(),
    ]
}

fn quoted(call: &Call, null: Option<&str>) -> Result<ArrayRef> {
    // A cast writes a boolean out.
    let text = match &call.types[0] {
        SqlType::Boolean => convert(&call.arrays[0], &SqlType::Boolean, &Text, &call.forms)?,
        other => shown(&call.arrays[0], other, &call.forms)?,
    };
    let literals = text.as_string_view().iter().map(|text| text.map(literal).or_else(|| null.map(str::to_string)));
    Ok(Arc::new(StringViewArray::from_iter(literals)))
}

fn quote_ident(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        out.push_str(&identifier(call.text(0, row)));
        Ok(true)
    })
}

/// A text as a literal.
pub fn literal(text: &str) -> String {
    let escaped = text.contains('\\');
    let doubled = text.replace('\'', "''").replace('\\', "\\\\");
    if escaped { format!("E'{doubled}'") } else { format!("'{doubled}'") }
}

/// A name as an identifier, in quotes where it needs them.
pub fn identifier(name: &str) -> String {
    let start = |byte: &u8| matches!(byte, b'a'..=b'z' | b'_');
    let plain = name.as_bytes().first().is_some_and(start) && name.bytes().all(|byte| start(&byte) || byte.is_ascii_digit());
    if plain && !is_reserved(name) { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// PostgreSQL's keywords that are not "unreserved": these are all that need quotes.
const KEYWORDS: &str = "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast \
    char character check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists \
    extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int integer \
    intersect interval into is isnull join lateral leading least left like limit localtime localtimestamp national natural nchar none \
    normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real \
    references returning right row select session_user setof similar smallint some substring symmetric table tablesample then time timestamp \
    to trailing treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat \
    xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable";

fn is_reserved(name: &str) -> bool {
    KEYWORDS.split_ascii_whitespace().any(|keyword| keyword == name)
}

fn format(call: &Call) -> Result<ArrayRef> {
    let texts = all_shown(call)?;
    let texts: Vec<_> = texts.iter().map(|texts| texts.as_string_view()).collect();
    let mut builder = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        if texts[0].is_null(row) {
            builder.append_null();
            continue;
        }
        let arguments: Vec<Option<&str>> = texts[1..].iter().map(|texts| texts.is_valid(row).then(|| texts.value(row))).collect();
        builder.append_value(formatted(texts[0].value(row), &arguments)?);
    }
    Ok(Arc::new(builder.finish()))
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A reader of one pattern and its arguments.
struct Formatter<'a> {
    rest: &'a str,
    arguments: &'a [Option<&'a str>],
    /// The next argument that is not named by its number.
    next: usize,
}

fn formatted(pattern: &str, arguments: &[Option<&str>]) -> Result<String> {
    let mut reader = Formatter { rest: pattern, arguments, next: 0 };
    let mut out = String::with_capacity(pattern.len());
    while let Some(at) = reader.rest.find('%') {
        out.push_str(&reader.rest[..at]);
        reader.rest = &reader.rest[at + 1..];
        match reader.rest.strip_prefix('%') {
            Some(after) => {
                out.push('%');
                reader.rest = after;
            }
            None => reader.specifier(&mut out)?,
        }
    }
    out.push_str(reader.rest);
    Ok(out)
}

impl<'a> Formatter<'a> {
    fn unterminated(&self) -> SqlError {
        invalid("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
    }
    fn digits(&mut self) -> Result<Option<usize>> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        self.rest = rest;
        let number = digits.parse::<i32>().map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"))?;
        Ok(usize::try_from(number).ok())
    }
    fn argument(&mut self, position: Option<usize>) -> Result<Option<&'a str>> {
        let at = match position {
            Some(0) => return Err(invalid("format specifies argument 0, but arguments are numbered from 1")),
            Some(position) => position - 1,
            None => self.next,
        };
        self.next = at + 1;
        self.arguments.get(at).copied().ok_or_else(|| invalid("too few arguments for format()"))
    }
    /// `[position$][-][width]type`; a width may be `*` or `*position$`.
    fn specifier(&mut self, out: &mut String) -> Result<()> {
        let mut number = self.digits()?;
        let mut position = None;
        if number.is_some()
            && let Some(after) = self.rest.strip_prefix('$')
        {
            (position, self.rest) = (number.take(), after);
        }
        let mut to_left = false;
        while let Some(after) = self.rest.strip_prefix('-').filter(|_| number.is_none()) {
            (to_left, self.rest) = (true, after);
        }
        let mut width = match number {
            Some(width) => width as i64,
            None => self.width()?,
        };
        if width < 0 {
            (to_left, width) = (true, -width);
        }
        let kind = self.rest.chars().next().ok_or_else(|| self.unterminated())?;
        if !matches!(kind, 's' | 'I' | 'L') {
            let error = invalid(format!("unrecognized format() type specifier \"{kind}\""));
            return Err(error.with_hint("For a single \"%\" use \"%%\"."));
        }
        self.rest = &self.rest[1..];
        let text = rendered(kind, self.argument(position)?)?;
        push_padded(out, &text, usize::try_from(width).unwrap_or(0), to_left);
        Ok(())
    }
    fn width(&mut self) -> Result<i64> {
        if let Some(after) = self.rest.strip_prefix('*') {
            self.rest = after;
            let position = self.digits()?;
            if position.is_some() {
                self.rest = self.rest.strip_prefix('$').ok_or_else(|| invalid("width argument position must be ended by \"$\""))?;
            }
            let width = self.argument(position)?.unwrap_or("0");
            let bad =
                || SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type integer: \"{width}\""));
            return width.trim().parse::<i32>().map(i64::from).map_err(|_| bad());
        }
        Ok(self.digits()?.map_or(0, |width| width as i64))
    }
}

fn rendered(kind: char, argument: Option<&str>) -> Result<String> {
    match (kind, argument) {
        ('s', text) => Ok(text.unwrap_or_default().to_string()),
        ('L', text) => Ok(text.map_or_else(|| "NULL".into(), literal)),
        (_, Some(name)) => Ok(identifier(name)),
        (_, None) => Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "null values cannot be formatted as an SQL identifier")),
    }
}

fn push_padded(out: &mut String, text: &str, width: usize, to_left: bool) {
    let blanks = width.saturating_sub(text.chars().count());
    if !to_left {
        out.extend(std::iter::repeat_n(' ', blanks));
    }
    out.push_str(text);
    if to_left {
        out.extend(std::iter::repeat_n(' ', blanks));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_are_filled() {
        let table: [(&str, &[Option<&str>], &str); 7] = [
            ("%s-%%", &[Some("a")], "a-%"),
            ("%2$s %s", &[Some("a"), Some("b"), Some("c")], "b c"),
            ("|%5s|%-5s|", &[Some("ab"), Some("cd")], "|   ab|cd   |"),
            ("|%*s|", &[Some("-4"), Some("x")], "|x   |"),
            ("%I", &[Some("select")], "\"select\""),
            ("%L %L", &[Some("it's"), None], "'it''s' NULL"),
            ("%L", &[Some("a\\b")], "E'a\\\\b'"),
        ];
        for (pattern, arguments, expected) in table {
            assert_eq!(formatted(pattern, arguments).unwrap(), expected, "{pattern}");
        }
        for (pattern, state) in [("%", "22023"), ("%x", "22023"), ("%s", "22023"), ("%0$s", "22023")] {
            assert_eq!(formatted(pattern, &[]).unwrap_err().state.0, state, "{pattern}");
        }
    }

    #[test]
    fn names_are_quoted_where_needed() {
        for (name, expected) in [("a_1", "a_1"), ("A", "\"A\""), ("1a", "\"1a\""), ("name", "name"), ("order", "\"order\""), ("", "\"\"")] {
            assert_eq!(identifier(name), expected);
        }
    }
}
