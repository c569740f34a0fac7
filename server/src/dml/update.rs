//! UPDATE: the old rows are deleted, the new ones inserted.

use super::query::{
    alias_of, column, is_default, is_untyped, named, old_key_items, row_id_items, rows_table, select, typed_parameter, wildcards,
};
use super::reads::Asked;
use super::returning::Returning;
use super::rows::{RowIds, refuse, split};
use super::{reads, subscripted, target};
use crate::access::acl;
use crate::catalog::{ColumnDefinition, Constraint, Identity};
use crate::engine::locks::RowStrength;
use crate::error::{Result, SqlError, SqlState};
use crate::foreign_keys::old_keys::OldKeys;
use crate::foreign_keys::queue;
use crate::ingest::assignment::assign;
use crate::ingest::defaults::Default as ColumnDefault;
use crate::ingest::{Inserter, KeysChanged, Target};
use crate::query::{QueryContext, casts};
use crate::session::Outcome;
use crate::session::subscripted::subscripts_of;
use crate::session::transaction::Transaction;
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, SelectItem, SetExpr,
    Statement, TableWithJoins, Update, UpdateTableFromKind, Value, With,
};
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Updates the rows that the condition selects.
pub async fn execute(
    context: &QueryContext,
    transaction: &mut Transaction,
    update: &Update,
    with: Option<&With>,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let (name, alias) = target::of_update(update)?;
    let target = target::find(context, &name)?;
    let alias = alias_of(&target, alias);
    transaction.will_change_rows(target.oid());
    let from = from_tables(update);
    let assigned = assignments(&target, Some(&alias), &update.assignments)?;
    let changed: Vec<usize> = assigned.keys().copied().collect();
    target::permit(context, &target, acl::UPDATE, &changed)?;
    let written = assignments(&target, None, &update.assignments)?;
    let values = written.into_values().filter(|value| !is_default(value)).collect();
    let (selection, items) = (update.selection.as_ref(), update.returning.as_deref());
    let asked = Asked { values, returning: items, from, selection, ..Asked::default() };
    let permitted = reads::permitted(context, &target, &alias, asked, (with, parameters)).await?;
    let context = permitted.as_ref().unwrap_or(context);
    let mut returning = Returning::compile(context, &target, &alias, from, update.returning.as_deref(), (with, parameters)).await?;
    let target = target.told_to(&context.rights(), &changed);
    let changed = target.with_generated(&changed);
    let mut new_rows = NewRows::new(context, &target, &assigned)?;
    let mut inserter = Inserter::new(context, &target, KeysChanged::Columns(&changed))?;
    let mut old = OldKeys::of(&context.engine, &context.view.catalog, &target, Some(&changed))?;
    let plan = context.plan(&query(&target, &alias, update, &assigned, with, old.columns())?).await?;
    let mut batches = context.run(context.bind(plan, parameters)?).await?;
    let mut ids = RowIds::after_others(context, transaction, &target);
    while let Some(batch) = batches.try_next().await.map_err(SqlError::from)? {
        let (before, batch) = split(&ids.take_batch(&batch)?, old.columns().len())?;
        let rows = new_rows.assigned(&batch).await?;
        old.add_updated(&before, &rows)?;
        if returning.is_wanted() {
            returning.add(&joined(&rows, &batch)?)?;
        }
        inserter.push(rows).await?;
    }
    ids.delete(context, transaction, &target, strength(&target, &changed)).await?;
    let (updated, checks) = inserter.finish_unchecked(transaction).await?;
    queue::run(context, transaction, old.events().into_iter().chain(checks).collect()).await?;
    context.engine.counters.updated(target.oid(), updated);
    Ok(returning.outcome("UPDATE", updated))
}

/// How an update of these columns locks its rows: references to rows whose keys stay do not mind.
pub(crate) fn strength(target: &Target, changed: &[usize]) -> RowStrength {
    let columns = &target.definition.columns;
    let is_changed = |id| changed.iter().any(|position| columns.get(*position).is_some_and(|column| column.id == id));
    let changes_key = |constraint: &Constraint| constraint.key_depends_on().into_iter().any(is_changed);
    if target.definition.constraints.iter().any(changes_key) { RowStrength::Gone } else { RowStrength::NoKeyUpdate }
}

