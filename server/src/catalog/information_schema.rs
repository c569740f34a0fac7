//! `information_schema`: the standard's view of what `pg_catalog` says.

use super::built_table::{self, Cell, Row};
use super::pg_catalog::shapes::{self, Shape};
use super::pg_catalog::{describe, oids, ownership, relations, view_definition};
use super::provider::SYSTEM_SCHEMAS;
use super::temporary::{is_temporary, resolved};
use super::unique_key::KeyOptions;
use super::{ColumnDefinition, Constraint, Identity, Relation, lookup::Found};
use crate::access::acl::{self, Kind};
use crate::access::rights::kind_of;
use crate::access::role::SUPERUSER;
use crate::error::Result;
use crate::query::Scope;
use crate::row;
use crate::types::SqlType;
use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

mod grants;
mod references;

/// A table of the schema, as the statement sees it.
pub fn table(scope: &Scope, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let (columns, rows) = match name {
        "schemata" => (SCHEMATA, schemata(scope)),
        "tables" => (TABLES, tables(scope)),
        "columns" => (COLUMNS, columns(scope)),
        "views" => (VIEWS, views(scope)),
        "sequences" => (SEQUENCES, sequences(scope)),
        "table_constraints" => (TABLE_CONSTRAINTS, table_constraints(scope)),
        "key_column_usage" => (KEY_COLUMN_USAGE, key_columns(scope)),
        "constraint_column_usage" => (CONSTRAINT_COLUMN_USAGE, constraint_columns(scope)),
        "referential_constraints" => references::referential_constraints(scope),
        "check_constraints" => (CHECK_CONSTRAINTS, check_constraints(scope)),
        "information_schema_catalog_name" => ("catalog_name name", vec![row![&scope.database]]),
        "view_table_usage" => (VIEW_TABLE_USAGE, view_tables(scope)),
        "view_column_usage" => (VIEW_COLUMN_USAGE, view_columns(scope)),
        "element_types" => (ELEMENT_TYPES, element_types(scope)),
        "character_sets" => (
            "character_set_name name, character_repertoire name, form_of_use name, default_collate_catalog name, \
             default_collate_schema name, default_collate_name name",
            vec![row!["UTF8", "UCS", "UTF8", &scope.database, "pg_catalog", "C"]],
        ),
        other => grants::table(scope, other).unwrap_or_default(),
    };
    let Some(shape) = shapes::find("information_schema", name) else { return Ok(None) };
    built_table::shaped(shape, built_in(scope, shape)?, columns, rows, None).map(Some)
}

/// The rows of the built-in relations, made once for a database.
static BUILT_IN: LazyLock<Mutex<HashMap<(String, &'static str), RecordBatch>>> = LazyLock::new(Mutex::default);

fn built_in(scope: &Scope, shape: &'static Shape) -> Result<Option<RecordBatch>> {
    let (columns, rows): (_, fn(&Scope) -> Vec<Row>) = match shape.name {
        "tables" => (TABLES, built_in_tables),
        "columns" => (COLUMNS, built_in_columns),
        _ => return Ok(None),
    };
    let key = (scope.database.clone(), shape.name);
    if let Some(known) = BUILT_IN.lock().get(&key) {
        return Ok(Some(known.clone()));
    }
    let made = built_table::batch(shape, columns, rows(scope))?;
    BUILT_IN.lock().insert(key, made.clone());
    Ok(Some(made))
}

fn built_in_tables(scope: &Scope) -> Vec<Row> {
    let row = |shape: &Shape| table_row(scope, shape.schema, shape.name, if shape.kind == "r" { "BASE TABLE" } else { "VIEW" }, "NO");
    shapes::all().iter().map(row).collect()
}

fn built_in_columns(scope: &Scope) -> Vec<Row> {
    let of_one = |shape: &'static Shape| {
        let row = |((name, sql_type), number): (&(&str, SqlType), u32)| {
            column_row(scope, (shape.oid, shape.schema, shape.name), name, number, sql_type, None)
        };
        shape.columns.iter().zip(1..).map(row).collect::<Vec<_>>()
    };
    shapes::all().iter().flat_map(of_one).collect()
}

