//! Errors of DataFusion, Arrow, storage, placement and the parser -> [`SqlError`].
//!
//! Where a library only has text, the text is read: each form that is recognized has its line in the test's table.

use super::{SqlError, SqlState, planning};
use crate::query::naming;
use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use placement::PlacementError;
use std::error::Error;
use std::io;
use storage::StorageError;

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => from_boxed(inner),
            DataFusionError::ArrowError(inner, _) => (*inner).into(),
            DataFusionError::SQL(inner, _) => (*inner).into(),
            DataFusionError::IoError(inner) => from_io("access", &inner),
            DataFusionError::Collection(errors) => {
                errors.into_iter().next().map_or_else(|| Self::internal("no error was collected"), Self::from)
            }
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => (*inner).into(),
            other => from_datafusion(&other),
        }
    }
}

/// The same for errors that cannot be taken apart because others hold them too.
fn from_datafusion(error: &DataFusionError) -> SqlError {
    match error {
        DataFusionError::External(inner) => from_dyn(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => from_arrow(inner),
        DataFusionError::SQL(inner, _) => from_parser(inner),
        DataFusionError::IoError(inner) => from_io("access", inner),
        DataFusionError::ObjectStore(inner) => from_object_store(inner),
        DataFusionError::ParquetError(inner) => SqlError::new(SqlState::DATA_CORRUPTED, format!("could not read Parquet data: {inner}")),
        DataFusionError::Collection(errors) => errors.first().map_or_else(|| SqlError::internal("no error was collected"), from_datafusion),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(inner),
        DataFusionError::Shared(inner) => from_datafusion(inner),
        DataFusionError::SchemaError(inner, _) => from_schema(inner),
        DataFusionError::NotImplemented(text) => planning::from_not_implemented(text),
        DataFusionError::Plan(text) => planning::from_plan_text(text),
        DataFusionError::Execution(text) => from_execution_text(text),
        DataFusionError::Configuration(text) => SqlError::new(SqlState::INVALID_PARAMETER_VALUE, first_line(text)),
        DataFusionError::ResourcesExhausted(text) => from_exhausted(text),
        DataFusionError::ExecutionJoin(inner) => SqlError::internal(format!("a task of the query ended: {inner}")),
        other => SqlError::internal(first_line(&other.to_string())),
    }
}

fn from_boxed(error: Box<dyn Error + Send + Sync>) -> SqlError {
    match error.downcast::<SqlError>() {
        Ok(ours) => *ours,
        Err(error) => match error.downcast::<DataFusionError>() {
            Ok(inner) => (*inner).into(),
            Err(error) => from_dyn(error.as_ref()),
        },
    }
}

/// Looks for an error that we know, down the chain of sources.
fn from_dyn(error: &(dyn Error + Send + Sync + 'static)) -> SqlError {
    let mut link: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = link {
        if let Some(known) = known(current) {
            return known;
        }
        link = current.source();
    }
    internal(&error.to_string())
}

fn known(error: &(dyn Error + 'static)) -> Option<SqlError> {
    if let Some(ours) = error.downcast_ref::<SqlError>() {
        return Some(ours.clone());
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return Some(from_datafusion(inner));
    }
    if let Some(inner) = error.downcast_ref::<std::sync::Arc<DataFusionError>>() {
        return Some(from_datafusion(inner));
    }
    if let Some(inner) = error.downcast_ref::<ArrowError>() {
        return Some(from_arrow(inner));
    }
    if let Some(inner) = error.downcast_ref::<StorageError>() {
        return Some(from_storage(inner));
    }
    if let Some(inner) = error.downcast_ref::<PlacementError>() {
        return Some(from_placement(inner));
    }
    if let Some(inner) = error.downcast_ref::<ParserError>() {
        return Some(from_parser(inner));
    }
    error.downcast_ref::<io::Error>().map(|inner| from_io("access", inner))
}

fn from_schema(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } if is_shared(field, valid_fields) => {
            SqlError::new(SqlState::AMBIGUOUS_COLUMN, format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::FieldNotFound { field, .. } => undefined_column(field.relation.as_ref().map(|relation| relation.table()), &field.name),
        SchemaError::AmbiguousReference { field } => {
            SqlError::new(SqlState::AMBIGUOUS_COLUMN, format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))
        }
    }
}

/// Whether several columns of a table in FROM have this name: they were told apart by marks.
fn is_shared(field: &Column, known: &[Column]) -> bool {
    let same_table = |other: &&Column| field.relation.is_none() || field.relation == other.relation;
    known.iter().filter(same_table).filter(|other| other.name != field.name && naming::shown(&other.name) == field.name).count() > 1
}

fn undefined_column(relation: Option<&str>, name: &str) -> SqlError {
    let message = match relation {
        Some(relation) => format!("column {relation}.{name} does not exist"),
        None => format!("column \"{name}\" does not exist"),
    };
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}

/// A piece of text between two others.
pub(super) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let end = text[start..].find(after)?;
    Some(&text[start..start + end])
}

pub(super) fn first_line(text: &str) -> String {
    let text = text.split("\n\nbacktrace").next().unwrap_or(text);
    text.lines().next().unwrap_or("").trim_end_matches('.').to_string()
}

fn from_execution_text(text: &str) -> SqlError {
    if let Some(mapped) = planning::from_value_text(text) {
        return mapped;
    }
    if let Some(parameter) = missing_parameter(text) {
        return SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {parameter}"));
    }
    let lower = text.to_lowercase();
    if lower.contains("divide by zero") || lower.contains("division by zero") {
        return division_by_zero();
    }
    if lower.contains("overflow") || lower.contains("out of range") {
        return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, first_line(text));
    }
    if lower.contains("scalar subquery") && (lower.contains("more than one row") || lower.contains("multiple rows")) {
        return SqlError::new(SqlState::CARDINALITY_VIOLATION, "more than one row returned by a subquery used as an expression");
    }
    if lower.contains("no space left on device") {
        return disk_full("temporary file");
    }
    if let Some(mapped) = cast_error(text) {
        return mapped;
    }
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, first_line(text))
}

