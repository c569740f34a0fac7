//! Functions of dates and times that depend on the session's time zone, or print by a pattern; and random identifiers.

use super::scalar::{Function, as_text};
use crate::error::{SqlError, SqlState};
use crate::types::SqlType;
use crate::types::convert::{convert, is_string, write};
use crate::types::moment::pattern;
use crate::types::zone::Zone;
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, Int32Array, StringViewArray, StringViewBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// `timestamp - timestamp`: whole days, and the rest.
pub const SUBTRACT: &str = "timestamp -";
const TRUNCATE: &str = "date_trunc in zone";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let any = |count| Signature::any(count, Volatility::Stable);
    vec![
        ScalarUDF::new_from_impl(AtZone { signature: any(2) }),
        ScalarUDF::new_from_impl(RandomUuid { signature: Signature::nullary(Volatility::Volatile) }),
        subtract(),
        truncate(),
        Function::of_columns("to_char", any(2), DataType::Utf8View, to_char).with_aliases(["date_format"]),
        Function::of_columns("octet_length", any(1), DataType::Int32, octets),
    ]
}

/// The function of a name.
pub fn named(name: &str) -> Option<ScalarUDF> {
    functions().into_iter().find(|function| function.name() == name)
}

fn is_constant(args: &ScalarFunctionArgs) -> bool {
    args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)))
}

fn columns(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
    let rows = if is_constant(args) { 1 } else { args.number_rows };
    args.args.iter().map(|arg| arg.to_array(rows)).collect()
}

fn result(args: &ScalarFunctionArgs, values: ArrayRef) -> Result<ColumnarValue> {
    match is_constant(args) {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)),
        false => Ok(ColumnarValue::Array(values)),
    }
}

fn session_zone(args: &ScalarFunctionArgs) -> &str {
    args.config_options.execution.time_zone.as_deref().unwrap_or("UTC")
}

/// `timezone(zone, moment)`, which is `moment AT TIME ZONE zone`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AtZone {
    signature: Signature,
}

impl ScalarUDFImpl for AtZone {
    fn name(&self) -> &str {
        "timezone"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match &arguments[1] {
            DataType::Timestamp(_, Some(_)) => SqlType::Timestamp.arrow(),
            _ => SqlType::Timestamptz.arrow(),
        })
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ColumnarValue::Scalar(zone) = &args.args[0] else {
            return Err(SqlError::unsupported("a time zone that is not a constant").into());
        };
        let columns = columns(&args)?;
        let to = SqlType::of_field(&args.return_field);
        let Some(zone) = as_text(zone) else { return result(&args, arrow::array::new_null_array(&to.arrow(), columns[1].len())) };
        if Zone::parse(zone).is_none() {
            let message = format!("time zone \"{zone}\" not recognized");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).into());
        }
        let from = SqlType::of_field(&args.arg_fields[1]);
        let converted = match from {
            from if is_string(&from) => convert(
                &convert(&columns[1], &from, &SqlType::Timestamptz, session_zone(&args))?,
                &SqlType::Timestamptz,
                &SqlType::Timestamp,
                zone,
            )?,
            from => convert(&columns[1], &from, &to, zone)?,
        };
        result(&args, converted)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RandomUuid {
    signature: Signature,
}

impl ScalarUDFImpl for RandomUuid {
    fn name(&self) -> &str {
        "gen_random_uuid"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }
    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(SqlType::Uuid.field(self.name(), false)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let return_field = Arc::new(Field::new(self.name(), DataType::Utf8, false));
        let made = datafusion::functions::string::uuid().invoke_with_args(ScalarFunctionArgs { return_field, ..args })?;
        made.cast_to(&DataType::Utf8View, None)
    }
}

fn subtract() -> ScalarUDF {
    let signature = Signature::any(2, Volatility::Stable);
    Function::of_columns(SUBTRACT, signature, SqlType::Interval.arrow(), |args| {
        let columns = columns(args)?;
        let micros = |index: usize| -> Result<TimestampMicrosecondArray> {
            let from = SqlType::of_field(&args.arg_fields[index]);
            let to = if from == SqlType::Timestamptz { SqlType::Timestamptz } else { SqlType::Timestamp };
            Ok(convert(&columns[index], &from, &to, session_zone(args))?.as_primitive::<TimestampMicrosecondType>().clone())
        };
        let (left, right) = (micros(0)?, micros(1)?);
        let rows = left.iter().zip(&right).map(|(left, right)| {
            let elapsed = left?.saturating_sub(right?);
            let (days, rest) = (elapsed / 86_400_000_000, elapsed % 86_400_000_000);
            Some(IntervalMonthDayNano::new(0, days as i32, rest * 1000))
        });
        let intervals: arrow::array::PrimitiveArray<IntervalMonthDayNanoType> = rows.collect();
        result(args, Arc::new(intervals))
    })
}

