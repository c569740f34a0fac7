//! PostgreSQL's spellings that the SQL parser does not know, as tokens that it does.

use super::{lock_clauses, symmetric};
use crate::dml::merge::{DEFAULTS, NOTHING};
use crate::query::whole_rows::{FIELDS, WHOLE};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};
use std::borrow::Cow;

/// `x ISNULL`, `x NOTNULL`, `ORDER BY x USING >`, `TABLE t`, `FROM ONLY t`, `MERGE INTO ONLY t`, `BETWEEN SYMMETRIC`, `ROWS FROM (f(x), g(y))`, and
/// [`lock_clauses`].
pub(super) fn known_to_the_parser(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    const WORDS: [&str; 7] = ["isnull", "notnull", "using", "only", "symmetric", "asymmetric", "rows"];
    let wanted = tokens.iter().any(|token| WORDS.iter().any(|word| is_word(token, word)))
        || first(&tokens).is_some_and(|at| is_word(&tokens[at], "table"));
    let tokens = if wanted { respelled(tokens) } else { tokens };
    lock_clauses::known_to_the_parser(tokens)
}

/// What the tokens of any statement become before anything reads them: operators that end where PostgreSQL's do (`j->-1`), types by one name
/// (`national character(3)`, `int ARRAY`), `TABLE t` as a query, `trim(leading from x)`, actions of MERGE, and comments in dollar quotes.
pub(super) fn plain(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let tokens = &operators_before_any(tokens)[..];
    let words: Vec<usize> = (0..tokens.len()).filter(|at| !is_space(&tokens[*at])).collect();
    let begins_with = |word: &str| words.first().is_some_and(|at| is_word(&tokens[*at], word));
    let (explain, comment) = (begins_with("explain"), begins_with("comment"));
    let mut result = Vec::with_capacity(tokens.len());
    let mut place = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        if is_space(token) {
            result.push(token.clone());
            continue;
        }
        let near = |offset: isize| words.get(place.checked_add_signed(offset)?).map(|at| &tokens[*at]);
        let before = |offset: isize, word: &str| near(offset).is_some_and(|token| is_word(token, word));
        let is = |offset: isize, wanted: &Token| near(offset).is_some_and(|token| token.token == *wanted);
        match &token.token {
            Token::CustomBinaryOperator(operator) if split_operator(operator).is_some() => {
                let (first, signs) = split_operator(operator).unwrap_or((operator, ""));
                result.extend(spelled(first, token));
                signs.chars().for_each(|sign| result.extend(spelled(&sign.to_string(), token)));
            }
            Token::DollarQuotedString(text) if comment => {
                result.push(TokenWithSpan { token: Token::SingleQuotedString(text.value.clone()), span: token.span });
            }
            // All fields of a record, and a table's row before an operator.
            Token::Mul if is(-1, &Token::Period) && is(-2, &Token::RParen) => result.push(mark(FIELDS, token)),
            Token::Mul if is(-1, &Token::Period) && near(1).is_some_and(continues_a_value) => result.push(mark(WHOLE, token)),
            Token::Word(_)
                if is_word(token, "table") && (before(-1, "as") || is(-1, &Token::LParen)) && near(1).is_some_and(names_a_table) =>
            {
                result.extend(spelled("SELECT * FROM", token));
            }
            Token::Word(_) if explain && is_word(token, "table") && explained(near(-1)) => {
                result.extend(spelled("SELECT * FROM", token));
            }
            // Nothing is waited for in either way.
            Token::Word(_) if is_word(token, "concurrently") && before(-1, "index") && before(-2, "drop") => {}
            Token::Word(_) if is_word(token, "do") && before(-1, "then") && before(1, "nothing") => {
                result.extend(do_nothing(tokens, &words[..place], token));
            }
            Token::Word(_) if is_word(token, "nothing") && before(-1, "do") && before(-2, "then") => {}
            Token::Word(_) if is_word(token, "default") && before(-1, "insert") && before(-2, "then") => {}
            Token::Word(_) if is_word(token, "values") && before(-1, "default") && before(-2, "insert") && before(-3, "then") => {
                result.extend(spelled("VALUES (", token));
                result.push(mark(DEFAULTS, token));
                result.extend(spelled(")", token));
            }
            Token::Word(_) if is_word(token, "from") && trims(near(-1), near(-2), near(-3)) => {}
            Token::Word(_) if is_word(token, "national") && (before(1, "character") || before(1, "char")) => {}
            Token::Word(_) if is_word(token, "nchar") && (is(1, &Token::LParen) || is(-1, &Token::DoubleColon) || before(1, "varying")) => {
                result.extend(spelled("CHARACTER", token));
            }
            Token::Word(_) if is_word(token, "array") && near(-1).is_some_and(names_a_type) => {
                result.extend(spelled(if is(1, &Token::LBracket) { "" } else { "[]" }, token));
            }
            _ => result.push(tokens[at].clone()),
        }
        place += 1;
    }
    result
}

