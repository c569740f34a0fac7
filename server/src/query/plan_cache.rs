//! Plans of prepared statements, kept for the next execution, whichever session it is of.
//!
//! 1. A plan is found by the text of its statement and all else that planning looks at: [`Key`].
//! 2. It holds for one version of the catalog, roles and privileges included: any change of one makes it unfindable.
//! 3. What is kept names no rows, so that it keeps no segment: each scan is bound to the rows that the execution's own view has
//!    ([`bound`]). Parameters are put in afterwards, as into a plan made anew, and only then is it optimized.
//! 4. A plan that says what is so at one moment or in one session is not kept ([`is_keepable`]).

use super::QueryContext;
use super::table::SegmentTable;
use crate::catalog::temporary::is_temporary;
use crate::catalog::{Catalog, Entry, Relation};
use crate::error::Result;
use crate::types::forms::ValueForms;
use datafusion::catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion::common::Result as EngineResult;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::sql::sqlparser::ast::{self, visit_expressions};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use storage::Unit;

/// Statements with a longer text, in bytes, are planned each time.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Plans with more nodes and expressions than this are made each time: they would take much memory.
const NODES_MAX: usize = 4096;

/// Texts that mean another moment each time that they are read.
const MOVING_MOMENTS: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// The plans.
#[derive(Debug)]
pub struct PlanCache {
    plans_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    plans: HashMap<Key, Plan>,
    /// Look-ups since the start.
    clock: u64,
    /// Those that found a plan.
    found: u64,
}

#[derive(Debug)]
struct Plan {
    plan: LogicalPlan,
    /// What it was made with: another object is another version.
    catalog: Weak<Catalog>,
    used_at: u64,
}

/// What a plan is made of, but for the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    text: Arc<str>,
    user: String,
    database: String,
    search_path: Vec<String>,
    forms: Arc<ValueForms>,
}

impl Key {
    fn of(context: &QueryContext, text: &Arc<str>) -> Self {
        // A schema for what is temporary, of which each session has its own, means nothing before there is something in it.
        let matters = |schema: &&String| !is_temporary(schema) || context.view.catalog.schemas.contains_key(*schema);
        Self {
            text: Arc::clone(text),
            user: context.user.clone(),
            database: context.database.clone(),
            search_path: context.search_path.iter().filter(matters).cloned().collect(),
            forms: context.forms.clone(),
        }
    }
}

impl PlanCache {
    /// Of so many plans at most; 0: none are kept.
    pub fn new(plans_max: usize) -> Self {
        Self { plans_max, kept: Mutex::default() }
    }

    /// How many look-ups there were, and how many of them found a plan.
    pub fn uses(&self) -> (u64, u64) {
        let kept = self.kept.lock();
        (kept.clock, kept.found)
    }

    fn find(&self, key: &Key, catalog: &Arc<Catalog>) -> Option<LogicalPlan> {
        let mut kept = self.kept.lock();
        kept.clock += 1;
        let now = kept.clock;
        let plan = kept.plans.get_mut(key).filter(|plan| std::ptr::eq(plan.catalog.as_ptr(), Arc::as_ptr(catalog)))?;
        plan.used_at = now;
        let plan = plan.plan.clone();
        kept.found += 1;
        Some(plan)
    }

    /// Keeps a plan, in the place of the one that was not used for the longest time.
    fn keep(&self, key: Key, plan: LogicalPlan, catalog: &Arc<Catalog>) {
        let mut kept = self.kept.lock();
        if kept.plans.len() >= self.plans_max && !kept.plans.contains_key(&key) {
            kept.plans.retain(|_, plan| plan.catalog.strong_count() > 0);
        }
        if kept.plans.len() >= self.plans_max && !kept.plans.contains_key(&key) {
            let oldest = kept.plans.iter().min_by_key(|(_, plan)| plan.used_at).map(|(key, _)| key.clone());
            oldest.map(|key| kept.plans.remove(&key));
        }
        let used_at = kept.clock;
        kept.plans.insert(key, Plan { plan, catalog: Arc::downgrade(catalog), used_at });
    }
}

