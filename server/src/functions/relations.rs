//! Functions of what has an OID: names, definitions, sizes, visibility; as the statement's view has it.

use super::scalar::{Function, as_integer, as_text};
use crate::catalog::names::{QualifiedName, quote, quote_qualified};
use crate::catalog::pg_catalog::shapes::{self, Shape};
use crate::catalog::pg_catalog::{built_in, describe, oids, plain_indexes, procedures, relations, type_names};
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
    let names = Arc::clone(&scope);
    all.push(of_one("pg_get_userbyid", DataType::Utf8View, move |value| {
        let name = |oid| names.view.catalog.role_name(oid).map_or_else(|| format!("unknown (OID={oid})"), String::from);
        Ok(ScalarValue::Utf8View(oid_of(value).map(name)))
    }));
    let pid = scope.session.process_id;
    all.push(Function::constant("pg_backend_pid", ScalarValue::Int32(Some(pid))));
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
    let types: [(&'static str, &'static str, Read, Print); 6] = [
        ("pg_regclass_in", "pg_regclass_out", read_class, print_class),
        ("pg_regtype_in", "pg_regtype_out", read_type, print_type),
        ("pg_regnamespace_in", "pg_regnamespace_out", read_schema, print_schema),
        ("pg_regrole_in", "pg_regrole_out", read_role, |scope, oid| scope.view.catalog.role_name(oid).map(quote)),
        ("pg_regproc_in", "pg_regproc_out", read_function, |_, oid| Some(procedures::shown_name(oid))),
        ("pg_regprocedure_in", "pg_regprocedure_out", read_signature, |_, oid| print_signature(oid)),
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
    let lenient: [(&'static str, Read); 6] = [
        ("to_regclass", read_class),
        ("to_regtype", read_type),
        ("to_regnamespace", read_schema),
        ("to_regrole", read_role),
        ("to_regproc", read_function),
        ("to_regprocedure", read_signature),
    ];
    for (name, read) in lenient {
        let inner = Arc::clone(scope);
        all.push(of_one(name, DataType::UInt32, move |value| {
            Ok(ScalarValue::UInt32(as_text(value).and_then(|name| read(&inner, name).ok())))
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
    let own = format!("{}.", quote(&scope.database));
    let quoted = format!("\"{}\".", scope.database);
    let within = [&own, &quoted].into_iter().find_map(|database| name.strip_prefix(database.as_str()));
    // A schema may be called as the database is.
    let within = within.and_then(|rest| QualifiedName::from_text(rest).ok()).filter(|name| name.schema.is_some());
    let name = match within {
        Some(name) => name,
        None => QualifiedName::from_text(name)?,
    };
    if let Some(shape) = built_in_relation(scope, &name) {
        return Ok(shape.oid);
    }
    if let Some(found) = scope.view.catalog.find(&name, &scope.search_path) {
        return Ok(found.relation().oid());
    }
    let keys = oids::indexes(&scope.view.catalog).into_iter().map(|index| (index.found.schema, index.constraint.name(), index.oid));
    let plain = plain_indexes::all(&scope.view.catalog).into_iter().map(|index| (index.found.schema, index.index.name.as_str(), index.oid));
    let indexes: Vec<(&str, &str, u32)> = keys.chain(plain).collect();
    let in_schema = |schema: &str| indexes.iter().find(|index| index.0 == schema && index.1 == name.name);
    let index = match &name.schema {
        Some(schema) => in_schema(schema),
        None => scope.search_path.iter().find_map(|schema| in_schema(schema)),
    };
    index.map(|index| index.2).ok_or_else(|| SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")))
}

/// A built-in relation: `pg_catalog` is looked through first, unless the search path names it.
fn built_in_relation(scope: &Scope, name: &QualifiedName) -> Option<&'static Shape> {
    match &name.schema {
        Some(schema) => shapes::find(schema, &name.name),
        None => {
            shapes::find("pg_catalog", &name.name).or_else(|| scope.search_path.iter().find_map(|schema| shapes::find(schema, &name.name)))
        }
    }
}

/// Schema and name of a relation or an index.
fn place(scope: &Scope, oid: u32) -> Option<(String, String)> {
    if let Some(found) = scope.view.catalog.by_oid(oid) {
        return Some((found.schema.into(), found.name.into()));
    }
    if let Some(shape) = shapes::by_oid(oid) {
        return Some((shape.schema.into(), shape.name.into()));
    }
    if let Some(index) = plain_indexes::all(&scope.view.catalog).into_iter().find(|index| index.oid == oid) {
        return Some((index.found.schema.into(), index.index.name.clone()));
    }
    let index = oids::constraint(&scope.view.catalog, oid)?;
    Some((index.found.schema.into(), index.constraint.name().into()))
}

/// Whether a name without a schema means this relation.
fn is_visible(scope: &Scope, oid: u32) -> bool {
    match place(scope, oid) {
        Some((schema, name)) => {
            let searched = schema == "pg_catalog" || scope.search_path.contains(&schema);
            searched && read_class(scope, &quote(&name)).is_ok_and(|found| found == oid)
        }
        None => false,
    }
}

/// The name of a relation, with its schema where it is not found without.
pub(super) fn print_class(scope: &Scope, oid: u32) -> Option<String> {
    let (schema, name) = place(scope, oid)?;
    Some(if is_visible(scope, oid) { quote(&name) } else { quote_qualified(&schema, &name) })
}

fn read_type(_: &Scope, name: &str) -> SqlResult<u32> {
    let name = name.trim();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    let element = name.strip_suffix("[]").map(str::trim);
    let known = match element {
        Some(element) => type_names::named(element).and_then(|oid| built_in::type_oid(&format!("_{}", built_in::type_name(oid)?))),
        None => type_names::named(name),
    };
    match known {
        Some(oid) => Ok(oid),
        None => SqlType::parse_any(name).map(|sql_type| sql_type.oid()),
    }
}

fn no_function(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{name}\" does not exist"))
}

fn read_function(_: &Scope, name: &str) -> SqlResult<u32> {
    let wanted = QualifiedName::from_text(name)?;
    let built_in = wanted.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
    match procedures::named(&wanted.name).as_slice() {
        [oid] if built_in => Ok(*oid),
        [] | [_] => Err(no_function(name)),
        _ => Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("more than one function named \"{name}\""))),
    }
}

/// `f(integer, text)`
fn read_signature(scope: &Scope, text: &str) -> SqlResult<u32> {
    let (name, arguments) = text
        .strip_suffix(')')
        .and_then(|text| text.split_once('('))
        .ok_or_else(|| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a left parenthesis"))?;
    let types = arguments.split(',').map(str::trim).filter(|argument| !argument.is_empty());
    let types = types.map(|argument| read_type(scope, argument)).collect::<SqlResult<Vec<_>>>()?;
    let name = QualifiedName::from_text(name)?.name;
    let same = |oid: &u32| procedures::get(*oid).is_some_and(|procedure| procedure.inputs() == types);
    procedures::named(&name).into_iter().find(same).ok_or_else(|| no_function(text))
}

/// A function by its name and the types of its arguments.
pub(super) fn print_signature(oid: u32) -> Option<String> {
    let procedure = procedures::get(oid)?;
    let types: Vec<_> = procedure.inputs().into_iter().map(|oid| type_names::format(oid, None)).collect();
    Some(format!("{}({})", procedure.name, types.join(",")))
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
    let name = QualifiedName::from_text(name)?.name;
    let missing = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"));
    scope.view.catalog.roles.get(&name).map(|entry| entry.definition.oid).ok_or_else(missing)
}

/// Functions that print definitions of what has an OID.
fn definitions(scope: &Arc<Scope>) -> Vec<ScalarUDF> {
    let view = {
        let scope = Arc::clone(scope);
        of_one("pg_get_viewdef", DataType::Utf8View, move |value| {
            let oid = read_oid(&scope, value, read_class)?;
            Ok(ScalarValue::Utf8View(oid.and_then(|oid| describe::view(&scope.view.catalog, oid, &scope.search_path))))
        })
    };
    let constraint = {
        let scope = Arc::clone(scope);
        Function::of_rows("pg_get_constraintdef", one_to_three(), DataType::Utf8View, move |args| {
            let pretty = is_true(args.get(1));
            Ok(ScalarValue::Utf8View(
                oid_of(&args[0]).and_then(|oid| describe::constraint(&scope.view.catalog, oid, pretty, &scope.search_path)),
            ))
        })
    };
    let index = {
        let scope = Arc::clone(scope);
        Function::of_rows("pg_get_indexdef", one_to_three(), DataType::Utf8View, move |args| {
            let column = args.get(1).and_then(as_integer).and_then(|column| usize::try_from(column).ok()).unwrap_or(0);
            let text = oid_of(&args[0]).and_then(|oid| {
                let catalog = &scope.view.catalog;
                let pretty = is_true(args.get(2));
                describe::index(catalog, oid, column).or_else(|| plain_indexes::text(catalog, oid, column, pretty))
            });
            Ok(ScalarValue::Utf8View(text.map(|text| if is_true(args.get(2)) { without_schema(&scope, text) } else { text })))
        })
    };
    vec![view, constraint, index, serial_sequence(scope)]
}

/// Whether an argument says that the text shall be pretty: clients send a literal, too.
fn is_true(argument: Option<&ScalarValue>) -> bool {
    argument.is_some_and(|value| *value == ScalarValue::Boolean(Some(true)) || matches!(as_text(value), Some("t" | "true" | "on" | "1")))
}

/// CREATE INDEX without the schema of its table, where that is found without it.
fn without_schema(scope: &Scope, text: String) -> String {
    let visible = scope.search_path.iter().map(|schema| format!(" ON {}.", quote(schema)));
    visible.fold(text, |text, place| text.replacen(&place, " ON ", 1))
}

/// `pg_get_serial_sequence(table, column)`.
fn serial_sequence(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    Function::of_rows("pg_get_serial_sequence", Signature::any(2, Volatility::Stable), DataType::Utf8View, move |args| {
        let (Some(table), Some(column)) = (as_text(&args[0]), as_text(&args[1])) else { return Ok(ScalarValue::Utf8View(None)) };
        let (catalog, name) = (&scope.view.catalog, QualifiedName::from_text(table)?);
        if built_in_relation(&scope, &name).is_some() {
            return Ok(ScalarValue::Utf8View(None));
        }
        let found = catalog.require(&name, &scope.search_path)?;
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
    let known = Arc::clone(scope);
    all.push(of_one("pg_relation_filenode", DataType::UInt32, move |value| {
        Ok(ScalarValue::UInt32(oid_of(value).filter(|oid| known.view.catalog.by_oid(*oid).is_some())))
    }));
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
