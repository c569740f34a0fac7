//! DELETE.

use super::query::{alias_of, column, named, old_key_items, row_id_items, rows_table, select, wildcards};
use super::reads::Asked;
use super::returning::Returning;
use super::rows::{RowIds, refuse, split};
use super::{reads, target};
use crate::access::acl;
use crate::engine::locks::RowStrength;
use crate::error::{Result, SqlError};
use crate::foreign_keys::old_keys::OldKeys;
use crate::foreign_keys::queue;
use crate::ingest::Target;
use crate::query::QueryContext;
use crate::session::Outcome;
use crate::session::transaction::Transaction;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{Delete, Ident, Statement, With};
use futures::TryStreamExt;

/// Deletes the rows that the condition selects.
pub async fn execute(
    context: &QueryContext,
    transaction: &mut Transaction,
    delete: &Delete,
    with: Option<&With>,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let (name, alias) = target::of_delete(delete)?;
    let target = target::find(context, &name)?;
    target::permit(context, &target, acl::DELETE, &[])?;
    let target = target.told_to(&context.rights(), &[]);
    let alias = alias_of(&target, alias);
    transaction.will_change_rows(target.oid());
    let using = delete.using.as_deref().unwrap_or_default();
    let (selection, items) = (delete.selection.as_ref(), delete.returning.as_deref());
    let asked = Asked { returning: items, from: using, selection, ..Asked::default() };
    let permitted = reads::permitted(context, &target, &alias, asked, (with, parameters)).await?;
    let context = permitted.as_ref().unwrap_or(context);
    let mut returning = Returning::compile(context, &target, &alias, using, delete.returning.as_deref(), (with, parameters)).await?;
    let mut ids = RowIds::after_others(context, transaction, &target);
    let mut old = OldKeys::of(&context.engine, &context.view.catalog, &target, None)?;
    if delete.selection.is_none() && using.is_empty() && !returning.is_wanted() {
        refuse_unsupported(delete)?;
        take_all(context, &target, &mut ids);
        old = old.with_units(&context.engine, &target, context.view.units(target.oid())).await?;
    } else {
        let plan = context.plan(&query(&target, &alias, delete, with, old.columns())?).await?;
        let mut batches = context.run(context.bind(plan, parameters)?).await?;
        while let Some(batch) = batches.try_next().await.map_err(SqlError::from)? {
            let (gone, batch) = split(&ids.take_batch(&batch)?, old.columns().len())?;
            old.add_deleted(&gone)?;
            returning.add(&batch)?;
        }
    }
    let deleted = ids.delete(context, transaction, &target, RowStrength::Gone).await?;
    queue::run(context, transaction, old.events()).await?;
    context.engine.counters.deleted(target.oid(), deleted);
    Ok(returning.outcome("DELETE", deleted))
}

/// The query that selects the rows to delete, with the columns that foreign keys refer to (`keys`, by position), and what RETURNING needs.
pub(super) fn query(target: &Target, alias: &Ident, delete: &Delete, with: Option<&With>, keys: &[usize]) -> Result<Statement> {
    refuse_unsupported(delete)?;
    let using = delete.using.clone().unwrap_or_default();
    let mut items = row_id_items(alias);
    items.extend(old_key_items(target, alias, keys));
    if delete.returning.is_some() {
        let columns = target.definition.columns.iter().enumerate();
        items.extend(columns.map(|(i, definition)| named(column(alias, &definition.name), format!("c{i}"))));
        items.extend(wildcards(&using)?);
    }
    let from = std::iter::once(rows_table(target, alias)).chain(using).collect();
    select(with, items, from, delete.selection.clone())
}

fn refuse_unsupported(delete: &Delete) -> Result<()> {
    refuse(&[
        (!delete.order_by.is_empty(), "DELETE ... ORDER BY"),
        (delete.limit.is_some(), "DELETE ... LIMIT"),
        (delete.output.is_some(), "OUTPUT"),
    ])
}

fn take_all(context: &QueryContext, target: &Target, ids: &mut RowIds) {
    for unit in context.view.units(target.oid()).iter() {
        ids.take_unit(unit.id, unit.rows, unit.deletes.as_deref());
    }
}
