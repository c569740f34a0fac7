//! Parameters whose type follows from where they stand: conditions are boolean, subscripts are integers, and functions of numbers take numbers.
//! DataFusion would take them for texts.
//!
//! Runs before casts are rewritten.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, ObjectName, Select, Statement, Subscript, TableFactor, UnaryOperator, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Casts such parameters to their types.
pub fn statement(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Places);
}

struct Places;

impl VisitorMut for Places {
    type Break = ();
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.selection.iter_mut().chain(&mut select.having).for_each(condition);
        ControlFlow::Continue(())
    }
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(args), .. } => called(name, &mut args.args),
            TableFactor::Function { name, args, .. } => called(name, args),
            _ => {}
        }
        ControlFlow::Continue(())
    }
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::UnaryOp { op: UnaryOperator::Not, expr }
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr) => condition(expr),
            Expr::BinaryOp { op: BinaryOperator::AtQuestion | BinaryOperator::AtAt, right, .. } => told(right, &json_path()),
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                [left, right].into_iter().for_each(|side| condition(side))
            }
            Expr::Case { operand: None, conditions, .. } => conditions.iter_mut().for_each(|when| condition(&mut when.condition)),
            Expr::Function(function) => {
                function.filter.iter_mut().for_each(|filter| condition(filter));
                arguments(function);
            }
            Expr::Substring { substring_from: None, substring_for: Some(place), .. } => told(place, &DataType::Integer(None)),
            Expr::Substring { substring_from: Some(from), substring_for: Some(count), .. } if !is_text(from) && !is_text(count) => {
                [from, count].into_iter().for_each(|place| told(place, &DataType::Integer(None)));
            }
            Expr::Overlay { overlay_from, overlay_for, .. } => {
                std::iter::once(overlay_from).chain(overlay_for).for_each(|place| told(place, &DataType::Integer(None)));
            }
            Expr::Substring { substring_from, substring_for, shorthand: true, .. } => {
                substring_from.iter_mut().chain(substring_for).for_each(|place| told(place, &DataType::Integer(None)));
            }
            Expr::CompoundFieldAccess { access_chain, .. } => access_chain.iter_mut().for_each(subscript),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Functions of numbers: PostgreSQL prefers the form for double precision where nothing says what an argument is.
const OF_DOUBLES: [&str; 26] = [
    "abs", "acos", "asin", "atan", "atan2", "cbrt", "ceil", "ceiling", "cos", "cot", "degrees", "exp", "floor", "ln", "log", "pow",
    "power", "radians", "round", "sign", "sin", "sqrt", "tan", "trunc", "sinh", "tanh",
];

fn arguments(function: &mut Function) {
    if let FunctionArguments::List(list) = &mut function.args {
        called(&function.name, &mut list.args);
    }
}

fn called(name: &ObjectName, args: &mut [FunctionArg]) {
    let [name] = name.0.as_slice() else { return };
    let name = name.to_string().to_ascii_lowercase();
    let count = args.len();
    if name == "make_interval" {
        args.iter_mut().enumerate().for_each(|(place, argument)| interval_field(place, argument));
        return;
    }
    let integers = count > 1 && args.iter().any(is_integer);
    let arguments = args.iter_mut().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    match (name.as_str(), count) {
        // With a number of digits there is only the form for numerics.
        ("round" | "trunc", 2) => arguments.take(1).for_each(|value| told(value, &DataType::Numeric(ExactNumberInfo::None))),
        ("width_bucket", 4) => arguments.take(3).for_each(|value| told(value, &DataType::DoublePrecision)),
        ("percentile_cont" | "percentile_disc", 1) => arguments.for_each(|value| told(value, &DataType::DoublePrecision)),
        ("generate_series", _) if integers => arguments.for_each(|value| told(value, &DataType::Integer(None))),
        (name, 2..=4) if name.trim_start_matches("plimsoll_").starts_with("jsonb_path_") => {
            arguments.zip([DataType::JSONB, json_path(), DataType::JSONB, DataType::Boolean]).for_each(|(value, of)| told(value, &of));
        }
        (name, _) if OF_DOUBLES.contains(&name) => arguments.for_each(|value| told(value, &DataType::DoublePrecision)),
        _ => {}
    }
}

fn json_path() -> DataType {
    DataType::Custom(Ident::new("jsonpath").into(), Vec::new())
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_)))
}

fn is_integer(argument: &FunctionArg) -> bool {
    matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))
        if matches!(&value.value, Value::Number(digits, _) if digits.parse::<i32>().is_ok()))
}

/// The fields of `make_interval` are integers, but for the last, the seconds.
fn interval_field(place: usize, argument: &mut FunctionArg) {
    let (seconds, value) = match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (place == 6, value),
        FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => (name.value.eq_ignore_ascii_case("secs"), value),
        FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(value), .. } => (name.to_string().eq_ignore_ascii_case("secs"), value),
        _ => return,
    };
    told(value, if seconds { &DataType::DoublePrecision } else { &DataType::Integer(None) });
}

fn condition(expr: &mut Expr) {
    told(expr, &DataType::Boolean);
}

fn subscript(access: &mut AccessExpr) {
    match access {
        AccessExpr::Subscript(Subscript::Index { index }) => told(index, &DataType::Integer(None)),
        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) => {
            lower_bound.iter_mut().chain(upper_bound).for_each(|bound| told(bound, &DataType::Integer(None)));
        }
        AccessExpr::Dot(_) => {}
    }
}

fn told(expr: &mut Expr, data_type: &DataType) {
    match expr {
        Expr::Nested(inner) => told(inner, data_type),
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
            let parameter = Box::new(expr.clone());
            *expr = Expr::Cast { kind: CastKind::Cast, expr: parameter, data_type: data_type.clone(), array: false, format: None };
        }
        _ => {}
    }
}
