//! Expressions whose value may depend on nothing but the row: those of indexes and of generated columns. What PostgreSQL calls stable or volatile is
//! refused (42P17).

use super::indexes;
use crate::catalog::names::fold;
use crate::catalog::pg_catalog::procedures;
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use crate::query::planner::FUNCTION_KINDS;
use crate::query::semantics::{self, Clause};
use crate::types::SqlType;
use arrow::datatypes::{Field, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CreateIndex, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, visit_expressions,
};
use std::ops::ControlFlow;

/// Words that are functions without parentheses, and functions of extensions, which PostgreSQL's list does not have.
const UNLISTED: [&str; 14] = [
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_user",
    "current_role",
    "session_user",
    "user",
    "current_catalog",
    "current_schema",
    "gen_random_bytes",
    "uuid_generate_v4",
    "uuid",
];

/// Checks what stands in CREATE INDEX.
pub fn check_index(context: &QueryContext, create: &CreateIndex, table: (&str, SchemaRef)) -> Result<()> {
    for expression in indexes::key_expressions(create) {
        semantics::check_clause(expression, Clause::INDEX_EXPRESSION, &FUNCTION_KINDS)?;
        refuse_sets(expression, "index expressions")?;
        let Facts { immutable, sql_type } = facts(context, expression, &table)?;
        refuse_unsortable(sql_type.as_ref(), create)?;
        refuse(immutable, "functions in index expression must be marked IMMUTABLE")?;
    }
    let Some(condition) = &create.predicate else { return Ok(()) };
    semantics::check_clause(condition, Clause::INDEX_PREDICATE, &FUNCTION_KINDS)?;
    refuse_sets(condition, "index predicates")?;
    let Facts { immutable, sql_type } = facts(context, condition, &table)?;
    if sql_type.as_ref().is_some_and(|of| *of != SqlType::Boolean) {
        let found = sql_type.map(|of| of.name()).unwrap_or_default();
        let message = format!("argument of WHERE must be type boolean, not type {found}");
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    refuse(immutable, "functions in index predicate must be marked IMMUTABLE")
}

/// Checks the expression of a generated column; answers its type as a field.
pub fn check_generation(context: &QueryContext, expression: &Expr, table: (&str, SchemaRef)) -> Result<Field> {
    semantics::check_clause(expression, Clause::GENERATION, &FUNCTION_KINDS)?;
    refuse_sets(expression, "column generation expressions")?;
    let Facts { immutable, .. } = facts(context, expression, &table)?;
    refuse(immutable, "generation expression is not immutable")?;
    let planned = context.plan_expression(expression, Some((table.0, table.1.clone())), None)?;
    Ok(planned.return_field(&table.1)?.as_ref().clone())
}

fn refuse(immutable: bool, message: &'static str) -> Result<()> {
    if immutable { Ok(()) } else { Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message)) }
}

/// 42704 and 42P16 for values of types that have no order.
fn refuse_unsortable(sql_type: Option<&SqlType>, create: &CreateIndex) -> Result<()> {
    match sql_type.map(SqlType::scalar) {
        Some(SqlType::Json) if create.using.is_none() => {
            let message = "data type json has no default operator class for access method \"btree\"";
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
        Some(SqlType::Record) => Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, "column \"expr\" has pseudo-type record")),
        _ => Ok(()),
    }
}

/// 0A000 for a function that returns a set.
fn refuse_sets(expression: &Expr, place: &str) -> Result<()> {
    let returns_set = |function: &Function| {
        let name = function.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        procedures::named(&name).into_iter().filter_map(procedures::get).any(|known| known.returns_set)
    };
    let found = visit_expressions(expression, |part| match part {
        Expr::Function(function) if returns_set(function) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let message = format!("set-returning functions are not allowed in {place}");
            Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
        }
    }
}

/// What is known of an expression over a table.
pub struct Facts {
    /// Whether it depends on nothing but the row.
    pub immutable: bool,
    /// Its type; `None` for NULL.
    pub sql_type: Option<SqlType>,
}

