//! Who changes rows of which table: compaction keeps out of their way, and contenders queue up.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tokio::sync::{Notify, OwnedMutexGuard};

/// The register, by table OID. Entries live as long as somebody writes or waits.
#[derive(Debug, Default)]
pub struct Writers {
    tables: Mutex<BTreeMap<u32, TableWriters>>,
    /// A table has no writer any more, or no rewriter.
    left: Notify,
}

#[derive(Debug, Default)]
struct TableWriters {
    writing: usize,
    rewriting: usize,
    queue: Weak<tokio::sync::Mutex<()>>,
}

/// A statement or transaction that deletes or updates rows of a table.
#[derive(Debug)]
pub struct Writing {
    writers: Arc<Writers>,
    table: u32,
}

/// A rewrite of a table's units that is being committed: it found no writer, and who comes now must look at what it has done.
#[derive(Debug)]
pub struct Rewriting {
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

    /// Waits until nobody changes rows of the table; a rewrite is on its way from that moment on.
    pub async fn idle(self: &Arc<Self>, table: u32) -> Rewriting {
        self.wait_for(table, |entry| entry.writing == 0, |entry| entry.rewriting += 1).await;
        Rewriting { writers: self.clone(), table }
    }

    /// Waits until no rewrite of the table is on its way.
    pub async fn settled(&self, table: u32) {
        self.wait_for(table, |entry| entry.rewriting == 0, |_| ()).await;
    }

    async fn wait_for(&self, table: u32, is_so: impl Fn(&TableWriters) -> bool, then: impl Fn(&mut TableWriters)) {
        loop {
            let woken = self.left.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if self.change(table, |entry| is_so(entry).then(|| then(entry))).is_some() {
                return;
            }
            woken.await;
        }
    }

    /// Changes what is known of a table, and forgets it if that is nothing.
    fn change<T>(&self, table: u32, change: impl FnOnce(&mut TableWriters) -> T) -> T {
        let mut tables = self.tables.lock();
        let entry = tables.entry(table).or_default();
        let answer = change(entry);
        if entry.is_nothing() {
            tables.remove(&table);
        }
        answer
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
        tables.retain(|_, entry| !entry.is_nothing());
        let entry = tables.entry(table).or_default();
        if let Some(queue) = entry.queue.upgrade() {
            return queue;
        }
        let queue = Arc::default();
        entry.queue = Arc::downgrade(&queue);
        queue
    }

    fn leave(&self, table: u32, leave: impl FnOnce(&mut TableWriters)) {
        self.change(table, leave);
        self.left.notify_waiters();
    }
}

impl TableWriters {
    fn is_nothing(&self) -> bool {
        self.writing == 0 && self.rewriting == 0 && self.queue.strong_count() == 0
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.writers.leave(self.table, |entry| entry.writing -= 1);
    }
}

impl Drop for Rewriting {
    fn drop(&mut self) {
        self.writers.leave(self.table, |entry| entry.rewriting -= 1);
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
    async fn who_comes_while_a_rewrite_is_committed_waits_for_it() {
        let writers = Arc::new(Writers::default());
        let rewriting = writers.idle(1).await;
        let writing = writers.enter(1);
        writers.settled(2).await;
        let waiting = tokio::spawn({
            let writers = writers.clone();
            async move { writers.settled(1).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(rewriting);
        waiting.await.expect("the waiter ends");
        drop(writing);
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
