//! INSERT, UPDATE, DELETE, MERGE, TRUNCATE.
//!
//! Their input is planned as a query that yields rows or ids of rows; what it yields is applied through the transaction.
//!
//! 1. [`target`] finds the table, and refuses what is none.
//! 2. [`query`] writes the query: for UPDATE and DELETE it selects the hidden columns `__segment` and `__row` of the target, beside new values
//!    and what RETURNING needs. The engine's own hooks for UPDATE and DELETE are not used: they lose conditions with subqueries.
//! 3. [`insert`], [`update`], [`delete`], [`merge`], [`truncate`] run it. New rows go through [`crate::ingest::Inserter`], ids of old ones to
//!    [`Transaction::delete_rows`]; before that they are locked, and if others have changed them meanwhile, [`execute_in`] runs the statement
//!    again. The view is frozen: a statement never meets its own rows.
//! 4. [`returning`] evaluates RETURNING on rows as they were written; the rows are held until the statement is complete.
//!
//! A WITH that changes rows has a life of its own: [`changing_with`].
//!
//! Outside a block, [`execute_alone`] runs the statement as its own transaction, again if it loses a race.

use crate::catalog::temporary::is_temporary;
use crate::engine::Engine;
use crate::error::{Result, SqlError};
use crate::locking;
use crate::query::QueryContext;
use crate::query::planner::FUNCTION_KINDS;
use crate::query::semantics;
use crate::session::Outcome;
use crate::session::transaction::Transaction;
use crate::session::transaction::autocommit::autocommit;
use crate::session::transaction::locking::Attempts;
use crate::view::View;
use datafusion::common::ScalarValue;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{ObjectName, SetExpr, Statement, With};
use futures::StreamExt;
use std::sync::Arc;

mod arbiters;
mod changing_with;
pub mod delete;
pub mod describe;
pub mod explain;
pub mod insert;
pub mod merge;
mod on_conflict;
mod query;
mod reads;
mod returning;
mod returning_columns;
pub(crate) mod rows;
mod subscripted;
mod target;
pub mod truncate;
pub mod update;

pub use describe::{Described, describe};
pub(crate) use query::select_all;

/// Whether a statement is one of this module's.
pub fn is_dml(statement: &Statement) -> bool {
    match statement {
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) | Statement::Truncate(_) | Statement::Merge(_) => true,
        Statement::Query(query) => {
            matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
                || changing_with::changes(statement)
        }
        _ => false,
    }
}

/// Runs one statement within a transaction. `context` must have been made with the transaction's present view.
pub async fn execute(
    context: &QueryContext,
    transaction: &mut Transaction,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    if changing_with::changes(statement) {
        let outcome = changing_with::execute(context, transaction, statement, parameters).await;
        return outcome.map_err(|error| changing_with::refuse_reading_nothing(statement, error));
    }
    execute_single(context, transaction, statement, parameters).await
}

/// Runs a statement whose WITH, if it has one, changes nothing.
async fn execute_single(
    context: &QueryContext,
    transaction: &mut Transaction,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let (statement, with) = unwrapped(statement);
    semantics::check(statement, &FUNCTION_KINDS)?;
    transaction.act_for(&context.session);
    match statement {
        Statement::Insert(insert) => insert::execute(context, transaction, insert, with, parameters).await,
        Statement::Update(update) => update::execute(context, transaction, update, with, parameters).await,
        Statement::Delete(delete) => delete::execute(context, transaction, delete, with, parameters).await,
        Statement::Truncate(truncate) => truncate::execute(context, transaction, truncate).await,
        Statement::Merge(merge) => merge::execute(context, transaction, merge, with, parameters).await,
        _ => Err(SqlError::internal("this statement changes no rows")),
    }
}

