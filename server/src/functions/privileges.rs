//! `has_table_privilege` and its family, and `pg_has_role`: what a role may do, by the same decisions as the statements themselves.

use super::scalar::{Function, as_integer, as_text};
use crate::access::acl::{self, Kind, Privileges};
use crate::access::rights::{Rights, kind_of};
use crate::catalog::lookup::{Found, SYSTEM_SCHEMAS};
use crate::catalog::names::QualifiedName;
use crate::catalog::pg_catalog::shapes::{self, Shape};
use crate::catalog::pg_catalog::{SYSTEM_SCHEMA_OIDS, system_relations};
use crate::catalog::{Relation, lookup};
use crate::error::{Result, SqlError, SqlState};
use crate::query::Scope;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use std::sync::Arc;
use storage::ColumnId;

/// What a function answers; `None` is NULL.
type Answer = fn(&Scope, &Rights<'_>, &[ScalarValue]) -> Result<Option<bool>>;

/// The functions of one statement: names, how many arguments follow the role's, what they answer.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let scope = Arc::new(scope.clone());
    let functions: [(&'static str, usize, Answer); 11] = [
        ("has_table_privilege", 2, |scope, rights, args| of_object(scope, rights, Kind::Table, args)),
        ("has_sequence_privilege", 2, |scope, rights, args| of_object(scope, rights, Kind::Sequence, args)),
        ("has_schema_privilege", 2, |scope, rights, args| of_object(scope, rights, Kind::Schema, args)),
        ("has_database_privilege", 2, |scope, rights, args| of_object(scope, rights, Kind::Database, args)),
        ("has_any_column_privilege", 2, of_any_column),
        ("has_column_privilege", 3, of_column),
        ("pg_has_role", 2, of_role),
        // There is nothing to grant: only superusers have them.
        ("has_tablespace_privilege", 2, superusers),
        ("has_foreign_data_wrapper_privilege", 2, superusers),
        ("has_server_privilege", 2, superusers),
        ("has_parameter_privilege", 2, superusers),
    ];
    functions.into_iter().map(|(name, count, answer)| function(&scope, name, count, answer)).collect()
}

/// The role is the first argument, or the current one.
fn function(scope: &Arc<Scope>, name: &'static str, count: usize, answer: Answer) -> ScalarUDF {
    let scope = Arc::clone(scope);
    let signature = Signature::one_of(vec![TypeSignature::Any(count), TypeSignature::Any(count + 1)], Volatility::Stable);
    Function::of_rows(name, signature, DataType::Boolean, move |args| {
        if args.iter().any(ScalarValue::is_null) {
            return Ok(ScalarValue::Boolean(None));
        }
        let (role, rest) = args.split_at(args.len().saturating_sub(count));
        let rights = match role.first() {
            Some(role) => rights_of(&scope, role)?,
            None => Rights::of(&scope.view.catalog, &scope.user),
        };
        Ok(ScalarValue::Boolean(answer(&scope, &rights, rest)?))
    })
}

fn rights_of<'a>(scope: &'a Scope, role: &ScalarValue) -> Result<Rights<'a>> {
    let catalog = &scope.view.catalog;
    match as_text(role) {
        Some("public") => Ok(Rights::of_public(catalog)),
        Some(name) if catalog.roles.contains_key(name) => Ok(Rights::of(catalog, name)),
        Some(name) => Err(no_role(name)),
        None => Ok(oid_of(role)
            .filter(|oid| catalog.role(*oid).is_some())
            .map_or(Rights::of_public(catalog), |oid| Rights::of_oid(catalog, oid))),
    }
}

fn no_role(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
}

fn oid_of(value: &ScalarValue) -> Option<u32> {
    as_integer(value).and_then(|oid| u32::try_from(oid).ok())
}

/// What a name or an OID stands for.
enum Object {
    /// An object that keeps who may what.
    Kept(Kind, u32),
    /// What is built in: everybody has these.
    BuiltIn(Privileges),
}

