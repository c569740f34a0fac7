//! What a plan is estimated to cost, in PostgreSQL's unit: reading one page of 8 KiB in sequence is 1.
//!
//! The model is simple, and says what it counts: bytes that scans read, rows that operators take and give, comparisons of sorts and joins. It is
//! made for those who read EXPLAIN (people, postgres_fdw, plan viewers); the planner does not choose by it. An operator costs what its inputs
//! cost, and what it does itself, so a node never costs less than a node below it. Where no number of rows is known, the largest of its inputs
//! stands for it, and 1000 (PostgreSQL's own guess for a function) where there is none.

use super::node::Node;
use crate::query::scan::SegmentScanExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use std::sync::Arc;

/// Bytes that cost 1 to read, PostgreSQL's page.
const PAGE_BYTES: f64 = 8192.0;
/// PostgreSQL's `cpu_tuple_cost`: a row that an operator gives.
const ROW: f64 = 0.01;
/// PostgreSQL's `cpu_operator_cost`: a comparison, a hash, a condition.
const OPERATION: f64 = 0.0025;
/// Rows of a leaf that nothing is known of.
const ROWS_UNKNOWN: f64 = 1000.0;

/// What it costs until the first row, and until the last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub startup: f64,
    pub total: f64,
}

/// The rows that a node gives, guessed where they are not known.
pub(super) fn rows(node: &Node) -> f64 {
    node.rows_expected.map_or_else(|| node.children.iter().map(rows).fold(0.0, f64::max).max(guessed(node)), |rows| rows as f64)
}

fn guessed(node: &Node) -> f64 {
    if node.children.is_empty() { ROWS_UNKNOWN } else { 0.0 }
}

/// The cost of a node whose children are there, with theirs.
pub(super) fn of(plan: &Arc<dyn ExecutionPlan>, node: &Node) -> Cost {
    let inputs = inputs(node);
    let given = rows(node);
    if let Some(scan) = plan.downcast_ref::<SegmentScanExec>() {
        return of_scan(scan, given);
    }
    if plan.is::<SortExec>() {
        return inputs.stopped(OPERATION * 2.0 * inputs.rows * inputs.rows.max(2.0).log2(), OPERATION * given);
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let functions = (aggregate.aggr_expr().len() + aggregate.group_expr().expr().len()).max(1);
        return inputs.stopped(OPERATION * functions as f64 * inputs.rows, ROW * given);
    }
    if plan.is::<FilterExec>() {
        return inputs.flowing(OPERATION * inputs.rows);
    }
    if plan.is::<WindowAggExec>() || plan.is::<BoundedWindowAggExec>() {
        return inputs.flowing(OPERATION * inputs.rows + ROW * given);
    }
    of_join(plan, node, given).unwrap_or_else(|| inputs.flowing(ROW * given))
}

/// The bytes of the units that statistics did not rule out, their rows, and each condition on each of them.
fn of_scan(scan: &SegmentScanExec, given: f64) -> Cost {
    let (rows, bytes) = scan.expected_work();
    let conditions = scan.shown().conditions.len() as f64;
    let total = bytes / PAGE_BYTES + (ROW + OPERATION * conditions) * rows;
    Cost { startup: 0.0, total: total.max(ROW * given) }
}

/// Joins take their first input whole before they ask for a row of the second.
fn of_join(plan: &Arc<dyn ExecutionPlan>, node: &Node, given: f64) -> Option<Cost> {
    let [left, right] = node.children.as_slice() else { return None };
    let (left_rows, right_rows) = (rows(left), rows(right));
    let both = left.cost.total + right.cost.total + ROW * given;
    if plan.is::<HashJoinExec>() {
        let build = left.cost.total + (OPERATION + ROW) * left_rows;
        let total = both + (OPERATION + ROW) * left_rows + OPERATION * right_rows;
        return Some(Cost { startup: build + right.cost.startup, total });
    }
    if plan.is::<SortMergeJoinExec>() {
        let startup = left.cost.startup + right.cost.startup;
        return Some(Cost { startup, total: both + OPERATION * (left_rows + right_rows) });
    }
    let loops = plan.is::<NestedLoopJoinExec>() || plan.is::<CrossJoinExec>();
    loops.then_some(Cost { startup: left.cost.total, total: both + OPERATION * left_rows * right_rows })
}

/// What the inputs of a node come to together.
struct Inputs {
    cost: Cost,
    rows: f64,
}

fn inputs(node: &Node) -> Inputs {
    let sum = |value: fn(&Node) -> f64| node.children.iter().map(value).sum::<f64>();
    let startup = node.children.iter().map(|child| child.cost.startup).fold(f64::INFINITY, f64::min);
    let startup = if startup.is_finite() { startup } else { 0.0 };
    Inputs { cost: Cost { startup, total: sum(|child| child.cost.total) }, rows: sum(rows) }
}

impl Inputs {
    /// The first row comes as soon as an input gives one.
    fn flowing(&self, own: f64) -> Cost {
        Cost { startup: self.cost.startup, total: self.cost.total + own }
    }
    /// No row comes before all of the input is there.
    fn stopped(&self, before: f64, after: f64) -> Cost {
        let startup = self.cost.total + before;
        Cost { startup, total: startup + after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(rows: Option<usize>, total: f64) -> Node {
        Node { rows_expected: rows, cost: Cost { startup: 0.0, total }, ..Node::default() }
    }

    #[test]
    fn unknown_rows_are_those_of_the_largest_input() {
        assert_eq!(rows(&leaf(None, 0.0)), ROWS_UNKNOWN);
        let over = Node { children: vec![leaf(Some(7), 0.0), leaf(Some(20), 0.0)], ..Node::default() };
        assert_eq!(rows(&over), 20.0);
        assert_eq!(rows(&leaf(Some(0), 0.0)), 0.0);
    }

    #[test]
    fn a_node_costs_at_least_what_is_below_it() {
        let node = Node { children: vec![leaf(Some(7), 3.0), leaf(Some(20), 4.5)], ..Node::default() };
        let inputs = inputs(&node);
        assert_eq!(inputs.flowing(1.0), Cost { startup: 0.0, total: 8.5 });
        assert_eq!(inputs.stopped(1.0, 0.5), Cost { startup: 8.5, total: 9.0 });
    }
}
