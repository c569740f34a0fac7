//! A plan as people read it: DataFusion's operators under PostgreSQL's names, each with what it was told and what it did.

use super::cost::{self, Cost};
use super::style::Style;
use crate::query::naming;
use crate::query::pauses::PausingExec;
use crate::query::scan::SegmentScanExec;
use arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use datafusion::physical_expr_common::sort_expr::PhysicalSortExpr;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, JoinOnRef, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, Partitioning, displayable};
use datafusion::prelude::JoinType;
use std::sync::Arc;

/// One operator of a plan.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Node {
    /// `Sort`, `Hash Join`, `Segment Scan`.
    pub kind: String,
    /// Whether it changes rows of its relation: Insert, Update, Delete.
    pub changes: bool,
    /// What it reads, for a scan, or changes: `public.t`.
    pub relation: Option<String>,
    /// What it was told, in the order in which it is shown: `Sort Key`, `Filter`.
    pub details: Vec<(String, Detail)>,
    /// Estimates; `None` where nothing is known.
    pub rows_expected: Option<usize>,
    /// The estimated size of a row in bytes.
    pub row_bytes: usize,
    /// The estimated cost, with that of its inputs.
    pub cost: Cost,
    /// What it did, after ANALYZE.
    pub actual: Option<Actual>,
    /// Its inputs.
    pub children: Vec<Node>,
}

/// A property of a node.
#[derive(Debug, PartialEq)]
pub(super) enum Detail {
    Text(String),
    List(Vec<String>),
    Count(u64),
}

/// What a node did.
#[derive(Debug, PartialEq)]
pub(super) struct Actual {
    pub rows: usize,
    /// Time in this node alone, all its threads together, in milliseconds; `None` where nobody measured it.
    pub cpu_ms: Option<f64>,
    /// The threads that it ran on, at most.
    pub workers: usize,
}

/// The tree of a plan. What makes joins pause is not shown. Projections are shown only by VERBOSE: they are in every plan, and cost next to nothing.
pub(super) fn tree(plan: &Arc<dyn ExecutionPlan>, style: Style) -> Node {
    if !style.verbose
        && let Some(projection) = plan.downcast_ref::<ProjectionExec>()
    {
        return tree(projection.input(), style);
    }
    if let Some(pausing) = plan.downcast_ref::<PausingExec>() {
        return tree(pausing.join(), style);
    }
    let mut node = Node { rows_expected: rows_expected(plan), row_bytes: row_bytes(plan), ..describe(plan) };
    if style.verbose {
        let names = plan.schema().fields().iter().map(|field| naming::shown(field.name()).to_string()).collect();
        node.details.insert(0, ("Output".into(), Detail::List(names)));
    }
    if style.analyze {
        node.observe(plan, style);
    }
    node.children = plan.children().into_iter().map(|child| tree(child, style)).collect();
    node.cost = cost::of(plan, &node);
    node
}

impl Node {
    pub(super) fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }

    fn with(mut self, name: &str, text: impl Into<String>) -> Self {
        self.details.push((name.into(), Detail::Text(clean(&text.into()))));
        self
    }

    fn with_list(mut self, name: &str, items: Vec<String>) -> Self {
        if !items.is_empty() {
            self.details.push((name.into(), Detail::List(items.iter().map(|item| clean(item)).collect())));
        }
        self
    }

    fn with_count(mut self, name: &str, count: Option<usize>) -> Self {
        self.details.extend(count.map(|count| (name.to_string(), Detail::Count(count as u64))));
        self
    }

    fn with_filter(self, filter: Option<&JoinFilter>) -> Self {
        match filter {
            Some(filter) => self.with("Join Filter", sql(filter.expression())),
            None => self,
        }
    }

    /// Adds what ANALYZE found. Metrics that say nothing (zero, or a time of a detail) are left to VERBOSE.
    fn observe(&mut self, plan: &Arc<dyn ExecutionPlan>, style: Style) {
        let Some(metrics) = plan.metrics() else { return };
        let cpu_ms = metrics.elapsed_compute().unwrap_or(0) as f64 / 1e6;
        let workers = plan.properties().output_partitioning().partition_count();
        self.actual = Some(Actual { rows: metrics.output_rows().unwrap_or(0), cpu_ms: Some(cpu_ms), workers });
        self.details.extend(counted(&metrics, style.verbose));
    }
}

