//! FOREIGN KEY in CREATE TABLE and ALTER TABLE: read, resolved against the referenced table, checked as PostgreSQL checks it.
//!
//! A new foreign key also marks the referenced table as changed ([`Change::Touch`]): whoever deletes its rows meanwhile did not know of the key,
//! and must look again.

use super::constraints::free_name;
use super::decision::{Change, Check, Decision, Scope, place, put};
use crate::access::acl::{self, Kind};
use crate::access::rights::denied;
use crate::catalog::foreign_key::{Action, ForeignKey, Referring};
use crate::catalog::lookup::Found;
use crate::catalog::names::fold;
use crate::catalog::temporary::is_temporary;
use crate::catalog::{ColumnDefinition, Constraint, Relation, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use crate::foreign_keys::types::{Comparison, comparison};
use crate::session::clauses;
use datafusion::sql::sqlparser::ast::{
    ConstraintCharacteristics, ConstraintReferenceMatchKind, DeferrableInitial, ForeignKeyConstraint, Ident, ObjectName, ReferentialAction,
};
use storage::ColumnId;

/// Adds FOREIGN KEY to a definition; answers its name.
pub fn add(scope: Scope<'_>, schema: &str, relation: &str, table: &mut TableDefinition, written: &ForeignKeyConstraint) -> Result<String> {
    let (deferrable, deferred) = deferral(written.characteristics.as_ref())?;
    let is_full = match written.match_kind {
        Some(ConstraintReferenceMatchKind::Partial) => {
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "MATCH PARTIAL not yet implemented"));
        }
        kind => kind == Some(ConstraintReferenceMatchKind::Full),
    };
    let parent = Parent::of(scope, (schema, relation), table, &written.foreign_table)?;
    let columns = column_ids(table, &written.columns)?;
    let set_columns = set_columns(table, &columns, &clauses::set_columns(written)?)?;
    refuse_setting_generated(table, &columns, written)?;
    let parent_columns = parent.columns(&written.referred_columns)?;
    if columns.len() != parent_columns.len() {
        return Err(invalid("number of referencing and referenced columns for foreign key disagree"));
    }
    parent.permit(scope, &parent_columns)?;
    let taken = |name: &str| is_taken(scope, schema, table, name);
    let name = match &written.name {
        Some(name) if table.constraints.iter().any(|constraint| constraint.name() == fold(name)) => {
            return Err(super::constraints::duplicate(relation, &fold(name)));
        }
        Some(name) => fold(name),
        None => {
            let names: Vec<String> = written.columns.iter().map(fold).collect();
            free_name(relation, Some(names.join("_")), "fkey", taken)
        }
    };
    check_types(&name, (table, &columns), (&parent.table, &parent_columns))?;
    let (on_delete, on_update) = (action(written.on_delete), action(written.on_update));
    let parent = parent.table.oid;
    let key = ForeignKey {
        name: name.clone(),
        columns,
        parent,
        parent_columns,
        on_delete,
        on_update,
        set_columns,
        is_full,
        deferrable,
        deferred,
        not_valid: false,
        unchecked: false,
        inactive: false,
    };
    table.constraints.push(Constraint::Foreign(key));
    Ok(name)
}

/// 42601 for an action that would give a generated column another value than its own.
fn refuse_setting_generated(table: &TableDefinition, columns: &[ColumnId], written: &ForeignKeyConstraint) -> Result<()> {
    use datafusion::sql::sqlparser::ast::ReferentialAction::{Cascade, SetDefault, SetNull};
    let is_generated = |id: &ColumnId| table.column_by_id(*id).is_some_and(|column| column.generated.is_some());
    if !columns.iter().any(is_generated) {
        return Ok(());
    }
    let clause = match (written.on_update, written.on_delete) {
        (Some(Cascade | SetNull | SetDefault), _) => "ON UPDATE",
        (_, Some(SetNull | SetDefault)) => "ON DELETE",
        _ => return Ok(()),
    };
    let message = format!("invalid {clause} action for foreign key constraint containing generated column");
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
}

/// (DEFERRABLE, INITIALLY DEFERRED).
pub fn deferral(written: Option<&ConstraintCharacteristics>) -> Result<(bool, bool)> {
    let Some(written) = written else { return Ok((false, false)) };
    if written.enforced == Some(false) {
        return Err(SqlError::unsupported("NOT ENFORCED"));
    }
    let deferred = matches!(written.initially, Some(DeferrableInitial::Deferred));
    deferrable_as(written.deferrable, deferred)
}

/// What DEFERRABLE (`None`: not said) and INITIALLY DEFERRED come to.
pub fn deferrable_as(deferrable: Option<bool>, deferred: bool) -> Result<(bool, bool)> {
    match (deferrable, deferred) {
        (Some(false), true) => Err(SqlError::new(SqlState::SYNTAX_ERROR, "constraint declared INITIALLY DEFERRED must be DEFERRABLE")),
        (deferrable, deferred) => Ok((deferrable.unwrap_or(deferred), deferred)),
    }
}

