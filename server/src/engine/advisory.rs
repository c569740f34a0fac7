//! Advisory locks: `pg_advisory_lock` and its family.
//!
//! A lock is a number that sessions agree on. It is held by a session, or by its transaction, as often as it was taken; shared ones by many.
//! Who waits for one in a circle, of these locks and of those of transactions ([`super::locks`]), is told so at once (40P01).

use super::locks::circle::Edge;
use crate::error::{Result, SqlError, SqlState};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use tokio::sync::Notify;

/// Locks that one session may hold.
const HELD_MAX: usize = 10_000;

/// What is locked: one number, or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A bigint.
    One(i64),
    /// Two integers.
    Two(i32, i32),
}

impl Key {
    /// `classid`, `objid` and `objsubid`: the halves of one number, or two numbers.
    pub fn parts(self) -> (u32, u32, i32) {
        match self {
            Self::One(number) => ((number as u64 >> 32) as u32, number as u32, 1),
            Self::Two(first, second) => (first as u32, second as u32, 2),
        }
    }

    fn shown(self) -> String {
        let (class, object, sub) = self.parts();
        format!("[{},{class},{object},{sub}]", crate::access::acl::DATABASE_OID)
    }
}

/// How a lock is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mode {
    /// Together with others who share it.
    pub shared: bool,
    /// Until the transaction ends.
    pub transaction: bool,
}

/// A lock as `pg_locks` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What is locked.
    pub key: Key,
    /// Who holds it, or waits for it.
    pub session: i32,
    /// Together with others who share it.
    pub shared: bool,
    /// Held, rather than waited for.
    pub granted: bool,
}

/// Whose locks are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The session's.
    BySession,
    /// Its transaction's.
    ByTransaction,
}

/// All locks that are held.
#[derive(Debug, Default)]
pub struct AdvisoryLocks {
    table: Mutex<Table>,
    released: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// By key: who holds it how, and how often.
    held: HashMap<Key, HashMap<(i32, Mode), u32>>,
    /// By session: locks held.
    counts: HashMap<i32, usize>,
    /// By session: what it waits for.
    waiting: HashMap<i32, (Key, Mode)>,
}

impl AdvisoryLocks {
    /// Takes a lock if nobody holds it in a way that conflicts.
    pub fn try_lock(&self, session: i32, key: Key, mode: Mode) -> Result<bool> {
        self.table.lock().try_lock(session, key, mode)
    }

    /// Takes a lock, and waits for it. Who stops waiting does not get it. `check` is asked before each wait, whether it would be one in a circle.
    pub async fn lock(&self, session: i32, key: Key, mode: Mode, check: impl Fn() -> Result<()>) -> Result<()> {
        let _waiting = Waiting { locks: self, session };
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if self.table.lock().lock_or_wait(session, key, mode)? {
                return Ok(());
            }
            check()?;
            released.await;
        }
    }

    /// Gives a session's lock back once; false if it holds none.
    pub fn unlock(&self, session: i32, key: Key, shared: bool) -> bool {
        let given = self.table.lock().unlock(session, key, Mode { shared, transaction: false });
        if given {
            self.released.notify_waiters();
        }
        given
    }

    /// All locks, held and waited for.
    pub fn shown(&self) -> Vec<Shown> {
        let table = self.table.lock();
        let of = |key: &Key, session: &i32, mode: &Mode, granted| Shown { key: *key, session: *session, shared: mode.shared, granted };
        let held = table.held.iter().flat_map(|(key, by)| by.keys().map(move |(session, mode)| of(key, session, mode, true)));
        held.chain(table.waiting.iter().map(|(session, (key, mode))| of(key, session, mode, false))).collect()
    }

    /// Whom a session waits for, each once.
    pub fn blocking(&self, session: i32) -> Vec<Edge> {
        let table = self.table.lock();
        let Some((key, mode)) = table.waiting.get(&session) else { return Vec::new() };
        let holders = table.holders(session, *key, *mode);
        let what = format!("{} on advisory lock {}", if mode.shared { "ShareLock" } else { "ExclusiveLock" }, key.shown());
        holders.into_iter().map(|by| Edge { waiter: session, what: what.clone(), by, soft: false }).collect()
    }

    /// Gives back all that a session holds, or its transaction.
    pub fn release(&self, session: i32, held: Held) {
        if self.table.lock().release(session, held) {
            self.released.notify_waiters();
        }
    }
}

/// A session that waits; when it does no longer, it stands in nobody's way.
struct Waiting<'a> {
    locks: &'a AdvisoryLocks,
    session: i32,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.locks.table.lock().waiting.remove(&self.session);
    }
}

impl Table {
    /// The other sessions that hold a lock in a way that conflicts.
    fn holders(&self, session: i32, key: Key, mode: Mode) -> Vec<i32> {
        let holders = self.held.get(&key).into_iter().flat_map(HashMap::keys);
        let holders: BTreeSet<i32> =
            holders.filter(|(holder, held)| *holder != session && !(held.shared && mode.shared)).map(|(holder, _)| *holder).collect();
        holders.into_iter().collect()
    }

