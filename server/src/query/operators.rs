//! What operators mean by PostgreSQL's types: literals of unknown type are read as the type of the other side, operators of json, dates and
//! intervals become calls of functions, and what PostgreSQL has no operator for is refused with 42883.

use super::integers;
use crate::error::{SqlError, SqlState};
use crate::functions::datetime::{self, fields, spans};
use crate::functions::{casts, interval, json, quotient};
use crate::types::SqlType;
use crate::types::convert::{is_number, is_string, numeric_of};
use crate::types::input::scalar_from_text;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, TypePlanner};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use datafusion::sql::sqlparser::ast::{self, BinaryOperator};
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use std::sync::Arc;

/// Types by PostgreSQL's names.
#[derive(Debug)]
pub struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        match SqlType::from_ast(sql_type) {
            Ok(SqlType::Oid | SqlType::Name) | Err(_) => PgOidTypePlanner.plan_type_field(sql_type),
            Ok(found) => Ok(Some(Arc::new(Field::new("", found.arrow(), true)))),
        }
    }
}

/// Operators by PostgreSQL's rules.
#[derive(Debug)]
pub struct Operators;

/// What an operand is, as far as choosing an operator goes.
#[derive(Clone, Debug)]
enum Operand {
    /// A literal without a type.
    Unknown(String),
    Typed(SqlType),
    /// NULL, a parameter, something of another engine's type.
    Unclear,
}

impl Operand {
    fn of(expr: &Expr, schema: &DFSchema) -> Self {
        if let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = expr {
            return Self::Unknown(text.clone());
        }
        // The type alone, where nothing more is known of the value: a field has a name, which takes as long to write as the expression is.
        if let Expr::BinaryExpr(_) = expr {
            return expr.get_type(schema).map_or(Self::Unclear, |data_type| Self::Typed(SqlType::of_arrow(&data_type)));
        }
        let Ok((_, field)) = expr.to_field(schema) else { return Self::Unclear };
        match field.data_type() {
            DataType::Null | DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => Self::Unclear,
            _ if matches!(expr, Expr::Placeholder(_)) => Self::Unclear,
            _ => Self::Typed(SqlType::of_field(&field)),
        }
    }
}

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, mut left, mut right } = expr;
        let mut types = (Operand::of(&left, schema), Operand::of(&right, schema));
        match (&types.0, &types.1) {
            (Operand::Typed(known), Operand::Unknown(text)) => {
                if let Some(read) = read_as(known, &op, text, true) {
                    (right, types.1) = read?;
                }
            }
            (Operand::Unknown(text), Operand::Typed(known)) => {
                if let Some(read) = read_as(known, &op, text, false) {
                    (left, types.0) = read?;
                }
            }
            _ => {}
        }
        let raw = RawBinaryExpr { op, left, right };
        match (&types.0, &types.1) {
            (Operand::Typed(left), Operand::Typed(right)) => typed(raw, left, right),
            (Operand::Typed(left), _) if is_json(left) => json_operator(raw, left),
            _ => Ok(PlannerResult::Original(raw)),
        }
    }

    fn plan_array_literal(&self, mut exprs: Vec<Expr>, schema: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        let types: Vec<Operand> = exprs.iter().map(|expr| Operand::of(expr, schema)).collect();
        let known = types.iter().find_map(|operand| match operand {
            Operand::Typed(known) => Some(known.clone()),
            _ => None,
        });
        if exprs.is_empty() {
            let error = SqlError::new(SqlState::INDETERMINATE_DATATYPE, "cannot determine type of empty array");
            return Err(error.with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].").into());
        }
        let Some(known) = known else { return Ok(PlannerResult::Original(exprs)) };
        for (expr, operand) in exprs.iter_mut().zip(&types) {
            match operand {
                Operand::Unknown(text) if !is_string(&known) => *expr = literal(&known, text)?.0,
                Operand::Typed(other) if class(other) != class(&known) => {
                    let message = format!("ARRAY types {} and {} cannot be matched", known.name(), other.name());
                    return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).into());
                }
                _ => {}
            }
        }
        Ok(PlannerResult::Original(exprs))
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(match integers::literal(&args) {
            Some(literal) => PlannerResult::Planned(literal),
            None => PlannerResult::Original(args),
        })
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let [Expr::Literal(part, _), value] = args.as_slice() else { return Ok(PlannerResult::Original(args)) };
        let part = part.try_as_str().flatten().unwrap_or_default().trim_matches(['"', '\'']).to_lowercase();
        let part = Expr::Literal(ScalarValue::from(part), None);
        call(datetime_function(fields::EXTRACT), vec![part, value.clone()], args)
    }
}

