//! Running a statement: the session's own business here, everything else by whoever knows it, in the right transaction.

use super::block::{self, Block};
use super::context::ContextSource;
use super::grammar::{DiscardKind, Ours, TransactionModes};
use super::parameters::put_into_functions;
use super::physical;
use super::roles;
use super::settings::{confidential, facts};
use super::transaction::{Transaction, conflict_is_retryable};
use super::{
    Notice, Outcome, Session, Statement, absent, constraint_modes, copying, cursors, explain_placement, lock_clauses, lock_table, prepared,
    savepoints, temporary, vacuum,
};
use crate::access::rights::Rights;
use crate::catalog::Catalog;
use crate::engine::advisory::Held;
use crate::error::{Result, SqlError, SqlState};
use crate::locking;
use crate::query::QueryContext;
use crate::query::explain::{self, Ran};
use crate::types::SqlType;
use crate::{ddl, dml};
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use std::sync::Arc;
use std::time::Instant;

/// How often a change of the catalog outside a block is tried again when it lost a race.
const DDL_TRIES_MAX: usize = 8;

/// Runs a statement.
pub(super) async fn execute(session: &mut Session, statement: &Statement, parameters: &[ScalarValue]) -> Result<Outcome> {
    if session.block.as_ref().is_some_and(|block| block.failed) && !ends_block(statement) {
        return Err(block::in_failed_block());
    }
    match statement.ours.as_deref() {
        Some(ours) if !ddl::is_ddl(statement) => Box::pin(run_ours(session, statement, ours, parameters)).await,
        _ => Box::pin(run_standard(session, statement, parameters)).await,
    }
}

pub(super) fn ends_block(statement: &Statement) -> bool {
    matches!(statement.ours.as_deref(), Some(Ours::Commit { .. } | Ours::Rollback { .. } | Ours::RollbackTo(_)))
}

