//! Paths in their normal form.

use super::lexer::written;
use super::path::{Expression, Path, Step};
use std::fmt::{self, Display, Formatter, Write};

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.lax {
            f.write_str("strict ")?;
        }
        path(&self.path, true, f)
    }
}

/// How tight a step binds.
fn priority(path: &Path) -> u8 {
    use super::path::Operator::{Add, Subtract};
    match path.first() {
        Some(Step::Or(..)) => 0,
        Some(Step::And(..)) => 1,
        Some(Step::Compare(..) | Step::StartsWith(..)) => 2,
        Some(Step::Arithmetic(Add | Subtract, ..)) => 3,
        Some(Step::Arithmetic(..)) => 4,
        Some(Step::Signed(..)) => 5,
        _ => 6,
    }
}

fn path(steps: &Path, brackets: bool, f: &mut Formatter<'_>) -> fmt::Result {
    for (at, step) in steps.iter().enumerate() {
        print(step, steps, at == 0, brackets || at > 0, f)?;
    }
    Ok(())
}

fn operand(operand: &Path, of: u8, f: &mut Formatter<'_>) -> fmt::Result {
    path(operand, priority(operand) <= of, f)
}

fn between(left: &Path, operator: &str, right: &Path, (of, brackets): (u8, bool), f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(if brackets { "(" } else { "" })?;
    operand(left, of, f)?;
    write!(f, " {operator} ")?;
    operand(right, of, f)?;
    f.write_str(if brackets { ")" } else { "" })
}

fn print(step: &Step, whole: &Path, first: bool, brackets: bool, f: &mut Formatter<'_>) -> fmt::Result {
    let of = if first { priority(whole) } else { 6 };
    match step {
        Step::Root => f.write_char('$'),
        Step::Current => f.write_char('@'),
        Step::Last => f.write_str("last"),
        Step::Variable(name) => write!(f, "${}", written(name)),
        Step::Literal(json) => f.write_str(json),
        Step::Key(name) => write!(f, ".{}", written(name)),
        Step::AnyKey => f.write_str(".*"),
        Step::AnyElement => f.write_str("[*]"),
        Step::Elements(ranges) => elements(ranges, f),
        Step::Descendants(first, last) => descendants(*first, *last, f),
        Step::Filter(condition) => {
            f.write_str("?(")?;
            path(condition, false, f)?;
            f.write_char(')')
        }
        Step::Method(method) => write!(f, ".{}()", method.name()),
        Step::Datetime(template) => write!(f, ".datetime({})", template.as_deref().map(written).unwrap_or_default()),
        Step::Arithmetic(operator, left, right) => between(left, operator.symbol(), right, (of, brackets), f),
        Step::Compare(comparison, left, right) => between(left, comparison.symbol(), right, (of, brackets), f),
        Step::And(left, right) => between(left, "&&", right, (of, brackets), f),
        Step::Or(left, right) => between(left, "||", right, (of, brackets), f),
        Step::StartsWith(left, right) => between(left, "starts with", right, (of, brackets), f),
        Step::LikeRegex(text, pattern, flags) => {
            f.write_str(if brackets { "(" } else { "" })?;
            operand(text, of, f)?;
            write!(f, " like_regex {}", written(pattern))?;
            if !flags.is_empty() {
                write!(f, " flag {}", written(flags))?;
            }
            f.write_str(if brackets { ")" } else { "" })
        }
        Step::Signed(operator, inner) => {
            write!(f, "{}{}", if brackets { "(" } else { "" }, operator.symbol())?;
            operand(inner, of, f)?;
            f.write_str(if brackets { ")" } else { "" })
        }
        Step::Not(inner) => {
            f.write_str("!(")?;
            path(inner, false, f)?;
            f.write_char(')')
        }
        Step::IsUnknown(inner) => {
            f.write_char('(')?;
            path(inner, false, f)?;
            f.write_str(") is unknown")
        }
        Step::Exists(inner) => {
            f.write_str("exists (")?;
            path(inner, false, f)?;
            f.write_char(')')
        }
    }
}

fn elements(ranges: &[(Path, Option<Path>)], f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('[')?;
    for (at, (from, to)) in ranges.iter().enumerate() {
        f.write_str(if at > 0 { "," } else { "" })?;
        path(from, false, f)?;
        if let Some(to) = to {
            f.write_str(" to ")?;
            path(to, false, f)?;
        }
    }
    f.write_char(']')
}

fn descendants(first: Option<u32>, last: Option<u32>, f: &mut Formatter<'_>) -> fmt::Result {
    match (first, last) {
        (Some(0), None) => f.write_str(".**"),
        (None, None) => f.write_str(".**{last}"),
        (Some(first), Some(last)) if first == last => write!(f, ".**{{{first}}}"),
        (None, Some(last)) => write!(f, ".**{{last to {last}}}"),
        (Some(first), None) => write!(f, ".**{{{first} to last}}"),
        (Some(first), Some(last)) => write!(f, ".**{{{first} to {last}}}"),
    }
}