/// Plans an expression over a table's columns.
pub fn facts(context: &QueryContext, expression: &Expr, table: &(&str, SchemaRef)) -> Result<Facts> {
    let typed = |expression: &Expr| {
        let planned = context.plan_expression(expression, Some((table.0, table.1.clone())), None)?;
        let field = planned.return_field(&table.1)?;
        Ok::<_, SqlError>((!field.data_type().is_null()).then(|| SqlType::of_field(field.as_ref())))
    };
    let sql_type = typed(expression)?;
    let type_of = |expression: &Expr| typed(expression).ok().flatten();
    let found = visit_expressions(expression, |part| match is_immutable(part, &type_of) {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    });
    Ok(Facts { immutable: found.is_continue(), sql_type })
}

/// Whether an operation is, whatever its operands are made of.
fn is_immutable(expression: &Expr, type_of: &impl Fn(&Expr) -> Option<SqlType>) -> bool {
    match expression {
        Expr::Function(function) => function_is_immutable(function, type_of),
        Expr::Extract { expr, .. } => type_of(expr) != Some(SqlType::Timestamptz),
        Expr::Cast { expr, data_type, .. } => {
            let is_literal = matches!(&**expr, Expr::Value(_));
            is_literal || type_of(expr).zip(SqlType::from_ast(data_type).ok()).is_none_or(|(from, to)| cast_is_immutable(&from, &to))
        }
        Expr::BinaryOp { left, op, right } => operator_is_immutable(op, left, right, type_of),
        _ => true,
    }
}

fn function_is_immutable(function: &Function, type_of: &impl Fn(&Expr) -> Option<SqlType>) -> bool {
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    if UNLISTED.contains(&name.as_str()) {
        return false;
    }
    let known = procedures::volatilities(&name);
    match (known.contains("i"), known.len()) {
        (_, 0) | (true, 1) => true,
        (false, _) => false,
        // Some of its forms are: those that know nothing of the session's time zone.
        (true, _) => {
            let arguments = arguments(function);
            let needs_two = ["age", "to_timestamp"].contains(&name.as_str());
            let right_count = !needs_two || (name == "age") == (arguments.len() == 2);
            let by_zone = |argument: &&Expr| match type_of(argument) {
                Some(SqlType::Timestamptz) => name != "age",
                // It becomes a timestamp with a zone.
                Some(SqlType::Date) => name == "date_trunc",
                _ => false,
            };
            right_count && !arguments.iter().any(by_zone)
        }
    }
}

fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let values = list.args.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
        _ => None,
    });
    values.collect()
}

fn is_text(of: &SqlType) -> bool {
    matches!(of, SqlType::Text | SqlType::Varchar(_) | SqlType::Char(_))
}

/// Types whose text form depends on settings.
fn is_written_by_settings(of: &SqlType) -> bool {
    matches!(of, SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz)
}

fn cast_is_immutable(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (from, to) if is_text(to) => !is_written_by_settings(from),
        (from, to) if is_text(from) => !is_written_by_settings(to) && !matches!(to, SqlType::Time | SqlType::Interval),
        (SqlType::Timestamptz, SqlType::Date | SqlType::Timestamp | SqlType::Time) => false,
        (SqlType::Date | SqlType::Timestamp, SqlType::Timestamptz) => false,
        _ => true,
    }
}

fn operator_is_immutable(op: &BinaryOperator, left: &Expr, right: &Expr, type_of: &impl Fn(&Expr) -> Option<SqlType>) -> bool {
    let types = (type_of(left), type_of(right));
    let (Some(left), Some(right)) = types else { return true };
    if *op == BinaryOperator::StringConcat {
        return !(is_text(&left) && is_written_by_settings(&right) || is_text(&right) && is_written_by_settings(&left));
    }
    let zoned = |one: &SqlType, other: &SqlType| {
        *one == SqlType::Timestamptz && matches!(other, SqlType::Date | SqlType::Timestamp | SqlType::Interval)
    };
    !zoned(&left, &right) && !zoned(&right, &left)
}
