//! A foreign key on all rows of its table: of ALTER TABLE, and of a transaction that has changed more keys than it remembers.

use super::key_set::KeySet;
use super::link::Link;
use super::lookup::look;
use super::side::KeyHash;
use crate::engine::Engine;
use crate::engine::aside::{self, Stop};
use crate::error::{Result, SqlError};
use crate::ingest::writer::scan_schema;
use crate::view::View;
use std::sync::Arc;
use storage::scan::{ScanMetrics, morsels};
use storage::{Scan, ScanRequest, Unit};

/// Distinct references that are looked for at a time.
const KEYS_MAX: usize = 1 << 18;
/// Rows per batch.
const BATCH_ROWS: usize = 8192;

/// 23503 unless all rows of a table that a view shows refer to keys that it shows.
pub async fn check(engine: &Arc<Engine>, view: &View, (schema, name): &(String, String), constraint: &str) -> Result<()> {
    let gone = || SqlError::internal("a table vanished");
    let found = view.catalog.get(schema, name).ok_or_else(gone)?;
    let oid = found.relation().oid();
    let referring = view.catalog.foreign_keys().find(|it| it.table.oid == oid && it.key.name == constraint).ok_or_else(gone)?;
    check_link(engine, view, &Link::of(&view.catalog, &referring)?).await
}

/// The same of a foreign key.
pub async fn check_link(engine: &Arc<Engine>, view: &View, link: &Arc<Link>) -> Result<()> {
    let (engine, link) = (engine.clone(), link.clone());
    let (children, parents) = (view.units(link.child.oid()), view.units(link.parent.oid()));
    aside::run("a check of a foreign key", move |stop| check_units((&engine, stop), &link, &children, &parents)).await
}

fn check_units((engine, stop): (&Engine, &Stop), link: &Link, children: &[Unit], parents: &[Unit]) -> Result<()> {
    let side = &link.references;
    let schema = scan_schema(&side.specs, false);
    let request = ScanRequest { projection: side.specs.clone(), schema, predicates: Vec::new(), row_ids: false, batch_rows: BATCH_ROWS };
    let (request, metrics) = (Arc::new(request), Arc::new(ScanMetrics::default()));
    let mut keys = KeySet::new(engine, side, link)?;
    for morsel in morsels(children, &request, usize::MAX, &metrics) {
        for batch in Scan::new(engine.store.clone(), request.clone(), morsel, metrics.clone()) {
            stop.check()?;
            let batch = batch?;
            let hashes = keys.hashes(side, batch.columns())?;
            if link.key.is_full && hashes.contains(&KeyHash::Mixed) {
                return Err(link.mixed());
            }
            keys.add(batch.columns(), &[], &hashes, |_| true)?;
            if keys.len() >= KEYS_MAX {
                check_keys((engine, stop), link, &std::mem::replace(&mut keys, KeySet::new(engine, side, link)?), parents)?;
            }
        }
    }
    check_keys((engine, stop), link, &keys, parents)
}

fn check_keys((engine, stop): (&Engine, &Stop), link: &Link, keys: &KeySet, parents: &[Unit]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let missing = &keys.all() - &look(engine, keys, &link.keys, parents, stop)?;
    match keys.first(&missing) {
        Some((arrays, row)) => Err(link.not_present(arrays, row)),
        None => Ok(()),
    }
}
