//! What an OID stands for, in words: `pg_describe_object` and `pg_identify_object`.

use super::relations::{print_class, print_signature};
use super::scalar::{Function, as_integer};
use crate::catalog::Relation;
use crate::catalog::names::{quote, quote_qualified};
use crate::catalog::pg_catalog::{built_in, extensions, oids, plain_indexes, relations, shapes, type_names};
use crate::query::Scope;
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use std::sync::Arc;

/// An object, named.
#[derive(Clone, Debug, Default)]
struct Named {
    /// `table`, `table column`, `schema`, ...
    kind: &'static str,
    schema: Option<String>,
    name: Option<String>,
    /// What names it among all of its kind.
    identity: String,
    /// The words of `pg_describe_object`.
    description: String,
}

/// What one column of `pg_identify_object` says of an object.
type Part = fn(Named) -> Option<String>;

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let scope = Arc::new(scope.clone());
    let mut all = vec![describe(&scope)];
    let parts: [(&'static str, Part); 4] = [
        ("plimsoll_object_kind", |named| Some(named.kind.into())),
        ("plimsoll_object_schema", |named| named.schema),
        ("plimsoll_object_name", |named| named.name),
        ("plimsoll_object_identity", |named| Some(named.identity)),
    ];
    all.extend(parts.into_iter().map(|(name, part)| one_row(&scope, name, part)));
    all.extend(nothing());
    all
}

fn three() -> Signature {
    Signature::one_of(vec![TypeSignature::Any(3)], Volatility::Stable)
}

fn describe(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    Function::of_rows("pg_describe_object", three(), DataType::Utf8View, move |args| {
        Ok(ScalarValue::Utf8View(of_arguments(&scope, args).map(|named| named.description)))
    })
}

/// An array of one: what a function that returns a row gives.
fn one_row(scope: &Arc<Scope>, name: &'static str, part: Part) -> ScalarUDF {
    let scope = Arc::clone(scope);
    let returns = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)));
    Function::of_rows(name, three(), returns, move |args| {
        let value = ScalarValue::Utf8View(of_arguments(&scope, args).and_then(part));
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&[value], &DataType::Utf8View)))
    })
}

/// The rows of what there is none of.
fn nothing() -> Vec<ScalarUDF> {
    let empty = |name: &'static str, element: DataType| {
        let returns = DataType::List(Arc::new(Field::new_list_field(element.clone(), true)));
        Function::of_rows(name, Signature::any(1, Volatility::Stable), returns, move |_| {
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(&[], &element)))
        })
    };
    vec![
        empty("plimsoll_no_oids", DataType::UInt32),
        empty("plimsoll_no_booleans", DataType::Boolean),
        empty("plimsoll_no_numbers", DataType::Int32),
        Function::of_rows("pg_partition_root", Signature::any(1, Volatility::Stable), DataType::UInt32, |_| Ok(ScalarValue::UInt32(None))),
    ]
}

fn of_arguments(scope: &Scope, args: &[ScalarValue]) -> Option<Named> {
    let oid = |value: &ScalarValue| as_integer(value).and_then(|oid| u32::try_from(oid).ok());
    of(scope, oid(&args[0])?, oid(&args[1])?, as_integer(&args[2])?)
}

/// The object of a catalog (by the catalog's OID), an OID, and the number of a column.
fn of(scope: &Scope, class: u32, oid: u32, part: i64) -> Option<Named> {
    match shapes::by_oid(class)?.name {
        "pg_class" => of_relation(scope, oid, part),
        "pg_constraint" => of_constraint(scope, oid),
        "pg_attrdef" => of_default(scope, oid),
        "pg_rewrite" => of_rule(scope, oid),
        "pg_type" => built_in::type_name(oid).map(|_| simple("type", type_names::format(oid, None))),
        "pg_proc" => print_signature(oid).map(|signature| simple("function", signature)),
        "pg_namespace" => {
            let found = relations::schemas(&scope.view.catalog).into_iter().find(|(_, known)| *known == oid);
            found.map(|(name, _)| plain("schema", name))
        }
        "pg_authid" => scope.view.catalog.role_name(oid).map(|name| plain("role", name)),
        "pg_database" => (oid == crate::access::acl::DATABASE_OID).then(|| plain("database", &scope.database)),
        "pg_am" => named_in("access method", &[(2, "heap"), (403, "btree"), (405, "hash")], oid),
        "pg_language" => named_in("language", &[(12, "internal"), (13, "c"), (14, "sql"), (13_563, "plpgsql")], oid),
        "pg_extension" => named_in("extension", &extensions::created(&scope.view.catalog), oid),
        _ => None,
    }
}

