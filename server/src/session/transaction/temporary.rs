//! ON COMMIT of temporary tables. A table that COMMIT drops, and rows that COMMIT deletes, are never in the log.

use super::{Transaction, forget_staged};
use crate::catalog::{Catalog, OnCommit, Relation};
use std::sync::Arc;

impl Transaction {
    /// What COMMIT does before it commits.
    pub(super) fn end_temporary(&mut self) {
        if !Arc::ptr_eq(&self.base, &self.catalog) {
            for (schema, name) in doomed(&self.catalog) {
                self.drop_relation(&schema, &name);
            }
        }
        let touched: Vec<u32> = self.changes.keys().copied().collect();
        for oid in touched {
            if self.table_definition(oid).is_ok_and(|table| table.on_commit == OnCommit::DeleteRows) {
                self.forget_rows(oid);
            }
        }
    }

    /// As if nothing had been done to the table's rows, of which the log has none.
    fn forget_rows(&mut self, oid: u32) {
        if let Some(changes) = Arc::make_mut(&mut self.changes).remove(&oid) {
            forget_staged(Arc::make_mut(&mut self.staged), &changes.added);
        }
        Arc::make_mut(&mut self.keys).remove(&oid);
    }
}

/// The tables that are dropped, with the sequences and views that go with them.
fn doomed(catalog: &Catalog) -> Vec<(String, String)> {
    let mut doomed = Vec::new();
    let dropped = |relation: &Relation| matches!(relation, Relation::Table(table) if table.on_commit == OnCommit::Drop);
    let mut left: Vec<_> = catalog.all().filter(|found| dropped(found.relation())).collect();
    while let Some(found) = left.pop() {
        let oid = found.relation().oid();
        left.extend(catalog.sequences_of(oid, None).map(|(sequence, _)| sequence));
        left.extend(catalog.views_on(oid, None).map(|(view, _)| view));
        doomed.push((found.schema.to_string(), found.name.to_string()));
    }
    doomed
}
