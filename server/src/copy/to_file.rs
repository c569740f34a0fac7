//! Rows -> a file of the server: in COPY's own forms, as JSON objects, or as Parquet.
//!
//! 1. The file gets its bytes under another name in the same folder.
//! 2. They are synced, then the file is renamed, then the folder is synced: nobody sees half of it, and an error leaves what was there.

use super::CopyEncoder;
use super::json_lines::JsonEncoder;
use crate::error::{Result, SqlError, SqlState};
use crate::session::copy_options::FileFormat;
use crate::types::SqlType;
use crate::types::convert::convert;
use crate::types::forms::ValueForms;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::{Buf, BytesMut};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::errors::ParquetError;
use futures::TryStreamExt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are put together before they are written.
const CHUNK_BYTES: usize = 1 << 20;
/// Kind and length of a message of COPY data: a file has none.
const HEAD_BYTES: usize = 5;

/// Writes rows to a file, which appears whole or not at all; their number. `schema` has the columns as clients see them.
pub async fn write(
    schema: SchemaRef,
    batches: SendableRecordBatchStream,
    format: FileFormat,
    style: ValueForms,
    path: String,
) -> Result<u64> {
    let target = PathBuf::from(&path);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let folder = folder.canonicalize().map_err(|error| not_written(&path, &error))?;
    let temporary = folder.join(format!(".{}.copy", uuid::Uuid::new_v4()));
    let file = File::create(&temporary).map_err(|error| not_written(&path, &error))?;
    let written = write_rows(&schema, batches, &format, &style, file, &path).await;
    let finished = written.and_then(|rows| {
        publish(&temporary, &target, &folder).map_err(|error| not_written(&path, &error))?;
        Ok(rows)
    });
    if finished.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    finished
}

fn publish(temporary: &Path, target: &Path, folder: &Path) -> std::io::Result<()> {
    File::open(temporary)?.sync_all()?;
    std::fs::rename(temporary, target)?;
    File::open(folder)?.sync_all()
}

fn not_written(path: &str, error: &std::io::Error) -> SqlError {
    let state = match error.kind() {
        std::io::ErrorKind::NotFound => SqlState::UNDEFINED_FILE,
        std::io::ErrorKind::PermissionDenied => SqlState::INSUFFICIENT_PRIVILEGE,
        std::io::ErrorKind::IsADirectory => SqlState::WRONG_OBJECT_TYPE,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => SqlState::DISK_FULL,
        _ => SqlState::IO_ERROR,
    };
    SqlError::new(state, format!("could not open file \"{path}\" for writing: {error}"))
}

async fn write_rows(
    schema: &SchemaRef,
    mut batches: SendableRecordBatchStream,
    format: &FileFormat,
    style: &ValueForms,
    file: File,
    path: &str,
) -> Result<u64> {
    let mut sink = Sink::new(schema, format, style, file, path)?;
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await.map_err(SqlError::from)? {
        rows += batch.num_rows() as u64;
        sink.append(&batch)?;
    }
    sink.finish()?;
    Ok(rows)
}

/// Where batches go.
struct Sink<'a> {
    form: Form,
    path: &'a str,
}

enum Form {
    Copy(CopyEncoder, File),
    Json(JsonEncoder, File),
    Parquet(Box<ParquetForm>),
}

struct ParquetForm {
    writer: ArrowWriter<File>,
    columns: Vec<(SqlType, bool)>,
    schema: SchemaRef,
    forms: ValueForms,
}

