//! INSERT ... ON CONFLICT.
//!
//! 1. All rows of the statement are collected (in reserved memory), and their NOT NULL and CHECK constraints checked.
//! 2. Existing rows with their keys are looked up once.
//! 3. A row without a counterpart is inserted; one with a counterpart is left out, or updates it: the old version is deleted, the new one
//!    inserted. A second row for one counterpart is left out, or refused (21000) once it has been updated.

use super::arbiters::arbiters;
use super::insert::Source;
use super::query::{named, plain_table, select};
use super::reads::{self, Asked};
use super::returning::Returning;
use super::rows::RowIds;
use super::update::{assignments, strength};
use crate::access::acl;
use crate::catalog::Constraint;
use crate::engine::aside::{self, Stop};
use crate::engine::locks::{RowSet, RowStrength, TableMode};
use crate::error::{Result, SqlError, SqlState};
use crate::foreign_keys::old_keys::OldKeys;
use crate::foreign_keys::queue;
use crate::ingest::assignment::assign;
use crate::ingest::constraints::Checks;
use crate::ingest::expression::SelectList;
use crate::ingest::unique::{Existing, FoundRow, KeyLookup};
use crate::ingest::{Inserter, KeysChanged, Target};
use crate::query::QueryContext;
use crate::session::transaction::Transaction;
use crate::types::forms::ValueForms;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, interleave, take_record_batch};
use arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::sql::sqlparser::ast::{DoUpdate, Expr, Ident, Insert, OnConflict, OnConflictAction, OnInsert, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// A compiled ON CONFLICT clause.
pub(super) struct Conflicts {
    /// The constraints that count, by their place among the table's.
    arbiters: Vec<usize>,
    update: Option<ConflictUpdate>,
}

/// DO UPDATE.
struct ConflictUpdate {
    /// The assigned columns in the order of the list.
    columns: Vec<usize>,
    /// The assigned values, then the condition, over the existing row and the one proposed (`excluded`).
    list: SelectList,
    forms: Arc<ValueForms>,
}

impl Conflicts {
    pub(super) async fn compile(
        context: &QueryContext,
        target: &Target,
        alias: &Ident,
        clause: &OnConflict,
        parameters: &[ScalarValue],
    ) -> Result<Self> {
        let arbiters = arbiters(context, target, clause.conflict_target.as_ref())?;
        let update = match &clause.action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(_) if clause.conflict_target.is_none() => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                ));
            }
            OnConflictAction::DoUpdate(update) => Some(ConflictUpdate::compile(context, target, alias, update, parameters).await?),
        };
        Ok(Self { arbiters, update })
    }
}

/// What ON CONFLICT reads of the table; 42501 if the role may not update what it updates, or not read the key by which rows are found.
pub(super) fn asked<'a>(context: &QueryContext, target: &Target, insert: &'a Insert) -> Result<Asked<'a>> {
    let Some(OnInsert::OnConflict(clause)) = &insert.on else { return Ok(Asked::default()) };
    if clause.conflict_target.is_some() {
        let found = arbiters(context, target, clause.conflict_target.as_ref())?;
        let keys = found.iter().filter_map(|place| target.definition.constraints.get(*place)).map(Constraint::key_depends_on);
        let at = |id| target.definition.columns.iter().position(|column| column.id == id);
        reads::permit_columns(context, target, keys.flatten().filter_map(at))?;
    }
    let OnConflictAction::DoUpdate(update) = &clause.action else { return Ok(Asked::default()) };
    let assigned = assignments(target, None, &update.assignments)?;
    let changed: Vec<usize> = assigned.keys().copied().collect();
    super::target::permit(context, target, acl::UPDATE, &changed)?;
    let values = assigned.into_values().filter(|value| !super::query::is_default(value)).collect();
    Ok(Asked { values, selection: update.selection.as_ref(), excluded: true, ..Asked::default() })
}

impl ConflictUpdate {
    async fn compile(
        context: &QueryContext,
        target: &Target,
        alias: &Ident,
        update: &DoUpdate,
        parameters: &[ScalarValue],
    ) -> Result<Self> {
        let mut assigned = assignments(target, Some(alias), &update.assignments)?;
        for (position, expression) in assigned.iter_mut().filter(|(_, expression)| super::query::is_default(expression)) {
            *expression = super::insert::default_expression(target, &target.definition.columns[*position])?;
        }
        let condition = update.selection.clone().unwrap_or_else(|| Expr::Value(Value::Boolean(true).into()));
        let values =
            assigned.iter().map(|(position, expression)| super::query::assigned(expression, &target.definition.columns[*position]));
        let items = values.chain([condition]).enumerate().map(|(i, expression)| named(expression, format!("c{i}"))).collect();
        let tables = vec![plain_table(target, alias), plain_table(target, &Ident::new("excluded"))];
        let list = SelectList::compile(context, &select(None, items, tables, None)?, parameters).await?;
        Ok(Self { columns: assigned.into_keys().collect(), list, forms: context.forms.clone() })
    }

