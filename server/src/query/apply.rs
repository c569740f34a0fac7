//! Correlated subqueries that no join can stand for: run once for each different tuple of the outer values that they name.
//!
//! 1. A rule of analysis, after types are settled, looks at each node with a correlated subquery, from the inside out. It asks DataFusion's own
//!    rules whether they make a join of it; if they do, nothing changes.
//! 2. Else the subquery becomes a call of a function of the values it names ([`function`]). LATERAL becomes a function that gives a list of
//!    rows, which is unnested.
//! 3. When called, the function puts the values into the subquery's plan ([`outer`]), runs it, and keeps the answer ([`answers`]).

use crate::error::{SqlError, SqlState};
use crate::query::Scope;
use crate::query::lateral::lateral;
use crate::query::repeated_rows::without_keys;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, Result, UnnestOptions};
use datafusion::logical_expr::expr::{InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, EmptyRelation, Expr, ExprSchemable, Filter, Join, LogicalPlan, Operator, Projection, Sort, Subquery, SubqueryAlias, Unnest,
    not,
};
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::optimizer::{AnalyzerRule, OptimizerContext};
use function::{Applied, Kind};
use outer::{correlated, free};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

mod answers;
pub mod function;
mod outer;

/// DataFusion's rules up to the last that makes joins of subqueries.
static JOINING: LazyLock<Optimizer> = LazyLock::new(|| {
    let mut rules = Optimizer::new().rules;
    let end = rules.iter().position(|rule| rule.name() == "decorrelate_lateral_join").map_or(rules.len(), |last| last + 1);
    rules.truncate(end);
    Optimizer::with_rules(rules)
});

/// The rule, for one statement.
#[derive(Debug)]
pub struct Apply {
    scope: Scope,
    names: AtomicUsize,
}

impl Apply {
    /// The rule within a scope.
    pub fn new(scope: Scope) -> Self {
        Self { scope, names: AtomicUsize::new(0) }
    }
}

impl AnalyzerRule for Apply {
    fn name(&self) -> &str {
        "apply"
    }
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        if !holds_subquery(&plan)? {
            return Ok(plan);
        }
        let plan = self.rewritten(plan)?;
        all_found(&plan)?;
        Ok(plan)
    }
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
}

fn holds_subquery(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let mut found = matches!(node, LogicalPlan::Subquery(_));
        node.apply_expressions(|expr| {
            found |= expr.exists(|expr| Ok(is_subquery(expr)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    })
}

/// An expression without casts around it.
fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => plain(&cast.expr),
        Expr::Alias(alias) => plain(&alias.expr),
        other => other,
    }
}

/// The subquery of an expression.
fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(sought) => Some(&sought.subquery),
        Expr::SetComparison(compared) => Some(&compared.subquery),
        _ => None,
    }
}

impl Apply {
    fn rewritten(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if let LogicalPlan::Subquery(subquery) = plan {
            return self.within(subquery).map(LogicalPlan::Subquery);
        }
        let plan = plan.map_subqueries(|sub| Ok(Transformed::yes(self.rewritten(sub)?)))?.data;
        let plan = plan.map_children(|child| Ok(Transformed::yes(self.rewritten(child)?)))?.data;
        match plan {
            LogicalPlan::Join(join) if is_lateral(&join)? && !stays(&LogicalPlan::Join(join.clone()))? => self.lateral_join(join),
            LogicalPlan::Sort(sort) if names_more(&sort)? => self.rewritten(sort_with(sort)?),
            node if must_be_called(&node)? => self.called(node),
            node => Ok(node),
        }
    }

    fn within(&self, mut subquery: Subquery) -> Result<Subquery> {
        subquery.subquery = Arc::new(self.rewritten(Arc::unwrap_or_clone(subquery.subquery))?);
        Ok(subquery)
    }

