//! Names of system columns in a statement: the tables that they are of show them, for this statement, and `*` still does not.
//!
//! 1. A name with a table's before it is of the table so called; a plain one, of the tables of its own SELECT.
//! 2. These tables are read under [`system_columns::CATALOG`], where they have the columns.
//! 3. `*` over them leaves the columns out.
//!
//! What is no table (a view, a query, WITH's) has no such columns; one of that name that it shows is its own.

use super::{ROWS_CATALOG, Scope};
use crate::catalog::names::{QualifiedName, fold};
use crate::catalog::pg_catalog::shapes;
use crate::catalog::provider::SEARCH_PATH_SCHEMA;
use crate::catalog::{Relation, system_columns};
use crate::error::{Result, SqlError};
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableAlias, TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Makes the tables of a statement show the system columns that it names.
pub fn expose(scope: &Scope, statement: &mut Statement) {
    if named_in(statement) {
        let mut queries = Queries::default();
        let _: ControlFlow<()> = Visit::visit(&*statement, &mut queries);
        let _: ControlFlow<()> = VisitMut::visit(statement, &mut Expose { scope, queries: queries.names });
    }
}

/// 0A000 where a list that is evaluated on rows which are in no table yet names a system column.
pub fn refuse(statement: &Statement) -> Result<()> {
    if named_in(statement) { Err(SqlError::unsupported("RETURNING of a system column")) } else { Ok(()) }
}

fn named_in(statement: &Statement) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if system_column(expr).is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Find).is_break()
}

/// What stands before the name of a system column, if it is one: `Some(None)` for a plain one.
fn system_column(expr: &Expr) -> Option<Option<String>> {
    match expr {
        Expr::Identifier(ident) if system_columns::is(&fold(ident)) => Some(None),
        Expr::CompoundIdentifier(parts) => {
            let (last, before) = parts.split_last()?;
            system_columns::is(&fold(last)).then(|| before.last().map(fold))
        }
        _ => None,
    }
}

/// The names of WITH queries, which hide tables.
#[derive(Default)]
struct Queries {
    names: BTreeSet<String>,
}

impl Visitor for Queries {
    type Break = ();
    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.names.extend(query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| fold(&cte.alias.name)));
        ControlFlow::Continue(())
    }
}

/// The system columns that a SELECT names.
#[derive(Default)]
struct Named {
    depth: usize,
    plain: bool,
    of: BTreeSet<String>,
}

impl Visitor for Named {
    type Break = ();
    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match system_column(expr) {
            Some(Some(table)) => {
                self.of.insert(table);
            }
            Some(None) => self.plain |= self.depth == 0,
            None => {}
        }
        ControlFlow::Continue(())
    }
}

struct Expose<'a> {
    scope: &'a Scope,
    queries: BTreeSet<String>,
}

impl VisitorMut for Expose<'_> {
    type Break = ();
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut named = Named::default();
        if let SetExpr::Select(_) = query.body.as_ref() {
            let _ = Visit::visit(&query.order_by, &mut named);
        }
        self.body(&mut query.body, named);
        ControlFlow::Continue(())
    }
}

