//! The protocol, spoken by another implementation, over sessions that only pretend to know SQL.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::error::{SqlError, SqlState};
use crate::session::settings::Timeouts;
use crate::session::{CopyIn, Notice, Outcome, Prepared, Statement, TransactionStatus};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use arrow::array::{Int32Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};
use futures::{SinkExt, StreamExt, TryStreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Streams that run: each adds one, and takes it away when it is dropped.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

struct Fake {
    first: bool,
    copied: Arc<AtomicUsize>,
    prepared: std::collections::HashMap<String, Arc<Prepared>>,
}

struct FakeCopy(Arc<AtomicUsize>);

#[async_trait]
impl CopyIn for FakeCopy {
    fn columns(&self) -> usize {
        2
    }
    fn binary(&self) -> bool {
        false
    }
    async fn push(&mut self, bytes: Bytes) -> Result<()> {
        if bytes.starts_with(b"bad") {
            return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, "bad row").with_context("COPY t, line 1"));
        }
        self.0.fetch_add(bytes.len(), Ordering::SeqCst);
        Ok(())
    }
    async fn finish(self: Box<Self>, _session: &mut Session) -> Result<u64> {
        Ok(0)
    }
    async fn abort(self: Box<Self>, _session: &mut Session) {}
}

struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![SqlType::Int4.field("n", true)]))
}

/// Numbers in batches of 1,000, and after them nothing, an error, a panic or no end.
fn numbers(count: i32, text: &str) -> SendableRecordBatchStream {
    RUNNING.fetch_add(1, Ordering::SeqCst);
    let running = Running;
    let batch = |start: i32, end: i32| RecordBatch::try_new(schema(), vec![Arc::new(Int32Array::from_iter_values(start..end))]).unwrap();
    let batches = (0..count).step_by(1000).map(move |start| Ok(batch(start, (start + 1000).min(count))));
    let text = text.to_string();
    let end = futures::stream::once(async move {
        let _running = running;
        match text {
            text if text.contains("late_error") => Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero").into()),
            text if text.contains("panic") => panic!("a defect"),
            text if text.contains("forever") => std::future::pending().await,
            _ => Ok(RecordBatch::new_empty(schema())),
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter(batches).chain(end)))
}

#[async_trait]
impl Backend for Fake {
    async fn parse(&mut self, sql: &str) -> Result<Vec<Statement>> {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql)?;
        Ok(parsed
            .into_iter()
            .map(|ast| Statement {
                text: ast.to_string().into(),
                ast: Arc::new(ast),
                notices: Vec::new(),
                ours: None,
                planned_as: None,
                locks_rows: false,
            })
            .collect())
    }
    async fn prepare(&mut self, statement: Option<Statement>, _declared: &[Option<SqlType>]) -> Result<Prepared> {
        let text = statement.as_ref().map(|statement| statement.text.to_string()).unwrap_or_default();
        let parameters = if text.contains("$1") { vec![SqlType::Int4] } else { vec![] };
        Ok(Prepared { statement, parameters, columns: text.starts_with("SELECT").then(schema) })
    }
    async fn execute(&mut self, statement: &Statement, parameters: &[ScalarValue]) -> Result<Outcome> {
        let text = &statement.text;
        if text.starts_with("COPY") {
            return Ok(Outcome::CopyIn(Box::new(FakeCopy(self.copied.clone()))));
        }
        if text.contains("early_error") {
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, "column \"early_error\" does not exist"));
        }
        let count = match parameters.first() {
            Some(ScalarValue::Int32(Some(count))) => *count,
            _ if text.contains("many") => 200_000,
            _ => 3,
        };
        Ok(Outcome::Rows { schema: schema(), batches: numbers(count, text), tag: "SELECT", tag_rows: true })
    }
    fn begin_implicit_block(&mut self) {}
    async fn end_implicit_block(&mut self) -> Result<()> {
        Ok(())
    }
    fn fail(&mut self) {}
    fn transaction_status(&self) -> TransactionStatus {
        TransactionStatus::InBlock
    }
    fn take_notices(&mut self) -> Vec<Notice> {
        vec![]
    }
    fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        if std::mem::replace(&mut self.first, false) { vec![("server_version", "15.8".into())] } else { vec![] }
    }
    fn value_forms(&self) -> ValueForms {
        ValueForms::default()
    }
    fn timeouts(&self) -> Timeouts {
        Timeouts::default()
    }
    fn wait(&mut self) {}
    fn check_new_name(&self, _name: &str) -> Result<()> {
        Ok(())
    }
    fn keep_prepared(&mut self, name: &str, prepared: Prepared) {
        self.prepared.insert(name.to_string(), Arc::new(prepared));
    }
    fn find_prepared(&self, name: &str) -> Result<Arc<Prepared>> {
        self.prepared.get(name).cloned().ok_or_else(|| SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, "no such statement"))
    }
    fn forget_prepared(&mut self, name: &str) {
        self.prepared.remove(name);
    }
    fn simple_formats(&self, _statement: &Statement) -> &'static [i16] {
        &[]
    }
    fn cursor_columns(&self, _name: &str) -> Option<(SchemaRef, &'static [i16])> {
        None
    }
    async fn finish_copy(&mut self, _copy: Box<dyn CopyIn>) -> Result<u64> {
        Ok(self.copied.load(Ordering::SeqCst) as u64)
    }
    async fn abort_copy(&mut self, _copy: Box<dyn CopyIn>) {}
    async fn give_space_back(&mut self) {}
}

