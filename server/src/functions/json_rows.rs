//! JSON taken apart into arrays (what the set-returning functions unnest), made of arrays (what the aggregates end in), compared and printed.

use super::overloads::Param::{Any, Array as AnyArray, Of};
use super::overloads::{Call, Overloaded, Returns, results};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{self, Boolean, Int4, Json, Jsonb, Text};
use crate::types::input::scalar_from_text;
use crate::types::json_path::{self, at_path, elements, equal_texts, kind, member, members, quoted};
use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::Int32Type;
use datafusion::logical_expr::ScalarUDF;
use std::cmp::Ordering;
use std::sync::Arc;

/// How two values of jsonb compare: -1, 0, 1.
pub const COMPARE: &str = "plimsoll_jsonb_compare";
/// `jsonb ?| text[]`.
pub const ANY_KEY: &str = "plimsoll_jsonb_any_key";
/// `jsonb ?& text[]`.
pub const ALL_KEYS: &str = "plimsoll_jsonb_all_keys";
/// `jsonb #- text[]`.
pub const DELETE_PATH: &str = "plimsoll_jsonb_delete_path";
/// `jsonb - text[]`.
pub const DELETE_KEYS: &str = "plimsoll_jsonb_delete_keys";

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let texts = || SqlType::Array(Box::new(Text));
    let list = |name, from: SqlType, body| {
        Overloaded::named(name).of(std::slice::from_ref(&from), SqlType::Array(Box::new(from.clone())), body).build()
    };
    let text_list = |name, from: SqlType, body| Overloaded::named(name).of(&[from], texts(), body).build();
    let keys = |name, body| Overloaded::named(name).of(&[Jsonb, texts()], Boolean, body).build();
    let two = |name, returns: SqlType, body| Overloaded::named(name).taking(&[AnyArray, AnyArray], Returns::Of(returns), body).build();
    let object = |name, returns: SqlType| {
        Overloaded::named(name).of(&[texts()], returns.clone(), object_of_pairs).of(&[texts(), texts()], returns, object_of_lists).build()
    };
    vec![
        list("plimsoll_json_elements", Json, |call| items(call, false)),
        list("plimsoll_jsonb_elements", Jsonb, |call| items(call, false)),
        text_list("plimsoll_json_elements_text", Json, |call| items(call, true)),
        text_list("plimsoll_jsonb_elements_text", Jsonb, |call| items(call, true)),
        text_list("plimsoll_json_keys", Json, |call| pairs(call, "object_keys", |(key, _)| Some(key))),
        text_list("plimsoll_jsonb_keys", Jsonb, |call| pairs(call, "object_keys", |(key, _)| Some(key))),
        text_list("plimsoll_json_each_keys", Json, |call| pairs(call, "each", |(key, _)| Some(key))),
        text_list("plimsoll_jsonb_each_keys", Jsonb, |call| pairs(call, "each", |(key, _)| Some(key))),
        list("plimsoll_json_each_values", Json, |call| pairs(call, "each", |(_, value)| Some(value.to_string()))),
        list("plimsoll_jsonb_each_values", Jsonb, |call| pairs(call, "each", |(_, value)| Some(value.to_string()))),
        text_list("plimsoll_json_each_texts", Json, |call| pairs(call, "each", |(_, value)| json_path::as_text(value))),
        text_list("plimsoll_jsonb_each_texts", Jsonb, |call| pairs(call, "each", |(_, value)| json_path::as_text(value))),
        Overloaded::named("plimsoll_json_array").taking(&[AnyArray], Returns::Of(Json), aggregated).build(),
        Overloaded::named("plimsoll_jsonb_array").taking(&[AnyArray], Returns::Of(Jsonb), aggregated).build(),
        two("plimsoll_json_object", Json, aggregated_object),
        two("plimsoll_jsonb_object", Jsonb, aggregated_object),
        Overloaded::named("jsonb_pretty").of(&[Jsonb], Text, pretty).build(),
        Overloaded::named("jsonb_insert")
            .of(&[Jsonb, texts(), Jsonb], Jsonb, insert)
            .of(&[Jsonb, texts(), Jsonb, Boolean], Jsonb, insert)
            .build(),
        object("json_object", Json),
        object("jsonb_object", Jsonb),
        keys(ANY_KEY, |call| has_keys(call, false)),
        keys(ALL_KEYS, |call| has_keys(call, true)),
        Overloaded::named(DELETE_PATH).of(&[Jsonb, texts()], Jsonb, delete_path).build(),
        Overloaded::named(DELETE_KEYS).of(&[Jsonb, texts()], Jsonb, delete_keys).build(),
        Overloaded::named(COMPARE).of(&[Jsonb, Jsonb], Int4, compare).build(),
        Overloaded::named(super::arrays::SUBSCRIPT)
            .variadic(&[AnyArray], Of(Int4), Returns::Scalar, super::arrays::subscript)
            .variadic(&[Of(Jsonb)], Any, Returns::Of(Jsonb), subscript)
            .build(),
    ]
}

fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn items(call: &Call, as_text: bool) -> Result<ArrayRef> {
    results::text_lists(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let json = call.text(0, row);
        let what = if kind(json) == "object" { "an object" } else { "a scalar" };
        let items = elements(json).ok_or_else(|| refused(format!("cannot extract elements from {what}")))?;
        Ok(Some(items.into_iter().map(|item| if as_text { json_path::as_text(item) } else { Some(item.to_string()) }).collect()))
    })
}

/// An object's members, without the earlier ones of equal keys in jsonb, which has none.
fn pairs(call: &Call, function: &str, value: fn((String, &str)) -> Option<String>) -> Result<ArrayRef> {
    results::text_lists(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let json = call.text(0, row);
        let what = if kind(json) == "array" { "an array" } else { "a scalar" };
        let prefix = if call.types[0] == Jsonb { "jsonb" } else { "json" };
        let all = members(json).ok_or_else(|| refused(format!("cannot call {prefix}_{function} on {what}")))?;
        Ok(Some(all.into_iter().map(value).collect()))
    })
}

/// The result of a function that returns json or jsonb; jsonb is brought into its normal form.
pub(super) fn json_results(call: &Call, mut value: impl FnMut(usize) -> Result<Option<String>>) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        match value(row)? {
            Some(json) if call.returns == Jsonb => builder.append_option(scalar_from_text(&Jsonb, &json)?.try_as_str().flatten()),
            json => builder.append_option(json),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn texts(values: &ArrayRef) -> Result<ArrayRef> {
    Ok(arrow::compute::cast(values, &arrow::datatypes::DataType::Utf8View)?)
}

fn aggregated(call: &Call) -> Result<ArrayRef> {
    json_results(call, |row| {
        if call.is_null(0, row) {
            return Ok(None);
        }
        let values = texts(&call.items(0, row))?;
        let values: Vec<&str> = values.as_string_view().iter().map(|value| value.unwrap_or("null")).collect();
        let values = values.join(", ");
        Ok(Some(format!("[{}]", values.strip_prefix(super::json_values::LINE).unwrap_or(&values))))
    })
}

fn aggregated_object(call: &Call) -> Result<ArrayRef> {
    json_results(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let (keys, values) = (texts(&call.items(0, row))?, texts(&call.items(1, row))?);
        let mut pairs = Vec::with_capacity(keys.len());
        for (key, value) in keys.as_string_view().iter().zip(values.as_string_view()) {
            let key = key.ok_or_else(|| refused("field name must not be null"))?;
            let key = if kind(key) == "string" { key.to_string() } else { quoted(key) };
            pairs.push(format!("{key} : {}", value.unwrap_or("null")));
        }
        Ok(Some(format!("{{ {} }}", pairs.join(", "))))
    })
}

fn pretty(call: &Call) -> Result<ArrayRef> {
    results::texts(call, |row, out| {
        indented(call.text(0, row), 0, out);
        Ok(true)
    })
}

fn indented(json: &str, depth: usize, out: &mut String) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    if let Some(all) = members(json) {
        out.push('{');
        for (index, (key, value)) in all.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            line(out, depth + 1);
            out.push_str(&quoted(key));
            out.push_str(": ");
            indented(value, depth + 1, out);
        }
        line(out, depth);
        out.push('}');
    } else if let Some(items) = elements(json) {
        out.push('[');
        for (index, item) in items.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            line(out, depth + 1);
            indented(item, depth + 1, out);
        }
        line(out, depth);
        out.push(']');
    } else {
        out.push_str(json);
    }
}

/// A path of text; NULL in it is an error of the caller.
fn path(call: &Call, row: usize) -> Result<Vec<String>> {
    let steps = call.texts_of(1, row).into_iter().enumerate();
    steps.map(|(at, step)| step.ok_or_else(|| null_step(at + 1))).collect()
}

fn null_step(position: usize) -> SqlError {
    SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, format!("path element at position {position} is null"))
}

