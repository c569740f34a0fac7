//! PostgreSQL functions that DataFusion lacks.
//!
//! [`session`] holds those whose value depends on the session or the view; [`relations`] those of what has
//! an OID; [`catalog`] the others that the system catalog's readers call.

use crate::query::Scope;
use datafusion::logical_expr::ScalarUDF;

pub mod arithmetic;
pub mod average;
pub mod casts;
pub mod catalog;
pub mod datetime;
pub mod definitions;
mod dispersion;
pub mod expand_array;
pub mod interval;
pub mod json;
pub mod math;
pub mod moments;
pub mod patterns;
pub mod percentiles;
pub mod quotient;
pub mod relations;
pub mod scalar;
pub mod server_facts;
pub mod session;
pub mod sum;

/// Functions that are the same for all statements.
pub fn stateless() -> Vec<ScalarUDF> {
    let mut all = [catalog::functions(), arithmetic::functions(), math::functions(), patterns::functions(), datetime::functions()].concat();
    all.push(casts::function().as_ref().clone());
    all.push(expand_array::function());
    all.extend(json::functions());
    all.extend(percentiles::functions());
    all.extend(interval::functions());
    all.extend(moments::functions());
    all.push(casts::assignment().as_ref().clone());
    all.extend(of_arrays());
    all.extend([quotient::function().as_ref().clone(), quotient::whole()]);
    all
}

/// Functions of one statement.
pub fn of_session(scope: &Scope) -> Vec<ScalarUDF> {
    let mut all = session::functions(scope);
    all.extend(relations::functions(scope));
    all.extend(definitions::functions(scope));
    all.extend(server_facts::functions(scope));
    all
}

/// PostgreSQL's functions remove and replace all that is equal.
fn of_arrays() -> Vec<ScalarUDF> {
    use datafusion::functions_nested::{remove::array_remove_all_udf, replace::array_replace_all_udf};
    let named = |function: std::sync::Arc<ScalarUDF>, names| function.as_ref().clone().with_aliases(names);
    vec![named(array_remove_all_udf(), ["array_remove", "list_remove"]), named(array_replace_all_udf(), ["array_replace", "list_replace"])]
}
