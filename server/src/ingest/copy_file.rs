//! COPY between a table and a file of the server; CREATE TABLE AS, which takes rows in the same way.
//!
//! Files in PostgreSQL's own forms go through the same decoder as COPY FROM STDIN; Parquet is read as a query, its columns by their names.

use super::assignment::assign;
use super::copy_in::{CopyInto, positions};
use super::defaults::Default as ColumnDefault;
use super::{Inserter, KeysChanged, Target};
use crate::engine::io_error;
use crate::error::{Result, SqlError, SqlState};
use crate::query::{FileKind, QueryContext};
use crate::session::CopyFormat;
use crate::session::transaction::Transaction;
use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_expr::PhysicalExpr;
use futures::TryStreamExt;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// Bytes read from a file at a time.
const READ_BYTES: usize = 1 << 20;

/// Copies a file in text, CSV or binary form into a table; the number of rows.
pub async fn copy_file(
    context: &QueryContext,
    transaction: &mut Transaction,
    target: &Target,
    columns: Option<&[String]>,
    condition: Option<Arc<dyn PhysicalExpr>>,
    format: &CopyFormat,
    path: &Path,
) -> Result<u64> {
    let mut copy = CopyInto::new(context, target, columns, format)?.only_where(condition);
    let mut file = tokio::fs::File::open(path).await.map_err(|error| not_readable(path, &error))?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).await.map_err(|error| io_error("read file", path, &error))?;
        if read == 0 {
            return copy.finish(transaction).await;
        }
        copy.push(&buffer[..read]).await?;
    }
}

pub(super) fn not_readable(path: &Path, error: &std::io::Error) -> SqlError {
    let state = match error.kind() {
        std::io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        std::io::ErrorKind::PermissionDenied => SqlState::INSUFFICIENT_PRIVILEGE,
        _ => SqlState::IO_ERROR,
    };
    SqlError::new(state, format!("could not open file \"{}\" for reading: {error}", path.display()))
}

/// Copies a Parquet file into a table: its columns go into the table's columns of the same names. What the file lacks gets the default; what
/// the table lacks, or what is listed and the file lacks, is an error.
pub async fn copy_parquet(
    context: &QueryContext,
    transaction: &mut Transaction,
    target: &Target,
    columns: Option<&[String]>,
    condition: Option<Arc<dyn PhysicalExpr>>,
    path: &str,
) -> Result<u64> {
    let plan = context.read_file(FileKind::Parquet, path, &[]).await?;
    let found: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let copied = copied_names(target, columns, &found, path)?;
    let kept = copied.iter().map(|name| Ok(Expr::Column(plan.schema().qualified_field_with_unqualified_name(name)?.into())));
    let kept = kept.collect::<Result<Vec<_>>>()?;
    let rows = context.run(LogicalPlanBuilder::from(plan).project(kept)?.build()?).await?;
    let inserter = Inserter::new(context, target, KeysChanged::All)?.only_where(condition);
    insert_into(context, transaction, target, Some(&copied), inserter, rows).await
}

/// The columns of a file that are copied, in its order.
fn copied_names(target: &Target, listed: Option<&[String]>, found: &[String], path: &str) -> Result<Vec<String>> {
    for name in found {
        target.definition.require_column(&target.name, name)?;
    }
    let missing = listed.unwrap_or_default().iter().find(|name| !found.contains(name));
    match missing {
        Some(name) => Err(SqlError::new(SqlState::UNDEFINED_COLUMN, format!("file \"{path}\" has no column \"{name}\""))),
        None => Ok(found.iter().filter(|name| listed.is_none_or(|listed| listed.contains(name))).cloned().collect()),
    }
}

/// Inserts a query's rows into a table: CREATE TABLE AS, a rewritten table. Without names of columns, the query's columns
/// are the table's first ones.
pub async fn insert_rows(
    context: &QueryContext,
    transaction: &mut Transaction,
    target: &Target,
    columns: Option<&[String]>,
    rows: SendableRecordBatchStream,
) -> Result<u64> {
    let inserter = Inserter::new(context, target, KeysChanged::All)?;
    insert_into(context, transaction, target, columns, inserter, rows).await
}

async fn insert_into(
    context: &QueryContext,
    transaction: &mut Transaction,
    target: &Target,
    columns: Option<&[String]>,
    mut inserter: Inserter,
    mut rows: SendableRecordBatchStream,
) -> Result<u64> {
    let mut positions = positions(target, columns)?;
    let given = rows.schema().fields().len();
    if given > positions.len() || (columns.is_some() && given < positions.len()) {
        let message = format!("{given} columns were found, {} are expected", positions.len());
        return Err(SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message));
    }
    positions.truncate(given);
    let default = |position: usize| match positions.contains(&position) {
        true => Ok(None),
        false => ColumnDefault::of(context, target, &target.definition.columns[position]).map(Some),
    };
    let defaults = (0..target.definition.columns.len()).map(default).collect::<Result<Vec<_>>>()?;
    while let Some(batch) = rows.try_next().await.map_err(SqlError::from)? {
        inserter.push(complete(context, target, &positions, &defaults, &batch).await?).await?;
    }
    inserter.finish(transaction).await
}

async fn complete(
    context: &QueryContext,
    target: &Target,
    positions: &[usize],
    defaults: &[Option<ColumnDefault>],
    batch: &RecordBatch,
) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(defaults.len());
    let schema = batch.schema();
    for (position, definition) in target.definition.columns.iter().enumerate() {
        let index = positions.iter().position(|given| *given == position);
        columns.push(match (index, &defaults[position]) {
            // Files of the server say little of types: text becomes what the column is.
            (Some(index), _) => assign(definition, batch.column(index), schema.field(index), true, &context.forms)?,
            (None, Some(default)) => default.values(definition, batch.num_rows()).await?,
            (None, None) => return Err(SqlError::internal("a column has neither data nor default")),
        });
    }
    target.rows(columns, batch.num_rows())
}