/// The tables of UPDATE ... FROM.
pub(super) fn from_tables(update: &Update) -> &[TableWithJoins] {
    match &update.from {
        Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => from,
        None => &[],
    }
}

/// The query that selects the rows to update, with the old values of columns that foreign keys refer to (`keys`, by position), all columns of
/// their new versions, and what RETURNING needs.
pub(super) fn query(
    target: &Target,
    alias: &Ident,
    update: &Update,
    assigned: &BTreeMap<usize, Expr>,
    with: Option<&With>,
    keys: &[usize],
) -> Result<Statement> {
    refuse(&[
        (!update.order_by.is_empty(), "UPDATE ... ORDER BY"),
        (update.limit.is_some(), "UPDATE ... LIMIT"),
        (update.output.is_some(), "OUTPUT"),
        (update.or.is_some(), "UPDATE OR"),
    ])?;
    let from = from_tables(update);
    let mut items = row_id_items(alias);
    items.extend(old_key_items(target, alias, keys));
    for (position, definition) in target.definition.columns.iter().enumerate() {
        let value = match assigned.get(&position) {
            Some(expression) if !is_default(expression) => typed_parameter(expression, definition),
            _ => column(alias, &definition.name),
        };
        items.push(named(value, format!("c{position}")));
    }
    if update.returning.is_some() {
        items.extend(wildcards(from)?);
    }
    let tables = std::iter::once(rows_table(target, alias)).chain(from.iter().cloned()).collect();
    select(with, items, tables, update.selection.clone())
}

/// The expression for each assigned column, by its position.
///
/// Of a column several parts may be assigned, one after another. `alias`: of the table whose row has the values before; `None`: only what is
/// written counts, and not that the rest of the column stays.
pub(super) fn assignments(target: &Target, alias: Option<&Ident>, list: &[Assignment]) -> Result<BTreeMap<usize, Expr>> {
    let mut assigned = BTreeMap::new();
    let mut in_parts = BTreeSet::new();
    for assignment in list {
        for (name, expression) in singles(assignment)? {
            if let Some((name, subscripts)) = subscripts_of(name)? {
                let position = target::position(target, &name)?;
                let definition = &target.definition.columns[position];
                let current = match assigned.remove(&position) {
                    Some(before) if in_parts.contains(&position) => before,
                    Some(_) => return Err(assigned_twice(&definition.name)),
                    None => match alias {
                        Some(alias) => column(alias, &definition.name),
                        None => casts::assigned(Expr::value(Value::Null), &definition.sql_type, &definition.name),
                    },
                };
                in_parts.insert(position);
                assigned.insert(position, subscripted::value(definition, current, &subscripts, expression)?);
                continue;
            }
            let position = target::position(target, name)?;
            check_assignable(&target.definition.columns[position], &expression)?;
            if assigned.insert(position, expression).is_some() {
                return Err(assigned_twice(&target.definition.columns[position].name));
            }
        }
    }
    Ok(assigned)
}

/// What is assigned to parts of columns, and the subscripts, each with the type that it has there: parameters have no other.
pub(super) fn parts(target: &Target, list: &[Assignment]) -> Result<Vec<(Expr, SqlType)>> {
    let mut parts = Vec::new();
    for assignment in list {
        for (name, expression) in singles(assignment)? {
            if let Some((name, subscripts)) = subscripts_of(name)? {
                let definition = &target.definition.columns[target::position(target, &name)?];
                parts.extend(subscripted::types(definition, &subscripts, expression));
            }
        }
    }
    Ok(parts)
}

fn assigned_twice(column: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("multiple assignments to same column \"{column}\""))
}

