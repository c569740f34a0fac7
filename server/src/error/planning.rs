//! Errors of planning -> [`SqlError`]: DataFusion has only text for them. Each form that is recognized has its line in a test's table.

use super::mapping::{arrow_type_name, between, first_line};
use super::{SqlError, SqlState};

/// DataFusion names tables `catalog.schema.table`: show what the user wrote as far as it can be known.
fn undefined_table(name: &str) -> SqlError {
    let parts: Vec<&str> = name.split('.').collect();
    let shown = match parts.as_slice() {
        [_, "public", table] => (*table).to_string(),
        [_, schema, table] => format!("{schema}.{table}"),
        _ => name.to_string(),
    };
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
}

/// The error of planning that a text of DataFusion's means.
pub(super) fn from_plan_text(text: &str) -> SqlError {
    let text = text.trim_start_matches("Error during planning: ");
    let found = names(text)
        .or_else(|| grouping(text))
        .or_else(|| positions(text))
        .or_else(|| operators(text))
        .or_else(|| shapes(text))
        .or_else(|| from_value_text(text));
    found.unwrap_or_else(|| SqlError::new(state(text), lower_first(&first_line(text))))
}

/// What a function says of a value.
pub(super) fn from_value_text(text: &str) -> Option<SqlError> {
    let found = |state, message: String| Some(SqlError::new(state, message));
    let text = text.trim_start_matches("Execution error: ");
    if text.contains("regex parse error") || text.contains("regular expression") {
        return Some(regular_expression(text));
    }
    if text.starts_with("cannot take square root") || text.starts_with("zero raised to a negative power") {
        return found(SqlState::INVALID_ARGUMENT_FOR_POWER, first_line(text));
    }
    if text.starts_with("negative count not allowed") || text.starts_with("negative substring length") {
        return found(SqlState::SUBSTRING_ERROR, "negative substring length not allowed".into());
    }
    if let Some(code) = text.strip_prefix("invalid Unicode scalar value: ") {
        return found(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("requested character too large for encoding: {}", first_line(code)));
    }
    if let Some(name) = between(text, "no built-in encoding named '", "'") {
        return found(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized encoding: \"{name}\""));
    }
    if text.contains("Failed to decode value using hex") {
        return found(SqlState::INVALID_PARAMETER_VALUE, "invalid hexadecimal data".into());
    }
    if text.starts_with("step can't be 0") {
        return found(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero".into());
    }
    if text.starts_with("Invalid escape character in LIKE") {
        let error = SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        return Some(error.with_hint("Escape string must be empty or one character."));
    }
    if let Some(unit) = between(text, "Date part '", "' not supported") {
        let message = format!("unit \"{unit}\" not recognized for type timestamp without time zone");
        return found(SqlState::INVALID_PARAMETER_VALUE, message);
    }
    if let Some(zone) = between(text, "Invalid timezone \"", "\"") {
        return found(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{zone}\" not recognized"));
    }
    if text.starts_with("In an aggregate with DISTINCT, ORDER BY expressions must appear") {
        let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
        return found(SqlState::INVALID_COLUMN_REFERENCE, message.into());
    }
    let field = [("Year", "date"), ("Month", "date"), ("Day", "date"), ("Hour", "time"), ("Minute", "time"), ("Second", "time")];
    let (_, kind) = field.iter().find(|(field, _)| text.starts_with(&format!("{field} value '")))?;
    found(SqlState::DATETIME_FIELD_OVERFLOW, format!("{kind} field value out of range"))
}

/// The parser of regular expressions draws the place over several lines, and says the reason in the last.
fn regular_expression(text: &str) -> SqlError {
    let reason = text.lines().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or_default();
    let shown = if reason.contains("group") {
        "parentheses () not balanced"
    } else if reason.contains("character class") {
        "brackets [] not balanced"
    } else if reason.contains("repetition operator missing") {
        "quantifier operand invalid"
    } else if reason.contains("repetition") {
        "invalid repetition count(s)"
    } else {
        reason
    };
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {shown}"))
}

