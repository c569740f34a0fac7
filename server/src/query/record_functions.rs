//! JSON as records: `json_to_record`, `json_to_recordset`, `json_populate_record`, `json_populate_recordset` and those of jsonb.
//!
//! In FROM each becomes a query of one column for each of the record's: what the definition list says (`AS x(a int, b text)`), or the columns of
//! the table whose type `NULL::t` has. Each column is a call of [`json_fields::NAME`], which reads one member as one type.

use super::Scope;
use super::desugar::{call, set_returning, simple_name};
use crate::catalog::Relation;
use crate::catalog::names::{QualifiedName, fold};
use crate::error::{Result, SqlError, SqlState};
use crate::functions::{casts, json_fields, records};
use crate::session::parse::parse_query;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Select, SelectItem, SetExpr, Statement, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// What the elements of the array are called within.
const ELEMENT: &str = "__element";

/// Rewrites the calls of a statement.
pub fn rewrite(scope: &Scope, statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut Rewrite { scope }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewrite<'a> {
    scope: &'a Scope,
}

/// What one of the functions does.
struct Kind {
    binary: bool,
    populates: bool,
    set: bool,
}

fn kind(name: &str) -> Option<Kind> {
    let (binary, rest) = match name.strip_prefix("jsonb_") {
        Some(rest) => (true, rest),
        None => (false, name.strip_prefix("json_")?),
    };
    let (populates, set) = match rest {
        "to_record" => (false, false),
        "to_recordset" => (false, true),
        "populate_record" => (true, false),
        "populate_recordset" => (true, true),
        _ => return None,
    };
    Some(Kind { binary, populates, set })
}

impl VisitorMut for Rewrite<'_> {
    type Break = SqlError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        match self.table(factor) {
            Ok(Some(query)) => {
                *factor = query;
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr @ Expr::Function(_)) = item
                && let Expr::Function(function) = &*expr
                && let Some(name) = simple_name(&function.name).map(fold).filter(|name| kind(name).is_some())
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', name) };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Function(function) = &*expr else { return ControlFlow::Continue(()) };
        match self.value(function) {
            Ok(Some(record)) => {
                *expr = record;
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rewrite<'_> {
    fn table(&self, factor: &TableFactor) -> Result<Option<TableFactor>> {
        let (name, args, alias, ordinality) = match factor {
            TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => (name, &args.args, alias, *with_ordinality),
            TableFactor::Function { name, args, alias, with_ordinality, .. } => (name, args, alias, *with_ordinality),
            _ => return Ok(None),
        };
        let Some(name) = simple_name(name).map(fold) else { return Ok(None) };
        let Some(kind) = kind(&name) else { return Ok(None) };
        let args: Vec<Expr> = args.iter().filter_map(argument).collect();
        let (columns, json) = match (kind.populates, args.as_slice()) {
            (true, [base, json]) => (self.columns_of_base(base, &name)?, json),
            (false, [json]) => (defined(alias.as_ref())?, json),
            _ => return Ok(None),
        };
        if ordinality {
            return Err(SqlError::unsupported(format!("WITH ORDINALITY of {name}")));
        }
        let alias = alias_of(alias.as_ref(), &name, &columns);
        let from = if kind.set { element() } else { json.clone() };
        let items = columns.iter().map(|(column, of)| item(&from, column, of, &name)).collect();
        let mut query = parse_query("SELECT 1").expect("it is SQL");
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = items;
            select.from = if kind.set { vec![elements(json, &kind)] } else { Vec::new() };
        }
        let lateral = set_returning::names_something(json);
        Ok(Some(TableFactor::Derived { lateral, subquery: Box::new(query), alias: Some(alias), sample: None }))
    }

    /// `json_populate_record(NULL::t, json)` as a value.
    fn value(&self, function: &Function) -> Result<Option<Expr>> {
        let Some(name) = simple_name(&function.name).map(fold) else { return Ok(None) };
        let Some(kind) = kind(&name) else { return Ok(None) };
        let FunctionArguments::List(list) = &function.args else { return Ok(None) };
        let args: Vec<Expr> = list.args.iter().filter_map(argument).collect();
        match (kind.populates, kind.set, args.as_slice()) {
            (true, false, [base, json]) => {
                let columns = self.columns_of_base(base, &name)?;
                let pair = |(column, of): &(String, SqlType)| [text(column), field(json, column, of, &name)];
                Ok(Some(call(records::RECORD, columns.iter().flat_map(pair).collect())))
            }
            (true, true, [_, _]) => Err(SqlError::unsupported(format!("{name} in a select list"))),
            (false, _, [_]) => {
                let message = format!("could not determine row type for result of {name}");
                let hint = "Provide a non-null record argument, or call the function in the FROM clause using a column definition list.";
                Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_hint(hint))
            }
            _ => Ok(None),
        }
    }

    /// The columns of the table whose type `NULL` is cast to.
    fn columns_of_base(&self, base: &Expr, function: &str) -> Result<Vec<(String, SqlType)>> {
        let name = match base {
            Expr::Cast { expr, data_type: DataType::Custom(name, modifiers), .. } if is_null(expr) && modifiers.is_empty() => name,
            _ => return Err(SqlError::unsupported(format!("{function} with a first argument that is not NULL::table"))),
        };
        let unknown = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"));
        let name = QualifiedName::from_ast(name, &self.scope.database)?;
        let found = self.scope.view.catalog.find(&name, &self.scope.search_path).ok_or_else(unknown)?;
        match found.relation() {
            Relation::Table(table) => Ok(table.columns.iter().map(|column| (column.name.clone(), column.sql_type.clone())).collect()),
            Relation::View(view) => Ok(view.columns.clone()),
            Relation::Sequence(_) => Err(unknown()),
        }
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_null(inner),
        Expr::Value(value) => value.value == Value::Null,
        _ => false,
    }
}

