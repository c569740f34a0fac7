//! What operators mean by PostgreSQL's types: literals of unknown type are read as the type of the other side, operators of json, dates and
//! intervals become calls of functions, and what PostgreSQL has no operator for is refused with 42883.

use super::{common_types, integers};
use crate::error::{SqlError, SqlState};
use crate::functions::datetime::{self, fields, spans};
use crate::functions::{self, arrays, bytes, casts, interval, json, json_path_queries, json_rows, quotient, records};
use crate::types::SqlType;
use crate::types::convert::{is_number, is_string, numeric_of};
use crate::types::input::scalar_from_text;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, TypePlanner};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, ScalarUDF, cast};
use datafusion::sql::sqlparser::ast::{self, BinaryOperator};
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use std::sync::Arc;

mod concatenation;

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

/// A parameter beside an operator of arrays, jsonb or intervals has the type that the operator wants there.
fn tell_parameters(op: &BinaryOperator, left: &mut Expr, right: &mut Expr, schema: &DFSchema) {
    if let (Expr::Placeholder(one), Expr::Placeholder(other), BinaryOperator::StringConcat) = (&mut *left, &mut *right, op) {
        for placeholder in [one, other].into_iter().filter(|placeholder| placeholder.field.is_none()) {
            placeholder.field = Some(Arc::new(SqlType::Text.field(&placeholder.id, true)));
        }
        return;
    }
    let (known, parameter) = match (&*left, &*right) {
        (Expr::Placeholder(_), Expr::Placeholder(_)) => return,
        (Expr::Placeholder(_), _) => (Operand::of(right, schema), left),
        (_, Expr::Placeholder(_)) => (Operand::of(left, schema), right),
        _ => return,
    };
    if let (Operand::Typed(known), Expr::Placeholder(placeholder)) = (known, parameter)
        && placeholder.field.is_none()
        && let Some(target) = wanted(&known, op)
    {
        placeholder.field = Some(Arc::new(target.field(&placeholder.id, true)));
    }
}

/// What an operator wants beside an operand, as far as that follows from nothing else.
fn wanted(known: &SqlType, op: &BinaryOperator) -> Option<SqlType> {
    use BinaryOperator::{
        ArrowAt, AtArrow, Divide, HashArrow, HashLongArrow, Multiply, PGExp, PGOverlap, Plus, QuestionAnd, QuestionPipe, StringConcat,
    };
    match (known, op) {
        (SqlType::Uuid | SqlType::Jsonb, op) if is_comparison(op) => Some(known.clone()),
        (SqlType::Jsonb, QuestionPipe | QuestionAnd) => Some(SqlType::Array(Box::new(SqlType::Text))),
        (SqlType::Time, Plus) => Some(SqlType::Interval),
        (SqlType::Array(_), AtArrow | ArrowAt | PGOverlap | StringConcat) => Some(known.clone()),
        (SqlType::Jsonb, AtArrow | ArrowAt | StringConcat) => Some(SqlType::Jsonb),
        (SqlType::Bytea, StringConcat) => Some(SqlType::Bytea),
        (_, StringConcat) => Some(SqlType::Text),
        (SqlType::Json | SqlType::Jsonb, HashArrow | HashLongArrow) => Some(SqlType::Array(Box::new(SqlType::Text))),
        (SqlType::Interval, Multiply | Divide) => Some(SqlType::Float8),
        (SqlType::Timestamp | SqlType::Timestamptz, Plus) => Some(SqlType::Interval),
        (known, PGExp) if is_number(known) => Some(SqlType::Float8),
        _ => None,
    }
}

