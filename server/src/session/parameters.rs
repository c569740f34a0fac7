//! What the text of a statement tells of its parameters' types, as PostgreSQL reads it: casts, LIMIT, `ANY`, arithmetic with literals.
//! The planner tells the rest.

use crate::catalog::pg_catalog::procedures;
use crate::query::desugar::parameter_places;
use crate::types::SqlType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause, ObjectName, Query, TableFactor,
    Value, VisitMut, VisitorMut,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// What a text has told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Types by number.
    pub(super) types: BTreeMap<usize, SqlType>,
    /// Numbers of parameters that are arrays of what the planner finds.
    pub(super) arrays: BTreeSet<usize>,
}

/// The number of a parameter.
pub(super) fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(text) => text.strip_prefix('$')?.parse().ok().filter(|n| *n > 0),
            _ => None,
        },
        Expr::Nested(inner) => placeholder(inner),
        _ => None,
    }
}

/// Notes what the text tells, and writes it so that the planner can tell more: `x = ANY($1)` becomes `x = $1`, rows become their columns.
/// What is left is for describing only; it does not mean the same.
pub(super) fn tell(statement: &mut ast::Statement) -> Told {
    let mut told = Told::default();
    parameter_places::statement(statement);
    let _ = VisitMut::visit(statement, &mut told);
    told
}

impl Told {
    fn note(&mut self, expr: &Expr, sql_type: SqlType) {
        if let Some(number) = placeholder(expr) {
            self.types.entry(number).or_insert(sql_type);
        }
    }
    /// Where all of PostgreSQL's functions of a name and a number of arguments agree on an argument's type.
    fn note_arguments(&mut self, name: &ObjectName, arguments: &[FunctionArg]) {
        let arguments: Vec<Option<&Expr>> = arguments.iter().map(plain).collect();
        let given = |argument: &Option<&Expr>| argument.is_some_and(|expr| placeholder(expr).is_some());
        let Some(name) = name.0.last().and_then(ast::ObjectNamePart::as_ident).filter(|_| arguments.iter().any(given)) else {
            return;
        };
        let known = procedures::named(&name.value.to_lowercase());
        let known = known.into_iter().filter_map(procedures::get).map(|procedure| (procedure.inputs(), procedure.defaults.len()));
        let takes = |inputs: &[u32], defaults| (inputs.len().saturating_sub(defaults)..=inputs.len()).contains(&arguments.len());
        let known: Vec<Vec<u32>> = known.filter(|(inputs, defaults)| takes(inputs, *defaults)).map(|(inputs, _)| inputs).collect();
        for (at, argument) in arguments.into_iter().enumerate() {
            let Some(oid) = known.first().map(|inputs| inputs[at]).filter(|oid| known.iter().all(|inputs| inputs[at] == *oid)) else {
                continue;
            };
            if let (Some(expr), Some(sql_type)) = (argument, SqlType::from_oid(oid)) {
                self.note(expr, sql_type);
            }
        }
    }
    /// A series is of what its other arguments are; of integers if they do not say.
    fn note_series(&mut self, args: &mut [FunctionArg]) {
        let known: Vec<SqlType> = args.iter().filter_map(|arg| plain(arg).and_then(said)).collect();
        let has = |wanted: &[SqlType]| known.iter().find(|found| wanted.contains(found)).cloned();
        let moment = has(&[SqlType::Timestamptz, SqlType::Timestamp]).or_else(|| has(&[SqlType::Date]).map(|_| SqlType::Timestamptz));
        let of = moment.clone().or_else(|| has(&[SqlType::Numeric(None), SqlType::Int8])).unwrap_or(SqlType::Int4);
        for (at, arg) in args.iter_mut().enumerate() {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else { continue };
            if placeholder(expr).is_some() {
                self.note(expr, if at == 2 && moment.is_some() { SqlType::Interval } else { of.clone() });
                if of == SqlType::Int4 {
                    *expr = number("1");
                }
            }
        }
    }
    fn note_operands(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) {
        use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus};
        if matches!(op, Plus | Minus | Multiply | Divide | Modulo) {
            for (one, other) in [(left, right), (right, left)] {
                if is_integer(other) {
                    self.note(one, SqlType::Int4);
                }
            }
        }
    }
}

fn plain(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// The type that an expression says by itself.
fn said(expr: &Expr) -> Option<SqlType> {
    match expr {
        Expr::Nested(inner) => said(inner),
        Expr::Cast { data_type, .. } => SqlType::from_ast(data_type).ok(),
        Expr::TypedString(typed) => SqlType::from_ast(&typed.data_type).ok(),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.parse::<i32>().is_ok() => Some(SqlType::Int4),
            Value::Number(digits, _) if digits.parse::<i64>().is_ok() => Some(SqlType::Int8),
            Value::Number(..) => Some(SqlType::Numeric(None)),
            _ => None,
        },
        _ => None,
    }
}

fn is_integer(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits.parse::<i32>().is_ok()))
}

