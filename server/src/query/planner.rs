//! Syntax trees -> logical plans -> streams, within one statement's scope.

use super::desugar::subqueries::NotIn;
use super::operators::Operators;
use super::semantics::{self, FunctionKinds};
use super::whole_rows::learned::Learned;
use super::{
    ActivitySource, ChangedTable, HeldRows, SequenceAccess, apply, blame, casts, char_extremes, common_types, date_arithmetic,
    dependencies, desugar, exactness, explain, grouping, integers, join_rule, lateral, merged_columns, multisets, naming, ordered_groups,
    output_types, parameter_types, qualified_names, record_functions, repeated_rows, rewrite, row_values, safe_pushdown, scalar_nulls,
    set_operations, short_aliases, system_columns, tied_rows, typing, whole_rows,
};
use crate::access::rights::Rights;
use crate::catalog::provider::{SEARCH_PATH_SCHEMA, ViewCatalogs};
use crate::error::{Result, SqlError, SqlState};
use crate::functions;
use crate::session::context::SessionFacts;
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::view::View;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::config::Dialect;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use std::fmt;
use std::sync::{Arc, LazyLock};
use storage::Store;
use tokio_util::sync::CancellationToken;

/// Rows in a batch.
const BATCH_ROWS: usize = 8192;

/// A join's smaller side up to which one hash table serves all threads: the larger side then needs no exchange.
const COLLECTED_BUILD_BYTES_MAX: usize = 32 << 20;
/// The same where bytes are not known.
const COLLECTED_BUILD_ROWS_MAX: usize = 1_000_000;

/// Views within views, at most.
const VIEW_DEPTH_MAX: usize = 32;

/// What one statement is planned and run with.
#[derive(Clone)]
pub struct Scope {
    /// Segments.
    pub store: Arc<Store>,
    /// Memory pool, spill folder, object stores.
    pub runtime: Arc<RuntimeEnv>,
    /// Partitions of a plan; 0: one per core.
    pub query_threads: usize,
    /// What the statement sees.
    pub view: View,
    /// Where unqualified names are looked up, in order.
    pub search_path: Vec<String>,
    /// How values are read and written.
    pub forms: Arc<ValueForms>,
    /// `current_user`.
    pub user: String,
    /// `current_database()`.
    pub database: String,
    /// The session's process id and settings.
    pub session: Arc<SessionFacts>,
    /// Sequences.
    pub sequences: Arc<dyn SequenceAccess>,
    /// What the sessions do.
    pub activity: Arc<dyn ActivitySource>,
    /// Whose rights count: the owner of the view that is expanded; `None`: the user's own.
    pub acting: Option<u32>,
    /// How many views the names are resolved within.
    pub view_depth: usize,
    /// Whether planning sees the keys of tables: only for what PostgreSQL takes from a primary key in GROUP BY.
    pub keys_visible: bool,
    /// Nobody waits for the result any more: what runs within a step of a query, and never pauses, asks.
    pub ended: CancellationToken,
    /// Rows that parts of the statement have left for the rest of it.
    pub held: Arc<[HeldRows]>,
    /// The table that the statement changes, if the role may not read all of it.
    pub changed: Option<ChangedTable>,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("database", &self.database).field("search_path", &self.search_path).finish_non_exhaustive()
    }
}

/// Functions, rules and options that are the same for all statements.
static TEMPLATE: LazyLock<SessionState> = LazyLock::new(|| {
    let mut state = SessionStateBuilder::new_with_default_features()
        .with_config(base_config())
        .with_optimizer_rules(dependencies::without(join_rule::rules()))
        .with_query_planner(Arc::new(explain::Planner))
        .with_type_planner(Arc::new(super::operators::Types))
        .with_expr_planners(expr_planners())
        .with_analyzer_rule(Arc::new(exactness::Exactness))
        .with_physical_optimizer_rules(safe_pushdown::rules(ordered_groups::rules()))
        .build();
    let _ = state.register_function_rewrite(Arc::new(functions::moments::InZone));
    state.add_analyzer_rule(Arc::new(super::averages::Averages));
    state.add_analyzer_rule(Arc::new(super::intervals::CompareIntervals));
    functions::stateless().into_iter().for_each(|function| replace_function(&mut state, function));
    let _ = state.register_expr_planner(Arc::new(date_arithmetic::DateArithmetic));
    for ranking in functions::ranks::retyped(|name| state.window_functions().get(name)) {
        let _ = state.register_udwf(ranking);
    }
    for aggregate in functions::sliding::aggregates(|name| state.aggregate_functions().get(name)) {
        let _ = state.register_udaf(aggregate);
    }
    for aggregate in functions::math::aggregates() {
        let _ = state.register_udaf(aggregate);
    }
    state
});

