//! Two sessions that want the same rows: the second waits for the first, and is seen waiting in the lock table.
#![allow(clippy::unwrap_used)]

use super::tests::{Server, assert_error, run};
use super::{Outcome, Session};
use crate::engine::Engine;
use crate::error::Result;
use std::sync::Arc;
use tokio::task::JoinHandle;

const LOST: &str = "could not serialize access due to concurrent update";

/// A statement of another session, which waits.
pub(super) struct Waiter {
    task: JoinHandle<(Session, Result<String>)>,
}

/// Begins a statement and sees it wait for a lock.
pub(super) async fn waiting(mut session: Session, sql: &'static str) -> Waiter {
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
    pub(super) async fn ends(self) -> (Session, Result<String>) {
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

/// Rows that a query locks are waited for, refused or left out; the waiter sees them as they are then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_lock_rows() {
    let (server, mut a, mut b) = table().await;
    assert_eq!(run(&mut a, "begin; select a, b from t where a < 3 order by a limit 1 for update").await.unwrap(), "1 1");
    assert_error(run(&mut b, "select * from t for update nowait").await, "55P03", "could not obtain lock on row in relation \"t\"");
    assert_eq!(run(&mut b, "select a from t order by a for update skip locked").await.unwrap(), "2; 3");
    assert_eq!(run(&mut b, "select a from t order by a limit 1 for no key update skip locked").await.unwrap(), "2");
    assert_eq!(run(&mut b, "select a from t order by a offset 1 for update skip locked").await.unwrap(), "3");
    assert_eq!(run(&mut b, "select a from t order by a").await.unwrap(), "1; 2; 3");
    let b = waiting(b, "select b + 1 as c, * from t where a = 1 for share").await;
    run(&mut a, "update t set b = 100 where a = 1; commit").await.unwrap();
    let (mut b, outcome) = b.ends().await;
    assert_eq!(outcome.unwrap(), "101 1 100");
    run(&mut a, "begin; select 1 from t where a = 2 for key share").await.unwrap();
    run(&mut b, "begin; update t set b = 0 where a = 2; rollback").await.unwrap();
    let b = waiting(b, "delete from t where a = 2").await;
    run(&mut a, "commit").await.unwrap();
    assert_eq!(b.ends().await.1.unwrap(), "DELETE 1");
    holds_nothing(&server.engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_views_and_subqueries_lock_their_tables() {
    let (server, mut a, mut b) = table().await;
    run(
        &mut a,
        "create table u (a int, c text); insert into u values (1, 'x'), (2, 'y'); create view v as select a as k, b from t where b < 3",
    )
    .await
    .unwrap();
    for (query, rows, locked_t, locked_u) in [
        ("select * from t join u using (a) where c = 'x' for update", "1 1 x", true, true),
        ("select t.b, c from t, u where t.a = u.a and c = 'x' for update of t", "1 x", true, false),
        ("select c, t.* from t left join u on t.a = u.a where t.a = 1 for update of t", "x 1 1", true, false),
        ("select * from v where k = 1 for update", "1 1", true, false),
        ("select s.z from (select a as z, b from t) s, u where u.a = s.z and z = 1 for update of s", "1", true, false),
        ("select s.z from (select a as z, b from t for update of t) s where z = 1", "1", true, false),
        ("with w as (select c from u where a = 1 for update) select * from w", "x", false, true),
        ("with w as (select a from t where a = 1) select w.a, c from w join u using (a) for update", "1 x", false, true),
        ("select c from u where a = (select a from t where a = 1 for update)", "x", true, false),
        ("select x.a, y.b from t x, t y where x.a = y.a and x.a = 1 for update of y", "1 1", true, false),
        ("select ctid is not null as it, a from t where a = 1 for update", "true 1", true, false),
        ("select a from t where exists (select 1 from u where u.a = t.a and c = 'x') for update", "1", true, false),
    ] {
        run(&mut a, "begin").await.unwrap();
        assert_eq!(run(&mut a, query).await.unwrap(), rows, "{query}");
        let free = |free: bool| if free { "1" } else { "0" };
        let of = async |b: &mut Session, table: &str| {
            run(b, &format!("select count(*) from (select a from {table} where a = 1 for update skip locked) s")).await.unwrap()
        };
        assert_eq!(of(&mut b, "t").await, free(!locked_t), "{query}: t");
        assert_eq!(of(&mut b, "u").await, free(!locked_u), "{query}: u");
        run(&mut a, "rollback").await.unwrap();
    }
    holds_nothing(&server.engine);
}

/// Workers that each take the next job until there is none: each job is done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_jobs_gives_each_to_one_worker() {
    const IN_UPDATE: &str = "update jobs set state = 'done', times = times + 1 where id = \
        (select id from jobs where state = 'new' order by id for update skip locked limit 1) returning id";
    const IN_WITH: &str = "with next as (select id from jobs where state = 'new' order by id limit 1 for update skip locked) \
        update jobs set state = 'done', times = times + 1 from next where jobs.id = next.id returning jobs.id";
    let (server, mut a, _b) = table().await;
    run(&mut a, "create table jobs (id int primary key, state text, times int)").await.unwrap();
    run(&mut a, "insert into jobs select n, 'new', 0 from generate_series(1, 40) g(n)").await.unwrap();
    let workers = (0..5).map(|number| {
        let mut session = server.session();
        tokio::spawn(async move {
            let mut done = 0;
            loop {
                let got = match number % 3 {
                    0 => run(&mut session, IN_UPDATE).await.unwrap(),
                    1 => run(&mut session, IN_WITH).await.unwrap(),
                    _ => {
                        run(&mut session, "begin").await.unwrap();
                        let id = run(&mut session, "select id from jobs where state = 'new' limit 1 for update skip locked").await.unwrap();
                        if !id.is_empty() {
                            let update = format!("update jobs set state = 'done', times = times + 1 where id = {id}");
                            assert_eq!(run(&mut session, &update).await.unwrap(), "UPDATE 1");
                        }
                        run(&mut session, "commit").await.unwrap();
                        id
                    }
                };
                match got.is_empty() {
                    true => return done,
                    false => done += 1,
                }
            }
        })
    });
    let mut done = 0;
    for worker in workers.collect::<Vec<_>>() {
        done += worker.await.unwrap();
    }
    assert_eq!(
        run(&mut a, "select count(*), sum(times), min(times), max(times) from jobs where state = 'done'").await.unwrap(),
        "40 40 1 1"
    );
    assert_eq!(done, 40);
    holds_nothing(&server.engine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_and_rights_over_locked_rows() {
    let (_server, mut a, mut b) = table().await;
    run(&mut a, "begin; declare c cursor for select a from t order by a for update").await.unwrap();
    assert_eq!(run(&mut a, "fetch 2 from c").await.unwrap(), "1; 2");
    assert_error(run(&mut b, "select 1 from t for share nowait").await, "55P03", "could not obtain lock on row in relation \"t\"");
    run(&mut a, "commit").await.unwrap();
    assert_error(
        run(&mut a, "begin; declare c scroll cursor for select a from t for update").await,
        "0A000",
        "DECLARE SCROLL CURSOR ... FOR UPDATE is not supported",
    );
    run(&mut a, "rollback; create role r; grant select on t to r; grant usage on schema public to r; set role r").await.unwrap();
    assert_error(run(&mut a, "select * from t for key share").await, "42501", "permission denied for table t");
    assert_error(
        run(&mut b, "begin read only; select * from t for update").await,
        "25006",
        "cannot execute SELECT FOR UPDATE in a read-only transaction",
    );
}

/// TRUNCATE and LOCK TABLE wait for those who change or lock rows, and these for them; who only reads waits for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_locked_against_writers() {
    let (server, mut a, mut b) = table().await;
    run(&mut a, "begin; lock table t in exclusive mode").await.unwrap();
    assert_eq!(run(&mut b, "select count(*) from t").await.unwrap(), "3");
    assert_error(run(&mut b, "begin; lock t nowait").await, "55P03", "could not obtain lock on relation \"t\"");
    run(&mut b, "rollback").await.unwrap();
    let b = waiting(b, "insert into t values (1, 1)").await;
    run(&mut a, "delete from t where a = 1; commit").await.unwrap();
    let (b, outcome) = b.ends().await;
    assert_eq!(outcome.unwrap(), "INSERT 0 1");
    run(&mut a, "begin; insert into t values (9, 9)").await.unwrap();
    let b = waiting(b, "truncate t").await;
    run(&mut a, "commit").await.unwrap();
    let (mut b, outcome) = b.ends().await;
    assert_eq!(outcome.unwrap(), "TRUNCATE TABLE");
    assert_eq!(run(&mut a, "select count(*) from t").await.unwrap(), "0");
    run(&mut a, "begin; select * from t for share").await.unwrap();
    run(&mut b, "begin; lock t in row exclusive mode").await.unwrap();
    let a = waiting(a, "lock t in share row exclusive mode").await;
    run(&mut b, "rollback").await.unwrap();
    let (a, outcome) = a.ends().await;
    assert_eq!(outcome.unwrap(), "LOCK TABLE");
    drop(a);
    holds_nothing(&server.engine);
}

/// What others can see of a wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_are_shown() {
    let (server, mut a, b) = table().await;
    run(&mut a, "begin; update t set b = 5 where a = 1").await.unwrap();
    let b = waiting(b, "update t set b = 6 where a = 1").await;
    let mut c = server.session();
    assert_eq!(run(&mut c, "select pg_blocking_pids(2), pg_blocking_pids(1)").await.unwrap(), "[1] []");
    let waits = "select pid, mode, granted, waitstart is not null from pg_locks where locktype = 'transactionid' and not granted";
    assert_eq!(run(&mut c, waits).await.unwrap(), "2 ShareLock false true");
    let held = "select pid, mode from pg_locks l where exists (select 1 from pg_locks w where w.pid = 2 and not w.granted \
        and w.transactionid = l.transactionid) and granted";
    assert_eq!(run(&mut c, held).await.unwrap(), "1 ExclusiveLock");
    assert_eq!(
        run(&mut c, "select relation::regclass, mode from pg_locks where locktype = 'relation' and pid = 1").await.unwrap(),
        "t RowExclusiveLock"
    );
    let event = "select wait_event_type, wait_event from pg_stat_activity where pid = 2";
    assert_eq!(run(&mut c, event).await.unwrap(), "Lock transactionid");
    drop(a);
    assert_eq!(b.ends().await.1.unwrap(), "UPDATE 1");
}

/// A circle of a row and an advisory lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_over_both_kinds_of_locks_is_found() {
    let (server, mut a, mut b) = table().await;
    let running = server.engine.cancels.register();
    let _runs = running.begin();
    b.identity.process_id = running.process_id;
    run(&mut a, "select pg_advisory_lock(7)").await.unwrap();
    run(&mut b, "begin; update t set b = 5 where a = 1").await.unwrap();
    let a = waiting(a, "update t set b = 6 where a = 1").await;
    assert_error(run(&mut b, "select pg_advisory_lock(7)").await, "40P01", "deadlock detected");
    run(&mut b, "rollback").await.unwrap();
    assert_eq!(a.ends().await.1.unwrap(), "UPDATE 1");
}

/// Two who insert one key: the second waits, and then finds it there, or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserts_of_one_key_wait_for_each_other() {
    const TAKEN: &str = "duplicate key value violates unique constraint \"t_pkey\"";
    for (second, end, outcome, rows) in [
        ("insert into t values (7, 2)", "commit", Err(("23505", TAKEN)), "7 1"),
        ("insert into t values (7, 2)", "rollback", Ok("INSERT 0 1"), "7 2"),
        ("insert into t values (7, 2) on conflict do nothing", "commit", Ok("INSERT 0 0"), "7 1"),
        ("insert into t values (7, 2) on conflict (a) do update set b = t.b + excluded.b", "commit", Ok("INSERT 0 1"), "7 3"),
        ("update t set a = 7 where a = 3", "commit", Err(("23505", TAKEN)), "7 1"),
        (
            "begin; update t set b = 0 where a = 1; insert into t values (7, 2) on conflict (a) do update set b = 9",
            "commit",
            Ok("INSERT 0 1"),
            "7 9",
        ),
    ] {
        let (server, mut a, b) = table().await;
        run(&mut a, "begin; insert into t values (7, 1)").await.unwrap();
        let b = waiting(b, second).await;
        run(&mut a, end).await.unwrap();
        let (mut b, got) = b.ends().await;
        match outcome {
            Ok(tag) => assert_eq!(got.unwrap(), tag, "{second}; {end}"),
            Err((state, message)) => assert_error(got, state, message),
        }
        run(&mut b, "commit").await.unwrap();
        assert_eq!(run(&mut a, "select a, b from t where a = 7").await.unwrap(), rows, "{second}; {end}");
        holds_nothing(&server.engine);
    }
}

