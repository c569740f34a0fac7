//! PostgreSQL's spellings that the SQL parser does not know, as tokens that it does.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

/// `x ISNULL`, `x NOTNULL`, `ORDER BY x USING >`, `TABLE t`, `FROM ONLY t`.
pub(super) fn known_to_the_parser(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let wanted = tokens.iter().any(|token| is_word(token, "isnull") || is_word(token, "notnull") || is_word(token, "using"))
        || tokens.iter().any(|token| is_word(token, "only"))
        || first(&tokens).is_some_and(|at| is_word(&tokens[at], "table"));
    if wanted { respelled(tokens) } else { tokens }
}

fn respelled(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let begins = first(&tokens);
    let mut result = Vec::with_capacity(tokens.len() + 8);
    let mut skipped = None;
    for (at, token) in tokens.iter().enumerate() {
        if skipped == Some(at) {
            continue;
        }
        let next = following(&tokens, at);
        let next_token = next.map(|next| &tokens[next].token);
        let before = preceding(&tokens, at).map(|before| &tokens[before]);
        let operand = before.is_some_and(ends_an_operand) && next_token != Some(&Token::LParen);
        let words = match token {
            token if begins == Some(at) && is_word(token, "table") => "SELECT * FROM",
            token if is_word(token, "isnull") && operand => "IS NULL",
            token if is_word(token, "notnull") && operand => "IS NOT NULL",
            token if is_word(token, "only") && before.is_some_and(|before| is_word(before, "from")) => "",
            token if is_word(token, "using") && matches!(next_token, Some(Token::Lt | Token::Gt)) => {
                skipped = next;
                if next_token == Some(&Token::Lt) { "ASC" } else { "DESC" }
            }
            _ => {
                result.push(token.clone());
                continue;
            }
        };
        result.extend(spelled(words, token));
    }
    result
}

/// Tokens in the place of another.
fn spelled(words: &str, place: &TokenWithSpan) -> Vec<TokenWithSpan> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, words).tokenize().unwrap_or_default();
    tokens.into_iter().map(|token| TokenWithSpan { token, span: place.span }).collect()
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) | Token::Whitespace(_))
}

fn first(tokens: &[TokenWithSpan]) -> Option<usize> {
    tokens.iter().position(|token| !is_space(token))
}

fn following(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (at + 1..tokens.len()).find(|next| !is_space(&tokens[*next]))
}

fn preceding(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (0..at).rev().find(|before| !is_space(&tokens[*before]))
}

/// Whether a token can be the last one of a value.
fn ends_an_operand(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Word(word) => {
            word.keyword == Keyword::NoKeyword
                || !matches!(
                    word.keyword,
                    Keyword::SELECT | Keyword::AS | Keyword::WHERE | Keyword::AND | Keyword::OR | Keyword::NOT | Keyword::BY | Keyword::ON
                )
        }
        Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen | Token::RBracket | Token::Placeholder(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;

    fn shown(sql: &str) -> String {
        parse(sql).map(|statements| statements[0].ast.to_string()).unwrap_or_default()
    }

    #[test]
    fn spellings_of_postgresql() {
        assert_eq!(shown("select 1 isnull, a notnull from t"), "SELECT 1 IS NULL, a IS NOT NULL FROM t");
        assert_eq!(shown("table t"), "SELECT * FROM t");
        assert_eq!(shown("select a from only t order by a using >, b"), "SELECT a FROM t ORDER BY a DESC, b");
        assert_eq!(shown("select a from t join u using (a)"), "SELECT a FROM t JOIN u USING(a)");
    }
}
