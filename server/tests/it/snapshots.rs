//! What a running query reads stays.

use crate::server_process::ServerProcess;
use futures::{StreamExt, pin_mut};
use std::path::Path;
use std::time::{Duration, Instant};

const ROWS: i64 = 60_000;

fn segments(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("segments")).unwrap().count()
}

/// A query outside a block held its plan, but not its snapshot: a segment that it had not opened yet was swept under it when the rows were
/// replaced meanwhile, and the query failed with "No such file or directory".
#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_to_its_end_what_is_dropped_meanwhile() {
    let server = ServerProcess::start_with(&[("PLIMSOLL_SEGMENT_BYTES_MAX", "1048576")]);
    let (reader, writer) = (server.connect().await, server.connect().await);
    let fill = format!("CREATE TABLE t AS SELECT i, repeat('x', 200) || i AS filler FROM generate_series(1, {ROWS}) AS g(i)");
    writer.batch_execute(&fill).await.unwrap();
    let before = segments(server.folder());
    let rows = reader.query_raw("SELECT * FROM t", Vec::<String>::new()).await.unwrap();
    pin_mut!(rows);
    rows.next().await.unwrap().unwrap();
    // Once the second table's file is gone, the sweep has run after the first one was dropped.
    writer
        .batch_execute("DROP TABLE t; CREATE TABLE later AS SELECT i, repeat('y', 200) AS f FROM generate_series(1, 5000) AS g(i)")
        .await
        .unwrap();
    writer.batch_execute("DROP TABLE later").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while segments(server.folder()) > before {
        assert!(Instant::now() < deadline, "the sweep did not run");
        tokio::task::yield_now().await;
    }
    let mut read = 1;
    while let Some(row) = rows.next().await {
        row.unwrap();
        read += 1;
    }
    assert_eq!(read, ROWS);
}
