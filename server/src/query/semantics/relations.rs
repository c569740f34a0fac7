//! Names in FROM and WITH, and what a recursive WITH query may be.

use super::FunctionKinds;
use super::placement::{Clause, check_clause, constraint, item_expr};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectName, Query, Select, SetExpr, SetOperator, Spanned, TableFactor,
    TableWithJoins, Visit, Visitor, With,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use std::collections::HashSet;
use std::ops::ControlFlow;

pub(super) fn query(query: &Query, kinds: &FunctionKinds) -> Result<()> {
    if let Some(with) = &query.with {
        with_names(with, kinds)?;
    }
    body(&query.body)
}

/// An identifier as it is looked up: in lower case unless quoted.
pub fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn with_names(with: &With, kinds: &FunctionKinds) -> Result<()> {
    let mut seen = HashSet::new();
    for cte in &with.cte_tables {
        if matches!(*cte.query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)) {
            let message = "WITH clause containing a data-modifying statement must be at the top level";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(cte.alias.name.span));
        }
        let name = folded(&cte.alias.name);
        if !seen.insert(name.clone()) {
            let message = format!("WITH query name \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message).at(cte.alias.name.span));
        }
        if with.recursive && mentions(&cte.query, &name) {
            recursive(&name, &cte.query, cte.alias.name.span, kinds)?;
        }
    }
    Ok(())
}

/// A query that reads itself is a union of a first part that does not and a second that does.
fn recursive(name: &str, query: &Query, place: Span, kinds: &FunctionKinds) -> Result<()> {
    let refused = |message: String| Err(SqlError::new(SqlState::INVALID_RECURSION, message).at(place));
    let misplaced = |select: &Select, which: usize, message: String| {
        let place = references(select, name).get(which).copied();
        Err(SqlError::new(SqlState::INVALID_RECURSION, message).at_place(place))
    };
    endless(query)?;
    match query.body.as_ref() {
        SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } => {
            if mentions(left.as_ref(), name) {
                return refused(format!("recursive reference to query \"{name}\" must not appear within its non-recursive term"));
            }
            match right.as_ref() {
                SetExpr::Select(select) if reads(&select.from, name) > 1 => {
                    misplaced(select, 1, format!("recursive reference to query \"{name}\" must not appear more than once"))
                }
                SetExpr::Select(select) if is_on_missing_side(&select.from, name) => {
                    misplaced(select, 0, format!("recursive reference to query \"{name}\" must not appear within an outer join"))
                }
                SetExpr::Select(select) if in_subquery(select, name) => {
                    misplaced(select, 0, format!("recursive reference to query \"{name}\" must not appear within a subquery"))
                }
                SetExpr::Select(select) if reads(&select.from, name) > 0 && aggregates(select, kinds) => {
                    refused("aggregate functions are not allowed in a recursive query's recursive term".into())
                }
                _ => Ok(()),
            }
        }
        _ => refused(format!("recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term")),
    }
}

/// What would have to be done to all rows of a query whose rows have no end.
fn endless(query: &Query) -> Result<()> {
    let not_there = |what: &str| SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} in a recursive query is not implemented"));
    if let Some(order_by) = &query.order_by {
        return Err(not_there("ORDER BY").at(order_by.span()));
    }
    match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(limit), .. }) => Err(not_there("LIMIT").at(limit.span())),
        Some(LimitClause::LimitOffset { offset: Some(offset), .. }) => Err(not_there("OFFSET").at(offset.value.span())),
        _ if query.fetch.is_some() => Err(not_there("LIMIT")),
        _ => Ok(()),
    }
}

fn is_it(factor: &TableFactor, name: &str) -> bool {
    matches!(factor, TableFactor::Table { name: table, .. } if is_named(table, name))
}

/// How often a FROM reads a table itself, not in a subquery.
fn reads(from: &[TableWithJoins], name: &str) -> usize {
    let factors = from.iter().flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    factors.filter(|factor| is_it(factor, name)).count()
}

