//! Functions whose value depends on the session or on what the statement sees.

use super::scalar::{Function, as_integer, as_text, text};
use crate::access::acl;
use crate::access::rights::{Rights, denied};
use crate::catalog::names::QualifiedName;
use crate::catalog::temporary;
use crate::query::Scope;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, Signature, TypeSignature, Volatility};
use std::sync::Arc;

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let mut all = identity(scope);
    all.extend(sequences(scope));
    all.push(Function::constant("statement_timestamp", statement_begun()));
    all
}

fn identity(scope: &Scope) -> Vec<ScalarUDF> {
    let schema = scope.search_path.iter().find(|name| scope.view.catalog.schemas.contains_key(*name) && !temporary::is_temporary(name));
    let schema = ScalarValue::Utf8View(schema.cloned());
    let mut all = vec![
        Function::constant("current_database", text(&scope.database)),
        Function::constant("current_catalog", text(&scope.database)),
        Function::constant("current_schema", schema),
        schemas(scope),
    ];
    all.extend(temporary_schemas(scope));
    let session_user = match scope.session.settings.get("session_authorization") {
        "" => scope.user.clone(),
        user => user.to_string(),
    };
    all.push(Function::constant("session_user", text(session_user)));
    all.extend(["current_user", "user", "current_role"].map(|name| Function::constant(name, text(&scope.user))));
    all
}

/// `current_schemas(include_implicit)`.
fn schemas(scope: &Scope) -> ScalarUDF {
    let existing: Vec<String> = scope.search_path.iter().filter(|name| scope.view.catalog.schemas.contains_key(*name)).cloned().collect();
    let list = DataType::new_list(DataType::Utf8View, true);
    Function::of_rows("current_schemas", Signature::exact(vec![DataType::Boolean], Volatility::Stable), list, move |args| {
        let implicit = args[0] == ScalarValue::Boolean(Some(true));
        let (temporary, others): (Vec<_>, Vec<_>) = existing.iter().cloned().partition(|name| temporary::is_temporary(name));
        let temporary = temporary.into_iter().chain(["pg_catalog".to_string()]).filter(|_| implicit);
        let names: Vec<_> = temporary.chain(others).map(text).collect();
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&names, &DataType::Utf8View)))
    })
}

/// `pg_my_temp_schema()`, `pg_is_other_temp_schema(oid)`.
fn temporary_schemas(scope: &Scope) -> [ScalarUDF; 2] {
    let schemas = &scope.view.catalog.schemas;
    let own = temporary::own(&scope.search_path).and_then(|name| schemas.get(name)).map_or(0, |entry| entry.definition.oid);
    let others = schemas.iter().filter(|(name, entry)| temporary::is_temporary(name) && entry.definition.oid != own);
    let others: Vec<i64> = others.map(|(_, entry)| i64::from(entry.definition.oid)).collect();
    let is_other = move |args: &[ScalarValue]| Ok(ScalarValue::Boolean(as_integer(&args[0]).map(|oid| others.contains(&oid))));
    [
        Function::constant("pg_my_temp_schema", ScalarValue::UInt32(Some(own))),
        Function::of_rows("pg_is_other_temp_schema", Signature::any(1, Volatility::Stable), DataType::Boolean, is_other),
    ]
}

/// The statement's own begin, also within a transaction.
fn statement_begun() -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(chrono::Utc::now().timestamp_micros()), Some("UTC".into()))
}

/// One argument of text.
fn of_text(volatility: Volatility) -> Signature {
    Signature::exact(vec![DataType::Utf8View], volatility)
}

/// Refuses a function of this name, or lets it go on.
type Writing = Arc<dyn Fn(&str) -> Result<()> + Send + Sync>;

/// 25006 for what a read-only transaction may not do.
fn writable(scope: &Scope) -> Writing {
    let read_only = scope.session.settings.is_on("transaction_read_only");
    Arc::new(move |command| if read_only { Err(crate::session::block::read_only(command).into()) } else { Ok(()) })
}

