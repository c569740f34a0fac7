//! INSERT ... ON CONFLICT.
//!
//! 1. All rows of the statement are collected (in reserved memory), and their NOT NULL and CHECK constraints checked.
//! 2. Existing rows with their keys are looked up once.
//! 3. A row without a counterpart is inserted; one with a counterpart is left out, or updates it: the old version is deleted, the new one
//!    inserted. A second row for one counterpart is left out, or refused (21000).

use super::insert::Source;
use super::query::{named, plain_table, select};
use super::reads::{self, Asked};
use super::returning::Returning;
use super::rows::RowIds;
use super::update::{assignments, strength};
use crate::access::acl;
use crate::catalog::Constraint;
use crate::catalog::names::fold;
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
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, interleave, take_record_batch};
use arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::sql::sqlparser::ast::{ConflictTarget, DoUpdate, Expr, Ident, Insert, OnConflict, OnConflictAction, OnInsert, Value};
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
    time_zone: String,
}

impl Conflicts {
    pub(super) async fn compile(
        context: &QueryContext,
        target: &Target,
        alias: &Ident,
        clause: &OnConflict,
        parameters: &[ScalarValue],
    ) -> Result<Self> {
        let arbiters = arbiters(target, clause.conflict_target.as_ref())?;
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
        let found = arbiters(target, clause.conflict_target.as_ref())?;
        let keys = found.iter().filter_map(|place| target.definition.constraints.get(*place)).filter_map(|constraint| match constraint {
            Constraint::Unique { columns, .. } => Some(columns),
            _ => None,
        });
        let at = |id| target.definition.columns.iter().position(|column| column.id == id);
        reads::permit_columns(context, target, keys.flatten().filter_map(|id| at(*id)))?;
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
        Ok(Self { columns: assigned.into_keys().collect(), list, time_zone: context.time_zone.clone() })
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
            columns[*position] = assign(definition, &values[index], self.list.output.field(index), false, &self.time_zone)?;
        }
        Ok((target.rows(columns, existing.num_rows())?, passes))
    }
}

/// The constraints that a conflict target means: all without one.
fn arbiters(target: &Target, wanted: Option<&ConflictTarget>) -> Result<Vec<usize>> {
    let constraints = target.definition.constraints.iter().enumerate();
    let unique: Vec<_> = constraints.filter(|(_, constraint)| matches!(constraint, Constraint::Unique { .. })).collect();
    let found: Vec<usize> = match wanted {
        None => return Ok(unique.into_iter().map(|(place, _)| place).collect()),
        Some(ConflictTarget::Columns(names)) => {
            for name in names.iter().map(fold) {
                let missing = || SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"));
                target.definition.column(&name).ok_or_else(missing)?;
            }
            unique.iter().filter(|(_, c)| has_columns(target, c, names)).map(|(place, _)| *place).collect()
        }
        Some(ConflictTarget::OnConstraint(name)) => {
            let name = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
            let is_it = |constraint: &Constraint| constraint.name() == name && !target.definition.is_of_index(&name);
            let found: Vec<_> = unique.iter().filter(|(_, constraint)| is_it(constraint)).map(|(place, _)| *place).collect();
            if found.is_empty() {
                let message = format!("constraint \"{name}\" for table \"{}\" does not exist", target.name);
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
            found
        }
    };
    match found.is_empty() {
        true => Err(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            "there is no unique or exclusion constraint matching the ON CONFLICT specification",
        )),
        false => Ok(found),
    }
}

