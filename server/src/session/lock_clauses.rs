//! `FOR UPDATE [OF t, u] [NOWAIT | SKIP LOCKED]` and its family: PostgreSQL's clauses as tokens that the SQL parser reads, and what they say.
//!
//! The SQL parser knows FOR UPDATE and FOR SHARE of one table, behind LIMIT. The other strengths, and several tables, are put into the one name that
//! it reads behind OF; a clause before LIMIT is moved behind it; FOR READ ONLY says nothing.

use crate::engine::locks::RowStrength;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Ident, LockClause, LockType, NonBlock};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Marks what is no name: a quote that the tree knows, and that no name in PostgreSQL's dialect has.
const MARK: char = '[';
/// Stands before the last part of a name that has several.
const QUALIFIED: &str = "qualified";

/// What is done about rows that others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// They are waited for.
    Wait,
    /// They are left out.
    Skip,
    /// They are an error.
    Refuse,
}

/// What one clause says.
#[derive(Clone, Debug, PartialEq)]
pub struct Locking {
    /// How rows are locked.
    pub strength: RowStrength,
    /// Of which relations; empty: of all.
    pub of: Vec<Ident>,
    /// What is done about rows that others hold.
    pub held: Held,
}

impl Locking {
    /// What a clause says; 42601 where it names a relation with its schema.
    pub fn of(clause: &LockClause) -> Result<Self> {
        let plain = match clause.lock_type {
            LockType::Update => RowStrength::Update,
            LockType::Share => RowStrength::Share,
        };
        let held = match clause.nonblock {
            None => Held::Wait,
            Some(NonBlock::SkipLocked) => Held::Skip,
            Some(NonBlock::Nowait) => Held::Refuse,
        };
        let mut locking = Self { strength: plain, of: Vec::new(), held };
        let mut qualified = None;
        for name in clause.of.iter().flat_map(|name| &name.0).filter_map(|part| part.as_ident()) {
            match (name.quote_style, name.value.as_str()) {
                (Some(MARK), QUALIFIED) => qualified = Some(name.span),
                (Some(MARK), strength) => locking.strength = STRENGTHS.into_iter().find(|known| words(*known) == strength).unwrap_or(plain),
                _ => locking.of.push(name.clone()),
            }
        }
        let message = || format!("{} must specify unqualified relation names", name(locking.strength));
        match qualified {
            Some(span) => Err(SqlError::new(SqlState::SYNTAX_ERROR, message()).at(span)),
            None => Ok(locking),
        }
    }
}

const STRENGTHS: [RowStrength; 4] = [RowStrength::Update, RowStrength::NoKeyUpdate, RowStrength::Share, RowStrength::KeyShare];

fn words(strength: RowStrength) -> &'static str {
    match strength {
        RowStrength::Update | RowStrength::Gone => "UPDATE",
        RowStrength::NoKeyUpdate => "NO KEY UPDATE",
        RowStrength::Share => "SHARE",
        RowStrength::KeyShare | RowStrength::Stay => "KEY SHARE",
    }
}

/// The clause's name: `FOR UPDATE`.
pub fn name(strength: RowStrength) -> String {
    format!("FOR {}", words(strength))
}

/// Respells the clauses of a statement.
pub(super) fn known_to_the_parser(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let after_for =
        |pair: &[TokenWithSpan]| is(&pair[0], "for") && ["update", "share", "no", "key", "read"].iter().any(|w| is(&pair[1], w));
    let plain: Vec<TokenWithSpan> = match tokens.iter().any(|token| is(token, "for")) {
        true => tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).cloned().collect(),
        false => return tokens,
    };
    if !plain.windows(2).any(after_for) {
        return tokens;
    }
    let mut result = Vec::with_capacity(plain.len());
    let mut at = 0;
    while at < plain.len() {
        let mut clauses = Vec::new();
        // What was between FOR UPDATE and the end of the query: LIMIT, OFFSET.
        while let Some((next, clause)) = clause(&plain, at) {
            clauses.extend(clause);
            at = next;
            if plain.get(at).is_some_and(|token| ["limit", "offset", "fetch"].iter().any(|word| is(token, word))) {
                let end = end_of_limit(&plain, at);
                result.extend(plain[at..end].iter().cloned());
                at = end;
            }
        }
        result.extend(clauses);
        result.extend(plain.get(at).cloned());
        at += 1;
    }
    result
}

/// Whether a statement's tokens have such a clause.
pub(super) fn may_be_in(tokens: &[TokenWithSpan]) -> bool {
    tokens.iter().any(|token| is(token, "for"))
}

