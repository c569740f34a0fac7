//! What is measured of this node when it is asked how it is.

use crate::engine::io_error;
use crate::error::Result;
use placement::cluster::Level;
use placement::pressure::{Pressure, PressurePolicy, Signals};
use std::path::Path;

/// Where the kernel tells how much tasks have waited for memory.
const PRESSURE_FILE: &str = "/proc/pressure/memory";

/// The size of the file system that `folder` is on.
pub fn disk_bytes(folder: &Path) -> Result<u64> {
    let failed = |error: rustix::io::Errno| io_error("look at the file system of", folder, &error.into());
    let stat = rustix::fs::statvfs(folder).map_err(failed)?;
    Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
}

/// The level of a node with so much memory.
pub fn level(memory_bytes: u64, now_ms: u64) -> Level {
    let (some_avg10_percent, full_avg10_percent) = std::fs::read_to_string(PRESSURE_FILE).map_or((0.0, 0.0), |text| stalled(&text));
    let anonymous = std::fs::read_to_string("/proc/self/status").map_or(0, |text| anonymous_bytes(&text));
    let unreclaimable_share = anonymous as f64 / memory_bytes.max(1) as f64;
    named(&Signals { some_avg10_percent, full_avg10_percent, unreclaimable_share, ..Signals::default() }, now_ms)
}

/// The signals look back 10 s, so what they name now counts as named for long enough.
fn named(signals: &Signals, now_ms: u64) -> Level {
    let policy = PressurePolicy::default();
    let before = Pressure::default().step(signals, &policy, now_ms.saturating_sub(policy.rise_ms));
    before.step(signals, &policy, now_ms).level
}

/// `some` and `full`, avg10, in percent; a line that is not there says 0.
fn stalled(text: &str) -> (f64, f64) {
    let avg10 = |line: &str| line.split_whitespace().find_map(|word| word.strip_prefix("avg10=")?.parse().ok());
    let of = |kind: &str| text.lines().find(|line| line.starts_with(kind)).and_then(avg10).unwrap_or(0.0);
    (of("some "), of("full "))
}

/// Memory of this process that no file stands behind.
fn anonymous_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let text = "some avg10=1.50 avg60=0.12 avg300=0.03 total=99\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(stalled(text), (1.5, 0.25));
        assert_eq!(stalled("garbage\nfull avg10=x"), (0.0, 0.0));
        assert_eq!(anonymous_bytes("VmRSS:\t  9 kB\nRssAnon:\t   12 kB\nRssFile: 3 kB\n"), 12 << 10);
        assert_eq!(anonymous_bytes(""), 0);
    }

    #[test]
    fn memory_that_cannot_be_reclaimed_is_pressure_at_once() {
        let signals = |unreclaimable_share| Signals { unreclaimable_share, ..Signals::default() };
        assert_eq!((named(&signals(0.1), 9_000), named(&signals(0.85), 9_000)), (Level::Calm, Level::Strained));
    }
}
