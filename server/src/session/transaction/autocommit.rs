//! A statement outside a block: its own transaction, run again on a fresh snapshot when it loses a race.

use super::{Transaction, conflict_is_retryable};
use crate::engine::Engine;
use crate::error::{Result, SqlError, SqlState};
use std::future::Future;
use std::sync::Arc;

/// Attempts before the client is told of the conflict.
const ATTEMPTS_MAX: usize = 16;

/// Runs `statement` in a transaction of its own and commits it.
///
/// After the first lost race, or wait for a row, the statement queues up for the table that it writes (`table`), first come first served; newcomers
/// queue too while anybody waits. So each attempt in the queue meets at most those who were on their way before, and all end; and those who want
/// one row look for it once, when it is theirs. Nobody has a turn while it waits for a lock: who has none can go on.
pub async fn autocommit<T, F, Fut>(engine: &Arc<Engine>, table: impl Fn() -> Option<u32>, mut statement: F) -> Result<T>
where
    F: FnMut(Transaction) -> Fut,
    Fut: Future<Output = Result<(T, Transaction)>>,
{
    let mut contended = engine.writers.any_queue().then(&table).flatten().filter(|table| engine.writers.contended(*table));
    let mut attempt = 1;
    loop {
        let turn = match contended {
            Some(table) => Some(engine.writers.turn(table).await),
            None => None,
        };
        let run = statement(Transaction::begin(engine.clone())?.in_turn(turn)).await;
        let committed = match run {
            Ok((outcome, transaction)) => transaction.commit().await.map(|()| outcome),
            Err(error) if error.state == SqlState::DEADLOCK_DETECTED => Err(error),
            Err(error) => return Err(error),
        };
        match committed {
            Ok(outcome) => return Ok(outcome),
            Err(error) if is_lost_race(&error) && attempt < ATTEMPTS_MAX => {
                tracing::debug!(attempt, %error, "statement is run again");
            }
            Err(error) => return Err(error),
        }
        contended = table();
        attempt += 1;
    }
}

/// Whether the statement can be run again: it holds nothing, so that others are out of its way then.
fn is_lost_race(error: &SqlError) -> bool {
    conflict_is_retryable(error) || error.state == SqlState::DEADLOCK_DETECTED
}