async fn run_ours(session: &mut Session, statement: &Statement, ours: &Ours, parameters: &[ScalarValue]) -> Result<Outcome> {
    match ours {
        Ours::Begin(modes) => begin(session, *modes, &statement.text),
        Ours::Commit { chain } => end(session, true, *chain).await,
        Ours::Rollback { chain } => end(session, false, *chain).await,
        Ours::Savepoint(name) => savepoints::set(session, name),
        Ours::Release(name) => savepoints::release(session, name),
        Ours::RollbackTo(name) => savepoints::roll_back_to(session, name),
        Ours::SetTransaction { modes, session: whole } => set_transaction(session, *modes, *whole),
        Ours::Set { local, name, values } => set(session, *local, name, values.as_deref()),
        Ours::Reset(name) => reset(session, name.as_deref()),
        Ours::SetRole { local, role } => roles::set_role(session, *local, role.as_deref()),
        Ours::SetSessionAuthorization { local, role } => roles::set_authorization(session, *local, role.as_deref()),
        Ours::Show(name) => show(session, name.as_deref()),
        Ours::Discard { kind } => discard(session, *kind).await,
        Ours::Prepare { name, types, statement: inner } => prepared::prepare(session, &statement.text, name, types, inner).await,
        Ours::Execute { name, arguments } => prepared::execute(session, name, arguments).await,
        Ours::Deallocate(name) => prepared::deallocate(session, name.as_deref()),
        Ours::Declare(declare) => cursors::declare(session, statement, declare, parameters).await,
        Ours::Fetch { direction, name, moves: false } => cursors::fetch(session, *direction, name).await,
        Ours::Fetch { direction, name, moves: true } => cursors::move_to(session, *direction, name).await,
        Ours::Close(name) => {
            session.cursors.close(name.as_deref())?;
            Ok(Outcome::Done(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" }.into()))
        }
        Ours::Copy(copy) => Box::pin(copying::run(session, copy)).await,
        Ours::Vacuum(vacuum) => vacuum::run(session, vacuum).await,
        Ours::LockTable(lock) => lock_table::run(session, lock).await,
        Ours::ExplainPlacement(explain) => explain_placement::run(session, explain),
        Ours::DropAbsent(drop) => absent::drop(session, drop),
        Ours::SetConstraints { names, deferred } => constraint_modes::set(session, names, *deferred).await,
        Ours::Physical(physical) => physical::run(session, physical),
        Ours::Nothing(tag) => Ok(Outcome::Done((*tag).to_string())),
        Ours::Unsupported(error) => Err((**error).clone()),
        Ours::CreateSequence { .. }
        | Ours::AlterSequence { .. }
        | Ours::Rename { .. }
        | Ours::RenameIndex { .. }
        | Ours::SetSchema { .. }
        | Ours::Access(_)
        | Ours::AlterConstraint { .. }
        | Ours::CreateExtension(_)
        | Ours::DropExtension(_)
        | Ours::CommentOnConstraint { .. } => Err(SqlError::internal("a change of the catalog came to the session")),
    }
}

async fn run_standard(session: &mut Session, statement: &Statement, parameters: &[ScalarValue]) -> Result<Outcome> {
    if ddl::is_ddl(statement) {
        return Box::pin(change_catalog(session, statement)).await.map(Outcome::Done);
    }
    if dml::is_dml(&statement.ast) {
        return Box::pin(write(session, statement, parameters)).await;
    }
    match &*statement.ast {
        ast::Statement::Query(_) => Box::pin(query(session, statement, parameters, "SELECT", true)).await,
        explained @ ast::Statement::Explain { statement: inner, .. } if dml::is_dml(inner) && explain::analyzes(explained)? => {
            Box::pin(explain_write(session, statement, inner, parameters)).await
        }
        ast::Statement::Explain { .. } | ast::Statement::ExplainTable { .. } => {
            query(session, statement, parameters, "EXPLAIN", false).await
        }
        _ => Err(SqlError::unsupported(first_words(&statement.text))),
    }
}

/// The command that a change is called by: below WITH, if it has one.
fn command(statement: &Statement) -> String {
    match &*statement.ast {
        ast::Statement::Query(query) => match &*query.body {
            ast::SetExpr::Insert(inner) | ast::SetExpr::Update(inner) | ast::SetExpr::Delete(inner) | ast::SetExpr::Merge(inner) => {
                first_word(&inner.to_string())
            }
            _ => "SELECT".into(),
        },
        _ => first_word(&statement.text),
    }
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_uppercase()
}

/// The command, for instance CREATE TABLE also where the table is temporary.
fn first_words(text: &str) -> String {
    let plain = |word: &&str| !["GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED"].iter().any(|other| word.eq_ignore_ascii_case(other));
    text.split_whitespace().filter(plain).take(2).map(str::to_uppercase).collect::<Vec<_>>().join(" ")
}

/// What a statement sees: the block's transaction, or the newest snapshot.
pub(super) fn read_context(session: &mut Session) -> Result<QueryContext> {
    open_implicit(session);
    let source = session.context_source();
    let view = match &mut session.block {
        Some(block) => block.transaction()?.view(),
        None => Transaction::begin(session.engine.clone())?.view(),
    };
    Ok(source.context(view))
}

pub(super) fn open_implicit(session: &mut Session) {
    if session.implicit && session.block.is_none() {
        session.settings.begin();
        session.block = Some(Block::new(session.engine.clone(), true, &session.settings));
    }
}

async fn query(
    session: &mut Session,
    statement: &Statement,
    parameters: &[ScalarValue],
    tag: &'static str,
    tag_rows: bool,
) -> Result<Outcome> {
    let (schema, batches) = open_query(session, statement, parameters).await?;
    Ok(Outcome::Rows { schema, batches, tag, tag_rows })
}

/// Plans a query and starts it.
pub(super) async fn open_query(
    session: &mut Session,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<(SchemaRef, SendableRecordBatchStream)> {
    if statement.locks_rows && matches!(&*statement.ast, ast::Statement::Query(_)) {
        return Box::pin(lock_rows(session, statement, parameters)).await;
    }
    let context = read_context(session)?;
    let with_values = put_into_functions(&statement.ast, parameters);
    let ast = with_values.as_ref().unwrap_or(&statement.ast);
    let plan = match &statement.planned_as {
        Some(planned_as) if with_values.is_none() && matches!(ast, ast::Statement::Query(_)) => {
            context.plan_prepared(planned_as, ast).await?
        }
        _ => plan(&context, ast).await?,
    };
    let plan = context.bind(plan, parameters)?;
    let schema = context.output_schema(&plan);
    match context.run(plan).await {
        Ok(batches) => Ok((schema, batches)),
        Err(error) => Err(Box::pin(context.refine(ast, error)).await),
    }
}

/// Runs a query that locks rows: in the block's transaction, or in one that ends with it.
async fn lock_rows(
    session: &mut Session,
    statement: &Statement,
    parameters: &[ScalarValue],
) -> Result<(SchemaRef, SendableRecordBatchStream)> {
    let strength = locking::clauses::check(&statement.ast)?.map(lock_clauses::name).unwrap_or_default();
    check_writable(session, &format!("SELECT {strength}"))?;
    let source = session.context_source();
    let with_values = put_into_functions(&statement.ast, parameters);
    let query = (with_values.as_ref().unwrap_or(&*statement.ast), true);
    let outcome = match &mut session.block {
        Some(block) => {
            let read_committed = block.read_committed;
            dml::execute_in(block.transaction()?, read_committed, |view| source.context(view), query, parameters).await?
        }
        None => {
            let mut transaction = Transaction::begin(session.engine.clone())?;
            dml::execute_in(&mut transaction, true, |view| source.context(view), query, parameters).await?
        }
    };
    match outcome {
        Outcome::Rows { schema, batches, .. } => Ok((schema, batches)),
        _ => Err(SqlError::internal("a query answers with rows")),
    }
}

/// Plans a query, or an EXPLAIN of anything.
pub(super) async fn plan(context: &QueryContext, statement: &ast::Statement) -> Result<LogicalPlan> {
    let plain = plain_explain(statement)?;
    let statement = plain.as_ref().unwrap_or(statement);
    match dml::explain::explained(statement) {
        Some(_) => dml::explain::plan(context, statement).await,
        None => context.plan(statement).await,
    }
}

/// EXPLAIN shows the plan of what locks rows as if it locked none.
fn plain_explain(statement: &ast::Statement) -> Result<Option<ast::Statement>> {
    match statement {
        ast::Statement::Explain { .. } if locking::locks_rows(statement) && !explain::analyzes(statement)? => {
            locking::clauses::check(statement)?;
            Ok(Some(locking::without_locks(statement)))
        }
        _ => Ok(None),
    }
}

/// That the transaction may write.
pub(super) fn check_writable(session: &mut Session, command: &str) -> Result<()> {
    open_implicit(session);
    let refused = match &session.block {
        Some(block) => block.read_only,
        None => session.settings.is_on("default_transaction_read_only"),
    };
    if refused { Err(block::read_only(command)) } else { Ok(()) }
}

async fn change_catalog(session: &mut Session, statement: &Statement) -> Result<String> {
    check_writable(session, &first_words(&statement.text))?;
    let source = session.context_source();
    let mut notices = Vec::new();
    let tag = match &mut session.block {
        Some(block) => {
            let mut execution = ddl::Execution { source: &source, transaction: block.transaction()?, notices: &mut notices };
            ddl::execute(&mut execution, statement).await?
        }
        None => autocommit_ddl(session, &source, statement, &mut notices).await?,
    };
    notices.into_iter().for_each(|notice| session.notify(notice));
    Ok(tag)
}

async fn autocommit_ddl(session: &Session, source: &ContextSource, statement: &Statement, notices: &mut Vec<Notice>) -> Result<String> {
    let mut tries = 0;
    loop {
        notices.clear();
        tries += 1;
        let mut transaction = Transaction::begin(session.engine.clone())?;
        let mut execution = ddl::Execution { source, transaction: &mut transaction, notices };
        let tag = ddl::execute(&mut execution, statement).await?;
        match transaction.commit().await {
            Err(error) if conflict_is_retryable(&error) && tries < DDL_TRIES_MAX => {}
            committed => return committed.map(|()| tag),
        }
    }
}

fn begin(session: &mut Session, modes: TransactionModes, text: &str) -> Result<Outcome> {
    let tag = if text.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("start")) { "START TRANSACTION" } else { "BEGIN" };
    match &mut session.block {
        Some(block) if block.implicit => block.implicit = false,
        Some(_) => session.warn(SqlState::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress"),
        None => {
            session.settings.begin();
            session.block = Some(Block::new(session.engine.clone(), false, &session.settings));
        }
    }
    check_isolation_unset(session, modes)?;
    apply_modes(session, modes)?;
    Ok(Outcome::Done(tag.into()))
}

fn apply_modes(session: &mut Session, modes: TransactionModes) -> Result<()> {
    let Some(block) = &mut session.block else { return Ok(()) };
    if let Some(read_only) = modes.read_only {
        if !read_only && block.read_only && block.has_begun() {
            let message = "transaction read-write mode must be set before any query";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        block.read_only = read_only;
        session.settings.set("transaction_read_only", Some(&[if read_only { "on" } else { "off" }.to_string()]), true)?;
    }
    // SERIALIZABLE would get less than it asks for.
    match modes.isolation {
        Some("serializable") => {
            Err(SqlError::unsupported("isolation level SERIALIZABLE").with_hint("Use REPEATABLE READ: snapshot isolation."))
        }
        Some(level) => {
            block.read_committed = block::is_read_committed(level);
            session.settings.set("transaction_isolation", Some(&[level.to_string()]), true)
        }
        None => Ok(()),
    }
}

fn set_transaction(session: &mut Session, modes: TransactionModes, whole: bool) -> Result<Outcome> {
    if whole {
        if let Some(read_only) = modes.read_only {
            let value = if read_only { "on" } else { "off" };
            session.settings.set("default_transaction_read_only", Some(&[value.to_string()]), false)?;
        }
        if let Some(level) = modes.isolation {
            set_isolation_default(session, level)?;
        }
    } else if session.block.is_none() {
        session.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "SET TRANSACTION can only be used in transaction blocks");
    } else {
        check_isolation_unset(session, modes)?;
        apply_modes(session, modes)?;
    }
    Ok(Outcome::Done("SET".into()))
}

fn check_isolation_unset(session: &Session, modes: TransactionModes) -> Result<()> {
    let present = session.settings.get("transaction_isolation");
    let changes = modes.isolation.is_some_and(|level| level != present);
    let Some(block) = session.block.as_ref().filter(|_| changes) else { return Ok(()) };
    let message = match (block.has_begun(), block.has_savepoints()) {
        (_, true) => "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction",
        (true, false) => "SET TRANSACTION ISOLATION LEVEL must be called before any query",
        (false, false) => return Ok(()),
    };
    Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message))
}

fn set_isolation_default(session: &mut Session, level: &str) -> Result<()> {
    if level == "serializable" {
        return Err(SqlError::unsupported("isolation level SERIALIZABLE").with_hint("Use REPEATABLE READ: snapshot isolation."));
    }
    session.settings.set("default_transaction_isolation", Some(&[level.to_string()]), false)
}

async fn end(session: &mut Session, commit: bool, chain: bool) -> Result<Outcome> {
    if chain && session.block.as_ref().is_none_or(|block| block.implicit) {
        let message = format!("{} AND CHAIN can only be used in transaction blocks", if commit { "COMMIT" } else { "ROLLBACK" });
        return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
    }
    let tag = |committed: bool| Ok(Outcome::Done(if committed { "COMMIT" } else { "ROLLBACK" }.into()));
    let Some(block) = session.block.take() else {
        session.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
        return tag(commit);
    };
    if block.implicit {
        session.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
    }
    let (failed, read_only, read_committed) = (block.failed, block.read_only, block.read_committed);
    session.end_block(block, commit).await?;
    if chain {
        session.block = Some(Block::new(session.engine.clone(), false, &session.settings));
        let isolation = Some(if read_committed { "read committed" } else { "repeatable read" });
        apply_modes(session, TransactionModes { isolation, read_only: Some(read_only) })?;
    }
    tag(commit && !failed)
}

fn set(session: &mut Session, local: bool, name: &str, values: Option<&[String]>) -> Result<Outcome> {
    if local && session.block.as_ref().is_none_or(|block| block.implicit) {
        session.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "SET LOCAL can only be used in transaction blocks");
        return Ok(Outcome::Done("SET".into()));
    }
    match (name, values) {
        ("role", Some([role])) => return roles::set_role(session, local, Some(role)),
        ("role", None) => return roles::set_role(session, local, None),
        ("session_authorization", Some([role])) => return roles::set_authorization(session, local, Some(role)),
        ("session_authorization", None) => return roles::set_authorization(session, local, None),
        ("transaction_read_only", Some([value])) => {
            let read_only = Some(matches!(value.to_lowercase().as_str(), "on" | "true" | "1" | "yes"));
            apply_modes(session, TransactionModes { read_only, isolation: None })?;
        }
        ("default_transaction_isolation", Some([level])) => set_isolation_default(session, &level.to_lowercase())?,
        ("transaction_isolation", Some([level])) if !level.eq_ignore_ascii_case("default") => {
            let modes = TransactionModes { isolation: Some(isolation_level(level)?), read_only: None };
            check_isolation_unset(session, modes)?;
            apply_modes(session, modes)?;
        }
        _ => session.settings.set(name, values, local)?,
    }
    Ok(Outcome::Done("SET".into()))
}

