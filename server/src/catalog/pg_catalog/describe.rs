//! Definitions as SQL text: what `pg_get_viewdef` and its like print.

use super::{expression_text, foreign_keys, oids, view_definition};
use crate::catalog::names::{QualifiedName, literal, quote, quote_qualified};
use crate::catalog::unique_key::KeyOptions;
use crate::catalog::{Catalog, ColumnDefinition, Constraint, Relation, TableDefinition};
use crate::ddl::expressions::nextval_argument;
use storage::ColumnId;

/// The query of a view, for whoever has this search path.
pub fn view(catalog: &Catalog, oid: u32, search_path: &[String]) -> Option<String> {
    match catalog.by_oid(oid)?.relation() {
        Relation::View(view) => Some(view_definition::text(catalog, view, search_path)),
        _ => None,
    }
}

/// A constraint as ALTER TABLE ... ADD has it, for whoever has this search path; `pretty` leaves out parentheses.
pub fn constraint(catalog: &Catalog, oid: u32, pretty: bool, search_path: &[String]) -> Option<String> {
    let numbered = oids::constraint(catalog, oid)?;
    match numbered.constraint {
        Constraint::Foreign(key) => foreign_keys::text(catalog, numbered.table, key, search_path),
        constraint => Some(constraint_text(numbered.table, constraint, pretty)),
    }
}

/// See [`constraint`]; a foreign key says nothing without its catalog.
pub fn constraint_text(table: &TableDefinition, constraint: &Constraint, pretty: bool) -> String {
    match constraint {
        Constraint::Unique { columns, primary, options, .. } => {
            let nulls = if options.nulls_equal { " NULLS NOT DISTINCT" } else { "" };
            let kind = if *primary { "PRIMARY KEY" } else { "UNIQUE" };
            format!("{kind}{nulls} ({}){}{}", columns_text(table, columns), included_text(table, options), deferrable_text(options))
        }
        Constraint::Check { expression, .. } => format!("CHECK ({})", expression_text::condition(table, expression, pretty)),
        Constraint::Foreign(_) => String::new(),
    }
}

fn included_text(table: &TableDefinition, options: &KeyOptions) -> String {
    match options.include.is_empty() {
        true => String::new(),
        false => format!(" INCLUDE ({})", columns_text(table, &options.include)),
    }
}

fn deferrable_text(options: &KeyOptions) -> &'static str {
    match (options.deferrable, options.deferred) {
        (true, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        (false, _) => "",
    }
}

/// The index behind a unique constraint, or with a number above 0 one of its columns.
pub fn index(catalog: &Catalog, oid: u32, column: usize) -> Option<String> {
    let numbered = oids::constraint(catalog, oid)?;
    let Constraint::Unique { columns, options, .. } = numbered.constraint else { return None };
    if column == 0 {
        return Some(index_text(&numbered));
    }
    let definition = columns.iter().chain(&options.include).nth(column - 1).and_then(|id| numbered.table.column_by_id(*id))?;
    Some(quote(&definition.name))
}

/// CREATE INDEX for the index behind a constraint.
pub fn index_text(numbered: &oids::Numbered<'_>) -> String {
    let Constraint::Unique { name, columns, options, .. } = numbered.constraint else { return String::new() };
    let columns = columns_text(numbered.table, columns);
    let included = included_text(numbered.table, options);
    let nulls = if options.nulls_equal { " NULLS NOT DISTINCT" } else { "" };
    format!("CREATE UNIQUE INDEX {} ON {} USING btree ({columns}){included}{nulls}", quote(name), numbered.found.quoted())
}

/// Names of columns.
pub fn columns_text(table: &TableDefinition, columns: &[ColumnId]) -> String {
    let names = columns.iter().filter_map(|id| table.column_by_id(*id)).map(|column| quote(&column.name));
    names.collect::<Vec<_>>().join(", ")
}

/// The columns that a condition names, in their order.
pub fn columns_in(table: &TableDefinition, expression: &str) -> Vec<ColumnId> {
    let names = crate::ddl::expressions::columns_of_text(expression).unwrap_or_default();
    table.columns.iter().filter(|column| names.contains(&column.name)).map(|column| column.id).collect()
}

/// A column's DEFAULT as stored; an identity column has none to show.
pub fn shown_default(column: &ColumnDefinition) -> Option<&str> {
    column.default.as_deref().filter(|_| column.identity.is_none())
}

/// A column's DEFAULT as PostgreSQL prints it.
pub fn default_text(column: &ColumnDefinition, search_path: &[String]) -> Option<String> {
    let text = shown_default(column)?;
    if let Some(sequence) = nextval_argument(text).and_then(|name| QualifiedName::from_text(&name).ok()) {
        let name = match &sequence.schema {
            Some(schema) if !search_path.contains(schema) => quote_qualified(schema, &sequence.name),
            _ => quote(&sequence.name),
        };
        return Some(format!("nextval({}::regclass)", literal(&name)));
    }
    Some(expression_text::default(text, &column.sql_type))
}