    /// New versions of existing rows, and which of the rows pass the condition.
    fn apply(&self, target: &Target, existing: &RecordBatch, proposed: &RecordBatch) -> Result<(RecordBatch, BooleanArray)> {
        let fields: Vec<_> = [existing, proposed].iter().flat_map(|batch| batch.schema().fields().to_vec()).collect();
        let columns = existing.columns().iter().chain(proposed.columns()).cloned().collect();
        let both = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let mut values = self.list.evaluate(&both)?;
        let condition = values.pop().ok_or_else(|| SqlError::internal("the condition is missing"))?;
        let passes: BooleanArray = condition.as_boolean().iter().map(|passes| Some(passes == Some(true))).collect();
        let mut columns: Vec<ArrayRef> = existing.columns().to_vec();
        for (index, position) in self.columns.iter().enumerate() {
            let definition = &target.definition.columns[*position];
            columns[*position] = assign(definition, &values[index], self.list.output.field(index), false, &self.forms)?;
        }
        Ok((target.rows(columns, existing.num_rows())?, passes))
    }
}

/// Inserts what has no counterpart, and leaves out or updates the rest; answers the number of rows inserted or updated.
pub(super) async fn insert_with_conflicts(
    context: &QueryContext,
    transaction: &mut Transaction,
    target: &Target,
    mut source: Source,
    conflicts: Conflicts,
    returning: &mut Returning,
) -> Result<u64> {
    let memory = MemoryConsumer::new("INSERT ON CONFLICT").register(&context.engine.runtime.memory_pool);
    let checks = Checks::compile(context, target)?;
    let mut batches = Vec::new();
    while let Some(batch) = source.next().await? {
        // Twice: the rows are joined into one batch.
        memory.try_grow(2 * batch.get_array_memory_size())?;
        checks.check(target, &batch)?;
        batches.push(batch);
    }
    let proposed = concat_batches(&target.arrow, &batches)?;
    let plan = decide(context, transaction, target, &conflicts, proposed.clone()).await?;
    if !plan.left_out.is_empty() {
        transaction.will_change_rows(target.oid());
        transaction.see_settled(plan.left_out, context.session.lock_timeout()).await?;
    }
    let mut inserter = Inserter::with_checks(context, target, checks, KeysChanged::All)?.chosen_by_keys();
    let mut old = OldKeys::default();
    let inserted = take_record_batch(&proposed, &UInt32Array::from(plan.inserts))?;
    let new = inserted.num_rows() as u64;
    returning.add(&inserted)?;
    inserter.push(inserted).await?;
    if let (Some(update), false) = (&conflicts.update, plan.updates.is_empty()) {
        transaction.will_change_rows(target.oid());
        let changed = target.with_generated(&update.columns);
        old = OldKeys::of(&context.engine, &context.view.catalog, target, Some(&changed))?;
        let (before, rows, ids) = updated_rows(target, update, &plan.existing, &plan.updates, &proposed)?;
        let values = old.of_rows(&before);
        old.add_updated(&values, &rows)?;
        lock_met(context, transaction, target, &plan.updates).await?;
        ids.delete(context, transaction, target, strength(target, &changed)).await?;
        returning.add_updated(&rows)?;
        inserter.push(rows).await?;
    }
    let (rows, checks) = inserter.finish_unchecked(transaction).await?;
    queue::run(context, transaction, old.events().into_iter().chain(checks).collect()).await?;
    context.engine.counters.inserted(target.oid(), new);
    context.engine.counters.updated(target.oid(), rows.saturating_sub(new));
    Ok(rows)
}

/// What becomes of the rows proposed.
struct Plan {
    inserts: Vec<u32>,
    updates: Vec<(u32, FoundRow)>,
    /// Rows that are there, whole.
    existing: Vec<RecordBatch>,
    /// Rows for which others are left out: they are to be there.
    left_out: RowSet,
}

