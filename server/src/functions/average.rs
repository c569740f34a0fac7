//! `avg`: of whole numbers and decimals it is numeric, of intervals an interval. Those are computed as `sum / count`, which
//! `query/averages.rs` puts in its place; averages of floats are DataFusion's.

use super::{quotient, sum};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::functions_aggregate::average::Avg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility};
use std::sync::{Arc, LazyLock};

/// The function.
pub fn function() -> Arc<AggregateUDF> {
    static AVERAGE: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(Average { signature, inexact: Avg::new() }))
    });
    Arc::clone(&AVERAGE)
}

/// Whether averages of a type are quotients of a sum and a count.
pub fn is_quotient(argument: &DataType) -> bool {
    quotient::digits(argument).is_some() || matches!(argument, DataType::Interval(_))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Average {
    signature: Signature,
    inexact: Avg,
}

impl Average {
    fn inexact(&self, argument: &DataType) -> Result<&Avg> {
        if is_quotient(argument) { internal_err!("an average of {argument} was not resolved") } else { Ok(&self.inexact) }
    }
}

/// The other name of the function that this one replaces: registered under both, or the library's could come back under the one and win
/// under the other.
static ALIASES: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| vec!["mean".to_string()]);

impl AggregateUDFImpl for Average {
    fn name(&self) -> &str {
        "avg"
    }
    fn aliases(&self) -> &[String] {
        &ALIASES
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [one] => Ok(vec![sum::argument_type(one)?]),
            _ => plan_err!("avg takes one argument"),
        }
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let argument = &arguments[0];
        if matches!(argument, DataType::Interval(_)) {
            return Ok(argument.clone());
        }
        if quotient::digits(argument).is_none() {
            return self.inexact.return_type(arguments);
        }
        let total = sum::function().return_type(arguments)?;
        match (quotient::digits(&total), quotient::digits(&DataType::Int64)) {
            (Some(total), Some(count)) => Ok(quotient::quotient_type(total, count)),
            _ => internal_err!("a sum of {argument} is exact"),
        }
    }
    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inexact(args.expr_fields[0].data_type())?.accumulator(args)
    }
    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inexact(args.expr_fields[0].data_type())?.create_sliding_accumulator(args)
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inexact(args.input_fields[0].data_type())?.state_fields(args)
    }
    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inexact.groups_accumulator_supported(args)
    }
    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inexact(args.expr_fields[0].data_type())?.create_groups_accumulator(args)
    }
    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}
