//! EXISTS, IN, ANY and ALL.
//!
//! DataFusion makes joins of them where they are conditions of WHERE. Elsewhere, where they are values that may be NULL, they are counted.

use super::{has_query, template};
use crate::types::SqlType;
use crate::types::input::scalar_from_text;
use arrow::array::AsArray;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, JoinConstraint, JoinOperator, Query, Select, SelectItem, SetExpr, Statement, TableWithJoins,
    UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use std::ops::ControlFlow;

/// What NOT IN becomes in a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIn {
    /// A join, of the engine's making. It knows NULLs where the subquery names nothing of the query around it.
    Join,
    /// A value that is counted.
    Value,
}

/// Whether NOT IN with a subquery stands anywhere in a statement.
pub fn has_not_in(statement: &Statement) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::InSubquery { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    Visit::visit(statement, &mut Find).is_break()
}

/// Rewrites the subqueries of one SELECT; those within them are done.
pub fn select(select: &mut Select, not_in: NotIn) {
    for table in &mut select.from {
        conditions_to_where(table, &mut select.selection);
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            values(expr);
        }
    }
    for condition in select.selection.iter_mut().chain(&mut select.having) {
        self::condition(condition, not_in);
    }
}

/// Conditions with subqueries of inner joins, where no outer join comes after, are conditions of WHERE.
fn conditions_to_where(table: &mut TableWithJoins, selection: &mut Option<Expr>) {
    let keeps_left = |operator: &JoinOperator| {
        use JoinOperator::{CrossJoin, Inner, Join, Left, LeftOuter};
        matches!(operator, Join(_) | Inner(_) | Left(_) | LeftOuter(_) | CrossJoin(_))
    };
    if !table.joins.iter().all(|join| keeps_left(&join.join_operator)) {
        return;
    }
    for join in &mut table.joins {
        let (JoinOperator::Join(JoinConstraint::On(on)) | JoinOperator::Inner(JoinConstraint::On(on))) = &mut join.join_operator else {
            continue;
        };
        if has_query(on) {
            let moved = std::mem::replace(on, Expr::value(Value::Boolean(true)));
            let parts = [Some(moved), selection.take()].into_iter().flatten().map(|part| Expr::Nested(Box::new(part)));
            *selection =
                parts.reduce(|left, right| Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) });
        }
    }
}

/// A condition that keeps rows where it is true: NULL is as good as false.
fn condition(expr: &mut Expr, not_in: NotIn) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            condition(left, not_in);
            condition(right, not_in);
        }
        // DataFusion's joins that mark rows beneath OR know no NULL, which a negation would turn into true.
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => [left, right].into_iter().for_each(|side| match side.as_ref() {
            Expr::InSubquery { negated: true, .. } => values(side),
            _ => condition(side, not_in),
        }),
        Expr::Nested(inner) => condition(inner, not_in),
        Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } if is_exists(inner) => condition(inner, not_in),
        Expr::Exists { .. } => exists_of_an_aggregate(expr),
        Expr::InSubquery { expr: value, negated: false, .. } if matches!(value.as_ref(), Expr::Tuple(_)) => row_in(expr),
        Expr::InSubquery { negated: true, .. } if not_in == NotIn::Value => values(expr),
        Expr::InSubquery { expr: value, .. } => values(value),
        Expr::AnyOp { left, compare_op, right, .. } => {
            values(left);
            match items(right) {
                Some(items) => *expr = compared(left, compare_op, &items, BinaryOperator::Or),
                None => apart(right),
            }
        }
        Expr::AllOp { left, compare_op, right } => {
            values(left);
            match items(right) {
                Some(items) => *expr = compared(left, compare_op, &items, BinaryOperator::And),
                None => apart(right),
            }
        }
        other => values(other),
    }
}

fn is_exists(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_exists(inner),
        other => matches!(other, Expr::Exists { .. }),
    }
}

/// The items of an ARRAY[...] that ANY or ALL compares with.
fn items(right: &Expr) -> Option<Vec<Expr>> {
    match right {
        Expr::Nested(inner) => items(inner),
        Expr::Array(array) => Some(array.elem.clone()),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => items_of_text(text),
            _ => None,
        },
        _ => None,
    }
}

