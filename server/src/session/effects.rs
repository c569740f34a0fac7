//! What functions do to the session that calls them: they run on other threads, and the session takes it over when the statement has ended.

use super::Notice;
use super::settings::Settings;
use crate::error::{Result, SqlError, SqlState};
use parking_lot::Mutex;

/// What has been done and not taken over yet.
#[derive(Debug, Default)]
pub struct Effects {
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Done {
    settings: Vec<Change>,
    notices: Vec<Notice>,
}

/// A call of `set_config`.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) name: String,
    /// `None` is the default.
    pub(super) value: Option<String>,
    pub(super) local: bool,
}

/// Calls of `set_config` in one statement, at most.
const CHANGES_MAX: usize = 10_000;

impl Effects {
    /// Sets a setting; answers what it is then. `before` are the settings at the statement's begin.
    pub fn set(&self, before: &Settings, name: &str, value: Option<&str>, local: bool) -> Result<String> {
        let mut settings = before.clone();
        settings.assign(name, value, local)?;
        let mut done = self.done.lock();
        if done.settings.len() >= CHANGES_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a statement can change at most 10000 settings"));
        }
        done.settings.push(Change { name: name.to_string(), value: value.map(Into::into), local });
        settings.show(name).map(|(_, value)| value)
    }
    /// A setting as this statement has left it.
    pub fn show(&self, before: &Settings, name: &str) -> Result<String> {
        let mut settings = before.clone();
        for change in self.done.lock().settings.iter().filter(|change| change.name.eq_ignore_ascii_case(name)) {
            settings.assign(&change.name, change.value.as_deref(), change.local)?;
        }
        settings.show(name).map(|(_, value)| value)
    }
    /// Tells the client something.
    pub fn warn(&self, state: SqlState, message: String) {
        self.notify([Notice { severity: "WARNING", error: SqlError::new(state, message) }]);
    }
    /// Gives the client notices.
    pub fn notify(&self, notices: impl IntoIterator<Item = Notice>) {
        let mut done = self.done.lock();
        let room = super::NOTICES_MAX.saturating_sub(done.notices.len());
        done.notices.extend(notices.into_iter().take(room));
    }
    pub(super) fn take_settings(&self) -> Vec<Change> {
        std::mem::take(&mut self.done.lock().settings)
    }
    pub(super) fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.done.lock().notices)
    }
}
