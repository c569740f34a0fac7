//! What exists: schemas, tables, views, sequences; read from a placement snapshot, where each is one object of JSON.
//!
//! Object keys: `schema/<name>` and `relation/<schema>/<name>`, names percent-encoded, so that compare-and-set on the key makes names unique.
//! Comments are under `comment/<oid>`. Table rows are under `TableId(oid)`. Sequence numbers are counters under `sequence/<oid>`.

use crate::access::acl::ObjectAccess;
use crate::access::role::{self, RoleDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use placement::{LogIndex, Object, ObjectKey, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::ColumnId;

pub mod built_table;
pub mod client_queries;
pub mod columns;
pub mod comments;
pub mod foreign_key;
pub mod information_schema;
pub mod keys;
pub mod lookup;
pub mod names;
pub mod pg_catalog;
pub mod provider;
pub mod system_columns;
pub mod system_views;
pub mod temporary;
pub mod unique_key;

use foreign_key::ForeignKey;
use keys::ObjectName;
use unique_key::KeyOptions;

/// All objects at one version of the catalog.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// [`State::objects_version`] that this was read from.
    pub version: LogIndex,
    /// Schemas by name. `public` always exists; `pg_catalog` and `information_schema` are not here.
    pub schemas: BTreeMap<String, Entry<SchemaDefinition>>,
    /// Relations by (schema, name).
    pub relations: BTreeMap<(String, String), Entry<Relation>>,
    /// Roles by name.
    pub roles: BTreeMap<String, Entry<RoleDefinition>>,
    /// Owner and grants of objects that have other than the built-in ones, by OID.
    pub access: BTreeMap<u32, Entry<ObjectAccess>>,
    /// COMMENT ON, by the OID of what it is about; see [`Catalog::comment`].
    pub comments: BTreeMap<u32, Entry<comments::Comments>>,
    /// Extensions that were created, by name; the one that every database has is not among them.
    pub extensions: BTreeMap<String, Entry<ExtensionDefinition>>,
}

/// An extension that was created. Its functions are the server's, and there without it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExtensionDefinition {
    /// Stable OID.
    pub oid: u32,
    /// The OID of the schema that it was created in.
    pub schema: u32,
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
    /// PRIMARY KEY, UNIQUE, CHECK, FOREIGN KEY.
    pub constraints: Vec<Constraint>,
    /// `CLUSTER BY` columns.
    pub cluster_by: Vec<ColumnId>,
    /// CREATE INDEX.
    #[serde(default)]
    pub indexes: Vec<IndexDefinition>,
    /// ON COMMIT of a temporary table.
    #[serde(default)]
    pub on_commit: OnCommit,
}

/// What COMMIT does to a temporary table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCommit {
    /// Nothing.
    #[default]
    PreserveRows,
    /// Its rows are gone.
    DeleteRows,
    /// It is gone.
    Drop,
}

/// An index that was asked for. A unique one is enforced by a constraint of the same name; the others are kept as definitions only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// Its name, among those of the schema's relations.
    pub name: String,
    /// Whether a constraint of this name enforces it.
    pub unique: bool,
    /// The columns that it names, those of its expressions and condition among them.
    pub columns: Vec<ColumnId>,
    /// What comes after `ON table ` in CREATE INDEX, for instance `USING btree (a DESC)`.
    pub definition: String,
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
    /// Digits of a second that its moments keep, where it was declared with a number of them: `timestamp(3)`.
    #[serde(default)]
    pub digits: Option<u8>,
    /// GENERATED ALWAYS AS (...) STORED: the expression as SQL text. There is no default then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
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
        /// What it says beyond its columns.
        #[serde(default, skip_serializing_if = "KeyOptions::is_plain")]
        options: KeyOptions,
    },
    /// CHECK.
    Check {
        /// Its name.
        name: String,
        /// The condition as SQL text.
        expression: String,
    },
    /// FOREIGN KEY.
    Foreign(ForeignKey),
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
    /// What the query reads: none of it can be dropped without the view.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    /// What WITH says, in its order: (name, value).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<(String, String)>,
}

impl ViewDefinition {
    /// Whether what it reads is read with the rights of whoever asks, rather than its owner's.
    pub fn is_of_invoker(&self) -> bool {
        self.options.iter().any(|(name, value)| name == "security_invoker" && crate::ddl::view_options::is_on(value))
    }
}

/// A relation that a view reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// OID of the relation.
    pub relation: u32,
    /// Those of its columns that the view names, if it is a table.
    pub columns: Vec<ColumnId>,
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
    /// CACHE: how many numbers a session of PostgreSQL takes at once. It is kept to be shown; the server takes numbers ahead by itself.
    #[serde(default = "one")]
    pub cache: i64,
    /// The column it belongs to, with which it is dropped: (table OID, column).
    pub owned_by: Option<(u32, ColumnId)>,
    /// Where the numbers go on from after `setval` or RESTART; `None`: from `start`, at the counter's zero.
    #[serde(default)]
    pub restart: Option<Restart>,
}

/// CACHE where nothing is said.
fn one() -> i64 {
    1
}

