//! One client's session: settings, prepared statements, the open transaction, and the dispatch of statements.
//!
//! The wire hands over text and parameters, and gets an [`Outcome`] whose rows it encodes; it knows nothing of SQL. A session is used by one
//! task at a time. A running statement is stopped by dropping its future or its stream.
//!
//! A statement's life: [`parse`] makes it of text, [`describe`] says what it takes and returns, [`dispatch`] runs it in the transaction of
//! its block ([`block`]) or in one of its own.

use crate::engine::Engine;
use crate::engine::activity::Registered;
use crate::engine::advisory::Held;
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::forms::{Styles, ValueForms};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use block::Block;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use context::{ContextSource, SessionFacts};
use cursors::Cursors;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use effects::Effects;
use futures::TryStreamExt;
use prepared::PreparedStatements;
use sequences::SessionSequences;
use settings::{Settings, Timeouts};
use std::sync::Arc;

mod absent;
mod balanced;
pub mod block;
pub mod clauses;
mod constraint_modes;
pub mod context;
pub mod copy_options;
mod copying;
pub mod cursors;
pub(crate) mod declared;
mod describe;
mod dispatch;
pub mod effects;
pub mod explain_placement;
pub mod faults;
pub mod grammar;
pub mod lock_clauses;
pub mod lock_table;
pub mod outputs;
mod parameters;
pub mod parse;
mod physical;
pub mod prepared;
pub mod role_grammar;
mod roles;
mod savepoints;
pub mod sequences;
pub mod settings;
pub mod spellings;
mod sql_dialect;
mod strictness;
pub mod subscripted;
mod symmetric;
pub mod temporary;
pub mod transaction;
mod vacuum;
mod word_order;

/// Notices kept for the client, at most.
pub(crate) const NOTICES_MAX: usize = 256;

/// Text that is parsed without further ado; what nests or is long can take seconds.
const PARSED_AT_ONCE_BYTES_MAX: usize = 8 << 10;
/// See [`PARSED_AT_ONCE_BYTES_MAX`].
const PARSED_AT_ONCE_PARENTHESES_MAX: usize = 8;

/// Who is connected, from the startup message.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// The process id that clients cancel by.
    pub process_id: i32,
    /// The client's address.
    pub client_address: Option<std::net::SocketAddr>,
    /// How the connection is encrypted; `None`: not at all.
    pub encryption: Option<crate::access::tls::Encryption>,
}

/// One statement of SQL text, parsed.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its text.
    pub text: Arc<str>,
    /// Its syntax tree; of a statement of the session's own grammar only a stand-in.
    pub ast: Arc<datafusion::sql::sqlparser::ast::Statement>,
    /// A statement of the session's own grammar.
    pub ours: Option<Arc<grammar::Ours>>,
    /// What parsing has to say.
    pub notices: Vec<Notice>,
    /// What its plan is known by, if it was prepared: its text, and the types declared for its parameters.
    pub planned_as: Option<Arc<str>>,
    /// Whether a query in it locks rows.
    pub locks_rows: bool,
}

/// A prepared statement, described.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The statement; `None` for an empty one.
    pub statement: Option<Statement>,
    /// Types of $1, $2, ...: the client's where declared, else inferred.
    pub parameters: Vec<SqlType>,
    /// Columns of the result; `None` if it returns no rows.
    pub columns: Option<SchemaRef>,
}

/// The block that a session is in, as ReadyForQuery reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// 'I'
    Idle,
    /// 'T'
    InBlock,
    /// 'E'
    Failed,
}

/// What a statement comes to.
pub enum Outcome {
    /// Rows, streamed; the tag is `SELECT n` and the like once `n` is known.
    Rows {
        /// Columns.
        schema: SchemaRef,
        /// Batches.
        batches: SendableRecordBatchStream,
        /// How the tag begins: `SELECT`, `INSERT 0`, `FETCH`, `EXPLAIN`, ...; with `tag_rows` false it stands alone (`SHOW`).
        tag: &'static str,
        /// Whether the number of rows follows.
        tag_rows: bool,
    },
    /// No rows; the complete tag, for instance `INSERT 0 3`.
    Done(String),
    /// Rows are expected from the client.
    CopyIn(Box<dyn CopyIn>),
    /// Rows go to the client as COPY data.
    CopyOut {
        /// Columns.
        schema: SchemaRef,
        /// Batches.
        batches: SendableRecordBatchStream,
        /// How they are written.
        format: CopyFormat,
    },
    /// An empty statement.
    Empty,
}

