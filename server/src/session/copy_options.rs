//! COPY's syntax: both forms of options, their defaults, and what contradicts what, as PostgreSQL judges it.

use super::grammar::{self, Grammar, GrammarError, Read};
use super::{CopyFormat, CopyHeader, CopyKind};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query};
use datafusion::sql::sqlparser::tokenizer::Token;
use std::sync::Arc;

/// A COPY statement.
#[derive(Clone, Debug)]
pub struct CopyStatement {
    /// What is copied.
    pub source: CopySource,
    /// COPY TO, rather than FROM.
    pub to: bool,
    /// Where the data is.
    pub target: CopyTarget,
    /// Options as written.
    pub options: CopyOptions,
    /// COPY FROM: rows of which this is not true are left out.
    pub condition: Option<Expr>,
}

/// What is copied.
#[derive(Clone, Debug)]
pub enum CopySource {
    /// A table, and its columns where they are listed.
    Table(ObjectName, Option<Vec<String>>),
    /// A query's result.
    Query(Arc<Query>),
}

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyTarget {
    /// STDIN or STDOUT.
    Client,
    /// A file of the server.
    File(String),
}

/// Options as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// FORMAT, lower case.
    pub format: Option<String>,
    delimiter: Option<String>,
    null: Option<String>,
    default: Option<String>,
    header: Option<HeaderChoice>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<Columns>,
    force_not_null: Option<Columns>,
    force_null: Option<Columns>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeaderChoice {
    Off,
    On,
    Match,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Columns {
    All,
    Named(Vec<String>),
}

/// Form of a file's data.
#[derive(Clone, Debug, PartialEq)]
pub enum FileFormat {
    /// PostgreSQL's forms.
    Copy(CopyFormat),
    /// Parquet.
    Parquet,
    /// One JSON object per line.
    Json,
}

/// Reads COPY, whose first word is consumed.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<CopyStatement> {
    let binary = grammar.accept("BINARY");
    let source = source(grammar)?;
    let to = if grammar.accept("TO") {
        true
    } else if grammar.accept("FROM") {
        false
    } else {
        return grammar.unexpected("FROM or TO");
    };
    if !to && matches!(source, CopySource::Query(_)) {
        return grammar.unexpected("TO");
    }
    let target = target(grammar)?;
    let mut options = CopyOptions::default();
    if binary {
        options.format = Some("binary".into());
    }
    let with = grammar.accept("WITH");
    if grammar.token(&Token::LParen) {
        while_comma(grammar, |grammar| modern_option(grammar, &mut options))?;
        grammar.close()?;
    } else {
        let before = options.clone();
        while old_option(grammar, &mut options)? {}
        if with && options == before {
            return grammar.unexpected("COPY options");
        }
    }
    let condition = match !to && grammar.accept("WHERE") {
        true => Some(grammar.parser.parse_expr()?),
        false => None,
    };
    Ok(CopyStatement { source, to, target, options, condition })
}

fn source(grammar: &mut Grammar<'_>) -> Read<CopySource> {
    if grammar.token(&Token::LParen) {
        if grammar.peek("INSERT") || grammar.peek("UPDATE") || grammar.peek("DELETE") {
            return Err(SqlError::unsupported("COPY of a statement that changes rows").into());
        }
        return Ok(CopySource::Query(Arc::new(grammar::parenthesized_query(grammar)?)));
    }
    let name = grammar.object_name()?;
    let columns = if grammar.token(&Token::LParen) { Some(grammar::column_names(grammar)?) } else { None };
    Ok(CopySource::Table(name, columns))
}

fn target(grammar: &mut Grammar<'_>) -> Read<CopyTarget> {
    if grammar.accept("STDIN") || grammar.accept("STDOUT") {
        return Ok(CopyTarget::Client);
    }
    if grammar.peek("PROGRAM") {
        let hint = "Run the program beside the client, and pipe its data through \\copy.";
        return Err(SqlError::unsupported("COPY with PROGRAM").with_hint(hint).into());
    }
    Ok(CopyTarget::File(grammar.parser.parse_literal_string()?))
}

