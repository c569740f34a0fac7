//! Generated columns: their values, computed of complete rows.

use super::Target;
use super::expression::parse_expression;
use crate::catalog::ColumnDefinition;
use crate::error::Result;
use crate::query::QueryContext;
use crate::types::convert::rounded_to;
use crate::types::input::coerce_assignment;
use arrow::array::{ArrayRef, RecordBatch};
use datafusion::physical_expr::PhysicalExpr;
use std::sync::Arc;

/// The expressions of a table's generated columns, compiled.
#[derive(Debug, Default)]
pub struct Generated {
    /// By the position of the column.
    expressions: Vec<(usize, Arc<dyn PhysicalExpr>)>,
}

impl Generated {
    /// Compiles them.
    pub fn compile(context: &QueryContext, target: &Target) -> Result<Self> {
        let columns = target.definition.columns.iter().enumerate();
        let compile = |(position, column): (usize, &ColumnDefinition)| {
            let text = column.generated.as_ref()?;
            let table = (target.name.as_str(), target.arrow.clone());
            let compiled = parse_expression(text).and_then(|parsed| context.plan_expression(&parsed, Some(table), Some(&column.sql_type)));
            Some(compiled.map(|expression| (position, expression)))
        };
        Ok(Self { expressions: columns.filter_map(compile).collect::<Result<_>>()? })
    }

    /// The rows, with the values of the columns put in.
    pub fn fill(&self, target: &Target, rows: &RecordBatch) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        for (position, expression) in &self.expressions {
            let column = &target.definition.columns[*position];
            let values = coerce_assignment(&column.sql_type, expression.evaluate(rows)?.into_array(rows.num_rows())?)?;
            columns[*position] = match column.digits {
                Some(digits) => rounded_to(&values, digits)?,
                None => values,
            };
        }
        Ok(RecordBatch::try_new(target.arrow.clone(), columns)?)
    }
}
