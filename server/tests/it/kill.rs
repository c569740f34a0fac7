//! kill -9 at random moments, under concurrent COPY, INSERT, UPDATE, DELETE and compaction: what was acknowledged is there, and no half
//! of anything. `PLIMSOLL_TEST_KILLS` sets how many kills (5 unless set).

use crate::server_process::{ServerProcess, connect};
use bytes::Bytes;
use futures::SinkExt;
use rand::Rng;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::{Client, Error};

const COPY_ROWS: i64 = 400;
const ACCOUNTS: i64 = 50;
const SUM: i64 = ACCOUNTS * 100;
const INSERTERS: i64 = 3;

/// What one inserter knows: `acked` rows are certain; `unknown` was in flight when the server died.
#[derive(Default)]
struct Inserter {
    next: i64,
    live: BTreeSet<i64>,
    deleted: BTreeSet<i64>,
    unknown: BTreeSet<i64>,
}

#[derive(Default)]
struct Copier {
    next: i64,
    acked: BTreeSet<i64>,
}

fn kills() -> usize {
    std::env::var("PLIMSOLL_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let mut server = ServerProcess::start_with(&[("PLIMSOLL_SEGMENT_BYTES_MAX", "1048576")]);
    let client = server.connect().await;
    let setup = format!(
        "CREATE TABLE rows (worker bigint NOT NULL, seq bigint NOT NULL, note text); \
         CREATE TABLE batches (batch bigint NOT NULL, line bigint NOT NULL, filler text); \
         CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL); \
         INSERT INTO accounts SELECT i, 100 FROM generate_series(1, {ACCOUNTS}) AS g(i)"
    );
    client.batch_execute(&setup).await.unwrap();
    drop(client);
    let mut inserters: Vec<Inserter> = (0..INSERTERS).map(|_| Inserter::default()).collect();
    let mut copier = Copier::default();
    for round in 0..kills() {
        let wait = Duration::from_millis(rand::rng().random_range(50..1500));
        (inserters, copier) = work_until_killed(&mut server, inserters, copier, wait).await;
        let (status, text) = server.check();
        assert_eq!(status, Some(0), "round {round}: {text}");
        server.start_again();
        verify(&server.connect().await, &mut inserters, &mut copier, round).await;
    }
}

/// Runs all workers, kills the server after `wait`, and gives back what they know.
async fn work_until_killed(
    server: &mut ServerProcess,
    inserters: Vec<Inserter>,
    copier: Copier,
    wait: Duration,
) -> (Vec<Inserter>, Copier) {
    let dead = Arc::new(AtomicBool::new(false));
    let url = server.url();
    let tasks: Vec<_> = inserters
        .into_iter()
        .enumerate()
        .map(|(worker, state)| tokio::spawn(insert_and_delete(url.clone(), worker as i64, state, dead.clone())))
        .collect();
    let copy = tokio::spawn(copy_batches(url.clone(), copier, dead.clone()));
    let transfer = tokio::spawn(transfer_balances(url, dead.clone()));
    // The moment of the kill is the point of the test: nothing is awaited, time passes.
    tokio::time::sleep(wait).await;
    dead.store(true, Ordering::SeqCst);
    server.kill();
    let mut states = Vec::new();
    for task in tasks {
        states.push(task.await.unwrap());
    }
    let copier = copy.await.unwrap();
    transfer.await.unwrap();
    (states, copier)
}

/// An error is expected once the server is dead; before that only a conflict is.
fn assert_expected(error: &Error, dead: &AtomicBool) {
    let conflict = error.code().is_some_and(|code| code.code() == "40001");
    assert!(conflict || error.is_closed() || error.as_db_error().is_none() || dead.load(Ordering::SeqCst), "{error:?}");
}

async fn insert_and_delete(url: String, worker: i64, mut state: Inserter, dead: Arc<AtomicBool>) -> Inserter {
    let Ok(client) = connect(&url).await else { return state };
    loop {
        let seq = state.next;
        state.next += 1;
        let insert = format!("INSERT INTO rows VALUES ({worker}, {seq}, 'note of {seq}')");
        state.unknown.insert(seq);
        if let Err(error) = client.batch_execute(&insert).await {
            assert_expected(&error, &dead);
            return state;
        }
        state.unknown.remove(&seq);
        state.live.insert(seq);
        if seq % 3 != 0 {
            continue;
        }
        let victim = *state.live.iter().next().unwrap();
        state.live.remove(&victim);
        state.unknown.insert(victim);
        if let Err(error) = client.batch_execute(&format!("DELETE FROM rows WHERE worker = {worker} AND seq = {victim}")).await {
            assert_expected(&error, &dead);
            return state;
        }
        state.unknown.remove(&victim);
        state.deleted.insert(victim);
    }
}

async fn copy_batches(url: String, mut state: Copier, dead: Arc<AtomicBool>) -> Copier {
    let Ok(client) = connect(&url).await else { return state };
    loop {
        let batch = state.next;
        state.next += 1;
        match copy_batch(&client, batch).await {
            Ok(()) => drop(state.acked.insert(batch)),
            Err(error) => {
                assert_expected(&error, &dead);
                return state;
            }
        }
    }
}

async fn copy_batch(client: &Client, batch: i64) -> Result<(), Error> {
    let mut sink = Box::pin(client.copy_in::<_, Bytes>("COPY batches FROM STDIN").await?);
    for line in 0..COPY_ROWS {
        sink.send(Bytes::from(format!("{batch}\t{line}\t{}\n", "x".repeat(200)))).await?;
    }
    let rows = sink.as_mut().finish().await?;
    assert_eq!(rows, COPY_ROWS as u64);
    Ok(())
}

async fn transfer_balances(url: String, dead: Arc<AtomicBool>) {
    let Ok(client) = connect(&url).await else { return };
    loop {
        let (from, to) = {
            let mut random = rand::rng();
            (random.random_range(1..=ACCOUNTS), random.random_range(1..=ACCOUNTS))
        };
        let transfer = format!(
            "BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = {from}; \
             UPDATE accounts SET balance = balance + 1 WHERE id = {to}; COMMIT"
        );
        if let Err(error) = client.batch_execute(&transfer).await {
            assert_expected(&error, &dead);
            if client.batch_execute("ROLLBACK").await.is_err() {
                return;
            }
        }
    }
}

async fn verify(client: &Client, inserters: &mut [Inserter], copier: &mut Copier, round: usize) {
    for (worker, state) in inserters.iter_mut().enumerate() {
        let rows = client.query(&format!("SELECT seq, note FROM rows WHERE worker = {worker}"), &[]).await.unwrap();
        let found: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(found.len(), rows.len(), "round {round}: a row is there twice");
        assert!(state.live.is_subset(&found), "round {round}: lost {:?}", state.live.difference(&found).collect::<Vec<_>>());
        assert!(state.deleted.is_disjoint(&found), "round {round}: came back {:?}", state.deleted.intersection(&found).collect::<Vec<_>>());
        let unexplained: Vec<_> = found.iter().filter(|seq| !state.live.contains(seq) && !state.unknown.contains(seq)).collect();
        assert!(unexplained.is_empty(), "round {round}: from nowhere {unexplained:?}");
        assert!(rows.iter().all(|row| row.get::<_, String>(1) == format!("note of {}", row.get::<_, i64>(0))));
        state.live = found;
        state.unknown.clear();
    }
    let batches = client.query("SELECT batch, count(*), count(DISTINCT line) FROM batches GROUP BY batch", &[]).await.unwrap();
    for row in &batches {
        assert_eq!(
            (row.get::<_, i64>(1), row.get::<_, i64>(2)),
            (COPY_ROWS, COPY_ROWS),
            "round {round}: half of batch {}",
            row.get::<_, i64>(0)
        );
    }
    let found: BTreeSet<i64> = batches.iter().map(|row| row.get(0)).collect();
    assert!(copier.acked.is_subset(&found), "round {round}: lost batches {:?}", copier.acked.difference(&found).collect::<Vec<_>>());
    copier.acked = found;
    let sum = client.query_one("SELECT sum(balance)::bigint, count(*) FROM accounts", &[]).await.unwrap();
    assert_eq!((sum.get::<_, i64>(0), sum.get::<_, i64>(1)), (SUM, ACCOUNTS), "round {round}: half of a transfer");
}