/// A session that can wait for advisory locks within a query.
fn registered(server: &Server) -> (Session, Arc<crate::engine::cancel::Slot>) {
    let mut session = server.session();
    let slot = server.engine.cancels.register();
    session.identity.process_id = slot.process_id;
    (session, slot)
}

/// A key that another session committed while the statement was under way, before it had locked the key itself: nothing was there to wait for, and
/// COMMIT was refused (40001) where PostgreSQL meets the row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_committed_while_the_statement_runs_is_met_as_a_row() {
    const TAKEN: &str = "duplicate key value violates unique constraint \"t_pkey\"";
    const SLOW: &str = "insert into t select 7, 2 where (select pg_advisory_lock(5)::text) is not null";
    for (statement, outcome, row) in [
        (SLOW.to_string(), None, "7 1"),
        (format!("{SLOW} on conflict do nothing"), Some("INSERT 0 0"), "7 1"),
        (format!("{SLOW} on conflict (a) do update set b = excluded.b"), Some("INSERT 0 1"), "7 2"),
        (format!("begin; insert into t values (8, 8); {SLOW} on conflict do nothing"), Some("INSERT 0 0"), "7 1"),
        (format!("begin; insert into t values (8, 8); {SLOW}"), None, "7 1"),
        ("update t set a = 7 where a = 3 and (select pg_advisory_lock(5)::text) is not null".into(), None, "7 1"),
    ] {
        let (server, mut a, mut gate) = table().await;
        run(&mut gate, "select pg_advisory_lock(5)").await.unwrap();
        let (mut b, slot) = registered(&server);
        let (process_id, text) = (slot.process_id, statement.clone());
        let task = tokio::spawn(async move {
            let _runs = slot.begin();
            let outcome = run(&mut b, &text).await;
            (b, outcome)
        });
        while server.engine.locks.wait_event(process_id).is_none() {
            assert!(!task.is_finished(), "{statement}: it does not wait: {:?}", task.await.unwrap().1);
            tokio::task::yield_now().await;
        }
        run(&mut a, "insert into t values (7, 1)").await.unwrap();
        run(&mut gate, "select pg_advisory_unlock(5)").await.unwrap();
        let (mut b, got) = task.await.unwrap();
        match outcome {
            Some(tag) => assert_eq!(got.unwrap(), tag, "{statement}"),
            None => assert_error(got, "23505", TAKEN),
        }
        run(&mut b, "commit").await.unwrap();
        assert_eq!(run(&mut a, "select a, b from t where a = 7").await.unwrap(), row, "{statement}");
        holds_nothing(&server.engine);
    }
}