/// A CASE has its type before an operator is chosen by it. The functions that choose say theirs by themselves; changed here, they would no longer be
/// what GROUP BY names.
fn of_one_type(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if matches!(expr, Expr::Case(_)) { Ok(common_types::expression(expr, schema)?.data) } else { Ok(expr) }
}

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let (mut left, mut right) = (of_one_type(left, schema)?, of_one_type(right, schema)?);
        tell_parameters(&op, &mut left, &mut right, schema);
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
        let raw = match pattern_match(RawBinaryExpr { op, left, right }, &types.0)? {
            PlannerResult::Original(raw) => raw,
            planned => return Ok(planned),
        };
        if concatenation::is_of_texts(&raw, &types) {
            return Ok(PlannerResult::Original(concatenation::shown(raw, &types)));
        }
        match (&types.0, &types.1) {
            (Operand::Typed(json), Operand::Typed(SqlType::Array(_))) if is_json(json) => {}
            (Operand::Typed(array @ SqlType::Array(_)), other) | (other, Operand::Typed(array @ SqlType::Array(_)))
                if !is_comparison(&raw.op) =>
            {
                return array_operator(raw, array, other);
            }
            (Operand::Typed(SqlType::Array(_)), Operand::Typed(SqlType::Array(_))) if is_ordering(&raw.op) => {
                return in_order(raw, arrays::COMPARE);
            }
            _ => {}
        }
        match (&types.0, &types.1) {
            (Operand::Typed(left), Operand::Typed(right)) => typed(raw, left, right),
            (Operand::Typed(left), other) if is_json(left) => json_operator(raw, left, other),
            _ => Ok(PlannerResult::Original(raw)),
        }
    }

    fn plan_array_literal(&self, mut exprs: Vec<Expr>, schema: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        if !of_one_length(&exprs) {
            let message = "multidimensional arrays must have array expressions with matching dimensions";
            return Err(SqlError::new(SqlState("2202E"), message).into());
        }
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

    fn plan_struct_literal(&self, args: Vec<Expr>, _is_named_struct: bool) -> Result<PlannerResult<Vec<Expr>>> {
        // Whole numbers in parentheses have no width yet.
        let narrow = |arg| match arg {
            Expr::Literal(ScalarValue::Int64(Some(number)), data) => match i32::try_from(number) {
                Ok(number) => Expr::Literal(ScalarValue::Int32(Some(number)), data),
                Err(_) => Expr::Literal(ScalarValue::Int64(Some(number)), data),
            },
            other => other,
        };
        let args: Vec<Expr> = args.into_iter().map(narrow).collect();
        call(functions::named(records::ROW).map(Arc::unwrap_or_clone), args.clone(), args)
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call(functions::named(bytes::SUBSTRING_PHRASE).map(Arc::unwrap_or_clone), args.clone(), args)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call(functions::named("overlay").map(Arc::unwrap_or_clone), args.clone(), args)
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(match integers::literal(&args) {
            Some(literal) => PlannerResult::Planned(literal),
            None => return call(functions::named("strpos").map(Arc::unwrap_or_clone), args.clone(), args),
        })
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let [Expr::Literal(part, _), value] = args.as_slice() else { return Ok(PlannerResult::Original(args)) };
        let part = part.try_as_str().flatten().unwrap_or_default().trim_matches(['"', '\'']).to_lowercase();
        let part = Expr::Literal(ScalarValue::from(part), None);
        call(datetime_function(fields::EXTRACT), vec![part, value.clone()], args)
    }
}

/// Arrays that are written within an array have as many elements as one another.
fn of_one_length(exprs: &[Expr]) -> bool {
    let length = |expr: &Expr| match expr {
        Expr::ScalarFunction(call) if call.name() == "make_array" => Some(call.args.len()),
        _ => None,
    };
    let lengths: Vec<usize> = exprs.iter().filter_map(length).collect();
    lengths.windows(2).all(|pair| pair[0] == pair[1])
}

