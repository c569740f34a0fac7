//! `SELECT $1 UNION SELECT 1`: a parameter that is a column of one branch of a set operation has the type of that column in the others.
//!
//! Numbers say their type themselves; what else a branch gives is planned to be known. Of the statement's own set operations alone: a parameter
//! in those of a subquery stays a text where nothing else tells.

use crate::query::Scope;
use crate::query::whole_rows::learned::Learned;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{CastKind, DataType, ExactNumberInfo, Expr, Query, SelectItem, SetExpr, Statement, Value, With};

/// Casts such parameters to their types.
pub async fn statement(scope: &Scope, statement: &mut Statement) {
    let Statement::Query(query) = statement else { return };
    if !matches!(*query.body, SetExpr::SetOperation { .. }) {
        return;
    }
    let with = query.with.clone();
    let mut branches = Vec::new();
    leaves(&mut query.body, &mut branches);
    for (branch, column) in parameters(&branches) {
        let mut found = None;
        for other in (0..branches.len()).filter(|other| *other != branch) {
            found = type_of(scope, with.as_ref(), branches[other], column).await;
            if found.is_some() {
                break;
            }
        }
        if let Some(expr) = item(branches[branch], column) {
            give(expr, found.unwrap_or(DataType::Text));
        }
    }
}

fn leaves<'a>(body: &'a mut SetExpr, all: &mut Vec<&'a mut SetExpr>) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            leaves(left, all);
            leaves(right, all);
        }
        leaf => all.push(leaf),
    }
}

/// The branches and columns where a parameter stands alone.
fn parameters(branches: &[&mut SetExpr]) -> Vec<(usize, usize)> {
    let of_branch = |(branch, body): (usize, &&mut SetExpr)| {
        let columns = match &**body {
            SetExpr::Select(select) => {
                select.projection.iter().enumerate().filter(|(_, item)| is_parameter(item)).map(|(at, _)| at).collect()
            }
            _ => Vec::new(),
        };
        columns.into_iter().map(move |column: usize| (branch, column)).collect::<Vec<_>>()
    };
    branches.iter().enumerate().flat_map(of_branch).collect()
}

fn is_parameter(item: &SelectItem) -> bool {
    let expr = match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
        _ => return false,
    };
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

fn item(body: &mut SetExpr, column: usize) -> Option<&mut Expr> {
    let SetExpr::Select(select) = body else { return None };
    match select.projection.get_mut(column)? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// The type of a column of a branch; `None` for literals in quotes, NULL and parameters.
async fn type_of(scope: &Scope, with: Option<&With>, body: &mut SetExpr, column: usize) -> Option<DataType> {
    if let Some(expr) = item(body, column)
        && let Expr::Value(value) = expr
    {
        return match &value.value {
            Value::Number(digits, _) if digits.parse::<i32>().is_ok() => Some(DataType::Integer(None)),
            Value::Number(digits, _) if digits.parse::<i64>().is_ok() => Some(DataType::BigInt(None)),
            Value::Number(..) => Some(DataType::Numeric(ExactNumberInfo::None)),
            Value::Boolean(_) => Some(DataType::Boolean),
            _ => None,
        };
    }
    let mut query: Query = crate::session::parse::parse_query("SELECT 1").ok()?;
    query.with = with.cloned();
    query.body = Box::new(body.clone());
    let known = Learned::default();
    let fields = Box::pin(scope.fields_of(Statement::Query(Box::new(query)), known)).await?;
    written(&fields.get(column)?.clone())
}

fn written(sql_type: &SqlType) -> Option<DataType> {
    let name = crate::types::convert::without_modifiers(sql_type);
    match crate::session::parse::parse_expression(&format!("CAST(NULL AS {name})")).ok()? {
        Expr::Cast { data_type, .. } => Some(data_type),
        _ => None,
    }
}

fn give(expr: &mut Expr, data_type: DataType) {
    let parameter = Box::new(expr.clone());
    *expr = Expr::Cast { kind: CastKind::Cast, expr: parameter, data_type, array: false, format: None };
}
