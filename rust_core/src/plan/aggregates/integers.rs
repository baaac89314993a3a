//! Sums of integers that PostgreSQL has as int8 (int2_sum, int4_sum; cash_pl of money), and counts of rows.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, Int64Array};
use arrow::datatypes::Int64Type;
use datafusion::common::Result;

use super::groups::{Aggregate, Rows};
use super::{column, primitive};

/// The sum so far, and whether there is any.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    sum: i64,
    seen: bool,
}

/// Wraps, as PostgreSQL's: four thousand million of the largest int4 fit.
pub(super) struct SumInt<T>(PhantomData<fn() -> T>);

impl<T> SumInt<T> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

fn add(group: &mut Sum, value: i64) {
    *group = Sum { sum: group.sum.wrapping_add(value), seen: true };
}

impl<T> Aggregate for SumInt<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    type Group = Sum;

    fn update(&mut self, groups: &mut [Sum], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        rows.each(groups, primitive::<T>(column(args, 0)?)?.values(), |group, value| add(group, value.into()));
        Ok(())
    }

    fn merge(&mut self, groups: &mut [Sum], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        rows.each(groups, primitive::<Int64Type>(column(states, 0)?)?.values(), add);
        Ok(())
    }

    fn evaluate(&mut self, groups: &[Sum]) -> Result<ArrayRef> {
        let sums = groups.iter().map(|group| group.seen.then_some(group.sum));
        Ok(Arc::new(sums.collect::<Int64Array>()))
    }

    fn state(&mut self, groups: &[Sum]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn fresh(&self) -> Self {
        Self::new()
    }
}

/// Rows in which no argument is NULL (regr_count).
pub(super) struct CountRows;

impl Aggregate for CountRows {
    type Group = i64;

    fn update(&mut self, groups: &mut [i64], _: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        rows.each_row(groups, |group, _| {
            *group += 1;
            Ok(())
        })
    }

    fn merge(&mut self, groups: &mut [i64], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        rows.each(groups, primitive::<Int64Type>(column(states, 0)?)?.values(), |group, count| *group += count);
        Ok(())
    }

    fn evaluate(&mut self, groups: &[i64]) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(groups.to_vec())))
    }

    fn state(&mut self, groups: &[i64]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn fresh(&self) -> Self {
        Self
    }
}