/// `setval`, or RESTART.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// The counter when it happened.
    pub at_count: u64,
    /// The value that belongs to that count.
    pub value: i64,
}

impl Relation {
    /// Stable OID.
    pub fn oid(&self) -> u32 {
        match self {
            Relation::Table(table) => table.oid,
            Relation::View(view) => view.oid,
            Relation::Sequence(sequence) => sequence.oid,
        }
    }
    /// `table`, `view`, `sequence`: the word in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Relation::Table(_) => "table",
            Relation::View(_) => "view",
            Relation::Sequence(_) => "sequence",
        }
    }
    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&TableDefinition> {
        match self {
            Relation::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl TableDefinition {
    /// Whether the constraint of this name is there to enforce a unique index: to users there is the index, and no constraint.
    pub fn is_of_index(&self, constraint: &str) -> bool {
        self.indexes.iter().any(|index| index.unique && index.name == constraint)
    }
}

impl Constraint {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Constraint::Unique { name, .. } | Constraint::Check { name, .. } => name,
            Constraint::Foreign(key) => &key.name,
        }
    }
}

impl Catalog {
    /// Reads all objects of a state. An object that cannot be read is XX001.
    pub fn from_state(state: &State) -> Result<Self> {
        let mut catalog = Self { version: state.objects_version, ..Self::default() };
        catalog.schemas.insert(PUBLIC_SCHEMA.to_string(), built_in_public());
        catalog.roles = role::built_in();
        for (key, object) in state.objects.iter() {
            catalog.add_object(key, object)?;
        }
        Ok(catalog)
    }

    fn add_object(&mut self, key: &ObjectKey, object: &Object) -> Result<()> {
        let damaged = |reason: String| {
            SqlError::new(SqlState::DATA_CORRUPTED, format!("catalog object \"{}\" cannot be read", key.0)).with_detail(reason)
        };
        let version = Some(object.version);
        match keys::parse(key).ok_or_else(|| damaged("unknown kind of object".to_string()))? {
            ObjectName::Schema(name) => {
                let definition = Arc::new(keys::decode(&object.value).map_err(damaged)?);
                self.schemas.insert(name, Entry { version, definition });
            }
            ObjectName::Relation(schema, name) => {
                let definition = Arc::new(keys::decode(&object.value).map_err(damaged)?);
                self.relations.insert((schema, name), Entry { version, definition });
            }
            ObjectName::Role(name) => {
                let definition = Arc::new(keys::decode(&object.value).map_err(damaged)?);
                self.roles.insert(name, Entry { version, definition });
            }
            ObjectName::Access(oid) => {
                let definition = Arc::new(keys::decode(&object.value).map_err(damaged)?);
                self.access.insert(oid, Entry { version, definition });
            }
            ObjectName::Dependent => {}
            ObjectName::Extension(name) => {
                let definition = Arc::new(keys::decode(&object.value).map_err(damaged)?);
                self.extensions.insert(name, Entry { version, definition });
            }
            ObjectName::Comments(oid) => {
                let definition = Arc::new(keys::decode(&object.value).map_err(damaged)?);
                self.comments.insert(oid, Entry { version, definition });
            }
        }
        Ok(())
    }
}

/// The schema that is always there.
pub const PUBLIC_SCHEMA: &str = "public";

/// PostgreSQL's OID of `public`.
const PUBLIC_SCHEMA_OID: u32 = 2200;

fn built_in_public() -> Entry<SchemaDefinition> {
    Entry { version: None, definition: Arc::new(SchemaDefinition { oid: PUBLIC_SCHEMA_OID }) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn state_with(key: ObjectKey, value: Vec<u8>) -> State {
        let mut state = State { objects_version: LogIndex(7), ..State::default() };
        state.objects.insert_mut(key, Object { version: LogIndex(5), value: value.into() });
        state
    }

    #[test]
    fn objects_are_read_back() {
        let relation = Relation::Table(TableDefinition {
            oid: 16400,
            columns: vec![],
            next_column_id: 1,
            constraints: vec![Constraint::Check { name: "t_check".into(), expression: "a > 0".into() }],
            cluster_by: vec![ColumnId(3)],
            indexes: Vec::new(),
            on_commit: Default::default(),
        });
        let state = state_with(keys::relation("s/x", "t é"), keys::encode(&relation));
        let catalog = Catalog::from_state(&state).unwrap();
        let entry = &catalog.relations[&("s/x".to_string(), "t é".to_string())];
        assert_eq!((catalog.version, entry.version), (LogIndex(7), Some(LogIndex(5))));
        assert_eq!(format!("{:?}", *entry.definition), format!("{relation:?}"));
        assert!(catalog.schemas.contains_key("public"));
    }

    #[test]
    fn damage_is_reported_and_does_not_panic() {
        for (key, value) in [(keys::schema("s"), &b"{"[..]), (ObjectKey("what/ever".into()), b"{}"), (keys::relation("s", "t"), b"null")] {
            let error = Catalog::from_state(&state_with(key, value.to_vec())).unwrap_err();
            assert_eq!(error.state, SqlState::DATA_CORRUPTED);
        }
    }
}
