//! A load much larger than the memory that the server has. `PLIMSOLL_TEST_COPY_MIB` sets how much is loaded (512 unless set), under
//! `PLIMSOLL_TEST_MEMORY_MIB` (384 unless set) in a memory cgroup of its own.

use crate::server_process::ServerProcess;
use bytes::Bytes;
use futures::SinkExt;
use std::fs;
use std::path::{Path, PathBuf};

/// A memory cgroup (v2, or v1 where memory lives there), removed when dropped.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn make(limit_bytes: u64) -> Option<Self> {
        let name = format!("plimsoll-test-{}", std::process::id());
        Self::make_v1(&name, limit_bytes).or_else(|| Self::make_v2(&name, limit_bytes))
    }

    fn make_v1(name: &str, limit_bytes: u64) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup/memory");
        let folder = root.join(name);
        (root.join("memory.limit_in_bytes").exists() && fs::create_dir(&folder).is_ok()).then_some(())?;
        let group = Self(folder);
        fs::write(group.0.join("memory.limit_in_bytes"), limit_bytes.to_string()).ok()?;
        Some(group)
    }

    fn make_v2(name: &str, limit_bytes: u64) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        fs::write(root.join("cgroup.subtree_control"), "+memory").ok()?;
        let folder = root.join(name);
        fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        fs::write(group.0.join("memory.max"), limit_bytes.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_larger_than_memory_succeeds() {
    let limit_bytes = setting("PLIMSOLL_TEST_MEMORY_MIB", 384) << 20;
    let copy_bytes = setting("PLIMSOLL_TEST_COPY_MIB", 512) << 20;
    let Some(group) = MemoryGroup::make(limit_bytes) else {
        eprintln!("SKIPPED: a_copy_larger_than_memory_succeeds needs root and a memory cgroup");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.0.display());
    let server = ServerProcess::start_in(folder.path().join("data"), &[], &["sh", "-c", &enter, "sh"]);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a bigint, b text)").await.unwrap();
    let mut sink = Box::pin(client.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap());
    let mut sent = 0;
    let mut rows: u64 = 0;
    while sent < copy_bytes {
        let mut chunk = String::with_capacity(300 << 10);
        while chunk.len() < 256 << 10 {
            chunk.push_str(&format!("{rows}\trow {rows} {}\n", "abcdefghijklmnopqrstuvwxyz ".repeat(8)));
            rows += 1;
        }
        sent += chunk.len() as u64;
        sink.send(Bytes::from(chunk)).await.unwrap();
    }
    assert_eq!(sink.as_mut().finish().await.unwrap(), rows);
    let count = client.query_one("SELECT count(*), min(a), max(a) FROM t", &[]).await.unwrap();
    assert_eq!((count.get::<_, i64>(0), count.get::<_, i64>(1), count.get::<_, i64>(2)), (rows as i64, 0, rows as i64 - 1));
    drop(server);
    drop(group);
}