struct OpenDoor;

impl Doorkeeper for OpenDoor {
    fn demand(&self, _candidate: &crate::access::rules::Candidate<'_>) -> Result<crate::access::login::Demand> {
        Ok(crate::access::login::Demand::Nothing)
    }
    fn admit(&self, _candidate: &crate::access::rules::Candidate<'_>) -> Result<()> {
        Ok(())
    }
}

struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    done: tokio::task::JoinHandle<()>,
}

async fn start(connections_max: usize) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let open: Box<Open<Fake>> = Box::new(|_, _| Ok(Fake { first: true, copied: Arc::default(), prepared: Default::default() }));
    let options = Options { connections_max, grace: Duration::from_millis(200) };
    let done = tokio::spawn(serve(listener, options, Entrance { door: Arc::new(OpenDoor), tls: None }, open, Arc::default(), async move {
        let _ = stopped.await;
    }));
    Server { address, stop, done }
}

impl Server {
    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let url = format!("postgresql://me@{}/me?sslmode=disable", self.address);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn code(error: &tokio_postgres::Error) -> String {
    error.code().map(|code| code.code().to_string()).unwrap_or_default()
}

fn rows(messages: &[SimpleQueryMessage]) -> usize {
    messages.iter().filter(|message| matches!(message, SimpleQueryMessage::Row(_))).count()
}

async fn until_running(count: usize) {
    while RUNNING.load(Ordering::SeqCst) != count {
        tokio::task::yield_now().await;
    }
}

/// One test, because it counts what runs in the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn the_protocol() {
    let server = start(3).await;
    let client = server.connect().await.unwrap();

    // Simple queries, several at once, errors early and late, and a defect.
    assert_eq!(rows(&client.simple_query("select 1; select many").await.unwrap()), 200_003);
    assert_eq!(code(&client.simple_query("select early_error").await.unwrap_err()), "42703");
    assert_eq!(code(&client.simple_query("select 1; select late_error").await.unwrap_err()), "22012");
    let syntax = client.simple_query("selekt 1").await.unwrap_err();
    assert_eq!(code(&syntax), "42601");
    assert!(syntax.as_db_error().unwrap().position().is_some());
    assert_eq!(code(&client.simple_query("select panic").await.unwrap_err()), "XX000");
    assert_eq!(rows(&client.simple_query("select 1").await.unwrap()), 3);
    client.simple_query("").await.unwrap();

