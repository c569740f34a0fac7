//! Intervals are compared by how long they are, not by their parts: `1 day` is `24 hours`, `1 mon` is `30 days`.
//!
//! DataFusion compares the parts. A rule of analysis, after types are coerced, has it compare keys (`functions/interval.rs`) wherever
//! intervals are compared: by operators, in groups, sets, joins, windows and orders, and by `min`, `max` and DISTINCT aggregates. A group is
//! shown as the first of its intervals.

use crate::functions::interval;
use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, Between, InList, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Operator, Projection, Sort};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// Compares intervals by their keys.
#[derive(Debug)]
pub struct CompareIntervals;

impl AnalyzerRule for CompareIntervals {
    fn name(&self) -> &str {
        "compare_intervals"
    }
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(keyed)?.data)
    }
}

fn keyed(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !plan.inputs().iter().any(|input| has_intervals(input.schema())) && !reads_nothing(&plan) {
        return Ok(Transformed::no(plan));
    }
    match plan {
        LogicalPlan::Sort(sort) => sorted(sort),
        LogicalPlan::Distinct(Distinct::All(input)) if has_intervals(input.schema()) => distinct(&input),
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            let schema = Arc::clone(on.input.schema());
            for key in on.on_expr.iter_mut().chain(on.sort_expr.iter_mut().flatten().map(|sort| &mut sort.expr)) {
                replace(key, &schema)?;
            }
            Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::On(on))))
        }
        LogicalPlan::Join(join) => joined(join).and_then(|plan| compared(plan.data)),
        LogicalPlan::Aggregate(aggregate) => {
            let compared = compared(LogicalPlan::Aggregate(aggregate))?;
            match compared.data {
                LogicalPlan::Aggregate(aggregate) => grouped(aggregate),
                other => Ok(Transformed::yes(other)),
            }
        }
        other => compared(other),
    }
}

/// Values and constants have no input whose columns could tell.
fn reads_nothing(plan: &LogicalPlan) -> bool {
    plan.inputs().iter().all(|input| input.schema().fields().is_empty() || matches!(input, LogicalPlan::EmptyRelation(_)))
}

fn has_intervals(schema: &DFSchema) -> bool {
    schema.fields().iter().any(|field| is_interval(field.data_type()))
}

fn is_interval(data_type: &DataType) -> bool {
    *data_type == DataType::Interval(IntervalUnit::MonthDayNano)
}

fn is_of_intervals(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|data_type| is_interval(&data_type))
}

/// Puts the key in the place of an interval; whether it was one.
fn replace(expr: &mut Expr, schema: &DFSchema) -> Result<bool> {
    let found = is_of_intervals(expr, schema);
    if found {
        *expr = interval::key(std::mem::take(expr));
    }
    Ok(found)
}

fn sorted(mut sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(sort.input.schema());
    let mut changed = false;
    for key in &mut sort.expr {
        changed |= replace(&mut key.expr, &schema)?;
    }
    Ok(Transformed::new_transformed(LogicalPlan::Sort(sort), changed))
}

fn joined(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        changed |= replace(left, join.left.schema())? | replace(right, join.right.schema())?;
    }
    Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
}

/// DISTINCT is a group of all columns.
fn distinct(input: &Arc<LogicalPlan>) -> Result<Transformed<LogicalPlan>> {
    let columns = input.schema().columns().into_iter().map(Expr::Column).collect();
    grouped(Aggregate::try_new(Arc::clone(input), columns, Vec::new())?)
}

/// Groups by keys; each group shows the first of its intervals.
fn grouped(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(aggregate.input.schema());
    let plain = !aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_)));
    if !plain || !aggregate.group_expr.iter().any(|key| is_of_intervals(key, &schema)) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let (mut keys, mut firsts, mut shown) = (Vec::new(), Vec::new(), Vec::new());
    for (key, (qualifier, field)) in aggregate.group_expr.iter().zip(aggregate.schema.iter()) {
        let as_shown = Column::new(qualifier.cloned(), field.name());
        if !is_of_intervals(key, &schema) {
            keys.push(key.clone());
            shown.push(Expr::Column(as_shown));
            continue;
        }
        let first = first_value_udaf().call(vec![key.clone().unalias()]).alias(format!("first interval {}", firsts.len()));
        keys.push(interval::key(key.clone().unalias()).alias(format!("interval {}", firsts.len())));
        shown.push(Expr::Column(Column::from_name(first.schema_name().to_string())).alias_qualified(qualifier.cloned(), field.name()));
        firsts.push(first);
    }
    shown.extend(aggregate.schema.columns().into_iter().skip(keys.len()).map(Expr::Column));
    let aggregates = aggregate.aggr_expr.into_iter().chain(firsts).collect();
    let grouped = LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input, keys, aggregates)?);
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(grouped))?)))
}

/// Comparisons within the expressions of a plan.
fn compared(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let plan = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let expr = expr.transform_up(|expr| comparison(expr, &schema))?;
        Ok(expr.update_data(|expr| name.restore(expr)))
    })?;
    if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
}

fn comparison(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let of_intervals = |expr: &Expr| is_of_intervals(expr, schema);
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) && of_intervals(&left) && of_intervals(&right) => {
            let (left, right) = (Box::new(interval::key(*left)), Box::new(interval::key(*right)));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(Between { expr, negated, low, high }) if of_intervals(&expr) && of_intervals(&low) && of_intervals(&high) => {
            let [expr, low, high] = [expr, low, high].map(|expr| Box::new(interval::key(*expr)));
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InList(InList { expr, list, negated }) if of_intervals(&expr) && list.iter().all(of_intervals) => {
            let list = list.into_iter().map(interval::key).collect();
            Transformed::yes(Expr::InList(InList { expr: Box::new(interval::key(*expr)), list, negated }))
        }
        Expr::AggregateFunction(call) => aggregated(call, schema),
        Expr::WindowFunction(mut window) => {
            let WindowFunction { params, .. } = window.as_mut();
            let mut changed = false;
            for key in params.partition_by.iter_mut().chain(params.order_by.iter_mut().map(|sort| &mut sort.expr)) {
                changed |= replace(key, schema)?;
            }
            Transformed::new_transformed(Expr::WindowFunction(window), changed)
        }
        other => Transformed::no(other),
    })
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// The least interval is the first in their order; different intervals are counted by their keys.
fn aggregated(call: AggregateFunction, schema: &DFSchema) -> Transformed<Expr> {
    let AggregateFunction { func, params } = call;
    let AggregateFunctionParams { mut args, distinct, filter, order_by, null_treatment } = params;
    let unchanged = match (func.name(), args.as_slice()) {
        ("min" | "max", [value]) if is_of_intervals(value, schema) => {
            let order = interval::key(value.clone()).sort(func.name() == "min", false);
            let params = AggregateFunctionParams { args, distinct: false, filter, order_by: vec![order], null_treatment: None };
            return Transformed::yes(Expr::AggregateFunction(AggregateFunction { func: first_value_udaf(), params }));
        }
        ("count", [value]) => !(distinct && is_of_intervals(value, schema)),
        _ => true,
    };
    if !unchanged {
        args = args.into_iter().map(interval::key).collect();
    }
    let params = AggregateFunctionParams { args, distinct, filter, order_by, null_treatment };
    Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { func, params }), !unchanged)
}