impl Expose<'_> {
    fn body(&self, body: &mut SetExpr, named: Named) {
        match body {
            SetExpr::Select(select) => self.select(select, named),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, Named::default());
                self.body(right, Named::default());
            }
            _ => {}
        }
    }

    fn select(&self, select: &mut Select, mut named: Named) {
        let _ = Visit::visit(&*select, &mut named);
        let mut factors = Vec::new();
        select.from.iter_mut().for_each(|table| self.mark(table, &named, &mut factors));
        if factors.iter().any(|factor| factor.shows) {
            let items = std::mem::take(&mut select.projection);
            select.projection = items.into_iter().flat_map(|item| without_system_columns(item, &factors)).collect();
        }
    }

    fn mark(&self, table: &mut TableWithJoins, named: &Named, factors: &mut Vec<Factor>) {
        for factor in std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation)) {
            if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
                self.mark(table_with_joins, named, factors);
                continue;
            }
            let visible = visible_name(factor);
            let wanted = named.plain || visible.as_ref().is_some_and(|name| named.of.contains(&fold(name)));
            let shows = wanted && self.show(factor);
            factors.push(Factor { name: visible, shows });
        }
    }

    /// Puts the table in the place where it shows its system columns; whether there is such a place.
    fn show(&self, factor: &mut TableFactor) -> bool {
        let visible = visible_name(factor);
        let TableFactor::Table { name, args: None, alias, .. } = factor else { return false };
        let shown = match name.0.as_slice() {
            [rows, schema, table] if is_called(rows, ROWS_CATALOG) => [part(system_columns::ROWS_CATALOG), schema.clone(), table.clone()],
            [.., last] if self.is_table(name) => {
                let schema = name.0.len().checked_sub(2).map_or_else(|| part(SEARCH_PATH_SCHEMA), |at| name.0[at].clone());
                [part(system_columns::CATALOG), schema, last.clone()]
            }
            _ => return false,
        };
        *name = ObjectName(shown.into());
        if alias.is_none() {
            *alias = visible.map(|name| TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
        true
    }

    fn is_table(&self, name: &ObjectName) -> bool {
        let Ok(name) = QualifiedName::from_ast(name, &self.scope.database) else { return false };
        if name.schema.is_none() && self.queries.contains(&name.name) {
            return false;
        }
        if name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
            && let Some(shape) = shapes::find("pg_catalog", &name.name)
        {
            return shape.kind == "r";
        }
        let found = self.scope.view.catalog.find(&name, &self.scope.search_path);
        found.is_some_and(|found| matches!(found.relation(), Relation::Table(_)))
    }
}

/// Something in FROM.
struct Factor {
    /// The name by which columns are said to be of it.
    name: Option<Ident>,
    /// Whether it shows its system columns.
    shows: bool,
}

fn visible_name(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => name.0.last().and_then(ObjectNamePart::as_ident).cloned(),
        _ => None,
    }
}

fn part(name: &str) -> ObjectNamePart {
    ObjectNamePart::Identifier(Ident::with_quote('"', name))
}

fn is_called(part: &ObjectNamePart, name: &str) -> bool {
    part.as_ident().is_some_and(|ident| ident.value == name)
}

/// `*` and `t.*` leave out what they would not show otherwise.
fn without_system_columns(item: SelectItem, factors: &[Factor]) -> Vec<SelectItem> {
    match item {
        SelectItem::Wildcard(_) if factors.iter().all(|factor| factor.name.is_some()) => {
            let of_one = |factor: &Factor| factor.name.clone().map(|name| qualified(ObjectName::from(name), factor.shows));
            factors.iter().filter_map(of_one).collect()
        }
        SelectItem::Wildcard(_) => vec![SelectItem::Wildcard(excluding())],
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
            let wanted = name.0.last().and_then(ObjectNamePart::as_ident).map(fold);
            let showing = factors.iter().find(|factor| factor.shows && factor.name.as_ref().map(fold) == wanted);
            match showing.and_then(|factor| factor.name.clone()) {
                Some(shown) => vec![qualified(ObjectName::from(shown), true)],
                None => vec![SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)],
            }
        }
        other => vec![other],
    }
}

fn qualified(name: ObjectName, shows: bool) -> SelectItem {
    let options = if shows { excluding() } else { WildcardAdditionalOptions::default() };
    SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
}

fn excluding() -> WildcardAdditionalOptions {
    let names = system_columns::COLUMNS.iter().map(|(name, _)| ObjectName::from(Ident::new(*name)));
    WildcardAdditionalOptions { opt_exclude: Some(ExcludeSelectItem::Multiple(names.collect())), ..Default::default() }
}
