//! A transaction block: BEGIN ... COMMIT, or the statements of one simple query.

use super::sequences::Moved;
use super::settings::Settings;
use super::transaction::{Savepoint, Transaction};
use crate::catalog::Relation;
use crate::engine::Engine;
use crate::engine::locks::Mark as LockMark;
use crate::error::{Result, SqlError, SqlState};
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// Savepoints in one block, at most.
const SAVEPOINTS_MAX: usize = 65_536;

/// An open block.
pub struct Block {
    /// The statements of one simple query, without BEGIN.
    pub implicit: bool,
    /// A statement failed: everything but its end is refused.
    pub failed: bool,
    /// READ ONLY.
    pub read_only: bool,
    /// When it began: what now() says in it.
    pub started: DateTime<Utc>,
    /// READ COMMITTED: each statement reads what was committed before it began.
    pub read_committed: bool,
    /// Begun by the first statement that needs it; gone when the block failed and there is no savepoint to go back to.
    transaction: Option<Transaction>,
    savepoints: Vec<Mark>,
    engine: Arc<Engine>,
}

/// A savepoint by its name.
struct Mark {
    name: String,
    /// What the transaction had done; `None` if it had not begun.
    savepoint: Option<Savepoint>,
    /// What it had locked.
    locks: LockMark,
    settings: Settings,
    read_only: bool,
    /// Cursors that the session had declared.
    cursors: u64,
}

impl Block {
    /// A new block; its snapshot is taken by the first statement that needs one.
    pub fn new(engine: Arc<Engine>, implicit: bool, settings: &Settings) -> Self {
        let read_only = settings.is_on("default_transaction_read_only");
        let read_committed = is_read_committed(settings.get("default_transaction_isolation"));
        let started = Utc::now();
        Self { implicit, failed: false, read_only, started, read_committed, transaction: None, savepoints: Vec::new(), engine }
    }
    /// Whether a statement has been run in it.
    pub fn has_begun(&self) -> bool {
        self.transaction.is_some()
    }
    /// Whether it has savepoints.
    pub fn has_savepoints(&self) -> bool {
        !self.savepoints.is_empty()
    }
    /// The transaction, at the snapshot that the next statement reads.
    pub fn transaction(&mut self) -> Result<&mut Transaction> {
        if self.failed {
            return Err(in_failed_block());
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.set_read_committed(self.read_committed);
        }
        match &mut self.transaction {
            Some(transaction) if self.read_committed => transaction.refresh()?,
            Some(_) => {}
            None => self.transaction.insert(Transaction::begin(self.engine.clone())?).set_read_committed(self.read_committed),
        }
        self.transaction.as_mut().ok_or_else(|| SqlError::internal("a transaction vanished"))
    }
    /// A statement failed: what was done is given up at once, unless a savepoint may want some of it back.
    pub fn fail(&mut self) {
        self.failed = true;
        if self.savepoints.is_empty() {
            self.transaction = None;
        }
    }
    /// What is to be committed; `None` if it failed, or if there is nothing to do.
    pub fn into_transaction(self) -> Option<Transaction> {
        self.transaction.filter(|_| !self.failed)
    }

    /// Takes over where `setval` moved sequences that the transaction has created or changed.
    pub fn move_sequences(&mut self, moved: &[Moved]) {
        let Some(transaction) = self.transaction.as_mut().filter(|_| !self.failed) else { return };
        for Moved { place: (schema, name), definition } in moved {
            transaction.put_relation(schema, name, Relation::Sequence(definition.clone()));
        }
    }

    /// SAVEPOINT.
    pub fn set_savepoint(&mut self, name: &str, settings: &Settings, cursors: u64) -> Result<()> {
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            let message = format!("a transaction can have at most {SAVEPOINTS_MAX} savepoints");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).with_hint("Use RELEASE SAVEPOINT."));
        }
        let savepoint = self.transaction.as_ref().map(Transaction::savepoint);
        let locks = self.transaction.as_ref().map_or(LockMark::START, |transaction| transaction.locks().mark());
        let (settings, read_only) = (settings.clone(), self.read_only);
        self.savepoints.push(Mark { name: name.to_string(), savepoint, locks, settings, read_only, cursors });
        Ok(())
    }

    /// RELEASE SAVEPOINT: forgets it and those after it.
    pub fn release_savepoint(&mut self, name: &str) -> Result<()> {
        let place = self.place_of(name)?;
        self.savepoints.truncate(place);
        if let Some(transaction) = &self.transaction {
            transaction.locks().forget_marks_after(self.savepoints.last().map(|mark| mark.locks));
        }
        Ok(())
    }

    /// ROLLBACK TO SAVEPOINT: undoes what came after it, and forgets the savepoints after it; the settings to go back to, and how many
    /// cursors had been declared.
    pub fn roll_back_to(&mut self, name: &str) -> Result<(Settings, u64)> {
        let place = self.place_of(name)?;
        self.savepoints.truncate(place + 1);
        let mark = &self.savepoints[place];
        if let Some(transaction) = &mut self.transaction {
            match &mark.savepoint {
                Some(savepoint) => transaction.roll_back_to(savepoint),
                None => transaction.undo_all(),
            }
            transaction.locks().release_after(mark.locks);
        }
        self.failed = false;
        self.read_only = mark.read_only;
        Ok((mark.settings.clone(), mark.cursors))
    }

    fn place_of(&self, name: &str) -> Result<usize> {
        let place = self.savepoints.iter().rposition(|mark| mark.name == name);
        place.ok_or_else(|| SqlError::new(SqlState::INVALID_SAVEPOINT, format!("savepoint \"{name}\" does not exist")))
    }
}

/// Whether each statement of a level has a snapshot of its own.
pub fn is_read_committed(level: &str) -> bool {
    matches!(level, "read committed" | "read uncommitted")
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
