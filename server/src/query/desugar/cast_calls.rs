//! Types that are called like functions: `int4(x)`, `text(x)`, `date(x)` are casts.

use super::{call, simple_name};
use crate::functions::casts;
use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

/// Names of types that are names of functions too.
const TYPES: [&str; 9] = ["int2", "int4", "int8", "float4", "float8", "text", "bool", "date", "bpchar"];

/// Rewrites such a call.
pub fn rewrite(expr: &mut Expr) {
    let Expr::Function(function) = &*expr else { return };
    let Some(name) = simple_name(&function.name).map(|name| name.value.to_lowercase()) else { return };
    let FunctionArguments::List(list) = &function.args else { return };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))] = list.args.as_slice() else { return };
    if TYPES.contains(&name.as_str()) && function.over.is_none() && function.filter.is_none() {
        let target = Expr::value(Value::SingleQuotedString(name));
        *expr = call(casts::NAME, vec![value.clone(), target]);
    }
}