/// Named counts of a node: label, and the metrics of DataFusion and of the scan that it adds up.
const COUNTS: [(&str, &str); 9] = [
    ("Segments Scanned", "segments_scanned"),
    ("Segments Pruned", "segments_pruned"),
    ("Granules Scanned", "granules_scanned"),
    ("Granules Pruned", "granules_pruned"),
    ("Bytes Read", "bytes_touched"),
    ("Rows Removed by Filter", "rows_filtered"),
    ("Spills", "spill_count"),
    ("Spilled Bytes", "spilled_bytes"),
    ("Peak Memory Bytes", "peak_mem_used"),
];

fn counted(metrics: &MetricsSet, verbose: bool) -> Vec<(String, Detail)> {
    let value = |name| metrics.sum_by_name(name).map(|sum| sum.as_usize() as u64);
    let shown = COUNTS.iter().filter_map(|(label, name)| Some((label.to_string(), Detail::Count(value(name)?))));
    let always = |label: &str| label.starts_with("Segments") || label.starts_with("Granules");
    shown.filter(|(label, detail)| verbose || always(label) || *detail != Detail::Count(0)).collect()
}

/// A value of this width is assumed where the type does not say (PostgreSQL's own assumption for text).
const VARIABLE_WIDTH_BYTES: usize = 32;

fn row_bytes(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let width = |kind: &DataType| match kind {
        DataType::Boolean => 1,
        DataType::FixedSizeBinary(bytes) => usize::try_from(*bytes).unwrap_or(0),
        _ => kind.primitive_width().unwrap_or(VARIABLE_WIDTH_BYTES),
    };
    plan.schema().fields().iter().map(|field| width(field.data_type())).sum()
}

fn rows_expected(plan: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    match StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok()?.num_rows {
        Precision::Exact(rows) | Precision::Inexact(rows) => Some(rows),
        Precision::Absent => None,
    }
}

fn describe(plan: &Arc<dyn ExecutionPlan>) -> Node {
    known(plan).unwrap_or_else(|| unknown(plan))
}

fn known(plan: &Arc<dyn ExecutionPlan>) -> Option<Node> {
    if let Some(scan) = plan.downcast_ref::<SegmentScanExec>() {
        return Some(scan_node(scan));
    }
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let kind = if sort.fetch().is_some() { "Top-N Sort" } else { "Sort" };
        return Some(Node::new(kind).with_list("Sort Key", keys(sort.expr())).with_count("Limit", sort.fetch()));
    }
    if let Some(merge) = plan.downcast_ref::<SortPreservingMergeExec>() {
        return Some(Node::new("Gather Merge").with_list("Sort Key", keys(merge.expr())).with_count("Limit", merge.fetch()));
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        return Some(aggregate_node(aggregate));
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return Some(Node::new("Filter").with("Filter", sql(filter.predicate())));
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return Some(Node::new("Project").with_list("Expressions", projection.expr().iter().map(|item| sql(&item.expr)).collect()));
    }
    if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() {
        let offset = Some(limit.skip()).filter(|skip| *skip > 0);
        return Some(Node::new("Limit").with_count("Rows", limit.fetch()).with_count("Offset", offset));
    }
    if let Some(limit) = plan.downcast_ref::<LocalLimitExec>() {
        return Some(Node::new("Partial Limit").with_count("Rows", Some(limit.fetch())));
    }
    if let Some(repartition) = plan.downcast_ref::<RepartitionExec>() {
        return Some(repartition_node(repartition));
    }
    join_node(plan).or_else(|| window_node(plan))
}

