//! CASCADE, SET NULL, SET DEFAULT: changes of the rows that refer to keys which are gone, as part of the statement that took them away.

use super::checking;
use super::key_set::KeySet;
use super::link::Link;
use super::lookup::{self, Rows};
use super::old_keys::OldKeys;
use super::queue::{Event, action};
use super::side::cast;
use crate::catalog::foreign_key::Action;
use crate::dml::rows::RowIds;
use crate::dml::update::strength;
use crate::engine::locks::{KeyMode, RowStrength};
use crate::error::{Result, SqlError};
use crate::ingest::defaults::Default as ColumnDefault;
use crate::ingest::{Inserter, KeysChanged};
use crate::query::QueryContext;
use crate::session::transaction::Transaction;
use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::interleave;
use std::collections::HashSet;
use std::sync::Arc;
use storage::SegmentId;

/// Does what a foreign key says about the rows that refer to keys; what follows from that.
pub async fn act(
    context: &QueryContext,
    transaction: &mut Transaction,
    link: &Arc<Link>,
    keys: Arc<KeySet>,
    is_update: bool,
) -> Result<Vec<Event>> {
    let action = action(link, is_update);
    transaction.will_change_rows(link.child.oid());
    transaction.lock_references(link.space, KeyMode::Exclusive, keys.fingerprints()).await?;
    if transaction.is_read_committed() {
        transaction.refresh()?;
    }
    let units = transaction.newest_view().units(link.child.oid());
    let rows = lookup::rows(transaction.engine(), keys.clone(), &link.references, &link.child, units).await?;
    if rows.ids.is_empty() {
        return Ok(Vec::new());
    }
    refuse_unseen(transaction, link, &rows)?;
    if action == Action::Cascade && !is_update {
        return delete(context, transaction, link, rows).await;
    }
    let change = Change::of(link, action, is_update, keys.clone());
    let events = change.carry_out(context, transaction, rows).await?;
    if action == Action::SetDefault {
        // The default may be the key that is gone.
        checking::gone(transaction, link, keys).await?;
    }
    Ok(events)
}

/// 40001 for rows that the transaction's snapshot does not have: it cannot change them.
fn refuse_unseen(transaction: &mut Transaction, link: &Link, rows: &Rows) -> Result<()> {
    let known: HashSet<SegmentId> = transaction.view().units(link.child.oid()).iter().map(|unit| unit.id).collect();
    match rows.ids.iter().all(|(unit, _)| known.contains(unit)) {
        true => Ok(()),
        false => Err(transaction.lose()),
    }
}

fn row_ids(rows: &Rows) -> RowIds {
    let mut ids = RowIds::default();
    rows.ids.iter().for_each(|(unit, row)| _ = ids.take(*unit, *row));
    ids
}

async fn delete(context: &QueryContext, transaction: &mut Transaction, link: &Link, rows: Rows) -> Result<Vec<Event>> {
    let mut old = OldKeys::of(&context.engine, &transaction.view().catalog, &link.child, None)?;
    for batch in &rows.batches {
        let values = old.of_rows(batch);
        old.add_deleted(&values)?;
    }
    row_ids(&rows).delete(context, transaction, &link.child, RowStrength::Gone).await?;
    Ok(old.events())
}

/// New values for some columns of referring rows.
struct Change<'a> {
    link: &'a Arc<Link>,
    action: Action,
    /// The columns, by position.
    columns: Vec<usize>,
    keys: Arc<KeySet>,
}

impl<'a> Change<'a> {
    fn of(link: &'a Arc<Link>, action: Action, is_update: bool, keys: Arc<KeySet>) -> Self {
        let all = link.references.positions.iter().zip(&link.references.specs);
        let set = |id| is_update || link.key.set_columns.is_empty() || link.key.set_columns.contains(id);
        let columns = all.filter(|(_, spec)| set(&spec.id)).map(|(position, _)| *position).collect();
        Self { link, action, columns, keys }
    }

    async fn carry_out(self, context: &QueryContext, transaction: &mut Transaction, rows: Rows) -> Result<Vec<Event>> {
        let child = &self.link.child;
        let changed = child.with_generated(&self.columns);
        let mut old = OldKeys::of(&context.engine, &transaction.view().catalog, child, Some(&changed))?;
        let mut inserter = Inserter::new(context, child, KeysChanged::Columns(&changed))?;
        for (batch, keys) in rows.batches.iter().zip(&rows.keys) {
            let new = self.new_rows(context, batch, keys).await?;
            let values = old.of_rows(batch);
            old.add_updated(&values, &new)?;
            inserter.push(new).await?;
        }
        row_ids(&rows).delete(context, transaction, child, strength(child, &changed)).await?;
        let (_, checks) = inserter.finish_unchecked(transaction).await?;
        Ok(old.events().into_iter().chain(checks).collect())
    }

    async fn new_rows(&self, context: &QueryContext, rows: &RecordBatch, keys: &[u128]) -> Result<RecordBatch> {
        let mut columns = rows.columns().to_vec();
        for position in &self.columns {
            columns[*position] = self.new_values(context, *position, rows, keys).await?;
        }
        self.link.child.rows(columns, rows.num_rows())
    }

    async fn new_values(&self, context: &QueryContext, position: usize, rows: &RecordBatch, keys: &[u128]) -> Result<ArrayRef> {
        let column = &self.link.child.definition.columns[position];
        match self.action {
            Action::SetDefault => ColumnDefault::of(context, &self.link.child, column)?.values(column, rows.num_rows()).await,
            Action::Cascade => self.followed(position, keys),
            _ => Ok(new_null_array(rows.column(position).data_type(), rows.num_rows())),
        }
    }

    /// The new value of the key that each row refers to.
    fn followed(&self, position: usize, keys: &[u128]) -> Result<ArrayRef> {
        let side = &self.link.references;
        let at = side.positions.iter().position(|of_key| *of_key == position);
        let at = at.ok_or_else(|| SqlError::internal("a column of a foreign key is missing"))?;
        let width = side.positions.len();
        let arrays: Vec<&dyn Array> = self.keys.batches().iter().map(|batch| batch[width + at].as_ref()).collect();
        let places = keys.iter().map(|key| self.keys.place(*key)).collect::<Option<Vec<_>>>();
        let places = places.ok_or_else(|| SqlError::internal("a row refers to a key that was not looked for"))?;
        let (column, values) = (&self.link.child.definition.columns[position], interleave(&arrays, &places)?);
        let followed = cast(&values, &column.sql_type.arrow())?;
        match followed.null_count() > values.null_count() {
            true => Err(out_of_range(&column.sql_type)),
            false => Ok(followed),
        }
    }
}

fn out_of_range(sql_type: &crate::types::SqlType) -> SqlError {
    SqlError::new(crate::error::SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{} out of range", sql_type.name()))
}