/// Rows of a client cannot be asked for again: COPY meets the key that came as a row, where COMMIT was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_waits_for_the_key_of_another_and_finds_it() {
    for (before, end, copied) in [("", "commit", false), ("", "rollback", true), ("begin", "commit", false), ("begin", "rollback", true)] {
        let (server, mut a, mut b) = table().await;
        run(&mut a, "begin; insert into t values (7, 1)").await.unwrap();
        run(&mut b, before).await.unwrap();
        let statement = b.parse("copy t from stdin").unwrap().remove(0);
        let Outcome::CopyIn(mut copy) = b.execute(&statement, &[]).await.unwrap() else { panic!("COPY takes rows") };
        copy.push("7\t2\n".into()).await.unwrap();
        let process_id = b.identity.process_id;
        let task = tokio::spawn(async move {
            let outcome = copy.finish(&mut b).await;
            (b, outcome)
        });
        while !server.engine.locks.is_waiting(process_id) {
            assert!(!task.is_finished(), "it does not wait");
            tokio::task::yield_now().await;
        }
        run(&mut a, end).await.unwrap();
        let (mut b, outcome) = task.await.unwrap();
        match copied {
            true => assert_eq!(outcome.unwrap(), 1),
            false => assert_eq!(outcome.unwrap_err().state.0, "23505"),
        }
        run(&mut b, "commit").await.unwrap();
        assert_eq!(run(&mut a, "select b from t where a = 7").await.unwrap(), if copied { "2" } else { "1" });
        drop(b);
        holds_nothing(&server.engine);
    }
}

