//! The functions of regular expressions: `regexp_replace`, `regexp_match`, `regexp_count`, and so on.

use super::{Found, Pattern};
use crate::error::{Result, SqlError, SqlState};
use crate::functions::overloads::{Call, Overloaded, results};
use crate::types::SqlType::{self, Boolean, Int4, Text};
use arrow::array::{ArrayRef, ListBuilder, StringViewBuilder};
use arrow::datatypes::Int32Type;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// All matches of `regexp_matches`, as an array of arrays: what the set-returning function unnests.
pub const ALL_MATCHES: &str = "plimsoll_regexp_matches";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let texts = || SqlType::Array(Box::new(Text));
    let matches = SqlType::Array(Box::new(texts()));
    let two = [Text, Text];
    let three = [Text, Text, Text];
    vec![
        Overloaded::named("regexp_replace")
            .of(&three, Text, |call| replace(call, Positions { start: None, nth: None, flags: None }))
            .of(&[Text, Text, Text, Text], Text, |call| replace(call, Positions { start: None, nth: None, flags: Some(3) }))
            .of(&[Text, Text, Text, Int4], Text, |call| replace(call, Positions { start: Some(3), nth: None, flags: None }))
            .of(&[Text, Text, Text, Int4, Int4], Text, |call| replace(call, Positions { start: Some(3), nth: Some(4), flags: None }))
            .of(&[Text, Text, Text, Int4, Int4, Text], Text, |call| {
                replace(call, Positions { start: Some(3), nth: Some(4), flags: Some(5) })
            })
            .build(),
        Overloaded::named("regexp_match").of(&two, texts(), first_match).of(&three, texts(), first_match).build(),
        Overloaded::named(ALL_MATCHES).of(&two, matches.clone(), all_matches).of(&three, matches, all_matches).build(),
        Overloaded::named("regexp_split_to_array").of(&two, texts(), split).of(&three, texts(), split).build(),
        Overloaded::named("regexp_like").of(&two, Boolean, like).of(&three, Boolean, like).build(),
        Overloaded::named("regexp_count")
            .of(&two, Int4, count)
            .of(&[Text, Text, Int4], Int4, count)
            .of(&[Text, Text, Int4, Text], Int4, count)
            .build(),
        many("regexp_instr", Int4, &[Int4, Int4, Int4, Text, Int4], instr),
        many("regexp_substr", Text, &[Int4, Int4, Text, Int4], substr),
    ]
}

/// A function whose arguments after two texts may be left out from the end.
fn many(name: &'static str, returns: SqlType, rest: &[SqlType], body: fn(&Call) -> Result<ArrayRef>) -> ScalarUDF {
    let mut all = Overloaded::named(name);
    for count in 0..=rest.len() {
        let params: Vec<SqlType> = [Text, Text].into_iter().chain(rest[..count].iter().cloned()).collect();
        all = all.of(&params, returns.clone(), body);
    }
    all.build()
}

/// The pattern of the last row, which mostly is the pattern of the next.
#[derive(Default)]
struct Compiled {
    last: Option<(String, String, Arc<Pattern>)>,
}

impl Compiled {
    fn get(&mut self, pattern: &str, flags: &str) -> Result<Arc<Pattern>> {
        if let Some((known, known_flags, compiled)) = &self.last
            && known == pattern
            && known_flags == flags
        {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(Pattern::new(pattern, flags)?);
        self.last = Some((pattern.into(), flags.into(), Arc::clone(&compiled)));
        Ok(compiled)
    }
    /// For a function that asks for the text that matches.
    fn exact(&mut self, pattern: &str, flags: &str) -> Result<Arc<Pattern>> {
        let compiled = self.get(pattern, flags)?;
        compiled.check_extent()?;
        Ok(compiled)
    }
}

fn parameter(name: &str, value: i32) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid value for parameter \"{name}\": {value}"))
}

fn positive(call: &Call, argument: usize, row: usize, name: &str) -> Result<usize> {
    if argument >= call.count() {
        return Ok(1);
    }
    let value = call.int4(argument, row);
    usize::try_from(value).ok().filter(|value| *value > 0).ok_or_else(|| parameter(name, value))
}

/// The byte at which a character begins; behind the end if there is none.
fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character - 1)
        .map_or(if text.chars().count() == character - 1 { text.len() } else { text.len() + 1 }, |(at, _)| at)
}

