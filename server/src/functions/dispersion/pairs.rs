//! `corr`, `covar_*` and `regr_*`: sums over pairs of floats, by Youngs and Cramer's method, as PostgreSQL does. The first argument is Y.

use super::inexact::Float;
use super::summary::{self, Frame, Summary};
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility};
use std::sync::Arc;

/// What a function makes of the sums; `None` is NULL.
type Answer = fn(&Sums) -> Option<f64>;

/// Name, other names in the library, and answer. After PostgreSQL's float8_regr_* and float8_corr.
const FUNCTIONS: [(&str, &[&str], Answer); 11] = [
    ("corr", &[], |s| (s.xx != 0.0 && s.yy != 0.0).then(|| s.xy / (s.xx * s.yy).sqrt())),
    ("covar_pop", &[], |s| Some(s.xy / s.count)),
    ("covar_samp", &["covar"], |s| (s.count > 1.0).then(|| s.xy / (s.count - 1.0))),
    ("regr_avgx", &[], |s| Some(s.x / s.count)),
    ("regr_avgy", &[], |s| Some(s.y / s.count)),
    ("regr_intercept", &[], |s| (s.xx != 0.0).then(|| (s.y - s.x * s.xy / s.xx) / s.count)),
    ("regr_r2", &[], |s| (s.xx != 0.0).then(|| if s.yy == 0.0 { 1.0 } else { (s.xy * s.xy) / (s.xx * s.yy) })),
    ("regr_slope", &[], |s| (s.xx != 0.0).then(|| s.xy / s.xx)),
    ("regr_sxx", &[], |s| Some(s.xx)),
    ("regr_sxy", &[], |s| Some(s.xy)),
    ("regr_syy", &[], |s| Some(s.yy)),
];
/// The one that counts, and has an answer for no pairs.
const COUNT: &str = "regr_count";

/// All of them.
pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    let one = |name: &'static str, aliases: &[&str]| {
        let aliases = aliases.iter().map(ToString::to_string).collect();
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(OfPairs { name, aliases, signature }))
    };
    FUNCTIONS.iter().map(|(name, aliases, _)| one(name, aliases)).chain([one(COUNT, &[])]).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfPairs {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl OfPairs {
    fn frame(&self) -> Result<Frame<Sums>> {
        if self.name == COUNT {
            let counts = |all: &[Sums]| Int64Array::from_iter_values(all.iter().map(|sums| sums.count as i64));
            return Ok(Frame::new(Arc::new(move |all| Ok(Arc::new(counts(all)) as ArrayRef))));
        }
        let Some((_, _, answer)) = FUNCTIONS.iter().find(|(name, ..)| *name == self.name) else {
            return internal_err!("no function {}", self.name);
        };
        let one = |sums: &Sums| if sums.count > 0.0 { answer(sums) } else { None };
        Ok(Frame::new(Arc::new(move |all| Ok(Arc::new(all.iter().map(one).collect::<Float64Array>()) as ArrayRef))))
    }
}

impl AggregateUDFImpl for OfPairs {
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
            [y, x] if [y, x].iter().all(|kind| kind.is_numeric() || kind.is_null()) => Ok(vec![DataType::Float64; 2]),
            [y, x] => plan_err!("{} does not take {y} and {x}", self.name),
            _ => plan_err!("{} takes two arguments", self.name),
        }
    }
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(if self.name == COUNT { DataType::Int64 } else { DataType::Float64 })
    }
    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(self.frame()?.accumulator(args.is_distinct))
    }
    fn create_sliding_accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(self.frame()?.sliding())
    }
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(summary::state_fields::<Sums>(&args))
    }
    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }
    fn create_groups_accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(self.frame()?.groups())
    }
    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// Count, sums, and sums of products of differences from the means.
#[derive(Clone, Debug, Default)]
struct Sums {
    count: f64,
    x: f64,
    xx: f64,
    y: f64,
    yy: f64,
    xy: f64,
}

