//! Finding things in a catalog.

use super::names::{QualifiedName, quote_qualified};
use super::temporary::{is_temporary, resolved};
use super::{Catalog, ColumnDefinition, Entry, Relation, SequenceDefinition, TableDefinition, ViewDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use storage::ColumnId;

/// A relation, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its schema.
    pub schema: &'a str,
    /// Its name.
    pub name: &'a str,
    /// It.
    pub entry: &'a Entry<Relation>,
}

impl<'a> Found<'a> {
    /// The definition.
    pub fn relation(&self) -> &'a Relation {
        &self.entry.definition
    }
    /// Schema and name as SQL text.
    pub fn quoted(&self) -> String {
        quote_qualified(self.schema, self.name)
    }
    /// The table; 42809 for anything else.
    pub fn table(&self) -> Result<&'a TableDefinition> {
        self.relation().as_table().ok_or_else(|| self.wrong_kind("table"))
    }
    /// The error for something of another kind than the statement is for.
    pub fn wrong_kind(&self, wanted: &str) -> SqlError {
        let article = if wanted.starts_with('i') { "an" } else { "a" };
        SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not {article} {wanted}", self.name))
    }
}

/// The columns that a sequence shows when it is read as a table.
pub const SEQUENCE_COLUMN_NAMES: [&str; 3] = ["last_value", "log_cnt", "is_called"];

/// Schemas that hold what is built in.
pub const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "plimsoll"];

impl Catalog {
    /// The relation of a name: in the schema it says, or else in the first of `search_path` that has it.
    pub fn find(&self, name: &QualifiedName, search_path: &[String]) -> Option<Found<'_>> {
        match &name.schema {
            Some(schema) => self.get(resolved(schema, search_path)?, &name.name),
            None => search_path.iter().find_map(|schema| self.get(schema, &name.name)),
        }
    }
    /// As [`Catalog::find`]; absence is 42P01, or 3F000 where the schema is absent.
    pub fn require(&self, name: &QualifiedName, search_path: &[String]) -> Result<Found<'_>> {
        self.find(name, search_path).ok_or_else(|| SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")))
    }
    /// The relation of a schema and a name.
    pub fn get(&self, schema: &str, name: &str) -> Option<Found<'_>> {
        let ((schema, name), entry) = self.relations.get_key_value(&(schema.to_string(), name.to_string()))?;
        Some(Found { schema, name, entry })
    }
    /// The relation of an OID.
    pub fn by_oid(&self, oid: u32) -> Option<Found<'_>> {
        self.all().find(|found| found.relation().oid() == oid)
    }
    /// All relations, by schema and name.
    pub fn all(&self) -> impl Iterator<Item = Found<'_>> {
        self.relations.iter().map(|((schema, name), entry)| Found { schema, name, entry })
    }
    /// A role by OID, with its name.
    pub fn role(&self, oid: u32) -> Option<(&str, &crate::access::role::RoleDefinition)> {
        self.roles.iter().find(|(_, entry)| entry.definition.oid == oid).map(|(name, entry)| (name.as_str(), &*entry.definition))
    }
    /// The name of a role.
    pub fn role_name(&self, oid: u32) -> Option<&str> {
        self.role(oid).map(|(name, _)| name)
    }
    /// All relations of a schema.
    pub fn in_schema<'a>(&'a self, schema: &'a str) -> impl Iterator<Item = Found<'a>> {
        self.all().filter(move |found| found.schema == schema)
    }
    /// The schema that a new relation goes to: the one its name says, or the first of a path that exists or is to be made for it.
    pub fn creation_schema(&self, name: &QualifiedName, path: &[String]) -> Result<String> {
        if let Some(schema) = &name.schema {
            if SYSTEM_SCHEMAS.contains(&schema.as_str()) {
                let message = format!("permission denied to create \"{schema}.{}\"", name.name);
                return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                    .with_detail("System catalog modifications are currently disallowed."));
            }
            return self.require_schema(schema).map(|()| schema.clone());
        }
        path.iter()
            .find(|schema| self.schemas.contains_key(*schema) || is_temporary(schema))
            .cloned()
            .ok_or_else(|| SqlError::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in"))
    }
    /// That a schema exists and is not one of the system's.
    pub fn require_schema(&self, schema: &str) -> Result<()> {
        if SYSTEM_SCHEMAS.contains(&schema) {
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for schema {schema}")));
        }
        if !self.schemas.contains_key(schema) {
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist")));
        }
        Ok(())
    }
    /// Views that read a relation (or, where given, one of its columns).
    pub fn views_on(&self, oid: u32, column: Option<ColumnId>) -> impl Iterator<Item = (Found<'_>, &ViewDefinition)> {
        self.all().filter_map(move |found| match found.relation() {
            Relation::View(view) if view.reads(oid, column) => Some((found, view)),
            _ => None,
        })
    }
    /// Sequences that belong to a table (or, where given, to one of its columns).
    pub fn sequences_of(&self, table: u32, column: Option<ColumnId>) -> impl Iterator<Item = (Found<'_>, &SequenceDefinition)> {
        self.all().filter_map(move |found| match found.relation() {
            Relation::Sequence(sequence) => {
                let (owner, owner_column) = sequence.owned_by?;
                (owner == table && column.is_none_or(|c| c == owner_column)).then_some((found, sequence))
            }
            _ => None,
        })
    }
}

impl ViewDefinition {
    /// Whether the view reads the relation (and the column).
    pub fn reads(&self, relation: u32, column: Option<ColumnId>) -> bool {
        self.depends_on.iter().any(|d| d.relation == relation && column.is_none_or(|c| d.columns.contains(&c)))
    }
}

impl ColumnDefinition {
    /// `pg_attribute.atttypmod`.
    pub fn type_modifier(&self) -> i32 {
        match (&self.sql_type, self.digits) {
            // All fields of an interval.
            (SqlType::Interval, Some(digits)) => 0x7fff << 16 | i32::from(digits),
            (_, Some(digits)) => i32::from(digits),
            (sql_type, None) => sql_type.type_modifier(),
        }
    }
}

impl TableDefinition {
    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&super::ColumnDefinition> {
        self.columns.iter().find(|column| column.name == name)
    }
    /// A column by id.
    pub fn column_by_id(&self, id: ColumnId) -> Option<&super::ColumnDefinition> {
        self.columns.iter().find(|column| column.id == id)
    }
    /// A column by name; 42703 if there is none. `relation` is the table's name, for the message.
    pub fn require_column(&self, relation: &str, name: &str) -> Result<&super::ColumnDefinition> {
        self.column(name).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{relation}\" does not exist"))
        })
    }
    /// The primary key's columns.
    pub fn primary_key(&self) -> Option<&[ColumnId]> {
        self.constraints.iter().find_map(|constraint| match constraint {
            super::Constraint::Unique { columns, primary: true, .. } => Some(columns.as_slice()),
            _ => None,
        })
    }
}
