//! A reader that stops reading: the server holds what fits into its buffers, whatever the size of the result. `PLIMSOLL_TEST_SLOW_ROWS` sets how
//! many rows the result has (1,000,000 unless set).

use crate::raw_client::RawClient;
use crate::server_process::ServerProcess;
use std::time::Duration;

/// What a paused result may hold: batches on their way, and one chunk of output.
const HELD_BYTES_MAX: u64 = 16 << 20;
/// How long the server's memory is watched while the reader is paused.
const PAUSE: Duration = Duration::from_secs(2);

#[test]
fn a_paused_reader_costs_little_memory() {
    let rows: u64 = std::env::var("PLIMSOLL_TEST_SLOW_ROWS").ok().and_then(|value| value.parse().ok()).unwrap_or(1_000_000);
    let server = ServerProcess::start();
    let mut client = RawClient::connect(server.address());
    // What the first query of a server allocates for good is none of the result's.
    client.query("SELECT g, 'a text that is as long as texts are, or so ' || g FROM generate_series(1, 20000) g");
    assert_eq!(client.count(b'D', u64::MAX), 20_000);
    let before = server.anonymous_bytes();
    client.query(&format!("SELECT g, 'a text that is as long as texts are, or so ' || g FROM generate_series(1, {rows}) g"));
    let first = client.count(b'D', 1000);
    std::thread::sleep(PAUSE);
    let held = server.anonymous_bytes().saturating_sub(before);
    println!("{rows} rows, the reader paused: {:.1} MiB more than before the query", held as f64 / f64::from(1 << 20));
    assert!(held < HELD_BYTES_MAX, "{held} bytes are held for a paused reader");
    assert_eq!(first + client.count(b'D', u64::MAX), rows);
}
