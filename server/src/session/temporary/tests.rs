//! Temporary tables, and their end.
#![allow(clippy::unwrap_used)]

use super::{drop_leftovers, drop_schemas};
use crate::session::tests::{Server, assert_error, run};

fn schemas(server: &Server) -> Vec<String> {
    let catalog = server.engine.catalog(&server.engine.placement.state()).unwrap();
    catalog.schemas.keys().filter(|name| name.starts_with("pg_temp_")).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_temporary_table_is_its_sessions_alone_and_hides_others() {
    let server = Server::new().await;
    let (mut a, mut b) = (server.session(), server.session());
    run(&mut a, "create table t (a int); insert into t values (1); create temp table t (a int); insert into t values (2)").await.unwrap();
    run(&mut b, "create temp table t as select 3 as a").await.unwrap();
    for (session, own) in [(&mut a, "2"), (&mut b, "3")] {
        assert_eq!(run(session, "select a from t").await.unwrap(), own);
        assert_eq!(run(session, "select a from pg_temp.t").await.unwrap(), own);
        assert_eq!(run(session, "select a from public.t").await.unwrap(), "1");
    }
    let other = schemas(&server).into_iter().find(|name| *name != a.temp_schema).unwrap();
    for statement in ["select * from {}.t", "insert into {}.t values (1)", "drop table {}.t", "alter table {}.t add b int"] {
        let refused = run(&mut a, &statement.replace("{}", &other)).await.unwrap_err();
        assert_eq!(refused.state.0, "42P01", "{statement}");
    }
    run(&mut a, "drop table t").await.unwrap();
    assert_eq!(run(&mut a, "select a from t").await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_deletes_rows_or_drops() {
    let server = Server::new().await;
    let mut a = server.session();
    run(&mut a, "create temp table t (a int unique) on commit delete rows; insert into t values (1)").await.unwrap();
    assert_eq!(run(&mut a, "select count(*) from t").await.unwrap(), "0");
    assert_eq!(run(&mut a, "begin; insert into t values (1), (2); select count(*) from t").await.unwrap(), "2");
    assert_eq!(run(&mut a, "commit; select count(*) from t").await.unwrap(), "0");
    let made = "begin; create temp table u (a serial) on commit drop; create view v as select a from u; insert into u values (default)";
    assert_eq!(run(&mut a, &format!("{made}; select a from v")).await.unwrap(), "1");
    assert_error(run(&mut a, "commit; select a from v").await, "42P01", "relation \"v\" does not exist");
    assert_error(run(&mut a, "select a from u").await, "42P01", "relation \"u\" does not exist");
    assert_eq!(
        run(&mut a, &format!("{made}; rollback; begin; create temp table u (b int); commit; select count(b) from u")).await.unwrap(),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_temporary_ends_with_discard_with_the_session_and_at_the_start() {
    let server = Server::new().await;
    let mut a = server.session();
    run(&mut a, "create temp table t (a int); insert into t values (1); create temp view v as select a from t; discard temp")
        .await
        .unwrap();
    assert_error(run(&mut a, "select a from t").await, "42P01", "relation \"t\" does not exist");
    assert_eq!(run(&mut a, "create temp table t (a int); begin; discard temp; rollback; select count(*) from t").await.unwrap(), "0");
    run(&mut a, "discard all").await.unwrap();
    assert!(schemas(&server).is_empty());
    run(&mut a, "create temp table t (a int); insert into t values (1)").await.unwrap();
    drop(a);
    while !schemas(&server).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(server.engine.placement.state().tables.is_empty());
    let mut b = server.session();
    run(&mut b, "create temp table t (a int)").await.unwrap();
    drop_leftovers(&server.engine).await.unwrap();
    assert!(schemas(&server).is_empty());
    drop_schemas(&server.engine, |_| false).await.unwrap();
}
