//! Which operator of a statement does not exist for its operands: the error names it and the types, the statement says where it stands.

use super::{Names, literal_type, types_of};
use crate::error::{Place, SqlError};
use crate::query::Scope;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Spanned};

/// An operator with what stands before and behind it, in the select of this number.
pub(super) struct Operation {
    /// As PostgreSQL calls it: LIKE is `~~`.
    name: String,
    /// As it is written.
    written: String,
    left: Expr,
    right: Expr,
    select: Option<usize>,
}

impl Operation {
    /// What an expression applies.
    pub(super) fn of(expr: &Expr, select: Option<usize>) -> Vec<Self> {
        let operation = |name: &str, written: &str, left: &Expr, right: &Expr| Self {
            name: name.into(),
            written: written.into(),
            left: left.clone(),
            right: right.clone(),
            select,
        };
        match expr {
            Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => Vec::new(),
            Expr::BinaryOp { left, op, right } => vec![operation(&op.to_string(), &op.to_string(), left, right)],
            Expr::Like { negated, expr, pattern, .. } => vec![operation(if *negated { "!~~" } else { "~~" }, "like", expr, pattern)],
            Expr::ILike { negated, expr, pattern, .. } => vec![operation(if *negated { "!~~*" } else { "~~*" }, "ilike", expr, pattern)],
            Expr::Between { negated: false, expr, low, high } => {
                vec![operation(">=", "between", expr, low), operation("<=", "between", expr, high)]
            }
            Expr::Between { negated: true, expr, low, high } => {
                vec![operation("<", "between", expr, low), operation(">", "between", expr, high)]
            }
            Expr::InList { expr, list, negated } => {
                let name = if *negated { "<>" } else { "=" };
                list.iter().map(|item| operation(name, "in", expr, item)).collect()
            }
            Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right } => {
                vec![operation(&compare_op.to_string(), &compare_op.to_string(), left, right)]
            }
            _ => Vec::new(),
        }
    }

    fn place(&self) -> Option<Place> {
        Place::behind(self.left.span(), self.written.as_str())
    }
}

/// `operator does not exist: integer + text`, with its place.
pub(super) async fn place(scope: &Scope, names: &Names, error: SqlError) -> SqlError {
    let Some(shown) = error.message.strip_prefix("operator does not exist: ") else { return error };
    let fits = |operation: &&Operation| shown.contains(&format!(" {} ", operation.name));
    let candidates: Vec<&Operation> = names.operations.iter().filter(fits).collect();
    if let [only] = candidates[..] {
        return error.placed(only.place());
    }
    for operation in candidates {
        let left = type_of(scope, names, operation, &operation.left).await;
        let right = type_of(scope, names, operation, &operation.right).await;
        if let (Some(left), Some(right)) = (left, right)
            && shown == format!("{left} {} {right}", operation.name)
        {
            return error.placed(operation.place());
        }
    }
    error
}

async fn type_of(scope: &Scope, names: &Names, operation: &Operation, operand: &Expr) -> Option<String> {
    if let Some(known) = literal_type(operand) {
        return Some(known.into());
    }
    let from = operation.select.and_then(|index| names.selects.get(index)).map_or(&[][..], |select| select.from.as_slice());
    types_of(scope, from, std::slice::from_ref(operand)).await.ok()?.pop()
}