/// The items of an array that is written as a literal: `'{1,2}'`.
fn items_of_text(text: &str) -> Option<Vec<Expr>> {
    let array = scalar_from_text(&SqlType::Array(Box::new(SqlType::Text)), text).ok()?;
    let ScalarValue::List(list) = array else { return None };
    let item = |item: Option<&str>| Expr::value(item.map_or(Value::Null, |item| Value::SingleQuotedString(item.to_string())));
    Some(list.value(0).as_string_view_opt()?.iter().map(item).collect())
}

/// `x = ANY (ARRAY[a, b])` is `x = a OR x = b`, which has the right NULLs.
fn compared(left: &Expr, operator: &BinaryOperator, items: &[Expr], between: BinaryOperator) -> Expr {
    let one = |item: &Expr| Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(left.clone()))),
        op: operator.clone(),
        right: Box::new(Expr::Nested(Box::new(item.clone()))),
    };
    let empty = Value::Boolean(between == BinaryOperator::And);
    let all = items.iter().map(one).reduce(|a, b| Expr::BinaryOp { left: Box::new(a), op: between.clone(), right: Box::new(b) });
    Expr::Nested(Box::new(all.unwrap_or_else(|| Expr::value(empty))))
}

/// The column of a subquery gets a name of its own: DataFusion would take the other operand for it if that is called the same.
fn apart(right: &mut Expr) {
    match right {
        Expr::Nested(inner) => apart(inner),
        Expr::Subquery(query) => name_the_column(query),
        _ => {}
    }
}

fn name_the_column(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_slice() {
        select.projection = vec![SelectItem::ExprWithAlias { expr: expr.clone(), alias: "__c".into() }];
    }
}

/// `(a, b) IN (SELECT x, y ...)` as a condition.
fn row_in(expr: &mut Expr) {
    let Expr::InSubquery { expr: value, subquery, .. } = expr else { return };
    let Expr::Tuple(fields) = value.as_ref() else { return };
    let names: Vec<String> = (0..fields.len()).map(|at| format!("__x{at}")).collect();
    let columns: Vec<String> = (0..fields.len()).map(|at| format!("__c{at}")).collect();
    let equal: Vec<String> = names.iter().zip(&columns).map(|(name, column)| format!("__s.{column} = {name}")).collect();
    let sql = format!("EXISTS (SELECT 1 FROM __q AS __s({}) WHERE {})", columns.join(", "), equal.join(" AND "));
    let placed: Vec<(&str, &Expr)> = names.iter().map(String::as_str).zip(fields).collect();
    *expr = template(&sql, &placed, Some(subquery));
}

/// An aggregate without groups has one row, whatever it reads.
fn exists_of_an_aggregate(expr: &mut Expr) {
    let Expr::Exists { subquery, negated } = expr else { return };
    let limited = subquery.limit_clause.is_some() || subquery.fetch.is_some();
    let SetExpr::Select(select) = subquery.body.as_ref() else { return };
    if limited || !is_aggregate(select) {
        return;
    }
    let negated = *negated;
    *expr = match &select.having {
        None => Expr::value(Value::Boolean(!negated)),
        Some(having) => {
            let mut one = subquery.as_ref().clone();
            if let SetExpr::Select(inner) = one.body.as_mut() {
                inner.projection = vec![SelectItem::UnnamedExpr(having.clone())];
                inner.having = None;
            }
            let sql = if negated { "NOT coalesce(__x, false)" } else { "coalesce(__x, false)" };
            template(sql, &[("__x", &Expr::Subquery(Box::new(one)))], None)
        }
    };
}

pub(super) fn is_aggregate(select: &Select) -> bool {
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(keys, modifiers) if keys.is_empty() && modifiers.is_empty());
    let calls = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => calls_aggregate(expr),
        _ => false,
    };
    ungrouped && (select.having.is_some() || select.projection.iter().any(calls))
}

