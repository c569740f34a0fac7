//! Two sessions and a foreign key: whatever they do at once, no row is left that refers to nothing.
#![allow(clippy::unwrap_used)]

use super::tests::{Server, assert_error, run};
use super::{Identity, Session};
use crate::engine::Engine;
use crate::error::Result;
use std::sync::Arc;
use tokio::task::JoinHandle;

const LOST: &str = "could not serialize access due to concurrent update";
const TABLES: &str = "create table p (id int primary key); insert into p values (1), (2); create table c (id int, pid int references p)";

/// Each session waits for the others by its process id.
fn session(engine: &Arc<Engine>, process_id: i32) -> Session {
    let identity = Identity { user: "plimsoll".into(), database: "plimsoll".into(), process_id, client_address: None, encryption: None };
    Session::new(engine.clone(), identity, Vec::new()).unwrap()
}

/// Runs a statement on a task of its own, and returns when it waits for a lock.
async fn waiting(engine: &Arc<Engine>, mut session: Session, process_id: i32, sql: &'static str) -> JoinHandle<(Session, Result<String>)> {
    let task = tokio::spawn(async move {
        let outcome = run(&mut session, sql).await;
        (session, outcome)
    });
    while !engine.locks.is_waiting(process_id) {
        assert!(!task.is_finished(), "{sql} did not wait");
        tokio::task::yield_now().await;
    }
    task
}

