//! Casts and typed literals in a syntax tree become calls of the function in `functions/casts.rs`, which reads and writes values as
//! PostgreSQL does. Casts of parameters keep an inner cast, which is how a parameter gets its type.

use crate::error::{Result, SqlError, SqlState};
use crate::functions::casts;
use crate::functions::datetime::clock;
use crate::types::SqlType;
use crate::types::convert::result_type;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Interval, ObjectName, ObjectNamePart, TypedString, UnaryOperator, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Rewrites all casts within a statement or expression: 42704 for a type that does not exist.
pub fn rewrite<T: VisitMut>(tree: &mut T) -> Result<()> {
    match tree.visit(&mut Casts) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Casts;

impl VisitorMut for Casts {
    type Break = SqlError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match rewritten(expr) {
            Ok(Some(call)) => *expr = call,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn rewritten(expr: &Expr) -> Result<Option<Expr>> {
    if let Some(rounded) = with_precision(expr)? {
        return Ok(Some(rounded));
    }
    match expr {
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr: inner, data_type, array: false, format: None } => {
            let Some(target) = target(data_type)? else { return Ok(None) };
            if matches!((inner.as_ref(), &target), (Expr::Array(array), SqlType::Array(_)) if array.elem.is_empty()) {
                return Ok(Some(call(string("{}".into()), &target)));
            }
            Ok(Some(call(argument(expr, inner, &target), &target)))
        }
        Expr::TypedString(TypedString { data_type, value, .. }) => {
            let Some(target) = target(data_type)? else { return Ok(None) };
            Ok(value.value.clone().into_string().map(|text| call(string(text), &target)))
        }
        Expr::AtTimeZone { timestamp, time_zone } => Ok(Some(function("timezone", vec![(**time_zone).clone(), (**timestamp).clone()]))),
        Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("localtimestamp") => {
            Ok(Some(call(function("now", Vec::new()), &SqlType::Timestamp)))
        }
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => match (left.as_ref(), right.as_ref()) {
            (Expr::Tuple(one), Expr::Tuple(two)) if one.len() == 2 && two.len() == 2 => {
                Ok(Some(function("overlaps", one.iter().chain(two).cloned().collect())))
            }
            _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "wrong number of parameters on one side of OVERLAPS expression")),
        },
        Expr::Function(call) if call.name.0.len() == 1 && call.over.is_none() => match clock(call)? {
            Some(clock) => Ok(Some(clock)),
            None => Ok(named_interval(call)),
        },
        Expr::Interval(interval) => {
            Ok(interval_text(interval).map(|text| interval_within(interval, call(string(text), &SqlType::Interval))))
        }
        _ => Ok(None),
    }
}

/// The functions that say what time it is, without and with digits after the point.
fn clock(call_of: &Function) -> Result<Option<Expr>> {
    let name = call_of.name.to_string().to_lowercase();
    let digits = match &call_of.args {
        FunctionArguments::None => None,
        FunctionArguments::List(list) => match list.args.as_slice() {
            [] => None,
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(digits))] => Some(digits.clone()),
            _ => return Ok(None),
        },
        FunctionArguments::Subquery(_) => return Ok(None),
    };
    let now = function("now", Vec::new());
    let moment = match (name.as_str(), &digits) {
        ("transaction_timestamp", None) => return Ok(Some(now)),
        ("current_timestamp", Some(_)) => now,
        ("localtimestamp", _) => call(now, &SqlType::Timestamp),
        ("localtime", _) => call(now, &SqlType::Time),
        _ => return Ok(None),
    };
    Ok(Some(match digits {
        Some(digits) => function(clock::ROUND, vec![moment, digits]),
        None => moment,
    }))
}

/// `make_interval(days => 10)`: what is not named is zero.
fn named_interval(call_of: &Function) -> Option<Expr> {
    const NAMES: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
    let FunctionArguments::List(list) = &call_of.args else { return None };
    let named = |argument: &FunctionArg| matches!(argument, FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. });
    if !call_of.name.to_string().eq_ignore_ascii_case("make_interval") || !list.args.iter().any(named) {
        return None;
    }
    let mut values: Vec<Expr> = NAMES.iter().map(|_| number(0)).collect();
    for (position, argument) in list.args.iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                (NAMES.iter().position(|known| name.value.eq_ignore_ascii_case(known))?, value)
            }
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg: FunctionArgExpr::Expr(value), .. } => {
                (NAMES.iter().position(|known| name.value.eq_ignore_ascii_case(known))?, value)
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => (position, value),
            _ => return None,
        };
        *values.get_mut(place)? = value.clone();
    }
    Some(function("make_interval", values))
}

/// `x::timestamp(3)`, `interval(2) '...'`, `x::interval year to month`: a cast, and then what the type leaves of the value.
fn with_precision(expr: &Expr) -> Result<Option<Expr>> {
    let (data_type, plain): (&DataType, Box<dyn Fn(DataType) -> Expr + '_>) = match expr {
        Expr::Cast { kind, expr: inner, data_type, array: false, format: None } => {
            (data_type, Box::new(|data_type| Expr::Cast { kind: kind.clone(), expr: inner.clone(), data_type, array: false, format: None }))
        }
        Expr::TypedString(typed) => (&typed.data_type, Box::new(|data_type| Expr::TypedString(TypedString { data_type, ..typed.clone() }))),
        _ => return Ok(None),
    };
    let Some((without, digits, field)) = without_precision(data_type) else { return Ok(None) };
    let cast = plain(without);
    let mut value = rewritten(&cast)?.unwrap_or(cast);
    if let Some(field) = field {
        value = function("date_trunc", vec![string(field), value]);
    }
    if let Some(digits) = digits {
        value = function(clock::ROUND, vec![value, number(digits.min(6))]);
    }
    Ok(Some(value))
}