/// A level's name as SHOW prints it.
fn isolation_level(written: &str) -> Result<&'static str> {
    let known = ["read uncommitted", "read committed", "repeatable read", "serializable"];
    known.into_iter().find(|level| level.eq_ignore_ascii_case(written)).ok_or_else(|| {
        let message = format!("invalid value for parameter \"transaction_isolation\": \"{written}\"");
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
            .with_hint("Available values: serializable, repeatable read, read committed, read uncommitted.")
    })
}

fn reset(session: &mut Session, name: Option<&str>) -> Result<Outcome> {
    match name {
        Some("role") => return roles::set_role(session, false, None),
        Some("session_authorization") => return roles::set_authorization(session, false, None),
        Some(name) => session.settings.set(name, None, false)?,
        None => session.settings.reset_all(),
    }
    Ok(Outcome::Done("RESET".into()))
}

/// SHOW takes no snapshot.
fn latest_catalog(session: &Session) -> Result<Arc<Catalog>> {
    session.engine.catalog(&session.engine.placement.state())
}

/// The columns of SHOW.
pub(super) fn show_schema(session: &Session, name: Option<&str>) -> Result<SchemaRef> {
    let names = match name {
        Some(name) => {
            let catalog = latest_catalog(session)?;
            confidential::check(name, &Rights::of(&catalog, roles::current(&session.settings)))?;
            vec![session.settings.show(name)?.0]
        }
        None => ["name", "setting", "description"].map(String::from).into(),
    };
    Ok(Arc::new(Schema::new(names.into_iter().map(|name| SqlType::Text.field(&name, false)).collect::<Vec<_>>())))
}

