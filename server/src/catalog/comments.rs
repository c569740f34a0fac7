//! COMMENT ON: texts beside the objects that they are about, one object of the log for each OID.

use super::Catalog;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use storage::ColumnId;

/// What was said of one object and its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comments {
    /// Of the object itself.
    pub object: Option<String>,
    /// Of its columns: a table's by their ids, a view's by their places, from 1.
    #[serde(default)]
    pub columns: BTreeMap<u32, String>,
    /// Of a table's constraints and indexes, by name.
    #[serde(default)]
    pub constraints: BTreeMap<String, String>,
}

impl Comments {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Catalog {
    /// The comment on a relation, a schema or the database.
    pub fn comment(&self, oid: u32) -> Option<&str> {
        self.comments.get(&oid)?.definition.object.as_deref()
    }
    /// The comment on a column of a table (its id), or of a view (its place, from 1).
    pub fn column_comment(&self, oid: u32, column: ColumnId) -> Option<&str> {
        self.comments.get(&oid)?.definition.columns.get(&column.0).map(String::as_str)
    }
    /// The comment on a constraint or an index of a table.
    pub fn constraint_comment(&self, oid: u32, name: &str) -> Option<&str> {
        self.comments.get(&oid)?.definition.constraints.get(name).map(String::as_str)
    }
}