fn named_in(kind: &'static str, known: &[(u32, &str)], oid: u32) -> Option<Named> {
    known.iter().find(|(known, _)| *known == oid).map(|(_, name)| plain(kind, name))
}

/// Something whose name needs no schema.
fn plain(kind: &'static str, name: &str) -> Named {
    let quoted = quote(name);
    Named { kind, schema: None, name: Some(quoted.clone()), description: format!("{kind} {name}"), identity: quoted }
}

/// Something of PostgreSQL's that is told by its signature.
fn simple(kind: &'static str, signature: String) -> Named {
    Named { kind, schema: Some("pg_catalog".into()), name: None, description: format!("{kind} {signature}"), identity: signature }
}

/// What is on a relation.
fn on(kind: &'static str, name: &str, place: (&str, &str), description: String) -> Named {
    let identity = format!("{} on {}", quote(name), quote_qualified(place.0, place.1));
    Named { kind, schema: Some(place.0.into()), name: Some(name.into()), identity, description }
}

fn of_relation(scope: &Scope, oid: u32, part: i64) -> Option<Named> {
    let shown = print_class(scope, oid)?;
    let (kind, schema, name, column) = relation(scope, oid, part)?;
    let identity = quote_qualified(&schema, &name);
    if part == 0 {
        return Some(Named { kind, schema: Some(schema), name: Some(quote(&name)), identity, description: format!("{kind} {shown}") });
    }
    let column = column?;
    let (of_kind, description) = match kind {
        "view" => ("view column", format!("column {column} of view {shown}")),
        _ => ("table column", format!("column {column} of {kind} {shown}")),
    };
    Some(Named {
        kind: of_kind,
        schema: Some(schema),
        name: Some(quote(&name)),
        identity: format!("{identity}.{}", quote(&column)),
        description,
    })
}

/// Kind, schema, name of a relation, and the name of one of its columns.
fn relation(scope: &Scope, oid: u32, part: i64) -> Option<(&'static str, String, String, Option<String>)> {
    let catalog = &scope.view.catalog;
    let at = usize::try_from(part - 1).ok();
    if let Some(found) = catalog.by_oid(oid) {
        let column = match found.relation() {
            Relation::Table(table) => table.columns.iter().find(|column| i64::from(column.id.0) == part).map(|column| column.name.clone()),
            Relation::View(view) => at.and_then(|at| view.columns.get(at)).map(|(name, _)| name.clone()),
            Relation::Sequence(_) => None,
        };
        return Some((found.relation().kind(), found.schema.into(), found.name.into(), column));
    }
    if let Some(shape) = shapes::by_oid(oid) {
        let column = at.and_then(|at| shape.columns.get(at)).map(|(name, _)| (*name).to_string());
        return Some((if shape.kind == "v" { "view" } else { "table" }, shape.schema.into(), shape.name.into(), column));
    }
    if let Some(index) = plain_indexes::all(catalog).into_iter().find(|index| index.oid == oid) {
        return Some(("index", index.found.schema.into(), index.index.name.clone(), None));
    }
    let key = oids::constraint(catalog, oid)?;
    Some(("index", key.found.schema.into(), key.constraint.name().into(), None))
}

fn of_constraint(scope: &Scope, oid: u32) -> Option<Named> {
    let key = oids::constraint(&scope.view.catalog, oid)?;
    let description = format!("constraint {} on table {}", key.constraint.name(), print_class(scope, key.table.oid)?);
    Some(on("table constraint", key.constraint.name(), (key.found.schema, key.found.name), description))
}

fn of_default(scope: &Scope, oid: u32) -> Option<Named> {
    let tables = scope.view.catalog.all().filter_map(|found| Some((found, found.relation().as_table()?)));
    let mut columns = tables.flat_map(|(found, table)| table.columns.iter().map(move |column| (found, table, column)));
    let (found, table, column) = columns.find(|(_, table, column)| oids::default(table.oid, column.id) == oid)?;
    let identity = format!("for {}.{}", found.quoted(), quote(&column.name));
    let description = format!("default value for column {} of table {}", column.name, print_class(scope, table.oid)?);
    Some(Named { kind: "default value", schema: None, name: None, identity, description })
}

fn of_rule(scope: &Scope, oid: u32) -> Option<Named> {
    let is_it = |relation: &Relation| matches!(relation, Relation::View(view) if oids::rule(view.oid) == oid);
    let found = scope.view.catalog.all().find(|found| is_it(found.relation()))?;
    let description = format!("rule _RETURN on view {}", print_class(scope, found.relation().oid())?);
    Some(on("rule", "_RETURN", (found.schema, found.name), description))
}