impl Outcome {
    /// Errors of its rows say where in the statement they are, if the statement shows it.
    fn with_faults_of(self, statement: &Statement) -> Self {
        let Self::Rows { schema, batches, tag, tag_rows } = self else { return self };
        let ast = Arc::clone(&statement.ast);
        let located = batches.map_err(move |error| faults::located_in_rows(&ast, error.into()).into());
        let batches = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), located));
        Self::Rows { schema, batches, tag, tag_rows }
    }
}

/// The other end of COPY FROM STDIN.
#[async_trait]
pub trait CopyIn: Send {
    /// Number of columns expected.
    fn columns(&self) -> usize;
    /// Whether the data is binary.
    fn binary(&self) -> bool;
    /// Takes some bytes, not aligned to rows; waits while its buffers are full.
    async fn push(&mut self, bytes: Bytes) -> Result<()>;
    /// The client is done: commits (outside a block), and returns the number of rows.
    async fn finish(self: Box<Self>, session: &mut Session) -> Result<u64>;
    /// The client gave up, or the connection was lost: nothing remains of the rows.
    async fn abort(self: Box<Self>, session: &mut Session);
}

/// Options of COPY, defaults resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyFormat {
    /// Text, CSV or binary.
    pub kind: CopyKind,
    /// Between values (one byte).
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// What stands for the column's default (FROM only).
    pub default: Option<String>,
    /// A first line of names.
    pub header: CopyHeader,
    /// CSV: around values.
    pub quote: u8,
    /// CSV: before a quote inside a value.
    pub escape: u8,
    /// CSV TO: columns always quoted (indices).
    pub force_quote: Vec<usize>,
    /// CSV FROM: columns never taken for NULL (indices).
    pub force_not_null: Vec<usize>,
    /// CSV FROM: columns in which a quoted NULL string is NULL too (indices).
    pub force_null: Vec<usize>,
}

/// Form of COPY data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    /// `FORMAT text`
    Text,
    /// `FORMAT csv`
    Csv,
    /// `FORMAT binary`
    Binary,
}

/// The HEADER option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyHeader {
    /// None.
    Off,
    /// Written, or skipped.
    On,
    /// Skipped, and must match the columns' names.
    Match,
}

/// A message to the client that is no error.
#[derive(Clone, Debug)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `INFO`.
    pub severity: &'static str,
    /// The rest.
    pub error: SqlError,
}

/// One client's session.
pub struct Session {
    /// What all sessions share.
    pub engine: Arc<Engine>,
    /// Who is connected.
    pub identity: Identity,
    settings: Settings,
    block: Option<Block>,
    /// Whether each statement outside a block belongs to an implicit one.
    implicit: bool,
    prepared: PreparedStatements,
    cursors: Cursors,
    /// What functions did to this session.
    effects: Arc<Effects>,
    sequences: Arc<SessionSequences>,
    /// The schema of its temporary relations, made with the first of them.
    temp_schema: String,
    notices: Vec<Notice>,
    /// The session's entry in `pg_stat_activity`.
    activity: Registered,
    /// When the transaction of the statement that runs began.
    transaction_started: Option<DateTime<Utc>>,
}

