//! `make_date(year => 2020, day := 2, month => 1)`: arguments by name go to the places that PostgreSQL's function has for them, and the defaults to
//! those that are left out.

use crate::catalog::names::fold;
use crate::catalog::pg_catalog::procedures::{self, Procedure};
use crate::error::{Result, SqlError};
use crate::session::parse::parse_expression;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Statement, TableFactor, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Puts the arguments of all calls in order; 42883 where no function has such names.
pub fn statement(statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut Calls) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Calls;

impl VisitorMut for Calls {
    type Break = SqlError;
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let FunctionArguments::List(list) = &mut call.args else { return ControlFlow::Continue(()) };
        ordered(&call.name, &mut list.args)
    }
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        match factor {
            TableFactor::Table { name, args: Some(args), .. } => ordered(name, &mut args.args),
            TableFactor::Function { name, args, .. } => ordered(name, args),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn ordered(name: &ObjectName, args: &mut Vec<FunctionArg>) -> ControlFlow<SqlError> {
    if !args.iter().any(|arg| named(arg).is_some()) {
        return ControlFlow::Continue(());
    }
    let function = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    // What make_interval leaves out is zero, which its own rewriting knows.
    if function == "make_interval" {
        args.iter_mut().for_each(by_arrow);
        return ControlFlow::Continue(());
    }
    let known = procedures::named(&function).into_iter().filter_map(procedures::get);
    match known.into_iter().find_map(|procedure| placed(procedure, args)) {
        Some(places) => {
            *args = places;
            ControlFlow::Continue(())
        }
        None => {
            let shown =
                args.iter().map(|arg| named(arg).map_or_else(|| "unknown".into(), |(name, _)| format!("{} => unknown", fold(name))));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let error = SqlError::undefined_function(&format!("{function}({shown})"));
            ControlFlow::Break(
                error.with_hint("No function matches the given name and argument types. You might need to add explicit type casts."),
            )
        }
    }
}

/// The name and the value of an argument by name: `name => value`, `name := value`.
fn named(arg: &FunctionArg) -> Option<(&Ident, &Expr)> {
    match arg {
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => Some((name, value)),
        FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. } => Some((name, value)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, op: BinaryOperator::Assignment, right })) => {
            match left.as_ref() {
                Expr::Identifier(name) => Some((name, right)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// One way to write it.
fn by_arrow(arg: &mut FunctionArg) {
    use datafusion::sql::sqlparser::ast::FunctionArgOperator::RightArrow;
    if let Some((name, value)) = named(arg) {
        *arg = FunctionArg::Named { name: name.clone(), arg: FunctionArgExpr::Expr(value.clone()), operator: RightArrow };
    }
}

/// The arguments in the order of a function's, if they are its.
fn placed(procedure: &Procedure, args: &[FunctionArg]) -> Option<Vec<FunctionArg>> {
    let count = procedure.inputs().len();
    let mut places: Vec<Option<FunctionArg>> = vec![None; count];
    for (at, arg) in args.iter().enumerate() {
        let (place, value) = match named(arg) {
            Some((name, value)) => {
                let name = fold(name);
                (procedure.names.iter().position(|known| *known == name)?, FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone())))
            }
            None => (at, arg.clone()),
        };
        let place = places.get_mut(place)?;
        if place.replace(value).is_some() {
            return None;
        }
    }
    let given = places.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let first_default = count.checked_sub(procedure.defaults.len())?;
    if given < first_default {
        return None;
    }
    // Behind the last one that is given nothing needs to stand.
    places.truncate(given);
    let filled = places.into_iter().enumerate().map(|(at, place)| match place {
        Some(arg) => Some(arg),
        None => {
            let default = procedure.defaults.get(at.checked_sub(first_default)?)?;
            parse_expression(default).ok().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)))
        }
    });
    filled.collect()
}
