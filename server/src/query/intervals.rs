//! Intervals are ordered by how long they are, not by their parts: `1 day` is `24 hours`.

use crate::functions::interval;
use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{ExprSchemable, LogicalPlan, Sort};
use datafusion::optimizer::AnalyzerRule;

/// Sorts intervals by their keys.
#[derive(Debug)]
pub struct OrderIntervals;

impl AnalyzerRule for OrderIntervals {
    fn name(&self) -> &str {
        "order_intervals"
    }
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan
            .transform_up_with_subqueries(|plan| match plan {
                LogicalPlan::Sort(sort) => keyed(sort),
                other => Ok(Transformed::no(other)),
            })?
            .data)
    }
}

fn keyed(mut sort: Sort) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for key in &mut sort.expr {
        if key.expr.get_type(sort.input.schema())? == DataType::Interval(IntervalUnit::MonthDayNano) {
            key.expr = interval::key(key.expr.clone());
            changed = true;
        }
    }
    let plan = LogicalPlan::Sort(sort);
    Ok(if changed { Transformed::yes(plan) } else { Transformed::no(plan) })
}
