//! PostgreSQL's advanced regular expressions in the syntax of the `regex` crate.

use super::invalid_pattern;
use crate::error::{Result, SqlError, SqlState};

/// What the letters of the flags say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// `i`.
    pub ignore_case: bool,
    /// `n`, `m`, `p`: a dot and an excluding bracket do not match a newline.
    pub newline_stops_dot: bool,
    /// `n`, `m`, `w`: `^` and `$` match at newlines.
    pub anchors_at_newlines: bool,
    literal: bool,
    expanded: bool,
}

/// A pattern for the crate.
pub struct Translated {
    /// Its outermost alternatives.
    pub branches: Vec<String>,
    /// Its flags.
    pub flags: Flags,
    /// Why the text that matches may be another than PostgreSQL's.
    pub ambiguous: Option<&'static str>,
}

impl Flags {
    fn set(&mut self, letter: char) -> bool {
        match letter {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.newline_stops_dot, self.anchors_at_newlines) = (true, true),
            'p' => (self.newline_stops_dot, self.anchors_at_newlines) = (true, false),
            'w' => (self.newline_stops_dot, self.anchors_at_newlines) = (false, true),
            's' => (self.newline_stops_dot, self.anchors_at_newlines) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' | 'e' => {}
            _ => return false,
        }
        true
    }
}

/// Translates a pattern with the letters of its flags.
pub fn translate(pattern: &str, letters: &str) -> Result<Translated> {
    let mut flags = Flags::default();
    for letter in letters.chars() {
        if !flags.set(letter) {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid regular expression option: \"{letter}\"")));
        }
    }
    let mut rest = pattern;
    if let Some(after) = rest.strip_prefix("***=") {
        (rest, flags.literal) = (after, true);
    } else if let Some(after) = rest.strip_prefix("***:") {
        rest = after;
    }
    if let Some((inside, after)) = rest.strip_prefix("(?").and_then(|options| options.split_once(')'))
        && inside.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !inside.is_empty()
        && !flags.literal
    {
        if !inside.chars().all(|letter| flags.set(letter)) {
            return Err(invalid_pattern("invalid embedded option"));
        }
        rest = after;
    }
    if flags.literal {
        return Ok(Translated { branches: vec![regex::escape(rest)], flags, ambiguous: None });
    }
    let mut reader = Reader { characters: rest.chars().collect(), at: 0, flags, greedy: false, lazy: false, ambiguous: false };
    let branches = reader.alternatives(0)?;
    if reader.at < reader.characters.len() {
        return Err(invalid_pattern("parentheses () not balanced"));
    }
    let whole = branches.len() == 1 && rest.starts_with('^') && rest.ends_with('$') && !rest.ends_with("\\$");
    let ambiguous = if reader.ambiguous {
        Some("competing alternatives inside parentheses")
    } else if reader.greedy && reader.lazy && !whole {
        Some("both greedy and non-greedy quantifiers")
    } else {
        None
    };
    Ok(Translated { branches: branches.into_iter().map(|branch| branch.text).collect(), flags, ambiguous })
}

struct Reader {
    characters: Vec<char>,
    at: usize,
    flags: Flags,
    greedy: bool,
    lazy: bool,
    ambiguous: bool,
}

/// One alternative.
struct Branch {
    text: String,
    /// What it begins with.
    first: First,
    /// It is nothing but characters that mean themselves.
    literal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum First {
    Nothing,
    /// An assertion, `^` for instance, which takes no character.
    Assertion,
    Character(char),
    Anything,
}

/// Whether an atom is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantified {
    No,
    AtLeastOnce,
    MayBeAbsent,
}

