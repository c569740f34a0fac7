//! Tokens -> a path.
//!
//! Operators from loose to tight: `||`, `&&`, comparisons (which do not chain), `+ -`, `* / %`, signs.

use super::lexer::{Kind, Token, syntax_error, tokens, written};
use super::path::{Comparison, Expression, Method, Operator, Path, Step};
use crate::error::{Result, SqlError, SqlState};
use crate::functions::regular::Pattern;

/// Parentheses, brackets and signs inside one another, at most.
const NESTING_MAX: usize = 200;

/// Reads a path.
pub fn parse(text: &str) -> Result<Expression> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        let message = format!("invalid input syntax for type jsonpath: \"{text}\"");
        return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
    }
    let mut parser = Parser { tokens, at: 0, depth: 0, filters: 0, subscripts: 0 };
    let lax = match parser.word().as_deref() {
        Some("strict") => false,
        Some("lax") => true,
        _ => return parser.whole(true),
    };
    parser.at += 1;
    parser.whole(lax)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Filters around: `@` stands only within one.
    filters: usize,
    /// Subscripts around: `last` stands only within one.
    subscripts: usize,
}

impl Parser {
    fn whole(mut self, lax: bool) -> Result<Expression> {
        let path = self.expression()?;
        match self.tokens.get(self.at) {
            None => Ok(Expression { lax, path }),
            Some(_) => Err(self.unexpected()),
        }
    }

