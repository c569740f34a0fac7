//! Calls as users know them: what operators and phrases call has names of its own.

use super::SqlState;

/// Functions that stand for operators.
const OPERATORS: [(&str, &str); 3] =
    [("plimsoll_array_contains", "@>"), ("plimsoll_array_overlaps", "&&"), ("plimsoll_array_concat", "||")];
/// Functions that stand for others.
const FUNCTIONS: [(&str, &str); 3] =
    [("plimsoll_flatten", "unnest"), ("plimsoll_regexp_matches", "regexp_matches"), ("series", "generate_series")];

/// A phrase that is a call beneath, and cannot have such operands: its SQLSTATE and message.
pub(super) fn phrase(call: &str) -> Option<(SqlState, String)> {
    let (name, arguments) = call.strip_suffix(')')?.split_once('(')?;
    let (first, second) = arguments.split_once(", ")?;
    match name.strip_prefix("plimsoll_").unwrap_or(name) {
        "array_has" if !first.ends_with("[]") && !second.ends_with("[]") => {
            Some((SqlState::WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side".into()))
        }
        "subscript" => {
            let message = format!("cannot subscript type {first} because it does not support subscripting");
            Some((SqlState::DATATYPE_MISMATCH, message))
        }
        _ => None,
    }
}

/// `plimsoll_array_contains(integer[], integer)` is `integer[] @> integer`.
pub(super) fn operation(call: &str) -> Option<String> {
    let (name, arguments) = call.strip_suffix(')')?.split_once('(')?;
    let (_, operator) = OPERATORS.iter().find(|(known, _)| *known == name)?;
    let (left, right) = arguments.split_once(", ")?;
    Some(format!("{left} {operator} {right}"))
}

/// `plimsoll_flatten(integer)` is `unnest(integer)`.
pub(super) fn call(call: &str) -> String {
    let (name, rest) = call.split_at(call.find('(').unwrap_or(call.len()));
    match FUNCTIONS.iter().find(|(known, _)| *known == name) {
        Some((_, shown)) => format!("{shown}{rest}"),
        None => format!("{}{rest}", name.strip_prefix("plimsoll_").unwrap_or(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_our_own_are_not_shown() {
        assert_eq!(operation("plimsoll_array_contains(integer[], integer)").as_deref(), Some("integer[] @> integer"));
        assert_eq!(operation("lower(integer)"), None);
        assert_eq!(call("plimsoll_flatten(integer)"), "unnest(integer)");
        assert_eq!(call("plimsoll_any(text)"), "any(text)");
        assert_eq!(call("lower(integer)"), "lower(integer)");
    }
}
