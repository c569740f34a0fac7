//! DROP of kinds of objects that this server has none of.

use super::dispatch::read_context;
use super::grammar::drop_absent::{Absent, DropAbsent};
use super::{Notice, Outcome, Session};
use crate::catalog::lookup::Found;
use crate::catalog::names::QualifiedName;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::ObjectName;

/// With IF EXISTS a notice for each name, else the error for the first.
pub(super) fn drop(session: &mut Session, drop: &DropAbsent) -> Result<Outcome> {
    for absent in &drop.names {
        let absent = with_relation(session, drop, absent)?;
        if !drop.if_exists {
            return Err(absent.error);
        }
        session.notify(Notice { severity: "NOTICE", error: SqlError::new(SqlState("00000"), absent.skipping) });
    }
    Ok(Outcome::Done(drop.tag.into()))
}

/// What is missing may be the table that a trigger is on; and a table may have the name of a materialized view.
fn with_relation(session: &mut Session, drop: &DropAbsent, absent: &Absent) -> Result<Absent> {
    let Some(relation) = &absent.relation else { return Ok(absent.clone()) };
    let on_table = matches!(drop.tag, "DROP TRIGGER" | "DROP RULE" | "DROP POLICY");
    let context = read_context(session)?;
    match (find(&context, relation)?, on_table) {
        (Some(found), false) => {
            let kind = drop.tag.trim_start_matches("DROP ").to_lowercase();
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a {kind}", found.name)))
        }
        (None, true) => {
            let error = SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{relation}\" does not exist"));
            Ok(Absent { skipping: format!("{}, skipping", error.message), error, relation: None })
        }
        _ => Ok(absent.clone()),
    }
}

fn find<'a>(context: &'a crate::query::QueryContext, relation: &ObjectName) -> Result<Option<Found<'a>>> {
    let name = QualifiedName::from_ast(relation, &context.database)?;
    Ok(context.view.catalog.find(&name, &context.search_path))
}
