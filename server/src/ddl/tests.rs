//! Decisions on a small catalog, without a server.
#![allow(clippy::unwrap_used)]

use super::decision::{Change, Check, Decision, Ids, KeyText, Scope};
use super::{alter_table, create_table, drop, views};
use crate::catalog::names::QualifiedName;
use crate::catalog::{Catalog, Constraint, Dependency, Entry, Relation, TableDefinition, ViewDefinition};
use crate::error::Result;
use crate::session::parse;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast;
use placement::{LogIndex, State};
use std::sync::Arc;
use storage::ColumnId;

pub(super) fn scope(catalog: &Catalog) -> Scope<'_> {
    static SEARCH_PATH: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let search_path = SEARCH_PATH.get_or_init(|| vec!["public".to_string()]);
    Scope { catalog, search_path, creation_path: search_path, database: "plimsoll", user: "plimsoll" }
}

/// `t (a integer primary key, b text)`, 20000, and the view `v` on `t.a`, 20001.
pub(super) fn catalog() -> Catalog {
    let mut catalog = Catalog::from_state(&State::default()).unwrap();
    run(&mut catalog, 20000, "create table t (a int primary key, b text)").unwrap();
    let depends_on = vec![Dependency { relation: 20000, columns: vec![ColumnId(1)] }];
    let planned = views::PlannedView { columns: vec![("a".into(), SqlType::Int4)], depends_on };
    let ast::Statement::CreateView(create) = statement("create view v as select a from t") else { panic!() };
    let decision = views::create(scope(&catalog), &mut Ids::new(20001, 1), &create, planned).unwrap();
    apply(&mut catalog, &decision);
    catalog
}

fn statement(sql: &str) -> ast::Statement {
    // The session's own parser, so that CLUSTER BY is read.
    let parsed = parse::parse(sql).unwrap();
    (*parsed[0].ast).clone()
}

fn apply(catalog: &mut Catalog, decision: &Decision) {
    for change in decision.changes.clone() {
        match change {
            Change::PutSchema(name, definition) => {
                catalog.schemas.insert(name, Entry { version: Some(LogIndex(1)), definition: Arc::new(definition) });
            }
            Change::DropSchema(name) => drop_key(catalog.schemas.remove(&name)),
            Change::PutRelation(schema, name, relation) => {
                catalog.relations.insert((schema, name), Entry { version: Some(LogIndex(1)), definition: Arc::new(relation) });
            }
            Change::DropRelation(schema, name) => drop_key(catalog.relations.remove(&(schema, name))),
            Change::RenameRelation(from, to) => {
                let entry = catalog.relations.remove(&from).unwrap();
                catalog.relations.insert(to, entry);
            }
            Change::PutComments(oid, comments) => {
                catalog.comments.insert(oid, Entry { version: Some(LogIndex(1)), definition: Arc::new(comments) });
            }
            Change::PutExtension(name, Some(definition)) => {
                catalog.extensions.insert(name, Entry { version: Some(LogIndex(1)), definition: Arc::new(definition) });
            }
            Change::PutExtension(name, None) => drop_key(catalog.extensions.remove(&name)),
            Change::Need(place) | Change::Touch(place) => assert!(catalog.relations.contains_key(&place)),
        }
    }
}

fn drop_key<T>(removed: Option<T>) {
    assert!(removed.is_some());
}

fn decide(catalog: &Catalog, oid: u64, sql: &str) -> Result<Decision> {
    let scope = scope(catalog);
    let mut ids = Ids::new(oid, 10);
    match &statement(sql) {
        ast::Statement::CreateTable(create) => create_table::create(scope, &mut ids, create),
        ast::Statement::CreateSchema { schema_name, if_not_exists, .. } => {
            views::create_schema(scope, &mut ids, &views::schema_name(scope, schema_name)?, *if_not_exists)
        }
        ast::Statement::Drop { object_type, if_exists, names, cascade, .. } => drop::drop(scope, *object_type, names, *if_exists, *cascade),
        ast::Statement::AlterTable(alter) => alter_table::alter(scope, &mut ids, scope.require(&alter.name)?, &alter.operations[0], None),
        other => panic!("{other}"),
    }
}

fn run(catalog: &mut Catalog, oid: u64, sql: &str) -> Result<Decision> {
    let decision = decide(catalog, oid, sql)?;
    apply(catalog, &decision);
    Ok(decision)
}

fn table<'a>(catalog: &'a Catalog, name: &str) -> &'a TableDefinition {
    let name = QualifiedName { schema: None, name: name.into() };
    scope(catalog).catalog.find(&name, &["public".to_string()]).unwrap().table().unwrap()
}

