//! Files of the server as tables: `read_parquet('path')`, `read_csv`, `read_json`, and COPY from Parquet files.
//!
//! Finding out a file's columns waits for the disk, which a table function may not do while it is planned. So the functions are rewritten to
//! tables of the catalog [`FILES_CATALOG`]: the schema is the kind of file, the table its path and options.

use super::Scope;
use crate::error::{Result, SqlError, SqlState};
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart};
use futures::StreamExt;
use std::sync::Arc;

/// The catalog of files.
pub const FILES_CATALOG: &str = "__files";

/// Separates path and options in a table's name.
const SEPARATOR: char = '\u{1}';

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values. Options: `header` (on), `delimiter` (`,`), `quote` (`"`).
    Csv,
    /// One JSON object per line.
    Json,
}

impl FileKind {
    fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
    fn of(name: &str) -> Option<Self> {
        [Self::Parquet, Self::Csv, Self::Json].into_iter().find(|kind| kind.name() == name)
    }
}

/// The table that a call of `read_<kind>` means; `None` if it is no such call.
pub fn table_name(function: &str, arguments: &[FunctionArg]) -> Option<ObjectName> {
    let kind = FileKind::of(function.strip_prefix("read_")?)?;
    let (first, rest) = arguments.split_first()?;
    let FunctionArg::Unnamed(path) = first else { return None };
    let mut name = text(path)?;
    for argument in rest {
        let FunctionArg::Named { name: option, arg, .. } = argument else { return None };
        name += &format!("{SEPARATOR}{}={}", option.value.to_lowercase(), text(arg)?);
    }
    let parts = [FILES_CATALOG.to_string(), kind.name().to_string(), name];
    Some(ObjectName(parts.map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', part))).into()))
}

fn text(argument: &FunctionArgExpr) -> Option<String> {
    let FunctionArgExpr::Expr(ast::Expr::Value(value)) = argument else { return None };
    match &value.value {
        ast::Value::Boolean(value) => Some(value.to_string()),
        value => value.clone().into_string(),
    }
}

/// The table that [`table_name`] names.
pub async fn provider(scope: &Scope, kind: &str, name: &str) -> Result<Arc<dyn TableProvider>> {
    let Some(kind) = FileKind::of(kind) else { return Err(SqlError::internal("no such kind of file")) };
    let mut parts = name.split(SEPARATOR);
    let path = parts.next().unwrap_or_default();
    let options: Vec<_> = parts.filter_map(|part| part.split_once('=')).map(|(k, v)| (k.to_string(), v.to_string())).collect();
    Ok(Arc::new(listing(scope, kind, path, &options).await?))
}

/// A plan that reads files.
pub async fn read_plan(scope: &Scope, kind: FileKind, path: &str, options: &[(String, String)]) -> Result<LogicalPlan> {
    let table = Arc::new(listing(scope, kind, path, options).await?);
    Ok(LogicalPlanBuilder::scan(kind.name(), provider_as_source(table), None)?.build()?)
}

async fn listing(scope: &Scope, kind: FileKind, path: &str, options: &[(String, String)]) -> Result<ListingTable> {
    scope.rights().require_reading_files()?;
    let state = Box::new(scope.state());
    let url = ListingTableUrl::parse(path)?;
    if url.scheme() != "file" {
        return Err(SqlError::unsupported(format!("reading from {}", url.scheme())));
    }
    let format = format(kind, options)?;
    let listing = ListingOptions::new(format).with_file_extension("");
    require_files(state.as_ref(), &url, path).await?;
    let config = ListingTableConfig::new(url).with_listing_options(listing).infer_schema(state.as_ref()).await?;
    Ok(ListingTable::try_new(config)?)
}

/// That there is at least one file; 58P01 otherwise.
async fn require_files(state: &datafusion::execution::SessionState, url: &ListingTableUrl, path: &str) -> Result<()> {
    let missing =
        || SqlError::new(SqlState::UNDEFINED_FILE, format!("could not open file \"{path}\" for reading: No such file or directory"));
    let store = state.runtime_env().object_store(url)?;
    let mut files = url.list_all_files(state, store.as_ref(), "").await.map_err(|_| missing())?;
    match files.next().await {
        Some(Ok(_)) => Ok(()),
        _ => Err(missing()),
    }
}

fn format(kind: FileKind, options: &[(String, String)]) -> Result<Arc<dyn FileFormat>> {
    match kind {
        FileKind::Csv => Ok(Arc::new(csv_format(options)?)),
        _ if !options.is_empty() => Err(unknown_option(&options[0].0)),
        FileKind::Parquet => Ok(Arc::new(ParquetFormat::default())),
        FileKind::Json => Ok(Arc::new(JsonFormat::default())),
    }
}

fn csv_format(options: &[(String, String)]) -> Result<CsvFormat> {
    let mut format = CsvFormat::default().with_has_header(true);
    for (name, value) in options {
        format = match name.as_str() {
            "header" => format.with_has_header(is_on(value)?),
            "delimiter" | "delim" | "sep" => format.with_delimiter(one_byte(name, value)?),
            "quote" => format.with_quote(one_byte(name, value)?),
            "escape" => format.with_escape(Some(one_byte(name, value)?)),
            _ => return Err(unknown_option(name)),
        };
    }
    Ok(format)
}

fn is_on(value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("not a boolean: \"{value}\""))),
    }
}

fn one_byte(name: &str, value: &str) -> Result<u8> {
    match value.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("option \"{name}\" must be a single one-byte character"))),
    }
}

fn unknown_option(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("option \"{name}\" not recognized"))
}
