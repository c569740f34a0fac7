//! Two sessions at once: what one has checked, the other must not undo before it is committed.
#![allow(clippy::unwrap_used)]

use super::tests::{Server, assert_error, run};
use crate::catalog::keys;
use placement::TableId;

const LOST: &str = "could not serialize access due to concurrent update";

/// `setup`; then a block with `first`, while it is open `second` by another session, and COMMIT.
async fn race(setup: &str, first: &str, second: &str) -> (Server, crate::error::Result<String>) {
    let server = Server::new().await;
    let (mut a, mut b) = (server.session(), server.session());
    run(&mut a, setup).await.unwrap();
    run(&mut a, "begin").await.unwrap();
    run(&mut a, first).await.unwrap();
    run(&mut b, second).await.unwrap();
    let outcome = run(&mut a, "commit").await;
    (server, outcome)
}

/// ALTER TABLE looked at the rows that were there, and another session committed one that it would have refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_new_constraint_has_not_seen_are_a_conflict() {
    let setup = "create table t (a int, b int); insert into t values (1, 1)";
    for (alter, insert) in [
        ("alter table t alter a set not null", "insert into t values (null, 1)"),
        ("alter table t add constraint c check (a > 0)", "insert into t values (-1, 1)"),
        ("alter table t add constraint u unique (a)", "insert into t values (1, 2)"),
        ("alter table t add primary key (a)", "insert into t values (1, 2)"),
        ("alter table t add constraint u unique (a)", "begin; insert into t values (5, 2), (5, 3); commit"),
    ] {
        let (server, outcome) = race(setup, alter, insert).await;
        assert_error(outcome, "40001", LOST);
        let mut c = server.session();
        assert!(run(&mut c, alter).await.is_err(), "{alter}: the rows break it");
    }
    let (server, outcome) = race("create table t (a int)", "alter table t add b int not null", "insert into t values (1)").await;
    assert_error(outcome, "40001", LOST);
    assert_error(
        run(&mut server.session(), "alter table t add b int not null").await,
        "23502",
        "column \"b\" of relation \"t\" contains null values",
    );
}

/// Rows that others delete meanwhile cannot break what was checked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_rows_are_no_conflict_for_a_constraint() {
    let setup = "create table t (a int); insert into t values (1), (2)";
    let (server, outcome) = race(setup, "alter table t alter a set not null", "delete from t where a = 1").await;
    assert_eq!(outcome.unwrap(), "COMMIT");
    assert_eq!(run(&mut server.session(), "select count(*) from t").await.unwrap(), "1");
}

/// DROP SCHEMA saw an empty schema; a table that came into it was left behind, reachable by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_created_in_a_schema_that_is_dropped_is_a_conflict() {
    for drop in ["drop schema s", "drop schema s cascade", "alter schema s rename to r"] {
        let (server, outcome) = race("create schema s", drop, "create table s.t (a int)").await;
        assert_error(outcome, "40001", LOST);
        assert_eq!(run(&mut server.session(), "insert into s.t values (1)").await.unwrap(), "INSERT 0 1");
        let (_, outcome) = race("create schema s", "create table s.t (a int)", "drop schema s").await;
        assert_error(outcome, "40001", LOST);
    }
}

/// DROP TABLE saw no view; one that was created meanwhile was left reading nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_created_on_what_is_dropped_is_a_conflict() {
    let setup = "create table t (a int, b int)";
    for drop in ["drop table t", "alter table t rename to u", "alter table t drop column b"] {
        let (server, outcome) = race(setup, drop, "create view v as select * from t").await;
        assert_error(outcome, "40001", LOST);
        assert_eq!(run(&mut server.session(), "select count(*) from v").await.unwrap(), "0");
        let (_, outcome) = race(setup, "create view v as select b from t", drop).await;
        assert_error(outcome, "40001", LOST);
    }
    // A view that was dropped leaves no mark.
    let (_, outcome) = race("create table t (a int); create view v as select * from t; drop view v", "select 1", "drop table t").await;
    assert_eq!(outcome.unwrap(), "COMMIT");
}

/// A change of a table that is dropped meanwhile must not bring its rows into being again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_dropped_table_are_a_conflict() {
    let setup = "create table t (a int); insert into t values (1), (2)";
    for change in
        ["insert into t values (3)", "update t set a = 5 where a = 1", "delete from t where a = 1", "truncate t", "alter table t add b int"]
    {
        let (server, outcome) = race(setup, change, "drop table t").await;
        assert_error(outcome, "40001", LOST);
        assert!(server.engine.placement.state().tables.is_empty(), "{change}");
    }
}

/// A table without rows was dropped while another session inserted its first ones: they stayed in the log for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_inserted_into_an_empty_table_that_is_dropped_go_with_it() {
    let (server, outcome) = race("create table t (a int)", "drop table t", "insert into t values (1)").await;
    assert_eq!(outcome.unwrap(), "COMMIT");
    assert!(server.engine.placement.state().tables.is_empty());
}

