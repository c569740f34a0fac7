//! What ends a statement before its time.

use super::frame::Input;
use crate::error::{SqlError, SqlState};
use datafusion::error::DataFusionError;
use std::future::Future;
use std::io;
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
            () = self.kill.cancelled() => Failure::Fatal(shutting_down()),
            () = self.cancel.cancelled() => SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request").into(),
        }
    }
}

pub(super) fn shutting_down() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}
