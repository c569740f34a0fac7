//! What a transaction owes to deferred constraints: to foreign keys the references that it made, and the keys that it took away; to unique ones
//! the keys that it inserted.
//!
//! Keys are kept as they came, each statement's once, joined like a binary counter. Beyond [`KEYS_MAX`] of one foreign key they are forgotten,
//! and the whole table is looked at in the end.

use super::checking::{looked_for, missing_references};
use super::key_set::KeySet;
use super::link::Link;
use super::whole;
use crate::engine::locks::KeyMode;
use crate::error::Result;
use crate::ingest::unique::OwedKeys;
use crate::session::transaction::Transaction;
use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Keys that are remembered of one foreign key, at most.
const KEYS_MAX: usize = 1 << 16;

/// What is owed, by foreign key: OID of the table, name.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    owed: BTreeMap<(u32, String), Owed>,
    /// The same of unique constraints.
    keys: BTreeMap<(u32, String), OwedKeys>,
    /// What SET CONSTRAINTS has said.
    pub modes: Modes,
}

/// What is owed to one foreign key.
#[derive(Clone, Debug, Default)]
pub struct Owed {
    /// Values of the referring columns.
    pub referred: Keys,
    /// Values of the referenced columns.
    pub gone: Keys,
}

/// Keys in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    batches: Vec<Vec<ArrayRef>>,
    count: usize,
    too_many: bool,
}

/// When a foreign key is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// At COMMIT.
    Deferred,
    /// With each statement.
    Immediate,
}

/// What SET CONSTRAINTS has said of all deferrable foreign keys, and of some.
#[derive(Clone, Debug, Default)]
pub struct Modes {
    all: Option<Mode>,
    by_key: BTreeMap<(u32, String), Mode>,
}

impl Modes {
    /// Whether a foreign key is deferred, if anything was said of it.
    pub fn of(&self, id: &(u32, String)) -> Option<bool> {
        self.by_key.get(id).copied().or(self.all).map(|mode| mode == Mode::Deferred)
    }

    /// Sets it for some, or for all.
    pub fn set(&mut self, of: Option<&[(u32, String)]>, mode: Mode) {
        match of {
            None => *self = Self { all: Some(mode), by_key: BTreeMap::new() },
            Some(ids) => self.by_key.extend(ids.iter().map(|id| (id.clone(), mode))),
        }
    }
}

impl Pending {
    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.keys.is_empty()
    }

    /// What is owed to a foreign key.
    pub fn owed(&mut self, id: (u32, String)) -> &mut Owed {
        self.owed.entry(id).or_default()
    }

    /// Adds what is owed to a unique constraint.
    pub fn owe_keys(&mut self, keys: OwedKeys) {
        match self.keys.entry(keys.id()) {
            Entry::Vacant(place) => drop(place.insert(keys)),
            Entry::Occupied(mut known) => known.get_mut().join(keys),
        }
    }

    /// Takes out what is owed to some unique constraints.
    pub fn take_keys(&mut self, wanted: impl Fn(&(u32, String)) -> bool) -> BTreeMap<(u32, String), OwedKeys> {
        let (taken, kept) = std::mem::take(&mut self.keys).into_iter().partition(|(id, _)| wanted(id));
        self.keys = kept;
        taken
    }

    /// Takes out what is owed to some.
    pub fn take(&mut self, wanted: impl Fn(&(u32, String)) -> bool) -> BTreeMap<(u32, String), Owed> {
        let (taken, kept) = std::mem::take(&mut self.owed).into_iter().partition(|(id, _)| wanted(id));
        self.owed = kept;
        taken
    }
}

impl Keys {
    /// Takes the first columns of a set.
    pub fn add(&mut self, keys: &KeySet, columns: usize) -> Result<()> {
        self.count += keys.len();
        if self.too_many || self.count > KEYS_MAX {
            (self.too_many, self.batches) = (true, Vec::new());
            return Ok(());
        }
        for batch in keys.batches() {
            self.push(batch[..columns].to_vec())?;
        }
        Ok(())
    }

    fn push(&mut self, mut batch: Vec<ArrayRef>) -> Result<()> {
        let rows = |batch: &[ArrayRef]| batch.first().map_or(0, |array| array.len());
        while let Some(last) = self.batches.pop_if(|last| rows(last) <= rows(&batch)) {
            let joined = last.iter().zip(&batch).map(|(before, after)| concat(&[before.as_ref(), after.as_ref()]));
            batch = joined.collect::<Result<_, _>>()?;
        }
        self.batches.push(batch);
        Ok(())
    }
}

/// Checks what is owed to a foreign key.
pub async fn check(transaction: &mut Transaction, link: &Arc<Link>, owed: Owed) -> Result<()> {
    if owed.referred.too_many || owed.gone.too_many {
        let mode = if owed.gone.too_many { KeyMode::Exclusive } else { KeyMode::Shared };
        transaction.lock_space(link.space, mode, None).await?;
        return whole::check_link(transaction.engine(), &transaction.newest_view(), link).await;
    }
    let mut referred = KeySet::new(transaction.engine(), &link.references, link)?;
    owed.referred.batches.iter().try_for_each(|batch| referred.add_all(batch))?;
    check_referred(transaction, link, Arc::new(referred)).await?;
    let mut gone = KeySet::new(transaction.engine(), &link.keys, link)?;
    owed.gone.batches.iter().try_for_each(|batch| gone.add_all(batch))?;
    match gone.is_empty() {
        true => Ok(()),
        false => super::checking::gone(transaction, link, Arc::new(gone)).await,
    }
}

/// References of rows that are still there need their keys.
async fn check_referred(transaction: &mut Transaction, link: &Link, keys: Arc<KeySet>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let missing = missing_references(transaction, link, &keys).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let still = looked_for(transaction, transaction.view(), link.child.oid(), &link.references, &keys).await?;
    match keys.first(&(&missing & &still)) {
        Some((arrays, row)) => Err(link.not_present(arrays, row)),
        None => Ok(()),
    }
}
