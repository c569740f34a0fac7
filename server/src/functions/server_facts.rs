//! Functions that tell of the server and the connection: addresses, times, transaction numbers.

use super::scalar::{Function, as_integer, as_text};
use crate::catalog::client_queries;
use crate::catalog::pg_catalog::shapes;
use crate::query::Scope;
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Signature, TypeSignature, Volatility};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// When the process began to serve; the node touches it when it starts.
pub static STARTED: LazyLock<DateTime<Utc>> = LazyLock::new(Utc::now);

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let mut all = addresses(scope);
    let started = ScalarValue::TimestampMicrosecond(Some(STARTED.timestamp_micros()), Some("UTC".into()));
    all.extend(["pg_postmaster_start_time", "pg_conf_load_time"].map(|name| Function::constant(name, started.clone())));
    // The place in the log is what tells transactions apart.
    let at = i64::try_from(scope.view.snapshot.state.objects_version.0).ok();
    let numbers = ["txid_current", "txid_current_if_assigned", "pg_current_xact_id", "pg_current_xact_id_if_assigned"];
    all.extend(numbers.map(|name| Function::constant(name, ScalarValue::Int64(at))));
    all.push(age(at.unwrap_or_default()));
    all.extend(properties());
    all.push(updatable(scope));
    all
}

/// The client's address, looked up when it is asked for, and the server's own.
fn addresses(scope: &Scope) -> Vec<ScalarUDF> {
    let of_client = |name: &'static str, returns: DataType, show: fn(Option<SocketAddr>) -> ScalarValue| {
        let (activity, pid) = (Arc::clone(&scope.activity), scope.session.process_id);
        Function::of_columns(name, Signature::nullary(Volatility::Stable), returns, move |_| {
            let own = activity.sessions().into_iter().find(|session| session.identity.process_id == pid);
            Ok(ColumnarValue::Scalar(show(own.and_then(|session| session.identity.client_address))))
        })
    };
    vec![
        of_client("inet_client_addr", DataType::Utf8View, |at| ScalarValue::Utf8View(at.map(|at| at.ip().to_string()))),
        of_client("inet_client_port", DataType::Int32, |at| ScalarValue::Int32(at.map(|at| i32::from(at.port())))),
        Function::constant("inet_server_addr", ScalarValue::Utf8View(own_address(scope))),
        Function::constant("inet_server_port", ScalarValue::Int32(own_port(scope))),
    ]
}

/// Where the server listens; `None` where it listens everywhere, as nobody has noted by which address a client came.
fn own_address(scope: &Scope) -> Option<String> {
    let address: std::net::IpAddr = scope.session.settings.get("listen_addresses").parse().ok()?;
    (!address.is_unspecified()).then(|| address.to_string())
}

/// `None` where the server was told to take any port: the setting is what it was told.
fn own_port(scope: &Scope) -> Option<i32> {
    scope.session.settings.get("port").parse().ok().filter(|port| *port != 0)
}

/// How many changes of the catalog ago a transaction was; for ever, of none.
fn age(now: i64) -> ScalarUDF {
    Function::of_rows(client_queries::XID_AGE, Signature::any(1, Volatility::Stable), DataType::Int32, move |args| {
        let ago = |xid: i64| if xid == 0 { i32::MAX } else { i32::try_from((now - xid).max(0)).unwrap_or(i32::MAX) };
        Ok(ScalarValue::Int32(as_integer(&args[0]).map(ago)))
    })
}

/// `pg_index_column_has_property` and its like: all indexes are ascending, unique, and found by value.
fn properties() -> Vec<ScalarUDF> {
    const HELD: [&str; 9] =
        ["asc", "nulls_last", "orderable", "returnable", "search_array", "search_nulls", "can_order", "can_unique", "can_multi_col"];
    let answers = |name: &'static str| {
        let signature = Signature::one_of(vec![TypeSignature::Any(2), TypeSignature::Any(3)], Volatility::Stable);
        Function::of_rows(name, signature, DataType::Boolean, |args| {
            let property = args.last().and_then(as_text).map(str::to_lowercase);
            Ok(ScalarValue::Boolean(property.map(|property| HELD.contains(&property.as_str()))))
        })
    };
    ["pg_index_column_has_property", "pg_index_has_property", "pg_indexam_has_property"].map(answers).into()
}

/// `pg_relation_is_updatable(oid, include_triggers)`: INSERT, UPDATE and DELETE for tables, nothing for the rest.
fn updatable(scope: &Scope) -> ScalarUDF {
    let scope = scope.clone();
    let signature = Signature::one_of(vec![TypeSignature::Any(1), TypeSignature::Any(2)], Volatility::Stable);
    Function::of_rows("pg_relation_is_updatable", signature, DataType::Int32, move |args| {
        let oid = as_integer(&args[0]).and_then(|oid| u32::try_from(oid).ok());
        let table = oid.and_then(|oid| scope.view.catalog.by_oid(oid)).is_some_and(|found| found.relation().as_table().is_some());
        let known = oid.is_some_and(|oid| table || shapes::by_oid(oid).is_some() || scope.view.catalog.by_oid(oid).is_some());
        Ok(ScalarValue::Int32(known.then_some(if table { 28 } else { 0 })))
    })
}
