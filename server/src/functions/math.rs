//! Functions of numbers: PostgreSQL's names for what DataFusion calls otherwise, and the errors of logarithms and roots.

use super::scalar::Function;
use crate::error::{SqlError, SqlState};
use arrow::array::AsArray;
use arrow::compute::kernels::numeric::rem;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;
use std::sync::{Arc, LazyLock};

/// Scalar functions.
pub fn functions() -> Vec<ScalarUDF> {
    let modulo = ScalarUDF::new_from_impl(Modulo { signature: Signature::user_defined(Volatility::Immutable) });
    vec![logarithm_argument().as_ref().clone(), modulo]
}

/// Aggregates.
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    let renamed = [("bool_and", &["every"][..])];
    let known = datafusion::functions_aggregate::all_default_aggregate_functions();
    let alias = |(old, new): (&str, &'static [&'static str])| {
        let found = known.iter().find(|function| function.name() == old)?;
        Some(super::sliding::aggregate(Arc::new(found.as_ref().clone().with_aliases(new.iter().copied()))))
    };
    let exact = [super::sum::function(), super::average::function(), super::array_agg::function()];
    renamed.into_iter().filter_map(alias).chain(exact).chain(super::dispersion::functions()).collect()
}

/// What a logarithm is taken of, checked (2201E).
pub fn logarithm_argument() -> Arc<ScalarUDF> {
    static CHECK: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        checked("logarithm_argument", |value| match value {
            0.0 => Some(SqlError::new(SqlState("2201E"), "cannot take logarithm of zero")),
            value if value < 0.0 => Some(SqlError::new(SqlState("2201E"), "cannot take logarithm of a negative number")),
            _ => None,
        })
    });
    Arc::clone(&CHECK)
}

/// A function that passes on a float, or fails.
fn checked(name: &'static str, refusal: impl Fn(f64) -> Option<SqlError> + Send + Sync + 'static) -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
    Arc::new(Function::of_columns(name, signature, DataType::Float64, move |args| {
        let array = args.args[0].to_array(1)?;
        match array.as_primitive::<Float64Type>().iter().flatten().find_map(&refusal) {
            Some(error) => Err(error.into()),
            None => Ok(args.args[0].clone()),
        }
    }))
}

/// `mod(a, b)` is `a % b`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Modulo {
    signature: Signature,
}

impl ScalarUDFImpl for Modulo {
    fn name(&self) -> &str {
        "mod"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = arguments else { return Err(datafusion::error::DataFusionError::Plan("mod takes two numbers".into())) };
        if left.is_floating() || right.is_floating() {
            let shown = |data_type: &DataType| crate::types::convert::without_modifiers(&crate::types::SqlType::of_arrow(data_type));
            return Err(SqlError::undefined_function(&format!("mod({}, {})", shown(left), shown(right))).into());
        }
        let (left, right) = BinaryTypeCoercer::new(left, &Operator::Modulo, right).get_input_types()?;
        Ok(vec![left, right])
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        BinaryTypeCoercer::new(&arguments[0], &Operator::Modulo, &arguments[1]).get_result_type()
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        apply(&args.args[0], &args.args[1], rem)
    }
}
