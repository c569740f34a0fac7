//! One wire connection of a file, as sqllogictest sees a database.
//!
//! A session that was lost (the server closed it, a restart killed it, a record took too long) is reported by the record that lost it
//! and opened again for the next one, so one crash does not hide what the records after it would say.

use crate::column::ColumnKind;
use crate::copy::{self, CopyRequest};
use crate::server::Server;
use crate::value::shown;
use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

/// The longest that one record may take. A suite's tables are small: longer means that the server hangs.
pub const RECORD_SECONDS_MAX: u64 = 60;

/// The longest wait for a connection to say goodbye.
const GOODBYE_SECONDS_MAX: u64 = 5;

/// Why a record got no result.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The server answered with an error. Suites match on this line.
    #[error("ERROR: {message} (SQLSTATE {code})")]
    Sql {
        /// Five characters.
        code: String,
        /// The primary message, on one line.
        message: String,
    },
    /// The connection failed, or the server sent what the protocol does not allow here.
    #[error("connection: {0}")]
    Connection(String),
    /// The server did not answer in time.
    #[error("no answer within {RECORD_SECONDS_MAX} s")]
    Timeout,
    /// The server did not come back.
    #[error("restart: {0}")]
    Restart(String),
}

impl From<tokio_postgres::Error> for SessionError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => Self::Sql { code: db.code().code().into(), message: db.message().replace('\n', "\\n") },
            None => Self::Connection(with_sources(&error)),
        }
    }
}

fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// What the sessions of one file share.
pub struct Place {
    server: Arc<dyn Server>,
    schema: String,
    /// How often this file restarted the server. Sessions opened before the last one are dead.
    restarts: AtomicU64,
}

impl Place {
    /// A file's place on `server`.
    pub fn new(server: Arc<dyn Server>, schema: String) -> Self {
        Self { server, schema, restarts: AtomicU64::new(0) }
    }

    /// Drops what an earlier run left, and makes the schema.
    pub async fn create(&self) -> Result<(), SessionError> {
        let statements = [format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema), format!("CREATE SCHEMA {}", self.schema)];
        bounded(self.execute_alone(&statements)).await
    }

    /// Drops the schema and all in it.
    pub async fn drop_schema(&self) -> Result<(), SessionError> {
        bounded(self.execute_alone(&[format!("DROP SCHEMA {} CASCADE", self.schema)])).await
    }

    /// One statement at a time: a server may refuse to mix them in one transaction.
    async fn execute_alone(&self, statements: &[String]) -> Result<(), SessionError> {
        let wire = Wire::open(&self.server.url()).await?;
        for statement in statements {
            wire.client.batch_execute(statement).await?;
        }
        wire.close().await;
        Ok(())
    }
}

/// Waits for the answer no longer than a record may take.
async fn bounded<T>(answer: impl Future<Output = Result<T, SessionError>>) -> Result<T, SessionError> {
    tokio::time::timeout(Duration::from_secs(RECORD_SECONDS_MAX), answer).await.unwrap_or(Err(SessionError::Timeout))
}

/// A client and the task that moves its bytes.
struct Wire {
    client: Client,
    task: JoinHandle<()>,
}

