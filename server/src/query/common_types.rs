//! One type for values of which one is the result, by PostgreSQL's rules: CASE, COALESCE, GREATEST, LEAST; and for what IN and BETWEEN compare.
//!
//! 1. A literal in quotes has no type: it is read as the type of the others, and must be one of its values (22P02).
//! 2. Of numbers the widest type is taken (smallint, integer, bigint, numeric, real, double precision), of texts text, of moments the one that
//!    says most. Other types must be the same (42804).
//!
//! DataFusion takes the type of the first branch for that of a CASE, and makes decimals of floats.

use super::compared_case;
use super::operators::{Class, class, literal};
use crate::error::{Result, SqlError, SqlState};
use crate::functions::{casts, choosing, json};
use crate::types::SqlType;
use crate::types::convert::{is_string, without_modifiers};
use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result as EngineResult, ScalarValue};
use datafusion::logical_expr::expr::{Between, Case, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast};

/// Functions whose result is one of their arguments.
const CHOOSING: [(&str, &str); 3] = [("coalesce", "COALESCE"), ("greatest", "GREATEST"), ("least", "LEAST")];

/// What a value is, as far as choosing a type goes.
#[derive(Clone, Debug)]
pub enum Given {
    /// A literal in quotes.
    Unknown(String),
    /// NULL.
    Null,
    /// Of a type.
    Typed(SqlType),
    /// A parameter, a row, a type of the catalog's.
    Unclear,
}

impl Given {
    pub(super) fn of(expr: &Expr, schema: &DFSchema) -> Self {
        match expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)), None) => return Self::Unknown(text.clone()),
            Expr::Literal(value, None) if value.is_null() => return Self::Null,
            Expr::Placeholder(placeholder) => return placeholder.field.as_ref().map_or(Self::Unclear, |field| Self::of_field(field, None)),
            _ => {}
        }
        expr.to_field(schema).map_or(Self::Unclear, |(_, field)| Self::of_field(&field, None))
    }
    /// What a value of a field is, or a literal.
    pub fn of_field(field: &Field, literal: Option<&ScalarValue>) -> Self {
        if let Some(ScalarValue::Utf8(Some(text))) = literal {
            return Self::Unknown(text.clone());
        }
        match field.data_type() {
            DataType::Null => Self::Null,
            DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) | DataType::Duration(_) => Self::Unclear,
            _ => match SqlType::of_field(field) {
                SqlType::Oid | SqlType::Name | SqlType::Catalog(_) => Self::Unclear,
                found => Self::Typed(found),
            },
        }
    }
    fn sql_type(&self) -> Option<&SqlType> {
        match self {
            Self::Typed(found) => Some(found),
            _ => None,
        }
    }
}

/// Gives the expressions of a plan their types.
pub fn settle(plan: LogicalPlan) -> EngineResult<LogicalPlan> {
    let mut changed = false;
    let settled = plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expression(expr, &schema)?.update_data(|expr| name.restore(expr)))
        })?;
        changed |= plan.transformed;
        if changed { plan.map_data(LogicalPlan::recompute_schema).map(|plan| Transformed::yes(plan.data)) } else { Ok(plan) }
    })?;
    Ok(settled.data)
}

/// The same for an expression and all its parts.
pub fn expression(expr: Expr, schema: &DFSchema) -> EngineResult<Transformed<Expr>> {
    expr.transform_up(|expr| Ok(settled(expr, schema)?))
}

fn settled(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Case(case) => {
            let compared = compared_case::settled(case, schema)?;
            let changed = compared.transformed;
            let mut settled = of_case(compared.data, schema)?;
            settled.transformed |= changed;
            Ok(settled)
        }
        Expr::ScalarFunction(call) if call.name() == "nullif" => Ok(of_nullif(call, schema)),
        Expr::ScalarFunction(call) => match CHOOSING.iter().find(|(name, _)| *name == call.name()) {
            Some((_, what)) => of_call(what, call, schema),
            None => Ok(Transformed::no(Expr::ScalarFunction(call))),
        },
        Expr::InList(list) => of_list(list, schema),
        Expr::Between(between) => of_between(between, schema),
        other => Ok(Transformed::no(other)),
    }
}

/// The ELSE comes first, as far as choosing goes.
fn of_case(mut case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let branches = case.else_expr.as_deref().into_iter().chain(case.when_then_expr.iter().map(|(_, then)| then.as_ref()));
    let given: Vec<Given> = branches.map(|branch| Given::of(branch, schema)).collect();
    let Some(target) = chosen("CASE", &given)? else { return Ok(Transformed::no(Expr::Case(case))) };
    let mut given = given.iter();
    let places = case.else_expr.iter_mut().chain(case.when_then_expr.iter_mut().map(|(_, then)| then));
    for place in places {
        let Some(given) = given.next() else { break };
        **place = converted(std::mem::take(place.as_mut()), given, &target)?;
    }
    Ok(Transformed::yes(labelled(Expr::Case(case), &target)))
}

