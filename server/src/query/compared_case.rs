//! `CASE x WHEN y THEN ...` compares as `x = y` does: a literal is read as the type of `x`, and what has no operator `=` is refused.
//!
//! The engine finds a common type of all that is compared, and knows no intervals, jsonb or arrays there. So a CASE of anything but texts,
//! or values of one plain type, becomes `CASE WHEN x = y THEN ...`. An operand that gives another value each time is left as it is.

use super::common_types::Given;
use super::operators::Operators;
use crate::functions::casts;
use crate::types::SqlType;
use crate::types::convert::is_string;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// The same CASE with its comparisons said.
pub(super) fn settled(mut case: Case, schema: &DFSchema) -> Result<Transformed<Case>> {
    let Some(operand) = &case.expr else { return Ok(Transformed::no(case)) };
    let own = Given::of(operand, schema);
    let whens: Vec<Given> = case.when_then_expr.iter().map(|(when, _)| Given::of(when, schema)).collect();
    if is_plain(&own, &whens) || operand.is_volatile() {
        return Ok(Transformed::no(case));
    }
    // A literal without a type is a text here, whatever it is compared with.
    let operand = match own {
        Given::Unknown(_) => casts::call(operand.as_ref().clone(), &SqlType::Text),
        _ => operand.as_ref().clone(),
    };
    for (when, _) in &mut case.when_then_expr {
        **when = equal(operand.clone(), std::mem::take(when.as_mut()), schema)?;
    }
    case.expr = None;
    Ok(Transformed::yes(case))
}

/// Whether the engine compares these as PostgreSQL does.
fn is_plain(own: &Given, whens: &[Given]) -> bool {
    let unknown = |given: &Given| matches!(given, Given::Unknown(_));
    match own {
        Given::Unclear | Given::Null => true,
        Given::Unknown(_) => whens.iter().all(|when| !matches!(when, Given::Typed(other) if !is_text(other))),
        Given::Typed(own) if is_text(own) => whens.iter().all(|when| !matches!(when, Given::Typed(other) if !is_text(other))),
        Given::Typed(own) => {
            is_plain_type(own)
                && !whens.iter().any(unknown)
                && whens.iter().all(|when| !matches!(when, Given::Typed(other) if other != own))
        }
    }
}

fn is_text(sql_type: &SqlType) -> bool {
    is_string(sql_type) && !matches!(sql_type, SqlType::Char(_))
}

fn is_plain_type(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Boolean | SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Date | SqlType::Uuid)
}

fn equal(left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    Ok(match Operators.plan_binary_op(RawBinaryExpr { op: BinaryOperator::Eq, left, right }, schema)? {
        PlannerResult::Planned(planned) => planned,
        PlannerResult::Original(raw) => Expr::BinaryExpr(BinaryExpr::new(Box::new(raw.left), Operator::Eq, Box::new(raw.right))),
    })
}
