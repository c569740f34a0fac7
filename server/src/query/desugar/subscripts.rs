//! `array[i][j]` and `array[a:b]` as calls: a negative subscript means nothing, a missing bound is the array's end.

use super::call;
use crate::functions::arrays::{SLICE, SUBSCRIPT};
use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Subscript, Value};

/// Rewrites subscripts behind an expression; what else is accessed stays as it is.
pub fn subscripts(expr: &mut Expr) {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return };
    let all: Option<Vec<&Subscript>> = access_chain
        .iter()
        .map(|access| match access {
            AccessExpr::Subscript(subscript) => Some(subscript),
            AccessExpr::Dot(_) => None,
        })
        .collect();
    let Some(all) = all else { return };
    let sliced = all.iter().any(|subscript| matches!(subscript, Subscript::Slice { .. }));
    let mut args = vec![unnested(root)];
    for subscript in all {
        match subscript {
            Subscript::Index { index } if sliced => args.extend([number("1"), index.clone()]),
            Subscript::Index { index } => args.push(index.clone()),
            Subscript::Slice { stride: Some(_), .. } => return,
            Subscript::Slice { lower_bound, upper_bound, .. } => {
                args.push(lower_bound.clone().unwrap_or_else(|| number("1")));
                args.push(upper_bound.clone().unwrap_or_else(|| number("2147483647")));
            }
        }
    }
    *expr = call(if sliced { SLICE } else { SUBSCRIPT }, args);
}

fn unnested(root: &Expr) -> Expr {
    match root {
        Expr::Nested(inner) => inner.as_ref().clone(),
        other => other.clone(),
    }
}

fn number(digits: &str) -> Expr {
    Expr::value(Value::Number(digits.into(), false))
}
