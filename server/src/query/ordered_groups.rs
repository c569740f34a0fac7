//! Groups whose key the rows are sorted by are finished one after the other: no hash table of all groups, no exchange.
//!
//! Tables are often loaded in the order of their key. Then each segment is sorted by it, and segments do not overlap; the scan can be told to
//! give each partition one contiguous range, in order ([`SegmentScanExec::in_ranges`]). It costs the scan its shared queue, so it is done
//! only for an aggregation that gains by it.

use super::scan::SegmentScanExec;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::{Distribution, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

/// The rule before which scans are told: afterwards exchanges are put where they are missing.
const BEFORE: &str = "EnsureRequirements";

/// DataFusion's rules, and this one in its place among them.
pub fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    if let Some(place) = rules.iter().position(|rule| rule.name() == BEFORE) {
        rules.insert(place, Arc::new(OrderGroups));
    }
    rules
}

/// The rule.
#[derive(Debug)]
struct OrderGroups;

impl PhysicalOptimizerRule for OrderGroups {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| match ordered(&plan) {
            Some(input) => Ok(Transformed::yes(over(plan, input)?)),
            None => Ok(Transformed::no(plan)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "order_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The input of an aggregation, its rows sorted and apart by the key of the groups, if the scan has them so.
fn ordered(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let aggregate = plan.downcast_ref::<AggregateExec>()?;
    let group = aggregate.group_expr();
    if !group.is_single() || group.expr().is_empty() {
        return None;
    }
    let input = in_ranges(aggregate.input())?;
    let key: Vec<Arc<dyn PhysicalExpr>> = group.input_exprs();
    let satisfied = input.output_partitioning().satisfaction(&Distribution::KeyPartitioned(key), input.equivalence_properties(), false);
    (satisfied.is_satisfied() && input.output_ordering().is_some()).then_some(input)
}

fn in_ranges(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    if let Some(scan) = plan.downcast_ref::<SegmentScanExec>() {
        return scan.in_ranges().map(|scan| Arc::new(scan) as Arc<dyn ExecutionPlan>);
    }
    let passes = plan.is::<FilterExec>() || plan.is::<ProjectionExec>();
    let input = in_ranges(plan.children().first().filter(|_| passes)?)?;
    over(Arc::clone(plan), input).ok()
}

fn over(plan: Arc<dyn ExecutionPlan>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.replace_children(vec![input], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}
