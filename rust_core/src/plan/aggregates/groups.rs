//! From what an aggregate does with one group to what DataFusion asks of it.
//!
//! An [`Aggregate`] knows groups one by one. [`Grouped`] has all groups of a GROUP BY; [`Ungrouped`] is any groups
//! accumulator with one group, for queries without GROUP BY.

use std::fmt;
use std::mem::size_of;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, BooleanArray, new_empty_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::any_value::AnyValue;
use crate::error::Error;

/// An aggregate, strict in all its arguments. A default group has seen no row.
pub(super) trait Aggregate: Send + Sync + 'static {
    type Group: Clone + Default + Send + Sync + 'static;

    /// Takes rows in; none has a NULL argument.
    fn update(&mut self, groups: &mut [Self::Group], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()>;

    /// Takes states in, which [`state`](Self::state) has made. Rows whose first column is NULL are left out.
    fn merge(&mut self, groups: &mut [Self::Group], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()>;

    /// The result of each group.
    fn evaluate(&mut self, groups: &[Self::Group]) -> Result<ArrayRef>;

    /// The groups for another participant, in columns. The first is NULL in a group that has seen no row.
    fn state(&mut self, groups: &[Self::Group]) -> Result<Vec<ArrayRef>>;

    /// The same aggregate, of no groups yet.
    fn fresh(&self) -> Self
    where
        Self: Sized;

    /// Bytes that the groups own elsewhere.
    fn heap(&self) -> usize {
        0
    }
}

/// Rows of a batch and their groups.
pub(super) struct Rows<'a> {
    groups: &'a [usize],
    /// The rows that count; all, if there is none.
    valid: Option<NullBuffer>,
}

impl Rows<'_> {
    /// `step` with the group and the value of each row that counts.
    #[inline(always)]
    pub fn each<G, T: Copy>(&self, groups: &mut [G], values: &[T], mut step: impl FnMut(&mut G, T)) {
        match &self.valid {
            None => {
                for (&group, &value) in self.groups.iter().zip(values) {
                    if let Some(group) = groups.get_mut(group) {
                        step(group, value);
                    }
                }
            }
            Some(valid) => {
                for row in valid.valid_indices() {
                    if let (Some(&group), Some(&value)) = (self.groups.get(row), values.get(row))
                        && let Some(group) = groups.get_mut(group)
                    {
                        step(group, value);
                    }
                }
            }
        }
    }

    /// `step` with the group and the number of each row that counts.
    pub fn each_row<G>(&self, groups: &mut [G], mut step: impl FnMut(&mut G, usize) -> Result<()>) -> Result<()> {
        let mut at = |row: usize| match self.groups.get(row).and_then(|&group| groups.get_mut(group)) {
            Some(group) => step(group, row),
            None => Err(Error::internal("a row has no group").into()),
        };
        match &self.valid {
            None => (0..self.groups.len()).try_for_each(&mut at),
            Some(valid) => valid.valid_indices().try_for_each(&mut at),
        }
    }
}

/// The rows that a FILTER lets pass.
fn passed(filter: &BooleanArray) -> NullBuffer {
    let passed = match filter.nulls() {
        Some(nulls) => filter.values() & nulls.inner(),
        None => filter.values().clone(),
    };
    NullBuffer::new(passed)
}

/// All groups of one aggregate.
pub(super) struct Grouped<A: Aggregate> {
    aggregate: A,
    groups: Vec<A::Group>,
}

impl<A: Aggregate> Grouped<A> {
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, groups: vec![] }
    }

    /// The rows that count, which have no NULL in any of `columns`.
    fn rows<'r>(&self, columns: &[ArrayRef], groups: &'r [usize], filter: Option<&BooleanArray>) -> Result<Rows<'r>> {
        let mut valid = filter.map(passed);
        for column in columns {
            if column.len() != groups.len() {
                return Err(Error::internal("an aggregate's arguments are not as long as its groups").into());
            }
            valid = NullBuffer::union(valid.as_ref(), column.nulls());
        }
        Ok(Rows { groups, valid: valid.filter(|valid| valid.null_count() > 0) })
    }
}