/// `first` in an open block, `second` waits for its end; how `second` ended, and what is in the tables.
async fn meet(tables: &str, first: &str, end: &str, second: &'static str) -> (Result<String>, String) {
    let server = Server::new().await;
    let (mut a, b) = (session(&server.engine, 11), session(&server.engine, 12));
    run(&mut a, tables).await.unwrap();
    run(&mut a, &format!("begin; {first}")).await.unwrap();
    let task = waiting(&server.engine, b, 12, second).await;
    run(&mut a, end).await.unwrap();
    let (_, outcome) = task.await.unwrap();
    (outcome, run(&mut a, "select (select count(*) from p), (select count(*) from c)").await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_waits_for_the_end_of_the_key_that_it_refers_to() {
    let refused = "insert or update on table \"c\" violates foreign key constraint \"c_pid_fkey\"";
    for gone in ["delete from p where id = 1", "update p set id = 5 where id = 1"] {
        let (outcome, _) = meet(TABLES, gone, "commit", "insert into c values (1, 1)").await;
        assert_error(outcome, "23503", refused);
        let (outcome, left) = meet(TABLES, gone, "rollback", "insert into c values (1, 1)").await;
        assert_eq!((outcome.unwrap().as_str(), left.as_str()), ("INSERT 0 1", "2 1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_waits_for_the_end_of_a_row_that_refers_to_it() {
    let referenced = "update or delete on table \"p\" violates foreign key constraint \"c_pid_fkey\" on table \"c\"";
    for new in ["insert into c values (1, 1)", "insert into c values (1, 2); update c set pid = 1"] {
        let (outcome, _) = meet(TABLES, new, "commit", "delete from p where id = 1").await;
        assert_error(outcome, "23503", referenced);
        let (outcome, left) = meet(TABLES, new, "rollback", "delete from p where id = 1").await;
        assert_eq!((outcome.unwrap().as_str(), left.as_str()), ("DELETE 1", "1 0"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cascade_takes_rows_that_came_meanwhile() {
    let tables = TABLES.replace("references p)", "references p on delete cascade)");
    let (outcome, left) = meet(&tables, "insert into c values (1, 1), (2, 2)", "commit", "delete from p where id = 1").await;
    assert_eq!((outcome.unwrap().as_str(), left.as_str()), ("DELETE 1", "1 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_row_waits_at_commit() {
    let refused = "insert or update on table \"c\" violates foreign key constraint \"c_pid_fkey\"";
    let tables = TABLES.replace("references p)", "references p on delete cascade deferrable initially deferred)");
    let (outcome, left) = meet(&tables, "delete from p where id = 1", "commit", "insert into c values (1, 1)").await;
    assert_error(outcome, "23503", refused);
    assert_eq!(left, "1 0");
    // Where both checks are deferred too: the row that it refers to is being deleted.
    for (end, outcome) in [("commit", None), ("rollback", Some("COMMIT"))] {
        let server = Server::new().await;
        let (mut a, mut b) = (session(&server.engine, 11), session(&server.engine, 12));
        run(&mut a, &TABLES.replace("references p)", "references p deferrable initially deferred)")).await.unwrap();
        run(&mut a, "begin; delete from p where id = 1").await.unwrap();
        run(&mut b, "begin; delete from p where id = 2; insert into c values (1, 1)").await.unwrap();
        let task = waiting(&server.engine, b, 12, "commit").await;
        run(&mut a, end).await.unwrap();
        match (task.await.unwrap().1, outcome) {
            (got, Some(tag)) => assert_eq!(got.unwrap(), tag),
            (got, None) => assert_error(got, "23503", refused),
        }
    }
}

/// Other keys, and rows that refer to one key, do not wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_meet_does_not_wait() {
    let server = Server::new().await;
    let (mut a, mut b) = (session(&server.engine, 11), session(&server.engine, 12));
    run(&mut a, TABLES).await.unwrap();
    run(&mut a, "begin; insert into c values (1, 1)").await.unwrap();
    assert_eq!(run(&mut b, "insert into c values (2, 1); delete from p where id = 2").await.unwrap(), "DELETE 1");
    assert_eq!(run(&mut a, "commit").await.unwrap(), "COMMIT");
}

/// A snapshot that shows a key which is gone, or hides a row that has come, is no ground to decide on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_too_old_is_a_conflict() {
    for (meanwhile, then) in [
        ("delete from p where id = 1", "insert into c values (1, 1)"),
        ("insert into c values (1, 1)", "delete from p where id = 1"),
        ("insert into c values (1, 1)", "update p set id = 7 where id = 1"),
    ] {
        for action in ["no action", "cascade"] {
            let server = Server::new().await;
            let (mut a, mut b) = (session(&server.engine, 11), session(&server.engine, 12));
            let tables = TABLES.replace("references p)", &format!("references p on delete {action} on update {action})"));
            run(&mut a, &tables).await.unwrap();
            run(&mut a, "begin isolation level repeatable read; select count(*) from p, c").await.unwrap();
            run(&mut b, meanwhile).await.unwrap();
            assert_error(run(&mut a, then).await, "40001", LOST);
        }
    }
}

/// ALTER TABLE looked at rows; what others changed meanwhile it has not seen. They in turn did not know of the foreign key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_foreign_key_and_changes_of_either_table_are_a_conflict() {
    let tables = "create table p (id int primary key); insert into p values (1), (2); create table c (pid int); insert into c values (1)";
    let add = "alter table c add constraint k foreign key (pid) references p";
    for change in
        ["delete from p where id = 1", "update p set id = 3 where id = 1", "truncate p", "insert into c values (7)", "update c set pid = 7"]
    {
        for (first, second) in [(add, change), (change, add)] {
            let server = Server::new().await;
            let (mut a, mut b) = (session(&server.engine, 11), session(&server.engine, 12));
            run(&mut a, tables).await.unwrap();
            run(&mut a, &format!("begin; {first}")).await.unwrap();
            run(&mut b, second).await.unwrap();
            assert_error(run(&mut a, "commit").await, "40001", LOST);
        }
    }
}

/// Many at once: some wait, some lose; no row refers to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_orphan_is_left_by_many_sessions() {
    let server = Server::new().await;
    let mut first = session(&server.engine, 10);
    run(&mut first, "create table p (id int primary key); insert into p select x from generate_series(0, 9) g(x)").await.unwrap();
    run(&mut first, "create table c (pid int references p); create table d (pid int references p on delete cascade)").await.unwrap();
    let work = (0..4).map(|worker| {
        let mut session = session(&server.engine, 20 + worker);
        tokio::spawn(async move {
            let mut done = 0;
            for step in 0..40 {
                let key = (step * 7 + worker * 3) % 10;
                let sql = match (step + worker) % 6 {
                    0 => format!("insert into c values ({key})"),
                    1 | 2 => format!("insert into d values ({key}), ({key})"),
                    3 => format!("delete from p where id = {key}"),
                    4 => format!("insert into p values ({key}) on conflict do nothing"),
                    _ => format!("begin; insert into d values ({key}); delete from c where pid = {key}; commit"),
                };
                match run(&mut session, &sql).await {
                    Ok(_) => done += 1,
                    Err(error) => {
                        assert!(["23503", "40001", "40P01"].contains(&error.state.0), "{sql}: {error}");
                        let _ = run(&mut session, "rollback").await;
                    }
                }
            }
            done
        })
    });
    let mut done = 0;
    for task in work.collect::<Vec<_>>() {
        done += task.await.unwrap();
    }
    assert!(done > 20, "{done} statements went through");
    for child in ["c", "d"] {
        let orphans = format!("select count(*) from {child} where not exists (select 1 from p where p.id = {child}.pid)");
        assert_eq!(run(&mut first, &orphans).await.unwrap(), "0");
    }
}

/// More keys than a transaction remembers: COMMIT looks at the whole table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deferred_keys_are_checked_at_commit() {
    let server = Server::new().await;
    let mut a = session(&server.engine, 11);
    run(&mut a, "create table p (id int primary key); create table c (pid int references p deferrable initially deferred)").await.unwrap();
    let rows =
        "begin; insert into c select x from generate_series(1, 70000) g(x); insert into p select x from generate_series(1, 69999) g(x)";
    run(&mut a, rows).await.unwrap();
    assert_error(run(&mut a, "commit").await, "23503", "insert or update on table \"c\" violates foreign key constraint \"c_pid_fkey\"");
    run(&mut a, rows).await.unwrap();
    run(&mut a, "insert into p values (70000); commit").await.unwrap();
    run(&mut a, "begin; delete from p; insert into p select x from generate_series(2, 70000) g(x)").await.unwrap();
    assert_eq!(run(&mut a, "commit").await.unwrap_err().state.0, "23503");
    assert_eq!(run(&mut a, "select (select count(*) from p), (select count(*) from c)").await.unwrap(), "70000 70000");
}

/// What a role may not read, an error does not tell it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_tell_no_more_than_may_be_read() {
    let server = Server::new().await;
    let mut a = session(&server.engine, 11);
    run(&mut a, TABLES).await.unwrap();
    run(&mut a, "insert into c values (1, 1); create role r; grant insert on c to r; grant delete on p to r; set role r").await.unwrap();
    let detail = async |a: &mut Session, sql: &str| run(a, sql).await.unwrap_err().detail.unwrap_or_default();
    assert_eq!(detail(&mut a, "insert into c values (1, 9)").await, "Key is not present in table \"p\".");
    assert_eq!(detail(&mut a, "delete from p").await, "Key is still referenced from table \"c\".");
    let refused = run(&mut a, "create temp table x (a int); alter table c add foreign key (id) references p").await;
    assert_error(refused, "42501", "must be owner of table c");
    run(&mut a, "reset role; create schema mine authorization r; set role r").await.unwrap();
    assert_error(run(&mut a, "create table mine.d (a int references p)").await, "42501", "permission denied for table p");
    run(&mut a, "reset role; grant references (id) on p to r; set role r; create table mine.d (a int references p)").await.unwrap();
}

/// Who has locked a referenced row FOR UPDATE keeps out those who refer to it; a weaker lock, or a change beside the key, does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referenced_row_that_is_locked_keeps_references_out() {
    const PARENT: &str = "create table p (id int primary key, n int); insert into p values (1, 1), (2, 2)";
    let tables = format!("{PARENT}; create table c (id int, pid int references p)");
    let refused = "insert or update on table \"c\" violates foreign key constraint \"c_pid_fkey\"";
    for (first, end, second, outcome) in [
        ("select * from p where id = 1 for update", "commit", "insert into c values (1, 1)", Ok("INSERT 0 1")),
        ("select * from p where id = 1 for update; update p set n = 5", "commit", "insert into c values (1, 1)", Ok("INSERT 0 1")),
        ("select * from p where id = 1 for update", "delete from p where id = 1; commit", "insert into c values (1, 1)", Err(refused)),
        ("select * from p for update", "update p set id = 7 where id = 1; commit", "insert into c values (1, 1)", Err(refused)),
        ("insert into c values (1, 1)", "commit", "select id from p where id = 1 for update", Ok("1")),
    ] {
        let (got, _) = meet(&tables, first, end, second).await;
        match outcome {
            Ok(tag) => assert_eq!(got.unwrap(), tag, "{first}; {end}"),
            Err(message) => assert_error(got, "23503", message),
        }
    }
    for first in ["select * from p for no key update", "select * from p for share", "update p set n = 9", "insert into c values (1, 1)"] {
        let server = Server::new().await;
        let (mut a, mut b) = (session(&server.engine, 11), session(&server.engine, 12));
        run(&mut a, &tables).await.unwrap();
        run(&mut a, "begin").await.unwrap();
        run(&mut a, first).await.unwrap();
        assert_eq!(run(&mut b, "insert into c values (2, 1)").await.unwrap(), "INSERT 0 1", "{first}");
        run(&mut a, "commit").await.unwrap();
        assert_eq!(server.engine.locks.shown(), []);
    }
}

/// A key to which only rows refer that another block deletes: what becomes of these is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_waits_for_the_end_of_those_who_delete_its_references() {
    let referenced = "update or delete on table \"p\" violates foreign key constraint \"c_pid_fkey\" on table \"c\"";
    let tables = format!("{TABLES}; insert into c values (1, 1), (2, 1), (3, 2)");
    let changed_before = "update c set id = id + 10 where pid = 1; delete from c where pid = 1";
    for second in ["delete from p where id = 1", "update p set id = 5 where id = 1"] {
        for first in ["delete from c where pid = 1", changed_before] {
            let (outcome, _) = meet(&tables, first, "commit", second).await;
            assert!(outcome.unwrap().ends_with(" 1"), "{first}");
        }
        let (outcome, _) = meet(&tables, "delete from c where pid = 1", "rollback", second).await;
        assert_error(outcome, "23503", referenced);
    }
    for first in ["delete from c where id = 1", "update c set pid = 2 where pid = 1", "delete from c where pid = 2"] {
        let server = Server::new().await;
        let (mut a, mut b) = (session(&server.engine, 11), session(&server.engine, 12));
        run(&mut a, &tables).await.unwrap();
        run(&mut a, &format!("begin; {first}")).await.unwrap();
        assert_error(run(&mut b, "delete from p where id = 1").await, "23503", referenced);
    }
}
