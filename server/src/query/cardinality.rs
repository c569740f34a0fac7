//! How many rows a logical plan is expected to make, and how many distinct values its columns have.
//!
//! The figures of stored tables come from their segments; what they do not say is guessed as PostgreSQL does. Estimates choose orders and
//! sides of joins, never answers.

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::{Column, DFSchema, JoinType, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, BinaryExpr, Expr, FetchType, Join, LogicalPlan, Operator, TableScan};
use std::collections::HashMap;

/// Rows of what nothing is known of.
const UNKNOWN_ROWS: f64 = 1000.0;
const RANGE_SHARE: f64 = 1.0 / 3.0;
const EQUAL_SHARE: f64 = 0.01;
const LIKE_SHARE: f64 = 0.05;
const OTHER_SHARE: f64 = 0.25;
/// What is left by a condition on an aggregate (HAVING).
const AGGREGATE_SHARE: f64 = 0.05;

/// A column's values in the whole table; conditions on rows do not change it.
#[derive(Clone, Debug, Default)]
pub struct ColumnEstimate {
    /// Different values, where known.
    pub distinct: Option<f64>,
    min: Option<ScalarValue>,
    max: Option<ScalarValue>,
    null_share: f64,
    aggregated: bool,
}

/// What a plan is expected to make.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Rows.
    pub rows: f64,
    /// Rows before any condition.
    pub rows_unfiltered: f64,
    columns: Vec<ColumnEstimate>,
}

impl Estimate {
    fn unknown(columns: usize) -> Self {
        Self::of_rows(UNKNOWN_ROWS, columns)
    }

    fn of_rows(rows: f64, columns: usize) -> Self {
        Self { rows, rows_unfiltered: rows, columns: vec![ColumnEstimate::default(); columns] }
    }

    fn scaled(mut self, share: f64) -> Self {
        self.rows = (self.rows * share).max(1.0);
        self
    }

    fn at_most(mut self, rows: f64) -> Self {
        self.rows = self.rows.min(rows);
        self
    }

    fn column(&self, schema: &DFSchema, column: &Column) -> Option<&ColumnEstimate> {
        self.columns.get(schema.maybe_index_of_column(column)?)
    }

    /// Different values of an expression in the whole table.
    pub fn distinct(&self, schema: &DFSchema, expression: &Expr) -> f64 {
        let known = column_of(expression).and_then(|column| self.column(schema, column)).and_then(|column| column.distinct);
        known.unwrap_or(self.rows_unfiltered).clamp(1.0, self.rows_unfiltered.max(1.0))
    }

    /// Different combinations of a key's values in the whole table.
    pub fn distinct_of_all<'a>(&self, schema: &DFSchema, key: impl IntoIterator<Item = &'a Expr>) -> f64 {
        let product: f64 = key.into_iter().map(|expression| self.distinct(schema, expression)).product();
        product.clamp(1.0, self.rows_unfiltered.max(1.0))
    }

    /// How many of `distinct` values of the whole table are among the rows.
    pub fn distinct_left(&self, distinct: f64) -> f64 {
        (distinct * (1.0 - (-self.rows / distinct.max(1.0)).exp())).clamp(1.0, self.rows.max(1.0))
    }
}

/// The column that an expression is, but for its type.
fn column_of(expression: &Expr) -> Option<&Column> {
    match expression {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => column_of(&alias.expr),
        Expr::Cast(cast) => column_of(&cast.expr),
        Expr::TryCast(cast) => column_of(&cast.expr),
        _ => None,
    }
}

