//! Where in a statement's text an error is: the parser's tree knows where names and literals stand, but not operators and parentheses; these are
//! looked for beside what it knows.

use datafusion::sql::sqlparser::tokenizer::{Location, Span};

/// A place that a syntax tree leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Right there.
    At(Location),
    /// The first token of this text behind it, such as the operator behind its left side.
    Behind(Location, String),
    /// The last token of this text before it, such as the parenthesis before a subquery.
    Before(Location, String),
}

impl Place {
    /// The beginning of what a tree spans; `None` where the tree does not know it.
    pub fn of(span: Span) -> Option<Self> {
        (span.start.line > 0).then_some(Self::At(span.start))
    }
    /// The first token of a text behind what a tree spans.
    pub fn behind(span: Span, token: impl Into<String>) -> Option<Self> {
        (span.end.line > 0).then(|| Self::Behind(span.end, token.into()))
    }
    /// The last token of a text before what a tree spans.
    pub fn before(span: Span, token: impl Into<String>) -> Option<Self> {
        (span.start.line > 0).then(|| Self::Before(span.start, token.into()))
    }
    /// The one-based position in characters.
    pub(super) fn position_in(&self, sql: &str) -> Option<usize> {
        match self {
            Self::At(location) => character_position(sql, line(location), column(location)),
            Self::Behind(location, token) => {
                let start = byte_of(sql, location)?;
                let found = find(&sql[start..], token)?;
                Some(sql[..start + found].chars().count() + 1)
            }
            Self::Before(location, token) => {
                let end = byte_of(sql, location)?;
                let found = sql[..end].to_ascii_lowercase().rfind(&token.to_ascii_lowercase())?;
                Some(sql[..found].chars().count() + 1)
            }
        }
    }
}

/// A word must not be found within another.
fn find(text: &str, token: &str) -> Option<usize> {
    let (lower, token) = (text.to_ascii_lowercase(), token.to_ascii_lowercase());
    let is_word = token.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut from = 0;
    while let Some(found) = lower[from..].find(&token).map(|found| from + found) {
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let (before, after) = (lower[..found].chars().next_back(), lower[found + token.len()..].chars().next());
        if !is_word || !before.is_some_and(in_word) && !after.is_some_and(in_word) {
            return Some(found);
        }
        from = found + token.len();
    }
    None
}

fn line(location: &Location) -> usize {
    usize::try_from(location.line).unwrap_or(0)
}

fn column(location: &Location) -> usize {
    usize::try_from(location.column).unwrap_or(0)
}

fn byte_of(sql: &str, location: &Location) -> Option<usize> {
    let characters = character_position(sql, line(location), column(location))? - 1;
    Some(sql.char_indices().nth(characters).map_or(sql.len(), |(byte, _)| byte))
}

/// One-based position in characters of a one-based line and column.
pub(super) fn character_position(sql: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize = sql.split_inclusive('\n').take(line.checked_sub(1)?).map(|line| line.chars().count()).sum();
    Some((before + column).min(sql.chars().count() + 1)).filter(|position| *position > 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tokens_are_found_beside_what_the_tree_knows() {
        let sql = "SELECT ä,\n  (b) + inner IN (SELECT 1)";
        let at = |line, column| Location { line, column };
        assert_eq!(Place::At(at(2, 4)).position_in(sql), Some(14));
        assert_eq!(Place::Behind(at(2, 5), "+".into()).position_in(sql), Some(17));
        assert_eq!(Place::Behind(at(2, 6), "in".into()).position_in(sql), Some(25), "not the one in inner");
        assert_eq!(Place::Before(at(2, 19), "(".into()).position_in(sql), Some(28));
        assert_eq!(Place::Behind(at(2, 25), "+".into()).position_in(sql), None);
        assert_eq!(Place::of(Span::empty()), None);
    }
}
