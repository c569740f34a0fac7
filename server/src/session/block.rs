//! A transaction block: BEGIN ... COMMIT, or the statements of one simple query.

use super::transaction::Transaction;
use crate::engine::Engine;
use crate::error::{Result, SqlError, SqlState};
use std::sync::Arc;

/// An open block.
pub struct Block {
    /// The statements of one simple query, without BEGIN.
    pub implicit: bool,
    /// A statement failed: everything but its end is refused.
    pub failed: bool,
    /// READ ONLY.
    pub read_only: bool,
    /// Begun by the first statement that needs it; gone when the block failed.
    transaction: Option<Transaction>,
    engine: Arc<Engine>,
}

impl Block {
    /// A new block; its snapshot is taken by the first statement that needs one.
    pub fn new(engine: Arc<Engine>, implicit: bool, read_only: bool) -> Self {
        Self { implicit, failed: false, read_only, transaction: None, engine }
    }
    /// Whether a statement has been run in it.
    pub fn has_begun(&self) -> bool {
        self.transaction.is_some()
    }
    /// The transaction.
    pub fn transaction(&mut self) -> Result<&mut Transaction> {
        if self.failed {
            return Err(in_failed_block());
        }
        if self.transaction.is_none() {
            self.transaction = Some(Transaction::begin(self.engine.clone())?);
        }
        self.transaction.as_mut().ok_or_else(|| SqlError::internal("a transaction vanished"))
    }
    /// A statement failed: what was done is given up at once.
    pub fn fail(&mut self) {
        self.failed = true;
        self.transaction = None;
    }
    /// What is to be committed; `None` if it failed, or if there is nothing to do.
    pub fn into_transaction(self) -> Option<Transaction> {
        self.transaction.filter(|_| !self.failed)
    }
}

/// 25P02.
pub fn in_failed_block() -> SqlError {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    SqlError::new(SqlState::IN_FAILED_SQL_TRANSACTION, message)
}

/// 25006.
pub fn read_only(command: &str) -> SqlError {
    SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, format!("cannot execute {command} in a read-only transaction"))
}
