//! CREATE EXTENSION, and DROP EXTENSION of those that are part of the server.

use super::{Grammar, Ours, Read};
use crate::catalog::pg_catalog::extensions;
use crate::error::SqlError;
use datafusion::sql::sqlparser::tokenizer::Token;

/// CREATE EXTENSION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateExtension {
    /// Its name.
    pub name: String,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
}

/// Reads such a statement; `None`, and nothing consumed, if it is another.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    if grammar.peek("DROP EXTENSION") {
        return Ok(drop_of_built_in(grammar));
    }
    if !grammar.accept("CREATE EXTENSION") {
        return Ok(None);
    }
    let if_not_exists = grammar.accept("IF NOT EXISTS");
    let name = grammar.name()?;
    let _ = grammar.accept("WITH");
    // Where its functions go, which version, and what else it needs: they are where they are.
    while grammar.accept("SCHEMA") || grammar.accept("VERSION") {
        let token = grammar.parser.next_token();
        if token.token == Token::EOF {
            return grammar.unexpected("a name");
        }
    }
    let _ = grammar.accept("CASCADE");
    Ok(Some(Ours::CreateExtension(CreateExtension { name, if_not_exists })))
}

fn drop_of_built_in(grammar: &mut Grammar<'_>) -> Option<Ours> {
    let is_one = |token: &Token| matches!(token, Token::Word(word) if extensions::find(&word.value.to_lowercase()).is_some());
    let name = grammar.tokens.iter().map(|token| &token.token).find(|token| is_one(token))?;
    let error = SqlError::unsupported(format!("DROP EXTENSION {name}")).with_hint("The extension is part of the server.");
    grammar.skip_rest();
    Some(Ours::Unsupported(Box::new(error)))
}