fn sequences(scope: &Scope) -> Vec<ScalarUDF> {
    let allowed = permission(scope);
    let writable = writable(scope);
    let (may, may_write) = (Arc::clone(&allowed), Arc::clone(&writable));
    let next = Arc::clone(&scope.sequences);
    let nextval = Function::of_columns("nextval", of_text(Volatility::Volatile), DataType::Int64, move |args| {
        next_values(args, |name, count| {
            may_write("nextval()")?;
            may(name, acl::USAGE | acl::UPDATE)?;
            Ok(next.next_values(name, count)?)
        })
    });
    let may = Arc::clone(&allowed);
    let current = Arc::clone(&scope.sequences);
    let currval = Function::of_rows("currval", of_text(Volatility::Volatile), DataType::Int64, move |args| match as_text(&args[0]) {
        Some(name) => {
            may(name, acl::USAGE | acl::SELECT)?;
            Ok(ScalarValue::Int64(Some(current.current_value(name)?)))
        }
        None => Ok(ScalarValue::Int64(None)),
    });
    let last = Arc::clone(&scope.sequences);
    let lastval = Function::of_columns("lastval", Signature::nullary(Volatility::Volatile), DataType::Int64, move |_| {
        Ok(ColumnarValue::Scalar(ScalarValue::Int64(Some(last.last_value()?))))
    });
    let may = allowed;
    let set = Arc::clone(&scope.sequences);
    let two = TypeSignature::Exact(vec![DataType::Utf8View, DataType::Int64]);
    let three = TypeSignature::Exact(vec![DataType::Utf8View, DataType::Int64, DataType::Boolean]);
    let setval = Function::of_rows("setval", Signature::one_of(vec![two, three], Volatility::Volatile), DataType::Int64, move |args| {
        let is_called = args.get(2).is_none_or(|value| *value == ScalarValue::Boolean(Some(true)));
        match (as_text(&args[0]), as_integer(&args[1])) {
            (Some(name), Some(value)) => {
                writable("setval()")?;
                may(name, acl::UPDATE)?;
                Ok(ScalarValue::Int64(Some(set.set_value(name, value, is_called)?)))
            }
            _ => Ok(ScalarValue::Int64(None)),
        }
    });
    vec![nextval, currval, lastval, setval]
}

/// Whether one of some privileges on a sequence is had.
type Permission = Arc<dyn Fn(&str, acl::Privileges) -> Result<()> + Send + Sync>;

/// 42501 unless the user has one of the privileges on a sequence; of what is none others complain.
fn permission(scope: &Scope) -> Permission {
    let scope = scope.clone();
    Arc::new(move |name, any_of| {
        let catalog = &scope.view.catalog;
        let found = match name.parse::<u32>() {
            Ok(oid) => catalog.by_oid(oid),
            Err(_) => catalog.find(&QualifiedName::from_text(name)?, &scope.search_path),
        };
        let Some(found) = found else { return Ok(()) };
        let rights = Rights::of(catalog, &scope.user);
        rights.require_on_schema(found.schema, acl::USAGE)?;
        let had = acl::names(any_of).any(|(one, _)| rights.has(acl::Kind::Sequence, found.relation().oid(), one));
        if had { Ok(()) } else { Err(denied("sequence", found.name).into()) }
    })
}

/// One value for each row; a batch whose rows name one sequence, as nearly all do, takes its values at once.
fn next_values(args: &ScalarFunctionArgs, next: impl Fn(&str, usize) -> Result<Vec<i64>>) -> Result<ColumnarValue> {
    let values = match &args.args[0] {
        ColumnarValue::Scalar(name) => match as_text(name) {
            Some(name) => next(name, args.number_rows)?.into_iter().map(Some).collect(),
            None => vec![None; args.number_rows],
        },
        ColumnarValue::Array(names) => {
            let one = |row| match as_text(&ScalarValue::try_from_array(names, row)?) {
                Some(name) => Ok(next(name, 1)?.first().copied()),
                None => Ok(None),
            };
            (0..names.len()).map(one).collect::<Result<Vec<Option<i64>>>>()?
        }
    };
    Ok(ColumnarValue::Array(Arc::new(arrow::array::Int64Array::from(values))))
}