/// Something that DataFusion has not.
pub(super) fn from_not_implemented(text: &str) -> SqlError {
    if let Some(written) = text.strip_prefix("Unsupported SQL type ") {
        return match crate::types::SqlType::parse(&first_line(written).to_lowercase()) {
            Err(error) => error,
            Ok(_) => SqlError::unsupported(format!("type {} here", first_line(written).to_lowercase())),
        };
    }
    if text.starts_with("Physical plan does not support logical expression") {
        let kind = text.rsplit_once("expression ").map_or("", |(_, rest)| rest).split(['(', ' ']).next().unwrap_or_default();
        return SqlError::unsupported(match kind {
            "InSubquery" | "Exists" | "ScalarSubquery" | "SetComparison" => "a subquery in this place",
            "WindowFunction" => "a window function in this place",
            "AggregateFunction" => "an aggregate function in this place",
            _ => "an expression of this kind in this place",
        });
    }
    if let Some(parts) = text.strip_prefix("compound identifier: ") {
        let name = parts.trim_matches(['[', ']']).replace("\", \"", ".").replace('"', "");
        return SqlError::new(SqlState::SYNTAX_ERROR, format!("improper qualified name (too many dotted names): {name}"));
    }
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, lower_first(&without_debug_text(&first_line(text))))
}

/// What is printed of the insides of a plan says nothing to a user.
fn without_debug_text(text: &str) -> String {
    match text.find(" { ").or_else(|| text.find("([")) {
        Some(at) => text[..at].trim_end_matches(|c: char| c.is_alphanumeric() || "(:_".contains(c)).trim_end().to_string(),
        None => text.to_string(),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && (second.is_lowercase() || second == ' ') => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_string(),
    }
}

fn names(text: &str) -> Option<SqlError> {
    if let Some(name) = between(text, "table '", "' not found") {
        return Some(undefined_table(name));
    }
    if let Some(name) = between(text, "Invalid function '", "'") {
        return Some(SqlError::undefined_function(&format!("{name}()")));
    }
    if let Some(call) = between(text, "No function matches the given name and argument types '", "'") {
        return Some(SqlError::undefined_function(&call_with_types(call)));
    }
    if let Some(name) = between(text, "table function '", "' not found").or_else(|| between(text, "Table function '", "' not found")) {
        return Some(SqlError::undefined_function(&format!("{name}()")));
    }
    if let Some(name) = text.strip_prefix("Invalid qualifier ") {
        let name = first_line(name);
        return Some(SqlError::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{name}\"")));
    }
    if let Some(name) = between(text, "The window ", " is defined multiple times") {
        return Some(SqlError::new(SqlState::WINDOWING_ERROR, format!("window \"{name}\" is already defined")));
    }
    if text.starts_with("GROUPS requires an ORDER BY") {
        return Some(SqlError::new(SqlState::WINDOWING_ERROR, "GROUPS mode requires an ORDER BY clause"));
    }
    if text.starts_with("RANGE requires exactly one ORDER BY column") {
        let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
        return Some(SqlError::new(SqlState::WINDOWING_ERROR, message));
    }
    if text.contains("to grouping function is not in grouping columns") {
        let message = "arguments to GROUPING must be grouping expressions of the associated query level";
        return Some(SqlError::new(SqlState::GROUPING_ERROR, message));
    }
    if let Some(name) = between(text, "The window ", " is not defined") {
        return Some(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("window \"{name}\" does not exist")));
    }
    if text.contains("contains duplicate unqualified field name") || text.contains("Projections require unique expression names") {
        let name = between(text, " AS ", "\"").map(|name| format!("column \"{name}\" specified more than once"));
        return Some(SqlError::new(SqlState::DUPLICATE_COLUMN, name.unwrap_or_else(|| first_line(text))));
    }
    text.contains("Ambiguous reference").then(|| SqlError::new(SqlState::AMBIGUOUS_COLUMN, lower_first(&first_line(text))))
}