/// `OPERATOR(pg_catalog.=) ANY (...)`: the SQL parser knows ANY and ALL behind plain operators only.
fn operators_before_any(tokens: &[TokenWithSpan]) -> Cow<'_, [TokenWithSpan]> {
    if !tokens.iter().any(|token| is_word(token, "operator")) {
        return Cow::Borrowed(tokens);
    }
    let mut result = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match named_operator(tokens, at) {
            Some((operator, next)) => {
                result.push(tokens[operator].clone());
                at = next;
            }
            None => {
                result.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    Cow::Owned(result)
}

/// Where the operator of `OPERATOR(schema.operator) ANY` stands, and what comes after the parenthesis.
fn named_operator(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, usize)> {
    if !is_word(&tokens[at], "operator") {
        return None;
    }
    let mut inner = following(tokens, at).filter(|open| tokens[*open].token == Token::LParen)?;
    let mut operator = following(tokens, inner)?;
    if is_word(&tokens[operator], "pg_catalog") {
        inner = following(tokens, operator).filter(|dot| tokens[*dot].token == Token::Period)?;
        operator = following(tokens, inner)?;
    }
    let close = following(tokens, operator).filter(|close| tokens[*close].token == Token::RParen)?;
    let next = following(tokens, close)?;
    ["any", "all", "some"].iter().any(|word| is_word(&tokens[next], word)).then_some((operator, next))
}

/// A name that no client can write.
fn mark(name: &str, place: &TokenWithSpan) -> TokenWithSpan {
    TokenWithSpan { token: Token::make_word(name, Some('"')), span: place.span }
}

/// Whether a token can stand behind `t.*` only where that is a value.
fn continues_a_value(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::DoubleColon | Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq)
        || ["is", "as", "isnull", "notnull"].iter().any(|word| is_word(token, word))
}

/// An operator of more than one character ends in a sign only if it has one of these in it: all other signs belong to what follows.
fn split_operator(operator: &str) -> Option<(&str, &str)> {
    let first = operator.trim_end_matches(['+', '-']);
    let whole = operator.contains(['~', '!', '@', '#', '%', '^', '&', '|', '`', '?']) || first.is_empty() || first.len() == operator.len();
    (!whole).then(|| operator.split_at(first.len()))
}

fn explained(before: Option<&TokenWithSpan>) -> bool {
    before.is_some_and(|token| token.token == Token::RParen || ["explain", "analyze", "verbose"].iter().any(|word| is_word(token, word)))
}

/// `DO NOTHING` of a MERGE, whose parser knows no such action: one of those that its clause may have, of nothing.
fn do_nothing(tokens: &[TokenWithSpan], words: &[usize], place: &TokenWithSpan) -> Vec<TokenWithSpan> {
    let matched = words.iter().rposition(|at| is_word(&tokens[*at], "matched"));
    let is_matched = !matched.is_some_and(|at| at > 0 && is_word(&tokens[words[at - 1]], "not"));
    let (head, tail) = if is_matched { ("UPDATE SET", " = 0") } else { ("INSERT VALUES (", ")") };
    let mut result = spelled(head, place);
    result.push(mark(NOTHING, place));
    result.extend(spelled(tail, place));
    result
}

