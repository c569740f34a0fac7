//! A table of many small segments: from the start of the server to its first answers. `PLIMSOLL_TEST_SEGMENTS` sets how many (50 unless set);
//! `PLIMSOLL_TEST_SEGMENTS_FOLDER` names a data folder that is kept for the next run.

use crate::server_process::ServerProcess;
use std::time::Instant;
use tokio_postgres::Client;

/// Rows of one segment: wide enough not to ride inside the commit.
const ROWS: u64 = 100;

async fn fill(client: &Client, from: u64, to: u64) {
    for i in from..to {
        let values = format!("SELECT {i} * {ROWS} + g, date '2020-01-01' + ({i} % 2000), 'kind ' || g % 5, g * 1.5, repeat('n', 4000)");
        client.batch_execute(&format!("INSERT INTO segments {values} FROM generate_series(0, {}) g", ROWS - 1)).await.unwrap();
    }
}

async fn number(client: &Client, sql: &str) -> u64 {
    let started = Instant::now();
    let messages = client.simple_query(sql).await.unwrap();
    let found = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).and_then(|value| value.parse().ok()),
        _ => None,
    });
    println!("  {:.3} s: {sql}", started.elapsed().as_secs_f64());
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_many_segments_is_there_at_once() {
    let segments: u64 = std::env::var("PLIMSOLL_TEST_SEGMENTS").ok().and_then(|value| value.parse().ok()).unwrap_or(50);
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var("PLIMSOLL_TEST_SEGMENTS_FOLDER").map_or(temporary.path().join("data"), Into::into);
    let environment = [("PLIMSOLL_COMPACTION", "false")];
    let mut server = ServerProcess::start_in(kept, &environment, &[]);
    let client = server.connect().await;
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS segments (id bigint NOT NULL, day date, kind text, amount numeric(12,2), note text)")
        .await
        .unwrap();
    let present = number(&client, "SELECT count(*) FROM segments").await / ROWS;
    fill(&client, present, segments).await;
    drop(client);
    server.terminate();
    let started = Instant::now();
    server.start_again();
    let client = server.connect().await;
    println!("{segments} segments");
    assert_eq!(number(&client, "SELECT 1").await, 1);
    assert_eq!(number(&client, &format!("SELECT sum(id) FROM segments WHERE id = {}", segments * ROWS - 7)).await, segments * ROWS - 7);
    println!("  {:.3} s from the start to these answers", started.elapsed().as_secs_f64());
    assert_eq!(number(&client, "SELECT count(*) FROM segments").await, segments * ROWS);
    let last_day = (segments - 1) % 2000;
    let of_day = (0..segments).filter(|i| i % 2000 == last_day).count() as u64;
    assert_eq!(number(&client, &format!("SELECT count(*) FROM segments WHERE day = date '2020-01-01' + {last_day}")).await, of_day * ROWS);
    println!("  {:.0} MiB of anonymous memory", server.anonymous_bytes() as f64 / f64::from(1 << 20));
}