/// SQLSTATE and message.
fn error(catalog: &Catalog, sql: &str) -> (String, String) {
    let error = decide(catalog, 30000, sql).unwrap_err();
    (error.state.0.to_string(), error.message.to_string())
}

#[track_caller]
fn assert_error(sql: &str, state: &str, message: &str) {
    assert_eq!(error(&catalog(), sql), (state.to_string(), message.to_string()), "{sql}");
}

#[test]
fn constraints_are_named_as_postgresql_names_them() {
    let mut catalog = catalog();
    let sql = "create table n (a int unique, b int check (b > 0), c int, primary key (a, c), unique (b, c), check (a > b), check (a < c), \
               check (b < 9), constraint mine check (c > 1))";
    run(&mut catalog, 20100, sql).unwrap();
    let table = table(&catalog, "n");
    let names: Vec<&str> = table.constraints.iter().map(Constraint::name).collect();
    assert_eq!(names, ["n_pkey", "n_a_key", "n_b_check", "n_b_c_key", "n_check", "n_check1", "n_b_check1", "mine"]);
    let not_null: Vec<bool> = table.columns.iter().map(|c| c.not_null).collect();
    assert_eq!(not_null, [true, false, true]);
}

#[test]
fn serial_and_identity_columns_own_sequences() {
    let mut catalog = catalog();
    let sql = "create table s (a serial, b bigint generated always as identity (start with 10 increment by 5), c smallserial)";
    run(&mut catalog, 20100, sql).unwrap();
    let definition = table(&catalog, "s").clone();
    assert_eq!(definition.columns[0].default.as_deref(), Some("nextval('public.s_a_seq')"));
    assert_eq!(definition.columns[1].default, None);
    let names: Vec<&str> = catalog.sequences_of(definition.oid, None).map(|(found, _)| found.name).collect();
    assert_eq!(names, ["s_a_seq", "s_b_seq", "s_c_seq"]);
    let (_, identity) = catalog.sequences_of(definition.oid, Some(ColumnId(2))).next().unwrap();
    assert_eq!((identity.start, identity.increment), (10, 5));
    run(&mut catalog, 0, "drop table s").unwrap();
    assert_eq!(catalog.sequences_of(definition.oid, None).count(), 0);
}

#[test]
fn create_table_errors() {
    assert_error("create table t (a int)", "42P07", "relation \"t\" already exists");
    assert_error("create table x.t (a int)", "3F000", "schema \"x\" does not exist");
    assert_error("create table x (a int, A text)", "42701", "column \"a\" specified more than once");
    assert_error("create table x (a int, unique (b))", "42703", "column \"b\" named in key does not exist");
    assert_error("create table x (a int, check (b > 0))", "42703", "column \"b\" does not exist");
    assert_error("create table x (a int primary key, b int primary key)", "42P16", "multiple primary keys for table \"x\" are not allowed");
    assert_error("create table x (a int null primary key)", "42601", "conflicting NULL/NOT NULL declarations for column \"a\"");
    assert_error("create table x (a text references t)", "42804", "foreign key constraint \"x_a_fkey\" cannot be implemented");
    let no_key = "there is no unique constraint matching given keys for referenced table \"t\"";
    assert_error("create table x (b text references t (b))", "42830", no_key);
    assert_error("create table x (a int default b)", "0A000", "cannot use column reference in DEFAULT expression");
    let both = "both default and generation expression specified for column \"a\" of table \"x\"";
    assert_error("create table x (a int default 1 generated always as (1) stored)", "42601", both);
    assert_error(
        "create table x (a json primary key)",
        "42704",
        "data type json has no default operator class for access method \"btree\"",
    );
    assert_error("create table x (a int) cluster by (b)", "42703", "column \"b\" named in CLUSTER BY does not exist");
    assert_error("create table pg_catalog.x (a int)", "42501", "permission denied to create \"pg_catalog.x\"");
    assert_error("create schema pg_x", "42939", "unacceptable schema name \"pg_x\"");
    assert_error("create schema public", "42P06", "schema \"public\" already exists");
    let skipped = decide(&catalog(), 0, "create table if not exists t (a int)").unwrap();
    assert!(skipped.changes.is_empty());
    assert_eq!(skipped.notices[0].error.message, "relation \"t\" already exists, skipping");
}

#[test]
fn cluster_by_is_kept() {
    let mut catalog = catalog();
    run(&mut catalog, 20100, "create table c (a int, b int) cluster by (b, a)").unwrap();
    assert_eq!(table(&catalog, "c").cluster_by, [ColumnId(2), ColumnId(1)]);
    run(&mut catalog, 0, "alter table c drop column a").unwrap();
    assert_eq!(table(&catalog, "c").cluster_by, [ColumnId(2)]);
}

