//! The statements that a session reads itself: those that steer it (SET, BEGIN, PREPARE, ...), COPY, sequences, and PostgreSQL's
//! utility statements that the SQL parser lacks, so that each gets a clear answer.

use super::Statement;
use super::{copy_options, explain_placement, lock_table, parse};
use crate::catalog::names::fold;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{self, Expr, ObjectName, WrappedCollection};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use std::sync::Arc;

pub mod constraint_modes;
pub mod cursors;
mod databases;
pub mod drop_absent;
pub mod extension;
pub mod identity_options;
pub mod physical;
mod statements;
pub mod vacuum;

pub use statements::{DiscardKind, Ours, RelationKind, SequenceOption, TransactionModes};

/// Why a statement could not be read.
#[derive(Debug)]
pub enum GrammarError {
    /// The grammar's error, with its place.
    Syntax(ParserError),
    /// An error of its own kind.
    Sql(Box<SqlError>),
}

impl From<ParserError> for GrammarError {
    fn from(error: ParserError) -> Self {
        Self::Syntax(error)
    }
}

impl From<SqlError> for GrammarError {
    fn from(error: SqlError) -> Self {
        Self::Sql(Box::new(error))
    }
}

/// The result of reading something.
pub type Read<T> = Result<T, GrammarError>;

/// A reader of one statement's tokens.
pub struct Grammar<'a> {
    /// The cursor, and the grammar of expressions, names and types.
    pub parser: Parser<'static>,
    tokens: &'a [TokenWithSpan],
}

impl<'a> Grammar<'a> {
    /// A reader; `parser` stands before the first of `tokens`.
    pub fn new(parser: Parser<'static>, tokens: &'a [TokenWithSpan]) -> Self {
        Self { parser, tokens }
    }

    /// Reads a statement of the session's own; `None`, and nothing consumed, if it is the SQL parser's.
    pub fn statement(&mut self) -> Read<Option<Ours>> {
        if let Some(ours) = super::role_grammar::read(self)? {
            return Ok(Some(ours));
        }
        if let Some(ours) = extension::read(self)? {
            return Ok(Some(ours));
        }
        if let Some(ours) = physical::read(self)? {
            return Ok(Some(ours));
        }
        if let Some(drop) = drop_absent::read(self)? {
            return Ok(Some(Ours::DropAbsent(drop)));
        }
        if let Some(ours) = constraint_modes::read(self)? {
            return Ok(Some(ours));
        }
        if self.peek("ALTER INDEX") && self.ends_with("RENAME TO") {
            return Ok(Some(self.rename_index()?));
        }
        if let Some(refusal) = self.refused() {
            return Ok(Some(refusal));
        }
        if let Some(ours) = self.transaction_control()? {
            return Ok(Some(ours));
        }
        if let Some(ours) = self.setting()? {
            return Ok(Some(ours));
        }
        if let Some(ours) = self.prepared()? {
            return Ok(Some(ours));
        }
        if let Some(ours) = self.cursor()? {
            return Ok(Some(ours));
        }
        self.utility()
    }