/// A function of the same name is replaced, under all its names: the session of a statement is made from the functions by whatever name they are
/// found, and one that is left under another name would be registered under the name that is replaced again.
fn replace_function(state: &mut SessionState, function: ScalarUDF) {
    let names: Vec<String> = function.aliases().iter().cloned().chain([function.name().to_string()]).collect();
    for name in names {
        if let Some(old) = state.scalar_functions().get(&name).cloned() {
            let _ = state.deregister_udf(&name);
            let _ = state.deregister_udf(old.name());
        }
    }
    let _ = state.register_udf(Arc::new(function));
}

/// Whether a NOT IN is left that is no condition between two relations: its subquery names columns of the query around it, or what it looks for
/// names none. The engine's join minds no NULLs then.
fn unjoinable_not_in(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= matches!(expr, Expr::InSubquery(sought) if sought.negated
                    && (!sought.subquery.outer_ref_columns.is_empty() || sought.expr.column_refs().is_empty()));
                Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    })?;
    Ok(found)
}

/// Ours decide first.
fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Operators)];
    planners.extend(SessionStateDefaults::default_expr_planners());
    planners
}

/// What the names of functions mean.
pub static FUNCTION_KINDS: LazyLock<FunctionKinds> = LazyLock::new(|| FunctionKinds {
    scalar: TEMPLATE.scalar_functions().keys().cloned().collect(),
    aggregate: TEMPLATE.aggregate_functions().keys().cloned().collect(),
});

/// Names of the functions that only stand before OVER.
pub fn window_functions() -> Vec<String> {
    TEMPLATE.window_functions().keys().cloned().collect()
}

fn base_config() -> SessionConfig {
    let mut config =
        SessionConfig::new().with_batch_size(BATCH_ROWS).with_create_default_catalog_and_schema(false).with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = true;
    options.sql_parser.enable_ident_normalization = true;
    // The length of varchar(n) is checked where values are stored; a cast keeps the text.
    options.sql_parser.support_varchar_with_length = true;
    options.sql_parser.default_null_ordering = "nulls_max".into();
    options.optimizer.prefer_hash_join = true;
    options.optimizer.use_statistics_registry = true;
    // The order and the sides of joins are chosen by `join_rule`, which knows more.
    options.optimizer.join_reordering = false;
    options.optimizer.hash_join_single_partition_threshold = COLLECTED_BUILD_BYTES_MAX;
    options.optimizer.hash_join_single_partition_threshold_rows = COLLECTED_BUILD_ROWS_MAX;
    options.execution.collect_statistics = true;
    config
}

impl Scope {
    /// A session of DataFusion in which this statement's names are resolved.
    pub fn state(&self) -> SessionState {
        let mut state = self.state_for_plans();
        for function in functions::of_session(self) {
            let _ = state.register_udf(Arc::new(function));
        }
        state
    }

    /// The same for what names nothing any more.
    fn state_for_plans(&self) -> SessionState {
        self.state_of_threads(if self.query_threads == 0 { cores() } else { self.query_threads })
    }

    /// For queries of the catalog: one thread keeps the rows in the order in which the catalog has them, which clients rely on.
    fn state_in_order(&self) -> SessionState {
        self.state_of_threads(1)
    }

    fn state_of_threads(&self, threads: usize) -> SessionState {
        let mut config = TEMPLATE.config().clone().with_default_catalog_and_schema(&self.database, SEARCH_PATH_SCHEMA);
        config.options_mut().execution.target_partitions = threads.max(1);
        config.options_mut().execution.time_zone = Some(self.forms.time_zone.clone());
        config.options_mut().extensions.insert(self.forms.as_ref().clone());
        config.set_extension(Arc::new(self.ended.clone()));
        config.set_extension(self.activity.counters());
        let now = self.session.transaction_started.unwrap_or_else(chrono::Utc::now);
        let mut state = SessionStateBuilder::new_from_existing(TEMPLATE.clone())
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_catalog_list(Arc::new(ViewCatalogs::new(self.clone())))
            .build();
        state.add_analyzer_rule(Arc::new(apply::Apply::new(self.clone())));
        // Functions see the session's time zone through what this notes; the time is the transaction's.
        state.mark_start_execution();
        state.execution_props_mut().query_execution_start_time = Some(now);
        state
    }