/// Whether these tokens are `trim (` or `trim ( leading`, last to first.
fn trims(last: Option<&TokenWithSpan>, second: Option<&TokenWithSpan>, third: Option<&TokenWithSpan>) -> bool {
    let opens = |bracket: Option<&TokenWithSpan>, name: Option<&TokenWithSpan>| {
        bracket.is_some_and(|token| token.token == Token::LParen) && name.is_some_and(|token| is_word(token, "trim"))
    };
    let side = |token: &TokenWithSpan| ["leading", "trailing", "both"].iter().any(|word| is_word(token, word));
    opens(last, second) || (last.is_some_and(side) && opens(second, third))
}

/// What stands behind TABLE where that is a query, and no alias.
fn names_a_table(token: &TokenWithSpan) -> bool {
    let Token::Word(word) = &token.token else { return false };
    word.quote_style.is_some() || !matches!(word.keyword, Keyword::FROM | Keyword::WHERE | Keyword::ORDER | Keyword::GROUP | Keyword::UNION)
}

/// Types of which `ARRAY` makes arrays.
fn names_a_type(token: &TokenWithSpan) -> bool {
    const TYPES: [&str; 18] = [
        "int",
        "integer",
        "bigint",
        "smallint",
        "int2",
        "int4",
        "int8",
        "text",
        "varchar",
        "numeric",
        "decimal",
        "real",
        "float4",
        "float8",
        "boolean",
        "date",
        "timestamp",
        "uuid",
    ];
    TYPES.iter().any(|name| is_word(token, name))
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
            token if is_word(token, "rows") && is_rows_from(&tokens, at) => {
                skipped = next;
                ROWS_FROM
            }
            token if is_word(token, "only") && before.is_some_and(|before| is_word(before, "from")) => "",
            token if is_word(token, "only") && begins.is_some_and(|first| is_word(&tokens[first], "merge") && is_into(before)) => "",
            token if is_word(token, "symmetric") && before.is_some_and(|before| is_word(before, "between")) => symmetric::SIGN,
            token if is_word(token, "asymmetric") && before.is_some_and(|before| is_word(before, "between")) => "",
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

fn is_into(token: Option<&TokenWithSpan>) -> bool {
    token.is_some_and(|token| is_word(token, "into"))
}

/// The function that stands for `ROWS FROM`.
pub const ROWS_FROM: &str = "plimsoll_rows_from";

/// `ROWS FROM (f(`: in parentheses after a column called `rows` stands no call.
fn is_rows_from(tokens: &[TokenWithSpan], rows: usize) -> bool {
    let mut at = rows;
    let mut next = || {
        at = following(tokens, at)?;
        Some(&tokens[at])
    };
    let from = next().is_some_and(|token| is_word(token, "from"));
    let opened = next().is_some_and(|token| token.token == Token::LParen);
    let named = next().is_some_and(|token| matches!(&token.token, Token::Word(word) if word.keyword != Keyword::SELECT));
    from && opened && named && next().is_some_and(|token| token.token == Token::LParen)
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
        assert_eq!(shown("select * from rows from (f(1), g(2))"), "SELECT * FROM plimsoll_rows_from(f(1), g(2))");
        assert_eq!(shown("select a, rows from (select 1) x"), "SELECT a, rows FROM (SELECT 1) x");
        assert_eq!(shown("select a as table, b as table from t"), "SELECT a AS table, b AS table FROM t");
        assert_eq!(shown("select a operator(pg_catalog.=) any (array[1])"), "SELECT a = ANY(ARRAY[1])");
        assert_eq!(shown("create table x as table t"), "CREATE TABLE x AS SELECT * FROM t");
        assert_eq!(
            shown("select j->-1, j ->> -1, trim(leading from a), trim(from a)"),
            "SELECT j -> -1, j ->> -1, TRIM(LEADING a), TRIM(a)"
        );
        assert_eq!(shown("select array[1], a as array from t"), "SELECT ARRAY[1], a AS array FROM t");
        assert_eq!(shown("select a::national character(3), b::nchar(2)"), "SELECT a::CHARACTER(3), b::CHARACTER(2)");
    }
}