/// Operators of regular expressions and of prefixes. A literal pattern is translated here, so that it is compiled once for all rows.
fn pattern_match(mut raw: RawBinaryExpr, left: &Operand) -> Result<PlannerResult<RawBinaryExpr>> {
    use BinaryOperator::{PGILikeMatch, PGLikeMatch, PGNotILikeMatch, PGNotLikeMatch};
    use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch, PGStartsWith};
    if matches!(left, Operand::Typed(SqlType::Char(_))) && matches!(raw.op, PGLikeMatch | PGILikeMatch | PGNotLikeMatch | PGNotILikeMatch) {
        raw.left = functions::like::padded(raw.left);
    }
    let (flags, negated) = match &raw.op {
        PGStartsWith => {
            return call(functions::named("starts_with").map(Arc::unwrap_or_clone), vec![raw.left.clone(), raw.right.clone()], raw);
        }
        PGRegexMatch => ("", false),
        PGRegexIMatch => ("i", false),
        PGRegexNotMatch => ("", true),
        PGRegexNotIMatch => ("i", true),
        _ => return Ok(PlannerResult::Original(raw)),
    };
    if matches!(left, Operand::Typed(SqlType::Char(_))) {
        raw.left = functions::like::padded(raw.left);
    }
    if let Operand::Typed(found) = left
        && !is_string(found)
        && !of_catalog(found)
    {
        return Err(no_operator(&raw.op, found, &SqlType::Text));
    }
    if let Expr::Literal(value, None) = &raw.right
        && let Some(pattern) = value.try_as_str().flatten()
        && is_plain_pattern(pattern)
    {
        return Ok(PlannerResult::Original(raw));
    }
    let Some(like) = functions::named("regexp_like") else { return Ok(PlannerResult::Original(raw)) };
    let flags = Expr::Literal(ScalarValue::Utf8View(Some(flags.into())), None);
    let matched = like.call(vec![raw.left, raw.right, flags]);
    Ok(PlannerResult::Planned(if negated { !matched } else { matched }))
}

/// A pattern that means the same in both dialects of regular expressions: the engine knows how to make the most of it.
fn is_plain_pattern(pattern: &str) -> bool {
    let body = pattern.strip_prefix('^').unwrap_or(pattern);
    let body = body.strip_suffix('$').unwrap_or(body);
    !body.is_empty() && body.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | ',' | '/' | '@'))
}

/// `||`, `@>`, `<@` and `&&` of arrays.
fn array_operator(raw: RawBinaryExpr, array: &SqlType, other: &Operand) -> Result<PlannerResult<RawBinaryExpr>> {
    use BinaryOperator::{ArrowAt, AtArrow, PGOverlap, StringConcat};
    if let Operand::Typed(other) = other
        && *other != *array
        && class(other.scalar()) != class(array.scalar())
        && !(matches!(raw.op, StringConcat) && is_string(other))
    {
        return Err(no_operator(&raw.op, array, other));
    }
    let name = match (&raw.op, other) {
        (StringConcat, Operand::Unclear) => arrays::CONCATENATE_NULL,
        (StringConcat, _) => arrays::CONCATENATE,
        (AtArrow | ArrowAt, _) => arrays::CONTAINS,
        (PGOverlap, _) => arrays::OVERLAPS,
        (op, Operand::Typed(other)) => return Err(no_operator(op, array, other)),
        _ => return Ok(PlannerResult::Original(raw)),
    };
    let Some(function) = functions::named(name) else { return Ok(PlannerResult::Original(raw)) };
    let RawBinaryExpr { op, left, right } = raw;
    Ok(PlannerResult::Planned(if op == ArrowAt { function.call(vec![right, left]) } else { function.call(vec![left, right]) }))
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
    Some(literal_operand(&target, text))
}

fn trimmed(text: &str) -> (Expr, Operand) {
    let text = text.trim_end_matches(' ');
    (Expr::Literal(ScalarValue::Utf8View(Some(text.into())), None), Operand::Typed(SqlType::Text))
}

/// A constant of a type, read from text.
fn literal_operand(target: &SqlType, text: &str) -> Result<(Expr, Operand)> {
    let (value, read) = literal(target, text)?;
    Ok((value, Operand::Typed(read)))
}