    /// Plans a query or an EXPLAIN of one.
    pub async fn plan(&self, statement: &ast::Statement) -> Result<LogicalPlan> {
        if let ast::Statement::Explain { .. } = statement {
            return explain::plan(self, statement).await;
        }
        let planned = self.plan_checked(statement).await;
        // A place in a view's text means nothing to whoever reads the view.
        planned.map_err(|error| if self.view_depth > 0 { error.without_place() } else { error })
    }

    async fn plan_checked(&self, statement: &ast::Statement) -> Result<LogicalPlan> {
        semantics::check(statement, &FUNCTION_KINDS)?;
        row_values::check(statement)?;
        qualified_names::check(self, statement)?;
        if let Err(error) = semantics::foreign::check(statement) {
            return Err(blame::refine(self, statement, error).await);
        }
        blame::aliases_in_having(self, statement).await?;
        let rewritten = self.rewritten(statement.clone(), Learned::default()).await?;
        let error = match self.plan_typed(rewritten).await {
            Ok(plan) => return Ok(plan),
            Err(error) => error,
        };
        match self.plan_beside_star(statement, &error).await {
            Some(plan) => Ok(plan),
            None => Err(blame::refine(self, statement, error).await),
        }
    }

    /// `SELECT *, 1 AS a` of a table with a column `a`: what `*` stands for is known only to the plan, which finds the name twice.
    async fn plan_beside_star(&self, statement: &ast::Statement, error: &SqlError) -> Option<LogicalPlan> {
        let mut name = blame::ambiguous_column(error)?.to_string();
        let mut apart = statement.clone();
        while naming::tell_from_star(&mut apart, &name) {
            let rewritten = self.rewritten(apart.clone(), Learned::default()).await.ok()?;
            match self.plan_typed(rewritten).await {
                Ok(plan) => return Some(plan),
                Err(error) => name = blame::ambiguous_column(&error)?.to_string(),
            }
        }
        None
    }

    async fn plan_typed(&self, rewritten: ast::Statement) -> Result<LogicalPlan> {
        let plan = self.plan_rewritten(rewritten).await?;
        typing::check(&plan).map(|()| plan)
    }

    /// A statement in the words that [`Self::plan_rewritten`] takes.
    async fn rewritten(&self, mut statement: ast::Statement, known: Learned) -> Result<ast::Statement> {
        desugar::distinct_positions::statement(&mut statement)?;
        desugar::named_arguments::statement(&mut statement)?;
        short_aliases::complete(self, &mut statement);
        record_functions::rewrite(self, &mut statement)?;
        rewrite::statement(&mut statement);
        whole_rows::resolve(self, &mut statement, known).await?;
        row_values::statement(&mut statement);
        desugar::grouping_sets::statement(&mut statement)?;
        naming::name_outputs(&mut statement);
        desugar::value_lists::statement(&mut statement);
        desugar::recursion::statement(&mut statement);
        desugar::parameter_places::statement(&mut statement);
        desugar::parameter_branches::statement(self, &mut statement).await;
        casts::rewrite(&mut statement)?;
        Ok(statement)
    }

    /// The names of a query's columns, with their marks; `None` if it cannot be planned.
    pub(super) async fn columns_of(&self, query: ast::Statement, known: Learned) -> Option<Vec<String>> {
        let plan = self.plan_rewritten(self.rewritten(query, known).await.ok()?).await.ok()?;
        Some(plan.schema().fields().iter().map(|field| field.name().clone()).collect())
    }

    /// The types of a query's columns; `None` if it cannot be planned.
    pub(super) async fn fields_of(&self, query: ast::Statement, known: Learned) -> Option<Vec<SqlType>> {
        let plan = self.plan_rewritten(self.rewritten(query, known).await.ok()?).await.ok()?;
        Some(plan.schema().fields().iter().map(|field| SqlType::of_field(field)).collect())
    }

    /// Plans what [`rewrite`] and [`naming`] need not see.
    ///
    /// NOT IN as a join is right only between a column and a subquery that names nothing of the query around it, which only the plan knows:
    /// otherwise all is planned again with NOT IN as a value.
    pub async fn plan_rewritten(&self, statement: ast::Statement) -> Result<LogicalPlan> {
        if !desugar::subqueries::has_not_in(&statement) {
            return self.plan_desugared(statement, NotIn::Join).await;
        }
        let joined = self.plan_desugared(statement.clone(), NotIn::Join).await?;
        if unjoinable_not_in(&joined)? { Box::pin(self.plan_desugared(statement, NotIn::Value)).await } else { Ok(joined) }
    }