impl Summary for Sums {
    /// Y and X.
    type Row = (Float, Float);
    const RETRACTS: bool = false;
    const STATES: &'static [(&'static str, DataType)] = &[
        ("count", DataType::Float64),
        ("x", DataType::Float64),
        ("xx", DataType::Float64),
        ("y", DataType::Float64),
        ("yy", DataType::Float64),
        ("xy", DataType::Float64),
    ];
    /// Pairs, one number after the other.
    const ROW_TYPE: DataType = DataType::Float64;

    fn rows(columns: &[ArrayRef], mut take: impl FnMut(usize, Self::Row)) -> Result<()> {
        let first = columns[0].as_primitive::<Float64Type>();
        let Some(second) = columns.get(1) else {
            first.values().chunks_exact(2).enumerate().for_each(|(row, pair)| take(row, (Float(pair[0]), Float(pair[1]))));
            return Ok(());
        };
        let pairs = first.iter().zip(second.as_primitive::<Float64Type>()).enumerate();
        pairs.filter_map(|(row, (y, x))| Some((row, (Float(y?), Float(x?))))).for_each(|(row, pair)| take(row, pair));
        Ok(())
    }
    fn add(&mut self, (Float(y), Float(x)): Self::Row) {
        let before = self.count;
        self.count += 1.0;
        self.x += x;
        self.y += y;
        if before > 0.0 {
            let (dx, dy) = (x * self.count - self.x, y * self.count - self.y);
            let scale = 1.0 / (self.count * before);
            self.xx += dx * dx * scale;
            self.yy += dy * dy * scale;
            self.xy += dx * dy * scale;
        } else {
            let poison = |value: f64| if value.is_finite() { 0.0 } else { f64::NAN };
            (self.xx, self.yy, self.xy) = (poison(x), poison(y), poison(x) + poison(y));
        }
    }
    fn remove(&mut self, _row: Self::Row) {}
    fn merge(&mut self, other: &Self) {
        if self.count == 0.0 || other.count == 0.0 {
            if self.count == 0.0 {
                *self = other.clone();
            }
            return;
        }
        let count = self.count + other.count;
        let (dx, dy) = (self.x / self.count - other.x / other.count, self.y / self.count - other.y / other.count);
        self.xx += other.xx + self.count * other.count * dx * dx / count;
        self.yy += other.yy + self.count * other.count * dy * dy / count;
        self.xy += other.xy + self.count * other.count * dx * dy / count;
        self.x += other.x;
        self.y += other.y;
        self.count = count;
    }
    fn states(all: &[Self]) -> Vec<ArrayRef> {
        let column = |of: fn(&Self) -> f64| Arc::new(Float64Array::from_iter_values(all.iter().map(of))) as ArrayRef;
        vec![column(|s| s.count), column(|s| s.x), column(|s| s.xx), column(|s| s.y), column(|s| s.yy), column(|s| s.xy)]
    }
    fn of_states(columns: &[ArrayRef]) -> Result<Vec<Self>> {
        let [count, x, xx, y, yy, xy] = [0, 1, 2, 3, 4, 5].map(|i| columns[i].as_primitive::<Float64Type>());
        let state = |i| Self { count: count.value(i), x: x.value(i), xx: xx.value(i), y: y.value(i), yy: yy.value(i), xy: xy.value(i) };
        Ok((0..count.len()).map(state).collect())
    }
    fn column(rows: impl Iterator<Item = Self::Row>) -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.flat_map(|(y, x)| [y.0, x.0])))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn answer(name: &str, pairs: &[(f64, f64)]) -> Option<f64> {
        let mut sums = Sums::default();
        pairs.iter().for_each(|(y, x)| sums.add((Float(*y), Float(*x))));
        let (_, _, answer) = FUNCTIONS.iter().find(|(known, ..)| *known == name).unwrap();
        answer(&sums)
    }

    #[test]
    fn a_line_is_found() {
        let line = [(1.0, 0.0), (3.0, 1.0), (5.0, 2.0)];
        assert_eq!(answer("regr_slope", &line), Some(2.0));
        assert_eq!(answer("regr_intercept", &line), Some(1.0));
        assert_eq!(answer("corr", &line), Some(1.0));
        assert_eq!(answer("regr_r2", &line), Some(1.0));
        assert_eq!(answer("covar_samp", &line[..1]), None);
        assert_eq!(answer("corr", &[(1.0, 2.0), (1.0, 3.0)]), None, "Y does not vary");
        assert_eq!(answer("regr_r2", &[(1.0, 2.0), (1.0, 3.0)]), Some(1.0));
    }

    #[test]
    fn pairs_travel() {
        let rows = [(Float(1.0), Float(2.0)), (Float(3.0), Float(4.0))];
        let mut back = Vec::new();
        Sums::rows(&[Sums::column(rows.into_iter())], |_, row| back.push(row)).unwrap();
        assert_eq!(back, rows);
    }
}