const SCHEMATA: &str = "catalog_name name, schema_name name, schema_owner name, default_character_set_catalog name, \
    default_character_set_schema name, default_character_set_name name, sql_path varchar";

fn schemata(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let rights = scope.rights();
    let usable = |oid: u32| rights.owns(oid) || rights.has_any(Kind::Schema, oid, Kind::Schema.all());
    let row = |name: &str, owner: String| row![&scope.database, name, owner, Cell::Null, Cell::Null, Cell::Null, Cell::Null];
    let own = catalog.schemas.iter().map(|(name, entry)| (name, entry.definition.oid)).filter(|(_, oid)| usable(*oid));
    let own = own.map(|(name, oid)| row(name, ownership::owner_name(catalog, oid)));
    own.chain(SYSTEM_SCHEMAS.map(|name| row(name, SUPERUSER.to_string()))).collect()
}

/// The relations that the reader may do anything with: the others are not shown.
fn accessible(scope: &Scope) -> impl Iterator<Item = Found<'_>> {
    let rights = scope.rights();
    scope.view.catalog.all().filter(move |found| {
        let (kind, oid) = (kind_of(found.relation()), found.relation().oid());
        if resolved(found.schema, &scope.search_path).is_none() {
            return false;
        }
        rights.owns(oid)
            || rights.has_any(kind, oid, kind.all())
            || acl::names(Kind::Column.all()).any(|(one, _)| rights.has_on_any_column(oid, one))
    })
}

const TABLES: &str = "table_catalog name, table_schema name, table_name name, table_type varchar, self_referencing_column_name name, \
    reference_generation varchar, user_defined_type_catalog name, user_defined_type_schema name, user_defined_type_name name, \
    is_insertable_into varchar(3), is_typed varchar(3), commit_action varchar";

fn tables(scope: &Scope) -> Vec<Row> {
    let row = |found: Found<'_>| {
        let (kind, insertable) = match found.relation() {
            Relation::Table(_) if is_temporary(found.schema) => ("LOCAL TEMPORARY", "YES"),
            Relation::Table(_) => ("BASE TABLE", "YES"),
            Relation::View(_) => ("VIEW", "NO"),
            Relation::Sequence(_) => return None,
        };
        Some(table_row(scope, found.schema, found.name, kind, insertable))
    };
    accessible(scope).filter_map(row).collect()
}

fn table_row(scope: &Scope, schema: &str, name: &str, kind: &str, insertable: &str) -> Row {
    let none = || Cell::Null;
    row![&scope.database, schema, name, kind, none(), none(), none(), none(), none(), insertable, "NO", none()]
}

const COLUMNS: &str = "table_catalog name, table_schema name, table_name name, column_name name, ordinal_position integer, \
    column_default varchar, is_nullable varchar(3), data_type varchar, character_maximum_length integer, character_octet_length integer, \
    numeric_precision integer, numeric_precision_radix integer, numeric_scale integer, datetime_precision integer, interval_type varchar, \
    interval_precision integer, character_set_catalog name, character_set_schema name, character_set_name name, collation_catalog name, \
    collation_schema name, collation_name name, domain_catalog name, domain_schema name, domain_name name, udt_catalog name, \
    udt_schema name, udt_name name, scope_catalog name, scope_schema name, scope_name name, maximum_cardinality integer, \
    dtd_identifier name, is_self_referencing varchar(3), is_identity varchar(3), identity_generation varchar, identity_start varchar, \
    identity_increment varchar, identity_maximum varchar, identity_minimum varchar, identity_cycle varchar(3), is_generated varchar, \
    generation_expression varchar, is_updatable varchar(3)";

