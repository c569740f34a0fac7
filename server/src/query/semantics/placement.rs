//! Where aggregates and window functions may stand.

use super::{FunctionKind, FunctionKinds};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectNamePart, OrderByKind, Query, Select, SelectItem,
    SetExpr, Spanned, Statement, TableFactor, TableWithJoins, Value, Visit, Visitor, WindowType,
};
use std::ops::ControlFlow;

/// A place in a statement, as PostgreSQL's messages name it.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    name: &'static str,
    aggregates: bool,
    windows: bool,
    subqueries: bool,
}

impl Clause {
    /// A column's DEFAULT.
    pub const DEFAULT: Clause = Clause { subqueries: false, ..Self::without_both("DEFAULT expressions") };
    /// A table's CHECK.
    pub const CHECK: Clause = Clause { subqueries: false, ..Self::without_both("check constraints") };
    /// USING of ALTER COLUMN TYPE.
    pub const TRANSFORM: Clause = Clause { subqueries: false, ..Self::without_both("transform expressions") };
    /// A part of an index's key.
    pub const INDEX_EXPRESSION: Clause = Clause { subqueries: false, ..Self::without_both("index expressions") };
    /// WHERE of CREATE INDEX.
    pub const INDEX_PREDICATE: Clause = Clause { subqueries: false, ..Self::without_both("index predicates") };
    /// A generated column.
    pub const GENERATION: Clause = Clause { subqueries: false, ..Self::without_both("column generation expressions") };
    const SELECT: Clause = Clause { aggregates: true, windows: true, ..Self::without_both("SELECT") };
    const HAVING: Clause = Clause { aggregates: true, ..Self::without_both("HAVING") };

    pub(super) const fn without_both(name: &'static str) -> Self {
        Self { name, aggregates: false, windows: false, subqueries: true }
    }

    pub(super) const fn with_windows(self) -> Self {
        Self { windows: true, ..self }
    }

    /// PostgreSQL says `not allowed in check constraints`, but `cannot use subquery in check constraint`.
    fn singular(&self) -> &'static str {
        self.name.strip_suffix('s').unwrap_or(self.name)
    }
}

/// Checks one expression that stands in a clause.
pub fn check_clause(expr: &Expr, clause: Clause, kinds: &FunctionKinds) -> Result<()> {
    let mut walk = Walk { clause, kinds, queries: 0, within: Vec::new() };
    match expr.visit(&mut walk) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The clauses of statements that change rows.
pub(super) fn statement(statement: &Statement, kinds: &FunctionKinds) -> Result<()> {
    match statement {
        Statement::Update(update) => {
            for assignment in &update.assignments {
                check_clause(&assignment.value, Clause::without_both("UPDATE"), kinds)?;
            }
            optional(update.selection.as_ref(), "WHERE", kinds)?;
            returning(update.returning.as_deref(), kinds)
        }
        Statement::Delete(delete) => {
            optional(delete.selection.as_ref(), "WHERE", kinds)?;
            returning(delete.returning.as_deref(), kinds)
        }
        Statement::Insert(insert) => returning(insert.returning.as_deref(), kinds),
        _ => Ok(()),
    }
}

fn optional(expr: Option<&Expr>, name: &'static str, kinds: &FunctionKinds) -> Result<()> {
    expr.map_or(Ok(()), |expr| check_clause(expr, Clause::without_both(name), kinds))
}

fn returning(items: Option<&[SelectItem]>, kinds: &FunctionKinds) -> Result<()> {
    for expr in items.unwrap_or_default().iter().filter_map(item_expr) {
        check_clause(expr, Clause::without_both("RETURNING"), kinds)?;
    }
    Ok(())
}

/// The clauses of one query, without those of the queries in it.
pub(super) fn query(query: &Query, kinds: &FunctionKinds) -> Result<()> {
    if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
        optional(limit.as_ref(), "LIMIT", kinds)?;
        optional(offset.as_ref().map(|offset| &offset.value), "OFFSET", kinds)?;
    }
    if let Some(order_by) = &query.order_by
        && let OrderByKind::Expressions(keys) = &order_by.kind
    {
        for key in keys {
            check_clause(&key.expr, Clause::SELECT, kinds)?;
        }
    }
    body(&query.body, kinds)
}

