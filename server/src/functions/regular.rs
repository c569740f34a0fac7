//! Regular expressions: PostgreSQL's advanced ones, run by the `regex` crate.
//!
//! [`dialect`] translates a pattern. PostgreSQL prefers the longest match where alternatives compete, the crate the first alternative: a
//! pattern is split into its outermost alternatives ([`Pattern`]), each is matched by itself, and the longest at the leftmost place wins.
//! What is neither decided that way nor the same either way is refused (0A000) where it matters what matched, never answered differently.

pub mod dialect;
pub mod functions;

use crate::error::{Result, SqlError, SqlState};
use dialect::Translated;
use regex::{Captures, Regex, RegexBuilder};

/// A compiled pattern may take this much memory.
const PROGRAM_BYTES_MAX: usize = 16 << 20;

/// A compiled regular expression.
pub struct Pattern {
    /// The outermost alternatives, each with the number of capturing groups before it.
    branches: Vec<(Regex, usize)>,
    /// Capturing groups of all.
    groups: usize,
    /// Why what matches could be another text than PostgreSQL's, if so.
    ambiguous: Option<&'static str>,
}

/// Where a pattern matched: the whole, then its groups.
pub struct Found {
    /// Start and end of the whole and of each group that took part.
    pub spans: Vec<Option<(usize, usize)>>,
}

impl Found {
    /// Where the match begins.
    pub fn start(&self) -> usize {
        self.spans[0].map_or(0, |(start, _)| start)
    }
    /// Where it ends.
    pub fn end(&self) -> usize {
        self.spans[0].map_or(0, |(_, end)| end)
    }
}

/// 2201B.
pub fn invalid_pattern(reason: impl std::fmt::Display) -> SqlError {
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {reason}"))
}

impl Pattern {
    /// Compiles a pattern with the letters of its flags, of which `g` is not one.
    pub fn new(pattern: &str, flags: &str) -> Result<Self> {
        let Translated { branches, flags, ambiguous } = dialect::translate(pattern, flags)?;
        let mut groups = 0;
        let mut compiled = Vec::with_capacity(branches.len());
        for branch in branches {
            let regex = RegexBuilder::new(&branch)
                .case_insensitive(flags.ignore_case)
                .dot_matches_new_line(!flags.newline_stops_dot)
                .multi_line(flags.anchors_at_newlines)
                .size_limit(PROGRAM_BYTES_MAX)
                .build()
                .map_err(|error| refused(&error))?;
            let before = groups;
            groups += regex.captures_len() - 1;
            compiled.push((regex, before));
        }
        Ok(Self { branches: compiled, groups, ambiguous })
    }
    /// How many capturing groups there are.
    pub fn groups(&self) -> usize {
        self.groups
    }
    /// Whether the text matches anywhere.
    pub fn is_match(&self, text: &str) -> bool {
        self.branches.iter().any(|(branch, _)| branch.is_match(text))
    }
    /// Refuses a pattern whose matches could differ from PostgreSQL's.
    pub fn check_extent(&self) -> Result<()> {
        match self.ambiguous {
            Some(why) => Err(SqlError::unsupported(format!("a regular expression with {why} where the text that matches is asked for"))),
            None => Ok(()),
        }
    }
    /// The first match that begins at byte `from` or later.
    pub fn find_at(&self, text: &str, from: usize) -> Option<Found> {
        let mut best: Option<(usize, usize, usize)> = None;
        for (index, (branch, _)) in self.branches.iter().enumerate() {
            let Some(found) = branch.find_at(text, from) else { continue };
            let better = best.is_none_or(|(start, end, _)| found.start() < start || (found.start() == start && found.end() > end));
            if better {
                best = Some((found.start(), found.end(), index));
            }
        }
        let (start, end, index) = best?;
        let (branch, before) = &self.branches[index];
        let mut spans = vec![None; self.groups + 1];
        spans[0] = Some((start, end));
        if branch.captures_len() > 1 {
            take_groups(&branch.captures_at(text, start)?, *before, &mut spans);
        }
        Some(Found { spans })
    }
    /// All matches from byte `from` on, one after the other, as PostgreSQL walks on after an empty one.
    pub fn find_all(&self, text: &str, from: usize) -> Vec<Found> {
        let (mut all, mut at) = (Vec::new(), from);
        while at <= text.len() {
            let Some(found) = self.find_at(text, at) else { break };
            at = found.end();
            if found.start() == found.end() {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
            all.push(found);
        }
        all
    }
}

fn take_groups(captures: &Captures<'_>, before: usize, spans: &mut [Option<(usize, usize)>]) {
    for group in 1..captures.len() {
        spans[before + group] = captures.get(group).map(|found| (found.start(), found.end()));
    }
}

fn refused(error: &regex::Error) -> SqlError {
    match error {
        regex::Error::CompiledTooBig(_) => invalid_pattern("regular expression is too complex"),
        other => {
            let text = other.to_string();
            let reason = text.lines().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or_default();
            invalid_pattern(match reason {
                reason if reason.contains("group") => "parentheses () not balanced",
                reason if reason.contains("class range") => "invalid character range",
                reason if reason.contains("character class") => "brackets [] not balanced",
                reason if reason.contains("repetition operator missing") => "quantifier operand invalid",
                reason if reason.contains("repetition") => "invalid repetition count(s)",
                reason if reason.contains("escape") || reason.contains("incomplete") => "invalid escape \\ sequence",
                reason => reason,
            })
        }
    }
}
