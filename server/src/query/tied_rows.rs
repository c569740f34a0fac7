//! `FETCH FIRST n ROWS WITH TIES`: the rows up to the n-th, and those after it that the order does not tell from it.
//!
//! 1. The syntax tree says it as `LIMIT plimsoll_with_ties(n)` ([`as_limit`]).
//! 2. In the plan, that limit becomes a condition on each row's rank and number in the order beneath it ([`settle`]).

use super::desugar::call;
use crate::error::{Result as SqlResult, SqlError, SqlState};
use crate::functions::casts;
use crate::functions::scalar::Function;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result, internal_err};
use datafusion::functions_window::{rank::rank_udwf, row_number::row_number_udwf};
use datafusion::logical_expr::expr::{Sort as SortKey, WindowFunction};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Projection, ScalarUDF, Signature, Sort, Volatility, WindowFunctionDefinition,
    WindowUDF, cast, lit,
};
use datafusion::sql::sqlparser::ast::{self, Fetch, LimitClause, Query, Value};
use std::sync::Arc;

/// Stands around the number of rows.
const NAME: &str = "plimsoll_with_ties";

/// The function, which is never called.
pub fn function() -> ScalarUDF {
    let signature = Signature::any(1, Volatility::Stable);
    Function::of_columns(NAME, signature, DataType::Int64, |_| internal_err!("rows with ties are counted by their rank"))
}

/// Puts the phrase into the query's LIMIT.
pub fn as_limit(query: &mut Query) -> SqlResult<()> {
    if !query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties && !fetch.percent) {
        return Ok(());
    }
    if query.order_by.is_none() {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "WITH TIES cannot be specified without ORDER BY clause"));
    }
    let Some(Fetch { quantity, .. }) = query.fetch.take() else { return Ok(()) };
    let text = |text: &str| ast::Expr::value(Value::SingleQuotedString(text.into()));
    let rows = quantity.unwrap_or_else(|| text("1"));
    let limit = Some(call(NAME, vec![call(casts::NAME, vec![rows, text("bigint")])]));
    let offset = match query.limit_clause.take() {
        Some(LimitClause::LimitOffset { offset, .. }) => offset,
        _ => None,
    };
    query.limit_clause = Some(LimitClause::LimitOffset { limit, offset, limit_by: Vec::new() });
    Ok(())
}

/// Turns such limits into conditions.
pub fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let settled = plan.transform_up_with_subqueries(|plan| {
        let LogicalPlan::Limit(limit) = &plan else { return Ok(Transformed::no(plan)) };
        let rows = match limit.fetch.as_deref() {
            Some(Expr::ScalarFunction(call)) if call.func.name() == NAME => call.args[0].clone(),
            _ => return Ok(Transformed::no(plan)),
        };
        let skipped = limit.skip.as_deref().cloned().unwrap_or_else(|| lit(0_i64));
        within(&limit.input, &rows, &skipped).map(Transformed::yes)
    })?;
    Ok(settled.data)
}

/// The order stands beneath projections that only take away what it was sorted by.
fn within(plan: &LogicalPlan, rows: &Expr, skipped: &Expr) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let input = within(&projection.input, rows, skipped)?;
            Ok(LogicalPlan::Projection(Projection::try_new(projection.expr.clone(), Arc::new(input))?))
        }
        LogicalPlan::Sort(sort) => ranked(sort, rows, skipped),
        _ => Err(SqlError::unsupported("WITH TIES in this place").into()),
    }
}

fn ranked(sort: &Sort, rows: &Expr, skipped: &Expr) -> Result<LogicalPlan> {
    let (rank, number) = (over(rank_udwf(), &sort.expr)?, over(row_number_udwf(), &sort.expr)?);
    let column = |expr: &Expr| cast(Expr::Column(Column::from_name(expr.schema_name().to_string())), DataType::Int64);
    let skipped = cast(skipped.clone(), DataType::Int64);
    let wanted = column(&rank).lt_eq(cast(rows.clone(), DataType::Int64) + skipped.clone()).and(column(&number).gt(skipped));
    let columns: Vec<Expr> = sort.input.schema().columns().into_iter().map(Expr::Column).collect();
    let plan = LogicalPlanBuilder::window_plan(sort.input.as_ref().clone(), vec![rank, number])?;
    LogicalPlanBuilder::from(plan).filter(wanted)?.sort(sort.expr.clone())?.project(columns)?.build()
}

fn over(function: Arc<WindowUDF>, keys: &[SortKey]) -> Result<Expr> {
    let call = WindowFunction::new(WindowFunctionDefinition::WindowUDF(function), Vec::new());
    Expr::from(call).order_by(keys.to_vec()).build()
}
