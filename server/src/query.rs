//! The life of a query.
//!
//! 1. A session hands over a syntax tree, parameters, and the view that its transaction has.
//! 2. [`planner`] resolves names against the view and makes DataFusion's logical plan.
//! 3. The physical plan reads tables through [`scan`]: morsels of segments, pruned by statistics, filtered on the encoded form.
//! 4. Batches stream back as they are made; dropping the stream stops the query.

use crate::engine::Engine;
use crate::error::Result;
use crate::view::View;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast;
use std::sync::Arc;

pub mod planner;
pub mod scan;
pub mod table;

/// What one statement's queries are planned with: a frozen view, and the session's settings that matter to planning.
pub struct QueryContext {
    /// What all sessions share.
    pub engine: Arc<Engine>,
    /// What the statement sees.
    pub view: View,
    /// Where unqualified names are looked up, in order.
    pub search_path: Vec<String>,
    /// `TimeZone`.
    pub time_zone: String,
    /// `current_user`, and friends.
    pub user: String,
    /// `current_database()`.
    pub database: String,
    /// Values of sequences in this session, for functions with effects (`nextval`, `currval`, `setval`); see [`SequenceAccess`].
    pub sequences: Arc<dyn SequenceAccess>,
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
}

impl QueryContext {
    /// Plans a query, EXPLAIN, or anything else that DataFusion plans without side effects; parameters stay as placeholders.
    pub async fn plan(&self, _statement: &ast::Statement) -> Result<LogicalPlan> {
        todo!()
    }
    /// Puts parameters in.
    pub fn bind(&self, _plan: LogicalPlan, _parameters: &[ScalarValue]) -> Result<LogicalPlan> {
        todo!()
    }
    /// Optimizes and starts a plan.
    pub async fn run(&self, _plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
        todo!()
    }
}