fn grouping(text: &str) -> Option<SqlError> {
    let column = if text.contains("could not be resolved from available columns") {
        between(text, "Expression ", " could not")
    } else if let Some(rest) = text.strip_prefix("HAVING clause references: ") {
        rest.split_once(" must appear").map(|(column, _)| column)
    } else if text.contains("must appear in the GROUP BY clause") || text.contains("must be in GROUP BY") {
        between(text, "column \"", "\"")
    } else if text.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        return Some(SqlError::new(SqlState::GROUPING_ERROR, "aggregate functions are not allowed in WHERE"));
    } else if text.starts_with("Aggregate function calls cannot be nested") {
        return Some(SqlError::new(SqlState::GROUPING_ERROR, "aggregate function calls cannot be nested"));
    } else {
        return None;
    };
    let message = match column {
        Some(column) => format!("column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"),
        None => first_line(text),
    };
    Some(SqlError::new(SqlState::GROUPING_ERROR, message))
}

fn positions(text: &str) -> Option<SqlError> {
    let invalid = |message: String| Some(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    if let Some(position) = between(text, "Order by column out of bounds, specified: ", ",") {
        return invalid(format!("ORDER BY position {position} is not in select list"));
    }
    if text.starts_with("Order by index starts at 1") {
        return invalid("ORDER BY position 0 is not in select list".into());
    }
    if let Some(position) = between(text, "Cannot find column with position ", " ") {
        return invalid(format!("GROUP BY position {position} is not in select list"));
    }
    if text.starts_with("For SELECT DISTINCT, ORDER BY expressions") {
        return invalid("for SELECT DISTINCT, ORDER BY expressions must appear in select list".into());
    }
    if text.starts_with("SELECT DISTINCT ON expressions must match") {
        return invalid("SELECT DISTINCT ON expressions must match initial ORDER BY expressions".into());
    }
    if text.starts_with("In an aggregate with DISTINCT, ORDER BY expressions must appear") {
        return invalid("in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list".into());
    }
    if text.starts_with("LIMIT must be >") {
        return Some(SqlError::new(SqlState::INVALID_LIMIT, "LIMIT must not be negative"));
    }
    if text.starts_with("OFFSET must be >") {
        return Some(SqlError::new(SqlState::INVALID_OFFSET, "OFFSET must not be negative"));
    }
    if let Some(found) = between(text, "Expected LIMIT to be an integer or null, but got ", "\n").or_else(|| text.split("but got ").nth(1))
        && text.starts_with("Expected LIMIT")
    {
        return Some(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("argument of LIMIT must be type bigint, not type {}", type_name(found)),
        ));
    }
    None
}

