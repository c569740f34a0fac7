//! Clauses of PostgreSQL that the SQL parser does not read: cut out of the tokens before it sees them, and put into its tree afterwards.
//!
//! - `INSERT ... OVERRIDING {SYSTEM | USER} VALUE`: kept in the tree as a setting, see [`overriding`].
//! - `CREATE TABLE name (a, b) AS ...` and `... AS query WITH [NO] DATA`.
//! - `CREATE TABLE name (..., LIKE source INCLUDING ..., ...)`: kept as a column of a type of its own, see [`like`].
//! - `CREATE VIEW ... WITH (option)`: `option = true`.
//! - `ON DELETE SET NULL (columns)`, see [`set_columns`].
//! - `UNIQUE (columns) INCLUDE (columns)`, see [`included`].
//! - `ON CONFLICT (expressions) WHERE condition`, see [`inferred`].
//! - `CREATE UNLOGGED TABLE`: a table as any other. It survives a crash, which is more than was asked for.

mod arbiters;
mod include;
mod set_columns;

pub use arbiters::{Inferred, inferred};
pub use include::included;
pub use set_columns::set_columns;

use super::parse;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, CreateTable, DataType, Expr, Ident, Insert, LimitClause, ObjectName, SetExpr, Setting, Statement, Value,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Marks a column that stands for LIKE: a quote that the tree knows, and that no name in PostgreSQL's dialect has.
const LIKE_QUOTE: char = '[';
/// The setting that stands for OVERRIDING.
const OVERRIDING: &str = "overriding";

/// What OVERRIDING says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    /// SYSTEM VALUE: the values given go into identity columns.
    System,
    /// USER VALUE: the values given for identity columns are ignored.
    User,
}

/// LIKE in CREATE TABLE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Like {
    /// The table that columns are taken from.
    pub source: ObjectName,
    /// `INCLUDING ALL` and so on, in their order: (including, what, lower case).
    pub options: Vec<(bool, String)>,
}

/// What was cut out.
#[derive(Debug, Default)]
pub struct Cut {
    overriding: Option<Overriding>,
    column_names: Vec<Ident>,
    no_data: bool,
    /// Each with the number of columns before it.
    likes: Vec<(usize, Like)>,
}

/// Cuts clauses out of a statement's tokens (without white space).
pub fn cut(mut tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, Cut) {
    let mut cut = Cut::default();
    if is_word(tokens.first(), "INSERT") || is_word(tokens.first(), "WITH") {
        cut.overriding = cut_overriding(&mut tokens);
        arbiters::cut(&mut tokens);
    } else if is_word(tokens.first(), "ALTER") {
        set_columns::cut(&mut tokens);
        include::cut(&mut tokens);
    } else if is_word(tokens.first(), "CREATE") {
        set_columns::cut(&mut tokens);
        if is_word(tokens.get(1), "UNLOGGED") {
            tokens.remove(1);
        }
        if let Some(open) = view_options(&tokens) {
            write_values(&mut tokens, open);
        }
        if let Some(open) = table_list(&tokens) {
            include::cut(&mut tokens);
            cut.no_data = cut_with_data(&mut tokens);
            cut.column_names = cut_column_names(&mut tokens, open);
            cut.likes = cut_likes(&mut tokens, open);
        }
    }
    (tokens, cut)
}

/// Where the list of a view's options begins: behind WITH and its parenthesis, before AS.
fn view_options(tokens: &[TokenWithSpan]) -> Option<usize> {
    let before_query = tokens.iter().position(|token| is_word(Some(token), "AS"))?;
    let head = &tokens[..before_query];
    head.iter().take(6).position(|token| is_word(Some(token), "VIEW"))?;
    let with = head.iter().rposition(|token| is_word(Some(token), "WITH"))?;
    (head.get(with + 1)?.token == Token::LParen).then_some(with + 2)
}

/// An option without a value is on.
fn write_values(tokens: &mut Vec<TokenWithSpan>, open: usize) {
    let mut at = open;
    while at + 1 < tokens.len() && matches!(tokens[at].token, Token::Word(_)) {
        if matches!(tokens[at + 1].token, Token::Comma | Token::RParen) {
            let span = tokens[at].span;
            let word = [Token::Eq, Token::make_keyword("TRUE")].map(|token| TokenWithSpan { token, span });
            tokens.splice(at + 1..at + 1, word);
        }
        match tokens[at..].iter().position(|token| matches!(token.token, Token::Comma | Token::RParen)) {
            Some(next) if tokens[at + next].token == Token::Comma => at += next + 1,
            _ => return,
        }
    }
}