fn datetime_function(name: &str) -> Option<ScalarUDF> {
    datetime::functions().into_iter().find(|function| function.name() == name)
}

fn call<T>(function: Option<ScalarUDF>, args: Vec<Expr>, original: T) -> Result<PlannerResult<T>> {
    Ok(match function {
        Some(function) => PlannerResult::Planned(function.call(args)),
        None => PlannerResult::Original(original),
    })
}

/// A literal of unknown type, read beside an operand whose type is known; `None` if it stays as it is.
fn read_as(known: &SqlType, op: &BinaryOperator, text: &str, at_right: bool) -> Option<Result<(Expr, Operand)>> {
    use BinaryOperator::{ArrowAt, AtArrow, Divide, Minus, Modulo, Multiply, PGOverlap, Plus, StringConcat};
    let target = match (known, op) {
        (SqlType::Oid | SqlType::Name | SqlType::Catalog(_), _) => return None,
        // Blanks at the end mean nothing to a character(n).
        (SqlType::Char(_), op) if is_comparison(op) => return Some(Ok(trimmed(text))),
        (known, _) if is_string(known) => return None,
        (known, op) if is_comparison(op) => known.clone(),
        (SqlType::Array(_) | SqlType::Jsonb, AtArrow | ArrowAt | PGOverlap) => known.clone(),
        (SqlType::Array(_) | SqlType::Jsonb | SqlType::Bytea, StringConcat) => known.clone(),
        (SqlType::Json | SqlType::Jsonb | SqlType::Array(_) | SqlType::Bytea, _) => return None,
        (SqlType::Timestamp | SqlType::Timestamptz, Plus) => SqlType::Interval,
        (SqlType::Date, Plus) => return None,
        (SqlType::Interval, Multiply | Divide) => SqlType::Float8,
        (known, Minus) if at_right || *known == SqlType::Interval => known.clone(),
        (known, Plus | Minus | Multiply | Divide | Modulo) => known.clone(),
        _ => return None,
    };
    Some(literal(&target, text))
}

fn trimmed(text: &str) -> (Expr, Operand) {
    let text = text.trim_end_matches(' ');
    (Expr::Literal(ScalarValue::Utf8View(Some(text.into())), None), Operand::Typed(SqlType::Text))
}

/// A constant of a type, read from text.
fn literal(target: &SqlType, text: &str) -> Result<(Expr, Operand)> {
    let target = match target {
        SqlType::Numeric(_) => numeric_of(text),
        // A length is no part of how a literal is read.
        SqlType::Varchar(_) | SqlType::Char(_) => SqlType::Text,
        other => other.clone(),
    };
    // The session's time zone is known only when the statement runs.
    if *target.scalar() == SqlType::Timestamptz {
        let text = Expr::Literal(ScalarValue::Utf8(Some(text.into())), None);
        return Ok((casts::call(text, &target), Operand::Typed(target)));
    }
    let value = scalar_from_text(&target, text)?;
    let metadata = FieldMetadata::new_from_field(&target.field("", true));
    Ok((Expr::Literal(value, Some(metadata)), Operand::Typed(target)))
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn is_json(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Json | SqlType::Jsonb)
}

/// Types that can be compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Boolean,
    Number,
    String,
    Moment,
    Time,
    Interval,
    Bytea,
    Uuid,
    Json,
    Array,
}

fn class(sql_type: &SqlType) -> Class {
    match sql_type {
        SqlType::Boolean => Class::Boolean,
        number if is_number(number) => Class::Number,
        SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz => Class::Moment,
        SqlType::Time => Class::Time,
        SqlType::Interval => Class::Interval,
        SqlType::Bytea => Class::Bytea,
        SqlType::Uuid => Class::Uuid,
        SqlType::Json | SqlType::Jsonb => Class::Json,
        SqlType::Array(_) => Class::Array,
        _ => Class::String,
    }
}

