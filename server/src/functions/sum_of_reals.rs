//! `sum(real)` is a real, as in PostgreSQL. It is added up in double precision and rounded once, so that it does not depend on the order of rows.

use crate::error::{SqlError, SqlState};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Float32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use std::sync::Arc;

/// Whether a sum has this result.
pub fn is_real(returns: &DataType) -> bool {
    *returns == DataType::Float32
}

fn double() -> FieldRef {
    Arc::new(Field::new("double", DataType::Float64, true))
}

/// What the sum of doubles is made with, for arguments of a sum of reals.
pub fn as_doubles<T>(args: AccumulatorArgs<'_>, make: impl FnOnce(AccumulatorArgs<'_>) -> Result<T>) -> Result<T> {
    make(AccumulatorArgs { return_field: double(), expr_fields: &[double()], ..args })
}

/// The same of the fields of its states.
pub fn states(args: StateFieldsArgs<'_>, make: impl FnOnce(StateFieldsArgs<'_>) -> Result<Vec<FieldRef>>) -> Result<Vec<FieldRef>> {
    make(StateFieldsArgs { return_field: double(), input_fields: &[double()], ..args })
}

fn doubles(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    values.iter().map(|values| Ok(cast(values, &DataType::Float64)?)).collect()
}

fn real(total: f64) -> Result<f32> {
    let rounded = total as f32;
    match total.is_finite() && rounded.is_infinite() {
        true => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow").into()),
        false => Ok(rounded),
    }
}

/// One sum.
#[derive(Debug)]
pub struct Total(pub Box<dyn Accumulator>);

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&doubles(values)?)
    }
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&doubles(values)?)
    }
    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.0.evaluate()? {
            ScalarValue::Float64(total) => Ok(ScalarValue::Float32(total.map(real).transpose()?)),
            other => internal_err!("a sum of doubles is no {other:?}"),
        }
    }
    fn size(&self) -> usize {
        self.0.size()
    }
}

/// Sums of groups.
pub struct GroupTotals(pub Box<dyn GroupsAccumulator>);

impl GroupsAccumulator for GroupTotals {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, count: usize) -> Result<()> {
        self.0.update_batch(&doubles(values)?, groups, filter, count)
    }
    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.0.merge_batch(states, groups, count)
    }
    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }
    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let totals = self.0.evaluate(emit_to)?;
        let totals = totals.as_primitive::<Float64Type>();
        let reals = totals.iter().map(|total| total.map(real).transpose()).collect::<Result<Float32Array>>()?;
        Ok(Arc::new(reals))
    }
    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&doubles(values)?, filter)
    }
    fn size(&self) -> usize {
        self.0.size()
    }
}