fn columns(scope: &Scope) -> Vec<Row> {
    let mut all = Vec::new();
    for found in accessible(scope) {
        match found.relation() {
            Relation::Table(table) => all.extend(
                table
                    .columns
                    .iter()
                    .map(|column| column_row(scope, place(&found), &column.name, column.id.0, &column.sql_type, Some(column))),
            ),
            Relation::View(view) => all.extend(
                view.columns
                    .iter()
                    .zip(1..)
                    .map(|((name, sql_type), number)| column_row(scope, place(&found), name, number, sql_type, None)),
            ),
            Relation::Sequence(_) => {}
        }
    }
    all
}

/// OID, schema and name of a relation.
type Place<'a> = (u32, &'a str, &'a str);

fn place<'a>(found: &Found<'a>) -> Place<'a> {
    (found.relation().oid(), found.schema, found.name)
}

fn column_row(scope: &Scope, of: Place<'_>, name: &str, number: u32, sql_type: &SqlType, declared: Option<&ColumnDefinition>) -> Row {
    let (relation, schema, relation_name) = of;
    let database = &scope.database;
    let table = scope.view.catalog.by_oid(relation).and_then(|found| found.relation().as_table());
    let shown = declared.zip(table).and_then(|(column, table)| describe::default_text(table, column, &scope.search_path));
    let is_generated = declared.is_some_and(|column| column.generated.is_some());
    let (default, generation_expression) = if is_generated { (None, shown) } else { (shown, None) };
    let nullable = yes_or_no(!declared.is_some_and(|column| column.not_null));
    let (precision, radix, scale) = number_facts(sql_type);
    let identity = declared.and_then(|column| column.identity);
    let generation = identity.map(|identity| match identity {
        Identity::Always => "ALWAYS",
        Identity::ByDefault => "BY DEFAULT",
    });
    let sequence = identity
        .and(declared)
        .and_then(|column| scope.view.catalog.sequences_of(relation, Some(column.id)).next().map(|(_, sequence)| sequence));
    let updatable = yes_or_no(declared.is_some());
    row![
        database,
        schema,
        relation_name,
        name,
        number,
        default,
        nullable,
        base_name(sql_type),
        length(sql_type),
        octets(sql_type),
        precision,
        radix,
        scale,
        time_digits(sql_type, declared),
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        database,
        "pg_catalog",
        internal_name(sql_type),
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
        number.to_string(),
        "NO",
        yes_or_no(identity.is_some()),
        generation,
        sequence.map(|s| s.start.to_string()),
        sequence.map(|s| s.increment.to_string()),
        sequence.map(|s| s.max.to_string()),
        sequence.map(|s| s.min.to_string()),
        yes_or_no(sequence.is_some_and(|s| s.cycle)),
        if is_generated { "ALWAYS" } else { "NEVER" },
        generation_expression,
        updatable
    ]
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

/// A type's name without its modifiers.
fn base_name(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Array(_) => "ARRAY".into(),
        SqlType::Catalog(of_catalog) if of_catalog.element().is_some() => "ARRAY".into(),
        SqlType::Varchar(_) => "character varying".into(),
        SqlType::Char(_) => "character".into(),
        SqlType::Numeric(_) => "numeric".into(),
        other => other.name(),
    }
}

/// `pg_type.typname`
pub fn internal_name(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Boolean => "bool".into(),
        SqlType::Int2 => "int2".into(),
        SqlType::Int4 => "int4".into(),
        SqlType::Int8 => "int8".into(),
        SqlType::Float4 => "float4".into(),
        SqlType::Float8 => "float8".into(),
        SqlType::Numeric(_) => "numeric".into(),
        SqlType::Varchar(_) => "varchar".into(),
        SqlType::Char(_) => "bpchar".into(),
        SqlType::Time => "time".into(),
        SqlType::Timestamp => "timestamp".into(),
        SqlType::Timestamptz => "timestamptz".into(),
        SqlType::Array(element) => format!("_{}", internal_name(element.scalar())),
        SqlType::Catalog(of_catalog) => of_catalog.row().0.trim_matches('"').into(),
        other => other.name(),
    }
}

