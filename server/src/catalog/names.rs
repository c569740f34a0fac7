//! Names in SQL: folding, qualification, quoting, the length limit.

use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};

/// PostgreSQL's NAMEDATALEN - 1, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// A name that may say its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualifiedName {
    /// The schema, where written.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

impl QualifiedName {
    /// Reads a name of one, two or three parts; the database may only be the present one.
    pub fn from_ast(name: &ObjectName, database: &str) -> Result<Self> {
        let mut parts = name
            .0
            .iter()
            .map(|part| part.as_ident().map(fold).ok_or_else(|| SqlError::new(SqlState::SYNTAX_ERROR, format!("invalid name: {name}"))))
            .collect::<Result<Vec<_>>>()?;
        let last = parts.pop().ok_or_else(|| SqlError::new(SqlState::SYNTAX_ERROR, "a name is expected"))?;
        let schema = parts.pop();
        match parts.pop() {
            Some(other) if other != database || !parts.is_empty() => Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cross-database references are not implemented: {}", quote_dotted(name)),
            )),
            _ => Ok(Self { schema, name: last }),
        }
    }
    /// Reads text such as `nextval`'s argument: `s`, `public.s`, `"My seq"`.
    pub fn from_text(text: &str) -> Result<Self> {
        let invalid = || SqlError::new(SqlState("42602"), "invalid name syntax");
        let mut parts = split_dotted(text).ok_or_else(invalid)?;
        let name = parts.pop().ok_or_else(invalid)?;
        let schema = parts.pop();
        if parts.is_empty() { Ok(Self { schema, name }) } else { Err(invalid()) }
    }
}

impl std::fmt::Display for QualifiedName {
    /// As messages have it: without quotes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The name that an identifier means: lower case unless quoted.
pub fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Cuts a name to the length limit, at a character's boundary; `None` if it fits.
pub fn truncated(name: &str) -> Option<&str> {
    (name.len() > NAME_BYTES_MAX).then(|| &name[..name.floor_char_boundary(NAME_BYTES_MAX)])
}

/// A name made of parts as PostgreSQL's `makeObjectName` does it (`t_a_key`): the longer of the first two parts is shortened until all fits.
pub fn compose(first: &str, second: Option<&str>, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(second.is_some());
    let (mut first, mut second) = (first, second);
    while first.len() + second.map_or(0, str::len) + overhead > NAME_BYTES_MAX {
        match second {
            Some(part) if part.len() >= first.len() => second = Some(shorter(part)),
            _ => first = shorter(first),
        }
    }
    match second {
        Some(second) => format!("{first}_{second}_{label}"),
        None => format!("{first}_{label}"),
    }
}

fn shorter(name: &str) -> &str {
    &name[..name.floor_char_boundary(name.len().saturating_sub(1))]
}

/// A name as SQL text needs it: quoted unless it is plain.
pub fn quote(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !is_reserved(name) { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A qualified name as SQL text needs it.
pub fn quote_qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// A string literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Words that cannot stand as names without quotes: PostgreSQL's reserved ones, and those at which the SQL parser reads on otherwise.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between", "binary", "both",
    "case", "cast", "check", "collate", "collation", "column", "concurrently", "constraint", "create", "cross", "current_catalog",
    "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "default", "deferrable",
    "desc", "distinct", "do", "else", "end", "except", "exists", "extract", "false", "fetch", "first", "for", "foreign", "freeze",
    "from", "full", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect", "interval", "into", "is", "isnull",
    "join", "last", "lateral", "leading", "left", "like", "limit", "localtime", "localtimestamp", "natural", "not", "notnull",
    "null", "offset", "on", "only", "or", "order", "outer", "overlaps", "placing", "position", "primary", "qualify", "references",
    "returning", "right", "row", "select", "session_user", "similar", "some", "substring", "symmetric", "table", "tablesample",
    "then", "to", "trailing", "trim", "true", "union", "unique", "user", "using", "values", "variadic", "verbose", "when", "where",
    "window", "with",
];

/// Whether a lower-case word cannot stand as a name without quotes.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.binary_search(&name).is_ok()
}

fn quote_dotted(name: &ObjectName) -> String {
    name.0.iter().map(|part| part.as_ident().map_or_else(|| part.to_string(), fold)).collect::<Vec<_>>().join(".")
}

fn split_dotted(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, tail) = if let Some(quoted) = rest.strip_prefix('"') { quoted_part(quoted)? } else { bare_part(rest)? };
        parts.push(part);
        match tail.trim_start().strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None => return tail.trim().is_empty().then_some(parts),
        }
    }
}

fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            part.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '"') {
            part.push('"');
            chars.next();
        } else {
            return (!part.is_empty()).then_some((part, &text[at + 1..]));
        }
    }
    None
}

fn bare_part(text: &str) -> Option<(String, &str)> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_lowercase(), &text[end..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_from_text() {
        let parse = |text: &str| QualifiedName::from_text(text).map(|n| (n.schema, n.name)).ok();
        assert_eq!(parse("T_a_Seq"), Some((None, "t_a_seq".into())));
        assert_eq!(parse("public.\"My \"\"S\""), Some((Some("public".into()), "My \"S".into())));
        for bad in ["", "a.b.c", "a.", "\"a", "a b", "\"\""] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn composed_names_fit_and_keep_their_label() {
        assert_eq!(compose("t", Some("a_b"), "key"), "t_a_b_key");
        assert_eq!(compose("t", None, "pkey"), "t_pkey");
        let long = compose(&"x".repeat(60), Some(&"y".repeat(60)), "key");
        assert_eq!(long.len(), NAME_BYTES_MAX);
        assert!(long.ends_with("_key"));
        assert!(compose(&"é".repeat(40), None, "pkey").len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn quoting() {
        assert_eq!(quote("a_1"), "a_1");
        assert_eq!(quote("A"), "\"A\"");
        assert!(RESERVED.is_sorted());
        assert_eq!(quote("select"), "\"select\"");
        assert_eq!(quote("public"), "public");
        assert_eq!(quote("x\"y"), "\"x\"\"y\"");
        assert_eq!(truncated(&"é".repeat(40)), Some("é".repeat(31).as_str()));
        assert_eq!(truncated("short"), None);
    }
}
