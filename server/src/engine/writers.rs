//! Who changes rows of which table: compaction keeps out of their way, and contenders queue up.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tokio::sync::{Notify, OwnedMutexGuard};

/// The register, by table OID. Entries live as long as somebody writes or waits.
#[derive(Debug, Default)]
pub struct Writers {
    tables: Mutex<BTreeMap<u32, TableWriters>>,
    idle: Notify,
}

#[derive(Debug, Default)]
struct TableWriters {
    writing: usize,
    queue: Weak<tokio::sync::Mutex<()>>,
}

/// A statement or transaction that deletes or updates rows of a table.
#[derive(Debug)]
pub struct Writing {
    writers: Arc<Writers>,
    table: u32,
}

/// A place at the head of a table's queue.
#[derive(Debug)]
pub struct Turn {
    _guard: OwnedMutexGuard<()>,
}

impl Writers {
    /// Registers a writer of rows.
    pub fn enter(self: &Arc<Self>, table: u32) -> Writing {
        self.tables.lock().entry(table).or_default().writing += 1;
        Writing { writers: self.clone(), table }
    }

    /// Waits until nobody changes rows of the table.
    pub async fn idle(&self, table: u32) {
        loop {
            let woken = self.idle.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if self.tables.lock().get(&table).is_none_or(|entry| entry.writing == 0) {
                return;
            }
            woken.await;
        }
    }

    /// Waits in the table's queue, first come first served: whoever lost a race takes a turn, so that it loses no further one to those
    /// who queue too.
    pub async fn turn(&self, table: u32) -> Turn {
        Turn { _guard: self.queue(table).lock_owned().await }
    }

    /// Whether there is any queue.
    pub fn any_queue(&self) -> bool {
        self.tables.lock().values().any(|entry| entry.queue.strong_count() > 0)
    }

    /// Whether somebody has a turn now: newcomers then queue up rather than race.
    pub fn contended(&self, table: u32) -> bool {
        let tables = self.tables.lock();
        tables.get(&table).and_then(|entry| entry.queue.upgrade()).is_some_and(|queue| queue.try_lock().is_err())
    }

    fn queue(&self, table: u32) -> Arc<tokio::sync::Mutex<()>> {
        let mut tables = self.tables.lock();
        tables.retain(|_, entry| entry.writing > 0 || entry.queue.strong_count() > 0);
        let entry = tables.entry(table).or_default();
        if let Some(queue) = entry.queue.upgrade() {
            return queue;
        }
        let queue = Arc::default();
        entry.queue = Arc::downgrade(&queue);
        queue
    }

    fn leave(&self, table: u32) {
        let mut tables = self.tables.lock();
        let Some(entry) = tables.get_mut(&table) else { return };
        entry.writing -= 1;
        if entry.writing == 0 {
            if entry.queue.strong_count() == 0 {
                tables.remove(&table);
            }
            self.idle.notify_waiters();
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.writers.leave(self.table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_waits_for_the_last_writer() {
        let writers = Arc::new(Writers::default());
        let (one, two) = (writers.enter(1), writers.enter(1));
        writers.idle(2).await;
        let waiting = tokio::spawn({
            let writers = writers.clone();
            async move { writers.idle(1).await }
        });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.expect("the waiter ends");
        assert!(writers.tables.lock().is_empty());
    }

    #[tokio::test]
    async fn turns_are_one_at_a_time() {
        let writers = Arc::new(Writers::default());
        assert!(!writers.contended(1));
        let turn = writers.turn(1).await;
        assert!(writers.contended(1) && !writers.contended(2));
        drop(turn);
        assert!(!writers.contended(1));
    }
}
