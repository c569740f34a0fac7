//! Rows of tables as values: `SELECT t FROM t`, `row_to_json(t)`, `(t).a`, `(t).*`, `count(t.*)`.
//!
//! 1. [`names`] looks whether a statement has anything that can be a whole row: a plain name that is the name of a table in FROM.
//! 2. [`learned`] finds out the columns of the tables whose names these are: only a name that is no column, at any level, is a row.
//! 3. What is one becomes a call of [`records::RECORD`] with all columns of its table; a field of one becomes the column.

use super::Scope;
use super::naming::name_of;
use crate::catalog::names::fold;
use crate::error::{Result, SqlError};
use crate::functions::records;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName, OrderByKind, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, Value, VisitMut, VisitorMut,
};
use frames::{Frame, Table};
use learned::Learned;
use std::ops::ControlFlow;

pub mod frames;
pub mod learned;
pub mod names;

/// Stands behind a table's name, as if it were a column, for the whole row: `t.*::text`.
pub const WHOLE: &str = "\u{1}row";
/// Stands behind a record for all of its fields: `(t).*`.
pub const FIELDS: &str = "\u{1}*";

/// Rewrites the whole rows of a statement.
/// `known`: the columns of some of its tables.
pub async fn resolve(scope: &Scope, statement: &mut Statement, known: Learned) -> Result<()> {
    if !names::may_have_rows(statement) {
        return Ok(());
    }
    let learned = learned::learn(scope, statement, known).await;
    match VisitMut::visit(statement, &mut Resolve { learned, ..Resolve::default() }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

#[derive(Default)]
struct Resolve {
    learned: Learned,
    frames: Vec<Frame>,
    /// Whether the body of each query around is one SELECT, whose FROM its ORDER BY sees.
    direct: Vec<bool>,
    /// What the items of each SELECT around are called, and its keys that name items.
    selects: Vec<Kept>,
    /// Keys of ORDER BY that name items.
    orders: Vec<Vec<(usize, Expr)>>,
}

/// What a SELECT keeps as it is.
struct Kept {
    names: Vec<Option<String>>,
    keys: Vec<(usize, Expr)>,
}

impl VisitorMut for Resolve {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let direct = match query.body.as_ref() {
            SetExpr::Select(select) => {
                self.frames.push(Frame::of(select, &self.learned));
                self.orders.push(order_keys(query, &outputs(select)));
                true
            }
            _ => {
                self.orders.push(Vec::new());
                false
            }
        };
        self.direct.push(direct);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let kept = self.orders.pop().unwrap_or_default();
        if let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            kept.into_iter().for_each(|(at, key)| keys[at].expr = key);
        }
        if self.direct.pop() == Some(true) {
            self.frames.pop();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        if self.direct.last() != Some(&true) {
            self.frames.push(Frame::of(select, &self.learned));
        }
        let names = select.projection.iter().map(item_name).collect();
        let keys = match &select.group_by {
            GroupByExpr::Expressions(keys, _) => named_keys(keys.iter(), &outputs(select)),
            GroupByExpr::All(_) => Vec::new(),
        };
        self.selects.push(Kept { names, keys });
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        if let Some(kept) = self.selects.pop()
            && let Err(error) = self.keep(select, kept)
        {
            return ControlFlow::Break(error);
        }
        if self.direct.last() != Some(&true) {
            self.frames.pop();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match expr {
            Expr::Function(function) => self.arguments(function),
            Expr::CompoundFieldAccess { .. } => field(expr),
            _ => {
                if let Some(table) = self.row(expr) {
                    *expr = table.record();
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Resolve {
    /// The table whose row an expression is.
    fn row(&self, expr: &Expr) -> Option<&Table> {
        match expr {
            Expr::Identifier(name) if !self.is_column(&fold(name)) => self.table(&fold(name)),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, mark] if mark.value == WHOLE => self.table(&fold(table)),
                _ => None,
            },
            Expr::QualifiedWildcard(name, _) => self.table(&last(name)?),
            _ => None,
        }
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.frames.iter().rev().find_map(|frame| frame.tables.iter().find(|table| table.name == name)).filter(|table| table.is_rows())
    }

    /// Whether a plain name may be a column, of any query around.
    fn is_column(&self, name: &str) -> bool {
        let has = |table: &Table| table.columns.as_ref().is_none_or(|columns| columns.iter().any(|column| column == name));
        self.frames.iter().any(|frame| frame.tables.iter().any(has))
    }

    /// `f(t.*)` is of the whole row, `row(t.*)` of each of its columns.
    fn arguments(&self, function: &mut Function) {
        let is_row = function.name.to_string().eq_ignore_ascii_case(records::ROW);
        let FunctionArguments::List(list) = &mut function.args else { return };
        let expanded = |argument: FunctionArg| {
            let named = match &argument {
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => last(name),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::QualifiedWildcard(name, _))) => last(name),
                _ => None,
            };
            let Some(table) = named.and_then(|name| self.table(&name)) else { return vec![argument] };
            let values = if is_row { table.values() } else { vec![table.record()] };
            values.into_iter().map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value))).collect()
        };
        list.args = std::mem::take(&mut list.args).into_iter().flat_map(expanded).collect();
    }

    /// Items keep the names that they had, keys that name items stay, and `(t).*` is `t.*`.
    fn keep(&self, select: &mut Select, kept: Kept) -> Result<()> {
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            kept.keys.into_iter().for_each(|(at, key)| keys[at] = key);
        }
        let items = std::mem::take(&mut select.projection).into_iter().zip(kept.names);
        for (item, name) in items {
            match item {
                SelectItem::UnnamedExpr(expr) if all_fields(&expr).is_some() => select.projection.extend(self.fields(&expr)?),
                SelectItem::UnnamedExpr(expr) => select.projection.push(match name.filter(|name| *name != name_of(&expr)) {
                    Some(name) => SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) },
                    None => SelectItem::UnnamedExpr(expr),
                }),
                other => select.projection.push(other),
            }
        }
        Ok(())
    }

    /// The columns that `(record).*` stands for.
    fn fields(&self, expr: &Expr) -> Result<Vec<SelectItem>> {
        let record = all_fields(expr).unwrap_or(expr);
        if let Some(table) = self.source(record) {
            let name = ObjectName::from(vec![table.qualifier.clone()]);
            return Ok(vec![SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), Default::default())]);
        }
        match record {
            Expr::Function(function) => named_values(function).map(|values| {
                let item = |(name, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
                values.into_iter().map(item).collect()
            }),
            _ => None,
        }
        .ok_or_else(|| SqlError::unsupported("all fields of a record that is not the row of a table in FROM"))
    }

    /// The table of which a record is the row.
    fn source(&self, record: &Expr) -> Option<&Table> {
        let made = |table: &&Table| table.is_rows() && table.record() == *record;
        self.frames.iter().rev().find_map(|frame| frame.tables.iter().find(made))
    }
}

