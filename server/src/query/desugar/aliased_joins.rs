//! `(a JOIN b USING (x)) AS j` is `(SELECT * FROM a JOIN b USING (x)) AS j`: the merged column is there once.

use crate::session::parse::parse_query;
use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator, SetExpr, TableFactor, TableWithJoins};

/// Rewrites a join in parentheses that has an alias. Joins without merged columns stay.
pub fn rewrite(factor: &mut TableFactor) {
    let TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } = &*factor else { return };
    if !merges(table_with_joins) {
        return;
    }
    let mut query = parse_query("SELECT * FROM t").expect("it is SQL");
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![table_with_joins.as_ref().clone()];
    }
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: Some(alias.clone()), sample: None };
}

fn merges(table: &TableWithJoins) -> bool {
    use JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => merges(table_with_joins),
        _ => false,
    };
    let by_name = |operator: &JoinOperator| match operator {
        Join(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on) | FullOuter(on) => {
            matches!(on, JoinConstraint::Using(_) | JoinConstraint::Natural)
        }
        _ => false,
    };
    nested(&table.relation) || table.joins.iter().any(|join| by_name(&join.join_operator) || nested(&join.relation))
}
