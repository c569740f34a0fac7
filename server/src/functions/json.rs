//! Functions and operators of json and jsonb. An operator is planned as a call of a function whose name is the operator itself, which no
//! client can write as a function's name without quotes.

use super::scalar::{as_integer, as_text, text};
use crate::error::{SqlError, SqlState};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::input::scalar_from_text;
use crate::types::json_path::{self, at_path, contains, element, elements, equal_texts, kind, member, members, quoted};
use crate::types::output::JsonColumn;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::fmt;
use std::sync::Arc;

/// All of them, by their names.
pub fn functions() -> Vec<ScalarUDF> {
    let mut all = operators();
    all.extend(["json", "jsonb"].into_iter().flat_map(of_either));
    all
}

/// The function behind an operator.
pub fn operator(symbol: &str) -> Option<ScalarUDF> {
    operators().into_iter().find(|function| function.name() == symbol)
}

fn operators() -> Vec<ScalarUDF> {
    vec![
        Json::of("->", 2, Returns::Same, |args| Ok(step(args).map(text))),
        Json::of("->>", 2, Returns::Text, |args| Ok(step(args).and_then(json_path::as_text).map(text))),
        Json::of("#>", 2, Returns::Same, |args| Ok(follow(args).map(text))),
        Json::of("#>>", 2, Returns::Text, |args| Ok(follow(args).and_then(json_path::as_text).map(text))),
        Json::of("jsonb ?", 2, Returns::Boolean, |args| Ok(two(args).map(|(json, key)| boolean(has_key(json, key))))),
        Json::of("jsonb @>", 2, Returns::Boolean, |args| Ok(two(args).map(|(whole, part)| boolean(contains(whole, part))))),
        Json::of("jsonb =", 2, Returns::Boolean, |args| Ok(two(args).map(|(left, right)| boolean(equal_texts(left, right))))),
        Json::of("jsonb ||", 2, Returns::Jsonb, |args| two(args).map(|(left, right)| normal(&concatenated(left, right))).transpose()),
        Json::of("jsonb -", 2, Returns::Jsonb, without),
    ]
}

fn of_either(prefix: &'static str) -> Vec<ScalarUDF> {
    let name = |rest: &str| format!("{prefix}_{rest}");
    let returns = if prefix == "json" { Returns::Json } else { Returns::Jsonb };
    let binary = prefix == "jsonb";
    let finish = move |json: String| if binary { normal(&json) } else { Ok(text(json)) };
    vec![
        Json::of(name("array_length"), 1, Returns::Int4, |args| {
            as_text(&args[0].0).map(|json| Ok(ScalarValue::Int32(Some(array(json)?.len() as i32)))).transpose()
        }),
        Json::of(name("typeof"), 1, Returns::Text, |args| Ok(as_text(&args[0].0).map(|json| text(kind(json))))),
        Json::showing(name("build_array"), VARIADIC, returns, move |args, forms| {
            let items = args.iter().map(|argument| to_json(argument, forms)).collect::<Result<Vec<_>>>()?;
            finish(format!("[{}]", items.join(", "))).map(Some)
        }),
        Json::showing(name("build_object"), VARIADIC, returns, move |args, forms| object(args, forms).and_then(finish).map(Some)),
        Json::of(name("strip_nulls"), 1, returns, move |args| as_text(&args[0].0).map(|json| finish(stripped(json))).transpose()),
        Json::of(name("set"), VARIADIC, returns, set),
        Json::of(name("extract_path"), VARIADIC, returns, |args| Ok(extract(args).map(text))),
        Json::of(name("extract_path_text"), VARIADIC, Returns::Text, |args| Ok(extract(args).and_then(json_path::as_text).map(text))),
    ]
}

const VARIADIC: usize = usize::MAX;

/// An argument and its field.
type Argument = (ScalarValue, FieldRef);
type Body = Arc<dyn Fn(&[Argument], &ValueForms) -> Result<Option<ScalarValue>> + Send + Sync>;

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Returns {
    /// The type of the first argument.
    Same,
    Text,
    Json,
    Jsonb,
    Boolean,
    Int4,
}

