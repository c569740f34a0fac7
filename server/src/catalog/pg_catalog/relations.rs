//! The tables about relations and their columns: `pg_namespace`, `pg_class`, `pg_attribute`, sequences, and the views over them.

use super::{OWNER_OID, SYSTEM_SCHEMA_OIDS, describe, oids, ownership, plain_indexes, view_definition};
use crate::access::acl::{self, Kind, ObjectAccess, PUBLIC_SCHEMA_OID};
use crate::access::role::SUPERUSER;
use crate::catalog::built_table::{Cell, Row};
use crate::catalog::lookup::{Found, SEQUENCE_COLUMN_NAMES};
use crate::catalog::provider::SYSTEM_SCHEMAS;
use crate::catalog::system_columns;
use crate::catalog::temporary::is_temporary;
use crate::catalog::{Catalog, ColumnDefinition, Constraint, Identity, Relation, SequenceDefinition, TableDefinition, ViewDefinition};
use crate::query::Scope;
use crate::query::statistics::live_rows;
use crate::row;
use crate::types::SqlType;
use std::collections::BTreeSet;

/// Columns and rows of a table of this file.
pub fn table(scope: &Scope, name: &str) -> Option<(&'static str, Vec<Row>)> {
    let made = match name {
        "pg_namespace" => ("oid oid, nspname name, nspowner oid, nspacl aclitem[]", namespaces(scope)),
        "pg_class" => (CLASS, classes(scope)),
        "pg_attribute" => (ATTRIBUTE, attributes(scope)),
        "pg_sequence" => (
            "seqrelid oid, seqtypid oid, seqstart bigint, seqincrement bigint, seqmax bigint, seqmin bigint, seqcache bigint, seqcycle boolean",
            sequences(scope),
        ),
        "pg_sequences" => (
            "schemaname name, sequencename name, sequenceowner name, data_type text, start_value bigint, min_value bigint, \
             max_value bigint, increment_by bigint, cycle boolean, cache_size bigint, last_value bigint",
            sequence_views(scope),
        ),
        "pg_tables" => (
            "schemaname name, tablename name, tableowner name, tablespace name, hasindexes boolean, hasrules boolean, hastriggers boolean, \
             rowsecurity boolean",
            tables(scope),
        ),
        "pg_views" => ("schemaname name, viewname name, viewowner name, definition text", views(scope)),
        _ => return None,
    };
    Some(made)
}

/// Columns of the rows of [`Class`].
pub const CLASS: &str = "oid oid, relname name, relnamespace oid, reltype oid, reloftype oid, relowner oid, relam oid, relfilenode oid, \
    reltablespace oid, relpages integer, reltuples real, relallvisible integer, reltoastrelid oid, relhasindex boolean, relisshared boolean, \
    relpersistence text, relkind text, relnatts smallint, relchecks smallint, relhasrules boolean, relhastriggers boolean, \
    relhassubclass boolean, relrowsecurity boolean, relforcerowsecurity boolean, relispopulated boolean, relreplident text, \
    relispartition boolean, relrewrite oid, relfrozenxid xid, relminmxid xid, relacl aclitem[], reloptions text[], relpartbound text";

/// Columns of the rows of [`Attribute`].
pub const ATTRIBUTE: &str = "attrelid oid, attname name, atttypid oid, attstattarget integer, attlen smallint, attnum smallint, attndims integer, \
    attcacheoff integer, atttypmod integer, attbyval boolean, attalign text, attstorage text, attcompression text, attnotnull boolean, \
    atthasdef boolean, atthasmissing boolean, attidentity text, attgenerated text, attisdropped boolean, attislocal boolean, \
    attinhcount integer, attcollation oid, attacl aclitem[], attoptions text[], attfdwoptions text[], attmissingval text";

/// OIDs of the access methods `heap` and `btree`.
pub const HEAP: u32 = 2;
/// See [`HEAP`].
const BTREE: u32 = 403;

/// All schemas with their OIDs.
pub fn schemas(catalog: &Catalog) -> Vec<(&str, u32)> {
    let own = catalog.schemas.iter().map(|(name, entry)| (name.as_str(), entry.definition.oid));
    own.chain(SYSTEM_SCHEMAS.into_iter().zip(SYSTEM_SCHEMA_OIDS)).collect()
}

/// The OID of a schema.
pub fn schema_oid(catalog: &Catalog, name: &str) -> u32 {
    catalog.schemas.get(name).map_or(0, |entry| entry.definition.oid)
}

