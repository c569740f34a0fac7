//! Columns of a table in FROM that share their name: DataFusion calls the second of them `b:1`, and so on; clients see `b`.

use datafusion::logical_expr::{Expr, LogicalPlan};

/// The name of a result's column before DataFusion changed it; `None` if it did not.
pub fn original(plan: &LogicalPlan, at: usize) -> Option<String> {
    let name = plan.schema().field(at).name();
    let (_, number) = name.rsplit_once(':')?;
    if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    match plan {
        LogicalPlan::Projection(projection) => match &projection.expr[at] {
            Expr::Column(column) => original(&projection.input, projection.input.schema().maybe_index_of_column(column)?),
            _ => None,
        },
        LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Distinct(_) => original(plan.inputs()[0], at),
        LogicalPlan::SubqueryAlias(alias) => renamed(&alias.input, at, name),
        _ => None,
    }
}

/// What an alias for a table put beneath itself to tell columns apart.
fn renamed(input: &LogicalPlan, at: usize, name: &str) -> Option<String> {
    let LogicalPlan::Projection(projection) = input else { return None };
    match &projection.expr[at] {
        Expr::Alias(alias) => match alias.expr.as_ref() {
            Expr::Column(column) if alias.name == name && name.rsplit_once(':')?.0 == column.name => Some(column.name.clone()),
            _ => None,
        },
        Expr::Column(column) => original(&projection.input, projection.input.schema().maybe_index_of_column(column)?),
        _ => None,
    }
}
