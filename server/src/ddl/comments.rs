//! COMMENT ON.

use super::decision::{Change, Decision, Scope, place};
use crate::catalog::comments::Comments;
use crate::catalog::lookup::Found;
use crate::catalog::names::fold;
use crate::catalog::pg_catalog::extensions;
use crate::catalog::pg_catalog::server::DATABASE_OID;
use crate::catalog::{Constraint, Relation, TableDefinition};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{CommentObject, Ident, ObjectName};

/// COMMENT ON an object with a name of its own.
pub fn comment(scope: Scope<'_>, kind: &CommentObject, name: &ObjectName, text: Option<&str>) -> Result<Decision> {
    match kind {
        CommentObject::Table => relation(scope, name, "table", text),
        CommentObject::View => relation(scope, name, "view", text),
        CommentObject::Sequence => relation(scope, name, "sequence", text),
        CommentObject::Column => column(scope, name, text),
        CommentObject::Index => index(scope, name, text),
        CommentObject::Schema => schema(scope, name, text),
        CommentObject::Database => database(scope, name, text),
        CommentObject::Extension => extension(scope, name, text),
        other => Err(SqlError::unsupported(format!("COMMENT ON {other}"))),
    }
}

/// COMMENT ON CONSTRAINT ... ON a table.
pub fn comment_constraint(scope: Scope<'_>, constraint: &str, table: &ObjectName, text: Option<&str>) -> Result<Decision> {
    let found = scope.require(table)?;
    let is_it = |known: &Constraint| known.name() == constraint;
    if !found.table()?.constraints.iter().any(is_it) || found.table()?.is_of_index(constraint) {
        let message = format!("constraint \"{constraint}\" for table \"{}\" does not exist", found.name);
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
    }
    Ok(of_constraint(scope, &found, constraint, text))
}

fn relation(scope: Scope<'_>, name: &ObjectName, kind: &str, text: Option<&str>) -> Result<Decision> {
    let found = scope.require(name)?;
    if found.relation().kind() != kind {
        return Err(found.wrong_kind(kind));
    }
    let mut comments = present(scope, found.relation().oid());
    comments.object = said(text);
    Ok(changed(Some(&found), found.relation().oid(), comments))
}

fn column(scope: Scope<'_>, name: &ObjectName, text: Option<&str>) -> Result<Decision> {
    let Some((last, relation)) = name.0.split_last().filter(|(_, relation)| !relation.is_empty()) else {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "column name must be qualified"));
    };
    let found = scope.require(&ObjectName(relation.to_vec()))?;
    let column = last.as_ident().map(fold).unwrap_or_default();
    let id = match found.relation() {
        Relation::Table(table) => table.require_column(found.name, &column)?.id.0,
        Relation::View(view) => {
            let place = view.columns.iter().position(|(name, _)| *name == column);
            let missing =
                || SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{column}\" of relation \"{}\" does not exist", found.name));
            place.ok_or_else(missing)? as u32 + 1
        }
        Relation::Sequence(_) => {
            let message = format!("cannot set comment on relation \"{}\"", found.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail("This operation is not supported for sequences."));
        }
    };
    let mut comments = present(scope, found.relation().oid());
    put(&mut comments.columns, id, said(text));
    Ok(changed(Some(&found), found.relation().oid(), comments))
}

/// An index is a unique constraint of a table, or what CREATE INDEX made.
fn index(scope: Scope<'_>, name: &ObjectName, text: Option<&str>) -> Result<Decision> {
    let name = scope.name(name)?;
    let is_key = |constraint: &Constraint| matches!(constraint, Constraint::Unique { name: key, .. } if *key == name.name);
    let has = |table: &TableDefinition| table.constraints.iter().any(is_key) || table.indexes.iter().any(|index| index.name == name.name);
    let visible = |schema: &str| name.schema.as_deref().map_or_else(|| scope.search_path.iter().any(|s| s == schema), |s| s == schema);
    let found = scope.catalog.all().find(|found| visible(found.schema) && found.relation().as_table().is_some_and(has));
    match found {
        Some(found) => Ok(of_constraint(scope, &found, &name.name, text)),
        None => match scope.catalog.find(&name, scope.search_path) {
            Some(other) => Err(other.wrong_kind("index")),
            None => Err(SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))),
        },
    }
}

fn of_constraint(scope: Scope<'_>, table: &Found<'_>, name: &str, text: Option<&str>) -> Decision {
    let mut comments = present(scope, table.relation().oid());
    put(&mut comments.constraints, name.to_string(), said(text));
    changed(Some(table), table.relation().oid(), comments)
}

fn schema(scope: Scope<'_>, name: &ObjectName, text: Option<&str>) -> Result<Decision> {
    let name = single(name);
    let missing = || SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"));
    let oid = scope.catalog.schemas.get(&name).ok_or_else(missing)?.definition.oid;
    let mut comments = present(scope, oid);
    comments.object = said(text);
    Ok(changed(None, oid, comments))
}

fn extension(scope: Scope<'_>, name: &ObjectName, text: Option<&str>) -> Result<Decision> {
    let name = single(name);
    let Some(entry) = scope.catalog.extensions.get(&name) else {
        return Err(match extensions::find(&name).is_some_and(|known| known.from_the_start) {
            true => SqlError::unsupported(format!("COMMENT ON EXTENSION {name}")),
            false => SqlError::new(SqlState::UNDEFINED_OBJECT, format!("extension \"{name}\" does not exist")),
        });
    };
    let oid = entry.definition.oid;
    let mut comments = present(scope, oid);
    comments.object = said(text);
    Ok(changed(None, oid, comments))
}

fn database(scope: Scope<'_>, name: &ObjectName, text: Option<&str>) -> Result<Decision> {
    let name = single(name);
    if name != scope.database {
        return Err(SqlError::new(SqlState("3D000"), format!("database \"{name}\" does not exist")));
    }
    let mut comments = present(scope, DATABASE_OID);
    comments.object = said(text);
    Ok(changed(None, DATABASE_OID, comments))
}

fn single(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident: &Ident| fold(ident)).unwrap_or_default()
}

/// An empty comment is none.
fn said(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_string)
}

fn put<K: Ord>(comments: &mut std::collections::BTreeMap<K, String>, key: K, text: Option<String>) {
    match text {
        Some(text) => drop(comments.insert(key, text)),
        None => drop(comments.remove(&key)),
    }
}

fn present(scope: Scope<'_>, oid: u32) -> Comments {
    scope.catalog.comments.get(&oid).map(|entry| Comments::clone(&entry.definition)).unwrap_or_default()
}

fn changed(relation: Option<&Found<'_>>, oid: u32, comments: Comments) -> Decision {
    let needed = relation.map(|found| Change::Need(place(found)));
    Decision::of(needed.into_iter().chain([Change::PutComments(oid, comments)]).collect())
}
