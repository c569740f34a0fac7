//! Parameters take their values: `$1`, `$2`, ...

use crate::error::Result;
use crate::functions::casts;
use crate::types::SqlType;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ParamValues, Result as EngineResult, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Puts parameters in their places. A text that is cast is read by the type's input function: DataFusion's casts read otherwise, and make an
/// array of one element of any text.
pub fn bind(plan: LogicalPlan, parameters: &[ScalarValue]) -> Result<LogicalPlan> {
    if parameters.is_empty() {
        return Ok(plan);
    }
    let plan = match parameters.iter().any(is_text) {
        true => plan.transform_up_with_subqueries(|plan| read_texts(plan, parameters))?.data,
        false => plan,
    };
    let values = parameters.iter().map(|value| ScalarAndMetadata::new(value.clone(), None)).collect();
    Ok(plan.replace_params_with_values(&ParamValues::List(values))?)
}

fn is_text(value: &ScalarValue) -> bool {
    matches!(value, ScalarValue::Utf8(Some(_)) | ScalarValue::Utf8View(Some(_)) | ScalarValue::LargeUtf8(Some(_)))
}

fn read_texts(plan: LogicalPlan, parameters: &[ScalarValue]) -> EngineResult<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let expr = expr.transform_up(|expr| {
            Ok(match text_of(&expr, parameters) {
                Some(call) => Transformed::yes(call),
                None => Transformed::no(expr),
            })
        })?;
        Ok(expr.update_data(|expr| name.restore(expr)))
    })
}

/// The cast of a parameter whose value is a text to something else than text.
fn text_of(expr: &Expr, parameters: &[ScalarValue]) -> Option<Expr> {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return None };
    let Expr::Placeholder(placeholder) = inner.as_ref() else { return None };
    let number: usize = placeholder.id.strip_prefix('$')?.parse().ok()?;
    let value = parameters.get(number.checked_sub(1)?).filter(|value| is_text(value))?;
    let target = SqlType::of_field(field);
    if field.data_type().is_string() {
        return None;
    }
    let text = value.try_as_str().flatten()?;
    Some(casts::call(Expr::Literal(ScalarValue::Utf8View(Some(text.into())), None), &target))
}
