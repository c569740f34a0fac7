//! MERGE: rows of a source, each changing the row of the target that it matches, or adding one.
//!
//! 1. [`clauses`] reads the WHEN clauses, and writes the query: the source joined with the target's rows; for each row of the join the ids of the
//!    target's row, the number of the clause that applies, and the values of that clause.
//! 2. Each batch is dealt out to the clauses. A row of the target that two rows of the source change or delete is an error (21000).
//! 3. Old rows are deleted, and the new ones inserted, as an UPDATE does.

use super::query::alias_of;
use super::rows::{RowIds, id_columns};
use super::target;
use crate::access::acl;
use crate::catalog::ColumnDefinition;
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::assignment::assign;
use crate::ingest::defaults::Default as ColumnDefault;
use crate::ingest::{Inserter, KeysChanged, Target};
use crate::query::QueryContext;
use crate::session::Outcome;
use crate::session::transaction::Transaction;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use clauses::{Then, Value};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Merge, With};
use futures::TryStreamExt;
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
    let Merging { ids, inserter, changed, .. } = merging;
    ids.delete(transaction, &target)?;
    inserter.finish(transaction).await?;
    Ok(Outcome::Done(format!("MERGE {changed}")))
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
    time_zone: String,
    /// For each column of the target what stands for DEFAULT, and for a value that is not given.
    defaults: Vec<Option<ColumnDefault>>,
    ids: RowIds,
    inserter: Inserter,
    changed: u64,
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
            time_zone: context.time_zone.clone(),
            defaults: definitions.map(default).collect::<Result<_>>()?,
            ids: RowIds::after_others(context, transaction, target),
            inserter: Inserter::new(context, target, KeysChanged::All)?,
            changed: 0,
        })
    }

    async fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let chosen = batch.column(2).as_primitive_opt::<Int32Type>().ok_or_else(|| SqlError::internal("no clause was chosen"))?;
        for (number, clause) in self.clauses.all.iter().enumerate() {
            let rows = filter_record_batch(batch, &chosen_by(chosen, number))?;
            if rows.num_rows() == 0 || matches!(clause.then, Then::Nothing) {
                continue;
            }
            self.changed += rows.num_rows() as u64;
            match &clause.then {
                Then::Nothing => {}
                Then::Delete => self.take_old(&rows)?,
                Then::Update(values) => {
                    self.take_old(&rows)?;
                    self.add_new(&rows, clause.first_value, values, true).await?;
                }
                Then::Insert(values) => self.add_new(&rows, clause.first_value, values, false).await?,
            }
        }
        Ok(())
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

    /// Adds rows: the values of a clause, which begin at a column of the query; for the rest what the row had, or defaults.
    async fn add_new(&mut self, rows: &RecordBatch, first_value: usize, values: &[(usize, Value)], updates: bool) -> Result<()> {
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
                (Some(index), _) => assign(definition, rows.column(index), schema.field(index), untyped, &self.time_zone)?,
                (None, Some(default)) => default.values(definition, rows.num_rows()).await?,
                (None, None) => return Err(SqlError::internal("a default was not prepared")),
            });
        }
        self.inserter.push(self.target.rows(columns, rows.num_rows())?).await
    }
}

fn chosen_by(chosen: &Int32Array, number: usize) -> BooleanArray {
    (0..chosen.len()).map(|row| Some(chosen.is_valid(row) && usize::try_from(chosen.value(row)) == Ok(number))).collect()
}