fn namespaces(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let row = |(name, oid): (&str, u32)| match SYSTEM_SCHEMA_OIDS.contains(&oid) {
        true => row![oid, name, OWNER_OID, vec![format!("{SUPERUSER}=UC/{SUPERUSER}"), format!("=U/{SUPERUSER}")]],
        false => row![oid, name, ownership::owner(catalog, oid), schema_list(catalog, oid)],
    };
    schemas(catalog).into_iter().map(row).collect()
}

/// `public` shows its list even before anything is granted, as in PostgreSQL.
fn schema_list(catalog: &Catalog, oid: u32) -> Cell {
    match ownership::list(catalog, oid) {
        Cell::Null if oid == PUBLIC_SCHEMA_OID => {
            let built_in = ObjectAccess::built_in(oid).effective(Kind::Schema, oid);
            Cell::from(acl::text(&built_in, |role| ownership::role_name(catalog, role)))
        }
        list => list,
    }
}

/// What differs between the kinds of `pg_class`.
#[derive(Default)]
pub struct Class<'a> {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: &'a str,
    /// Its schema.
    pub schema: &'a str,
    /// `relkind`
    pub kind: &'static str,
    /// `relam`
    pub access_method: u32,
    /// How many columns it has.
    pub columns: usize,
    /// How many CHECK constraints it has.
    pub checks: usize,
    /// Whether it has an index.
    pub indexed: bool,
    /// Whether it has a rule, as a view has.
    pub ruled: bool,
    /// Whether a foreign key has it check rows: PostgreSQL does that with triggers.
    pub linked: bool,
    /// Rows.
    pub rows: i64,
    /// Bytes.
    pub bytes: u64,
    /// `relowner`; `None`: the first superuser.
    pub owner: Option<u32>,
    /// `relacl`
    pub acl: Option<Cell>,
    /// `reloptions`
    pub options: Option<Vec<String>>,
}

impl Class<'_> {
    /// The row of `pg_class`.
    pub fn row(self, schema_oid: u32) -> Row {
        let pages = i32::try_from(self.bytes.div_ceil(8192)).unwrap_or(i32::MAX);
        let replica = if self.kind == "r" { "d" } else { "n" };
        row![
            self.oid,
            self.name,
            schema_oid,
            0,
            0,
            self.owner.unwrap_or(OWNER_OID),
            self.access_method,
            self.oid,
            0,
            pages,
            self.rows,
            0,
            0,
            self.indexed,
            false,
            if is_temporary(self.schema) { "t" } else { "p" },
            self.kind,
            self.columns,
            self.checks,
            self.ruled,
            self.linked,
            false,
            false,
            false,
            true,
            replica,
            false,
            0,
            0,
            0,
            self.acl,
            self.options,
            Cell::Null
        ]
    }
}

fn classes(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let linked: BTreeSet<u32> = catalog.foreign_keys().flat_map(|it| [it.table.oid, it.key.parent]).collect();
    let relations = catalog.all().map(|found| Class { linked: linked.contains(&found.relation().oid()), ..class_of(scope, &found) });
    let indexes = oids::indexes(catalog).into_iter().map(|index| Class {
        oid: index.oid,
        name: index.constraint.name(),
        schema: index.found.schema,
        kind: "i",
        access_method: BTREE,
        columns: index_columns(index.constraint).len(),
        owner: Some(ownership::owner(catalog, index.table.oid)),
        ..Class::default()
    });
    let plain = plain_indexes::all(catalog);
    let recorded = plain.iter().map(|index| Class {
        oid: index.oid,
        name: &index.index.name,
        schema: index.found.schema,
        kind: "i",
        access_method: index.method(),
        columns: index.parts().len() + index.included().len(),
        owner: Some(ownership::owner(catalog, index.table.oid)),
        ..Class::default()
    });
    relations
        .chain(indexes)
        .chain(recorded)
        .map(|class| (schema_oid(catalog, class.schema), class))
        .map(|(schema, class)| class.row(schema))
        .collect()
}

fn class_of<'a>(scope: &Scope, found: &Found<'a>) -> Class<'a> {
    let (catalog, oid) = (&scope.view.catalog, found.relation().oid());
    let (owner, acl) = (Some(ownership::owner(catalog, oid)), Some(ownership::list(catalog, oid)));
    let class = Class { oid, name: found.name, schema: found.schema, owner, acl, ..Class::default() };
    match found.relation() {
        Relation::Table(table) => Class {
            kind: "r",
            access_method: HEAP,
            columns: table.columns.len(),
            checks: table.constraints.iter().filter(|constraint| matches!(constraint, Constraint::Check { .. })).count(),
            indexed: has_index(table),
            rows: i64::try_from(rows(scope, table.oid)).unwrap_or(i64::MAX),
            bytes: bytes(scope, table.oid),
            ..class
        },
        Relation::View(view) => Class { kind: "v", columns: view.columns.len(), ruled: true, options: options(view), ..class },
        Relation::Sequence(_) => Class { kind: "S", columns: SEQUENCE_COLUMNS.len(), rows: 1, ..class },
    }
}

