//! WITH whose queries change rows: `WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone`.
//!
//! 1. All parts of the statement read one frozen view: none sees what another has changed, other than by its RETURNING.
//! 2. The changes that others read are run in their order, each once and to its end. What one returns is kept, in reserved memory, as a
//!    relation ([`crate::query::held`]) that those after it read in its place.
//! 3. Then comes the statement below WITH. If it is a query, its rows are kept too, for nothing may be sent before all has succeeded.
//! 4. The changes that nothing reads come last, as in PostgreSQL.
//! 5. What foreign keys demand follows once all parts have changed what they change.
//!
//! Of two parts that change the same row, the first does; the other passes it by.

use super::query::select_all;
use super::{Described, returning};
use crate::error::{Result, SqlError, SqlState};
use crate::foreign_keys::queue;
use crate::ingest::expression::nullable;
use crate::query::{HeldRows, QueryContext, held, semantics};
use crate::session::Outcome;
use crate::session::transaction::Transaction;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::sql::sqlparser::ast::{Cte, Query, SetExpr, Statement, With};
use futures::TryStreamExt;

/// Whether a statement's own WITH changes rows.
pub fn changes(statement: &Statement) -> bool {
    matches!(statement, Statement::Query(query) if with_of(query).iter().any(is_change))
}

fn with_of(query: &Query) -> &[Cte] {
    query.with.as_ref().map_or(&[], |with| &with.cte_tables)
}

fn is_change(cte: &Cte) -> bool {
    matches!(*cte.query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
}

/// Runs the statement within a transaction.
pub(super) async fn execute(
    context: &QueryContext,
    transaction: &mut Transaction,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    transaction.hold_units();
    transaction.hold_events();
    let outcome = execute_parts(context, transaction, statement, parameters).await;
    transaction.release_units();
    let events = transaction.release_events();
    let outcome = outcome?;
    queue::run(context, transaction, events).await?;
    transaction.settle().await?;
    Ok(outcome)
}

async fn execute_parts(
    context: &QueryContext,
    transaction: &mut Transaction,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let (query, mut parts) = Parts::of(context, statement)?;
    let mut unread = Vec::new();
    for (place, cte) in with_of(query).iter().enumerate() {
        if !is_change(cte) {
            parts.keep(cte.clone());
        } else if !is_read(query, place) {
            unread.push(parts.statement(&cte.query));
        } else {
            let part = parts.statement(&cte.query);
            let outcome = Box::pin(super::execute_single(&parts.context, transaction, &part, parameters)).await?;
            let rows = match outcome {
                Outcome::Rows { schema, batches, .. } => Some(Kept::of(context, &schema, batches).await?),
                _ => None,
            };
            parts.keep_returned(cte, rows)?;
        }
    }
    let outcome = execute_rest(&parts, transaction, query, parameters).await?;
    for part in unread {
        Box::pin(super::execute_single(&parts.context, transaction, &part, parameters)).await?;
    }
    Ok(outcome)
}

/// Whether what a WITH query returns is read by one after it, or by the statement below.
fn is_read(query: &Query, place: usize) -> bool {
    let ctes = with_of(query);
    let name = semantics::folded(&ctes[place].alias.name);
    let below = Query { with: None, ..query.clone() };
    semantics::mentions(&below, &name) || ctes[place + 1..].iter().any(|cte| semantics::mentions(&cte.query, &name))
}

async fn execute_rest(parts: &Parts, transaction: &mut Transaction, query: &Query, parameters: &[ScalarValue]) -> Result<Outcome> {
    let rest = parts.rest(query);
    match &rest {
        Statement::Query(query)
            if matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)) =>
        {
            Box::pin(super::execute_single(&parts.context, transaction, &rest, parameters)).await
        }
        _ => select_rows(&parts.context, &rest, parameters).await,
    }
}

/// Runs the query below WITH to its end.
async fn select_rows(context: &QueryContext, query: &Statement, parameters: &[ScalarValue]) -> Result<Outcome> {
    let plan = context.plan(query).await?;
    let schema = context.output_schema(&plan);
    let batches = context.run(context.bind(plan, parameters)?).await?;
    let rows = Kept::of(context, &schema, batches).await?;
    let batches = returning::held(rows.schema, rows.batches, rows.memory);
    Ok(Outcome::Rows { schema, batches, tag: "SELECT", tag_rows: true })
}