fn calls_aggregate(expr: &Expr) -> bool {
    const NAMES: [&str; 14] = [
        "count",
        "sum",
        "min",
        "max",
        "avg",
        "bool_and",
        "bool_or",
        "every",
        "string_agg",
        "array_agg",
        "stddev",
        "variance",
        "var_pop",
        "stddev_pop",
    ];
    struct Find(usize);
    impl VisitorMut for Find {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(call) if self.0 == 0 && call.over.is_none() => {
                    let name = call.name.to_string().to_lowercase();
                    if NAMES.contains(&name.as_str()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    VisitMut::visit(&mut expr.clone(), &mut Find(0)).is_break()
}

/// Subqueries within an expression whose value matters, not just whether it is true.
fn values(expr: &mut Expr) {
    let _: ControlFlow<()> = VisitMut::visit(expr, &mut Values { depth: 0 });
}

struct Values {
    /// Subqueries have been rewritten on their own.
    depth: usize,
}

impl VisitorMut for Values {
    type Break = ();
    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            value(expr);
        }
        ControlFlow::Continue(())
    }
}

fn value(expr: &mut Expr) {
    match expr {
        Expr::Exists { .. } => {
            exists_of_an_aggregate(expr);
            if let Expr::Exists { subquery, negated } = expr {
                let sql = if *negated { "(__x = 0)" } else { "(__x > 0)" };
                *expr = template(sql, &[("__x", &count(subquery))], None);
            }
        }
        Expr::InSubquery { expr: sought, subquery, negated } if !matches!(sought.as_ref(), Expr::Tuple(_)) => {
            let is_in = is_in(sought, subquery);
            *expr = if *negated { template("(NOT __x)", &[("__x", &is_in)], None) } else { is_in };
        }
        Expr::AnyOp { left, compare_op, right, .. } => match (items(right), right.as_ref()) {
            (Some(items), _) => *expr = compared(left, compare_op, &items, BinaryOperator::Or),
            (None, Expr::Subquery(query)) if *compare_op == BinaryOperator::Eq => *expr = is_in(left, query),
            (None, array) if *compare_op == BinaryOperator::Eq && is_of_columns(array) => {
                *expr = template("plimsoll_any_equal(__x_array, __x)", &[("__x_array", array), ("__x", left)], None);
            }
            _ => apart(right),
        },
        Expr::AllOp { left, compare_op, right } => match (items(right), right.as_ref()) {
            (Some(items), _) => *expr = compared(left, compare_op, &items, BinaryOperator::And),
            (None, Expr::Subquery(query)) if *compare_op == BinaryOperator::NotEq => {
                *expr = template("(NOT __x)", &[("__x", &is_in(left, query))], None);
            }
            _ => apart(right),
        },
        _ => {}
    }
}

/// An array that is no parameter: the engine looks for a value in an array without minding its NULLs.
fn is_of_columns(array: &Expr) -> bool {
    match array {
        Expr::Nested(inner) => is_of_columns(inner),
        other => matches!(other, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_)),
    }
}

/// `SELECT count(*)` of a query's rows.
fn count(query: &Query) -> Expr {
    let simple = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    if let SetExpr::Select(select) = query.body.as_ref()
        && simple
        && select.distinct.is_none()
        && select.having.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
        && !is_aggregate(select)
    {
        let mut counted = query.clone();
        counted.order_by = None;
        if let SetExpr::Select(select) = counted.body.as_mut() {
            select.projection = vec![SelectItem::UnnamedExpr(template("count(*)", &[], None))];
        }
        return Expr::Subquery(Box::new(counted));
    }
    template("(SELECT count(*) FROM __q AS __s)", &[], Some(query))
}

/// `x IN (SELECT ...)` with its NULLs.
fn is_in(sought: &Expr, query: &Query) -> Expr {
    let sql = "(CASE WHEN __x_count = 0 THEN false WHEN __x IS NULL THEN CAST(NULL AS BOOLEAN) \
        WHEN (SELECT count(*) FROM __q AS __s(__c) WHERE __s.__c = __x) > 0 THEN true \
        WHEN (SELECT count(*) FROM __q AS __s(__c) WHERE __s.__c IS NULL) > 0 THEN CAST(NULL AS BOOLEAN) ELSE false END)";
    template(sql, &[("__x", sought), ("__x_count", &count(query))], Some(query))
}
