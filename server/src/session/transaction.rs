//! A transaction: the snapshot it reads, what it has done on top, and the one command that it becomes.
//!
//! 1. The first statement pins a snapshot. All statements of a block read that snapshot, with the transaction's own changes on top.
//! 2. DDL changes the catalog overlay; DML stages segments and inlined rows, and collects ids of deleted rows.
//! 3. COMMIT turns the overlay into one `placement::Commit` and proposes it. The log answers: committed, or a conflict (40001).
//! 4. Dropping a transaction rolls it back: staged files are no longer held, and the sweep takes them.

use crate::catalog::{Relation, SchemaDefinition};
use crate::engine::Engine;
use crate::error::Result;
use crate::view::View;
use std::sync::Arc;
use storage::{Deletes, SegmentId};

/// An open transaction.
pub struct Transaction {}

impl Transaction {
    /// Begins: pins the newest snapshot.
    pub fn begin(_engine: Arc<Engine>) -> Result<Self> {
        todo!()
    }
    /// What the next statement sees: the snapshot and everything done up to now. Frozen: later changes do not show in it.
    pub fn view(&self) -> View {
        todo!()
    }
    /// Whether a commit would change anything.
    pub fn is_read_only(&self) -> bool {
        todo!()
    }
    /// Creates a schema, or replaces its definition. The caller has checked names and dependencies against [`Transaction::view`].
    pub fn put_schema(&mut self, _name: &str, _definition: SchemaDefinition) {
        todo!()
    }
    /// Drops a schema.
    pub fn drop_schema(&mut self, _name: &str) {
        todo!()
    }
    /// Creates a relation, or replaces its definition.
    pub fn put_relation(&mut self, _schema: &str, _name: &str, _relation: Relation) {
        todo!()
    }
    /// Drops a relation with its rows (a table) or its counter (a sequence).
    pub fn drop_relation(&mut self, _schema: &str, _name: &str) {
        todo!()
    }
    /// Gives a relation another name or schema; rows and OID stay.
    pub fn rename_relation(&mut self, _from: (&str, &str), _to: (&str, &str)) {
        todo!()
    }
    /// Removes all rows of a table.
    pub fn truncate(&mut self, _table_oid: u32) {
        todo!()
    }
    /// Adds rows that a writer has staged.
    pub fn add_rows(&mut self, _table_oid: u32, _written: storage::WrittenRows) -> Result<()> {
        todo!()
    }
    /// Deletes rows of a unit, the snapshot's or the transaction's own; answers how many were not deleted before.
    pub fn delete_rows(&mut self, _table_oid: u32, _unit: SegmentId, _rows: Deletes) -> Result<u64> {
        todo!()
    }
    /// Says that the transaction depends on a relation's definition staying as it is (every table that it writes).
    pub fn depends_on(&mut self, _schema: &str, _name: &str) {
        todo!()
    }
    /// Says which unique keys were inserted (fingerprints), or `None` for too many to list.
    pub fn inserted_keys(&mut self, _table_oid: u32, _fingerprints: Option<Vec<u64>>) {
        todo!()
    }
    /// Commits; a conflict is 40001. A read-only transaction proposes nothing.
    pub async fn commit(self) -> Result<()> {
        todo!()
    }
}
