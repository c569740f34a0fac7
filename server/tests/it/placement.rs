//! The one node that there is, as placement sees it: registered, its segments its copies, over commits, compaction, drops and kills.

use crate::server_process::ServerProcess;
use tokio_postgres::Client;

const FILL: &str = "SELECT i AS a, repeat('x', 40) || i AS b FROM generate_series(1, 60000) AS g(i)";

async fn explain(client: &Client, what: &str) -> Vec<String> {
    let rows = client.query(&format!("EXPLAIN PLACEMENT {what}"), &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What the node's line says of copies.
async fn copies(client: &Client) -> usize {
    let lines = explain(client, "").await;
    let node = lines.iter().find_map(|line| line.strip_prefix("node 1: ")).unwrap_or_else(|| panic!("{lines:?}"));
    let copies = node.split(", ").nth(1).and_then(|it| it.strip_suffix(" copies").or(it.split(" copies").next()));
    copies.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{node}"))
}

async fn segments(client: &Client) -> usize {
    let row = client.query_one("SELECT count(*) FROM plimsoll.segments WHERE NOT inline", &[]).await.unwrap();
    usize::try_from(row.get::<_, i64>(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_copies_of_the_node_that_wrote_them() {
    let mut server = ServerProcess::start();
    let client = server.connect().await;
    assert_eq!(copies(&client).await, 0);
    client.batch_execute(&format!("CREATE TABLE t AS {FILL}; CREATE TABLE u AS {FILL}; DELETE FROM u WHERE a > 50000")).await.unwrap();
    assert!(segments(&client).await >= 2);
    assert_eq!(copies(&client).await, segments(&client).await);
    let table = explain(&client, "FOR TABLE t").await;
    assert!(table[0].starts_with("table public.t: 1 segments"), "{table:?}");
    assert!(table[1].starts_with("  node 1      1 copies, memory ") && table[1].ends_with("; open to 0"), "{table:?}");
    let id: String = client.query_one("SELECT segment_id FROM plimsoll.segments WHERE table_name = 't'", &[]).await.unwrap().get(0);
    let segment = explain(&client, &format!("FOR SEGMENT '{id}'")).await;
    assert!(segment[0].starts_with(&format!("segment {id} of table public.t: memory ")), "{segment:?}");
    assert!(segment[1].starts_with("  node 1      has a copy, Serving;"), "{segment:?}");
    let cluster = explain(&client, "").await;
    assert!(cluster[0].starts_with("binding resource: ") && cluster.iter().any(|line| line == "next round: 0 moves, 0 B"), "{cluster:?}");
    client.batch_execute("TRUNCATE u").await.unwrap();
    assert_eq!((copies(&client).await, segments(&client).await), (1, 1));
    server.kill();
    server.start_again();
    let client = server.connect().await;
    assert_eq!((copies(&client).await, segments(&client).await), (1, 1));
    client.batch_execute("DROP TABLE t").await.unwrap();
    assert_eq!((copies(&client).await, segments(&client).await), (0, 0));
}

/// Inside a block the snapshot of the block is explained, as queries see it.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_explains_what_it_sees() {
    let server = ServerProcess::start();
    let (reader, writer) = (server.connect().await, server.connect().await);
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    assert_eq!(copies(&reader).await, 0);
    writer.batch_execute(&format!("CREATE TABLE t AS {FILL}")).await.unwrap();
    assert_eq!((copies(&reader).await, copies(&writer).await), (0, 1));
    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(copies(&reader).await, 1);
}
