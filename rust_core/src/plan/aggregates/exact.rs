//! Sums and averages of integers and decimals that PostgreSQL has as numeric: exact at any size.
//!
//! A sum is an integer in two's complement, wider than its summands by 56 bits, so that 2^56 of the largest do not
//! overflow it:
//!
//! ```text
//!   rest, 64 bits           limbs, 128 bits each, W of them
//!   │ carry, 56 │ specials, 8 │ …                              │
//! ```
//!
//! W is 1 for what fits an i128, 2 for an i256. The specials are flags: a NaN, an Infinity, a -Infinity was there.
//! Adding has no branch but the one that looks for specials.
//!
//! States: the limbs, the lowest first and NULL in a group without rows; the rest; for an average, the count.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Decimal128Array, Int64Array};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Int64Type, i256};
use datafusion::common::Result;

use super::groups::{Aggregate, Rows};
use super::{column, primitive};
use crate::error::Error;
use crate::plan::functions::numeric_digits::{Digits, Special};
use crate::plan::functions::numeric_division::{Operand, divide};
use crate::plan::types::{MAX_DIGITS, NUMERIC_INFINITY, NUMERIC_NAN, NUMERIC_NEGATIVE_INFINITY};
use crate::scan::numeric::encode;

const NAN: i64 = 1;
const INFINITY: i64 = 2;
const NEGATIVE_INFINITY: i64 = 4;
const FLAGS: i64 = 0xFF;
const CARRY_SHIFT: u32 = 8;

/// What can be summed in `W` limbs.
pub(super) trait Summand<const W: usize>: Copy {
    /// PostgreSQL averages it by a sum in an int8, which wraps.
    const IN_INT8: bool = false;

    /// The flag of a special value, 0 of a number.
    fn special(self) -> i64;
    /// Two's complement.
    fn limbs(self) -> [u128; W];
    fn negative(self) -> bool;
}

macro_rules! integer {
    ($native:ty, $in_int8:literal) => {
        impl Summand<1> for $native {
            const IN_INT8: bool = $in_int8;

            fn special(self) -> i64 {
                0
            }

            fn limbs(self) -> [u128; 1] {
                [i128::from(self) as u128]
            }

            fn negative(self) -> bool {
                self < 0
            }
        }
    };
}
integer!(i16, true);
integer!(i32, true);
integer!(i64, false);

impl Summand<1> for i128 {
    #[inline(always)]
    fn special(self) -> i64 {
        const LARGEST: i64 = ((10i128.pow(MAX_DIGITS as u32) - 1) >> 64) as i64;
        // The upper half alone tells numbers from specials.
        if ((self >> 64) as i64).unsigned_abs() <= LARGEST.unsigned_abs() + 1 { 0 } else { special(self) }
    }

    fn limbs(self) -> [u128; 1] {
        [self as u128]
    }

    fn negative(self) -> bool {
        self < 0
    }
}

#[cold]
fn special(value: i128) -> i64 {
    match value {
        NUMERIC_NAN => NAN,
        NUMERIC_INFINITY => INFINITY,
        NUMERIC_NEGATIVE_INFINITY => NEGATIVE_INFINITY,
        _ => 0,
    }
}

impl Summand<2> for i256 {
    /// The specials lie as those of an i128 do: at the ends.
    fn special(self) -> i64 {
        match self.to_parts() {
            (u128::MAX, i128::MAX) => NAN,
            (low, i128::MAX) if low == u128::MAX - 1 => INFINITY,
            (0, i128::MIN) => NEGATIVE_INFINITY,
            _ => 0,
        }
    }

    fn limbs(self) -> [u128; 2] {
        let (low, high) = self.to_parts();
        [low, high as u128]
    }

    fn negative(self) -> bool {
        self.is_negative()
    }
}

#[derive(Clone, Copy)]
pub(super) struct Sum<const W: usize> {
    pub limbs: [u128; W],
    pub rest: i64,
    pub count: i64,
}

impl<const W: usize> Default for Sum<W> {
    fn default() -> Self {
        Self { limbs: [0; W], rest: 0, count: 0 }
    }
}

impl<const W: usize> Sum<W> {
    #[inline(always)]
    pub fn add(&mut self, limbs: [u128; W], carry: i64) {
        let mut carried = false;
        for (limb, other) in self.limbs.iter_mut().zip(limbs) {
            let (sum, over) = limb.overflowing_add(other);
            let (sum, again) = sum.overflowing_add(carried.into());
            (*limb, carried) = (sum, over | again);
        }
        self.rest += (carry + i64::from(carried)) << CARRY_SHIFT;
    }

