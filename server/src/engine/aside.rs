//! Long work on a thread of its own, which ends early when nobody waits for it any more: its client has cancelled it, or has gone.

use crate::error::{Result, SqlError, SqlState};
use tokio_util::sync::CancellationToken;

/// Tells work that it is not wanted any more.
#[derive(Clone, Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// 57014 once nobody waits for the work; to be asked between its steps.
    pub fn check(&self) -> Result<()> {
        match self.0.is_cancelled() {
            true => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
            false => Ok(()),
        }
    }
}

/// Runs work where it may block.
pub async fn run<T: Send + 'static>(what: &'static str, work: impl FnOnce(&Stop) -> Result<T> + Send + 'static) -> Result<T> {
    let stop = Stop::default();
    let _unwanted = stop.0.clone().drop_guard();
    let working = tokio::task::spawn_blocking(move || work(&stop));
    working.await.map_err(|_| SqlError::internal(format!("{what} was interrupted")))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_ends_when_nobody_waits_for_it() {
        assert_eq!(run("it", |stop| stop.check().map(|()| 7)).await.unwrap(), 7);
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let (ended, end) = mpsc::channel();
        let work = run("it", move |stop| {
            _ = began.send(());
            while stop.check().is_ok() {
                std::thread::yield_now();
            }
            _ = ended.send(());
            Ok(())
        });
        tokio::select! {
            _ = work => panic!("it ends only when it is not wanted"),
            _ = has_begun => {}
        }
        end.recv().unwrap();
    }
}
