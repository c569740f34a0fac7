//! Names in FROM and WITH, and what a recursive WITH query may be.

use super::FunctionKinds;
use super::placement::{Clause, check_clause, constraint, item_expr};
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Ident, JoinConstraint, ObjectName, Query, Select, SetExpr, SetOperator, Spanned, TableFactor, TableWithJoins, Visit, Visitor, With,
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
    match query.body.as_ref() {
        SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } => {
            if mentions(left.as_ref(), name) {
                return refused(format!("recursive reference to query \"{name}\" must not appear within its non-recursive term"));
            }
            match right.as_ref() {
                SetExpr::Select(select) if reads(&select.from, name) && aggregates(select, kinds) => {
                    refused("aggregate functions are not allowed in a recursive query's recursive term".into())
                }
                _ => Ok(()),
            }
        }
        _ => refused(format!("recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term")),
    }
}

/// Whether a FROM reads a table itself, not in a subquery.
fn reads(from: &[TableWithJoins], name: &str) -> bool {
    let mut names = Vec::new();
    let is_it = |factor: &TableFactor| matches!(factor, TableFactor::Table { name: table, .. } if is_named(table, name));
    for table in from {
        names.push(is_it(&table.relation));
        names.extend(table.joins.iter().map(|join| is_it(&join.relation)));
    }
    names.contains(&true)
}

fn aggregates(select: &Select, kinds: &FunctionKinds) -> bool {
    let clause = Clause::without_both("RECURSIVE").with_windows();
    let refused = |expr| check_clause(expr, clause, kinds).is_err_and(|error| error.message.ends_with("RECURSIVE"));
    select.projection.iter().filter_map(item_expr).chain(&select.having).any(refused)
}

fn mentions<T: Visit>(tree: &T, name: &str) -> bool {
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
