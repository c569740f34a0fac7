//! `pg_catalog`: what exists here from the view, with its stable OIDs; what is PostgreSQL's own (types, operators) from the crate's tables;
//! what this server does not have, as empty tables.

use super::built_table;
use crate::error::Result;
use crate::query::Scope;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use datafusion::catalog::TableProvider;
use datafusion_pg_catalog::pg_catalog::{ArrowTable, PgCatalogStaticTables};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub mod constraints;
pub mod describe;
pub mod empty;
pub mod expression_text;
pub mod oids;
pub mod relations;
pub mod server;
pub mod type_names;

/// OIDs of the built-in schemas, in the order of [`super::provider::SYSTEM_SCHEMAS`]; the first is PostgreSQL's own.
pub const SYSTEM_SCHEMA_OIDS: [u32; 3] = [11, 13_000, 13_001];

/// The OID of the superuser, PostgreSQL's own.
pub const OWNER_OID: u32 = 10;

static STATIC: LazyLock<Option<PgCatalogStaticTables>> = LazyLock::new(|| PgCatalogStaticTables::try_new().ok());

/// A table of the schema, as the statement sees it.
pub fn table(scope: &Scope, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    if let Some(columns) = empty::columns(name) {
        return built_table::table(columns, Vec::new()).map(Some);
    }
    if let Some((columns, rows)) =
        relations::table(scope, name).or_else(|| constraints::table(scope, name)).or_else(|| server::table(scope, name))
    {
        return built_table::table(columns, rows).map(Some);
    }
    from_crate(name)
}

/// Tables that are the same in every PostgreSQL.
fn from_crate(name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(tables) = STATIC.as_ref() else { return Ok(None) };
    let table: &Arc<ArrowTable> = match name {
        "pg_type" => &tables.pg_type,
        "pg_am" => &tables.pg_am,
        "pg_aggregate" => &tables.pg_aggregate,
        "pg_cast" => &tables.pg_cast,
        "pg_conversion" => &tables.pg_conversion,
        "pg_proc" => &tables.pg_proc,
        "pg_opclass" => &tables.pg_opclass,
        "pg_operator" => &tables.pg_operator,
        "pg_opfamily" => &tables.pg_opfamily,
        "pg_range" => &tables.pg_range,
        "pg_collation" => &tables.pg_collation,
        "pg_language" => &tables.pg_language,
        "pg_ts_config" => &tables.pg_ts_config,
        "pg_ts_dict" => &tables.pg_ts_dict,
        "pg_ts_parser" => &tables.pg_ts_parser,
        "pg_ts_template" => &tables.pg_ts_template,
        _ => return Ok(None),
    };
    Ok(Some(table.try_into_memtable()?))
}

static TYPE_NAMES: LazyLock<BTreeMap<u32, String>> = LazyLock::new(|| {
    let batches = STATIC.as_ref().map_or(&[][..], |tables| tables.pg_type.data());
    batches.iter().flat_map(names_by_oid).collect()
});

fn names_by_oid(batch: &RecordBatch) -> Vec<(u32, String)> {
    let (Some(oids), Some(names)) = (batch.column_by_name("oid"), batch.column_by_name("typname")) else { return Vec::new() };
    let (Some(oids), Some(names)) = (oids.as_primitive_opt::<Int32Type>(), names.as_string_opt::<i32>()) else { return Vec::new() };
    let pairs = oids.iter().zip(names.iter());
    pairs.filter_map(|(oid, name)| Some((u32::try_from(oid?).ok()?, name?.to_string()))).collect()
}

/// `pg_type.typname` of a type of PostgreSQL's.
pub fn type_name(oid: u32) -> Option<&'static str> {
    TYPE_NAMES.get(&oid).map(String::as_str)
}

/// OIDs of PostgreSQL's own catalogs, which clients name in `'pg_class'::regclass`.
pub const CATALOG_OIDS: [(&str, u32); 20] = [
    ("pg_type", 1247),
    ("pg_attribute", 1249),
    ("pg_proc", 1255),
    ("pg_class", 1259),
    ("pg_authid", 1260),
    ("pg_database", 1262),
    ("pg_tablespace", 1213),
    ("pg_am", 2601),
    ("pg_attrdef", 2604),
    ("pg_constraint", 2606),
    ("pg_description", 2609),
    ("pg_index", 2610),
    ("pg_language", 2612),
    ("pg_namespace", 2615),
    ("pg_operator", 2617),
    ("pg_rewrite", 2618),
    ("pg_trigger", 2620),
    ("pg_collation", 3456),
    ("pg_extension", 3079),
    ("pg_policy", 3256),
];
