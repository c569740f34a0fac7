//! Whole numbers and numerics: sums of values and of their squares, without a loss.
//!
//! Variance is `(n Σx² - (Σx)²) / (n (n - 1))`, rounded where PostgreSQL rounds it; the deviation is the square root of that.

use super::Measure;
use super::summary::Summary;
use crate::error::{SqlError, SqlState};
use crate::functions::quotient::{Number, needed, rounded};
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, UInt64Array};
use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Int32Type, Int64Type, UInt64Type, i256};
use datafusion::common::{Result, exec_err};
use std::sync::Arc;

/// Digits of a Decimal128.
const PRECISION_MAX: i32 = 38;
/// Digits after the point: what PostgreSQL shows at least, and what it shows of the smallest.
const SCALES: (i32, i32) = (16, 20);

/// Count, sum, and sum of squares, of the digits without their point.
#[derive(Clone, Debug, Default)]
pub(super) struct Powers {
    count: u64,
    sum: i128,
    squares: i256,
    overflowed: bool,
}

impl Powers {
    fn change(&mut self, value: i128, sum: Option<i128>, squares: fn(i256, i256) -> Option<i256>) {
        let square = match value.checked_mul(value) {
            Some(square) => Some(i256::from_i128(square)),
            None => i256::from_i128(value).checked_mul(i256::from_i128(value)),
        };
        match (sum, square.and_then(|square| squares(self.squares, square))) {
            (Some(sum), Some(squares)) => (self.sum, self.squares) = (sum, squares),
            _ => self.overflowed = true,
        }
    }
}

impl Summary for Powers {
    type Row = i128;
    const RETRACTS: bool = true;
    const STATES: &'static [(&'static str, DataType)] = &[
        ("count", DataType::UInt64),
        ("sum", DataType::Decimal128(38, 0)),
        ("squares", DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0)),
    ];
    const ROW_TYPE: DataType = DataType::Decimal128(38, 0);

    fn rows(columns: &[ArrayRef], mut take: impl FnMut(usize, i128)) -> Result<()> {
        macro_rules! rows {
            ($array:expr) => {
                $array.iter().enumerate().filter_map(|(row, value)| Some((row, value?))).for_each(|(row, value)| take(row, value.into()))
            };
        }
        match columns[0].data_type() {
            DataType::Int32 => rows!(columns[0].as_primitive::<Int32Type>()),
            DataType::Int64 => rows!(columns[0].as_primitive::<Int64Type>()),
            DataType::Decimal128(..) => rows!(columns[0].as_primitive::<Decimal128Type>()),
            DataType::Null => {}
            other => return exec_err!("a variance was given {other}"),
        }
        Ok(())
    }
    fn add(&mut self, value: i128) {
        self.count += 1;
        self.change(value, self.sum.checked_add(value), i256::checked_add);
    }
    fn remove(&mut self, value: i128) {
        self.count = self.count.saturating_sub(1);
        self.change(value, self.sum.checked_sub(value), i256::checked_sub);
    }
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.overflowed |= other.overflowed;
        match (self.sum.checked_add(other.sum), self.squares.checked_add(other.squares)) {
            (Some(sum), Some(squares)) => (self.sum, self.squares) = (sum, squares),
            _ => self.overflowed = true,
        }
    }
    /// What has overflowed has no sum.
    fn states(all: &[Self]) -> Vec<ArrayRef> {
        let counts = UInt64Array::from_iter_values(all.iter().map(|powers| powers.count));
        let sums = all.iter().map(|powers| (!powers.overflowed).then_some(powers.sum)).collect::<Decimal128Array>();
        let squares = Decimal256Array::from_iter_values(all.iter().map(|powers| powers.squares));
        vec![
            Arc::new(counts),
            Arc::new(sums.with_data_type(Self::STATES[1].1.clone())),
            Arc::new(squares.with_data_type(Self::STATES[2].1.clone())),
        ]
    }
    fn of_states(columns: &[ArrayRef]) -> Result<Vec<Self>> {
        let (counts, sums) = (columns[0].as_primitive::<UInt64Type>(), columns[1].as_primitive::<Decimal128Type>());
        let squares = columns[2].as_primitive::<Decimal256Type>();
        let state = |i| Self { count: counts.value(i), sum: sums.value(i), squares: squares.value(i), overflowed: sums.is_null(i) };
        Ok((0..counts.len()).map(state).collect())
    }
    fn column(rows: impl Iterator<Item = i128>) -> ArrayRef {
        Arc::new(Decimal128Array::from_iter_values(rows).with_data_type(Self::ROW_TYPE))
    }
}

/// The type of the result for arguments of a precision and scale.
pub(super) fn result_type(argument: (u8, i8), measure: Measure) -> DataType {
    let whole = (i32::from(argument.0) - i32::from(argument.1)).max(0);
    // The variance of values of n digits has at most 2 n - 1.
    let whole = if measure.root { whole } else { (2 * whole - 1).max(0) };
    DataType::Decimal128(PRECISION_MAX as u8, (PRECISION_MAX - whole).clamp(SCALES.0, SCALES.1) as i8)
}

/// The results.
pub(super) fn finish(all: &[Powers], measure: Measure, argument: (u8, i8), returns: &DataType) -> Result<ArrayRef> {
    let DataType::Decimal128(_, scale) = returns else { return exec_err!("a variance is numeric") };
    let results = all.iter().map(|powers| result(powers, measure, argument, i32::from(*scale)));
    let results = results.collect::<std::result::Result<Decimal128Array, SqlError>>()?;
    Ok(Arc::new(results.with_data_type(returns.clone())))
}

