//! Generated columns: `GENERATED ALWAYS AS (expression) STORED`. What their definitions may say, what depends on them, and how one is added to
//! rows that are there.
//!
//! Their values are computed where rows come together: [`crate::ingest::Target::rows`].

use super::create_table::NewColumn;
use super::decision::{Check, Decision, Scope, place};
use super::{Execution, alter_table, checks, expressions, immutability};
use crate::catalog::lookup::Found;
use crate::catalog::names::{quote, quote_qualified};
use crate::catalog::{ColumnDefinition, TableDefinition, columns};
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::Target;
use crate::ingest::assignment::check_assignment;
use crate::ingest::copy_file::insert_rows;
use crate::query::QueryContext;
use crate::session::parse::{parse_expression, parse_query};
use datafusion::sql::sqlparser::ast::{AlterTableOperation, Expr, GeneratedAs, Statement};

/// Takes the clause of a column's definition.
pub fn apply(new: &mut NewColumn, generated_as: &GeneratedAs, expression: &Expr) -> Result<()> {
    let name = &new.column.name;
    if !matches!(generated_as, GeneratedAs::ExpStored) {
        return Err(SqlError::unsupported("a generated column that is not stored").with_hint("Say STORED."));
    }
    if new.column.generated.is_some() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("multiple generation clauses specified for column \"{name}\"")));
    }
    new.column.generated = Some(expressions::unqualified(expression.clone()).to_string());
    Ok(())
}

/// A generated column has no default, and is no identity.
pub fn check_clauses(new: &NewColumn, table: &str) -> Result<()> {
    let column = &new.column;
    let other = match () {
        () if column.generated.is_none() => return Ok(()),
        () if column.identity.is_some() => "identity",
        () if column.default.is_some() || new.sequence.is_some() => "default",
        () => return Ok(()),
    };
    let message = format!("both {other} and generation expression specified for column \"{}\" of table \"{table}\"", column.name);
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
}

/// The check of a column's expression.
pub fn check_of(table: (&str, &str), column: &ColumnDefinition) -> Option<Check> {
    let table = (table.0.to_string(), table.1.to_string());
    column.generated.as_ref().map(|_| Check::Generated { table, column: column.name.clone() })
}

/// Checks that an expression is one of the row alone, without other generated columns, and of the column's type.
pub fn check(context: &QueryContext, table: &(String, String), column: &str) -> Result<()> {
    let found = context.view.catalog.get(&table.0, &table.1).ok_or_else(|| SqlError::internal("a table vanished"))?;
    let definition = found.table()?;
    let column = definition.require_column(&table.1, column)?;
    let expression = parse_expression(column.generated.as_deref().unwrap_or("NULL"))?;
    for name in expressions::columns(&expression) {
        if definition.column(&name).is_some_and(|named| named.generated.is_some()) {
            let message = format!("cannot use generated column \"{name}\" in column generation expression");
            return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message)
                .with_detail("A generated column cannot reference another generated column."));
        }
    }
    let schema = columns::arrow_schema(definition);
    let field = immutability::check_generation(context, &expression, (&table.1, schema))?;
    check_assignment(&column.name, &column.sql_type, &field).map_err(|mut error| {
        error.message = error.message.replace("but expression is", "but default expression is").into();
        error
    })
}

/// The generated columns that are computed of a column.
pub fn depending_on<'a>(table: &'a TableDefinition, column: &'a str) -> impl Iterator<Item = &'a ColumnDefinition> {
    table.columns.iter().filter(move |other| other.name != column && names(other, column))
}

fn names(generated: &ColumnDefinition, column: &str) -> bool {
    let text = generated.generated.as_deref();
    text.is_some_and(|text| expressions::columns_of_text(text).is_ok_and(|names| names.contains(column)))
}

/// 0A000 for a change of the type of a column that others are computed of.
pub fn refuse_retyping(table: &TableDefinition, column: &str) -> Result<()> {
    let Some(by) = depending_on(table, column).next() else { return Ok(()) };
    Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cannot alter type of a column used by a generated column")
        .with_detail(format!("Column \"{column}\" is used by generated column \"{}\".", by.name)))
}