/// The record before `.*`.
fn all_fields(expr: &Expr) -> Option<&Expr> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    match access_chain.as_slice() {
        [AccessExpr::Dot(Expr::Identifier(mark))] if mark.value == FIELDS => Some(without_parentheses(root)),
        _ => None,
    }
}

fn without_parentheses(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => without_parentheses(inner),
        other => other,
    }
}

/// `(record).field`: the column of a table's row, else a field of the value.
fn field(expr: &mut Expr) {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return };
    let mut value = root.as_ref().clone();
    let mut rest = access_chain.drain(..).peekable();
    while let Some(AccessExpr::Dot(Expr::Identifier(name))) = rest.next_if(is_field) {
        value = field_of(value, &fold(&name));
    }
    let rest: Vec<AccessExpr> = rest.collect();
    *expr = match rest.is_empty() {
        true => value,
        false => Expr::CompoundFieldAccess { root: Box::new(value), access_chain: rest },
    };
}

fn is_field(step: &AccessExpr) -> bool {
    matches!(step, AccessExpr::Dot(Expr::Identifier(name)) if name.value != FIELDS)
}

fn field_of(record: Expr, name: &str) -> Expr {
    if let Expr::Function(function) = without_parentheses(&record)
        && let Some(value) = value_of(function, name)
    {
        return value;
    }
    super::desugar::call(records::FIELD, vec![record, text(name)])
}

/// The names and values of a record that is written out; a row that is missing has no values either.
fn named_values(function: &Function) -> Option<Vec<(String, Expr)>> {
    let made = function.name.to_string();
    let FunctionArguments::List(list) = &function.args else { return None };
    let value = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let name = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(name))) => name.value.clone().into_string(),
        _ => None,
    };
    if made != records::RECORD && made != records::OUTER_RECORD {
        return None;
    }
    list.args.chunks_exact(2).map(|pair| Some((name(&pair[0])?, value(&pair[1])?))).collect()
}

/// The value of a field of a record that is written out.
fn value_of(function: &Function, name: &str) -> Option<Expr> {
    let values = named_values(function)?;
    match (values.iter().find(|(found, _)| found == name), values.first()) {
        (Some((_, value)), _) => Some(value.clone()),
        // The planner says of the table that it has no such column.
        (None, Some((_, Expr::CompoundIdentifier(parts)))) => {
            Some(Expr::CompoundIdentifier(vec![parts[0].clone(), Ident::with_quote('"', name)]))
        }
        _ => None,
    }
}

/// A literal.
fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.into()))
}

fn last(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|part| part.as_ident()).map(fold)
}

/// What an unnamed item is called.
fn item_name(item: &SelectItem) -> Option<String> {
    let SelectItem::UnnamedExpr(expr) = item else { return None };
    let marked = |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) if parts.last().is_some_and(|mark| mark.value == WHOLE) => {
            parts.get(parts.len().wrapping_sub(2)).map(fold)
        }
        _ => None,
    };
    match expr {
        Expr::Cast { expr: inner, .. } => marked(inner).or_else(|| Some(name_of(expr))),
        _ => marked(expr).or_else(|| Some(name_of(expr))),
    }
}

/// The names of a SELECT's columns.
fn outputs(select: &Select) -> Vec<String> {
    let name = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(fold(name)),
        _ => None,
    };
    select.projection.iter().filter_map(name).collect()
}

fn named_keys<'a>(keys: impl Iterator<Item = &'a Expr>, outputs: &[String]) -> Vec<(usize, Expr)> {
    let names_item = |key: &&Expr| matches!(key, Expr::Identifier(name) if outputs.contains(&fold(name)));
    keys.enumerate().filter(|(_, key)| names_item(key)).map(|(at, key)| (at, key.clone())).collect()
}

fn order_keys(query: &Query, outputs: &[String]) -> Vec<(usize, Expr)> {
    match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(keys)) => named_keys(keys.iter().map(|key| &key.expr), outputs),
        _ => Vec::new(),
    }
}
