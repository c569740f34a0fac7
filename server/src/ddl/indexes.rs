//! CREATE INDEX and DROP INDEX.
//!
//! A unique index is enforced, by a constraint of the same name. The others are kept as definitions, so that what tools create they find
//! and can drop; nothing is built for them, which a notice says: scans skip by the statistics that every segment carries.

use super::constraints;
use super::decision::{Check, Decision, KeyText, SUCCESS, Scope, notice, place, put, relation_exists};
use super::{expressions, foreign_keys};
use crate::catalog::lookup::Found;
use crate::catalog::names::{fold, quote};
use crate::catalog::pg_catalog::expression_text;
use crate::catalog::unique_key::{KeyOptions, KeyPart};
use crate::catalog::{Constraint, IndexDefinition, Relation, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{CreateIndex, Expr, Ident, IndexColumn, ObjectName, Value};
use std::collections::BTreeSet;
use storage::ColumnId;

/// What an index can be asked to be.
const METHODS: [&str; 6] = ["btree", "hash", "gist", "gin", "spgist", "brin"];

/// CREATE INDEX.
pub fn create(scope: Scope<'_>, create: &CreateIndex) -> Result<Decision> {
    let found = scope.require(&create.table_name)?;
    let Relation::Table(table) = found.relation() else { return Err(not_indexable(&found)) };
    let mut table = table.clone();
    let name = match &create.name {
        Some(name) => name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default(),
        None => free_name(scope, (found.schema, found.name), &table, create),
    };
    if taken(scope, found.schema, &name) {
        return if create.if_not_exists {
            let text = format!("relation \"{name}\" already exists, skipping");
            Ok(Decision::skip(notice(SqlState::DUPLICATE_TABLE, text)))
        } else {
            Err(relation_exists(&name))
        };
    }
    let create = &unqualified(create);
    let index = definition(&table, create, &name)?;
    let mut decision = Decision::default();
    if create.unique {
        make_unique(scope, (found.schema, found.name), &mut table, create, &name)?;
        let key = table.constraints.last().and_then(|constraint| KeyText::of(&table, constraint));
        decision.before.extend(key.map(|key| Check::UniqueKeys { table: place(&found), constraint: name.clone(), key }));
    } else {
        let text = format!("index \"{name}\" is recorded, and nothing is built for it");
        let mut notice = notice(SUCCESS, text);
        notice.error.detail = Some("Scans skip what cannot match by the statistics that every segment carries.".to_string());
        decision.notices.push(notice);
    }
    table.indexes.push(index);
    decision.changes.push(put(&found, Relation::Table(table)));
    Ok(decision)
}

/// The same index, its expressions over columns without the table's name.
fn unqualified(create: &CreateIndex) -> CreateIndex {
    let mut create = create.clone();
    for column in &mut create.columns {
        column.column.expr = expressions::unqualified(column.column.expr.clone());
    }
    create.predicate = create.predicate.map(expressions::unqualified);
    create
}

/// Expressions of an index, for the caller to plan.
pub fn expressions(create: &CreateIndex) -> Vec<&Expr> {
    key_expressions(create).chain(&create.predicate).collect()
}

/// The parts of a key that are no columns.
pub fn key_expressions(create: &CreateIndex) -> impl Iterator<Item = &Expr> {
    create.columns.iter().map(|column| &column.column.expr).filter(|expr| plain_column(expr).is_none())
}

/// DROP INDEX.
pub fn drop(scope: Scope<'_>, names: &[ObjectName], if_exists: bool, cascade: bool) -> Result<Decision> {
    let mut decision = Decision::default();
    let mut tables: Vec<(Found<'_>, TableDefinition)> = Vec::new();
    let mut targets = Vec::new();
    for name in names {
        let wanted = scope.name(name)?;
        let schemas: Vec<&String> = wanted.schema.iter().chain(scope.search_path.iter().filter(|_| wanted.schema.is_none())).collect();
        let Some(found) = schemas.iter().find_map(|schema| table_of(scope, schema, &wanted.name)) else {
            match scope.catalog.find(&wanted, scope.search_path) {
                Some(other) => return Err(other.wrong_kind("index")),
                None if if_exists => decision.notices.push(notice(SUCCESS, format!("index \"{wanted}\" does not exist, skipping"))),
                None => return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("index \"{wanted}\" does not exist"))),
            }
            continue;
        };
        let at = match tables.iter().position(|(known, _)| place(known) == place(&found)) {
            Some(at) => at,
            None => {
                tables.push((found, found.table()?.clone()));
                tables.len() - 1
            }
        };
        let relying = foreign_keys::relying_on(scope, &tables[at].1, &wanted.name);
        remove(&mut tables[at].1, found.name, &wanted.name)?;
        tables[at]
            .1
            .constraints
            .retain(|constraint| !relying.iter().any(|by| place(&by.found) == place(&found) && by.key.name == constraint.name()));
        targets.push(super::drop::Target::Index(place(&found), wanted.name.clone()));
    }
    let dropped = super::drop::decide(scope, targets, cascade)?;
    decision.changes.extend(dropped.changes);
    decision.notices.extend(dropped.notices);
    decision.changes.extend(tables.into_iter().map(|(found, table)| put(&found, Relation::Table(table))));
    Ok(decision)
}

