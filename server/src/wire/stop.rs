//! What ends a statement before its time.

use super::frame::Input;
use crate::error::{SqlError, SqlState};
use crate::session::TransactionStatus;
use crate::session::settings::Timeouts;
use datafusion::error::DataFusionError;
use std::future::Future;
use std::io;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a statement, or the whole connection, ended.
#[derive(Debug)]
pub(super) enum Failure {
    /// The statement failed; the session goes on.
    Statement(SqlError),
    /// The client is told, and the connection ends.
    Fatal(SqlError),
    /// There is nobody to tell.
    Gone,
}

impl Failure {
    /// With the position of a statement's error in its text.
    pub(super) fn with_position_in(self, sql: &str) -> Self {
        match self {
            Self::Statement(error) => Self::Statement(error.with_position_in(sql)),
            other => other,
        }
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Statement(error)
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        Self::Statement(error.into())
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

pub(super) fn violation(message: impl Into<std::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

/// Signals that a running statement listens to.
#[derive(Clone)]
pub(super) struct Stop {
    /// The statement is cancelled.
    pub(super) cancel: CancellationToken,
    /// The session is terminated.
    pub(super) terminated: CancellationToken,
    /// When `statement_timeout` ends the statement.
    pub(super) deadline: Option<Instant>,
    /// The server's grace period is over.
    pub(super) kill: CancellationToken,
}

impl Stop {
    /// Runs a future until it ends or must.
    pub(super) async fn run<F: Future>(&self, input: &mut Input, future: F) -> Result<F::Output, Failure> {
        tokio::select! {
            biased;
            failure = self.signal() => Err(failure),
            output = future => Ok(output),
            () = input.closed() => Err(Failure::Gone),
        }
    }
    /// Waits for a signal.
    pub(super) async fn signal(&self) -> Failure {
        tokio::select! {
            () = self.end_of_session() => Failure::Fatal(shutting_down()),
            () = self.cancel.cancelled() => SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request").into(),
            () = until(self.deadline) => {
                SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout").into()
            }
        }
    }
    /// Waits until somebody ends the session, or the whole server.
    pub(super) async fn end_of_session(&self) {
        tokio::select! {
            () = self.kill.cancelled() => {}
            () = self.terminated.cancelled() => {}
        }
    }
}

/// Waits for a moment; for ever if there is none.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// How a session ends whose client has said nothing for too long, if that is limited in the state that it is in.
pub(super) fn idle_end(status: TransactionStatus, timeouts: &Timeouts) -> Option<(Instant, SqlError)> {
    let (limit, state, message) = match status {
        TransactionStatus::Idle => (timeouts.idle_session, "57P05", "terminating connection due to idle-session timeout"),
        _ => (timeouts.idle_in_transaction, "25P03", "terminating connection due to idle-in-transaction timeout"),
    };
    limit.map(|limit| (Instant::now() + limit, SqlError::new(SqlState(state), message)))
}

pub(super) fn shutting_down() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}