fn has_columns(target: &Target, constraint: &Constraint, names: &[Ident]) -> bool {
    let Constraint::Unique { columns, .. } = constraint else { return false };
    let ids: Option<HashSet<_>> = names.iter().map(|name| target.definition.column(&fold(name)).map(|column| column.id)).collect();
    ids.is_some_and(|ids| ids == columns.iter().copied().collect())
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
    let mut inserter = Inserter::with_checks(context, target, checks, KeysChanged::All)?;
    let mut old = OldKeys::default();
    let inserted = take_record_batch(&proposed, &UInt32Array::from(plan.inserts))?;
    let new = inserted.num_rows() as u64;
    returning.add(&inserted)?;
    inserter.push(inserted).await?;
    if let (Some(update), false) = (&conflicts.update, plan.updates.is_empty()) {
        transaction.will_change_rows(target.oid());
        old = OldKeys::of(&context.engine, &context.view.catalog, target, Some(&update.columns))?;
        let (before, rows, ids) = updated_rows(target, update, &plan.existing, &plan.updates, &proposed)?;
        let values = old.of_rows(&before);
        old.add_updated(&values, &rows)?;
        ids.delete(context, transaction, target, strength(target, &update.columns)).await?;
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
#[derive(Default)]
struct Plan {
    inserts: Vec<u32>,
    updates: Vec<(u32, FoundRow)>,
    existing: Existing,
}

async fn decide(
    context: &QueryContext,
    transaction: &Transaction,
    target: &Target,
    conflicts: &Conflicts,
    proposed: RecordBatch,
) -> Result<Plan> {
    let (engine, units) = (context.engine.clone(), transaction.view().units(target.oid()));
    let lookups = conflicts.arbiters.iter().map(|place| KeyLookup::new(target, *place)).collect::<Result<Vec<_>>>()?;
    let (target, updates) = (target.clone(), conflicts.update.is_some());
    let work = move || {
        let proposed = [proposed];
        let mut found = Vec::new();
        for lookup in &lookups {
            found.push((lookup.hashes(&proposed[0])?, lookup.find(&engine, &target, &units, &proposed)?));
        }
        assort(proposed[0].num_rows(), found, updates)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| SqlError::internal("a look-up of keys was interrupted"))?
}

/// Decides row by row, in their order.
fn assort(rows: usize, mut found: Vec<(Vec<Option<u128>>, Existing)>, updates: bool) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut taken: Vec<HashSet<u128>> = vec![HashSet::new(); found.len()];
    for row in 0..rows {
        let twice = found.iter().zip(&taken).any(|((hashes, _), taken)| hashes[row].is_some_and(|hash| taken.contains(&hash)));
        let counterpart = found.iter().find_map(|(hashes, existing)| existing.rows.get(&hashes[row]?).copied());
        match (twice, counterpart) {
            (true, _) if updates => return Err(twice_error()),
            (true, _) => continue,
            (false, Some(_)) if !updates => continue,
            (false, Some(counterpart)) => plan.updates.push((row as u32, counterpart)),
            (false, None) => plan.inserts.push(row as u32),
        }
        for ((hashes, _), taken) in found.iter().zip(&mut taken) {
            taken.extend(hashes[row]);
        }
    }
    // DO UPDATE has one arbiter.
    plan.existing = found.pop().map(|(_, existing)| existing).unwrap_or_default();
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
    existing: &Existing,
    updates: &[(u32, FoundRow)],
    proposed: &RecordBatch,
) -> Result<(RecordBatch, RecordBatch, RowIds)> {
    let old = gather(target, existing, updates)?;
    let new = take_record_batch(proposed, &UInt32Array::from_iter_values(updates.iter().map(|(row, _)| *row)))?;
    let (rows, passes) = update.apply(target, &old, &new)?;
    let mut ids = RowIds::default();
    for (index, (_, found)) in updates.iter().enumerate() {
        if passes.value(index) {
            ids.take(found.unit, found.row);
        }
    }
    Ok((filter_record_batch(&old, &passes)?, filter_record_batch(&rows, &passes)?, ids))
}

/// The existing rows in the order of the updates.
fn gather(target: &Target, existing: &Existing, updates: &[(u32, FoundRow)]) -> Result<RecordBatch> {
    let places: Vec<_> = updates.iter().map(|(_, found)| (found.batch, found.index)).collect();
    let column = |i: usize| {
        let arrays: Vec<&dyn Array> = existing.batches.iter().map(|batch| batch.column(i).as_ref()).collect();
        Ok(interleave(&arrays, &places)?)
    };
    let columns = (0..target.definition.columns.len()).map(column).collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(target.arrow.clone(), columns)?)
}