    async fn plan_desugared(&self, mut statement: ast::Statement, not_in: NotIn) -> Result<LogicalPlan> {
        desugar::statement_with(&mut statement, not_in)?;
        merged_columns::resolve(self, &mut statement).await?;
        let planned = lateral::inline(scalar_nulls::settle(tied_rows::settle(self.plan_as_it_is(statement).await?)?)?)?;
        Ok(output_types::settle(multisets::count_copies(set_operations::settle(repeated_rows::settle(planned)?)?)?)?)
    }

    /// Plans what DataFusion understands as it is.
    pub(super) async fn plan_as_it_is(&self, mut statement: ast::Statement) -> Result<LogicalPlan> {
        row_values::call_rows(&mut statement);
        integers::narrow(&mut statement);
        match self.to_plan(statement.clone()).await {
            Err(error) if error.state == SqlState::GROUPING_ERROR && !self.keys_visible => {
                Self { keys_visible: true, ..self.clone() }.to_plan(statement).await.map_err(|_| error)
            }
            planned => planned,
        }
    }

    /// Columns that depend on a primary key in GROUP BY may stand outside of aggregates. Planning sees keys only where that is needed: what
    /// the optimizer concludes from them is not right for rows that were multiplied afterwards.
    async fn to_plan(&self, mut statement: ast::Statement) -> Result<LogicalPlan> {
        system_columns::expose(self, &mut statement);
        let planned = self.state().statement_to_plan(Statement::Statement(Box::new(statement))).await;
        planned
            .and_then(grouping::settle)
            .and_then(char_extremes::settle)
            .and_then(parameter_types::tell)
            .and_then(common_types::settle)
            .map_err(|error| planning_error(error, self))
    }

    /// Optimizes and starts a plan; who wants to see it is shown it.
    pub async fn run(&self, plan: LogicalPlan, ran: Option<explain::Ran>) -> Result<SendableRecordBatchStream> {
        let state = if typing::reads_catalog(&plan)? { self.state_in_order() } else { self.state_for_plans() };
        let physical = state.create_physical_plan(&plan).await?;
        if let Some(ran) = ran {
            ran.note(&physical);
        }
        let stream = execute_stream(physical, state.task_ctx())?;
        Ok(self.pinned(naming::renamed(stream)))
    }

    /// Makes a plan ready to run, and drops it: scans refuse what the role may not read.
    pub async fn check_runs(&self, plan: LogicalPlan) -> Result<()> {
        self.state_for_plans().create_physical_plan(&plan).await?;
        Ok(())
    }

    /// Keeps the snapshot pinned for as long as the stream lives: segments are opened when they are first touched, and until then only the pin
    /// keeps the sweep from them.
    fn pinned(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        super::keeping(stream, Arc::clone(&self.view.snapshot))
    }

    /// The scope in which a view's query is planned.
    /// `owner`: whose rights count; `None`: those of whoever asks.
    pub fn within_view(&self, search_path: &[String], owner: Option<u32>) -> Result<Self> {
        if self.view_depth >= VIEW_DEPTH_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("views are nested more than {VIEW_DEPTH_MAX} deep")));
        }
        Ok(Self { search_path: search_path.to_vec(), view_depth: self.view_depth + 1, acting: owner, ..self.clone() })
    }

    /// What whoever sent the statement may do: functions act for their caller, in a view too.
    pub fn rights_of_user(&self) -> Rights<'_> {
        Rights::of(&self.view.catalog, &self.user)
    }

    /// What the statement may do.
    pub fn rights(&self) -> Rights<'_> {
        match self.acting {
            Some(owner) => Rights::of_oid(&self.view.catalog, owner),
            None => Rights::of(&self.view.catalog, &self.user),
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// DataFusion's errors of planning that say too little; everything else is mapped where all errors are.
fn planning_error(error: DataFusionError, scope: &Scope) -> SqlError {
    if let DataFusionError::Plan(message) = error.find_root()
        && let Some(name) = message.strip_prefix("table '").and_then(|rest| rest.split_once("' not found")).map(|(name, _)| name)
    {
        let hidden = [format!("{}.{SEARCH_PATH_SCHEMA}.", scope.database), format!("{}.", scope.database)];
        let shown = hidden.iter().find_map(|prefix| name.strip_prefix(prefix.as_str())).unwrap_or(name);
        return SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"));
    }
    error.into()
}
