//! SAVEPOINT, RELEASE and ROLLBACK TO.

use super::block::Block;
use super::{Outcome, Session};
use crate::error::{Result, SqlError, SqlState};

/// SAVEPOINT.
pub(super) fn set(session: &mut Session, name: &str) -> Result<Outcome> {
    let (settings, cursors) = (session.settings.clone(), session.cursors.declared());
    block(session, "SAVEPOINT")?.set_savepoint(name, &settings, cursors)?;
    Ok(Outcome::Done("SAVEPOINT".into()))
}

/// RELEASE SAVEPOINT.
pub(super) fn release(session: &mut Session, name: &str) -> Result<Outcome> {
    block(session, "RELEASE SAVEPOINT")?.release_savepoint(name)?;
    Ok(Outcome::Done("RELEASE".into()))
}

/// ROLLBACK TO SAVEPOINT: also what ends the failure of a block.
pub(super) fn roll_back_to(session: &mut Session, name: &str) -> Result<Outcome> {
    let (settings, cursors) = block(session, "ROLLBACK TO SAVEPOINT")?.roll_back_to(name)?;
    session.settings.roll_back_to(&settings);
    session.cursors.close_after(cursors);
    Ok(Outcome::Done("ROLLBACK".into()))
}

fn block<'a>(session: &'a mut Session, command: &str) -> Result<&'a mut Block> {
    let message = format!("{command} can only be used in transaction blocks");
    let block = session.block.as_mut().filter(|block| !block.implicit);
    block.ok_or_else(|| SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message))
}