/// What `plan` is expected to make.
pub fn estimate(plan: &LogicalPlan) -> Estimate {
    match plan {
        LogicalPlan::TableScan(scan) => table(scan),
        LogicalPlan::Filter(filter) => {
            let input = estimate(&filter.input);
            let share = selectivity(&filter.predicate, filter.input.schema(), &input);
            input.scaled(share)
        }
        LogicalPlan::Projection(projection) => {
            let input = estimate(&projection.input);
            let of = |e: &Expr| column_of(e).and_then(|c| input.column(projection.input.schema(), c)).cloned().unwrap_or_default();
            Estimate { columns: projection.expr.iter().map(of).collect(), ..input }
        }
        LogicalPlan::SubqueryAlias(alias) => estimate(&alias.input),
        LogicalPlan::Subquery(subquery) => estimate(&subquery.subquery),
        LogicalPlan::Sort(sort) => match sort.fetch {
            Some(fetch) => estimate(&sort.input).at_most(fetch as f64),
            None => estimate(&sort.input),
        },
        LogicalPlan::Repartition(repartition) => estimate(&repartition.input),
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate),
        LogicalPlan::Limit(limit) => match limit.get_fetch_type() {
            Ok(FetchType::Literal(Some(fetch))) => estimate(&limit.input).at_most(fetch as f64),
            _ => estimate(&limit.input),
        },
        LogicalPlan::Window(window) => {
            let mut input = estimate(&window.input);
            input.columns.resize_with(plan.schema().fields().len(), ColumnEstimate::default);
            input
        }
        LogicalPlan::Join(join) => joined(join),
        LogicalPlan::Union(union) => {
            Estimate::of_rows(union.inputs.iter().map(|input| estimate(input).rows).sum(), plan.schema().fields().len())
        }
        LogicalPlan::Distinct(distinct) => estimate(distinct.input()),
        LogicalPlan::Values(values) => Estimate::of_rows(values.values.len() as f64, plan.schema().fields().len()),
        LogicalPlan::EmptyRelation(_) => Estimate::of_rows(1.0, plan.schema().fields().len()),
        other => Estimate::unknown(other.schema().fields().len()),
    }
}

fn table(scan: &TableScan) -> Estimate {
    let all = whole_table(scan);
    let Some(all) = all else { return Estimate::unknown(scan.projected_schema.fields().len()) };
    let schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema());
    let share = schema.map_or(1.0, |schema| conjunction_selectivity(scan.filters.iter().flat_map(split_conjunction), &schema, &all));
    let columns = match &scan.projection {
        Some(projection) => projection.iter().map(|i| all.columns.get(*i).cloned().unwrap_or_default()).collect(),
        None => all.columns.clone(),
    };
    let estimate = Estimate { columns, ..all }.scaled(share);
    scan.fetch.map_or(estimate.clone(), |fetch| estimate.at_most(fetch as f64))
}

fn whole_table(scan: &TableScan) -> Option<Estimate> {
    let statistics = source_as_provider(&scan.source).ok()?.statistics()?;
    let rows = *statistics.num_rows.get_value()? as f64;
    let columns = statistics.column_statistics.iter().map(|column| ColumnEstimate {
        distinct: column.distinct_count.get_value().map(|distinct| *distinct as f64).filter(|distinct| *distinct >= 1.0),
        min: column.min_value.get_value().cloned(),
        max: column.max_value.get_value().cloned(),
        null_share: column.null_count.get_value().map_or(0.0, |nulls| *nulls as f64 / rows.max(1.0)),
        aggregated: false,
    });
    Some(Estimate { rows, rows_unfiltered: rows, columns: columns.collect() })
}

fn grouped(aggregate: &Aggregate) -> Estimate {
    let input = estimate(&aggregate.input);
    let schema = aggregate.input.schema();
    let mut columns: Vec<_> = aggregate
        .group_expr
        .iter()
        .map(|e| column_of(e).and_then(|column| input.column(schema, column)).cloned().unwrap_or_default())
        .collect();
    columns.resize_with(aggregate.schema.fields().len(), || ColumnEstimate { aggregated: true, ..ColumnEstimate::default() });
    if aggregate.group_expr.is_empty() {
        return Estimate { rows: 1.0, rows_unfiltered: 1.0, columns };
    }
    let groups = input.distinct_of_all(schema, &aggregate.group_expr);
    Estimate { rows: input.distinct_left(groups), rows_unfiltered: groups, columns }
}

