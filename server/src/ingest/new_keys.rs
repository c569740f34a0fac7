//! New keys beside those of other transactions: whoever has one, or may have it soon, is waited for.
//!
//! 1. The keys are looked for among the rows. One that is there is a violation (23505), unless another transaction is deleting its row, or
//!    changing its key: that one is waited for, and then it is looked again. Nothing is locked before that: the other may insert the same key.
//! 2. The keys are locked: another who has inserted one of them is waited for.
//! 3. If others have committed such keys since step 1, it all begins anew, now with the keys in hand.
//!
//! Rows are looked for in the statement's own snapshot, and in the newest state where that may show others. Where keys decide which rows come
//! (ON CONFLICT) the statement is run again instead.

use super::Target;
use super::unique::KeyChecks;
use crate::engine::Engine;
use crate::engine::locks::RowStrength;
use crate::error::{Result, SqlError, SqlState};
use crate::session::transaction::Transaction;
use crate::view::View;
use placement::KeyFingerprints;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked again: each time somebody else has got on.
const LOOKS_MAX: usize = 10_000;

/// The keys that a statement inserts into a table.
pub(super) struct Claim<'a> {
    pub engine: &'a Arc<Engine>,
    pub target: &'a Target,
    pub keys: Arc<KeyChecks>,
    pub lock_timeout: Option<Duration>,
}

impl Claim<'_> {
    /// Locks the keys, and makes sure that no row has them; what the log knows them by (`None`: too many). `chosen_by_keys`: the rows were chosen
    /// by what the snapshot shows.
    pub async fn make(&self, transaction: &mut Transaction, chosen_by_keys: bool) -> Result<Option<Vec<u64>>> {
        let listed = self.keys.fingerprints();
        let keys = KeyFingerprints { all: listed.is_none(), inserted: listed.clone().unwrap_or_default() };
        match chosen_by_keys {
            true => self.hold_to_snapshot(transaction, &keys).await?,
            false => self.follow(transaction, &keys).await?,
        }
        Ok(listed)
    }

    /// The rows stay the same, whatever others do.
    async fn follow(&self, transaction: &mut Transaction, keys: &KeyFingerprints) -> Result<()> {
        let table = self.target.oid();
        let mut newest = transaction.keys_came(table, keys, transaction.read_at());
        for _ in 0..LOOKS_MAX {
            let view = if newest { transaction.view_of_newest()? } else { transaction.view() };
            let looked_at = view.snapshot.state.index;
            if let Err(error) = self.look(&view).await {
                if newest && (error.state != SqlState::UNIQUE_VIOLATION || !self.wait_for_deleters(transaction, &view).await?) {
                    return Err(error);
                }
                newest = true;
                continue;
            }
            for keys in self.keys.locks() {
                transaction.take_keys(table, keys, self.lock_timeout).await?;
            }
            if !transaction.keys_came(table, keys, looked_at) {
                return Ok(());
            }
            newest = true;
        }
        Err(transaction.lose())
    }

    /// What has come meanwhile calls for other rows.
    async fn hold_to_snapshot(&self, transaction: &mut Transaction, keys: &KeyFingerprints) -> Result<()> {
        for keys in self.keys.locks() {
            transaction.lock_keys(self.target.oid(), keys, self.lock_timeout).await?;
        }
        transaction.lose_to_keys(self.target.oid(), keys)?;
        let view = transaction.view();
        match self.look(&view).await {
            Err(error) if error.state == SqlState::UNIQUE_VIOLATION && self.wait_for_deleters(transaction, &view).await? => {
                Err(transaction.lose())
            }
            looked => looked,
        }
    }

    async fn look(&self, view: &View) -> Result<(), SqlError> {
        self.keys.check_against(self.engine, self.target, view.units(self.target.oid())).await
    }

    /// Waits for those who are deleting rows with the keys, or giving them others; false, and nobody is waited for, if some are there to stay.
    async fn wait_for_deleters(&self, transaction: &mut Transaction, view: &View) -> Result<bool> {
        if !transaction.others_hold(self.target.oid(), RowStrength::Stay) {
            return Ok(false);
        }
        let rows = self.keys.rows_with_keys(self.engine, self.target, view.units(self.target.oid())).await?;
        if rows.is_empty() || transaction.leaving(&rows) != rows {
            return Ok(false);
        }
        transaction.wait_until_settled(rows, self.lock_timeout).await.map(|()| true)
    }
}