fn length(sql_type: &SqlType) -> Option<u32> {
    match sql_type {
        SqlType::Varchar(length) => *length,
        SqlType::Char(length) => Some(*length),
        _ => None,
    }
}

/// Bytes of the longest text: four for each character.
fn octets(sql_type: &SqlType) -> Option<u32> {
    match sql_type {
        SqlType::Text | SqlType::Varchar(None) => Some(1 << 30),
        other => length(other).map(|length| length.saturating_mul(4)),
    }
}

/// Precision, radix and scale of a number.
fn number_facts(sql_type: &SqlType) -> (Option<i32>, Option<i32>, Option<i32>) {
    match sql_type {
        SqlType::Int2 => (Some(16), Some(2), Some(0)),
        SqlType::Int4 => (Some(32), Some(2), Some(0)),
        SqlType::Int8 => (Some(64), Some(2), Some(0)),
        SqlType::Float4 => (Some(24), Some(2), None),
        SqlType::Float8 => (Some(53), Some(2), None),
        SqlType::Numeric(Some((precision, scale))) => (Some(i32::from(*precision)), Some(10), Some(i32::from(*scale))),
        SqlType::Numeric(None) => (None, Some(10), None),
        _ => (None, None, None),
    }
}

/// `datetime_precision`
fn time_digits(sql_type: &SqlType, declared: Option<&ColumnDefinition>) -> Option<i32> {
    if let Some(digits) = declared.and_then(|column| column.digits) {
        return Some(digits.into());
    }
    match sql_type {
        SqlType::Date => Some(0),
        SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz | SqlType::Interval => Some(6),
        _ => None,
    }
}

const VIEWS: &str = "table_catalog name, table_schema name, table_name name, view_definition varchar, check_option varchar, \
    is_updatable varchar(3), is_insertable_into varchar(3), is_trigger_updatable varchar(3), is_trigger_deletable varchar(3), \
    is_trigger_insertable_into varchar(3)";

fn views(scope: &Scope) -> Vec<Row> {
    let row = |found: Found<'_>| match found.relation() {
        Relation::View(view) => {
            // Only owners are shown the text.
            let text = scope.rights().owns(view.oid).then(|| view_definition::text(&scope.view.catalog, view, &scope.search_path));
            Some(row![&scope.database, found.schema, found.name, text, "NONE", "NO", "NO", "NO", "NO", "NO"])
        }
        _ => None,
    };
    accessible(scope).filter_map(row).collect()
}

const SEQUENCES: &str = "sequence_catalog name, sequence_schema name, sequence_name name, data_type varchar, numeric_precision integer, \
    numeric_precision_radix integer, numeric_scale integer, start_value varchar, minimum_value varchar, maximum_value varchar, \
    increment varchar, cycle_option varchar(3)";

/// As in PostgreSQL, without those that belong to an identity column.
fn sequences(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let internal = |owned_by: Option<(u32, storage::ColumnId)>| {
        let column = owned_by.and_then(|(table, column)| catalog.by_oid(table)?.relation().as_table()?.column_by_id(column));
        column.is_some_and(|column| column.identity.is_some())
    };
    let shown = relations::all_sequences(catalog).filter(|(_, sequence)| !internal(sequence.owned_by));
    let rights = scope.rights();
    let shown = shown.filter(|(_, s)| rights.owns(s.oid) || rights.has_any(Kind::Sequence, s.oid, Kind::Sequence.all()));
    let row = |(found, s): (Found<'_>, &super::SequenceDefinition)| {
        let sql_type = relations::sequence_type(s);
        let (precision, radix, scale) = number_facts(&sql_type);
        row![
            &scope.database,
            found.schema,
            found.name,
            sql_type.name(),
            precision,
            radix,
            scale,
            s.start.to_string(),
            s.min.to_string(),
            s.max.to_string(),
            s.increment.to_string(),
            yes_or_no(s.cycle)
        ]
    };
    shown.map(row).collect()
}