fn while_comma(grammar: &mut Grammar<'_>, mut one: impl FnMut(&mut Grammar<'_>) -> Read<()>) -> Read<()> {
    loop {
        one(grammar)?;
        if !grammar.token(&Token::Comma) {
            return Ok(());
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Read<()> {
    if slot.is_some() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").into());
    }
    *slot = Some(value);
    Ok(())
}

fn modern_option(grammar: &mut Grammar<'_>, options: &mut CopyOptions) -> Read<()> {
    let name = grammar.name()?;
    match name.as_str() {
        "format" => {
            let format = word_or_string(grammar)?.to_lowercase();
            if !["text", "csv", "binary", "parquet", "json"].contains(&format.as_str()) {
                return Err(invalid(format!("COPY format \"{format}\" not recognized")).into());
            }
            once(&mut options.format, format)
        }
        "freeze" => switch(grammar, "freeze").map(drop),
        "delimiter" => once(&mut options.delimiter, word_or_string(grammar)?),
        "null" => once(&mut options.null, word_or_string(grammar)?),
        "default" => once(&mut options.default, word_or_string(grammar)?),
        "header" => {
            let choice = if grammar.accept("MATCH") {
                HeaderChoice::Match
            } else if switch(grammar, "header")? {
                HeaderChoice::On
            } else {
                HeaderChoice::Off
            };
            once(&mut options.header, choice)
        }
        "quote" => once(&mut options.quote, word_or_string(grammar)?),
        "escape" => once(&mut options.escape, word_or_string(grammar)?),
        "force_quote" => once(&mut options.force_quote, columns(grammar)?),
        "force_not_null" => once(&mut options.force_not_null, columns(grammar)?),
        "force_null" => once(&mut options.force_null, columns(grammar)?),
        "encoding" => encoding(&word_or_string(grammar)?),
        "on_error" => match word_or_string(grammar)?.to_lowercase().as_str() {
            "stop" => Ok(()),
            "ignore" => Err(SqlError::unsupported("COPY with ON_ERROR ignore").into()),
            other => Err(invalid(format!("COPY ON_ERROR \"{other}\" not recognized")).into()),
        },
        "log_verbosity" => word_or_string(grammar).map(drop),
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("option \"{name}\" not recognized")).into()),
    }
}

/// The syntax before PostgreSQL 9: `CSV HEADER DELIMITER ','`.
fn old_option(grammar: &mut Grammar<'_>, options: &mut CopyOptions) -> Read<bool> {
    if grammar.accept("BINARY") {
        once(&mut options.format, "binary".into())?;
    } else if grammar.accept("CSV") {
        once(&mut options.format, "csv".into())?;
    } else if grammar.accept("FREEZE") {
    } else if grammar.accept("HEADER") {
        once(&mut options.header, HeaderChoice::On)?;
    } else if grammar.accept("DELIMITER") || grammar.accept("DELIMITERS") {
        grammar.accept("AS");
        once(&mut options.delimiter, grammar.parser.parse_literal_string()?)?;
    } else if grammar.accept("NULL") {
        grammar.accept("AS");
        once(&mut options.null, grammar.parser.parse_literal_string()?)?;
    } else if grammar.accept("QUOTE") {
        grammar.accept("AS");
        once(&mut options.quote, grammar.parser.parse_literal_string()?)?;
    } else if grammar.accept("ESCAPE") {
        grammar.accept("AS");
        once(&mut options.escape, grammar.parser.parse_literal_string()?)?;
    } else if grammar.accept("FORCE QUOTE") {
        once(&mut options.force_quote, old_columns(grammar)?)?;
    } else if grammar.accept("FORCE NOT NULL") {
        once(&mut options.force_not_null, old_columns(grammar)?)?;
    } else if grammar.accept("FORCE NULL") {
        once(&mut options.force_null, old_columns(grammar)?)?;
    } else if grammar.accept("ENCODING") {
        encoding(&grammar.parser.parse_literal_string()?)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn encoding(name: &str) -> Read<()> {
    match name.to_uppercase().replace(['-', '_'], "").as_str() {
        "UTF8" | "UNICODE" | "SQLASCII" => Ok(()),
        _ => Err(SqlError::unsupported(format!("encoding \"{name}\" of COPY data")).with_hint("Only UTF8 is supported.").into()),
    }
}

fn word_or_string(grammar: &mut Grammar<'_>) -> Read<String> {
    let token = grammar.parser.next_token();
    Ok(match &token.token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
        Token::Word(word) => word.value.clone(),
        Token::Number(digits, _) => digits.clone(),
        _ => return Ok(grammar.parser.expected("a value", token)?),
    })
}

fn switch(grammar: &mut Grammar<'_>, name: &str) -> Read<bool> {
    if matches!(grammar.parser.peek_token_ref().token, Token::Comma | Token::RParen) {
        return Ok(true);
    }
    match word_or_string(grammar)?.to_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ if name == "header" => Err(SqlError::new(SqlState::SYNTAX_ERROR, "header requires a Boolean value or \"match\"").into()),
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{name} requires a Boolean value")).into()),
    }
}

