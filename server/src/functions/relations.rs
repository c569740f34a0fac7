//! Functions of what has an OID: names, definitions, sizes, visibility; as the statement's view has it.

use super::scalar::{Function, as_integer, as_text, text};
use crate::catalog::names::{QualifiedName, quote, quote_qualified};
use crate::catalog::pg_catalog::{CATALOG_OIDS, describe, oids, relations, type_names};
use crate::error::{Result as SqlResult, SqlError, SqlState};
use crate::query::Scope;
use crate::types::SqlType;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use std::sync::Arc;

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let scope = Arc::new(scope.clone());
    let mut all = oid_types(&scope);
    all.extend(definitions(&scope));
    all.extend(sizes(&scope));
    let visible = Arc::clone(&scope);
    all.push(of_one("pg_table_is_visible", DataType::Boolean, move |value| {
        Ok(ScalarValue::Boolean(oid_of(value).map(|oid| is_visible(&visible, oid))))
    }));
    let user = scope.user.clone();
    all.push(of_one("pg_get_userbyid", DataType::Utf8View, move |_| Ok(text(&user))));
    let pid = scope.session.process_id;
    all.push(Function::constant("pg_backend_pid", ScalarValue::Int32(Some(pid))));
    all.push(current_setting(&scope));
    all
}

/// A function of one value, or of one and others that say how to print.
fn of_one(name: &'static str, returns: DataType, body: impl Fn(&ScalarValue) -> Result<ScalarValue> + Send + Sync + 'static) -> ScalarUDF {
    Function::of_rows(name, one_to_three(), returns, move |args| body(&args[0]))
}

fn one_to_three() -> Signature {
    Signature::one_of((1..=3).map(TypeSignature::Any).collect(), Volatility::Stable)
}

/// An OID; `None` for NULL and for what is none.
fn oid_of(value: &ScalarValue) -> Option<u32> {
    as_integer(value).and_then(|oid| u32::try_from(oid).ok())
}

/// What the input and output of a type that stands for OIDs do.
type Read = fn(&Scope, &str) -> SqlResult<u32>;
/// See [`Read`].
type Print = fn(&Scope, u32) -> Option<String>;

fn oid_types(scope: &Arc<Scope>) -> Vec<ScalarUDF> {
    let types: [(&'static str, &'static str, Read, Print); 5] = [
        ("pg_regclass_in", "pg_regclass_out", read_class, print_class),
        ("pg_regtype_in", "pg_regtype_out", read_type, print_type),
        ("pg_regnamespace_in", "pg_regnamespace_out", read_schema, print_schema),
        ("pg_regrole_in", "pg_regrole_out", read_role, |scope, oid| (oid == 10).then(|| quote(&scope.user))),
        ("pg_regproc_in", "pg_regproc_out", |_, _| Err(SqlError::unsupported("reading a name as regproc")), |_, _| None),
    ];
    let mut all: Vec<ScalarUDF> = Vec::new();
    for (read_name, print_name, read, print) in types {
        let inner = Arc::clone(scope);
        all.push(of_one(read_name, DataType::UInt32, move |value| Ok(ScalarValue::UInt32(read_oid(&inner, value, read)?))));
        let inner = Arc::clone(scope);
        all.push(of_one(print_name, DataType::Utf8View, move |value| {
            let printed = read_oid(&inner, value, read)?.map(|oid| print_oid(&inner, oid, print));
            Ok(ScalarValue::Utf8View(printed))
        }));
    }
    for (name, read) in [("to_regclass", read_class as Read), ("to_regtype", read_type), ("to_regnamespace", read_schema)] {
        let print: Print = if name == "to_regclass" {
            print_class
        } else if name == "to_regtype" {
            print_type
        } else {
            print_schema
        };
        let inner = Arc::clone(scope);
        all.push(of_one(name, DataType::Utf8View, move |value| {
            let found = as_text(value).and_then(|name| read(&inner, name).ok());
            Ok(ScalarValue::Utf8View(found.map(|oid| print_oid(&inner, oid, print))))
        }));
    }
    all
}

