//! Which column of which table a column of a result is: RowDescription says it, and drivers that write rows back rely on it.
//!
//! A column of a view is told as the column beneath it.

use super::table::SegmentTable;
use crate::functions::casts;
use crate::types::SqlType;
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::sync::Arc;

/// The key in a field's metadata.
const ORIGIN_KEY: &str = "plimsoll.origin";
/// The key of a numeric whose digits nobody has declared.
const COMPUTED_KEY: &str = "plimsoll.computed";

/// A result's schema, with what is known of where its columns are from.
pub fn noted(plan: &LogicalPlan, schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(at, field)| match origin(plan, at) {
        None if is_computed_numeric(plan, field, at) => marked(field, COMPUTED_KEY, String::new()),
        None => Arc::clone(field),
        Some((table, column)) => marked(field, ORIGIN_KEY, format!("{table}.{column}")),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn marked(field: &FieldRef, key: &str, value: String) -> FieldRef {
    let mut metadata = field.metadata().clone();
    metadata.insert(key.into(), value);
    Arc::new(field.as_ref().clone().with_metadata(metadata))
}

fn is_computed_numeric(plan: &LogicalPlan, field: &Field, at: usize) -> bool {
    matches!(SqlType::of_field(field), SqlType::Numeric(Some(_))) && !is_declared(plan, at)
}

/// The modifier that clients see of a column's type. The digits of what was computed are an affair of the server's own.
pub fn type_modifier(field: &Field) -> i32 {
    if field.metadata().contains_key(COMPUTED_KEY) { -1 } else { SqlType::of_field(field).type_modifier() }
}

/// Whether a column of a result has the type that a table's column or a cast declares, rather than one that was computed with it.
pub fn is_declared(plan: &LogicalPlan, at: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(at).map(|expr| expr.clone().unalias()) {
            Some(Expr::ScalarFunction(call)) => casts::modified_target(&call),
            Some(Expr::Column(column)) => {
                projection.input.schema().index_of_column(&column).is_ok_and(|at| is_declared(&projection.input, at))
            }
            _ => false,
        },
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::SubqueryAlias(_) => {
            is_declared(plan.inputs()[0], at)
        }
        _ => origin(plan, at).is_some(),
    }
}

/// The OID of the table, and the number of its column; zeros where it is none.
pub fn of_field(field: &Field) -> (u32, i16) {
    let parts = field.metadata().get(ORIGIN_KEY).and_then(|origin| origin.split_once('.'));
    parts.and_then(|(table, column)| Some((table.parse().ok()?, column.parse().ok()?))).unwrap_or_default()
}

fn origin(plan: &LogicalPlan, at: usize) -> Option<(u32, i16)> {
    match plan {
        LogicalPlan::Projection(projection) => of_expression(projection.expr.get(at)?, &projection.input),
        LogicalPlan::Aggregate(aggregate) => of_expression(aggregate.group_expr.get(at)?, &aggregate.input),
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::SubqueryAlias(_) => {
            origin(plan.inputs()[0], at)
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full if at >= left => origin(&join.right, at - left),
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => None,
                _ if at < left => origin(&join.left, at),
                _ => None,
            }
        }
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok()?;
            let definition = provider.downcast_ref::<SegmentTable>()?.definition();
            let name = scan.projected_schema.field(at).name();
            let column = definition.columns.iter().find(|column| column.name == *name)?;
            Some((definition.oid, i16::try_from(column.id.0).ok()?))
        }
        _ => None,
    }
}

fn of_expression(expr: &Expr, input: &LogicalPlan) -> Option<(u32, i16)> {
    origin(input, input.schema().maybe_index_of_column(column_of(expr)?)?)
}

fn column_of(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => column_of(&alias.expr),
        _ => None,
    }
}
