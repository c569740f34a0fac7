//! From a summary of rows to an aggregate: over all rows, over groups, over a window's frame, over distinct values.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::StateFieldsArgs;
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;

/// What is kept of the rows seen so far.
pub(super) trait Summary: Clone + Debug + Default + Send + Sync + 'static {
    /// One row's values.
    type Row: Copy + Debug + Ord + Send + Sync;
    /// Whether rows can be taken back without a loss.
    const RETRACTS: bool;
    /// Names and types of the columns that states travel in.
    const STATES: &'static [(&'static str, DataType)];
    /// The type that single rows travel in, for DISTINCT.
    const ROW_TYPE: DataType;

    /// Calls a closure for each row without a NULL, with its number.
    fn rows(columns: &[ArrayRef], take: impl FnMut(usize, Self::Row)) -> Result<()>;
    /// Takes a row.
    fn add(&mut self, row: Self::Row);
    /// Gives a row back.
    fn remove(&mut self, row: Self::Row);
    /// Takes all rows of another.
    fn merge(&mut self, other: &Self);
    /// One column for each of `STATES`.
    fn states(all: &[Self]) -> Vec<ArrayRef>;
    /// The summaries that such columns hold.
    fn of_states(columns: &[ArrayRef]) -> Result<Vec<Self>>;
    /// Single rows as a column that [`Summary::rows`] reads.
    fn column(rows: impl Iterator<Item = Self::Row>) -> ArrayRef;
}

/// What is answered for summaries.
type Finish<S> = Arc<dyn Fn(&[S]) -> Result<ArrayRef> + Send + Sync>;

/// An aggregate over summaries.
pub(super) struct Frame<S> {
    finish: Finish<S>,
}

/// The columns that states travel in.
pub(super) fn state_fields<S: Summary>(args: &StateFieldsArgs<'_>) -> Vec<FieldRef> {
    if args.is_distinct {
        let name = format_state_name(args.name, "distinct");
        return vec![Arc::new(Field::new_list(name, Field::new_list_field(S::ROW_TYPE, true), false))];
    }
    S::STATES.iter().map(|(name, kind)| Arc::new(Field::new(format_state_name(args.name, name), kind.clone(), true))).collect()
}

impl<S: Summary> Frame<S> {
    pub(super) fn new(finish: Finish<S>) -> Self {
        Self { finish }
    }
    pub(super) fn accumulator(self, distinct: bool) -> Box<dyn Accumulator> {
        match distinct {
            true => Box::new(Distinct { rows: BTreeSet::new(), finish: Boxed(self.finish) }),
            false => Box::new(Whole { summary: S::default(), finish: Boxed(self.finish) }),
        }
    }
    pub(super) fn sliding(self) -> Box<dyn Accumulator> {
        match S::RETRACTS {
            true => self.accumulator(false),
            false => Box::new(Window::<S> { rows: VecDeque::new(), finish: Boxed(self.finish) }),
        }
    }
    pub(super) fn groups(self) -> Box<dyn GroupsAccumulator> {
        Box::new(Groups { summaries: Vec::new(), finish: Boxed(self.finish) })
    }
}

/// A closure that can be shown.
struct Boxed<S>(Finish<S>);

impl<S> Debug for Boxed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("finish")
    }
}

impl<S> Boxed<S> {
    fn one(&self, summary: S) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&(self.0)(&[summary])?, 0)
    }
}

/// All rows.
#[derive(Debug)]
struct Whole<S: Summary> {
    summary: S,
    finish: Boxed<S>,
}

impl<S: Summary> Accumulator for Whole<S> {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        S::rows(columns, |_, row| self.summary.add(row))
    }
    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        S::rows(columns, |_, row| self.summary.remove(row))
    }
    fn supports_retract_batch(&self) -> bool {
        S::RETRACTS
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.finish.one(self.summary.clone())
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        S::states(std::slice::from_ref(&self.summary)).iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        S::of_states(states)?.iter().for_each(|other| self.summary.merge(other));
        Ok(())
    }
    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The rows of a frame that slides, summed up anew for each answer: what floats have lost does not come back by subtraction.
#[derive(Debug)]
struct Window<S: Summary> {
    rows: VecDeque<S::Row>,
    finish: Boxed<S>,
}

impl<S: Summary> Accumulator for Window<S> {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        S::rows(columns, |_, row| self.rows.push_back(row))
    }
    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let mut leaving = 0;
        S::rows(columns, |_, _| leaving += 1)?;
        self.rows.drain(..leaving.min(self.rows.len()));
        Ok(())
    }
    fn supports_retract_batch(&self) -> bool {
        true
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.finish.one(of_rows(self.rows.iter().copied()))
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a window's frame has no state")
    }
    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        internal_err!("a window's frame has no state")
    }
    fn size(&self) -> usize {
        size_of_val(self) + self.rows.capacity() * size_of::<S::Row>()
    }
}

fn of_rows<S: Summary>(rows: impl Iterator<Item = S::Row>) -> S {
    let mut summary = S::default();
    rows.for_each(|row| summary.add(row));
    summary
}

/// Values of which each counts once; in order, so that the answer does not depend on chance.
#[derive(Debug)]
struct Distinct<S: Summary> {
    rows: BTreeSet<S::Row>,
    finish: Boxed<S>,
}

impl<S: Summary> Accumulator for Distinct<S> {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        S::rows(columns, |_, row| {
            self.rows.insert(row);
        })
    }
    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.finish.one(of_rows(self.rows.iter().copied()))
    }
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = S::column(self.rows.iter().copied());
        let field = Arc::new(Field::new_list_field(S::ROW_TYPE, true));
        Ok(vec![ScalarValue::List(Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([values.len()]), values, None)))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states[0].as_list::<i32>().iter().flatten().try_for_each(|values| self.update_batch(&[values]))
    }
    fn size(&self) -> usize {
        // A node of the tree is filled by three quarters or so.
        size_of_val(self) + self.rows.len() * size_of::<S::Row>() * 4 / 3
    }
}

/// A summary for each group.
#[derive(Debug)]
struct Groups<S: Summary> {
    summaries: Vec<S>,
    finish: Boxed<S>,
}

fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

impl<S: Summary> GroupsAccumulator for Groups<S> {
    fn update_batch(&mut self, columns: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, count: usize) -> Result<()> {
        self.summaries.resize_with(count, S::default);
        S::rows(columns, |row, values| {
            if passes(filter, row) {
                self.summaries[groups[row]].add(values);
            }
        })
    }
    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.summaries.resize_with(count, S::default);
        S::of_states(states)?.iter().zip(groups).for_each(|(other, group)| self.summaries[*group].merge(other));
        Ok(())
    }
    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        (self.finish.0)(&emit.take_needed(&mut self.summaries))
    }
    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(S::states(&emit.take_needed(&mut self.summaries)))
    }
    fn convert_to_state(&self, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = vec![S::default(); columns[0].len()];
        S::rows(columns, |row, values| {
            if passes(filter, row) {
                each[row].add(values);
            }
        })?;
        Ok(S::states(&each))
    }
    fn size(&self) -> usize {
        self.summaries.capacity() * size_of::<S>()
    }
}