fn has_index(table: &TableDefinition) -> bool {
    !table.indexes.is_empty() || table.constraints.iter().any(|constraint| matches!(constraint, Constraint::Unique { .. }))
}

/// `name=value` of each.
fn options(view: &ViewDefinition) -> Option<Vec<String>> {
    (!view.options.is_empty()).then(|| view.options.iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// Rows of a table that are not deleted.
pub fn rows(scope: &Scope, table: u32) -> u64 {
    scope.view.units(table).iter().map(live_rows).sum()
}

/// Bytes that a table's rows take.
pub fn bytes(scope: &Scope, table: u32) -> u64 {
    scope.view.units(table).iter().map(crate::catalog::system_views::disk_bytes).sum()
}

/// The columns of a unique constraint's index, those of INCLUDE last.
fn index_columns(constraint: &Constraint) -> Vec<storage::ColumnId> {
    match constraint {
        Constraint::Unique { columns, options, .. } => columns.iter().chain(&options.include).copied().collect(),
        Constraint::Check { .. } | Constraint::Foreign(_) => Vec::new(),
    }
}

/// The columns that a sequence shows when it is read as a table.
const SEQUENCE_COLUMNS: [(&str, SqlType); 3] =
    [(SEQUENCE_COLUMN_NAMES[0], SqlType::Int8), (SEQUENCE_COLUMN_NAMES[1], SqlType::Int8), (SEQUENCE_COLUMN_NAMES[2], SqlType::Boolean)];

/// What differs between columns.
pub struct Attribute<'a> {
    /// OID of the relation.
    pub relation: u32,
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub sql_type: &'a SqlType,
    /// `attnum`
    pub number: u32,
    /// The definition, if it is a column of a user's table.
    pub declared: Option<&'a ColumnDefinition>,
    /// Whether it is never NULL.
    pub not_null: bool,
    /// `attacl`
    pub acl: Option<Cell>,
}

impl Attribute<'_> {
    /// The row of `pg_attribute`.
    pub fn row(self) -> Row {
        let by_value = matches!(self.sql_type.width_bytes(), 1..=8);
        let dimensions = i32::from(matches!(self.sql_type, SqlType::Array(_)));
        let has_default = self.declared.is_some_and(|column| describe::shown_default(column).is_some());
        let missing = self.declared.and_then(|column| column.missing.as_ref()).is_some();
        row![
            self.relation,
            self.name,
            self.sql_type.oid(),
            -1,
            self.sql_type.width_bytes(),
            self.number,
            dimensions,
            -1,
            self.declared.map_or_else(|| self.sql_type.type_modifier(), ColumnDefinition::type_modifier),
            by_value,
            alignment(self.sql_type),
            storage_kind(self.sql_type),
            "",
            self.not_null,
            has_default,
            missing,
            self.declared.map_or("", identity),
            if self.declared.is_some_and(|column| column.generated.is_some()) { "s" } else { "" },
            false,
            true,
            0,
            collation(self.sql_type),
            self.acl,
            Cell::Null,
            Cell::Null,
            Cell::Null
        ]
    }
}

fn identity(column: &ColumnDefinition) -> &'static str {
    match column.identity {
        Some(Identity::Always) => "a",
        Some(Identity::ByDefault) => "d",
        None => "",
    }
}

/// `attalign`
fn alignment(sql_type: &SqlType) -> &'static str {
    match sql_type.width_bytes() {
        1 | 64 => "c",
        2 => "s",
        8 => "d",
        16 if *sql_type == SqlType::Uuid => "c",
        16 => "d",
        _ => "i",
    }
}

/// `attstorage`
fn storage_kind(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Numeric(_) => "m",
        other if other.width_bytes() > 0 => "p",
        _ => "x",
    }
}

/// `attcollation`: `default` for texts, `C` for names.
pub fn collation(sql_type: &SqlType) -> u32 {
    match sql_type {
        SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_) => 100,
        SqlType::Name => 950,
        SqlType::Array(element) => collation(element),
        _ => 0,
    }
}

