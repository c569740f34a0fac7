//! SQL text -> statements: tokens, one slice of text per statement, syntax errors as PostgreSQL words them.
//!
//! 1. The text is cut into tokens, and over-long identifiers are cut to PostgreSQL's limit, each with a notice.
//! 2. Tokens are split at the semicolons; a statement without tokens is none.
//! 3. What nests or chains beyond bounds is refused, because everything after this recurses over the syntax tree.
//! 4. [`grammar`] reads the statements that are a session's own business or that the SQL parser lacks; the SQL parser reads the others.

use super::balanced;
use super::grammar::{self, Grammar, GrammarError, Ours};
use super::sql_dialect::SqlDialect;
use super::{Notice, Statement, clauses, lock_clauses, spellings, strictness, subscripted, symmetric, word_order};
use crate::catalog::names::{is_reserved, truncated};
use crate::error::{Result, SqlError, SqlState};
use crate::locking;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};
use std::sync::Arc;

/// Parentheses, brackets and the like inside one another, at most.
const NESTING_MAX: usize = 200;

/// Operators in one chain (`a OR b OR c ...`), at most: the syntax tree of a chain is as deep as it is long.
const CHAIN_MAX: usize = 500;

/// Conditions joined by AND and OR in one statement's parentheses, at most: they are put into a tree that is as deep as their logarithm.
const CONDITIONS_MAX: usize = 10_000;

/// Function calls inside one another, at most.
const CALLS_MAX: usize = 128;

/// Splits and parses SQL text.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let mut tokens = tokenize(sql)?;
    refuse_empty_names(sql, &tokens)?;
    check_numbers(&tokens, sql)?;
    let notices = truncate_identifiers(&mut tokens);
    let mut places = Places::new(sql);
    let mut statements = Vec::new();
    for chunk in tokens.split(|token| token.token == Token::SemiColon) {
        let Some(text) = slice(sql, &mut places, chunk) else { continue };
        let (ast, ours) = parse_tokens(sql, chunk)?;
        let locks_rows = lock_clauses::may_be_in(chunk) && locking::locks_rows(&ast);
        // A password is in no list of what runs, and in no log.
        let text = match &ours {
            Some(Ours::Access(statement)) if statement.is_secret() => {
                format!("{} ROLE <password redacted>", text.split_whitespace().next().unwrap_or_default().to_uppercase())
            }
            _ => text.to_string(),
        };
        statements.push(Statement {
            text: text.into(),
            ast: Arc::new(ast),
            ours: ours.map(Arc::new),
            notices: Vec::new(),
            planned_as: None,
            locks_rows,
        });
    }
    if let Some(first) = statements.first_mut() {
        first.notices = notices;
    }
    Ok(statements)
}

/// Parses one expression, for instance a stored DEFAULT or CHECK.
pub fn parse_expression(sql: &str) -> Result<ast::Expr> {
    let tokens = tokenize(sql)?;
    check_depth(&tokens)?;
    let mut parser = parser(spellings::known_to_the_parser(tokens));
    let parsed = parser.parse_expr().and_then(|expr| expect_end(&parser).map(|()| expr));
    let mut expr = parsed.map_err(|error| syntax_error(sql, &error))?;
    balanced::conditions(&mut expr);
    symmetric::conditions(&mut expr);
    Ok(expr)
}

/// Parses one query, for instance a view's.
pub fn parse_query(sql: &str) -> Result<ast::Query> {
    let tokens = tokenize(sql)?;
    check_depth(&tokens)?;
    let mut parser = parser(spellings::known_to_the_parser(tokens));
    let parsed = parser.parse_query().and_then(|query| expect_end(&parser).map(|()| *query));
    let mut query = parsed.map_err(|error| syntax_error(sql, &error))?;
    balanced::conditions(&mut query);
    symmetric::conditions(&mut query);
    Ok(query)
}

