//! Floats: sums of values and of squared differences, updated by Youngs and Cramer's method, as PostgreSQL does.

use super::Measure;
use super::summary::Summary;
use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use std::cmp::Ordering;
use std::sync::Arc;

/// A float with an order among all floats; both zeros are one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Float(pub f64);

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}
impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Eq for Float {}
impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

/// Count, sum, and sum of squared differences from the mean.
#[derive(Clone, Debug, Default)]
pub(super) struct Deviations {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Summary for Deviations {
    type Row = Float;
    const RETRACTS: bool = false;
    const STATES: &'static [(&'static str, DataType)] =
        &[("count", DataType::Float64), ("sum", DataType::Float64), ("squares", DataType::Float64)];
    const ROW_TYPE: DataType = DataType::Float64;

    fn rows(columns: &[ArrayRef], mut take: impl FnMut(usize, Float)) -> Result<()> {
        let values = columns[0].as_primitive::<Float64Type>().iter().enumerate();
        values.filter_map(|(row, value)| Some((row, value?))).for_each(|(row, value)| take(row, Float(value)));
        Ok(())
    }
    fn add(&mut self, Float(value): Float) {
        let before = self.count;
        self.count += 1.0;
        self.sum += value;
        if before > 0.0 {
            let difference = value * self.count - self.sum;
            self.squares += difference * difference / (self.count * before);
        } else if !value.is_finite() {
            self.squares = f64::NAN;
        }
    }
    fn remove(&mut self, _row: Float) {}
    fn merge(&mut self, other: &Self) {
        if self.count == 0.0 || other.count == 0.0 {
            if self.count == 0.0 {
                *self = other.clone();
            }
            return;
        }
        let count = self.count + other.count;
        let difference = self.sum / self.count - other.sum / other.count;
        self.squares += other.squares + self.count * other.count * difference * difference / count;
        self.sum += other.sum;
        self.count = count;
    }
    fn states(all: &[Self]) -> Vec<ArrayRef> {
        let column = |of: fn(&Self) -> f64| Arc::new(Float64Array::from_iter_values(all.iter().map(of))) as ArrayRef;
        vec![column(|one| one.count), column(|one| one.sum), column(|one| one.squares)]
    }
    fn of_states(columns: &[ArrayRef]) -> Result<Vec<Self>> {
        let [counts, sums, squares] = [0, 1, 2].map(|i| columns[i].as_primitive::<Float64Type>());
        let state = |i| Self { count: counts.value(i), sum: sums.value(i), squares: squares.value(i) };
        Ok((0..counts.len()).map(state).collect())
    }
    fn column(rows: impl Iterator<Item = Float>) -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.map(|row| row.0)))
    }
}

/// The results.
pub(super) fn finish(all: &[Deviations], measure: Measure) -> ArrayRef {
    let one = |deviations: &Deviations| {
        let divisor = deviations.count - f64::from(u8::from(measure.sample));
        (divisor > 0.0).then(|| deviations.squares / divisor).map(|variance| if measure.root { variance.sqrt() } else { variance })
    };
    Arc::new(all.iter().map(one).collect::<Float64Array>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    fn of(values: &[f64]) -> Deviations {
        let mut deviations = Deviations::default();
        values.iter().for_each(|value| deviations.add(Float(*value)));
        deviations
    }

    #[test]
    fn equal_values_do_not_vary() {
        let result = finish(&[of(&[0.1, 0.1, 0.1]), of(&[2.0, 4.0]), of(&[])], Measure { sample: true, root: false });
        let result = result.as_primitive::<Float64Type>();
        assert_eq!((result.value(0), result.value(1), result.is_null(2)), (0.0, 2.0, true));
    }

    #[test]
    fn parts_are_merged() {
        let mut merged = of(&[1.0, 2.0]);
        merged.merge(&of(&[]));
        merged.merge(&of(&[3.0, 4.0]));
        assert_eq!((merged.count, merged.sum, merged.squares), (4.0, 10.0, 5.0));
        assert!(of(&[f64::INFINITY]).squares.is_nan());
    }
}