    #[inline(always)]
    pub fn take<S: Summand<W>>(&mut self, value: S) {
        self.count += 1;
        match value.special() {
            0 => self.add(value.limbs(), -i64::from(value.negative())),
            flag => self.rest |= flag,
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.add(other.limbs, other.rest >> CARRY_SHIFT);
        self.rest |= other.rest & FLAGS;
    }

    pub fn special(&self) -> Option<Special> {
        let has = |flag| self.rest & flag != 0;
        match (has(INFINITY), has(NEGATIVE_INFINITY)) {
            _ if has(NAN) => Some(Special::NaN),
            (true, true) => Some(Special::NaN),
            (true, false) => Some(Special::Infinity),
            (false, true) => Some(Special::NegativeInfinity),
            (false, false) => None,
        }
    }

    /// Of a sum that is a number.
    fn digits(&self, scale: u32) -> Digits {
        let (negative, mut magnitude) = self.magnitude();
        Digits::new(negative, &mut magnitude, scale)
    }

    /// Is it negative, and the limbs of its absolute value, the lowest first.
    pub fn magnitude(&self) -> (bool, Vec<u64>) {
        let carry = self.rest >> CARRY_SHIFT;
        let negative = carry < 0;
        let mut magnitude: Vec<u64> = self.limbs.iter().flat_map(|limb| [*limb as u64, (*limb >> 64) as u64]).collect();
        magnitude.push(carry as u64);
        if negative {
            let mut borrow = true;
            for limb in &mut magnitude {
                (*limb, borrow) = (!*limb).overflowing_add(borrow.into());
            }
        }
        (negative, magnitude)
    }

    /// A sum that is an i128.
    fn narrow(&self) -> Option<i128> {
        let low = self.limbs[0] as i128;
        (W == 1 && self.rest == (low >> 127) as i64 * (1 << CARRY_SHIFT)).then_some(low)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sum,
    Average,
}

/// sum or avg of `T`, which has `scale` decimals.
pub(super) struct Exact<T, const W: usize> {
    kind: Kind,
    scale: u8,
    summand: PhantomData<fn() -> T>,
}

impl<T, const W: usize> Exact<T, W> {
    pub fn new(kind: Kind, scale: u8) -> Self {
        Self { kind, scale, summand: PhantomData }
    }
}

/// The columns of a state.
pub(super) fn states(kind: Kind, limbs: usize) -> Vec<DataType> {
    let counts = usize::from(kind == Kind::Average);
    let limbs = std::iter::repeat_n(DataType::Decimal128(MAX_DIGITS, 0), limbs);
    limbs.chain(std::iter::repeat_n(DataType::Int64, 1 + counts)).collect()
}

impl<T, const W: usize> Aggregate for Exact<T, W>
where
    T: ArrowPrimitiveType,
    T::Native: Summand<W>,
{
    type Group = Sum<W>;

    fn update(&mut self, groups: &mut [Sum<W>], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        rows.each(groups, primitive::<T>(column(args, 0)?)?.values(), Sum::take);
        Ok(())
    }

    fn merge(&mut self, groups: &mut [Sum<W>], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let mut limbs = [&[][..]; W];
        for (at, limb) in limbs.iter_mut().enumerate() {
            *limb = primitive::<Decimal128Type>(column(states, at)?)?.values();
        }
        let rest = primitive::<Int64Type>(column(states, W)?)?.values();
        let counts = match self.kind {
            Kind::Sum => None,
            Kind::Average => Some(primitive::<Int64Type>(column(states, W + 1)?)?.values()),
        };
        rows.each_row(groups, |group, row| {
            let count = counts.map_or(1, |counts| counts[row]);
            group.merge(&Sum { limbs: limbs.map(|limb| limb[row] as u128), rest: rest[row], count });
            Ok(())
        })
    }

    fn evaluate(&mut self, groups: &[Sum<W>]) -> Result<ArrayRef> {
        let mut payloads = BinaryBuilder::with_capacity(groups.len(), groups.len() * 12);
        let mut payload = vec![];
        for group in groups {
            if group.count == 0 {
                payloads.append_null();
                continue;
            }
            match (self.kind, group.narrow()) {
                (Kind::Sum, Some(sum)) if !is_stand_in(sum) => {
                    payloads.append_value(encode(sum, self.scale).payload());
                    continue;
                }
                _ => (),
            }
            let scale = self.scale.into();
            let sum = match group.special() {
                Some(special) => Operand::Special(special),
                None if <T::Native as Summand<W>>::IN_INT8 => {
                    Operand::Finite(Digits::from_i128((group.limbs[0] as i64).into(), scale))
                }
                None => Operand::Finite(group.digits(scale)),
            };
            let result = match self.kind {
                Kind::Sum => sum,
                Kind::Average => average(&sum, group.count)?,
            };
            payload.clear();
            result.write(&mut payload)?;
            payloads.append_value(&payload);
        }
        Ok(Arc::new(payloads.finish()))
    }

    fn state(&mut self, groups: &[Sum<W>]) -> Result<Vec<ArrayRef>> {
        let limb = |at: usize| -> ArrayRef {
            let limbs = groups.iter().map(|group| (at > 0 || group.count > 0).then_some(group.limbs[at] as i128));
            let data_type = DataType::Decimal128(MAX_DIGITS, 0);
            Arc::new(limbs.collect::<Decimal128Array>().with_data_type(data_type))
        };
        let mut columns: Vec<ArrayRef> = (0..W).map(limb).collect();
        columns.push(Arc::new(groups.iter().map(|group| group.rest).collect::<Int64Array>()));
        if self.kind == Kind::Average {
            columns.push(Arc::new(groups.iter().map(|group| group.count).collect::<Int64Array>()));
        }
        Ok(columns)
    }

    fn fresh(&self) -> Self {
        Self::new(self.kind, self.scale)
    }
}

/// A sum may be what stands for a special value elsewhere.
fn is_stand_in(sum: i128) -> bool {
    matches!(sum, NUMERIC_NAN | NUMERIC_INFINITY | NUMERIC_NEGATIVE_INFINITY)
}

/// PostgreSQL divides the sum by the count, both as numerics.
pub(super) fn average(sum: &Operand, count: i64) -> Result<Operand> {
    let count = Operand::Finite(Digits::from_i128(count.into(), 0));
    Ok(divide(sum, &count).ok_or_else(|| Error::internal("an average of no rows"))?)
}