fn joined(join: &Join) -> Estimate {
    let (left, right) = (estimate(&join.left), estimate(&join.right));
    let key = Key::new(&join.on, (join.left.schema(), &left), (join.right.schema(), &right));
    let inner = (left.rows * right.rows * key.join_share()).max(1.0);
    let unfiltered = left.rows_unfiltered.max(right.rows_unfiltered);
    let both = |rows: f64| Estimate {
        rows,
        rows_unfiltered: unfiltered.max(rows),
        columns: left.columns.iter().chain(&right.columns).cloned().collect(),
    };
    match join.join_type {
        JoinType::Inner => both(inner),
        JoinType::Left => both(inner.max(left.rows)),
        JoinType::Right => both(inner.max(right.rows)),
        JoinType::Full => both(inner.max(left.rows + right.rows)),
        JoinType::LeftSemi => left.clone().scaled(key.left_kept(&right)),
        JoinType::LeftAnti => left.clone().scaled(anti_share(key.left_kept(&right))),
        JoinType::RightSemi => right.clone().scaled(key.right_kept(&left)),
        JoinType::RightAnti => right.clone().scaled(anti_share(key.right_kept(&left))),
        JoinType::LeftMark => Estimate { columns: with_mark(&left), ..left },
        JoinType::RightMark => Estimate { columns: with_mark(&right), ..right },
    }
}

fn with_mark(estimate: &Estimate) -> Vec<ColumnEstimate> {
    estimate.columns.iter().cloned().chain([ColumnEstimate::default()]).collect()
}

/// What an anti join leaves, by what the semi join would. Never nothing: the guess is the coarser the less it leaves.
pub fn anti_share(semi_share: f64) -> f64 {
    (1.0 - semi_share).max(0.1)
}

/// An equality of keys: how many different ones there are on each side in the whole tables.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    left: f64,
    right: f64,
    columns: usize,
}

impl Key {
    /// The equality of all pairs of `on`.
    pub fn new(on: &[(Expr, Expr)], left: (&DFSchema, &Estimate), right: (&DFSchema, &Estimate)) -> Self {
        Self {
            left: left.1.distinct_of_all(left.0, on.iter().map(|(l, _)| l)),
            right: right.1.distinct_of_all(right.0, on.iter().map(|(_, r)| r)),
            columns: on.len(),
        }
    }

    /// Different keys among both sides. The product of several columns' counts overestimates most where the table is longest: the
    /// smaller one is nearer then.
    fn domain(&self) -> f64 {
        match self.columns {
            0 => 1.0,
            1 => self.left.max(self.right),
            _ => self.left.min(self.right),
        }
    }

    /// The share of the product of both sides that an inner join leaves.
    pub fn join_share(&self) -> f64 {
        1.0 / self.domain().max(1.0)
    }

    /// The share of the left rows that have a partner among `right`.
    pub fn left_kept(&self, right: &Estimate) -> f64 {
        kept(right.distinct_left(self.right), self.domain())
    }

    fn right_kept(&self, left: &Estimate) -> f64 {
        kept(left.distinct_left(self.left), self.domain())
    }
}

fn kept(distinct: f64, domain: f64) -> f64 {
    (distinct / domain.max(1.0)).clamp(1e-6, 1.0)
}

/// The share of rows that a condition leaves.
pub fn selectivity(condition: &Expr, schema: &DFSchema, input: &Estimate) -> f64 {
    conjunction_selectivity(split_conjunction(condition).into_iter(), schema, input)
}

/// Conditions on one column's range are taken together: they are anything but independent.
fn conjunction_selectivity<'a>(parts: impl Iterator<Item = &'a Expr>, schema: &DFSchema, input: &Estimate) -> f64 {
    let mut ranges: HashMap<&Column, (f64, f64)> = HashMap::new();
    let mut share = 1.0;
    for part in parts {
        match range(part, schema, input) {
            Some((column, low, high)) => {
                let range = ranges.entry(column).or_insert((0.0, 1.0));
                *range = (range.0.max(low), range.1.min(high));
            }
            None => share *= single(part, schema, input),
        }
    }
    let within: f64 = ranges.values().map(|(low, high)| (high - low).max(1e-4)).product();
    (share * within).clamp(1e-9, 1.0)
}