#[test]
fn drops_mind_what_depends_on_them() {
    let mut catalog = catalog();
    let refused = decide(&catalog, 0, "drop table t").unwrap_err();
    assert_eq!(&*refused.message, "cannot drop table t because other objects depend on it");
    assert_eq!(refused.detail.as_deref(), Some("view v depends on table t"));
    assert_eq!(refused.hint.as_deref(), Some("Use DROP ... CASCADE to drop the dependent objects too."));
    assert_error("alter table t drop column a", "2BP01", "cannot drop column a of table t because other objects depend on it");
    assert_error("drop view t", "42809", "\"t\" is not a view");
    assert_error("drop table nope", "42P01", "table \"nope\" does not exist");
    assert_error("drop table nope.t", "3F000", "schema \"nope\" does not exist");
    let both = decide(&catalog, 0, "drop table if exists t, nope cascade").unwrap();
    let notices: Vec<&str> = both.notices.iter().map(|n| &*n.error.message).collect();
    assert_eq!(notices, ["table \"nope\" does not exist, skipping", "drop cascades to view v"]);
    apply(&mut catalog, &both);
    assert!(catalog.relations.is_empty());
}

#[test]
fn a_schema_is_dropped_with_cascade_only() {
    let mut catalog = catalog();
    run(&mut catalog, 1, "create schema s").unwrap();
    run(&mut catalog, 20100, "create table s.x (a serial)").unwrap();
    let refused = decide(&catalog, 0, "drop schema s").unwrap_err();
    assert_eq!(&*refused.message, "cannot drop schema s because other objects depend on it");
    run(&mut catalog, 0, "drop schema s cascade").unwrap();
    assert!(!catalog.schemas.contains_key("s") && catalog.in_schema("s").count() == 0);
}

#[test]
fn a_sequence_in_use_is_not_dropped() {
    let mut catalog = catalog();
    run(&mut catalog, 20100, "create table s (a serial)").unwrap();
    let refused = decide(&catalog, 0, "drop sequence s_a_seq").unwrap_err();
    assert_eq!(refused.detail.as_deref(), Some("default value for column a of table s depends on sequence s_a_seq"));
    run(&mut catalog, 0, "drop sequence s_a_seq cascade").unwrap();
    assert_eq!(table(&catalog, "s").columns[0].default, None);
}

#[test]
fn columns_are_added_and_dropped() {
    let mut catalog = catalog();
    run(&mut catalog, 0, "alter table t add column c int default 1 check (c > 0)").unwrap();
    assert_eq!(table(&catalog, "t").columns[2].id, ColumnId(3));
    run(&mut catalog, 0, "alter table t drop column c").unwrap();
    assert!(table(&catalog, "t").constraints.iter().all(|c| c.name() != "t_c_check"));
    run(&mut catalog, 0, "alter table t add column c text").unwrap();
    assert_eq!(table(&catalog, "t").columns[2].id, ColumnId(4), "a dropped column's id is not used again");
    let needs_value = decide(&catalog, 0, "alter table t add column d int not null").unwrap();
    assert_eq!(needs_value.before, [Check::NoRows { table: ("public".into(), "t".into()), column: "d".into() }]);
    assert_error("alter table t add column a int", "42701", "column \"a\" of relation \"t\" already exists");
    assert_error("alter table t drop column z", "42703", "column \"z\" of relation \"t\" does not exist");
}

#[test]
fn columns_and_tables_are_renamed() {
    let mut catalog = catalog();
    run(&mut catalog, 0, "alter table t add constraint k check (b <> 'x' and a > 0)").unwrap();
    run(&mut catalog, 0, "alter table t rename column b to \"B\"").unwrap();
    let Some(Constraint::Check { expression, .. }) = table(&catalog, "t").constraints.last() else { panic!() };
    assert_eq!(expression, "\"B\" <> 'x' AND a > 0");
    assert_error("alter table t rename column a to z", "2BP01", "cannot rename column a of table t because views depend on it");
    assert_error("alter table t rename to v", "42P07", "relation \"v\" already exists");
    run(&mut catalog, 0, "drop view v").unwrap();
    run(&mut catalog, 0, "alter table t rename to u").unwrap();
    assert_eq!(table(&catalog, "u").oid, 20000);
}

#[test]
fn the_catalog_alone_changes_types_only_where_the_stored_values_do_not() {
    let mut catalog = catalog();
    run(&mut catalog, 20100, "create table w (a varchar(10))").unwrap();
    run(&mut catalog, 0, "alter table w alter column a type varchar(20)").unwrap();
    run(&mut catalog, 0, "alter table w alter column a set data type text").unwrap();
    assert_eq!(table(&catalog, "w").columns[0].sql_type, SqlType::Text);
    let refused = decide(&catalog, 0, "alter table w alter column a type integer").unwrap_err();
    assert_eq!(&*refused.message, "a change of type that rewrites the table came to the catalog");
}

