//! Averages of exact numbers and intervals are sums divided by counts: `avg(x)` beside `sum(x)` and `count(x)` costs nothing more.
//!
//! A rule of analysis, after types are coerced: an aggregation or a window that averages becomes one that sums and counts, with the division
//! above it under the names that it had.

use crate::functions::{average, interval, quotient, sum};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchemaRef, Result, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, Projection, Window, WindowFunctionDefinition, cast,
};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// The rule.
#[derive(Debug)]
pub struct Averages;

impl AnalyzerRule for Averages {
    fn name(&self) -> &str {
        "averages"
    }
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let resolved = plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Aggregate(aggregate) => of_groups(aggregate),
            LogicalPlan::Window(window) => of_windows(window),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(resolved.data)
    }
}

/// The parts that stand for a list of aggregates, each once, and for each of the list its value over them.
#[derive(Default)]
struct Parts {
    parts: Vec<Expr>,
    values: Vec<Expr>,
}

impl Parts {
    fn column(&mut self, part: Expr) -> Expr {
        let name = part.schema_name().to_string();
        if !self.parts.contains(&part) {
            self.parts.push(part);
        }
        Expr::Column(Column::from_name(name))
    }

    fn add(&mut self, expr: &Expr, input: &DFSchemaRef) -> Result<()> {
        let name = expr.schema_name().to_string();
        let value = match averaged(expr, input)? {
            Some(argument) => {
                let (total, count) = (self.column(instead(expr, &sum::function())?), self.column(instead(expr, &count_udaf())?));
                divided(total, count, &argument)?.alias(name)
            }
            None => self.column(expr.clone()),
        };
        self.values.push(value);
        Ok(())
    }
}

/// The type of what an expression averages, if it is one that is resolved here.
fn averaged(expr: &Expr, input: &DFSchemaRef) -> Result<Option<DataType>> {
    let argument = match expr {
        Expr::Alias(alias) => return averaged(&alias.expr, input),
        Expr::AggregateFunction(call) if call.func == average::function() => call.params.args.first(),
        Expr::WindowFunction(call) if is_average(&call.fun) => call.params.args.first(),
        _ => None,
    };
    let Some(argument) = argument else { return Ok(None) };
    Ok(Some(argument.get_type(input)?).filter(average::is_quotient))
}

fn is_average(function: &WindowFunctionDefinition) -> bool {
    matches!(function, WindowFunctionDefinition::AggregateUDF(function) if *function == average::function())
}

/// The same call of another function.
fn instead(expr: &Expr, function: &Arc<AggregateUDF>) -> Result<Expr> {
    Ok(match expr {
        Expr::Alias(alias) => instead(&alias.expr, function)?,
        Expr::AggregateFunction(call) => {
            Expr::AggregateFunction(AggregateFunction { func: Arc::clone(function), params: call.params.clone() })
        }
        Expr::WindowFunction(call) => {
            let fun = WindowFunctionDefinition::AggregateUDF(Arc::clone(function));
            Expr::WindowFunction(Box::new(WindowFunction { fun, params: call.params.clone() }))
        }
        other => return internal_err!("{other} averages nothing"),
    })
}

fn divided(total: Expr, count: Expr, argument: &DataType) -> Result<Expr> {
    match (argument, interval::named(interval::DIVIDE)) {
        // No rows have no average, rather than one that is divided by zero.
        (DataType::Interval(_), Some(divide)) => {
            let zero = datafusion::logical_expr::lit(0i64);
            let count = datafusion::functions::core::nullif().call(vec![count, zero]);
            Ok(divide.call(vec![total, cast(count, DataType::Float64)]))
        }
        _ => Ok(quotient::call(total, count)),
    }
}

fn of_groups(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let mut parts = Parts::default();
    aggregate.aggr_expr.iter().try_for_each(|expr| parts.add(expr, aggregate.input.schema()))?;
    if !parts.values.iter().any(|value| matches!(value, Expr::Alias(_))) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let keys = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let columns = aggregate.schema.columns().into_iter().take(keys).map(Expr::Column);
    let shown: Vec<Expr> = columns.chain(parts.values).collect();
    let summed = LogicalPlan::Aggregate(Aggregate::try_new(aggregate.input, aggregate.group_expr, parts.parts)?);
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(summed))?)))
}

fn of_windows(window: Window) -> Result<Transformed<LogicalPlan>> {
    let mut parts = Parts::default();
    window.window_expr.iter().try_for_each(|expr| parts.add(expr, window.input.schema()))?;
    if !parts.values.iter().any(|value| matches!(value, Expr::Alias(_))) {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let columns = window.input.schema().columns().into_iter().map(Expr::Column);
    let shown: Vec<Expr> = columns.chain(parts.values).collect();
    let summed = LogicalPlan::Window(Window::try_new(parts.parts, window.input)?);
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(summed))?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{LogicalPlanBuilder, col, table_scan};

    #[test]
    fn sums_are_shared() {
        let schema = Schema::new(vec![Field::new("k", DataType::Int32, true), Field::new("x", DataType::Int64, true)]);
        let (average, total) = (average::function(), sum::function());
        let plan = table_scan(Some("t"), &schema, None).unwrap().build().unwrap();
        let aggregates = vec![average.call(vec![col("x")]), total.call(vec![col("x")])];
        let plan = LogicalPlanBuilder::from(plan).aggregate(vec![col("k")], aggregates).unwrap().build().unwrap();
        let resolved = Averages.analyze(plan.clone(), &ConfigOptions::default()).unwrap();
        assert_eq!(resolved.schema().field_names(), plan.schema().field_names());
        let shown = resolved.display_indent().to_string();
        assert!(shown.contains("aggr=[[sum(t.x), count(t.x)]]"), "{shown}");
        assert_eq!(resolved.schema().field(1).data_type(), plan.schema().field(1).data_type());
    }
}