    fn try_lock(&mut self, session: i32, key: Key, mode: Mode) -> Result<bool> {
        if !self.holders(session, key, mode).is_empty() {
            return Ok(false);
        }
        let count = self.counts.entry(session).or_default();
        let holders = self.held.entry(key).or_default();
        if !holders.contains_key(&(session, mode)) {
            if *count >= HELD_MAX {
                return Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of shared memory")
                    .with_hint(format!("A session can hold at most {HELD_MAX} advisory locks.")));
            }
            *count += 1;
        }
        let times = holders.entry((session, mode)).or_default();
        *times = times.saturating_add(1);
        Ok(true)
    }

    fn lock_or_wait(&mut self, session: i32, key: Key, mode: Mode) -> Result<bool> {
        if self.try_lock(session, key, mode)? {
            return Ok(true);
        }
        self.waiting.insert(session, (key, mode));
        Ok(false)
    }

    fn unlock(&mut self, session: i32, key: Key, mode: Mode) -> bool {
        let Some(holders) = self.held.get_mut(&key) else { return false };
        let Some(times) = holders.get_mut(&(session, mode)) else { return false };
        *times -= 1;
        if *times == 0 {
            holders.remove(&(session, mode));
            if holders.is_empty() {
                self.held.remove(&key);
            }
            self.forget(session, 1);
        }
        true
    }

    fn release(&mut self, session: i32, held: Held) -> bool {
        if !self.counts.contains_key(&session) {
            return false;
        }
        let mut released = 0;
        self.held.retain(|_, holders| {
            holders.retain(|(holder, mode), _| {
                let goes = *holder == session && mode.transaction == (held == Held::ByTransaction);
                released += usize::from(goes);
                !goes
            });
            !holders.is_empty()
        });
        self.forget(session, released);
        released > 0
    }

    fn forget(&mut self, session: i32, locks: usize) {
        if let Some(count) = self.counts.get_mut(&session) {
            *count = count.saturating_sub(locks);
            if *count == 0 {
                self.counts.remove(&session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;

    const SESSION: Mode = Mode { shared: false, transaction: false };
    const SHARED: Mode = Mode { shared: true, transaction: false };
    const TRANSACTION: Mode = Mode { shared: false, transaction: true };

    #[test]
    fn locks_are_counted_shared_and_released() {
        let locks = AdvisoryLocks::default();
        let key = Key::One(7);
        assert!(locks.try_lock(1, key, SESSION).unwrap() && locks.try_lock(1, key, SESSION).unwrap());
        assert!(!locks.try_lock(2, key, SHARED).unwrap() && locks.try_lock(2, Key::Two(0, 7), SESSION).unwrap());
        assert!(locks.unlock(1, key, false) && !locks.try_lock(2, key, SESSION).unwrap());
        assert!(locks.unlock(1, key, false) && !locks.unlock(1, key, false));
        assert!(locks.try_lock(1, key, SHARED).unwrap() && locks.try_lock(2, key, SHARED).unwrap());
        assert!(!locks.try_lock(1, key, TRANSACTION).unwrap());
        locks.release(2, Held::BySession);
        assert!(locks.try_lock(1, key, TRANSACTION).unwrap());
        locks.release(1, Held::ByTransaction);
        assert!(locks.try_lock(2, key, SHARED).unwrap());
        locks.release(1, Held::BySession);
        locks.release(2, Held::BySession);
        assert!(locks.table.lock().held.is_empty() && locks.table.lock().counts.is_empty());
    }

    #[tokio::test]
    async fn who_waits_gets_it_or_is_told_of_the_circle() {
        let locks = Arc::new(AdvisoryLocks::default());
        let graph = crate::engine::locks::Locks::over(locks.clone());
        let (a, b) = (Key::One(1), Key::One(2));
        assert!(locks.try_lock(1, a, SESSION).unwrap() && locks.try_lock(2, b, SESSION).unwrap());
        let other = locks.clone();
        let waiter = tokio::spawn(async move { other.lock(1, b, SESSION, || Ok(())).await });
        while locks.table.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        let error = locks.lock(2, a, SESSION, || graph.check(2)).await.unwrap_err();
        assert_eq!(error.state.0, "40P01");
        assert!(error.detail.unwrap().starts_with("Process 2 waits for ExclusiveLock on advisory lock ["));
        assert!(locks.unlock(2, b, false));
        waiter.await.unwrap().unwrap();
        assert!(locks.table.lock().waiting.is_empty());
    }

    #[test]
    fn a_session_holds_no_more_than_a_bound() {
        let locks = AdvisoryLocks::default();
        for number in 0..HELD_MAX as i64 {
            assert!(locks.try_lock(1, Key::One(number), SESSION).unwrap());
        }
        assert_eq!(locks.try_lock(1, Key::One(-1), SESSION).unwrap_err().state, SqlState::OUT_OF_MEMORY);
        assert!(locks.try_lock(1, Key::One(1), SESSION).unwrap());
    }
}
