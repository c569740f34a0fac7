//! Prepared statements by name: those of PREPARE and those of the extended protocol have one space of names, as in PostgreSQL.

use super::{Outcome, Prepared, Session, Statement, describe, dispatch};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use datafusion::sql::sqlparser::ast;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Prepared statements by name in one session, at most.
const PREPARED_MAX: usize = 10_000;

/// What `pg_prepared_statements` tells of one.
#[derive(Clone, Debug)]
pub struct PreparedFacts {
    /// Its name.
    pub name: String,
    /// The text as it was sent.
    pub statement: Arc<str>,
    /// When.
    pub prepared: DateTime<Utc>,
    /// Types of $1, $2, ...
    pub parameters: Vec<SqlType>,
    /// With PREPARE, rather than by the protocol.
    pub from_sql: bool,
}

struct Named {
    prepared: Arc<Prepared>,
    facts: PreparedFacts,
}

/// The statements.
#[derive(Default)]
pub(super) struct PreparedStatements {
    named: BTreeMap<String, Named>,
    /// Made when first asked for after a change.
    facts: OnceLock<Arc<[PreparedFacts]>>,
}

impl PreparedStatements {
    pub(super) fn clear(&mut self) {
        self.named.clear();
        self.facts = OnceLock::new();
    }
    pub(super) fn facts(&self) -> Arc<[PreparedFacts]> {
        self.facts.get_or_init(|| self.named.values().map(|named| named.facts.clone()).collect()).clone()
    }
    fn check_new(&self, name: &str) -> Result<()> {
        if self.named.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        if self.named.len() >= PREPARED_MAX {
            let message = format!("a session can have at most {PREPARED_MAX} prepared statements");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).with_hint("Use DEALLOCATE."));
        }
        Ok(())
    }
    fn put(&mut self, name: &str, prepared: Prepared, statement: Arc<str>, from_sql: bool) {
        let parameters = prepared.parameters.clone();
        let facts = PreparedFacts { name: name.to_string(), statement, prepared: Utc::now(), parameters, from_sql };
        self.named.insert(name.to_string(), Named { prepared: Arc::new(prepared), facts });
        self.facts = OnceLock::new();
    }
    fn remove(&mut self, name: &str) {
        self.named.remove(name);
        self.facts = OnceLock::new();
    }
}

/// Statements of the extended protocol.
impl Session {
    /// Whether a name is free (42P05), and there is room for it.
    pub fn check_new_name(&self, name: &str) -> Result<()> {
        self.prepared.check_new(name)
    }
    /// Keeps a statement under a name that has been checked.
    pub fn keep_prepared(&mut self, name: &str, prepared: Prepared) {
        let text = prepared.statement.as_ref().map_or_else(|| "".into(), |statement| statement.text.clone());
        self.prepared.put(name, prepared, text, false);
    }
    /// The statement of a name (26000).
    pub fn find_prepared(&self, name: &str) -> Result<Arc<Prepared>> {
        let found = self.prepared.named.get(name).map(|named| named.prepared.clone());
        found.ok_or_else(|| SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, format!("prepared statement \"{name}\" does not exist")))
    }
    /// Forgets a name, if it is one.
    pub fn forget_prepared(&mut self, name: &str) {
        self.prepared.remove(name);
    }
}

/// PREPARE.
pub(super) async fn prepare(
    session: &mut Session,
    text: &Arc<str>,
    name: &str,
    types: &[ast::DataType],
    statement: &Statement,
) -> Result<Outcome> {
    session.prepared.check_new(name)?;
    let declared = types.iter().map(|written| SqlType::from_ast(written).map(Some)).collect::<Result<Vec<_>>>()?;
    let prepared = describe::describe(session, Some(statement.clone()), &declared).await?;
    session.prepared.put(name, prepared, text.clone(), true);
    Ok(Outcome::Done("PREPARE".into()))
}

/// EXECUTE.
pub(super) async fn execute(session: &mut Session, name: &str, arguments: &[ast::Expr]) -> Result<Outcome> {
    let prepared = session.find_prepared(name)?;
    let Some(statement) = &prepared.statement else { return Ok(Outcome::Empty) };
    if arguments.len() != prepared.parameters.len() {
        let message = format!("wrong number of parameters for prepared statement \"{name}\"");
        let detail = format!("Expected {} parameters but got {}.", prepared.parameters.len(), arguments.len());
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).with_detail(detail));
    }
    let mut values = Vec::new();
    if !arguments.is_empty() {
        let context = dispatch::read_context(session)?;
        for (argument, sql_type) in arguments.iter().zip(&prepared.parameters) {
            values.push(context.constant(argument, sql_type)?);
        }
    }
    let outcome = Box::pin(dispatch::execute(session, statement, &values)).await?;
    check_columns(&prepared, &outcome)?;
    Ok(outcome)
}

/// DEALLOCATE.
pub(super) fn deallocate(session: &mut Session, name: Option<&str>) -> Result<Outcome> {
    match name {
        None => session.prepared.clear(),
        Some(name) => {
            session.find_prepared(name)?;
            session.forget_prepared(name);
        }
    }
    Ok(Outcome::Done(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" }.into()))
}

/// A prepared statement returns the columns that it was described with, or fails.
pub fn check_columns(prepared: &Prepared, outcome: &Outcome) -> Result<()> {
    let (Some(before), Outcome::Rows { schema: now, .. }) = (&prepared.columns, outcome) else { return Ok(()) };
    match same_columns(before, now) {
        true => Ok(()),
        false => Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")),
    }
}

fn same_columns(before: &SchemaRef, now: &SchemaRef) -> bool {
    let same = |(a, b): (&Arc<arrow::datatypes::Field>, &Arc<arrow::datatypes::Field>)| {
        // A parameter's value says how many digits a numeric has, which its type does not.
        let alike = match (SqlType::of_field(a), SqlType::of_field(b)) {
            (SqlType::Numeric(_), SqlType::Numeric(_)) => true,
            (before, now) => before == now,
        };
        a.name() == b.name() && alike
    };
    Arc::ptr_eq(before, now) || (before.fields().len() == now.fields().len() && before.fields().iter().zip(now.fields()).all(same))
}

#[cfg(test)]
mod tests;
