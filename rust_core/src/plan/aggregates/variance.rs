//! Variances and standard deviations of integers and decimals, as numeric: from the exact sums of the values and of their
//! squares, with PostgreSQL's scale and rounding (numeric_stddev_internal of utils/adt/numeric.c).
//!
//! States: the sum as in `exact.rs`, NULL in a group without rows, and its rest; both limbs of the sum of the squares, and
//! its rest; the count.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Decimal128Array, Int64Array};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Int64Type};
use datafusion::common::Result;

use super::exact::{Sum, Summand};
use super::groups::{Aggregate, Rows};
use super::moments::OfOne;
use super::{column, primitive};
use crate::error::Error;
use crate::plan::functions::numeric_digits::{Digits, Special};
use crate::plan::functions::numeric_division::{Operand, divide};
use crate::plan::functions::numeric_root::square_root;
use crate::plan::types::MAX_DIGITS;

/// The squares of what a decimal of 38 digits holds take 253 bits each.
#[derive(Clone, Copy, Default)]
pub(super) struct Group {
    sum: Sum<1>,
    squares: Sum<2>,
}

impl Group {
    #[inline(always)]
    fn take<S: Summand<1>>(&mut self, value: S) {
        self.sum.take(value);
        if value.special() == 0 {
            let [value] = value.limbs();
            self.squares.add(square((value as i128).unsigned_abs()), 0);
        }
    }

    /// The variance or deviation of numbers of `scale` decimals; `None` is NULL.
    fn result(&self, what: OfOne, scale: u8) -> Result<Option<Operand>> {
        let sample = matches!(what, OfOne::VarianceSample | OfOne::DeviationSample);
        let count = self.sum.count;
        if count <= i64::from(sample) {
            return Ok(None);
        }
        if self.sum.special().is_some() {
            return Ok(Some(Operand::Special(Special::NaN)));
        }
        // (N · Σx² − (Σx)²) / (N · (N − 1)), or / N².
        let Some(mut dividend) = self.dividend() else { return Ok(Some(Operand::Finite(Digits::default()))) };
        let dividend = Operand::Finite(Digits::new(false, &mut dividend, 2 * u32::from(scale)));
        let divisor = i128::from(count) * i128::from(count - i64::from(sample));
        let variance = divide(&dividend, &Operand::Finite(Digits::from_i128(divisor, 0)));
        let variance = variance.ok_or_else(|| Error::internal("a variance of no rows"))?;
        Ok(Some(match (what, variance) {
            (OfOne::DeviationPopulation | OfOne::DeviationSample, Operand::Finite(variance)) => {
                Operand::Finite(square_root(&variance, variance.scale))
            }
            (_, variance) => variance,
        }))
    }

    /// N · Σx² − (Σx)², in limbs; `None` unless it is positive.
    fn dividend(&self) -> Option<Vec<u64>> {
        let (_, sum) = self.sum.magnitude();
        let (_, squares) = self.squares.magnitude();
        let of_squares = product(&squares, &[self.sum.count as u64]);
        let of_sum = product(&sum, &sum);
        let mut difference = vec![0; of_squares.len().max(of_sum.len())];
        let limb = |limbs: &[u64], at: usize| limbs.get(at).copied().unwrap_or(0);
        let mut borrow = false;
        for (at, limb_of_difference) in difference.iter_mut().enumerate() {
            let (value, under) = limb(&of_squares, at).overflowing_sub(limb(&of_sum, at));
            let (value, again) = value.overflowing_sub(borrow.into());
            (*limb_of_difference, borrow) = (value, under | again);
        }
        (!borrow && difference.iter().any(|&limb| limb != 0)).then_some(difference)
    }
}

/// The limbs of a square, the lowest first. The number is less than 2^127.
#[inline(always)]
fn square(number: u128) -> [u128; 2] {
    let (high, low) = (number >> 64, number & u128::from(u64::MAX));
    if high == 0 {
        return [low * low, 0];
    }
    let cross = 2 * high * low;
    let (lowest, carried) = (low * low).overflowing_add(cross << 64);
    [lowest, high * high + (cross >> 64) + u128::from(carried)]
}