impl Wire {
    async fn open(url: &str) -> Result<Self, SessionError> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // What ends the connection is seen by the client's next call, which reports it.
        let task = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, task })
    }

    /// Says goodbye, and waits until it is sent: locks of an open transaction are not held beyond it.
    async fn close(self) {
        let Self { client, mut task } = self;
        drop(client);
        if tokio::time::timeout(Duration::from_secs(GOODBYE_SECONDS_MAX), &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// One `connection` of a file.
pub struct Session {
    place: Arc<Place>,
    wire: Option<Wire>,
    /// The value of `Place::restarts` when the wire was opened.
    opened_at: u64,
}

impl Session {
    /// Connects, and makes the file's schema the only one on the search path.
    pub async fn open(place: Arc<Place>) -> Result<Self, SessionError> {
        let mut session = Self { place, wire: None, opened_at: 0 };
        bounded(session.client()).await?;
        Ok(session)
    }

    async fn client(&mut self) -> Result<&Client, SessionError> {
        let restarts = self.place.restarts.load(Ordering::Relaxed);
        let alive = self.wire.take().filter(|wire| self.opened_at == restarts && !wire.client.is_closed());
        let wire = match alive {
            Some(wire) => wire,
            None => self.connect().await?,
        };
        self.opened_at = restarts;
        Ok(&self.wire.insert(wire).client)
    }

    async fn connect(&self) -> Result<Wire, SessionError> {
        let wire = Wire::open(&self.place.server.url()).await?;
        wire.client.batch_execute(&format!("SET search_path TO {}", self.place.schema)).await?;
        Ok(wire)
    }

    async fn restart(&mut self) -> Result<DBOutput<ColumnKind>, SessionError> {
        self.place.server.restart().await.map_err(|error| SessionError::Restart(error.to_string()))?;
        self.place.restarts.fetch_add(1, Ordering::Relaxed);
        self.client().await?;
        Ok(DBOutput::StatementComplete(0))
    }

    async fn execute(&mut self, sql: &str) -> Result<DBOutput<ColumnKind>, SessionError> {
        let client = self.client().await?;
        match copy::parse(sql) {
            CopyRequest::In { statement, data } => Ok(DBOutput::StatementComplete(copy::copy_in(client, statement, data).await?)),
            CopyRequest::Out => Ok(lines_as_rows(copy::copy_out(client, sql).await?)),
            CopyRequest::None => Ok(last_result(client.simple_query(sql).await?)),
        }
    }
}

/// True for the record that asks for a restart of the server.
pub fn is_restart(sql: &str) -> bool {
    sql.trim().trim_end_matches(';').eq_ignore_ascii_case("restart")
}

#[async_trait]
impl AsyncDB for Session {
    type Error = SessionError;
    type ColumnType = ColumnKind;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<ColumnKind>, SessionError> {
        let answer = if is_restart(sql) { bounded(self.restart()).await } else { bounded(self.execute(sql)).await };
        if matches!(answer, Err(SessionError::Timeout | SessionError::Connection(_))) {
            self.abandon();
        }
        answer
    }

    async fn shutdown(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.close().await;
        }
    }

    fn engine_name(&self) -> &str {
        self.place.server.engine()
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &SessionError) -> Option<String> {
        match error {
            SessionError::Sql { code, .. } => Some(code.clone()),
            _ => None,
        }
    }
}

impl Session {
    fn abandon(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.task.abort();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The outcome of the last statement of a simple query.
fn last_result(messages: Vec<SimpleQueryMessage>) -> DBOutput<ColumnKind> {
    let mut columns = None;
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    let mut output = DBOutput::StatementComplete(0);
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(description) => columns = Some(description.len()),
            SimpleQueryMessage::Row(row) => rows.push(values(&row)),
            SimpleQueryMessage::CommandComplete(count) => {
                output = match columns.take() {
                    Some(columns) => rows_output(columns, std::mem::take(&mut rows)),
                    None => DBOutput::StatementComplete(count),
                }
            }
            _ => {}
        }
    }
    output
}

fn values(row: &SimpleQueryRow) -> Vec<Option<String>> {
    (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()
}

fn lines_as_rows(lines: Vec<String>) -> DBOutput<ColumnKind> {
    rows_output(1, lines.into_iter().map(|line| vec![Some(line)]).collect())
}

fn rows_output(columns: usize, rows: Vec<Vec<Option<String>>>) -> DBOutput<ColumnKind> {
    let kind = |at: usize| rows.iter().map(|row| ColumnKind::of(row[at].as_deref())).fold(ColumnKind::Any, ColumnKind::and);
    let types = (0..columns).map(kind).collect();
    let rows = rows.iter().map(|row| row.iter().map(|value| shown(value.as_deref())).collect()).collect();
    DBOutput::Rows { types, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_is_a_record_of_its_own() {
        assert!(is_restart("restart"));
        assert!(is_restart(" RESTART;\n"));
        assert!(!is_restart("select 'restart'"));
    }

    #[test]
    fn rows_know_their_kinds_even_when_there_are_none() {
        let DBOutput::Rows { types, rows } = rows_output(2, Vec::new()) else { panic!("rows") };
        assert_eq!((types, rows.len()), (vec![ColumnKind::Any; 2], 0));
        let DBOutput::Rows { types, rows } = rows_output(2, vec![vec![Some("1".into()), None], vec![None, Some(String::new())]]) else {
            panic!("rows")
        };
        assert_eq!(types, [ColumnKind::Integer, ColumnKind::Text]);
        assert_eq!(rows, [["1", "NULL"], ["NULL", "(empty)"]]);
    }
}
