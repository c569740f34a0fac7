//! Functions that the engine has and PostgreSQL has not: a query that calls one would stop working elsewhere.

use super::folded;
use crate::catalog::pg_catalog::procedures;
use crate::error::{Result, SqlError};
use crate::query::planner::{FUNCTION_KINDS, window_functions};
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, ObjectNamePart, Statement, TableFactor, Visit, Visitor};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

/// What PostgreSQL's grammar calls like a function, and what is offered here beyond PostgreSQL.
const SPOKEN: [&str; 16] = [
    "array",
    "coalesce",
    "current_catalog",
    "current_date",
    "current_time",
    "current_timestamp",
    "extract",
    "greatest",
    "grouping",
    "least",
    "localtime",
    "localtimestamp",
    "nullif",
    "row",
    "trim",
    "unnest",
];

/// Functions of the extensions that are part of the server.
const OF_EXTENSIONS: [&str; 4] = ["digest", "gen_random_bytes", "hmac", "uuid_generate_v4"];

/// What begins the names of functions that other parts of the server call, and of those of jsonpath, which the list of procedures leaves out.
const PREFIXES: [&str; 2] = ["plimsoll_", "jsonb_path_"];

/// The engine's functions that PostgreSQL does not have.
static FOREIGN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let known = procedures::names();
    let engines = FUNCTION_KINDS.scalar.iter().chain(&FUNCTION_KINDS.aggregate).cloned().chain(window_functions());
    let offered = |name: &str| {
        known.contains(name)
            || SPOKEN.contains(&name)
            || OF_EXTENSIONS.contains(&name)
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let foreign = |name: &String| !offered(name);
    engines.filter(foreign).chain(["range".to_string()]).collect()
});

/// 42883 where a statement calls one. Their types are left to whoever names the place.
pub fn check(statement: &Statement) -> Result<()> {
    match statement.visit(&mut Find) {
        ControlFlow::Break(name) => Err(SqlError::undefined_function(&format!("{name}()"))),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Find;

impl Visitor for Find {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::Function(call) => found(&call.name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => found(name),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn found(name: &ObjectName) -> ControlFlow<String> {
    let name = match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => folded(name),
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(name)] if folded(schema) == "pg_catalog" => folded(name),
        _ => return ControlFlow::Continue(()),
    };
    if FOREIGN.contains(&name) { ControlFlow::Break(name) } else { ControlFlow::Continue(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_postgresql_lacks_is_foreign() {
        for name in ["any_value", "array_has", "approx_distinct", "median", "range", "named_struct", "arrow_typeof"] {
            assert!(FOREIGN.contains(name), "{name}");
        }
        for name in ["sum", "array_agg", "coalesce", "lower", "jsonb_path_query_array", "rank", "row_to_json", "now", "stddev", "btrim"] {
            assert!(!FOREIGN.contains(name), "{name}");
        }
    }
}
