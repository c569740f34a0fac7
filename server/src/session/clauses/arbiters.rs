//! `ON CONFLICT (a, lower(b)) WHERE condition DO ...`: the SQL parser knows lists of columns only. Any other target is kept as one name, which holds
//! its text.

use super::{is_word, parse};
use crate::error::Result;
use crate::session::parse::parse_expression;
use crate::session::spellings;
use datafusion::sql::sqlparser::ast::{Expr, Ident};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Stands before each part of a target.
const PART: char = '\u{1}';
/// Stands before its condition.
const CONDITION: char = '\u{2}';

/// What ON CONFLICT infers unique keys from.
#[derive(Clone, Debug)]
pub struct Inferred {
    /// Columns and expressions.
    pub parts: Vec<Expr>,
    /// WHERE.
    pub condition: Option<Expr>,
}

/// The target that a list of names stands for.
pub fn inferred(names: &[Ident]) -> Result<Inferred> {
    let plain = || Inferred { parts: names.iter().cloned().map(Expr::Identifier).collect(), condition: None };
    let [Ident { value, .. }] = names else { return Ok(plain()) };
    let Some(text) = value.strip_prefix(PART) else { return Ok(plain()) };
    let (parts, condition) = match text.split_once(CONDITION) {
        Some((parts, condition)) => (parts, Some(condition)),
        None => (text, None),
    };
    let parts = parts.split(PART).map(parse_expression).collect::<Result<_>>()?;
    Ok(Inferred { parts, condition: condition.map(parse_expression).transpose()? })
}

/// Puts one name in the place of each target that is more than a list of columns. What cannot be read is left to the parser's complaint.
pub(super) fn cut(tokens: &mut Vec<TokenWithSpan>) {
    let mut from = 0;
    while let Some(open) = (from..tokens.len()).find(|at| is_target(tokens, *at)).map(|at| at + 2) {
        from = open;
        let Some((end, text)) = target(tokens, open) else { continue };
        let span = tokens[open + 1].span;
        let word = Word { value: text, quote_style: Some('"'), keyword: Keyword::NoKeyword };
        let list = [Token::LParen, Token::Word(word), Token::RParen].map(|token| TokenWithSpan { token, span });
        tokens.splice(open..end, list);
    }
}

fn is_target(tokens: &[TokenWithSpan], at: usize) -> bool {
    let opens = tokens.get(at + 2).is_some_and(|token| token.token == Token::LParen);
    opens && is_word(tokens.get(at), "ON") && is_word(tokens.get(at + 1), "CONFLICT")
}

/// Where what comes after a target begins, and its text; `None` for a list of columns.
fn target(tokens: &[TokenWithSpan], open: usize) -> Option<(usize, String)> {
    let close = closing(tokens, open)?;
    let inside = &tokens[open + 1..close];
    let is_list = inside.iter().all(|token| matches!(token.token, Token::Word(_) | Token::Comma));
    let has_condition = is_word(tokens.get(close + 1), "WHERE");
    if is_list && !has_condition {
        return None;
    }
    let mut text: String = expressions(inside)?.iter().map(|part| format!("{PART}{part}")).collect();
    if !has_condition {
        return Some((close + 1, text));
    }
    let end = (close + 2..tokens.len()).find(|at| is_word(tokens.get(*at), "DO"))?;
    let [condition] = &expressions(&tokens[close + 2..end])?[..] else { return None };
    text.push_str(&format!("{CONDITION}{condition}"));
    Some((end, text))
}

fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return Some(at),
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    None
}

fn expressions(tokens: &[TokenWithSpan]) -> Option<Vec<Expr>> {
    let mut parser = parse::parser(spellings::known_to_the_parser(tokens.to_vec()));
    let parsed = parser.parse_comma_separated(|parser| parser.parse_expr()).ok()?;
    (parser.peek_token().token == Token::EOF).then_some(parsed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse as parse_statements;
    use datafusion::sql::sqlparser::ast::{ConflictTarget, OnInsert, Statement};

    fn read(target: &str) -> String {
        let sql = format!("insert into t values (1) on conflict {target} do update set a = 1 where t.b > 'x'");
        let Statement::Insert(insert) = &*parse_statements(&sql).unwrap()[0].ast else { panic!("no INSERT") };
        let Some(OnInsert::OnConflict(clause)) = &insert.on else { panic!("no ON CONFLICT") };
        let Some(ConflictTarget::Columns(names)) = &clause.conflict_target else { panic!("no columns") };
        let Inferred { parts, condition } = inferred(names).unwrap();
        let parts: Vec<String> = parts.iter().map(Expr::to_string).collect();
        format!("{} | {}", parts.join("; "), condition.map(|condition| condition.to_string()).unwrap_or_default())
    }

    #[test]
    fn targets_are_read_whatever_they_are() {
        assert_eq!(read("(a, \"B c\")"), "a; \"B c\" | ");
        assert_eq!(read("(lower(a), b)"), "lower(a); b | ");
        assert_eq!(read("((a || 'it''s')) where b is null and c = ')'"), "(a || 'it''s') | b IS NULL AND c = ')'");
        assert!(parse_statements("insert into t values (1) on conflict (lower(a) do nothing").is_err());
    }
}