fn scan_node(scan: &SegmentScanExec) -> Node {
    let shown = scan.shown();
    let mut node = Node { relation: Some(shown.relation), ..Node::new("Segment Scan") };
    if !shown.conditions.is_empty() {
        node = node.with("Filter", conjunction(&shown.conditions));
    }
    let runtime: Vec<_> = shown.runtime_conditions.iter().filter_map(|condition| bounds(condition)).collect();
    if !runtime.is_empty() {
        node = node.with("Runtime Filter", conjunction(&runtime));
    }
    if shown.ordered {
        node = node.with("Order", "as clustered");
    }
    node.with_count("Limit", shown.limit).with_count("Segments", Some(shown.segments)).with_count("Segments Excluded", Some(shown.excluded))
}

/// What a filter that is filled at run time says by now; nothing before the query has run.
fn bounds(condition: &str) -> Option<String> {
    let inner = condition.strip_prefix("DynamicFilter [ ").and_then(|rest| rest.strip_suffix(" ]")).unwrap_or(condition);
    (inner != "empty").then(|| inner.to_string())
}

fn conjunction(conditions: &[String]) -> String {
    match conditions {
        [one] => format!("({one})"),
        several => format!("({})", several.iter().map(|c| format!("({c})")).collect::<Vec<_>>().join(" AND ")),
    }
}

fn aggregate_node(aggregate: &AggregateExec) -> Node {
    let groups: Vec<_> = aggregate.group_expr().expr().iter().map(|(expr, _)| sql(expr)).collect();
    let strategy = match (groups.is_empty(), aggregate.group_expr().has_grouping_set()) {
        (true, _) => "Aggregate",
        (false, false) => "HashAggregate",
        (false, true) => "MixedAggregate",
    };
    let kind = match aggregate.mode() {
        AggregateMode::Partial => format!("Partial {strategy}"),
        AggregateMode::Final | AggregateMode::FinalPartitioned => format!("Finalize {strategy}"),
        _ => strategy.to_string(),
    };
    let functions = aggregate.aggr_expr().iter().map(|function| function.name().to_string()).collect();
    Node::new(kind).with_list("Group Key", groups).with_list("Aggregates", functions)
}

fn repartition_node(repartition: &RepartitionExec) -> Node {
    let node = Node::new("Repartition");
    match repartition.partitioning() {
        Partitioning::Hash(keys, count) => node.with_list("Hash Key", keys.iter().map(sql).collect()).with_count("Workers", Some(*count)),
        other => node.with_count("Workers", Some(other.partition_count())),
    }
}

fn join_node(plan: &Arc<dyn ExecutionPlan>) -> Option<Node> {
    let conditions = |on: JoinOnRef| -> Vec<String> { on.iter().map(|(left, right)| format!("{} = {}", sql(left), sql(right))).collect() };
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let node = Node::new(joined("Hash", join.join_type()));
        return Some(node.with("Hash Cond", conjunction(&conditions(join.on()))).with_filter(join.filter()));
    }
    if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
        let node = Node::new(joined("Merge", &join.join_type()));
        return Some(node.with("Merge Cond", conjunction(&conditions(join.on()))).with_filter(join.filter().as_ref()));
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        let kind = if *join.join_type() == JoinType::Inner { "Nested Loop".into() } else { joined("Nested Loop", join.join_type()) };
        return Some(Node::new(kind).with_filter(join.filter()));
    }
    plan.downcast_ref::<CrossJoinExec>().map(|_| Node::new("Nested Loop"))
}

/// `Hash Left Join`, as PostgreSQL names joins.
fn joined(method: &str, kind: &JoinType) -> String {
    let kind = match kind {
        JoinType::Inner => "",
        JoinType::Left => "Left ",
        JoinType::Right => "Right ",
        JoinType::Full => "Full ",
        JoinType::LeftSemi => "Semi ",
        JoinType::LeftAnti => "Anti ",
        JoinType::RightSemi => "Right Semi ",
        JoinType::RightAnti => "Right Anti ",
        JoinType::LeftMark => "Mark ",
        JoinType::RightMark => "Right Mark ",
    };
    format!("{method} {kind}Join")
}