fn typed(raw: RawBinaryExpr, left: &SqlType, right: &SqlType) -> Result<PlannerResult<RawBinaryExpr>> {
    if is_json(left) {
        return json_operator(raw, left);
    }
    let raw = inexact(raw, left, right);
    if is_comparison(&raw.op) {
        return comparison(raw, left, right);
    }
    match raw.op {
        BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo => {
            arithmetic(raw, left, right)
        }
        BinaryOperator::PGOverlap if class(left) == Class::Array && class(right) == Class::Array => {
            let overlap = datafusion::functions_nested::array_has::array_has_any_udf();
            Ok(PlannerResult::Planned(overlap.call(vec![raw.left, raw.right])))
        }
        _ => Ok(PlannerResult::Original(raw)),
    }
}

/// A decimal beside a float becomes a float.
fn inexact(raw: RawBinaryExpr, left: &SqlType, right: &SqlType) -> RawBinaryExpr {
    let float = |sql_type: &SqlType| matches!(sql_type, SqlType::Float4 | SqlType::Float8);
    let RawBinaryExpr { op, left: l, right: r } = raw;
    match (left, right) {
        (left, SqlType::Numeric(_)) if float(left) => RawBinaryExpr { op, left: l, right: casts::call(r, &SqlType::Float8) },
        (SqlType::Numeric(_), right) if float(right) => RawBinaryExpr { op, left: casts::call(l, &SqlType::Float8), right: r },
        _ => RawBinaryExpr { op, left: l, right: r },
    }
}

fn comparison(raw: RawBinaryExpr, left: &SqlType, right: &SqlType) -> Result<PlannerResult<RawBinaryExpr>> {
    match (class(left), class(right)) {
        // Catalogs compare names and identifiers with anything.
        _ if of_catalog(left) || of_catalog(right) => Ok(PlannerResult::Original(raw)),
        (Class::Interval, Class::Interval) => {
            let RawBinaryExpr { op, left, right } = raw;
            Ok(PlannerResult::Original(RawBinaryExpr { op, left: interval::key(left), right: interval::key(right) }))
        }
        // With a zone and without: the session's zone says which moment is meant.
        (Class::Moment, Class::Moment) if (*left == SqlType::Timestamptz) != (*right == SqlType::Timestamptz) => {
            let RawBinaryExpr { op, left: l, right: r } = raw;
            let mut sides = zoned_alike(l, left, r, right).into_iter();
            match (sides.next(), sides.next()) {
                (Some(left), Some(right)) => Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
                _ => datafusion::common::internal_err!("two sides"),
            }
        }
        (left_class, right_class) if left_class == right_class => Ok(PlannerResult::Original(raw)),
        _ => Err(no_operator(&raw.op, left, right)),
    }
}

/// A type that columns of the system catalog have.
fn of_catalog(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Oid | SqlType::Name | SqlType::Catalog(_))
}

fn no_operator(op: &BinaryOperator, left: &SqlType, right: &SqlType) -> datafusion::error::DataFusionError {
    let name = |sql_type: &SqlType| sql_type.name().split('(').next().unwrap_or_default().to_string();
    let message = format!("operator does not exist: {} {op} {}", name(left), name(right));
    let hint = "No operator matches the given name and argument types. You might need to add explicit type casts.";
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(hint).into()
}

fn arithmetic(raw: RawBinaryExpr, left: &SqlType, right: &SqlType) -> Result<PlannerResult<RawBinaryExpr>> {
    use BinaryOperator::{Divide, Minus, Multiply, Plus};
    let (lt, rt) = (class(left), class(right));
    let RawBinaryExpr { op, left: l, right: r } = raw;
    let same = |left, right| Ok(PlannerResult::Original(RawBinaryExpr { op: op.clone(), left, right }));
    match (lt, &op, rt) {
        (Class::Number, Divide, Class::Number) if is_exact_quotient(left, right) => Ok(PlannerResult::Planned(quotient::call(l, r))),
        (Class::Number, _, Class::Number) => same(l, r),
        (Class::Interval, Multiply, Class::Number) => scaled(interval::MULTIPLY, l, r),
        (Class::Number, Multiply, Class::Interval) => scaled(interval::MULTIPLY, r, l),
        (Class::Interval, Divide, Class::Number) => scaled(interval::DIVIDE, l, r),
        (Class::Moment, Plus | Minus, Class::Interval) => shifted(l, &op, r),
        (Class::Interval, Plus, Class::Moment) => shifted(r, &op, l),
        (Class::Moment, Minus, Class::Moment) if *left != SqlType::Date || *right != SqlType::Date => match spans::named(spans::SUBTRACT) {
            Some(function) => Ok(PlannerResult::Planned(function.call(zoned_alike(l, left, r, right)))),
            None => same(l, r),
        },
        (Class::Moment, Minus, Class::Moment)
        | (Class::Interval, Plus, Class::Time)
        | (Class::Interval, Plus | Minus, Class::Interval)
        | (Class::Time, Plus | Minus, Class::Interval)
        | (Class::Time, Minus, Class::Time)
        | (Class::Moment, Plus, Class::Time)
        | (Class::Time, Plus, Class::Moment) => same(l, r),
        (Class::Moment, Plus | Minus, Class::Number) if *left == SqlType::Date => same(l, r),
        (Class::Number, Plus, Class::Moment) if *right == SqlType::Date => same(l, r),
        _ if of_catalog(left) || of_catalog(right) => same(l, r),
        _ => Err(no_operator(&op, left, right)),
    }
}

