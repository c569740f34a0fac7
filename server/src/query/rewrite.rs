//! What PostgreSQL's SQL says in another way than DataFusion understands: rewritten in the syntax tree, before planning.

use super::{files, naming};
use crate::catalog::client_queries;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, Statement, TableAlias, TableFactor, Visit,
    VisitMut, Visitor, VisitorMut,
};
use datafusion_pg_catalog::sql::rules::{
    FixArrayLiteral, RewriteArrayAnyAllOperation, RewritePgCatalogOperator, SqlStatementRewriteRule, StripCollate,
};
use std::ops::ControlFlow;
use std::sync::LazyLock;

/// Rewrites a statement.
pub fn statement(statement: &mut Statement) {
    if asks_catalog(statement) {
        // What is rewritten keeps the names that it gives to columns.
        naming::name_outputs(statement);
        client_queries::catalog(statement);
        let rewritten = CATALOG_RULES.iter().fold(statement.clone(), |statement, rule| rule.rewrite(statement));
        *statement = rewritten;
    }
    client_queries::oid_types(statement);
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Rewrite);
}

/// Rules for the queries that clients send to the system catalog. They are not for users' queries, which must fail as PostgreSQL has them fail.
static CATALOG_RULES: LazyLock<Vec<Box<dyn SqlStatementRewriteRule>>> = LazyLock::new(|| {
    vec![Box::new(RewriteArrayAnyAllOperation), Box::new(FixArrayLiteral), Box::new(StripCollate), Box::new(RewritePgCatalogOperator)]
});

/// Whether a statement names something of the system catalog.
fn asks_catalog(statement: &Statement) -> bool {
    struct Find;
    impl Visitor for Find {
        type Break = ();
        fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
            let system = |part: &ObjectNamePart| part.as_ident().is_some_and(|ident| ident.value.starts_with("pg_"));
            if name.0.iter().any(system) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Find).is_break()
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        read_files(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => strip_catalog(&mut function.name),
            Expr::Identifier(ident) if ident.quote_style.is_none() && is_keyword_function(&ident.value) => {
                *expr = call(&ident.value.to_lowercase());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `pg_catalog.f(x)` is `f(x)`.
fn strip_catalog(name: &mut ObjectName) {
    let qualified = name.0.len() == 2 && name.0[0].as_ident().is_some_and(|schema| schema.value.eq_ignore_ascii_case("pg_catalog"));
    if qualified {
        name.0.remove(0);
    }
}

/// Words that are functions without parentheses, where the parser takes them for columns.
fn is_keyword_function(word: &str) -> bool {
    ["current_schema", "current_user", "session_user", "current_role", "current_catalog"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn call(name: &str) -> Expr {
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args: Vec::new(), clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// `read_parquet('path', option => value)` is a table of the catalog of files, where its columns can be found out without blocking.
fn read_files(factor: &mut TableFactor) {
    let TableFactor::Table { name, args, alias, .. } = factor else { return };
    let Some(arguments) = args else { return };
    let [ObjectNamePart::Identifier(function)] = name.0.as_slice() else { return };
    let function = function.value.to_lowercase();
    let Some(table) = files::table_name(&function, &arguments.args) else { return };
    *name = table;
    *args = None;
    alias.get_or_insert_with(|| TableAlias { explicit: true, name: Ident::new(function), columns: Vec::new(), at: None });
}

/// Rewrites an expression outside a statement.
pub fn expression(expression: &mut Expr) {
    client_queries::oid_types_of(expression);
    let _: ControlFlow<()> = VisitMut::visit(expression, &mut Rewrite);
}
