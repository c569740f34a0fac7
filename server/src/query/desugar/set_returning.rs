//! Functions that return rows: each is an `unnest` of a function that returns an array.
//!
//! In FROM, `f(x) WITH ORDINALITY AS t(a, n)` becomes a subquery `(SELECT unnest(list_of_f(x)), unnest(ordinals)) AS t(a, n)`, which is
//! LATERAL if `x` names columns; `query/lateral_rows.rs` plans those.

use super::{call, simple_name};
use crate::functions::arrays::{FLATTEN, ORDINALS};
use crate::functions::regular::functions::ALL_MATCHES;
use crate::functions::{casts, expand_array};
use crate::session::parse::parse_query;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use std::ops::ControlFlow;

/// One column of such a function: its name, the function that gives its values as an array, and the type to read them as.
struct Column {
    name: &'static str,
    list: &'static str,
    read_as: Option<&'static str>,
}

const fn column(name: &'static str, list: &'static str, read_as: Option<&'static str>) -> Column {
    Column { name, list, read_as }
}

/// The columns of a set-returning function; an empty name is the function's own.
fn columns(function: &str) -> Option<Vec<Column>> {
    Some(match function {
        "json_array_elements" => vec![column("value", "plimsoll_json_elements", Some("json"))],
        "jsonb_array_elements" => vec![column("value", "plimsoll_jsonb_elements", Some("jsonb"))],
        "json_array_elements_text" => vec![column("value", "plimsoll_json_elements_text", None)],
        "jsonb_array_elements_text" => vec![column("value", "plimsoll_jsonb_elements_text", None)],
        "json_object_keys" => vec![column("", "plimsoll_json_keys", None)],
        "jsonb_object_keys" => vec![column("", "plimsoll_jsonb_keys", None)],
        "json_each" => vec![column("key", "plimsoll_json_each_keys", None), column("value", "plimsoll_json_each_values", Some("json"))],
        "jsonb_each" => vec![column("key", "plimsoll_jsonb_each_keys", None), column("value", "plimsoll_jsonb_each_values", Some("jsonb"))],
        "json_each_text" => vec![column("key", "plimsoll_json_each_keys", None), column("value", "plimsoll_json_each_texts", None)],
        "jsonb_each_text" => vec![column("key", "plimsoll_jsonb_each_keys", None), column("value", "plimsoll_jsonb_each_texts", None)],
        "string_to_table" => vec![column("", "string_to_array", None)],
        "regexp_split_to_table" => vec![column("", "regexp_split_to_array", None)],
        "regexp_matches" => vec![column("", ALL_MATCHES, None)],
        "generate_subscripts" => vec![column("", "plimsoll_subscripts", None)],
        _ => return None,
    })
}

/// A set-returning function as a value: `unnest(list(x))`.
pub fn as_value(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let Some(name) = simple_name(&function.name).map(|name| name.value.to_lowercase()) else { return };
    let Some(args) = arguments(&function.args) else { return };
    if name == "unnest" {
        if let [arg] = args.as_slice()
            && !is_series(arg)
        {
            *expr = call("unnest", vec![flat(arg.clone())]);
        }
        return;
    }
    let Some(columns) = columns(&name) else { return };
    if let [column] = columns.as_slice() {
        *expr = rows_of(column, &args);
    }
}

/// What is a list of one dimension already.
fn is_series(arg: &Expr) -> bool {
    match arg {
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            name == "generate_series"
                || name == expand_array::NAME
                || name.starts_with("plimsoll_")
                || name.starts_with("string_to_array")
                || name.starts_with("regexp_split")
        }
        _ => false,
    }
}

fn flat(arg: Expr) -> Expr {
    call(FLATTEN, vec![arg])
}

fn arguments(args: &FunctionArguments) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = args else { return None };
    plain(&list.args)
}

fn plain(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let value = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    args.iter().map(value).collect()
}

fn rows_of(column: &Column, args: &[Expr]) -> Expr {
    let rows = call("unnest", vec![call(column.list, args.to_vec())]);
    match column.read_as {
        Some(name) => call(casts::NAME, vec![rows, Expr::value(Value::SingleQuotedString(name.into()))]),
        None => rows,
    }
}

/// Rewrites the functions in the FROM of every SELECT of a query.
pub fn in_from(query: &mut Query) {
    in_set(&mut query.body);
    let mut whole_rows = Vec::new();
    if let SetExpr::Select(select) = query.body.as_mut() {
        whole_rows = functions_of(select);
        if !whole_rows.is_empty() {
            let _: ControlFlow<()> = VisitMut::visit(select.as_mut(), &mut WholeRows(&whole_rows));
        }
    }
    if !whole_rows.is_empty() && query.order_by.is_some() {
        let _: ControlFlow<()> = VisitMut::visit(&mut query.order_by, &mut WholeRows(&whole_rows));
    }
}