/// Whether it has one of the privileges of a list such as `SELECT, INSERT WITH GRANT OPTION`.
fn of_object(scope: &Scope, rights: &Rights<'_>, kind: Kind, args: &[ScalarValue]) -> Result<Option<bool>> {
    let [object, privileges] = args else { return Ok(None) };
    let object = match as_text(object) {
        Some(name) => Some(by_name(scope, kind, name)?),
        None => oid_of(object).and_then(|oid| by_oid(scope, kind, oid)),
    };
    let wanted = wanted(kind, privileges)?;
    Ok(object.map(|object| {
        wanted.into_iter().any(|(privilege, option)| match object {
            Object::BuiltIn(everybody) => rights.is_superuser() || (!option && everybody & privilege != 0),
            Object::Kept(kind, oid) if option => rights.privileges(kind, oid).1 & privilege != 0,
            Object::Kept(kind, oid) => rights.has(kind, oid, privilege),
        })
    }))
}

fn by_name(scope: &Scope, kind: Kind, name: &str) -> Result<Object> {
    let catalog = &scope.view.catalog;
    match kind {
        Kind::Schema if SYSTEM_SCHEMAS.contains(&name) => Ok(Object::BuiltIn(acl::USAGE)),
        Kind::Schema => {
            let missing = || SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"));
            catalog.schemas.get(name).map(|entry| Object::Kept(kind, entry.definition.oid)).ok_or_else(missing)
        }
        Kind::Database if name == scope.database => Ok(Object::Kept(kind, acl::DATABASE_OID)),
        Kind::Database => Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))),
        _ => match relation(scope, name)? {
            Named::BuiltIn(shape) => Ok(of_shape(shape)),
            Named::Own(found) if kind == Kind::Sequence && !matches!(found.relation(), Relation::Sequence(_)) => {
                Err(found.wrong_kind("sequence"))
            }
            Named::Own(found) => Ok(Object::Kept(kind_of(found.relation()), found.relation().oid())),
        },
    }
}

fn by_oid(scope: &Scope, kind: Kind, oid: u32) -> Option<Object> {
    let catalog = &scope.view.catalog;
    match kind {
        Kind::Schema if SYSTEM_SCHEMA_OIDS.contains(&oid) => Some(Object::BuiltIn(acl::USAGE)),
        Kind::Schema => catalog.schemas.values().any(|entry| entry.definition.oid == oid).then_some(Object::Kept(kind, oid)),
        Kind::Database => (oid == acl::DATABASE_OID).then_some(Object::Kept(kind, oid)),
        _ => match catalog.by_oid(oid) {
            Some(found) => Some(Object::Kept(kind_of(found.relation()), oid)),
            None => shapes::by_oid(oid).map(of_shape),
        },
    }
}

/// A relation that a name stands for.
enum Named<'a> {
    BuiltIn(&'static Shape),
    Own(Found<'a>),
}

fn relation<'a>(scope: &'a Scope, name: &str) -> Result<Named<'a>> {
    let name = QualifiedName::from_text(name)?;
    let built_in = match &name.schema {
        Some(schema) => shapes::find(schema, &name.name),
        None => shapes::find("pg_catalog", &name.name),
    };
    match built_in {
        Some(shape) => Ok(Named::BuiltIn(shape)),
        None => scope.view.catalog.require(&name, &scope.search_path).map(Named::Own),
    }
}

fn of_shape(shape: &Shape) -> Object {
    Object::BuiltIn(if system_relations::is_secret(shape.name) { 0 } else { acl::SELECT })
}

/// The relation of the first argument: its OID, or what it is if it is built in; `None` if an OID stands for nothing.
fn of_relation(scope: &Scope, value: &ScalarValue) -> Result<Option<Object>> {
    match as_text(value) {
        Some(name) => by_name(scope, Kind::Table, name).map(Some),
        None => Ok(oid_of(value).and_then(|oid| by_oid(scope, Kind::Table, oid))),
    }
}

fn of_any_column(scope: &Scope, rights: &Rights<'_>, args: &[ScalarValue]) -> Result<Option<bool>> {
    let [relation, privileges] = args else { return Ok(None) };
    let object = of_relation(scope, relation)?;
    let wanted = wanted(Kind::Column, privileges)?;
    Ok(object.map(|object| {
        wanted.into_iter().any(|(privilege, option)| match object {
            Object::BuiltIn(everybody) => rights.is_superuser() || (!option && everybody & privilege != 0),
            Object::Kept(_, oid) if option => rights.may_grant_on_any_column(oid, privilege),
            Object::Kept(_, oid) => rights.has_on_any_column(oid, privilege),
        })
    }))
}

