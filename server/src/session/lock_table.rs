//! `LOCK [TABLE] names IN ACCESS SHARE MODE`: what a reader has anyway here, its snapshot, which no change of a table takes from it.
//!
//! pg_dump locks so what it reads. The other modes would keep others from writing: they are refused.

use super::dispatch::read_context;
use super::grammar::{Grammar, Ours, Read};
use super::{Outcome, Session};
use crate::access::acl;
use crate::catalog::names::QualifiedName;
use crate::catalog::provider::SYSTEM_SCHEMAS;
use crate::catalog::{Relation, pg_catalog};
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::tokenizer::Token;

/// The only mode that is granted.
const GRANTED: &str = "ACCESS SHARE";

/// PostgreSQL's modes; the last is that of a statement which names none.
const MODES: [&str; 8] =
    [GRANTED, "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"];

const HINT: &str =
    "Transactions are isolated by snapshots: of two that write the same rows, the second gets a serialization failure (40001).";

/// The statement.
#[derive(Clone, Debug)]
pub struct LockTable {
    tables: Vec<ObjectName>,
    mode: &'static str,
}

/// Reads the statement; `None`, and nothing consumed, if it is another.
pub(super) fn read(grammar: &mut Grammar<'_>) -> Read<Option<Ours>> {
    if !grammar.accept("LOCK TABLE") && !grammar.accept("LOCK") {
        return Ok(None);
    }
    let mut tables = Vec::new();
    loop {
        grammar.accept("ONLY");
        tables.push(grammar.object_name()?);
        grammar.token(&Token::Mul);
        if !grammar.token(&Token::Comma) {
            break;
        }
    }
    let mode = if grammar.accept("IN") { mode(grammar)? } else { MODES[MODES.len() - 1] };
    grammar.accept("NOWAIT");
    Ok(Some(Ours::LockTable(LockTable { tables, mode })))
}

fn mode(grammar: &mut Grammar<'_>) -> Read<&'static str> {
    match MODES.into_iter().find(|mode| grammar.accept(&format!("{mode} MODE"))) {
        Some(mode) => Ok(mode),
        None => grammar.unexpected("a lock mode"),
    }
}

/// Locks, as far as there is anything to lock.
pub(super) fn run(session: &mut Session, lock: &LockTable) -> Result<Outcome> {
    if session.block.as_ref().is_none_or(|block| block.implicit) && !session.implicit {
        return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "LOCK TABLE can only be used in transaction blocks"));
    }
    let context = read_context(session)?;
    lock.tables.iter().try_for_each(|name| permit(&context, name))?;
    match lock.mode {
        GRANTED => Ok(Outcome::Done("LOCK TABLE".into())),
        mode => Err(SqlError::unsupported(format!("LOCK TABLE IN {mode} MODE")).with_hint(HINT)),
    }
}

/// That there is such a table or view, and that it may be read.
fn permit(context: &QueryContext, name: &ObjectName) -> Result<()> {
    let name = QualifiedName::from_ast(name, &context.database)?;
    let built_in = name.schema.as_deref().unwrap_or("pg_catalog");
    if SYSTEM_SCHEMAS.contains(&built_in) && pg_catalog::shapes::find(built_in, &name.name).is_some() {
        return Ok(());
    }
    if let Some(schema) = &name.schema {
        context.rights().require_on_schema(schema, acl::USAGE)?;
    }
    let found = context.view.catalog.require(&name, &context.search_path)?;
    match found.relation() {
        Relation::Sequence(_) => Err(found.wrong_kind("table or view")),
        _ => context.rights().require_on(&found, acl::SELECT),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::session::grammar::Ours;
    use crate::session::parse::parse;

    fn mode_of(sql: &str) -> Option<&'static str> {
        match parse(sql).ok()?.first()?.ours.as_deref()? {
            Ours::LockTable(lock) => Some(lock.mode),
            _ => None,
        }
    }

    #[test]
    fn all_forms_are_read() {
        assert_eq!(mode_of("lock table a, only s.b in access share mode"), Some("ACCESS SHARE"));
        assert_eq!(mode_of("lock a * in share row exclusive mode nowait"), Some("SHARE ROW EXCLUSIVE"));
        assert_eq!(mode_of("LOCK a"), Some("ACCESS EXCLUSIVE"));
        assert!(parse("lock a in no mode").is_err() && parse("lock").is_err());
    }
}
