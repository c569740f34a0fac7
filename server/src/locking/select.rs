//! Running a query that locks rows.

use super::carry::{Carried, carry};
use super::clauses::{check, items};
use crate::engine::locks::{RowSet, TableMode};
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use crate::session::lock_clauses::Held;
use crate::session::transaction::Transaction;
use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef, UInt32Type, UInt64Type};
use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{Expr, FetchType, Limit, LogicalPlan, Projection, SkipType};
use datafusion::sql::sqlparser::ast::Statement;
use futures::TryStreamExt;
use std::sync::Arc;
use storage::SegmentId;

/// A query's rows, all of them, and the memory that they take.
pub struct Rows {
    /// Their columns.
    pub schema: SchemaRef,
    /// Themselves.
    pub batches: Vec<RecordBatch>,
    /// What they take.
    pub memory: MemoryReservation,
}

/// Runs a query, and locks what it says. Subqueries that lock rows must have been put away ([`super::within`]).
pub async fn run(context: &QueryContext, transaction: &mut Transaction, statement: &Statement, parameters: &[ScalarValue]) -> Result<Rows> {
    check(statement)?;
    let items = match statement {
        Statement::Query(query) => items(context, query)?,
        _ => Vec::new(),
    };
    let plan = context.bind(context.plan(&super::without_locks(statement)).await?, parameters)?;
    let schema = context.output_schema(&plan);
    let (plan, tables) = carry(&plan, &items)?;
    let (plan, window) = match tables.iter().any(|table| table.how.held == Held::Skip) {
        true => without_limit(plan)?,
        false => (plan, Window::default()),
    };
    let memory = MemoryConsumer::new("SELECT FOR UPDATE").register(&context.engine.runtime.memory_pool);
    let mut collected = Collected { rows: Rows { schema, batches: Vec::new(), memory }, locks: vec![None; tables.len()], window };
    for table in &tables {
        transaction.lock_table(table.table, TableMode::RowShare, context.session.lock_timeout()).await?;
    }
    let mut batches = context.run(plan).await?;
    while let Some(batch) = batches.try_next().await.map_err(SqlError::from)? {
        if !collected.take(transaction, &tables, batch).await? {
            break;
        }
    }
    drop(batches);
    for (table, rows) in tables.iter().zip(collected.locks) {
        lock(context, transaction, table, rows).await?;
    }
    Ok(collected.rows)
}

/// Locks rows that may be waited for, or may not.
async fn lock(context: &QueryContext, transaction: &mut Transaction, table: &Carried, rows: Option<RowSet>) -> Result<()> {
    let Some(rows) = rows else { return Ok(()) };
    if table.how.held == Held::Refuse {
        return match transaction.lock_rows_at_once(rows).await? {
            true => Ok(()),
            false => {
                let message = format!("could not obtain lock on row in relation \"{}\"", table.name);
                Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message))
            }
        };
    }
    transaction.lock_rows(rows, context.session.lock_timeout()).await
}

/// Which of the rows that are locked are wanted: LIMIT and OFFSET over rows of which some are left out.
#[derive(Default)]
struct Window {
    skip: usize,
    fetch: Option<usize>,
}

struct Collected {
    rows: Rows,
    /// By table: what is to be locked in the end.
    locks: Vec<Option<RowSet>>,
    window: Window,
}

impl Collected {
    /// Takes a batch's rows, as far as others do not hold them; whether more are wanted.
    async fn take(&mut self, transaction: &mut Transaction, tables: &[Carried], batch: RecordBatch) -> Result<bool> {
        let mut rest = batch;
        while rest.num_rows() > 0 {
            // Of rows that are left out others may be needed: no more are locked than are wanted.
            let wanted = self.window.fetch.map_or(rest.num_rows(), |fetch| (self.window.skip + fetch).min(rest.num_rows()));
            if wanted == 0 {
                return Ok(false);
            }
            let (part, after) = (rest.slice(0, wanted), rest.slice(wanted, rest.num_rows() - wanted));
            let part = free_rows(transaction, tables, part).await?;
            self.keep(tables, part)?;
            rest = after;
        }
        Ok(self.window.fetch != Some(0))
    }

