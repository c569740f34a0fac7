//! The tables about what belongs to a table: defaults, constraints, indexes, dependencies.

use super::{built_in, describe, expression_text, foreign_keys, oids, plain_indexes, relations};
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::{Constraint, TableDefinition};
use crate::query::Scope;
use crate::row;
use crate::types::SqlType;
use storage::ColumnId;

/// Columns and rows of a table of this file.
pub fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let made = match name {
        "pg_attrdef" => ("oid oid, adrelid oid, adnum smallint, adbin text", defaults(scope)),
        "pg_constraint" => (CONSTRAINT, constraints(scope)),
        "pg_index" => (INDEX, indexes(scope)),
        "pg_indexes" => ("schemaname name, tablename name, indexname name, tablespace name, indexdef text", index_views(scope)),
        _ => return None,
    };
    Some(made)
}

const CONSTRAINT: &str = "oid oid, conname name, connamespace oid, contype text, condeferrable boolean, condeferred boolean, \
    convalidated boolean, conrelid oid, contypid oid, conindid oid, conparentid oid, confrelid oid, confupdtype text, confdeltype text, \
    confmatchtype text, conislocal boolean, coninhcount integer, connoinherit boolean, conkey smallint[], confkey smallint[], \
    conpfeqop oid[], conppeqop oid[], conffeqop oid[], confdelsetcols smallint[], conexclop oid[], conbin text";

const INDEX: &str = "indexrelid oid, indrelid oid, indnatts smallint, indnkeyatts smallint, indisunique boolean, \
    indnullsnotdistinct boolean, indisprimary boolean, indisexclusion boolean, indimmediate boolean, indisclustered boolean, \
    indisvalid boolean, indcheckxmin boolean, indisready boolean, indislive boolean, indisreplident boolean, indkey smallint[], \
    indcollation oid[], indclass oid[], indoption smallint[], indexprs text, indpred text";

fn defaults(scope: &Scope) -> Vec<Row> {
    let tables = scope.view.catalog.all().filter_map(|found| found.relation().as_table());
    let of_table = |table: &TableDefinition| {
        let row = |column: &crate::catalog::ColumnDefinition| {
            let text = describe::default_text(table, column, &scope.search_path)?;
            Some(row![oids::default(table.oid, column.id), table.oid, column.id.0, text])
        };
        table.columns.iter().filter_map(row).collect::<Vec<_>>()
    };
    tables.flat_map(of_table).collect()
}

/// Numbers of columns.
pub fn numbers(columns: &[ColumnId]) -> Cell {
    Cell::from(columns.iter().map(|column| column.0).collect::<Vec<_>>())
}

fn constraints(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let numbers_of = oids::constraints(catalog);
    let row = |numbered: &oids::Numbered<'_>| {
        let (kind, index, columns, expression) = match numbered.constraint {
            Constraint::Foreign(key) => return foreign_keys::row(catalog, &numbers_of, numbered, key),
            Constraint::Unique { columns, primary, .. } => (if *primary { "p" } else { "u" }, numbered.oid, columns.clone(), None),
            Constraint::Check { expression, .. } => ("c", 0, describe::columns_in(numbered.table, expression), Some(expression)),
        };
        let schema = relations::schema_oid(catalog, numbered.found.schema);
        row![
            numbered.oid,
            numbered.constraint.name(),
            schema,
            kind,
            numbered.constraint.key_options().is_some_and(|options| options.deferrable),
            numbered.constraint.key_options().is_some_and(|options| options.deferred),
            true,
            numbered.table.oid,
            0,
            index,
            0,
            0,
            " ",
            " ",
            " ",
            true,
            0,
            kind != "c",
            numbers(&columns),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            expression
        ]
    };
    numbers_of.iter().map(row).collect()
}

fn indexes(scope: &Scope) -> Vec<Row> {
    let row = |numbered: oids::Numbered<'_>| {
        let Constraint::Unique { columns, primary, options, .. } = numbered.constraint else { return None };
        let definitions = || columns.iter().filter_map(|id| numbered.table.column_by_id(*id));
        let collations = definitions().map(|column| relations::collation(&column.sql_type));
        let classes = definitions().map(|column| operator_class(&column.sql_type));
        let all: Vec<ColumnId> = columns.iter().chain(&options.include).copied().collect();
        Some(row![
            numbered.oid,
            numbered.table.oid,
            all.len(),
            columns.len(),
            true,
            options.nulls_equal,
            *primary,
            false,
            !options.deferrable,
            false,
            true,
            false,
            true,
            true,
            false,
            numbers(&all),
            collations.collect::<Vec<_>>(),
            classes.collect::<Vec<_>>(),
            vec![0; columns.len()],
            Cell::Null,
            Cell::Null
        ])
    };
    let mut all: Vec<Row> = oids::indexes(&scope.view.catalog).into_iter().filter_map(row).collect();
    all.extend(plain_indexes::all(&scope.view.catalog).iter().map(recorded_index));
    all
}

/// The row of an index that CREATE INDEX made.
fn recorded_index(index: &plain_indexes::PlainIndex<'_>) -> Row {
    let (parts, included) = (index.parts(), index.included());
    let of =
        |value: fn(&SqlType) -> u32| parts.iter().map(|part| part.column.map_or(0, |column| value(&column.sql_type))).collect::<Vec<_>>();
    let expressions = parts.iter().filter(|part| part.column.is_none());
    let expressions: Vec<String> = expressions.map(|part| expression_text::alone(index.table, &part.expression(), false)).collect();
    let condition = index.condition().map(|condition| expression_text::condition(index.table, condition, false));
    row![
        index.oid,
        index.table.oid,
        parts.len() + included.len(),
        parts.len(),
        index.index.unique,
        index.nulls_equal(),
        false,
        false,
        true,
        false,
        true,
        false,
        true,
        true,
        false,
        parts.iter().chain(&included).map(|part| part.column.map_or(0, |column| column.id.0)).collect::<Vec<_>>(),
        of(relations::collation),
        of(operator_class),
        parts.iter().map(|part| part.options).collect::<Vec<_>>(),
        (!expressions.is_empty()).then(|| expressions.join(", ")),
        condition
    ]
}

/// The operator class by which an index sorts a type.
fn operator_class(sql_type: &SqlType) -> u32 {
    match sql_type {
        SqlType::Array(_) => built_in::operator_class(ANY_ARRAY),
        other => built_in::operator_class(other.oid()),
    }
}

/// The OID of the type `anyarray`.
const ANY_ARRAY: u32 = 2277;

fn index_views(scope: &Scope) -> Vec<Row> {
    let row = |numbered: oids::Numbered<'_>| {
        let (schema, table) = (numbered.found.schema, numbered.found.name);
        row![schema, table, numbered.constraint.name(), Cell::Null, describe::index_text(&numbered)]
    };
    let recorded =
        |index: plain_indexes::PlainIndex<'_>| row![index.found.schema, index.found.name, &index.index.name, Cell::Null, index.text(false)];
    let catalog = &scope.view.catalog;
    oids::indexes(catalog).into_iter().map(row).chain(plain_indexes::all(catalog).into_iter().map(recorded)).collect()
}
