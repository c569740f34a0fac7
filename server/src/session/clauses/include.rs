//! `UNIQUE (...) INCLUDE (columns)` and `PRIMARY KEY (...) INCLUDE (columns)` in CREATE TABLE and ALTER TABLE: the columns are moved to the end
//! of the key's list, each with a mark.

use super::is_word;
use crate::catalog::names::fold;
use datafusion::sql::sqlparser::ast::{Expr, Ident, IndexColumn};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Stands before each name.
const MARK: &str = "\u{1}include ";

/// The column that INCLUDE names, if a part of a list is one.
pub fn included(part: &IndexColumn) -> Option<&str> {
    let Expr::Identifier(Ident { value, .. }) = &part.column.expr else { return None };
    value.strip_prefix(MARK)
}

/// Moves the columns.
pub(super) fn cut(tokens: &mut Vec<TokenWithSpan>) {
    while let Some((close, end, names)) = (0..tokens.len()).find_map(|at| list(tokens, at)) {
        let span = tokens[close].span;
        tokens.drain(close + 1..end);
        let marked = |name: String| Word { value: format!("{MARK}{name}"), quote_style: Some('"'), keyword: Keyword::NoKeyword };
        let more = names.into_iter().flat_map(|name| [Token::Comma, Token::Word(marked(name))]);
        tokens.splice(close..close, more.map(|token| TokenWithSpan { token, span }));
    }
}

/// INCLUDE behind the parenthesis at a place: the place, where what comes after the list begins, and its names.
fn list(tokens: &[TokenWithSpan], close: usize) -> Option<(usize, usize, Vec<String>)> {
    let is = |at: usize, token: &Token| tokens.get(at).is_some_and(|found| found.token == *token);
    if !(is(close, &Token::RParen) && is_word(tokens.get(close + 1), "INCLUDE") && is(close + 2, &Token::LParen)) {
        return None;
    }
    let mut names = Vec::new();
    for (at, token) in tokens.iter().enumerate().skip(close + 3) {
        match &token.token {
            Token::Word(word) => names.push(fold(&word.clone().into_ident(token.span))),
            Token::Comma => {}
            Token::RParen if !names.is_empty() => return Some((close, at + 1, names)),
            _ => return None,
        }
    }
    None
}
