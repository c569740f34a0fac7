//! `SET a[1] = x, j['b']['c'] = y`: what is assigned to is a name and no more for the SQL parser. Subscripts are put into the name's last part,
//! in brackets for quotes, which no other name has; [`subscripts_of`] reads them there.

use super::parse::parse_expression;
use crate::error::{Result, SqlError};
use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Ident, ObjectName, ObjectNamePart, Subscript};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// The quote of a part that is subscripts.
const QUOTE: char = '[';

/// Hides the subscripts of what a SET list assigns to.
pub(super) fn hidden(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let changes = |token: &TokenWithSpan| is_word(token, "update");
    if !tokens.iter().any(|token| token.token == Token::LBracket) || !tokens.iter().any(changes) {
        return tokens;
    }
    let mut result: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // Of each parenthesis around: whether the list of a SET is being read.
    let mut lists = vec![false];
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let begins = follows_target_start(&result, lists.last() == Some(&true));
        note(token, &result, &mut lists);
        result.push(token.clone());
        at += 1;
        if begins
            && matches!(token.token, Token::Word(_))
            && let Some(end) = brackets_end(&tokens, at)
        {
            let text: String = tokens[at..end].iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" ");
            let word = Token::Word(Word { value: text, quote_style: Some(QUOTE), keyword: Keyword::NoKeyword });
            let made = [Token::Period, word].map(|made| TokenWithSpan { token: made, span: token.span });
            result.extend(made);
            at = end;
        }
    }
    result
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

fn last(tokens: &[TokenWithSpan]) -> Option<&TokenWithSpan> {
    tokens.iter().rfind(|token| !matches!(token.token, Token::Whitespace(_)))
}

/// Whether what comes next is assigned to: behind SET, or behind a comma of its list.
fn follows_target_start(before: &[TokenWithSpan], in_list: bool) -> bool {
    last(before).is_some_and(|token| is_word(token, "set") || (in_list && token.token == Token::Comma))
}

fn note(token: &TokenWithSpan, before: &[TokenWithSpan], lists: &mut Vec<bool>) {
    match &token.token {
        Token::LParen | Token::LBracket => lists.push(false),
        Token::RParen | Token::RBracket if lists.len() > 1 => drop(lists.pop()),
        _ => {
            let distinct = last(before).is_some_and(|token| is_word(token, "distinct"));
            let ends = ["where", "returning"].iter().any(|word| is_word(token, word)) || (is_word(token, "from") && !distinct);
            if let Some(list) = lists.last_mut() {
                *list = (*list || is_word(token, "set")) && !ends;
            }
        }
    }
}

/// Where brackets that begin here, and stand before `=`, end.
fn brackets_end(tokens: &[TokenWithSpan], start: usize) -> Option<usize> {
    let (mut depth, mut end) = (0usize, start);
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.token {
            Token::Whitespace(_) if depth == 0 => {}
            Token::LBracket => depth += 1,
            Token::RBracket => {
                depth = depth.checked_sub(1)?;
                end = at + 1;
            }
            Token::Eq if depth == 0 => return (end > start).then_some(end),
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// A name without its subscripts, and what they are.
pub fn subscripts_of(name: &ObjectName) -> Result<Option<(ObjectName, Vec<Subscript>)>> {
    let Some((ObjectNamePart::Identifier(Ident { value, quote_style: Some(QUOTE), .. }), plain)) = name.0.split_last() else {
        return Ok(None);
    };
    let Expr::CompoundFieldAccess { access_chain, .. } = parse_expression(&format!("x{value}"))? else {
        return Err(SqlError::internal("subscripts were expected"));
    };
    let subscript = |access: AccessExpr| match access {
        AccessExpr::Subscript(subscript) => Ok(subscript),
        AccessExpr::Dot(_) => Err(SqlError::unsupported("assigning to a field")),
    };
    let subscripts = access_chain.into_iter().map(subscript).collect::<Result<_>>()?;
    Ok(Some((ObjectName(plain.to_vec()), subscripts)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::parse::parse;
    use super::*;
    use datafusion::sql::sqlparser::ast::{AssignmentTarget, Statement};

    fn targets(sql: &str) -> Vec<(String, usize)> {
        let Statement::Update(update) = &*parse(sql).unwrap()[0].ast else { panic!("{sql}") };
        let target = |target: &AssignmentTarget| match target {
            AssignmentTarget::ColumnName(name) => {
                subscripts_of(name).unwrap().map_or((name.to_string(), 0), |(name, subscripts)| (name.to_string(), subscripts.len()))
            }
            AssignmentTarget::Tuple(_) => panic!("{sql}"),
        };
        update.assignments.iter().map(|assignment| target(&assignment.target)).collect()
    }

    #[test]
    fn subscripts_are_kept_with_what_is_assigned_to() {
        let pair = |name: &str, count| (name.to_string(), count);
        assert_eq!(targets("update t set a[1] = 2"), [pair("a", 1)]);
        assert_eq!(
            targets("update t set b = a[1], j['x'][0] = f(a[2], 3), c = a[3] where a[1] = 2"),
            [pair("b", 0), pair("j", 2), pair("c", 0)]
        );
        assert_eq!(
            targets("update t set x = a is distinct from b, m[1:2][i + 1] = '{}' from u, v where v[1] = 2"),
            [pair("x", 0), pair("m", 2)]
        );
    }
}
