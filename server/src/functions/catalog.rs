//! Functions that psql and other readers of the system catalog call, and whose value is always the same here.

use super::scalar::{Function, as_integer, as_text, text};
use crate::catalog::client_queries;
use crate::catalog::pg_catalog::type_names;
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::output::ColumnEncoder;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, UInt32Type};
use bytes::BytesMut;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility};
use datafusion_pg_catalog::pg_catalog as crates;

/// What `version()` says: clients parse the number of PostgreSQL that they can expect.
pub const VERSION: &str = concat!("PostgreSQL 15.0 (Plimsoll ", env!("CARGO_PKG_VERSION"), ")");

/// The functions.
pub fn functions() -> Vec<ScalarUDF> {
    let mut all = from_crate();
    all.push(Function::constant("version", text(VERSION)));
    all.extend(ALWAYS_TRUE.map(|name| always(name, ScalarValue::Boolean(Some(true)))));
    all.extend(ALWAYS_NULL_TEXT.map(|name| always(name, ScalarValue::Utf8View(None))));
    all.extend(ALWAYS_FALSE.map(|name| always(name, ScalarValue::Boolean(Some(false)))));
    all.push(Function::constant("pg_jit_available", ScalarValue::Boolean(Some(false))));
    all.push(Function::constant("pg_client_encoding", text("UTF8")));
    all.push(Function::constant("pg_trigger_depth", ScalarValue::Int32(Some(0))));
    all.push(always("pg_encoding_max_length", ScalarValue::Int32(Some(4))));
    all.push(always("pg_tablespace_location", text("")));
    all.push(always("pg_encoding_to_char", text("UTF8")));
    all.push(get_expr());
    all.push(size_pretty());
    all.push(format_type());
    all.push(array_to_string());
    all.push(vector_types());
    all.push(Function::constant(client_queries::EMPTY_ARRAY, empty_array()));
    all.push(ScalarUDF::new_from_impl(EmptyIfNull::new()));
    all.push(Function::constant("getdatabaseencoding", text("UTF8")));
    all.push(always("pg_char_to_encoding", ScalarValue::Int32(Some(6))));
    all.extend(["pg_is_in_recovery", "pg_is_wal_replay_paused"].map(|name| Function::constant(name, ScalarValue::Boolean(Some(false)))));
    all
}

const ALWAYS_TRUE: [&str; 16] = [
    "has_type_privilege",
    "has_language_privilege",
    "pg_relation_is_publishable",
    "pg_opclass_is_visible",
    "pg_opfamily_is_visible",
    "pg_conversion_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_operator_is_visible",
    "pg_collation_is_visible",
    "has_function_privilege",
];

const ALWAYS_FALSE: [&str; 1] = ["row_security_active"];

const ALWAYS_NULL_TEXT: [&str; 8] = [
    "pg_get_statisticsobjdef",
    "pg_get_partkeydef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions",
    "pg_get_triggerdef",
    "pg_get_partition_constraintdef",
    "pg_relation_filepath",
    "pg_get_replica_identity_index",
];

fn from_crate() -> Vec<ScalarUDF> {
    vec![
        crates::quote_ident_udf::create_quote_ident_udf(),
        crates::array_bounds_udf::create_array_upper_udf(),
        crates::array_bounds_udf::create_array_lower_udf(),
    ]
}

/// A function of whatever arguments with one answer.
fn always(name: &'static str, value: ScalarValue) -> ScalarUDF {
    let counts = (1..=4).map(TypeSignature::Any).collect();
    let returns = value.data_type();
    Function::of_rows(name, Signature::one_of(counts, Volatility::Stable), returns, move |_| Ok(value.clone()))
}

/// `pg_get_expr(adbin, adrelid)`: expressions are kept as text.
fn get_expr() -> ScalarUDF {
    let signature = Signature::one_of(vec![TypeSignature::Any(2), TypeSignature::Any(3)], Volatility::Stable);
    Function::of_rows("pg_get_expr", signature, DataType::Utf8View, |args| {
        let pretty = matches!(args.get(2), Some(ScalarValue::Boolean(Some(true))));
        let bare = |text: &str| if pretty { without_parentheses(text).to_string() } else { text.to_string() };
        Ok(ScalarValue::Utf8View(as_text(&args[0]).map(bare)))
    })
}

/// A text without the parentheses that are around all of it.
fn without_parentheses(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return text };
    let (mut depth, mut quoted) = (0i32, false);
    for byte in inner.bytes() {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return text;
        }
    }
    inner
}