    /// Whether the next words are these; consumes them if so.
    pub fn accept(&mut self, words: &str) -> bool {
        let found = self.peek(words);
        if found {
            for _ in words.split(' ') {
                self.parser.next_token();
            }
        }
        found
    }
    /// Whether the next words are these.
    pub fn peek(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, word)| match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(w) => w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word),
            _ => false,
        })
    }
    /// Consumes these words, or fails.
    pub fn expect(&mut self, words: &str) -> Read<()> {
        if self.accept(words) { Ok(()) } else { self.unexpected(words) }
    }
    /// The error that says what would have been right here.
    pub fn unexpected<T>(&self, expected: &str) -> Read<T> {
        Ok(self.parser.expected(expected, self.parser.peek_token())?)
    }
    /// Whether the next token is this one; consumes it if so.
    pub fn token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }
    /// A name of one part, folded.
    pub fn name(&mut self) -> Read<String> {
        Ok(fold(&self.parser.parse_identifier()?))
    }
    /// A name of several parts.
    pub fn object_name(&mut self) -> Read<ObjectName> {
        Ok(self.parser.parse_object_name(false)?)
    }
    /// A signed whole number.
    pub fn integer(&mut self) -> Read<i64> {
        let negative = self.token(&Token::Minus);
        if !negative {
            self.token(&Token::Plus);
        }
        let token = self.parser.next_token();
        let Token::Number(digits, _) = &token.token else { return Ok(self.parser.expected("a number", token)?) };
        let number = format!("{}{digits}", if negative { "-" } else { "" });
        number.parse().map_err(|_| {
            GrammarError::from(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{number}\" is out of range for type bigint"),
            ))
        })
    }
    /// Skips to the end of the statement.
    pub fn skip_rest(&mut self) {
        while self.parser.peek_token_ref().token != Token::EOF {
            self.parser.next_token();
        }
    }

    fn refused(&mut self) -> Option<Ours> {
        let (words, hint) = REFUSED.iter().find(|(words, _)| self.peek(words))?;
        self.skip_rest();
        let error = SqlError::unsupported(words);
        Some(Ours::Unsupported(Box::new(if hint.is_empty() { error } else { error.with_hint(*hint) })))
    }

    fn transaction_control(&mut self) -> Read<Option<Ours>> {
        let ours = if self.accept("BEGIN") {
            let _ = self.accept("WORK") || self.accept("TRANSACTION");
            Ours::Begin(self.modes()?)
        } else if self.accept("START TRANSACTION") {
            Ours::Begin(self.modes()?)
        } else if self.accept("COMMIT") || self.accept("END") {
            Ours::Commit { chain: self.after_end()? }
        } else if self.accept("ROLLBACK") || self.accept("ABORT") {
            let _ = self.accept("WORK") || self.accept("TRANSACTION");
            if self.accept("TO") {
                self.accept("SAVEPOINT");
                Ours::RollbackTo(self.name()?)
            } else {
                Ours::Rollback { chain: self.after_end()? }
            }
        } else if self.accept("SAVEPOINT") {
            Ours::Savepoint(self.name()?)
        } else if self.accept("RELEASE") {
            self.accept("SAVEPOINT");
            Ours::Release(self.name()?)
        } else {
            return Ok(None);
        };
        Ok(Some(ours))
    }

    /// What follows the end of a block; whether another begins at once.
    fn after_end(&mut self) -> Read<bool> {
        let _ = self.accept("WORK") || self.accept("TRANSACTION");
        let chain = self.accept("AND CHAIN");
        if !chain {
            self.accept("AND NO CHAIN");
        }
        Ok(chain)
    }

    fn modes(&mut self) -> Read<TransactionModes> {
        let mut modes = TransactionModes::default();
        loop {
            if self.accept("ISOLATION LEVEL") {
                modes.isolation = Some(self.isolation()?);
            } else if self.accept("READ ONLY") {
                modes.read_only = Some(true);
            } else if self.accept("READ WRITE") {
                modes.read_only = Some(false);
            } else if !(self.accept("NOT DEFERRABLE") || self.accept("DEFERRABLE") || self.token(&Token::Comma)) {
                return Ok(modes);
            }
        }
    }

    fn isolation(&mut self) -> Read<&'static str> {
        for (words, level) in [
            ("READ UNCOMMITTED", "read uncommitted"),
            ("READ COMMITTED", "read committed"),
            ("REPEATABLE READ", "repeatable read"),
            ("SERIALIZABLE", "serializable"),
        ] {
            if self.accept(words) {
                return Ok(level);
            }
        }
        self.unexpected("an isolation level")
    }

    fn setting(&mut self) -> Read<Option<Ours>> {
        let ours = if self.accept("SET") {
            self.set()?
        } else if self.accept("RESET") {
            let all = self.accept("ALL");
            Ours::Reset(if all { None } else { Some(self.setting_name()?) })
        } else if self.accept("SHOW") {
            let all = self.accept("ALL");
            Ours::Show(if all { None } else { Some(self.setting_name()?) })
        } else if self.accept("DISCARD") {
            Ours::Discard { kind: self.discard_kind()? }
        } else {
            return Ok(None);
        };
        Ok(Some(ours))
    }

    fn discard_kind(&mut self) -> Read<DiscardKind> {
        let kinds = [("ALL", DiscardKind::All), ("PLANS", DiscardKind::Plans), ("SEQUENCES", DiscardKind::Sequences)];
        for (word, kind) in kinds.into_iter().chain([("TEMP", DiscardKind::Temp), ("TEMPORARY", DiscardKind::Temp)]) {
            if self.accept(word) {
                return Ok(kind);
            }
        }
        self.unexpected("ALL, PLANS, SEQUENCES or TEMP")
    }

    fn set(&mut self) -> Read<Ours> {
        if self.accept("SESSION CHARACTERISTICS AS TRANSACTION") {
            return Ok(Ours::SetTransaction { modes: self.modes()?, session: true });
        }
        if self.peek("TRANSACTION SNAPSHOT") {
            return Err(SqlError::unsupported("SET TRANSACTION SNAPSHOT").into());
        }
        if self.accept("TRANSACTION") {
            return Ok(Ours::SetTransaction { modes: self.modes()?, session: false });
        }
        let local = self.accept("LOCAL");
        if !local {
            self.accept("SESSION");
        }
        if self.accept("TIME ZONE") {
            return Ok(Ours::Set { local, name: "timezone".into(), values: self.set_values()? });
        }
        if self.accept("NAMES") {
            return Ok(Ours::Set { local, name: "client_encoding".into(), values: self.set_values()? });
        }
        if self.accept("SCHEMA") {
            return Ok(Ours::Set { local, name: "search_path".into(), values: self.set_values()? });
        }
        let name = self.setting_name()?;
        if !(self.token(&Token::Eq) || self.accept("TO")) {
            return self.unexpected("= or TO");
        }
        Ok(Ours::Set { local, name, values: self.set_values()? })
    }

    fn setting_name(&mut self) -> Read<String> {
        if self.accept("TIME ZONE") {
            return Ok("timezone".into());
        }
        if self.accept("TRANSACTION ISOLATION LEVEL") {
            return Ok("transaction_isolation".into());
        }
        let parts: Vec<String> = self.object_name()?.0.iter().filter_map(|part| part.as_ident()).map(|i| i.value.to_lowercase()).collect();
        Ok(parts.join("."))
    }

    /// The values of SET; `None` is DEFAULT.
    pub fn set_values(&mut self) -> Read<Option<Vec<String>>> {
        if self.accept("DEFAULT") || self.accept("LOCAL") {
            return Ok(None);
        }
        let mut values = vec![self.set_value()?];
        while self.token(&Token::Comma) {
            values.push(self.set_value()?);
        }
        Ok(Some(values))
    }

    fn set_value(&mut self) -> Read<String> {
        let negative = self.token(&Token::Minus);
        let token = self.parser.next_token();
        Ok(match &token.token {
            Token::Number(digits, _) => format!("{}{digits}", if negative { "-" } else { "" }),
            _ if negative => return Ok(self.parser.expected("a number", token)?),
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
            Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("interval") => {
                let text = self.parser.parse_literal_string()?;
                let _ = self.accept("HOUR TO MINUTE");
                text
            }
            Token::Word(word) => fold(&word.clone().into_ident(token.span)),
            _ => return Ok(self.parser.expected("a value", token)?),
        })
    }

    fn prepared(&mut self) -> Read<Option<Ours>> {
        let ours = if self.accept("PREPARE") {
            if self.peek("TRANSACTION") {
                return Err(SqlError::unsupported("PREPARE TRANSACTION").into());
            }
            self.prepare()?
        } else if self.accept("EXECUTE") {
            let name = self.name()?;
            let mut arguments = Vec::new();
            if self.token(&Token::LParen) {
                arguments = self.parser.parse_comma_separated(Parser::parse_expr)?;
                self.close()?;
            }
            Ours::Execute { name, arguments }
        } else if self.accept("DEALLOCATE") {
            self.accept("PREPARE");
            let all = self.accept("ALL");
            Ours::Deallocate(if all { None } else { Some(self.name()?) })
        } else {
            return Ok(None);
        };
        Ok(Some(ours))
    }

    fn prepare(&mut self) -> Read<Ours> {
        let name = self.name()?;
        let mut types = Vec::new();
        if self.token(&Token::LParen) {
            types = self.parser.parse_comma_separated(Parser::parse_data_type)?;
            self.close()?;
        }
        self.expect("AS")?;
        Ok(Ours::Prepare { name, types, statement: self.rest_as_statement()? })
    }

    /// All that is left, as a statement of the SQL parser's.
    fn rest_as_statement(&mut self) -> Read<Statement> {
        let next = self.parser.peek_token().span.start;
        let start = self.tokens.iter().position(|token| token.span.start == next).unwrap_or(self.tokens.len());
        let rest = &self.tokens[start..];
        let mut ast = parse::parse_standard(rest)?;
        super::balanced::conditions(&mut ast);
        super::strictness::check(&ast)?;
        self.skip_rest();
        let text = ast.to_string().into();
        let locks_rows = super::lock_clauses::may_be_in(rest) && crate::locking::locks_rows(&ast);
        Ok(Statement { text, ast: Arc::new(ast), ours: None, notices: Vec::new(), planned_as: None, locks_rows })
    }

    /// A closing parenthesis.
    pub fn close(&mut self) -> Read<()> {
        if self.token(&Token::RParen) { Ok(()) } else { self.unexpected(")") }
    }

    fn utility(&mut self) -> Read<Option<Ours>> {
        if self.accept("COPY") {
            return Ok(Some(Ours::Copy(Box::new(copy_options::read(self)?))));
        }
        if let Some(error) = databases::read(self)? {
            return Ok(Some(error));
        }
        if let Some(explain) = explain_placement::read(self)? {
            return Ok(Some(Ours::ExplainPlacement(explain)));
        }
        if self.accept("COMMENT ON CONSTRAINT") {
            return self.comment_on_constraint().map(Some);
        }
        for (words, temporary) in [("CREATE SEQUENCE", false), ("CREATE TEMP SEQUENCE", true), ("CREATE TEMPORARY SEQUENCE", true)] {
            if self.accept(words) {
                return self.create_sequence(temporary).map(Some);
            }
        }
        if let Some(ours) = self.vacuum()? {
            return Ok(Some(ours));
        }
        if let Some(ours) = lock_table::read(self)? {
            return Ok(Some(ours));
        }
        for (words, tag) in [("CHECKPOINT", "CHECKPOINT"), ("UNLISTEN", "UNLISTEN")] {
            if self.peek(words) {
                self.skip_rest();
                return Ok(Some(Ours::Nothing(tag)));
            }
        }
        self.alter()
    }

    fn rename_index(&mut self) -> Read<Ours> {
        self.expect("ALTER INDEX")?;
        let if_exists = self.accept("IF EXISTS");
        let name = self.object_name()?;
        self.expect("RENAME TO")?;
        Ok(Ours::RenameIndex { if_exists, name, to: self.name()? })
    }

    fn comment_on_constraint(&mut self) -> Read<Ours> {
        let constraint = self.name()?;
        self.expect("ON")?;
        let table = self.object_name()?;
        self.expect("IS")?;
        let text = if self.accept("NULL") { None } else { Some(self.parser.parse_literal_string()?) };
        Ok(Ours::CommentOnConstraint { constraint, table, text })
    }

    fn create_sequence(&mut self, temporary: bool) -> Read<Ours> {
        let if_not_exists = self.accept("IF NOT EXISTS");
        Ok(Ours::CreateSequence { temporary, if_not_exists, name: self.object_name()?, options: self.sequence_options()? })
    }

    /// ALTER where the SQL parser lacks the form; it looks ahead before it takes a statement for its own.
    fn alter(&mut self) -> Read<Option<Ours>> {
        let kind = if self.peek("ALTER SEQUENCE") {
            RelationKind::Sequence
        } else if self.peek("ALTER VIEW") {
            RelationKind::View
        } else if self.peek("ALTER TABLE") && (self.ends_with("SET SCHEMA")) {
            RelationKind::Table
        } else {
            return Ok(None);
        };
        self.parser.next_token();
        self.parser.next_token();
        let if_exists = self.accept("IF EXISTS");
        self.accept("ONLY");
        let name = self.object_name()?;
        if self.accept("RENAME TO") {
            return Ok(Some(Ours::Rename { kind, if_exists, name, to: self.name()? }));
        }
        if self.accept("SET SCHEMA") {
            return Ok(Some(Ours::SetSchema { kind, if_exists, name, schema: self.name()? }));
        }
        if kind == RelationKind::Sequence {
            let options = self.sequence_options()?;
            return if options.is_empty() {
                self.unexpected("a sequence option")
            } else {
                Ok(Some(Ours::AlterSequence { if_exists, name, options }))
            };
        }
        Err(SqlError::unsupported("this form of ALTER VIEW").with_hint("Use CREATE OR REPLACE VIEW, or drop and create the view.").into())
    }

    /// Whether the statement ends with these words and one name.
    pub fn ends_with(&self, words: &str) -> bool {
        let real: Vec<&Token> = self.tokens.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_) | Token::EOF)).collect();
        let wanted: Vec<&str> = words.split(' ').collect();
        real.len() > wanted.len() + 1 && real[real.len() - 1 - wanted.len()..].iter().zip(&wanted).all(|(token, word)| is_word(token, word))
    }

    /// Options of CREATE SEQUENCE and of identity columns, in any order.
    pub fn sequence_options(&mut self) -> Read<Vec<SequenceOption>> {
        let mut options = Vec::new();
        while let Some(option) = self.sequence_option()? {
            options.push(option);
        }
        Ok(options)
    }

    fn sequence_option(&mut self) -> Read<Option<SequenceOption>> {
        let option = if self.accept("AS") {
            SequenceOption::As(self.parser.parse_data_type()?)
        } else if self.accept("INCREMENT") {
            self.accept("BY");
            SequenceOption::Increment(self.integer()?)
        } else if self.accept("MINVALUE") {
            SequenceOption::Min(Some(self.integer()?))
        } else if self.accept("NO MINVALUE") {
            SequenceOption::Min(None)
        } else if self.accept("MAXVALUE") {
            SequenceOption::Max(Some(self.integer()?))
        } else if self.accept("NO MAXVALUE") {
            SequenceOption::Max(None)
        } else if self.accept("START") {
            self.accept("WITH");
            SequenceOption::Start(self.integer()?)
        } else if self.accept("RESTART") {
            let with = self.accept("WITH");
            let given = with || matches!(self.parser.peek_token_ref().token, Token::Number(..) | Token::Minus);
            SequenceOption::Restart(if given { Some(self.integer()?) } else { None })
        } else if self.accept("CACHE") {
            SequenceOption::Cache(self.integer()?)
        } else if self.accept("NO CYCLE") {
            SequenceOption::Cycle(false)
        } else if self.accept("CYCLE") {
            SequenceOption::Cycle(true)
        } else if self.accept("OWNED BY") {
            let none = self.accept("NONE");
            SequenceOption::OwnedBy(if none { None } else { Some(self.object_name()?) })
        } else {
            return Ok(None);
        };
        Ok(Some(option))
    }
}