/// The parameter of "Placeholder '$1' was not provided a value for execution".
fn missing_parameter(text: &str) -> Option<&str> {
    text.strip_prefix("Placeholder '")?.split('\'').next()
}

fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

fn from_exhausted(text: &str) -> SqlError {
    let lower = text.to_lowercase();
    if lower.contains("disk") || lower.contains("no space left") {
        return SqlError::new(SqlState::DISK_FULL, "could not write temporary file: the limit of disk space for spilling is reached")
            .with_detail(first_line(text));
    }
    SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
        .with_detail(first_line(text))
        .with_hint("The query needs more memory than the server may use now. Raise the setting memory_limit, or run fewer queries at once.")
}

fn disk_full(what: &str) -> SqlError {
    SqlError::new(SqlState::DISK_FULL, format!("could not write {what}: No space left on device")).with_hint("Check free disk space.")
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn from_io(operation: &str, error: &io::Error) -> SqlError {
    if let Some(inner) = error.get_ref().and_then(|inner| known(inner)) {
        return inner;
    }
    if is_disk_full(error) {
        return disk_full("file");
    }
    let state = if error.kind() == io::ErrorKind::NotFound { SqlState::UNDEFINED_FILE } else { SqlState::IO_ERROR };
    SqlError::new(state, format!("could not {operation} file: {error}"))
}

fn from_object_store(error: &object_store::Error) -> SqlError {
    if let object_store::Error::NotFound { path, .. } = error {
        return SqlError::new(SqlState::UNDEFINED_FILE, format!("could not open file \"{path}\" for reading: No such file or directory"));
    }
    let mut link: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = link {
        if current.downcast_ref::<io::Error>().is_some_and(is_disk_full) {
            return disk_full("file");
        }
        link = current.source();
    }
    SqlError::new(SqlState::IO_ERROR, first_line(&error.to_string()))
}

impl From<ArrowError> for SqlError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::ExternalError(inner) => from_boxed(inner),
            other => from_arrow(&other),
        }
    }
}

fn from_arrow(error: &ArrowError) -> SqlError {
    match error {
        ArrowError::ExternalError(inner) => from_dyn(inner.as_ref()),
        ArrowError::DivideByZero => division_by_zero(),
        ArrowError::ArithmeticOverflow(text) => SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, overflow_message(text)),
        ArrowError::CastError(text) | ArrowError::ParseError(text) => {
            cast_error(text).unwrap_or_else(|| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, first_line(text)))
        }
        ArrowError::ComputeError(text) => from_execution_text(text),
        ArrowError::InvalidArgumentError(text) => from_invalid_argument(text),
        ArrowError::NotYetImplemented(text) => SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, first_line(text)),
        ArrowError::MemoryError(text) => from_exhausted(text),
        ArrowError::IoError(_, inner) => from_io("access", inner),
        ArrowError::CsvError(text) | ArrowError::JsonError(text) => SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, first_line(text)),
        ArrowError::OffsetOverflowError(_) => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a batch of values is larger than 2 GiB"),
        other => internal(&other.to_string()),
    }
}