#[test]
fn constraints_are_added_and_checked() {
    let mut catalog = catalog();
    let place = ("public".to_string(), "t".to_string());
    let unique = run(&mut catalog, 0, "alter table t add unique (b)").unwrap();
    assert_eq!(
        unique.before,
        [Check::UniqueKeys {
            table: place.clone(),
            constraint: "t_b_key".into(),
            key: KeyText { parts: vec![("b".into(), "b".into())], ..KeyText::default() }
        }]
    );
    let check = run(&mut catalog, 0, "alter table t add check (b <> '')").unwrap();
    let expression = "b <> ''".to_string();
    assert_eq!(check.after, [Check::Condition { table: place.clone(), constraint: Some("t_b_check".into()), expression }]);
    let not_null = decide(&catalog, 0, "alter table t alter b set not null").unwrap();
    assert_eq!(not_null.before, [Check::NoNulls { table: place, column: "b".into() }]);
    assert_error("alter table t alter a drop not null", "42P16", "column \"a\" is in a primary key");
    assert_error("alter table t drop constraint z", "42704", "constraint \"z\" of relation \"t\" does not exist");
    assert_error("alter table t add constraint t_pkey unique (b)", "42710", "constraint \"t_pkey\" for relation \"t\" already exists");
    run(&mut catalog, 0, "alter table t drop constraint t_b_key").unwrap();
    assert!(table(&catalog, "t").constraints.iter().all(|c| c.name() != "t_b_key"));
}

/// The definition of the other table is named by OID and columns, and is marked as changed.
#[test]
fn foreign_keys_are_kept_by_number() {
    let mut catalog = catalog();
    let created = run(
        &mut catalog,
        20100,
        "create table c (x int references t, y text, foreign key (x) references t match full on delete set null (x))",
    );
    let touched = |change: &&Change| matches!(change, Change::Touch((_, name)) if name == "t");
    assert_eq!(created.unwrap().changes.iter().filter(touched).count(), 2);
    let names: Vec<&str> = table(&catalog, "c").foreign_keys().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["c_x_fkey", "c_x_fkey1"]);
    run(&mut catalog, 0, "drop view v").unwrap();
    run(&mut catalog, 0, "alter table t rename column a to id").unwrap();
    let refused = decide(&catalog, 0, "alter table t drop column id").unwrap_err();
    let detail =
        "constraint c_x_fkey on table c depends on column id of table t\nconstraint c_x_fkey1 on table c depends on column id of table t";
    assert_eq!((refused.state.0, refused.detail.as_deref()), ("2BP01", Some(detail)));
    run(&mut catalog, 0, "alter table t drop column id cascade").unwrap();
    assert_eq!(table(&catalog, "c").foreign_keys().count(), 0);
    assert_error(
        "alter table t add foreign key (b) references t (a)",
        "42804",
        "foreign key constraint \"t_b_fkey\" cannot be implemented",
    );
}

/// A table that a version without foreign keys has saved, and one of this version.
#[test]
fn saved_definitions_are_read() {
    let saved = r#"{"unique":{"name":"k","columns":[1],"primary":true}}"#;
    assert!(matches!(crate::catalog::keys::decode(saved.as_bytes()).unwrap(), Constraint::Unique { primary: true, .. }));
    let saved = r#"{"foreign":{"name":"k","columns":[1],"parent":7,"parent_columns":[2]}}"#;
    let Constraint::Foreign(key) = crate::catalog::keys::decode(saved.as_bytes()).unwrap() else { panic!() };
    assert_eq!((key.parent, key.on_delete, key.deferrable), (7, crate::catalog::foreign_key::Action::NoAction, false));
}

#[test]
fn replacing_a_view_may_only_add_columns() {
    let catalog = catalog();
    let Relation::View(old) = catalog.get("public", "v").unwrap().relation() else { panic!() };
    let replace = |columns: Vec<(String, SqlType)>| {
        let ast::Statement::CreateView(create) = statement("create or replace view v as select a from t") else { panic!() };
        views::create(scope(&catalog), &mut Ids::new(1, 1), &create, views::PlannedView { columns, depends_on: vec![] })
    };
    let put = replace(vec![("a".into(), SqlType::Int4), ("z".into(), SqlType::Text)]).unwrap();
    assert!(matches!(&put.changes[0], Change::PutRelation(_, _, Relation::View(ViewDefinition { oid, .. })) if *oid == old.oid));
    assert_eq!(&*replace(vec![]).unwrap_err().message, "cannot drop columns from view");
    let renamed = replace(vec![("z".into(), SqlType::Int4)]).unwrap_err();
    assert_eq!(&*renamed.message, "cannot change name of view column \"a\" to \"z\"");
}
