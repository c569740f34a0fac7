//! A recursive query has the types of its first term, and a literal there is exact to the digits that it is written with: `1.0` would round every
//! later row to one digit. PostgreSQL takes it for a numeric of any precision; here it gets as many
//! digits as a numeric without precision has.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Query, SelectItem, SetExpr, Statement, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Casts the decimal literals in the first terms of recursive queries to numeric; before casts are rewritten.
pub fn statement(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Widen);
}

struct Widen;

impl VisitorMut for Widen {
    type Break = ();
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(with) = query.with.as_mut().filter(|with| with.recursive) {
            with.cte_tables.iter_mut().for_each(|cte| first_term(&mut cte.query.body));
        }
        ControlFlow::Continue(())
    }
}

fn first_term(body: &mut SetExpr) {
    let SetExpr::SetOperation { left, .. } = body else { return };
    match left.as_mut() {
        SetExpr::Select(select) => select.projection.iter_mut().for_each(widen),
        SetExpr::Values(values) => values.rows.iter_mut().flat_map(|row| &mut row.content).for_each(to_numeric),
        _ => {}
    }
}

fn widen(item: &mut SelectItem) {
    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
        to_numeric(expr);
    }
}

fn to_numeric(expr: &mut Expr) {
    if matches!(&*expr, Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits.contains(['.', 'e', 'E']))) {
        let literal = Box::new(expr.clone());
        let data_type = DataType::Numeric(ExactNumberInfo::PrecisionAndScale(38, 10));
        *expr = Expr::Cast { kind: CastKind::Cast, expr: literal, data_type, array: false, format: None };
    }
}
