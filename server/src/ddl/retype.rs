//! ALTER COLUMN TYPE where values are stored otherwise: the table's rows are written anew.
//!
//! 1. A query over the rows that the transaction sees yields each row with the changed column's new value.
//! 2. The column gets a new id, as the old one stands for the old type in segments; what names the id follows.
//! 3. The table is emptied and the rows are inserted, under all of its constraints. Whoever adds rows meanwhile is a conflict.

use super::alter_table::refuse_retyping;
use super::create_table;
use super::decision::{Change, Check, Decision, Scope, place, put};
use super::{Execution, expressions, foreign_keys, generated};
use crate::catalog::comments::Comments;
use crate::catalog::lookup::Found;
use crate::catalog::names::{quote, quote_qualified};
use crate::catalog::{ColumnDefinition, Constraint, Relation, TableDefinition, columns};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::assignment::check_assignment;
use crate::query::QueryContext;
use crate::session::parse::{parse_expression, parse_query};
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{Expr, Statement, Value};
use storage::ColumnId;

/// What is to be done to a column.
pub struct Retyping<'a> {
    /// The table.
    pub table: (String, String),
    /// The column.
    pub column: String,
    /// Its new type.
    pub sql_type: SqlType,
    /// Digits of a second, where the type says them.
    pub digits: Option<u8>,
    /// USING.
    pub using: Option<&'a Expr>,
}

impl Execution<'_> {
    /// Carries it out.
    pub(super) async fn retype(&mut self, retyping: &Retyping<'_>) -> Result<()> {
        let context = self.context();
        let catalog = context.view.catalog.clone();
        let scope = self.source.scope(&catalog);
        let (schema, name) = &retyping.table;
        let found = catalog.get(schema, name).ok_or_else(|| SqlError::internal("a table vanished"))?;
        let decision = decide(scope, &found, retyping)?;
        check_using(&context, &found, retyping)?;
        let plan = context.plan(&Statement::Query(Box::new(parse_query(&query(&found, retyping)?)?))).await?;
        check_result(&context.output_schema(&plan), found.table()?, retyping)?;
        let explain = |error, check: &Check| cannot_cast_default(error, check, retyping);
        self.rewrite(&retyping.table, &query(&found, retyping)?, decision, explain).await
    }
}

/// USING is one value of each row: what makes fewer rows of them, or more, is refused.
fn check_using(context: &QueryContext, found: &Found<'_>, retyping: &Retyping<'_>) -> Result<()> {
    let Some(using) = retyping.using else { return Ok(()) };
    expressions::check_transform(using)?;
    context.plan_expression(using, Some((found.name, columns::arrow_schema(found.table()?))), None).map(drop)
}

fn query(found: &Found<'_>, retyping: &Retyping<'_>) -> Result<String> {
    let column = |column: &ColumnDefinition| match retyping.using {
        Some(using) if column.name == retyping.column => format!("{using} AS {}", quote(&column.name)),
        _ => quote(&column.name),
    };
    let columns: Vec<String> = found.table()?.columns.iter().filter(|column| column.generated.is_none()).map(column).collect();
    Ok(format!("SELECT {} FROM {}", columns.join(", "), quote_qualified(found.schema, found.name)))
}

fn check_result(output: &arrow::datatypes::Schema, table: &TableDefinition, retyping: &Retyping<'_>) -> Result<()> {
    let mut given = table.columns.iter().filter(|column| column.generated.is_none());
    let Some(at) = given.position(|column| column.name == retyping.column) else { return Ok(()) };
    let (name, wanted) = (&retyping.column, retyping.sql_type.name());
    check_assignment(name, &retyping.sql_type, output.field(at)).map_err(|_| match retyping.using {
        Some(_) => {
            let message = format!("result of USING clause for column \"{name}\" cannot be cast automatically to type {wanted}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).with_hint("You might need to add an explicit cast.")
        }
        None => {
            let message = format!("column \"{name}\" cannot be cast automatically to type {wanted}");
            let hint = format!("You might need to specify \"USING {}::{wanted}\".", quote(name));
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).with_hint(hint)
        }
    })
}

