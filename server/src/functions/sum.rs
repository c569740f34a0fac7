//! `sum` of whole numbers and decimals: exact, and an error (22003) where the result does not fit, never a wrapped number.
//!
//! As in PostgreSQL, smallint and integer add up to bigint, bigint and numeric to numeric, real to real. Everything else is DataFusion's own sum. All exact
//! sums are kept in 128 bits; states travel between partitions as Decimal128.

use super::sum_of_reals::{self, is_real};
use crate::error::{SqlError, SqlState};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions_aggregate::sum::Sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

/// Digits of a Decimal128.
const PRECISION_MAX: u8 = 38;

/// The function.
pub fn function() -> Arc<AggregateUDF> {
    static SUM: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(ExactSum { signature, inexact: Sum::new() }))
    });
    Arc::clone(&SUM)
}

/// The type that an argument is summed as.
pub fn argument_type(given: &DataType) -> Result<DataType> {
    use DataType::{Decimal32, Decimal64, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Null, UInt8, UInt16, UInt32, UInt64};
    Ok(match given {
        Int8 | Int16 | Int32 | UInt8 | UInt16 => Int32,
        Int64 | UInt32 | Null => Int64,
        UInt64 => DataType::Decimal128(20, 0),
        Decimal32(precision, scale) | Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        Float16 | Float32 | Float64 => Float64,
        DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Interval(_) | DataType::Duration(_) => given.clone(),
        DataType::Dictionary(_, values) => argument_type(values)?,
        other => return plan_err!("sum does not take {other}"),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExactSum {
    signature: Signature,
    inexact: Sum,
}

/// The scale of exact sums of a type; `None` if its sums are DataFusion's.
fn exact_scale(argument: &DataType) -> Option<i8> {
    match argument {
        DataType::Int32 | DataType::Int64 => Some(0),
        DataType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    }
}

impl AggregateUDFImpl for ExactSum {
    fn name(&self) -> &str {
        "sum"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [DataType::Float32] => Ok(vec![DataType::Float32]),
            [one] => Ok(vec![argument_type(one)?]),
            _ => plan_err!("sum takes one argument"),
        }
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match &arguments[0] {
            DataType::Int32 => Ok(DataType::Int64),
            DataType::Float32 => Ok(DataType::Float32),
            // 19 digits, and as many rows as there can be.
            DataType::Int64 => Ok(DataType::Decimal128(29, 0)),
            _ => self.inexact.return_type(arguments),
        }
    }
    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match exact_scale(args.expr_fields[0].data_type()) {
            Some(_) if args.is_distinct => Ok(Box::new(DistinctTotal { values: HashSet::new(), returns: args.return_type().clone() })),
            Some(_) => Ok(Box::new(Total { value: 0, count: 0, returns: args.return_type().clone() })),
            None if is_real(args.return_type()) => {
                let total = sum_of_reals::as_doubles(args, |args| self.inexact.accumulator(args))?;
                Ok(Box::new(sum_of_reals::Total(total)))
            }
            None => self.inexact.accumulator(args),
        }
    }
    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match exact_scale(args.expr_fields[0].data_type()) {
            Some(_) => self.accumulator(args),
            None if is_real(args.return_type()) => {
                let total = sum_of_reals::as_doubles(args, |args| self.inexact.create_sliding_accumulator(args))?;
                Ok(Box::new(sum_of_reals::Total(total)))
            }
            None => self.inexact.create_sliding_accumulator(args),
        }
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if is_real(args.return_type()) {
            return sum_of_reals::states(args, |args| self.inexact.state_fields(args));
        }
        let Some(scale) = exact_scale(args.input_fields[0].data_type()) else { return self.inexact.state_fields(args) };
        let state = DataType::Decimal128(PRECISION_MAX, scale);
        Ok(vec![Arc::new(match args.is_distinct {
            true => Field::new_list(format_state_name(args.name, "sum distinct"), Field::new_list_field(state, true), false),
            false => Field::new(format_state_name(args.name, "sum"), state, true),
        })])
    }
    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }
    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match exact_scale(args.expr_fields[0].data_type()) {
            Some(_) => Ok(Box::new(GroupTotals { values: Vec::new(), seen: Vec::new(), returns: args.return_type().clone() })),
            None if is_real(args.return_type()) => {
                let totals = sum_of_reals::as_doubles(args, |args| self.inexact.create_groups_accumulator(args))?;
                Ok(Box::new(sum_of_reals::GroupTotals(totals)))
            }
            None => self.inexact.create_groups_accumulator(args),
        }
    }
    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn out_of_range(returns: &DataType) -> SqlError {
    let message = if *returns == DataType::Int64 { "bigint out of range" } else { "value overflows numeric format" };
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

/// Calls a closure for each value that is not NULL, with its row.
fn each(values: &ArrayRef, mut take: impl FnMut(usize, i128)) -> Result<()> {
    macro_rules! rows {
        ($array:expr) => {{
            let array = $array;
            match array.nulls().filter(|nulls| nulls.null_count() > 0) {
                None => array.values().iter().enumerate().for_each(|(row, value)| take(row, i128::from(*value))),
                Some(nulls) => nulls.valid_indices().for_each(|row| take(row, i128::from(array.value(row)))),
            }
        }};
    }
    match values.data_type() {
        DataType::Int32 => rows!(values.as_primitive::<Int32Type>()),
        DataType::Int64 => rows!(values.as_primitive::<Int64Type>()),
        DataType::Decimal128(..) => rows!(values.as_primitive::<Decimal128Type>()),
        DataType::Null => {}
        other => return exec_err!("sum was given {other}"),
    }
    Ok(())
}

/// A sum as it is handed out: of at most 38 digits, or a bigint.
fn finished(value: i128, returns: &DataType) -> Result<ScalarValue> {
    let fits = value.unsigned_abs() < 10u128.pow(u32::from(PRECISION_MAX));
    match returns {
        DataType::Int64 => Ok(ScalarValue::Int64(Some(i64::try_from(value).map_err(|_| out_of_range(returns))?))),
        DataType::Decimal128(precision, scale) if fits => Ok(ScalarValue::Decimal128(Some(value), *precision, *scale)),
        _ => Err(out_of_range(returns).into()),
    }
}

fn scale_of(returns: &DataType) -> i8 {
    exact_scale(returns).unwrap_or(0)
}

/// One sum.
#[derive(Debug)]
struct Total {
    value: i128,
    count: u64,
    returns: DataType,
}

impl Total {
    fn change(&mut self, values: &ArrayRef, operate: fn(i128, i128) -> (i128, bool)) -> Result<()> {
        let (mut total, mut overflowed) = (self.value, false);
        each(values, |_, value| {
            let (next, over) = operate(total, value);
            (total, overflowed) = (next, overflowed | over);
        })?;
        self.value = total;
        if overflowed { Err(out_of_range(&self.returns).into()) } else { Ok(()) }
    }
}

fn valid(values: &ArrayRef) -> u64 {
    (values.len() - values.logical_null_count()) as u64
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count += valid(&values[0]);
        self.change(&values[0], i128::overflowing_add)
    }
    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.count -= valid(&values[0]);
        self.change(&values[0], i128::overflowing_sub)
    }
    fn supports_retract_batch(&self) -> bool {
        true
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 { ScalarValue::try_from(&self.returns) } else { finished(self.value, &self.returns) }
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Decimal128((self.count > 0).then_some(self.value), PRECISION_MAX, scale_of(&self.returns))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// A sum of values of which each counts once.
#[derive(Debug)]
struct DistinctTotal {
    values: HashSet<i128>,
    returns: DataType,
}

impl Accumulator for DistinctTotal {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each(&values[0], |_, value| {
            self.values.insert(value);
        })
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values.is_empty() {
            return ScalarValue::try_from(&self.returns);
        }
        let total = self.values.iter().try_fold(0i128, |total, value| total.checked_add(*value));
        finished(total.ok_or_else(|| out_of_range(&self.returns))?, &self.returns)
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = Decimal128Array::from_iter_values(self.values.iter().copied());
        let values = values.with_data_type(DataType::Decimal128(PRECISION_MAX, scale_of(&self.returns)));
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let list = ListArray::new(field, OffsetBuffer::from_lengths([values.len()]), Arc::new(values), None);
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states[0].as_list::<i32>().iter().flatten().try_for_each(|values| self.update_batch(&[values]))
    }
    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<i128>()
    }
}

