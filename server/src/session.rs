//! One client's session: settings, prepared statements, the open transaction, and the dispatch of statements.
//!
//! The wire hands over text and parameters, and gets an [`Outcome`] whose rows it encodes; it knows nothing of SQL. A session is used by one
//! task at a time. A running statement is stopped by dropping its future or its stream.

use crate::engine::Engine;
use crate::error::{Result, SqlError};
use crate::types::SqlType;
use crate::types::output::OutputStyle;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use std::sync::Arc;

pub mod transaction;

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
}

/// One statement of SQL text, parsed.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its text.
    pub text: Arc<str>,
    /// Its syntax tree.
    pub ast: Arc<datafusion::sql::sqlparser::ast::Statement>,
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
}

impl Session {
    /// A new session. `options` are the startup message's settings (`application_name`, `TimeZone`, `options`, ...).
    pub fn new(_engine: Arc<Engine>, _identity: Identity, _options: Vec<(String, String)>) -> Result<Self> {
        todo!()
    }
    /// Splits and parses SQL text; the statements of one simple query (42601 with its position).
    pub fn parse(&self, _sql: &str) -> Result<Vec<Statement>> {
        todo!()
    }
    /// Describes a statement without running it. `declared` holds the client's parameter types, `None` where it left them open.
    pub async fn prepare(&mut self, _statement: Option<Statement>, _declared: &[Option<SqlType>]) -> Result<Prepared> {
        todo!()
    }
    /// Runs one statement. Outside a block it is its own transaction, committed before `Done` is returned, or for rows: before the stream
    /// ends. `implicit_block` is true for each but the last statement of a simple query that has several: PostgreSQL runs them as one transaction.
    pub async fn execute(&mut self, _statement: &Statement, _parameters: &[ScalarValue]) -> Result<Outcome> {
        todo!()
    }
    /// Several statements in one simple query are one transaction unless they say BEGIN themselves: call before the first ...
    pub fn begin_implicit_block(&mut self) {
        todo!()
    }
    /// ... and after the last, also when one failed (then it rolls back).
    pub async fn end_implicit_block(&mut self) -> Result<()> {
        todo!()
    }
    /// Must be told of an error that happened outside [`Session::execute`] (streaming, encoding, cancelling): fails the block.
    pub fn fail(&mut self) {
        todo!()
    }
    /// The block that the session is in.
    pub fn transaction_status(&self) -> TransactionStatus {
        todo!()
    }
    /// Notices since the last call, oldest first (bounded).
    pub fn take_notices(&mut self) -> Vec<Notice> {
        todo!()
    }
    /// Settings whose change clients are told of (ParameterStatus), changed since the last call; all of them at the first.
    pub fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        todo!()
    }
    /// How values are written now.
    pub fn output_style(&self) -> OutputStyle {
        todo!()
    }
}
