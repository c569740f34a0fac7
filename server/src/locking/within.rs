//! Subqueries that lock rows: run before the statement around them, which then reads their rows as a table.

use super::{clauses, locks_rows, select};
use crate::dml;
use crate::error::{Result, SqlError, SqlState};
use crate::query::{HeldRows, QueryContext, held};
use crate::session::transaction::Transaction;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Query, Statement, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Runs the subqueries of a statement that lock rows; the statement that reads what they have found, which `context` knows from then on.
pub async fn settle(
    context: &mut QueryContext,
    transaction: &mut Transaction,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<Statement> {
    clauses::check(statement)?;
    let mut outer = statement.clone();
    let root = matches!(statement, Statement::Query(_) if !dml::is_dml(statement));
    let mut take = Take { depth: 0, root, first: context.held.len(), taken: Vec::new() };
    let _ = VisitMut::visit(&mut outer, &mut take);
    for query in take.taken {
        let query = Statement::Query(Box::new(query));
        let rows = match select::run(context, transaction, &query, parameters).await {
            Ok(rows) => rows,
            Err(error) => return Err(explained(context, statement, error).await),
        };
        context.hold(HeldRows::new(rows.schema, rows.batches, rows.memory)?);
    }
    Ok(outer)
}

/// A subquery that cannot stand alone, where the statement can: it reads something of the query around it.
async fn explained(context: &QueryContext, statement: &Statement, error: SqlError) -> SqlError {
    if !matches!(error.state, SqlState::UNDEFINED_COLUMN | SqlState::UNDEFINED_TABLE) {
        return error;
    }
    let whole = super::without_locks(statement);
    let stands = match dml::is_dml(&whole) {
        true => dml::describe(context, &whole).await.is_ok(),
        false => context.plan(&whole).await.is_ok(),
    };
    match stands && locks_rows(statement) {
        true => SqlError::unsupported("FOR UPDATE in a subquery that reads columns or WITH queries of the query around it"),
        false => error,
    }
}

/// Takes the subqueries that lock rows out, innermost first, and puts tables in their place.
struct Take {
    depth: usize,
    /// Whether the statement is a query, which is run with its own locks.
    root: bool,
    /// How many tables there are already.
    first: usize,
    taken: Vec<Query>,
}

impl VisitorMut for Take {
    type Break = ();
    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        let apart = !query.locks.is_empty() && (self.depth > 0 || !self.root);
        if apart && let Ok(reading) = dml::select_all(held::relation(self.first + self.taken.len())) {
            self.taken.push(std::mem::replace(query, reading));
        }
        ControlFlow::Continue(())
    }
}