/// A type of time without what limits it, the digits of its seconds, and the last field of an interval; `None` for other types.
pub fn without_precision(data_type: &DataType) -> Option<(DataType, Option<u64>, Option<String>)> {
    match data_type {
        DataType::Timestamp(Some(digits), zone) => Some((DataType::Timestamp(None, *zone), Some(*digits), None)),
        DataType::Time(Some(digits), zone) => Some((DataType::Time(None, *zone), Some(*digits), None)),
        DataType::Interval { fields, precision } if fields.is_some() || precision.is_some() => {
            let last = fields.as_ref().map(|fields| fields.to_string());
            let last = last.and_then(|fields| fields.rsplit(' ').next().map(str::to_lowercase));
            let last = last.filter(|field| field != "second");
            Some((DataType::Interval { fields: None, precision: None }, *precision, last))
        }
        _ => None,
    }
}

/// What an interval's fields leave of it.
fn interval_within(interval: &Interval, value: Expr) -> Expr {
    match interval.last_field.as_ref().or(interval.leading_field.as_ref()) {
        None => match interval.leading_precision.or(interval.fractional_seconds_precision) {
            Some(digits) => function(clock::ROUND, vec![value, number(digits.min(6))]),
            None => value,
        },
        Some(DateTimeField::Second | DateTimeField::Seconds) => {
            match interval.fractional_seconds_precision.or(interval.leading_precision) {
                Some(digits) => function(clock::ROUND, vec![value, number(digits.min(6))]),
                None => value,
            }
        }
        Some(field) => function("date_trunc", vec![string(field.to_string().to_lowercase()), value]),
    }
}

fn number(value: u64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

/// The type of a cast; `None` for the types of object identifiers, which the catalog's rules care for.
fn target(data_type: &DataType) -> Result<Option<SqlType>> {
    match SqlType::from_ast(data_type) {
        Ok(SqlType::Oid) => Ok(None),
        Ok(found) => Ok(Some(found)),
        Err(error) if error.state == SqlState::UNDEFINED_OBJECT && !of_catalog(data_type) => Err(error),
        Err(error) if error.state == SqlState::UNDEFINED_OBJECT || of_catalog(data_type) => Ok(None),
        Err(error) => Err(error),
    }
}

fn of_catalog(data_type: &DataType) -> bool {
    let name = data_type.to_string().to_lowercase();
    let name = name.trim_start_matches("pg_catalog.");
    name.starts_with("reg")
        || name.starts_with("oid")
        || name.contains('.')
        || ["xid", "cid", "tid"].iter().any(|word| name.starts_with(word))
}

fn argument(cast: &Expr, inner: &Expr, target: &SqlType) -> Expr {
    match inner {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(_) => cast.clone(),
            // Read as it is written: a decimal on the way would lose digits, or not hold it at all.
            Value::Number(digits, _) if matches!(target, SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(Some(_))) => {
                string(digits.clone())
            }
            _ => inner.clone(),
        },
        _ => inner.clone(),
    }
}

/// `interval '1' day` is `interval '1 day'`.
fn interval_text(interval: &Interval) -> Option<String> {
    let Expr::Value(value) = interval.value.as_ref() else { return None };
    let text = match &value.value {
        Value::SingleQuotedString(text) => text.clone(),
        _ => return None,
    };
    let number = text.trim().parse::<f64>().is_ok();
    Some(match (&interval.leading_field, &interval.last_field) {
        (Some(unit), None) if number => format!("{text} {unit}"),
        (Some(_), Some(last)) if number => format!("{text} {last}"),
        (Some(DateTimeField::Minute), Some(DateTimeField::Second)) => format!("00:{text}"),
        _ => text,
    })
}

fn string(text: String) -> Expr {
    Expr::value(Value::SingleQuotedString(text))
}

/// A literal says more of its type than the name does: how many digits it has, how many dimensions.
fn call(value: Expr, target: &SqlType) -> Expr {
    let written = match &value {
        Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    };
    let target = result_type(&SqlType::Text, target, written.as_deref());
    function(casts::NAME, vec![value, string(target.name())])
}

/// A value that is cast as an assignment to a column casts it.
pub fn assigned(value: Expr, target: &SqlType, column: &str) -> Expr {
    let value = match (&value, target) {
        (Expr::Value(number), SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_)) => match &number.value {
            Value::Number(digits, _) => string(digits.clone()),
            _ => value,
        },
        (Expr::UnaryOp { op: UnaryOperator::Minus, expr }, SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_)) => {
            match expr.as_ref() {
                Expr::Value(number) => match &number.value {
                    Value::Number(digits, _) => string(format!("-{digits}")),
                    _ => value,
                },
                _ => value,
            }
        }
        _ => value,
    };
    function(casts::ASSIGN, vec![value, string(target.name()), string(column.to_string())])
}

/// A call of one of the server's functions.
pub fn function(name: &str, args: Vec<Expr>) -> Expr {
    let args: Vec<_> = args.into_iter().map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value))).collect();
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
