//! `FROM t x(a, b)` where t has more columns: those that the alias does not name keep their names.

use super::Scope;
use crate::catalog::Relation;
use crate::catalog::names::QualifiedName;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Completes the lists of columns of aliases of tables, views and VALUES.
pub fn complete(scope: &Scope, statement: &mut Statement) {
    let mut named = Named::default();
    let _: ControlFlow<()> = Visit::visit(statement, &mut named);
    if named.lists {
        let _: ControlFlow<()> = VisitMut::visit(statement, &mut Completion { scope, queries: named.queries });
    }
}

/// Whether there is such a list at all, and the names of WITH queries, which hide tables.
#[derive(Default)]
struct Named {
    lists: bool,
    queries: BTreeSet<String>,
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.queries.extend(query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } = factor {
            self.lists |= !alias.columns.is_empty();
        }
        ControlFlow::Continue(())
    }
}

struct Completion<'a> {
    scope: &'a Scope,
    queries: BTreeSet<String>,
}

impl VisitorMut for Completion<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, alias: Some(alias), args: None, .. } if !alias.columns.is_empty() => {
                append(alias, self.columns(name).unwrap_or_default());
            }
            TableFactor::Derived { subquery, alias: Some(alias), .. } if !alias.columns.is_empty() => {
                append(alias, values_columns(subquery).unwrap_or_default());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Completion<'_> {
    /// The columns of a table or view.
    fn columns(&self, name: &ObjectName) -> Option<Vec<String>> {
        let name = QualifiedName::from_ast(name, &self.scope.database).ok()?;
        if name.schema.is_none() && self.queries.contains(&name.name.to_lowercase()) {
            return None;
        }
        let found = self.scope.view.catalog.find(&name, &self.scope.search_path)?;
        match found.relation() {
            Relation::Table(table) => Some(table.columns.iter().map(|column| column.name.clone()).collect()),
            Relation::View(view) => Some(view.columns.iter().map(|(name, _)| name.clone()).collect()),
            Relation::Sequence(_) => None,
        }
    }
}

fn values_columns(query: &Query) -> Option<Vec<String>> {
    let SetExpr::Values(values) = query.body.as_ref() else { return None };
    Some((1..=values.rows.first()?.len()).map(|number| format!("column{number}")).collect())
}

/// Adds the names behind those that the alias has.
fn append(alias: &mut TableAlias, all: Vec<String>) {
    let rest = all.into_iter().skip(alias.columns.len());
    alias.columns.extend(rest.map(|name| TableAliasColumnDef { name: Ident::with_quote('"', name), data_type: None }));
}
