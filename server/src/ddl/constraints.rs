//! Constraints: reading them, naming them as PostgreSQL does, and which of them a column takes part in.

use super::decision::Scope;
use super::{expressions, foreign_keys};
use crate::catalog::names::{compose, fold};
use crate::catalog::unique_key::KeyOptions;
use crate::catalog::{Constraint, Relation, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::session::clauses;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{CheckConstraint, Expr, Ident, IndexColumn, NullsDistinctOption, TableConstraint};
use storage::ColumnId;

/// Adds a table constraint to a definition; answers its name.
pub fn add(scope: Scope<'_>, schema: &str, relation: &str, table: &mut TableDefinition, constraint: &TableConstraint) -> Result<String> {
    match constraint {
        TableConstraint::PrimaryKey(key) => {
            let (deferrable, deferred) = foreign_keys::deferral(key.characteristics.as_ref())?;
            let columns = column_names(&key.columns)?;
            let options = KeyOptions { include: included(table, &key.columns)?, deferrable, deferred, ..KeyOptions::default() };
            add_unique(scope, (schema, relation), table, NewKey { name: key.name.as_ref(), columns: &columns, primary: true, options })
        }
        TableConstraint::Unique(unique) => {
            let (deferrable, deferred) = foreign_keys::deferral(unique.characteristics.as_ref())?;
            let columns = column_names(&unique.columns)?;
            let nulls_equal = unique.nulls_distinct == NullsDistinctOption::NotDistinct;
            let include = included(table, &unique.columns)?;
            let options = KeyOptions { include, nulls_equal, deferrable, deferred, ..KeyOptions::default() };
            add_unique(scope, (schema, relation), table, NewKey { name: unique.name.as_ref(), columns: &columns, primary: false, options })
        }
        TableConstraint::Check(check) => add_check(relation, table, check),
        TableConstraint::ForeignKey(key) => foreign_keys::add(scope, schema, relation, table, key),
        _ => Err(SqlError::unsupported(format!("constraint {constraint}"))),
    }
}

/// The names in a constraint's column list.
pub fn column_names(columns: &[IndexColumn]) -> Result<Vec<String>> {
    let name = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(ident) => Ok(fold(ident)),
        other => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{other}\""))),
    };
    columns.iter().filter(|column| clauses::included(column).is_none()).map(name).collect()
}

/// The columns that INCLUDE names.
fn included(table: &TableDefinition, columns: &[IndexColumn]) -> Result<Vec<ColumnId>> {
    let id = |name: &str| {
        let missing = || SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" named in key does not exist"));
        table.column(name).map(|column| column.id).ok_or_else(missing)
    };
    columns.iter().filter_map(clauses::included).map(id).collect()
}

/// A unique key that a statement asks for.
pub struct NewKey<'a> {
    /// Its name, if it says one.
    pub name: Option<&'a Ident>,
    /// Those of its parts that are columns.
    pub columns: &'a [String],
    /// Whether it is the primary key.
    pub primary: bool,
    /// What it says beyond its columns.
    pub options: KeyOptions,
}

impl NewKey<'_> {
    /// The part of a chosen name between the table's and the label.
    fn middle(&self, table: &TableDefinition) -> Option<String> {
        let included = self.options.include.iter().filter_map(|id| table.column_by_id(*id)).map(|column| column.name.clone());
        (!self.primary).then(|| self.columns.iter().cloned().chain(included).collect::<Vec<_>>().join("_"))
    }
}