const VIEW_TABLE_USAGE: &str =
    "view_catalog name, view_schema name, view_name name, table_catalog name, table_schema name, table_name name";

/// Each view with what it reads.
fn reads(scope: &Scope) -> impl Iterator<Item = (Found<'_>, Found<'_>, &super::Dependency)> {
    let catalog = &scope.view.catalog;
    catalog.all().flat_map(move |found| {
        let read = match found.relation() {
            Relation::View(view) => view.depends_on.as_slice(),
            _ => &[],
        };
        read.iter().filter_map(move |dependency| Some((found, catalog.by_oid(dependency.relation)?, dependency)))
    })
}

fn view_tables(scope: &Scope) -> Vec<Row> {
    let database = &scope.database;
    reads(scope).map(|(view, read, _)| row![database, view.schema, view.name, database, read.schema, read.name]).collect()
}

const VIEW_COLUMN_USAGE: &str =
    "view_catalog name, view_schema name, view_name name, table_catalog name, table_schema name, table_name name, column_name name";

fn view_columns(scope: &Scope) -> Vec<Row> {
    let database = &scope.database;
    let of_one = |(view, read, dependency): (Found<'_>, Found<'_>, &super::Dependency)| {
        let table = read.relation().as_table().cloned();
        let names = dependency.columns.iter().filter_map(|id| table.as_ref()?.column_by_id(*id)).map(|column| column.name.clone());
        let row = |name| row![database, view.schema, view.name, database, read.schema, read.name, name];
        names.map(row).collect::<Vec<_>>()
    };
    reads(scope).flat_map(of_one).collect()
}

const ELEMENT_TYPES: &str = "object_catalog name, object_schema name, object_name name, object_type varchar, collection_type_identifier name, \
    data_type varchar, udt_catalog name, udt_schema name, udt_name name, dtd_identifier name";

/// What the arrays in tables are made of.
fn element_types(scope: &Scope) -> Vec<Row> {
    let tables = scope.view.catalog.all().filter_map(|found| Some((found, found.relation().as_table()?)));
    let of_one = |(found, table): (Found<'_>, &super::TableDefinition)| {
        let row = |column: &ColumnDefinition| {
            let SqlType::Array(element) = &column.sql_type else { return None };
            let (element, number, database) = (element.scalar(), column.id.0.to_string(), &scope.database);
            let part = format!("a{number}");
            let (name, internal) = (base_name(element), internal_name(element));
            Some(row![database, found.schema, found.name, "TABLE", number, name, database, "pg_catalog", internal, part])
        };
        table.columns.iter().filter_map(row).collect::<Vec<_>>()
    };
    tables.flat_map(of_one).collect()
}

const TABLE_CONSTRAINTS: &str = "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name, \
    table_schema name, table_name name, constraint_type varchar, is_deferrable varchar(3), initially_deferred varchar(3), \
    enforced varchar(3), nulls_distinct varchar(3)";

/// The name that PostgreSQL gives to the NOT NULL of a column: made of OIDs.
fn not_null_name(scope: &Scope, found: &Found<'_>, column: &ColumnDefinition) -> String {
    let schema = relations::schema_oid(&scope.view.catalog, found.schema);
    format!("{schema}_{}_{}_not_null", found.relation().oid(), column.id.0)
}

/// Each NOT NULL column with its place.
fn not_nulls(scope: &Scope) -> Vec<(Found<'_>, &ColumnDefinition)> {
    let tables = scope.view.catalog.all().filter_map(|found| Some((found, found.relation().as_table()?)));
    let each = tables.flat_map(|(found, table)| table.columns.iter().filter(|column| column.not_null).map(move |column| (found, column)));
    each.collect()
}

