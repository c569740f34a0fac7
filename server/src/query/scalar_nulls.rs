//! A scalar subquery without a row is NULL, also where its column cannot be.
//!
//! DataFusion takes such an expression for one that is never NULL, and then refuses the NULL that it finds. A subquery that may have no row
//! gets a column that may be NULL.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, EmptyRelation, Expr, LogicalPlan, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::{Arc, LazyLock};

/// Rewrites the scalar subqueries of a plan.
pub fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let settled = plan.transform_up_with_subqueries(|plan| {
        let before = changed;
        let plan = plan.map_expressions(|expr| expr.transform(|expr| subquery(expr, &mut changed)))?;
        if changed && (before || plan.transformed) { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
    })?;
    Ok(settled.data)
}

fn subquery(expr: Expr, changed: &mut bool) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarSubquery(mut subquery) if may_be_missing(&subquery.subquery) => {
            subquery.subquery = Arc::new(nullable(subquery.subquery)?);
            *changed = true;
            Ok(Transformed::yes(Expr::ScalarSubquery(subquery)))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn may_be_missing(plan: &LogicalPlan) -> bool {
    plan.schema().fields().iter().any(|field| !field.is_nullable()) && !has_one_row(plan)
}

/// Whether a plan has a row whatever it reads.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row, .. }) => *produce_one_row,
        _ => false,
    }
}

fn nullable(plan: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    let columns = plan.schema().columns().into_iter();
    let columns = columns.map(|column| {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        FUNCTION.call(vec![Expr::Column(column)]).alias_qualified(relation, name)
    });
    Ok(LogicalPlan::Projection(Projection::try_new(columns.collect(), plan)?))
}

static FUNCTION: LazyLock<ScalarUDF> =
    LazyLock::new(|| ScalarUDF::new_from_impl(MayBeNull { signature: Signature::any(1, Volatility::Immutable) }));

/// A value that may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MayBeNull {
    signature: Signature,
}

impl ScalarUDFImpl for MayBeNull {
    fn name(&self) -> &str {
        "plimsoll_nullable"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(args.arg_fields[0].as_ref().clone().with_nullable(true)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.into_iter().next() else { return internal_err!("one argument") };
        Ok(value)
    }
}