fn columns(grammar: &mut Grammar<'_>) -> Read<Columns> {
    if grammar.token(&Token::Mul) {
        return Ok(Columns::All);
    }
    if !grammar.token(&Token::LParen) {
        return grammar.unexpected("( or *");
    }
    Ok(Columns::Named(grammar::column_names(grammar)?))
}

fn old_columns(grammar: &mut Grammar<'_>) -> Read<Columns> {
    if grammar.token(&Token::Mul) {
        return Ok(Columns::All);
    }
    let mut names = Vec::new();
    while_comma(grammar, |grammar| {
        names.push(grammar.name()?);
        Ok::<(), GrammarError>(())
    })?;
    Ok(Columns::Named(names))
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn only_csv(what: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("COPY {what} requires CSV mode"))
}

impl CopyOptions {
    /// The form of a file's data: what FORMAT says, or text.
    pub fn file_format(&self, to: bool, columns: &[String]) -> Result<FileFormat> {
        let bare = Self { format: self.format.clone(), ..Self::default() } == *self;
        match self.format.as_deref() {
            Some(format @ ("parquet" | "json")) if !bare => {
                Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("COPY options for text and CSV cannot be given with FORMAT {format}")))
            }
            Some("parquet") => Ok(FileFormat::Parquet),
            Some("json") => Ok(FileFormat::Json),
            _ => self.resolve(to, columns).map(FileFormat::Copy),
        }
    }

    /// Checks everything, and fills in the defaults. `columns` are the columns copied, in order.
    pub fn resolve(&self, to: bool, columns: &[String]) -> Result<CopyFormat> {
        let kind = match self.format.as_deref() {
            None | Some("text") => CopyKind::Text,
            Some("csv") => CopyKind::Csv,
            Some("binary") => CopyKind::Binary,
            Some(other) => {
                return Err(SqlError::unsupported(format!("FORMAT {other} over the connection"))
                    .with_hint("It is read from and written to files of the server."));
            }
        };
        self.check_binary(kind)?;
        let csv = kind == CopyKind::Csv;
        let quote = self.single_byte("quote", &self.quote, csv, b'"')?;
        let format = CopyFormat {
            kind,
            delimiter: self.single_byte("delimiter", &self.delimiter, true, if csv { b',' } else { b'\t' })?,
            null: self.null.clone().unwrap_or_else(|| if csv { String::new() } else { "\\N".to_string() }),
            default: self.default.clone(),
            header: match self.header {
                None | Some(HeaderChoice::Off) => CopyHeader::Off,
                Some(HeaderChoice::On) => CopyHeader::On,
                Some(HeaderChoice::Match) => CopyHeader::Match,
            },
            quote,
            escape: self.single_byte("escape", &self.escape, csv, quote)?,
            force_quote: named_columns(&self.force_quote, "FORCE_QUOTE", csv, to, columns)?,
            force_not_null: named_columns(&self.force_not_null, "FORCE_NOT_NULL", csv, !to, columns)?,
            force_null: named_columns(&self.force_null, "FORCE_NULL", csv, !to, columns)?,
        };
        check(&format, to)?;
        Ok(format)
    }

    fn check_binary(&self, kind: CopyKind) -> Result<()> {
        let given = [("DELIMITER", self.delimiter.is_some()), ("NULL", self.null.is_some()), ("DEFAULT", self.default.is_some())];
        let header = [("HEADER", self.header.is_some_and(|h| h != HeaderChoice::Off))];
        match given.into_iter().chain(header).find(|(_, given)| *given) {
            Some((name, _)) if kind == CopyKind::Binary => {
                Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("cannot specify {name} in BINARY mode")))
            }
            _ => Ok(()),
        }
    }

    fn single_byte(&self, what: &str, value: &Option<String>, allowed: bool, default: u8) -> Result<u8> {
        match value.as_deref().map(str::as_bytes) {
            None => Ok(default),
            Some(_) if !allowed => Err(only_csv(what)),
            Some([byte]) => Ok(*byte),
            Some(_) => Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("COPY {what} must be a single one-byte character"))),
        }
    }
}

