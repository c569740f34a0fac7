//! LATERAL without a join: a subquery that only computes from its outer row becomes columns of that row.
//!
//! `t, LATERAL (SELECT unnest(t.a) AS x)` is `SELECT t.*, unnest(t.a) AS x FROM t`: the projections, filters and unnests of the subquery
//! are put on top of the tables before it, where these would have met the subquery's one empty row. A LEFT JOIN keeps rows whose arrays are
//! all empty or NULL.

use crate::functions::{self, arrays};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{EmptyRelation, Expr, Filter, Join, LogicalPlan, Projection, Unnest};
use std::sync::Arc;

/// Rewrites a plan. What is no such subquery stays as it is.
pub fn inline(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, &mut 0)
}

fn rewritten(plan: LogicalPlan, names: &mut usize) -> Result<LogicalPlan> {
    let plan = plan.map_subqueries(|sub| Ok(Transformed::yes(within(sub, names)?)))?.data;
    match plan {
        LogicalPlan::Join(join) if lateral(&join.right).is_some() => joined(join, names),
        // In front of all other tables of its query, LATERAL says nothing.
        LogicalPlan::Subquery(subquery) => rewritten(Arc::unwrap_or_clone(subquery.subquery), names),
        other => Ok(other.map_children(|child| Ok(Transformed::yes(rewritten(child, names)?)))?.data),
    }
}

/// The subquery that a join's right side applies to each row of its left side.
pub fn lateral(right: &LogicalPlan) -> Option<&LogicalPlan> {
    match right {
        LogicalPlan::Subquery(subquery) => Some(&subquery.subquery),
        LogicalPlan::SubqueryAlias(alias) => lateral(&alias.input),
        _ => None,
    }
}

fn joined(mut join: Join, names: &mut usize) -> Result<LogicalPlan> {
    join.left = Arc::new(rewritten(Arc::unwrap_or_clone(join.left), names)?);
    join.right = Arc::new(within(Arc::unwrap_or_clone(join.right), names)?);
    let Some(keeps_rows) = keeps_rows(&join) else { return Ok(LogicalPlan::Join(join)) };
    let sub = lateral(&join.right).filter(|sub| !keeps_rows || loses_no_row(sub));
    let mut bottom = Bottom { left: &join.left, keeps_rows, names };
    let Some(made) = sub.map(|sub| bottom.on_top(sub)).transpose()?.flatten() else {
        return Ok(LogicalPlan::Join(join));
    };
    let right = join.right.schema().iter().zip(made.columns);
    let right = right.map(|((table, field), column)| Expr::Column(column).alias_qualified(table.cloned(), field.name()));
    let exprs = join.left.schema().columns().into_iter().map(Expr::Column).chain(right).collect();
    let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(made.plan))?);
    match join.filter {
        Some(condition) if !keeps_rows => Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?)),
        _ => Ok(plan),
    }
}

/// Whether a join keeps all rows of its left side; `None` for one that cannot do without its condition, or is of another kind.
fn keeps_rows(join: &Join) -> Option<bool> {
    let always = |filter: &Expr| matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    match join.join_type {
        _ if !join.on.is_empty() => None,
        JoinType::Inner => Some(false),
        JoinType::Left if join.filter.as_ref().is_none_or(always) => Some(true),
        _ => None,
    }
}

/// Whether only one unnest decides how many rows a subquery has, which can be told to give one where it would give none.
fn loses_no_row(sub: &LogicalPlan) -> bool {
    fn chain(plan: &LogicalPlan, unnested: bool) -> bool {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => chain(&alias.input, unnested),
            LogicalPlan::Projection(projection) => chain(&projection.input, unnested),
            LogicalPlan::Unnest(unnest) => !unnested && chain(&unnest.input, true),
            LogicalPlan::EmptyRelation(_) => true,
            _ => false,
        }
    }
    chain(sub, false)
}

/// Rewrites within a subquery, which stays one.
fn within(right: LogicalPlan, names: &mut usize) -> Result<LogicalPlan> {
    match right {
        LogicalPlan::Subquery(mut subquery) => {
            subquery.subquery = Arc::new(rewritten(Arc::unwrap_or_clone(subquery.subquery), names)?);
            Ok(LogicalPlan::Subquery(subquery))
        }
        other => Ok(other.map_children(|child| Ok(Transformed::yes(within(child, names)?)))?.data),
    }
}

/// A subquery on top of the rows that it was for, and where the columns of its result are.
struct Made {
    plan: LogicalPlan,
    columns: Vec<Column>,
}

/// The rows that a subquery is put on top of.
struct Bottom<'a> {
    left: &'a LogicalPlan,
    keeps_rows: bool,
    names: &'a mut usize,
}