fn body(expr: &SetExpr, kinds: &FunctionKinds) -> Result<()> {
    match expr {
        SetExpr::Select(inner) => select(inner, kinds),
        SetExpr::SetOperation { left, right, .. } => body(left, kinds).and_then(|()| body(right, kinds)),
        SetExpr::Values(values) => {
            for expr in values.rows.iter().flat_map(|row| row.content.iter()) {
                check_clause(expr, Clause::without_both("VALUES"), kinds)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn select(select: &Select, kinds: &FunctionKinds) -> Result<()> {
    for table in &select.from {
        joins(table, kinds)?;
    }
    for expr in select.projection.iter().filter_map(item_expr) {
        check_clause(expr, Clause::SELECT, kinds)?;
    }
    optional(select.selection.as_ref(), "WHERE", kinds)?;
    group_by(select, kinds)?;
    select.having.as_ref().map_or(Ok(()), |having| check_clause(having, Clause::HAVING, kinds))
}

fn group_by(select: &Select, kinds: &FunctionKinds) -> Result<()> {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else { return Ok(()) };
    for key in keys {
        check_clause(pointed_at(key, &select.projection).unwrap_or(key), Clause::without_both("GROUP BY"), kinds)?;
    }
    Ok(())
}

/// What `GROUP BY 1` means.
fn pointed_at<'a>(key: &Expr, projection: &'a [SelectItem]) -> Option<&'a Expr> {
    let Expr::Value(value) = key else { return None };
    let Value::Number(digits, _) = &value.value else { return None };
    let before = projection.get(..digits.parse::<usize>().ok()?)?;
    let known = before.iter().all(|item| item_expr(item).is_some());
    before.last().filter(|_| known).and_then(item_expr)
}

fn joins(table: &TableWithJoins, kinds: &FunctionKinds) -> Result<()> {
    factor(&table.relation, kinds)?;
    for join in &table.joins {
        factor(&join.relation, kinds)?;
        if let Some(JoinConstraint::On(condition)) = constraint(&join.join_operator) {
            check_clause(condition, Clause::without_both("JOIN conditions"), kinds)?;
        }
    }
    Ok(())
}

fn factor(factor: &TableFactor, kinds: &FunctionKinds) -> Result<()> {
    match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => joins(table_with_joins, kinds),
        _ => Ok(()),
    }
}

/// The condition of a join, where its kind has one.
pub fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// The expression of an item of a select list.
pub(super) fn item_expr(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// The name of a function without a schema before it, or with `pg_catalog`.
pub(super) fn function_name(function: &Function) -> Option<&Ident> {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name),
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(name)] if schema.value.eq_ignore_ascii_case("pg_catalog") => {
            Some(name)
        }
        _ => None,
    }
}

/// What encloses the place where the walk is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Aggregate,
    WindowCall,
    Other,
}

struct Walk<'a> {
    clause: Clause,
    kinds: &'a FunctionKinds,
    /// How many subqueries enclose the place.
    queries: usize,
    /// The expressions that enclose the place, outermost first.
    within: Vec<Within>,
}

impl Walk<'_> {
    fn role(&self, expr: &Expr) -> (Within, Option<SqlError>) {
        let Expr::Function(function) = expr else { return (Within::Other, None) };
        let kind = function_name(function).and_then(|name| self.kinds.kind(&name.value));
        match (kind, &function.over) {
            (_, Some(over)) => (Within::WindowCall, self.window_call(function, over)),
            (Some(FunctionKind::Aggregate), None) => (Within::Aggregate, self.aggregate(function)),
            _ => (Within::Other, None),
        }
    }

    fn aggregate(&self, function: &Function) -> Option<SqlError> {
        let refused = |message: String| Some(SqlError::new(SqlState::GROUPING_ERROR, message).at(function.name.span()));
        if !self.clause.aggregates {
            return refused(format!("aggregate functions are not allowed in {}", self.clause.name));
        }
        if self.within.contains(&Within::Aggregate) {
            return refused("aggregate function calls cannot be nested".into());
        }
        let filter = function.filter.as_deref()?;
        check_clause(filter, Clause::without_both("FILTER"), self.kinds).err()
    }

    fn window_call(&self, function: &Function, over: &WindowType) -> Option<SqlError> {
        let refused = |state, message: String| Some(SqlError::new(state, message).at(function.name.span()));
        if !self.clause.windows {
            return refused(SqlState::WINDOWING_ERROR, format!("window functions are not allowed in {}", self.clause.name));
        }
        if self.within.contains(&Within::Aggregate) {
            return refused(SqlState::GROUPING_ERROR, "aggregate function calls cannot contain window function calls".into());
        }
        if self.within.contains(&Within::WindowCall) {
            return refused(SqlState::WINDOWING_ERROR, "window function calls cannot be nested".into());
        }
        self.definition(over)
    }

    fn definition(&self, over: &WindowType) -> Option<SqlError> {
        let WindowType::WindowSpec(spec) = over else { return None };
        let clause = Clause { aggregates: true, ..Clause::without_both("window definitions") };
        let keys = spec.partition_by.iter().chain(spec.order_by.iter().map(|key| &key.expr));
        keys.filter_map(|key| check_clause(key, clause, self.kinds).err()).next()
    }
}

impl Visitor for Walk<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        self.queries += 1;
        if self.clause.subqueries {
            return ControlFlow::Continue(());
        }
        let message = format!("cannot use subquery in {}", self.clause.singular());
        ControlFlow::Break(Box::new(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(query.span())))
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if self.queries > 0 {
            return ControlFlow::Continue(());
        }
        let (role, refused) = self.role(expr);
        self.within.push(role);
        refused.map_or(ControlFlow::Continue(()), |error| ControlFlow::Break(Box::new(error)))
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Self::Break> {
        if self.queries == 0 {
            self.within.pop();
        }
        ControlFlow::Continue(())
    }
}