fn parse_tokens(sql: &str, tokens: &[TokenWithSpan]) -> Result<(ast::Statement, Option<Ours>)> {
    check_depth(tokens)?;
    let tokens = &spellings::plain(tokens)[..];
    let mut grammar = Grammar::new(parser(tokens.to_vec()), tokens);
    let parsed = match grammar.statement() {
        Ok(Some(ours)) => expect_end(&grammar.parser).map(|()| (ast::Statement::UnlockTables, Some(ours))).map_err(GrammarError::from),
        Ok(None) => parse_standard(tokens).map(|ast| (ast, None)),
        Err(error) => Err(error),
    };
    let mut parsed = parsed.map_err(|error| match error {
        GrammarError::Syntax(error) => syntax_error(sql, &error),
        GrammarError::Sql(error) => *error,
    })?;
    balanced::conditions(&mut parsed.0);
    strictness::check(&parsed.0).map_err(|error| error.located(sql))?;
    Ok(parsed)
}

/// What the SQL parser reads, with what it does not know of our own clauses put into its tree.
pub(super) fn parse_standard(tokens: &[TokenWithSpan]) -> Result<ast::Statement, GrammarError> {
    let (tokens, cluster_by) = grammar::take_cluster_by(tokens)?;
    let (tokens, cut) = clauses::cut(grammar::identity_options::in_order(tokens));
    let tokens = word_order::arranged(spellings::known_to_the_parser(subscripted::hidden(tokens)));
    let mut parser = parser(tokens.clone());
    let parsed = parser.parse_statement().and_then(|statement| expect_end(&parser).map(|()| statement));
    let mut statement = parsed.map_err(|error| grammar::refusal_of(&tokens).unwrap_or(GrammarError::Syntax(error)))?;
    if let ast::Statement::CreateTable(create) = &mut statement
        && cluster_by.is_some()
    {
        create.cluster_by = cluster_by;
    }
    clauses::put(cut, &mut statement);
    symmetric::conditions(&mut statement);
    Ok(statement)
}

pub(super) fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&SqlDialect).with_recursion_limit(NESTING_MAX * 2).with_tokens_with_locations(tokens)
}

fn expect_end(parser: &Parser<'_>) -> Result<(), ParserError> {
    let next = parser.peek_token();
    if next.token == Token::EOF { Ok(()) } else { parser.expected("end of statement", next) }
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    tokens.map(joined_literals).map_err(|error| {
        let (what, opening) = match error.message.as_str() {
            text if text.starts_with("Unterminated string literal") => ("unterminated quoted string", "'"),
            text if text.starts_with("Unterminated encoded string literal") => ("unterminated quoted string", "'"),
            text if text.starts_with("Unterminated dollar-quoted") => ("unterminated dollar-quoted string", "$"),
            text if text.contains("comment") => ("unterminated /* comment", "/*"),
            text if text.contains("close delimiter") => ("unterminated quoted identifier", "\""),
            text => return at_place(SqlError::new(SqlState::SYNTAX_ERROR, text.to_string()), sql, error.location),
        };
        let start = opened(sql, opening, error.location);
        let message = format!("{what} at or near \"{}\"", &sql[start..]);
        at_offset(SqlError::new(SqlState::SYNTAX_ERROR, message), sql[..start].chars().count() + 1)
    })
}

/// The byte at which that begins which does not end: the parser may stand at its end.
fn opened(sql: &str, opening: &str, location: Location) -> usize {
    let given = Places::new(sql).byte_of(location);
    if sql[given..].starts_with(opening) { given } else { sql[..given].find(opening).unwrap_or(given) }
}

/// A number ends where a name begins: there must be something between them.
fn check_numbers(tokens: &[TokenWithSpan], sql: &str) -> Result<()> {
    for token in tokens {
        if let Token::Number(digits, _) = &token.token
            && digits.contains('_')
        {
            let message = format!("trailing junk after numeric literal at or near \"{digits}\"");
            return Err(at_place(SqlError::new(SqlState::SYNTAX_ERROR, message), sql, token.span.start));
        }
    }
    for pair in tokens.windows(2) {
        if let (Token::Number(digits, _), Token::Word(word)) = (&pair[0].token, &pair[1].token)
            && word.quote_style.is_none()
            && pair[0].span.end == pair[1].span.start
        {
            let message = format!("trailing junk after numeric literal at or near \"{digits}{}\"", word.value);
            return Err(at_place(SqlError::new(SqlState::SYNTAX_ERROR, message), sql, pair[0].span.start));
        }
    }
    Ok(())
}