/// Runs one statement within a transaction, again while it meets rows that others have changed, as far as the isolation level allows. A query is
/// one too if it locks rows (`locks_rows`), or any within it does.
pub async fn execute_in(
    transaction: &mut Transaction,
    read_committed: bool,
    context: impl Fn(View) -> QueryContext,
    (statement, locks_rows): (&Statement, bool),
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let mut attempts: Option<Attempts> = None;
    loop {
        let mut context = context(transaction.view());
        transaction.locks().act_for(context.session.process_id);
        let attempts = attempts.get_or_insert_with(|| transaction.attempt(read_committed));
        let outcome = match locks_rows {
            true => Box::pin(attempt_locking(&mut context, transaction, statement, parameters)).await,
            false => Box::pin(attempt(&context, transaction, statement, parameters)).await,
        };
        if !attempts.again(transaction, outcome.is_err()).await? {
            return outcome;
        }
    }
}

/// Runs a statement once. What it did to rows that nobody can lock (those of a table that it empties) may be lost by the time that it ends.
async fn attempt(
    context: &QueryContext,
    transaction: &mut Transaction,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let outcome = execute(context, transaction, statement, parameters).await?;
    transaction.rewrites_settled().await;
    transaction.check_conflicts().map_err(|_| transaction.lose())?;
    Ok(outcome)
}

/// Runs a statement that locks rows once: subqueries first, then what is around them.
async fn attempt_locking(
    context: &mut QueryContext,
    transaction: &mut Transaction,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let statement = locking::within::settle(context, transaction, statement, parameters).await?;
    if is_dml(&statement) {
        return attempt(context, transaction, &statement, parameters).await;
    }
    let locking::select::Rows { schema, batches, memory } = locking::select::run(context, transaction, &statement, parameters).await?;
    let batches = futures::stream::iter(batches.into_iter().map(Ok)).inspect(move |_| {
        let _held = &memory;
    });
    let batches = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), batches));
    Ok(Outcome::Rows { schema, batches, tag: "SELECT", tag_rows: true })
}

/// Runs one statement as a transaction of its own and commits it. `context` makes the context of an attempt from its view.
pub async fn execute_alone(
    engine: &Arc<Engine>,
    context: impl Fn(View) -> QueryContext,
    (statement, locks_rows): (&Statement, bool),
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let table = || changed_table(engine, &context, statement).ok().flatten();
    let attempt = async |mut transaction: Transaction| {
        let outcome = execute_in(&mut transaction, true, &context, (statement, locks_rows), parameters).await?;
        Ok((outcome, transaction))
    };
    autocommit(engine, table, attempt).await
}

/// Whether a statement changes rows of a temporary table, which a transaction that only reads may do.
pub fn changes_temporary_rows(context: &QueryContext, statement: &Statement) -> bool {
    let name = changed_name(statement).ok().flatten();
    name.and_then(|name| target::find(context, &name).ok()).is_some_and(|target| is_temporary(&target.schema))
}

/// The table whose rows the statement changes, if it may race with others for them.
fn changed_table(engine: &Arc<Engine>, context: &impl Fn(View) -> QueryContext, statement: &Statement) -> Result<Option<u32>> {
    let Some(name) = changed_name(statement)? else { return Ok(None) };
    let context = context(Transaction::begin(engine.clone())?.view());
    Ok(target::find(&context, &name).ok().map(|target| target.oid()))
}

fn changed_name(statement: &Statement) -> Result<Option<ObjectName>> {
    Ok(Some(match unwrapped(statement).0 {
        Statement::Update(update) => target::of_update(update)?.0,
        Statement::Delete(delete) => target::of_delete(delete)?.0,
        Statement::Insert(insert) => target::of_insert(insert)?.0,
        Statement::Merge(merge) => merge::of_merge(merge)?.0,
        _ => return Ok(None),
    }))
}

/// The statement below a WITH, and the WITH.
fn unwrapped(statement: &Statement) -> (&Statement, Option<&With>) {
    let Statement::Query(query) = statement else { return (statement, None) };
    match &*query.body {
        SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) => (inner, query.with.as_ref()),
        _ => (statement, None),
    }
}

#[cfg(test)]
mod tests;