/// A key whose row another block deletes, or gives another key: what becomes of it is waited for. A row was lost where ON CONFLICT DO NOTHING took it
/// for there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_row_is_going_is_waited_for() {
    const TAKEN: &str = "duplicate key value violates unique constraint \"t_pkey\"";
    const MOVED: &str = "update t set a = 9 where a = 1";
    const DELETED: &str = "delete from t where a = 1";
    for (first, second, end, outcome, row) in [
        (DELETED, "insert into t values (1, 7)", "commit", Ok("INSERT 0 1"), "1 7"),
        (DELETED, "insert into t values (1, 7)", "rollback", Err(TAKEN), "1 1"),
        (DELETED, "insert into t values (1, 7), (4, 4)", "commit", Ok("INSERT 0 2"), "1 7"),
        (MOVED, "insert into t values (1, 7)", "commit", Ok("INSERT 0 1"), "1 7"),
        (MOVED, "insert into t values (1, 7) on conflict do nothing", "commit", Ok("INSERT 0 1"), "1 7"),
        (DELETED, "insert into t values (1, 7) on conflict do nothing", "commit", Ok("INSERT 0 1"), "1 7"),
        (DELETED, "insert into t values (1, 7), (5, 5) on conflict do nothing", "rollback", Ok("INSERT 0 1"), "1 1"),
        (DELETED, "insert into t values (1, 7) on conflict (a) do update set b = 8", "commit", Ok("INSERT 0 1"), "1 7"),
        (DELETED, "insert into t values (1, 7) on conflict (a) do update set b = 8", "rollback", Ok("INSERT 0 1"), "1 8"),
        (DELETED, "update t set a = 1, b = 6 where a = 3", "commit", Ok("UPDATE 1"), "1 6"),
        (DELETED, "update t set a = 1, b = 6 where a = 3", "rollback", Err(TAKEN), "1 1"),
        (DELETED, "begin; insert into t values (8, 8); insert into t values (1, 7)", "commit", Ok("INSERT 0 1"), "1 7"),
        (DELETED, "begin isolation level repeatable read; select 1 from t; insert into t values (1, 7)", "commit", Ok("INSERT 0 1"), "1 7"),
        // The other block gives the key to a row of its own: nobody who waits for it is in its way.
        ("delete from t where a = 1", "insert into t values (1, 7)", "insert into t values (1, 5); commit", Err(TAKEN), "1 5"),
        (
            "delete from t where a = 1",
            "insert into t values (1, 7) on conflict do nothing",
            "insert into t values (1, 5); commit",
            Ok("INSERT 0 0"),
            "1 5",
        ),
    ] {
        let (server, mut a, b) = table().await;
        run(&mut a, &format!("begin; {first}")).await.unwrap();
        let b = waiting(b, second).await;
        run(&mut a, end).await.unwrap();
        let (mut b, got) = b.ends().await;
        match outcome {
            Ok(tag) => assert_eq!(got.unwrap(), tag, "{first}; {second}; {end}"),
            Err(message) => assert_error(got, "23505", message),
        }
        run(&mut b, "commit").await.unwrap();
        assert_eq!(run(&mut a, "select a, b from t where a = 1").await.unwrap(), row, "{first}; {second}; {end}");
        holds_nothing(&server.engine);
    }
}