/// What a text says, if it is known; else something is wrong with us.
fn internal(text: &str) -> SqlError {
    planning::from_value_text(text).unwrap_or_else(|| SqlError::internal(first_line(text)))
}

fn from_invalid_argument(text: &str) -> SqlError {
    if text.contains("too large to store in a Decimal") || text.contains("is too large") {
        return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(first_line(text));
    }
    from_execution_text(text)
}

/// `Overflow happened on: 2147483647 + 1`: the operands tell the type.
fn overflow_message(text: &str) -> &'static str {
    let operands = text.rsplit("on:").next().unwrap_or("");
    let numbers: Vec<i128> = operands.split_whitespace().filter_map(|word| word.trim_matches(['(', ')', ',']).parse().ok()).collect();
    match numbers.iter().map(|number| number.unsigned_abs()).max() {
        Some(largest) if largest <= i16::MAX as u128 + 1 => "smallint out of range",
        Some(largest) if largest <= i32::MAX as u128 + 1 => "integer out of range",
        Some(largest) if largest <= i64::MAX as u128 + 1 => "bigint out of range",
        Some(_) => "value overflows numeric format",
        None => "value out of range",
    }
}

/// Arrow's messages of failed casts, in PostgreSQL's words.
fn cast_error(text: &str) -> Option<SqlError> {
    if let Some(found) = cast_of_string(text) {
        return Some(found);
    }
    if text.contains("Error parsing timestamp from") {
        return between(text, "from '", "'").map(|value| invalid_datetime("timestamp", value));
    }
    if let Some(zone) = between(text, "Invalid timezone \"", "\"") {
        return Some(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{zone}\" not recognized")));
    }
    if text.contains("Invalid or Unsupported Configuration") || text.contains("timezone") {
        return Some(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, first_line(text)));
    }
    if text.contains("nterval") {
        return between(text, "'", "'").or_else(|| between(text, "\"", "\"")).map(|value| invalid_datetime("interval", value));
    }
    let out_of_range = text.contains("Can't cast value") || text.contains("out of range") || text.contains("too large");
    out_of_range.then(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, cast_range_message(text)))
}

fn cast_of_string(text: &str) -> Option<SqlError> {
    let value = between(text, "Cannot cast string '", "' to value of ").or_else(|| between(text, "Cannot parse string '", "' as "))?;
    let target = text.rsplit(" to value of ").next().map(|rest| rest.trim_end_matches(" type"))?;
    let target = arrow_type_name(target);
    if matches!(target, "date" | "time" | "timestamp" | "interval") {
        return Some(invalid_datetime(target, value));
    }
    if is_integer_text(value) && matches!(target, "smallint" | "integer" | "bigint") {
        return Some(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{value}\" is out of range for type {target}")));
    }
    Some(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {target}: \"{value}\"")))
}

fn is_integer_text(value: &str) -> bool {
    let digits = value.trim().trim_start_matches(['+', '-']);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn invalid_datetime(type_name: &str, value: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type {type_name}: \"{value}\""))
}

pub(super) fn arrow_type_name(arrow: &str) -> &'static str {
    let arrow = arrow.split(['(', ' ']).next().unwrap_or(arrow);
    match arrow {
        "Int8" | "Int16" | "UInt8" => "smallint",
        "Int32" | "UInt16" => "integer",
        "Int64" | "UInt32" => "bigint",
        "Float16" | "Float32" => "real",
        "Float64" => "double precision",
        "Boolean" => "boolean",
        "Date32" | "Date64" => "date",
        "Time32" | "Time64" => "time",
        "Timestamp" => "timestamp",
        "Interval" | "Duration" => "interval",
        _ => "numeric",
    }
}

/// `Can't cast value 99999 to type Int16`
fn cast_range_message(text: &str) -> String {
    match text.rsplit("to type ").next().filter(|_| text.contains("to type ")) {
        Some(target) => format!("{} out of range", arrow_type_name(target)),
        None => first_line(text),
    }
}

impl From<StorageError> for SqlError {
    fn from(error: StorageError) -> Self {
        from_storage(&error)
    }
}

fn from_storage(error: &StorageError) -> SqlError {
    match error {
        StorageError::DiskFull { file } => disk_full(&format!("file \"{file}\"")),
        StorageError::Io { source, .. } if is_disk_full(source) => disk_full("file"),
        StorageError::Io { .. } => SqlError::new(SqlState::IO_ERROR, error.to_string()),
        StorageError::Damaged { .. } => SqlError::new(SqlState::DATA_CORRUPTED, error.to_string())
            .with_hint("Run \"plimsoll check\" on the data folder, and restore the file from a backup."),
        StorageError::NewerFormat { .. } => {
            SqlError::new(SqlState::DATA_CORRUPTED, error.to_string()).with_hint("Start a newer server on this data folder.")
        }
        StorageError::Arrow(inner) => from_arrow(inner),
        #[allow(unreachable_patterns)]
        other => SqlError::internal(other.to_string()),
    }
}