/// Adds UNIQUE or PRIMARY KEY.
pub fn add_unique(scope: Scope<'_>, (schema, relation): (&str, &str), table: &mut TableDefinition, key: NewKey<'_>) -> Result<String> {
    let primary = key.primary;
    if primary && table.primary_key().is_some() {
        let message = format!("multiple primary keys for table \"{relation}\" are not allowed");
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    let ids = key_columns(table, key.columns, primary)?;
    let name = match key.name {
        Some(name) => explicit_index_name(scope, schema, relation, table, fold(name))?,
        None => free_name(relation, key.middle(table), if primary { "pkey" } else { "key" }, |name| {
            index_name_taken(scope, schema, name) || has(table, name) || name == relation
        }),
    };
    if primary {
        table.columns.iter_mut().filter(|column| ids.contains(&column.id)).for_each(|column| column.not_null = true);
    }
    table.constraints.push(Constraint::Unique { name: name.clone(), columns: ids, primary, options: key.options });
    Ok(name)
}

fn key_columns(table: &TableDefinition, columns: &[String], primary: bool) -> Result<Vec<ColumnId>> {
    let mut ids = Vec::new();
    for name in columns {
        let column = table
            .column(name)
            .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" named in key does not exist")))?;
        if ids.contains(&column.id) {
            let kind = if primary { "primary key" } else { "unique" };
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" appears twice in {kind} constraint")));
        }
        if column.sql_type == SqlType::Json {
            let message = "data type json has no default operator class for access method \"btree\"";
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        ids.push(column.id);
    }
    Ok(ids)
}

fn explicit_index_name(scope: Scope<'_>, schema: &str, relation: &str, table: &TableDefinition, name: String) -> Result<String> {
    if has(table, &name) {
        return Err(duplicate(relation, &name));
    }
    if index_name_taken(scope, schema, &name) || name == relation {
        return Err(super::decision::relation_exists(&name));
    }
    Ok(name)
}

/// Adds CHECK.
pub fn add_check(relation: &str, table: &mut TableDefinition, check: &CheckConstraint) -> Result<String> {
    if check.enforced == Some(false) {
        return Err(SqlError::unsupported("NOT ENFORCED"));
    }
    expressions::check_condition(&check.expr)?;
    let columns = expressions::columns(&check.expr);
    for name in &columns {
        if table.column(name).is_none() {
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")));
        }
    }
    let name = match &check.name {
        Some(name) if has(table, &fold(name)) => return Err(duplicate(relation, &fold(name))),
        Some(name) => fold(name),
        None => {
            let only = if columns.len() == 1 { columns.into_iter().next() } else { None };
            free_name(relation, only, "check", |name| has(table, name))
        }
    };
    table.constraints.push(Constraint::Check { name: name.clone(), expression: check.expr.to_string() });
    Ok(name)
}

fn has(table: &TableDefinition, name: &str) -> bool {
    table.constraints.iter().any(|constraint| constraint.name() == name)
}

/// 42710.
pub fn duplicate(relation: &str, name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_OBJECT, format!("constraint \"{name}\" for relation \"{relation}\" already exists"))
}

/// Whether a relation, or a key of a table, has this name in a schema: keys share the relations' names, as PostgreSQL's indexes do.
fn index_name_taken(scope: Scope<'_>, schema: &str, name: &str) -> bool {
    scope.catalog.in_schema(schema).any(|found| {
        let is_key = |c: &Constraint| matches!(c, Constraint::Unique { name: key, .. } if key == name);
        found.name == name || matches!(found.relation(), Relation::Table(table) if table.constraints.iter().any(is_key))
    })
}

/// The first of `t_c_label`, `t_c_label1`, ... that is free.
pub fn free_name(first: &str, second: Option<String>, label: &str, taken: impl Fn(&str) -> bool) -> String {
    let candidate = |n: usize| {
        let label = if n == 0 { label.to_string() } else { format!("{label}{n}") };
        compose(first, second.as_deref(), &label)
    };
    let mut n = 0;
    while taken(&candidate(n)) {
        n += 1;
    }
    candidate(n)
}

/// Whether a constraint has to do with a column.
pub fn involves(constraint: &Constraint, id: ColumnId, name: &str) -> Result<bool> {
    match constraint {
        Constraint::Unique { options, .. } => Ok(constraint.key_depends_on().contains(&id) || options.include.contains(&id)),
        Constraint::Check { expression, .. } => Ok(expressions::columns_of_text(expression)?.contains(name)),
        Constraint::Foreign(key) => Ok(key.columns.contains(&id)),
    }
}