/// Numerics are divided by one another and by whole numbers exactly.
fn is_exact_quotient(left: &SqlType, right: &SqlType) -> bool {
    let numeric = |sql_type: &SqlType| {
        matches!(sql_type, SqlType::Numeric(None)) || matches!(sql_type, SqlType::Numeric(Some((precision, _))) if *precision <= 38)
    };
    let exact = |sql_type: &SqlType| numeric(sql_type) || matches!(sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8);
    exact(left) && exact(right) && (numeric(left) || numeric(right))
}

/// Both with a zone if one has.
fn zoned_alike(l: Expr, left: &SqlType, r: Expr, right: &SqlType) -> Vec<Expr> {
    let zoned = |expr: Expr, own: &SqlType, other: &SqlType| match (own, other) {
        (SqlType::Date | SqlType::Timestamp, SqlType::Timestamptz) => casts::call(expr, &SqlType::Timestamptz),
        _ => expr,
    };
    vec![zoned(l, left, right), zoned(r, right, left)]
}

fn scaled(name: &str, interval: Expr, number: Expr) -> Result<PlannerResult<RawBinaryExpr>> {
    let number = casts::call(number, &SqlType::Float8);
    match interval::named(name) {
        Some(function) => Ok(PlannerResult::Planned(function.call(vec![interval, number]))),
        None => datafusion::common::internal_err!("no function {name}"),
    }
}

/// Days and months are the session's calendar's.
fn shifted(at: Expr, op: &BinaryOperator, by: Expr) -> Result<PlannerResult<RawBinaryExpr>> {
    let minus = Expr::Literal(ScalarValue::Float64(Some(-1.0)), None);
    let (Some(add), Some(multiply)) = (spans::named(spans::ADD), interval::named(interval::MULTIPLY)) else {
        return datafusion::common::internal_err!("no function to add an interval");
    };
    let by = if *op == BinaryOperator::Minus { multiply.call(vec![by, minus]) } else { by };
    Ok(PlannerResult::Planned(add.call(vec![at, by])))
}

fn json_operator(raw: RawBinaryExpr, left: &SqlType) -> Result<PlannerResult<RawBinaryExpr>> {
    use BinaryOperator::{Arrow, ArrowAt, AtArrow, Eq, HashArrow, HashLongArrow, LongArrow, Minus, NotEq, Question, StringConcat};
    let jsonb = *left == SqlType::Jsonb;
    let symbol = match &raw.op {
        Arrow => "->",
        LongArrow => "->>",
        HashArrow => "#>",
        HashLongArrow => "#>>",
        Question if jsonb => "jsonb ?",
        AtArrow if jsonb => "jsonb @>",
        ArrowAt if jsonb => "jsonb @>",
        StringConcat if jsonb => "jsonb ||",
        Minus if jsonb => "jsonb -",
        Eq | NotEq if jsonb => "jsonb =",
        op if is_comparison(op) && !jsonb => return Err(no_operator(op, left, left)),
        _ => return Ok(PlannerResult::Original(raw)),
    };
    let Some(function) = json::operator(symbol) else { return Ok(PlannerResult::Original(raw)) };
    let RawBinaryExpr { op, left, right } = raw;
    let planned = match op {
        ArrowAt => function.call(vec![right, left]),
        NotEq => !function.call(vec![left, right]),
        _ => function.call(vec![left, right]),
    };
    Ok(PlannerResult::Planned(planned))
}