/// Statements that PostgreSQL has and this server has not, by their first words, with a hint.
const REFUSED: &[(&str, &str)] = &[
    ("ALTER DATABASE", ""),
    ("ALTER FUNCTION", ""),
    ("ALTER INDEX", INDEXES),
    ("ALTER SYSTEM", "Settings of the server stand in its configuration file; see SET for those of a session."),
    ("ALTER TYPE", ""),
    ("CALL", ""),
    ("CLUSTER", "Declare the order with CREATE TABLE ... CLUSTER BY (columns): compaction keeps it."),
    ("CREATE AGGREGATE", ""),
    ("CREATE CAST", ""),
    ("CREATE COLLATION", ""),
    ("CREATE DOMAIN", ""),
    ("CREATE EVENT TRIGGER", ""),
    ("CREATE FOREIGN TABLE", ""),
    ("CREATE FUNCTION", ""),
    ("CREATE LANGUAGE", ""),
    ("CREATE MATERIALIZED VIEW", "Use CREATE TABLE ... AS, or a view."),
    ("CREATE OPERATOR", ""),
    ("CREATE OR REPLACE FUNCTION", ""),
    ("CREATE OR REPLACE PROCEDURE", ""),
    ("CREATE OR REPLACE TRIGGER", ""),
    ("CREATE POLICY", ""),
    ("CREATE PROCEDURE", ""),
    ("CREATE PUBLICATION", ""),
    ("CREATE RECURSIVE VIEW", "Write CREATE VIEW ... AS WITH RECURSIVE ..."),
    ("CREATE RULE", ""),
    ("CREATE SERVER", ""),
    ("CREATE STATISTICS", ""),
    ("CREATE SUBSCRIPTION", ""),
    ("CREATE TABLESPACE", ""),
    ("CREATE TRIGGER", ""),
    ("CREATE TYPE", ""),
    ("DO", ""),
    ("IMPORT FOREIGN SCHEMA", ""),
    ("LISTEN", ""),
    ("LOAD", ""),
    ("NOTIFY", ""),
    ("REFRESH MATERIALIZED VIEW", ""),
    ("SECURITY LABEL", ""),
];