impl From<PlacementError> for SqlError {
    fn from(error: PlacementError) -> Self {
        from_placement(&error)
    }
}

fn from_placement(error: &PlacementError) -> SqlError {
    match error {
        PlacementError::DiskFull => disk_full("the placement log"),
        PlacementError::Storage(_) => SqlError::new(SqlState::IO_ERROR, error.to_string()),
        PlacementError::Unavailable(_) => SqlError::new(SqlState::CANNOT_CONNECT_NOW, error.to_string()),
        PlacementError::InUse => SqlError::new(SqlState::OBJECT_IN_USE, error.to_string()),
        #[allow(unreachable_patterns)]
        other => SqlError::internal(other.to_string()),
    }
}

impl From<ParserError> for SqlError {
    fn from(error: ParserError) -> Self {
        from_parser(&error)
    }
}

fn from_parser(error: &ParserError) -> SqlError {
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => SqlError::new(SqlState::SYNTAX_ERROR, parser_message(text)),
        ParserError::RecursionLimitExceeded => SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "the statement is nested too deeply"),
    }
}

/// `Expected: an expression, found: FORM at Line: 1, Column: 8` -> `syntax error at or near "FORM" at Line: 1, Column: 8`.
fn parser_message(text: &str) -> String {
    let Some((start, line, column)) = line_and_column(text) else { return parser_words(text) };
    format!("{} at Line: {line}, Column: {column}", parser_words(text[..start].trim_end()))
}

fn parser_words(text: &str) -> String {
    match text.rsplit_once("found: ") {
        Some((_, "EOF")) => "syntax error at end of input".into(),
        Some((_, token)) => format!("syntax error at or near \"{token}\""),
        None => format!("syntax error: {text}"),
    }
}

