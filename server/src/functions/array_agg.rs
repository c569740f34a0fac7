//! `array_agg`, whose result knows the SQL type of its elements: DataFusion's forgets what Arrow cannot say, `oid[]` and `json[]` for instance.

use crate::types::SqlType;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature};
use std::sync::Arc;

/// The function.
pub fn function() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(ArrayAgg { inner: array_agg_udaf().as_ref().clone() }))
}

/// DataFusion's, but for the type of the result.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayAgg {
    inner: AggregateUDF,
}

impl ArrayAgg {
    fn inner(&self) -> &dyn AggregateUDFImpl {
        self.inner.inner().as_ref()
    }
}

impl AggregateUDFImpl for ArrayAgg {
    fn name(&self) -> &str {
        self.inner().name()
    }
    fn signature(&self) -> &Signature {
        self.inner().signature()
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner().return_type(arguments)
    }
    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let plain = self.inner().return_field(arguments)?;
        let Some(argument) = arguments.first() else { return Ok(plain) };
        let declared = SqlType::Array(Box::new(SqlType::of_field(argument)));
        if SqlType::of_field(&plain) == declared {
            return Ok(plain);
        }
        let metadata = declared.field(plain.name(), true).metadata().clone();
        Ok(Arc::new(plain.as_ref().clone().with_metadata(metadata)))
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner().state_fields(args)
    }
    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner().accumulator(args)
    }
    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner().create_sliding_accumulator(args)
    }
    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner().groups_accumulator_supported(args)
    }
    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner().create_groups_accumulator(args)
    }
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner().order_sensitivity()
    }
    fn with_beneficial_ordering(self: Arc<Self>, beneficial: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = Arc::clone(self.inner.inner()).with_beneficial_ordering(beneficial)?;
        Ok(inner.map(|inner| Arc::new(Self { inner: AggregateUDF::new_from_shared_impl(inner) }) as Arc<dyn AggregateUDFImpl>))
    }
    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner().reverse_expr() {
            ReversedUDAF::Reversed(inner) => {
                ReversedUDAF::Reversed(Arc::new(AggregateUDF::new_from_impl(Self { inner: inner.as_ref().clone() })))
            }
            other => other,
        }
    }
    fn supports_null_handling_clause(&self) -> bool {
        self.inner().supports_null_handling_clause()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_elements_keep_their_type() {
        let of = |sql_type: SqlType| {
            let argument = Arc::new(sql_type.field("a", true));
            SqlType::of_field(&function().return_field(&[argument]).unwrap()).name()
        };
        assert_eq!((of(SqlType::Oid), of(SqlType::Json), of(SqlType::Int4)), ("oid[]".into(), "json[]".into(), "integer[]".into()));
    }
}