/// 42601 for a default of a generated column.
pub fn refuse_default(column: &ColumnDefinition, relation: &str, drops: bool) -> Result<()> {
    if column.generated.is_none() {
        return Ok(());
    }
    let message = format!("column \"{}\" of relation \"{relation}\" is a generated column", column.name);
    let error = SqlError::new(SqlState::SYNTAX_ERROR, message);
    Err(if drops { error.with_hint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.") } else { error })
}

/// Follows a column's new name.
pub fn rename_column(table: &mut TableDefinition, from: &str, to: &str) -> Result<()> {
    for text in table.columns.iter_mut().filter_map(|column| column.generated.as_mut()) {
        *text = expressions::rename_column(text, from, to)?;
    }
    Ok(())
}

/// The columns whose values rows bring with them, as a list for SELECT.
pub fn given_columns(table: &TableDefinition) -> Vec<String> {
    table.columns.iter().filter(|column| column.generated.is_none()).map(|column| quote(&column.name)).collect()
}

/// Whether an operation adds a generated column.
pub fn is_added(operation: &AlterTableOperation) -> Result<bool> {
    Ok(alter_table::added_column(operation)?.is_some_and(|new| new.column.generated.is_some()))
}

impl Execution<'_> {
    /// Carries out a decision after which all rows of a table are written anew, `query` giving them. `explain` words what a check complains of.
    pub(super) async fn rewrite(
        &mut self,
        table: &(String, String),
        query: &str,
        decision: Decision,
        explain: impl Fn(SqlError, &Check) -> SqlError,
    ) -> Result<()> {
        let (schema, name) = table;
        let context = self.context();
        let plan = context.plan(&Statement::Query(Box::new(parse_query(query)?))).await?;
        let rows = context.run(plan).await?;
        let oid = context.view.catalog.get(schema, name).map(|found| found.relation().oid());
        let oid = oid.ok_or_else(|| SqlError::internal("a table vanished"))?;
        // Own rows are read while they are being replaced: their files are held.
        let _before = self.transaction.savepoint();
        self.transaction.will_change_rows(oid);
        self.transaction.relies_on_all_rows(oid);
        self.transaction.depends_on(schema, name);
        self.transaction.truncate(oid);
        decision.changes.into_iter().for_each(|change| super::apply(self.transaction, change));
        let context = self.context();
        let on_rows = |check: &&Check| matches!(check, Check::ForeignKey { .. });
        for check in decision.after.iter().filter(|check| !on_rows(check)) {
            checks::run(&context, check).await.map_err(|error| explain(error, check))?;
        }
        let definition = context.view.catalog.get(schema, name).ok_or_else(|| SqlError::internal("a table vanished"))?.table()?.clone();
        let target = Target::new(schema, name, definition);
        insert_rows(&context, self.transaction, &target, None, rows).await?;
        let context = self.context();
        for check in decision.after.iter().filter(on_rows) {
            self.rely_on_rows(&context, check);
            checks::run(&context, check).await?;
        }
        self.notices.extend(decision.notices);
        Ok(())
    }

    /// ADD COLUMN of a generated column: each row gets its value.
    pub(super) async fn add_generated(&mut self, found: &Found<'_>, scope: Scope<'_>, operation: &AlterTableOperation) -> Result<()> {
        let table = found.table()?;
        let given = given_columns(table);
        let mut ids = super::Ids::new(0, 0);
        let decision = alter_table::alter(scope, &mut ids, *found, operation, None)?;
        if given.is_empty() {
            return Err(SqlError::unsupported("a generated column in a table of generated columns only"));
        }
        let query = format!("SELECT {} FROM {}", given.join(", "), quote_qualified(found.schema, found.name));
        self.rewrite(&place(found), &query, Decision { before: Vec::new(), ..decision }, |error, _| error).await
    }
}
