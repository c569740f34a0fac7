//! MERGE: rows of a source, each changing the row of the target that it matches, or adding one.
//!
//! 1. [`clauses`] reads the WHEN clauses, and writes the query: the source joined with the target's rows; for each row of the join the ids of the
//!    target's row, the number of the clause that applies, and the values of that clause.
//! 2. Each batch is dealt out to the clauses. A row of the target that two rows of the source change or delete is an error (21000).
//! 3. Old rows are locked and deleted, the new ones inserted, and foreign keys looked after, as an UPDATE does.

use super::query::alias_of;
use super::rows::{RowIds, id_columns};
use super::target;
use crate::access::acl;
use crate::catalog::ColumnDefinition;
use crate::engine::locks::RowStrength;
use crate::error::{Result, SqlError, SqlState};
use crate::foreign_keys::old_keys::OldKeys;
use crate::foreign_keys::queue;
use crate::ingest::assignment::assign;
use crate::ingest::defaults::Default as ColumnDefault;
use crate::ingest::{Inserter, KeysChanged, Target};
use crate::query::QueryContext;
use crate::session::Outcome;
use crate::session::transaction::Transaction;
use crate::types::forms::ValueForms;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use clauses::{Then, Value};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Merge, With};
use futures::TryStreamExt;
use std::sync::Arc;
use storage::SegmentId;

mod clauses;

pub(super) use clauses::{Clauses, of_merge, query};
pub use clauses::{DEFAULTS, NOTHING};

/// The columns of the query before those of values: segment, row, clause.
const LEADING_COLUMNS: usize = 3;

/// Changes the target as the clauses say.
pub(super) async fn execute(
    context: &QueryContext,
    transaction: &mut Transaction,
    merge: &Merge,
    with: Option<&With>,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let (name, alias) = of_merge(merge)?;
    let target = target::find(context, &name)?;
    let alias = alias_of(&target, alias);
    let clauses = Clauses::read(&target, &alias, merge)?;
    permit(context, &target, &clauses)?;
    transaction.will_change_rows(target.oid());
    let plan = context.plan(&query(&target, &alias, merge, &clauses, with)?).await?;
    let mut batches = context.run(context.bind(plan, parameters)?).await?;
    let mut merging = Merging::new(context, transaction, &target, &clauses)?;
    while let Some(batch) = batches.try_next().await.map_err(SqlError::from)? {
        merging.take(&batch).await?;
    }
    let Merging { ids, inserter, gone, changed, counts, .. } = merging;
    ids.delete(context, transaction, &target, RowStrength::Gone).await?;
    let (_, checks) = inserter.finish_unchecked(transaction).await?;
    let events = gone.events().into_iter().chain(changed.events()).chain(checks);
    queue::run(context, transaction, events.collect()).await?;
    counts.note(context, &target);
    Ok(Outcome::Done(format!("MERGE {}", counts.inserted + counts.updated + counts.deleted)))
}

/// Rows that the clauses have dealt with.
#[derive(Default)]
struct Counts {
    inserted: u64,
    updated: u64,
    deleted: u64,
}

impl Counts {
    fn note(&self, context: &QueryContext, target: &Target) {
        let counters = &context.engine.counters;
        counters.inserted(target.oid(), self.inserted);
        counters.updated(target.oid(), self.updated);
        counters.deleted(target.oid(), self.deleted);
    }
}

/// 42501 unless the role may do all that the clauses do.
pub(super) fn permit(context: &QueryContext, target: &Target, clauses: &Clauses) -> Result<()> {
    clauses.all.iter().try_for_each(|clause| match &clause.then {
        Then::Nothing => Ok(()),
        Then::Delete => target::permit(context, target, acl::DELETE, &[]),
        Then::Update(values) => target::permit(context, target, acl::UPDATE, &positions(values)),
        Then::Insert(values) => target::permit(context, target, acl::INSERT, &positions(values)),
    })
}

fn positions(values: &[(usize, Value)]) -> Vec<usize> {
    values.iter().map(|(position, _)| *position).collect()
}

/// A MERGE under way.
struct Merging<'a> {
    target: &'a Target,
    clauses: &'a Clauses,
    forms: Arc<ValueForms>,
    /// For each column of the target what stands for DEFAULT, and for a value that is not given.
    defaults: Vec<Option<ColumnDefault>>,
    ids: RowIds,
    inserter: Inserter,
    /// Keys of rows that are deleted, as far as foreign keys refer to them.
    gone: OldKeys,
    /// The same of rows that are updated.
    changed: OldKeys,
    counts: Counts,
}