fn table_constraints(scope: &Scope) -> Vec<Row> {
    let row_of_key = |found: &Found<'_>, name: &str, kind: &str, options: &KeyOptions, distinct: Option<&str>| {
        let (database, schema) = (&scope.database, found.schema);
        let (deferrable, deferred) = (yes_or_no(options.deferrable), yes_or_no(options.deferred));
        row![database, schema, name, database, schema, found.name, kind, deferrable, deferred, "YES", distinct]
    };
    let row = |found: &Found<'_>, name: &str, kind: &str| row_of_key(found, name, kind, &KeyOptions::default(), None);
    let named = oids::constraints(&scope.view.catalog);
    let named = named.iter().map(|numbered| match numbered.constraint {
        Constraint::Unique { name, primary: true, options, .. } => row_of_key(&numbered.found, name, "PRIMARY KEY", options, None),
        Constraint::Unique { name, options, .. } => {
            row_of_key(&numbered.found, name, "UNIQUE", options, Some(if options.nulls_equal { "NO" } else { "YES" }))
        }
        Constraint::Check { name, .. } => row(&numbered.found, name, "CHECK"),
        Constraint::Foreign(key) => references::table_constraint(scope, &numbered.found, key),
    });
    let not_nulls = not_nulls(scope);
    let not_nulls = not_nulls.iter().map(|(found, column)| row(found, &not_null_name(scope, found, column), "CHECK"));
    named.chain(not_nulls).collect()
}

const KEY_COLUMN_USAGE: &str = "constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name, \
    table_schema name, table_name name, column_name name, ordinal_position integer, position_in_unique_constraint integer";

fn key_columns(scope: &Scope) -> Vec<Row> {
    let database = &scope.database;
    let mut all = Vec::new();
    for index in oids::indexes(&scope.view.catalog) {
        let Constraint::Unique { name, columns, .. } = index.constraint else { continue };
        let (schema, table) = (index.found.schema, index.found.name);
        let columns = columns.iter().filter_map(|id| index.table.column_by_id(*id)).zip(1..);
        all.extend(columns.map(|(column, at)| row![database, schema, name, database, schema, table, &column.name, at, Cell::Null]));
    }
    all.extend(references::key_columns(scope));
    all
}

const CONSTRAINT_COLUMN_USAGE: &str = "table_catalog name, table_schema name, table_name name, column_name name, \
    constraint_catalog name, constraint_schema name, constraint_name name";

fn constraint_columns(scope: &Scope) -> Vec<Row> {
    let database = &scope.database;
    let mut all = Vec::new();
    for numbered in oids::constraints(&scope.view.catalog) {
        let columns = match numbered.constraint {
            Constraint::Unique { columns, .. } => columns.clone(),
            Constraint::Check { expression, .. } => describe::columns_in(numbered.table, expression),
            Constraint::Foreign(key) => {
                all.extend(references::used_columns(scope, &numbered.found, key));
                continue;
            }
        };
        let (schema, table) = (numbered.found.schema, numbered.found.name);
        let columns = columns.iter().filter_map(|id| numbered.table.column_by_id(*id));
        all.extend(columns.map(|column| row![database, schema, table, &column.name, database, schema, numbered.constraint.name()]));
    }
    all
}

const CHECK_CONSTRAINTS: &str = "constraint_catalog name, constraint_schema name, constraint_name name, check_clause varchar";

fn check_constraints(scope: &Scope) -> Vec<Row> {
    let database = &scope.database;
    let named = oids::constraints(&scope.view.catalog);
    let named = named.iter().filter(|numbered| matches!(numbered.constraint, Constraint::Check { .. })).map(|numbered| {
        let text = describe::constraint_text(numbered.table, numbered.constraint, false);
        let clause = text.strip_prefix("CHECK ").unwrap_or(&text).to_string();
        row![database, numbered.found.schema, numbered.constraint.name(), clause]
    });
    let not_nulls = not_nulls(scope);
    let not_nulls = not_nulls
        .iter()
        .map(|(found, column)| row![database, found.schema, not_null_name(scope, found, column), format!("{} IS NOT NULL", column.name)]);
    named.chain(not_nulls).collect()
}