/// A constant of a type, read from text, and the type that it has.
pub(super) fn literal(target: &SqlType, text: &str) -> std::result::Result<(Expr, SqlType), SqlError> {
    let target = match target {
        SqlType::Numeric(_) => numeric_of(text),
        // A length is no part of how a literal is read.
        SqlType::Varchar(_) | SqlType::Char(_) => SqlType::Text,
        other => other.clone(),
    };
    // What the session's settings say is known only when the statement runs.
    if depends_on_settings(&target, text) {
        let text = Expr::Literal(ScalarValue::Utf8(Some(text.into())), None);
        let call = casts::call(text, &target);
        return Ok((call, target));
    }
    let value = scalar_from_text(&target, text)?;
    let metadata = FieldMetadata::new_from_field(&target.field("", true));
    Ok((Expr::Literal(value, Some(metadata)), target))
}

/// Whether the session's settings say what a text of a type means: its time zone, the order of a date's numbers, whose a leading sign is.
fn depends_on_settings(target: &SqlType, text: &str) -> bool {
    match target.scalar() {
        SqlType::Timestamptz => true,
        SqlType::Date | SqlType::Timestamp => !starts_with_year(text),
        SqlType::Interval => text.contains('-'),
        _ => false,
    }
}

/// `2001-...`: no order changes what follows.
fn starts_with_year(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, c, d, b'-', e, ..] if [a, b, c, d, e].iter().all(|byte| byte.is_ascii_digit()))
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn is_ordering(op: &BinaryOperator) -> bool {
    is_comparison(op) && !matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq)
}

fn is_json(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Json | SqlType::Jsonb)
}

/// Types that can be compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
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

pub(super) fn class(sql_type: &SqlType) -> Class {
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
        return json_operator(raw, left, &Operand::Typed(right.clone()));
    }
    let raw = inexact(raw, left, right);
    if is_comparison(&raw.op) {
        return comparison(raw, left, right);
    }
    match raw.op {
        BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo => {
            arithmetic(raw, left, right)
        }
        _ => Ok(PlannerResult::Original(raw)),
    }
}

