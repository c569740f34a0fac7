//! Which of several values has a type that does not match the others: `CASE types integer and text cannot be matched`, and the like.

use super::{Names, literal_type, types_of};
use crate::error::SqlError;
use crate::query::Scope;
use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Spanned, Values};

/// Values that must have one type, in the select of this number.
pub(super) struct Group {
    what: &'static str,
    values: Vec<Expr>,
    select: Option<usize>,
}

impl Group {
    /// The group that an expression is.
    pub(super) fn of(expr: &Expr, select: Option<usize>) -> Option<Self> {
        let (what, values) = match expr {
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| when.result.clone());
                ("CASE", else_result.iter().map(|result| (**result).clone()).chain(results).collect())
            }
            Expr::Array(array) => ("ARRAY", array.elem.clone()),
            Expr::Function(function) => {
                let name = super::shown_name(&function.name);
                let what = ["COALESCE", "GREATEST", "LEAST"].into_iter().find(|what| what.eq_ignore_ascii_case(&name))?;
                (what, super::arguments(function)?)
            }
            _ => return None,
        };
        Some(Self { what, values, select })
    }

    /// The columns of a query's VALUES, and those of the sides of its set operations. Only what stands in no FROM's reach, or reads nothing, can
    /// be typed alone; the rest has no place.
    pub(super) fn of_query(query: &Query) -> Vec<Self> {
        let mut groups = Vec::new();
        Self::add_body(&query.body, &mut groups);
        groups
    }

    fn add_body(body: &SetExpr, groups: &mut Vec<Self>) {
        match body {
            SetExpr::Values(Values { rows, .. }) => {
                let width = rows.iter().map(|row| row.content.len()).min().unwrap_or(0);
                let column = |at: usize| rows.iter().map(|row| row.content[at].clone()).collect();
                groups.extend((0..width).map(|at| Self { what: "VALUES", values: column(at), select: None }));
            }
            SetExpr::SetOperation { op, left, right, .. } => {
                Self::add_body(left, groups);
                let (left, right) = (outputs(left), outputs(right));
                let what = match op {
                    datafusion::sql::sqlparser::ast::SetOperator::Intersect => "INTERSECT",
                    datafusion::sql::sqlparser::ast::SetOperator::Except => "EXCEPT",
                    _ => "UNION",
                };
                let pairs = left.into_iter().zip(right);
                groups.extend(pairs.map(|(left, right)| Self { what, values: vec![left, right], select: None }));
            }
            _ => {}
        }
    }
}

fn outputs(body: &SetExpr) -> Vec<Expr> {
    match body {
        SetExpr::Select(select) => select
            .projection
            .iter()
            .map_while(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
                _ => None,
            })
            .collect(),
        SetExpr::SetOperation { left, .. } => outputs(left),
        SetExpr::Query(query) => outputs(&query.body),
        _ => Vec::new(),
    }
}

/// `X types A and B cannot be matched`, with the place of the first value that is of type B beside one of type A.
pub(super) async fn place(scope: &Scope, names: &Names, error: SqlError) -> SqlError {
    let Some((what, types)) = error.message.strip_suffix(" cannot be matched").and_then(|rest| rest.split_once(" types ")) else {
        return error;
    };
    let Some((_, second)) = types.split_once(" and ") else { return error };
    let groups: Vec<&Group> = names.groups.iter().filter(|group| group.what == what).collect();
    for group in &groups {
        let from = group.select.and_then(|index| names.selects.get(index)).map_or(&[][..], |select| select.from.as_slice());
        for value in group.values.iter().skip(1) {
            let found = match literal_type(value) {
                Some(known) => Some(known.to_string()),
                None => types_of(scope, from, std::slice::from_ref(value)).await.ok().and_then(|mut types| types.pop()),
            };
            if found.as_deref() == Some(second) {
                return error.at(value.span());
            }
        }
    }
    // A column of a set operation's side cannot be typed without its FROM: where there is only one, it is meant.
    let only = if let [Group { values, .. }] = groups[..] { values.last().map(Spanned::span) } else { None };
    error.at_place(only)
}
