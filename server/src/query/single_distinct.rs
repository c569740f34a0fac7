//! DataFusion's rule that counts distinct values by two aggregations, one above the other, kept to where it is right.
//!
//! What is summed beside them is summed twice, and a sum of sums has another type than a sum: integers add up to bigint, those to numeric.

use crate::functions::sum;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::single_distinct_to_groupby::SingleDistinctToGroupBy;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules given, that one with its bound.
pub fn bounded(rules: Vec<Rule>) -> Vec<Rule> {
    let given = SingleDistinctToGroupBy::new();
    let bound = |rule: Rule| if rule.name() == given.name() { Arc::new(Bounded(SingleDistinctToGroupBy::new())) } else { rule };
    rules.into_iter().map(bound).collect()
}

/// The rule.
#[derive(Debug)]
struct Bounded(SingleDistinctToGroupBy);

impl OptimizerRule for Bounded {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }
    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.iter().any(|expr| is_widened(expr, aggregate.input.schema())) => {
                Ok(Transformed::no(plan))
            }
            _ => self.0.rewrite(plan, config),
        }
    }
}

/// Whether an expression is a sum that has another type when it is summed again.
fn is_widened(expr: &Expr, input: &DFSchema) -> bool {
    let Expr::AggregateFunction(call) = expr else { return false };
    if call.func.name() != "sum" || call.params.distinct {
        return false;
    }
    let Ok(total) = expr.get_type(input) else { return true };
    let again = sum::argument_type(&total).and_then(|argument| sum::function().return_type(&[argument]));
    !again.is_ok_and(|again| again == total)
}
