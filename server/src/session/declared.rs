//! Parameters whose types are declared (by Parse, or in `PREPARE name (types)`) are of these types wherever they stand: each is written as a cast
//! into the statement's tree, so that the planner finds the same functions and types with it as PostgreSQL does.
//!
//! Some places keep the plain parameter, because it is read from the tree there: LIMIT and its like, arguments of functions in FROM (but for
//! arrays), and VALUES of an INSERT, whose columns say what the values become.

use super::Statement;
use super::grammar::Ours;
use super::parameters::{function_arguments, placeholder};
use crate::error::Result;
use crate::session::parse::parse_expression;
use crate::types::SqlType;
use datafusion::sql::sqlparser::ast::{self, Expr, LimitClause, Query, SetExpr, TableFactor, Value, VisitMut, VisitorMut};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Marks a parameter that stays as it is.
const KEPT: &str = "\u{1}";

/// Gives the parameters of a statement the types that are declared.
pub(super) fn apply(mut statement: Statement, declared: &[Option<SqlType>]) -> Result<Statement> {
    if declared.iter().all(Option::is_none) {
        return Ok(statement);
    }
    let types = declared.iter().map(|declared| declared.as_ref().map(written).transpose()).collect::<Result<Vec<_>>>()?;
    match statement.ours.as_deref() {
        None => cast(Arc::make_mut(&mut statement.ast), declared, &types),
        Some(Ours::Declare(declare)) => {
            let mut declare = declare.clone();
            cast(Arc::make_mut(&mut declare.query.ast), declared, &types);
            statement.ours = Some(Arc::new(Ours::Declare(declare)));
        }
        Some(_) => {}
    }
    Ok(statement)
}

/// What the plan of a statement is known by: its text, and the types that are declared for its parameters.
pub(super) fn planned_as(statement: &Statement, declared: &[Option<SqlType>]) -> Arc<str> {
    match declared.iter().all(Option::is_none) {
        true => Arc::clone(&statement.text),
        false => format!("{}\u{0}{declared:?}", statement.text).into(),
    }
}

/// A type as the parser has it.
fn written(sql_type: &SqlType) -> Result<ast::DataType> {
    match parse_expression(&format!("CAST(NULL AS {})", sql_type.name()))? {
        Expr::Cast { data_type, .. } => Ok(data_type),
        _ => Err(crate::error::SqlError::internal("a cast was expected")),
    }
}

fn cast(statement: &mut ast::Statement, declared: &[Option<SqlType>], types: &[Option<ast::DataType>]) {
    keep_inserted(statement);
    let _ = VisitMut::visit(statement, &mut Keep(declared));
    let _ = VisitMut::visit(statement, &mut Write(types));
}

/// Whether an expression is a parameter that was given its type here: it has no name, unlike a cast that a client writes.
pub(crate) fn is_typed(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => match inner.as_ref() {
            Expr::Nested(inner) => matches!(inner.as_ref(), Expr::Cast { expr, .. } if placeholder(expr).is_some()),
            _ => false,
        },
        _ => false,
    }
}

fn number_text(expr: &mut Expr) -> Option<&mut String> {
    match expr {
        Expr::Value(value) => match &mut value.value {
            Value::Placeholder(text) => Some(text),
            _ => None,
        },
        Expr::Nested(inner) => number_text(inner),
        _ => None,
    }
}

fn keep(expr: &mut Expr) {
    if let Some(text) = number_text(expr).filter(|text| text.starts_with('$')) {
        text.insert_str(0, KEPT);
    }
}

/// The rows of `INSERT ... VALUES`.
fn keep_inserted(statement: &mut ast::Statement) {
    let insert = match statement {
        ast::Statement::Insert(insert) => insert,
        ast::Statement::Query(query) => match &mut *query.body {
            SetExpr::Insert(ast::Statement::Insert(insert)) => insert,
            _ => return,
        },
        ast::Statement::Explain { statement, .. } => return keep_inserted(statement),
        _ => return,
    };
    if let Some(SetExpr::Values(values)) = insert.source.as_mut().map(|source| &mut *source.body) {
        values.rows.iter_mut().flat_map(|row| row.content.iter_mut()).for_each(keep);
    }
}

