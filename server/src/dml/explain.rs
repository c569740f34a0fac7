//! EXPLAIN of INSERT, UPDATE, DELETE and MERGE: the query that yields their rows, below what is done with them.

use super::query::alias_of;
use super::{delete, insert, merge, target, unwrapped, update};
use crate::access::acl;
use crate::error::{Result, SqlError};
use crate::ingest::Target;
use crate::query::QueryContext;
use crate::query::explain::{self, Change};
use crate::session::clauses::overriding;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Insert, OnConflictAction, OnInsert, Statement, With};

/// The statement of this module that an EXPLAIN is about, if it is about one.
pub fn explained(statement: &Statement) -> Option<&Statement> {
    match statement {
        Statement::Explain { statement, .. } if super::is_dml(statement) => Some(statement),
        _ => None,
    }
}

/// Plans an EXPLAIN of a statement of this module; what it would need to run is checked, but nothing is run.
pub async fn plan(context: &QueryContext, statement: &Statement) -> Result<LogicalPlan> {
    let Some(inner) = explained(statement) else { return Err(SqlError::internal("EXPLAIN of a change was expected")) };
    let input = source(context, inner).await?;
    explain::plan_change(statement, change(context, inner)?, input)
}

/// What a statement does to which table.
pub fn change(context: &QueryContext, statement: &Statement) -> Result<Change> {
    let (statement, _) = unwrapped(statement);
    let (operation, name) = match statement {
        Statement::Insert(insert) => ("Insert", target::of_insert(insert)?.0),
        Statement::Update(update) => ("Update", target::of_update(update)?.0),
        Statement::Delete(delete) => ("Delete", target::of_delete(delete)?.0),
        Statement::Merge(merge) => ("Merge", merge::of_merge(merge)?.0),
        _ => return Err(SqlError::unsupported("EXPLAIN of this kind of statement")),
    };
    let target = target::find(context, &name)?;
    let details = if let Statement::Insert(insert) = statement { conflicts(insert) } else { Vec::new() };
    Ok(Change { operation, relation: format!("{}.{}", target.schema, target.name), details })
}

fn conflicts(insert: &Insert) -> Vec<(&'static str, String)> {
    let Some(OnInsert::OnConflict(clause)) = &insert.on else { return Vec::new() };
    let resolution = match clause.action {
        OnConflictAction::DoNothing => "NOTHING",
        OnConflictAction::DoUpdate(_) => "UPDATE",
    };
    vec![("Conflict Resolution", resolution.to_string())]
}

/// The query that yields the rows; `None` where each column has its default.
async fn source(context: &QueryContext, statement: &Statement) -> Result<Option<LogicalPlan>> {
    let (statement, with) = unwrapped(statement);
    match statement {
        Statement::Insert(insert) => of_insert(context, insert, with).await,
        Statement::Update(update) => {
            let (name, alias) = target::of_update(update)?;
            let target = target::find(context, &name)?;
            let alias = alias_of(&target, alias);
            let assigned = update::assignments(&target, Some(&alias), &update.assignments)?;
            let changed: Vec<usize> = assigned.keys().copied().collect();
            target::permit(context, &target, acl::UPDATE, &changed)?;
            planned(context, &update::query(&target, &alias, update, &assigned, with, &[])?).await
        }
        Statement::Delete(delete) => {
            let (name, alias) = target::of_delete(delete)?;
            let target = target::find(context, &name)?;
            target::permit(context, &target, acl::DELETE, &[])?;
            planned(context, &delete::query(&target, &alias_of(&target, alias), delete, with, &[])?).await
        }
        Statement::Merge(merge) => {
            let (name, alias) = merge::of_merge(merge)?;
            let target = target::find(context, &name)?;
            let alias = alias_of(&target, alias);
            let clauses = merge::Clauses::read(&target, &alias, merge)?;
            merge::permit(context, &target, &clauses)?;
            planned(context, &merge::query(&target, &alias, merge, &clauses, with)?).await
        }
        _ => Err(SqlError::unsupported("EXPLAIN of this kind of statement")),
    }
}

async fn of_insert(context: &QueryContext, insert: &Insert, with: Option<&With>) -> Result<Option<LogicalPlan>> {
    let target: Target = target::find(context, &target::of_insert(insert)?.0)?;
    target::permit(context, &target, acl::INSERT, &insert::filled(&target, insert)?)?;
    let positions = insert::positions(&target, insert)?;
    let Some(query) = &insert.source else { return Ok(None) };
    let planned = insert::plan(context, &target, &positions, query, (with, overriding(insert), !insert.columns.is_empty())).await?;
    Ok(Some(planned.plan))
}

async fn planned(context: &QueryContext, query: &Statement) -> Result<Option<LogicalPlan>> {
    context.plan(query).await.map(Some)
}
