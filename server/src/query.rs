//! The life of a query.
//!
//! 1. A session hands over a syntax tree, parameters, and the view that its transaction has.
//! 2. [`rewrite`] and [`naming`] turn what PostgreSQL says differently into what DataFusion understands.
//! 3. [`planner`] resolves names against the view and makes DataFusion's logical plan. What PostgreSQL refuses is refused before by
//!    [`semantics`] and after by [`typing`]; where planning fails, [`blame`] says it in PostgreSQL's words.
//! 4. The physical plan reads tables through [`scan`]: morsels of segments, pruned by statistics, filtered on the encoded form.
//! 5. Batches stream back as they are made; dropping the stream stops the query, and [`pauses`] sees to it that it can be stopped.
//!
//! Rows can be named: under the catalog [`ROWS_CATALOG`], that is as `"__rows"."schema"."table"`, every table has two more columns, last:
//! [`table::SEGMENT_COLUMN`] (UInt64) and [`table::ROW_COLUMN`] (UInt32). UPDATE and DELETE plan `SELECT t.__segment, t.__row, ... FROM
//! "__rows"."public"."t" AS t ...` and apply the ids; [`rows_of`] makes the name.

use crate::catalog::SequenceDefinition;
use crate::engine::Engine;
use crate::engine::activity::Activity;
use crate::engine::advisory::{AdvisoryLocks, Key, Mode};
use crate::engine::counters::Counters;
use crate::engine::locks::Locks;
use crate::error::{Result, SqlError, SqlState};
use crate::session::context::SessionFacts;
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::view::View;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

pub mod apply;
pub mod averages;
pub mod blame;
pub mod cardinality;
pub mod casts;
mod char_extremes;
pub mod common_types;
mod compared_case;
pub mod date_arithmetic;
pub mod dependencies;
pub mod desugar;
pub mod exactness;
pub mod explain;
pub mod expression;
pub mod files;
mod grouping;
pub mod held;
pub mod integers;
pub mod intervals;
pub mod join_order;
pub mod join_rule;
pub mod lateral;
pub mod merged_columns;
pub mod multisets;
pub mod naming;
pub mod operators;
pub mod ordered_groups;
pub mod origin;
pub mod output_types;
pub mod parameter_types;
pub mod parameters;
pub mod pauses;
pub mod plan_cache;
pub mod planner;
pub mod pruning;
pub mod qualified_names;
pub mod ranges;
pub mod record_functions;
mod repeated_rows;
pub mod rewrite;
pub mod row_values;
pub mod safe_pushdown;
mod scalar_nulls;
pub mod scan;
pub mod semantics;
mod set_operations;
mod shared_names;
pub mod short_aliases;
pub mod single_distinct;
pub mod statistics;
pub mod system_columns;
pub mod table;
pub mod tied_rows;
pub mod typing;
pub mod unit_index;
pub mod whole_rows;

#[cfg(test)]
mod tests;

pub use files::FileKind;
pub use held::HeldRows;
pub use planner::Scope;

/// The catalog in which tables show the ids of their rows.
pub const ROWS_CATALOG: &str = "__rows";

/// The name under which a table shows the ids of its rows.
pub fn rows_of(schema: &str, table: &str) -> ast::ObjectName {
    let parts = [ROWS_CATALOG, schema, table];
    ast::ObjectName(parts.map(|part| ast::ObjectNamePart::Identifier(ast::Ident::with_quote('"', part))).into())
}

/// A relation in a FROM list.
pub fn relation(name: ast::ObjectName, alias: Option<ast::TableAlias>) -> ast::TableFactor {
    ast::TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

/// What one statement's queries are planned with: a frozen view, and the session's settings that matter to planning.
#[derive(Clone)]
pub struct QueryContext {
    /// What all sessions share.
    pub engine: Arc<Engine>,
    /// What the statement sees.
    pub view: View,
    /// Where unqualified names are looked up, in order.
    pub search_path: Vec<String>,
    /// How values are read and written.
    pub forms: Arc<ValueForms>,
    /// `current_user`, and friends.
    pub user: String,
    /// `current_database()`.
    pub database: String,
    /// The session's process id and settings.
    pub session: Arc<SessionFacts>,
    /// Values of sequences in this session, for functions with effects (`nextval`, `currval`, `setval`); see [`SequenceAccess`].
    pub sequences: Arc<dyn SequenceAccess>,
    /// Who wants to see the plan that is run: EXPLAIN ANALYZE of a change.
    pub ran: Option<explain::Ran>,
    /// Rows that parts of the statement have left for the rest of it, by number: see [`held`].
    pub held: Arc<[HeldRows]>,
    /// The table that the statement changes, if the role may not read all of it.
    pub changed: Option<ChangedTable>,
}

/// A table that a statement changes, by its OID, and how its columns are guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangedTable {
    /// A plan fails that needs a column which the role may not read; one that needs none is allowed.
    Asked(u32),
    /// What the statement names was looked at: it reads whole rows.
    Checked(u32),
}

