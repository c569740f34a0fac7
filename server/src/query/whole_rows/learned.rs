//! The columns of what stands in FROM, found out by planning it.
//!
//! A table of the catalog is looked up. Anything else is planned alone, or, where it looks sideways or outwards, within all that it can see.

use super::frames::qualifier;
use crate::catalog::Relation;
use crate::catalog::names::{QualifiedName, fold};
use crate::query::Scope;
use crate::session::parse::parse_query;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableFactor,
    TableWithJoins, Visit, Visitor, With,
};
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

/// What an item is called that stands for all that is within it.
const WITHIN: &str = "__within";

/// Columns of table factors, by their text.
#[derive(Clone, Default)]
pub struct Learned(HashMap<String, Vec<String>>);

impl Learned {
    /// The columns of a factor, if they could be found out.
    pub fn columns(&self, factor: &TableFactor) -> Option<Vec<String>> {
        self.0.get(&factor.to_string()).cloned()
    }
}

/// Finds out the columns of all factors of a statement that are not known yet.
pub async fn learn(scope: &Scope, statement: &Statement, known: Learned) -> Learned {
    let mut wanted = Wanted { scope, withs: Vec::new(), around: Vec::new(), learned: known, queries: Vec::new() };
    let _: ControlFlow<()> = statement.visit(&mut wanted);
    let Wanted { mut learned, queries, .. } = wanted;
    for (text, queries) in queries {
        // Among the tables around it the factor is met again: there it has no columns.
        learned.0.insert(text.clone(), Vec::new());
        let mut found = None;
        for query in queries {
            found = Box::pin(scope.columns_of(Statement::Query(Box::new(query)), learned.clone())).await;
            if found.is_some() {
                break;
            }
        }
        match found {
            Some(columns) => learned.0.insert(text, columns),
            None => learned.0.remove(&text),
        };
    }
    learned
}

struct Wanted<'a> {
    scope: &'a Scope,
    withs: Vec<Option<With>>,
    /// FROM of the SELECTs around.
    around: Vec<Vec<TableWithJoins>>,
    learned: Learned,
    queries: Vec<(String, Vec<Query>)>,
}

impl Visitor for Wanted<'_> {
    type Break = ();
    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.withs.push(query.with.clone());
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.withs.pop();
        ControlFlow::Continue(())
    }
    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.around.push(select.from.clone());
        select.from.iter().for_each(|table| self.want_joined(table));
        ControlFlow::Continue(())
    }
    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<()> {
        self.around.pop();
        ControlFlow::Continue(())
    }
}

impl Wanted<'_> {
    fn want_joined(&mut self, table: &TableWithJoins) {
        for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            match factor {
                TableFactor::NestedJoin { table_with_joins, alias: None } => self.want_joined(table_with_joins),
                factor => self.want(factor),
            }
        }
    }

    fn want(&mut self, factor: &TableFactor) {
        let text = factor.to_string();
        let of_around = qualifier(factor).is_some_and(|name| name.value == WITHIN);
        if self.learned.0.contains_key(&text) || self.queries.iter().any(|(wanted, _)| *wanted == text) {
            return;
        }
        if let Some(columns) = if of_around { Some(Vec::new()) } else { self.of_table(factor) } {
            self.learned.0.insert(text, columns);
            return;
        }
        let mut queries = vec![self.query(&[all()], vec![alone(factor)])];
        if looks_around(factor)
            && let Some(qualifier) = qualifier(factor)
        {
            queries.extend(self.within_all(&qualifier));
        }
        self.queries.push((text, queries));
    }

    /// The columns of a table or view of the catalog under its own names.
    fn of_table(&self, factor: &TableFactor) -> Option<Vec<String>> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
        if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
            return None;
        }
        let name = QualifiedName::from_ast(name, &self.scope.database).ok()?;
        let with_names: BTreeSet<String> =
            self.withs.iter().flatten().flat_map(|with| &with.cte_tables).map(|cte| fold(&cte.alias.name)).collect();
        if name.schema.is_none() && with_names.contains(&name.name) {
            return None;
        }
        match self.scope.view.catalog.find(&name, &self.scope.search_path)?.relation() {
            Relation::Table(table) => Some(table.columns.iter().map(|column| column.name.clone()).collect()),
            Relation::View(_) | Relation::Sequence(_) => None,
        }
    }

    /// The factor among the tables beside it, and these beside those around: each FROM is an item of the one around it.
    fn within_all(&self, factor: &Ident) -> Option<Query> {
        let (inner, around) = self.around.split_last()?;
        let mut query = self.query(&[of(factor)], inner.clone());
        for from in around.iter().rev() {
            let alias = TableAlias { explicit: true, name: Ident::new(WITHIN), columns: Vec::new(), at: None };
            let item = TableFactor::Derived { lateral: true, subquery: Box::new(query), alias: Some(alias), sample: None };
            let from = from.iter().cloned().chain([alone(&item)]).collect();
            query = self.query(&[of(&Ident::new(WITHIN))], from);
        }
        Some(query)
    }

    fn query(&self, items: &[SelectItem], from: Vec<TableWithJoins>) -> Query {
        let mut query = parse_query("SELECT * FROM t").expect("it is SQL");
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = items.to_vec();
            select.from = from;
        }
        let mut withs = self.withs.iter().flatten().cloned();
        if let Some(mut with) = withs.next() {
            for inner in withs {
                with.recursive |= inner.recursive;
                with.cte_tables.extend(inner.cte_tables);
            }
            query.with = Some(with);
        }
        query
    }
}

fn alone(factor: &TableFactor) -> TableWithJoins {
    TableWithJoins { relation: factor.clone(), joins: Vec::new() }
}

fn all() -> SelectItem {
    SelectItem::Wildcard(Default::default())
}

fn of(table: &Ident) -> SelectItem {
    let name = ObjectName::from(vec![table.clone()]);
    SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), Default::default())
}

/// Whether a factor may name columns of others.
fn looks_around(factor: &TableFactor) -> bool {
    !matches!(factor, TableFactor::Table { args: None, .. })
}
