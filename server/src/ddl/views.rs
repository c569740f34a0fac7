//! CREATE VIEW, and schemas.

use super::decision::{Change, Decision, Ids, SUCCESS, Scope, notice, relation_exists};
use super::view_options;
use crate::catalog::names::fold;
use crate::catalog::{Dependency, Relation, SchemaDefinition, ViewDefinition, temporary};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{CreateView, SchemaName};
use std::collections::BTreeSet;

/// A planned view: the columns of its query, and what it reads.
#[derive(Debug)]
pub struct PlannedView {
    /// Names and types of the query's columns.
    pub columns: Vec<(String, SqlType)>,
    /// What it reads.
    pub depends_on: Vec<Dependency>,
}

/// CREATE [OR REPLACE] VIEW.
pub fn create(scope: Scope<'_>, ids: &mut Ids, create: &CreateView, planned: PlannedView) -> Result<Decision> {
    if create.materialized || create.if_not_exists {
        return Err(SqlError::unsupported("this form of CREATE VIEW"));
    }
    let name = scope.name(&create.name)?;
    let reads_temporary = reads_temporary(scope, &planned.depends_on);
    let named = create.temporary || name.schema.is_some();
    let schema = scope.creation_schema(&name, create.temporary || (reads_temporary && !named))?;
    if reads_temporary && !temporary::is_temporary(&schema) {
        return Err(temporary::refused("cannot create temporary relation in non-temporary schema"));
    }
    let columns = named_columns(create, planned.columns)?;
    let kept = |schema_of: &&String| temporary::is_temporary(&schema) || !temporary::is_temporary(schema_of);
    let mut view = ViewDefinition {
        oid: 0,
        query: create.query.to_string(),
        columns,
        search_path: scope.search_path.iter().filter(kept).cloned().collect(),
        depends_on: planned.depends_on,
        options: view_options::of(&create.options)?,
    };
    view.oid = match scope.catalog.get(&schema, &name.name) {
        None => ids.take()?,
        Some(found) if create.or_replace => match found.relation() {
            Relation::View(old) => {
                check_replacement(old, &view)?;
                old.oid
            }
            _ => return Err(found.wrong_kind("view")),
        },
        Some(_) => return Err(relation_exists(&name.name)),
    };
    let notices = match reads_temporary && !named {
        true => vec![notice(SUCCESS, format!("view \"{}\" will be a temporary view", name.name))],
        false => Vec::new(),
    };
    Ok(Decision { notices, ..Decision::of(vec![Change::PutRelation(schema, name.name, Relation::View(view))]) })
}

/// What reads a temporary relation ends with it.
fn reads_temporary(scope: Scope<'_>, depends_on: &[Dependency]) -> bool {
    let read = depends_on.iter().filter_map(|dependency| scope.catalog.by_oid(dependency.relation));
    read.into_iter().any(|found| temporary::is_temporary(found.schema))
}

fn named_columns(create: &CreateView, mut columns: Vec<(String, SqlType)>) -> Result<Vec<(String, SqlType)>> {
    if create.columns.len() > columns.len() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "CREATE VIEW specifies more column names than columns"));
    }
    for (column, written) in columns.iter_mut().zip(&create.columns) {
        column.0 = fold(&written.name);
    }
    let mut seen = BTreeSet::new();
    match columns.iter().find(|(name, _)| !seen.insert(name.as_str())) {
        Some((name, _)) => Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))),
        None => Ok(columns),
    }
}

/// OR REPLACE may only add columns at the end.
fn check_replacement(old: &ViewDefinition, new: &ViewDefinition) -> Result<()> {
    let invalid = |message: String| Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    if new.columns.len() < old.columns.len() {
        return invalid("cannot drop columns from view".into());
    }
    for ((old_name, old_type), (new_name, new_type)) in old.columns.iter().zip(&new.columns) {
        if old_name != new_name {
            return invalid(format!("cannot change name of view column \"{old_name}\" to \"{new_name}\""));
        }
        if old_type != new_type {
            return invalid(format!(
                "cannot change data type of view column \"{old_name}\" from {} to {}",
                old_type.name(),
                new_type.name()
            ));
        }
    }
    if new.depends_on.iter().any(|dependency| dependency.relation == old.oid) {
        return Err(SqlError::new(SqlState("42P17"), "infinite recursion detected in rules for the view"));
    }
    Ok(())
}

/// CREATE SCHEMA.
pub fn create_schema(scope: Scope<'_>, ids: &mut Ids, name: &str, if_not_exists: bool) -> Result<Decision> {
    check_schema_name(name)?;
    if scope.catalog.schemas.contains_key(name) {
        let text = format!("schema \"{name}\" already exists");
        return if if_not_exists {
            Ok(Decision::skip(notice(SqlState::DUPLICATE_SCHEMA, format!("{text}, skipping"))))
        } else {
            Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, text))
        };
    }
    Ok(Decision::of(vec![Change::PutSchema(name.to_string(), SchemaDefinition { oid: ids.take()? })]))
}

/// The name of a new schema: without one, its owner's.
pub fn schema_name(scope: Scope<'_>, name: &SchemaName) -> Result<String> {
    match name {
        SchemaName::Simple(name) | SchemaName::NamedAuthorization(name, _) => Ok(scope.name(name)?.name),
        SchemaName::UnnamedAuthorization(owner) => Ok(fold(owner)),
    }
}

fn check_schema_name(name: &str) -> Result<()> {
    if name.starts_with("pg_") || crate::catalog::lookup::SYSTEM_SCHEMAS.contains(&name) {
        return Err(SqlError::new(SqlState("42939"), format!("unacceptable schema name \"{name}\""))
            .with_detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    Ok(())
}

/// ALTER SCHEMA ... RENAME TO: its relations get new keys.
pub fn rename_schema(scope: Scope<'_>, from: &str, to: &str) -> Result<Decision> {
    scope.catalog.require_schema(from)?;
    scope.rights().require_schema_owner(from)?;
    check_schema_name(to)?;
    if from == crate::catalog::PUBLIC_SCHEMA {
        return Err(SqlError::unsupported("renaming schema \"public\""));
    }
    if scope.catalog.schemas.contains_key(to) {
        return Err(SqlError::new(SqlState::DUPLICATE_SCHEMA, format!("schema \"{to}\" already exists")));
    }
    if scope.catalog.in_schema(from).next().is_some() {
        return Err(SqlError::unsupported("renaming a schema that holds relations")
            .with_hint("Create the other schema, and move the relations with ALTER TABLE ... SET SCHEMA."));
    }
    let definition = scope.catalog.schemas.get(from).map(|entry| SchemaDefinition::clone(&entry.definition));
    let definition = definition.ok_or_else(|| SqlError::internal("a schema vanished"))?;
    Ok(Decision::of(vec![Change::DropSchema(from.to_string()), Change::PutSchema(to.to_string(), definition)]))
}