fn in_set(body: &mut SetExpr) {
    if let SetExpr::SetOperation { left, right, .. } = body {
        for side in [left, right] {
            if let SetExpr::Select(select) = side.as_mut() {
                let whole_rows = functions_of(select);
                let _: ControlFlow<()> = VisitMut::visit(select.as_mut(), &mut WholeRows(&whole_rows));
            } else {
                in_set(side);
            }
        }
    }
}

/// An alias that stands for the whole row is its only column.
struct WholeRows<'a>(&'a [(String, String)]);

impl VisitorMut for WholeRows<'_> {
    type Break = ();
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && let Some((alias, column)) = self.0.iter().find(|(alias, _)| name.value.eq_ignore_ascii_case(alias))
        {
            *expr = Expr::CompoundIdentifier(vec![Ident::new(alias.clone()), Ident::new(column.clone())]);
        }
        ControlFlow::Continue(())
    }
}

fn functions_of(select: &mut Select) -> Vec<(String, String)> {
    let mut whole_rows = Vec::new();
    for table in &mut select.from {
        whole_rows.extend(as_table(&mut table.relation));
        for join in &mut table.joins {
            whole_rows.extend(as_table(&mut join.relation));
        }
    }
    whole_rows
}

/// A function in FROM as a subquery; the alias and the column that it stands for, where they are named differently.
fn as_table(factor: &mut TableFactor) -> Option<(String, String)> {
    let (items, alias, ordinality, named) = called(factor)?;
    let mut select: Vec<SelectItem> = Vec::new();
    let mut names = Vec::new();
    for (name, rows) in items.rows {
        let name = if name.is_empty() { alias.name.value.clone() } else { name };
        // A subquery's columns are told apart by their names.
        let name = if names.contains(&name) { format!("{name}_{}", names.len()) } else { name };
        select.push(SelectItem::ExprWithAlias { expr: rows, alias: Ident::with_quote('"', name.clone()) });
        names.push(name);
    }
    if ordinality {
        let numbers = call("unnest", vec![call(ORDINALS, items.lists)]);
        select.push(SelectItem::ExprWithAlias { expr: numbers, alias: Ident::new("ordinality") });
        names.push("ordinality".into());
    }
    let mut query = parse_query("SELECT 1").ok()?;
    let SetExpr::Select(body) = query.body.as_mut() else { return None };
    body.projection = select;
    let mut alias = alias;
    let given: Vec<TableAliasColumnDef> = std::mem::take(&mut alias.columns);
    let whole = (names.len() == 1 && given.is_empty() && named).then(|| (alias.name.value.clone(), names[0].clone()));
    let rest = names.into_iter().skip(given.len()).map(|name| TableAliasColumnDef { name: Ident::with_quote('"', name), data_type: None });
    alias.columns = given.iter().cloned().chain(rest).collect();
    let lateral = names_columns(&query);
    *factor = TableFactor::Derived { lateral, subquery: Box::new(query), alias: Some(alias), sample: None };
    whole.filter(|(alias, column)| alias != column)
}

/// The rows that a function gives, by column, and the lists that they are unnested from.
struct Items {
    rows: Vec<(String, Expr)>,
    lists: Vec<Expr>,
}

/// The call in FROM: its columns, alias, WITH ORDINALITY, and whether the alias was written. A plain `unnest` stays as it is.
fn called(factor: &TableFactor) -> Option<(Items, TableAlias, bool, bool)> {
    let (name, args, alias, ordinality) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
            (simple_name(name)?.value.to_lowercase(), plain(&args.args)?, alias, *with_ordinality)
        }
        TableFactor::Function { name, args, alias, .. } => (simple_name(name)?.value.to_lowercase(), plain(args)?, alias, false),
        TableFactor::UNNEST { array_exprs, alias, with_ordinality, with_offset: false, .. } => {
            ("unnest".to_string(), array_exprs.clone(), alias, *with_ordinality)
        }
        _ => return None,
    };
    let named = alias.is_some();
    let written =
        alias.clone().unwrap_or_else(|| TableAlias { explicit: true, name: Ident::new(name.clone()), columns: Vec::new(), at: None });
    let items = if name == "unnest" {
        let lists: Vec<Expr> = args.into_iter().map(|arg| if is_series(&arg) { arg } else { flat(arg) }).collect();
        let several = lists.len() > 1;
        let rows = |list: &Expr| (if several { "unnest".to_string() } else { String::new() }, call("unnest", vec![list.clone()]));
        Items { rows: lists.iter().map(rows).collect(), lists }
    } else {
        let columns = columns(&name)?;
        let lists = columns.iter().map(|column| call(column.list, args.clone())).collect();
        Items { rows: columns.iter().map(|column| (column.name.to_string(), rows_of(column, &args))).collect(), lists }
    };
    Some((items, written, ordinality, named))
}

/// Whether an expression in a query names a column.
fn names_columns(query: &Query) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
        fn pre_visit_relation(&mut self, _: &ObjectName) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }
    query.visit(&mut Find).is_break()
}