async fn decide(
    context: &QueryContext,
    transaction: &Transaction,
    target: &Target,
    conflicts: &Conflicts,
    proposed: RecordBatch,
) -> Result<Plan> {
    let (engine, units) = (context.engine.clone(), transaction.view().units(target.oid()));
    let lookups = conflicts.arbiters.iter().map(|place| KeyLookup::new(context, target, *place)).collect::<Result<Vec<_>>>()?;
    let (target, updates) = (target.clone(), conflicts.update.is_some());
    let work = move |stop: &Stop| {
        let proposed = [proposed];
        let mut found = Vec::new();
        for lookup in &lookups {
            found.push((lookup.hashes(&proposed[0])?, lookup.find(&engine, &target, &units, &proposed, stop)?));
        }
        assort(target.oid(), proposed[0].num_rows(), found, updates)
    };
    aside::run("a look-up of keys", work).await
}

/// Decides row by row, in their order.
fn assort(table: u32, rows: usize, mut found: Vec<(Vec<Option<u128>>, Existing)>, updates: bool) -> Result<Plan> {
    let left_out = RowSet::new(table, RowStrength::Stay);
    let mut plan = Plan { inserts: Vec::new(), updates: Vec::new(), existing: Vec::new(), left_out };
    let mut taken: Vec<HashSet<u128>> = vec![HashSet::new(); found.len()];
    // The batches of all arbiters are put behind each other.
    let mut first_batches = Vec::new();
    for (_, existing) in &mut found {
        first_batches.push(plan.existing.len());
        plan.existing.append(&mut existing.batches);
    }
    for row in 0..rows {
        let twice = found.iter().zip(&taken).any(|((hashes, _), taken)| hashes[row].is_some_and(|hash| taken.contains(&hash)));
        let counterpart = found.iter().enumerate().find_map(|(arbiter, (hashes, existing))| {
            let found = existing.rows.get(&hashes[row]?)?;
            Some(FoundRow { batch: found.batch + first_batches[arbiter], ..*found })
        });
        match (twice, counterpart) {
            // Of several for one counterpart only one may update it: that depends on the condition.
            (true, Some(counterpart)) if updates => plan.updates.push((row as u32, counterpart)),
            (true, None) if updates => return Err(twice_error()),
            (true, _) => continue,
            (false, Some(counterpart)) if !updates => {
                plan.left_out.add(counterpart.unit, counterpart.row);
                continue;
            }
            (false, Some(counterpart)) => plan.updates.push((row as u32, counterpart)),
            (false, None) => plan.inserts.push(row as u32),
        }
        for ((hashes, _), taken) in found.iter().zip(&mut taken) {
            taken.extend(hashes[row]);
        }
    }
    Ok(plan)
}

fn twice_error() -> SqlError {
    SqlError::new(SqlState::CARDINALITY_VIOLATION, "ON CONFLICT DO UPDATE command cannot affect row a second time")
        .with_hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
}

/// The rows that are updated, their new versions, and their ids.
fn updated_rows(
    target: &Target,
    update: &ConflictUpdate,
    existing: &[RecordBatch],
    updates: &[(u32, FoundRow)],
    proposed: &RecordBatch,
) -> Result<(RecordBatch, RecordBatch, RowIds)> {
    let old = gather(target, existing, updates)?;
    let new = take_record_batch(proposed, &UInt32Array::from_iter_values(updates.iter().map(|(row, _)| *row)))?;
    let (rows, passes) = update.apply(target, &old, &new)?;
    let mut ids = RowIds::default();
    for (index, (_, found)) in updates.iter().enumerate() {
        if ids.has(found.unit, found.row) {
            return Err(twice_error());
        }
        if passes.value(index) {
            ids.take(found.unit, found.row);
        }
    }
    Ok((filter_record_batch(&old, &passes)?, filter_record_batch(&rows, &passes)?, ids))
}

/// Rows that are met are locked, whatever the condition says of them.
async fn lock_met(context: &QueryContext, transaction: &mut Transaction, target: &Target, updates: &[(u32, FoundRow)]) -> Result<()> {
    let mut met = RowSet::new(target.oid(), RowStrength::NoKeyUpdate);
    updates.iter().for_each(|(_, found)| met.add(found.unit, found.row));
    transaction.lock_table(target.oid(), TableMode::RowExclusive, context.session.lock_timeout()).await?;
    transaction.lock_rows(met, context.session.lock_timeout()).await
}

/// The existing rows in the order of the updates.
fn gather(target: &Target, existing: &[RecordBatch], updates: &[(u32, FoundRow)]) -> Result<RecordBatch> {
    let places: Vec<_> = updates.iter().map(|(_, found)| (found.batch, found.index)).collect();
    let column = |i: usize| {
        let arrays: Vec<&dyn Array> = existing.iter().map(|batch| batch.column(i).as_ref()).collect();
        Ok(interleave(&arrays, &places)?)
    };
    let columns = (0..target.definition.columns.len()).map(column).collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(target.arrow.clone(), columns)?)
}
