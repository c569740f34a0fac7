//! Describing a statement without running it: types of its parameters, columns of its result.

use super::dispatch::{self, read_context};
use super::grammar::Ours;
use super::{Prepared, Session, Statement};
use crate::error::{Result, SqlError, SqlState};
use crate::query::QueryContext;
use crate::types::SqlType;
use crate::{ddl, dml};
use arrow::datatypes::{Field, SchemaRef};
use datafusion::sql::sqlparser::ast::{self, Expr, Value, visit_expressions};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Parameters of one statement, at most: the protocol counts them in 16 bits.
const PARAMETERS_MAX: usize = 65_535;

pub(super) async fn describe(session: &mut Session, statement: Option<Statement>, declared: &[Option<SqlType>]) -> Result<Prepared> {
    let Some(statement) = statement else {
        return Ok(Prepared { statement: None, parameters: declared.iter().flatten().cloned().collect(), columns: None });
    };
    if session.block.as_ref().is_some_and(|block| block.failed) && !matches!(statement.ours.as_deref(), Some(Ours::Commit | Ours::Rollback))
    {
        return Err(super::block::in_failed_block());
    }
    let (inferred, columns) = match statement.ours.as_deref() {
        Some(Ours::Show(name)) => (BTreeMap::new(), Some(dispatch::show_schema(session, name.as_deref())?)),
        Some(Ours::Execute { name, .. }) => (BTreeMap::new(), dispatch::prepared(session, name)?.columns),
        Some(_) => (BTreeMap::new(), None),
        None if ddl::is_ddl(&statement) => (BTreeMap::new(), None),
        None => infer(&read_context(session)?, &statement.ast).await?,
    };
    let parameters = parameters(&statement, declared, inferred)?;
    Ok(Prepared { statement: Some(statement), parameters, columns })
}

type Inferred = (BTreeMap<usize, SqlType>, Option<SchemaRef>);

fn parameters(statement: &Statement, declared: &[Option<SqlType>], inferred: BTreeMap<usize, SqlType>) -> Result<Vec<SqlType>> {
    let used = highest_parameter(&statement.ast);
    let count = used.max(declared.len()).max(inferred.keys().max().copied().unwrap_or(0));
    if count > PARAMETERS_MAX {
        return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${count}")));
    }
    let of = |n: usize| declared.get(n - 1).cloned().flatten().or_else(|| inferred.get(&n).cloned()).unwrap_or(SqlType::Text);
    Ok((1..=count).map(of).collect())
}

fn highest_parameter(statement: &ast::Statement) -> usize {
    let mut highest = 0;
    let _ = visit_expressions(statement, |expr| {
        highest = highest.max(placeholder(expr).unwrap_or(0));
        ControlFlow::<()>::Continue(())
    });
    highest
}

/// The number of a parameter.
fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(text) => text.strip_prefix('$')?.parse().ok().filter(|n| *n > 0),
            _ => None,
        },
        Expr::Nested(inner) => placeholder(inner),
        _ => None,
    }
}

async fn infer(context: &QueryContext, statement: &ast::Statement) -> Result<Inferred> {
    if dml::is_dml(statement) {
        let described = dml::describe(context, statement).await?;
        return Ok((described.parameters, described.columns));
    }
    match statement {
        ast::Statement::Query(_) | ast::Statement::Explain { .. } | ast::Statement::ExplainTable { .. } => query(context, statement).await,
        _ => Ok((BTreeMap::new(), None)),
    }
}

async fn query(context: &QueryContext, statement: &ast::Statement) -> Result<Inferred> {
    let plan = context.plan(statement).await?;
    let mut types = BTreeMap::new();
    for (name, data_type) in plan.get_parameter_types()? {
        if let (Some(n), Some(data_type)) = (name.strip_prefix('$').and_then(|n| n.parse().ok()), data_type) {
            types.insert(n, SqlType::of_field(&Field::new(name, data_type, true)));
        }
    }
    Ok((types, Some(context.output_schema(&plan))))
}