/// At READ COMMITTED a block sees what others commit, and its own changes over it; at REPEATABLE READ it does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_statement_of_a_read_committed_block_sees_the_newest_rows() {
    let server = Server::new().await;
    let (mut a, mut b, mut c) = (server.session(), server.session(), server.session());
    run(&mut a, "create table t (a int primary key, b int); insert into t values (1, 1), (2, 2)").await.unwrap();
    run(&mut a, "begin").await.unwrap();
    run(&mut c, "begin isolation level repeatable read; select count(*) from t").await.unwrap();
    assert_eq!(run(&mut a, "select sum(b) from t").await.unwrap(), "3");
    run(&mut b, "update t set b = 10 where a = 1; create table other (x int)").await.unwrap();
    assert_eq!(run(&mut a, "select sum(b) from t").await.unwrap(), "12");
    assert_eq!(run(&mut c, "select sum(b) from t").await.unwrap(), "3");
    run(&mut a, "update t set b = b + 1").await.unwrap();
    run(&mut b, "insert into t values (3, 100)").await.unwrap();
    assert_eq!(run(&mut a, "select sum(b) from t").await.unwrap(), "114");
    assert_eq!(run(&mut a, "update t set b = 0 where a = 3").await.unwrap(), "UPDATE 1");
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
    assert_eq!(run(&mut b, "select a, b from t order by a").await.unwrap(), "1 11; 2 3; 3 0");
    assert_error(run(&mut c, "update t set b = 5 where a = 1").await, "40001", LOST);
}

/// A savepoint gives back rows, files, definitions and settings as they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn savepoints_undo_rows_definitions_and_settings() {
    let server = Server::new().await;
    let mut a = server.session();
    run(&mut a, "create table t (a int primary key); insert into t select x from generate_series(1, 10) as g(x)").await.unwrap();
    run(&mut a, "begin; delete from t where a > 5; savepoint s; truncate t; drop table t; create table t (z text)").await.unwrap();
    assert_eq!(run(&mut a, "select count(*) from t").await.unwrap(), "0");
    assert_error(run(&mut a, "select nope").await, "42703", "column \"nope\" does not exist");
    assert_eq!(run(&mut a, "rollback to s").await.unwrap(), "ROLLBACK");
    assert_eq!(run(&mut a, "select sum(a) from t").await.unwrap(), "15");
    run(&mut a, "set timezone = 'Asia/Tokyo'; alter table t add b int; insert into t values (11, 1); rollback to s").await.unwrap();
    assert_eq!(run(&mut a, "show timezone").await.unwrap(), "UTC");
    assert_error(run(&mut a, "select b from t").await, "42703", "column \"b\" does not exist");
    run(&mut a, "rollback to s; insert into t select x from generate_series(100, 200000) as g(x)").await.unwrap();
    run(&mut a, "savepoint r; delete from t where a > 150; release r; commit").await.unwrap();
    assert_eq!(run(&mut a, "select count(*), max(a) from t").await.unwrap(), "56 150");
    let oid = server.engine.catalog(&server.engine.placement.state()).unwrap().get("public", "t").unwrap().relation().oid();
    assert!(server.engine.placement.state().tables.contains_key(&TableId(u64::from(oid))));
    assert!(server.engine.placement.state().objects.contains_key(&keys::relation("public", "t")));
}

/// Rows inserted before ALTER TABLE in the same block were encoded at COMMIT with the columns that came after it: the unit claimed more
/// columns than it had, and no statement could read the table any more ("it ends too early"); a column dropped and another added gave the
/// new one the old one's values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_block_keep_their_columns_when_the_table_is_altered() {
    for (change, rows) in [
        ("alter table t add c int default 7; insert into t values (3, 'three', 9)", "0 zero 7; 1 one 7; 3 three 9"),
        ("alter table t add c int", "0 zero; 1 one"),
        ("alter table t drop b; insert into t values (3)", "0; 1; 3"),
        ("alter table t drop b; alter table t add b text; insert into t values (3, 'three')", "0; 1; 3 three"),
        ("alter table t drop a; alter table t add a int default 5", "one 5; zero 5"),
        ("alter table t alter a type bigint; insert into t values (30000000000, 'x')", "0 zero; 1 one; 30000000000 x"),
    ] {
        let server = Server::new().await;
        let mut session = server.session();
        run(&mut session, "create table t (a int, b text); insert into t values (0, 'zero')").await.unwrap();
        run(&mut session, &format!("begin; insert into t values (1, 'one'); {change}")).await.unwrap();
        assert_eq!(run(&mut session, "select * from t order by 1").await.unwrap(), rows, "{change}: in the block");
        run(&mut session, "commit").await.unwrap();
        assert_eq!(run(&mut session, "select * from t order by 1").await.unwrap(), rows, "{change}: after it");
    }
}

