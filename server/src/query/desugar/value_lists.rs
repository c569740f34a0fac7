//! VALUES whose rows say the type of a column only here and there: literals beside a cast are cast too.
//!
//! DataFusion wants every row of VALUES to agree on what is known of its columns.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastKind, DataType, ExactNumberInfo, Expr, Query, SetExpr, Statement, TypedString, UnaryOperator, Value, Values,
    VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Settles the lists of a query. Runs before casts become calls.
pub fn statement(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        in_body(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn in_body(body: &mut SetExpr) {
    match body {
        SetExpr::Values(values) => settle(values),
        SetExpr::SetOperation { left, right, .. } => {
            in_body(left);
            in_body(right);
        }
        _ => {}
    }
}

/// Gives the literals of each column the type of the first cast in it.
fn settle(values: &mut Values) {
    let columns = values.rows.iter().map(|row| row.content.len()).min().unwrap_or(0);
    if values.rows.len() < 2 {
        return;
    }
    for column in 0..columns {
        let typed = values.rows.iter().find_map(|row| type_of(&row.content[column])).or_else(|| type_beside_parameter(values, column));
        let Some(data_type) = typed else { continue };
        for row in &mut values.rows {
            let value = &mut row.content[column];
            if is_untyped(value, &data_type) || is_parameter(value) {
                *value = cast(std::mem::replace(value, Expr::value(Value::Null)), &data_type);
            }
        }
    }
}

fn cast(value: Expr, data_type: &DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(value), data_type: data_type.clone(), array: false, format: None }
}

/// The type that a value is cast to, or that an array's elements have.
fn type_of(value: &Expr) -> Option<DataType> {
    match value {
        Expr::Nested(inner) => type_of(inner),
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => Some(data_type.clone()),
        Expr::Array(array) => {
            let element = match array.elem.first()? {
                Expr::Value(value) => match &value.value {
                    Value::Number(digits, _) if digits.parse::<i32>().is_ok() => DataType::Int(None),
                    Value::SingleQuotedString(_) => DataType::Text,
                    _ => return None,
                },
                first => type_of(first)?,
            };
            Some(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None)))
        }
        _ => None,
    }
}

/// Literals in quotes, NULL, and numbers beside a float.
fn is_untyped(value: &Expr, beside: &DataType) -> bool {
    match value {
        Expr::Nested(inner) => is_untyped(inner, beside),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_untyped(expr, beside),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(_) | Value::Null => true,
            Value::Number(..) => is_float(beside),
            _ => false,
        },
        _ => false,
    }
}

fn is_parameter(value: &Expr) -> bool {
    matches!(value, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

/// The type of the numbers that a column has beside a parameter.
fn type_beside_parameter(values: &Values, column: usize) -> Option<DataType> {
    if !values.rows.iter().any(|row| is_parameter(&row.content[column])) {
        return None;
    }
    let number = |value: &Expr| match value {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(match () {
                () if digits.parse::<i32>().is_ok() => (0, DataType::Integer(None)),
                () if digits.parse::<i64>().is_ok() => (1, DataType::BigInt(None)),
                () => (2, DataType::Numeric(ExactNumberInfo::None)),
            }),
            _ => None,
        },
        _ => None,
    };
    values.rows.iter().filter_map(|row| number(&row.content[column])).max_by_key(|(rank, _)| *rank).map(|(_, data_type)| data_type)
}

fn is_float(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Float8 | DataType::Float4 | DataType::Real | DataType::DoublePrecision | DataType::Double(_) | DataType::Float(_)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse_query;
    use datafusion::sql::sqlparser::ast::SetExpr;

    fn settled(sql: &str) -> String {
        let mut query = parse_query(sql).unwrap();
        if let SetExpr::Values(values) = query.body.as_mut() {
            settle(values);
        }
        query.to_string()
    }

    #[test]
    fn literals_take_the_type_of_the_casts() {
        assert_eq!(settled("values (1, '{}'::jsonb), (2, '[]')"), "VALUES (1, '{}'::JSONB), (2, CAST('[]' AS JSONB))");
        assert_eq!(settled("values (array[1]), ('{}')"), "VALUES (ARRAY[1]), (CAST('{}' AS INT[]))");
        assert_eq!(settled("values (1.5), (2::float8)"), "VALUES (CAST(1.5 AS FLOAT8)), (2::FLOAT8)");
        assert_eq!(settled("values ($1), (1), (9000000000)"), "VALUES (CAST($1 AS BIGINT)), (1), (9000000000)");
        assert_eq!(settled("values (1), ('2')"), "VALUES (1), ('2')");
    }
}
