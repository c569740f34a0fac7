//! What exists: schemas, tables, views, sequences; read from a placement snapshot, where each is one object of JSON.
//!
//! Object keys: `schema/<name>` and `relation/<schema>/<name>`, names percent-encoded, so that compare-and-set on the key makes names unique.
//! Table rows are under `TableId(oid)`. Sequence numbers are counters under `sequence/<oid>`.

use crate::error::Result;
use crate::types::SqlType;
use placement::{LogIndex, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::ColumnId;

pub mod provider;

/// All objects at one version of the catalog.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// [`State::objects_version`] that this was read from.
    pub version: LogIndex,
    /// Schemas by name. `public` always exists; `pg_catalog` and `information_schema` are not here.
    pub schemas: BTreeMap<String, Entry<SchemaDefinition>>,
    /// Relations by (schema, name).
    pub relations: BTreeMap<(String, String), Entry<Relation>>,
}

/// A definition, and the version that compare-and-set expects (`None`: new in this transaction, or built in).
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// Version in the log.
    pub version: Option<LogIndex>,
    /// The definition.
    pub definition: Arc<T>,
}

/// A schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SchemaDefinition {
    /// Stable OID.
    pub oid: u32,
}

/// Something that a query can name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// A table.
    Table(TableDefinition),
    /// A view.
    View(ViewDefinition),
    /// A sequence.
    Sequence(SequenceDefinition),
}

/// A table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableDefinition {
    /// Stable OID; also the `TableId` of its rows.
    pub oid: u32,
    /// Columns in order, the dropped ones left out.
    pub columns: Vec<ColumnDefinition>,
    /// The id that the next added column gets.
    pub next_column_id: u32,
    /// PRIMARY KEY, UNIQUE, CHECK.
    pub constraints: Vec<Constraint>,
    /// `CLUSTER BY` columns.
    pub cluster_by: Vec<ColumnId>,
}

/// A column.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// Stable id within the table.
    pub id: ColumnId,
    /// Its name.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT, as SQL text.
    pub default: Option<String>,
    /// GENERATED ... AS IDENTITY.
    pub identity: Option<Identity>,
    /// What rows written before the column was added hold: the text form of a constant; `None` is NULL.
    pub missing: Option<String>,
}

/// `GENERATED ... AS IDENTITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// An explicit value is refused (428C9) unless OVERRIDING SYSTEM VALUE.
    Always,
    /// An explicit value wins.
    ByDefault,
}

/// A table constraint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// UNIQUE or PRIMARY KEY.
    Unique {
        /// Its name, for instance `orders_pkey`.
        name: String,
        /// The columns.
        columns: Vec<ColumnId>,
        /// Whether it is the primary key.
        primary: bool,
    },
    /// CHECK.
    Check {
        /// Its name.
        name: String,
        /// The condition as SQL text.
        expression: String,
    },
}

/// A view.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// Stable OID.
    pub oid: u32,
    /// The query as SQL text, names qualified as written.
    pub query: String,
    /// Names of the columns, with their types.
    pub columns: Vec<(String, SqlType)>,
    /// `search_path` at creation, with which names in the query are resolved.
    pub search_path: Vec<String>,
}

/// A sequence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SequenceDefinition {
    /// Stable OID.
    pub oid: u32,
    /// First value.
    pub start: i64,
    /// Step, not zero.
    pub increment: i64,
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
    /// Whether it starts over at the end.
    pub cycle: bool,
    /// The column it belongs to, with which it is dropped: (table OID, column).
    pub owned_by: Option<(u32, ColumnId)>,
}

impl Catalog {
    /// Reads all objects of a state. An object that cannot be read is XX001.
    pub fn from_state(_state: &State) -> Result<Self> {
        todo!()
    }
}
