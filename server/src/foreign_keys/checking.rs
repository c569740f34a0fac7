//! That references have their keys, and that no reference is left to a key that is gone.
//!
//! A key is locked before it is looked for, and looked for in the newest state, with what the transaction itself has done over it. At REPEATABLE
//! READ what the transaction's own snapshot shows differently is a conflict (40001).
//!
//! Before that the row that has the key is locked too (KEY SHARE): who has locked it FOR UPDATE keeps references out. Rows that refer to a key which is
//! to go, and are being deleted by others, are waited for.

use super::key_set::KeySet;
use super::link::Link;
use super::lookup::{places, present};
use super::side::Side;
use crate::engine::locks::{KeyMode, RowStrength};
use crate::error::{Result, SqlError, SqlState};
use crate::session::transaction::Transaction;
use crate::view::View;
use placement::TableId;
use std::collections::HashSet;
use std::sync::Arc;

/// How often it is looked again, each time after a wait.
const LOOKS_MAX: usize = 1_000;

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
    let (found, looked_at) = lock_referenced(transaction, link, keys).await?;
    transaction.lock_references(link.space, KeyMode::Shared, keys.fingerprints()).await?;
    let parent = link.parent.oid();
    let of = |view: View| looked_for(transaction, view, parent, &link.keys, keys);
    let view = transaction.newest_view();
    let present = if same_rows(&view, &looked_at, parent) { found } else { of(view).await? };
    let newest = &keys.all() - &present;
    if transaction.is_read_committed() {
        return Ok(newest);
    }
    let seen = &keys.all() - &of(transaction.view()).await?;
    match newest.is_subset(&seen) {
        true => Ok(seen),
        false => Err(changed_meanwhile()),
    }
}

/// Locks the rows that have the keys, and waits for those who keep them from being referred to; which keys were there, and when.
async fn lock_referenced(transaction: &mut Transaction, link: &Link, keys: &Arc<KeySet>) -> Result<(HashSet<u128>, View)> {
    let parent = link.parent.oid();
    let mut looks = 0;
    loop {
        looks += 1;
        let view = transaction.newest_view();
        let of_parent = (parent, view.units(parent));
        let found = places(transaction.engine(), keys.clone(), &link.keys, of_parent, (keys.all(), false)).await?;
        if !transaction.share_keys(found.rows).await? || looks == LOOKS_MAX {
            return Ok((found.keys, view));
        }
    }
}

/// Whether two views show the same rows of a table.
fn same_rows(one: &View, other: &View, table: u32) -> bool {
    let version = |view: &View| view.snapshot.state.tables.get(&TableId(u64::from(table))).map(|table| table.version);
    version(one) == version(other)
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
    let newest = left_referring(transaction, link, keys, &gone).await?;
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

/// The keys that are gone and that rows refer to: who deletes all of these rows is waited for.
async fn left_referring(transaction: &mut Transaction, link: &Link, keys: &Arc<KeySet>, gone: &HashSet<u128>) -> Result<HashSet<u128>> {
    let child = link.child.oid();
    let mut looks = 0;
    loop {
        looks += 1;
        let view = transaction.newest_view();
        let left = &looked_for(transaction, view.clone(), child, &link.references, keys).await? & gone;
        if left.is_empty() || looks == LOOKS_MAX || !transaction.others_hold(child, RowStrength::KeyShare) {
            return Ok(left);
        }
        let of_child = (child, view.units(child));
        let found = places(transaction.engine(), keys.clone(), &link.references, of_child, (left.clone(), true)).await?;
        if transaction.leaving(&found.rows) != found.rows {
            return Ok(left);
        }
        transaction.wait_for_leaving(found.rows).await?;
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