fn show(session: &mut Session, name: Option<&str>) -> Result<Outcome> {
    let schema = show_schema(session, name)?;
    let columns: Vec<ArrayRef> = match name {
        Some(name) => vec![Arc::new(StringViewArray::from_iter_values([session.settings.show(name)?.1]))],
        None => {
            let catalog = latest_catalog(session)?;
            let rights = Rights::of(&catalog, roles::current(&session.settings));
            let shown = session.settings.all().filter(|(name, _)| confidential::check(name, &rights).is_ok());
            let (names, values): (Vec<_>, Vec<_>) = shown.unzip();
            let descriptions: Vec<&str> = names.iter().map(|name| facts::of(name).description).collect();
            vec![
                Arc::new(StringViewArray::from_iter_values(names)),
                Arc::new(StringViewArray::from_iter_values(values)),
                Arc::new(StringViewArray::from_iter_values(descriptions)),
            ]
        }
    };
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    let batches = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), futures::stream::iter([Ok(batch)])));
    Ok(Outcome::Rows { schema, batches, tag: "SHOW", tag_rows: false })
}

async fn discard(session: &mut Session, kind: DiscardKind) -> Result<Outcome> {
    if kind == DiscardKind::All {
        if session.block.is_some() {
            let message = "DISCARD ALL cannot run inside a transaction block";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        session.settings.reset_all();
        roles::set_authorization(session, false, None)?;
        session.prepared.clear();
        session.cursors.close(None)?;
        session.engine.advisory.release(session.identity.process_id, Held::BySession);
    }
    if matches!(kind, DiscardKind::All | DiscardKind::Sequences) {
        session.sequences.forget();
    }
    if matches!(kind, DiscardKind::All | DiscardKind::Temp) {
        temporary::discard(session).await?;
    }
    Ok(Outcome::Done(kind.tag().into()))
}

/// INSERT, UPDATE, DELETE, TRUNCATE, MERGE.
async fn write(session: &mut Session, statement: &Statement, parameters: &[ScalarValue]) -> Result<Outcome> {
    if let Err(refused) = check_writable(session, &command(statement))
        && !dml::changes_temporary_rows(&read_context(session)?, &statement.ast)
    {
        return Err(refused);
    }
    let source = session.context_source();
    write_seen(session, &source, (&statement.ast, statement.locks_rows), parameters).await
}

async fn write_seen(
    session: &mut Session,
    source: &ContextSource,
    statement: (&ast::Statement, bool),
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    match &mut session.block {
        Some(block) => Box::pin(write_in_block(block, source, statement, parameters)).await,
        None => Box::pin(dml::execute_alone(&session.engine, |view| source.context(view), statement, parameters)).await,
    }
}

/// EXPLAIN ANALYZE of a change: makes it, and shows how.
async fn explain_write(
    session: &mut Session,
    statement: &Statement,
    inner: &ast::Statement,
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    check_writable(session, "EXPLAIN")?;
    let started = Instant::now();
    let change = dml::explain::change(&read_context(session)?, inner)?;
    let ran = Ran::default();
    let source = ContextSource { ran: Some(ran.clone()), ..session.context_source() };
    let rows = match write_seen(session, &source, (inner, statement.locks_rows), parameters).await? {
        Outcome::Rows { batches, .. } => {
            batches.try_fold(0, async |rows, batch| Ok(rows + batch.num_rows())).await.map_err(SqlError::from)?
        }
        Outcome::Done(tag) => tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0),
        _ => return Err(SqlError::internal("a change answers with rows or a tag")),
    };
    let shown = explain::changed(&statement.ast, &change, rows, &ran, started.elapsed())?;
    let schema = shown.schema();
    let batches = RecordBatchStreamAdapter::new(schema.clone(), futures::stream::once(async { Ok(shown) }));
    Ok(Outcome::Rows { schema, batches: Box::pin(batches), tag: "EXPLAIN", tag_rows: false })
}

/// Runs a statement in a block. Rows that somebody else has changed meanwhile are found now, not at COMMIT: at READ COMMITTED the
/// statement is then undone and run again on what is there, otherwise it is 40001.
async fn write_in_block(
    block: &mut Block,
    source: &ContextSource,
    statement: (&ast::Statement, bool),
    parameters: &[ScalarValue],
) -> Result<Outcome> {
    let read_committed = block.read_committed;
    let transaction = block.transaction()?;
    // What was lost before this statement stays lost, however often it is run.
    transaction.check_conflicts()?;
    dml::execute_in(transaction, read_committed, |view| source.context(view), statement, parameters).await
}
