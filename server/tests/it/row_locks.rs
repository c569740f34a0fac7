//! Many clients that want the same rows: each waits for its turn, and nobody is told to try again.

use crate::server_process::ServerProcess;
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const CLIENTS: usize = 8;

async fn clients(server: &ServerProcess) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(server.connect().await);
    }
    clients
}

/// `SELECT ... FOR UPDATE`, then UPDATE, in a block: no payment is lost, and none fails.
#[tokio::test(flavor = "multi_thread")]
async fn payments_from_one_account_wait_for_each_other() {
    const PAYMENTS: i64 = 15;
    let server = ServerProcess::start();
    let setup = server.connect().await;
    setup
        .batch_execute("CREATE TABLE account (id int PRIMARY KEY, balance bigint); INSERT INTO account VALUES (1, 0), (2, 0)")
        .await
        .unwrap();
    let pay = async |mut client: Client| {
        let read = client.prepare("SELECT balance FROM account WHERE id = $1 FOR UPDATE").await.unwrap();
        let write = client.prepare("UPDATE account SET balance = $2 WHERE id = $1").await.unwrap();
        for _ in 0..PAYMENTS {
            let payment = client.transaction().await.unwrap();
            let balance: i64 = payment.query_one(&read, &[&1]).await.unwrap().get(0);
            payment.execute(&write, &[&1, &(balance + 1)]).await.unwrap();
            payment.execute("UPDATE account SET balance = balance + 1 WHERE id = 2", &[]).await.unwrap();
            payment.commit().await.unwrap();
        }
    };
    let tasks: Vec<_> = clients(&server).await.into_iter().map(|client| tokio::spawn(pay(client))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let expected = CLIENTS as i64 * PAYMENTS;
    for id in [1, 2] {
        let balance: i64 = setup.query_one("SELECT balance FROM account WHERE id = $1", &[&id]).await.unwrap().get(0);
        assert_eq!(balance, expected, "account {id}");
    }
    let held: i64 = setup.query_one("SELECT count(*) FROM pg_locks", &[]).await.unwrap().get(0);
    assert_eq!(held, 0);
}

/// The queue of jobs in a table: each job goes to one worker, and nobody waits.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_to_one_worker_each() {
    const JOBS: i64 = 120;
    let server = ServerProcess::start();
    let setup = server.connect().await;
    setup
        .batch_execute(
            "CREATE TABLE jobs (id int PRIMARY KEY, state text NOT NULL, worker int);
             INSERT INTO jobs SELECT g, 'new', NULL FROM generate_series(1, 120) g",
        )
        .await
        .unwrap();
    let work = async |client: Client, number: i32| {
        let take = "UPDATE jobs SET state = 'done', worker = $1 WHERE id = \
            (SELECT id FROM jobs WHERE state = 'new' ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING id";
        let take = client.prepare(take).await.unwrap();
        let mut taken = Vec::new();
        while let Some(row) = client.query_opt(&take, &[&number]).await.unwrap() {
            taken.push(row.get::<_, i32>(0));
        }
        taken
    };
    let workers = clients(&server).await.into_iter().enumerate();
    let tasks: Vec<_> = workers.map(|(number, client)| tokio::spawn(work(client, number as i32))).collect();
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.unwrap());
    }
    taken.sort_unstable();
    assert_eq!(taken, (1..=JOBS as i32).collect::<Vec<_>>());
    let done: i64 = setup.query_one("SELECT count(*) FROM jobs WHERE state = 'done' AND worker IS NOT NULL", &[]).await.unwrap().get(0);
    assert_eq!(done, JOBS);
}

