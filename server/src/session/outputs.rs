//! Parameters of type `void` (OID 2278): JDBC sends them for what a function returns (`{? = call f(?)}` is `select * from f($1, $2)`). As in
//! PostgreSQL the function is called without them.

use super::Statement;
use super::parameters::placeholder;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement as Ast, TableFactor, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The OID of `void`.
pub const VOID_OID: u32 = 2278;

/// Takes these parameters (by number) out of the calls of a statement; its text says so, as it is another statement then.
pub fn without(mut statement: Statement, outputs: &[usize]) -> Statement {
    if outputs.is_empty() {
        return statement;
    }
    statement.text = format!("{} /* without {outputs:?} */", statement.text).into();
    let ast: &mut Ast = Arc::make_mut(&mut statement.ast);
    let _: ControlFlow<()> = VisitMut::visit(ast, &mut Without(outputs));
    statement
}

struct Without<'a>(&'a [usize]);

impl Without<'_> {
    fn strip(&self, args: &mut Vec<FunctionArg>) {
        let is_output = |arg: &FunctionArg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => placeholder(expr).is_some_and(|number| self.0.contains(&number)),
            _ => false,
        };
        args.retain(|arg| !is_output(arg));
    }
}

impl VisitorMut for Without<'_> {
    type Break = ();
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expr
            && let FunctionArguments::List(list) = &mut call.args
        {
            self.strip(&mut list.args);
        }
        ControlFlow::Continue(())
    }
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { args: Some(args), .. } => self.strip(&mut args.args),
            TableFactor::Function { args, .. } => self.strip(args),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::parse::parse;

    #[test]
    fn outputs_are_no_arguments() {
        let stripped = |sql| without(parse(sql).unwrap().remove(0), &[1]).ast.to_string();
        assert_eq!(stripped("select * from upper($1,$2) as result"), "SELECT * FROM upper($2) AS result");
        assert_eq!(stripped("select f($1), g($2, $1)"), "SELECT f(), g($2)");
    }
}