/// A sum for each group.
#[derive(Debug)]
struct GroupTotals {
    values: Vec<i128>,
    seen: Vec<bool>,
    returns: DataType,
}

impl GroupTotals {
    fn add(&mut self, values: &ArrayRef, groups: &[usize], filter: Option<&BooleanArray>, count: usize) -> Result<()> {
        self.values.resize(count, 0);
        self.seen.resize(count, false);
        let (totals, seen) = (&mut self.values, &mut self.seen);
        let mut overflowed = false;
        let mut take = |group: usize, value: i128| {
            let (next, over) = totals[group].overflowing_add(value);
            (totals[group], seen[group]) = (next, true);
            overflowed |= over;
        };
        match filter {
            None => each(values, |row, value| take(groups[row], value))?,
            Some(filter) => each(values, |row, value| {
                if filter.is_valid(row) && filter.value(row) {
                    take(groups[row], value);
                }
            })?,
        }
        if overflowed { Err(out_of_range(&self.returns).into()) } else { Ok(()) }
    }

    fn take(&mut self, emit: EmitTo) -> (Vec<i128>, NullBuffer) {
        (emit.take_needed(&mut self.values), NullBuffer::from(emit.take_needed(&mut self.seen)))
    }

    fn state_type(&self) -> DataType {
        DataType::Decimal128(PRECISION_MAX, scale_of(&self.returns))
    }
}

