//! Functions that act on sessions, and tell of them: settings, locks, cancelling.

use super::scalar::{Function, as_integer, as_text, text};
use super::signals::Signal;
use crate::access::rights::{Rights, denied};
use crate::engine::advisory::{Held, Key, Mode};
use crate::error::{SqlError, SqlState};
use crate::query::Scope;
use crate::session::settings::confidential;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use std::sync::Arc;

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    let mut all = vec![current_setting(scope), set_config(scope), unlock_all(scope)];
    all.extend([Signal::Cancel, Signal::Terminate].map(|signal| stop(scope, signal)));
    all.extend(LOCKS.map(|(name, mode)| lock(scope, name, mode)));
    all.extend(TRY_LOCKS.map(|(name, mode)| try_lock(scope, name, mode)));
    all.push(reload(scope));
    all.push(blocking(scope));
    all.push(unlock(scope, "pg_advisory_unlock", false));
    all.push(unlock(scope, "pg_advisory_unlock_shared", true));
    all
}

const fn mode(shared: bool, transaction: bool) -> Mode {
    Mode { shared, transaction }
}

const LOCKS: [(&str, Mode); 4] = [
    ("pg_advisory_lock", mode(false, false)),
    ("pg_advisory_lock_shared", mode(true, false)),
    ("pg_advisory_xact_lock", mode(false, true)),
    ("pg_advisory_xact_lock_shared", mode(true, true)),
];

const TRY_LOCKS: [(&str, Mode); 4] = [
    ("pg_try_advisory_lock", mode(false, false)),
    ("pg_try_advisory_lock_shared", mode(true, false)),
    ("pg_try_advisory_xact_lock", mode(false, true)),
    ("pg_try_advisory_xact_lock_shared", mode(true, true)),
];

fn any_of(counts: &[usize], volatility: Volatility) -> Signature {
    Signature::one_of(counts.iter().map(|count| TypeSignature::Any(*count)).collect(), volatility)
}

/// `current_setting(name [, missing_ok])`.
fn current_setting(scope: &Scope) -> ScalarUDF {
    let (session, catalog, user) = (scope.session.clone(), scope.view.catalog.clone(), scope.user.clone());
    Function::of_rows("current_setting", any_of(&[1, 2], Volatility::Stable), DataType::Utf8View, move |args| {
        let Some(name) = as_text(&args[0]) else { return Ok(ScalarValue::Utf8View(None)) };
        confidential::check(name, &Rights::of(&catalog, &user))?;
        match session.effects.show(&session.settings, name) {
            Ok(value) => Ok(text(value)),
            Err(_) if args.get(1) == Some(&ScalarValue::Boolean(Some(true))) => Ok(ScalarValue::Utf8View(None)),
            Err(error) => Err(error.into()),
        }
    })
}

/// `set_config(name, value, is_local)`.
fn set_config(scope: &Scope) -> ScalarUDF {
    let session = scope.session.clone();
    let signature = Signature::exact(vec![DataType::Utf8View, DataType::Utf8View, DataType::Boolean], Volatility::Volatile);
    Function::of_rows("set_config", signature, DataType::Utf8View, move |args| {
        let Some(name) = as_text(&args[0]) else {
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name").into());
        };
        let local = args[2] == ScalarValue::Boolean(Some(true));
        Ok(text(session.effects.set(&session.settings, name, as_text(&args[1]), local)?))
    })
}

/// `pg_cancel_backend(pid)`, `pg_terminate_backend(pid [, timeout])`.
fn stop(scope: &Scope, signal: Signal) -> ScalarUDF {
    let scope = Arc::new(scope.clone());
    let counts: &[usize] = if signal == Signal::Cancel { &[1] } else { &[1, 2] };
    Function::of_rows(signal.function(), any_of(counts, Volatility::Volatile), DataType::Boolean, move |args| {
        let Some(pid) = as_integer(&args[0]) else { return Ok(ScalarValue::Boolean(None)) };
        let found = signal.send(&scope, i32::try_from(pid).unwrap_or(0))?;
        if !found {
            scope.session.effects.warn(SqlState("01000"), format!("PID {pid} is not a PostgreSQL backend process"));
        }
        Ok(ScalarValue::Boolean(Some(found)))
    })
}

