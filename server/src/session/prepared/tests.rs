//! Plans that are kept between executions.
#![allow(clippy::unwrap_used)]

use crate::session::tests::{Server, assert_error, run};

/// Prepares, and runs twice.
async fn twice(server: &Server, query: &str) -> (u64, u64) {
    let mut session = server.session();
    let before = server.engine.plans.uses();
    run(&mut session, &format!("prepare p as {query}; execute p; execute p")).await.unwrap();
    let after = server.engine.plans.uses();
    (after.0 - before.0, after.1 - before.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_serves_later_executions_in_any_session() {
    let server = Server::new().await;
    let (mut a, mut b) = (server.session(), server.session());
    run(&mut a, "create table t (a int, b text); insert into t values (1, 'one'), (2, 'two')").await.unwrap();
    run(&mut a, "prepare p (int) as select b from t where a = $1 or a = (select max(a) from t) order by a").await.unwrap();
    assert_eq!(run(&mut a, "execute p(1)").await.unwrap(), "one; two");
    let before = server.engine.plans.uses();
    run(&mut b, "insert into t values (3, 'three'); delete from t where a = 2").await.unwrap();
    assert_eq!(run(&mut a, "execute p(1)").await.unwrap(), "one; three", "the rows of now");
    assert_eq!(run(&mut a, "begin; insert into t values (4, 'four'); execute p(3)").await.unwrap(), "three; four", "its own rows");
    run(&mut b, "prepare q (int) as select b from t where a = $1 or a = (select max(a) from t) order by a").await.unwrap();
    assert_eq!(run(&mut b, "execute q(1)").await.unwrap(), "one; three");
    let after = server.engine.plans.uses();
    assert_eq!(after.1 - before.1, 4, "all but the first planning");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_catalog_ends_a_plan() {
    let server = Server::new().await;
    let (mut a, mut b) = (server.session(), server.session());
    run(&mut a, "create table t (a int); insert into t values (1); create view v as select a from t").await.unwrap();
    run(&mut a, "prepare p as select * from t; prepare q as select a from v; execute p; execute q").await.unwrap();
    run(&mut b, "alter table t add b int default 7").await.unwrap();
    assert_error(run(&mut a, "execute p").await, "0A000", "cached plan must not change result type");
    assert_eq!(run(&mut a, "execute q").await.unwrap(), "1");
    run(&mut b, "create or replace view v as select a + 1 as a from t").await.unwrap();
    assert_eq!(run(&mut a, "execute q").await.unwrap(), "2");
    run(&mut b, "drop view v").await.unwrap();
    assert_error(run(&mut a, "execute q").await, "42P01", "relation \"v\" does not exist");
    run(&mut a, "begin; alter table t drop column b; execute p; rollback").await.unwrap();
    assert_error(run(&mut b, "prepare p as select a from t; drop table t; execute p").await, "42P01", "relation \"t\" does not exist");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_rights_and_zones_are_those_of_the_execution() {
    let server = Server::new().await;
    let mut a = server.session();
    run(&mut a, "create schema s; create table s.t (a int); insert into s.t values (2)").await.unwrap();
    run(&mut a, "create table t (a int); insert into t values (1); create role reader; create table moments (m timestamptz)")
        .await
        .unwrap();
    run(&mut a, "insert into moments values ('2020-01-01 00:00:00+00'); grant usage on schema s to reader").await.unwrap();
    run(&mut a, "prepare p as select a from t; prepare m as select m::text from moments where m = '2020-01-01'").await.unwrap();
    assert_eq!(run(&mut a, "execute p").await.unwrap(), "1");
    assert_eq!(run(&mut a, "set search_path = s, public; execute p").await.unwrap(), "2");
    assert_error(run(&mut a, "set role reader; execute p").await, "42501", "permission denied for table t");
    run(&mut a, "reset role; grant select on s.t to reader; set role reader").await.unwrap();
    assert_eq!(run(&mut a, "execute p").await.unwrap(), "2");
    assert_error(
        run(&mut a, "reset role; revoke select on s.t from reader; set role reader; execute p").await,
        "42501",
        "permission denied for table t",
    );
    assert_eq!(run(&mut a, "reset role; execute m").await.unwrap(), "2020-01-01 00:00:00+00");
    run(&mut a, "prepare n as select m::text from moments; execute n; set timezone = 'Asia/Tokyo'").await.unwrap();
    assert_eq!(run(&mut a, "execute n").await.unwrap(), "2020-01-01 09:00:00+09");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_so_at_one_moment_is_planned_each_time() {
    let server = Server::new().await;
    run(&mut server.session(), "create table t (a int, d date)").await.unwrap();
    for query in [
        "select count(*) from pg_class",
        "select current_setting('search_path')",
        "select a from t where d = 'today'",
        "select timestamp 'now'",
        "select * from generate_series(1, 3)",
        "with recursive r(n) as (select 1 union all select n + 1 from r where n < 3) select n from r",
        "explain select a from t",
    ] {
        assert_eq!(twice(&server, query).await.1, 0, "{query}");
    }
    for query in ["select a from t where d = now()::date", "select 'unknown', count(*) from t", "values (1)"] {
        assert_eq!(twice(&server, query).await.1, 2, "{query}");
    }
    run(&mut server.session(), "create view v as select a from t where d = 'today'").await.unwrap();
    assert_eq!(twice(&server, "select a from v").await.1, 0);
}
