//! ORDER BY an expression with a subquery, where the engine's sort takes none: the key is a column of a query beneath.
//!
//! `SELECT a FROM t ORDER BY CASE WHEN a IN (SELECT ...) THEN 0 ELSE 1 END, a` is `SELECT a FROM (SELECT a, CASE ... END AS k1 FROM t) ORDER BY k1, a`.

use super::has_query;
use crate::catalog::names::fold;
use crate::query::naming::name_of;
use crate::session::parse::parse_query;
use datafusion::sql::sqlparser::ast::{Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor};

/// What the keys are called beneath.
const KEY: &str = "__sort_key";

/// Rewrites a query, if it is one of these.
pub fn rewrite(query: &mut Query) {
    if is_sorted_by_query(query)
        && let SetExpr::Select(select) = query.body.as_ref()
        && let Some(names) = names(select)
    {
        beneath(query, &names);
    }
}

fn is_sorted_by_query(query: &Query) -> bool {
    let keys = query.order_by.as_ref().map(|order| &order.kind);
    matches!(keys, Some(OrderByKind::Expressions(keys)) if keys.iter().any(|key| has_query(&key.expr)))
}

/// The names of a SELECT's columns, where all have one, and different ones.
fn names(select: &Select) -> Option<Vec<String>> {
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) => Some(name_of(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        _ => None,
    };
    let names = select.projection.iter().map(name).collect::<Option<Vec<_>>>()?;
    let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
    (distinct.len() == names.len() && select.distinct.is_none()).then_some(names)
}

fn beneath(query: &mut Query, names: &[String]) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) else { return };
    for (at, key) in keys.iter_mut().enumerate() {
        let is_output = match &key.expr {
            Expr::Identifier(name) => names.contains(&fold(name)),
            Expr::Value(_) => true,
            _ => false,
        };
        if !is_output {
            let alias = Ident::with_quote('"', format!("{KEY}{at}"));
            let expr = std::mem::replace(&mut key.expr, Expr::Identifier(alias.clone()));
            select.projection.push(SelectItem::ExprWithAlias { expr, alias });
        }
    }
    let mut inner = parse_query("SELECT 1").expect("a query");
    std::mem::swap(&mut inner.body, &mut query.body);
    if let SetExpr::Select(outer) = inner_select(query) {
        outer.projection = names.iter().map(|name| SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('"', name)))).collect();
        if let Some(table) = outer.from.first_mut() {
            let alias = TableAlias { explicit: true, name: Ident::new("__sorted"), columns: Vec::new(), at: None };
            table.relation = TableFactor::Derived { lateral: false, subquery: Box::new(inner), alias: Some(alias), sample: None };
        }
    }
}

/// A SELECT from one table, put in the place of the one that was taken.
fn inner_select(query: &mut Query) -> &mut SetExpr {
    query.body = parse_query("SELECT 1 FROM t").expect("a query").body;
    query.body.as_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(sql: &str) -> String {
        let mut query = parse_query(sql).expect("a query");
        rewrite(&mut query);
        query.to_string()
    }

    #[test]
    fn keys_with_queries_are_columns_beneath() {
        assert_eq!(
            rewritten("SELECT a, b AS c FROM t ORDER BY b IN (SELECT 1) DESC, a, 2, x LIMIT 3"),
            "SELECT \"a\", \"c\" FROM (SELECT a, b AS c, b IN (SELECT 1) AS \"__sort_key0\", x AS \"__sort_key3\" FROM t) AS __sorted \
             ORDER BY \"__sort_key0\" DESC, a, 2, \"__sort_key3\" LIMIT 3"
        );
        for same in ["SELECT a FROM t ORDER BY a", "SELECT DISTINCT a FROM t ORDER BY (SELECT 1)", "SELECT * FROM t ORDER BY (SELECT 1)"] {
            assert_eq!(rewritten(same), same);
        }
    }
}
