//! The table that a statement changes.

use crate::access::acl::{self, Kind, Privileges};
use crate::access::rights::denied;
use crate::catalog::Relation;
use crate::catalog::lookup::SYSTEM_SCHEMAS;
use crate::catalog::names::{QualifiedName, fold};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::Target;
use crate::query::QueryContext;
use datafusion::sql::sqlparser::ast::{
    Delete, FromTable, Ident, Insert, ObjectName, Spanned, TableFactor, TableObject, TableWithJoins, Update,
};

/// Finds the table of a name; 42P01 if there is none, 42809 if it is a view or a sequence, 42501 in the system's schemas.
pub(super) fn find(context: &QueryContext, name: &ObjectName) -> Result<Target> {
    let qualified = QualifiedName::from_ast(name, &context.database)?;
    if qualified.schema.as_deref().is_some_and(|schema| SYSTEM_SCHEMAS.contains(&schema)) {
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied for table {}", qualified.name)));
    }
    if let Some(schema) = &qualified.schema {
        context.rights().require_on_schema(schema, acl::USAGE)?;
    }
    let found = context.view.catalog.require(&qualified, &context.search_path)?;
    match found.relation() {
        Relation::Table(table) => Ok(context.engine.targets.get(&found, table, &context.forms)),
        Relation::View(_) => {
            Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("cannot change view \"{}\"", found.name))
                .with_detail("Views are not automatically updatable."))
        }
        Relation::Sequence(_) => Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot change sequence \"{}\"", found.name))),
    }
}

/// 42501 unless the role may do this to a table: to all of it, or to each of the columns named.
pub(super) fn permit(context: &QueryContext, target: &Target, wanted: Privileges, columns: &[usize]) -> Result<()> {
    let rights = context.rights();
    let definition = &target.definition;
    let on_column = |at: &usize| definition.columns.get(*at).is_some_and(|c| rights.has_on_column(target.oid(), c.id, wanted));
    if rights.has(Kind::Table, target.oid(), wanted) || (!columns.is_empty() && columns.iter().all(on_column)) {
        return Ok(());
    }
    Err(denied("table", &target.name))
}

/// Name and alias of an INSERT's table.
pub(super) fn of_insert(insert: &Insert) -> Result<(ObjectName, Option<Ident>)> {
    match &insert.table {
        TableObject::TableName(name) => Ok((name.clone(), insert.table_alias.as_ref().map(|alias| alias.alias.clone()))),
        _ => Err(SqlError::unsupported("INSERT into anything but a table")),
    }
}

/// Name and alias of an UPDATE's table.
pub(super) fn of_update(update: &Update) -> Result<(ObjectName, Option<Ident>)> {
    of_factor(&update.table)
}

/// Name and alias of a DELETE's table.
pub(super) fn of_delete(delete: &Delete) -> Result<(ObjectName, Option<Ident>)> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    match (&from[..], &delete.tables[..]) {
        ([table], []) => of_factor(table),
        _ => Err(SqlError::unsupported("DELETE from several tables")),
    }
}

/// Name and alias of a table that stands where a statement names what it changes.
pub(super) fn of_factor(table: &TableWithJoins) -> Result<(ObjectName, Option<Ident>)> {
    match &table.relation {
        TableFactor::Table { name, alias, args: None, .. } if table.joins.is_empty() => {
            Ok((name.clone(), alias.as_ref().map(|a| a.name.clone())))
        }
        _ => Err(SqlError::unsupported("changing anything but a table")),
    }
}

/// The position of a named column; 42703 if there is none.
pub(super) fn position(target: &Target, name: &ObjectName) -> Result<usize> {
    let [part] = &name.0[..] else {
        return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{}\" does not exist", target.name)));
    };
    let folded = part.as_ident().map(fold).unwrap_or_default();
    target.definition.require_column(&target.name, &folded).map_err(|error| error.at(name.span()))?;
    let found = target.definition.columns.iter().position(|column| column.name == folded);
    found.ok_or_else(|| SqlError::internal("a column vanished"))
}
