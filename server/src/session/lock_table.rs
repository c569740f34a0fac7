//! `LOCK [TABLE] names IN mode MODE [NOWAIT]`.
//!
//! Those who change rows lock their tables in ROW EXCLUSIVE mode, and those who lock rows in ROW SHARE mode. Who only reads locks nothing: no change
//! takes its snapshot from it, and ACCESS SHARE (pg_dump's) is granted at once.

use super::dispatch::read_context;
use super::grammar::{Grammar, Ours, Read};
use super::{Outcome, Session};
use crate::access::acl;
use crate::catalog::names::QualifiedName;
use crate::catalog::provider::SYSTEM_SCHEMAS;
use crate::catalog::{Relation, pg_catalog};
use crate::engine::locks::{TableLock, TableMode, Wanted};
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use datafusion::sql::sqlparser::ast::ObjectName;
use datafusion::sql::sqlparser::tokenizer::Token;

/// PostgreSQL's modes; the last is that of a statement which names none.
const MODES: [(&str, TableMode); 8] = [
    ("ACCESS SHARE", TableMode::AccessShare),
    ("ROW SHARE", TableMode::RowShare),
    ("ROW EXCLUSIVE", TableMode::RowExclusive),
    ("SHARE UPDATE EXCLUSIVE", TableMode::ShareUpdateExclusive),
    ("SHARE ROW EXCLUSIVE", TableMode::ShareRowExclusive),
    ("SHARE", TableMode::Share),
    ("EXCLUSIVE", TableMode::Exclusive),
    ("ACCESS EXCLUSIVE", TableMode::AccessExclusive),
];

/// The statement.
#[derive(Clone, Debug)]
pub struct LockTable {
    tables: Vec<ObjectName>,
    mode: TableMode,
    nowait: bool,
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
    let mode = if grammar.accept("IN") { mode(grammar)? } else { TableMode::AccessExclusive };
    let nowait = grammar.accept("NOWAIT");
    Ok(Some(Ours::LockTable(LockTable { tables, mode, nowait })))
}

fn mode(grammar: &mut Grammar<'_>) -> Read<TableMode> {
    match MODES.into_iter().find(|(name, _)| grammar.accept(&format!("{name} MODE"))) {
        Some((_, mode)) => Ok(mode),
        None => grammar.unexpected("a lock mode"),
    }
}

/// Locks the tables, one after another.
pub(super) async fn run(session: &mut Session, lock: &LockTable) -> Result<Outcome> {
    if session.block.as_ref().is_none_or(|block| block.implicit) && !session.implicit {
        return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "LOCK TABLE can only be used in transaction blocks"));
    }
    let context = read_context(session)?;
    for name in &lock.tables {
        let Some((oid, name)) = permit(&context, name, lock.mode)? else { continue };
        let Some(block) = &mut session.block else { continue };
        let transaction = block.transaction()?;
        transaction.locks().act_for(context.session.process_id);
        let wanted = Wanted::Table(TableLock { table: oid, mode: lock.mode });
        if !lock.nowait {
            transaction.locks().lock(wanted, context.session.lock_timeout()).await?;
        } else if !transaction.locks().try_lock(&wanted) {
            let message = format!("could not obtain lock on relation \"{name}\"");
            return Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message));
        }
    }
    Ok(Outcome::Done("LOCK TABLE".into()))
}

/// The table of a name, if there is anything to lock; that there is such a table or view, and that it may be locked.
fn permit(context: &QueryContext, name: &ObjectName, mode: TableMode) -> Result<Option<(u32, String)>> {
    let name = QualifiedName::from_ast(name, &context.database)?;
    let built_in = name.schema.as_deref().unwrap_or("pg_catalog");
    if SYSTEM_SCHEMAS.contains(&built_in) && pg_catalog::shapes::find(built_in, &name.name).is_some() {
        return Ok(None);
    }
    if let Some(schema) = &name.schema {
        context.rights().require_on_schema(schema, acl::USAGE)?;
    }
    let found = context.view.catalog.require(&name, &context.search_path)?;
    let rights = context.rights();
    let changes = [acl::UPDATE, acl::DELETE, acl::TRUNCATE].into_iter().any(|wanted| rights.require_on(&found, wanted).is_ok());
    match found.relation() {
        Relation::Sequence(_) => return Err(found.wrong_kind("table or view")),
        _ if mode == TableMode::AccessShare => return rights.require_on(&found, acl::SELECT).map(|()| None),
        _ if !changes => return rights.require_on(&found, acl::UPDATE).map(|()| None),
        Relation::View(_) => return Err(SqlError::unsupported("LOCK TABLE of a view in other modes than ACCESS SHARE")),
        Relation::Table(_) => {}
    }
    Ok(Some((found.relation().oid(), found.name.to_string())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::engine::locks::TableMode;
    use crate::session::grammar::Ours;
    use crate::session::parse::parse;

    fn mode_of(sql: &str) -> Option<TableMode> {
        match parse(sql).ok()?.first()?.ours.as_deref()? {
            Ours::LockTable(lock) => Some(lock.mode),
            _ => None,
        }
    }

    #[test]
    fn all_forms_are_read() {
        assert_eq!(mode_of("lock table a, only s.b in access share mode"), Some(TableMode::AccessShare));
        assert_eq!(mode_of("lock a * in share row exclusive mode nowait"), Some(TableMode::ShareRowExclusive));
        assert_eq!(mode_of("LOCK a"), Some(TableMode::AccessExclusive));
        assert!(parse("lock a in no mode").is_err() && parse("lock").is_err());
    }
}
