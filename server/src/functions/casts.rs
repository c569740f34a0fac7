//! The function behind `CAST(x AS t)` and `x::t`; see `query/casts.rs` for how a cast becomes a call of it.

use super::long_names;
use crate::ingest::assignment::{assign_values, check_assignment};
use crate::types::SqlType;
use crate::types::convert::{cannot_cast, castable, convert, result_type};
use crate::types::forms::ValueForms;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::{Arc, LazyLock};

/// The name that a rewritten cast calls. No client writes it.
pub const NAME: &str = "plimsoll_cast";

static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Cast { signature: Signature::any(2, Volatility::Immutable) })));

/// The function.
pub fn function() -> Arc<ScalarUDF> {
    Arc::clone(&FUNCTION)
}

/// Whether a call of it is one to a type with digits or a length of its own: `x::numeric(10,2)`.
pub fn modified_target(call: &ScalarFunction) -> bool {
    let name = call.args.get(1).and_then(|target| match target {
        Expr::Literal(ScalarValue::Utf8(name), _) => name.as_deref(),
        _ => None,
    });
    // A literal is cast to the digits that it has.
    let is_literal = matches!(call.args.first(), Some(Expr::Literal(..)));
    call.func == *FUNCTION && !is_literal && name.is_some_and(|name| name.ends_with(')'))
}

/// A call of it.
pub fn call(value: Expr, target: &SqlType) -> Expr {
    let target = match &value {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => result_type(&SqlType::Text, target, Some(text)),
        _ => target.clone(),
    };
    let name = Expr::Literal(ScalarValue::Utf8(Some(target.name())), None);
    function().call(vec![value, name])
}

/// A field that names its type only where the Arrow type does not say it, so that it can stand beside fields that say nothing.
fn result_field(sql_type: &SqlType) -> FieldRef {
    match SqlType::of_arrow(&sql_type.arrow()) == *sql_type {
        true => Arc::new(Field::new("cast", sql_type.arrow(), true)),
        false => Arc::new(sql_type.field("cast", true)),
    }
}

/// The name that a value of an INSERT calls: an assignment cast.
pub const ASSIGN: &str = "plimsoll_assign";

static ASSIGNMENT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Assignment { signature: Signature::any(3, Volatility::Immutable) })));

/// The function of assignment casts: a value, the type and the name of its column.
pub fn assignment() -> Arc<ScalarUDF> {
    Arc::clone(&ASSIGNMENT)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Assignment {
    signature: Signature,
}

impl ScalarUDFImpl for Assignment {
    fn name(&self) -> &str {
        ASSIGN
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of an assignment is its column's")
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let given = |index: usize| literal(args.scalar_arguments.get(index).and_then(Option::as_ref));
        let (Some(target), Some(name)) = (given(1), given(2)) else { return internal_err!("an assignment names its column by literals") };
        let target = SqlType::parse(target)?;
        // A literal has no type until it is assigned.
        let untyped = *args.arg_fields[0].data_type() == DataType::Utf8 && args.scalar_arguments[0].is_some();
        if !untyped {
            check_assignment(name, &target, &args.arg_fields[0])?;
        }
        Ok(result_field(&target))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (ColumnarValue::Scalar(target), ColumnarValue::Scalar(name)) = (&args.args[1], &args.args[2]) else {
            return internal_err!("an assignment names its column by literals");
        };
        let target = SqlType::parse(literal(Some(&target)).unwrap_or_default())?;
        let forms = ValueForms::of_options(&args.config_options);
        let name = literal(Some(&name)).unwrap_or_default();
        let assign = |values: &ArrayRef| assign_values(name, &target, values, &args.arg_fields[0], true, forms);
        Ok(match &args.args[0] {
            ColumnarValue::Array(values) => ColumnarValue::Array(assign(values)?),
            ColumnarValue::Scalar(value) => ColumnarValue::Scalar(ScalarValue::try_from_array(&assign(&value.to_array()?)?, 0)?),
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cast {
    signature: Signature,
}

fn literal<'a>(value: Option<&&'a ScalarValue>) -> Option<&'a str> {
    value.and_then(|value| value.try_as_str().flatten())
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        NAME
    }
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        long_names::schema_name(NAME, arguments)
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a cast depends on its arguments")
    }
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(target) = literal(args.scalar_arguments.get(1).and_then(Option::as_ref)) else {
            return exec_err!("a cast names its type by a literal");
        };
        let target = SqlType::parse(target)?;
        let field = &args.arg_fields[0];
        if *field.data_type() == DataType::Null {
            return Ok(result_field(&target));
        }
        let from = SqlType::of_field(field);
        if !castable(&from, &target) {
            return Err(cannot_cast(&from, &target).into());
        }
        // A literal's own type is in the name already: what an expression turns out to be must not change its type.
        Ok(result_field(&result_type(&from, &target, None)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let from = SqlType::of_field(&args.arg_fields[0]);
        let to = SqlType::of_field(&args.return_field);
        let forms = ValueForms::of_options(&args.config_options);
        match &args.args[0] {
            ColumnarValue::Array(values) => Ok(ColumnarValue::Array(convert(values, &from, &to, forms)?)),
            ColumnarValue::Scalar(value) => {
                let converted = convert(&value.to_array()?, &from, &to, forms)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&converted, 0)?))
            }
        }
    }
}
