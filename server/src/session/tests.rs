//! Statements through a session of an engine in a temporary folder.
#![allow(clippy::unwrap_used)]

use super::{Identity, Outcome, Session, TransactionStatus};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::Result;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

pub(super) struct Server {
    pub(super) engine: Arc<Engine>,
    sessions: AtomicI32,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().to_path_buf(), ..Config::default() };
        Self { engine: Engine::open(config).await.unwrap(), sessions: AtomicI32::new(0), _folder: folder }
    }
    pub(super) fn session(&self) -> Session {
        let process_id = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        let identity =
            Identity { user: "plimsoll".into(), database: "plimsoll".into(), process_id, client_address: None, encryption: None };
        Session::new(self.engine.clone(), identity, Vec::new()).unwrap()
    }
}

/// Runs statements one by one; the tag or the rows of the last.
pub(super) async fn run(session: &mut Session, sql: &str) -> Result<String> {
    let mut last = String::new();
    for statement in session.parse(sql)? {
        last = match session.execute(&statement, &[]).await? {
            Outcome::Done(tag) => tag,
            Outcome::Empty => String::new(),
            Outcome::Rows { batches, .. } | Outcome::CopyOut { batches, .. } => {
                let batches: Vec<_> = batches.try_collect().await?;
                let text = pretty_format_batches(&batches)?.to_string();
                let rows = text.lines().filter(|line| line.starts_with('|')).skip(1);
                rows.map(|row| row.replace([' ', '|'], " ").split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("; ")
            }
            Outcome::CopyIn(copy) => format!("copy of {} columns", copy.columns()),
        };
    }
    Ok(last)
}

#[track_caller]
pub(super) fn assert_error(result: Result<String>, state: &str, message: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.state.0, &*error.message), (state, message));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_commit_roll_back_and_fail() {
    let server = Server::new().await;
    let (mut a, mut b) = (server.session(), server.session());
    assert_eq!(run(&mut a, "create table t (a int)").await.unwrap(), "CREATE TABLE");
    assert_eq!(run(&mut a, "begin; insert into t values (1), (2)").await.unwrap(), "INSERT 0 2");
    assert_eq!(a.transaction_status(), TransactionStatus::InBlock);
    assert_eq!(run(&mut a, "select count(*) from t").await.unwrap(), "2");
    assert_eq!(run(&mut b, "select count(*) from t").await.unwrap(), "0");
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
    assert_eq!(run(&mut b, "select count(*) from t").await.unwrap(), "2");
    assert_eq!(run(&mut a, "begin; create table u (x text); drop table t; rollback").await.unwrap(), "ROLLBACK");
    assert_error(run(&mut a, "select * from u").await, "42P01", "relation \"u\" does not exist");
    assert_error(run(&mut a, "begin; select nope from t").await, "42703", "column \"nope\" does not exist");
    assert_eq!(a.transaction_status(), TransactionStatus::Failed);
    let aborted = "current transaction is aborted, commands ignored until end of transaction block";
    assert_error(run(&mut a, "select 1").await, "25P02", aborted);
    assert_eq!(run(&mut a, "commit").await.unwrap(), "ROLLBACK");
    assert_eq!(a.transaction_status(), TransactionStatus::Idle);
    assert_error(
        run(&mut a, "begin read only; insert into t values (3)").await,
        "25006",
        "cannot execute INSERT in a read-only transaction",
    );
    run(&mut a, "rollback; commit").await.unwrap();
    assert_eq!(a.take_notices().last().unwrap().error.message, "there is no transaction in progress");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_implicit_block_is_one_transaction() {
    let server = Server::new().await;
    let mut session = server.session();
    run(&mut session, "create table t (a int primary key)").await.unwrap();
    session.begin_implicit_block();
    assert!(run(&mut session, "insert into t values (1); insert into t values (1)").await.is_err());
    session.end_implicit_block().await.unwrap();
    assert_eq!(run(&mut session, "select count(*) from t").await.unwrap(), "0");
    session.begin_implicit_block();
    run(&mut session, "insert into t values (1); insert into t values (2)").await.unwrap();
    session.end_implicit_block().await.unwrap();
    assert_eq!(run(&mut session, "select count(*) from t").await.unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_checked_when_definitions_change() {
    let server = Server::new().await;
    let mut s = server.session();
    run(&mut s, "create table t (a int, b text default 'x'); insert into t (a) values (1), (1), (null)").await.unwrap();
    assert_error(
        run(&mut s, "alter table t add column c int not null").await,
        "23502",
        "column \"c\" of relation \"t\" contains null values",
    );
    assert_error(run(&mut s, "alter table t alter a set not null").await, "23502", "column \"a\" of relation \"t\" contains null values");
    let violated = "check constraint \"k\" of relation \"t\" is violated by some row";
    assert_error(run(&mut s, "alter table t add constraint k check (a > 1)").await, "23514", violated);
    let duplicate = run(&mut s, "alter table t add unique (a)").await.unwrap_err();
    assert_eq!((duplicate.state.0, duplicate.detail.as_deref()), ("23505", Some("Key (a)=(1) is duplicated.")));
    run(&mut s, "alter table t add column d numeric(6,2) not null default 1.5").await.unwrap();
    assert_eq!(run(&mut s, "select d, b from t where a is null").await.unwrap(), "1.50 x");
    assert_error(run(&mut s, "create table u (a int default 'x')").await, "22P02", "invalid input syntax for type integer: \"x\"");
    assert_error(
        run(&mut s, "create table u (a int check (a))").await,
        "42804",
        "argument of CHECK must be type boolean, not type integer",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_serials_and_identities() {
    let server = Server::new().await;
    let mut s = server.session();
    run(&mut s, "create table t (a serial, b bigint generated by default as identity (start 10 increment 10), c text)").await.unwrap();
    run(&mut s, "insert into t (c) values ('x'), ('y'); insert into t (c) values ('z')").await.unwrap();
    assert_eq!(run(&mut s, "select a, b, c from t order by a").await.unwrap(), "1 10 x; 2 20 y; 3 30 z");
    run(&mut s, "create sequence q start 5 maxvalue 6").await.unwrap();
    assert_error(run(&mut s, "select currval('q')").await, "55000", "currval of sequence \"q\" is not yet defined in this session");
    assert_eq!(run(&mut s, "select nextval('q'); select nextval('q')").await.unwrap(), "6");
    assert_error(run(&mut s, "select nextval('q')").await, "2200H", "nextval: reached maximum value of sequence \"q\" (6)");
    assert_eq!(run(&mut s, "select currval('q')").await.unwrap(), "6");
    assert_eq!(run(&mut s, "select setval('q', 5); select nextval('q')").await.unwrap(), "6");
    run(&mut s, "alter sequence q restart with 5 maxvalue 100").await.unwrap();
    assert_eq!(run(&mut s, "select nextval('q')").await.unwrap(), "5");
    assert_error(run(&mut s, "drop sequence t_a_seq").await, "2BP01", "cannot drop sequence t_a_seq because other objects depend on it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_tables_from_queries_and_prepared_statements() {
    let server = Server::new().await;
    let mut s = server.session();
    run(&mut s, "create schema x; create table x.t (a int, b text); insert into x.t values (1, 'p'), (2, 'q')").await.unwrap();
    run(&mut s, "create view v as select * from x.t; alter table x.t add column c int").await.unwrap();
    assert_eq!(run(&mut s, "select * from v order by a").await.unwrap(), "1 p; 2 q");
    assert_error(run(&mut s, "drop table x.t").await, "2BP01", "cannot drop table x.t because other objects depend on it");
    assert_eq!(run(&mut s, "create table y as select a * 2 as d, b from v").await.unwrap(), "SELECT 2");
    assert_eq!(run(&mut s, "select d, b from y order by d").await.unwrap(), "2 p; 4 q");
    assert_eq!(run(&mut s, "select a into z from v where a > 1; select * from z").await.unwrap(), "2");
    run(&mut s, "prepare p (int) as select b from x.t where a = $1").await.unwrap();
    assert_eq!(run(&mut s, "execute p(2)").await.unwrap(), "q");
    assert_error(run(&mut s, "execute p").await, "42601", "wrong number of parameters for prepared statement \"p\"");
    assert_eq!(run(&mut s, "deallocate p; set search_path to x; select count(*) from t").await.unwrap(), "2");
    assert_eq!(run(&mut s, "copy t to stdout").await.unwrap().lines().count(), 1);
    assert_eq!(run(&mut s, "show search_path").await.unwrap(), "x");
    run(&mut s, "drop schema x cascade").await.unwrap();
    assert_eq!(s.take_notices().last().unwrap().error.message, "drop cascades to 2 other objects");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_and_descriptions() {
    let server = Server::new().await;
    let mut s = server.session();
    run(&mut s, "create table t (a int, b text)").await.unwrap();
    for (sql, state) in [("copy t from stdin", TransactionStatus::Idle), ("begin; copy t from stdin", TransactionStatus::InBlock)] {
        let mut outcome = None;
        for statement in s.parse(sql).unwrap() {
            outcome = Some(s.execute(&statement, &[]).await.unwrap());
        }
        let Some(Outcome::CopyIn(mut copy)) = outcome else { panic!() };
        copy.push("1\tx\n2\t".into()).await.unwrap();
        copy.push("y\n".into()).await.unwrap();
        assert_eq!(copy.finish(&mut s).await.unwrap(), 2);
        assert_eq!(s.transaction_status(), state);
    }
    assert_eq!(run(&mut s, "rollback; select count(*) from t").await.unwrap(), "2");
    let statement = s.parse("insert into t values ($1, $2) returning a").unwrap().remove(0);
    let prepared = s.prepare(Some(statement), &[]).await.unwrap();
    assert_eq!(prepared.parameters.iter().map(crate::types::SqlType::name).collect::<Vec<_>>(), ["integer", "text"]);
    assert_eq!(prepared.columns.unwrap().field(0).name(), "a");
    let statement = s.parse("select b from t where a = $1").unwrap().remove(0);
    assert_eq!(s.prepare(Some(statement), &[]).await.unwrap().parameters[0].name(), "integer");
}

/// What the parser's bounds let through must run, or fail with an error, on threads with the stack that the server gives them.
#[test]
fn what_is_as_deep_as_allowed_does_not_overflow_the_stack() {
    const STACK_BYTES: usize = 128 << 20;
    const CHAIN: usize = 480;
    let statements = [
        format!("select {}1{}", "(".repeat(190), ")".repeat(190)),
        format!("select {}1{}", "abs(".repeat(10), ")".repeat(10)),
        format!("select 1{}", " + 1".repeat(CHAIN / 4)),
        format!("select * from t where a = 0{}", " or a = 1".repeat(CHAIN / 2)),
        format!("select 1{}", "::int".repeat(CHAIN)),
        format!("select 1{}", " union all select 1".repeat(100)),
        format!("{}select 1{}", "select * from (".repeat(150), ") x".repeat(150)),
        format!("select {}true", "not ".repeat(150)),
    ];
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).thread_stack_size(STACK_BYTES).enable_all().build().unwrap();
    let ran = runtime.spawn(async move {
        let server = Server::new().await;
        let mut session = server.session();
        run(&mut session, "create table t (a int)").await.unwrap();
        for sql in statements {
            if let Err(error) = run(&mut session, &sql).await {
                panic!("{}: {error}", &sql[..20]);
            }
        }
    });
    runtime.block_on(ran).unwrap();
}