pub(super) fn written(members: &[(String, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{}: {value}", quoted(key))).collect();
    format!("{{{}}}", members.join(", "))
}

/// What is done at the end of a path.
#[derive(Clone, Copy)]
enum Change<'a> {
    Delete,
    Insert { value: &'a str, after: bool },
}

pub(super) fn position(step: &str, at: usize, length: usize) -> Result<i64> {
    let index = step.trim().parse::<i64>().map_err(|_| {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("path element at position {at} is not an integer: \"{step}\""))
    })?;
    Ok(if index < 0 { index + length as i64 } else { index })
}

fn changed(json: &str, path: &[String], at: usize, change: Change<'_>) -> Result<String> {
    let Some((step, rest)) = path.split_first() else { return Ok(json.to_string()) };
    if let Some(all) = members(json) {
        let mut all: Vec<(String, String)> = all.into_iter().map(|(key, value)| (key, value.to_string())).collect();
        let found = all.iter().position(|(key, _)| key == step);
        match (found, rest.is_empty(), change) {
            (Some(found), false, _) => all[found].1 = changed(&all[found].1, rest, at + 1, change)?,
            (Some(found), true, Change::Delete) => drop(all.remove(found)),
            (Some(_), true, Change::Insert { .. }) => {
                let error = refused("cannot replace existing key");
                return Err(error.with_hint("Try using the function jsonb_set to replace key value."));
            }
            (None, true, Change::Insert { value, .. }) => all.push((step.clone(), value.to_string())),
            _ => {}
        }
        return Ok(written(&all));
    }
    let Some(items) = elements(json) else { return Ok(json.to_string()) };
    let mut items: Vec<String> = items.into_iter().map(str::to_string).collect();
    let index = position(step, at, items.len())?;
    let found = usize::try_from(index).ok().filter(|index| *index < items.len());
    match (found, rest.is_empty(), change) {
        (Some(found), false, _) => items[found] = changed(&items[found], rest, at + 1, change)?,
        (Some(found), true, Change::Delete) => drop(items.remove(found)),
        (Some(found), true, Change::Insert { value, after }) => items.insert(found + usize::from(after), value.to_string()),
        (None, true, Change::Insert { value, .. }) if index < 0 => items.insert(0, value.to_string()),
        (None, true, Change::Insert { value, .. }) => items.push(value.to_string()),
        _ => {}
    }
    Ok(format!("[{}]", items.join(", ")))
}

fn change<'a>(call: &'a Call, row: usize, change: Change<'a>, verb: &str) -> Result<Option<String>> {
    if call.any_null(row) {
        return Ok(None);
    }
    let json = call.text(0, row);
    if members(json).is_none() && elements(json).is_none() {
        return Err(refused(format!("cannot {verb} path in scalar")));
    }
    changed(json, &path(call, row)?, 1, change).map(Some)
}

fn delete_path(call: &Call) -> Result<ArrayRef> {
    json_results(call, |row| change(call, row, Change::Delete, "delete"))
}

fn insert(call: &Call) -> Result<ArrayRef> {
    json_results(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let after = call.count() == 4 && call.boolean(3, row);
        change(call, row, Change::Insert { value: call.text(2, row), after }, "set")
    })
}

fn has(json: &str, key: &str) -> bool {
    let is = |item: &str| kind(item) == "string" && json_path::as_text(item).as_deref() == Some(key);
    match kind(json) {
        "object" => member(json, key).is_some(),
        "array" => elements(json).is_some_and(|items| items.into_iter().any(is)),
        _ => is(json),
    }
}

fn has_keys(call: &Call, all: bool) -> Result<ArrayRef> {
    results::booleans(call, |row| {
        let json = call.text(0, row);
        let mut keys = call.texts_of(1, row).into_iter().flatten();
        Ok(Some(if all { keys.all(|key| has(json, &key)) } else { keys.any(|key| has(json, &key)) }))
    })
}

fn delete_keys(call: &Call) -> Result<ArrayRef> {
    json_results(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let json = call.text(0, row);
        let keys: Vec<String> = call.texts_of(1, row).into_iter().flatten().collect();
        if let Some(all) = members(json) {
            let kept = all.into_iter().filter(|(key, _)| !keys.contains(key)).map(|(key, value)| (key, value.to_string()));
            return Ok(Some(written(&kept.collect::<Vec<_>>())));
        }
        let items = elements(json).ok_or_else(|| refused("cannot delete from scalar"))?;
        let gone = |item: &&str| kind(item) == "string" && json_path::as_text(item).is_some_and(|text| keys.contains(&text));
        Ok(Some(format!("[{}]", items.into_iter().filter(|item| !gone(item)).collect::<Vec<_>>().join(", "))))
    })
}

fn object(keys: Vec<Option<String>>, values: Vec<Option<String>>) -> Result<String> {
    let mut pairs = Vec::with_capacity(keys.len());
    for (key, value) in keys.into_iter().zip(values) {
        let key = key.ok_or_else(|| SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key"))?;
        pairs.push(format!("{} : {}", quoted(&key), value.map_or_else(|| "null".into(), |value| quoted(&value))));
    }
    Ok(format!("{{{}}}", pairs.join(", ")))
}

fn mismatch(message: &'static str) -> SqlError {
    SqlError::new(SqlState("2202E"), message)
}

/// `json_object('{a,1,b,2}')`; pairs may also be arrays of two.
fn object_of_pairs(call: &Call) -> Result<ArrayRef> {
    json_results(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let all = call.texts_of(0, row);
        if !all.len().is_multiple_of(2) {
            return Err(mismatch("array must have even number of elements"));
        }
        let (keys, values) = all.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).unzip();
        object(keys, values).map(Some)
    })
}

