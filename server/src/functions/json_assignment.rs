//! `SET j['a'][0] = value`: the jsonb with the value at a path; objects and arrays that the path needs are made.

use super::json_rows::{json_results, position, written};
use super::overloads::Param::{Any, Of};
use super::overloads::{Call, Overloaded, Returns};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{self, Int4, Jsonb, Text};
use crate::types::json_path::{elements, kind, members};
use arrow::array::ArrayRef;
use datafusion::logical_expr::ScalarUDF;

/// `jsonb, value, step [, step ...]`.
pub const NAME: &str = "plimsoll_jsonb_with";

/// Elements that an assignment may add to an array.
const GAP_MAX: usize = 1 << 20;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    vec![Overloaded::named(NAME).variadic(&[Of(Jsonb), Of(Jsonb)], Any, Returns::Of(Jsonb), with).build()]
}

fn with(call: &Call) -> Result<ArrayRef> {
    let first_is_place = matches!(call.types.get(2), Some(Int4 | SqlType::Int8 | SqlType::Int2));
    json_results(call, |row| {
        let steps = (2..call.count()).map(|argument| step(call, argument, row)).collect::<Result<Vec<_>>>()?;
        let value = if call.is_null(1, row) { "null" } else { call.text(1, row) };
        let target = match (call.is_null(0, row), first_is_place) {
            (false, _) => call.text(0, row),
            (true, true) => "[]",
            (true, false) => "{}",
        };
        placed(target, &steps, 1, value).map(Some)
    })
}

fn step(call: &Call, argument: usize, row: usize) -> Result<String> {
    if call.is_null(argument, row) {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "jsonb subscript in assignment must not be null"));
    }
    Ok(match &call.types[argument] {
        Text | SqlType::Varchar(_) => call.text(argument, row).to_string(),
        Int4 => call.int4(argument, row).to_string(),
        SqlType::Int8 => call.int8(argument, row).to_string(),
        other => {
            let message = format!("subscript type {} is not supported", other.name());
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("jsonb subscript must be coercible to either integer or text."));
        }
    })
}

/// `json` with the value at the path; `at` counts the steps for messages.
fn placed(json: &str, path: &[String], at: usize, value: &str) -> Result<String> {
    let Some((step, rest)) = path.split_first() else { return Ok(value.to_string()) };
    if let Some(all) = members(json) {
        let mut all: Vec<(String, String)> = all.into_iter().map(|(key, value)| (key, value.to_string())).collect();
        match all.iter_mut().find(|(key, _)| key == step) {
            Some((_, old)) => *old = placed(old, rest, at + 1, value)?,
            None => all.push((step.clone(), made(rest, value)?)),
        }
        return Ok(written(&all));
    }
    let Some(items) = elements(json) else { return Err(scalar(json)) };
    let index = position(step, at, items.len())?;
    let out_of_range =
        || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("path element at position {at} is out of range: {step}"));
    let index = usize::try_from(index).map_err(|_| out_of_range())?;
    let mut items: Vec<String> = items.into_iter().map(str::to_string).collect();
    match items.get_mut(index) {
        Some(old) => *old = placed(old, rest, at + 1, value)?,
        None => {
            check_gap(index - items.len())?;
            items.resize(index, "null".to_string());
            items.push(made(rest, value)?);
        }
    }
    Ok(format!("[{}]", items.join(", ")))
}

/// What a path makes of nothing: a step that is a number is a place in an array.
fn made(path: &[String], value: &str) -> Result<String> {
    let Some((step, rest)) = path.split_first() else { return Ok(value.to_string()) };
    let inner = made(rest, value)?;
    match step.parse::<usize>() {
        Ok(index) => {
            check_gap(index)?;
            let mut items = vec!["null".to_string(); index];
            items.push(inner);
            Ok(format!("[{}]", items.join(", ")))
        }
        Err(_) => Ok(written(&[(step.clone(), inner)])),
    }
}

fn check_gap(count: usize) -> Result<()> {
    match count <= GAP_MAX {
        true => Ok(()),
        false => Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("an assignment may add at most {GAP_MAX} elements to a jsonb array"),
        )),
    }
}

fn scalar(json: &str) -> SqlError {
    let detail = match kind(json) {
        "null" | "string" | "number" | "boolean" => "The path assumes key is a composite object, but it is a scalar value.",
        _ => "The path assumes key is a composite object.",
    };
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "cannot replace existing key").with_detail(detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(json: &str, path: &[&str], value: &str) -> String {
        let path: Vec<String> = path.iter().map(|step| (*step).to_string()).collect();
        placed(json, &path, 1, value).unwrap_or_else(|error| error.message.to_string())
    }

    #[test]
    fn what_a_path_needs_is_made() {
        assert_eq!(set("{\"a\": 1}", &["a"], "2"), "{\"a\": 2}");
        assert_eq!(set("{}", &["a", "b", "1"], "2"), "{\"a\": {\"b\": [null, 2]}}");
        assert_eq!(set("[1]", &["3"], "2"), "[1, null, null, 2]");
        assert_eq!(set("[1, 2]", &["-1"], "3"), "[1, 3]");
        assert_eq!(set("[1]", &["-2"], "3"), "path element at position 1 is out of range: -2");
        assert_eq!(set("{\"a\": 1}", &["a", "b"], "2"), "cannot replace existing key");
    }
}