/// Sequences, as the functions `nextval`, `currval`, `setval` and `lastval` use them. Blocking: called from a query's thread.
pub trait SequenceAccess: Send + Sync + std::fmt::Debug {
    /// The next `count` values of the sequence named as in `nextval('name')`.
    fn next_values(&self, name: &str, count: usize) -> Result<Vec<i64>>;
    /// The value that `next_values` last gave in this session (55000 if none).
    fn current_value(&self, name: &str) -> Result<i64>;
    /// Sets the sequence.
    fn set_value(&self, name: &str, value: i64, is_called: bool) -> Result<i64>;
    /// The last value given by any sequence in this session.
    fn last_value(&self) -> Result<i64>;
    /// How far a sequence is: what reading it as a table shows.
    fn position(&self, sequence: &SequenceDefinition) -> SequencePosition;
}

/// How far a sequence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencePosition {
    /// The value given last; if none was given, the one to be given first.
    pub last_value: i64,
    /// Whether it was given.
    pub is_called: bool,
    /// How many more can be given without asking the log.
    pub leased: u64,
}

/// Whoever knows what the sessions do: `pg_stat_activity` asks, and functions act on them.
pub trait ActivitySource: Send + Sync {
    /// All sessions, oldest first.
    fn sessions(&self) -> Vec<Activity>;
    /// Cancels what a session runs; false if there is no such session.
    fn cancel(&self, process_id: i32) -> bool;
    /// Ends a session; false if there is none.
    fn terminate(&self, process_id: i32) -> bool;
    /// Has the access rules and the certificate read again.
    fn reload(&self);
    /// What the sessions have done.
    fn counters(&self) -> Arc<Counters>;
    /// The advisory locks.
    fn advisory_locks(&self) -> &AdvisoryLocks;
    /// The locks of transactions.
    fn locks(&self) -> &Locks;
    /// Waits for an advisory lock, until the session's statement is cancelled, or no longer than `limit`. Blocking: called from a query's thread.
    fn wait_for_lock(&self, process_id: i32, key: Key, mode: Mode, limit: Option<Duration>) -> Result<()>;
    /// Lets time pass, until the session's statement ends before its time. Blocking: called from a query's thread.
    fn sleep(&self, process_id: i32, duration: Duration) -> Result<()>;
}

impl ActivitySource for Engine {
    fn sessions(&self) -> Vec<Activity> {
        self.activity.list()
    }
    fn cancel(&self, process_id: i32) -> bool {
        self.cancels.cancel_session(process_id)
    }
    fn terminate(&self, process_id: i32) -> bool {
        self.cancels.terminate_session(process_id)
    }
    fn reload(&self) {
        self.reload.notify_one();
    }
    fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
    fn advisory_locks(&self) -> &AdvisoryLocks {
        &self.advisory
    }
    fn locks(&self) -> &Locks {
        &self.locks
    }
    fn wait_for_lock(&self, process_id: i32, key: Key, mode: Mode, limit: Option<Duration>) -> Result<()> {
        let wait = async {
            tokio::select! {
                locked = self.advisory.lock(process_id, key, mode, || self.locks.check(process_id)) => locked,
                () = after(limit) => Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout")),
            }
        };
        until_ended(self, process_id, wait)
    }
    fn sleep(&self, process_id: i32, duration: Duration) -> Result<()> {
        until_ended(self, process_id, async {
            tokio::time::sleep(duration).await;
            Ok(())
        })
    }
}

/// Waits for something, but no longer than the session's statement runs.
fn until_ended(engine: &Engine, process_id: i32, wait: impl Future<Output = Result<()>>) -> Result<()> {
    let ended = engine.cancels.running(process_id);
    let wait = async {
        tokio::select! {
            waited = wait => waited,
            () = ended.cancelled() => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
        }
    };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(wait))
}

/// A stream that keeps something as long as it lives.
fn keeping<T: Send + 'static>(stream: SendableRecordBatchStream, held: T) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let stream = stream.inspect(move |_| {
        let _held = &held;
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, stream))
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

