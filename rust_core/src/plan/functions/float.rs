//! Float arithmetic with PostgreSQL's range checks (its utils/float.h), and the form of a float that
//! compares, sorts and hashes as PostgreSQL's does.

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::integer::division_by_zero;
use super::kernel::{binary, unary, unexpected_type, wrong_arity};
use crate::error::{Error, sqlstate};

#[derive(Clone, Copy, Debug)]
pub(super) enum Float {
    Add,
    Sub,
    Mul,
    Div,
    Neg,
    /// -0 to 0, and every NaN to one positive NaN: Arrow's total order then is PostgreSQL's order.
    Key,
}

/// What a width can do; the flag says that PostgreSQL raises.
trait Width: Copy + PartialEq {
    const ZERO: Self;
    fn add(self, other: Self) -> (Self, bool);
    fn sub(self, other: Self) -> (Self, bool);
    fn mul(self, other: Self) -> (Self, bool);
    fn div(self, other: Self) -> (Self, bool);
    fn neg(self) -> Self;
    fn key(self) -> Self;
}

macro_rules! width {
    ($native:ty) => {
        impl Width for $native {
            const ZERO: Self = 0.0;

            fn add(self, other: Self) -> (Self, bool) {
                let sum = self + other;
                (sum, sum.is_infinite() & !self.is_infinite() & !other.is_infinite())
            }

            fn sub(self, other: Self) -> (Self, bool) {
                let difference = self - other;
                (difference, difference.is_infinite() & !self.is_infinite() & !other.is_infinite())
            }

            fn mul(self, other: Self) -> (Self, bool) {
                let product = self * other;
                let overflow = product.is_infinite() & !self.is_infinite() & !other.is_infinite();
                (product, overflow | ((product == 0.0) & (self != 0.0) & (other != 0.0)))
            }

            fn div(self, other: Self) -> (Self, bool) {
                let quotient = self / other;
                let by_zero = (other == 0.0) & !self.is_nan();
                let overflow = quotient.is_infinite() & !self.is_infinite();
                let underflow = (quotient == 0.0) & (self != 0.0) & !other.is_infinite();
                (quotient, by_zero | overflow | underflow)
            }

            fn neg(self) -> Self {
                -self
            }

            fn key(self) -> Self {
                if self.is_nan() { Self::NAN } else { self + 0.0 }
            }
        }
    };
}
width!(f32);
width!(f64);

pub(in crate::plan) fn overflow() -> Error {
    Error::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

pub(super) fn underflow() -> Error {
    Error::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

pub(super) fn invoke(op: Float, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let Some(first) = args.args.first() else { return Err(wrong_arity(0).into()) };
    match first.data_type() {
        DataType::Float32 => run::<Float32Type>(op, args),
        DataType::Float64 => run::<Float64Type>(op, args),
        other => Err(unexpected_type(&other).into()),
    }
}

fn run<T>(op: Float, args: &ScalarFunctionArgs) -> Result<ColumnarValue>
where
    T: ArrowPrimitiveType,
    T::Native: Width,
{
    let too_large = |_, _| overflow();
    let never = |_| Error::internal("an operation that cannot fail has failed");
    match op {
        Float::Add => binary::<T, T>(args, Width::add, too_large),
        Float::Sub => binary::<T, T>(args, Width::sub, too_large),
        Float::Mul => binary::<T, T>(args, Width::mul, |left: T::Native, right: T::Native| {
            if left.mul(right).0 == T::Native::ZERO { underflow() } else { overflow() }
        }),
        Float::Div => binary::<T, T>(args, Width::div, |left: T::Native, right: T::Native| {
            if right == T::Native::ZERO {
                division_by_zero()
            } else if left.div(right).0 == T::Native::ZERO {
                underflow()
            } else {
                overflow()
            }
        }),
        Float::Neg => unary::<T, T>(args, |value| (value.neg(), false), never),
        Float::Key => unary::<T, T>(args, |value| (value.key(), false), never),
    }
}