fn overflow() -> SqlError {
    let error = SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    error.with_hint("Cast the argument to double precision.")
}

fn result(powers: &Powers, measure: Measure, argument: (u8, i8), scale: i32) -> std::result::Result<Option<i128>, SqlError> {
    if powers.count <= u64::from(measure.sample) {
        return Ok(None);
    }
    let (value, rounded_to) = variance(powers, measure.sample, argument)?;
    let value = if measure.root { root(value, rounded_to) } else { value };
    let padded = 10i128.checked_pow((scale - rounded_to).max(0) as u32).and_then(|power| value.checked_mul(power));
    let padded = padded.filter(|value| value.unsigned_abs() < 10u128.pow(PRECISION_MAX as u32));
    let cut = 10i128.pow((rounded_to - scale).max(0) as u32);
    padded.map(|value| Some(value / cut)).ok_or_else(overflow)
}

/// A variance, and the number of its digits after the point.
fn variance(powers: &Powers, sample: bool, (precision, scale): (u8, i8)) -> std::result::Result<(i128, i32), SqlError> {
    let count = i256::from_i128(powers.count.into());
    let sum = i256::from_i128(powers.sum);
    let dividend = (!powers.overflowed).then_some(()).and_then(|()| {
        let squares = count.checked_mul(powers.squares)?;
        squares.checked_sub(sum.checked_mul(sum)?)
    });
    let dividend = dividend.ok_or_else(overflow)?;
    if !dividend.is_positive() {
        return Ok((0, 0));
    }
    let divisor = i128::from(powers.count) * i128::from(powers.count - u64::from(sample));
    // A numeric without precision has the digits that it needs.
    let free = (i32::from(precision), scale) == (PRECISION_MAX, 10);
    let shown = if free { needed(powers.sum, scale.into()) } else { scale.into() };
    rounded(narrowed(dividend, 2 * i32::from(scale), 2 * shown), Number { value: divisor, scale: 0, shown: 0 }, SCALES.1)
}

/// A value that may be too long, by its first 38 digits.
fn narrowed(mut value: i256, mut scale: i32, shown: i32) -> Number {
    let ten = i256::from_i128(10);
    loop {
        match value.to_i128().filter(|value| value.unsigned_abs() < 10u128.pow(PRECISION_MAX as u32)) {
            Some(value) => return Number { value, scale, shown },
            None => (value, scale) = (value.wrapping_div(ten), scale - 1),
        }
    }
}

/// The square root of a positive value with this many digits after the point, rounded to as many.
fn root(value: i128, scale: i32) -> i128 {
    let power = i256::from_i128(10).wrapping_pow(scale as u32);
    let square = i256::from_i128(value).wrapping_mul(power);
    if !square.is_positive() {
        return 0;
    }
    // Newton's method from above, which falls until it is there.
    let bits = 256 - square.leading_zeros();
    let mut root = i256::from_i128(1 << bits.div_ceil(2).min(126));
    loop {
        let next = (root.wrapping_add(square.wrapping_div(root))).wrapping_div(i256::from_i128(2));
        if next >= root {
            break;
        }
        root = next;
    }
    let rest = square.wrapping_sub(root.wrapping_mul(root));
    let up = rest > root;
    root.as_i128() + i128::from(up)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(values: &[i128]) -> Powers {
        let mut powers = Powers::default();
        values.iter().for_each(|value| powers.add(*value));
        powers
    }

    fn measured(values: &[i128], sample: bool, root: bool, scale: i32) -> Option<i128> {
        result(&of(values), Measure { sample, root }, (10, 0), scale).unwrap()
    }

    #[test]
    fn variances_are_those_of_postgresql() {
        assert_eq!(measured(&[1, 2, 3, 4, 5, 6], true, false, 19), Some(35_000_000_000_000_000_000));
        // 201.038968030247: the variance, 40416.666666666667, has twelve places
        let b = [100, 200, 300, 400, 500, 700];
        assert_eq!(measured(&b, true, false, 16), Some(466_666_666_666_666_670_000));
        assert_eq!(measured(&[5, 15], true, true, 16), Some(70_710_678_118_654_752));
        assert_eq!(measured(&[7], true, false, 16), None);
        assert_eq!(measured(&[7], false, false, 16), Some(0));
        assert_eq!(measured(&[], false, true, 16), None);
    }

    #[test]
    fn rows_come_and_go_and_travel() {
        let mut powers = of(&[3, 9, 27]);
        powers.remove(27);
        powers.merge(&of(&[-4, i128::from(i64::MAX)]));
        let [back] = <[Powers; 1]>::try_from(Powers::of_states(&Powers::states(std::slice::from_ref(&powers))).unwrap()).unwrap();
        assert_eq!((back.count, back.sum, back.squares), (powers.count, powers.sum, powers.squares));
        assert_eq!(powers.count, 4);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let huge = 10i128.pow(37);
        assert!(result(&of(&[huge, -huge, huge]), Measure { sample: true, root: false }, (38, 0), 16).is_err());
        let mut powers = of(&[i128::MAX]);
        powers.add(1);
        assert!(powers.overflowed);
        assert!(Powers::of_states(&Powers::states(&[powers])).unwrap()[0].overflowed);
    }

    #[test]
    fn roots_are_rounded() {
        // √2 at 16 places, √0.25, √10^20
        assert_eq!(root(20_000_000_000_000_000, 16), 14_142_135_623_730_950);
        assert_eq!(root(25, 2), 50);
        assert_eq!(root(10i128.pow(36), 16), 10i128.pow(26));
        assert_eq!(root(3, 0), 2);
    }
}