/// ALTER INDEX ... RENAME TO: of a unique index, its constraint's name is changed too.
pub fn rename(scope: Scope<'_>, name: &ObjectName, if_exists: bool, to: &str) -> Result<Decision> {
    let wanted = scope.name(name)?;
    let schemas: Vec<&String> = wanted.schema.iter().chain(scope.search_path.iter().filter(|_| wanted.schema.is_none())).collect();
    let Some(found) = schemas.iter().find_map(|schema| table_of(scope, schema, &wanted.name)) else {
        return match scope.catalog.find(&wanted, scope.search_path) {
            Some(other) => Err(other.wrong_kind("index")),
            None if if_exists => Ok(scope.skip_missing(name)),
            None => Err(SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{wanted}\" does not exist"))),
        };
    };
    scope.rights().require_owner(&found)?;
    if taken(scope, found.schema, to) {
        return Err(relation_exists(to));
    }
    let mut table = found.table()?.clone();
    let is_it = |known: &&mut String| **known == wanted.name;
    table.indexes.iter_mut().map(|index| &mut index.name).filter(is_it).for_each(|known| *known = to.to_string());
    let keys = table.constraints.iter_mut().filter_map(|constraint| match constraint {
        Constraint::Unique { name, .. } => Some(name),
        _ => None,
    });
    keys.filter(is_it).for_each(|known| *known = to.to_string());
    Ok(Decision { changes: vec![put(&found, Relation::Table(table))], ..Decision::default() })
}

/// The indexes that are left when a column goes.
pub fn forget_column(table: &mut TableDefinition, column: ColumnId) {
    table.indexes.retain(|index| !index.columns.contains(&column));
}

/// Follows a column's new name.
pub fn rename_column(table: &mut TableDefinition, column: ColumnId, from: &str, to: &str) {
    for index in table.indexes.iter_mut().filter(|index| index.columns.contains(&column)) {
        index.definition = expressions::rename_words(&index.definition, from, to);
    }
}

fn not_indexable(found: &Found<'_>) -> SqlError {
    let message = format!("cannot create index on relation \"{}\"", found.name);
    let detail = format!("This operation is not supported for {}s.", found.relation().kind());
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail)
}

/// Adds a unique index under a name of its own to a table that is being made.
pub fn add_unique(scope: Scope<'_>, place: (&str, &str), table: &mut TableDefinition, create: &CreateIndex) -> Result<()> {
    let name = free_name(scope, place, table, create);
    let index = definition(table, create, &name)?;
    make_unique(scope, place, table, create, &name)?;
    table.indexes.push(index);
    Ok(())
}

fn free_name(scope: Scope<'_>, (schema, relation): (&str, &str), table: &TableDefinition, create: &CreateIndex) -> String {
    let own = |name: &str| table.indexes.iter().any(|index| index.name == name) || table.constraints.iter().any(|key| key.name() == name);
    let known = |name: &str| taken(scope, schema, name) || own(name);
    constraints::free_name(relation, Some(part_names(create).join("_")), "idx", known)
}

/// What the parts of an index are called, each once.
fn part_names(create: &CreateIndex) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in create.columns.iter().map(|column| part_name(&column.column.expr)).chain(create.include.iter().map(fold)) {
        let numbered = (0..).map(|n: usize| if n == 0 { name.clone() } else { format!("{name}{n}") });
        let free = numbered.into_iter().find(|candidate| !names.contains(candidate));
        names.push(free.unwrap_or(name));
    }
    names
}

fn part_name(expression: &Expr) -> String {
    match expression {
        Expr::Identifier(ident) => fold(ident),
        Expr::Nested(inner) => part_name(inner),
        Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default(),
        Expr::Cast { expr, .. } if plain_column(expr).is_some() => part_name(expr),
        Expr::Case { .. } => "case".to_string(),
        _ => "expr".to_string(),
    }
}

/// Whether a relation or an index of a schema has this name.
pub fn taken(scope: Scope<'_>, schema: &str, name: &str) -> bool {
    scope.catalog.get(schema, name).is_some() || table_of(scope, schema, name).is_some()
}

/// The table of a schema that has an index, or a unique constraint, of this name.
fn table_of<'a>(scope: Scope<'a>, schema: &str, name: &str) -> Option<Found<'a>> {
    let is_key = |constraint: &Constraint| matches!(constraint, Constraint::Unique { name: key, .. } if key == name);
    let has = |table: &TableDefinition| table.indexes.iter().any(|index| index.name == name) || table.constraints.iter().any(is_key);
    scope.catalog.all().find(|found| found.schema == schema && found.relation().as_table().is_some_and(has))
}

