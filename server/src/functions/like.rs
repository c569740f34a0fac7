//! LIKE with a pattern that may end in a backslash: 22025, where the text is long enough to get there.
//!
//! The engine takes such a backslash for a character. Literal patterns that do not end in one are its own affair.

use super::overloads::Param::Any;
use super::overloads::{Call, Overloaded, Returns, results};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{Boolean, Text};
use arrow::array::{ArrayRef, AsArray};
use arrow::compute::kernels::comparison;
use datafusion::logical_expr::{Expr, ScalarUDF, expr::Like};
use std::sync::{Arc, LazyLock};

static LIKE: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(Overloaded::named("plimsoll_like").of(&[Text, Text], Boolean, |call| like(call, false)).build()));
static ILIKE: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(Overloaded::named("plimsoll_ilike").of(&[Text, Text], Boolean, |call| like(call, true)).build()));

static PADDED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let padded: fn(&Call) -> Result<ArrayRef> = |call| super::text::shown(&call.arrays[0], &call.types[0], &call.forms);
    Arc::new(Overloaded::named("plimsoll_padded").taking(&[Any], Returns::Of(Text), padded).build())
});

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![LIKE.as_ref().clone(), ILIKE.as_ref().clone(), PADDED.as_ref().clone()]
}

/// A character(n) as patterns see it: with the blanks at its end, which are not kept.
pub fn padded(value: Expr) -> Expr {
    PADDED.call(vec![value])
}

/// The call that stands for a LIKE whose pattern may end in a backslash; `None` if it cannot.
pub fn checked(like: &Like) -> Option<Expr> {
    if let Expr::Literal(pattern, _) = like.pattern.as_ref()
        && !pattern.try_as_str().flatten().is_some_and(is_unfinished)
    {
        return None;
    }
    if like.escape_char.is_some() {
        return None;
    }
    let function = if like.case_insensitive { &ILIKE } else { &LIKE };
    let call = function.call(vec![like.expr.as_ref().clone(), like.pattern.as_ref().clone()]);
    Some(if like.negated { Expr::Not(Box::new(call)) } else { call })
}

/// Matching goes one call deeper with each of them.
const WILDCARDS_MAX: usize = 1000;

fn is_unfinished(pattern: &str) -> bool {
    pattern.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn like(call: &Call, ignore_case: bool) -> Result<ArrayRef> {
    let (texts, patterns) = (&call.arrays[0], &call.arrays[1]);
    if !patterns.as_string_view().iter().flatten().any(is_unfinished) {
        let matched = if ignore_case { comparison::ilike(texts, patterns)? } else { comparison::like(texts, patterns)? };
        return Ok(Arc::new(matched));
    }
    if patterns.as_string_view().iter().flatten().any(|pattern| pattern.matches('%').count() > WILDCARDS_MAX) {
        return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "LIKE pattern has too many wildcards"));
    }
    let characters = |text: &str| -> Vec<char> { if ignore_case { text.to_lowercase().chars().collect() } else { text.chars().collect() } };
    results::booleans(call, |row| Ok(Some(matches(&characters(call.text(0, row)), &characters(call.text(1, row)))? == Matched::Yes)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matched {
    Yes,
    No,
    /// No, and a shorter text would not either.
    TooShort,
}

fn matches(mut text: &[char], mut pattern: &[char]) -> Result<Matched> {
    while let ([character, rest @ ..], [wanted, after @ ..]) = (text, pattern) {
        match (wanted, after) {
            ('\\', []) => return Err(unfinished()),
            ('\\', [literal, after @ ..]) => {
                if literal != character {
                    return Ok(Matched::No);
                }
                (text, pattern) = (rest, after);
            }
            ('%', after) => return anywhere(text, after),
            (wanted, after) => {
                if *wanted != '_' && wanted != character {
                    return Ok(Matched::No);
                }
                (text, pattern) = (rest, after);
            }
        }
    }
    Ok(match (text.is_empty(), pattern.iter().all(|wanted| *wanted == '%')) {
        (true, true) => Matched::Yes,
        (true, false) => Matched::TooShort,
        (false, _) => Matched::No,
    })
}

/// What follows a percent sign, at any place of the text.
fn anywhere(text: &[char], pattern: &[char]) -> Result<Matched> {
    match pattern {
        [] => return Ok(Matched::Yes),
        ['\\'] => return Err(unfinished()),
        _ => {}
    }
    for from in 0..text.len() {
        let matched = matches(&text[from..], pattern)?;
        if matched != Matched::No {
            return Ok(matched);
        }
    }
    Ok(if pattern.iter().all(|wanted| *wanted == '%') { Matched::Yes } else { Matched::TooShort })
}

fn unfinished() -> SqlError {
    SqlError::new(SqlState("22025"), "LIKE pattern must not end with escape character")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn matched(text: &str, pattern: &str) -> std::result::Result<bool, &'static str> {
        let characters = |text: &str| text.chars().collect::<Vec<_>>();
        matches(&characters(text), &characters(pattern)).map(|found| found == Matched::Yes).map_err(|error| error.state.0)
    }

    #[test]
    fn a_backslash_at_the_end_is_an_error_where_the_text_gets_there() {
        assert_eq!(matched("abc", "ab\\"), Err("22025"));
        assert_eq!(matched("abc", "%\\"), Err("22025"));
        assert_eq!(matched("ab", "ab\\"), Ok(false));
        assert_eq!(matched("xbc", "ab\\"), Ok(false));
        assert_eq!(matched("a%", "a\\%"), Ok(true));
    }

    #[test]
    fn many_percent_signs_take_no_time() {
        let text = "a".repeat(2000);
        assert_eq!(matched(&text, &"%a".repeat(40).replace("%a%a", "%aa")), Ok(true));
        assert_eq!(matched(&text, &format!("{}b", "%a".repeat(40))), Ok(false));
    }
}
