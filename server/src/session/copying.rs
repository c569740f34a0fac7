//! COPY: to the client, to and from files of the server, from the client.

use super::copy_options::{CopySource, CopyStatement, CopyTarget, FileFormat};
use super::dispatch::{check_writable, read_context};
use super::transaction::Transaction;
use super::{CopyIn, CopyKind, Outcome, Session};
use crate::access::acl;
use crate::catalog::names::{QualifiedName, quote};
use crate::catalog::{Relation, TableDefinition, keys};
use crate::copy::to_file;
use crate::error::{Result, SqlError, SqlState};
use crate::ingest::Target;
use crate::ingest::copy_file::{copy_file, copy_parquet};
use crate::ingest::copy_in::{CopyInto, refuse_generated};
use crate::ingest::copy_json::copy_json;
use crate::query::QueryContext;
use crate::session::parse::parse_query;
use crate::types::SqlType;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast;
use std::path::Path;
use std::sync::Arc;

/// Runs COPY.
pub(super) async fn run(session: &mut Session, copy: &CopyStatement) -> Result<Outcome> {
    match (&copy.target, copy.to) {
        (CopyTarget::Client, true) => to_client(session, copy).await,
        (CopyTarget::File(path), true) => to_file(session, copy, path).await,
        (_, false) => from(session, copy).await,
    }
}

async fn to_client(session: &mut Session, copy: &CopyStatement) -> Result<Outcome> {
    let context = read_context(session)?;
    let plan = context.plan(&source_query(&context, &copy.source)?).await?;
    let schema = context.output_schema(&plan);
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let format = copy.options.resolve(true, &names)?;
    let batches = context.run(plan).await?;
    Ok(Outcome::CopyOut { schema, batches, format })
}

async fn to_file(session: &mut Session, copy: &CopyStatement, path: &str) -> Result<Outcome> {
    let context = read_context(session)?;
    context.rights().require_writing_files()?;
    if !Path::new(path).is_absolute() {
        return Err(SqlError::new(SqlState::INVALID_NAME, "relative path not allowed for COPY to file"));
    }
    let plan = context.plan(&source_query(&context, &copy.source)?).await?;
    let schema = context.output_schema(&plan);
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let format = copy.options.file_format(true, &names)?;
    let batches = context.run(plan).await?;
    let written = to_file::write(schema, batches, format, session.value_forms(), path.to_string());
    let rows = session.engine.threads.run(written).await?;
    Ok(Outcome::Done(format!("COPY {rows}")))
}

fn source_query(context: &QueryContext, source: &CopySource) -> Result<ast::Statement> {
    let query = match source {
        CopySource::Query(query) => (**query).clone(),
        CopySource::Table(name, columns) => {
            let name = QualifiedName::from_ast(name, &context.database)?;
            let found = context.view.catalog.require(&name, &context.search_path)?;
            if let Relation::View(_) | Relation::Sequence(_) = found.relation() {
                let kind = found.relation().kind();
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot copy from {kind} \"{}\"", found.name))
                    .with_hint("Try the COPY (SELECT ...) TO variant."));
            }
            let columns = copied_columns(found.name, found.table()?, columns.as_deref())?;
            let list: Vec<String> = columns.iter().map(|column| quote(column)).collect();
            parse_query(&format!("SELECT {} FROM {}", list.join(", "), found.quoted()))?
        }
    };
    Ok(ast::Statement::Query(Box::new(query)))
}

/// The columns that a list names, or all.
fn copied_columns(relation: &str, table: &TableDefinition, listed: Option<&[String]>) -> Result<Vec<String>> {
    let given = || table.columns.iter().filter(|column| column.generated.is_none());
    let Some(listed) = listed else { return Ok(given().map(|column| column.name.clone()).collect()) };
    for (at, name) in listed.iter().enumerate() {
        refuse_generated(table.require_column(relation, name)?)?;
        if listed[..at].contains(name) {
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
        }
    }
    Ok(listed.to_vec())
}

/// COPY FROM, from the client or from a file.
async fn from(session: &mut Session, copy: &CopyStatement) -> Result<Outcome> {
    check_writable(session, "COPY FROM")?;
    let source = session.context_source();
    // Outside a block the copy has a transaction of its own, which ends with it.
    let mut own = match session.block {
        Some(_) => None,
        None => Some(Transaction::begin(session.engine.clone())?),
    };
    let transaction = match (&mut own, &mut session.block) {
        (Some(own), _) => own,
        (None, Some(block)) => block.transaction()?,
        (None, None) => return Err(SqlError::internal("COPY has no transaction")),
    };
    transaction.act_for(&source.session);
    let context = source.context(transaction.view());
    if matches!(copy.target, CopyTarget::File(_)) {
        context.rights().require_reading_files()?;
    }
    let (target, columns, listed) = target(&context, &copy.source)?;
    let listed = listed.then_some(columns.as_slice());
    let condition = condition(&context, &target, copy)?;
    match &copy.target {
        CopyTarget::Client => {
            let format = copy.options.resolve(false, &columns)?;
            let binary = format.kind == CopyKind::Binary;
            let rows = CopyInto::new(&context, &target, listed, &format)?.only_where(condition);
            Ok(Outcome::CopyIn(Box::new(FromClient { rows, transaction: own, binary, table: target.oid() })))
        }
        CopyTarget::File(path) => {
            let format = copy.options.file_format(false, &columns)?;
            let rows = from_file(&context, transaction, &target, listed, condition, &format, path).await?;
            session.engine.counters.inserted(target.oid(), rows);
            if let Some(own) = own {
                own.commit().await?;
            }
            Ok(Outcome::Done(format!("COPY {rows}")))
        }
    }
}