/// Of limbs of 64 bits, the lowest first.
fn product(left: &[u64], right: &[u64]) -> Vec<u64> {
    let mut product = vec![0u64; left.len() + right.len()];
    for (at, &a) in left.iter().enumerate() {
        let mut carry = 0u64;
        for (place, &b) in product[at..].iter_mut().zip(right.iter().chain(std::iter::once(&0))) {
            let value = u128::from(a) * u128::from(b) + u128::from(*place) + u128::from(carry);
            (*place, carry) = (value as u64, (value >> 64) as u64);
        }
    }
    product
}

fn values<T: ArrowPrimitiveType>(columns: &[ArrayRef], at: usize) -> Result<&[T::Native]> {
    Ok(primitive::<T>(column(columns, at)?)?.values())
}

/// A variance or deviation of `T`, which has `scale` decimals.
pub(super) struct Variance<T> {
    what: OfOne,
    scale: u8,
    value: PhantomData<fn() -> T>,
}

impl<T> Variance<T> {
    pub fn new(what: OfOne, scale: u8) -> Self {
        Self { what, scale, value: PhantomData }
    }
}

/// The columns of a state.
pub(super) fn states() -> Vec<DataType> {
    let limb = || DataType::Decimal128(MAX_DIGITS, 0);
    vec![limb(), DataType::Int64, limb(), limb(), DataType::Int64, DataType::Int64]
}

impl<T> Aggregate for Variance<T>
where
    T: ArrowPrimitiveType,
    T::Native: Summand<1>,
{
    type Group = Group;

    fn update(&mut self, groups: &mut [Group], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        rows.each(groups, primitive::<T>(column(args, 0)?)?.values(), Group::take);
        Ok(())
    }

    fn merge(&mut self, groups: &mut [Group], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let (sums, rests) = (values::<Decimal128Type>(states, 0)?, values::<Int64Type>(states, 1)?);
        let (low, high) = (values::<Decimal128Type>(states, 2)?, values::<Decimal128Type>(states, 3)?);
        let (square_rests, counts) = (values::<Int64Type>(states, 4)?, values::<Int64Type>(states, 5)?);
        rows.each_row(groups, |group, row| {
            group.sum.merge(&Sum { limbs: [sums[row] as u128], rest: rests[row], count: counts[row] });
            let limbs = [low[row] as u128, high[row] as u128];
            group.squares.merge(&Sum { limbs, rest: square_rests[row], count: 0 });
            Ok(())
        })
    }

    fn evaluate(&mut self, groups: &[Group]) -> Result<ArrayRef> {
        let mut payloads = BinaryBuilder::with_capacity(groups.len(), groups.len() * 16);
        let mut payload = vec![];
        for group in groups {
            match group.result(self.what, self.scale)? {
                None => payloads.append_null(),
                Some(result) => {
                    payload.clear();
                    result.write(&mut payload)?;
                    payloads.append_value(&payload);
                }
            }
        }
        Ok(Arc::new(payloads.finish()))
    }

    fn state(&mut self, groups: &[Group]) -> Result<Vec<ArrayRef>> {
        let limb = |limb: &dyn Fn(&Group) -> Option<u128>| -> ArrayRef {
            let limbs = groups.iter().map(|group| limb(group).map(|limb| limb as i128));
            Arc::new(limbs.collect::<Decimal128Array>().with_data_type(DataType::Decimal128(MAX_DIGITS, 0)))
        };
        let number = |number: &dyn Fn(&Group) -> i64| -> ArrayRef {
            Arc::new(groups.iter().map(number).collect::<Int64Array>())
        };
        Ok(vec![
            limb(&|group| (group.sum.count > 0).then_some(group.sum.limbs[0])),
            number(&|group| group.sum.rest),
            limb(&|group| Some(group.squares.limbs[0])),
            limb(&|group| Some(group.squares.limbs[1])),
            number(&|group| group.squares.rest),
            number(&|group| group.sum.count),
        ])
    }

    fn fresh(&self) -> Self {
        Self::new(self.what, self.scale)
    }
}
