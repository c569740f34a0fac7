//! What changes how PostgreSQL stores tables and indexes: what is named must be there, and nothing else happens.

use super::dispatch::read_context;
use super::grammar::physical::Physical;
use super::{Notice, Outcome, Session};
use crate::catalog::lookup::Found;
use crate::catalog::names::QualifiedName;
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use datafusion::sql::sqlparser::ast::ObjectName;

/// Checks the names of a statement.
pub(super) fn run(session: &mut Session, physical: &Physical) -> Result<Outcome> {
    let context = read_context(session)?;
    let tag = match physical {
        Physical::Table { if_exists, name, column, index } => {
            let name = QualifiedName::from_ast(name, &context.database)?;
            if *if_exists && context.view.catalog.find(&name, &context.search_path).is_none() {
                let error = SqlError::new(SqlState("00000"), format!("relation \"{name}\" does not exist, skipping"));
                session.notify(Notice { severity: "NOTICE", error });
                return Ok(Outcome::Done("ALTER TABLE".into()));
            }
            of_table(&context, &name, column.as_deref(), index.as_deref())?;
            "ALTER TABLE"
        }
        Physical::ReindexTable(name) => {
            let name = QualifiedName::from_ast(name, &context.database)?;
            of_table(&context, &name, None, None)?;
            "REINDEX"
        }
        Physical::ReindexIndex(name) => {
            index(&context, name)?;
            "REINDEX"
        }
        Physical::ReindexSchema(name) => {
            context.view.catalog.require_schema(name)?;
            "REINDEX"
        }
        Physical::ReindexDatabase(name) => {
            if name.as_ref().is_some_and(|name| *name != context.database) {
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "can only reindex the currently open database"));
            }
            "REINDEX"
        }
    };
    Ok(Outcome::Done(tag.into()))
}

fn of_table(context: &QueryContext, name: &QualifiedName, column: Option<&str>, index: Option<&str>) -> Result<()> {
    let found = context.view.catalog.require(name, &context.search_path)?;
    context.rights().require_owner(&found)?;
    let table = found.table()?;
    if let Some(column) = column {
        table.require_column(found.name, column)?;
    }
    let has =
        |index: &str| table.indexes.iter().any(|known| known.name == index) || table.constraints.iter().any(|key| key.name() == index);
    match index {
        Some(index) if !has(index) => {
            let message = format!("index \"{index}\" for table \"{}\" does not exist", found.name);
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
        _ => Ok(()),
    }
}

fn index(context: &QueryContext, name: &ObjectName) -> Result<()> {
    let name = QualifiedName::from_ast(name, &context.database)?;
    let visible = |found: &Found<'_>| match &name.schema {
        Some(schema) => found.schema == schema,
        None => context.search_path.iter().any(|schema| schema == found.schema),
    };
    let has = |found: &Found<'_>| {
        let table = found.relation().as_table();
        table.is_some_and(|table| {
            table.indexes.iter().any(|index| index.name == name.name) || table.constraints.iter().any(|key| key.name() == name.name)
        })
    };
    if let Some(found) = context.view.catalog.all().find(|found| visible(found) && has(found)) {
        return context.rights().require_owner(&found);
    }
    match context.view.catalog.find(&name, &context.search_path) {
        Some(other) => Err(other.wrong_kind("index")),
        None => Err(SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))),
    }
}