const INDEXES: &str = "There are no indexes: segments carry statistics by which scans skip what cannot match. Unique keys are UNIQUE or PRIMARY KEY constraints.";

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// What CREATE TABLE's CLUSTER BY says.
type ClusterBy = Option<WrappedCollection<Vec<Expr>>>;

/// Takes `CLUSTER BY (columns)` out of CREATE TABLE, which the SQL parser reads only for other dialects.
pub fn take_cluster_by(tokens: &[TokenWithSpan]) -> Read<(Vec<TokenWithSpan>, ClusterBy)> {
    let real = || tokens.iter().enumerate().filter(|(_, t)| !matches!(t.token, Token::Whitespace(_) | Token::EOF));
    let is_create_table = real().zip(["CREATE", "TABLE"]).all(|((_, token), word)| is_word(&token.token, word));
    let mut depth = 0usize;
    let mut previous: Option<usize> = None;
    for (at, token) in real().filter(|_| is_create_table) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(_) if depth == 0 && is_word(&token.token, "BY") => {
                if let Some(start) = previous.filter(|p| is_word(&tokens[*p].token, "CLUSTER")) {
                    return cut_cluster_by(tokens, start, at);
                }
            }
            _ => {}
        }
        previous = Some(at);
    }
    Ok((tokens.to_vec(), None))
}

