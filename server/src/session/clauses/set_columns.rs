//! `FOREIGN KEY (...) ... ON DELETE SET {NULL | DEFAULT} (columns)`: the list is moved to where the SQL parser takes a name, behind FOREIGN KEY.

use super::is_word;
use crate::catalog::names::fold;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{ForeignKeyConstraint, Ident};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Stands before each name of a list.
const MARK: char = '\u{1}';

/// The columns that ON DELETE sets; none: all of the key's.
pub fn set_columns(key: &ForeignKeyConstraint) -> Result<Vec<Ident>> {
    let Some(name) = &key.index_name else { return Ok(Vec::new()) };
    match name.value.strip_prefix(MARK) {
        Some(names) => Ok(names.split(MARK).map(|name| Ident::with_quote('"', name)).collect()),
        None => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{}\"", name.value)).at(name.span)),
    }
}

/// Moves the lists.
pub(super) fn cut(tokens: &mut Vec<TokenWithSpan>) {
    while let Some((start, end, names)) = (0..tokens.len()).find_map(|at| list(tokens, at)) {
        let Some(key) = key_before(tokens, start) else { return };
        let span = tokens[start].span;
        tokens.drain(start..end);
        let value = names.iter().map(|name| format!("{MARK}{name}")).collect();
        let word = Word { value, quote_style: Some('"'), keyword: datafusion::sql::sqlparser::keywords::Keyword::NoKeyword };
        tokens.insert(key + 1, TokenWithSpan { token: Token::Word(word), span });
    }
}

/// The list at a place behind ON DELETE SET NULL: where it begins, where what comes after it does, its names.
fn list(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, usize, Vec<String>)> {
    let is = |offset: usize, word: &str| is_word(tokens.get(at + offset), word);
    if !(is(0, "ON")
        && is(1, "DELETE")
        && is(2, "SET")
        && (is(3, "NULL") || is(3, "DEFAULT"))
        && tokens.get(at + 4)?.token == Token::LParen)
    {
        return None;
    }
    let mut names = Vec::new();
    for (place, token) in tokens.iter().enumerate().skip(at + 5) {
        match &token.token {
            Token::Word(word) => names.push(fold(&word.clone().into_ident(token.span))),
            Token::Comma => {}
            Token::RParen if !names.is_empty() => return Some((at + 4, place + 1, names)),
            _ => return None,
        }
    }
    None
}

/// The KEY of the FOREIGN KEY that a place belongs to.
fn key_before(tokens: &[TokenWithSpan], place: usize) -> Option<usize> {
    let mut depth = 0usize;
    for at in (1..place).rev() {
        match &tokens[at].token {
            Token::RParen => depth += 1,
            Token::LParen | Token::Comma if depth == 0 => return None,
            Token::LParen => depth -= 1,
            _ if is_word(tokens.get(at), "KEY") && is_word(tokens.get(at - 1), "FOREIGN") => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse;
    use datafusion::sql::sqlparser::ast::{Statement, TableConstraint};

    #[test]
    fn the_columns_of_set_null_are_read() {
        let sql = "create table c (a int, \"B\" int, foreign key (a, \"B\") references p on delete set null (\"B\", A) on update cascade, \
                   foreign key (a) references q on delete set default)";
        let Statement::CreateTable(create) = &*parse(sql).unwrap()[0].ast else { panic!() };
        let keys = create.constraints.iter().map(|constraint| match constraint {
            TableConstraint::ForeignKey(key) => set_columns(key).unwrap().iter().map(|name| name.value.clone()).collect::<Vec<_>>(),
            other => panic!("{other}"),
        });
        assert_eq!(keys.collect::<Vec<_>>(), [vec!["B".to_string(), "a".to_string()], vec![]]);
        assert!(parse("create table c (a int references p on delete set null ())").is_err());
    }
}