/// Where ` at Line: l, Column: c` starts at the end of a message, and what it says.
pub(super) fn line_and_column(message: &str) -> Option<(usize, usize, usize)> {
    let start = message.rfind(" at Line: ")?;
    let (line, column) = message[start + " at Line: ".len()..].split_once(", Column: ")?;
    Some((start, line.trim().parse().ok()?, column.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::common::{Column, Diagnostic, TableReference};
    use std::sync::Arc;

    fn field(name: &str) -> Box<Column> {
        Box::new(Column::new_unqualified(name))
    }

    fn schema(error: SchemaError) -> DataFusionError {
        DataFusionError::SchemaError(Box::new(error), Box::new(None))
    }

    fn arrow(error: ArrowError) -> DataFusionError {
        DataFusionError::ArrowError(Box::new(error), None)
    }

    fn ours() -> SqlError {
        SqlError::new(SqlState::UNIQUE_VIOLATION, "duplicate key")
    }

    #[test]
    fn each_kind_has_its_state_and_message() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let table: Vec<(DataFusionError, &str, &str)> = vec![
            (ours().into(), "23505", "duplicate key"),
            (DataFusionError::from(ours()).context("while x"), "23505", "duplicate key"),
            (DataFusionError::Shared(Arc::new(ours().into())), "23505", "duplicate key"),
            (DataFusionError::Collection(vec![ours().into(), DataFusionError::Internal("b".into())]), "23505", "duplicate key"),
            (DataFusionError::Diagnostic(Box::new(Diagnostic::new_error("d", None)), Box::new(ours().into())), "23505", "duplicate key"),
            (arrow(ArrowError::ExternalError(Box::new(DataFusionError::from(ours())))), "23505", "duplicate key"),
            (DataFusionError::External(Box::new(Arc::new(DataFusionError::from(ours())))), "23505", "duplicate key"),
            (schema(SchemaError::FieldNotFound { field: field("x"), valid_fields: vec![] }), "42703", "column \"x\" does not exist"),
            (
                schema(SchemaError::FieldNotFound {
                    field: Box::new(Column::new(Some(TableReference::bare("t")), "x")),
                    valid_fields: vec![],
                }),
                "42703",
                "column t.x does not exist",
            ),
            (schema(SchemaError::AmbiguousReference { field: field("x") }), "42702", "column reference \"x\" is ambiguous"),
            (schema(SchemaError::DuplicateUnqualifiedField { name: "x".into() }), "42701", "column \"x\" specified more than once"),
            (DataFusionError::Plan("table 'plimsoll.public.t' not found".into()), "42P01", "relation \"t\" does not exist"),
            (DataFusionError::Plan("table 'plimsoll.s.t' not found".into()), "42P01", "relation \"s.t\" does not exist"),
            (DataFusionError::Plan("Invalid function 'f'.\nDid you mean 'g'?".into()), "42883", "function f() does not exist"),
            (
                DataFusionError::Plan("No function matches the given name and argument types 'sum(Utf8)'. You might".into()),
                "42883",
                "function sum(unknown) does not exist",
            ),
            (
                DataFusionError::Plan("Cannot coerce arithmetic expression Int64 + Utf8View to valid types".into()),
                "42883",
                "operator does not exist: bigint + text",
            ),
            (arrow(ArrowError::DivideByZero), "22012", "division by zero"),
            (DataFusionError::Execution("Divide by zero".into()), "22012", "division by zero"),
            (
                DataFusionError::Execution("Placeholder '$2' was not provided a value for execution".into()),
                "42P02",
                "there is no parameter $2",
            ),
            (arrow(ArrowError::ArithmeticOverflow("Overflow happened on: 2147483647 + 1".into())), "22003", "integer out of range"),
            (arrow(ArrowError::ArithmeticOverflow("Overflow happened on: 9223372036854775807 * 2".into())), "22003", "bigint out of range"),
            (
                arrow(ArrowError::CastError("Cannot cast string 'abc' to value of Int32 type".into())),
                "22P02",
                "invalid input syntax for type integer: \"abc\"",
            ),
            (
                arrow(ArrowError::CastError("Cannot cast string '99999999999' to value of Int32 type".into())),
                "22003",
                "value \"99999999999\" is out of range for type integer",
            ),
            (
                arrow(ArrowError::CastError("Cannot cast string 'x' to value of Date32 type".into())),
                "22007",
                "invalid input syntax for type date: \"x\"",
            ),
            (
                arrow(ArrowError::ParseError("Error parsing timestamp from 'abc': error parsing date".into())),
                "22007",
                "invalid input syntax for type timestamp: \"abc\"",
            ),
            (arrow(ArrowError::CastError("Can't cast value 99999 to type Int16".into())), "22003", "smallint out of range"),
            (DataFusionError::ResourcesExhausted("Failed to allocate additional 1 MB".into()), "53200", "out of memory"),
            (DataFusionError::NotImplemented("Unsupported thing: X".into()), "0A000", "unsupported thing: X"),
            (DataFusionError::IoError(full()), "53100", "could not write file: No space left on device"),
            (arrow(ArrowError::IoError("x".into(), full())), "53100", "could not write file: No space left on device"),
            (DataFusionError::Internal("oops".into()), "XX000", "Internal error: oops"),
            (DataFusionError::External(Box::new(PlacementError::InUse)), "55006", "the placement log is in use by another process"),
            (
                DataFusionError::External(Box::new(StorageError::DiskFull { file: "a.seg".into() })),
                "53100",
                "could not write file \"a.seg\": No space left on device",
            ),
        ];
        for (error, state, message) in table {
            let shown = format!("{error:?}");
            let mapped = SqlError::from(error);
            assert_eq!((mapped.state.0, mapped.message.as_ref()), (state, message), "{shown}");
        }
    }

    #[test]
    fn damage_and_full_disks_carry_hints() {
        let damaged: SqlError = StorageError::Damaged { file: "f".into(), column: None, reason: "truncated".into() }.into();
        assert_eq!(damaged.state, SqlState::DATA_CORRUPTED);
        let full: SqlError = PlacementError::DiskFull.into();
        assert_eq!((full.state, full.hint.is_some()), (SqlState::DISK_FULL, true));
        let memory: SqlError = DataFusionError::ResourcesExhausted("x".into()).into();
        assert!(memory.hint.unwrap().contains("memory_limit"));
    }

    #[test]
    fn parse_errors_find_their_position() {
        let sql = "select é,\n  from t";
        let error: SqlError = ParserError::ParserError("Expected: an expression, found: from at Line: 2, Column: 3".into()).into();
        let error = error.with_position_in(sql);
        assert_eq!(error.message, "syntax error at or near \"from\"");
        assert_eq!((error.state, error.position), (SqlState::SYNTAX_ERROR, Some(13)));
        let end: SqlError = ParserError::ParserError("Expected: an expression, found: EOF".into()).into();
        assert_eq!((end.message.as_ref(), end.clone().with_position_in(sql).position), ("syntax error at end of input", None));
    }
}