fn definition(table: &TableDefinition, create: &CreateIndex, name: &str) -> Result<IndexDefinition> {
    let method = create.using.as_ref().map_or_else(|| "btree".to_string(), |method| method.to_string().to_lowercase());
    if !METHODS.contains(&method.as_str()) {
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("access method \"{method}\" does not exist")));
    }
    if create.unique && method != "btree" {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("access method \"{method}\" does not support unique indexes")));
    }
    let mut columns: BTreeSet<String> = create.columns.iter().flat_map(|column| expressions::columns(&column.column.expr)).collect();
    columns.extend(create.include.iter().map(fold));
    columns.extend(create.predicate.iter().flat_map(expressions::columns));
    let ids = columns.iter().map(|name| column_id(table, name)).collect::<Result<_>>()?;
    Ok(IndexDefinition { name: name.to_string(), unique: create.unique, columns: ids, definition: definition_text(table, create, &method) })
}

fn definition_text(table: &TableDefinition, create: &CreateIndex, method: &str) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let mut text = format!("USING {method} ({})", list(create.columns.iter().map(part_text).collect()));
    if !create.include.is_empty() {
        text.push_str(&format!(" INCLUDE ({})", list(create.include.iter().map(|name| quote(&fold(name))).collect())));
    }
    if create.nulls_distinct == Some(false) {
        text.push_str(" NULLS NOT DISTINCT");
    }
    if let Some(predicate) = &create.predicate {
        text.push_str(&format!(" WHERE {}", expression_text::condition(table, &predicate.to_string(), false)));
    }
    text
}

/// A part of the key as PostgreSQL prints it: quotes where they are needed, and nothing that goes without saying.
fn part_text(part: &IndexColumn) -> String {
    let mut part = part.clone();
    if let Expr::Identifier(ident) = &mut part.column.expr {
        let name = fold(ident);
        *ident = if quote(&name) == name { Ident::new(name) } else { Ident::with_quote('"', name) };
    }
    let written = std::mem::replace(&mut part.column.expr, Expr::value(Value::Null));
    part.column.expr = expression_text::in_small_letters(written);
    let options = &mut part.column.options;
    options.asc = options.asc.filter(|ascending| !ascending);
    let descending = options.asc == Some(false);
    options.nulls_first = options.nulls_first.filter(|first| *first != descending);
    part.to_string()
}

/// The constraint that enforces a unique index.
fn make_unique(
    scope: Scope<'_>,
    (schema, relation): (&str, &str),
    table: &mut TableDefinition,
    create: &CreateIndex,
    name: &str,
) -> Result<()> {
    let parts = create.columns.iter().map(|column| key_part(table, &column.column.expr)).collect::<Result<Vec<_>>>()?;
    let columns: Vec<String> = create.columns.iter().filter_map(|column| plain_column(&column.column.expr)).collect();
    let has_expressions = parts.len() > columns.len();
    let named = expressions(create).into_iter().flat_map(expressions::columns).collect::<BTreeSet<_>>();
    let options = KeyOptions {
        parts: if has_expressions { parts } else { Vec::new() },
        condition: create.predicate.as_ref().map(|condition| condition.to_string()),
        names: named.iter().map(|name| column_id(table, name)).collect::<Result<_>>()?,
        nulls_equal: create.nulls_distinct == Some(false),
        include: create.include.iter().map(|name| column_id(table, &fold(name))).collect::<Result<_>>()?,
        ..KeyOptions::default()
    };
    let name = Ident::with_quote('"', name);
    let key = constraints::NewKey { name: Some(&name), columns: &columns, primary: false, options };
    constraints::add_unique(scope, (schema, relation), table, key).map(|_| ())
}

fn key_part(table: &TableDefinition, expression: &Expr) -> Result<KeyPart> {
    match plain_column(expression) {
        Some(name) => column_id(table, &name).map(KeyPart::Column),
        None => Ok(KeyPart::Expression(expression.to_string())),
    }
}

/// The column that a part of a key is, in parentheses or not.
fn plain_column(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::Nested(inner) => plain_column(inner),
        _ => None,
    }
}

fn column_id(table: &TableDefinition, name: &str) -> Result<ColumnId> {
    let missing = || SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"));
    table.column(name).map(|column| column.id).ok_or_else(missing)
}

fn remove(table: &mut TableDefinition, table_name: &str, index: &str) -> Result<()> {
    let before = table.indexes.len();
    table.indexes.retain(|known| known.name != index);
    if table.indexes.len() == before {
        let message = format!("cannot drop index {index} because constraint {index} on table {table_name} requires it");
        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .with_hint(format!("You can drop constraint {index} on table {table_name} instead.")));
    }
    table.constraints.retain(|constraint| constraint.name() != index);
    Ok(())
}
