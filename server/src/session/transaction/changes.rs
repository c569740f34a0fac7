//! Rows that a transaction adds and deletes, before they are committed.
//!
//! Small insertions stay in memory as batches. They are joined like a binary counter, so that a block of n single-row inserts holds a
//! logarithmic number of units; ids of rows in them hold until the next [`Transaction::add_rows`]. Deletes of a statement therefore come
//! before its additions.

use super::{Transaction, forget_staged, lost_ids};
use crate::catalog::columns;
use crate::engine::ids;
use crate::error::{Result, SqlError};
use crate::ingest::writer;
use crate::view::{TableChanges, View};
use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Field, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{ColumnId, ColumnSpec, Deletes, SegmentId, Unit, UnitSource, WrittenRows};

/// A batch of a transaction is written as a segment when it takes more memory than this, in bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;

impl Transaction {
    /// Removes all rows of a table.
    pub fn truncate(&mut self, table_oid: u32) {
        let changes = Arc::make_mut(&mut self.changes).entry(table_oid).or_default();
        let before = std::mem::replace(changes, TableChanges { truncated: true, ..TableChanges::default() });
        forget_staged(Arc::make_mut(&mut self.staged), &before.added);
        Arc::make_mut(&mut self.keys).remove(&table_oid);
    }

    /// Adds rows that a writer has staged. Rows not in a segment have the table's columns, in order.
    pub fn add_rows(&mut self, table_oid: u32, written: WrittenRows) -> Result<()> {
        if written.segments.iter().any(|staged| !ids::is_leased(staged.summary.id)) {
            return Err(lost_ids());
        }
        let inline = written.inline.filter(|batch| batch.num_rows() > 0);
        let inline = inline.map(|batch| self.batch_unit(table_oid, batch)).transpose()?;
        if written.segments.is_empty() && inline.is_none() {
            return Ok(());
        }
        let added = &mut Arc::make_mut(&mut self.changes).entry(table_oid).or_default().added;
        for staged in written.segments {
            added.push(segment_unit(&staged.summary));
            Arc::make_mut(&mut self.staged).insert(staged.summary.id, Arc::new(staged));
        }
        if let Some(unit) = inline {
            match self.units_held {
                true => added.push(unit),
                false => push_batch(added, unit)?,
            }
        }
        Ok(())
    }

    /// From here on units stay as they are, though rows are added: several parts of one statement name rows of them.
    pub fn hold_units(&mut self) {
        self.units_held = true;
    }

    /// Ends [`Transaction::hold_units`].
    pub fn release_units(&mut self) {
        self.units_held = false;
    }

    /// Rows of a table that were deleted since a view was frozen, by unit.
    pub fn deleted_since(&self, view: &View, table_oid: u32) -> BTreeMap<SegmentId, Deletes> {
        let changes = self.changes.get(&table_oid).filter(|_| !Arc::ptr_eq(&view.changes, &self.changes));
        let Some(changes) = changes else { return BTreeMap::new() };
        let own = changes.added.iter().filter_map(|unit| Some((unit.id, Deletes::clone(unit.deletes.as_ref()?))));
        changes.deleted.iter().map(|(unit, rows)| (*unit, rows.clone())).chain(own).collect()
    }

    /// Deletes rows of a unit, the snapshot's or the transaction's own; answers how many were not deleted before.
    pub fn delete_rows(&mut self, table_oid: u32, unit: SegmentId, rows: Deletes) -> Result<u64> {
        self.will_change_rows(table_oid);
        let changes = Arc::make_mut(&mut self.changes).entry(table_oid).or_default();
        if let Some(own) = changes.added.iter_mut().find(|own| own.id == unit) {
            let mut deletes = own.deletes.take().map_or_else(Deletes::default, Arc::unwrap_or_clone);
            let newly = join(&mut deletes, &rows);
            own.deletes = Some(Arc::new(deletes));
            return Ok(newly);
        }
        let table = self.snapshot.state.tables.get(&placement::TableId(u64::from(table_oid)));
        if changes.truncated || !table.is_some_and(|table| table.units.contains_key(&placement::UnitId(unit.0))) {
            return Err(SqlError::internal(format!("rows of unit {unit} are not there to delete")));
        }
        Ok(join(changes.deleted.entry(unit).or_default(), &rows))
    }

    /// Writes batches that have grown large as segments, so that a long block holds little memory. Call at the end of a statement.
    pub async fn settle(&mut self) -> Result<()> {
        if self.units_held {
            return Ok(());
        }
        let large: Vec<_> = self.changes.iter().filter(|(_, changes)| has_large_batch(changes)).map(|(table, _)| *table).collect();
        for table in large {
            self.write_batches(table, BATCH_BYTES_MAX).await?;
        }
        Ok(())
    }