fn of_call(what: &str, mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let given: Vec<Given> = call.args.iter().map(|arg| Given::of(arg, schema)).collect();
    let engines = choosing::engines(call.name()).filter(|engines| *engines != call.func);
    let replaced = engines.is_some();
    call.func = engines.unwrap_or(call.func);
    let Some(target) = chosen(what, &given)? else {
        let call = Expr::ScalarFunction(call);
        return Ok(if replaced { Transformed::yes(call) } else { Transformed::no(call) });
    };
    call.args = call.args.into_iter().zip(&given).map(|(arg, given)| converted(arg, given, &target)).collect::<Result<_>>()?;
    Ok(Transformed::yes(labelled(Expr::ScalarFunction(call), &target)))
}

/// NULLIF has the type of its first argument wherever PostgreSQL compares the two as they are: integers, floats and moments of different widths.
/// The engine widens them first. Other numbers are widened in PostgreSQL, too.
fn of_nullif(call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let given: Vec<Given> = call.args.iter().map(|arg| Given::of(arg, schema)).collect();
    let nullif = Expr::ScalarFunction(call);
    let [Given::Typed(first), Given::Typed(second)] = given.as_slice() else { return Transformed::no(nullif) };
    let all = |kind: fn(&SqlType) -> bool| kind(first) && kind(second);
    let as_they_are = all(|found| matches!(found, SqlType::Int2 | SqlType::Int4 | SqlType::Int8))
        || all(|found| matches!(found, SqlType::Float4 | SqlType::Float8))
        || all(|found| class(found) == Class::Moment);
    if first == second || !as_they_are {
        return Transformed::no(nullif);
    }
    Transformed::yes(casts::call(nullif, first))
}

/// A type that the Arrow type does not say is said again: what chooses forgets it.
fn labelled(expr: Expr, target: &SqlType) -> Expr {
    match is_plain(target) || is_string(target) && !matches!(target, SqlType::Char(_)) {
        true => expr,
        false => casts::call(expr, target),
    }
}

fn is_plain(sql_type: &SqlType) -> bool {
    SqlType::of_arrow(&sql_type.arrow()) == *sql_type
}

/// Literals are read as the type of what they are compared with. Values of jsonb are equal whatever digits they are written with.
fn of_list(mut list: InList, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let given: Vec<Given> = std::iter::once(list.expr.as_ref()).chain(&list.list).map(|expr| Given::of(expr, schema)).collect();
    let Given::Typed(own) = &given[0] else { return Ok(Transformed::no(Expr::InList(list))) };
    if *own == SqlType::Jsonb {
        return of_jsonb(list, &given[1..]);
    }
    if matches!(own, SqlType::Char(_)) {
        list.list = list.list.into_iter().map(without_blanks).collect();
        return Ok(Transformed::yes(Expr::InList(list)));
    }
    let Some(target) = compared("IN", &given)? else { return Ok(Transformed::no(Expr::InList(list))) };
    *list.expr = converted(std::mem::take(list.expr.as_mut()), &given[0], &target)?;
    list.list = list.list.into_iter().zip(&given[1..]).map(|(item, given)| converted(item, given, &target)).collect::<Result<_>>()?;
    Ok(Transformed::yes(Expr::InList(list)))
}

/// Blanks at the end of a literal mean nothing to a character(n).
fn without_blanks(item: Expr) -> Expr {
    match item {
        Expr::Literal(ScalarValue::Utf8(Some(text)), labels) => {
            Expr::Literal(ScalarValue::Utf8(Some(text.trim_end_matches(' ').into())), labels)
        }
        other => other,
    }
}

fn of_jsonb(list: InList, given: &[Given]) -> Result<Transformed<Expr>> {
    let Some(equal) = json::operator("jsonb =") else { return Ok(Transformed::no(Expr::InList(list))) };
    let items = list.list.into_iter().zip(given).map(|(item, given)| converted(item, given, &SqlType::Jsonb));
    let items = items.map(|item| item.map(|item| equal.call(vec![list.expr.as_ref().clone(), item]))).collect::<Result<Vec<_>>>()?;
    let any = items.into_iter().reduce(Expr::or).unwrap_or_else(|| Expr::Literal(ScalarValue::Boolean(Some(false)), None));
    Ok(Transformed::yes(if list.negated { Expr::Not(Box::new(any)) } else { any }))
}

fn of_between(mut between: Between, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let given = [&between.expr, &between.low, &between.high].map(|expr| Given::of(expr, schema));
    let Some(target) = compared("IN", &given)? else { return Ok(Transformed::no(Expr::Between(between))) };
    for (place, given) in [&mut between.expr, &mut between.low, &mut between.high].into_iter().zip(&given) {
        **place = converted(std::mem::take(place.as_mut()), given, &target)?;
    }
    Ok(Transformed::yes(Expr::Between(between)))
}