impl<'a> Sink<'a> {
    fn new(schema: &SchemaRef, format: &FileFormat, style: &ValueForms, file: File, path: &'a str) -> Result<Self> {
        let columns: Vec<(String, SqlType)> =
            schema.fields().iter().map(|field| (field.name().clone(), SqlType::of_field(field))).collect();
        let form = match format {
            FileFormat::Copy(format) => Form::Copy(CopyEncoder::new(format, columns, style), file),
            FileFormat::Json => {
                require_distinct(&columns)?;
                Form::Json(JsonEncoder::new(columns, style), file)
            }
            FileFormat::Parquet => {
                require_distinct(&columns)?;
                Form::Parquet(Box::new(ParquetForm::new(schema, columns, style, file)?))
            }
        };
        let mut sink = Self { form, path };
        sink.start()?;
        Ok(sink)
    }
    fn start(&mut self) -> Result<()> {
        let Form::Copy(encoder, file) = &mut self.form else { return Ok(()) };
        let mut bytes = BytesMut::new();
        encoder.start(&mut bytes);
        file.write_all(&bytes).map_err(|error| not_written(self.path, &error))
    }
    fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.form {
            Form::Copy(encoder, file) => append_lines(encoder, batch, file, self.path),
            Form::Json(encoder, file) => {
                let mut bytes = BytesMut::new();
                encoder.append(batch, &mut bytes)?;
                file.write_all(&bytes).map_err(|error| not_written(self.path, &error))
            }
            Form::Parquet(form) => form.append(batch),
        }
    }
    fn finish(self) -> Result<()> {
        match self.form {
            Form::Copy(encoder, mut file) => {
                let mut bytes = BytesMut::new();
                encoder.end(&mut bytes);
                file.write_all(&bytes).map_err(|error| not_written(self.path, &error))
            }
            Form::Json(..) => Ok(()),
            Form::Parquet(form) => form.writer.close().map(drop).map_err(not_parquet),
        }
    }
}

/// Writes the bodies of the encoder's messages.
fn append_lines(encoder: &CopyEncoder, batch: &RecordBatch, file: &mut File, path: &str) -> Result<()> {
    let mut bound = encoder.bind(batch)?;
    let (mut messages, mut bodies) = (BytesMut::new(), Vec::with_capacity(CHUNK_BYTES));
    loop {
        let ended = encoder.fill(&mut bound, CHUNK_BYTES, &mut messages)?;
        bodies.clear();
        while messages.len() >= HEAD_BYTES {
            messages.advance(1);
            let length = (messages.get_u32() as usize).saturating_sub(HEAD_BYTES - 1);
            bodies.extend_from_slice(&messages[..length]);
            messages.advance(length);
        }
        file.write_all(&bodies).map_err(|error| not_written(path, &error))?;
        if ended {
            return Ok(());
        }
    }
}

/// Members of an object, and columns of Parquet, are found by name.
fn require_distinct(columns: &[(String, SqlType)]) -> Result<()> {
    let twice = columns.iter().enumerate().find(|(at, (name, _))| columns[..*at].iter().any(|(earlier, _)| earlier == name));
    match twice {
        Some((_, (name, _))) => Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))),
        None => Ok(()),
    }
}

impl ParquetForm {
    fn new(schema: &SchemaRef, columns: Vec<(String, SqlType)>, style: &ValueForms, file: File) -> Result<Self> {
        let columns: Vec<(SqlType, bool)> = columns.into_iter().map(|(_, sql_type)| (sql_type.clone(), needs_text(&sql_type))).collect();
        let field = |(field, (_, as_text)): (&Arc<Field>, &(SqlType, bool))| match as_text {
            true => Field::new(field.name(), DataType::Utf8View, true),
            false => Field::new(field.name(), field.data_type().clone(), true),
        };
        let schema: SchemaRef = Arc::new(Schema::new(schema.fields().iter().zip(&columns).map(field).collect::<Vec<_>>()));
        let writer = ArrowWriter::try_new(file, schema.clone(), None).map_err(not_parquet)?;
        Ok(Self { writer, columns, schema, forms: ValueForms::in_zone(&style.time_zone) })
    }
    fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let written = |(values, (sql_type, as_text)): (&ArrayRef, &(SqlType, bool))| match as_text {
            true => convert(values, sql_type, &SqlType::Text, &self.forms),
            false => Ok(values.clone()),
        };
        let columns = batch.columns().iter().zip(&self.columns).map(written).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.writer.write(&batch).map_err(not_parquet)
    }
}

/// Types that Parquet, or Arrow's writer of it, has no form for.
fn needs_text(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Array(element) => needs_text(element),
        other => *other == SqlType::Interval,
    }
}

fn not_parquet(error: ParquetError) -> SqlError {
    match error {
        ParquetError::NYI(what) => SqlError::unsupported(format!("a column of this type in a Parquet file ({what})")),
        other => SqlError::new(SqlState::IO_ERROR, format!("could not write Parquet data: {other}")),
    }
}