/// Nobody waits where the outcome is certain: a row that is only locked, or changed elsewhere, has its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_row_stays_is_refused_at_once() {
    const TAKEN: &str = "duplicate key value violates unique constraint \"t_pkey\"";
    for first in ["select * from t for update", "update t set b = 9", "delete from t where a = 2"] {
        let (_server, mut a, mut b) = table().await;
        run(&mut a, "begin").await.unwrap();
        run(&mut a, first).await.unwrap();
        assert_error(run(&mut b, "insert into t values (1, 1), (2, 2)").await, "23505", TAKEN);
        assert_eq!(run(&mut b, "insert into t values (1, 1) on conflict do nothing").await.unwrap(), "INSERT 0 0");
    }
    let (_server, mut a, mut b) = table().await;
    run(&mut b, "begin isolation level repeatable read; select 1 from t").await.unwrap();
    run(&mut a, "insert into t values (7, 7)").await.unwrap();
    assert_error(run(&mut b, "insert into t values (7, 1)").await, "23505", TAKEN);
}

/// Two who delete each other's keys and insert them wait in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_want_each_others_keys_wait_in_a_circle() {
    let (server, mut a, mut b) = table().await;
    run(&mut a, "begin; delete from t where a = 1").await.unwrap();
    run(&mut b, "begin; delete from t where a = 2").await.unwrap();
    let a = waiting(a, "insert into t values (2, 9)").await;
    assert_error(run(&mut b, "insert into t values (1, 9)").await, "40P01", "deadlock detected");
    run(&mut b, "rollback").await.unwrap();
    let (mut a, outcome) = a.ends().await;
    assert_error(outcome, "23505", "duplicate key value violates unique constraint \"t_pkey\"");
    run(&mut a, "rollback").await.unwrap();
    holds_nothing(&server.engine);
}