/// Puts what was cut out into the tree.
pub fn put(cut: Cut, statement: &mut Statement) {
    match statement {
        Statement::CreateTable(create) => put_into_create(cut, create),
        Statement::Insert(insert) => put_overriding(cut.overriding, insert),
        Statement::Query(query) => {
            if let SetExpr::Insert(Statement::Insert(insert)) = &mut *query.body {
                put_overriding(cut.overriding, insert);
            }
        }
        _ => {}
    }
}

/// What an INSERT's OVERRIDING says.
pub fn overriding(insert: &Insert) -> Option<Overriding> {
    let setting = insert.settings.iter().flatten().find(|setting| setting.key.value == OVERRIDING)?;
    match &setting.value {
        Expr::Value(value) if value.value == Value::Boolean(true) => Some(Overriding::System),
        _ => Some(Overriding::User),
    }
}

/// The LIKE that a column stands for.
pub fn like(column: &ColumnDef) -> Option<Like> {
    if column.name.quote_style != Some(LIKE_QUOTE) {
        return None;
    }
    let DataType::Custom(source, options) = &column.data_type else { return None };
    let option = |text: &String| text.split_once(' ').map(|(kind, what)| (kind == "including", what.to_string()));
    Some(Like { source: source.clone(), options: options.iter().filter_map(option).collect() })
}

fn put_into_create(cut: Cut, create: &mut CreateTable) {
    let column = |name: Ident, data_type| ColumnDef { name, data_type, options: Vec::new() };
    for (at, (place, like)) in cut.likes.into_iter().enumerate() {
        let options = like.options.iter().map(|(including, what)| format!("{} {what}", if *including { "including" } else { "excluding" }));
        let data_type = DataType::Custom(like.source, options.collect());
        let place = (place + at).min(create.columns.len());
        create.columns.insert(place, column(Ident::with_quote(LIKE_QUOTE, "like"), data_type));
    }
    let Some(query) = &mut create.query else { return };
    create.columns.extend(cut.column_names.into_iter().map(|name| column(name, DataType::Unspecified)));
    if cut.no_data {
        let none = Expr::Value(Value::Number("0".into(), false).into());
        query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(none), offset: None, limit_by: Vec::new() });
        query.fetch = None;
    }
}

fn put_overriding(overriding: Option<Overriding>, insert: &mut Insert) {
    let Some(overriding) = overriding else { return };
    let value = Expr::Value(Value::Boolean(overriding == Overriding::System).into());
    insert.settings = Some(vec![Setting { key: Ident::new(OVERRIDING), value }]);
}

fn cut_overriding(tokens: &mut Vec<TokenWithSpan>) -> Option<Overriding> {
    let mut depth = 0usize;
    for at in 0..tokens.len() {
        match &tokens[at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(_) if depth == 0 && is_word(tokens.get(at), "OVERRIDING") && is_word(tokens.get(at + 2), "VALUE") => {
                let kind = match () {
                    () if is_word(tokens.get(at + 1), "SYSTEM") => Overriding::System,
                    () if is_word(tokens.get(at + 1), "USER") => Overriding::User,
                    () => return None,
                };
                tokens.drain(at..at + 3);
                return Some(kind);
            }
            _ => {}
        }
    }
    None
}

/// Where what comes after the name of CREATE TABLE begins.
fn table_list(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut at = 1;
    while ["GLOBAL", "LOCAL", "TEMP", "TEMPORARY"].iter().any(|word| is_word(tokens.get(at), word)) {
        at += 1;
    }
    if !is_word(tokens.get(at), "TABLE") {
        return None;
    }
    at += 1;
    if is_word(tokens.get(at), "IF") && is_word(tokens.get(at + 1), "NOT") && is_word(tokens.get(at + 2), "EXISTS") {
        at += 3;
    }
    at += 1;
    while tokens.get(at).is_some_and(|t| t.token == Token::Period) {
        at += 2;
    }
    Some(at)
}

fn cut_with_data(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let end = tokens.iter().rposition(|t| t.token != Token::EOF).map_or(0, |last| last + 1);
    let words = |from: usize, words: &[&str]| words.iter().enumerate().all(|(n, word)| is_word(tokens.get(from + n), word));
    let no = end >= 3 && words(end - 3, &["WITH", "NO", "DATA"]);
    if no {
        tokens.drain(end - 3..end);
    } else if end >= 2 && words(end - 2, &["WITH", "DATA"]) {
        tokens.drain(end - 2..end);
    }
    no
}

