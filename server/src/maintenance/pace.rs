//! A bound on the rate at which background work reads.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Lets so many bytes pass in a second. Used by blocking threads; a stop wakes them.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    start: Instant,
    bytes: u64,
    stop: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Pace {
    /// A pace of so many bytes a second (0: no bound), until `stop`.
    pub(super) fn new(bytes_per_second: u64, stop: &CancellationToken) -> Self {
        let shared = Arc::new(Stop::default());
        let (token, waiter) = (stop.clone(), Arc::downgrade(&shared));
        tokio::spawn(async move {
            token.cancelled().await;
            if let Some(stop) = waiter.upgrade() {
                *stop.stopped.lock() = true;
                stop.wake.notify_all();
            }
        });
        Self { bytes_per_second, start: Instant::now(), bytes: 0, stop: shared }
    }

    /// Takes note of bytes, and waits until they are due; false when it is time to stop.
    pub(super) fn pass(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        let mut stopped = self.stop.stopped.lock();
        if self.bytes_per_second > 0 && !*stopped {
            let due = self.start + Duration::from_secs_f64(self.bytes as f64 / self.bytes_per_second as f64);
            self.stop.wake.wait_until(&mut stopped, due);
        }
        !*stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_ends_the_wait() {
        let stop = CancellationToken::new();
        let mut pace = Pace::new(1, &stop);
        let waiting = tokio::task::spawn_blocking(move || pace.pass(1 << 40));
        stop.cancel();
        assert!(!waiting.await.expect("the wait ends"));
    }
}
