//! What monitoring tools call: places in the log, counts of tables, when they were vacuumed.
//!
//! The commit log stands for the write-ahead log. Its places are numbers of entries, written as PostgreSQL writes places (`0/1A`): they grow with
//! every commit, and the distance of two is a number of entries, not of bytes. There is no replica, so whatever tells of one is NULL.

use super::scalar::{Function, as_integer, as_text, text};
use crate::engine::counters::TableCounts;
use crate::error::{SqlError, SqlState};
use crate::query::Scope;
use crate::query::statistics::live_rows;
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ScalarUDF, Signature, Volatility};
use std::sync::Arc;

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let scope = Arc::new(scope.clone());
    let place = scope.view.snapshot.state.index.0;
    let mut all: Vec<ScalarUDF> = ["pg_current_wal_lsn", "pg_current_wal_insert_lsn", "pg_current_wal_flush_lsn"]
        .map(|name| Function::constant(name, text(shown(place))))
        .into();
    all.extend(["pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn"].map(|name| Function::constant(name, ScalarValue::Utf8View(None))));
    all.push(Function::constant("pg_last_xact_replay_timestamp", moment(None)));
    all.push(Function::constant("pg_notification_queue_usage", ScalarValue::Float64(Some(0.0))));
    all.push(distance());
    all.extend(of_tables(&scope));
    all.push(backends(&scope));
    all.push(reset(&scope));
    all.push(Function::constant("pg_stat_clear_snapshot", text("")));
    // No multixact was ever given out.
    all.push(Function::of_rows("mxid_age", Signature::any(1, Volatility::Stable), DataType::Int32, |args| {
        Ok(ScalarValue::Int32(as_integer(&args[0]).map(|_| 0)))
    }));
    all
}

/// A place in the log as PostgreSQL writes one.
pub fn shown(place: u64) -> String {
    format!("{:X}/{:X}", place >> 32, place & u64::from(u32::MAX))
}

fn read(place: &str) -> Result<u64> {
    let wrong = || SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type pg_lsn: \"{place}\""));
    let (high, low) = place.split_once('/').ok_or_else(wrong)?;
    let part = |digits: &str| u32::from_str_radix(digits, 16).map_err(|_| wrong());
    Ok(u64::from(part(high)?) << 32 | u64::from(part(low)?))
}

fn moment(at: Option<DateTime<Utc>>) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(at.map(|at| at.timestamp_micros()), Some("UTC".into()))
}

/// `pg_wal_lsn_diff(one, other)`
fn distance() -> ScalarUDF {
    let returns = DataType::Decimal128(38, 0);
    let signature = Signature::exact(vec![DataType::Utf8View, DataType::Utf8View], Volatility::Immutable);
    Function::of_rows("pg_wal_lsn_diff", signature, returns, |args| {
        let (Some(one), Some(other)) = (as_text(&args[0]), as_text(&args[1])) else { return Ok(ScalarValue::Decimal128(None, 38, 0)) };
        Ok(ScalarValue::Decimal128(Some(i128::from(read(one)?) - i128::from(read(other)?)), 38, 0))
    })
}

/// `pg_stat_get_tuples_inserted(oid)` and its like.
fn of_tables(scope: &Arc<Scope>) -> Vec<ScalarUDF> {
    type Count = fn(&TableCounts) -> u64;
    let counts: [(&'static str, Count); 7] = [
        ("pg_stat_get_tuples_inserted", |counts| counts.inserted),
        ("pg_stat_get_tuples_updated", |counts| counts.updated),
        ("pg_stat_get_tuples_deleted", |counts| counts.deleted),
        ("pg_stat_get_tuples_returned", |counts| counts.rows_read),
        ("pg_stat_get_vacuum_count", |counts| counts.vacuums),
        ("pg_stat_get_analyze_count", |counts| counts.analyzes),
        ("pg_stat_get_numscans", |counts| counts.scans),
    ];
    let mut all = counts.map(|(name, count)| of_table(scope, name, DataType::Int64, move |_, counts, _| int(count(counts)))).to_vec();
    all.push(of_table(scope, "pg_stat_get_live_tuples", DataType::Int64, |scope, _, oid| {
        int(scope.view.units(oid).iter().map(live_rows).sum())
    }));
    all.push(of_table(scope, "pg_stat_get_dead_tuples", DataType::Int64, |scope, _, oid| {
        int(scope.view.units(oid).iter().map(|unit| unit.rows - live_rows(unit)).sum())
    }));
    type Moment = fn(&TableCounts) -> Option<DateTime<Utc>>;
    let moments: [(&'static str, Moment); 4] = [
        ("pg_stat_get_last_vacuum_time", |counts| counts.last_vacuum),
        ("pg_stat_get_last_autovacuum_time", |_| None),
        ("pg_stat_get_last_analyze_time", |counts| counts.last_analyze),
        ("pg_stat_get_last_autoanalyze_time", |_| None),
    ];
    let zoned = moment(None).data_type();
    all.extend(moments.map(|(name, at)| of_table(scope, name, zoned.clone(), move |_, counts, _| moment(at(counts)))));
    all.extend(
        ["pg_stat_get_autovacuum_count", "pg_stat_get_autoanalyze_count", "pg_stat_get_mod_since_analyze"]
            .map(|name| of_table(scope, name, DataType::Int64, |_, _, _| int(0))),
    );
    all
}

fn int(count: u64) -> ScalarValue {
    ScalarValue::Int64(i64::try_from(count).ok())
}

fn of_table(
    scope: &Arc<Scope>,
    name: &'static str,
    returns: DataType,
    body: impl Fn(&Scope, &TableCounts, u32) -> ScalarValue + Send + Sync + 'static,
) -> ScalarUDF {
    let scope = Arc::clone(scope);
    let null = ScalarValue::try_from(&returns).unwrap_or(ScalarValue::Null);
    Function::of_rows(name, Signature::any(1, Volatility::Stable), returns, move |args| {
        let Some(oid) = as_integer(&args[0]).and_then(|oid| u32::try_from(oid).ok()) else { return Ok(null.clone()) };
        Ok(body(&scope, &scope.activity.counters().of_table(oid), oid))
    })
}

/// `pg_stat_get_db_numbackends(oid)`
fn backends(scope: &Arc<Scope>) -> ScalarUDF {
    let activity = Arc::clone(&scope.activity);
    Function::of_rows("pg_stat_get_db_numbackends", Signature::any(1, Volatility::Stable), DataType::Int32, move |args| {
        let own = as_integer(&args[0]) == Some(i64::from(crate::catalog::pg_catalog::server::DATABASE_OID));
        Ok(ScalarValue::Int32(i32::try_from(if own { activity.sessions().len() } else { 0 }).ok()))
    })
}

/// `pg_stat_reset()`
fn reset(scope: &Arc<Scope>) -> ScalarUDF {
    let scope = Arc::clone(scope);
    Function::of_rows("pg_stat_reset", Signature::nullary(Volatility::Volatile), DataType::Utf8View, move |_| {
        if !scope.rights_of_user().is_superuser() {
            let message = "permission denied for function pg_stat_reset";
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message).into());
        }
        scope.activity.counters().reset();
        Ok(text(""))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_written_and_read() {
        assert_eq!((shown(0x1_0000_002A).as_str(), read("1/2A").unwrap()), ("1/2A", 0x1_0000_002A));
        assert!(read("12").is_err() && read("x/y").is_err());
    }
}