/// The part of a column's span, from 0 to 1, that a comparison with a constant leaves.
fn range<'a>(part: &'a Expr, schema: &DFSchema, input: &Estimate) -> Option<(&'a Column, f64, f64)> {
    match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, value, op) = match (column_of(left), right.as_ref()) {
                (Some(column), Expr::Literal(value, _)) => (column, value, *op),
                _ => match (left.as_ref(), column_of(right)) {
                    (Expr::Literal(value, _), Some(column)) => (column, value, op.swap()?),
                    _ => return None,
                },
            };
            let at = position(input.column(schema, column)?, value)?;
            match op {
                Operator::Lt | Operator::LtEq => Some((column, 0.0, at)),
                Operator::Gt | Operator::GtEq => Some((column, at, 1.0)),
                _ => None,
            }
        }
        Expr::Between(between) if !between.negated => {
            let column = column_of(&between.expr)?;
            let (Expr::Literal(low, _), Expr::Literal(high, _)) = (between.low.as_ref(), between.high.as_ref()) else { return None };
            let estimate = input.column(schema, column)?;
            Some((column, position(estimate, low)?, position(estimate, high)?))
        }
        _ => None,
    }
}

/// Where a value lies between a column's least and greatest, from 0 to 1.
fn position(column: &ColumnEstimate, value: &ScalarValue) -> Option<f64> {
    let (min, max, value) = (number(column.min.as_ref()?)?, number(column.max.as_ref()?)?, number(value)?);
    Some(if max > min { ((value - min) / (max - min)).clamp(0.0, 1.0) } else { 0.5 })
}

/// A value on a line; dates and timestamps in seconds.
pub fn number(value: &ScalarValue) -> Option<f64> {
    use ScalarValue as S;
    Some(match value {
        S::Int8(Some(v)) => f64::from(*v),
        S::Int16(Some(v)) => f64::from(*v),
        S::Int32(Some(v)) => f64::from(*v),
        S::Int64(Some(v)) => *v as f64,
        S::UInt32(Some(v)) => f64::from(*v),
        S::UInt64(Some(v)) => *v as f64,
        S::Float32(Some(v)) => f64::from(*v),
        S::Float64(Some(v)) => *v,
        S::Decimal32(Some(v), _, scale) => f64::from(*v) / 10f64.powi(i32::from(*scale)),
        S::Decimal64(Some(v), _, scale) => *v as f64 / 10f64.powi(i32::from(*scale)),
        S::Decimal128(Some(v), _, scale) => *v as f64 / 10f64.powi(i32::from(*scale)),
        S::Date32(Some(days)) => f64::from(*days) * 86_400.0,
        S::TimestampSecond(Some(v), _) => *v as f64,
        S::TimestampMillisecond(Some(v), _) => *v as f64 / 1e3,
        S::TimestampMicrosecond(Some(v), _) => *v as f64 / 1e6,
        S::TimestampNanosecond(Some(v), _) => *v as f64 / 1e9,
        _ => return None,
    })
}