/// The type that values are compared as, where DataFusion would choose another: floats beside decimals, literals beside anything but texts.
pub(super) fn compared(what: &str, given: &[Given]) -> Result<Option<SqlType>> {
    let types: Vec<&SqlType> = given.iter().filter_map(Given::sql_type).collect();
    let float = types.iter().any(|found| matches!(found, SqlType::Float4 | SqlType::Float8));
    let decimal = types.iter().any(|found| matches!(found, SqlType::Numeric(_)));
    let unknown = given.iter().any(|given| matches!(given, Given::Unknown(_)));
    let texts = types.iter().any(|found| is_string(found));
    let same = types.first().is_some_and(|first| types.iter().all(|found| class(found) == class(first)));
    if !same || texts || !((float && decimal) || unknown) || given.iter().any(|given| matches!(given, Given::Unclear)) {
        return Ok(None);
    }
    // An integer beside '1.5' is compared as an integer, and the literal must be one.
    chosen(what, given)
}

/// The type of values of which one is chosen; `None` if nothing needs to be done, or if nobody can say.
pub fn chosen(what: &str, given: &[Given]) -> Result<Option<SqlType>> {
    if given.iter().any(|given| matches!(given, Given::Unclear)) {
        return Ok(None);
    }
    let mut types = given.iter().filter_map(Given::sql_type);
    let Some(first) = types.next() else { return Ok(None) };
    let mut target = first.clone();
    for next in types {
        match wider(what, &target, next)? {
            Some(wider) => target = wider,
            None => return Ok(None),
        }
    }
    let unknown = given.iter().any(|given| matches!(given, Given::Unknown(_))) && !is_string(&target);
    let differ = given.iter().filter_map(Given::sql_type).any(|found| *found != target);
    let unsaid = !is_plain(&target) && (!is_string(&target) || matches!(target, SqlType::Char(_)));
    // The engine finds no common type of bytes and NULL.
    let beside_null = target == SqlType::Bytea && given.iter().any(|given| given.sql_type().is_none());
    Ok((unknown || differ || unsaid || beside_null).then_some(target))
}

/// The type that values of these types have in common; `None` if there is none, or nothing is known.
pub(super) fn widest(types: &[SqlType]) -> Option<SqlType> {
    let (first, others) = types.split_first()?;
    others.iter().try_fold(first.clone(), |found, next| wider("", &found, next).ok()?)
}

fn wider(what: &str, left: &SqlType, right: &SqlType) -> Result<Option<SqlType>> {
    if left == right {
        return Ok(Some(left.clone()));
    }
    let kind = class(left);
    if kind != class(right) {
        let (left, right) = (without_modifiers(left), without_modifiers(right));
        let message = format!("{what} types {left} and {right} cannot be matched");
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    Ok(match kind {
        Class::Number => number(left, right),
        Class::String => Some(SqlType::Text),
        Class::Moment => Some(if moment(left) >= moment(right) { left.clone() } else { right.clone() }),
        Class::Json => {
            let message = format!("{what} could not convert type {} to {}", right.name(), left.name());
            return Err(SqlError::new(SqlState::CANNOT_COERCE, message));
        }
        _ => None,
    })
}

fn moment(sql_type: &SqlType) -> u8 {
    match sql_type {
        SqlType::Date => 0,
        SqlType::Timestamp => 1,
        _ => 2,
    }
}

/// Digits before and after the point.
fn digits(sql_type: &SqlType) -> Option<(u8, i8)> {
    Some(match sql_type {
        SqlType::Int2 => (5, 0),
        SqlType::Int4 => (10, 0),
        SqlType::Int8 => (19, 0),
        SqlType::Numeric(Some((precision, scale))) => (precision.saturating_sub(u8::try_from(*scale).unwrap_or(0)), *scale),
        SqlType::Numeric(None) => (28, 10),
        _ => return None,
    })
}

fn number(left: &SqlType, right: &SqlType) -> Option<SqlType> {
    let rank = |sql_type: &SqlType| match sql_type {
        SqlType::Int2 => 0,
        SqlType::Int4 => 1,
        SqlType::Int8 => 2,
        SqlType::Numeric(_) => 3,
        SqlType::Float4 => 4,
        _ => 5,
    };
    let (most, other) = if rank(left) >= rank(right) { (left, right) } else { (right, left) };
    if rank(most) != 3 {
        return Some(most.clone());
    }
    let ((whole, scale), (other_whole, other_scale)) = (digits(most)?, digits(other)?);
    let scale = scale.max(other_scale);
    let precision = whole.max(other_whole).saturating_add(u8::try_from(scale).ok()?).min(38);
    Some(if (precision, scale) == (38, 10) { SqlType::Numeric(None) } else { SqlType::Numeric(Some((precision, scale))) })
}

/// A value as the chosen type.
pub(super) fn converted(expr: Expr, given: &Given, target: &SqlType) -> Result<Expr> {
    match given {
        Given::Unknown(text) if !is_string(target) => {
            let (value, read) = literal(target, text)?;
            converted(value, &Given::Typed(read), target)
        }
        Given::Typed(found) if found != target && !is_string(target) => Ok(match (found, target) {
            (SqlType::Numeric(_), SqlType::Float4 | SqlType::Float8) | (_, SqlType::Timestamptz) => casts::call(expr, target),
            _ => cast(expr, target.arrow()),
        }),
        Given::Null if *target == SqlType::Bytea => Ok(cast(expr, target.arrow())),
        _ => Ok(expr),
    }
}
