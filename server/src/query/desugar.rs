//! Phrases of PostgreSQL that DataFusion does not know, or takes for something else, said in words that it understands.
//!
//! Runs after [`super::naming`], so that a column is still called what its own phrase is called.
//! [`phrases`] and [`operators`] are small; [`ordered_sets`] are aggregates with WITHIN GROUP; [`samples`] are TABLESAMPLE; [`set_returning`] are functions that return rows; [`sort_keys`] are subqueries in ORDER BY; [`stars`] are `t.*`; [`windows`] resolves WINDOW; [`subqueries`] gives EXISTS, IN, ANY and ALL their meaning; [`with_names`] keeps
//! queries of the same name apart.

use crate::error::{Result, SqlError};
use crate::session::parse::parse_expression;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    Select, Statement, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};
use std::ops::ControlFlow;

mod aliased_joins;
pub mod array_queries;
pub mod cast_calls;
pub mod distinct_positions;
pub mod grouping_sets;
pub mod json_aggregates;
pub mod named_arguments;
pub mod operators;
pub mod ordered_sets;
pub mod parameter_branches;
pub mod parameter_places;
pub mod phrases;
pub mod recursion;
pub mod samples;
pub mod set_returning;
pub mod shifts;
pub mod sort_keys;
pub mod stars;
pub mod subqueries;
pub mod subscripts;
pub mod value_lists;
pub mod windows;
pub mod with_names;

/// Rewrites a statement.
pub fn statement(statement: &mut Statement) -> Result<()> {
    statement_with(statement, subqueries::NotIn::Join)
}

/// The same, with NOT IN as the planner wants it.
pub fn statement_with(statement: &mut Statement, not_in: subqueries::NotIn) -> Result<()> {
    done(statement.visit(&mut phrases::Precedence::default()))?;
    done(statement.visit(&mut set_returning::Aliases))?;
    done(statement.visit(&mut Rows))?;
    done(statement.visit(&mut phrases::Phrases))?;
    done(statement.visit(&mut set_returning::Arrays::default()))?;
    done(statement.visit(&mut with_names::Apart::default()))?;
    done(statement.visit(&mut Selects { not_in }))
}

/// Rewrites an expression outside a statement.
pub fn expression(expr: &mut Expr) -> Result<()> {
    done(VisitMut::visit(expr, &mut phrases::Precedence::default()))?;
    done(VisitMut::visit(expr, &mut Rows))?;
    done(VisitMut::visit(expr, &mut phrases::Phrases))
}

fn done(flow: ControlFlow<SqlError>) -> Result<()> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Subscripts, functions that return rows, aggregates of JSON: before a function in FROM gets a name that hides it.
struct Rows;

impl VisitorMut for Rows {
    type Break = SqlError;
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        aliased_joins::rewrite(factor);
        set_returning::rows_from(factor);
        ControlFlow::Continue(())
    }
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        set_returning::table(factor);
        ControlFlow::Continue(())
    }
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        subscripts::subscripts(expr);
        set_returning::as_value(expr);
        json_aggregates::distinct_in_order(expr);
        json_aggregates::rewrite(expr);
        array_queries::rewrite(expr);
        cast_calls::rewrite(expr);
        shifts::rewrite(expr);
        ControlFlow::Continue(())
    }
}

/// A call of a function.
pub(in crate::query) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value))).collect();
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

struct Selects {
    not_in: subqueries::NotIn,
}

impl VisitorMut for Selects {
    type Break = SqlError;
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        sort_keys::rewrite(query);
        ControlFlow::Continue(())
    }
    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        if let Err(error) = windows::resolve(select) {
            return ControlFlow::Break(error);
        }
        if let Err(error) = samples::select(select) {
            return ControlFlow::Break(error);
        }
        if let Err(error) = phrases::joins_have_conditions(select) {
            return ControlFlow::Break(error);
        }
        phrases::guard_divisions(select);
        stars::select(select);
        subqueries::select(select, self.not_in);
        ControlFlow::Continue(())
    }
}

/// An expression written in SQL in which the names `__x...` stand for expressions and the table `__q` for a query.
pub(super) fn template(sql: &str, exprs: &[(&str, &Expr)], query: Option<&Query>) -> Expr {
    let mut expr = parse_expression(sql).expect("templates are SQL");
    let _: ControlFlow<()> = VisitMut::visit(&mut expr, &mut Fill { exprs, query });
    expr
}

struct Fill<'a> {
    exprs: &'a [(&'a str, &'a Expr)],
    query: Option<&'a Query>,
}

impl VisitorMut for Fill<'_> {
    type Break = ();
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && let Some((_, value)) = self.exprs.iter().find(|(placeholder, _)| *placeholder == name.value)
        {
            *expr = Expr::Nested(Box::new((*value).clone()));
        }
        ControlFlow::Continue(())
    }
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let (TableFactor::Table { name, alias, .. }, Some(query)) = (&*factor, self.query)
            && simple_name(name).is_some_and(|name| name.value == "__q")
        {
            let alias = alias.clone();
            *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query.clone()), alias, sample: None };
        }
        ControlFlow::Continue(())
    }
}

/// The identifier of a name without a schema.
pub(in crate::query) fn simple_name(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
}

/// Whether an expression has a query in it.
pub(super) fn has_query(expr: &Expr) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    expr.visit(&mut Find).is_break()
}
