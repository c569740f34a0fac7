//! The types that clients are told of are those that rows come in: UNION's and WITH RECURSIVE's branches agree before a plan is described.

use crate::error::{SqlError, SqlState};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, RecursiveQuery, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Union, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes branches agree, and tells everybody above.
pub fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut changed = false;
    let settled = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Union(union) if differs(&union) => {
            refuse_mixtures(&union)?;
            changed = true;
            Ok(Transformed::yes(TypeCoercion::new().analyze(LogicalPlan::Union(union), &ConfigOptions::default())?))
        }
        LogicalPlan::RecursiveQuery(query) if labels_differ(&query) => Ok(Transformed::yes(labelled(query)?)),
        other if changed => other.recompute_schema().map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(settled.data)
}

fn differs(union: &Union) -> bool {
    let types = |plan: &Arc<LogicalPlan>| plan.schema().fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
    union.inputs.windows(2).any(|pair| types(&pair[0]) != types(&pair[1]))
}

/// Text and something else have no common type, unless the text is a literal.
fn refuse_mixtures(union: &Union) -> Result<()> {
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    let first = union.inputs[0].schema();
    for input in &union.inputs[1..] {
        for (at, (left, right)) in first.fields().iter().zip(input.schema().fields()).enumerate() {
            let (l, r) = (left.data_type(), right.data_type());
            let mixed = text(l) != text(r) && !l.is_null() && !r.is_null();
            let literal = is_literal(&union.inputs[0], at) || is_literal(input, at);
            if mixed && literal && (l.is_numeric() || r.is_numeric()) {
                return Err(
                    SqlError::new(SqlState("22P02"), "invalid input syntax: a number and a text literal have no common type").into()
                );
            }
            let number_and_time = (l.is_temporal() && r.is_numeric()) || (l.is_numeric() && r.is_temporal());
            if number_and_time || (mixed && !literal) {
                return Err(SqlError::new(
                    SqlState("42804"),
                    format!("UNION types {} and {} cannot be matched", shown(left), shown(right)),
                )
                .into());
            }
        }
    }
    Ok(())
}

fn shown(field: &Field) -> String {
    crate::types::SqlType::of_field(field).name()
}

fn is_literal(plan: &LogicalPlan, at: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            projection.expr.get(at).is_some_and(|expr| matches!(expr.clone().unalias(), Expr::Literal(..)))
        }
        LogicalPlan::Values(_) => true,
        _ => false,
    }
}

type Labels = BTreeMap<String, String>;

fn labels(field: &Field) -> Labels {
    field.metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn labels_differ(query: &RecursiveQuery) -> bool {
    let (first, next) = (query.static_term.schema().fields(), query.recursive_term.schema().fields());
    first.iter().zip(next).any(|(first, next)| labels(first) != labels(next))
}

/// Declared types travel as labels of fields, which both terms must share.
fn labelled(mut query: RecursiveQuery) -> Result<LogicalPlan> {
    let fields = query.static_term.schema().fields().clone();
    let columns = query.recursive_term.schema().columns();
    let items = columns.into_iter().zip(&fields).map(|(column, field)| {
        let name = column.name.clone();
        let label = Label { labels: labels(field), signature: Signature::any(1, Volatility::Volatile) };
        ScalarUDF::new_from_impl(label).call(vec![Expr::Column(column)]).alias(name)
    });
    let items = items.collect::<Vec<_>>();
    query.recursive_term = Arc::new(LogicalPlanBuilder::from(query.recursive_term.as_ref().clone()).project(items)?.build()?);
    Ok(LogicalPlan::RecursiveQuery(query))
}

/// The same value in a field with other labels. Volatile, so that it is not taken for its argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Label {
    labels: Labels,
    signature: Signature,
}

impl ScalarUDFImpl for Label {
    fn name(&self) -> &str {
        "labelled"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = &args.arg_fields[0];
        let labels = self.labels.clone().into_iter().collect();
        Ok(Arc::new(Field::new(field.name(), field.data_type().clone(), field.is_nullable()).with_metadata(labels)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().ok_or_else(|| datafusion::error::DataFusionError::Internal("a label is put on one value".into()))
    }
}
