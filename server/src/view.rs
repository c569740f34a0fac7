//! What a statement sees: one placement snapshot, and over it what its own transaction has done and not yet committed.

use crate::catalog::Catalog;
use crate::catalog::TableDefinition;
use placement::State;
use std::sync::Arc;

/// A frozen view; cheap to clone. While any clone lives, no segment that it names is removed.
#[derive(Clone, Debug)]
pub struct View {
    /// The snapshot.
    pub snapshot: Arc<PinnedState>,
    /// The catalog at the snapshot, with the transaction's own DDL applied.
    pub catalog: Arc<Catalog>,
    /// The transaction's own changes of rows, by table OID.
    pub changes: Arc<std::collections::BTreeMap<u32, TableChanges>>,
}

/// A state that the sweep knows to be in use: created by [`crate::engine::Engine::pin`], forgotten when dropped.
#[derive(Debug)]
pub struct PinnedState {
    /// The state.
    pub state: Arc<State>,
}

/// What a transaction has done to the rows of one table.
#[derive(Clone, Debug, Default)]
pub struct TableChanges {
    /// The units of the snapshot are gone (TRUNCATE, or the table is new).
    pub truncated: bool,
    /// Units that the transaction wrote, their own deletes included.
    pub added: Vec<storage::Unit>,
    /// Rows of the snapshot's units that it deleted.
    pub deleted: std::collections::BTreeMap<storage::SegmentId, storage::Deletes>,
}

/// A table as a statement sees it.
#[derive(Clone, Debug)]
pub struct TableView {
    /// Its schema's name.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub definition: Arc<TableDefinition>,
    /// Its rows.
    pub units: Arc<Vec<storage::Unit>>,
}

impl View {
    /// The table's rows as this view sees them.
    pub fn table(&self, _schema: &str, _name: &str) -> Option<TableView> {
        todo!()
    }
}
