//! `AS IDENTITY (...)`: the options in the order, and of the kinds, that the SQL parser reads.

use super::is_word;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Brings the options of `AS IDENTITY (...)` into the only order in which the SQL parser reads them; PostgreSQL takes any.
pub fn in_order(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let tokens: Vec<TokenWithSpan> = tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect();
    let mut ordered: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let Some((token, tail)) = rest.split_first() {
        let opens = token.token == Token::LParen && ordered.last().is_some_and(|t| is_word(&t.token, "IDENTITY"));
        ordered.push(token.clone());
        rest = tail;
        if opens {
            rest = after_sequence_name(rest);
            let end = rest.iter().position(|t| t.token == Token::RParen).unwrap_or(rest.len());
            let mut options = split_options(&rest[..end]);
            options.sort_by_key(|(rank, _)| *rank);
            ordered.extend(options.into_iter().flat_map(|(_, option)| option.iter().cloned()));
            rest = &rest[end..];
        }
    }
    ordered
}

/// What comes after `SEQUENCE NAME s.q`: a column's sequence is named after the column, as a dump names it too.
fn after_sequence_name(tokens: &[TokenWithSpan]) -> &[TokenWithSpan] {
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| is_word(&token.token, word));
    if !is(0, "SEQUENCE") || !is(1, "NAME") {
        return tokens;
    }
    let mut end = 3;
    while tokens.get(end).is_some_and(|token| token.token == Token::Period) {
        end += 2;
    }
    tokens.get(end..).unwrap_or_default()
}

/// Options, each with its rank in the SQL parser's order.
fn split_options(tokens: &[TokenWithSpan]) -> Vec<(usize, &[TokenWithSpan])> {
    const RANKS: [&str; 6] = ["INCREMENT", "MINVALUE", "MAXVALUE", "START", "CACHE", "CYCLE"];
    let rank = |at: usize| RANKS.iter().position(|word| tokens.get(at).is_some_and(|t| is_word(&t.token, word)));
    let no = |at: usize| tokens.get(at).is_some_and(|t| is_word(&t.token, "NO"));
    let mut starts: Vec<(usize, usize)> = Vec::new();
    for at in 0..tokens.len() {
        match rank(at) {
            Some(rank) if at > 0 && no(at - 1) => starts.push((rank, at - 1)),
            Some(rank) => starts.push((rank, at)),
            None if at == 0 && !no(0) => starts.push((0, 0)),
            None => {}
        }
    }
    let ends = starts.iter().skip(1).map(|(_, start)| *start).chain([tokens.len()]);
    starts.iter().zip(ends).map(|((rank, start), end)| (*rank, &tokens[*start..end])).collect()
}
