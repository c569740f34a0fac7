//! PostgreSQL functions that DataFusion lacks.
//!
//! [`session`] holds those whose value depends on the session or the view; [`relations`] those of what has
//! an OID; [`catalog`] the others that the system catalog's readers call.

use crate::query::Scope;
use datafusion::logical_expr::ScalarUDF;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

pub mod access_lists;
pub mod arithmetic;
pub mod array_agg;
pub mod array_assignment;
pub mod arrays;
pub mod average;
pub mod backends;
pub mod bytes;
pub mod casts;
pub mod catalog;
pub mod choosing;
pub mod cryptography;
pub mod datetime;
pub mod definitions;
mod dispersion;
pub mod expand_array;
pub mod float_math;
pub mod interval;
pub mod json;
pub mod json_assignment;
pub mod json_fields;
pub mod json_path_queries;
pub mod json_rows;
pub mod json_values;
pub mod like;
pub mod long_names;
pub mod math;
pub mod moments;
pub mod monitoring;
pub mod object_names;
pub mod object_sizes;
pub mod overloads;
pub mod patterns;
pub mod percentiles;
pub mod privileges;
pub mod quotient;
pub mod quoting;
pub mod ranks;
pub mod records;
pub mod regular;
pub mod relations;
pub mod rounding;
pub mod row_places;
pub mod scalar;
pub mod series;
pub mod server_facts;
pub mod session;
pub mod signals;
pub mod sleeping;
pub mod sliding;
pub mod sum;
mod sum_of_reals;
pub mod text;
pub mod type_of;
pub mod whole_arithmetic;
pub mod whole_number;

/// Functions that are the same for all statements.
pub fn stateless() -> Vec<ScalarUDF> {
    let mut all = [catalog::functions(), arithmetic::functions(), math::functions(), patterns::functions(), datetime::functions()].concat();
    all.push(casts::function().as_ref().clone());
    all.push(expand_array::function());
    all.push(type_of::function());
    all.extend(json::functions());
    all.push(series::function());
    all.push(crate::query::apply::function::rows_function());
    all.extend(percentiles::functions());
    all.extend(interval::functions());
    all.extend(moments::functions());
    all.push(casts::assignment().as_ref().clone());
    all.extend(text::functions());
    all.extend(quoting::functions());
    all.extend(regular::functions::functions());
    all.extend(arrays::functions());
    all.extend(array_assignment::functions());
    all.extend(json_assignment::functions());
    all.extend(bytes::functions());
    all.extend(cryptography::functions());
    all.extend(float_math::functions());
    all.extend(json_rows::functions());
    all.extend(json_values::functions());
    all.push(json_fields::function());
    all.push(crate::query::tied_rows::function());
    all.extend(json_path_queries::functions());
    all.extend(records::functions());
    all.extend(whole_number::functions());
    all.extend(like::functions());
    all.extend(choosing::functions());
    all.extend(rounding::functions());
    all.extend(row_places::functions());
    all.extend(access_lists::functions());
    all.extend(whole_arithmetic::functions());
    all.extend([quotient::function().as_ref().clone(), quotient::whole()]);
    all
}

/// A function of [`stateless`], for planning operators.
pub fn named(name: &str) -> Option<Arc<ScalarUDF>> {
    static ALL: LazyLock<HashMap<String, Arc<ScalarUDF>>> =
        LazyLock::new(|| stateless().into_iter().map(|function| (function.name().to_string(), Arc::new(function))).collect());
    ALL.get(name).cloned()
}

/// Functions of one statement.
pub fn of_session(scope: &Scope) -> Vec<ScalarUDF> {
    let mut all = session::functions(scope);
    all.extend(relations::functions(scope));
    all.extend(backends::functions(scope));
    all.extend(privileges::functions(scope));
    all.extend(definitions::functions(scope));
    all.extend(server_facts::functions(scope));
    all.extend(monitoring::functions(scope));
    all.extend(sleeping::functions(scope));
    all.extend(object_sizes::functions(scope));
    all.extend(access_lists::of_session(scope));
    all.extend(object_names::functions(scope));
    all
}
