//! FOREIGN KEY as it is stored, and which keys refer to a table.
//!
//! It is a constraint of the referring table (the child), and names the referenced one (the parent) and all columns by their numbers, so that
//! new names change nothing. The unique constraint that it relies on is found by its columns.

use super::lookup::Found;
use super::{Catalog, Constraint, TableDefinition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use storage::ColumnId;

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name, for instance `orders_customer_id_fkey`.
    pub name: String,
    /// The referring columns.
    pub columns: Vec<ColumnId>,
    /// OID of the referenced table.
    pub parent: u32,
    /// The referenced columns, in the order of `columns`.
    pub parent_columns: Vec<ColumnId>,
    /// ON DELETE.
    #[serde(default)]
    pub on_delete: Action,
    /// ON UPDATE.
    #[serde(default)]
    pub on_update: Action,
    /// The columns that ON DELETE SET NULL or SET DEFAULT sets; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_columns: Vec<ColumnId>,
    /// MATCH FULL.
    #[serde(default)]
    pub is_full: bool,
    /// DEFERRABLE.
    #[serde(default)]
    pub deferrable: bool,
    /// INITIALLY DEFERRED.
    #[serde(default)]
    pub deferred: bool,
    /// NOT VALID: rows that were there before may break it.
    #[serde(default)]
    pub not_valid: bool,
    /// DISABLE TRIGGER ALL on its table: new references are not checked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchecked: bool,
    /// DISABLE TRIGGER ALL on the referenced table: nothing follows from keys that go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inactive: bool,
}

/// What happens to a referring row when the key that it refers to goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An error if it is still there when the constraint is checked.
    #[default]
    NoAction,
    /// An error at once.
    Restrict,
    /// It goes too, or follows the key.
    Cascade,
    /// Its columns become NULL.
    SetNull,
    /// Its columns get their defaults.
    SetDefault,
}

impl Action {
    /// The letter in `pg_constraint`.
    pub fn letter(self) -> &'static str {
        match self {
            Self::NoAction => "a",
            Self::Restrict => "r",
            Self::Cascade => "c",
            Self::SetNull => "n",
            Self::SetDefault => "d",
        }
    }
    /// As SQL.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoAction => "NO ACTION",
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::SetDefault => "SET DEFAULT",
        }
    }
}

/// A foreign key, and its table.
#[derive(Clone, Copy, Debug)]
pub struct Referring<'a> {
    /// Where the child is.
    pub found: Found<'a>,
    /// The child.
    pub table: &'a TableDefinition,
    /// The key.
    pub key: &'a ForeignKey,
}

impl TableDefinition {
    /// Its foreign keys, in the order in which they were made.
    pub fn foreign_keys(&self) -> impl Iterator<Item = &ForeignKey> {
        self.constraints.iter().filter_map(|constraint| match constraint {
            Constraint::Foreign(key) => Some(key),
            _ => None,
        })
    }
    /// Whether there is a deferrable key on just these columns; without columns: whether the primary key is one.
    pub fn has_deferrable_key(&self, columns: Option<&[ColumnId]>) -> bool {
        self.constraints.iter().any(|constraint| match constraint {
            Constraint::Unique { columns: of, primary, options, .. } if options.deferrable => match columns {
                Some(wanted) => of.len() == wanted.len() && of.iter().all(|column| wanted.contains(column)),
                None => *primary,
            },
            _ => false,
        })
    }
    /// The name and the columns of the unique constraint on just these columns: the primary key, or else the first.
    pub fn unique_on(&self, columns: &[ColumnId]) -> Option<(&str, &[ColumnId])> {
        let wanted: BTreeSet<ColumnId> = columns.iter().copied().collect();
        let unique = self.constraints.iter().filter_map(|constraint| match constraint {
            Constraint::Unique { name, columns, primary, options } if options.is_of_columns() && !options.deferrable => {
                Some((primary, name, columns))
            }
            _ => None,
        });
        let fitting = unique.filter(|(_, _, of)| of.len() == wanted.len() && of.iter().all(|column| wanted.contains(column)));
        fitting.min_by_key(|(primary, ..)| !**primary).map(|(_, name, columns)| (name.as_str(), columns.as_slice()))
    }
}

impl Catalog {
    /// All foreign keys of all tables.
    pub fn foreign_keys(&self) -> impl Iterator<Item = Referring<'_>> {
        let tables = self.all().filter_map(|found| Some((found, found.relation().as_table()?)));
        tables.flat_map(|(found, table)| table.foreign_keys().map(move |key| Referring { found, table, key }))
    }
    /// The foreign keys that refer to a table, those of the oldest table first.
    pub fn referring_to(&self, parent: u32) -> Vec<Referring<'_>> {
        let mut all: Vec<_> = self.foreign_keys().filter(|referring| referring.key.parent == parent).collect();
        all.sort_by_key(|referring| referring.table.oid);
        all
    }
}