/// `date_trunc` of a timestamptz: by the calendar of the session's zone.
fn truncate() -> ScalarUDF {
    let at = SqlType::Timestamptz.arrow();
    Function::of_columns(TRUNCATE, Signature::any(2, Volatility::Stable), at, |args| {
        let zone = session_zone(args);
        let columns = columns(args)?;
        let local = convert(&columns[1], &SqlType::Timestamptz, &SqlType::Timestamp, zone)?;
        let rows = local.len();
        let timestamp = Arc::new(SqlType::Timestamp.field("at", true));
        let inner = ScalarFunctionArgs {
            args: vec![args.args[0].clone(), ColumnarValue::Array(local)],
            arg_fields: vec![Arc::clone(&args.arg_fields[0]), Arc::clone(&timestamp)],
            number_rows: rows,
            return_field: timestamp,
            config_options: Arc::clone(&args.config_options),
        };
        let truncated = datafusion::functions::datetime::date_trunc().invoke_with_args(inner)?.into_array(rows)?;
        result(args, convert(&truncated, &SqlType::Timestamp, &SqlType::Timestamptz, zone)?)
    })
}

/// Calls of built-in functions that know no session.
#[derive(Debug)]
pub struct InZone;

impl FunctionRewrite for InZone {
    fn name(&self) -> &str {
        "functions in the session's time zone"
    }
    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else { return Ok(Transformed::no(expr)) };
        let zoned = |data_type: DataType| matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, Some(_)));
        let replaced = match (func.name(), args.as_slice()) {
            ("date_trunc", [_, at]) if zoned(at.get_type(schema)?) => named(TRUNCATE).map(|function| function.call(args.clone())),
            ("character_length", [text]) if text.get_type(schema)?.is_binary() => {
                named("octet_length").map(|function| function.call(args.clone()))
            }
            // An empty array has no dimension.
            ("array_length", _) => {
                let zero = Expr::Literal(ScalarValue::UInt64(Some(0)), None);
                Some(datafusion::functions::core::nullif().call(vec![expr.clone(), zero]))
            }
            _ => None,
        };
        Ok(replaced.map_or_else(|| Transformed::no(expr), Transformed::yes))
    }
}

/// `to_char(moment, pattern)`.
fn to_char(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let columns = columns(args)?;
    let from = SqlType::of_field(&args.arg_fields[0]);
    if !matches!(from, SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz) && *args.arg_fields[0].data_type() != DataType::Null {
        return Err(SqlError::unsupported(format!("to_char of type {}", from.name())).into());
    }
    let local = convert(&columns[0], &from, &SqlType::Timestamp, session_zone(args))?;
    let patterns = arrow::compute::cast(&columns[1], &DataType::Utf8View)?;
    let mut builder = StringViewBuilder::with_capacity(local.len());
    for (at, shape) in local.as_primitive::<TimestampMicrosecondType>().iter().zip(patterns.as_string_view()) {
        match (at, shape) {
            (Some(at), Some(shape)) => builder.append_value(pattern(shape, at)?),
            _ => builder.append_null(),
        }
    }
    result(args, Arc::new(builder.finish()))
}

/// Bytes of a bytea, or of a text as it is stored by PostgreSQL: with the blanks of a character(n).
fn octets(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let from = SqlType::of_field(&args.arg_fields[0]);
    let values = &columns(args)?[0];
    let lengths: Int32Array = match &from {
        SqlType::Bytea => {
            let bytes = arrow::compute::cast(values, &DataType::BinaryView)?;
            let bytes: &BinaryViewArray = bytes.as_binary_view();
            bytes.iter().map(|bytes| bytes.map(|bytes| bytes.len() as i32)).collect()
        }
        from => {
            let texts =
                if is_string(from) { arrow::compute::cast(values, &DataType::Utf8View)? } else { write(values, from, session_zone(args))? };
            let texts: &StringViewArray = texts.as_string_view();
            let blanks = |text: &str| match from {
                SqlType::Char(length) => (*length as usize).saturating_sub(text.chars().count()),
                _ => 0,
            };
            texts.iter().map(|text| text.map(|text| (text.len() + blanks(text)) as i32)).collect()
        }
    };
    result(args, Arc::new(lengths))
}
