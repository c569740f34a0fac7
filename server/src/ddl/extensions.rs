//! CREATE EXTENSION and DROP EXTENSION: what was created is written down, so that clients find it and dumps have it. The functions are the
//! server's own, and there without it; there are no other extensions.

use super::decision::{Change, Decision, Ids, SUCCESS, Scope, notice};
use crate::access::rights::not_owner;
use crate::catalog::ExtensionDefinition;
use crate::catalog::comments::Comments;
use crate::catalog::pg_catalog::extensions::{self, Extension};
use crate::catalog::pg_catalog::relations;
use crate::error::{Result, SqlError, SqlState};
use crate::session::grammar::extension::{CreateExtension, DropExtension};

/// CREATE EXTENSION; its comment comes with it, as in PostgreSQL.
pub fn create(scope: Scope<'_>, ids: &mut Ids, create: &CreateExtension) -> Result<Decision> {
    let CreateExtension { name, if_not_exists, schema } = create;
    // Dumps of older versions name the server's own.
    let own = name == extensions::OWN_NAME;
    if own || extensions::is_created(scope.catalog, name) {
        let message = format!("extension \"{name}\" already exists");
        return match if_not_exists {
            true => Ok(Decision::skip(notice(SqlState::DUPLICATE_OBJECT, format!("{message}, skipping")))),
            false => Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message)),
        };
    }
    let Some(known) = extensions::find(name) else {
        let message = format!("extension \"{name}\" is not available");
        let detail = "Could not open extension control file: No such file or directory.";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
            .with_detail(detail)
            .with_hint("The extension must first be installed on the system where PostgreSQL is running."));
    };
    let schema = match schema {
        Some(schema) => {
            scope.catalog.require_schema(schema)?;
            relations::schema_oid(scope.catalog, schema)
        }
        None => first_schema(scope),
    };
    let oid = ids.take()?;
    let comments = Comments { object: Some(known.comment.to_string()), ..Comments::default() };
    let definition = ExtensionDefinition { oid, schema };
    Ok(Decision::of(vec![Change::PutExtension(name.clone(), Some(definition)), Change::PutComments(oid, comments)]))
}

/// DROP EXTENSION.
pub fn drop(scope: Scope<'_>, dropped: &DropExtension) -> Result<Decision> {
    let mut decision = Decision::default();
    for name in &dropped.names {
        if extensions::find(name).is_some_and(|known: &Extension| known.from_the_start) {
            return Err(SqlError::unsupported(format!("DROP EXTENSION {name}")).with_hint("Every database has it."));
        }
        match extensions::is_created(scope.catalog, name) {
            true => {
                require_owner(scope, name)?;
                decision.changes.push(Change::PutExtension(name.clone(), None));
            }
            false if dropped.if_exists => {
                decision.notices.push(notice(SUCCESS, format!("extension \"{name}\" does not exist, skipping")));
            }
            false => return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("extension \"{name}\" does not exist"))),
        }
    }
    Ok(decision)
}

fn require_owner(scope: Scope<'_>, name: &str) -> Result<()> {
    let oid = scope.catalog.extensions.get(name).map(|entry| entry.definition.oid);
    if oid.is_none_or(|oid| scope.rights().owns(oid)) { Ok(()) } else { Err(not_owner("extension", name)) }
}

fn first_schema(scope: Scope<'_>) -> u32 {
    let first = scope.search_path.iter().find(|schema| scope.catalog.schemas.contains_key(*schema));
    relations::schema_oid(scope.catalog, first.map_or(crate::catalog::PUBLIC_SCHEMA, String::as_str))
}
