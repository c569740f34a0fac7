//! Two sessions and unique keys that are more than columns: of some rows only, of expressions, with NULLs that are equal.
#![allow(clippy::unwrap_used)]

use super::Session;
use super::row_races::waiting;
use super::tests::{Server, assert_error, run};

const TABLE: &str = "create table t (id int, email text, gone boolean, n int); \
    create unique index t_email on t (lower(email)) where not gone; \
    create unique index t_n on t (n) nulls not distinct where id > 100; \
    insert into t values (1, 'a', false, 1), (2, 'b', true, 2)";
const TAKEN: &str = "duplicate key value violates unique constraint \"t_email\"";

async fn table() -> (Server, Session, Session) {
    let server = Server::new().await;
    let (mut a, b) = (server.session(), server.session());
    run(&mut a, TABLE).await.unwrap();
    (server, a, b)
}

/// `first` in an open block; `second` waits, and ends so.
async fn meet(first: &str, end: &str, second: &'static str, outcome: Result<&str, &'static str>, rows: &str) {
    let (server, mut a, b) = table().await;
    run(&mut a, &format!("begin; {first}")).await.unwrap();
    let b = waiting(b, second).await;
    run(&mut a, end).await.unwrap();
    let (_, got) = b.ends().await;
    match outcome {
        Ok(tag) => assert_eq!(got.unwrap(), tag, "{first}; {end}; {second}"),
        Err(message) => assert_error(got, "23505", message),
    }
    let shown = run(&mut a, "select id, email from t where id > 2 order by id").await.unwrap();
    assert_eq!(shown, rows, "{first}; {end}; {second}");
    assert_eq!(server.engine.locks.shown(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_inserts_the_same_computed_key_waits() {
    const FIRST: &str = "insert into t values (3, 'New', false, 3)";
    meet(FIRST, "commit", "insert into t values (4, 'nEW', false, 4)", Err(TAKEN), "3 New").await;
    meet(FIRST, "rollback", "insert into t values (4, 'nEW', false, 4)", Ok("INSERT 0 1"), "4 nEW").await;
    let ignored = "insert into t values (4, 'nEW', false, 4) on conflict (lower(email)) where not gone do nothing";
    meet(FIRST, "commit", ignored, Ok("INSERT 0 0"), "3 New").await;
    let updated = "insert into t values (4, 'nEW', false, 4) on conflict (lower(email)) where not gone do update set id = excluded.id";
    meet(FIRST, "commit", updated, Ok("INSERT 0 1"), "4 New").await;
    meet(FIRST, "commit", "update t set email = 'NEW' where id = 1", Err(TAKEN), "3 New").await;
    meet(FIRST, "commit", "update t set gone = false, email = 'NEW' where id = 2", Err(TAKEN), "3 New").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_gets_a_key_by_its_condition_is_waited_for() {
    const FIRST: &str = "update t set gone = false where id = 2";
    meet(FIRST, "commit", "insert into t values (4, 'B', false, 4)", Err(TAKEN), "").await;
    meet(FIRST, "rollback", "insert into t values (4, 'B', false, 4)", Ok("INSERT 0 1"), "4 B").await;
}

/// A row lost its key by an UPDATE, or was changed before it was deleted: whoever inserted the key meanwhile did not wait, and found it taken. With
/// DO NOTHING its row was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_goes_by_an_update_is_waited_for() {
    const IGNORED: &str = "insert into t values (4, 'A', false, 4) on conflict do nothing";
    for first in [
        "update t set gone = true where id = 1",
        "update t set email = 'c' where id = 1",
        "update t set id = 0 where id = 1; delete from t where id = 0",
        "update t set id = 0 where id = 1; update t set email = 'c' where id = 0",
    ] {
        meet(first, "commit", IGNORED, Ok("INSERT 0 1"), "4 A").await;
        meet(first, "commit", "insert into t values (4, 'A', false, 4)", Ok("INSERT 0 1"), "4 A").await;
        meet(first, "rollback", IGNORED, Ok("INSERT 0 0"), "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_nulls_are_waited_for() {
    const TAKEN: &str = "duplicate key value violates unique constraint \"t_n\"";
    const FIRST: &str = "insert into t values (101, null, true, null)";
    meet(FIRST, "commit", "insert into t values (102, null, true, null)", Err(TAKEN), "101").await;
    meet(FIRST, "rollback", "insert into t values (102, null, true, null)", Ok("INSERT 0 1"), "102").await;
}

/// Rows that have no key, and other keys, do not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_key_does_not_wait() {
    let (_server, mut a, mut b) = table().await;
    run(&mut a, "begin; insert into t values (3, 'New', false, null), (103, null, true, null)").await.unwrap();
    for other in ["(4, 'new', true, null)", "(5, null, false, null)", "(6, 'newer', false, null)", "(104, null, true, 9)"] {
        assert_eq!(run(&mut b, &format!("insert into t values {other}")).await.unwrap(), "INSERT 0 1");
    }
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
    assert_eq!(run(&mut b, "select count(*) from t").await.unwrap(), "8");
}

/// Whoever makes an index over rows that come meanwhile loses, and so does whoever brings a second row under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_not_made_past_rows_that_come_meanwhile() {
    let (_server, mut a, mut b) = table().await;
    run(&mut a, "begin; create unique index on t ((n + 1)) where gone").await.unwrap();
    run(&mut b, "insert into t values (7, null, true, 2)").await.unwrap();
    assert_error(run(&mut a, "commit").await, "40001", "could not serialize access due to concurrent update");
    run(&mut b, "begin; insert into t values (8, 'y', false, 5)").await.unwrap();
    run(&mut a, "create unique index on t ((n + 1)) where not gone").await.unwrap();
    run(&mut a, "insert into t values (9, 'x', false, 5)").await.unwrap();
    assert!(run(&mut b, "commit").await.is_err());
    assert_eq!(run(&mut a, "select count(*) from t where n = 5").await.unwrap(), "1");
}

/// A deferred key is locked when it is inserted, and looked for at COMMIT in what is there by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_key_is_waited_for_and_looked_for_in_the_end() {
    const TAKEN: &str = "duplicate key value violates unique constraint \"d_k_key\"";
    let server = Server::new().await;
    let (mut a, b) = (server.session(), server.session());
    run(&mut a, "create table d (k int unique deferrable initially deferred, id int); insert into d values (1, 1)").await.unwrap();
    run(&mut a, "begin; insert into d values (1, 2), (2, 3)").await.unwrap();
    let b = waiting(b, "insert into d values (2, 4)").await;
    run(&mut a, "update d set k = 5 where id = 2").await.unwrap();
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
    let (mut b, outcome) = b.ends().await;
    assert_error(outcome, "23505", TAKEN);
    run(&mut a, "begin; insert into d values (7, 7)").await.unwrap();
    run(&mut b, "insert into d values (8, 8)").await.unwrap();
    run(&mut a, "insert into d values (8, 9)").await.unwrap();
    assert_error(run(&mut a, "commit").await, "23505", TAKEN);
    assert_eq!(run(&mut b, "select k, id from d order by id").await.unwrap(), "1 1; 5 2; 2 3; 8 8");
}
