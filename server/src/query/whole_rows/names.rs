//! Whether a statement has anything that can be a whole row, told from its names alone.

use super::WHOLE;
use super::frames::qualifier;
use crate::catalog::names::fold;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, TableFactor, Visit, Visitor,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Whether the statement can have whole rows, or fields of records.
pub fn may_have_rows(statement: &Statement) -> bool {
    let mut found = Found::default();
    match statement.visit(&mut found) {
        ControlFlow::Break(()) => true,
        ControlFlow::Continue(()) => !found.tables.is_disjoint(&found.names),
    }
}

#[derive(Default)]
struct Found {
    tables: HashSet<String>,
    names: HashSet<String>,
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.tables.extend(qualifier(factor).as_ref().map(fold));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let marked = match expr {
            Expr::Identifier(name) => {
                self.names.insert(fold(name));
                false
            }
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|last| last.value == WHOLE),
            Expr::CompoundFieldAccess { access_chain, .. } => matches!(access_chain.first(), Some(AccessExpr::Dot(_))),
            Expr::QualifiedWildcard(..) => true,
            Expr::Function(function) => has_wildcard(function),
            _ => false,
        };
        if marked { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn has_wildcard(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    list.args.iter().any(|argument| matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_))))
}