/// The share of rows that one condition leaves.
fn single(condition: &Expr, schema: &DFSchema, input: &Estimate) -> f64 {
    let column = |e: &Expr| column_of(e).and_then(|c| input.column(schema, c));
    let known = |e: &Expr| column(e).and_then(|c| c.distinct);
    let equal = |e: &Expr| known(e).map_or(EQUAL_SHARE, |distinct| 1.0 / distinct.max(1.0));
    // Of a column and a constant only the column says something, of two columns the one with more values.
    let both = |l: &Expr, r: &Expr| if known(l) > known(r) { equal(l) } else { equal(r) };
    let negated = |share: f64, not: bool| if not { 1.0 - share } else { share };
    match condition {
        Expr::Literal(ScalarValue::Boolean(Some(false)) | ScalarValue::Boolean(None), _) => 1e-9,
        Expr::Literal(..) => 1.0,
        Expr::Not(inner) => 1.0 - selectivity(inner, schema, input),
        Expr::IsNull(inner) => column(inner).map_or(EQUAL_SHARE, |c| c.null_share),
        Expr::IsNotNull(inner) => 1.0 - column(inner).map_or(EQUAL_SHARE, |c| c.null_share),
        Expr::InList(list) => negated((equal(&list.expr) * list.list.len() as f64).min(1.0), list.negated),
        Expr::Like(like) => negated(LIKE_SHARE, like.negated),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => selectivity(condition, schema, input),
            Operator::Or => {
                let (l, r) = (selectivity(left, schema, input), selectivity(right, schema, input));
                l + r - l * r
            }
            Operator::Eq | Operator::IsNotDistinctFrom => both(left, right),
            Operator::NotEq | Operator::IsDistinctFrom => 1.0 - both(left, right),
            _ if [left, right].iter().any(|side| column(side).is_some_and(|c| c.aggregated)) => AGGREGATE_SHARE,
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => RANGE_SHARE,
            Operator::LikeMatch | Operator::ILikeMatch | Operator::RegexMatch | Operator::RegexIMatch => LIKE_SHARE,
            _ => OTHER_SHARE,
        },
        _ => OTHER_SHARE,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::prelude::{col, lit};

    fn input() -> (DFSchema, Estimate) {
        let schema = Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Date32, true)]);
        let column = |distinct, min, max| ColumnEstimate {
            distinct: Some(distinct),
            min: Some(min),
            max: Some(max),
            null_share: 0.1,
            aggregated: false,
        };
        let a = column(50.0, ScalarValue::Int32(Some(0)), ScalarValue::Int32(Some(100)));
        let b = column(1000.0, ScalarValue::Date32(Some(0)), ScalarValue::Date32(Some(1000)));
        (DFSchema::try_from(schema).unwrap(), Estimate { rows: 1e4, rows_unfiltered: 1e4, columns: vec![a, b] })
    }

    fn share(condition: Expr) -> f64 {
        let (schema, input) = input();
        (selectivity(&condition, &schema, &input) * 1e4).round() / 1e4
    }

    #[test]
    fn conditions_leave_the_share_that_statistics_tell() {
        assert_eq!(share(col("a").eq(lit(3))), 0.02);
        assert_eq!(share(col("a").in_list(vec![lit(1), lit(2), lit(3)], false)), 0.06);
        assert_eq!(share(col("a").lt(lit(25))), 0.25);
        assert_eq!(share(lit(25).lt(col("a"))), 0.75);
        assert_eq!(share(col("a").is_null()), 0.1);
        assert_eq!(share(col("a").lt(lit(50)).or(col("a").gt_eq(lit(50)))), 0.75);
    }

    #[test]
    fn both_ends_of_a_range_are_taken_together() {
        let date = |days| lit(ScalarValue::Date32(Some(days)));
        assert_eq!(share(col("b").gt_eq(date(700)).and(col("b").lt(date(800)))), 0.1);
        assert_eq!(share(col("b").between(date(700), date(800))), 0.1);
    }

    #[test]
    fn columns_compared_leave_a_third() {
        assert_eq!(share(col("a").lt(col("b"))), 0.3333);
    }

    #[test]
    fn a_key_of_several_columns_is_no_longer_than_the_shorter_table() {
        let (schema, long) = input();
        let short = Estimate { rows: 500.0, rows_unfiltered: 500.0, ..long.clone() };
        let on = [(col("a"), col("a")), (col("b"), col("b"))];
        let key = Key::new(&on, (&schema, &long), (&schema, &short));
        assert_eq!(long.rows * short.rows * key.join_share(), 1e4);
    }
}