impl Bottom<'_> {
    fn on_top(&mut self, sub: &LogicalPlan) -> Result<Option<Made>> {
        match sub {
            LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, .. }) => {
                Ok(Some(Made { plan: self.left.clone(), columns: Vec::new() }))
            }
            LogicalPlan::SubqueryAlias(alias) => self.on_top(&alias.input),
            LogicalPlan::Projection(projection) => self.projected(projection),
            LogicalPlan::Filter(filter) => {
                let Some(made) = self.on_top(&filter.input)? else { return Ok(None) };
                let Some(condition) = self.bound(&filter.predicate, filter.input.schema(), &made.columns)? else { return Ok(None) };
                Ok(Some(Made { plan: LogicalPlan::Filter(Filter::try_new(condition, Arc::new(made.plan))?), columns: made.columns }))
            }
            LogicalPlan::Unnest(unnest) => self.unnested(unnest),
            _ => Ok(None),
        }
    }

    fn projected(&mut self, projection: &Projection) -> Result<Option<Made>> {
        let Some(made) = self.on_top(&projection.input)? else { return Ok(None) };
        let mut exprs = Vec::with_capacity(projection.expr.len());
        for expr in &projection.expr {
            let Some(expr) = self.bound(expr, projection.input.schema(), &made.columns)? else { return Ok(None) };
            exprs.push(expr.unalias());
        }
        self.beside(exprs, made.plan).map(Some)
    }

    /// The columns of the left side, and expressions under names of their own.
    fn beside(&mut self, exprs: Vec<Expr>, input: LogicalPlan) -> Result<Made> {
        let mut all: Vec<Expr> = self.left.schema().columns().into_iter().map(Expr::Column).collect();
        let mut columns = Vec::with_capacity(exprs.len());
        for expr in exprs {
            *self.names += 1;
            let name = format!("__lateral_{}", self.names);
            all.push(expr.alias(&name));
            columns.push(Column::from_name(name));
        }
        Ok(Made { plan: LogicalPlan::Projection(Projection::try_new(all, Arc::new(input))?), columns })
    }

    fn unnested(&mut self, unnest: &Unnest) -> Result<Option<Made>> {
        let simple = unnest.struct_type_columns.is_empty() && unnest.list_type_columns.iter().all(|(_, list)| list.depth == 1);
        let once = unnest.dependency_indices.len() == unnest.input.schema().fields().len();
        if !simple || !once {
            return Ok(None);
        }
        let Some(mut made) = self.on_top(&unnest.input)? else { return Ok(None) };
        let mut options = unnest.options.clone();
        options.recursions.clear();
        if self.keeps_rows {
            options = options.with_preserve_nulls(true);
            made = self.filled(made, unnest)?;
        }
        let lists = unnest.list_type_columns.iter().map(|(at, _)| made.columns[*at].clone()).collect();
        let columns = unnest.dependency_indices.iter().map(|at| made.columns[*at].clone()).collect();
        Ok(Some(Made { plan: LogicalPlan::Unnest(Unnest::try_new(Arc::new(made.plan), lists, options)?), columns }))
    }

    /// An empty array gives no row, NULL gives one if NULLs are kept.
    fn filled(&mut self, made: Made, unnest: &Unnest) -> Result<Made> {
        let Some(filled) = functions::named(arrays::FILLED) else { return internal_err!("there is no {}", arrays::FILLED) };
        let is_list = |at: usize| unnest.list_type_columns.iter().any(|(list, _)| *list == at);
        let exprs = made.columns.into_iter().enumerate().map(|(at, column)| match is_list(at) {
            true => filled.call(vec![Expr::Column(column)]),
            false => Expr::Column(column),
        });
        self.beside(exprs.collect(), made.plan)
    }

    /// An expression of the subquery over the rows that have its columns elsewhere; `None` if it holds a query.
    fn bound(&self, expr: &Expr, schema: &DFSchema, columns: &[Column]) -> Result<Option<Expr>> {
        let mut plain = true;
        let moved = expr.clone().transform_down(|expr| {
            Ok(match expr {
                Expr::Column(column) => {
                    let at = schema.index_of_column(&column)?;
                    Transformed::new(Expr::Column(columns[at].clone()), true, TreeNodeRecursion::Jump)
                }
                Expr::OuterReferenceColumn(_, column) if self.left.schema().has_column(&column) => {
                    Transformed::new(Expr::Column(column), true, TreeNodeRecursion::Jump)
                }
                Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
                    plain = false;
                    Transformed::no(expr)
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(plain.then_some(moved.data))
    }
}
