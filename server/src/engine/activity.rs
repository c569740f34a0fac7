//! What the sessions are doing: `pg_stat_activity` reads it.

use crate::error::{Result, SqlError, SqlState};
use crate::session::Identity;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Longest query text kept, in bytes (PostgreSQL's `track_activity_query_size` is 1,024).
const QUERY_BYTES_MAX: usize = 1024;

/// The sessions, bounded by the connections allowed.
#[derive(Debug)]
pub struct Registry {
    sessions: Arc<Mutex<BTreeMap<u64, Activity>>>,
    sessions_max: usize,
    next: Mutex<u64>,
}

/// What a session is doing.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Who.
    pub identity: Identity,
    /// `application_name`.
    pub application_name: String,
    /// When the session began.
    pub connected: DateTime<Utc>,
    /// `active`, `idle`, `idle in transaction`, `idle in transaction (aborted)`.
    pub state: &'static str,
    /// When the state was entered.
    pub since: DateTime<Utc>,
    /// When the transaction began.
    pub xact_start: Option<DateTime<Utc>>,
    /// When the statement began.
    pub query_start: Option<DateTime<Utc>>,
    /// The statement that runs, or ran last; cut to a bounded length.
    pub query: String,
}

/// A session's entry; gone when dropped.
#[derive(Debug)]
pub struct Registered {
    sessions: Weak<Mutex<BTreeMap<u64, Activity>>>,
    number: u64,
}

impl Registry {
    /// A register of so many sessions at most.
    pub fn new(sessions_max: usize) -> Self {
        Self { sessions: Arc::default(), sessions_max, next: Mutex::new(0) }
    }

    /// Enters a session; 53300 when there are too many.
    pub fn enter(&self, identity: Identity) -> Result<Registered> {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= self.sessions_max {
            return Err(SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already"));
        }
        let number = {
            let mut next = self.next.lock();
            *next += 1;
            *next
        };
        let now = Utc::now();
        sessions.insert(
            number,
            Activity {
                identity,
                application_name: String::new(),
                connected: now,
                state: "idle",
                since: now,
                xact_start: None,
                query_start: None,
                query: String::new(),
            },
        );
        Ok(Registered { sessions: Arc::downgrade(&self.sessions), number })
    }

    /// All sessions, oldest first.
    pub fn list(&self) -> Vec<Activity> {
        self.sessions.lock().values().cloned().collect()
    }
}

impl Registered {
    /// A statement begins, in a block that began then; when its transaction began.
    pub fn begin(&self, query: &str, block: Option<DateTime<Utc>>) -> DateTime<Utc> {
        let now = Utc::now();
        let began = block.unwrap_or(now);
        self.update(|activity| {
            (activity.state, activity.since) = ("active", now);
            (activity.xact_start, activity.query_start) = (Some(began), Some(now));
            activity.query.clear();
            activity.query.push_str(cut(query));
        });
        began
    }

    /// The client says what it is.
    pub fn name_application(&self, name: &str) {
        self.update(|activity| {
            if activity.application_name != name {
                activity.application_name = name.to_string();
            }
        });
    }

    /// The session waits for its client, in this state, and in a block that began then.
    pub fn wait(&self, state: &'static str, block: Option<DateTime<Utc>>) {
        self.update(|activity| (activity.state, activity.since, activity.xact_start) = (state, Utc::now(), block));
    }

    fn update(&self, change: impl FnOnce(&mut Activity)) {
        let Some(sessions) = self.sessions.upgrade() else { return };
        let mut sessions = sessions.lock();
        if let Some(activity) = sessions.get_mut(&self.number) {
            change(activity);
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(sessions) = self.sessions.upgrade() {
            sessions.lock().remove(&self.number);
        }
    }
}

fn cut(query: &str) -> &str {
    let mut end = query.len().min(QUERY_BYTES_MAX);
    while !query.is_char_boundary(end) {
        end -= 1;
    }
    &query[..end]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn identity() -> Identity {
        Identity { user: "u".into(), database: "d".into(), process_id: 7, client_address: None, encryption: None }
    }

    #[test]
    fn sessions_come_and_go_within_a_bound() {
        let registry = Registry::new(1);
        let session = registry.enter(identity()).unwrap();
        assert_eq!(registry.enter(identity()).unwrap_err().state, SqlState::TOO_MANY_CONNECTIONS);
        session.begin(&"é".repeat(QUERY_BYTES_MAX), None);
        let seen = registry.list();
        assert_eq!((seen[0].state, seen[0].query.len()), ("active", QUERY_BYTES_MAX));
        assert!(seen[0].xact_start.is_some() && seen[0].xact_start == seen[0].query_start);
        session.wait("idle", None);
        assert_eq!((registry.list()[0].state, registry.list()[0].xact_start), ("idle", None));
        drop(session);
        assert!(registry.list().is_empty());
    }
}