/// Two who wait for each other: one is told so within a second, and the other goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_found_at_once() {
    let server = ServerProcess::start();
    let (one, two) = (server.connect().await, server.connect().await);
    one.batch_execute("CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 0), (2, 0)").await.unwrap();
    one.batch_execute("BEGIN; UPDATE t SET b = 1 WHERE a = 1").await.unwrap();
    two.batch_execute("BEGIN; UPDATE t SET b = 2 WHERE a = 2").await.unwrap();
    let begun = Instant::now();
    let outcomes = tokio::join!(one.execute("UPDATE t SET b = 1 WHERE a = 2", &[]), async {
        let outcome = two.execute("UPDATE t SET b = 2 WHERE a = 1", &[]).await;
        two.batch_execute("ROLLBACK").await.unwrap();
        outcome
    });
    let (mut lost, mut done) = (0, 0);
    for outcome in [outcomes.0, outcomes.1] {
        match outcome {
            Ok(rows) => done += rows,
            Err(error) => {
                let error = error.as_db_error().unwrap();
                assert_eq!(error.code(), &SqlState::T_R_DEADLOCK_DETECTED);
                assert!(error.detail().unwrap().contains("waits for ShareLock on transaction"), "{error:?}");
                lost += 1;
            }
        }
        if lost == 1 {
            one.batch_execute("ROLLBACK").await.unwrap();
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!((lost, done), (1, 1));
}

/// Every kind of lock among many clients: whoever waits gets on, the only errors are those that PostgreSQL has, and what holds at the end is what was
/// promised.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_lock_in_all_ways_get_on() {
    const STEPS: usize = 40;
    let server = ServerProcess::start();
    let setup = server.connect().await;
    setup
        .batch_execute(
            "CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t SELECT g, 0 FROM generate_series(1, 6) g;
             CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p SELECT g FROM generate_series(1, 6) g;
             CREATE TABLE c (pid int REFERENCES p)",
        )
        .await
        .unwrap();
    let work = async |client: Client, number: usize| {
        let mut done = 0;
        for step in 0..STEPS {
            let (kind, k) = ((step + number) % 9, (step * 7 + number * 5) % 6 + 1);
            let sql = match kind {
                0 => format!("BEGIN; DELETE FROM t WHERE a = {k}; INSERT INTO t VALUES ({k}, 0); COMMIT"),
                1 => format!("INSERT INTO t VALUES ({k}, 0) ON CONFLICT DO NOTHING"),
                2 => "BEGIN; CREATE TEMP TABLE s ON COMMIT DROP AS SELECT g AS a, 1 AS b FROM generate_series(1, 6) g;
                      INSERT INTO t SELECT a, b FROM s ON CONFLICT (a) DO UPDATE SET b = t.b + excluded.b; COMMIT"
                    .to_string(),
                3 => format!("BEGIN; SELECT * FROM p WHERE id = {k} FOR UPDATE; INSERT INTO c VALUES ({k}); COMMIT"),
                4 => format!("INSERT INTO c VALUES ({k})"),
                5 => format!("BEGIN; DELETE FROM c WHERE pid = {k}; DELETE FROM p WHERE id = {k}; INSERT INTO p VALUES ({k}); COMMIT"),
                6 => format!("BEGIN; LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE; UPDATE t SET b = b + 1 WHERE a = {k}; COMMIT"),
                7 => format!("BEGIN; UPDATE t SET a = 1000 + a WHERE a = {k}; UPDATE t SET a = {k} WHERE a = 1000 + {k}; COMMIT"),
                _ => format!("BEGIN; SELECT count(*) FROM t; UPDATE t SET b = b + 1 WHERE a IN ({k}, {}); COMMIT", k % 6 + 1),
            };
            let outcome = tokio::time::timeout(Duration::from_secs(120), client.batch_execute(&sql)).await;
            match outcome.unwrap_or_else(|_| panic!("it hangs: {sql}")) {
                Ok(()) => done += 1,
                Err(error) => {
                    let state = error.as_db_error().unwrap().code().code().to_string();
                    assert!(["23503", "23505", "40P01"].contains(&state.as_str()), "{sql}: {error:?}");
                    client.batch_execute("ROLLBACK").await.unwrap();
                }
            }
        }
        done
    };
    let tasks: Vec<_> = clients(&server).await.into_iter().enumerate().map(|(number, client)| tokio::spawn(work(client, number))).collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    assert!(done > CLIENTS * STEPS / 2, "{done} statements went through");
    for (query, expected) in [
        ("SELECT count(*) FROM c WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.id = c.pid)", 0),
        (
            "SELECT count(*) FROM (SELECT a FROM t GROUP BY a HAVING count(*) > 1 UNION ALL SELECT id FROM p GROUP BY id HAVING count(*) > 1) s",
            0,
        ),
        ("SELECT count(*) FROM p", 6),
        ("SELECT count(*) FROM t", 6),
        ("SELECT count(*) FROM pg_locks WHERE locktype <> 'virtualxid' AND pid <> pg_backend_pid()", 0),
    ] {
        let found: i64 = setup.query_one(query, &[]).await.unwrap().get(0);
        assert_eq!(found, expected, "{query}");
    }
}
