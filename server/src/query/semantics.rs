//! What PostgreSQL refuses in a query and the planner does not, or words in its own terms: checked on the syntax tree before planning.
//!
//! 1. [`placement`]: aggregates and window functions stand only where they may.
//! 2. [`calls`]: OVER, FILTER, DISTINCT and WITHIN GROUP go with functions that know them; windows are well formed.
//! 3. [`positions`]: constants in ORDER BY, GROUP BY, LIMIT and OFFSET.
//! 4. [`relations`]: names in FROM and WITH are distinct.
//! 5. [`foreign`]: functions that only DataFusion has.
//! 6. [`sets`]: set-returning functions do not stand in CASE and COALESCE.
//!
//! Architecture invariant: nothing here looks at the catalog; a rule that needs types is one of `typing`.

use crate::error::{Result, SqlError};
use datafusion::sql::sqlparser::ast::{Expr, Query, Statement, Visit, Visitor};
use std::collections::HashSet;
use std::ops::ControlFlow;

mod calls;
pub mod foreign;
mod placement;
mod positions;
mod relations;
mod sets;

pub use placement::{Clause, check_clause, constraint};
pub use relations::{folded, mentions};

/// What a function's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// One value per call.
    Scalar,
    /// One value per group.
    Aggregate,
    /// One value per row of a window, and only there.
    Window,
}

/// The functions that there are, by lower-case name.
#[derive(Debug, Default)]
pub struct FunctionKinds {
    /// Names of scalar functions.
    pub scalar: HashSet<String>,
    /// Names of aggregates.
    pub aggregate: HashSet<String>,
}

/// Functions that have a meaning only over a window.
const WINDOW_FUNCTIONS: [&str; 11] =
    ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"];

impl FunctionKinds {
    /// What a name means; `None` for a function that is not known here.
    pub fn kind(&self, name: &str) -> Option<FunctionKind> {
        let name = name.to_lowercase();
        if WINDOW_FUNCTIONS.contains(&name.as_str()) {
            Some(FunctionKind::Window)
        } else if self.aggregate.contains(&name) {
            Some(FunctionKind::Aggregate)
        } else {
            self.scalar.contains(&name).then_some(FunctionKind::Scalar)
        }
    }
}

/// Refuses what PostgreSQL refuses.
pub fn check(statement: &Statement, kinds: &FunctionKinds) -> Result<()> {
    placement::statement(statement, kinds)?;
    match statement.visit(&mut Check { kinds }) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Check<'a> {
    kinds: &'a FunctionKinds,
}

impl Visitor for Check<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if let Some(clause) = query.locks.first() {
            return flow(Err(SqlError::unsupported(format!("FOR {} here", clause.lock_type))));
        }
        let checked = relations::query(query, self.kinds)
            .and_then(|()| positions::query(query, self.kinds))
            .and_then(|()| placement::query(query, self.kinds))
            .and_then(|()| calls::windows(query));
        flow(checked)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        flow(calls::expression(expr, self.kinds).and_then(|()| sets::expression(expr)))
    }
}

fn flow(checked: Result<()>) -> ControlFlow<Box<SqlError>> {
    match checked {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
