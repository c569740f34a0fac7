//! Writes a server's answers into a file: `----` and rows for queries, counts for `statement count`, SQLSTATEs for bare `error`s.
//!
//! What should succeed and fails, or should fail and succeeds, is not recorded as the new truth: it stays as it is, and is told.

use crate::column::{ColumnKind, columns_match};
use crate::server::Server;
use crate::session::SessionError;
use crate::suite::{SuiteError, place, runner};
use sqllogictest::{
    ExpectedError, QueryExpect, Record, RecordOutput, StatementExpect, default_normalizer, default_validator, update_record_with_output,
};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// Runs `file` and writes it anew with the results. Returns what did not go as the file says. Included files are not touched.
///
/// # Errors
/// If the file cannot be read, parsed or written, or its schema not made.
pub async fn complete_file(file: &Path, server: Arc<dyn Server>) -> Result<Vec<String>, SuiteError> {
    let io = |source| SuiteError::Io { path: file.to_owned(), source };
    let text = std::fs::read_to_string(file).map_err(io)?;
    let records = sqllogictest::parse_with_name::<ColumnKind>(&text, file.to_string_lossy())?;
    let place = place(file, server).await?;
    let mut runner = runner(&place, file);
    let (mut completed, mut problems) = (String::new(), Vec::new());
    for record in records {
        let output = runner.apply_record(record.clone()).await;
        problems.extend(problem(&record, &output));
        // Writing to a string does not fail.
        let _ = writeln!(completed, "{}", with_output(record, &output));
    }
    runner.shutdown_async().await;
    place.drop_schema().await.map_err(|source| SuiteError::Session { path: file.to_owned(), source })?;
    std::fs::write(file, format!("{}\n", completed.trim_end())).map_err(io)?;
    Ok(problems)
}

/// The record with what the server answered; as it was if the answer is of the other kind, success or failure, than it expects.
fn with_output(record: Record<ColumnKind>, output: &RecordOutput<ColumnKind>) -> Record<ColumnKind> {
    match (expected_error(&record), actual_error(output)) {
        (Some(ExpectedError::Empty), Some(SessionError::Sql { code, .. })) => expecting(record, code.clone()),
        (None, None) => {
            let updated = update_record_with_output(&record, output, " ", default_validator, default_normalizer, columns_match);
            updated.unwrap_or(record)
        }
        _ => record,
    }
}

fn expecting(mut record: Record<ColumnKind>, code: String) -> Record<ColumnKind> {
    match &mut record {
        Record::Statement { expected, .. } => *expected = StatementExpect::Error(ExpectedError::SqlState(code)),
        Record::Query { expected, .. } => *expected = QueryExpect::Error(ExpectedError::SqlState(code)),
        _ => {}
    }
    record
}

fn problem(record: &Record<ColumnKind>, output: &RecordOutput<ColumnKind>) -> Option<String> {
    let (Record::Statement { loc, sql, .. } | Record::Query { loc, sql, .. }) = record else { return None };
    let what = match (expected_error(record), actual_error(output)) {
        (None, Some(error)) => error.to_string(),
        (Some(_), None) if !matches!(output, RecordOutput::Nothing) => "should fail, and succeeds".into(),
        (Some(expected), Some(error)) if !matches(expected, error) => format!("should fail with {expected}, and fails with {error}"),
        _ => return None,
    };
    Some(format!("{loc}: {what}\n{sql}"))
}

fn matches(expected: &ExpectedError, actual: &SessionError) -> bool {
    let code = match actual {
        SessionError::Sql { code, .. } => Some(code.as_str()),
        _ => None,
    };
    expected.is_match(&actual.to_string(), code)
}

fn expected_error(record: &Record<ColumnKind>) -> Option<&ExpectedError> {
    match record {
        Record::Statement { expected: StatementExpect::Error(error), .. } => Some(error),
        Record::Query { expected: QueryExpect::Error(error), .. } => Some(error),
        _ => None,
    }
}

fn actual_error(output: &RecordOutput<ColumnKind>) -> Option<&SessionError> {
    match output {
        RecordOutput::Statement { error: Some(error), .. } | RecordOutput::Query { error: Some(error), .. } => error.downcast_ref(),
        _ => None,
    }
}
