//! What ends a statement before its time, in whatever it is doing: a request to cancel, a time limit, a client that vanishes, another session.

use crate::server_process::ServerProcess;
use bytes::Bytes;
use futures::SinkExt;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::{Client, NoTls};

/// Statements that take longer than anybody waits, each in another way.
const ENDLESS: [(&str, &str); 9] = [
    ("a cross join", "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b"),
    ("a join that finds nothing", "SELECT 1 FROM generate_series(1, 10000000) a(x), generate_series(1, 10000000) b(y) WHERE x + y < 0"),
    ("an aggregate", "SELECT sum(i) FROM generate_series(1, 100000000000) g(i)"),
    ("a sort", "SELECT i FROM generate_series(1, 100000000000) g(i) ORDER BY -i LIMIT 1"),
    ("a recursion", "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT count(*) FROM r"),
    ("an insert", "INSERT INTO sink SELECT i FROM generate_series(1, 100000000000) g(i) WHERE i < 0"),
    (
        "a subquery for each row",
        "SELECT count(*) FROM generate_series(1, 1000000) a(x), LATERAL (SELECT y FROM generate_series(1, 1000000) b(y) WHERE y <> x OFFSET 999990) c",
    ),
    ("a lock", "SELECT pg_advisory_lock(42)"),
    ("a pause", "SELECT pg_sleep(100000)"),
];

fn code(error: &tokio_postgres::Error) -> String {
    error.code().map(|code| code.code().to_string()).unwrap_or_default()
}

