//! What a statement takes and returns, without running it.

use super::query::alias_of;
use super::{changing_with, delete, insert, merge, reads, returning, target, unwrapped, update};
use crate::error::{Result, SqlError};
use crate::ingest::Target;
use crate::query::QueryContext;
use crate::types::SqlType;
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Insert, SelectItem, SetExpr, Statement, TableWithJoins, Value, With};
use std::collections::BTreeMap;

/// What a statement takes and returns.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// Types of $1, $2, ... by number, where the statement tells them.
    pub parameters: BTreeMap<usize, SqlType>,
    /// The columns that RETURNING gives.
    pub columns: Option<SchemaRef>,
}

/// Describes a statement of this module.
pub async fn describe(context: &QueryContext, statement: &Statement) -> Result<Described> {
    if changing_with::changes(statement) {
        let described = changing_with::describe(context, statement).await;
        return described.map_err(|error| changing_with::refuse_reading_nothing(statement, error));
    }
    of_single(context, statement).await
}

/// Describes a statement whose WITH, if it has one, changes nothing.
pub(super) async fn of_single(context: &QueryContext, statement: &Statement) -> Result<Described> {
    let (statement, with) = unwrapped(statement);
    match statement {
        Statement::Insert(insert) => of_insert(context, insert, with).await,
        Statement::Update(update) => {
            let (name, alias) = target::of_update(update)?;
            let target = target::find(context, &name)?;
            let alias = alias_of(&target, alias);
            let assigned = update::assignments(&target, Some(&alias), &update.assignments)?;
            let query = update::query(&target, &alias, update, &assigned, with, &[])?;
            let running = reads::running(context, &target);
            let context = running.as_ref().unwrap_or(context);
            let mut described = of_query(context, &query).await?;
            for (position, expression) in &assigned {
                described.note(expression, &target.definition.columns[*position].sql_type);
            }
            for (expression, sql_type) in update::parts(&target, &update.assignments)? {
                described.note(&expression, &sql_type);
            }
            described.returns(context, &target, &alias, update::from_tables(update), update.returning.as_deref(), with).await
        }
        Statement::Delete(delete) => {
            let (name, alias) = target::of_delete(delete)?;
            let target = target::find(context, &name)?;
            let alias = alias_of(&target, alias);
            let running = reads::running(context, &target);
            let context = running.as_ref().unwrap_or(context);
            let described = of_query(context, &delete::query(&target, &alias, delete, with, &[])?).await?;
            let using = delete.using.as_deref().unwrap_or_default();
            described.returns(context, &target, &alias, using, delete.returning.as_deref(), with).await
        }
        Statement::Query(_) => {
            let plan = context.plan(statement).await?;
            let mut described = Described::default();
            described.note_plan(&plan)?;
            described.columns = Some(context.output_schema(&plan));
            Ok(described)
        }
        Statement::Truncate(_) => Ok(Described::default()),
        Statement::Merge(merge) => {
            let (name, alias) = merge::of_merge(merge)?;
            let target = target::find(context, &name)?;
            let alias = alias_of(&target, alias);
            let clauses = merge::Clauses::read(&target, &alias, merge)?;
            let mut described = of_query(context, &merge::query(&target, &alias, merge, &clauses, with)?).await?;
            for (position, expression) in clauses.assigned() {
                described.note(expression, &target.definition.columns[position].sql_type);
            }
            Ok(described)
        }
        _ => Err(SqlError::internal("this statement changes no rows")),
    }
}

async fn of_insert(context: &QueryContext, insert: &Insert, with: Option<&With>) -> Result<Described> {
    let (name, alias) = target::of_insert(insert)?;
    let target = target::find(context, &name)?;
    let alias = alias_of(&target, alias);
    let positions = insert::positions(&target, insert)?;
    let mut described = Described::default();
    if let Some(source) = &insert.source {
        let planned = insert::plan(
            context,
            &target,
            &positions,
            source,
            (with, crate::session::clauses::overriding(insert), !insert.columns.is_empty()),
        )
        .await?;
        described.note_plan(&planned.plan)?;
        if let SetExpr::Select(select) = &*source.body {
            for (item, position) in select.projection.iter().zip(&positions) {
                if let SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } = item {
                    described.note(expression, &target.definition.columns[*position].sql_type);
                }
            }
        }
        if let SetExpr::Values(values) = &*source.body {
            for row in &values.rows {
                for (expression, position) in row.content.iter().zip(&positions) {
                    described.note(expression, &target.definition.columns[*position].sql_type);
                }
            }
        }
    }
    let running = reads::running(context, &target);
    let context = running.as_ref().unwrap_or(context);
    described.returns(context, &target, &alias, &[], insert.returning.as_deref(), with).await
}

async fn of_query(context: &QueryContext, query: &Statement) -> Result<Described> {
    let mut described = Described::default();
    described.note_plan(&context.plan(query).await?)?;
    Ok(described)
}

impl Described {
    /// Takes the types that the planner has found.
    fn note_plan(&mut self, plan: &LogicalPlan) -> Result<()> {
        for (name, data_type) in plan.get_parameter_types()? {
            if let (Some(number), Some(data_type)) = (number(&name), data_type) {
                self.parameters.entry(number).or_insert_with(|| natural(&name, data_type));
            }
        }
        Ok(())
    }

    /// A parameter that is assigned to a column has the column's type.
    fn note(&mut self, expression: &Expr, sql_type: &SqlType) {
        let Expr::Value(value) = expression else { return };
        if let Value::Placeholder(name) = &value.value
            && let Some(number) = number(name)
        {
            self.parameters.insert(number, sql_type.clone());
        }
    }

    async fn returns(
        mut self,
        context: &QueryContext,
        target: &Target,
        alias: &Ident,
        from: &[TableWithJoins],
        clause: Option<&[SelectItem]>,
        with: Option<&With>,
    ) -> Result<Self> {
        if let Some(items) = clause {
            let plan = context.plan(&returning::statement(target, alias, from, items, with)?).await?;
            self.note_plan(&plan)?;
            self.columns = Some(context.output_schema(&plan));
        }
        Ok(self)
    }
}

fn number(name: &str) -> Option<usize> {
    name.strip_prefix('$')?.parse().ok()
}

fn natural(name: &str, data_type: DataType) -> SqlType {
    SqlType::of_field(&Field::new(name, data_type, true))
}