/// Who waits for a whole table is not overtaken by those who come after it, unless it waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_table_is_had_in_turn() {
    let (server, mut a, b) = table().await;
    run(&mut a, "begin; insert into t values (7, 7)").await.unwrap();
    let b = waiting(b, "truncate t").await;
    let c = waiting(server.session(), "insert into t values (8, 8)").await;
    assert_eq!(server.engine.locks.blocking(3), [2]);
    let mut d = server.session();
    assert_error(run(&mut d, "begin; lock t in row exclusive mode nowait").await, "55P03", "could not obtain lock on relation \"t\"");
    run(&mut d, "rollback").await.unwrap();
    assert_eq!(run(&mut d, "select count(*) from t").await.unwrap(), "3");
    assert_eq!(run(&mut a, "select a from t where a = 7 for update").await.unwrap(), "7");
    run(&mut a, "commit").await.unwrap();
    assert_eq!(b.ends().await.1.unwrap(), "TRUNCATE TABLE");
    assert_eq!(c.ends().await.1.unwrap(), "INSERT 0 1");
    assert_eq!(run(&mut a, "select a from t").await.unwrap(), "8");
    holds_nothing(&server.engine);
}

/// A circle through the queue for a table is none: who only came later goes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_for_a_table_makes_no_circle() {
    let (server, mut a, mut b) = table().await;
    run(&mut a, "create table u (a int); insert into u values (1); begin; update t set b = 5 where a = 1").await.unwrap();
    run(&mut b, "begin; update u set a = 2").await.unwrap();
    let c = waiting(server.session(), "truncate t").await;
    let a = waiting(a, "update u set a = 3").await;
    assert_eq!(run(&mut b, "update t set b = 6 where a = 2").await.unwrap(), "UPDATE 1");
    run(&mut b, "commit").await.unwrap();
    let (mut a, outcome) = a.ends().await;
    assert_eq!(outcome.unwrap(), "UPDATE 1");
    run(&mut a, "commit").await.unwrap();
    assert_eq!(c.ends().await.1.unwrap(), "TRUNCATE TABLE");
    holds_nothing(&server.engine);
}
