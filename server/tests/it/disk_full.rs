//! A disk that fills up during a load: that statement fails with 53100, the server lives, space is given back.

use crate::server_process::ServerProcess;
use bytes::Bytes;
use futures::SinkExt;
use std::path::PathBuf;
use std::process::Command;
use tokio_postgres::{Client, Error};

/// A tmpfs of a given size, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_statement_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("disk"), "64M") else {
        eprintln!("SKIPPED: a_full_disk_fails_the_statement_and_nothing_else needs root, to mount a small tmpfs");
        return;
    };
    let server = ServerProcess::start_in(disk.0.join("data"), &[("PLIMSOLL_SEGMENT_BYTES_MAX", "1048576")], &[]);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a bigint, b text); INSERT INTO t VALUES (-1, 'kept')").await.unwrap();

    let error = load(&client, 200_000).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("53100"), "{error:?}");

    let rows = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 1, "nothing of the failed load remains");
    assert_eq!(load(&client, 1_000).await.unwrap(), 1_000, "space was given back");
    client.batch_execute("INSERT INTO t VALUES (-2, 'after')").await.unwrap();
    let rows = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 1_002);
    drop(server);
}

/// Rows of about 600 bytes that do not compress.
async fn load(client: &Client, rows: u64) -> Result<u64, Error> {
    let mut sink = Box::pin(client.copy_in::<_, Bytes>("COPY t FROM STDIN").await?);
    for row in 0..rows {
        let noise: String = (0..8u64).map(|i| format!("{:064x}", (row * 8 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
        sink.send(Bytes::from(format!("{row}\t{noise}\n"))).await?;
    }
    sink.as_mut().finish().await
}