    /// Writes the table's batches of more than so many bytes as segments.
    pub(super) async fn write_batches(&mut self, table_oid: u32, bytes_max: usize) -> Result<()> {
        let Some(changes) = self.changes.get(&table_oid) else { return Ok(()) };
        let (batches, others): (Vec<_>, Vec<_>) = changes.added.iter().cloned().partition(|unit| batch_bytes(unit) > bytes_max);
        let columns = columns::storage_columns(&self.table_definition(table_oid)?)?;
        let batches = batches.iter().map(|unit| live_rows(unit, &columns)).collect::<Result<Vec<_>>>()?;
        let written = self.write_segments(table_oid, batches).await?;
        Arc::make_mut(&mut self.changes).entry(table_oid).or_default().added = others;
        self.add_rows(table_oid, written)
    }

    /// Writes batches of the table's columns as segments, whatever their size.
    pub(super) async fn write_segments(&self, table_oid: u32, batches: Vec<RecordBatch>) -> Result<WrittenRows> {
        let definition = self.table_definition(table_oid)?;
        let mut writer = writer::TableWriter::new(self.engine.clone(), &definition)?;
        for batch in batches {
            writer.push(batch).await?;
        }
        writer.finish(0).await
    }

    /// The definition of a table that the transaction sees.
    pub(super) fn table_definition(&self, table_oid: u32) -> Result<crate::catalog::TableDefinition> {
        let tables = self.catalog.relations.values().filter_map(|entry| entry.definition.as_table());
        let found = tables.into_iter().find(|table| table.oid == table_oid).cloned();
        found.ok_or_else(|| SqlError::internal(format!("table {table_oid} is gone")))
    }

    fn batch_unit(&self, table_oid: u32, batch: RecordBatch) -> Result<Unit> {
        let id = self.engine.next_segment_id();
        if !ids::is_leased(id) {
            return Err(lost_ids());
        }
        let ids: Arc<[ColumnId]> = columns::storage_columns(&self.table_definition(table_oid)?)?.iter().map(|column| column.id).collect();
        Ok(Unit { id, rows: batch.num_rows() as u64, source: UnitSource::Batch { columns: ids, batch }, deletes: None })
    }
}

fn segment_unit(summary: &storage::SegmentSummary) -> Unit {
    Unit { id: summary.id, rows: summary.rows, source: UnitSource::Segment(Arc::new(summary.clone())), deletes: None }
}

/// Adds the rows to the set; answers how many were new.
fn join(deletes: &mut Deletes, rows: &Deletes) -> u64 {
    let before = deletes.0.len();
    deletes.0 |= &rows.0;
    deletes.0.len() - before
}

/// Appends a batch, joining it with those before it that are not larger and have the same columns.
fn push_batch(added: &mut Vec<Unit>, mut unit: Unit) -> Result<()> {
    while let Some(last) = added.last().filter(|last| joins(last, &unit)) {
        let rows = [live_batch(last)?, live_batch(&unit)?];
        let batch = concat_batches(&rows[1].schema(), &rows)?;
        let UnitSource::Batch { columns, .. } = unit.source else { break };
        unit = Unit { id: unit.id, rows: batch.num_rows() as u64, source: UnitSource::Batch { columns, batch }, deletes: None };
        added.pop();
    }
    added.push(unit);
    Ok(())
}

fn joins(last: &Unit, next: &Unit) -> bool {
    let (UnitSource::Batch { columns, batch }, UnitSource::Batch { columns: next_columns, batch: next_batch }) =
        (&last.source, &next.source)
    else {
        return false;
    };
    let small = batch.get_array_memory_size() <= BATCH_BYTES_MAX;
    last.rows <= next.rows && small && columns == next_columns && batch.schema() == next_batch.schema()
}

/// The rows of a batch unit that are not deleted, with the columns that its table has by now: a column is found by its id, and one that was
/// added after the rows has its missing value.
pub(super) fn live_rows(unit: &Unit, columns: &[ColumnSpec]) -> Result<RecordBatch> {
    let UnitSource::Batch { columns: ids, .. } = &unit.source else {
        return Err(SqlError::internal("a batch of an open transaction was expected"));
    };
    let live = live_batch(unit)?;
    let array = |column: &ColumnSpec| match ids.iter().position(|id| *id == column.id) {
        Some(at) => column.conform(live.column(at).clone()),
        None => column.missing_values(live.num_rows()),
    };
    let arrays = columns.iter().map(array).collect::<storage::Result<Vec<_>>>()?;
    let fields: Vec<Field> = columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(live.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

/// The rows of a batch unit that are not deleted.
fn live_batch(unit: &Unit) -> Result<RecordBatch> {
    let UnitSource::Batch { batch, .. } = &unit.source else {
        return Err(SqlError::internal("a batch of an open transaction was expected"));
    };
    let Some(deletes) = &unit.deletes else { return Ok(batch.clone()) };
    let keep: BooleanArray = (0..batch.num_rows()).map(|row| Some(!deletes.0.contains(row as u32))).collect();
    Ok(filter_record_batch(batch, &keep)?)
}

pub(super) fn batch_bytes(unit: &Unit) -> usize {
    match &unit.source {
        UnitSource::Batch { batch, .. } => batch.get_array_memory_size(),
        _ => 0,
    }
}

fn has_large_batch(changes: &TableChanges) -> bool {
    changes.added.iter().any(|unit| batch_bytes(unit) > BATCH_BYTES_MAX)
}