/// A number is an OID already, also as text.
fn read_oid(scope: &Scope, value: &ScalarValue, read: Read) -> Result<Option<u32>> {
    match as_text(value) {
        Some("-") => Ok(Some(0)),
        Some(name) => match name.parse::<u32>() {
            Ok(oid) => Ok(Some(oid)),
            Err(_) => Ok(Some(read(scope, name)?)),
        },
        None => Ok(oid_of(value)),
    }
}

fn print_oid(scope: &Scope, oid: u32, print: Print) -> String {
    if oid == 0 { "-".into() } else { print(scope, oid).unwrap_or_else(|| oid.to_string()) }
}

fn read_class(scope: &Scope, name: &str) -> SqlResult<u32> {
    let name = QualifiedName::from_text(name)?;
    let built_in = CATALOG_OIDS.iter().find(|(known, _)| *known == name.name);
    if let Some((_, oid)) = built_in.filter(|_| name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog")) {
        return Ok(*oid);
    }
    if let Some(found) = scope.view.catalog.find(&name, &scope.search_path) {
        return Ok(found.relation().oid());
    }
    let indexes = oids::indexes(&scope.view.catalog);
    let in_schema = |schema: &str| indexes.iter().find(|index| index.found.schema == schema && index.constraint.name() == name.name);
    let index = match &name.schema {
        Some(schema) => in_schema(schema),
        None => scope.search_path.iter().find_map(|schema| in_schema(schema)),
    };
    index.map(|index| index.oid).ok_or_else(|| SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")))
}

/// Schema and name of a relation or an index.
fn place(scope: &Scope, oid: u32) -> Option<(String, String)> {
    if let Some(found) = scope.view.catalog.by_oid(oid) {
        return Some((found.schema.into(), found.name.into()));
    }
    let index = oids::constraint(&scope.view.catalog, oid)?;
    Some((index.found.schema.into(), index.constraint.name().into()))
}

/// Whether a name without a schema means this relation.
fn is_visible(scope: &Scope, oid: u32) -> bool {
    match place(scope, oid) {
        Some((schema, name)) => read_class(scope, &quote(&name)).is_ok_and(|found| found == oid) && scope.search_path.contains(&schema),
        None => CATALOG_OIDS.iter().any(|(_, known)| *known == oid),
    }
}

fn print_class(scope: &Scope, oid: u32) -> Option<String> {
    if let Some((name, _)) = CATALOG_OIDS.iter().find(|(_, known)| *known == oid) {
        return Some((*name).into());
    }
    let (schema, name) = place(scope, oid)?;
    Some(if is_visible(scope, oid) { quote(&name) } else { quote_qualified(&schema, &name) })
}

fn read_type(_: &Scope, name: &str) -> SqlResult<u32> {
    SqlType::parse(name.strip_prefix("pg_catalog.").unwrap_or(name)).map(|sql_type| sql_type.oid())
}

fn print_type(_: &Scope, oid: u32) -> Option<String> {
    Some(type_names::format(oid, None)).filter(|name| name != "???")
}

fn read_schema(scope: &Scope, name: &str) -> SqlResult<u32> {
    let wanted = QualifiedName::from_text(name)?.name;
    let all = relations::schemas(&scope.view.catalog);
    let found = all.into_iter().find(|(known, _)| *known == wanted).map(|(_, oid)| oid);
    found.ok_or_else(|| SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{wanted}\" does not exist")))
}

fn print_schema(scope: &Scope, oid: u32) -> Option<String> {
    relations::schemas(&scope.view.catalog).into_iter().find(|(_, known)| *known == oid).map(|(name, _)| quote(name))
}

fn read_role(scope: &Scope, name: &str) -> SqlResult<u32> {
    match QualifiedName::from_text(name)?.name {
        role if role == scope.user => Ok(10),
        role => Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{role}\" does not exist"))),
    }
}