    /// A node whose correlated subqueries are calls.
    fn called(&self, node: LogicalPlan) -> Result<LogicalPlan> {
        let schema = merge_schema(&node.inputs());
        if let LogicalPlan::Limit(mut limit) = node {
            for count in limit.fetch.iter_mut().chain(limit.skip.iter_mut()) {
                **count = self.constant(count)?;
            }
            return Ok(LogicalPlan::Limit(limit));
        }
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let called = expr.transform_down(|expr| self.call(expr, &schema))?;
            Ok(Transformed::yes(name.restore(called.data)))
        })?;
        node.data.recompute_schema()
    }

    /// LIMIT and OFFSET are numbers before the query runs.
    fn constant(&self, expr: &Expr) -> Result<Expr> {
        let Expr::ScalarSubquery(sub) = plain(expr) else { return Ok(expr.clone()) };
        if correlated(&sub.subquery) {
            return Err(SqlError::unsupported("LIMIT with a subquery that names outer columns").into());
        }
        let value = self.applied(Kind::Scalar, Arc::clone(&sub.subquery), Vec::new())?.once()?;
        Ok(Expr::Literal(value.cast_to(&DataType::Int64)?, None))
    }

    fn call(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let rows = matches!(&expr, Expr::ScalarFunction(call) if call.func.name() == function::ROWS);
        if !rows && !subquery_of(&expr).is_some_and(|sub| correlated(&sub.subquery)) {
            return Ok(Transformed::no(expr));
        }
        let replaced = match expr {
            Expr::ScalarFunction(call) => match call.args.as_slice() {
                [Expr::ScalarSubquery(sub)] => self.call_of(Kind::Array, &sub.subquery, None, schema)?,
                _ => return Err(SqlError::new(SqlState::SYNTAX_ERROR, "ARRAY takes a subquery of one column").into()),
            },
            Expr::ScalarSubquery(sub) => self.call_of(Kind::Scalar, &sub.subquery, None, schema)?,
            Expr::Exists(exists) => {
                let call = self.call_of(Kind::Exists, &exists.subquery.subquery, None, schema)?;
                if exists.negated { not(call) } else { call }
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let call = self.compared(*expr, Operator::Eq, &subquery, Kind::Any, schema)?;
                if negated { not(call) } else { call }
            }
            Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
                let kind = if quantifier == SetQuantifier::Any { Kind::Any } else { Kind::All };
                self.compared(*expr, op, &subquery, kind, schema)?
            }
            other => return Ok(Transformed::no(other)),
        };
        Ok(Transformed::new(replaced, true, TreeNodeRecursion::Jump))
    }

    /// A comparison with all rows of a subquery: the value sought is one more that the subquery names.
    fn compared(&self, sought: Expr, op: Operator, sub: &Subquery, kind: Kind, schema: &DFSchema) -> Result<Expr> {
        let column = Column::new(Some("__apply"), "sought");
        let field = sought.to_field(schema)?.1;
        let theirs = Expr::Column(Column::from(sub.subquery.schema().qualified_field(0)));
        let ours = Expr::OuterReferenceColumn(field, column.clone());
        let matches = Expr::BinaryExpr(BinaryExpr::new(Box::new(ours), op, Box::new(theirs))).alias("matches");
        let plan = LogicalPlan::Projection(Projection::try_new(vec![matches], Arc::clone(&sub.subquery))?);
        self.call_of(kind, &Arc::new(plan), Some((column, sought)), schema)
    }

    fn call_of(&self, kind: Kind, plan: &Arc<LogicalPlan>, sought: Option<(Column, Expr)>, schema: &DFSchema) -> Result<Expr> {
        aggregates_of_its_own(plan)?;
        let named = free(plan)?;
        let argument = |(column, field): (&Column, &FieldRef)| match &sought {
            Some((name, value)) if name == column => value.clone(),
            _ if schema.has_column(column) => Expr::Column(column.clone()),
            _ => Expr::OuterReferenceColumn(Arc::clone(field), column.clone()),
        };
        let args = named.iter().map(argument).collect();
        let applied = self.applied(kind, Arc::clone(plan), named.into_keys().collect())?;
        Ok(applied.into_function().call(args))
    }

    fn applied(&self, kind: Kind, plan: Arc<LogicalPlan>, named: Vec<Column>) -> Result<Applied> {
        let id = self.names.fetch_add(1, Ordering::Relaxed);
        Applied::new(id, kind, plan, named, &self.scope)
    }

    /// `left, LATERAL right`: a list of right rows for each left row, unnested.
    fn lateral_join(&self, join: Join) -> Result<LogicalPlan> {
        let keep = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            _ => return Ok(LogicalPlan::Join(join)),
        };
        let mut right = unwrapped(&join.right)?;
        if let Some(condition) = join.filter {
            let condition = outside(condition, right.schema(), join.left.schema())?;
            right = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(right))?);
        }
        let rows = self.call_of(Kind::Rows { keep }, &Arc::new(right), None, join.left.schema())?;
        let name = format!("__apply_{}", self.names.fetch_add(1, Ordering::Relaxed));
        let left: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
        let exprs = left.iter().cloned().chain([rows.alias(&name)]).collect();
        let listed = LogicalPlan::Projection(Projection::try_new(exprs, Arc::clone(&join.left))?);
        let options = UnnestOptions::new().with_preserve_nulls(false);
        let taken = Unnest::try_new(Arc::new(listed), vec![Column::from_name(&name)], options.clone())?;
        let apart = Unnest::try_new(Arc::new(LogicalPlan::Unnest(taken)), vec![Column::from_name(&name)], options)?;
        let right = join.right.schema().iter().enumerate();
        let right = right.map(|(at, (table, field))| {
            Expr::Column(Column::from_name(format!("{name}.c{at}"))).alias_qualified(table.cloned(), field.name())
        });
        let exprs = left.into_iter().chain(right).collect();
        let rows = without_keys(LogicalPlan::Unnest(apart))?.data;
        Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(rows))?))
    }
}