impl<'a> Merging<'a> {
    fn new(context: &QueryContext, transaction: &Transaction, target: &'a Target, clauses: &'a Clauses) -> Result<Self> {
        let definitions = target.definition.columns.iter().enumerate();
        let default = |(position, definition): (usize, &ColumnDefinition)| {
            let wanted = clauses.wants_default(position);
            wanted.then(|| ColumnDefault::of(context, target, definition)).transpose()
        };
        Ok(Self {
            target,
            clauses,
            forms: context.forms.clone(),
            defaults: definitions.map(default).collect::<Result<_>>()?,
            ids: RowIds::after_others(context, transaction, target),
            inserter: Inserter::new(context, target, KeysChanged::All)?,
            gone: OldKeys::of(&context.engine, &context.view.catalog, target, None)?,
            changed: OldKeys::of(&context.engine, &context.view.catalog, target, Some(&target.with_generated(&clauses.updated())))?,
            counts: Counts::default(),
        })
    }

    async fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let chosen = batch.column(2).as_primitive_opt::<Int32Type>().ok_or_else(|| SqlError::internal("no clause was chosen"))?;
        for (number, clause) in self.clauses.all.iter().enumerate() {
            let rows = filter_record_batch(batch, &chosen_by(chosen, number))?;
            if rows.num_rows() == 0 || matches!(clause.then, Then::Nothing) {
                continue;
            }
            match &clause.then {
                Then::Nothing => {}
                Then::Delete => self.delete(&rows)?,
                Then::Update(values) => self.update(&rows, clause.first_value, values).await?,
                Then::Insert(values) => {
                    self.counts.inserted += rows.num_rows() as u64;
                    let new = self.new_rows(&rows, clause.first_value, values, false).await?;
                    self.inserter.push(new).await?;
                }
            }
        }
        Ok(())
    }

    fn delete(&mut self, rows: &RecordBatch) -> Result<()> {
        self.counts.deleted += rows.num_rows() as u64;
        self.take_old(rows)?;
        self.gone.add_deleted(&old_values(rows, self.gone.columns()))
    }

    async fn update(&mut self, rows: &RecordBatch, first_value: usize, values: &[(usize, Value)]) -> Result<()> {
        self.counts.updated += rows.num_rows() as u64;
        self.take_old(rows)?;
        let new = self.new_rows(rows, first_value, values, true).await?;
        self.changed.add_updated(&old_values(rows, self.changed.columns()), &new)?;
        self.inserter.push(new).await
    }

    fn take_old(&mut self, rows: &RecordBatch) -> Result<()> {
        let (units, offsets) = id_columns(rows)?;
        let taken_twice = (0..rows.num_rows()).any(|row| !self.ids.take(SegmentId(units.value(row)), offsets.value(row)));
        if !taken_twice {
            return Ok(());
        }
        Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, "MERGE command cannot affect row a second time")
            .with_hint("Ensure that not more than one source row matches any one target row."))
    }

    /// New rows: the values of a clause, which begin at a column of the query; for the rest what the row had, or defaults.
    async fn new_rows(&self, rows: &RecordBatch, first_value: usize, values: &[(usize, Value)], updates: bool) -> Result<RecordBatch> {
        let schema = rows.schema();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.target.definition.columns.len());
        for (position, definition) in self.target.definition.columns.iter().enumerate() {
            let given = values.iter().position(|(given, value)| *given == position && !matches!(value, Value::Default));
            let is_default = values.iter().any(|(given, value)| *given == position && matches!(value, Value::Default));
            let index = match given {
                Some(at) => Some(first_value + at),
                None if updates && !is_default => Some(LEADING_COLUMNS + position),
                None => None,
            };
            let untyped = given.is_some_and(|at| values[at].1.is_untyped());
            columns.push(match (index, &self.defaults[position]) {
                (Some(index), _) => assign(definition, rows.column(index), schema.field(index), untyped, &self.forms)?,
                (None, Some(default)) => default.values(definition, rows.num_rows()).await?,
                (None, None) => return Err(SqlError::internal("a default was not prepared")),
            });
        }
        self.target.rows(columns, rows.num_rows())
    }
}

/// What rows of the target had in some columns, by position.
fn old_values(rows: &RecordBatch, columns: &[usize]) -> Vec<ArrayRef> {
    columns.iter().map(|position| rows.column(LEADING_COLUMNS + position).clone()).collect()
}

fn chosen_by(chosen: &Int32Array, number: usize) -> BooleanArray {
    (0..chosen.len()).map(|row| Some(chosen.is_valid(row) && usize::try_from(chosen.value(row)) == Ok(number))).collect()
}