struct Json {
    name: String,
    signature: Signature,
    returns: Returns,
    body: Body,
}

impl Json {
    fn of(
        name: impl Into<String>,
        arguments: usize,
        returns: Returns,
        body: impl Fn(&[Argument]) -> Result<Option<ScalarValue>> + Send + Sync + 'static,
    ) -> ScalarUDF {
        Self::showing(name, arguments, returns, move |args, _| body(args))
    }
    /// One that shows values, in the session's forms.
    fn showing(
        name: impl Into<String>,
        arguments: usize,
        returns: Returns,
        body: impl Fn(&[Argument], &ValueForms) -> Result<Option<ScalarValue>> + Send + Sync + 'static,
    ) -> ScalarUDF {
        let signature = match arguments {
            VARIADIC => Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], Volatility::Immutable),
            count => Signature::any(count, Volatility::Immutable),
        };
        ScalarUDF::new_from_impl(Self { name: name.into(), signature, returns, body: Arc::new(body) })
    }
    fn result(&self, first: Option<&FieldRef>) -> SqlType {
        match self.returns {
            Returns::Same => match first.map(|field| SqlType::of_field(field)) {
                Some(SqlType::Json) => SqlType::Json,
                _ => SqlType::Jsonb,
            },
            Returns::Text => SqlType::Text,
            Returns::Json => SqlType::Json,
            Returns::Jsonb => SqlType::Jsonb,
            Returns::Boolean => SqlType::Boolean,
            Returns::Int4 => SqlType::Int4,
        }
    }
}

impl Json {
    /// Whether an argument is JSON even where it is a literal in quotes.
    fn reads(&self, argument: usize) -> bool {
        let name = self.name.trim_start_matches("jsonb_").trim_start_matches("json_");
        match name {
            "set" => argument == 0 || argument == 2,
            "array_length" | "typeof" | "strip_nulls" | "extract_path" | "extract_path_text" => argument == 0,
            _ => false,
        }
    }
    fn own_type(&self) -> SqlType {
        if self.name.starts_with("jsonb") { SqlType::Jsonb } else { SqlType::Json }
    }
}

