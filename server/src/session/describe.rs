//! Describing a statement without running it: types of its parameters, columns of its result.

use super::declared;
use super::dispatch::{self, read_context};
use super::grammar::Ours;
use super::parameters::{self, placeholder};
use super::{Prepared, Session, Statement};
use crate::error::{Result, SqlError, SqlState};
use crate::locking;
use crate::query::QueryContext;
use crate::types::SqlType;
use crate::{ddl, dml};
use arrow::datatypes::{Field, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{self, visit_expressions};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Parameters of one statement, at most: the protocol counts them in 16 bits.
const PARAMETERS_MAX: usize = 65_535;

pub(super) async fn describe(session: &mut Session, statement: Option<Statement>, types_declared: &[Option<SqlType>]) -> Result<Prepared> {
    let Some(statement) = statement else {
        return Ok(Prepared { statement: None, parameters: types_declared.iter().flatten().cloned().collect(), columns: None });
    };
    if session.block.as_ref().is_some_and(|block| block.failed) && !dispatch::ends_block(&statement) {
        return Err(super::block::in_failed_block());
    }
    let statement = declared::apply(statement, types_declared)?;
    let planned_as = declared::planned_as(&statement, types_declared);
    let (inferred, columns) = match statement.ours.as_deref() {
        Some(Ours::Show(name)) => (BTreeMap::new(), Some(dispatch::show_schema(session, name.as_deref())?)),
        Some(Ours::ExplainPlacement(_)) => (BTreeMap::new(), Some(super::explain_placement::schema())),
        Some(Ours::Fetch { name, moves: false, .. }) => (BTreeMap::new(), session.cursors.schema(name)),
        Some(Ours::Declare(declare)) => {
            (infer_told(&read_context(session)?, &locking::without_locks(&declare.query.ast), None).await?.0, None)
        }
        Some(Ours::Execute { name, .. }) => (BTreeMap::new(), session.find_prepared(name)?.columns.clone()),
        Some(_) => (BTreeMap::new(), None),
        None if ddl::is_ddl(&statement) => (BTreeMap::new(), None),
        None if statement.locks_rows => {
            locking::clauses::check(&statement.ast)?;
            infer_told(&read_context(session)?, &locking::without_locks(&statement.ast), None).await?
        }
        None => infer_told(&read_context(session)?, &statement.ast, Some(&planned_as)).await?,
    };
    let parameters = parameters(&statement, types_declared, inferred)?;
    let statement = Statement { planned_as: Some(planned_as), ..statement };
    Ok(Prepared { statement: Some(statement), parameters, columns })
}

type Inferred = (BTreeMap<usize, SqlType>, Option<SchemaRef>);

fn parameters(statement: &Statement, declared: &[Option<SqlType>], inferred: BTreeMap<usize, SqlType>) -> Result<Vec<SqlType>> {
    let used = used_parameters(match statement.ours.as_deref() {
        Some(Ours::Declare(declare)) => &declare.query.ast,
        _ => &statement.ast,
    });
    let count = used.last().copied().unwrap_or(0).max(declared.len()).max(inferred.keys().max().copied().unwrap_or(0));
    if count > PARAMETERS_MAX {
        return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${count}")));
    }
    let of = |n: usize| {
        let known = declared.get(n - 1).cloned().flatten().or_else(|| inferred.get(&n).cloned());
        // A parameter that nothing is said of is text, as a literal would be; but it must stand somewhere.
        known
            .or_else(|| used.contains(&n).then_some(SqlType::Text))
            .ok_or_else(|| SqlError::new(SqlState::INDETERMINATE_DATATYPE, format!("could not determine data type of parameter ${n}")))
    };
    (1..=count).map(of).collect()
}

/// The numbers of the parameters that a statement uses.
fn used_parameters(statement: &ast::Statement) -> BTreeSet<usize> {
    let mut used = BTreeSet::new();
    let _ = visit_expressions(statement, |expr| {
        used.extend(placeholder(expr));
        ControlFlow::<()>::Continue(())
    });
    used
}

/// What the text tells comes first, then what the planner finds. With `text` the plan is kept for the execution, if it is the same.
async fn infer_told(context: &QueryContext, statement: &ast::Statement, text: Option<&Arc<str>>) -> Result<Inferred> {
    if used_parameters(statement).is_empty() {
        return infer(context, statement, text).await;
    }
    let mut rewritten = statement.clone();
    let told = parameters::tell(&mut rewritten);
    let text = text.filter(|_| rewritten == *statement);
    let (mut types, columns) = infer(context, &rewritten, text).await?;
    for number in &told.arrays {
        if let Some(element) = types.remove(number) {
            types.insert(*number, SqlType::Array(Box::new(element)));
        }
    }
    let mut all: BTreeMap<usize, SqlType> = told.types;
    for (number, sql_type) in types {
        all.entry(number).or_insert(sql_type);
    }
    Ok((all.into_iter().map(|(number, sql_type)| (number, without_digits(sql_type))).collect(), columns))
}

/// A value is not rounded to the digits of the column that it is compared with.
fn without_digits(sql_type: SqlType) -> SqlType {
    match sql_type {
        SqlType::Numeric(_) => SqlType::Numeric(None),
        SqlType::Array(element) => SqlType::Array(Box::new(without_digits(*element))),
        other => other,
    }
}

async fn infer(context: &QueryContext, statement: &ast::Statement, text: Option<&Arc<str>>) -> Result<Inferred> {
    if dml::is_dml(statement) {
        let described = dml::describe(context, statement).await?;
        return Ok((described.parameters, described.columns));
    }
    match statement {
        ast::Statement::Query(_) | ast::Statement::Explain { .. } | ast::Statement::ExplainTable { .. } => {
            query(context, statement, text).await
        }
        _ => Ok((BTreeMap::new(), None)),
    }
}

async fn query(context: &QueryContext, statement: &ast::Statement, text: Option<&Arc<str>>) -> Result<Inferred> {
    let plan = match text {
        Some(text) if matches!(statement, ast::Statement::Query(_)) => context.plan_prepared(text, statement).await?,
        _ => dispatch::plan(context, statement).await?,
    };
    let types = parameter_types(&plan)?;
    Ok((types, Some(context.output_schema(&plan))))
}

/// The types that the planner has found; where it found several for one parameter, the first.
fn parameter_types(plan: &LogicalPlan) -> Result<BTreeMap<usize, SqlType>> {
    let mut types = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Placeholder(found) = expr
                    && let (Some(number), Some(field)) = (found.id.strip_prefix('$').and_then(|n| n.parse().ok()), &found.field)
                {
                    types.entry(number).or_insert_with(|| match SqlType::of_field(field) {
                        kept @ (SqlType::Jsonb | SqlType::Uuid) => kept,
                        _ => SqlType::of_field(&Field::new(&found.id, field.data_type().clone(), true)),
                    });
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(types)
}
