//! Starting, stopping, starting twice.

use crate::server_process::{ServerProcess, binary, spawn};
use std::process::Command;

#[tokio::test]
async fn sigterm_drains_and_exits_with_0() {
    let mut server = ServerProcess::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.unwrap();
    drop(client);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(server.check().0, Some(0));
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let server = ServerProcess::start();
    let refused = spawn(server.folder(), "127.0.0.1:0", &[], &[]).unwrap_err();
    assert!(refused.contains("another"), "{refused}");
    let client = server.connect().await;
    assert_eq!(client.query_one("SELECT 1::int", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[test]
fn a_port_in_use_is_told_with_a_hint() {
    let server = ServerProcess::start();
    let folder = tempfile::tempdir().unwrap();
    let refused = spawn(&folder.path().join("data"), &server.address().to_string(), &[], &[]).unwrap_err();
    assert!(refused.contains("--listen"), "{refused}");
    assert!(!folder.path().join("data").exists(), "nothing is created before the port is had");
}

#[test]
fn check_names_a_damaged_segment_and_exits_with_1() {
    let mut server = ServerProcess::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = server.connect().await;
        client.batch_execute("CREATE TABLE wide AS SELECT i AS a, 'row ' || i AS b FROM generate_series(1, 50000) AS g(i)").await.unwrap();
    });
    server.kill();
    assert_eq!(server.check().0, Some(0), "{}", server.check().1);
    let segment = std::fs::read_dir(server.folder().join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[4096] ^= 0x40;
    std::fs::write(&segment, bytes).unwrap();
    let (status, text) = server.check();
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains(segment.file_name().unwrap().to_str().unwrap()), "{text}");
}

#[test]
fn help_and_version() {
    let help = Command::new(binary()).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).to_string();
    for word in ["tpch", "check", "--data-dir", "--listen", "--memory-limit", "127.0.0.1:5432"] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
    let version = Command::new(binary()).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("plimsoll {}\n", env!("CARGO_PKG_VERSION")));
}
