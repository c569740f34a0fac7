//! A WITH query that has the name of one around it hides it: it gets a name of its own.

use super::simple_name;
use crate::catalog::names::fold;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Query, TableAlias, TableFactor, VisitMut, VisitorMut, With};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Renames from the inside out, so that what an inner query hides is already out of the way.
#[derive(Default)]
pub struct Apart {
    /// Names defined by the queries around, outermost first.
    around: Vec<Vec<String>>,
    renamed: usize,
}

impl VisitorMut for Apart {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let names = query.with.as_ref().map(names).unwrap_or_default();
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            let message = format!("WITH query name \"{twice}\" specified more than once");
            return ControlFlow::Break(SqlError::new(SqlState("42712"), message));
        }
        self.around.push(names);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let own = self.around.pop().unwrap_or_default();
        for (position, name) in own.iter().enumerate() {
            if self.around.iter().flatten().any(|outer| outer == name) {
                self.renamed += 1;
                rename(query, position, name, &format!("{name}\u{1}{}", self.renamed));
            }
        }
        ControlFlow::Continue(())
    }
}

fn names(with: &With) -> Vec<String> {
    with.cte_tables.iter().map(|cte| fold(&cte.alias.name)).collect()
}

/// Renames the query at a position of WITH, where it is defined and where it can be seen.
fn rename(query: &mut Query, position: usize, from: &str, to: &str) {
    let mut references = References { from, to };
    let Some(mut with) = query.with.take() else { return };
    let _: ControlFlow<()> = VisitMut::visit(query, &mut references);
    let recursive = with.recursive;
    for (at, cte) in with.cte_tables.iter_mut().enumerate() {
        if at > position || recursive {
            let _: ControlFlow<()> = VisitMut::visit(&mut cte.query, &mut references);
        }
    }
    with.cte_tables[position].alias.name = Ident::with_quote('"', to);
    query.with = Some(with);
}

struct References<'a> {
    from: &'a str,
    to: &'a str,
}

impl VisitorMut for References<'_> {
    type Break = ();
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: None, alias, .. } = factor
            && simple_name(name).is_some_and(|name| fold(name) == self.from)
        {
            let shown = TableAlias { explicit: true, name: Ident::with_quote('"', self.from), columns: Vec::new(), at: None };
            alias.get_or_insert(shown);
            *name = ObjectName::from(vec![Ident::with_quote('"', self.to)]);
        }
        ControlFlow::Continue(())
    }
}
