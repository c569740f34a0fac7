//! Functions that let time pass: `pg_sleep` and its like. They wake when the statement ends before its time.

use super::scalar::{Function, as_integer, text};
use crate::query::Scope;
use crate::types::SqlType;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ScalarUDF, Signature, Volatility};
use std::sync::Arc;
use std::time::Duration;

/// No statement lasts longer: about 30 years, in seconds.
const SECONDS_MAX: f64 = 1e9;

/// The functions of one statement.
pub fn functions(scope: &Scope) -> Vec<ScalarUDF> {
    vec![
        sleep(scope, "pg_sleep", SqlType::Float8, |seconds| match seconds {
            ScalarValue::Float64(seconds) => *seconds,
            _ => None,
        }),
        sleep(scope, "pg_sleep_for", SqlType::Interval, |interval| match interval {
            ScalarValue::IntervalMonthDayNano(Some(span)) => {
                let days = f64::from(span.months) * 30.0 + f64::from(span.days);
                Some(days * 86_400.0 + span.nanoseconds as f64 / 1e9)
            }
            _ => None,
        }),
        sleep(scope, "pg_sleep_until", SqlType::Timestamptz, |moment| {
            let now = chrono::Utc::now().timestamp_micros();
            as_integer(moment).map(|moment| moment.saturating_sub(now) as f64 / 1e6)
        }),
    ]
}

/// A function of one argument that says for how many seconds to wait; NULL is NULL at once.
fn sleep(scope: &Scope, name: &'static str, takes: SqlType, seconds: fn(&ScalarValue) -> Option<f64>) -> ScalarUDF {
    let (sessions, pid) = (Arc::clone(&scope.activity), scope.session.process_id);
    let signature = Signature::exact(vec![takes.arrow()], Volatility::Volatile);
    Function::of_rows(name, signature, DataType::Utf8View, move |args| {
        let Some(seconds) = seconds(&args[0]) else { return Ok(ScalarValue::Utf8View(None)) };
        wait(seconds, |duration| Ok(sessions.sleep(pid, duration)?))?;
        Ok(text(""))
    })
}

fn wait(seconds: f64, sleep: impl Fn(Duration) -> Result<()>) -> Result<()> {
    // What is negative, and what is no number, has passed.
    if seconds > 0.0 { sleep(Duration::from_secs_f64(seconds.min(SECONDS_MAX))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_is_to_come_is_waited_for() {
        let waited = |seconds| {
            let slept = std::cell::Cell::new(None);
            let sleep = |duration| {
                slept.set(Some(duration));
                Ok(())
            };
            wait(seconds, sleep).unwrap();
            slept.get()
        };
        assert_eq!((waited(-1.0), waited(0.0), waited(f64::NAN)), (None, None, None));
        assert_eq!(waited(0.5), Some(Duration::from_millis(500)));
        assert_eq!(waited(f64::INFINITY), Some(Duration::from_secs(1_000_000_000)));
    }
}
