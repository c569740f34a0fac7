//! Rows that a statement deletes, and pieces that all statements share.

use crate::engine::locks::{RowSet, RowStrength, TableMode};
use crate::error::{Result, SqlError};
use crate::ingest::Target;
use crate::query::QueryContext;
use crate::session::transaction::Transaction;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{UInt32Type, UInt64Type};
use std::collections::BTreeMap;
use storage::{Deletes, SegmentId};

/// Ids of rows, each taken once.
#[derive(Default)]
pub(crate) struct RowIds {
    taken: BTreeMap<SegmentId, Deletes>,
    /// Rows that another part of the statement has taken.
    gone: BTreeMap<SegmentId, Deletes>,
}

impl RowIds {
    /// Takes rows of a table that other parts of the statement may have changed already: those are passed by.
    pub(super) fn after_others(context: &QueryContext, transaction: &Transaction, target: &Target) -> Self {
        Self { gone: transaction.deleted_since(&context.view, target.oid()), ..Self::default() }
    }

    /// Takes a row; false if it was taken before.
    pub(crate) fn take(&mut self, unit: SegmentId, row: u32) -> bool {
        let gone = self.gone.get(&unit).is_some_and(|gone| gone.0.contains(row));
        !gone && self.taken.entry(unit).or_default().0.insert(row)
    }

    /// Whether a row was taken.
    pub(super) fn has(&self, unit: SegmentId, row: u32) -> bool {
        self.taken.get(&unit).is_some_and(|taken| taken.0.contains(row))
    }

    /// Takes all rows of a unit that are not among `gone`.
    pub(super) fn take_unit(&mut self, unit: SegmentId, rows: u64, gone: Option<&Deletes>) {
        let all = &mut self.taken.entry(unit).or_default().0;
        all.insert_range(0..u32::try_from(rows).unwrap_or(u32::MAX));
        for gone in gone.into_iter().chain(self.gone.get(&unit)) {
            *all -= &gone.0;
        }
    }

    /// Takes the rows that a batch names in its first two columns; the batch without those columns, and without rows taken before: a row
    /// that is joined twice is changed once.
    pub(super) fn take_batch(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (units, rows) = id_columns(batch)?;
        let taken: BooleanArray = (0..batch.num_rows()).map(|i| Some(self.take(SegmentId(units.value(i)), rows.value(i)))).collect();
        let rest: Vec<usize> = (2..batch.num_columns()).collect();
        let batch = batch.project(&rest)?;
        if taken.true_count() == batch.num_rows() { Ok(batch) } else { Ok(filter_record_batch(&batch, &taken)?) }
    }

    /// Locks the rows, after waiting for who holds them, and deletes them; answers how many.
    pub(crate) async fn delete(
        self,
        context: &QueryContext,
        transaction: &mut Transaction,
        target: &Target,
        strength: RowStrength,
    ) -> Result<u64> {
        let units = self.taken.iter().filter(|(_, rows)| !rows.0.is_empty()).map(|(unit, rows)| (*unit, rows.0.clone()));
        let mut rows = RowSet { table: target.oid(), strength, units: units.collect() };
        if strength == RowStrength::Gone {
            transaction.add_replaced(&mut rows);
        }
        transaction.lock_table(target.oid(), TableMode::RowExclusive, context.session.lock_timeout()).await?;
        transaction.lock_rows(rows, context.session.lock_timeout()).await?;
        transaction.depends_on(&target.schema, &target.name);
        let units = self.taken.into_iter().filter(|(_, rows)| !rows.0.is_empty());
        let deleted = units.map(|(unit, rows)| transaction.delete_rows(target.oid(), unit, rows));
        deleted.sum()
    }
}

/// The columns that name rows: segments, and offsets in them.
pub(super) fn id_columns(batch: &RecordBatch) -> Result<(&UInt64Array, &UInt32Array)> {
    let missing = || SqlError::internal("the ids of rows are missing");
    let units = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>()).ok_or_else(missing)?;
    let rows = batch.columns().get(1).and_then(|column| column.as_primitive_opt::<UInt32Type>()).ok_or_else(missing)?;
    if units.null_count() + rows.null_count() > 0 {
        return Err(SqlError::internal("the id of a row is null"));
    }
    Ok((units, rows))
}

/// The first columns of a batch, and the batch without them.
pub(super) fn split(batch: &RecordBatch, columns: usize) -> Result<(Vec<ArrayRef>, RecordBatch)> {
    let rest: Vec<usize> = (columns..batch.num_columns()).collect();
    Ok((batch.columns()[..columns].to_vec(), batch.project(&rest)?))
}

/// Refuses clauses that this server does not have.
pub(super) fn refuse(clauses: &[(bool, &str)]) -> Result<()> {
    match clauses.iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(SqlError::unsupported(clause)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::Int32Array;
    use std::sync::Arc;

    #[test]
    fn a_row_named_twice_is_taken_once() {
        let column = |name: &'static str, array: ArrayRef| (name, array);
        let batch = RecordBatch::try_from_iter([
            column("__segment", Arc::new(UInt64Array::from(vec![1, 1, 2]))),
            column("__row", Arc::new(UInt32Array::from(vec![7, 7, 7]))),
            column("v", Arc::new(Int32Array::from(vec![10, 11, 12]))),
        ])
        .unwrap();
        let mut ids = RowIds::default();
        let first = ids.take_batch(&batch).unwrap();
        assert_eq!(first.column(0).as_primitive::<arrow::datatypes::Int32Type>().values(), &[10, 12]);
        assert_eq!(ids.take_batch(&batch).unwrap().num_rows(), 0);
    }
}
