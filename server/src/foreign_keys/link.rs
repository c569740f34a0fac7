//! A foreign key with both of its tables: what checks and actions work with.

use super::side::Side;
use super::types::{Comparison, comparison};
use crate::catalog::foreign_key::{ForeignKey, Referring};
use crate::catalog::{Catalog, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::unique::stable_hash;
use crate::ingest::{Target, row_text};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use std::sync::Arc;
use storage::ColumnId;

/// A foreign key of a catalog.
#[derive(Clone, Debug)]
pub struct Link {
    /// As it is stored.
    pub key: ForeignKey,
    /// The referring table.
    pub child: Target,
    /// The referenced table.
    pub parent: Target,
    /// The referring columns.
    pub references: Arc<Side>,
    /// The referenced columns.
    pub keys: Arc<Side>,
    /// Among which fingerprints its keys are: those of all foreign keys that compare the same columns in the same way.
    pub space: u64,
}

impl Link {
    /// The link of a foreign key.
    pub fn of(catalog: &Catalog, referring: &Referring<'_>) -> Result<Arc<Self>> {
        let child = Target::new(referring.found.schema, referring.found.name, referring.table.clone());
        Self::from_child(catalog, &child, referring.key)
    }

    /// The link of a foreign key that refers to a table.
    pub fn of_parent(parent: &Target, referring: &Referring<'_>) -> Result<Arc<Self>> {
        let child = Target::new(referring.found.schema, referring.found.name, referring.table.clone());
        Self::between(child, parent.clone(), referring.key)
    }

    /// The link of a foreign key of a table.
    pub fn from_child(catalog: &Catalog, child: &Target, key: &ForeignKey) -> Result<Arc<Self>> {
        let gone = || SqlError::internal(format!("the table that foreign key \"{}\" refers to is gone", key.name));
        let parent = if key.parent == child.oid() {
            child.clone()
        } else {
            let found = catalog.by_oid(key.parent).ok_or_else(gone)?;
            Target::new(found.schema, found.name, found.table()?.clone())
        };
        Self::between(child.clone(), parent, key)
    }

    fn between(child: Target, parent: Target, key: &ForeignKey) -> Result<Arc<Self>> {
        let compared = compared(&child.definition, &parent.definition, key)?;
        let space = space(key, &compared);
        let references = Arc::new(Side::new(&child.definition, &key.columns, compared.clone(), space)?);
        let keys = Arc::new(Side::new(&parent.definition, &key.parent_columns, compared, space)?);
        Ok(Arc::new(Self { key: key.clone(), child, parent, references, keys, space }))
    }

    /// What is known by, within a transaction: OID of the child, name.
    pub fn id(&self) -> (u32, String) {
        (self.child.oid(), self.key.name.clone())
    }

    /// 23503 for a reference to a key that is not there; `arrays` are values of the referring columns.
    pub fn not_present(&self, arrays: &[ArrayRef], row: usize) -> SqlError {
        let message = format!("insert or update on table \"{}\" violates foreign key constraint \"{}\"", self.child.name, self.key.name);
        let key = row_text::key(&self.child, arrays, &self.references.positions, row);
        let key = key.map_or_else(|| "Key".to_string(), |key| format!("Key {key}"));
        self.violated(message, format!("{key} is not present in table \"{}\".", self.parent.name))
    }

    /// 23503 for a key that is gone and referred to; `arrays` are values of the referenced columns.
    pub fn still_referenced(&self, arrays: &[ArrayRef], row: usize) -> SqlError {
        let message = format!(
            "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
            self.parent.name, self.key.name, self.child.name
        );
        let key = row_text::key(&self.parent, arrays, &self.keys.positions, row);
        let key = key.map_or_else(|| "Key".to_string(), |key| format!("Key {key}"));
        self.violated(message, format!("{key} is still referenced from table \"{}\".", self.child.name))
    }

    /// 23503 for a key of MATCH FULL that is NULL in part.
    pub fn mixed(&self) -> SqlError {
        let message = format!("insert or update on table \"{}\" violates foreign key constraint \"{}\"", self.child.name, self.key.name);
        self.violated(message, "MATCH FULL does not allow mixing of null and nonnull key values.".to_string())
    }

    fn violated(&self, message: String, detail: String) -> SqlError {
        let error = SqlError::new(SqlState::FOREIGN_KEY_VIOLATION, message).of_table(&self.child.schema, &self.child.name);
        error.of_constraint(&self.key.name).with_detail(detail)
    }
}

fn compared(child: &TableDefinition, parent: &TableDefinition, key: &ForeignKey) -> Result<Vec<DataType>> {
    let column = |table: &TableDefinition, id: &ColumnId| {
        let gone = || SqlError::internal(format!("foreign key \"{}\" names a column that is gone", key.name));
        table.column_by_id(*id).map(|column| column.sql_type.clone()).ok_or_else(gone)
    };
    let pair = |(from, to): (&ColumnId, &ColumnId)| match comparison(&column(child, from)?, &column(parent, to)?) {
        Comparison::As(data_type) => Ok(data_type),
        _ => Err(SqlError::internal(format!("the columns of foreign key \"{}\" cannot be compared", key.name))),
    };
    key.columns.iter().zip(&key.parent_columns).map(pair).collect()
}

fn space(key: &ForeignKey, compared: &[DataType]) -> u64 {
    let text = format!("references {:?} {compared:?}", key.parent_columns);
    stable_hash(u64::from(key.parent), text.as_bytes())
}
