//! Two sessions that want the same rows: the second waits for the first, and is seen waiting in the lock table.
#![allow(clippy::unwrap_used)]

use super::Session;
use super::tests::{Server, assert_error, run};
use crate::engine::Engine;
use crate::error::Result;
use std::sync::Arc;
use tokio::task::JoinHandle;

const LOST: &str = "could not serialize access due to concurrent update";

/// A statement of another session, which waits.
struct Waiter {
    task: JoinHandle<(Session, Result<String>)>,
}

/// Begins a statement and sees it wait for a lock.
async fn waiting(mut session: Session, sql: &'static str) -> Waiter {
    let (engine, process_id) = (session.engine.clone(), session.identity.process_id);
    let task = tokio::spawn(async move {
        let outcome = run(&mut session, sql).await;
        (session, outcome)
    });
    while !engine.locks.is_waiting(process_id) {
        assert!(!task.is_finished(), "{sql}: it does not wait: {:?}", task.await.unwrap().1);
        tokio::task::yield_now().await;
    }
    Waiter { task }
}

impl Waiter {
    async fn ends(self) -> (Session, Result<String>) {
        self.task.await.unwrap()
    }
}

async fn table() -> (Server, Session, Session) {
    let server = Server::new().await;
    let (mut a, b) = (server.session(), server.session());
    run(&mut a, "create table t (a int primary key, b int); insert into t values (1, 1), (2, 2), (3, 3)").await.unwrap();
    (server, a, b)
}

