//! Statements about how PostgreSQL stores a table and its indexes: they are checked, and have nothing to do here.

use super::{Grammar, Ours, Read, is_word};
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::tokenizer::Token;

/// What such a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Physical {
    /// ALTER TABLE, of a column or not.
    Table {
        /// IF EXISTS.
        if_exists: bool,
        /// The table.
        name: ObjectName,
        /// The column.
        column: Option<String>,
        /// The index.
        index: Option<String>,
    },
    /// REINDEX of a table.
    ReindexTable(ObjectName),
    /// REINDEX of an index.
    ReindexIndex(ObjectName),
    /// REINDEX of a schema.
    ReindexSchema(String),
    /// REINDEX of the database.
    ReindexDatabase(Option<String>),
}

/// The words by which ALTER TABLE says such a thing.
const FORMS: [&str; 9] = [
    "SET STATISTICS",
    "SET STORAGE",
    "SET COMPRESSION",
    "REPLICA IDENTITY",
    "SET LOGGED",
    "SET UNLOGGED",
    "SET WITHOUT",
    "CLUSTER ON",
    "RESET",
];
const STORAGES: [&str; 4] = ["plain", "external", "extended", "main"];
const COMPRESSIONS: [&str; 3] = ["pglz", "lz4", "default"];

/// Reads such a statement; `None`, and nothing consumed, if it is another.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    if grammar.accept("REINDEX") {
        return reindex(grammar).map(|physical| Some(Ours::Physical(physical)));
    }
    if grammar.peek("ALTER TABLE") && is_one(grammar) {
        return alter(grammar).map(|physical| Some(Ours::Physical(physical)));
    }
    Ok(None)
}

fn is_one(grammar: &Grammar<'_>) -> bool {
    let words: Vec<&Token> = grammar.tokens.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_) | Token::EOF)).collect();
    let has = |form: &&str| {
        let form: Vec<&str> = form.split(' ').collect();
        words.windows(form.len()).any(|found| found.iter().zip(&form).all(|(token, word)| is_word(token, word)))
    };
    // Of a table such options are checked by the parser's form.
    let of_column = words.windows(3).any(|found| is_word(found[1], "SET") && *found[2] == Token::LParen && column_before(&words));
    let several = words.iter().any(|token| **token == Token::Comma);
    (FORMS.iter().any(has) && !several) || of_column
}

/// `ALTER TABLE t ALTER c SET (`
fn column_before(words: &[&Token]) -> bool {
    words.iter().filter(|token| is_word(token, "ALTER")).count() > 1
}

fn alter(grammar: &mut Grammar<'_>) -> Read<Physical> {
    grammar.expect("ALTER TABLE")?;
    let if_exists = grammar.accept("IF EXISTS");
    let _ = grammar.accept("ONLY");
    let name = grammar.object_name()?;
    let (mut column, mut index) = (None, None);
    if grammar.accept("ALTER") {
        let _ = grammar.accept("COLUMN");
        column = Some(grammar.name()?);
        of_column(grammar)?;
    } else if grammar.accept("CLUSTER ON") || grammar.accept("REPLICA IDENTITY USING INDEX") {
        index = Some(grammar.name()?);
    } else if grammar.accept("REPLICA IDENTITY") {
        if !["FULL", "DEFAULT", "NOTHING"].iter().any(|word| grammar.accept(word)) {
            return grammar.unexpected("FULL, DEFAULT, NOTHING or USING INDEX");
        }
    } else if grammar.accept("RESET") {
        skip_parentheses(grammar)?;
    } else if !["SET LOGGED", "SET UNLOGGED", "SET WITHOUT CLUSTER", "SET WITHOUT OIDS"].iter().any(|words| grammar.accept(words)) {
        return grammar.unexpected("a change of how the table is stored");
    }
    Ok(Physical::Table { if_exists, name, column, index })
}

fn of_column(grammar: &mut Grammar<'_>) -> Read<()> {
    if grammar.accept("SET STATISTICS") {
        return grammar.integer().map(drop);
    }
    for (words, kind, known) in
        [("SET STORAGE", "storage type", &STORAGES[..]), ("SET COMPRESSION", "compression method", &COMPRESSIONS[..])]
    {
        if grammar.accept(words) {
            let name = grammar.name()?;
            if known.contains(&name.as_str()) {
                return Ok(());
            }
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid {kind} \"{name}\"")).into());
        }
    }
    if grammar.accept("SET") || grammar.accept("RESET") {
        return skip_parentheses(grammar);
    }
    grammar.unexpected("SET")
}

/// Options of a column or a table that only PostgreSQL's planner or vacuum would read.
fn skip_parentheses(grammar: &mut Grammar<'_>) -> Read<()> {
    if !grammar.token(&Token::LParen) {
        return grammar.unexpected("(");
    }
    loop {
        match grammar.parser.next_token().token {
            Token::RParen => return Ok(()),
            Token::EOF => return grammar.unexpected(")"),
            _ => {}
        }
    }
}

fn reindex(grammar: &mut Grammar<'_>) -> Read<Physical> {
    if grammar.parser.peek_token_ref().token == Token::LParen {
        skip_parentheses(grammar)?;
    }
    let mut kind = None;
    for word in ["TABLE", "INDEX", "SCHEMA", "DATABASE", "SYSTEM"] {
        if kind.is_none() && grammar.accept(word) {
            kind = Some(word);
        }
    }
    let _ = grammar.accept("CONCURRENTLY");
    match kind {
        Some("TABLE") => Ok(Physical::ReindexTable(grammar.object_name()?)),
        Some("INDEX") => Ok(Physical::ReindexIndex(grammar.object_name()?)),
        Some("SCHEMA") => Ok(Physical::ReindexSchema(grammar.name()?)),
        Some(_) => {
            let named = grammar.parser.peek_token_ref().token != Token::EOF;
            Ok(Physical::ReindexDatabase(if named { Some(grammar.name()?) } else { None }))
        }
        None => grammar.unexpected("TABLE, INDEX, SCHEMA, DATABASE or SYSTEM"),
    }
}