/// Functions that print definitions of what has an OID.
fn definitions(scope: &Arc<Scope>) -> Vec<ScalarUDF> {
    let view = {
        let scope = Arc::clone(scope);
        of_one("pg_get_viewdef", DataType::Utf8View, move |value| {
            let oid = read_oid(&scope, value, read_class)?;
            Ok(ScalarValue::Utf8View(oid.and_then(|oid| describe::view(&scope.view.catalog, oid))))
        })
    };
    let constraint = {
        let scope = Arc::clone(scope);
        Function::of_rows("pg_get_constraintdef", one_to_three(), DataType::Utf8View, move |args| {
            let pretty = args.get(1) == Some(&ScalarValue::Boolean(Some(true)));
            Ok(ScalarValue::Utf8View(oid_of(&args[0]).and_then(|oid| describe::constraint(&scope.view.catalog, oid, pretty))))
        })
    };
    let index = {
        let scope = Arc::clone(scope);
        Function::of_rows("pg_get_indexdef", one_to_three(), DataType::Utf8View, move |args| {
            let column = args.get(1).and_then(as_integer).and_then(|column| usize::try_from(column).ok()).unwrap_or(0);
            Ok(ScalarValue::Utf8View(oid_of(&args[0]).and_then(|oid| describe::index(&scope.view.catalog, oid, column))))
        })
    };
    vec![view, constraint, index, serial_sequence(scope)]
}

/// `pg_get_serial_sequence(table, column)`.
fn serial_sequence(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    Function::of_rows("pg_get_serial_sequence", Signature::any(2, Volatility::Stable), DataType::Utf8View, move |args| {
        let (Some(table), Some(column)) = (as_text(&args[0]), as_text(&args[1])) else { return Ok(ScalarValue::Utf8View(None)) };
        let catalog = &scope.view.catalog;
        let found = catalog.require(&QualifiedName::from_text(table)?, &scope.search_path)?;
        let definition = found.table()?;
        let id = definition.require_column(found.name, column)?.id;
        let sequence = catalog.sequences_of(definition.oid, Some(id)).next();
        Ok(ScalarValue::Utf8View(sequence.map(|(found, _)| found.quoted())))
    })
}

/// Bytes of relations, from their segments.
fn sizes(scope: &Arc<Scope>) -> Vec<ScalarUDF> {
    let of_relation = |name: &'static str| {
        let scope = Arc::clone(scope);
        of_one(name, DataType::Int64, move |value| {
            let Some(oid) = read_oid(&scope, value, read_class)? else { return Ok(ScalarValue::Int64(None)) };
            let known = place(&scope, oid).is_some();
            let bytes = i64::try_from(relations::bytes(&scope, oid)).unwrap_or(i64::MAX);
            Ok(ScalarValue::Int64(known.then_some(bytes)))
        })
    };
    let mut all: Vec<_> = ["pg_table_size", "pg_relation_size", "pg_total_relation_size"].map(of_relation).into();
    let zero = of_one("pg_indexes_size", DataType::Int64, |_| Ok(ScalarValue::Int64(Some(0))));
    let whole = Arc::clone(scope);
    let database = of_one("pg_database_size", DataType::Int64, move |_| {
        let tables = whole.view.catalog.all().filter_map(|found| found.relation().as_table());
        let bytes: u64 = tables.map(|table| relations::bytes(&whole, table.oid)).sum();
        Ok(ScalarValue::Int64(i64::try_from(bytes).ok()))
    });
    all.extend([zero, database]);
    all
}

/// `current_setting(name [, missing_ok])`.
fn current_setting(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    Function::of_rows("current_setting", one_to_three(), DataType::Utf8View, move |args| {
        let Some(name) = as_text(&args[0]) else { return Ok(ScalarValue::Utf8View(None)) };
        let missing_ok = args.get(1) == Some(&ScalarValue::Boolean(Some(true)));
        match scope.session.settings.show(name) {
            Ok((_, value)) => Ok(text(value)),
            Err(_) if missing_ok => Ok(ScalarValue::Utf8View(None)),
            Err(error) => Err(error.into()),
        }
    })
}