    fn kind(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    /// The next token, if it is a name.
    fn word(&self) -> Option<String> {
        match self.kind() {
            Some(Kind::Word(word)) => Some(word.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn unexpected(&self) -> SqlError {
        syntax_error(self.tokens.get(self.at).map(|token| token.text.as_str()))
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.kind(), Some(Kind::Sign(found)) if *found == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.word().as_deref() == Some(word);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, sign: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn need_text(&mut self) -> Result<String> {
        let Some(Kind::Text(text)) = self.kind() else { return Err(self.unexpected()) };
        let text = text.clone();
        self.at += 1;
        Ok(text)
    }

    /// A value or a condition.
    fn expression(&mut self) -> Result<Path> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "jsonpath is nested too deep"));
        }
        let mut left = self.conjunction()?;
        while self.is("||") {
            self.condition(&left)?;
            self.at += 1;
            let right = self.conjunction()?;
            self.condition(&right)?;
            left = vec![Step::Or(left, right)];
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Where a condition must stand, a value is an error.
    fn condition(&self, path: &Path) -> Result<()> {
        if is_condition(path) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Where a value must stand, a condition is an error.
    fn value(&self, path: &Path) -> Result<()> {
        if is_condition(path) { Err(self.unexpected()) } else { Ok(()) }
    }

    fn conjunction(&mut self) -> Result<Path> {
        let mut left = self.comparison()?;
        while self.is("&&") {
            self.condition(&left)?;
            self.at += 1;
            let right = self.comparison()?;
            self.condition(&right)?;
            left = vec![Step::And(left, right)];
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Path> {
        let left = self.sum()?;
        let comparison = match self.kind() {
            Some(Kind::Sign("==")) => Comparison::Equal,
            Some(Kind::Sign("!=" | "<>")) => Comparison::NotEqual,
            Some(Kind::Sign("<")) => Comparison::Less,
            Some(Kind::Sign("<=")) => Comparison::LessOrEqual,
            Some(Kind::Sign(">")) => Comparison::Greater,
            Some(Kind::Sign(">=")) => Comparison::GreaterOrEqual,
            Some(Kind::Word(_)) => return self.phrase(left),
            _ => return Ok(left),
        };
        self.value(&left)?;
        self.at += 1;
        let right = self.sum()?;
        self.value(&right)?;
        Ok(vec![Step::Compare(comparison, left, right)])
    }

    /// `starts with`, `like_regex`.
    fn phrase(&mut self, left: Path) -> Result<Path> {
        if self.take_word("starts") {
            self.value(&left)?;
            if !self.take_word("with") {
                return Err(self.unexpected());
            }
            let initial = match self.kind() {
                Some(Kind::Text(text)) => Step::Literal(written(text)),
                Some(Kind::Variable(name)) => Step::Variable(name.clone()),
                _ => return Err(self.unexpected()),
            };
            self.at += 1;
            return Ok(vec![Step::StartsWith(left, vec![initial])]);
        }
        if self.take_word("like_regex") {
            self.value(&left)?;
            let pattern = self.need_text()?;
            let flags = if self.take_word("flag") { self.need_text()? } else { String::new() };
            let flags = canonical_flags(&flags)?;
            compiled(&pattern, &flags)?;
            return Ok(vec![Step::LikeRegex(left, pattern, flags)]);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Path> {
        let mut left = self.product()?;
        loop {
            let operator = match self.kind() {
                Some(Kind::Sign("+")) => Operator::Add,
                Some(Kind::Sign("-")) => Operator::Subtract,
                _ => return Ok(left),
            };
            self.value(&left)?;
            self.at += 1;
            let right = self.product()?;
            self.value(&right)?;
            left = vec![Step::Arithmetic(operator, left, right)];
        }
    }

    fn product(&mut self) -> Result<Path> {
        let mut left = self.signed()?;
        loop {
            let operator = match self.kind() {
                Some(Kind::Sign("*")) => Operator::Multiply,
                Some(Kind::Sign("/")) => Operator::Divide,
                Some(Kind::Sign("%")) => Operator::Modulo,
                _ => return Ok(left),
            };
            self.value(&left)?;
            self.at += 1;
            let right = self.signed()?;
            self.value(&right)?;
            left = vec![Step::Arithmetic(operator, left, right)];
        }
    }

    fn signed(&mut self) -> Result<Path> {
        let operator = match self.kind() {
            Some(Kind::Sign("+")) => Operator::Add,
            Some(Kind::Sign("-")) => Operator::Subtract,
            Some(Kind::Sign("!")) => return self.negated(),
            _ => return self.accessed(),
        };
        self.at += 1;
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "jsonpath is nested too deep"));
        }
        let inner = self.signed()?;
        self.depth -= 1;
        self.value(&inner)?;
        // The sign of a number that is written out belongs to it.
        Ok(match inner.as_slice() {
            [Step::Literal(number)] if number.starts_with(|c: char| c.is_ascii_digit()) => {
                let sign = if operator == Operator::Subtract { "-" } else { "" };
                vec![Step::Literal(format!("{sign}{number}"))]
            }
            _ => vec![Step::Signed(operator, inner)],
        })
    }

    /// `!(condition)`, `!exists (value)`.
    fn negated(&mut self) -> Result<Path> {
        self.at += 1;
        let inner = match self.kind() {
            Some(Kind::Sign("(")) => {
                self.at += 1;
                let inner = self.expression()?;
                self.condition(&inner)?;
                self.need(")")?;
                inner
            }
            _ if self.word().as_deref() == Some("exists") => self.primary()?,
            _ => return Err(self.unexpected()),
        };
        Ok(vec![Step::Not(inner)])
    }

    fn accessed(&mut self) -> Result<Path> {
        let mut path = self.primary()?;
        loop {
            if self.take("[") {
                path.push(self.subscript()?);
            } else if self.take(".") {
                path.push(self.member()?);
            } else if self.take("?") {
                self.need("(")?;
                self.filters += 1;
                let condition = self.expression()?;
                self.filters -= 1;
                self.condition(&condition)?;
                self.need(")")?;
                path.push(Step::Filter(condition));
            } else {
                return Ok(path);
            }
        }
    }

    fn primary(&mut self) -> Result<Path> {
        let Some(kind) = self.kind().cloned() else { return Err(self.unexpected()) };
        let step = match kind {
            Kind::Sign("(") => return self.parentheses(),
            Kind::Sign("$") => Step::Root,
            Kind::Sign("@") if self.filters == 0 => return Err(misplaced("@ is not allowed in root expressions")),
            Kind::Sign("@") => Step::Current,
            Kind::Text(text) => Step::Literal(written(&text)),
            Kind::Number(digits) => Step::Literal(super::number::Number::parse(&digits)?.to_string()),
            Kind::Variable(name) => Step::Variable(name),
            Kind::Word(word) => match word.as_str() {
                "null" | "true" | "false" => Step::Literal(word),
                word if word.eq_ignore_ascii_case("exists") => return self.exists(),
                word if !word.eq_ignore_ascii_case("last") => return Err(self.unexpected()),
                _ if self.subscripts == 0 => return Err(misplaced("LAST is allowed only in array subscripts")),
                _ => Step::Last,
            },
            Kind::Sign(_) => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(vec![step])
    }

    fn exists(&mut self) -> Result<Path> {
        self.at += 1;
        self.need("(")?;
        let inner = self.expression()?;
        self.value(&inner)?;
        self.need(")")?;
        Ok(vec![Step::Exists(inner)])
    }

    fn parentheses(&mut self) -> Result<Path> {
        self.at += 1;
        let inner = self.expression()?;
        self.need(")")?;
        if is_condition(&inner) && self.word().as_deref() == Some("is") {
            self.at += 1;
            if !self.take_word("unknown") {
                return Err(self.unexpected());
            }
            return Ok(vec![Step::IsUnknown(inner)]);
        }
        Ok(inner)
    }

    fn subscript(&mut self) -> Result<Step> {
        if self.take("*") {
            self.need("]")?;
            return Ok(Step::AnyElement);
        }
        self.subscripts += 1;
        let mut ranges = Vec::new();
        loop {
            let from = self.sum()?;
            self.value(&from)?;
            let to = if self.take_word("to") { Some(self.sum()?) } else { None };
            ranges.push((from, to));
            if !self.take(",") {
                break;
            }
        }
        self.subscripts -= 1;
        self.need("]")?;
        Ok(Step::Elements(ranges))
    }

    fn member(&mut self) -> Result<Step> {
        if self.take("*") {
            return Ok(Step::AnyKey);
        }
        if self.take("**") {
            return self.levels();
        }
        let Some(kind) = self.kind().cloned() else { return Err(self.unexpected()) };
        let (name, plain) = match kind {
            Kind::Word(word) => (word, true),
            Kind::Text(text) => (text, false),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        if !plain || !self.is("(") {
            return Ok(Step::Key(name));
        }
        let step = match (Method::named(&name.to_ascii_lowercase()), name.to_ascii_lowercase().as_str()) {
            (Some(method), _) => Step::Method(method),
            (None, "datetime") => Step::Datetime(None),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        let step = match (step, self.kind()) {
            (Step::Datetime(None), Some(Kind::Text(_))) => Step::Datetime(Some(self.need_text()?)),
            (step, _) => step,
        };
        self.need(")")?;
        Ok(step)
    }

    /// `**`, `**{2}`, `**{1 to last}`.
    fn levels(&mut self) -> Result<Step> {
        if !self.take("{") {
            return Ok(Step::Descendants(Some(0), None));
        }
        let first = self.level()?;
        let last = if self.take_word("to") { self.level()? } else { first };
        self.need("}")?;
        Ok(Step::Descendants(first, last))
    }

    fn level(&mut self) -> Result<Option<u32>> {
        let level = match self.kind() {
            Some(Kind::Word(word)) if word.eq_ignore_ascii_case("last") => None,
            Some(Kind::Number(digits)) => match digits.parse() {
                Ok(level) => Some(level),
                Err(_) => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(level)
    }
}

fn is_condition(path: &Path) -> bool {
    matches!(path.as_slice(), [step] if step.is_predicate())
}

fn misplaced(message: &'static str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

/// Flags in their own order, each once.
fn canonical_flags(flags: &str) -> Result<String> {
    for flag in flags.chars() {
        if flag == 'x' {
            let message = "XQuery \"x\" flag (expanded regular expressions) is not implemented";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        if !"ismq".contains(flag) {
            let detail = format!("Unrecognized flag character \"{flag}\" in LIKE_REGEX predicate.");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid input syntax for type jsonpath").with_detail(detail));
        }
    }
    Ok("ismq".chars().filter(|flag| flags.contains(*flag)).collect())
}

/// The regular expression of a pattern with these flags.
pub fn compiled(pattern: &str, flags: &str) -> Result<Pattern> {
    let has = |flag: char| flags.contains(flag);
    let lines = match (has('q'), has('s'), has('m')) {
        (true, ..) => "q",
        (_, true, false) => "s",
        (_, false, false) => "p",
        (_, true, true) => "w",
        (_, false, true) => "n",
    };
    Pattern::new(pattern, &format!("{lines}{}", if has('i') { "i" } else { "" }))
}