fn argument(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

/// The columns of a definition list.
fn defined(alias: Option<&TableAlias>) -> Result<Vec<(String, SqlType)>> {
    let missing = || {
        let message = "a column definition list is required for functions returning \"record\"";
        SqlError::new(SqlState::SYNTAX_ERROR, message)
    };
    let columns = alias.map(|alias| &alias.columns).filter(|columns| !columns.is_empty()).ok_or_else(missing)?;
    let column = |column: &TableAliasColumnDef| {
        let data_type = column.data_type.as_ref().ok_or_else(missing)?;
        Ok((fold(&column.name), SqlType::from_ast(data_type)?))
    };
    columns.iter().map(column).collect()
}

/// The alias without types, with names for all columns.
fn alias_of(alias: Option<&TableAlias>, function: &str, columns: &[(String, SqlType)]) -> TableAlias {
    let mut alias =
        alias.cloned().unwrap_or_else(|| TableAlias { explicit: true, name: Ident::new(function), columns: Vec::new(), at: None });
    let rest = columns
        .iter()
        .skip(alias.columns.len())
        .map(|(name, _)| TableAliasColumnDef { name: Ident::with_quote('"', name.clone()), data_type: None });
    alias.columns.extend(rest);
    alias.columns.iter_mut().for_each(|column| column.data_type = None);
    alias
}

fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.into()))
}

fn field(json: &Expr, column: &str, of: &SqlType, function: &str) -> Expr {
    call(json_fields::NAME, vec![json.clone(), text(column), text(&of.name()), text(function)])
}

fn item(json: &Expr, column: &str, of: &SqlType, function: &str) -> SelectItem {
    SelectItem::ExprWithAlias { expr: field(json, column, of, function), alias: Ident::with_quote('"', column) }
}

fn element() -> Expr {
    Expr::CompoundIdentifier(vec![Ident::new(ELEMENT), Ident::new("value")])
}

/// The elements of an array as rows.
fn elements(json: &Expr, kind: &Kind) -> TableWithJoins {
    let list = if kind.binary { "plimsoll_jsonb_elements" } else { "plimsoll_json_elements" };
    let mut query = parse_query("SELECT 1 AS value").expect("it is SQL");
    if let SetExpr::Select(select) = query.body.as_mut() {
        let rows = call("unnest", vec![call(list, vec![json.clone()])]);
        let expr = call(casts::NAME, vec![rows, text(if kind.binary { "jsonb" } else { "json" })]);
        select.projection = vec![SelectItem::ExprWithAlias { expr, alias: Ident::new("value") }];
    }
    let alias = TableAlias { explicit: true, name: Ident::new(ELEMENT), columns: Vec::new(), at: None };
    let relation = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias), sample: None };
    TableWithJoins { relation, joins: Vec::new() }
}