fn flags_of(call: &Call, argument: usize, row: usize) -> &str {
    if argument < call.count() { call.text(argument, row) } else { "" }
}

fn no_global(flags: &str, function: &str) -> Result<()> {
    if !flags.contains('g') {
        return Ok(());
    }
    let message = format!("{function}() does not support the \"global\" option");
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}

/// Where the optional arguments stand.
#[derive(Clone, Copy)]
struct Positions {
    start: Option<usize>,
    nth: Option<usize>,
    flags: Option<usize>,
}

fn replace(call: &Call, at: Positions) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    results::texts(call, |row, out| {
        let (text, replacement) = (call.text(0, row), call.text(2, row));
        let letters = at.flags.map_or("", |argument| call.text(argument, row));
        if at.start.is_none() && letters.chars().next().is_some_and(|first| first.is_ascii_digit()) {
            let message = format!("invalid regular expression option: \"{}\"", &letters[..1]);
            let hint = "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(hint));
        }
        let start = at.start.map_or(Ok(1), |argument| positive(call, argument, row, "start"))?;
        let nth = match at.nth.map(|argument| call.int4(argument, row)) {
            Some(nth) if nth < 0 => return Err(parameter("n", nth)),
            Some(nth) => nth as usize,
            None => usize::from(!letters.contains('g')),
        };
        let pattern = compiled.exact(call.text(1, row), &letters.replace('g', ""))?;
        replaced(&pattern, text, byte_of(text, start), nth, replacement, out);
        Ok(true)
    })
}

/// Replaces the match with number `nth`, or all of them for 0.
fn replaced(pattern: &Pattern, text: &str, from: usize, nth: usize, replacement: &str, out: &mut String) {
    let mut copied = 0;
    for (index, found) in matches(pattern, text, from, nth).into_iter().enumerate() {
        if nth != 0 && index + 1 != nth {
            continue;
        }
        out.push_str(&text[copied..found.start()]);
        expand(replacement, text, &found, out);
        copied = found.end();
    }
    out.push_str(&text[copied..]);
}

fn matches(pattern: &Pattern, text: &str, from: usize, nth: usize) -> Vec<Found> {
    if nth == 1 { pattern.find_at(text, from).into_iter().filter(|_| from <= text.len()).collect() } else { pattern.find_all(text, from) }
}

/// `\1` to `\9` are the groups, `\&` the whole match.
fn expand(replacement: &str, text: &str, found: &Found, out: &mut String) {
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let group = match rest.as_bytes().first() {
            Some(b'&') => 0,
            Some(digit @ b'1'..=b'9') => usize::from(digit - b'0'),
            Some(b'\\') => {
                out.push('\\');
                rest = &rest[1..];
                continue;
            }
            _ => {
                out.push('\\');
                continue;
            }
        };
        if let Some((start, end)) = found.spans.get(group).copied().flatten() {
            out.push_str(&text[start..end]);
        }
        rest = &rest[1..];
    }
    out.push_str(rest);
}

/// The groups, or the whole if there are none.
fn groups(text: &str, found: &Found) -> Vec<Option<String>> {
    let spans = if found.spans.len() > 1 { &found.spans[1..] } else { &found.spans[..] };
    spans.iter().map(|span| span.map(|(start, end)| text[start..end].to_string())).collect()
}

fn first_match(call: &Call) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    results::text_lists(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let flags = flags_of(call, 2, row);
        no_global(flags, "regexp_match").map_err(|error| error.with_hint("Use the regexp_matches function instead."))?;
        let pattern = compiled.exact(call.text(1, row), flags)?;
        let text = call.text(0, row);
        Ok(pattern.find_at(text, 0).map(|found| groups(text, &found)))
    })
}

