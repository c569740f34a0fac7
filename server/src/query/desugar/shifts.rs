//! `lag` and `lead` with a default that is no literal, or with an offset of NULL: the engine reads both once, and not row by row.
//!
//! The default stands where there is no row at the distance, and that a frame of this one row says: `CASE WHEN count(*) OVER (... ROWS BETWEEN 2
//! PRECEDING AND 2 PRECEDING) = 0 THEN default ELSE lag(x, 2) OVER (...) END`.

use super::template;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, Value, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowSpec, WindowType,
};

/// Rewrites one expression, if it is such a call.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::Function(function) = &*expr else { return };
    let Some(lags) = direction(function) else { return };
    let (Some(over), FunctionArguments::List(list)) = (&function.over, &function.args) else { return };
    let arguments: Option<Vec<Expr>> = list.args.iter().map(expression).collect();
    match arguments.as_deref() {
        Some([_, offset, ..]) if is_null(offset) => {
            *expr = template("CASE WHEN false THEN __xcall END", &[("__xcall", &Expr::Function(taking(function, 1)))], None);
        }
        Some([_, offset, default]) if !is_literal(default) => {
            let Some(distance) = distance(offset) else { return };
            let mut count = template("count(*) OVER ()", &[], None);
            if let Expr::Function(count) = &mut count {
                count.over = Some(at_distance(over, offset, distance, lags));
            }
            let shifted = Expr::Function(taking(function, 2));
            let parts = [("__xcount", &count), ("__xdefault", default), ("__xcall", &shifted)];
            *expr = template("CASE WHEN __xcount = 0 THEN __xdefault ELSE __xcall END", &parts, None);
        }
        _ => {}
    }
}

/// Whether it is `lag` (true) or `lead`.
fn direction(function: &Function) -> Option<bool> {
    let name = super::simple_name(&function.name)?.value.to_ascii_lowercase();
    match name.as_str() {
        "lag" => Some(true),
        "lead" => Some(false),
        _ => None,
    }
}

fn expression(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

/// The same call with its first arguments only.
fn taking(function: &Function, arguments: usize) -> Function {
    let mut shorter = function.clone();
    if let FunctionArguments::List(list) = &mut shorter.args {
        list.args.truncate(arguments);
    }
    shorter
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
        Expr::Nested(expr) | Expr::Cast { expr, .. } => is_literal(expr),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_literal(expr),
        _ => false,
    }
}

fn distance(offset: &Expr) -> Option<u64> {
    match offset {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        Expr::Nested(inner) => distance(inner),
        _ => None,
    }
}

/// The window of the one row at a distance.
fn at_distance(over: &WindowType, offset: &Expr, distance: u64, lags: bool) -> WindowType {
    let bound = || match (distance, lags) {
        (0, _) => WindowFrameBound::CurrentRow,
        (_, true) => WindowFrameBound::Preceding(Some(Box::new(offset.clone()))),
        (_, false) => WindowFrameBound::Following(Some(Box::new(offset.clone()))),
    };
    let mut spec = match over {
        WindowType::WindowSpec(spec) => spec.clone(),
        WindowType::NamedWindow(name) => {
            WindowSpec { window_name: Some(name.clone()), partition_by: Vec::new(), order_by: Vec::new(), window_frame: None }
        }
    };
    spec.window_frame = Some(WindowFrame { units: WindowFrameUnits::Rows, start_bound: bound(), end_bound: Some(bound()) });
    WindowType::WindowSpec(spec)
}