/// A literal in quotes, read as JSON.
fn read(column: &ArrayRef, field: &FieldRef, own: &SqlType) -> Result<ArrayRef> {
    match field.data_type() {
        DataType::Utf8 => Ok(crate::types::convert::convert(column, &SqlType::Text, own, &ValueForms::default())?),
        _ => Ok(Arc::clone(column)),
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Json {}

impl std::hash::Hash for Json {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Json {
    fn name(&self) -> &str {
        &self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.result(None).arrow())
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(self.result(args.arg_fields.first()).field(&self.name, true)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let empty = ScalarValue::try_from(args.return_field.data_type())?;
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        for (column, field) in columns.iter_mut().zip(&args.arg_fields).enumerate().filter(|(at, _)| self.reads(*at)).map(|(_, pair)| pair)
        {
            *column = read(column, field, &self.own_type())?;
        }
        let forms = ValueForms::of_options(&args.config_options).with_iso_dates();
        let value = |row: usize| {
            let values = columns.iter().zip(&args.arg_fields);
            let values = values.map(|(column, field)| Ok((ScalarValue::try_from_array(column, row)?, Arc::clone(field))));
            Ok((self.body)(&values.collect::<Result<Vec<_>>>()?, &forms)?.unwrap_or_else(|| empty.clone()))
        };
        if constant {
            return value(0).map(ColumnarValue::Scalar);
        }
        let values = (0..rows).map(value).collect::<Result<Vec<_>>>()?;
        match values.is_empty() {
            true => Ok(ColumnarValue::Array(arrow::array::new_empty_array(args.return_field.data_type()))),
            false => Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?)),
        }
    }
}

fn boolean(value: bool) -> ScalarValue {
    ScalarValue::Boolean(Some(value))
}

/// The normal form of jsonb.
fn normal(json: &str) -> Result<ScalarValue> {
    Ok(scalar_from_text(&SqlType::Jsonb, json)?)
}

fn two(args: &[Argument]) -> Option<(&str, &str)> {
    Some((as_text(&args[0].0)?, as_text(&args[1].0)?))
}

fn step(args: &[Argument]) -> Option<&str> {
    let json = as_text(&args[0].0)?;
    match as_text(&args[1].0) {
        Some(key) => member(json, key),
        None => {
            let index = as_integer(&args[1].0)?;
            // PostgreSQL holds a scalar of jsonb in an array of one.
            let scalar = !matches!(kind(json), "object" | "array") && SqlType::of_field(&args[0].1) == SqlType::Jsonb;
            if scalar && matches!(index, 0 | -1) { Some(json) } else { element(json, index) }
        }
    }
}

/// Text, or an array of text.
fn path(value: &ScalarValue) -> Option<Vec<String>> {
    let list = match value {
        ScalarValue::List(list) => list.clone(),
        other => match scalar_from_text(&SqlType::Array(Box::new(SqlType::Text)), as_text(other)?).ok()? {
            ScalarValue::List(list) => list,
            _ => return None,
        },
    };
    if list.is_null(0) {
        return None;
    }
    let texts = arrow::compute::cast(&list.value(0), &DataType::Utf8View).ok()?;
    texts.as_string_view().iter().map(|step| step.map(str::to_string)).collect()
}

fn follow(args: &[Argument]) -> Option<&str> {
    at_path(as_text(&args[0].0)?, &path(&args[1].0)?)
}

fn extract(args: &[Argument]) -> Option<&str> {
    let steps: Option<Vec<String>> = args.get(1..)?.iter().map(|(step, _)| as_text(step).map(str::to_string)).collect();
    at_path(as_text(&args[0].0)?, &steps?)
}

fn has_key(json: &str, key: &str) -> bool {
    match kind(json) {
        "object" => member(json, key).is_some(),
        "array" => elements(json).is_some_and(|items| items.into_iter().any(|item| string_is(item, key))),
        _ => string_is(json, key),
    }
}

fn string_is(json: &str, key: &str) -> bool {
    kind(json) == "string" && json_path::as_text(json).as_deref() == Some(key)
}

fn concatenated(left: &str, right: &str) -> String {
    if let (Some(mut all), Some(more)) = (members(left), members(right)) {
        all.extend(more);
        return written(all.iter().map(|(key, value)| (key.as_str(), *value)));
    }
    let items = |json| elements(json).unwrap_or_else(|| vec![json]);
    let mut all = items(left);
    all.extend(items(right));
    format!("[{}]", all.join(", "))
}

fn written<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let members: Vec<_> = members.map(|(key, value)| format!("{}: {value}", quoted(key))).collect();
    format!("{{{}}}", members.join(", "))
}

fn without(args: &[Argument]) -> Result<Option<ScalarValue>> {
    let Some(json) = as_text(&args[0].0) else { return Ok(None) };
    if args[1].0.is_null() {
        return Ok(None);
    }
    let key = as_text(&args[1].0);
    let left = match (members(json), elements(json), key) {
        (Some(all), _, Some(key)) => written(all.iter().filter(|(name, _)| name != key).map(|(name, value)| (name.as_str(), *value))),
        (_, Some(items), Some(key)) => {
            format!("[{}]", items.into_iter().filter(|item| !string_is(item, key)).collect::<Vec<_>>().join(", "))
        }
        (_, Some(mut items), None) => {
            let index = as_integer(&args[1].0).unwrap_or_default();
            let index = if index < 0 { index + items.len() as i64 } else { index };
            if let Some(index) = usize::try_from(index).ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
            format!("[{}]", items.join(", "))
        }
        (Some(_), _, None) => return Err(refused("cannot delete from object using integer index").into()),
        _ => return Err(refused("cannot delete from scalar").into()),
    };
    normal(&left).map(Some)
}

fn refused(message: &'static str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn array(json: &str) -> Result<Vec<&str>> {
    let message = if kind(json) == "object" { "cannot get array length of a non-array" } else { "cannot get array length of a scalar" };
    Ok(elements(json).ok_or_else(|| refused(message))?)
}