/// `pg_reload_conf()`: as SIGHUP does.
fn reload(scope: &Scope) -> ScalarUDF {
    let scope = Arc::new(scope.clone());
    Function::of_rows("pg_reload_conf", Signature::nullary(Volatility::Volatile), DataType::Boolean, move |_| {
        if !scope.rights_of_user().is_superuser() {
            return Err(denied("function", "pg_reload_conf").into());
        }
        scope.activity.reload();
        Ok(ScalarValue::Boolean(Some(true)))
    })
}

/// The key that one or two numbers are; `None` if one is NULL.
fn key_of(args: &[ScalarValue]) -> Result<Option<Key>> {
    let part = |value: i64| i32::try_from(value).map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"));
    match args.iter().map(as_integer).collect::<Option<Vec<_>>>().as_deref() {
        Some([one]) => Ok(Some(Key::One(*one))),
        Some([first, second]) => Ok(Some(Key::Two(part(*first)?, part(*second)?))),
        _ => Ok(None),
    }
}

fn of_keys(name: &'static str, returns: DataType, body: impl Fn(Key) -> Result<ScalarValue> + Send + Sync + 'static) -> ScalarUDF {
    let null = ScalarValue::try_from(&returns).unwrap_or(ScalarValue::Null);
    let one = TypeSignature::Exact(vec![DataType::Int64]);
    let two = TypeSignature::Exact(vec![DataType::Int64, DataType::Int64]);
    let signature = Signature::one_of(vec![one, two], Volatility::Volatile);
    Function::of_rows(name, signature, returns, move |args| match key_of(args)? {
        Some(key) => body(key),
        None => Ok(null.clone()),
    })
}

/// `pg_advisory_lock` and its like: waits, until cancelled or for `lock_timeout`.
fn lock(scope: &Scope, name: &'static str, mode: Mode) -> ScalarUDF {
    let (sessions, session) = (scope.activity.clone(), scope.session.clone());
    of_keys(name, DataType::Utf8View, move |key| {
        if !sessions.advisory_locks().try_lock(session.process_id, key, mode)? {
            let limit = session.lock_timeout();
            sessions.wait_for_lock(session.process_id, key, mode, limit)?;
        }
        Ok(text(""))
    })
}

/// `pg_try_advisory_lock` and its like.
fn try_lock(scope: &Scope, name: &'static str, mode: Mode) -> ScalarUDF {
    let (sessions, session) = (scope.activity.clone(), scope.session.clone());
    of_keys(name, DataType::Boolean, move |key| {
        Ok(ScalarValue::Boolean(Some(sessions.advisory_locks().try_lock(session.process_id, key, mode)?)))
    })
}

/// `pg_advisory_unlock`, `pg_advisory_unlock_shared`.
fn unlock(scope: &Scope, name: &'static str, shared: bool) -> ScalarUDF {
    let (sessions, session) = (scope.activity.clone(), scope.session.clone());
    of_keys(name, DataType::Boolean, move |key| {
        let given = sessions.advisory_locks().unlock(session.process_id, key, shared);
        if !given {
            let kind = if shared { "ShareLock" } else { "ExclusiveLock" };
            session.effects.warn(SqlState("01000"), format!("you don't own a lock of type {kind}"));
        }
        Ok(ScalarValue::Boolean(Some(given)))
    })
}

/// `pg_blocking_pids(pid)`: the sessions that keep another waiting for a lock.
fn blocking(scope: &Scope) -> ScalarUDF {
    let sessions = scope.activity.clone();
    let returns = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
    Function::of_rows("pg_blocking_pids", Signature::any(1, Volatility::Volatile), returns, move |args| {
        let pid = as_integer(&args[0]).and_then(|pid| i32::try_from(pid).ok());
        let by: Vec<ScalarValue> = pid.map(|pid| sessions.locks().blocking(pid)).into_iter().flatten().map(ScalarValue::from).collect();
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&by, &DataType::Int32)))
    })
}

/// `pg_advisory_unlock_all()`.
fn unlock_all(scope: &Scope) -> ScalarUDF {
    let (sessions, session) = (scope.activity.clone(), scope.session.clone());
    Function::of_columns("pg_advisory_unlock_all", Signature::nullary(Volatility::Volatile), DataType::Utf8View, move |_| {
        sessions.advisory_locks().release(session.process_id, Held::BySession);
        Ok(datafusion::logical_expr::ColumnarValue::Scalar(text("")))
    })
}