    // Prepared statements with parameters, and errors that end at the next Sync.
    let found = client.query("select $1", &[&5i32]).await.unwrap();
    assert_eq!(found.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(code(&client.query("select late_error", &[]).await.unwrap_err()), "22012");
    assert_eq!(client.query("select $1", &[&2_500i32]).await.unwrap().len(), 2_500);

    // COPY: what was pushed is counted; a bad row ends it, and the session goes on.
    let sink = client.copy_in::<_, Bytes>("copy t from stdin").await.unwrap();
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from(vec![b'x'; 300_000])).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), 300_000);
    let mut sink = Box::pin(client.copy_in::<_, Bytes>("copy t from stdin").await.unwrap());
    let _ = sink.send(Bytes::from_static(b"bad")).await;
    assert_eq!(code(&sink.as_mut().finish().await.unwrap_err()), "22P04");
    assert_eq!(rows(&client.simple_query("select 1").await.unwrap()), 3);

    // Cancelling ends a stream that would never end.
    until_running(0).await;
    let token = client.cancel_token();
    let (cancelled, ()) = tokio::join!(client.simple_query("select forever"), async {
        until_running(1).await;
        token.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(code(&cancelled.unwrap_err()), "57014");
    until_running(0).await;

    // A client that vanishes stops its query.
    let url = format!("postgresql://me@{}/me?sslmode=disable", server.address);
    let (other, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let socket = tokio::spawn(connection);
    let query = tokio::spawn(async move { other.simple_query("select forever").await });
    until_running(1).await;
    socket.abort();
    assert!(query.await.unwrap().is_err());
    until_running(0).await;

    portals(&server).await;
    let running = refusals(&server).await;

    // Draining: the idle end at once, the running after their grace.
    let query = tokio::spawn(async move { running.simple_query("select forever").await });
    until_running(1).await;
    server.stop.send(()).unwrap();
    assert_eq!(code(&query.await.unwrap().unwrap_err()), "57P01");
    server.done.await.unwrap();
    until_running(0).await;
}

#[tokio::test]
async fn who_comes_too_early_is_told_to_come_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgresql://me@{}/me?sslmode=prefer", listener.local_addr().unwrap());
    let early = turn_away_until(&listener, "the database system is starting up", tokio_postgres::connect(&url, NoTls)).await;
    let error = early.err().unwrap();
    assert_eq!((code(&error).as_str(), error.as_db_error().unwrap().message()), ("57P03", "the database system is starting up"));
}

/// Portals are suspended and go on, within a batch and between.
async fn portals(server: &Server) {
    let mut client = server.connect().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let statement = transaction.prepare("select $1").await.unwrap();
    let portal = transaction.bind(&statement, &[&2_050i32]).await.unwrap();
    let mut next = 0;
    for expected in [100, 1_500, 450] {
        let found = transaction.query_portal(&portal, if expected == 450 { 0 } else { expected }).await.unwrap();
        assert_eq!(found.len(), expected as usize);
        for row in found {
            assert_eq!(row.get::<_, i32>(0), next);
            next += 1;
        }
    }
    let stream = transaction.query_raw("select $1", [3i32]).await.unwrap();
    assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().len(), 3);
}

/// Too many clients, and bytes that are no protocol; the first client that finds room again.
async fn refusals(server: &Server) -> Client {
    let mut raw = tokio::net::TcpStream::connect(server.address).await.unwrap();
    raw.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f").await.unwrap();
    assert_eq!(raw.read_u8().await.unwrap(), b'N');
    raw.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("08P01"));
    let mut held = Vec::new();
    let refused = loop {
        match server.connect().await {
            Ok(client) => held.push(client),
            Err(error) => break error,
        }
    };
    assert_eq!((held.len() <= 3, code(&refused).as_str()), (true, "53300"));
    for client in held {
        drop(client);
    }
    loop {
        if let Ok(client) = server.connect().await {
            return client;
        }
        tokio::task::yield_now().await;
    }
}