/// `(a, b)` before AS.
fn cut_column_names(tokens: &mut Vec<TokenWithSpan>, open: usize) -> Vec<Ident> {
    if tokens.get(open).is_none_or(|t| t.token != Token::LParen) {
        return Vec::new();
    }
    let Some(length) = tokens[open..].iter().position(|t| t.token == Token::RParen) else { return Vec::new() };
    let (close, list) = (open + length, &tokens[open + 1..open + length]);
    let before_query = is_word(tokens.get(close + 1), "AS") || is_word(tokens.get(close + 1), "ON");
    if !before_query || list.is_empty() {
        return Vec::new();
    }
    let mut names = Vec::new();
    for (at, token) in list.iter().enumerate() {
        match (&token.token, at % 2) {
            (Token::Word(word), 0) => names.push(word.clone().into_ident(token.span)),
            (Token::Comma, 1) => {}
            _ => return Vec::new(),
        }
    }
    tokens.drain(open..=close);
    names
}

/// LIKE elements of the list of columns.
fn cut_likes(tokens: &mut Vec<TokenWithSpan>, open: usize) -> Vec<(usize, Like)> {
    let mut likes = Vec::new();
    if tokens.get(open).is_none_or(|t| t.token != Token::LParen) {
        return likes;
    }
    let (mut at, mut columns) = (open + 1, 0);
    while at < tokens.len() {
        let end = element_end(tokens, at);
        match like_of(&tokens[at..end]) {
            Some(like) => {
                likes.push((columns, like));
                // With it goes the comma after it, or else the one before it.
                match (tokens.get(end).map(|t| &t.token), tokens[at - 1].token == Token::Comma) {
                    (Some(Token::Comma), _) => drop(tokens.drain(at..=end)),
                    (_, true) => {
                        tokens.drain(at - 1..end);
                        at -= 1;
                    }
                    (_, false) => drop(tokens.drain(at..end)),
                }
            }
            None => {
                let constraint = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE"];
                columns += usize::from(!constraint.iter().any(|word| is_word(tokens.get(at), word)));
                at = end + 1;
            }
        }
        let ended = |at: usize| tokens.get(at).is_none_or(|t| t.token == Token::RParen);
        if ended(at) || (at > open + 1 && tokens[at - 1].token == Token::RParen) {
            break;
        }
    }
    likes
}

/// Where an element of a parenthesized list ends: at the comma or parenthesis after it.
fn element_end(tokens: &[TokenWithSpan], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen | Token::Comma if depth == 0 => return at,
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

fn like_of(element: &[TokenWithSpan]) -> Option<Like> {
    if !is_word(element.first(), "LIKE") {
        return None;
    }
    let mut parser = parse::parser(element[1..].to_vec());
    let source = parser.parse_object_name(false).ok()?;
    let mut options = Vec::new();
    loop {
        let kind = parser.next_token();
        let including = match &kind.token {
            Token::EOF => return Some(Like { source, options }),
            _ if is_word(Some(&kind), "INCLUDING") => true,
            _ if is_word(Some(&kind), "EXCLUDING") => false,
            _ => return None,
        };
        let Token::Word(what) = parser.next_token().token else { return None };
        options.push((including, what.value.to_lowercase()));
    }
}

fn is_word(token: Option<&TokenWithSpan>, word: &str) -> bool {
    matches!(token.map(|t| &t.token), Some(Token::Word(w)) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse;

    fn create(sql: &str) -> CreateTable {
        match &*parse(sql).unwrap()[0].ast {
            Statement::CreateTable(create) => create.clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn create_table_as_takes_names_and_no_data() {
        let named = create("create table if not exists s.t (a, \"B\") as select 1, 2 with no data");
        assert_eq!(named.columns.iter().map(|c| c.name.value.as_str()).collect::<Vec<_>>(), ["a", "B"]);
        assert!(named.query.unwrap().to_string().ends_with("LIMIT 0"));
        assert!(create("create unlogged table t as select 1 with data").query.unwrap().limit_clause.is_none());
    }

    #[test]
    fn like_keeps_its_place_among_the_columns() {
        let create = create("create table t (a int, like s.u including all excluding defaults, b numeric(3, 1), like v)");
        let likes: Vec<_> = create.columns.iter().map(like).collect();
        assert_eq!(likes.len(), 4);
        let first = likes[1].clone().unwrap();
        assert_eq!((first.source.to_string().as_str(), first.options.len(), first.options[1].0), ("s.u", 2, false));
        assert_eq!(likes[3].clone().unwrap().source.to_string(), "v");
        assert!(likes[0].is_none() && likes[2].is_none());
    }

    #[test]
    fn overriding_is_read_where_it_belongs() {
        let insert = |sql: &str| match &*parse(sql).unwrap()[0].ast {
            Statement::Insert(insert) => overriding(insert),
            other => panic!("{other}"),
        };
        assert_eq!(insert("insert into t (a) overriding system value values (1)"), Some(Overriding::System));
        assert_eq!(insert("insert into t overriding user value select 1"), Some(Overriding::User));
        assert_eq!(insert("insert into t values (1)"), None);
        assert!(parse("insert into t overriding value values (1)").is_err());
    }
}
