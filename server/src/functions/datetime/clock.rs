//! Functions that read the clock: `clock_timestamp()`, `timeofday()`; and the rounding of `current_timestamp(2)` and the like.

use super::calendar::is_infinite;
use super::{ArgumentType, Call, Timely, no_function};
use crate::error::Result;
use crate::types::SqlType;
use crate::types::convert::rounded_to;
use crate::types::moment;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The function that rounds to so many digits of a second; no client writes its name.
pub const ROUND: &str = "plimsoll_round_seconds";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let clock = |name, shown| ScalarUDF::new_from_impl(Clock { name, shown, signature: Signature::nullary(Volatility::Volatile) });
    vec![
        clock("clock_timestamp", false),
        clock("timeofday", true),
        ScalarUDF::new_from_impl(Now { signature: Signature::nullary(Volatility::Stable), aliases: ["current_timestamp".into()] }),
        Timely::function(ROUND, (2, 2), |types, _| round_type(types), round),
        Timely::function("isfinite", (1, 1), |types, _| finite_type(types), finite),
    ]
}

/// `now()`: when the transaction began, in microseconds as all moments are. The engine's own is of nanoseconds, and what stands beside it becomes
/// of nanoseconds too: the year 9999 is none of theirs.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    signature: Signature,
    aliases: [String; 1],
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &'static str {
        "now"
    }
    fn aliases(&self) -> &[String] {
        &self.aliases
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(SqlType::Timestamptz.arrow())
    }
    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> datafusion::common::Result<ExprSimplifyResult> {
        let Some(now) = context.query_execution_start_time() else { return Ok(ExprSimplifyResult::Original(arguments)) };
        let now = ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), Some("UTC".into()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(now, None)))
    }
    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> datafusion::common::Result<ColumnarValue> {
        datafusion::common::internal_err!("now() was not given its value")
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Clock {
    name: &'static str,
    shown: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Clock {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> datafusion::common::Result<DataType> {
        Ok(if self.shown { DataType::Utf8View } else { SqlType::Timestamptz.arrow() })
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::common::Result<ColumnarValue> {
        let now = chrono::Utc::now().timestamp_micros();
        if !self.shown {
            return Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(now), Some("UTC".into()))));
        }
        let zone = super::zones::named_zone(args.config_options.execution.time_zone.as_deref().unwrap_or("UTC"))?;
        let text = super::templates::of_moment("Dy Mon DD HH24:MI:SS.US YYYY TZ", moment::local(now, &zone), Some((now, zone)))?;
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(text)))
    }
}

fn round_type(types: &[ArgumentType]) -> Result<SqlType> {
    match &types[0] {
        Some(known @ (SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz | SqlType::Interval)) => Ok(known.clone()),
        _ => Err(no_function(ROUND, types)),
    }
}

fn round(call: &Call<'_>) -> Result<ArrayRef> {
    let digits = super::fields::doubles(&call.column(1, &SqlType::Int8)?)?;
    let digits = digits.first().copied().flatten().unwrap_or(6.0) as u8;
    rounded_to(&call.column(0, &call.returns)?, digits)
}

fn finite_type(types: &[ArgumentType]) -> Result<SqlType> {
    match &types[0] {
        Some(SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz | SqlType::Interval | SqlType::Time) => Ok(SqlType::Boolean),
        _ => Err(no_function("isfinite", types)),
    }
}

fn finite(call: &Call<'_>) -> Result<ArrayRef> {
    let values: Vec<Option<bool>> = match call.argument_type(0) {
        Some(SqlType::Date) => call.days(0)?.into_iter().map(|days| days.map(|days| days != i32::MIN && days != i32::MAX)).collect(),
        Some(moment @ (SqlType::Timestamp | SqlType::Timestamptz)) => {
            call.moments(0, &moment.clone())?.into_iter().map(|at| at.map(|at| !is_infinite(at))).collect()
        }
        _ => call.intervals(0)?.into_iter().map(|value| value.map(|_| true)).collect(),
    };
    Ok(std::sync::Arc::new(arrow::array::BooleanArray::from(values)))
}
