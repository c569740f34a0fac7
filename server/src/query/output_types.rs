//! The types that clients are told of are those that rows come in: UNION's and WITH RECURSIVE's branches agree before a plan is described.

use super::common_types::{self, Given};
use crate::error::{SqlError, SqlState};
use crate::functions::casts;
use crate::types::SqlType;
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
            let union = in_common(union)?;
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

/// Floats beside decimals, and literals beside anything but texts: what DataFusion would make something else of.
fn in_common(mut union: Union) -> Result<Union> {
    let columns = union.inputs[0].schema().fields().len();
    let given: Vec<Vec<Given>> = union.inputs.iter().map(|input| (0..columns).map(|at| of_column(input, at)).collect()).collect();
    let mut targets: Vec<Option<SqlType>> = Vec::with_capacity(columns);
    for at in 0..columns {
        let column: Vec<Given> = given.iter().map(|given| given[at].clone()).collect();
        targets.push(common_types::compared("UNION", &column)?);
    }
    if targets.iter().all(Option::is_none) {
        return Ok(union);
    }
    for (input, given) in union.inputs.iter_mut().zip(&given) {
        let items = input.schema().columns().into_iter().zip(given).zip(&targets).map(|((column, given), target)| {
            let name = (column.relation.clone(), column.name.clone());
            Ok(match (given, target) {
                (_, None) | (Given::Null, _) => Expr::Column(column),
                (Given::Unknown(_), Some(target)) => casts::call(Expr::Column(column), target).alias_qualified(name.0, name.1),
                (given, Some(target)) => common_types::converted(Expr::Column(column), given, target)?.alias_qualified(name.0, name.1),
            })
        });
        let items = items.collect::<Result<Vec<_>>>()?;
        *input = Arc::new(LogicalPlanBuilder::from(input.as_ref().clone()).project(items)?.build()?);
    }
    Union::try_new_with_loose_types(union.inputs)
}

/// What a branch's column is: the expression behind it, where it is a projection's.
fn of_column(input: &LogicalPlan, at: usize) -> Given {
    match input {
        LogicalPlan::Projection(projection) => match projection.expr.get(at) {
            Some(expr) => Given::of(&expr.clone().unalias(), projection.input.schema()),
            None => Given::Unclear,
        },
        other => Given::of(&Expr::Column(other.schema().columns()[at].clone()), other.schema()),
    }
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
                return Err(no_number(&union.inputs, at, if text(l) { right } else { left }).into());
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

/// A literal that is no number, or a text that is typed as one.
fn no_number(inputs: &[Arc<LogicalPlan>], at: usize, number: &Field) -> SqlError {
    let literal = inputs.iter().find_map(|input| match of_column(input, at) {
        Given::Unknown(text) => Some(text),
        _ => None,
    });
    match literal {
        Some(literal) => SqlError::new(SqlState("22P02"), format!("invalid input syntax for type {}: \"{literal}\"", shown(number))),
        None => SqlError::new(SqlState::DATATYPE_MISMATCH, format!("UNION types {} and text cannot be matched", shown(number))),
    }
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
