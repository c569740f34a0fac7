//! What follows from a statement, in PostgreSQL's order: actions and checks of the rows that it changed, then those of what the actions changed.

use super::key_set::KeySet;
use super::link::Link;
use super::{actions, checking};
use crate::catalog::foreign_key::Action;
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use crate::session::transaction::Transaction;
use std::collections::VecDeque;
use std::sync::Arc;

/// Actions and checks that follow from one statement, at most.
const EVENTS_MAX: usize = 10_000;

/// Something to be done.
pub enum Event {
    /// Rows refer to keys.
    Referred {
        /// By this foreign key.
        link: Arc<Link>,
        /// Values of the referring columns.
        keys: Arc<KeySet>,
    },
    /// Keys are gone.
    Gone {
        /// This foreign key refers to them.
        link: Arc<Link>,
        /// Values of the referenced columns; of an update, with the new ones.
        keys: Arc<KeySet>,
        /// Whether the rows are still there, with other keys.
        is_update: bool,
    },
}

/// Does what follows from a statement, and from that in turn.
pub async fn run(context: &QueryContext, transaction: &mut Transaction, events: Vec<Event>) -> Result<()> {
    let mut queue = VecDeque::from(transaction.due(events));
    let mut done = 0;
    while let Some(event) = queue.pop_front() {
        done += 1;
        if done > EVENTS_MAX {
            let message = format!("foreign keys: more than {EVENTS_MAX} actions follow from one statement");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        match event {
            Event::Gone { link, keys, is_update } if acts(&link, is_update) => {
                queue.extend(Box::pin(actions::act(context, transaction, &link, keys, is_update)).await?);
            }
            event => check(transaction, event).await?,
        }
    }
    Ok(())
}

/// Checks what needs no action: of rows that were only inserted.
pub async fn check_all(transaction: &mut Transaction, events: Vec<Event>) -> Result<()> {
    for event in transaction.due(events) {
        check(transaction, event).await?;
    }
    Ok(())
}

fn acts(link: &Link, is_update: bool) -> bool {
    matches!(action(link, is_update), Action::Cascade | Action::SetNull | Action::SetDefault)
}

/// What is to be done about rows whose key is gone.
pub fn action(link: &Link, is_update: bool) -> Action {
    if is_update { link.key.on_update } else { link.key.on_delete }
}

async fn check(transaction: &mut Transaction, event: Event) -> Result<()> {
    match event {
        Event::Referred { link, keys } if transaction.defers(&link) => transaction.defer_referred(&link, &keys),
        Event::Referred { link, keys } => checking::referred(transaction, &link, keys).await,
        Event::Gone { link, keys, is_update } => match action(&link, is_update) {
            Action::Restrict => checking::unreferenced(transaction, &link, keys).await,
            _ if transaction.defers(&link) => transaction.defer_gone(&link, &keys),
            _ => checking::gone(transaction, &link, keys).await,
        },
    }
}