    fn keep(&mut self, tables: &[Carried], batch: RecordBatch) -> Result<()> {
        for (at, table) in tables.iter().enumerate().filter(|(_, table)| table.how.held != Held::Skip) {
            let rows = rows_of(tables, at, &batch)?;
            match &mut self.locks[at] {
                Some(all) => rows.units.into_iter().for_each(|(unit, rows)| *all.units.entry(unit).or_default() |= rows),
                none => *none = Some(RowSet { strength: table.how.strength, ..rows }),
            }
        }
        let skipped = self.window.skip.min(batch.num_rows());
        let batch = batch.slice(skipped, batch.num_rows() - skipped);
        self.window.skip -= skipped;
        self.window.fetch = self.window.fetch.map(|fetch| fetch.saturating_sub(batch.num_rows()));
        self.rows.memory.try_grow(batch.get_array_memory_size())?;
        let shown = self.rows.schema.fields().len();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns()[..shown].to_vec();
        self.rows.batches.push(RecordBatch::try_new_with_options(Arc::clone(&self.rows.schema), columns, &options)?);
        Ok(())
    }
}

/// Locks the rows of a batch whose holders are not waited for; the batch without those that others hold.
async fn free_rows(transaction: &mut Transaction, tables: &[Carried], mut batch: RecordBatch) -> Result<RecordBatch> {
    for at in (0..tables.len()).filter(|at| tables[*at].how.held == Held::Skip) {
        let free = transaction.lock_free_rows(rows_of(tables, at, &batch)?).await?;
        let (units, rows) = places(tables, at, &batch)?;
        let is_free = |row: usize| {
            let unit = free.units.get(&SegmentId(units.value(row)));
            units.is_null(row) || unit.is_some_and(|unit| unit.contains(rows.value(row)))
        };
        let kept: BooleanArray = (0..batch.num_rows()).map(|row| Some(is_free(row))).collect();
        batch = filter_record_batch(&batch, &kept)?;
    }
    Ok(batch)
}

/// The rows of a table that a batch is made of.
fn rows_of(tables: &[Carried], at: usize, batch: &RecordBatch) -> Result<RowSet> {
    let (units, rows) = places(tables, at, batch)?;
    let mut set = RowSet::new(tables[at].table, tables[at].how.strength);
    for row in (0..batch.num_rows()).filter(|row| units.is_valid(*row)) {
        set.units.entry(SegmentId(units.value(row))).or_default().insert(rows.value(row));
    }
    Ok(set)
}

fn places<'a>(tables: &[Carried], at: usize, batch: &'a RecordBatch) -> Result<(&'a UInt64Array, &'a UInt32Array)> {
    let missing = || SqlError::internal("the places of rows are missing");
    let first = (batch.num_columns() + 2 * at).checked_sub(2 * tables.len()).ok_or_else(missing)?;
    let units = batch.columns().get(first).and_then(|column| column.as_primitive_opt::<UInt64Type>()).ok_or_else(missing)?;
    let rows = batch.columns().get(first + 1).and_then(|column| column.as_primitive_opt::<UInt32Type>()).ok_or_else(missing)?;
    Ok((units, rows))
}

/// A number that is cast, which a parameter of another type than bigint is, as the bigint that LIMIT takes.
fn constant(count: Option<Box<Expr>>) -> Option<Box<Expr>> {
    count.map(|count| match *count {
        Expr::Cast(ref cast) => match cast.expr.as_ref() {
            Expr::Literal(value, _) => value.cast_to(&DataType::Int64).map_or(count.clone(), |value| Box::new(Expr::Literal(value, None))),
            _ => count,
        },
        _ => count,
    })
}

/// The plan without the LIMIT at its top: rows that are left out do not count.
fn without_limit(plan: LogicalPlan) -> Result<(LogicalPlan, Window)> {
    match plan {
        LogicalPlan::Limit(limit) => {
            let limit = Limit { skip: constant(limit.skip), fetch: constant(limit.fetch), input: limit.input };
            let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?) else {
                return Err(SqlError::unsupported("SKIP LOCKED with a LIMIT that is no constant"));
            };
            Ok((Arc::unwrap_or_clone(limit.input), Window { skip, fetch }))
        }
        LogicalPlan::Projection(projection) => {
            let (input, window) = without_limit(Arc::unwrap_or_clone(projection.input))?;
            Ok((LogicalPlan::Projection(Projection::try_new(projection.expr, Arc::new(input))?), window))
        }
        other => Ok((other, Window::default())),
    }
}
