//! Where PostgreSQL's grammar is freer than the SQL parser's: tokens in the order, or with the quotes, that the parser knows.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Words that PostgreSQL takes as a label without AS, and the parser takes for the begin of something.
const LABELS: [&str; 19] = [
    "analyze", "between", "cluster", "collate", "end", "exclude", "explain", "ilike", "in", "is", "lateral", "like", "match", "operator",
    "or", "select", "similar", "values", "view",
];

/// Puts a query's tokens so that the parser reads them; other statements stay as they are.
pub(super) fn arranged(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let words: Vec<usize> = (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let reads = words.first().is_some_and(|at| ["select", "with", "create", "insert", "explain"].iter().any(|word| is(&tokens[*at], word)));
    if !reads {
        return tokens;
    }
    let mut tokens = tokens;
    label(&mut tokens, &words);
    substrings(&mut tokens, &words);
    let tokens = offset_first(tokens, &words);
    empty_lists(tokens)
}

fn is(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

/// `select 1 between, 2 end from t`: behind a value and before a comma, FROM or the end such a word can only be a label.
fn label(tokens: &mut [TokenWithSpan], words: &[usize]) {
    if !words.first().is_some_and(|at| is(&tokens[*at], "select")) {
        return;
    }
    let mut cases = 0usize;
    for place in 1..words.len() {
        let at = words[place];
        if is(&tokens[at], "case") {
            cases += 1;
        }
        if is(&tokens[at], "end") && cases > 0 {
            cases -= 1;
            continue;
        }
        let ends_value = matches!(tokens[words[place - 1]].token, Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen);
        let next = words.get(place + 1).map(|at| &tokens[*at]);
        let ends_item = next.is_none_or(|next| matches!(next.token, Token::Comma | Token::EOF) || is(next, "from"));
        if ends_value && ends_item && LABELS.iter().any(|word| is(&tokens[at], word)) {
            let name = tokens[at].token.to_string().to_lowercase();
            tokens[at].token = Token::make_word(&name, Some('"'));
        }
    }
}

/// `substring(x similar p escape e)` is `substring(x from p for e)`.
fn substrings(tokens: &mut [TokenWithSpan], words: &[usize]) {
    for start in 0..words.len() {
        if !is(&tokens[words[start]], "substring") || words.get(start + 1).is_none_or(|at| tokens[*at].token != Token::LParen) {
            continue;
        }
        let (mut depth, mut similar) = (0usize, false);
        for at in &words[start + 1..] {
            match &tokens[*at].token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 1 => break,
                Token::RParen => depth -= 1,
                _ if depth == 1 && is(&tokens[*at], "similar") => {
                    similar = true;
                    tokens[*at].token = Token::make_keyword("FROM");
                }
                _ if depth == 1 && similar && is(&tokens[*at], "escape") => tokens[*at].token = Token::make_keyword("FOR"),
                _ => {}
            }
        }
    }
}

/// `FETCH NEXT 1 ROW ONLY OFFSET 1` is `OFFSET 1 FETCH NEXT 1 ROW ONLY`.
fn offset_first(tokens: Vec<TokenWithSpan>, words: &[usize]) -> Vec<TokenWithSpan> {
    let found = (0..words.len()).find_map(|place| {
        if !is(&tokens[words[place]], "fetch") {
            return None;
        }
        let only = (place + 2..words.len().min(place + 6)).find(|at| is(&tokens[words[*at]], "only"))?;
        let offset = words.get(only + 1).filter(|at| is(&tokens[**at], "offset"))?;
        let count = *words.get(only + 2)?;
        Some((words[place], *offset, count))
    });
    let Some((fetch, offset, count)) = found else { return tokens };
    let mut result = tokens[..fetch].to_vec();
    result.extend(tokens[offset..=count].iter().cloned());
    result.push(TokenWithSpan::wrap(Token::Whitespace(datafusion::sql::sqlparser::tokenizer::Whitespace::Space)));
    result.extend(tokens[fetch..offset].iter().cloned());
    result.extend(tokens[count + 1..].iter().cloned());
    result
}

/// `EXISTS (SELECT)`: a select list without columns.
fn empty_lists(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut result = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        result.push(token.clone());
        if !is(token, "select") {
            continue;
        }
        let next = tokens[at + 1..].iter().find(|next| !matches!(next.token, Token::Whitespace(_)));
        let before = tokens[..at].iter().rfind(|before| !matches!(before.token, Token::Whitespace(_)));
        if next.is_some_and(|next| next.token == Token::RParen) && before.is_some_and(|before| before.token == Token::LParen) {
            let one = [Token::Whitespace(datafusion::sql::sqlparser::tokenizer::Whitespace::Space), Token::Number("1".into(), false)];
            result.extend(one.map(|made| TokenWithSpan { token: made, span: token.span }));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;

    fn shown(sql: &str) -> String {
        parse(sql).map(|statements| statements[0].ast.to_string()).unwrap_or_default()
    }

    #[test]
    fn freer_forms_are_read() {
        assert_eq!(shown("select 1 between, 2 end, 'x' like from t"), "SELECT 1 AS \"between\", 2 AS \"end\", 'x' AS \"like\" FROM t");
        assert_eq!(shown("select case when a then 1 end, 2 from t"), "SELECT CASE WHEN a THEN 1 END, 2 FROM t");
        assert_eq!(shown("select a from t fetch next 1 row only offset 2"), "SELECT a FROM t OFFSET 2 FETCH FIRST 1 ROWS ONLY");
        assert_eq!(shown("select 1 where exists (select)"), "SELECT 1 WHERE EXISTS (SELECT 1)");
        assert_eq!(shown("select substring(a similar 'p' escape '#')"), "SELECT SUBSTRING(a FROM 'p' FOR '#')");
    }
}