/// Whether a table is on a side of an outer join that can be missing.
fn is_on_missing_side(from: &[TableWithJoins], name: &str) -> bool {
    use JoinOperator::{FullOuter, Left, LeftOuter, Right, RightOuter};
    from.iter().any(|table| {
        table.joins.iter().enumerate().any(|(at, join)| {
            let before = || is_it(&table.relation, name) || table.joins[..at].iter().any(|join| is_it(&join.relation, name));
            match &join.join_operator {
                Left(_) | LeftOuter(_) => is_it(&join.relation, name),
                Right(_) | RightOuter(_) => before(),
                FullOuter(_) => before() || is_it(&join.relation, name),
                _ => false,
            }
        })
    })
}

/// Whether a table is read by a subquery that stands for a value or a condition.
fn in_subquery(select: &Select, name: &str) -> bool {
    struct Find<'a>(&'a str);
    impl Visitor for Find<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Subquery(query) | Expr::Exists { subquery: query, .. } | Expr::InSubquery { subquery: query, .. }
                    if mentions(query.as_ref(), self.0) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    select.visit(&mut Find(name)).is_break()
}

fn aggregates(select: &Select, kinds: &FunctionKinds) -> bool {
    let clause = Clause::without_both("RECURSIVE").with_windows();
    let refused = |expr| check_clause(expr, clause, kinds).is_err_and(|error| error.message.ends_with("RECURSIVE"));
    select.projection.iter().filter_map(item_expr).chain(&select.having).any(refused)
}

/// Where a select names a table, in subqueries too.
fn references(select: &Select, name: &str) -> Vec<Span> {
    struct Find<'a>(&'a str, Vec<Span>);
    impl Visitor for Find<'_> {
        type Break = ();
        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            if is_named(relation, self.0) {
                self.1.push(relation.span());
            }
            ControlFlow::Continue(())
        }
    }
    let mut find = Find(name, Vec::new());
    let _ = select.visit(&mut find);
    find.1
}

/// Whether a relation of this name stands in a tree.
pub fn mentions<T: Visit>(tree: &T, name: &str) -> bool {
    struct Find<'a>(&'a str);
    impl Visitor for Find<'_> {
        type Break = ();
        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            if is_named(relation, self.0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    tree.visit(&mut Find(name)).is_break()
}

fn is_named(relation: &ObjectName, name: &str) -> bool {
    matches!(relation.0.as_slice(), [part] if part.as_ident().is_some_and(|ident| folded(ident) == name))
}

fn body(expr: &SetExpr) -> Result<()> {
    match expr {
        SetExpr::Select(select) => from(&select.from),
        SetExpr::SetOperation { left, right, .. } => body(left).and_then(|()| body(right)),
        _ => Ok(()),
    }
}

fn from(tables: &[TableWithJoins]) -> Result<()> {
    let mut names = Vec::new();
    for table in tables {
        collect(table, &mut names)?;
    }
    let mut seen = HashSet::new();
    for (name, place) in names {
        if !seen.insert(name.clone()) {
            let bare = name.rsplit('\0').next().unwrap_or_default();
            let message = format!("table name \"{bare}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message).at(place));
        }
    }
    Ok(())
}

fn collect(table: &TableWithJoins, names: &mut Vec<(String, Span)>) -> Result<()> {
    name_of(&table.relation, names)?;
    for join in &table.joins {
        name_of(&join.relation, names)?;
        if let Some(JoinConstraint::None) = constraint(&join.join_operator) {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error: a join needs ON or USING").at(join.relation.span()));
        }
    }
    Ok(())
}

/// The name by which a table's columns are called. Tables of the same name in different schemas are different.
fn name_of(factor: &TableFactor, names: &mut Vec<(String, Span)>) -> Result<()> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => names.push((folded(&alias.name), alias.name.span)),
        TableFactor::Table { name, args: None, .. } => {
            let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
            names.push((parts.join("\0"), name.span()));
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => collect(table_with_joins, names)?,
        TableFactor::NestedJoin { alias: Some(alias), .. } => names.push((folded(&alias.name), alias.name.span)),
        _ => {}
    }
    Ok(())
}
