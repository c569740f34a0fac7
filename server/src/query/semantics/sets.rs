//! Where functions that give rows may not stand.

use super::placement::function_name;
use crate::error::{Result, SqlError, SqlState};
use crate::query::desugar::set_returning::is_set_returning;
use datafusion::sql::sqlparser::ast::{Expr, Query, Visit, Visitor};
use std::ops::ControlFlow;

/// CASE and COALESCE evaluate only what they need, which rows cannot.
pub(super) fn expression(expr: &Expr) -> Result<()> {
    let construct = match expr {
        Expr::Case { .. } => "CASE",
        Expr::Function(call) if function_name(call).is_some_and(|name| name.value.eq_ignore_ascii_case("coalesce")) => "COALESCE",
        _ => return Ok(()),
    };
    match expr.visit(&mut Find { queries: 0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(place) => {
            let message = format!("set-returning functions are not allowed in {construct}");
            let hint = "You might be able to move the set-returning function into a LATERAL FROM item.";
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message).with_hint(hint).at(place))
        }
    }
}

struct Find {
    queries: usize,
}

impl Visitor for Find {
    type Break = datafusion::sql::sqlparser::tokenizer::Span;
    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.queries += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Function(call) if self.queries == 0 => match function_name(call) {
                Some(name) if is_set_returning(&name.value) => ControlFlow::Break(name.span),
                _ => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }
}