struct Keep<'a>(&'a [Option<SqlType>]);

impl VisitorMut for Keep<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause {
            limit.iter_mut().chain(offset.iter_mut().map(|offset| &mut offset.value)).for_each(keep);
        }
        query.fetch.iter_mut().filter_map(|fetch| fetch.quantity.as_mut()).for_each(keep);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let is_array = |expr: &Expr| {
            let declared = placeholder(expr).and_then(|number| self.0.get(number - 1));
            matches!(declared, Some(Some(SqlType::Array(_))))
        };
        function_arguments(factor).into_iter().filter(|expr| !is_array(expr)).for_each(keep);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr, data_type, .. } = expr
            && let Some(Some(declared)) = placeholder(expr).and_then(|number| self.0.get(number - 1))
            && SqlType::from_ast(data_type).is_ok_and(|written| written == *declared)
        {
            keep(expr);
        }
        ControlFlow::Continue(())
    }
}

struct Write<'a>(&'a [Option<ast::DataType>]);

impl VisitorMut for Write<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(text) = &mut value.value
            && let Some(plain) = text.strip_prefix(KEPT)
        {
            *text = plain.to_string();
            return ControlFlow::Continue(());
        }
        let is_plain = matches!(expr, Expr::Value(_));
        let declared = placeholder(expr).filter(|_| is_plain).and_then(|number| self.0.get(number - 1)?.clone());
        if let Some(data_type) = declared {
            let cast = Expr::Cast { kind: ast::CastKind::Cast, expr: Box::new(expr.clone()), data_type, format: None, array: false };
            *expr = Expr::Nested(Box::new(Expr::Nested(Box::new(cast))));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse;

    fn applied(sql: &str, declared: &[Option<SqlType>]) -> String {
        apply(parse(sql).unwrap().remove(0), declared).unwrap().ast.to_string()
    }

    #[test]
    fn parameters_are_cast_to_what_is_declared() {
        let declared = [Some(SqlType::Int4), None, Some(SqlType::Array(Box::new(SqlType::Text)))];
        assert_eq!(applied("select $1, $2 || $3", &declared), "SELECT ((CAST($1 AS INTEGER))), $2 || ((CAST($3 AS TEXT[])))");
        assert_eq!(applied("select a from t where b = any($3)", &declared), "SELECT a FROM t WHERE b = ANY(((CAST($3 AS TEXT[]))))");
        assert_eq!(applied("select $1", &[None]), "SELECT $1");
        assert!(is_typed(&parse_expression("((CAST($1 AS INTEGER)))").unwrap()));
        assert!(!is_typed(&parse_expression("(CAST($1 AS INTEGER))").unwrap()));
    }

    #[test]
    fn places_that_are_read_from_the_tree_keep_them() {
        let declared = [Some(SqlType::Int4)];
        for sql in [
            "SELECT a FROM t LIMIT $1 OFFSET $1",
            "SELECT g FROM generate_series(1, $1) AS g",
            "INSERT INTO t VALUES ($1, ($1))",
            "SELECT $1::INT",
        ] {
            assert_eq!(applied(sql, &declared), sql);
        }
        assert_eq!(applied("SELECT $1::TEXT", &declared), "SELECT ((CAST($1 AS INTEGER)))::TEXT");
    }

    #[test]
    fn every_type_can_be_written() {
        for oid in
            [16, 17, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802, 1007, 1009, 1115, 2951]
        {
            let sql_type = SqlType::from_oid(oid).unwrap();
            assert_eq!(SqlType::from_ast(&written(&sql_type).unwrap()).unwrap(), sql_type, "{oid}");
        }
    }
}