fn holds_nothing(engine: &Arc<Engine>) {
    assert_eq!(engine.locks.shown(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_waits_for_the_other_and_works_on_the_newest_rows() {
    let (server, mut a, mut b) = table().await;
    run(&mut a, "begin; update t set b = b + 10 where a = 1").await.unwrap();
    run(&mut b, "begin; update t set b = b + 100 where a = 2").await.unwrap();
    let b = waiting(b, "update t set b = b + 100 where a <= 1").await;
    assert_eq!(server.engine.locks.blocking(2), [1]);
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
    let (mut b, outcome) = b.ends().await;
    assert_eq!(outcome.unwrap(), "UPDATE 1");
    assert_eq!(run(&mut b, "commit").await.unwrap(), "COMMIT");
    assert_eq!(run(&mut a, "select a, b from t order by a").await.unwrap(), "1 111; 2 102; 3 3");
    holds_nothing(&server.engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_outside_a_block_waits_too_and_sees_what_the_block_did() {
    for (first, second, end, outcome, rows) in [
        ("delete from t where a = 1", "update t set b = 7 where a = 1", "commit", "UPDATE 0", "2 2; 3 3"),
        ("delete from t where a = 1", "update t set b = 7 where a = 1", "rollback", "UPDATE 1", "1 7; 2 2; 3 3"),
        ("update t set b = 9 where a = 1", "delete from t where b = 1", "commit", "DELETE 0", "1 9; 2 2; 3 3"),
        ("update t set b = 9 where a = 1", "delete from t where a < 3", "commit", "DELETE 2", "3 3"),
        ("update t set b = 9 where a = 1", "delete from t", "commit", "DELETE 3", ""),
        (
            "update t set b = 9 where a = 1",
            "insert into t values (1, 5), (4, 5) on conflict (a) do update set b = t.b + excluded.b",
            "commit",
            "INSERT 0 2",
            "1 14; 2 2; 3 3; 4 5",
        ),
    ] {
        let (server, mut a, b) = table().await;
        run(&mut a, "begin").await.unwrap();
        run(&mut a, first).await.unwrap();
        let b = waiting(b, second).await;
        run(&mut a, end).await.unwrap();
        assert_eq!(b.ends().await.1.unwrap(), outcome, "{first}; {second}; {end}");
        assert_eq!(run(&mut a, "select a, b from t order by a").await.unwrap(), rows, "{first}; {second}; {end}");
        holds_nothing(&server.engine);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_repeatable_read_a_changed_row_is_lost_and_an_unchanged_one_is_not() {
    for (end, lost) in [("commit", true), ("rollback", false)] {
        let (_server, mut a, mut b) = table().await;
        run(&mut a, "begin; update t set b = 10 where a = 1").await.unwrap();
        run(&mut b, "begin isolation level repeatable read; select 1 from t").await.unwrap();
        let b = waiting(b, "update t set b = b + 1 where a = 1").await;
        run(&mut a, end).await.unwrap();
        let (mut b, outcome) = b.ends().await;
        match lost {
            true => assert_error(outcome, "40001", LOST),
            false => assert_eq!((outcome.unwrap().as_str(), run(&mut b, "commit").await.unwrap().as_str()), ("UPDATE 1", "COMMIT")),
        }
    }
}

/// An upsert lists the key that it found, which the log took for a new one when another had upserted it since the block's first change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upsert_in_a_block_is_not_lost_to_one_before_it() {
    let (_server, mut a, mut b) = table().await;
    const UPSERT: &str = "insert into t values (1, 5) on conflict (a) do update set b = t.b + 5";
    run(&mut a, "begin; update t set b = 0 where a = 3").await.unwrap();
    run(&mut b, UPSERT).await.unwrap();
    assert_eq!(run(&mut a, UPSERT).await.unwrap(), "INSERT 0 1");
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
    assert_eq!(run(&mut b, "select b from t order by a").await.unwrap(), "11; 2; 0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_is_found_at_once_and_the_other_goes_on() {
    let (server, mut a, mut b) = table().await;
    run(&mut a, "begin; update t set b = 10 where a = 1").await.unwrap();
    run(&mut b, "begin; update t set b = 20 where a = 2").await.unwrap();
    let a = waiting(a, "update t set b = 11 where a = 2").await;
    assert_error(run(&mut b, "update t set b = 21 where a = 1").await, "40P01", "deadlock detected");
    let (mut a, outcome) = a.ends().await;
    assert_eq!(outcome.unwrap(), "UPDATE 1");
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
    assert_eq!(run(&mut b, "rollback").await.unwrap(), "ROLLBACK");
    assert_eq!(run(&mut b, "select b from t order by a").await.unwrap(), "10; 11; 3");
    holds_nothing(&server.engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_ends_with_lock_timeout_and_with_the_session() {
    let (server, mut a, mut b) = table().await;
    run(&mut a, "begin; update t set b = 10 where a = 1").await.unwrap();
    run(&mut b, "set lock_timeout = '20ms'").await.unwrap();
    assert_error(run(&mut b, "delete from t where a = 1").await, "55P03", "canceling statement due to lock timeout");
    let gone = waiting(server.session(), "delete from t where a = 1").await;
    gone.task.abort();
    assert!(gone.task.await.is_err_and(|error| error.is_cancelled()));
    assert!(!server.engine.locks.is_waiting(3));
    drop(a);
    assert_eq!(run(&mut b, "delete from t where a = 1").await.unwrap(), "DELETE 1");
    holds_nothing(&server.engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_savepoint_gives_back_what_was_locked_after_it() {
    let (server, mut a, b) = table().await;
    run(&mut a, "begin; update t set b = 10 where a = 1; savepoint s; update t set b = 20 where a = 2").await.unwrap();
    let b = waiting(b, "update t set b = 5 where a = 2").await;
    run(&mut a, "rollback to s").await.unwrap();
    let (b, outcome) = b.ends().await;
    assert_eq!(outcome.unwrap(), "UPDATE 1");
    let b = waiting(b, "update t set b = 6 where a = 1").await;
    run(&mut a, "savepoint r; update t set b = 30 where a = 3; release r; rollback").await.unwrap();
    assert_eq!(b.ends().await.1.unwrap(), "UPDATE 1");
    assert_eq!(run(&mut a, "select b from t order by a").await.unwrap(), "6; 5; 3");
    holds_nothing(&server.engine);
}

/// Many who add to one row, each in a block: none is lost, and each is done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_lost_on_a_contended_row() {
    let (server, mut a, _b) = table().await;
    let sessions: Vec<Session> = (0..6).map(|_| server.session()).collect();
    let tasks = sessions.into_iter().enumerate().map(|(number, mut session)| {
        tokio::spawn(async move {
            for _ in 0..10 {
                match number % 2 {
                    0 => run(&mut session, "begin; update t set b = b + 1 where a = 1; commit").await.unwrap(),
                    _ => run(&mut session, "update t set b = b + 1 where a = 1").await.unwrap(),
                };
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(run(&mut a, "select b from t where a = 1").await.unwrap(), "61");
    holds_nothing(&server.engine);
}