/// The usual bulk upsert: the second waits for rows of the first, with a temporary table of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_with_temporary_tables_meet_in_their_rows_only() {
    const LOAD: &str = "begin; create temp table s (like t) on commit drop; insert into s select n, 1 from generate_series(1, 3) g(n)";
    const UPSERT: &str = "insert into t select a, b from s on conflict (a) do update set b = t.b + excluded.b";
    let server = Server::new().await;
    let (mut a, mut b) = (server.session(), server.session());
    run(&mut a, "create table t (a int primary key, b int); insert into t values (1, 10), (2, 20)").await.unwrap();
    run(&mut a, LOAD).await.unwrap();
    run(&mut b, LOAD).await.unwrap();
    assert_eq!(run(&mut a, UPSERT).await.unwrap(), "INSERT 0 3");
    let (engine, process_id) = (server.engine.clone(), b.identity.process_id);
    let task = tokio::spawn(async move {
        let outcome = run(&mut b, UPSERT).await;
        (b, outcome)
    });
    while !engine.locks.is_waiting(process_id) {
        assert!(!task.is_finished(), "it does not wait: {:?}", task.await.unwrap().1);
        tokio::task::yield_now().await;
    }
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
    let (mut b, outcome) = task.await.unwrap();
    assert_eq!(outcome.unwrap(), "INSERT 0 3");
    assert_eq!(run(&mut b, "savepoint p; drop table s; rollback to p; select count(*) from s").await.unwrap(), "3");
    assert_eq!(run(&mut b, "commit").await.unwrap(), "COMMIT");
    assert_eq!(run(&mut a, "select a, b from t order by a").await.unwrap(), "1 12; 2 22; 3 2");
    assert_error(run(&mut b, "select * from s").await, "42P01", "relation \"s\" does not exist");
}

/// What others create and alter shows in a block that has changed the catalog itself, and savepoints give back only what is its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_catalog_go_beside_each_other() {
    let server = Server::new().await;
    let (mut a, mut b) = (server.session(), server.session());
    run(&mut a, "create table t (x int); create table u (x int); insert into t values (1)").await.unwrap();
    run(&mut a, "begin; create table own (x int); insert into own values (7); savepoint s; alter table own add y int").await.unwrap();
    run(&mut b, "create table other (x int); insert into other values (3); alter table u add z int; insert into t values (2)")
        .await
        .unwrap();
    assert_eq!(run(&mut a, "select count(*) from other, own, t where own.y is null").await.unwrap(), "2");
    assert_eq!(run(&mut a, "rollback to s; select * from own").await.unwrap(), "7");
    assert_error(run(&mut a, "savepoint r; select y from own").await, "42703", "column \"y\" does not exist");
    run(&mut b, "comment on table other is 'hello'; drop table u; create role r").await.unwrap();
    assert_eq!(run(&mut a, "rollback to s; create view v as select other.x from other, own; commit").await.unwrap(), "COMMIT");
    assert_eq!(run(&mut b, "select count(*) from v").await.unwrap(), "1");
    assert_error(run(&mut b, "select * from u").await, "42P01", "relation \"u\" does not exist");
    assert_eq!(run(&mut b, "select obj_description('other'::regclass)").await.unwrap(), "hello");
}

/// Changes of one object meet: the block stays where it was, and is refused at COMMIT.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_one_object_are_a_conflict_still() {
    for (own, others) in [
        ("alter table t add y int", "alter table t add z int"),
        ("alter table t add y int", "drop table t"),
        ("drop table t", "create view v as select * from t"),
        ("comment on table t is 'a'", "comment on table t is 'b'"),
        ("drop schema s", "create table s.t (x int)"),
    ] {
        let server = Server::new().await;
        let (mut a, mut b) = (server.session(), server.session());
        run(&mut a, "create schema s; create table t (x int); insert into t values (1)").await.unwrap();
        run(&mut a, "begin").await.unwrap();
        run(&mut a, own).await.unwrap();
        run(&mut a, "savepoint p").await.unwrap();
        run(&mut b, others).await.unwrap();
        run(&mut b, "create table other (x int)").await.unwrap();
        assert_error(run(&mut a, "select * from other").await, "42P01", "relation \"other\" does not exist");
        run(&mut a, "rollback to p").await.unwrap();
        assert_error(run(&mut a, "commit").await, "40001", LOST);
    }
    let server = Server::new().await;
    let (mut a, mut b) = (server.session(), server.session());
    run(&mut a, "begin; create table n (x int); savepoint p").await.unwrap();
    run(&mut b, "create table n (y int)").await.unwrap();
    assert_error(run(&mut a, "select y from n").await, "42703", "column \"y\" does not exist");
    assert_error(run(&mut a, "rollback to p; commit").await, "42P07", "relation \"n\" already exists");
}
