//! RETURNING: evaluated on rows as they were written, or as they were before they were deleted.

use super::query::{plain_table, select};
use super::returning_columns;
use crate::error::Result;
use crate::ingest::Target;
use crate::ingest::expression::{SelectList, nullable};
use crate::query::QueryContext;
use crate::session::Outcome;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{Ident, SelectItem, Statement, TableWithJoins, With};

/// What a statement returns: nothing, or rows, which are held (in reserved memory) until the statement is complete.
pub(super) struct Returning {
    list: Option<SelectList>,
    /// The same for rows that ON CONFLICT updated, where the clause names `xmax`: they were there before.
    updated: Option<SelectList>,
    batches: Vec<RecordBatch>,
    memory: MemoryReservation,
}

impl Returning {
    /// Compiles the clause. `from` are the other tables that it can refer to.
    pub(super) async fn compile(
        context: &QueryContext,
        target: &Target,
        alias: &Ident,
        from: &[TableWithJoins],
        clause: Option<&[SelectItem]>,
        (with, parameters): (Option<&With>, &[ScalarValue]),
    ) -> Result<Self> {
        let list = match clause {
            Some(items) => Some(SelectList::compile(context, &statement(target, alias, from, items, with)?, parameters).await?),
            None => None,
        };
        let updated = match clause.and_then(|items| returning_columns::of_updated(target, items)) {
            Some(items) => Some(SelectList::compile(context, &statement(target, alias, from, &items, with)?, parameters).await?),
            None => None,
        };
        let memory = MemoryConsumer::new("RETURNING").register(&context.engine.runtime.memory_pool);
        Ok(Self { list, updated, batches: Vec::new(), memory })
    }

    /// Whether there is a clause.
    pub(super) fn is_wanted(&self) -> bool {
        self.list.is_some()
    }

    /// Takes rows: the target's columns, then those of the other tables.
    pub(super) fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let Some(list) = &self.list else { return Ok(()) };
        let batch = list.batch(rows)?;
        self.memory.try_grow(batch.get_array_memory_size())?;
        self.batches.push(batch);
        Ok(())
    }

    /// Takes rows that ON CONFLICT updated.
    pub(super) fn add_updated(&mut self, rows: &RecordBatch) -> Result<()> {
        let Some(list) = &self.updated else { return self.add(rows) };
        let batch = list.batch(rows)?;
        self.memory.try_grow(batch.get_array_memory_size())?;
        self.batches.push(batch);
        Ok(())
    }

    /// The statement's outcome: rows, or the tag with the number of rows changed.
    pub(super) fn outcome(self, tag: &'static str, rows: u64) -> Outcome {
        let Some(list) = self.list else { return Outcome::Done(format!("{tag} {rows}")) };
        let schema = list.output.clone();
        let batches = held(nullable(&schema), self.batches, self.memory);
        Outcome::Rows { schema, batches, tag, tag_rows: true }
    }
}

/// Rows that were kept, as a stream that holds what was reserved for them.
pub(super) fn held(schema: SchemaRef, batches: Vec<RecordBatch>, memory: MemoryReservation) -> SendableRecordBatchStream {
    let batches = futures::stream::iter(batches.into_iter().map(move |batch| {
        let _ = &memory;
        Ok(batch)
    }));
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// The query whose select list RETURNING is.
pub(super) fn statement(
    target: &Target,
    alias: &Ident,
    from: &[TableWithJoins],
    items: &[SelectItem],
    with: Option<&With>,
) -> Result<Statement> {
    let tables = std::iter::once(plain_table(target, alias)).chain(from.iter().cloned()).collect();
    select(with, returning_columns::of_new(target, items), tables, None)
}
