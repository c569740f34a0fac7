//! The references of rows that come.

use super::key_set::KeySet;
use super::link::Link;
use super::queue::Event;
use super::side::KeyHash;
use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::Result;
use crate::ingest::{KeysChanged, Target};
use arrow::array::{ArrayRef, RecordBatch};
use std::sync::Arc;

/// The foreign keys of a table that a statement may break, each with the references that it makes.
#[derive(Default)]
pub struct NewKeys {
    links: Vec<(Arc<Link>, KeySet)>,
}

impl NewKeys {
    /// Of the foreign keys whose columns change.
    pub fn of(engine: &Engine, catalog: &Catalog, target: &Target, changed: KeysChanged<'_>) -> Result<Self> {
        let mut links = Vec::new();
        for key in target.definition.foreign_keys().filter(|key| !key.unchecked) {
            let link = Link::from_child(catalog, target, key)?;
            let may_break = match changed {
                KeysChanged::All => true,
                KeysChanged::Columns(columns) => link.references.positions.iter().any(|column| columns.contains(column)),
            };
            if may_break {
                let keys = KeySet::new(engine, &link.references, &link)?;
                links.push((link, keys));
            }
        }
        Ok(Self { links })
    }

    /// Takes new rows in the target's form; 23503 for a key of MATCH FULL that is NULL in part.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        for (link, keys) in &mut self.links {
            let arrays: Vec<ArrayRef> = link.references.positions.iter().map(|position| batch.column(*position).clone()).collect();
            let hashes = keys.hashes(&link.references, &arrays)?;
            if link.key.is_full && hashes.contains(&KeyHash::Mixed) {
                return Err(link.mixed());
            }
            keys.add(&arrays, &[], &hashes, |_| true)?;
        }
        Ok(())
    }

    /// What is to be checked.
    pub fn events(self) -> Vec<Event> {
        let referring = self.links.into_iter().filter(|(_, keys)| !keys.is_empty());
        referring.map(|(link, keys)| Event::Referred { link, keys: Arc::new(keys) }).collect()
    }
}