fn named_columns(wanted: &Option<Columns>, option: &str, csv: bool, direction_fits: bool, columns: &[String]) -> Result<Vec<usize>> {
    let Some(wanted) = wanted else { return Ok(Vec::new()) };
    if !csv {
        return Err(only_csv(option));
    }
    if !direction_fits {
        let direction = if option == "FORCE_QUOTE" { "FROM" } else { "TO" };
        return Err(invalid(format!("COPY {option} cannot be used with COPY {direction}")));
    }
    match wanted {
        Columns::All => Ok((0..columns.len()).collect()),
        Columns::Named(names) => names
            .iter()
            .map(|name| {
                columns.iter().position(|column| column == name).ok_or_else(|| {
                    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, format!("{option} column \"{name}\" not referenced by COPY"))
                })
            })
            .collect(),
    }
}

fn check(format: &CopyFormat, to: bool) -> Result<()> {
    if format.kind == CopyKind::Binary {
        return Ok(());
    }
    let csv = format.kind == CopyKind::Csv;
    let line_break = |text: &str| text.contains(['\r', '\n']);
    if matches!(format.delimiter, b'\r' | b'\n') {
        return Err(invalid("COPY delimiter cannot be newline or carriage return".into()));
    }
    if line_break(&format.null) {
        return Err(invalid("COPY null representation cannot use newline or carriage return".into()));
    }
    if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&format.delimiter) {
        return Err(invalid(format!("COPY delimiter cannot be \"{}\"", char::from(format.delimiter))));
    }
    if csv && format.delimiter == format.quote {
        return Err(invalid("COPY delimiter and quote must be different".into()));
    }
    if format.null.as_bytes().contains(&format.delimiter) {
        return Err(invalid("COPY delimiter character must not appear in the NULL specification".into()));
    }
    if csv && format.null.as_bytes().contains(&format.quote) {
        return Err(invalid("CSV quote character must not appear in the NULL specification".into()));
    }
    if to && format.header == CopyHeader::Match {
        return Err(invalid("cannot use \"match\" with HEADER in COPY TO".into()));
    }
    check_default(format, to, csv)
}

