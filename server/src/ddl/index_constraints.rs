//! ALTER TABLE ... ADD CONSTRAINT ... {UNIQUE | PRIMARY KEY} USING INDEX: a unique index becomes a constraint, and takes its name.

use super::decision::{Check, Decision, SUCCESS, Scope, notice, place, put, relation_exists};
use super::foreign_keys;
use crate::catalog::lookup::Found;
use crate::catalog::names::fold;
use crate::catalog::{Constraint, Relation, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::ConstraintUsingIndex;
use storage::ColumnId;

/// Makes a constraint of a unique index, whose keys are unique already; a primary key wants columns without NULLs too.
pub fn adopt(scope: Scope<'_>, found: &Found<'_>, using: &ConstraintUsingIndex, primary: bool) -> Result<Decision> {
    let mut table = found.table()?.clone();
    let index = fold(&using.index_name);
    let name = using.name.as_ref().map_or_else(|| index.clone(), fold);
    require_usable(scope, found, &table, &index)?;
    if primary && table.primary_key().is_some() {
        let message = format!("multiple primary keys for table \"{}\" are not allowed", found.name);
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    let deferral = foreign_keys::deferral(using.characteristics.as_ref())?;
    let mut decision = Decision::default();
    if name != index {
        if super::indexes::taken(scope, found.schema, &name) {
            return Err(relation_exists(&name));
        }
        let text = format!("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{index}\" to \"{name}\"");
        decision.notices.push(notice(SUCCESS, text));
    }
    let columns = take_over(&mut table, &index, &name, (primary, deferral));
    if primary {
        decision.before.extend(no_nulls(found, &mut table, &columns));
    }
    decision.changes.push(put(found, Relation::Table(table)));
    Ok(decision)
}

fn require_usable(scope: Scope<'_>, found: &Found<'_>, table: &TableDefinition, name: &str) -> Result<()> {
    let Some(index) = table.indexes.iter().find(|index| index.name == name) else {
        if table.constraints.iter().any(|key| key.name() == name && matches!(key, Constraint::Unique { .. })) {
            let message = format!("index \"{name}\" is already associated with a constraint");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        if super::indexes::taken(scope, found.schema, name) {
            let message = format!("index \"{name}\" does not belong to table \"{}\"", found.name);
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("index \"{name}\" does not exist")));
    };
    let detail = "Cannot create a primary key or unique constraint using such an index.";
    if !index.unique {
        let message = format!("\"{name}\" is not a unique index");
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail));
    }
    let options = table.constraints.iter().find(|key| key.name() == name).and_then(Constraint::key_options);
    if options.is_some_and(|options| !options.parts.is_empty()) {
        let message = format!("index \"{name}\" contains expressions");
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail));
    }
    if options.is_some_and(|options| options.condition.is_some()) {
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is a partial index")).with_detail(detail));
    }
    let key = index.definition.split(" INCLUDE ").next().unwrap_or_default();
    if key.contains(" DESC") || key.contains(" NULLS FIRST") {
        let message = format!("index \"{name}\" column number 1 does not have default sorting behavior");
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail));
    }
    Ok(())
}

/// The key goes on under the constraint's name, and the index is its own no more; answers its columns.
fn take_over(table: &mut TableDefinition, index: &str, to: &str, (as_primary, deferral): (bool, (bool, bool))) -> Vec<ColumnId> {
    table.indexes.retain(|known| known.name != index);
    for constraint in &mut table.constraints {
        if let Constraint::Unique { name, columns, primary, options } = constraint
            && name == index
        {
            (*name, *primary) = (to.to_string(), as_primary);
            (options.deferrable, options.deferred) = deferral;
            return columns.clone();
        }
    }
    Vec::new()
}

/// The columns of a primary key hold no NULLs: those that might are looked at.
fn no_nulls(found: &Found<'_>, table: &mut TableDefinition, key: &[ColumnId]) -> Vec<Check> {
    let nullable = table.columns.iter_mut().filter(|column| key.contains(&column.id) && !column.not_null);
    let check = nullable.map(|column| {
        column.not_null = true;
        Check::NoNulls { table: place(found), column: column.name.clone() }
    });
    check.collect()
}