impl QueryContext {
    /// What planning needs of this context.
    pub fn scope(&self) -> Scope {
        Scope {
            store: Arc::clone(&self.engine.store),
            runtime: Arc::clone(&self.engine.runtime),
            query_threads: self.engine.config.query_threads,
            view: self.view.clone(),
            search_path: self.search_path.clone(),
            forms: self.forms.clone(),
            user: self.user.clone(),
            database: self.database.clone(),
            session: Arc::clone(&self.session),
            sequences: Arc::clone(&self.sequences),
            activity: Arc::clone(&self.engine) as Arc<dyn ActivitySource>,
            acting: None,
            view_depth: 0,
            keys_visible: false,
            ended: CancellationToken::new(),
            held: Arc::clone(&self.held),
            changed: self.changed,
        }
    }
    /// A scope, and what tells those who work within it to stop, once it is dropped.
    fn guarded_scope(&self) -> (Scope, DropGuard) {
        let scope = self.scope();
        let guard = scope.ended.clone().drop_guard();
        (scope, guard)
    }
    /// What the statement may do.
    pub fn rights(&self) -> crate::access::rights::Rights<'_> {
        crate::access::rights::Rights::of(&self.view.catalog, &self.user)
    }
    /// Plans a query, EXPLAIN, or anything else that DataFusion plans without side effects; parameters stay as placeholders.
    pub async fn plan(&self, statement: &ast::Statement) -> Result<LogicalPlan> {
        let ((scope, _guard), statement) = (self.guarded_scope(), statement.clone());
        self.engine.threads.run(async move { scope.plan(&statement).await }).await
    }
    /// Puts parameters in.
    pub fn bind(&self, plan: LogicalPlan, parameters: &[ScalarValue]) -> Result<LogicalPlan> {
        parameters::bind(plan, parameters)
    }
    /// The columns that clients see of a plan's result: names as PostgreSQL gives them, which need not be distinct.
    pub fn output_schema(&self, plan: &LogicalPlan) -> SchemaRef {
        let original = |at: usize| shared_names::original(plan, at);
        let fields = plan.schema().fields().iter().enumerate().map(|(at, field)| match original(at) {
            Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
            None => Arc::clone(field),
        });
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), plan.schema().metadata().clone());
        origin::noted(plan, &naming::output_schema(&schema))
    }
    /// What a failure to optimize or start a statement's plan shall be called.
    pub async fn refine(&self, statement: &ast::Statement, error: SqlError) -> SqlError {
        let (scope, statement) = (self.scope(), statement.clone());
        let refined = self.engine.threads.run(async move { Ok(blame::refine(&scope, &statement, error).await) }).await;
        refined.unwrap_or_else(|ended| ended)
    }
    /// Optimizes and starts a plan. The stream has the schema of [`QueryContext::output_schema`].
    pub async fn run(&self, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
        let ((scope, guard), ran) = (self.guarded_scope(), self.ran.clone());
        let stream = self.engine.threads.run(async move { scope.run(plan, ran).await }).await?;
        Ok(self.engine.threads.drive(stream, guard))
    }
    /// Whether a plan could be started, and may read what it reads; nothing is run.
    pub async fn check_runs(&self, plan: LogicalPlan) -> Result<()> {
        let (scope, _guard) = self.guarded_scope();
        self.engine.threads.run(async move { scope.check_runs(plan).await }).await
    }
    /// An expression over the columns of a table (`None`: over none), cast to `target` where given: CHECK conditions, DEFAULTs.
    pub fn plan_expression(
        &self,
        expression: &ast::Expr,
        table: Option<(&str, SchemaRef)>,
        target: Option<&SqlType>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        expression::plan(&self.scope(), expression, table, target)
    }
    /// The value of an expression that needs no row; literals take a short way.
    pub fn constant(&self, expression: &ast::Expr, target: &SqlType) -> Result<ScalarValue> {
        expression::constant(&self.scope(), expression, target)
    }
    /// A plan that reads files of the server: COPY FROM a file. The path may be a pattern; 58P01 if nothing is there.
    pub async fn read_file(&self, kind: FileKind, path: &str, options: &[(String, String)]) -> Result<LogicalPlan> {
        let (scope, path, options) = (self.scope(), path.to_string(), options.to_vec());
        self.engine.threads.run(async move { files::read_plan(&scope, kind, &path, &options).await }).await
    }
}
