//! Expressions outside queries: DEFAULT, CHECK, constants.

use super::{Scope, casts, common_types, desugar, exactness, integers, rewrite, typing};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType;
use crate::types::forms::ValueForms;
use crate::types::input::{scalar_from_text, scalar_from_text_in};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{self, Value};
use std::sync::Arc;

/// An expression over the columns of a relation, cast to `target` where given.
pub fn plan(
    scope: &Scope,
    expression: &ast::Expr,
    table: Option<(&str, SchemaRef)>,
    target: Option<&SqlType>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let schema = match table {
        Some((name, schema)) => DFSchema::try_from_qualified_schema(name, &schema)?,
        None => DFSchema::empty(),
    };
    let mut expression = expression.clone();
    rewrite::expression(&mut expression);
    desugar::expression(&mut expression)?;
    casts::rewrite(&mut expression)?;
    integers::narrow(&mut expression);
    let state = scope.state();
    let named = ast::ExprWithAlias { expr: expression, alias: None };
    let logical = state.create_logical_expr_from_sql_expr(named, &schema)?;
    let logical = common_types::expression(logical, &schema)?.data;
    typing::check_expression(&logical, &schema)?;
    let logical = match target {
        Some(target) => {
            check_assignable(&logical, &schema, target)?;
            logical.cast_to(&target.arrow(), &schema)?
        }
        None => logical,
    };
    Ok(state.create_physical_expr(simplified(&state, logical, schema.clone())?, &schema)?)
}

/// A date is no number, though Arrow would make one of it.
fn check_assignable(expression: &Expr, schema: &DFSchema, target: &SqlType) -> Result<()> {
    let (_, source) = expression.to_field(schema)?;
    crate::ingest::assignment::check_assignment("default", target, &source).map_err(|_| {
        let message = format!("a value of type {} cannot be assigned to type {}", SqlType::of_field(&source).name(), target.name());
        SqlError::new(SqlState::DATATYPE_MISMATCH, message).with_hint("You will need to rewrite or cast the expression.")
    })
}

/// Coerces types and puts the time in: `now()` has a value only once it is simplified.
fn simplified(state: &SessionState, expression: Expr, schema: DFSchema) -> Result<Expr> {
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_query_execution_start_time(Some(chrono::Utc::now()))
        .with_config_options(Arc::clone(state.config_options()))
        .build();
    let simplifier = ExprSimplifier::new(context);
    let exact = exactness::expression(simplifier.coerce(expression, &schema)?, &schema)?;
    Ok(simplifier.simplify(exact.data)?)
}

/// The value of an expression that needs no row. Literals, which are most of what INSERT and DEFAULT have, are read without planning.
pub fn constant(scope: &Scope, expression: &ast::Expr, target: &SqlType) -> Result<ScalarValue> {
    match literal(expression, target, &scope.forms) {
        Some(value) => value,
        None => evaluate(&plan(scope, expression, None, Some(target))?),
    }
}

/// A literal's value; `None` for anything else, and for literals that only a cast can turn into the type.
pub fn literal(expression: &ast::Expr, target: &SqlType, forms: &ValueForms) -> Option<Result<ScalarValue>> {
    match expression {
        ast::Expr::Nested(inner) => literal(inner, target, forms),
        ast::Expr::Value(value) => match &value.value {
            Value::Null => Some(ScalarValue::try_from(&target.arrow()).map_err(SqlError::from)),
            Value::Number(digits, _) if is_number(target) && (!is_integer(target) || plain_integer(digits)) => {
                Some(scalar_from_text(target, digits))
            }
            Value::SingleQuotedString(text) => Some(scalar_from_text_in(target, text, forms)),
            Value::Boolean(value) if *target == SqlType::Boolean => Some(Ok(ScalarValue::Boolean(Some(*value)))),
            _ => None,
        },
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => negative(expr, target),
        _ => None,
    }
}

fn negative(expression: &ast::Expr, target: &SqlType) -> Option<Result<ScalarValue>> {
    let ast::Expr::Value(value) = expression else { return None };
    let Value::Number(digits, _) = &value.value else { return None };
    let simple = is_number(target) && (!is_integer(target) || plain_integer(digits));
    simple.then(|| scalar_from_text(target, &format!("-{digits}")))
}

fn is_integer(target: &SqlType) -> bool {
    matches!(target, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
}

fn is_number(target: &SqlType) -> bool {
    is_integer(target) || matches!(target, SqlType::Float4 | SqlType::Float8 | SqlType::Numeric(_))
}

/// A fraction is rounded by a cast, which reading text as an integer does not do.
fn plain_integer(digits: &str) -> bool {
    digits.bytes().all(|b| b.is_ascii_digit())
}

/// Evaluates an expression over no columns, once.
pub fn evaluate(expression: &Arc<dyn PhysicalExpr>) -> Result<ScalarValue> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    match expression.evaluate(&row)? {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(values) if values.len() == 1 => Ok(ScalarValue::try_from_array(&values, 0)?),
        ColumnarValue::Array(_) => Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, "an expression gave more than one value")),
    }
}
