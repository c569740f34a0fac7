//! DataFusion's rules that rely on functional dependencies, kept to where they are right.
//!
//! Plans carry which columns determine others: keys of tables, groups of aggregates. DataFusion keeps them where rows are multiplied (unnest) and
//! widens them where they pass a second aggregation, so that what it concludes loses keys of an ORDER BY, or takes a DISTINCT for done.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::expand_wildcard;
use datafusion::logical_expr::{Aggregate, Distinct, LogicalPlan};
use datafusion::optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules given: keys of an ORDER BY are all kept, and each DISTINCT is computed.
pub fn without(rules: Vec<Rule>) -> Vec<Rule> {
    let (dropped, distinct) = (EliminateDuplicatedExpr::new(), ReplaceDistinctWithAggregate::new());
    let kept = rules.into_iter().filter(|rule| rule.name() != dropped.name());
    kept.map(|rule| if rule.name() == distinct.name() { Arc::new(Distinctly(ReplaceDistinctWithAggregate::new())) } else { rule }).collect()
}

/// DISTINCT as GROUP BY of all columns.
#[derive(Debug)]
struct Distinctly(ReplaceDistinctWithAggregate);

impl OptimizerRule for Distinctly {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }
    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Distinct(Distinct::All(input)) if !input.schema().fields().is_empty() => {
                let columns = expand_wildcard(input.schema(), input, None)?;
                Ok(Transformed::yes(LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(input), columns, Vec::new())?)))
            }
            _ => self.0.rewrite(plan, config),
        }
    }
}
