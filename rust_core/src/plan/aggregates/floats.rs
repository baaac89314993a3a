//! Sums, least and greatest of floats (float4pl, float8pl; float8smaller and float8larger).

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use datafusion::common::Result;

use super::groups::{Aggregate, Rows};
use super::{column, primitive};
use crate::plan::functions::float_overflow;

/// What a width can do.
pub(super) trait Width: Copy + Default + Send + Sync + PartialOrd + std::ops::Add<Output = Self> {
    fn is_nan(self) -> bool;
    fn is_infinite(self) -> bool;
}

macro_rules! width {
    ($native:ty) => {
        impl Width for $native {
            fn is_nan(self) -> bool {
                self.is_nan()
            }

            fn is_infinite(self) -> bool {
                self.is_infinite()
            }
        }
    };
}
width!(f32);
width!(f64);

/// PostgreSQL's order of floats: NaN equals itself and is above all.
fn is_above<F: Width>(left: F, right: F) -> bool {
    left > right || (left.is_nan() && !right.is_nan())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sum,
    Least,
    Greatest,
}

/// One of them, of Float32 or Float64. The state is the value so far, NULL without rows.
pub(super) struct Floats<T> {
    kind: Kind,
    width: PhantomData<fn() -> T>,
}

impl<T> Floats<T> {
    pub fn new(kind: Kind) -> Self {
        Self { kind, width: PhantomData }
    }
}

#[derive(Clone, Copy, Default)]
pub(super) struct Group<F> {
    value: F,
    seen: bool,
}

impl<T> Aggregate for Floats<T>
where
    T: ArrowPrimitiveType,
    T::Native: Width,
{
    type Group = Group<T::Native>;

    /// 22003 where a sum of finite values is none.
    fn update(&mut self, groups: &mut [Self::Group], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let values = primitive::<T>(column(args, 0)?)?.values();
        // Of equals, -0 and 0 among them, the last one stays.
        let mut choose = |keeps: fn(T::Native, T::Native) -> bool| {
            rows.each(groups, values, |group: &mut Self::Group, value| {
                if !group.seen || !keeps(group.value, value) {
                    *group = Group { value, seen: true };
                }
            });
        };
        match self.kind {
            Kind::Least => choose(|kept, value| is_above(value, kept)),
            Kind::Greatest => choose(is_above),
            Kind::Sum => {
                let mut overflow = false;
                rows.each(groups, values, |group: &mut Self::Group, value| {
                    if !group.seen {
                        *group = Group { value, seen: true };
                        return;
                    }
                    let sum = group.value + value;
                    overflow |= sum.is_infinite() & !group.value.is_infinite() & !value.is_infinite();
                    group.value = sum;
                });
                if overflow {
                    return Err(float_overflow().into());
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, groups: &mut [Self::Group], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        self.update(groups, states, rows)
    }

    fn evaluate(&mut self, groups: &[Self::Group]) -> Result<ArrayRef> {
        let values = groups.iter().map(|group| group.seen.then_some(group.value));
        Ok(Arc::new(values.collect::<PrimitiveArray<T>>()))
    }

    fn state(&mut self, groups: &[Self::Group]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn fresh(&self) -> Self {
        Self::new(self.kind)
    }
}