/// `(a, b) = (1, 2)` and `(a, b) = (SELECT x, y ...)` column by column.
fn singles(assignment: &Assignment) -> Result<Vec<(&ObjectName, Expr)>> {
    let names = match &assignment.target {
        AssignmentTarget::ColumnName(name) => return Ok(vec![(name, assignment.value.clone())]),
        AssignmentTarget::Tuple(names) => names,
    };
    let mut value = &assignment.value;
    while let Expr::Nested(inner) = value {
        value = inner;
    }
    let values = match value {
        Expr::Tuple(values) => values.clone(),
        Expr::Subquery(query) => split_subquery(query)?,
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("row") => row_values(function)?,
        _ => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
            ));
        }
    };
    if values.len() != names.len() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "number of columns does not match number of values"));
    }
    Ok(names.iter().zip(values).collect())
}

/// The values in `ROW(...)`.
fn row_values(row: &Function) -> Result<Vec<Expr>> {
    let FunctionArguments::List(list) = &row.args else { return Ok(Vec::new()) };
    let value = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Ok(value.clone()),
        _ => Err(SqlError::unsupported("this argument of ROW() in a multiple-column UPDATE item")),
    };
    list.args.iter().map(value).collect()
}

fn split_subquery(query: &datafusion::sql::sqlparser::ast::Query) -> Result<Vec<Expr>> {
    let SetExpr::Select(select) = &*query.body else {
        return Err(SqlError::unsupported("this sub-SELECT in a multiple-column UPDATE item"));
    };
    let single = |item: &SelectItem| {
        let mut query = query.clone();
        let mut select = select.clone();
        select.projection = vec![item.clone()];
        query.body = Box::new(SetExpr::Select(select));
        Expr::Subquery(Box::new(query))
    };
    Ok(select.projection.iter().map(single).collect())
}

fn check_assignable(column: &ColumnDefinition, expression: &Expr) -> Result<()> {
    let detail = match column.identity {
        _ if is_default(expression) => return Ok(()),
        _ if column.generated.is_some() => format!("Column \"{}\" is a generated column.", column.name),
        Some(Identity::Always) => format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name),
        _ => return Ok(()),
    };
    let message = format!("column \"{}\" can only be updated to DEFAULT", column.name);
    Err(SqlError::new(SqlState::GENERATED_ALWAYS, message).with_detail(detail))
}

/// Makes new versions of rows from what the query yields.
struct NewRows<'a> {
    target: &'a Target,
    forms: Arc<ValueForms>,
    untyped: Vec<bool>,
    defaults: BTreeMap<usize, ColumnDefault>,
}

impl<'a> NewRows<'a> {
    fn new(context: &QueryContext, target: &'a Target, assigned: &BTreeMap<usize, Expr>) -> Result<Self> {
        let columns = &target.definition.columns;
        let untyped = (0..columns.len()).map(|position| assigned.get(&position).is_some_and(is_untyped)).collect();
        let with_default = assigned.iter().filter(|(_, expression)| is_default(expression));
        let defaults = with_default.map(|(position, _)| Ok((*position, ColumnDefault::of(context, target, &columns[*position])?)));
        Ok(Self { target, forms: context.forms.clone(), untyped, defaults: defaults.collect::<Result<_>>()? })
    }

    async fn assigned(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.target.definition.columns.len());
        let schema = batch.schema();
        for (position, definition) in self.target.definition.columns.iter().enumerate() {
            let values = match self.defaults.get(&position) {
                Some(default) => default.values(definition, batch.num_rows()).await?,
                None => assign(definition, batch.column(position), schema.field(position), self.untyped[position], &self.forms)?,
            };
            columns.push(values);
        }
        self.target.rows(columns, batch.num_rows())
    }
}

/// New rows, and beside them the columns of the other tables.
fn joined(rows: &RecordBatch, batch: &RecordBatch) -> Result<RecordBatch> {
    let others = rows.num_columns()..batch.num_columns();
    let schema = batch.schema();
    let fields = rows.schema().fields().iter().cloned().chain(others.clone().map(|i| schema.fields()[i].clone())).collect::<Vec<_>>();
    let columns = rows.columns().iter().cloned().chain(others.map(|i| batch.column(i).clone())).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