impl VisitorMut for Told {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let (limit, offset) = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => (limit.as_ref(), offset.as_ref().map(|offset| &offset.value)),
            _ => (None, None),
        };
        let fetch = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref());
        [limit, offset, fetch].into_iter().flatten().for_each(|expr| self.note(expr, SqlType::Int8));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let Some((name, args)) = function(factor) else { return ControlFlow::Continue(()) };
        if name.to_string().eq_ignore_ascii_case("generate_series") {
            self.note_series(args);
        } else {
            self.note_arguments(name, args);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { expr, data_type, .. } => {
                if let Ok(sql_type) = SqlType::from_ast(data_type) {
                    self.note(expr, sql_type);
                }
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                if let (Expr::Tuple(left), Expr::Tuple(right)) = (&**left, &**right)
                    && let Some(columns) = equal_columns(left, right)
                {
                    *expr = columns;
                }
            }
            Expr::BinaryOp { left, op, right } => self.note_operands(left, op, right),
            Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) => self.note_arguments(name, &list.args),
            Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right } => {
                if let Some(number) = placeholder(right) {
                    self.arrays.insert(number);
                    *expr = Expr::BinaryOp { left: left.clone(), op: compare_op.clone(), right: right.clone() };
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `a = x AND b = y`
fn equal_columns(left: &[Expr], right: &[Expr]) -> Option<Expr> {
    let equal = |(left, right): (&Expr, &Expr)| Expr::BinaryOp {
        left: Box::new(left.clone()),
        op: BinaryOperator::Eq,
        right: Box::new(right.clone()),
    };
    let pairs = left.iter().zip(right).map(equal);
    (left.len() == right.len()).then_some(())?;
    pairs.reduce(|all, next| Expr::BinaryOp { left: Box::new(all), op: BinaryOperator::And, right: Box::new(next) })
}

/// A function in FROM, and its arguments.
fn function(factor: &mut TableFactor) -> Option<(&ObjectName, &mut Vec<FunctionArg>)> {
    match factor {
        TableFactor::Table { name, args: Some(args), .. } => Some((name, &mut args.args)),
        TableFactor::Function { name, args, .. } => Some((name, args)),
        _ => None,
    }
}

pub(super) fn function_arguments(factor: &mut TableFactor) -> Vec<&mut Expr> {
    let Some((_, args)) = function(factor) else { return Vec::new() };
    let plain = args.iter_mut().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    plain.collect()
}

fn number(digits: &str) -> Expr {
    Expr::Value(Value::Number(digits.into(), false).into())
}

/// Functions in FROM are planned with their arguments: the statement with the values of whole numbers in the place of parameters there;
/// `None` if there are none.
pub(super) fn put_into_functions(statement: &ast::Statement, parameters: &[ScalarValue]) -> Option<ast::Statement> {
    if parameters.is_empty() {
        return None;
    }
    let mut statement = statement.clone();
    let mut visitor = IntoFunctions { parameters, changed: false };
    let _ = VisitMut::visit(&mut statement, &mut visitor);
    visitor.changed.then_some(statement)
}

struct IntoFunctions<'a> {
    parameters: &'a [ScalarValue],
    changed: bool,
}

impl VisitorMut for IntoFunctions<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        for expr in function_arguments(factor) {
            let Some(value) = placeholder(expr).and_then(|n| self.parameters.get(n - 1)) else { continue };
            match value {
                ScalarValue::Int16(_) | ScalarValue::Int32(_) | ScalarValue::Int64(_) if !value.is_null() => {
                    *expr = number(&value.to_string());
                    self.changed = true;
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse;

    fn told(sql: &str) -> (Told, String) {
        let mut statement = (*parse(sql).unwrap()[0].ast).clone();
        let told = tell(&mut statement);
        (told, statement.to_string())
    }

    #[test]
    fn the_text_tells_types() {
        let table = [
            ("select $1::date", SqlType::Date),
            ("select cast($1 as numeric(5,2))", SqlType::Numeric(Some((5, 2)))),
            ("select a from t limit $1", SqlType::Int8),
            ("select a from t offset $1", SqlType::Int8),
            ("select a from t fetch first $1 rows only", SqlType::Int8),
            ("select $1 + 1", SqlType::Int4),
            ("select * from generate_series(1, $1) g", SqlType::Int4),
            ("select * from generate_series(1::bigint, $1) g", SqlType::Int8),
            ("select * from generate_series('2020-01-01'::timestamp, $1, '1 day') g", SqlType::Timestamp),
            ("select * from generate_series(date '2020-01-01', now(), $1) g", SqlType::Interval),
            ("select a from (select a from t limit $1) x", SqlType::Int8),
        ];
        for (sql, expected) in table {
            assert_eq!(told(sql).0.types.get(&1), Some(&expected), "{sql}");
        }
    }

    #[test]
    fn the_rest_is_written_for_the_planner() {
        let (any, text) = told("select a from t where a = any($1)");
        assert_eq!((any.arrays.contains(&1), text.as_str()), (true, "SELECT a FROM t WHERE a = $1"));
        assert_eq!(told("select 1 where (a, b) = ($1, $2)").1, "SELECT 1 WHERE a = $1 AND b = $2");
    }

    #[test]
    fn functions_get_their_values() {
        let with_values = |sql| {
            let parameters = [ScalarValue::Int32(Some(5)), ScalarValue::Int64(Some(-2))];
            put_into_functions(&parse(sql).unwrap()[0].ast, &parameters).map(|statement| statement.to_string())
        };
        let expected = "SELECT * FROM generate_series(-2, 5) g WHERE g > $1";
        assert_eq!(with_values("select * from generate_series($2, $1) g where g > $1").as_deref(), Some(expected));
        assert_eq!(with_values("select a from t where a > $1"), None);
    }
}