fn window_node(plan: &Arc<dyn ExecutionPlan>) -> Option<Node> {
    let window = plan.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr);
    let functions = window.or_else(|| plan.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr))?;
    Some(Node::new("WindowAgg").with_list("Functions", functions.iter().map(|function| function.name().to_string()).collect()))
}

/// An operator without a page of its own here: DataFusion's name, in words, and what it says of itself.
fn unknown(plan: &Arc<dyn ExecutionPlan>) -> Node {
    let kind = match plan.name() {
        "CoalescePartitionsExec" => "Gather".into(),
        "UnionExec" | "InterleaveExec" => "Append".into(),
        "PlaceholderRowExec" | "EmptyExec" => "Result".into(),
        "RecursiveQueryExec" => "Recursive Union".into(),
        "WorkTableExec" => "WorkTable Scan".into(),
        "UnnestExec" => "ProjectSet".into(),
        "DataSourceExec" => "Values Scan".into(),
        other => words(other.strip_suffix("Exec").unwrap_or(other)),
    };
    let line = displayable(plan.as_ref()).one_line().to_string();
    let said = line.trim().split_once(": ").map(|(_, said)| said.to_string());
    match said {
        Some(said) if !matches!(kind.as_str(), "Gather" | "Append" | "Result") => Node::new(kind).with("Details", said),
        _ => Node::new(kind),
    }
}

/// `SystemView` as `System View`.
fn words(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && text.ends_with(|last: char| last.is_ascii_lowercase()) {
            text.push(' ');
        }
        text.push(c);
    }
    text
}

fn sql(expr: &Arc<dyn PhysicalExpr>) -> String {
    fmt_sql(expr.as_ref()).to_string()
}

fn keys<'a>(order: impl IntoIterator<Item = &'a PhysicalSortExpr>) -> Vec<String> {
    order.into_iter().map(key).collect()
}

/// A sort key with only what differs from PostgreSQL's default.
fn key(key: &PhysicalSortExpr) -> String {
    let suffix = match (key.options.descending, key.options.nulls_first) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    };
    sql(&key.expr) + suffix
}

/// Without the marks of names, and without the positions that DataFusion writes behind columns (`a@0`).
pub(super) fn clean(text: &str) -> String {
    let text = naming::without_marks(text).replace("count(Int64(1))", "count(*)");
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('@') {
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let follows_name = rest[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ')' | '"'));
        shown += &rest[..at];
        if digits == 0 || !follows_name {
            shown.push('@');
            rest = &rest[at + 1..];
        } else {
            rest = &rest[at + 1 + digits..];
        }
    }
    shown + rest
}

/// What a scan says of itself, for [`scan_node`].
pub(in crate::query) struct ScanShown {
    pub relation: String,
    pub conditions: Vec<String>,
    pub runtime_conditions: Vec<String>,
    pub limit: Option<usize>,
    pub ordered: bool,
    pub segments: usize,
    pub excluded: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_columns_are_not_shown() {
        assert_eq!(clean("a@0 > 1 AND sum(b@12)@3 = 'x@y'"), "a > 1 AND sum(b) = 'x@y'");
        assert_eq!(clean("count(Int64(1))@1 > 3"), "count(*) > 3");
        assert_eq!(clean("tags @> '{1}'"), "tags @> '{1}'");
    }

    #[test]
    fn filters_of_joins_are_shown_once_they_are_known() {
        assert_eq!(bounds("DynamicFilter [ empty ]"), None);
        assert_eq!(bounds("DynamicFilter [ a@0 >= 2 ]").as_deref(), Some("a@0 >= 2"));
    }

    #[test]
    fn names_are_words() {
        assert_eq!(words("SystemView"), "System View");
        assert_eq!(conjunction(&["a > 1".into()]), "(a > 1)");
        assert_eq!(conjunction(&["a > 1".into(), "b < 2".into()]), "((a > 1) AND (b < 2))");
    }
}
