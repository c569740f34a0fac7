//! Finds the files of a suite and runs them, several at once, each in a schema of its own.

use crate::column::{ColumnKind, columns_match};
use crate::report::{FileReport, Report};
use crate::server::Server;
use crate::session::{Place, Session, SessionError, is_restart};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;
use sqllogictest::{MakeConnection, Record, RecordOutput, Runner};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// How many files run at once. A file waits for one record at a time, so a few keep a server busy.
const FILES_AT_ONCE: usize = 4;

/// PostgreSQL's limit for a name.
const SCHEMA_NAME_BYTES_MAX: usize = 63;

/// Why a suite or a file could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A folder or file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is not one `.slt` file below the folder: a suite that cannot fail.
    #[error("{}: no .slt file", .0.display())]
    Empty(PathBuf),
    /// A file is not in the format of sqllogictest.
    #[error("{0}")]
    Parse(#[from] sqllogictest::ParseError),
    /// The file's schema could not be made or dropped, or no session opened.
    #[error("{}: {source}", path.display())]
    Session {
        /// The file whose schema it is.
        path: PathBuf,
        /// Why.
        source: SessionError,
    },
}

/// Runs every `.slt` file below `folder` whose path contains `filter`.
///
/// # Errors
/// If the folder cannot be read or has no files at all, whatever the filter. What goes wrong with a file or a record stands in the report.
pub async fn run_suite(folder: &Path, server: Arc<dyn Server>, filter: Option<&str>) -> Result<Report, SuiteError> {
    let mut files = find_files(folder)?;
    if files.is_empty() {
        return Err(SuiteError::Empty(folder.to_owned()));
    }
    files.retain(|file| filter.is_none_or(|filter| file.to_string_lossy().contains(filter)));
    Ok(run_files(files, server).await)
}

/// The `.slt` files below `path`, sorted; `path` itself if it is a file.
///
/// # Errors
/// If a folder cannot be read.
pub fn find_files(path: &Path) -> Result<Vec<PathBuf>, SuiteError> {
    let io = |source| SuiteError::Io { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(io)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?.path();
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "slt") {
            found.extend(find_files(&entry)?);
        }
    }
    found.sort();
    Ok(found)
}

/// Runs the files: first, several at once, those that leave the server alone; then, one by one, those that restart it.
pub async fn run_files(files: Vec<PathBuf>, server: Arc<dyn Server>) -> Report {
    let (alone, together): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| restarts_server(file));
    let run = |file| report_file(file, server.clone());
    let mut files: Vec<FileReport> = stream::iter(together).map(run).buffer_unordered(FILES_AT_ONCE).collect().await;
    files.extend(stream::iter(alone).then(run).collect::<Vec<_>>().await);
    files.sort_by(|a, b| a.file.cmp(&b.file));
    Report { files }
}

fn restarts_server(file: &Path) -> bool {
    let records = sqllogictest::parse_file::<ColumnKind>(file).unwrap_or_default();
    records.iter().any(|record| matches!(record, Record::Statement { sql, .. } if is_restart(sql)))
}

async fn report_file(file: PathBuf, server: Arc<dyn Server>) -> FileReport {
    let start = Instant::now();
    let mut report = FileReport { file, records: 0, skipped: 0, failures: Vec::new(), milliseconds: 0 };
    if let Err(error) = run_file(&mut report, server).await {
        report.failures.push(error.to_string());
    }
    report.milliseconds = start.elapsed().as_millis();
    report
}

async fn run_file(report: &mut FileReport, server: Arc<dyn Server>) -> Result<(), SuiteError> {
    let file = report.file.clone();
    let records = sqllogictest::parse_file::<ColumnKind>(&file)?;
    let place = place(&file, server).await?;
    let mut runner = runner(&place, &file);
    for record in records {
        if matches!(record, Record::Halt { .. }) {
            break;
        }
        run_record(&mut runner, record, report).await;
    }
    runner.shutdown_async().await;
    place.drop_schema().await.map_err(|source| SuiteError::Session { path: file, source })
}

async fn run_record<M>(runner: &mut Runner<Session, M>, record: Record<ColumnKind>, report: &mut FileReport)
where
    M: MakeConnection<Conn = Session>,
{
    let counts = matches!(record, Record::Statement { .. } | Record::Query { .. } | Record::System { .. } | Record::Let { .. });
    match runner.run_async(record).await {
        Ok(RecordOutput::Nothing) => report.skipped += usize::from(counts),
        Ok(_) => report.records += 1,
        Err(error) => {
            report.records += 1;
            report.failures.push(error.to_string());
        }
    }
}

/// Makes the schema of a file.
pub(crate) async fn place(file: &Path, server: Arc<dyn Server>) -> Result<Arc<Place>, SuiteError> {
    let place = Place::new(server, schema_name(file));
    place.create().await.map_err(|source| SuiteError::Session { path: file.to_owned(), source })?;
    Ok(Arc::new(place))
}

/// A runner whose sessions live in `place`. Records may name the schema as `$schema` after `control substitution on`.
pub(crate) fn runner(place: &Arc<Place>, file: &Path) -> Runner<Session, impl MakeConnection<Conn = Session> + use<>> {
    let place = place.clone();
    let open = move || -> BoxFuture<'static, Result<Session, SessionError>> { Box::pin(Session::open(place.clone())) };
    let mut runner = Runner::new(open);
    runner.with_column_validator(columns_match);
    runner.set_var("schema".into(), schema_name(file));
    runner
}

/// `suites/window/rank.slt` lives in schema `slt_window_rank`.
fn schema_name(file: &Path) -> String {
    let stem = file.with_extension("");
    let parts: Vec<_> = stem.iter().map(|part| part.to_string_lossy()).collect();
    let last_two = parts[parts.len().saturating_sub(2)..].join("_");
    let mut name = format!("slt_{last_two}").to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    name.truncate(SCHEMA_NAME_BYTES_MAX);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_named_after_topic_and_file() {
        assert_eq!(schema_name(Path::new("/x/suites/window/Rank-2.slt")), "slt_window_rank_2");
        assert_eq!(schema_name(Path::new("rank.slt")), "slt_rank");
        assert_eq!(schema_name(Path::new(&format!("a/{}.slt", "b".repeat(80)))).len(), SCHEMA_NAME_BYTES_MAX);
    }
}