impl QueryContext {
    /// Plans a prepared statement's query, or takes the plan from an earlier time. `text` must be the statement's.
    pub async fn plan_prepared(&self, text: &Arc<str>, statement: &ast::Statement) -> Result<LogicalPlan> {
        let cache = &self.engine.plans;
        if cache.plans_max == 0 || text.len() > TEXT_BYTES_MAX || !matches!(statement, ast::Statement::Query(_)) {
            return self.plan(statement).await;
        }
        let key = Key::of(self, text);
        if let Some(plan) = cache.find(&key, &self.view.catalog) {
            return Ok(bound(plan, |oid| self.view.units(oid))?);
        }
        let plan = self.plan(statement).await?;
        // A plan over a transaction's own definitions is of use to nobody else.
        if self.engine.is_newest_catalog(&self.view.catalog) && is_lasting(statement, &self.view.catalog) && self.is_keepable(&plan)? {
            cache.keep(key, bound(plan.clone(), |_| Arc::default())?, &self.view.catalog);
        }
        Ok(plan)
    }

    /// Whether a plan reads nothing but tables, and calls nothing that knows of its statement.
    fn is_keepable(&self, plan: &LogicalPlan) -> EngineResult<bool> {
        let of_statement: HashSet<String> =
            crate::functions::of_session(&self.scope()).iter().map(|function| function.name().to_string()).collect();
        let mut nodes = 0;
        let mut keepable = true;
        plan.apply_with_subqueries(|node| {
            keepable &= match node {
                LogicalPlan::TableScan(scan) => reads_table(scan),
                LogicalPlan::Extension(_) | LogicalPlan::RecursiveQuery(_) => false,
                _ => true,
            };
            nodes += 1;
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    nodes += 1;
                    keepable &= !matches!(expr, Expr::ScalarFunction(call) if of_statement.contains(call.name()));
                    Ok(TreeNodeRecursion::Continue)
                })
            })?;
            Ok(if keepable && nodes <= NODES_MAX { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
        Ok(keepable && nodes <= NODES_MAX)
    }
}

/// Whether a statement means the same at any time: constants are read while it is planned, also those of the views that it may read.
fn is_lasting(statement: &ast::Statement, catalog: &Catalog) -> bool {
    let literal = |expr: &ast::Expr| match expr {
        ast::Expr::Value(value) => value.value.clone().into_string(),
        ast::Expr::TypedString(typed) => typed.value.value.clone().into_string(),
        _ => None,
    };
    let visited = visit_expressions(statement, |expr| match literal(expr).is_some_and(|text| moves(&text)) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    // Between quotes, as far as a text without comments goes.
    let in_view = |entry: &Entry<Relation>| match &*entry.definition {
        Relation::View(view) => view.query.split('\'').skip(1).step_by(2).any(moves),
        _ => false,
    };
    visited.is_continue() && !catalog.relations.values().any(in_view)
}

fn moves(text: &str) -> bool {
    let mut words = text.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| MOVING_MOMENTS.iter().any(|moment| word.eq_ignore_ascii_case(moment)))
}

fn reads_table(scan: &TableScan) -> bool {
    source_as_provider(&scan.source).is_ok_and(|provider| provider.downcast_ref::<SegmentTable>().is_some())
}

/// The same plan over other rows of its tables.
fn bound(plan: LogicalPlan, units: impl Fn(u32) -> Arc<Vec<Unit>>) -> EngineResult<LogicalPlan> {
    let rebound = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
        let provider = source_as_provider(&scan.source)?;
        if let Some(table) = provider.downcast_ref::<SegmentTable>() {
            let units = units(table.definition().oid);
            scan.source = provider_as_source(Arc::new(table.with_units(units)));
        }
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(rebound.data)
}
