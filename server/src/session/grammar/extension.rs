//! CREATE EXTENSION and DROP EXTENSION.

use super::{Grammar, Ours, Read};
use crate::catalog::pg_catalog::extensions;
use datafusion::sql::sqlparser::tokenizer::Token;

/// CREATE EXTENSION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateExtension {
    /// Its name.
    pub name: String,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// SCHEMA.
    pub schema: Option<String>,
}

/// DROP EXTENSION. Nothing depends on an extension here: CASCADE and RESTRICT are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropExtension {
    /// Their names.
    pub names: Vec<String>,
    /// IF EXISTS.
    pub if_exists: bool,
}

/// Reads such a statement; `None`, and nothing consumed, if it is another.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    if grammar.peek("DROP EXTENSION") {
        return drop_of_known(grammar);
    }
    if !grammar.accept("CREATE EXTENSION") {
        return Ok(None);
    }
    let if_not_exists = grammar.accept("IF NOT EXISTS");
    let name = grammar.name()?;
    let _ = grammar.accept("WITH");
    let mut schema = None;
    loop {
        if grammar.accept("SCHEMA") {
            schema = Some(grammar.name()?);
        } else if grammar.accept("VERSION") {
            // There is one of each.
            let token = grammar.parser.next_token();
            if token.token == Token::EOF {
                return grammar.unexpected("a name");
            }
        } else {
            break;
        }
    }
    let _ = grammar.accept("CASCADE");
    Ok(Some(Ours::CreateExtension(CreateExtension { name, if_not_exists, schema })))
}

/// Those that are not known are left to what reads DROP of kinds that there are none of.
fn drop_of_known(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    let is_one = |token: &Token| matches!(token, Token::Word(word) if extensions::find(&word.value.to_lowercase()).is_some());
    if !grammar.tokens.iter().any(|token| is_one(&token.token)) || !grammar.accept("DROP EXTENSION") {
        return Ok(None);
    }
    let if_exists = grammar.accept("IF EXISTS");
    let mut names = vec![grammar.name()?];
    while grammar.parser.consume_token(&Token::Comma) {
        names.push(grammar.name()?);
    }
    let _ = grammar.accept("CASCADE") || grammar.accept("RESTRICT");
    Ok(Some(Ours::DropExtension(DropExtension { names, if_exists })))
}
