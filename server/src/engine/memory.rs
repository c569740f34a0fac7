//! How much memory the server may use, and DataFusion's runtime within it.

use crate::error::{Result, SqlError};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// Consumers named when memory runs out.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(5).expect("5 is not zero");
/// Less than this cannot plan a query.
const LIMIT_BYTES_MIN: u64 = 64 << 20;

/// The limit in bytes: as configured, else four fifths of the smaller of the cgroup's limit and physical memory.
pub fn limit_bytes(configured: Option<u64>) -> u64 {
    let automatic = || [cgroup_limit_bytes(), physical_bytes()].into_iter().flatten().min().map_or(1 << 30, |bytes| bytes / 5 * 4);
    configured.unwrap_or_else(automatic).max(LIMIT_BYTES_MIN)
}

/// A runtime whose pool is shared fairly by operators that can spill.
pub fn runtime(limit_bytes: u64, temp_dir: &Path) -> Result<Arc<RuntimeEnv>> {
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    let pool = TrackConsumersPool::new(FairSpillPool::new(limit), CONSUMERS_NAMED);
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![temp_dir.to_path_buf()]));
    let built = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_disk_manager_builder(disk).build_arc();
    built.map_err(SqlError::from)
}

fn physical_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    parse_meminfo(&meminfo)
}

fn parse_meminfo(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The tightest limit on the way from this process's cgroup up to the root, in either hierarchy.
fn cgroup_limit_bytes() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = limit_files(&groups).into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
    limits.filter_map(|text| parse_limit(&text)).min()
}

/// Files that may hold a limit, from the lines of `/proc/self/cgroup`.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        files
            .extend(Path::new(path).ancestors().map(|group| format!("{root}{}/{file}", group.display().to_string().trim_end_matches('/'))));
    }
    files
}

/// `max`, or v1's enormous number, is no limit.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_found_in_both_hierarchies() {
        let files = limit_files("7:memory:/a/b\n3:cpu,cpuacct:/x\n0::/c\n");
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "/sys/fs/cgroup/c/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(parse_limit("9223372036854771712\n"), None);
        assert_eq!(parse_limit("1073741824\n"), Some(1 << 30));
        assert_eq!(parse_meminfo("MemTotal:       16384 kB\nMemFree: 1 kB"), Some(16 << 20));
    }

    #[test]
    fn a_configured_limit_wins() {
        assert_eq!(limit_bytes(Some(1 << 30)), 1 << 30);
        assert_eq!(limit_bytes(Some(1)), LIMIT_BYTES_MIN);
    }
}
