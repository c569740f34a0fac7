//! That references have their keys, and that no reference is left to a key that is gone.
//!
//! A key is locked before it is looked for, and looked for in the newest state, with what the transaction itself has done over it. At REPEATABLE
//! READ what the transaction's own snapshot shows differently is a conflict (40001).

use super::key_set::KeySet;
use super::link::Link;
use super::lookup::present;
use super::side::Side;
use crate::engine::locks::KeyMode;
use crate::error::{Result, SqlError, SqlState};
use crate::session::transaction::Transaction;
use crate::view::View;
use std::collections::HashSet;
use std::sync::Arc;

/// 23503 unless every key that is referred to is there.
pub async fn referred(transaction: &mut Transaction, link: &Link, keys: Arc<KeySet>) -> Result<()> {
    let missing = missing_references(transaction, link, &keys).await?;
    match keys.first(&missing) {
        Some((arrays, row)) => Err(link.not_present(arrays, row)),
        None => Ok(()),
    }
}

/// The references whose keys are not there.
pub async fn missing_references(transaction: &mut Transaction, link: &Link, keys: &Arc<KeySet>) -> Result<HashSet<u128>> {
    transaction.lock_references(link.space, KeyMode::Shared, keys.fingerprints()).await?;
    let parent = link.parent.oid();
    let of = |view: View| looked_for(transaction, view, parent, &link.keys, keys);
    let newest = &keys.all() - &of(transaction.newest_view()).await?;
    if transaction.is_read_committed() {
        return Ok(newest);
    }
    let seen = &keys.all() - &of(transaction.view()).await?;
    match newest.is_subset(&seen) {
        true => Ok(seen),
        false => Err(changed_meanwhile()),
    }
}

/// 23503 if anything refers to keys that are gone, unless they are there again.
pub async fn gone(transaction: &mut Transaction, link: &Link, keys: Arc<KeySet>) -> Result<()> {
    let again = looked_for(transaction, transaction.view(), link.parent.oid(), &link.keys, &keys).await?;
    let left = &keys.all() - &again;
    if left.is_empty() {
        return Ok(());
    }
    refuse_references(transaction, link, &keys, left).await
}

/// 23503 if anything refers to keys that were taken away, whether they are there again or not.
pub async fn unreferenced(transaction: &mut Transaction, link: &Link, keys: Arc<KeySet>) -> Result<()> {
    let all = keys.all();
    refuse_references(transaction, link, &keys, all).await
}

async fn refuse_references(transaction: &mut Transaction, link: &Link, keys: &Arc<KeySet>, gone: HashSet<u128>) -> Result<()> {
    transaction.lock_references(link.space, KeyMode::Exclusive, keys.fingerprints()).await?;
    let child = link.child.oid();
    let newest = &looked_for(transaction, transaction.newest_view(), child, &link.references, keys).await? & &gone;
    if !transaction.is_read_committed() && !newest.is_empty() {
        let seen = looked_for(transaction, transaction.view(), child, &link.references, keys).await?;
        if seen.is_disjoint(&gone) {
            return Err(changed_meanwhile());
        }
    }
    match keys.first(&newest) {
        Some((arrays, row)) => Err(link.still_referenced(arrays, row)),
        None => Ok(()),
    }
}

/// Which of the keys a view shows in the columns of a table.
pub async fn looked_for(transaction: &Transaction, view: View, table: u32, side: &Arc<Side>, keys: &Arc<KeySet>) -> Result<HashSet<u128>> {
    present(transaction.engine(), keys.clone(), side, view.units(table)).await
}

/// 40001: what this transaction's snapshot shows is not so any more.
pub fn changed_meanwhile() -> SqlError {
    SqlError::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")
}