fn all_matches(call: &Call) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    let mut builder = ListBuilder::new(ListBuilder::new(StringViewBuilder::new()));
    for row in 0..call.rows {
        if call.any_null(row) {
            builder.append(false);
            continue;
        }
        let flags = flags_of(call, 2, row);
        let pattern = compiled.exact(call.text(1, row), &flags.replace('g', ""))?;
        let text = call.text(0, row);
        for found in matches(&pattern, text, 0, usize::from(!flags.contains('g'))) {
            let inner = builder.values();
            groups(text, &found).into_iter().for_each(|group| inner.values().append_option(group));
            inner.append(true);
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

/// An empty match splits nothing at the ends of the text, nor where the last match ended.
fn split(call: &Call) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    results::text_lists(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let flags = flags_of(call, 2, row);
        no_global(flags, "regexp_split_to_array")?;
        let pattern = compiled.exact(call.text(1, row), flags)?;
        let text = call.text(0, row);
        let (mut parts, mut from) = (Vec::new(), 0);
        for found in pattern.find_all(text, 0) {
            let empty = found.start() == found.end();
            if empty && (found.start() == from || found.start() == text.len()) {
                continue;
            }
            parts.push(Some(text[from..found.start()].to_string()));
            from = found.end();
        }
        parts.push(Some(text[from..].to_string()));
        Ok(Some(parts))
    })
}

fn like(call: &Call) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    results::booleans(call, |row| {
        let flags = flags_of(call, 2, row);
        no_global(flags, "regexp_like")?;
        Ok(Some(compiled.get(call.text(1, row), flags)?.is_match(call.text(0, row))))
    })
}

fn count(call: &Call) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    results::numbers::<Int32Type>(call, |row| {
        let start = positive(call, 2, row, "start")?;
        let flags = flags_of(call, 3, row);
        no_global(flags, "regexp_count")?;
        let pattern = compiled.exact(call.text(1, row), flags)?;
        let text = call.text(0, row);
        Ok(i32::try_from(pattern.find_all(text, byte_of(text, start)).len()).ok())
    })
}

/// The match with a number, and the span of one of its groups.
fn nth_span(pattern: &Pattern, text: &str, start: usize, nth: usize, group: usize) -> Option<(usize, usize)> {
    let found = matches(pattern, text, byte_of(text, start), nth).into_iter().nth(nth - 1)?;
    found.spans.get(group).copied().flatten()
}

fn group_number(call: &Call, argument: usize, row: usize) -> Result<usize> {
    if argument >= call.count() {
        return Ok(0);
    }
    let group = call.int4(argument, row);
    usize::try_from(group).map_err(|_| parameter("subexpr", group))
}

/// `regexp_instr(text, pattern, start, n, end_option, flags, subexpr)`.
fn instr(call: &Call) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    results::numbers::<Int32Type>(call, |row| {
        let text = call.text(0, row);
        let (start, nth) = (positive(call, 2, row, "start")?, positive(call, 3, row, "n")?);
        let end = if call.count() > 4 { call.int4(4, row) } else { 0 };
        if !(0..=1).contains(&end) {
            return Err(parameter("endoption", end));
        }
        let flags = flags_of(call, 5, row);
        let group = group_number(call, 6, row)?;
        no_global(flags, "regexp_instr")?;
        let pattern = compiled.exact(call.text(1, row), flags)?;
        let span = nth_span(&pattern, text, start, nth, group);
        let at = span.map(|(from, to)| text[..if end == 1 { to } else { from }].chars().count() + 1);
        Ok(i32::try_from(at.unwrap_or(0)).ok())
    })
}

/// `regexp_substr(text, pattern, start, n, flags, subexpr)`.
fn substr(call: &Call) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    results::texts(call, |row, out| {
        let text = call.text(0, row);
        let (start, nth) = (positive(call, 2, row, "start")?, positive(call, 3, row, "n")?);
        let flags = flags_of(call, 4, row);
        let group = group_number(call, 5, row)?;
        no_global(flags, "regexp_substr")?;
        let pattern = compiled.exact(call.text(1, row), flags)?;
        let span = nth_span(&pattern, text, start, nth, group);
        if let Some((from, to)) = span {
            out.push_str(&text[from..to]);
        }
        Ok(span.is_some())
    })
}

/// `substring(text FROM pattern)`: the first group, or the whole if there is none.
pub fn first_group(call: &Call) -> Result<ArrayRef> {
    let mut compiled = Compiled::default();
    results::texts(call, |row, out| {
        let text = call.text(0, row);
        let pattern = compiled.exact(call.text(1, row), "")?;
        let span = pattern.find_at(text, 0).and_then(|found| found.spans.get(usize::from(pattern.groups() > 0)).copied().flatten());
        if let Some((from, to)) = span {
            out.push_str(&text[from..to]);
        }
        Ok(span.is_some())
    })
}