impl GroupsAccumulator for GroupTotals {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, count: usize) -> Result<()> {
        self.add(&values[0], groups, filter, count)
    }
    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.add(&states[0], groups, None, count)
    }
    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let (values, nulls) = self.take(emit);
        if self.returns == DataType::Int64 {
            let narrow = values.into_iter().map(|value| i64::try_from(value).map_err(|_| out_of_range(&DataType::Int64)));
            let narrow = narrow.collect::<std::result::Result<Vec<_>, _>>()?;
            return Ok(Arc::new(Int64Array::new(narrow.into(), Some(nulls))));
        }
        let bound = 10u128.pow(u32::from(PRECISION_MAX));
        if values.iter().any(|value| value.unsigned_abs() >= bound) {
            return Err(out_of_range(&self.returns).into());
        }
        Ok(Arc::new(Decimal128Array::new(values.into(), Some(nulls)).with_data_type(self.returns.clone())))
    }
    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let (values, nulls) = self.take(emit);
        Ok(vec![Arc::new(Decimal128Array::new(values.into(), Some(nulls)).with_data_type(self.state_type()))])
    }
    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut states = vec![None; values[0].len()];
        each(&values[0], |row, value| {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                states[row] = Some(value);
            }
        })?;
        Ok(vec![Arc::new(states.into_iter().collect::<Decimal128Array>().with_data_type(self.state_type()))])
    }
    fn size(&self) -> usize {
        self.values.capacity() * size_of::<i128>() + self.seen.capacity()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn groups(returns: DataType) -> GroupTotals {
        GroupTotals { values: Vec::new(), seen: Vec::new(), returns }
    }

    #[test]
    fn bigints_add_up_beyond_bigint() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(i64::MAX), None]));
        let mut sums = groups(DataType::Decimal128(29, 0));
        sums.update_batch(&[values], &[0, 0, 1], None, 2).unwrap();
        let result = sums.evaluate(EmitTo::All).unwrap();
        let result = result.as_primitive::<Decimal128Type>();
        assert_eq!((result.value(0), result.is_null(1)), (i128::from(i64::MAX) * 2, true));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let huge: ArrayRef = Arc::new(Decimal128Array::from(vec![i128::MAX, i128::MAX]));
        assert!(groups(DataType::Decimal128(38, 0)).update_batch(&[Arc::clone(&huge)], &[0, 0], None, 1).is_err());
        let mut apart = groups(DataType::Decimal128(38, 0));
        apart.update_batch(&[huge], &[0, 1], None, 2).unwrap();
        assert!(apart.evaluate(EmitTo::All).is_err(), "more than 38 digits");
    }

    #[test]
    fn a_window_slides_and_distinct_values_count_once() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), Some(5), None]));
        let mut total = Total { value: 0, count: 0, returns: DataType::Decimal128(29, 0) };
        total.update_batch(&[Arc::clone(&values)]).unwrap();
        assert_eq!(total.evaluate().unwrap(), ScalarValue::Decimal128(Some(10), 29, 0));
        total.retract_batch(&[Arc::clone(&values)]).unwrap();
        assert!(total.evaluate().unwrap().is_null());
        let mut distinct = DistinctTotal { values: HashSet::new(), returns: DataType::Int64 };
        distinct.update_batch(&[values]).unwrap();
        let states: Vec<ArrayRef> = distinct.state().unwrap().iter().map(|state| state.to_array().unwrap()).collect();
        distinct.merge_batch(&states).unwrap();
        assert_eq!(distinct.evaluate().unwrap(), ScalarValue::Int64(Some(5)));
    }
}