fn action(written: Option<ReferentialAction>) -> Action {
    match written {
        None | Some(ReferentialAction::NoAction) => Action::NoAction,
        Some(ReferentialAction::Restrict) => Action::Restrict,
        Some(ReferentialAction::Cascade) => Action::Cascade,
        Some(ReferentialAction::SetNull) => Action::SetNull,
        Some(ReferentialAction::SetDefault) => Action::SetDefault,
    }
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_FOREIGN_KEY, message.into())
}

fn column_ids(table: &TableDefinition, names: &[Ident]) -> Result<Vec<ColumnId>> {
    let id = |name: &Ident| {
        let name = fold(name);
        let missing = || {
            let message = format!("column \"{name}\" referenced in foreign key constraint does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        };
        table.column(&name).map(|column| column.id).ok_or_else(missing)
    };
    names.iter().map(id).collect()
}

fn set_columns(table: &TableDefinition, columns: &[ColumnId], names: &[Ident]) -> Result<Vec<ColumnId>> {
    let ids = column_ids(table, names)?;
    match names.iter().zip(&ids).find(|(_, id)| !columns.contains(id)) {
        Some((name, _)) => {
            let message = format!("column \"{}\" referenced in ON DELETE SET action must be part of foreign key", fold(name));
            Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message))
        }
        None => Ok(ids),
    }
}

/// PostgreSQL's names of constraints are the schema's.
fn is_taken(scope: Scope<'_>, schema: &str, table: &TableDefinition, name: &str) -> bool {
    let has = |table: &TableDefinition| table.constraints.iter().any(|constraint| constraint.name() == name);
    has(table) || scope.catalog.in_schema(schema).any(|found| found.relation().as_table().is_some_and(has))
}

/// The referenced table.
struct Parent {
    name: String,
    table: TableDefinition,
}

impl Parent {
    fn of(scope: Scope<'_>, child: (&str, &str), table: &TableDefinition, written: &ObjectName) -> Result<Self> {
        if is_itself(scope, child, written)? {
            return Ok(Self { name: child.1.to_string(), table: table.clone() });
        }
        let found = scope.require(written)?;
        let Relation::Table(parent) = found.relation() else {
            let message = format!("referenced relation \"{}\" is not a table", found.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        match (is_temporary(child.0), is_temporary(found.schema)) {
            (true, false) => Err(mixed("constraints on temporary tables may reference only temporary tables")),
            (false, true) => Err(mixed("constraints on permanent tables may reference only permanent tables")),
            _ => Ok(Self { name: found.name.to_string(), table: parent.clone() }),
        }
    }

    fn columns(&self, names: &[Ident]) -> Result<Vec<ColumnId>> {
        if names.is_empty() {
            let missing = || {
                let message = format!("there is no primary key for referenced table \"{}\"", self.name);
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            };
            if self.table.has_deferrable_key(None) {
                return Err(self.deferrable("primary key"));
            }
            return self.table.primary_key().map(<[_]>::to_vec).ok_or_else(missing);
        }
        let ids = column_ids(&self.table, names)?;
        if ids.iter().enumerate().any(|(at, id)| ids[..at].contains(id)) {
            return Err(invalid("foreign key referenced-columns list must not contain duplicates"));
        }
        match self.table.unique_on(&ids) {
            Some(_) => Ok(ids),
            None if self.table.has_deferrable_key(Some(&ids)) => Err(self.deferrable("unique constraint")),
            None => Err(invalid(format!("there is no unique constraint matching given keys for referenced table \"{}\"", self.name))),
        }
    }

    fn deferrable(&self, kind: &str) -> SqlError {
        let message = format!("cannot use a deferrable {kind} for referenced table \"{}\"", self.name);
        SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
    }

    fn permit(&self, scope: Scope<'_>, columns: &[ColumnId]) -> Result<()> {
        let (rights, oid) = (scope.rights(), self.table.oid);
        let is_new = scope.catalog.by_oid(oid).is_none();
        let on_all = |columns: &[ColumnId]| columns.iter().all(|column| rights.has_on_column(oid, *column, acl::REFERENCES));
        match is_new || rights.has(Kind::Table, oid, acl::REFERENCES) || on_all(columns) {
            true => Ok(()),
            false => Err(denied("table", &self.name)),
        }
    }
}

fn mixed(message: &'static str) -> SqlError {
    SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message)
}

/// Whether a name is that of the table whose constraint is read, which may be yet to come.
fn is_itself(scope: Scope<'_>, (schema, relation): (&str, &str), written: &ObjectName) -> Result<bool> {
    let name = scope.name(written)?;
    let first = || scope.search_path.iter().find(|path| *path == schema || scope.catalog.get(path, relation).is_some());
    Ok(name.name == relation
        && match &name.schema {
            Some(_) => {
                scope.catalog.find(&name, scope.search_path).map_or(name.schema.as_deref() == Some(schema), |found| found.schema == schema)
            }
            None => first().is_some_and(|path| path == schema),
        })
}

/// 42804 unless values of each pair of columns can be compared.
pub fn check_types(name: &str, child: (&TableDefinition, &[ColumnId]), parent: (&TableDefinition, &[ColumnId])) -> Result<()> {
    let column = |(table, columns): (&TableDefinition, &[ColumnId]), at: usize| -> Result<ColumnDefinition> {
        columns
            .get(at)
            .and_then(|id| table.column_by_id(*id))
            .cloned()
            .ok_or_else(|| SqlError::internal("a column of a foreign key is gone"))
    };
    for at in 0..child.1.len() {
        let (from, to) = (column(child, at)?, column(parent, at)?);
        let types = format!("{} and {}", from.sql_type.name(), to.sql_type.name());
        match comparison(&from.sql_type, &to.sql_type) {
            Comparison::None => {
                let message = format!("foreign key constraint \"{name}\" cannot be implemented");
                let detail = format!("Key columns \"{}\" and \"{}\" are of incompatible types: {types}.", from.name, to.name);
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).with_detail(detail));
            }
            Comparison::Unsupported => return Err(SqlError::unsupported(format!("a foreign key between columns of types {types}"))),
            Comparison::As(_) => {}
        }
    }
    Ok(())
}

