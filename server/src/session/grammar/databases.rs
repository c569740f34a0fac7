//! CREATE DATABASE and DROP DATABASE: there is one database, and it stays. Tools that make theirs if it is not there go on when it is.

use super::drop_absent::{Absent, DropAbsent};
use super::{Grammar, Ours, Read};
use crate::access::login::DATABASE;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::tokenizer::Token;

/// Reads such a statement; `None`, and nothing consumed, if it is another.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    let ours = if grammar.accept("CREATE DATABASE") {
        let name = grammar.name()?;
        refused(create(&name))
    } else if grammar.accept("DROP DATABASE") {
        let if_exists = grammar.accept("IF EXISTS");
        let name = grammar.name()?;
        match name == DATABASE {
            true => refused(SqlError::new(SqlState::OBJECT_IN_USE, "cannot drop the currently open database")),
            false => Ours::DropAbsent(DropAbsent { tag: "DROP DATABASE", if_exists, names: vec![absent(&name)] }),
        }
    } else {
        return Ok(None);
    };
    while grammar.parser.peek_token().token != Token::EOF {
        grammar.parser.next_token();
    }
    Ok(Some(ours))
}

fn refused(error: SqlError) -> Ours {
    Ours::Unsupported(Box::new(error))
}

fn create(name: &str) -> SqlError {
    match name == DATABASE {
        true => SqlError::new(SqlState::DUPLICATE_DATABASE, format!("database \"{name}\" already exists")),
        false => SqlError::unsupported("CREATE DATABASE")
            .with_hint(format!("A server has one database, \"{DATABASE}\": use schemas, or start another server.")),
    }
}

fn absent(name: &str) -> Absent {
    let error = SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"));
    Absent { skipping: format!("{}, skipping", error.message), error, relation: None }
}
