//! Select lists of a statement (RETURNING, ON CONFLICT ... SET), compiled once and evaluated on rows that are not in any table yet.
//!
//! The list is planned as a query over the tables that it names, so that names, functions and types are resolved as everywhere; then it is
//! taken out of the plan.

use crate::error::{Result, SqlError, SqlState};
use crate::query::{QueryContext, system_columns};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DFSchemaRef, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use std::sync::Arc;

/// Expressions over rows of one form.
#[derive(Clone, Debug)]
pub struct SelectList {
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    input: SchemaRef,
    /// The columns that come out.
    pub output: SchemaRef,
}

impl SelectList {
    /// The select list of a query, to be evaluated on rows that have the columns of its FROM.
    pub async fn compile(context: &QueryContext, query: &ast::Statement, parameters: &[ScalarValue]) -> Result<Self> {
        system_columns::refuse(query)?;
        let plan = context.bind(context.plan(query).await?, parameters)?;
        let output = context.output_schema(&plan);
        let (expressions, input) = select_list(plan)?;
        let state = context.scope().state();
        let physical = expressions.into_iter().map(|expression| physical(&state, expression, &input)).collect::<Result<_>>()?;
        Ok(Self { expressions: physical, input: nullable(input.as_arrow()), output })
    }

    /// Evaluates all expressions; the columns are taken by position.
    pub fn evaluate(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let input = RecordBatch::try_new_with_options(self.input.clone(), rows.columns().to_vec(), &options)?;
        let evaluated = self.expressions.iter().map(|expression| Ok(expression.evaluate(&input)?.into_array(input.num_rows())?));
        evaluated.collect()
    }

    /// Evaluates as a batch of the output's columns.
    pub fn batch(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(nullable(&self.output), self.evaluate(rows)?, &options)?)
    }
}

/// Rows without columns.
pub fn empty_rows(rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?)
}

/// Parses an expression of a definition.
pub fn parse_expression(sql: &str) -> Result<ast::Expr> {
    Ok(Parser::new(&PostgreSqlDialect {}).try_with_sql(sql)?.parse_expr()?)
}

/// The list, and the columns that it is over.
fn select_list(plan: LogicalPlan) -> Result<(Vec<Expr>, DFSchemaRef)> {
    match plan {
        LogicalPlan::Projection(projection) if is_rows(&projection.input) => Ok((projection.expr, projection.input.schema().clone())),
        _ => Err(SqlError::unsupported("a subquery, aggregate or window function in this expression")),
    }
}

/// Whether a plan hands out the rows of its tables as they are. A derived table or view below counts as a table, whatever it does.
fn is_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_) | LogicalPlan::SubqueryAlias(_) => true,
        LogicalPlan::Join(_) => plan.inputs().into_iter().all(is_rows),
        _ => false,
    }
}

fn physical(state: &SessionState, expression: Expr, input: &DFSchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    let context = SimplifyContext::builder()
        .with_schema(input.clone())
        .with_query_execution_start_time(Some(chrono::Utc::now()))
        .with_config_options(state.config_options().clone())
        .build();
    let simplifier = ExprSimplifier::new(context);
    let coerced = simplifier.coerce(expression.unalias_nested().data, input)?;
    let simplified = simplifier.simplify(coerced)?;
    if simplified.any_column_refs() && has_outer_or_subquery(&simplified)? {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "a subquery in this expression is not supported"));
    }
    Ok(state.create_physical_expr(simplified, input)?)
}

fn has_outer_or_subquery(expression: &Expr) -> Result<bool> {
    use datafusion::common::tree_node::TreeNode;
    let is_subquery =
        |e: &Expr| matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..));
    Ok(expression.exists(|node| Ok(is_subquery(node)))?)
}

/// The schema with all its fields nullable: expressions may promise more than rows under way hold.
pub(crate) fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
