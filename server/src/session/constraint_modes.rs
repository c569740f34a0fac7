//! SET CONSTRAINTS.

use super::{Outcome, Session};
use crate::catalog::names::QualifiedName;
use crate::catalog::{Catalog, Constraint};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::ObjectName;

/// Sets when constraints are checked, until the block ends; no names: all that can be deferred.
pub(super) async fn set(session: &mut Session, names: &[ObjectName], deferred: bool) -> Result<Outcome> {
    let outcome = Ok(Outcome::Done("SET CONSTRAINTS".into()));
    if session.block.as_ref().is_none_or(|block| block.implicit) {
        session.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "SET CONSTRAINTS can only be used in transaction blocks");
    }
    let source = session.context_source();
    let catalog = super::dispatch::read_context(session)?.view.catalog;
    let mut ids = Vec::new();
    for name in names {
        let name = QualifiedName::from_ast(name, &source.database)?;
        ids.extend(found(&catalog, &name, &source.search_path)?);
    }
    if let Some(block) = &mut session.block {
        let transaction = block.transaction()?;
        transaction.act_for(&source.session);
        transaction.set_constraint_modes((!names.is_empty()).then_some(&ids), deferred).await?;
    }
    outcome
}

/// The deferrable constraints of a name, in the first schema that has a constraint of it: (OID of the table, name).
fn found(catalog: &Catalog, name: &QualifiedName, search_path: &[String]) -> Result<Vec<(u32, String)>> {
    let schemas: Vec<&String> = match &name.schema {
        Some(schema) if !catalog.schemas.contains_key(schema) => {
            return Err(SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{schema}\" does not exist")));
        }
        Some(schema) => vec![schema],
        None => search_path.iter().collect(),
    };
    for schema in schemas {
        let tables = catalog.in_schema(schema).filter_map(|found| found.relation().as_table());
        let of = |table| move |constraint| (table, constraint);
        let named = tables.flat_map(|table| table.constraints.iter().filter(|c| c.name() == name.name).map(of(table.oid)));
        let named: Vec<(u32, &Constraint)> = named.collect();
        if named.is_empty() {
            continue;
        }
        let deferrable = |(table, constraint): (u32, &Constraint)| match constraint {
            Constraint::Foreign(key) if key.deferrable => Ok((table, key.name.clone())),
            Constraint::Unique { name, options, .. } if options.deferrable => Ok((table, name.clone())),
            _ => Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("constraint \"{}\" is not deferrable", name.name))),
        };
        return named.into_iter().map(deferrable).collect();
    }
    Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("constraint \"{name}\" does not exist")))
}
