//! `||` of a text and any other value.

use super::{Operand, casts, is_json, is_string, of_catalog};
use crate::types::SqlType;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Beside a text, `||` takes any value's own text, in the session's form.
pub(super) fn shown(raw: RawBinaryExpr, types: &(Operand, Operand)) -> RawBinaryExpr {
    let text = |expr: Expr, own: &Operand| match own {
        Operand::Typed(own) if has_own_text(own) => casts::call(expr, &SqlType::Text),
        _ => expr,
    };
    RawBinaryExpr { op: raw.op, left: text(raw.left, &types.0), right: text(raw.right, &types.1) }
}

/// Whether it is the `||` that joins texts.
pub(super) fn is_of_texts(raw: &RawBinaryExpr, types: &(Operand, Operand)) -> bool {
    raw.op == BinaryOperator::StringConcat && (is_text(&types.0) || is_text(&types.1)) && !reads_texts(types)
}

/// Whether one side is JSON or an array of texts, which read a text as one of them.
fn reads_texts(types: &(Operand, Operand)) -> bool {
    [&types.0, &types.1].into_iter().any(|operand| match operand {
        Operand::Typed(SqlType::Array(element)) => is_string(element.scalar()),
        Operand::Typed(sql_type) => is_json(sql_type),
        _ => false,
    })
}

fn is_text(operand: &Operand) -> bool {
    match operand {
        Operand::Typed(sql_type) => is_string(sql_type),
        Operand::Unknown(_) => true,
        Operand::Unclear => false,
    }
}

/// Whether the text of a type is not the one that the engine gives it.
fn has_own_text(sql_type: &SqlType) -> bool {
    let plain = matches!(sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8);
    !plain && !is_string(sql_type) && !of_catalog(sql_type)
}