/// Waits until a session runs a statement.
async fn until_active(observer: &Client, sql: &str) {
    let active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $1";
    while observer.query_one(active, &[&sql]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
}

async fn until_alone(observer: &Client) {
    while observer.query_one("SELECT count(*) FROM pg_stat_activity", &[]).await.unwrap().get::<_, i64>(0) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_cancelled_wherever_they_are() {
    let server = ServerProcess::start();
    let (client, observer) = (server.connect().await, server.connect().await);
    observer.batch_execute("CREATE TABLE sink (i bigint); SELECT pg_advisory_lock(42)").await.unwrap();
    for (what, sql) in ENDLESS {
        let token = client.cancel_token();
        let mut asked = Instant::now();
        let (result, ()) = tokio::join!(client.batch_execute(sql), async {
            until_active(&observer, sql).await;
            asked = Instant::now();
            token.cancel_query(NoTls).await.unwrap();
        });
        println!("{what}: cancelled after {:?}", asked.elapsed());
        assert_eq!(code(&result.unwrap_err()), "57014", "{what}");
        assert_eq!(client.query_one("SELECT 1::int", &[]).await.unwrap().get::<_, i32>(0), 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_end_with_their_time() {
    let server = ServerProcess::start();
    let (client, holder) = (server.connect().await, server.connect().await);
    holder.batch_execute("CREATE TABLE sink (i bigint); SELECT pg_advisory_lock(42)").await.unwrap();
    client.batch_execute("SET statement_timeout = '50ms'").await.unwrap();
    for (what, sql) in ENDLESS {
        let error = client.batch_execute(sql).await.unwrap_err();
        assert_eq!(
            (code(&error).as_str(), error.as_db_error().unwrap().message()),
            ("57014", "canceling statement due to statement timeout"),
            "{what}"
        );
    }
    // A COPY whose client has nothing more to say.
    client.batch_execute("SET statement_timeout = '500ms'").await.unwrap();
    let mut sink = Box::pin(client.copy_in::<_, Bytes>("COPY sink FROM STDIN").await.unwrap());
    sink.send(Bytes::from_static(b"1\n")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(code(&sink.as_mut().finish().await.unwrap_err()), "57014");
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = '20ms'").await.unwrap();
    let error = client.batch_execute("SELECT pg_advisory_lock(42)").await.unwrap_err();
    assert_eq!(code(&error), "55P03");
    assert_eq!(client.query_one("SELECT count(*) FROM sink", &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_act_on_each_other() {
    let server = ServerProcess::start();
    let (client, observer) = (server.connect().await, server.connect().await);
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let sql = ENDLESS[0].1;
    let (result, ()) = tokio::join!(client.batch_execute(sql), async {
        until_active(&observer, sql).await;
        assert!(observer.query_one("SELECT pg_cancel_backend($1)", &[&pid]).await.unwrap().get::<_, bool>(0));
    });
    assert_eq!(code(&result.unwrap_err()), "57014");
    let (result, ()) = tokio::join!(client.batch_execute(sql), async {
        until_active(&observer, sql).await;
        assert!(observer.query_one("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap().get::<_, bool>(0));
    });
    assert_eq!(code(&result.unwrap_err()), "57P01");
    until_alone(&observer).await;
    assert!(!observer.query_one("SELECT pg_cancel_backend($1)", &[&pid]).await.unwrap().get::<_, bool>(0));
}

/// Its locks go with a session, and a client that vanishes takes its statement with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_stops_its_query_and_gives_its_locks_back() {
    let server = ServerProcess::start();
    let observer = server.connect().await;
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    let socket = tokio::spawn(connection);
    client.batch_execute("SELECT pg_advisory_lock(42)").await.unwrap();
    let sql = ENDLESS[0].1;
    let query = tokio::spawn(async move { client.batch_execute(sql).await });
    until_active(&observer, sql).await;
    socket.abort();
    assert!(query.await.unwrap().is_err());
    until_alone(&observer).await;
    assert!(observer.query_one("SELECT pg_try_advisory_lock(42)", &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_sessions_end_with_their_time() {
    let server = ServerProcess::start();
    let observer = server.connect().await;
    for (sql, expected) in
        [("SET idle_session_timeout = '20ms'", "57P05"), ("SET idle_in_transaction_session_timeout = '20ms'; BEGIN", "25P03")]
    {
        let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
        let (run, ended) = tokio::join!(client.batch_execute(sql), connection);
        run.unwrap();
        assert_eq!(code(&ended.unwrap_err()), expected);
    }
    until_alone(&observer).await;
}

/// A client that asks for much and reads nothing: the server holds back, and hears of a request to cancel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_can_be_cancelled() {
    let server = ServerProcess::start();
    let observer = server.connect().await;
    for sql in
        ["SELECT i FROM generate_series(1, 100000000000) g(i)", "COPY (SELECT i FROM generate_series(1, 100000000000) g(i)) TO STDOUT"]
    {
        let mut raw = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        raw.write_all(&startup()).await.unwrap();
        raw.write_all(&query(sql)).await.unwrap();
        until_active(&observer, sql).await;
        let cancelled = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = $1";
        assert_eq!(observer.query(cancelled, &[&sql]).await.unwrap().len(), 1);
        let idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle'";
        // It goes on once its last words are taken.
        let mut text = Vec::new();
        let mut chunk = vec![0; 1 << 16];
        while !text.windows(5).any(|window| window == b"57014") {
            let read = raw.read(&mut chunk).await.unwrap();
            assert!(read > 0);
            text.drain(..text.len().saturating_sub(64));
            text.extend_from_slice(&chunk[..read]);
        }
        while observer.query_one(idle, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        drop(raw);
        until_alone(&observer).await;
    }
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0plimsoll\0database\0plimsoll\0\0";
    [&(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    [b"Q".as_slice(), &(sql.len() as u32 + 5).to_be_bytes(), sql.as_bytes(), b"\0"].concat()
}

/// The story: a join whose condition rejects every pair computed on after it was cancelled, on all threads that queries have, and no other
/// statement was planned until it was through, hours later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_keeps_nobody_waiting() {
    let server = ServerProcess::start();
    let other = server.connect().await;
    let mut statements = Vec::new();
    for _ in 0..4 {
        let client = server.connect().await;
        client.batch_execute("SET statement_timeout = '300ms'").await.unwrap();
        statements.push(tokio::spawn(async move {
            client.batch_execute("SELECT 1 FROM generate_series(1, 10000000) a(x), generate_series(1, 10000000) b(y) WHERE x * y < 0").await
        }));
    }
    // Beside them, and after them.
    let limit = std::time::Duration::from_secs(120);
    let beside = tokio::time::timeout(limit, other.query_one("SELECT count(*) FROM pg_class", &[])).await;
    beside.expect("an answer while the joins run").unwrap();
    for statement in statements {
        assert_eq!(code(&statement.await.unwrap().unwrap_err()), "57014");
    }
    let after = tokio::time::timeout(limit, other.query_one("SELECT count(*) FROM pg_class", &[])).await;
    after.expect("an answer after the joins").unwrap();
}

/// A statement with changes in WITH puts off what foreign keys demand of them until its end. One that was broken off left the rest of its block
/// without checks, and a row that refers to nothing was committed.
#[tokio::test]
async fn a_statement_that_is_broken_off_puts_nothing_off_for_those_after_it() {
    let server = ServerProcess::start();
    let client = server.connect().await;
    let tables = "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1); CREATE TABLE c (pid int REFERENCES p)";
    client.batch_execute(tables).await.unwrap();
    client.batch_execute("BEGIN; SAVEPOINT s; SET LOCAL statement_timeout = 300").await.unwrap();
    let slow = "WITH new AS (INSERT INTO c VALUES (1) RETURNING pid) SELECT pg_sleep(60) FROM new";
    let broken_off = client.batch_execute(slow).await.unwrap_err();
    assert_eq!(broken_off.code().unwrap().code(), "57014");
    client.batch_execute("ROLLBACK TO s").await.unwrap();
    let refused = client.batch_execute("INSERT INTO c VALUES (99)").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "23503");
}