/// Text literals with nothing but space between them, and a new line in it, are one.
fn joined_literals(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let space = joined.iter().rev().take_while(|token| matches!(token.token, Token::Whitespace(_)));
        let (count, lines) = space.fold((0, 0), |(count, lines), token| {
            (count + 1, lines + usize::from(matches!(token.token, Token::Whitespace(Whitespace::Newline))))
        });
        let before = joined.len().checked_sub(count + 1).filter(|_| lines > 0);
        if let (Token::SingleQuotedString(more), Some(before)) = (&token.token, before)
            && let Token::SingleQuotedString(text) = &mut joined[before].token
        {
            text.push_str(more);
            joined[before].span.end = token.span.end;
            joined.truncate(before + 1);
        } else {
            joined.push(token);
        }
    }
    joined
}

fn refuse_empty_names(sql: &str, tokens: &[TokenWithSpan]) -> Result<()> {
    let is_empty = |token: &&TokenWithSpan| matches!(&token.token, Token::Word(word) if word.value.is_empty());
    match tokens.iter().find(is_empty) {
        Some(token) => {
            let message = "zero-length delimited identifier at or near \"\"\"\"";
            Err(at_place(SqlError::new(SqlState::SYNTAX_ERROR, message), sql, token.span.start))
        }
        None => Ok(()),
    }
}

fn truncate_identifiers(tokens: &mut [TokenWithSpan]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for token in tokens {
        if let Token::Word(word) = &mut token.token
            && let Some(short) = truncated(&word.value)
        {
            if notices.len() < super::NOTICES_MAX {
                notices.push(Notice {
                    severity: "NOTICE",
                    error: SqlError::new(SqlState("42622"), format!("identifier \"{}\" will be truncated to \"{short}\"", word.value)),
                });
            }
            word.value = short.to_string();
        }
    }
    notices
}

/// What is within one pair of parentheses, as far as it was read.
#[derive(Default)]
struct Inside {
    /// Operators since the last comma, AND or OR.
    chain: usize,
    /// ANDs and ORs since the last comma.
    conditions: usize,
    /// Function calls around.
    calls: usize,
}

fn check_depth(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut levels = vec![Inside::default()];
    let mut after_name = false;
    for token in tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))) {
        let calls = levels.last().map_or(0, |inside| inside.calls) + usize::from(after_name && token.token == Token::LParen);
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => levels.push(Inside { calls, ..Inside::default() }),
            Token::RParen | Token::RBracket | Token::RBrace if levels.len() > 1 => drop(levels.pop()),
            other => {
                if let Some(inside) = levels.last_mut() {
                    inside.read(other);
                }
            }
        }
        after_name = matches!(&token.token, Token::Word(word) if word.quote_style.is_some() || !is_reserved(&word.value.to_lowercase()));
        if levels.len() > NESTING_MAX || levels.last().is_some_and(Inside::is_too_much) {
            return Err(SqlError::new(SqlState("54001"), "statement is too complex").with_detail(format!(
                "At most {NESTING_MAX} nested parentheses, {CALLS_MAX} nested function calls, {CHAIN_MAX} operators in one chain and \
                 {CONDITIONS_MAX} joined conditions are supported."
            )));
        }
    }
    Ok(())
}

impl Inside {
    fn read(&mut self, token: &Token) {
        match token {
            Token::Comma => (self.chain, self.conditions) = (0, 0),
            Token::Word(word) if balanced::joins(word) => (self.chain, self.conditions) = (0, self.conditions + 1),
            other if chains_on(other) => self.chain += 1,
            _ => {}
        }
    }
    fn is_too_much(&self) -> bool {
        self.chain > CHAIN_MAX || self.conditions > CONDITIONS_MAX || self.calls > CALLS_MAX
    }
}

/// Whether a token makes the syntax tree one level deeper each time that it occurs in a chain.
fn chains_on(token: &Token) -> bool {
    const WORDS: [&str; 12] = ["NOT", "UNION", "INTERSECT", "EXCEPT", "JOIN", "IS", "LIKE", "ILIKE", "BETWEEN", "CASE", "COLLATE", "AT"];
    match token {
        Token::Word(word) => word.quote_style.is_none() && WORDS.iter().any(|w| word.value.eq_ignore_ascii_case(w)),
        Token::Number(..) | Token::Whitespace(_) | Token::Period | Token::EOF | Token::Placeholder(_) => false,
        Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::DollarQuotedString(_) => false,
        Token::HexStringLiteral(_) | Token::NationalStringLiteral(_) | Token::UnicodeStringLiteral(_) => false,
        _ => true,
    }
}

