//! How far values lie apart, and how two columns go together: `variance`, `stddev`, `corr`, `covar_*`, `regr_*`.
//!
//! As in PostgreSQL, whole numbers and numerics give exact numerics ([`exact`]), floats go by Youngs and Cramer's method ([`inexact`]),
//! and so do all pairs ([`pairs`]). What they share, from rows to groups, windows and DISTINCT, is in [`summary`].

mod exact;
mod inexact;
mod pairs;
mod summary;

use super::{quotient, sum};
use crate::types::DIGITS_KEY;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility};
use exact::Powers;
use inexact::Deviations;
use std::sync::Arc;
use summary::Frame;

/// All of them. Their other names are the library's: what it has under those must not come back.
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    let one = |name, aliases: &[&str], measure| {
        let aliases = aliases.iter().map(ToString::to_string).collect();
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(Dispersion { name, aliases, measure, signature }))
    };
    let measure = |sample, root| Measure { sample, root };
    let singles = [
        one("var_samp", &["variance", "var", "var_sample"], measure(true, false)),
        one("var_pop", &["var_population"], measure(false, false)),
        one("stddev_samp", &["stddev"], measure(true, true)),
        one("stddev_pop", &[], measure(false, true)),
    ];
    singles.into_iter().chain(pairs::functions()).collect()
}

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Measure {
    /// Of a sample: divided by one row less.
    sample: bool,
    /// The square root of the variance.
    root: bool,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Dispersion {
    name: &'static str,
    aliases: Vec<String>,
    measure: Measure,
    signature: Signature,
}

/// Precision and scale of an argument whose results are exact.
fn exact_digits(argument: &DataType) -> Option<(u8, i8)> {
    quotient::digits(argument)
}

impl Dispersion {
    fn exact(&self, argument: &DataType, returns: &DataType) -> Option<Frame<Powers>> {
        let digits = exact_digits(argument)?;
        let (measure, returns) = (self.measure, returns.clone());
        Some(Frame::new(Arc::new(move |all: &[Powers]| exact::finish(all, measure, digits, &returns))))
    }
    fn inexact(&self) -> Frame<Deviations> {
        let measure = self.measure;
        Frame::new(Arc::new(move |all: &[Deviations]| Ok(inexact::finish(all, measure))))
    }
}

impl AggregateUDFImpl for Dispersion {
    fn name(&self) -> &str {
        self.name
    }
    fn aliases(&self) -> &[String] {
        &self.aliases
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [DataType::Interval(_) | DataType::Duration(_)] => plan_err!("{} does not take intervals", self.name),
            [DataType::Decimal256(..)] => Ok(vec![DataType::Float64]),
            [one] => Ok(vec![sum::argument_type(one)?]),
            _ => plan_err!("{} takes one argument", self.name),
        }
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(exact_digits(&arguments[0]).map_or(DataType::Float64, |digits| exact::result_type(digits, self.measure)))
    }
    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let returns = self.return_type(&[arguments[0].data_type().clone()])?;
        let shown = if self.measure.root { "deviation" } else { "variance" };
        let field = Field::new(self.name, returns, true);
        Ok(Arc::new(field.with_metadata([(DIGITS_KEY.to_string(), shown.to_string())].into())))
    }
    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match self.exact(args.expr_fields[0].data_type(), args.return_type()) {
            Some(frame) => Ok(frame.accumulator(args.is_distinct)),
            None => Ok(self.inexact().accumulator(args.is_distinct)),
        }
    }
    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match self.exact(args.expr_fields[0].data_type(), args.return_type()) {
            Some(frame) => Ok(frame.sliding()),
            None => Ok(self.inexact().sliding()),
        }
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(match exact_digits(args.input_fields[0].data_type()) {
            Some(_) => summary::state_fields::<Powers>(&args),
            None => summary::state_fields::<Deviations>(&args),
        })
    }
    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }
    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match self.exact(args.expr_fields[0].data_type(), args.return_type()) {
            Some(frame) => Ok(frame.groups()),
            None => Ok(self.inexact().groups()),
        }
    }
    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}
