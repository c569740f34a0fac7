//! Who can be cancelled or terminated: by requests on connections of their own, which know a secret, and by SQL functions, which need none.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The sessions that can be cancelled, bounded by the connections allowed.
#[derive(Debug, Default)]
pub struct Cancels {
    sessions: Mutex<HashMap<i32, Arc<Slot>>>,
}

/// One session's place: the token of the statement that runs now, if one does.
#[derive(Debug)]
pub struct Slot {
    /// The process id that clients know.
    pub process_id: i32,
    /// What a request to cancel must know.
    pub secret: i32,
    /// The whole session is to end.
    pub terminated: CancellationToken,
    running: Mutex<Option<CancellationToken>>,
}

impl Cancels {
    /// Makes a place under a process id that no other session has.
    pub fn register(&self) -> Arc<Slot> {
        let mut sessions = self.sessions.lock();
        loop {
            let process_id = rand::random_range(1..i32::MAX);
            if let std::collections::hash_map::Entry::Vacant(vacant) = sessions.entry(process_id) {
                let (secret, terminated) = (rand::random(), CancellationToken::new());
                let slot = Arc::new(Slot { process_id, secret, terminated, running: Mutex::new(None) });
                return vacant.insert(slot).clone();
            }
        }
    }
    /// The session has ended.
    pub fn forget(&self, process_id: i32) {
        self.sessions.lock().remove(&process_id);
    }
    /// Cancels what runs now; a wrong secret, or nothing running, does nothing.
    pub fn cancel(&self, process_id: i32, secret: i32) {
        if let Some(slot) = self.find(process_id).filter(|slot| slot.secret == secret) {
            slot.cancel();
        }
    }
    /// `pg_cancel_backend`: whether there is such a session.
    pub fn cancel_session(&self, process_id: i32) -> bool {
        let slot = self.find(process_id);
        slot.inspect(|slot| slot.cancel()).is_some()
    }
    /// `pg_terminate_backend`: whether there is such a session.
    pub fn terminate_session(&self, process_id: i32) -> bool {
        let slot = self.find(process_id);
        slot.inspect(|slot| slot.terminated.cancel()).is_some()
    }
    /// What tells that the statement which a session runs has ended; of no session, it has.
    pub fn running(&self, process_id: i32) -> CancellationToken {
        let running = self.find(process_id).and_then(|slot| slot.running.lock().clone());
        running.unwrap_or_else(|| {
            let ended = CancellationToken::new();
            ended.cancel();
            ended
        })
    }
    fn find(&self, process_id: i32) -> Option<Arc<Slot>> {
        self.sessions.lock().get(&process_id).cloned()
    }
}

impl Slot {
    /// A statement begins: requests from now on mean it.
    pub fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *self.running.lock() = Some(token.clone());
        token
    }
    /// Nothing runs any more.
    pub fn end(&self) {
        *self.running.lock() = None;
    }
    fn cancel(&self) {
        if let Some(token) = self.running.lock().clone() {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_cancels_and_only_what_runs() {
        let cancels = Cancels::default();
        let slot = cancels.register();
        cancels.cancel(slot.process_id, slot.secret);
        let token = slot.begin();
        cancels.cancel(slot.process_id, slot.secret.wrapping_add(1));
        assert!(!token.is_cancelled());
        cancels.cancel(slot.process_id, slot.secret);
        assert!(token.is_cancelled());
        slot.end();
        cancels.forget(slot.process_id);
        cancels.cancel(slot.process_id, slot.secret);
    }

    #[test]
    fn functions_need_no_secret_and_say_whether_there_is_such_a_session() {
        let cancels = Cancels::default();
        let slot = cancels.register();
        let token = slot.begin();
        assert!(cancels.cancel_session(slot.process_id) && token.is_cancelled());
        assert!(!slot.terminated.is_cancelled());
        assert!(cancels.terminate_session(slot.process_id) && slot.terminated.is_cancelled());
        cancels.forget(slot.process_id);
        assert!(!cancels.cancel_session(slot.process_id) && !cancels.terminate_session(slot.process_id));
    }
}