impl<A: Aggregate> GroupsAccumulator for Grouped<A> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize_with(total_num_groups, Default::default);
        let rows = self.rows(values, group_indices, opt_filter)?;
        self.aggregate.update(&mut self.groups, values, &rows)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.groups.resize_with(total_num_groups, Default::default);
        let rows = self.rows(values.get(..1).unwrap_or_default(), group_indices, None)?;
        self.aggregate.merge(&mut self.groups, values, &rows)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.aggregate.evaluate(&groups)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.aggregate.state(&groups)
    }

    /// Each row a group of its own.
    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let length = values.first().map_or(0, |column| column.len());
        let indices: Vec<usize> = (0..length).collect();
        let mut alone = Grouped::new(self.aggregate.fresh());
        alone.update_batch(values, &indices, opt_filter, length)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<A::Group>() + self.aggregate.heap()
    }
}

/// Rows that a value of a window is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of these rows alone; else those of the steps before it count too, back to the last fresh one.
    pub fresh: bool,
    pub rows: Range<usize>,
}

/// What aggregates of ours can do besides grouping.
pub(super) trait Groups: GroupsAccumulator + Sync {
    /// The result after each step, with rows taken in one by one in their order.
    fn steps(&self, args: &[ArrayRef], filter: Option<&BooleanArray>, steps: &[Step]) -> Result<ArrayRef>;
}

impl<A: Aggregate> Groups for Grouped<A> {
    fn steps(&self, args: &[ArrayRef], filter: Option<&BooleanArray>, steps: &[Step]) -> Result<ArrayRef> {
        let mut aggregate = self.aggregate.fresh();
        let mut valid = filter.map(passed);
        for arg in args {
            valid = NullBuffer::union(valid.as_ref(), arg.nulls());
        }
        let numbers = vec![0; steps.iter().map(|step| step.rows.len()).max().unwrap_or(0)];
        let mut current = [A::Group::default()];
        let mut groups = Vec::with_capacity(steps.len());
        for Step { fresh, rows } in steps {
            if *fresh {
                current = [A::Group::default()];
            }
            if !rows.is_empty() {
                let args: Vec<ArrayRef> = args.iter().map(|arg| arg.slice(rows.start, rows.len())).collect();
                let valid = valid.as_ref().map(|valid| valid.slice(rows.start, rows.len()));
                let valid = valid.filter(|valid| valid.null_count() > 0);
                aggregate.update(&mut current, &args, &Rows { groups: &numbers[..rows.len()], valid })?;
            }
            let [group] = &current;
            groups.push(group.clone());
        }
        aggregate.evaluate(&groups)
    }
}

impl Groups for AnyValue {
    fn steps(&self, _: &[ArrayRef], _: Option<&BooleanArray>, _: &[Step]) -> Result<ArrayRef> {
        Err(Error::internal("any value of a group is no window function").into())
    }
}

/// The groups of an aggregate of any kind.
pub(super) type AnyGroups = Box<dyn Groups>;

/// One group, the only one.
pub(super) struct Ungrouped {
    groups: AnyGroups,
    /// The group of each row: 0.
    indices: Vec<usize>,
    result: DataType,
    states: Vec<DataType>,
}

impl Ungrouped {
    pub fn new(mut groups: AnyGroups, args: &[DataType], result: DataType, states: Vec<DataType>) -> Result<Self> {
        // The group is there even when no row comes.
        let none: Vec<ArrayRef> = args.iter().map(new_empty_array).collect();
        groups.update_batch(&none, &[], None, 1)?;
        Ok(Self { groups, indices: vec![], result, states })
    }

    /// Rows in the columns; there are as many indices.
    fn rows(&mut self, columns: &[ArrayRef]) -> usize {
        let length = columns.first().map_or(0, |column| column.len());
        if self.indices.len() < length {
            self.indices.resize(length, 0);
        }
        length
    }
}

/// The only value, or NULL where there is none.
fn only(array: &ArrayRef, data_type: &DataType) -> Result<ScalarValue> {
    if array.is_empty() { ScalarValue::try_new_null(data_type) } else { ScalarValue::try_from_array(array, 0) }
}

impl fmt::Debug for Ungrouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ungrouped").field("result", &self.result).finish_non_exhaustive()
    }
}

impl Accumulator for Ungrouped {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let length = self.rows(values);
        self.groups.update_batch(values, &self.indices[..length], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let length = self.rows(states);
        self.groups.merge_batch(states, &self.indices[..length], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        only(&self.groups.evaluate(EmitTo::All)?, &self.result)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.groups.state(EmitTo::All)?;
        states.iter().zip(&self.states).map(|(state, data_type)| only(state, data_type)).collect()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.groups.size() + self.indices.capacity() * size_of::<usize>()
    }
}