fn operators(text: &str) -> Option<SqlError> {
    if let Some(operation) = between(text, "Cannot coerce arithmetic expression ", " to valid types") {
        return binary(operation);
    }
    if let Some(operation) = text.strip_prefix("Cannot infer common string type for string concat operation ") {
        return binary(&first_line(operation));
    }
    if let Some(operation) = text.strip_prefix("Cannot infer common argument type for comparison operation ") {
        return binary(&first_line(operation));
    }
    if let Some(operation) = between(text, "Cannot get result type for temporal operation ", ":") {
        return binary(operation);
    }
    if let Some(types) = between(text, "There isn't a common type to coerce ", " in LIKE") {
        let (left, right) = types.split_once(" and ")?;
        return Some(SqlError::undefined_operator(&format!("{} ~~ {}", type_name(left), type_name(right))));
    }
    if let Some(found) = text.strip_prefix("Unary operator 'NOT' requires a boolean expression, got ") {
        return Some(SqlError::not_boolean("NOT", &type_name(&first_line(found))));
    }
    if let Some(types) =
        between(&format!("{}\n", first_line(text)), "Cannot infer common argument type for logical boolean operation ", "\n")
    {
        return logical(types);
    }
    if let Some(types) = between(text, "Incompatible inputs for Union: Previous inputs were of type ", " on column") {
        let (left, right) = types.split_once(", but got incompatible type ")?;
        let message = format!("UNION types {} and {} cannot be matched", type_name(left), type_name(right));
        return Some(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    if text.starts_with("Invalid window frame: frame offsets") {
        return Some(SqlError::new(SqlState("22013"), "frame starting offset must not be negative"));
    }
    if let Some(rest) = text.split("Cannot create filter with non-boolean predicate").nth(1) {
        let found = rest.rsplit(" returning ").next()?;
        return Some(SqlError::not_boolean("WHERE", &type_name(&first_line(found))));
    }
    None
}

/// `Int32 + Utf8View` -> `integer + text`.
fn binary(operation: &str) -> Option<SqlError> {
    let (left, op, right) = split_operation(operation)?;
    if type_name(left) == "unknown" && type_name(right) == "unknown" {
        let error = SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: unknown {op} unknown"));
        return Some(error.with_hint("Could not choose a best candidate operator. You might need to add explicit type casts."));
    }
    if left.starts_with("Struct(") && right.starts_with("Struct(") {
        return Some(SqlError::new(SqlState::SYNTAX_ERROR, "unequal number of entries in row expressions"));
    }
    let op = match op {
        "!=" => "<>",
        other => other,
    };
    Some(SqlError::undefined_operator(&format!("{} {op} {}", type_name(left), type_name(right))))
}

/// Splits at the spaces outside of parentheses.
fn split_operation(operation: &str) -> Option<(&str, &str, &str)> {
    let mut depth = 0usize;
    let mut spaces = Vec::new();
    for (at, c) in operation.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => spaces.push(at),
            _ => {}
        }
    }
    let (first, second) = (*spaces.first()?, *spaces.get(1)?);
    Some((&operation[..first], &operation[first + 1..second], operation[second + 1..].trim()))
}