/// That the tables which a definition refers to since `before` are marked as changed, for whoever changes their rows.
pub fn touch_parents(scope: Scope<'_>, table: &TableDefinition, before: usize, decision: &mut Decision) {
    for constraint in table.constraints.iter().skip(before) {
        if let Constraint::Foreign(key) = constraint
            && let Some(found) = scope.catalog.by_oid(key.parent).filter(|_| key.parent != table.oid)
        {
            decision.changes.push(Change::Touch(place(&found)));
        }
    }
}

/// The check of each foreign key of a definition since `before` on the rows that are there.
pub fn checks(found: &Found<'_>, table: &TableDefinition, before: usize) -> Vec<Check> {
    let check = |constraint: &Constraint| match constraint {
        Constraint::Foreign(key) if !key.not_valid => Some(check_of(found, key)),
        _ => None,
    };
    table.constraints.iter().skip(before).filter_map(check).collect()
}

/// The check of one foreign key on all rows.
pub fn check_of(found: &Found<'_>, key: &ForeignKey) -> Check {
    Check::ForeignKey { table: place(found), constraint: key.name.clone() }
}

/// DISABLE and ENABLE TRIGGER ALL: whether a table's references are checked, and whether anything follows from its keys that go.
pub fn set_enabled(scope: Scope<'_>, found: &Found<'_>, enabled: bool) -> Result<Decision> {
    let oid = found.relation().oid();
    let mut decision = Decision::default();
    for table in scope.catalog.all().filter(|table| table.relation().as_table().is_some()) {
        let mut definition = table.table()?.clone();
        let own = definition.oid == oid;
        let mut changed = false;
        for constraint in &mut definition.constraints {
            let Constraint::Foreign(key) = constraint else { continue };
            for (concerned, off) in [(own, &mut key.unchecked), (key.parent == oid, &mut key.inactive)] {
                changed |= concerned && *off == enabled;
                *off = if concerned { !enabled } else { *off };
            }
        }
        if changed {
            if !scope.rights().is_superuser() {
                let message = format!("permission denied: the triggers of foreign keys on \"{}\" are system triggers", found.name);
                return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
            }
            decision.changes.push(put(&table, Relation::Table(definition)));
        }
    }
    if !decision.changes.is_empty()
        && !decision
            .changes
            .iter()
            .any(|change| matches!(change, Change::PutRelation(schema, name, _) if *schema == found.schema && *name == found.name))
    {
        decision.changes.push(Change::Touch(place(found)));
    }
    Ok(decision)
}

/// Why a foreign key keeps a column, a table or a unique constraint from being dropped.
pub fn depends(scope: Scope<'_>, referring: &Referring<'_>, on: &str) -> String {
    format!("constraint {} on table {} depends on {on}", referring.key.name, scope.shown(&referring.found))
}

/// The foreign keys that rely on a unique constraint of a table.
pub fn relying_on<'a>(scope: Scope<'a>, table: &TableDefinition, constraint: &str) -> Vec<Referring<'a>> {
    let relies = |referring: &Referring<'_>| table.unique_on(&referring.key.parent_columns).is_some_and(|(name, _)| name == constraint);
    scope.catalog.referring_to(table.oid).into_iter().filter(relies).collect()
}
