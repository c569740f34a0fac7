//! NOT NULL and CHECK.

use super::Target;
use super::expression::parse_expression;
use super::generated::Generated;
use super::row_text::failing_row;
use crate::catalog::Constraint;
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use crate::types::SqlType;
use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::physical_expr::PhysicalExpr;
use std::sync::Arc;

/// The constraints of a table that look at one row.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    compiled: Vec<(String, Arc<dyn PhysicalExpr>)>,
}

impl Checks {
    /// Compiles the table's CHECK constraints.
    pub fn compile(context: &QueryContext, target: &Target) -> Result<Self> {
        target.prepare_generated(|| Generated::compile(context, target))?;
        // The time is put in when an expression is compiled.
        match target.definition.constraints.iter().filter_map(check).any(|(_, expression)| depends_on_time(expression)) {
            true => Self::compile_anew(context, target),
            false => target.checks(|| Self::compile_anew(context, target)),
        }
    }

    fn compile_anew(context: &QueryContext, target: &Target) -> Result<Self> {
        let mut checks = target.definition.constraints.iter().filter_map(check).collect::<Vec<_>>();
        // PostgreSQL checks by name.
        checks.sort_by_key(|(name, _)| *name);
        let compile = |(name, expression): &(&str, &str)| {
            let expression = parse_expression(expression)?;
            let table = (target.name.as_str(), target.arrow.clone());
            Ok(((*name).to_string(), context.plan_expression(&expression, Some(table), Some(&SqlType::Boolean))?))
        };
        Ok(Self { compiled: checks.iter().map(compile).collect::<Result<_>>()? })
    }

    /// Checks rows in the target's form.
    pub fn check(&self, target: &Target, batch: &RecordBatch) -> Result<()> {
        check_not_null(target, batch)?;
        for (name, condition) in &self.compiled {
            let result = condition.evaluate(batch)?.into_array(batch.num_rows())?;
            let result = result.as_boolean();
            if let Some(row) = (0..result.len()).find(|row| result.is_valid(*row) && !result.value(*row)) {
                return Err(violated(target, name, batch, row));
            }
        }
        Ok(())
    }
}

/// Whether the table has CHECK constraints.
pub fn has_checks(target: &Target) -> bool {
    target.definition.constraints.iter().any(|constraint| check(constraint).is_some())
}

/// Whether an expression may have another value at another time; errs on the side of yes.
fn depends_on_time(expression: &str) -> bool {
    let expression = expression.to_lowercase();
    ["now", "current", "local", "timestamp", "random", "uuid"].iter().any(|word| expression.contains(word))
}

fn check(constraint: &Constraint) -> Option<(&str, &str)> {
    match constraint {
        Constraint::Check { name, expression } => Some((name, expression)),
        Constraint::Unique { .. } | Constraint::Foreign(_) => None,
    }
}

fn check_not_null(target: &Target, batch: &RecordBatch) -> Result<()> {
    let with_nulls =
        |(column, values): &(&crate::catalog::ColumnDefinition, &arrow::array::ArrayRef)| column.not_null && values.null_count() > 0;
    let found = target.definition.columns.iter().zip(batch.columns()).find(with_nulls);
    let Some((column, values)) = found else { return Ok(()) };
    let row = (0..values.len()).find(|row| values.is_null(*row)).unwrap_or(0);
    let message = format!("null value in column \"{}\" of relation \"{}\" violates not-null constraint", column.name, target.name);
    let error = SqlError::new(SqlState::NOT_NULL_VIOLATION, message).of_table(&target.schema, &target.name).of_column(&column.name);
    Err(with_row(error, target, batch, row))
}

fn violated(target: &Target, name: &str, batch: &RecordBatch, row: usize) -> SqlError {
    let message = format!("new row for relation \"{}\" violates check constraint \"{name}\"", target.name);
    let error = SqlError::new(SqlState::CHECK_VIOLATION, message).of_table(&target.schema, &target.name).of_constraint(name);
    with_row(error, target, batch, row)
}

fn with_row(error: SqlError, target: &Target, batch: &RecordBatch, row: usize) -> SqlError {
    match failing_row(target, batch, row) {
        Some(detail) => error.with_detail(detail),
        None => error,
    }
}