/// `upper(Int64, Utf8)` -> `upper(bigint, unknown)`.
fn call_with_types(call: &str) -> String {
    let Some((name, rest)) = call.split_once('(') else { return call.to_string() };
    let inner = rest.strip_suffix(')').unwrap_or(rest);
    let mut types = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                types.push(type_name(&inner[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner.is_empty() {
        types.push(type_name(&inner[start..]));
    }
    format!("{name}({})", types.join(", "))
}

/// PostgreSQL's name of an Arrow type as it is printed. A literal in quotes is of type Utf8, a text Utf8View.
fn type_name(arrow: &str) -> String {
    let arrow = arrow.trim();
    match arrow.split(['(', ' ']).next().unwrap_or(arrow) {
        "Utf8" | "Null" => "unknown".into(),
        "Utf8View" | "LargeUtf8" | "Dictionary" => "text".into(),
        "Binary" | "BinaryView" | "LargeBinary" => "bytea".into(),
        "Time32" | "Time64" => "time without time zone".into(),
        "Timestamp" if arrow.contains('"') || arrow.contains("Some") => "timestamp with time zone".into(),
        "Timestamp" => "timestamp without time zone".into(),
        "Struct" => "record".into(),
        "List" | "LargeList" => "anyarray".into(),
        _ => arrow_type_name(arrow).into(),
    }
}

/// `Int32 AND Boolean`: the first side that is not boolean.
fn logical(operation: &str) -> Option<SqlError> {
    let (operator, (left, right)) = ["AND", "OR"].into_iter().find_map(|op| Some((op, operation.split_once(&format!(" {op} "))?)))?;
    let found = [left, right].into_iter().map(type_name).find(|found| found != "boolean")?;
    Some(SqlError::not_boolean(operator, &found))
}

fn shapes(text: &str) -> Option<SqlError> {
    let syntax = |message: String| Some(SqlError::new(SqlState::SYNTAX_ERROR, message));
    if text.contains("queries have different number of columns") {
        return syntax("each UNION query must have the same number of columns".into());
    }
    if text.starts_with("INTERSECT/EXCEPT query must have the same number of columns") {
        return syntax("each INTERSECT or EXCEPT query must have the same number of columns".into());
    }
    if text.contains("should only return one column") || text.contains("must return exactly one column") {
        let message = if text.contains("InSubquery") { "subquery has too many columns" } else { "subquery must return only one column" };
        return syntax(message.into());
    }
    if let Some(rest) = text.split("Source table contains ").nth(1) {
        let (has, rest) = rest.split_once(" columns but only ")?;
        let given = rest.split(' ').next()?;
        let message = format!("table has {has} columns available but {given} columns specified");
        return Some(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    if let Some(types) = text.split("Inconsistent data type across values list").nth(1).and_then(|rest| rest.split(". Was ").nth(1)) {
        let (was, found) = types.split_once(" but found ")?;
        let message = format!("VALUES types {} and {} cannot be matched", type_name(was), type_name(&first_line(found)));
        return Some(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    if text.starts_with("FILTER clause can only be used with aggregate window functions") {
        let message = "FILTER is not implemented for non-aggregate window functions";
        return Some(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    if let Some(types) = between(text, "expr type ", " in SetComparison") {
        let (left, right) = types.split_once(" can't cast to ")?;
        return Some(SqlError::undefined_operator(&format!("{} = {}", type_name(left), type_name(right))));
    }
    if text.contains("Inconsistent data length across values list") {
        return syntax("VALUES lists must all be the same length".into());
    }
    if let Some((name, rest)) = text.strip_prefix("Function '").and_then(|rest| rest.split_once("' requires "))
        && let Some((_, received)) = rest.split_once("but received ")
    {
        let received = received.split(" (DataType").next().unwrap_or(received);
        return Some(SqlError::undefined_function(&format!("{name}({})", type_name(received))));
    }
    text.contains("[return_type]")
        .then(|| SqlError::new(SqlState::UNDEFINED_FUNCTION, "a function does not exist for the types of its arguments"))
}

fn state(text: &str) -> SqlState {
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&[
        "not supported",
        "unsupported",
        "not implemented",
        "not yet implemented",
        "can only be used in",
        "correlated scalar subquery must be aggregated",
    ]) {
        SqlState::FEATURE_NOT_SUPPORTED
    } else if has(&["cannot coerce", "cannot infer common", "failed to coerce", "type mismatch", "cannot cast", "incompatible types"]) {
        SqlState::DATATYPE_MISMATCH
    } else if has(&["no value found for placeholder", "placeholder"]) {
        SqlState::UNDEFINED_PARAMETER
    } else {
        SqlState::SYNTAX_ERROR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planning_errors_are_postgresqls() {
        let table = [
            ("Cannot coerce arithmetic expression Int32 + Utf8View to valid types", "42883", "operator does not exist: integer + text"),
            (
                "Cannot infer common string type for string concat operation Int32 || Int32",
                "42883",
                "operator does not exist: integer || integer",
            ),
            (
                "No function matches the given name and argument types 'f(Decimal128(38, 10), Utf8)'. You",
                "42883",
                "function f(numeric, unknown) does not exist",
            ),
            ("Order by column out of bounds, specified: 2, max: 1", "42P10", "ORDER BY position 2 is not in select list"),
            (
                "Cannot create filter with non-boolean predicate 't.a' returning Int32",
                "42804",
                "argument of WHERE must be type boolean, not type integer",
            ),
            ("Invalid qualifier x", "42P01", "missing FROM-clause entry for table \"x\""),
            (
                "Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column \"t.a\" must appear in the GROUP BY",
                "42803",
                "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function",
            ),
        ];
        for (text, state, message) in table {
            let error = from_plan_text(text);
            assert_eq!((error.state.0, &*error.message), (state, message), "{text}");
        }
    }

    #[test]
    fn the_insides_of_plans_are_not_shown() {
        let error = from_not_implemented(
            "Physical plan does not support logical expression InSubquery(InSubquery { expr: Column(Column { relation: None } })",
        );
        assert_eq!(&*error.message, "a subquery in this place is not supported");
        let error = from_not_implemented("Unsupported expression: WindowFunction(WindowFunction { fun: x })");
        assert_eq!(&*error.message, "unsupported expression:");
        assert_eq!(from_not_implemented("Unsupported SQL type nosuch").state.0, "42704");
    }
}