fn cannot_cast_default(error: SqlError, check: &Check, retyping: &Retyping<'_>) -> SqlError {
    match check {
        Check::Default { column, .. } => {
            let wanted = retyping.sql_type.name();
            let message = format!("default for column \"{column}\" cannot be cast automatically to type {wanted}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
        }
        _ => error,
    }
}

/// The table with a new column in the place of the old one.
fn decide(scope: Scope<'_>, found: &Found<'_>, retyping: &Retyping<'_>) -> Result<Decision> {
    let mut table = found.table()?.clone();
    let old = table.require_column(found.name, &retyping.column)?.clone();
    refuse_retyping(scope, found, &old)?;
    generated::refuse_retyping(&table, &old.name)?;
    if old.generated.is_some() && retyping.using.is_some() {
        return Err(SqlError::new(SqlState::INVALID_COLUMN_DEFINITION, "cannot specify USING when altering type of generated column")
            .with_detail(format!("Column \"{}\" is a generated column.", old.name)));
    }
    if old.identity.is_some() && !matches!(retyping.sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8) {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "identity column type must be smallint, integer, or bigint"));
    }
    let new = ColumnId(table.next_column_id);
    table.next_column_id += 1;
    renumber(&mut table, old.id, new);
    for column in table.columns.iter_mut().filter(|column| column.id == new) {
        (column.sql_type, column.digits) = (retyping.sql_type.clone(), retyping.digits);
        column.default = column.default.take().map(|default| typed_default(default, &old.sql_type)).transpose()?;
    }
    let mut decision = Decision::default();
    for column in &mut table.columns {
        column.missing = None;
    }
    decision.after.extend(table.columns.iter().filter(|column| column.id == new).filter_map(create_table::default_check));
    let own = table.columns.iter().filter(|column| column.id == new);
    decision.after.extend(own.filter_map(|column| generated::check_of((found.schema, found.name), column)));
    decision.after.extend(table.constraints.iter().filter_map(|constraint| match constraint {
        Constraint::Check { expression, .. } => {
            Some(Check::Condition { table: place(found), constraint: None, expression: expression.clone() })
        }
        Constraint::Unique { .. } | Constraint::Foreign(_) => None,
    }));
    for (sequence, definition) in scope.catalog.sequences_of(table.oid, Some(old.id)) {
        let mut definition = definition.clone();
        definition.owned_by = Some((table.oid, new));
        decision.changes.push(put(&sequence, Relation::Sequence(definition)));
    }
    if let Some(entry) = scope.catalog.comments.get(&table.oid) {
        let mut comments = Comments::clone(&entry.definition);
        if let Some(text) = comments.columns.remove(&old.id.0) {
            comments.columns.insert(new.0, text);
            decision.changes.push(Change::PutComments(table.oid, comments));
        }
    }
    foreign_keys_follow(scope, found, &table, (old.id, new), &mut decision)?;
    decision.changes.push(put(found, Relation::Table(table)));
    Ok(decision)
}

/// Foreign keys of other tables name the new column, and those that have to do with it are checked again.
fn foreign_keys_follow(
    scope: Scope<'_>,
    found: &Found<'_>,
    table: &TableDefinition,
    (old, new): (ColumnId, ColumnId),
    decision: &mut Decision,
) -> Result<()> {
    for key in
        table.foreign_keys().filter(|key| key.columns.contains(&new) || (key.parent == table.oid && key.parent_columns.contains(&new)))
    {
        let parent = scope.catalog.by_oid(key.parent).and_then(|parent| parent.relation().as_table());
        let parent = if key.parent == table.oid { Some(table) } else { parent };
        let parent = parent.ok_or_else(|| SqlError::internal("a table vanished"))?;
        foreign_keys::check_types(&key.name, (table, &key.columns), (parent, &key.parent_columns))?;
        decision.after.extend((!key.not_valid).then(|| foreign_keys::check_of(found, key)));
    }
    let mut done: Vec<u32> = vec![table.oid];
    for referring in scope.catalog.referring_to(table.oid).into_iter().filter(|referring| referring.key.parent_columns.contains(&old)) {
        if done.contains(&referring.table.oid) {
            continue;
        }
        done.push(referring.table.oid);
        let mut child = referring.table.clone();
        for constraint in &mut child.constraints {
            if let Constraint::Foreign(key) = constraint
                && key.parent == table.oid
            {
                key.parent_columns.iter_mut().filter(|column| **column == old).for_each(|column| *column = new);
            }
        }
        for key in child.foreign_keys().filter(|key| key.parent == table.oid && key.parent_columns.contains(&new)) {
            foreign_keys::check_types(&key.name, (&child, &key.columns), (table, &key.parent_columns))?;
            decision.after.extend((!key.not_valid).then(|| foreign_keys::check_of(&referring.found, key)));
        }
        decision.changes.push(put(&referring.found, Relation::Table(child)));
    }
    Ok(())
}

/// A default with the type that it has by now: a quoted literal took that of its column.
fn typed_default(default: String, of: &SqlType) -> Result<String> {
    match parse_expression(&default)? {
        Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)) => Ok(format!("CAST({default} AS {})", of.name())),
        _ => Ok(default),
    }
}

fn renumber(table: &mut TableDefinition, old: ColumnId, new: ColumnId) {
    let follow = |id: &mut ColumnId| {
        if *id == old {
            *id = new;
        }
    };
    table.columns.iter_mut().for_each(|column| follow(&mut column.id));
    table.cluster_by.iter_mut().for_each(follow);
    table.indexes.iter_mut().flat_map(|index| &mut index.columns).for_each(follow);
    for constraint in &mut table.constraints {
        match constraint {
            Constraint::Unique { columns, options, .. } => columns.iter_mut().chain(options.columns_mut()).for_each(follow),
            Constraint::Foreign(key) => {
                key.columns.iter_mut().chain(&mut key.set_columns).for_each(follow);
                if key.parent == table.oid {
                    key.parent_columns.iter_mut().for_each(follow);
                }
            }
            Constraint::Check { .. } => {}
        }
    }
}