/// The table, the columns copied, and whether they were listed.
fn target(context: &QueryContext, source: &CopySource) -> Result<(Target, Vec<String>, bool)> {
    let CopySource::Table(name, columns) = source else { return Err(SqlError::internal("COPY FROM a query")) };
    let name = QualifiedName::from_ast(name, &context.database)?;
    if let Some(schema) = &name.schema {
        context.rights().require_on_schema(schema, acl::USAGE)?;
    }
    let found = context.view.catalog.require(&name, &context.search_path)?;
    let Relation::Table(table) = found.relation() else {
        let kind = found.relation().kind();
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot copy to {kind} \"{}\"", found.name)));
    };
    let listed = columns.is_some();
    let columns = copied_columns(found.name, table, columns.as_deref())?;
    let rights = context.rights();
    let on_column = |name: &String| table.column(name).is_some_and(|column| rights.has_on_column(table.oid, column.id, acl::INSERT));
    if !columns.iter().all(on_column) {
        rights.require_on(&found, acl::INSERT)?;
    }
    let given: Vec<usize> = columns.iter().filter_map(|name| table.columns.iter().position(|column| column.name == *name)).collect();
    Ok((Target::new(found.schema, found.name, table.clone()).told_to(&rights, &given), columns, listed))
}

async fn from_file(
    context: &QueryContext,
    transaction: &mut Transaction,
    target: &Target,
    columns: Option<&[String]>,
    condition: Option<Arc<dyn PhysicalExpr>>,
    format: &FileFormat,
    path: &str,
) -> Result<u64> {
    match format {
        FileFormat::Copy(format) => copy_file(context, transaction, target, columns, condition, format, Path::new(path)).await,
        FileFormat::Parquet => copy_parquet(context, transaction, target, columns, condition, path).await,
        FileFormat::Json => copy_json(context, transaction, target, columns, condition, Path::new(path)).await,
    }
}

/// The condition of WHERE, over the table's columns.
fn condition(context: &QueryContext, target: &Target, copy: &CopyStatement) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(condition) = &copy.condition else { return Ok(None) };
    let table = (target.name.as_str(), target.arrow.clone());
    context.plan_expression(condition, Some(table), Some(&SqlType::Boolean)).map(Some)
}

/// COPY FROM STDIN on its way.
struct FromClient {
    rows: CopyInto,
    /// `None` within a block.
    transaction: Option<Transaction>,
    binary: bool,
    table: u32,
}

#[async_trait]
impl CopyIn for FromClient {
    fn columns(&self) -> usize {
        self.rows.columns()
    }
    fn binary(&self) -> bool {
        self.binary
    }
    async fn push(&mut self, bytes: Bytes) -> Result<()> {
        self.rows.push(&bytes).await
    }
    async fn finish(self: Box<Self>, session: &mut Session) -> Result<u64> {
        let finished = finish(*self, session).await;
        if finished.is_err() {
            session.fail();
        }
        finished
    }
    async fn abort(self: Box<Self>, session: &mut Session) {
        session.fail();
    }
}

async fn finish(copy: FromClient, session: &mut Session) -> Result<u64> {
    let Some(mut own) = copy.transaction else {
        let block = session.block.as_mut().ok_or_else(|| SqlError::internal("the block of a COPY has ended"))?;
        let transaction = block.transaction()?;
        check_definition(transaction, copy.rows.target())?;
        let rows = copy.rows.finish(transaction).await?;
        session.engine.counters.inserted(copy.table, rows);
        return Ok(rows);
    };
    let rows = copy.rows.finish(&mut own).await?;
    session.engine.counters.inserted(copy.table, rows);
    own.commit().await?;
    Ok(rows)
}

/// 40001 if the table is not any more what it was when the rows began to come: they were checked against that.
fn check_definition(transaction: &Transaction, target: &Target) -> Result<()> {
    let catalog = transaction.view().catalog;
    let now = catalog.by_oid(target.oid()).and_then(|found| found.relation().as_table());
    match now.is_some_and(|now| keys::encode(now) == keys::encode(&*target.definition)) {
        true => Ok(()),
        false => Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")),
    }
}