/// A decimal beside a float becomes a float, and a real beside anything else than a real is of double precision.
fn inexact(raw: RawBinaryExpr, left: &SqlType, right: &SqlType) -> RawBinaryExpr {
    let RawBinaryExpr { op, left: l, right: r } = raw;
    let widened = |expr: Expr, own: &SqlType, other: &SqlType| match own {
        SqlType::Float4 if is_number(other) && *other != SqlType::Float4 => cast(expr, DataType::Float64),
        _ => expr,
    };
    let (l, r) = (widened(l, left, right), widened(r, right, left));
    match (left, right) {
        (left, SqlType::Numeric(_)) if is_float(left) => RawBinaryExpr { op, left: l, right: casts::call(r, &SqlType::Float8) },
        (SqlType::Numeric(_), right) if is_float(right) => RawBinaryExpr { op, left: casts::call(l, &SqlType::Float8), right: r },
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
        // The engine would compare them in nanoseconds, in which there is no year 9999.
        (Class::Moment, Class::Moment) if (*left == SqlType::Date) != (*right == SqlType::Date) => {
            let RawBinaryExpr { op, left: l, right: r } = raw;
            let timed = |side: Expr, own: &SqlType| if *own == SqlType::Date { cast(side, SqlType::Timestamp.arrow()) } else { side };
            Ok(PlannerResult::Original(RawBinaryExpr { op, left: timed(l, left), right: timed(r, right) }))
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
        (Class::Number, BinaryOperator::Modulo, Class::Number) if is_float(left) || is_float(right) => Err(no_operator(&op, left, right)),
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
        (Class::Moment, Minus, Class::Moment) => {
            let days = Expr::BinaryExpr(BinaryExpr { left: Box::new(l), op: Operator::Minus, right: Box::new(r) });
            Ok(PlannerResult::Planned(cast(days, DataType::Int32)))
        }
        (Class::Interval, Plus, Class::Time)
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

fn is_float(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Float4 | SqlType::Float8)
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

/// The call of a function of both operands.
fn planned(name: &str, raw: RawBinaryExpr) -> Result<PlannerResult<RawBinaryExpr>> {
    match functions::named(name) {
        Some(function) => Ok(PlannerResult::Planned(function.call(vec![raw.left, raw.right]))),
        None => Ok(PlannerResult::Original(raw)),
    }
}

/// Values of jsonb, and arrays with NULLs in them, have an order of their own: a function says -1, 0 or 1.
fn in_order(raw: RawBinaryExpr, compare: &str) -> Result<PlannerResult<RawBinaryExpr>> {
    let Some(compare) = functions::named(compare) else { return Ok(PlannerResult::Original(raw)) };
    let order = compare.call(vec![raw.left, raw.right]);
    let zero = Expr::Literal(ScalarValue::Int32(Some(0)), None);
    Ok(PlannerResult::Planned(match raw.op {
        BinaryOperator::Lt => order.lt(zero),
        BinaryOperator::LtEq => order.lt_eq(zero),
        BinaryOperator::Gt => order.gt(zero),
        _ => order.gt_eq(zero),
    }))
}

/// Whether `jsonb ||` and `jsonb -` are there for an operand: another jsonb, or a key, a place or keys to take away.
fn takes(op: &BinaryOperator, right: &Operand) -> bool {
    match right {
        Operand::Typed(right) if *op == BinaryOperator::Minus => {
            is_string(right) || matches!(right, SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Array(_))
        }
        Operand::Typed(right) => matches!(right, SqlType::Jsonb | SqlType::Json) || is_string(right),
        _ => true,
    }
}

fn json_operator(raw: RawBinaryExpr, left: &SqlType, right: &Operand) -> Result<PlannerResult<RawBinaryExpr>> {
    use BinaryOperator::{
        Arrow, ArrowAt, AtArrow, Eq, HashArrow, HashLongArrow, HashMinus, LongArrow, Minus, NotEq, Question, QuestionAnd, QuestionPipe,
        StringConcat,
    };
    let jsonb = *left == SqlType::Jsonb;
    if jsonb {
        match &raw.op {
            BinaryOperator::AtQuestion => return planned(json_path_queries::EXISTS, raw),
            BinaryOperator::AtAt => return planned(json_path_queries::MATCH, raw),
            QuestionPipe => return planned(json_rows::ANY_KEY, raw),
            QuestionAnd => return planned(json_rows::ALL_KEYS, raw),
            HashMinus => return planned(json_rows::DELETE_PATH, raw),
            Minus if matches!(right, Operand::Typed(SqlType::Array(_))) => return planned(json_rows::DELETE_KEYS, raw),
            op if is_ordering(op) => return in_order(raw, json_rows::COMPARE),
            _ => {}
        }
    }
    if let (Arrow | LongArrow, Operand::Typed(key)) = (&raw.op, right)
        && !is_string(key)
        && !matches!(key, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
    {
        return Err(no_operator(&raw.op, left, key));
    }
    let symbol = match &raw.op {
        AtArrow | ArrowAt | Question | QuestionAnd | QuestionPipe if !jsonb => return Err(no_operator(&raw.op, left, left)),
        Arrow => "->",
        LongArrow => "->>",
        HashArrow => "#>",
        HashLongArrow => "#>>",
        Question if jsonb => "jsonb ?",
        AtArrow if jsonb => "jsonb @>",
        ArrowAt if jsonb => "jsonb @>",
        StringConcat | Minus if jsonb && !takes(&raw.op, right) => {
            let Operand::Typed(right) = right else { return Ok(PlannerResult::Original(raw)) };
            return Err(no_operator(&raw.op, left, right));
        }
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