/// The text of a statement, without blanks and comments around it; `None` if there is nothing else.
fn slice<'a>(sql: &'a str, places: &mut Places<'_>, tokens: &[TokenWithSpan]) -> Option<&'a str> {
    let real = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
    let first = tokens.iter().find(real)?;
    let last = tokens.iter().rfind(real)?;
    let start = places.byte_of(first.span.start);
    let end = places.byte_of(last.span.end);
    sql.get(start..end)
}

/// Turns locations into byte offsets; locations must come in the order of the text.
struct Places<'a> {
    rest: std::iter::Peekable<std::str::CharIndices<'a>>,
    length: usize,
    line: u64,
    column: u64,
}

impl<'a> Places<'a> {
    fn new(sql: &'a str) -> Self {
        Self { rest: sql.char_indices().peekable(), length: sql.len(), line: 1, column: 1 }
    }
    fn byte_of(&mut self, location: Location) -> usize {
        while (self.line, self.column) < (location.line, location.column) {
            match self.rest.next() {
                Some((_, '\n')) => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => break,
            }
        }
        self.rest.peek().map_or(self.length, |(at, _)| *at)
    }
}

/// A parser's error as PostgreSQL words it.
pub fn syntax_error(sql: &str, error: &ParserError) -> SqlError {
    let text = match error {
        ParserError::RecursionLimitExceeded => return SqlError::new(SqlState("54001"), "stack depth limit exceeded"),
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let (what, location) = split_location(text);
    let Some(location) = location else {
        let at_end = text.contains("found: EOF");
        let message = if at_end { "syntax error at end of input".to_string() } else { format!("syntax error: {}", what.to_lowercase()) };
        let error = SqlError::new(SqlState::SYNTAX_ERROR, message);
        return if at_end { at_offset(error, sql.trim_end().chars().count() + 1) } else { error };
    };
    let location = blamed(sql, location);
    let near = token_text_at(sql, location);
    let message = if near.is_empty() { "syntax error at end of input".to_string() } else { format!("syntax error at or near \"{near}\"") };
    at_place(SqlError::new(SqlState::SYNTAX_ERROR, message), sql, location)
}

/// Words that begin or join clauses: none of them is an expression.
const OF_CLAUSES: [&str; 22] = [
    "from",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "union",
    "intersect",
    "except",
    "on",
    "and",
    "or",
    "then",
    "else",
    "when",
    "end",
    "as",
    "to",
    "using",
    "join",
    "into",
];
/// Words behind which an expression must stand.
const BEFORE_EXPRESSIONS: [&str; 14] =
    ["select", "where", "and", "or", "on", "by", "having", "not", "then", "else", "when", "case", "between", "returning"];

/// The first token that no statement could go on with. The SQL parser takes words of clauses for names, and complains of what comes next.
fn blamed(sql: &str, location: Location) -> Location {
    let Ok(tokens) = tokenize(sql) else { return location };
    let tokens: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let Some(at) = tokens.iter().position(|token| token.span.start == location) else { return location };
    let token = |back: usize| at.checked_sub(back).map(|at| &tokens[at].token);
    let is_one = |token: Option<&Token>, words: &[&str]| match token {
        Some(Token::Word(word)) if word.quote_style.is_none() => words.iter().any(|known| word.value.eq_ignore_ascii_case(known)),
        _ => false,
    };
    let wants_expression =
        |token: Option<&Token>| matches!(token, Some(Token::Comma | Token::Eq | Token::Plus)) || is_one(token, &BEFORE_EXPRESSIONS);
    let is_star = token(2) == Some(&Token::Mul) && (token(3) == Some(&Token::Comma) || is_one(token(3), &["select"]));
    let is_bare_word = matches!(token(1), Some(Token::Word(word)) if word.quote_style.is_none()) && !is_one(token(1), &OF_CLAUSES);
    let blames_word = is_one(token(1), &OF_CLAUSES) && wants_expression(token(2));
    if blames_word || (is_star && is_bare_word) {
        return tokens[at - 1].span.start;
    }
    match tokens.get(at + 1) {
        // GROUP and ORDER want BY.
        Some(next) if is_one(token(0), &["group", "order"]) && !is_one(Some(&next.token), &["by"]) => next.span.start,
        _ => location,
    }
}

/// Cuts ` at Line: 1, Column: 8` off a parser's message.
fn split_location(text: &str) -> (&str, Option<Location>) {
    let Some((what, place)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let location = place
        .split_once(", Column: ")
        .and_then(|(line, column)| Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? }));
    (what, location.filter(|l| l.line > 0))
}