fn attributes(scope: &Scope) -> Vec<Row> {
    let catalog = &scope.view.catalog;
    let mut all: Vec<Row> = catalog.all().flat_map(|found| attributes_of(catalog, &found)).collect();
    for index in oids::indexes(catalog) {
        let columns = index_columns(index.constraint).into_iter().filter_map(|id| index.table.column_by_id(id)).zip(1..);
        all.extend(columns.map(|(column, number)| {
            let (name, sql_type) = (column.name.as_str(), &column.sql_type);
            Attribute { relation: index.oid, name, sql_type, number, declared: None, not_null: false, acl: None }.row()
        }));
    }
    for index in plain_indexes::all(catalog) {
        let parts = index.parts().into_iter().chain(index.included()).collect::<Vec<_>>();
        let names = plain_indexes::names(&parts);
        all.extend(parts.iter().zip(&names).zip(1..).map(|((part, name), number)| {
            let sql_type = part.column.map_or(&SqlType::Text, |column| &column.sql_type);
            Attribute { relation: index.oid, name, sql_type, number, declared: None, not_null: false, acl: None }.row()
        }));
    }
    all
}

fn attributes_of(catalog: &Catalog, found: &Found<'_>) -> Vec<Row> {
    let relation = found.relation().oid();
    let plain =
        |name, sql_type, number, not_null| Attribute { relation, name, sql_type, number, declared: None, not_null, acl: None }.row();
    match found.relation() {
        Relation::Table(table) => {
            let row = |column: &ColumnDefinition| {
                let (name, sql_type, number, not_null) = (column.name.as_str(), &column.sql_type, column.id.0, column.not_null);
                let acl = Some(ownership::column_list(catalog, relation, column.id));
                Attribute { relation, name, sql_type, number, declared: Some(column), not_null, acl }.row()
            };
            table.columns.iter().map(row).chain(system_columns::attributes(relation)).collect()
        }
        Relation::View(view) => {
            view.columns.iter().zip(1..).map(|((name, sql_type), number)| plain(name, sql_type, number, false)).collect()
        }
        Relation::Sequence(_) => {
            let own = SEQUENCE_COLUMNS.iter().zip(1..).map(|((name, sql_type), number)| plain(name, sql_type, number, true));
            own.chain(system_columns::attributes(relation)).collect()
        }
    }
}

/// The integer type that a sequence's range is of.
pub fn sequence_type(sequence: &SequenceDefinition) -> SqlType {
    let far = if sequence.increment > 0 { sequence.max } else { sequence.min };
    match far {
        far if far == i64::from(i16::MAX) || far == i64::from(i16::MIN) => SqlType::Int2,
        far if far == i64::from(i32::MAX) || far == i64::from(i32::MIN) => SqlType::Int4,
        _ => SqlType::Int8,
    }
}

/// All sequences.
pub fn all_sequences(catalog: &Catalog) -> impl Iterator<Item = (Found<'_>, &SequenceDefinition)> {
    catalog.all().filter_map(|found| match found.relation() {
        Relation::Sequence(sequence) => Some((found, sequence)),
        _ => None,
    })
}

fn sequences(scope: &Scope) -> Vec<Row> {
    let row = |(_, s): (Found<'_>, &SequenceDefinition)| {
        row![s.oid, sequence_type(s).oid(), s.start, s.increment, s.max, s.min, s.cache, s.cycle]
    };
    all_sequences(&scope.view.catalog).map(row).collect()
}

fn sequence_views(scope: &Scope) -> Vec<Row> {
    let row = |(found, s): (Found<'_>, &SequenceDefinition)| {
        let name = sequence_type(s).name();
        let owner = ownership::owner_name(&scope.view.catalog, s.oid);
        let position = scope.sequences.position(s);
        let shown = position.is_called && scope.rights_of_user().has_any(Kind::Sequence, s.oid, acl::SELECT | acl::USAGE);
        let last = Cell::from(position.last_value).filter(shown);
        row![found.schema, found.name, owner, name, s.start, s.min, s.max, s.increment, s.cycle, s.cache, last]
    };
    all_sequences(&scope.view.catalog).map(row).collect()
}

fn tables(scope: &Scope) -> Vec<Row> {
    let all = scope.view.catalog.all().filter_map(|found| Some((found, found.relation().as_table()?)));
    let row = |(found, table): (Found<'_>, &TableDefinition)| {
        let indexed = has_index(table);
        let owner = ownership::owner_name(&scope.view.catalog, table.oid);
        row![found.schema, found.name, owner, Cell::Null, indexed, false, false, false]
    };
    all.map(row).collect()
}

fn views(scope: &Scope) -> Vec<Row> {
    let row = |found: Found<'_>| match found.relation() {
        Relation::View(view) => {
            let owner = ownership::owner_name(&scope.view.catalog, view.oid);
            Some(row![found.schema, found.name, owner, view_definition::text(&scope.view.catalog, view, &scope.search_path)])
        }
        _ => None,
    };
    scope.view.catalog.all().filter_map(row).collect()
}