/// A SQL value as JSON.
fn to_json((value, field): &Argument, forms: &ValueForms) -> Result<String> {
    let mut json = String::new();
    JsonColumn::new(field, &value.to_array()?, forms)?.write(0, ",", &mut json)?;
    Ok(json)
}

fn object(args: &[Argument], forms: &ValueForms) -> Result<String> {
    if !args.len().is_multiple_of(2) {
        return Err(refused("argument list must have even number of elements").into());
    }
    let mut members = Vec::with_capacity(args.len() / 2);
    for pair in args.chunks_exact(2) {
        if pair[0].0.is_null() {
            return Err(refused("null value not allowed for object key").into());
        }
        if is_composite(&SqlType::of_field(&pair[0].1)) {
            return Err(refused("key value must be scalar, not array, composite, or json").into());
        }
        let key = to_json(&pair[0], forms)?;
        let key = if kind(&key) == "string" { key } else { quoted(&key) };
        members.push(format!("{key} : {}", to_json(&pair[1], forms)?));
    }
    Ok(format!("{{{}}}", members.join(", ")))
}

fn is_composite(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Array(_) | SqlType::Record | SqlType::Json | SqlType::Jsonb)
}

fn stripped(json: &str) -> String {
    if let Some(all) = members(json) {
        let kept: Vec<_> = all.into_iter().filter(|(_, value)| kind(value) != "null").map(|(key, value)| (key, stripped(value))).collect();
        let members: Vec<_> = kept.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
        return format!("{{{}}}", members.join(","));
    }
    match elements(json) {
        Some(items) => format!("[{}]", items.into_iter().map(stripped).collect::<Vec<_>>().join(",")),
        None => json.to_string(),
    }
}

/// `jsonb_set(target, path, value [, create])`.
fn set(args: &[Argument]) -> Result<Option<ScalarValue>> {
    let [target, steps, value, rest @ ..] = args else { return Err(refused("jsonb_set takes a target, a path and a value").into()) };
    let create = rest.first().is_none_or(|(create, _)| *create != ScalarValue::Boolean(Some(false)));
    match (as_text(&target.0), path(&steps.0), as_text(&value.0)) {
        (Some(json), Some(path), Some(value)) => {
            if members(json).is_none() && elements(json).is_none() {
                return Err(refused("cannot set path in scalar").into());
            }
            normal(&replaced(json, &path, 1, value, create)?).map(Some)
        }
        _ => Ok(None),
    }
}

fn replaced(json: &str, path: &[String], position: usize, value: &str, create: bool) -> Result<String> {
    let Some((step, rest)) = path.split_first() else { return Ok(json.to_string()) };
    let inner = |old: &str| if rest.is_empty() { Ok(value.to_string()) } else { replaced(old, rest, position + 1, value, create) };
    if let Some(mut all) = members(json) {
        let new;
        match all.iter_mut().find(|(key, _)| key == step) {
            Some((_, old)) => {
                new = inner(old)?;
                *old = &new;
            }
            None if create && rest.is_empty() => all.push((step.clone(), value)),
            None => {}
        }
        return Ok(written(all.iter().map(|(key, value)| (key.as_str(), *value))));
    }
    let Some(items) = elements(json) else { return Ok(json.to_string()) };
    let index = step.trim().parse::<i64>().map_err(|_| {
        let message = format!("path element at position {position} is not an integer: \"{step}\"");
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    })?;
    let mut items: Vec<String> = items.into_iter().map(str::to_string).collect();
    let at = if index < 0 { index + items.len() as i64 } else { index };
    match usize::try_from(at) {
        Ok(at) if at < items.len() => items[at] = inner(&items[at].clone())?,
        Ok(_) if create && rest.is_empty() => items.push(value.to_string()),
        Err(_) if create && rest.is_empty() => items.insert(0, value.to_string()),
        _ => {}
    }
    Ok(format!("[{}]", items.join(", ")))
}
