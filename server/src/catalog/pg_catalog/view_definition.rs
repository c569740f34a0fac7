//! A view's query as text that means the same to whoever reads it: `pg_get_viewdef`, and with it pg_dump.
//!
//! 1. A relation that the reader's search path does not find, or finds elsewhere, gets its schema before it.
//! 2. A column that CREATE VIEW named otherwise than its query gets that name in the query.

use super::shapes;
use crate::catalog::names::{fold, quote};
use crate::catalog::{Catalog, ViewDefinition};
use crate::query::naming::name_of;
use crate::session::parse::parse_query;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// The query, with the blank and the semicolon that PostgreSQL puts around it.
pub fn text(catalog: &Catalog, view: &ViewDefinition, search_path: &[String]) -> String {
    let Ok(mut query) = parse_query(&view.query) else { return format!(" {};", view.query) };
    let mut hidden = Queries::default();
    let _: ControlFlow<()> = Visit::visit(&query, &mut hidden);
    let _: ControlFlow<()> = VisitMut::visit(&mut query, &mut Qualify { catalog, view, search_path, hidden: hidden.names });
    let names: Vec<&str> = view.columns.iter().map(|(name, _)| name.as_str()).collect();
    match leftmost(&mut query.body).is_some_and(|select| named_so(select, &names)) {
        true => format!(" {query};"),
        false => {
            let names: Vec<String> = names.iter().map(|name| quote(name)).collect();
            {
                let list = names.join(", ");
                format!(" SELECT {list} FROM ({query}) AS view_columns ({list});")
            }
        }
    }
}

/// The SELECT whose list names a query's columns.
fn leftmost(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => leftmost(left),
        _ => None,
    }
}

/// Gives the items the names of the view's columns; whether that can be done.
fn named_so(select: &mut Select, names: &[&str]) -> bool {
    let star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    if select.projection.len() != names.len() || select.projection.iter().any(star) {
        // A star alone has the names of what is beneath.
        return select.projection.len() == 1 && select.projection.iter().any(star);
    }
    for (item, name) in select.projection.iter_mut().zip(names) {
        let ident = || if quote(name) == *name { Ident::new(*name) } else { Ident::with_quote('"', *name) };
        match item {
            SelectItem::ExprWithAlias { alias, .. } if fold(alias) != *name => *alias = ident(),
            SelectItem::UnnamedExpr(expr) if name_of(expr) != *name => {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: ident() };
            }
            _ => {}
        }
    }
    true
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

struct Qualify<'a> {
    catalog: &'a Catalog,
    view: &'a ViewDefinition,
    search_path: &'a [String],
    hidden: BTreeSet<String>,
}

impl VisitorMut for Qualify<'_> {
    type Break = ();
    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if let [ObjectNamePart::Identifier(ident)] = relation.0.as_slice()
            && let Some(schema) = self.schema_of(&fold(ident))
        {
            let schema = if quote(&schema) == schema { Ident::new(schema) } else { Ident::with_quote('"', schema) };
            relation.0.insert(0, ObjectNamePart::Identifier(schema));
        }
        ControlFlow::Continue(())
    }
}

impl Qualify<'_> {
    /// The schema of a relation that the view names without one, if its reader needs it.
    fn schema_of(&self, name: &str) -> Option<String> {
        if self.hidden.contains(name) || shapes::find("pg_catalog", name).is_some() {
            return None;
        }
        let in_path = |path: &[String]| path.iter().find_map(|schema| self.catalog.get(schema, name)).map(|found| found.relation().oid());
        let schema = self.view.search_path.iter().find(|schema| self.catalog.get(schema, name).is_some())?;
        (in_path(self.search_path) != in_path(&self.view.search_path)).then(|| schema.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Entry, Relation, SequenceDefinition};
    use std::sync::Arc;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for (oid, schema) in [(1, "public"), (2, "s 1")] {
            let sequence =
                SequenceDefinition { oid, start: 1, increment: 1, min: 1, max: 9, cycle: false, cache: 1, owned_by: None, restart: None };
            let entry = Entry { version: None, definition: Arc::new(Relation::Sequence(sequence)) };
            catalog.relations.insert((schema.into(), "t".into()), entry);
        }
        catalog
    }

    fn shown(query: &str, names: &[&str], made_in: &[&str], read_in: &[&str]) -> String {
        let path = |path: &[&str]| path.iter().map(|schema| (*schema).to_string()).collect::<Vec<_>>();
        let columns = names.iter().map(|name| ((*name).to_string(), crate::types::SqlType::Int4)).collect();
        let search_path = path(made_in);
        let view = ViewDefinition { oid: 9, query: query.into(), columns, search_path, depends_on: Vec::new(), options: Vec::new() };
        text(&catalog(), &view, &path(read_in))
    }

    #[test]
    fn relations_are_found_by_every_reader() {
        let query = "SELECT a FROM t WHERE t.a > 0";
        assert_eq!(shown(query, &["a"], &["public"], &["public"]), " SELECT a FROM t WHERE t.a > 0;");
        assert_eq!(shown(query, &["a"], &["public"], &[]), " SELECT a FROM public.t WHERE t.a > 0;");
        assert_eq!(shown(query, &["a"], &["s 1"], &["public"]), " SELECT a FROM \"s 1\".t WHERE t.a > 0;");
        let with = "WITH t AS (SELECT 1 AS a) SELECT a FROM t";
        assert_eq!(shown(with, &["a"], &["public"], &[]), format!(" {with};"));
    }

    #[test]
    fn columns_have_the_names_of_the_view() {
        assert_eq!(shown("SELECT a, b AS c FROM u", &["a", "D"], &[], &[]), " SELECT a, b AS \"D\" FROM u;");
        assert_eq!(shown("SELECT 1 UNION SELECT 2", &["x"], &[], &[]), " SELECT 1 AS x UNION SELECT 2;");
        assert_eq!(shown("VALUES (1, 2)", &["x", "y"], &[], &[]), " SELECT x, y FROM (VALUES (1, 2)) AS view_columns (x, y);");
    }
}