/// `pg_size_pretty(bytes)`.
fn size_pretty() -> ScalarUDF {
    Function::of_rows("pg_size_pretty", Signature::any(1, Volatility::Immutable), DataType::Utf8View, |args| {
        Ok(ScalarValue::Utf8View(as_integer(&args[0]).map(pretty_bytes)))
    })
}

fn pretty_bytes(bytes: i64) -> String {
    let mut size = bytes;
    let mut unit = "bytes";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if size.unsigned_abs() < 10 * 1024 {
            break;
        }
        size = (size + 512) / 1024;
        unit = next;
    }
    format!("{size} {unit}")
}

/// `format_type(oid, modifier)`.
fn format_type() -> ScalarUDF {
    Function::of_rows("format_type", Signature::any(2, Volatility::Stable), DataType::Utf8View, |args| {
        let oid = as_integer(&args[0]).and_then(|oid| u32::try_from(oid).ok());
        Ok(ScalarValue::Utf8View(oid.map(|oid| type_names::format(oid, as_integer(&args[1])))))
    })
}

/// `oidvectortypes(oidvector)`: names of types.
fn vector_types() -> ScalarUDF {
    Function::of_rows("oidvectortypes", Signature::any(1, Volatility::Stable), DataType::Utf8View, |args| {
        let ScalarValue::List(list) = &args[0] else { return Ok(ScalarValue::Utf8View(None)) };
        if list.is_null(0) {
            return Ok(ScalarValue::Utf8View(None));
        }
        let oids = arrow::compute::cast(&list.value(0), &DataType::UInt32)?;
        let names: Vec<_> = oids.as_primitive::<UInt32Type>().iter().flatten().map(|oid| type_names::format(oid, None)).collect();
        Ok(text(names.join(", ")))
    })
}

/// `array_to_string(array, separator [, null])`.
fn array_to_string() -> ScalarUDF {
    let signature = Signature::one_of(vec![TypeSignature::Any(2), TypeSignature::Any(3)], Volatility::Immutable);
    Function::of_rows("array_to_string", signature, DataType::Utf8View, |args| {
        let (ScalarValue::List(list), Some(separator)) = (&args[0], as_text(&args[1])) else { return Ok(ScalarValue::Utf8View(None)) };
        if list.is_null(0) {
            return Ok(ScalarValue::Utf8View(None));
        }
        let null = args.get(2).and_then(as_text);
        let mut parts = Vec::new();
        flatten(&list.value(0), null, &mut parts)?;
        Ok(text(parts.join(separator)))
    })
}

/// The elements of an array of any depth as texts; NULLs are left out where nothing stands for them.
fn flatten(values: &ArrayRef, null: Option<&str>, parts: &mut Vec<String>) -> Result<()> {
    if let Some(lists) = values.as_list_opt::<i32>() {
        return lists.iter().flatten().try_for_each(|inner| flatten(&inner, null, parts));
    }
    let encoder = ColumnEncoder::new(&SqlType::of_arrow(values.data_type()), false, &ValueForms::default());
    for row in 0..values.len() {
        if values.is_null(row) {
            parts.extend(null.map(String::from));
            continue;
        }
        let mut bytes = BytesMut::new();
        encoder.write(values, row, &mut bytes)?;
        parts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(())
}

fn empty_array() -> ScalarValue {
    ScalarValue::List(ScalarValue::new_list_nullable(&[], &DataType::Utf8View))
}

/// An array, empty where the argument is NULL: what `ARRAY(SELECT ...)` over no rows is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct EmptyIfNull {
    signature: Signature,
}

impl EmptyIfNull {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for EmptyIfNull {
    fn name(&self) -> &str {
        client_queries::EMPTY_IF_NULL
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args[0].to_array(args.number_rows)?;
        let DataType::List(element) = values.data_type().clone() else { return Ok(args.args[0].clone()) };
        let empty = ScalarValue::List(ScalarValue::new_list_nullable(&[], element.data_type()));
        let filled = (0..values.len()).map(|row| match values.is_null(row) {
            true => Ok(empty.clone()),
            false => ScalarValue::try_from_array(&values, row),
        });
        let filled = filled.collect::<Result<Vec<_>>>()?;
        match filled.is_empty() {
            true => Ok(ColumnarValue::Array(values)),
            false => Ok(ColumnarValue::Array(ScalarValue::iter_to_array(filled)?)),
        }
    }
}
