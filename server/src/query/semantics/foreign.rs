//! Aggregates that DataFusion has and PostgreSQL has not: a query that means one would stop working elsewhere.

use super::folded;
use crate::error::{Result, SqlError};
use datafusion::sql::sqlparser::ast::{Expr, ObjectNamePart, Statement, visit_expressions};
use std::ops::ControlFlow;

const AGGREGATES: [&str; 15] = [
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_concat_agg",
    "covar",
    "first",
    "last",
    "mean",
    "median",
    "stddev_population",
    "var",
    "var_population",
    "var_sample",
];

/// 42883 where a statement calls one. Their types are left to whoever names the place.
pub fn check(statement: &Statement) -> Result<()> {
    let found = visit_expressions(statement, |expr| {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let name = match call.name.0.as_slice() {
            [ObjectNamePart::Identifier(name)] => folded(name),
            _ => return ControlFlow::Continue(()),
        };
        if AGGREGATES.contains(&name.as_str()) { ControlFlow::Break(name) } else { ControlFlow::Continue(()) }
    });
    match found {
        ControlFlow::Break(name) => Err(SqlError::undefined_function(&format!("{name}()"))),
        ControlFlow::Continue(()) => Ok(()),
    }
}