/// What a subquery names must be there in the query around it: grouping hides columns.
fn all_found(plan: &LogicalPlan) -> Result<()> {
    match free(plan)?.into_keys().next() {
        None => Ok(()),
        Some(column) => {
            let name = column.relation.iter().map(|table| table.table()).chain([column.name()]).collect::<Vec<_>>().join(".");
            let message = format!("subquery uses ungrouped column \"{name}\" from outer query");
            Err(SqlError::new(SqlState::GROUPING_ERROR, message).into())
        }
    }
}

/// An aggregate of nothing but outer columns is one of the outer query.
fn aggregates_of_its_own(plan: &LogicalPlan) -> Result<()> {
    plan.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            let of_others = |expr: &&Expr| expr.contains_outer() && expr.column_refs().is_empty();
            if aggregate.aggr_expr.iter().any(|expr| of_others(&expr)) {
                return Err(SqlError::unsupported("an aggregate of an outer query's columns in a subquery").into());
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The columns that the subqueries of ORDER BY name, and that are not selected.
fn unselected(sort: &Sort) -> Result<Vec<Column>> {
    let LogicalPlan::Projection(projection) = sort.input.as_ref() else { return Ok(Vec::new()) };
    let mut found: Vec<Column> = Vec::new();
    for key in &sort.expr {
        key.expr.apply(|expr| {
            if let Some(sub) = subquery_of(expr) {
                found.extend(free(&sub.subquery)?.into_keys());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let beneath = projection.input.schema();
    found.retain(|column| !projection.schema.has_column(column) && beneath.has_column(column));
    found.dedup();
    Ok(found)
}

fn names_more(sort: &Sort) -> Result<bool> {
    Ok(!unselected(sort)?.is_empty())
}

/// The same order, of rows that have these columns too for as long as they are sorted.
fn sort_with(sort: Sort) -> Result<LogicalPlan> {
    let named = unselected(&sort)?;
    let LogicalPlan::Projection(projection) = sort.input.as_ref() else { return Ok(LogicalPlan::Sort(sort)) };
    let selected = projection.schema.columns().into_iter().map(Expr::Column).collect();
    let exprs = projection.expr.iter().cloned().chain(named.into_iter().map(Expr::Column)).collect();
    let input = Arc::new(LogicalPlan::Projection(Projection::try_new(exprs, Arc::clone(&projection.input))?));
    let sorted = Arc::new(LogicalPlan::Sort(Sort { input, ..sort }));
    Ok(LogicalPlan::Projection(Projection::try_new(selected, sorted)?))
}

/// The right side of a lateral join without the mark that it is one.
fn unwrapped(right: &LogicalPlan) -> Result<LogicalPlan> {
    match right {
        LogicalPlan::Subquery(subquery) => Ok(subquery.subquery.as_ref().clone()),
        LogicalPlan::SubqueryAlias(alias) => {
            Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(unwrapped(&alias.input)?), alias.alias.clone())?))
        }
        other => Ok(other.clone()),
    }
}

/// A condition of a join, asked within its right side.
fn outside(condition: Expr, right: &DFSchema, left: &DFSchema) -> Result<Expr> {
    let moved = condition.transform(|expr| match expr {
        Expr::Column(column) if !right.has_column(&column) => {
            let field = Arc::clone(left.field(left.index_of_column(&column)?));
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(moved.data)
}

fn is_lateral(join: &Join) -> Result<bool> {
    match lateral(&join.right) {
        Some(sub) => Ok(join.on.is_empty() && !free(sub)?.is_empty()),
        None => Ok(false),
    }
}

/// Whether a node has a subquery that only a call can answer.
fn must_be_called(node: &LogicalPlan) -> Result<bool> {
    let (mut asks, mut always) = (false, false);
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            asks |= subquery_of(expr).is_some_and(|sub| correlated(&sub.subquery));
            always |= matches!(expr, Expr::ScalarFunction(call) if call.func.name() == function::ROWS);
            always |= matches!(node, LogicalPlan::Limit(_)) && is_subquery(expr);
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(always || (asks && !stays(node)?))
}

/// Whether DataFusion makes joins of all correlated subqueries of a node.
fn stays(node: &LogicalPlan) -> Result<bool> {
    let schema = match node {
        LogicalPlan::Join(join) if lateral(&join.right).is_some() => join.left.schema().as_ref().clone(),
        _ => merge_schema(&node.inputs()),
    };
    if reaches_farther(node, &schema)? {
        return Ok(false);
    }
    let Ok(alone) = alone(node) else { return Ok(false) };
    match JOINING.optimize(alone, &OptimizerContext::new(), |_, _| {}) {
        Ok(joined) => Ok(!is_left(&joined, &schema)?),
        Err(_) => Ok(false),
    }
}

/// Whether a subquery names more than the rows of its own node, or has windows, which joins would let see the rows of all others.
fn reaches_farther(node: &LogicalPlan, schema: &DFSchema) -> Result<bool> {
    let beyond = |plan: &LogicalPlan| -> Result<bool> {
        let named = free(plan)?;
        let windows = || plan.exists(|node| Ok(matches!(node, LogicalPlan::Window(_))));
        Ok(!named.is_empty() && (named.keys().any(|column| !schema.has_column(column)) || windows()?))
    };
    if let LogicalPlan::Join(join) = node
        && let Some(sub) = lateral(&join.right)
        && beyond(sub)?
    {
        return Ok(true);
    }
    let mut found = false;
    node.apply_expressions(|expr| {
        expr.apply(|expr| {
            if let Some(sub) = subquery_of(expr) {
                found |= beyond(&sub.subquery)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// A node on top of nothing: what is beneath does not matter here.
fn alone(node: &LogicalPlan) -> Result<LogicalPlan> {
    let nothing = |input: &LogicalPlan| match lateral(input) {
        Some(_) => input.clone(),
        None => LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, schema: Arc::clone(input.schema()) }),
    };
    let inputs = node.inputs().into_iter().map(nothing).collect();
    node.with_new_exprs(node.expressions(), inputs)
}

/// Whether something of the correlation is left.
fn is_left(plan: &LogicalPlan, schema: &DFSchema) -> Result<bool> {
    plan.exists(|node| {
        let mut found = match node {
            LogicalPlan::Subquery(sub) => correlated(&sub.subquery),
            _ => false,
        };
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= subquery_of(expr).is_some_and(|sub| correlated(&sub.subquery));
                found |= matches!(expr, Expr::OuterReferenceColumn(_, column) if schema.has_column(column));
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(found)
    })
}
