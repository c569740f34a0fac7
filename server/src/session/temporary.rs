//! The end of temporary relations: with the session, with DISCARD TEMP, and at the start of a server for those that a crash has left.

use super::Session;
use super::transaction::{Transaction, conflict_is_retryable};
use crate::catalog::temporary::{is_temporary, number};
use crate::engine::Engine;
use crate::error::Result;
use std::sync::Arc;

/// How often dropping is tried when it loses races.
const TRIES_MAX: usize = 8;

/// Drops what sessions of before have left. What cannot be dropped (the disk may be full) stays, and no new session gets its schema.
pub async fn drop_leftovers(engine: &Arc<Engine>) -> Result<()> {
    let catalog = engine.catalog(&engine.placement.state())?;
    let last = catalog.schemas.keys().filter_map(|schema| number(schema)).max();
    engine.number_sessions_after(last.unwrap_or(0));
    if let Err(error) = drop_schemas(engine, is_temporary).await {
        tracing::warn!(%error, "temporary tables that a crash has left could not be dropped; the next start tries again");
    }
    Ok(())
}

/// Drops a session's own relations: within its block, or at once.
pub(super) async fn discard(session: &mut Session) -> Result<()> {
    let own = session.temp_schema.clone();
    match &mut session.block {
        Some(block) => {
            drop_within(block.transaction()?, |schema| schema == own);
            Ok(())
        }
        None => drop_schemas(&session.engine, |schema| schema == own).await,
    }
}

/// A session has ended: what it leaves is dropped by somebody else, for it waits no more.
pub(super) fn leave(engine: &Arc<Engine>, own: &str) {
    let left = engine.catalog(&engine.placement.state()).is_ok_and(|catalog| catalog.schemas.contains_key(own));
    let Some(runtime) = tokio::runtime::Handle::try_current().ok().filter(|_| left) else { return };
    let (engine, own) = (engine.clone(), own.to_string());
    runtime.spawn(async move {
        if let Err(error) = drop_schemas(&engine, |schema| schema == own).await {
            tracing::warn!(schema = %own, %error, "temporary tables of a session that has ended could not be dropped; the next start does it");
        }
    });
}

async fn drop_schemas(engine: &Arc<Engine>, doomed: impl Fn(&str) -> bool) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut transaction = Transaction::begin(engine.clone())?;
        drop_within(&mut transaction, &doomed);
        match transaction.commit().await {
            Err(error) if conflict_is_retryable(&error) && tries < TRIES_MAX => {}
            committed => return committed,
        }
    }
}

/// Nothing that stays can depend on what is temporary.
fn drop_within(transaction: &mut Transaction, doomed: impl Fn(&str) -> bool) {
    let catalog = transaction.view().catalog;
    for found in catalog.all().filter(|found| doomed(found.schema)) {
        transaction.drop_relation(found.schema, found.name);
    }
    for schema in catalog.schemas.keys().filter(|schema| doomed(schema)) {
        transaction.drop_schema(schema);
    }
}

#[cfg(test)]
mod tests;