fn of_column(scope: &Scope, rights: &Rights<'_>, args: &[ScalarValue]) -> Result<Option<bool>> {
    let [relation, column, privileges] = args else { return Ok(None) };
    let Some(object) = of_relation(scope, relation)? else { return Ok(None) };
    let wanted = wanted(Kind::Column, privileges)?;
    let oid = match object {
        Object::Kept(_, oid) => oid,
        Object::BuiltIn(everybody) => {
            let had = |(privilege, option): &(Privileges, bool)| !option && everybody & privilege != 0;
            return Ok(Some(rights.is_superuser() || wanted.iter().any(had)));
        }
    };
    let Some(column) = column_id(scope, oid, column)? else { return Ok(None) };
    Ok(Some(wanted.into_iter().any(|(privilege, option)| match option {
        true => rights.may_grant_on_column(oid, column, privilege),
        false => rights.has_on_column(oid, column, privilege),
    })))
}

/// The column of a name, or of a number; `None`: there is no such number.
fn column_id(scope: &Scope, relation: u32, column: &ScalarValue) -> Result<Option<ColumnId>> {
    let Some(found) = scope.view.catalog.by_oid(relation) else { return Ok(None) };
    let columns: Vec<(&str, u32)> = match found.relation() {
        Relation::Table(table) => table.columns.iter().map(|column| (column.name.as_str(), column.id.0)).collect(),
        Relation::View(view) => view.columns.iter().zip(1..).map(|((name, _), number)| (name.as_str(), number)).collect(),
        Relation::Sequence(_) => lookup::SEQUENCE_COLUMN_NAMES.into_iter().zip(1..).collect(),
    };
    match as_text(column) {
        Some(name) => {
            let missing =
                || SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{}\" does not exist", found.name));
            columns.iter().find(|(known, _)| *known == name).map(|(_, id)| Some(ColumnId(*id))).ok_or_else(missing)
        }
        None => Ok(oid_of(column).filter(|number| columns.iter().any(|(_, id)| id == number)).map(ColumnId)),
    }
}

fn of_role(scope: &Scope, rights: &Rights<'_>, args: &[ScalarValue]) -> Result<Option<bool>> {
    let [role, privileges] = args else { return Ok(None) };
    let catalog = &scope.view.catalog;
    let oid = match as_text(role) {
        Some(name) => catalog.roles.get(name).map(|entry| entry.definition.oid).ok_or_else(|| no_role(name))?,
        None => oid_of(role).unwrap_or(u32::MAX),
    };
    let mut had = false;
    for text in as_text(privileges).unwrap_or_default().split(',') {
        had |= match text.trim().to_uppercase().as_str() {
            "USAGE" => rights.has_role(oid),
            "MEMBER" => rights.may_become(oid),
            "USAGE WITH GRANT OPTION" | "USAGE WITH ADMIN OPTION" | "MEMBER WITH GRANT OPTION" | "MEMBER WITH ADMIN OPTION" => {
                rights.may_admin(oid)
            }
            _ => return Err(unknown(text)),
        };
    }
    Ok(Some(had))
}

fn superusers(_: &Scope, rights: &Rights<'_>, _: &[ScalarValue]) -> Result<Option<bool>> {
    Ok(Some(rights.is_superuser()))
}

fn unknown(text: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized privilege type: \"{}\"", text.trim()))
}

/// The privileges of a list, each with whether `WITH GRANT OPTION` follows; one that there is not on such an object is refused.
fn wanted(kind: Kind, privileges: &ScalarValue) -> Result<Vec<(Privileges, bool)>> {
    let one = |text: &str| {
        let upper = text.trim().to_uppercase();
        let (name, option) = upper.strip_suffix(" WITH GRANT OPTION").map_or((upper.as_str(), false), |name| (name.trim(), true));
        let known = acl::named(name).filter(|privilege| privilege & kind.all() != 0);
        known.map(|privilege| (privilege, option)).ok_or_else(|| unknown(text))
    };
    as_text(privileges).unwrap_or_default().split(',').map(one).collect()
}