fn is(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

/// The clause that begins at a place, respelled, and what comes after it.
fn clause(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, Vec<TokenWithSpan>)> {
    let has = |from: usize, words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        let found = words.iter().enumerate().all(|(i, word)| tokens.get(from + i).is_some_and(|token| is(token, word)));
        found.then_some(from + words.len())
    };
    let after = has(at, "for")?;
    if let Some(next) = has(after, "read only") {
        return Some((next, Vec::new()));
    }
    let (strength, mut next) = STRENGTHS.into_iter().find_map(|strength| Some((strength, has(after, words(strength))?)))?;
    let span = tokens[at].span;
    let spelled = |token: Token| TokenWithSpan { token, span };
    let plain = if strength >= RowStrength::NoKeyUpdate { "UPDATE" } else { "SHARE" };
    let mut clause = vec![tokens[at].clone(), spelled(Token::make_keyword(plain))];
    let mut parts = vec![spelled(Token::make_word(words(strength), Some(MARK)))];
    if let Some(names) = has(next, "of") {
        next = names;
        while let Some(token) = tokens.get(next).filter(|token| matches!(token.token, Token::Word(_))) {
            parts.push(token.clone());
            next += 1;
            match tokens.get(next).map(|token| &token.token) {
                Some(Token::Comma) => next += 1,
                Some(Token::Period) => {
                    parts.push(TokenWithSpan { token: Token::make_word(QUALIFIED, Some(MARK)), span: token.span });
                    next += 1;
                }
                _ => break,
            }
        }
    }
    clause.push(spelled(Token::make_keyword("OF")));
    for (place, part) in parts.into_iter().enumerate() {
        clause.extend((place > 0).then(|| spelled(Token::Period)));
        clause.push(part);
    }
    for words in ["nowait", "skip locked"] {
        if let Some(end) = has(next, words) {
            clause.extend(tokens[next..end].iter().cloned());
            next = end;
            break;
        }
    }
    Some((next, clause))
}

/// Where LIMIT and OFFSET end: with the query, or before another clause.
fn end_of_limit(tokens: &[TokenWithSpan], at: usize) -> usize {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return place,
            Token::RParen => depth -= 1,
            Token::SemiColon if depth == 0 => return place,
            _ if depth == 0 && clause(tokens, place).is_some() => return place,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse;
    use datafusion::sql::sqlparser::ast::Statement;

    fn read(sql: &str) -> (Vec<Locking>, bool) {
        let parsed = parse(sql).unwrap();
        let Statement::Query(query) = &*parsed[0].ast else { panic!("a query was expected") };
        (query.locks.iter().map(|clause| Locking::of(clause).unwrap()).collect(), query.limit_clause.is_some())
    }

    fn one(sql: &str) -> (RowStrength, Vec<String>, Held) {
        let (mut read, _) = read(sql);
        let only = read.pop().filter(|_| read.is_empty()).unwrap();
        (only.strength, only.of.into_iter().map(|name| name.value).collect(), only.held)
    }

    #[test]
    fn all_forms_are_read() {
        use RowStrength::*;
        assert_eq!(one("select 1 from t for update"), (Update, vec![], Held::Wait));
        assert_eq!(one("select 1 from t for no key update of t nowait"), (NoKeyUpdate, vec!["t".into()], Held::Refuse));
        assert_eq!(one("select 1 from t, u for share of t , \"U\" skip locked"), (Share, vec!["t".into(), "U".into()], Held::Skip));
        assert_eq!(one("table t for key share"), (KeyShare, vec![], Held::Wait));
        assert_eq!(read("select 1 from t for read only"), (vec![], false));
        assert_eq!(read("select 1 from t for update of t for share of u limit 1").0.len(), 2);
    }

    #[test]
    fn limit_may_stand_on_either_side() {
        for sql in
            ["limit 1 for update", "for update limit 1", "for update skip locked limit (select 1) offset 2", "offset 1 for share limit 2"]
        {
            let (locks, limited) = read(&format!("select a from t where b in (select substring('for' for 2)) {sql}"));
            assert_eq!((locks.len(), limited), (1, true), "{sql}");
        }
        let job = "update t set a = 1 where b = (select b from t for update skip locked limit 1) returning *";
        assert!(parse(job).unwrap()[0].ast.to_string().contains("LIMIT 1 FOR UPDATE"));
    }

    #[test]
    fn names_are_not_qualified() {
        let parsed = parse("select 1 from t for key share of t, public.t").unwrap();
        let Statement::Query(query) = &*parsed[0].ast else { panic!("a query was expected") };
        let error = Locking::of(&query.locks[0]).unwrap_err();
        assert_eq!((error.state.0, &*error.message), ("42601", "FOR KEY SHARE must specify unqualified relation names"));
        for sql in ["select 1 from t for updat", "select 1 from t for no update", "select 1 from t for update nowait skip locked"] {
            assert_eq!(parse(sql).unwrap_err().state.0, "42601", "{sql}");
        }
    }
}