/// What takes parameters, and what the statement returns, without running it.
pub(super) async fn describe(context: &QueryContext, statement: &Statement) -> Result<Described> {
    let (query, mut parts) = Parts::of(context, statement)?;
    let mut described = Described::default();
    for cte in with_of(query) {
        if !is_change(cte) {
            parts.keep(cte.clone());
            continue;
        }
        let part = parts.statement(&cte.query);
        let of_part = Box::pin(super::describe::of_single(&parts.context, &part)).await?;
        let empty = of_part.columns.map(|schema| Kept::empty(context, &schema));
        described.parameters.extend(of_part.parameters);
        parts.keep_returned(cte, empty)?;
    }
    let rest = parts.rest(query);
    let last = Box::pin(super::describe::of_single(&parts.context, &rest)).await?;
    described.parameters.extend(last.parameters);
    described.columns = last.columns;
    Ok(described)
}

/// The parts of a statement on the way from first to last.
struct Parts {
    context: QueryContext,
    /// What the next part can read.
    with: With,
}

impl Parts {
    /// The statement's query, and nothing of it done yet.
    fn of<'a>(context: &QueryContext, statement: &'a Statement) -> Result<(&'a Query, Self)> {
        let Statement::Query(query) = statement else { return Err(SqlError::internal("a query was expected")) };
        let Some(with) = &query.with else { return Err(SqlError::internal("a statement with WITH was expected")) };
        let with = With { cte_tables: Vec::new(), ..with.clone() };
        Ok((query, Self { context: context.clone(), with }))
    }

    fn keep(&mut self, cte: Cte) {
        self.with.cte_tables.push(cte);
    }

    /// A change under the WITH that it can read, its own last.
    fn statement(&self, query: &Query) -> Statement {
        let mut query = query.clone();
        let mut with = self.with.clone();
        if let Some(own) = query.with.take() {
            with.recursive |= own.recursive;
            with.cte_tables.extend(own.cte_tables);
        }
        query.with = (!with.cte_tables.is_empty()).then_some(with);
        Statement::Query(Box::new(query))
    }

    /// Puts what a change returned in its place. One that returns nothing cannot be read: its name stands for nothing.
    fn keep_returned(&mut self, cte: &Cte, rows: Option<Kept>) -> Result<()> {
        let Some(rows) = rows else { return Ok(()) };
        let reading = Box::new(select_all(held::relation(self.context.held.len()))?);
        self.context.hold(HeldRows::new(rows.schema, rows.batches, rows.memory)?);
        self.keep(Cte { query: reading, ..cte.clone() });
        Ok(())
    }

    /// What is left of the statement once all changes of its WITH are made.
    fn rest(&self, query: &Query) -> Statement {
        let mut query = query.clone();
        query.with = (!self.with.cte_tables.is_empty()).then(|| self.with.clone());
        Statement::Query(Box::new(query))
    }
}

/// Rows that a part has returned, all of them; their columns can be NULL.
struct Kept {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    memory: MemoryReservation,
}

impl Kept {
    fn empty(context: &QueryContext, schema: &SchemaRef) -> Self {
        let memory = MemoryConsumer::new("WITH").register(&context.engine.runtime.memory_pool);
        Self { schema: nullable(schema), batches: Vec::new(), memory }
    }

    async fn of(context: &QueryContext, schema: &SchemaRef, mut batches: SendableRecordBatchStream) -> Result<Self> {
        let mut kept = Self::empty(context, schema);
        while let Some(batch) = batches.try_next().await.map_err(SqlError::from)? {
            kept.memory.try_grow(batch.get_array_memory_size())?;
            kept.batches.push(RecordBatch::try_new(kept.schema.clone(), batch.columns().to_vec())?);
        }
        Ok(kept)
    }
}

/// Names in WITH that return nothing, read all the same: 0A000 as PostgreSQL has it.
pub(super) fn refuse_reading_nothing(statement: &Statement, error: SqlError) -> SqlError {
    let Statement::Query(query) = statement else { return error };
    let silent = with_of(query).iter().filter(|cte| is_change(cte)).map(|cte| semantics::folded(&cte.alias.name));
    let named = silent.into_iter().find(|name| error.message == format!("relation \"{name}\" does not exist"));
    match named {
        Some(name) => {
            let message = format!("WITH query \"{name}\" does not have a RETURNING clause").into();
            SqlError { state: SqlState::FEATURE_NOT_SUPPORTED, message, ..error }
        }
        None => error,
    }
}
