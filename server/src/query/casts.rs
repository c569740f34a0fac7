//! Casts and typed literals in a syntax tree become calls of the function in `functions/casts.rs`, which reads and writes values as
//! PostgreSQL does. Casts of parameters keep an inner cast, which is how a parameter gets its type.

use crate::error::{Result, SqlError, SqlState};
use crate::functions::casts;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    Interval, ObjectName, ObjectNamePart, TypedString, UnaryOperator, Value, VisitMut, VisitorMut,
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
        // In an expression it gives rows, not a list.
        Expr::Function(series) if series.name.to_string().eq_ignore_ascii_case("generate_series") => {
            Ok(Some(function("unnest", vec![expr.clone()])))
        }
        Expr::Interval(interval) => Ok(interval_text(interval).map(|text| call(string(text), &SqlType::Interval))),
        _ => Ok(None),
    }
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

fn call(value: Expr, target: &SqlType) -> Expr {
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

fn function(name: &str, args: Vec<Expr>) -> Expr {
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
