//! Requests to cancel: they come on connections of their own, and name a session by process id and secret.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The sessions that can be cancelled.
#[derive(Default)]
pub(super) struct Cancels {
    sessions: Mutex<HashMap<i32, Arc<Slot>>>,
}

/// One session's place: the token of the statement that runs now, if one does.
pub(super) struct Slot {
    pub(super) process_id: i32,
    pub(super) secret: i32,
    running: Mutex<Option<CancellationToken>>,
}

impl Cancels {
    /// Makes a place under a process id that no other session has.
    pub(super) fn register(&self) -> Arc<Slot> {
        let mut sessions = self.sessions.lock();
        loop {
            let process_id = rand::random_range(1..i32::MAX);
            if let std::collections::hash_map::Entry::Vacant(vacant) = sessions.entry(process_id) {
                let slot = Arc::new(Slot { process_id, secret: rand::random(), running: Mutex::new(None) });
                return vacant.insert(slot).clone();
            }
        }
    }
    pub(super) fn forget(&self, process_id: i32) {
        self.sessions.lock().remove(&process_id);
    }
    /// Cancels what runs now; a wrong secret, or nothing running, does nothing.
    pub(super) fn cancel(&self, process_id: i32, secret: i32) {
        let slot = self.sessions.lock().get(&process_id).filter(|slot| slot.secret == secret).cloned();
        if let Some(token) = slot.and_then(|slot| slot.running.lock().clone()) {
            token.cancel();
        }
    }
}

impl Slot {
    /// A statement begins: requests from now on mean it.
    pub(super) fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *self.running.lock() = Some(token.clone());
        token
    }
    pub(super) fn end(&self) {
        *self.running.lock() = None;
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
}
