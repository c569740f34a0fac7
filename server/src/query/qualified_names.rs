//! `schema.table.column`: the schema must be that of a table in FROM. The engine does not look at it where the table has another.

use super::Scope;
use crate::catalog::names::{QualifiedName, fold};
use crate::catalog::pg_catalog::shapes;
use crate::error::{Result, SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Spanned, Statement, TableFactor, Visit, Visitor};
use std::ops::ControlFlow;

/// 42P01 where a name is qualified by a schema from which the statement reads no such table. Names of all levels count together.
pub fn check(scope: &Scope, statement: &Statement) -> Result<()> {
    let mut names = Names { scope, tables: Vec::new(), columns: Vec::new(), hidden: false };
    let _: ControlFlow<()> = statement.visit(&mut names);
    if names.hidden {
        return Ok(());
    }
    for (schema, table, span) in &names.columns {
        if !names.tables.iter().any(|(name, of)| name == table && of.as_ref() == Some(schema)) {
            let known = names.tables.iter().any(|(name, _)| name == table);
            let what = if known { "invalid reference to" } else { "missing" };
            let error = SqlError::new(SqlState::UNDEFINED_TABLE, format!("{what} FROM-clause entry for table \"{table}\""));
            return Err(error.at(*span));
        }
    }
    Ok(())
}

struct Names<'a> {
    scope: &'a Scope,
    /// What FROM calls tables; the schema of those that have no alias.
    tables: Vec<(String, Option<String>)>,
    /// Schema, table and place of each qualified column.
    columns: Vec<(String, String, datafusion::sql::sqlparser::tokenizer::Span)>,
    /// Whether a table of the server's own stands in FROM, under a name that no client wrote.
    hidden: bool,
}

impl Names<'_> {
    fn schema_of(&self, name: &ObjectName) -> Option<(String, Option<String>)> {
        let name = QualifiedName::from_ast(name, &self.scope.database).ok()?;
        let schema = match &name.schema {
            Some(schema) => Some(schema.clone()),
            None => match self.scope.view.catalog.find(&name, &self.scope.search_path) {
                Some(found) => Some(found.schema.to_string()),
                None => shapes::find("pg_catalog", &name.name).map(|_| "pg_catalog".to_string()),
            },
        };
        Some((name.name, schema))
    }
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| (fold(&cte.alias.name), None));
        self.tables.extend(with);
        ControlFlow::Continue(())
    }
    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, .. } if name.0.len() > 2 => self.hidden = true,
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => self.tables.push((fold(&alias.name), None)),
            TableFactor::Table { name, alias: None, .. } => self.tables.extend(self.schema_of(name)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [schema, table, _] | [_, schema, table, _] = parts.as_slice()
        {
            self.columns.push((fold(schema), fold(table), expr.span()));
        }
        ControlFlow::Continue(())
    }
}