impl Session {
    /// A new session. `options` are the startup message's settings (`application_name`, `TimeZone`, `options`, ...).
    pub fn new(engine: Arc<Engine>, identity: Identity, options: Vec<(String, String)>) -> Result<Self> {
        let mut settings = Settings::new(&identity.user, &options)?.of_server(&engine.config);
        roles::enter(&engine, &identity, &mut settings, &options)?;
        let sequences = SessionSequences::new(engine.sequences.clone());
        let activity = engine.activity.enter(identity.clone())?;
        let temp_schema = crate::catalog::temporary::schema(engine.next_session_number());
        activity.name_application(settings.get("application_name"));
        Ok(Self {
            engine,
            identity,
            settings,
            block: None,
            implicit: false,
            prepared: PreparedStatements::default(),
            effects: Arc::default(),
            cursors: Cursors::default(),
            sequences,
            temp_schema,
            notices: Vec::new(),
            activity,
            transaction_started: None,
        })
    }
    /// Splits and parses SQL text; the statements of one simple query (42601 with its position).
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        parse::parse(sql)
    }
    /// The same, on the threads of queries if it may take long, so that a request to cancel is heard.
    pub async fn parse_aside(&mut self, sql: &str) -> Result<Vec<Statement>> {
        if sql.len() <= PARSED_AT_ONCE_BYTES_MAX && sql.bytes().filter(|byte| *byte == b'(').count() <= PARSED_AT_ONCE_PARENTHESES_MAX {
            return self.parse(sql);
        }
        let sql = sql.to_string();
        self.engine.threads.run(async move { parse::parse(&sql) }).await
    }
    /// Describes a statement without running it. `declared` holds the client's parameter types, `None` where it left them open.
    pub async fn prepare(&mut self, statement: Option<Statement>, declared: &[Option<SqlType>]) -> Result<Prepared> {
        let ast = statement.as_ref().map(|statement| Arc::clone(&statement.ast));
        let prepared = describe::describe(self, statement, declared).await;
        let prepared = prepared.map_err(|error| ast.map_or(error.clone(), |ast| faults::located(&ast, error)));
        if prepared.is_err() {
            self.fail();
        }
        prepared
    }
    /// Runs one statement. Outside a block it is its own transaction, committed before `Done` is returned, or for rows: before the stream
    /// ends. `implicit_block` is true for each but the last statement of a simple query that has several: PostgreSQL runs them as one transaction.
    pub async fn execute(&mut self, statement: &Statement, parameters: &[ScalarValue]) -> Result<Outcome> {
        self.settle();
        self.transaction_started = Some(self.activity.begin(&statement.text, self.block.as_ref().map(|block| block.started)));
        let in_block = self.block.is_some();
        statement.notices.iter().for_each(|notice| self.notify(notice.clone()));
        let outcome = dispatch::execute(self, statement, parameters).await;
        if outcome.is_err() {
            self.fail();
        }
        if self.block.is_none() && !in_block {
            self.engine.counters.ended(outcome.is_ok());
        }
        match outcome {
            Ok(outcome) => Ok(outcome.with_faults_of(statement)),
            Err(error) => Err(faults::located(&statement.ast, error)),
        }
    }
    /// Several statements in one simple query are one transaction unless they say BEGIN themselves: call before the first ...
    pub fn begin_implicit_block(&mut self) {
        self.implicit = true;
    }
    /// ... and after the last, also when one failed (then it rolls back).
    pub async fn end_implicit_block(&mut self) -> Result<()> {
        self.implicit = false;
        match self.block.take_if(|block| block.implicit) {
            Some(block) => self.end_block(block, true).await.map(drop),
            None => Ok(()),
        }
    }
    /// Must be told of an error that happened outside [`Session::execute`] (streaming, encoding, cancelling): fails the block.
    pub fn fail(&mut self) {
        if let Some(block) = &mut self.block {
            block.fail();
        }
    }
    /// The block that the session is in.
    pub fn transaction_status(&self) -> TransactionStatus {
        match &self.block {
            None => TransactionStatus::Idle,
            Some(block) if block.implicit => TransactionStatus::Idle,
            Some(block) if block.failed => TransactionStatus::Failed,
            Some(_) => TransactionStatus::InBlock,
        }
    }
    /// The session waits for its client's next message.
    pub fn wait(&mut self) {
        self.settle();
        self.activity.name_application(self.settings.get("application_name"));
        let state = match self.transaction_status() {
            TransactionStatus::Idle => "idle",
            TransactionStatus::InBlock => "idle in transaction",
            TransactionStatus::Failed => "idle in transaction (aborted)",
        };
        self.transaction_started = None;
        self.activity.wait(state, self.block.as_ref().map(|block| block.started));
    }
    /// Notices since the last call, oldest first (bounded).
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let mut notices = std::mem::take(&mut self.notices);
        notices.extend(self.effects.take_notices());
        notices
    }
    /// Settings whose change clients are told of (ParameterStatus), changed since the last call; all of them at the first.
    pub fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        self.settle();
        self.settings.take_changes()
    }
    /// How values are read and written now.
    pub fn value_forms(&self) -> ValueForms {
        let extra_float_digits = self.settings.get("extra_float_digits").parse().unwrap_or(1);
        let of = |name| self.settings.get(name);
        let styles = Styles::of_settings(of("DateStyle"), of("IntervalStyle"), of("bytea_output"));
        ValueForms { time_zone: of("TimeZone").to_string(), extra_float_digits, styles }
    }
    /// How long things may take.
    pub fn timeouts(&self) -> Timeouts {
        self.settings.timeouts()
    }
    /// The forms of a result's columns where the client has no say: text, but for binary cursors.
    pub fn simple_formats(&self, statement: &Statement) -> &'static [i16] {
        match statement.ours.as_deref() {
            Some(grammar::Ours::Fetch { name, .. }) if self.cursors.is_binary(name) => &[1],
            _ => &[],
        }
    }
    /// The columns of a cursor that SQL has declared, and the forms that it gives them: to the protocol it is a portal.
    pub fn cursor_columns(&self, name: &str) -> Option<(SchemaRef, &'static [i16])> {
        let formats: &[i16] = if self.cursors.is_binary(name) { &[1] } else { &[] };
        self.cursors.schema(name).map(|columns| (columns, formats))
    }
    /// What the next statement is planned with.
    pub fn context_source(&self) -> ContextSource {
        let setting = self.settings.search_path(roles::current(&self.settings));
        let (search_path, creation_path) = crate::catalog::temporary::paths(setting, &self.temp_schema);
        ContextSource {
            engine: self.engine.clone(),
            search_path,
            creation_path,
            forms: Arc::new(self.value_forms()),
            user: roles::current(&self.settings).to_string(),
            database: self.identity.database.clone(),
            session: Arc::new(SessionFacts {
                process_id: self.identity.process_id,
                settings: self.settings.clone(),
                cursors: self.cursors.facts(),
                prepared: self.prepared.facts(),
                effects: self.effects.clone(),
                transaction_started: self.block.as_ref().map(|block| block.started).or(self.transaction_started),
            }),
            sequences: self.sequences.clone(),
            ran: None,
        }
    }

    /// Takes over what functions did, and outside a block what ends with a statement.
    fn settle(&mut self) {
        let in_block = self.block.is_some();
        let moved = self.sequences.take_moved();
        self.block.iter_mut().for_each(|block| block.move_sequences(&moved));
        for change in self.effects.take_settings().into_iter().filter(|change| in_block || !change.local) {
            if let Err(error) = self.settings.assign(&change.name, change.value.as_deref(), change.local) {
                tracing::debug!(%error, "a setting that was checked before is refused");
            }
        }
        if !in_block {
            self.engine.advisory.release(self.identity.process_id, Held::ByTransaction);
        }
    }

    /// Keeps a notice for the client, unless `client_min_messages` is above it or there are too many.
    fn notify(&mut self, notice: Notice) {
        let wanted = match self.settings.get("client_min_messages") {
            "error" => notice.severity == "INFO",
            "warning" => notice.severity != "NOTICE",
            _ => true,
        };
        if wanted && self.notices.len() < NOTICES_MAX {
            self.notices.push(notice);
        }
    }

    fn warn(&mut self, state: SqlState, message: &'static str) {
        self.notify(Notice { severity: "WARNING", error: SqlError::new(state, message) });
    }

    /// Ends a block; answers whether it was committed.
    async fn end_block(&mut self, mut block: Block, commit: bool) -> Result<bool> {
        block.move_sequences(&self.sequences.take_moved());
        self.settle();
        let failed = block.failed;
        let held = if commit && !failed { self.cursors.hold().await } else { Ok(()) };
        let committed = match block.into_transaction() {
            _ if held.is_err() => held.map(|()| false),
            Some(transaction) if commit => transaction.commit().await.map(|()| true),
            Some(_) => Ok(false),
            // Nothing was read or written; settings may have been changed.
            None => Ok(commit && !failed),
        };
        self.engine.counters.ended(matches!(committed, Ok(true)));
        self.settings.end(matches!(committed, Ok(true)));
        self.engine.advisory.release(self.identity.process_id, Held::ByTransaction);
        self.cursors.end_of_transaction(matches!(committed, Ok(true)));
        committed
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.advisory.release(self.identity.process_id, Held::BySession);
        self.engine.advisory.release(self.identity.process_id, Held::ByTransaction);
        self.block = None;
        temporary::leave(&self.engine, &self.temp_schema);
    }
}

#[cfg(test)]
mod computed_key_races;
#[cfg(test)]
mod key_model;
#[cfg(test)]
mod key_races;
#[cfg(test)]
mod races;
#[cfg(test)]
mod row_races;
#[cfg(test)]
mod tests;