fn check_default(format: &CopyFormat, to: bool, csv: bool) -> Result<()> {
    let Some(default) = &format.default else { return Ok(()) };
    if to {
        return Err(invalid("COPY DEFAULT cannot be used with COPY TO".into()));
    }
    if default.contains(['\r', '\n']) {
        return Err(invalid("COPY default representation cannot use newline or carriage return".into()));
    }
    if default.as_bytes().contains(&format.delimiter) {
        return Err(invalid("COPY delimiter character must not appear in the DEFAULT specification".into()));
    }
    if csv && default.as_bytes().contains(&format.quote) {
        return Err(invalid("CSV quote character must not appear in the DEFAULT specification".into()));
    }
    if *default == format.null {
        return Err(invalid("NULL specification and DEFAULT specification cannot be the same".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::grammar::Ours;
    use super::*;

    fn copy(sql: &str) -> Result<CopyStatement> {
        let statements = super::super::parse::parse(sql)?;
        match statements[0].ours.as_deref() {
            Some(Ours::Copy(copy)) => Ok(CopyStatement::clone(copy)),
            other => panic!("{other:?}"),
        }
    }
    fn format(sql: &str) -> Result<CopyFormat> {
        let copy = copy(sql)?;
        copy.options.resolve(copy.to, &["a".to_string(), "b".to_string()])
    }

    #[test]
    fn both_syntaxes_mean_the_same() {
        let new = format("copy t from stdin with (format csv, header, delimiter ';', null 'x', quote '|', force_not_null (b))").unwrap();
        let old = format("copy t from stdin with csv header delimiter as ';' null 'x' quote '|' force not null b").unwrap();
        assert_eq!(new, old);
        assert_eq!((new.delimiter, new.header, new.escape, new.force_not_null.as_slice()), (b';', CopyHeader::On, b'|', &[1][..]));
        assert_eq!(format("copy t to stdout (format csv, force_quote *)").unwrap().force_quote, [0, 1]);
    }

    #[test]
    fn defaults_are_postgresqls() {
        let text = format("copy t from stdin").unwrap();
        assert_eq!((text.kind, text.delimiter, text.null.as_str(), text.header), (CopyKind::Text, b'\t', "\\N", CopyHeader::Off));
        let csv = format("copy t from stdin (format 'csv')").unwrap();
        assert_eq!((csv.delimiter, csv.null.as_str(), csv.quote, csv.escape), (b',', "", b'"', b'"'));
        assert_eq!(format("copy binary t to stdout").unwrap().kind, CopyKind::Binary);
        assert_eq!(format("copy t from stdin (header match)").unwrap().header, CopyHeader::Match);
        assert_eq!(format("copy t from stdin (delimiter e'\\t')").unwrap().delimiter, b'\t');
    }

    #[test]
    fn sources_and_targets() {
        let copy_query = copy("copy (select 1; ) to stdout");
        assert!(copy_query.is_err());
        let parsed = copy("copy (select a from t) to '/tmp/x.parquet' (format parquet)").unwrap();
        assert!(matches!(parsed.source, CopySource::Query(_)) && parsed.to);
        assert_eq!(parsed.target, CopyTarget::File("/tmp/x.parquet".into()));
        assert_eq!(parsed.options.file_format(true, &[]).unwrap(), FileFormat::Parquet);
        assert!(matches!(copy("copy s.t (\"A\", b) from stdin").unwrap().source, CopySource::Table(_, Some(c)) if c == ["A", "b"]));
        assert_eq!(copy("copy t from program 'ls'").unwrap_err().state, SqlState::FEATURE_NOT_SUPPORTED);
    }

    #[test]
    fn contradictions_are_refused_as_postgresql_does() {
        for (options, state, message) in [
            ("(format xml)", "22023", "COPY format \"xml\" not recognized"),
            ("(colour 'red')", "42601", "option \"colour\" not recognized"),
            ("(null 'a', null 'b')", "42601", "conflicting or redundant options"),
            ("(format binary, delimiter ',')", "42601", "cannot specify DELIMITER in BINARY mode"),
            ("(delimiter ',,')", "0A000", "COPY delimiter must be a single one-byte character"),
            ("(delimiter 'a')", "22023", "COPY delimiter cannot be \"a\""),
            ("(delimiter e'\\n')", "22023", "COPY delimiter cannot be newline or carriage return"),
            ("(quote '|')", "0A000", "COPY quote requires CSV mode"),
            ("(format csv, delimiter '\"')", "22023", "COPY delimiter and quote must be different"),
            ("(format csv, null 'a,b')", "22023", "COPY delimiter character must not appear in the NULL specification"),
            ("(force_null (a))", "0A000", "COPY FORCE_NULL requires CSV mode"),
            ("(format csv, force_quote (a))", "22023", "COPY FORCE_QUOTE cannot be used with COPY FROM"),
            ("(format csv, force_null (z))", "42P10", "FORCE_NULL column \"z\" not referenced by COPY"),
            ("(header maybe)", "42601", "header requires a Boolean value or \"match\""),
            ("(encoding 'latin1')", "0A000", "encoding \"latin1\" of COPY data is not supported"),
            ("(default '\\N')", "22023", "NULL specification and DEFAULT specification cannot be the same"),
        ] {
            let error = format(&format!("copy t from stdin {options}")).unwrap_err();
            assert_eq!((error.state.0, &*error.message), (state, message), "{options}");
        }
    }
}
