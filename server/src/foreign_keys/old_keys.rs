//! The keys of rows that go, or whose keys change, as far as foreign keys may refer to them.

use super::key_set::KeySet;
use super::link::Link;
use super::queue::Event;
use crate::catalog::{Catalog, columns};
use crate::engine::Engine;
use crate::engine::aside::{self, Stop};
use crate::error::Result;
use crate::ingest::Target;
use crate::ingest::writer::scan_schema;
use arrow::array::{ArrayRef, RecordBatch};
use std::sync::Arc;
use storage::scan::{ScanMetrics, morsels};
use storage::{ColumnSpec, Scan, ScanRequest, Unit};

/// Rows per batch.
const BATCH_ROWS: usize = 8192;

/// The foreign keys that refer to a table, each with the keys that a statement takes away.
#[derive(Default)]
pub struct OldKeys {
    links: Vec<(Arc<Link>, KeySet)>,
    is_update: bool,
    /// Positions of all columns that are referred to.
    columns: Vec<usize>,
}

impl OldKeys {
    /// For rows that go (`changed` is `None`), or in which some columns change.
    pub fn of(engine: &Engine, catalog: &Catalog, target: &Target, changed: Option<&[usize]>) -> Result<Self> {
        let mut old = Self { is_update: changed.is_some(), ..Self::default() };
        for referring in catalog.referring_to(target.oid()).into_iter().filter(|referring| !referring.key.inactive) {
            let link = Link::of_parent(target, &referring)?;
            let may_change = |position: &usize| changed.is_none_or(|changed| changed.contains(position));
            if link.keys.positions.iter().any(may_change) {
                let keys = KeySet::new(engine, &link.keys, &link)?;
                old.columns.extend(&link.keys.positions);
                old.links.push((link, keys));
            }
        }
        old.columns.sort_unstable();
        old.columns.dedup();
        Ok(old)
    }

    /// Whether no foreign key refers to what the statement takes away.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The columns whose values are wanted of the old rows, by position.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Takes rows that go; `old` are the values of [`Self::columns`].
    pub fn add_deleted(&mut self, old: &[ArrayRef]) -> Result<()> {
        for (link, keys) in &mut self.links {
            let arrays = pick(&self.columns, &link.keys.positions, old);
            let hashes = keys.hashes(&link.keys, &arrays)?;
            keys.add(&arrays, &[], &hashes, |_| true)?;
        }
        Ok(())
    }

    /// Takes all live rows of some units of the table, which go.
    pub async fn with_units(mut self, engine: &Arc<Engine>, target: &Target, units: Arc<Vec<Unit>>) -> Result<Self> {
        if self.is_empty() {
            return Ok(self);
        }
        let all = columns::storage_columns(&target.definition)?;
        let projection: Vec<ColumnSpec> = self.columns.iter().map(|position| all[*position].clone()).collect();
        let store = engine.store.clone();
        let read = move |stop: &Stop| {
            let schema = scan_schema(&projection, false);
            let request = ScanRequest { projection, schema, predicates: Vec::new(), row_ids: false, batch_rows: BATCH_ROWS };
            let (request, metrics) = (Arc::new(request), Arc::new(ScanMetrics::default()));
            for morsel in morsels(&units, &request, usize::MAX, &metrics) {
                for batch in Scan::new(store.clone(), request.clone(), morsel, metrics.clone()) {
                    stop.check()?;
                    self.add_deleted(batch?.columns())?;
                }
            }
            Ok(self)
        };
        aside::run("reading keys", read).await
    }

    /// Takes rows that change; `new` are their new versions in the target's form.
    pub fn add_updated(&mut self, old: &[ArrayRef], new: &RecordBatch) -> Result<()> {
        for (link, keys) in &mut self.links {
            let before = pick(&self.columns, &link.keys.positions, old);
            let after: Vec<ArrayRef> = link.keys.positions.iter().map(|position| new.column(*position).clone()).collect();
            let (hashes, new_hashes) = (keys.hashes(&link.keys, &before)?, keys.hashes(&link.keys, &after)?);
            keys.add(&before, &after, &hashes, |row| hashes[row] != new_hashes[row])?;
        }
        Ok(())
    }

    /// The values of [`Self::columns`] in whole rows.
    pub fn of_rows(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.columns.iter().map(|position| rows.column(*position).clone()).collect()
    }

    /// What follows.
    pub fn events(self) -> Vec<Event> {
        let is_update = self.is_update;
        let gone = self.links.into_iter().filter(|(_, keys)| !keys.is_empty());
        gone.map(|(link, keys)| Event::Gone { link, keys: Arc::new(keys), is_update }).collect()
    }
}

/// Of the values of some columns those of others, which are among them.
fn pick(columns: &[usize], wanted: &[usize], values: &[ArrayRef]) -> Vec<ArrayRef> {
    let place = |position: &usize| columns.iter().position(|column| column == position);
    wanted.iter().filter_map(place).map(|at| values[at].clone()).collect()
}