fn token_text_at(sql: &str, location: Location) -> &str {
    let Ok(tokens) = tokenize(sql) else { return "" };
    let Some(token) = tokens.iter().find(|token| token.span.start == location) else { return "" };
    let mut places = Places::new(sql);
    let start = places.byte_of(token.span.start);
    sql.get(start..places.byte_of(token.span.end)).unwrap_or("")
}

fn at_place(error: SqlError, sql: &str, location: Location) -> SqlError {
    if location.line == 0 {
        return error;
    }
    let offset = Places::new(sql).byte_of(location);
    at_offset(error, sql[..offset].chars().count() + 1)
}

fn at_offset(mut error: SqlError, position: usize) -> SqlError {
    error.position = Some(position);
    error
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        parse(sql).unwrap().iter().map(|s| s.text.to_string()).collect()
    }

    #[test]
    fn statements_are_split_with_their_own_text() {
        assert_eq!(texts(""), Vec::<String>::new());
        assert_eq!(texts(" ; -- nothing\n ;;/* x */"), Vec::<String>::new());
        assert_eq!(texts("select 'é;x' ;\n  -- c\n select 2 -- d\n"), ["select 'é;x'", "select 2"]);
        assert_eq!(texts("select $$a;b$$; select \"a;b\" from t"), ["select $$a;b$$", "select \"a;b\" from t"]);
    }

    #[test]
    fn syntax_errors_say_where() {
        let error = parse("select 1; selekt 2").unwrap_err();
        assert_eq!(
            (error.state, &*error.message, error.position),
            (SqlState::SYNTAX_ERROR, "syntax error at or near \"selekt\"", Some(11))
        );
        let error = parse("select * from t where").unwrap_err();
        assert_eq!(&*error.message, "syntax error at end of input");
        let error = parse("select 'é' frm t t2").unwrap_err();
        assert_eq!((&*error.message, error.position), ("syntax error at or near \"t\"", Some(16)));
        assert_eq!(&*parse("select 'abc").unwrap_err().message, "unterminated quoted string at or near \"'abc\"");
    }

    #[test]
    fn depth_is_bounded() {
        for sql in [
            format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
            format!("select {}1", "not ".repeat(100_000)),
            format!("select {}1{}", "abs(".repeat(150), ")".repeat(150)),
            format!("select a{}", " or a".repeat(20_000)),
            format!("select 1{}", " + 1".repeat(100_000)),
            format!("select {}1", "- ".repeat(100_000)),
            format!("select 1{}", "::int".repeat(100_000)),
            format!("select 1{}", " union all select 1".repeat(100_000)),
            format!("select {}1{}", "case when true then ".repeat(50_000), " end".repeat(50_000)),
        ] {
            assert_eq!(parse(&sql).unwrap_err().state, SqlState("54001"), "{}", &sql[..40]);
        }
        assert_eq!(texts(&format!("select {}1{}", "(".repeat(60), ")".repeat(60))).len(), 1);
        assert_eq!(texts(&format!("select {}1{}", "abs(".repeat(100), ")".repeat(100))).len(), 1);
        assert_eq!(texts(&format!("select a = 0{}", " or a = 1".repeat(5_000))).len(), 1);
        assert_eq!(texts(&format!("insert into t values (0){}", ", (1)".repeat(10_000))).len(), 1);
    }

    #[test]
    fn long_identifiers_are_cut_with_a_notice() {
        let statements = parse(&format!("select 1 as {}", "a".repeat(70))).unwrap();
        assert_eq!(statements[0].notices.len(), 1);
        assert!(statements[0].ast.to_string().ends_with(&format!("AS {}", "a".repeat(63))));
    }
}