fn object_of_lists(call: &Call) -> Result<ArrayRef> {
    json_results(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let (keys, values) = (call.texts_of(0, row), call.texts_of(1, row));
        if keys.len() != values.len() {
            return Err(mismatch("mismatched array dimensions"));
        }
        object(keys, values).map(Some)
    })
}

/// `jsonb['key'][0]`.
fn subscript(call: &Call) -> Result<ArrayRef> {
    json_results(call, |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let step = |argument: usize| match &call.types[argument] {
            Text | SqlType::Varchar(_) => Ok(call.text(argument, row).to_string()),
            Int4 => Ok(call.int4(argument, row).to_string()),
            SqlType::Int8 => Ok(call.int8(argument, row).to_string()),
            other => {
                let message = format!("subscript type {} is not supported", other.name());
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
            }
        };
        let steps = (1..call.count()).map(step).collect::<Result<Vec<_>>>()?;
        Ok(at_path(call.text(0, row), &steps).map(str::to_string))
    })
}

fn compare(call: &Call) -> Result<ArrayRef> {
    results::numbers::<Int32Type>(call, |row| Ok(Some(ordered(call.text(0, row), call.text(1, row), true) as i32)))
}

/// Null, string, number, boolean, array, object; an empty array at the top comes before all.
fn class(json: &str, top: bool) -> u8 {
    match kind(json) {
        "array" if top && elements(json).is_some_and(|items| items.is_empty()) => 0,
        "null" => 1,
        "string" => 2,
        "number" => 3,
        "boolean" => 4,
        "array" => 5,
        _ => 6,
    }
}

fn ordered(left: &str, right: &str, top: bool) -> Ordering {
    let classes = class(left, top).cmp(&class(right, top));
    if classes.is_ne() {
        return classes;
    }
    match kind(left) {
        "string" => json_path::as_text(left).cmp(&json_path::as_text(right)),
        "number" => numbers(left, right),
        "boolean" => (left == "true").cmp(&(right == "true")),
        "array" => {
            let (left, right) = (elements(left).unwrap_or_default(), elements(right).unwrap_or_default());
            let items = || left.iter().zip(&right).map(|(left, right)| ordered(left, right, false)).find(|order| order.is_ne());
            left.len().cmp(&right.len()).then_with(|| items().unwrap_or(Ordering::Equal))
        }
        "object" => {
            let (left, right) = (members(left).unwrap_or_default(), members(right).unwrap_or_default());
            let key = |key: &String| (key.len(), key.clone());
            let pair = |(l, r): (&(String, &str), &(String, &str))| key(&l.0).cmp(&key(&r.0)).then_with(|| ordered(l.1, r.1, false));
            let pairs = || left.iter().zip(&right).map(pair).find(|order| order.is_ne());
            left.len().cmp(&right.len()).then_with(|| pairs().unwrap_or(Ordering::Equal))
        }
        _ => Ordering::Equal,
    }
}

fn numbers(left: &str, right: &str) -> Ordering {
    if equal_texts(left, right) {
        return Ordering::Equal;
    }
    match (left.parse::<i128>(), right.parse::<i128>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        _ => left.parse::<f64>().unwrap_or(0.0).total_cmp(&right.parse::<f64>().unwrap_or(0.0)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn jsonb_has_an_order() {
        let sorted = ["[]", "null", "\"a\"", "\"b\"", "-1", "2", "10", "false", "true", "[1]", "[1, 2]", "{}", "{\"a\": 1}", "{\"b\": 0}"];
        for (at, left) in sorted.iter().enumerate() {
            for (other, right) in sorted.iter().enumerate() {
                assert_eq!(ordered(left, right, true), at.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(ordered("1.0", "1", true), Ordering::Equal);
    }

    #[test]
    fn paths_are_changed() {
        let path = |steps: &[&str]| steps.iter().map(|step| step.to_string()).collect::<Vec<_>>();
        let json = r#"{"a": [1, 2], "b": 3}"#;
        assert_eq!(changed(json, &path(&["a", "-1"]), 1, Change::Delete).unwrap(), r#"{"a": [1], "b": 3}"#);
        let insert = Change::Insert { value: "9", after: true };
        assert_eq!(changed(json, &path(&["a", "0"]), 1, insert).unwrap(), r#"{"a": [1, 9, 2], "b": 3}"#);
        assert_eq!(changed(json, &path(&["b"]), 1, insert).unwrap_err().state.0, "22023");
        assert_eq!(changed(json, &path(&["a", "x"]), 1, Change::Delete).unwrap_err().state.0, "22P02");
    }
}