fn cut_cluster_by(tokens: &[TokenWithSpan], start: usize, by: usize) -> Read<(Vec<TokenWithSpan>, ClusterBy)> {
    let mut grammar = Grammar::new(parse::parser(tokens[by + 1..].to_vec()), &[]);
    if !grammar.token(&Token::LParen) {
        return grammar.unexpected("(");
    }
    let columns = grammar.parser.parse_comma_separated(|parser| parser.parse_identifier().map(Expr::Identifier))?;
    grammar.close()?;
    let next = grammar.parser.peek_token();
    let end = if next.token == Token::EOF {
        tokens.len()
    } else {
        tokens.iter().position(|token| token.span.start == next.span.start).unwrap_or(tokens.len())
    };
    let rest = tokens[..start].iter().chain(&tokens[end..]).cloned().collect();
    Ok((rest, Some(WrappedCollection::Parentheses(columns))))
}

/// A clear refusal for what the SQL parser cannot read but PostgreSQL can.
pub fn refusal_of(tokens: &[TokenWithSpan]) -> Option<GrammarError> {
    let words: Vec<&Token> = tokens.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_) | Token::EOF)).collect();
    let has = |first: &str, second: &str| words.windows(2).any(|pair| is_word(pair[0], first) && is_word(pair[1], second));
    let starts = |first: &str, second: &str| words.len() > 1 && is_word(words[0], first) && is_word(words[1], second);
    if (starts("CREATE", "TABLE") || starts("ALTER", "TABLE")) && (has("EXCLUDE", "USING")) {
        return Some(SqlError::unsupported("EXCLUDE").with_hint("Only UNIQUE, PRIMARY KEY and CHECK constraints are supported.").into());
    }
    if starts("ALTER", "TABLE") && (has("SET", "GENERATED") || has("DROP", "IDENTITY") || has("DROP", "EXPRESSION")) {
        return Some(SqlError::unsupported("this form of ALTER TABLE").into());
    }
    None
}

/// The identifiers of a parenthesized list.
pub fn column_names(grammar: &mut Grammar<'_>) -> Read<Vec<String>> {
    let names = grammar.parser.parse_comma_separated(|parser| parser.parse_identifier())?;
    grammar.close()?;
    Ok(names.iter().map(fold).collect())
}

/// A query in parentheses, the opening one consumed.
pub fn parenthesized_query(grammar: &mut Grammar<'_>) -> Read<ast::Query> {
    let query = grammar.parser.parse_query()?;
    grammar.close()?;
    Ok(*query)
}
