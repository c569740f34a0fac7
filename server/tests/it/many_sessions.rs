//! Hundreds of connections, some of them busy: no error, and memory that does not grow. `PLIMSOLL_TEST_SOAK_SECONDS` sets for how long (3 unless
//! set), `PLIMSOLL_TEST_SOAK_SESSIONS` (60) and `PLIMSOLL_TEST_SOAK_ACTIVE` (10) how many.

use crate::server_process::ServerProcess;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// Growth over the second half of the run that is taken for noise.
const GROWTH_BYTES_MAX: u64 = 32 << 20;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_for_long_cost_no_more_memory() {
    let seconds = setting("PLIMSOLL_TEST_SOAK_SECONDS", 3);
    let (sessions, active) = (setting("PLIMSOLL_TEST_SOAK_SESSIONS", 60), setting("PLIMSOLL_TEST_SOAK_ACTIVE", 10));
    let server = ServerProcess::start_with(&[("PLIMSOLL_CONNECTIONS_MAX", "1000")]);
    let setup = server.connect().await;
    setup
        .batch_execute("CREATE TABLE t (id bigint, word text); INSERT INTO t SELECT g, 'word ' || g % 100 FROM generate_series(1, 50000) g")
        .await
        .unwrap();
    let mut clients = Vec::new();
    for _ in 0..sessions {
        clients.push(server.connect().await);
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    let idle = clients.split_off(active as usize);
    let busy: Vec<_> = clients.into_iter().enumerate().map(|(i, client)| tokio::spawn(work(client, i, until))).collect();
    tokio::time::sleep_until((until - Duration::from_secs(seconds) / 2).into()).await;
    let half = server.anonymous_bytes();
    let mut statements = 0;
    for task in busy {
        statements += task.await.unwrap();
    }
    let end = server.anonymous_bytes();
    for client in &idle {
        client.simple_query("SELECT 1").await.unwrap();
    }
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{sessions} sessions, {active} active, {seconds} s: {statements} statements, {:.1} MiB at half time, {:.1} at the end",
        mebibytes(half),
        mebibytes(end)
    );
    assert!(end < half + GROWTH_BYTES_MAX, "memory grew from {half} to {end} bytes");
}

async fn work(client: Client, number: usize, until: Instant) -> u64 {
    let mut statements = 0;
    let by_id = client.prepare("SELECT word FROM t WHERE id = $1").await.unwrap();
    while Instant::now() < until {
        let id = (statements * 7919 + number as u64) % 50_000 + 1;
        let row = client.query_one(&by_id, &[&(id as i64)]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), format!("word {}", id % 100));
        let groups = client.query("SELECT word, count(*) FROM t GROUP BY word", &[]).await.unwrap();
        assert_eq!(groups.len(), 100);
        statements += 2;
    }
    statements
}
