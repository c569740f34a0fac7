//! What sessions have done since the server started: transactions, rows read and changed, by table. `pg_stat_database` and `pg_stat_user_tables`
//! show it. As in PostgreSQL, what was done counts also where the transaction was rolled back afterwards.

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Scans of it.
    pub scans: u64,
    /// Rows that scans looked at.
    pub rows_read: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// How often VACUUM was asked for.
    pub vacuums: u64,
    /// When last.
    pub last_vacuum: Option<DateTime<Utc>>,
    /// How often ANALYZE was asked for.
    pub analyzes: u64,
    /// When last.
    pub last_analyze: Option<DateTime<Utc>>,
}

/// Tables that are counted at most; others count with the server alone.
const TABLES_MAX: usize = 100_000;

/// All counts.
#[derive(Debug)]
pub struct Counters {
    /// Since when.
    since: Mutex<DateTime<Utc>>,
    commits: AtomicU64,
    rollbacks: AtomicU64,
    all: Mutex<TableCounts>,
    tables: Mutex<HashMap<u32, TableCounts>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            since: Mutex::new(Utc::now()),
            commits: AtomicU64::new(0),
            rollbacks: AtomicU64::new(0),
            all: Mutex::default(),
            tables: Mutex::default(),
        }
    }
}

impl Counters {
    /// A transaction has ended.
    pub fn ended(&self, committed: bool) {
        let count = if committed { &self.commits } else { &self.rollbacks };
        count.fetch_add(1, Relaxed);
    }
    /// A scan of a table has ended.
    pub fn scanned(&self, table: u32, rows: u64) {
        self.count(table, |counts| {
            counts.scans += 1;
            counts.rows_read += rows;
        });
    }
    /// Rows were inserted.
    pub fn inserted(&self, table: u32, rows: u64) {
        self.count(table, |counts| counts.inserted += rows);
    }
    /// Rows were updated.
    pub fn updated(&self, table: u32, rows: u64) {
        self.count(table, |counts| counts.updated += rows);
    }
    /// Rows were deleted.
    pub fn deleted(&self, table: u32, rows: u64) {
        self.count(table, |counts| counts.deleted += rows);
    }
    /// VACUUM has done a table.
    pub fn vacuumed(&self, table: u32) {
        self.count(table, |counts| {
            counts.vacuums += 1;
            counts.last_vacuum = Some(Utc::now());
        });
    }
    /// ANALYZE was asked for.
    pub fn analyzed(&self, table: u32) {
        self.count(table, |counts| {
            counts.analyzes += 1;
            counts.last_analyze = Some(Utc::now());
        });
    }
    /// `pg_stat_reset()`
    pub fn reset(&self) {
        self.tables.lock().clear();
        *self.all.lock() = TableCounts::default();
        self.commits.store(0, Relaxed);
        self.rollbacks.store(0, Relaxed);
        *self.since.lock() = Utc::now();
    }

    /// Transactions that committed, and that did not.
    pub fn transactions(&self) -> (u64, u64) {
        (self.commits.load(Relaxed), self.rollbacks.load(Relaxed))
    }
    /// Of all tables together.
    pub fn of_all(&self) -> TableCounts {
        *self.all.lock()
    }
    /// Of one table.
    pub fn of_table(&self, table: u32) -> TableCounts {
        self.tables.lock().get(&table).copied().unwrap_or_default()
    }
    /// Since when all this counts.
    pub fn since(&self) -> DateTime<Utc> {
        *self.since.lock()
    }

    fn count(&self, table: u32, change: impl Fn(&mut TableCounts)) {
        change(&mut self.all.lock());
        let mut tables = self.tables.lock();
        if tables.len() < TABLES_MAX || tables.contains_key(&table) {
            change(tables.entry(table).or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_count_apart_and_together() {
        let counters = Counters::default();
        counters.inserted(1, 5);
        counters.inserted(2, 7);
        counters.scanned(2, 7);
        counters.ended(true);
        counters.ended(false);
        assert_eq!((counters.of_table(1).inserted, counters.of_table(2).scans, counters.of_table(3)), (5, 1, TableCounts::default()));
        assert_eq!((counters.of_all().inserted, counters.transactions()), (12, (1, 1)));
        counters.reset();
        assert_eq!((counters.of_all(), counters.transactions()), (TableCounts::default(), (0, 0)));
    }
}