/// Nesting beyond this is refused: the reader recurses.
const DEPTH_MAX: usize = 100;

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }
    fn looks_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(n, c)| self.characters.get(self.at + n) == Some(&c))
    }

    fn alternatives(&mut self, depth: usize) -> Result<Vec<Branch>> {
        if depth > DEPTH_MAX {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "regular expression is nested too deeply"));
        }
        let mut branches = vec![self.branch(depth)?];
        while self.peek() == Some('|') {
            self.at += 1;
            branches.push(self.branch(depth)?);
        }
        Ok(branches)
    }

    fn branch(&mut self, depth: usize) -> Result<Branch> {
        let mut branch = Branch { text: String::new(), first: First::Nothing, literal: true };
        while let Some(c) = self.peek() {
            if c == '|' || (c == ')' && depth > 0) {
                break;
            }
            if self.flags.expanded && (c.is_whitespace() || c == '#') {
                self.skip_comment(c);
                continue;
            }
            let start = branch.text.len();
            let first = self.atom(&mut branch.text, depth)?;
            let quantified = self.quantifier(&mut branch.text, start)?;
            branch.literal &= matches!(first, First::Character(_)) && quantified == Quantified::No;
            let first = if quantified == Quantified::MayBeAbsent { First::Anything } else { first };
            if matches!(branch.first, First::Nothing) || (branch.first == First::Assertion && first != First::Assertion) {
                branch.first = if branch.first == First::Assertion { First::Anything } else { first };
            }
        }
        Ok(branch)
    }

    fn skip_comment(&mut self, c: char) {
        self.at += 1;
        if c == '#' {
            while self.peek().is_some_and(|c| c != '\n') {
                self.at += 1;
            }
        }
    }

    fn atom(&mut self, out: &mut String, depth: usize) -> Result<First> {
        let c = self.characters[self.at];
        match c {
            '(' => return self.group(out, depth).map(|()| First::Anything),
            '[' => return self.bracket(out),
            '\\' => return self.escape(out),
            '^' | '$' => {
                out.push_str(match (c, self.flags.anchors_at_newlines) {
                    ('$', false) => "\\z",
                    ('$', true) => "$",
                    _ => "^",
                });
                self.at += 1;
                return Ok(First::Assertion);
            }
            '*' | '+' | '?' => return Err(invalid_pattern("quantifier operand invalid")),
            '{' if self.characters.get(self.at + 1).is_some_and(char::is_ascii_digit) => {
                return Err(invalid_pattern("quantifier operand invalid"));
            }
            ')' => return Err(invalid_pattern("parentheses () not balanced")),
            '.' => {
                out.push('.');
                self.at += 1;
                return Ok(First::Anything);
            }
            _ => {}
        }
        self.at += 1;
        push_literal(out, c);
        Ok(if self.flags.ignore_case { First::Character(c.to_ascii_lowercase()) } else { First::Character(c) })
    }

    fn group(&mut self, out: &mut String, depth: usize) -> Result<()> {
        for look in ["(?=", "(?!", "(?<=", "(?<!"] {
            if self.looks_at(look) {
                return Err(SqlError::unsupported("look-around in a regular expression"));
            }
        }
        if self.looks_at("(?#") {
            while self.peek().is_some_and(|c| c != ')') {
                self.at += 1;
            }
            self.at += 1;
            return Ok(());
        }
        if self.looks_at("(?:") {
            self.at += 3;
            out.push_str("(?:");
        } else if self.looks_at("(?") {
            return Err(invalid_pattern("quantifier operand invalid"));
        } else {
            self.at += 1;
            out.push('(');
        }
        let mut branches = self.alternatives(depth + 1)?;
        if self.peek() != Some(')') {
            return Err(invalid_pattern("parentheses () not balanced"));
        }
        self.at += 1;
        self.settle(&mut branches);
        let texts: Vec<String> = branches.into_iter().map(|branch| branch.text).collect();
        out.push_str(&texts.join("|"));
        out.push(')');
        Ok(())
    }

    /// Whether it matters which alternative is tried first; plain words are tried from the longest to the shortest.
    fn settle(&mut self, branches: &mut [Branch]) {
        if branches.len() < 2 {
            return;
        }
        if branches.iter().all(|branch| branch.literal) {
            branches.sort_by_key(|branch| std::cmp::Reverse(branch.text.chars().count()));
            return;
        }
        let mut seen = Vec::new();
        for branch in branches.iter() {
            let clash = match branch.first {
                First::Assertion => false,
                First::Anything | First::Nothing => true,
                First::Character(_) => seen.contains(&branch.first),
            };
            seen.push(branch.first);
            self.ambiguous |= clash;
        }
    }

    /// A quantifier after an atom.
    fn quantifier(&mut self, out: &mut String, start: usize) -> Result<Quantified> {
        let from = out.len();
        let counted = self.peek() == Some('{') && self.characters.get(self.at + 1).is_some_and(char::is_ascii_digit);
        match self.peek() {
            Some(c @ ('*' | '+' | '?')) => {
                out.push(c);
                self.at += 1;
            }
            Some('{') if counted => self.counts(out)?,
            _ => return Ok(Quantified::No),
        }
        if from == start {
            return Err(invalid_pattern("quantifier operand invalid"));
        }
        let absent = out[from..].starts_with(['*', '?']) || out[from..].starts_with("{0");
        if self.peek() == Some('?') {
            self.at += 1;
            out.push('?');
            self.lazy = true;
        } else {
            self.greedy = true;
        }
        match self.peek() {
            Some('*' | '+' | '?') => Err(invalid_pattern("quantifier operand invalid")),
            _ if absent => Ok(Quantified::MayBeAbsent),
            _ => Ok(Quantified::AtLeastOnce),
        }
    }

    fn counts(&mut self, out: &mut String) -> Result<()> {
        let rest: String = self.characters[self.at..].iter().take_while(|c| **c != '}').collect();
        let inside = &rest[1..];
        if self.characters.get(self.at + rest.chars().count()) != Some(&'}') {
            return Err(invalid_pattern("braces {} not balanced"));
        }
        let (least, most) = inside.split_once(',').map_or((inside, Some(inside)), |(least, most)| (least, Some(most)));
        let bad = || invalid_pattern("invalid repetition count(s)");
        let number = |text: &str| text.parse::<u16>().ok().filter(|count| *count <= 255).ok_or_else(bad);
        let least = number(least)?;
        if let Some(most) = most.filter(|most| !most.is_empty())
            && number(most)? < least
        {
            return Err(bad());
        }
        out.push_str(&rest);
        out.push('}');
        self.at += rest.chars().count() + 1;
        Ok(())
    }

    fn escape(&mut self, out: &mut String) -> Result<First> {
        let c = *self.characters.get(self.at + 1).ok_or_else(|| invalid_pattern("invalid escape \\ sequence"))?;
        self.at += 2;
        let assertion = match c {
            'A' => Some("\\A"),
            'Z' => Some("\\z"),
            'm' => Some("\\b{start}"),
            'M' => Some("\\b{end}"),
            'y' => Some("\\b"),
            'Y' => Some("\\B"),
            _ => None,
        };
        if let Some(assertion) = assertion {
            out.push_str(assertion);
            return Ok(First::Assertion);
        }
        if c.is_ascii_digit() && c != '0' {
            return Err(SqlError::unsupported("a back reference in a regular expression"));
        }
        if let Some(class) = class_escape(c) {
            out.push_str(class);
            return Ok(First::Anything);
        }
        let c = self.character_escape(c)?;
        push_literal(out, c);
        Ok(First::Character(c))
    }

    /// The character that an escape means; `c` is behind the backslash, and read.
    fn character_escape(&mut self, c: char) -> Result<char> {
        Ok(match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'B' => '\\',
            'e' => '\u{1b}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0' => '\0',
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            'x' => self.hexadecimal(2)?,
            c if c.is_ascii_alphanumeric() => return Err(invalid_pattern("invalid escape \\ sequence")),
            c => c,
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<char> {
        let text: String = self.characters[self.at..].iter().take(digits).take_while(|c| c.is_ascii_hexdigit()).collect();
        self.at += text.len();
        let code = u32::from_str_radix(&text, 16).ok().and_then(char::from_u32);
        code.ok_or_else(|| invalid_pattern("invalid escape \\ sequence"))
    }

    fn bracket(&mut self, out: &mut String) -> Result<First> {
        for (written, meant) in [("[[:<:]]", "\\b{start}"), ("[[:>:]]", "\\b{end}")] {
            if self.looks_at(written) {
                self.at += written.len();
                out.push_str(meant);
                return Ok(First::Assertion);
            }
        }
        self.at += 1;
        out.push('[');
        if self.peek() == Some('^') {
            self.at += 1;
            out.push('^');
            if self.flags.newline_stops_dot {
                out.push_str("\\n");
            }
        }
        let start = self.at;
        loop {
            let Some(c) = self.peek() else { return Err(invalid_pattern("brackets [] not balanced")) };
            match c {
                ']' if self.at > start => break,
                '[' if self.looks_at("[:") => self.named_class(out)?,
                '[' if self.looks_at("[.") || self.looks_at("[=") => return Err(SqlError::unsupported("a collating element")),
                '\\' => self.bracket_escape(out)?,
                '-' if self.at > start && self.characters.get(self.at + 1).is_some_and(|next| *next != ']') => {
                    self.at += 1;
                    out.push('-');
                }
                c => {
                    self.at += 1;
                    push_literal(out, c);
                }
            }
        }
        self.at += 1;
        out.push(']');
        Ok(First::Anything)
    }

    fn bracket_escape(&mut self, out: &mut String) -> Result<()> {
        let c = *self.characters.get(self.at + 1).ok_or_else(|| invalid_pattern("brackets [] not balanced"))?;
        self.at += 2;
        match class_escape(c) {
            Some(class) => out.push_str(class),
            None => {
                let c = self.character_escape(c)?;
                push_literal(out, c);
            }
        }
        Ok(())
    }

    fn named_class(&mut self, out: &mut String) -> Result<()> {
        let name: String = self.characters[self.at + 2..].iter().take_while(|c| **c != ':').collect();
        let meant = match name.as_str() {
            "alpha" => "\\p{Alphabetic}",
            "digit" => "\\p{Nd}",
            "alnum" => "\\p{Alphabetic}\\p{Nd}",
            "upper" => "\\p{Uppercase}",
            "lower" => "\\p{Lowercase}",
            "space" => "\\s",
            "blank" => " \\t",
            "punct" => "[:punct:]",
            "cntrl" => "\\p{Cc}",
            "xdigit" => "0-9A-Fa-f",
            "word" => "\\w",
            "print" | "graph" => "[:print:]",
            _ => return Err(invalid_pattern("invalid character class")),
        };
        out.push_str(meant);
        self.at += 2 + name.chars().count() + 2;
        Ok(())
    }
}

fn class_escape(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "\\d",
        'D' => "\\D",
        's' => "\\s",
        'S' => "\\S",
        'w' => "\\w",
        'W' => "\\W",
        _ => return None,
    })
}

fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        out.push('\\');
        out.push(c);
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn branches(pattern: &str) -> Vec<String> {
        translate(pattern, "").unwrap().branches
    }

    #[test]
    fn what_is_written_otherwise() {
        assert_eq!(branches("^a.b$"), ["^a.b\\z"]);
        assert_eq!(branches("\\mfoo\\M"), ["\\b{start}foo\\b{end}"]);
        assert_eq!(branches("[[:<:]]a"), ["\\b{start}a"]);
        assert_eq!(branches("a{,x"), ["a\\{\\,x"]);
        assert_eq!(branches("[a-z&&[:digit:]]"), ["[a-z\\&\\&\\p{Nd}]"]);
        assert_eq!(branches("[]a]"), ["[\\]a]"]);
        assert_eq!(branches("a|ab|(x|yy)"), ["a", "ab", "(yy|x)"]);
    }

    #[test]
    fn what_could_match_another_text_is_known() {
        for pattern in ["(a+|ab)c", "a*?b+", "(?:\\d|\\d\\.)"] {
            assert!(translate(pattern, "").unwrap().ambiguous.is_some(), "{pattern}");
        }
        for pattern in ["(foo|foobar)", "(^|,)x", "^.*?(\\d+).*$", "a*?b", "\\s+$|^\\s+", "(a+|b+)"] {
            assert!(translate(pattern, "").unwrap().ambiguous.is_none(), "{pattern}");
        }
    }

    #[test]
    fn what_is_wrong_or_unsupported() {
        for (pattern, state) in [
            ("(", "2201B"),
            (")", "2201B"),
            ("[", "2201B"),
            ("*a", "2201B"),
            ("a{3,2}", "2201B"),
            ("a{2", "2201B"),
            ("\\", "2201B"),
            ("(?=a)", "0A000"),
            ("(a)\\1", "0A000"),
        ] {
            assert_eq!(translate(pattern, "").err().unwrap().state.0, state, "{pattern}");
        }
        assert_eq!(translate("a", "z").err().unwrap().state.0, "22023");
    }
}
