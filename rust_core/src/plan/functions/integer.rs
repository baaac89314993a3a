//! Integer arithmetic that raises where PostgreSQL does: 22003 on overflow, 22012 on a zero divisor.
//! Both operands have the width of the result (of a shift: the first); the translator widens them first.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use arrow::datatypes::{ArrowPrimitiveType, DataType, Int16Type, Int32Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::kernel::{binary, mixed, unary, unexpected_type, wrong_arity};
use crate::error::{Error, sqlstate};

#[derive(Clone, Copy, Debug)]
pub(super) enum Integer {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Neg,
    Abs,
    And,
    Or,
    Xor,
    Not,
    /// By an int4; of its bits count as many as the width in registers has, as the machine's shift does.
    ShiftLeft,
    ShiftRight,
}

/// What a width can do; the flag says that the result does not fit.
trait Width: Copy + PartialEq {
    /// PostgreSQL's name of the type.
    const NAME: &'static str;
    const ZERO: Self;
    fn add(self, other: Self) -> (Self, bool);
    fn sub(self, other: Self) -> (Self, bool);
    fn mul(self, other: Self) -> (Self, bool);
    fn div(self, other: Self) -> (Self, bool);
    fn rem(self, other: Self) -> (Self, bool);
    fn abs(self) -> (Self, bool);
    fn shift_left(self, by: i32) -> Self;
    fn shift_right(self, by: i32) -> Self;
}

macro_rules! width {
    ($native:ty, $register:ty, $name:literal) => {
        impl Width for $native {
            const NAME: &'static str = $name;
            const ZERO: Self = 0;

            // The sign test, unlike the overflow flag of the CPU, becomes vector instructions.
            fn add(self, other: Self) -> (Self, bool) {
                let sum = self.wrapping_add(other);
                (sum, ((self ^ sum) & (other ^ sum)) < 0)
            }

            fn sub(self, other: Self) -> (Self, bool) {
                let difference = self.wrapping_sub(other);
                (difference, ((self ^ other) & (self ^ difference)) < 0)
            }

            fn mul(self, other: Self) -> (Self, bool) {
                self.overflowing_mul(other)
            }

            fn div(self, other: Self) -> (Self, bool) {
                self.checked_div(other).map_or((0, true), |quotient| (quotient, false))
            }

            // The least value modulo -1 is 0 in PostgreSQL, not an overflow.
            fn rem(self, other: Self) -> (Self, bool) {
                if other == 0 { (0, true) } else { (self.wrapping_rem(other), false) }
            }

            fn abs(self) -> (Self, bool) {
                (self.wrapping_abs(), self == Self::MIN)
            }

            fn shift_left(self, by: i32) -> Self {
                <$register>::from(self).wrapping_shl(by as u32) as Self
            }

            fn shift_right(self, by: i32) -> Self {
                <$register>::from(self).wrapping_shr(by as u32) as Self
            }
        }
    };
}
width!(i16, i32, "smallint");
width!(i32, i32, "integer");
width!(i64, i64, "bigint");

/// 22003 for a result that does not fit in the type of that name.
pub(super) fn out_of_range(name: &str) -> Error {
    Error::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range"))
}

pub(super) fn division_by_zero() -> Error {
    Error::new(sqlstate::DIVISION_BY_ZERO, "division by zero")
}

pub(super) fn invoke(op: Integer, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let Some(first) = args.args.first() else { return Err(wrong_arity(0).into()) };
    match first.data_type() {
        DataType::Int16 => run::<Int16Type>(op, args),
        DataType::Int32 => run::<Int32Type>(op, args),
        DataType::Int64 => run::<Int64Type>(op, args),
        other => Err(unexpected_type(&other).into()),
    }
}

fn run<T>(op: Integer, args: &ScalarFunctionArgs) -> Result<ColumnarValue>
where
    T: ArrowPrimitiveType,
    T::Native: Width
        + BitAnd<Output = T::Native>
        + BitOr<Output = T::Native>
        + BitXor<Output = T::Native>
        + Not<Output = T::Native>,
{
    let overflow = |_, _| out_of_range(T::Native::NAME);
    let divide = |_, divisor| {
        if divisor == T::Native::ZERO { division_by_zero() } else { out_of_range(T::Native::NAME) }
    };
    match op {
        Integer::Add => binary::<T, T>(args, Width::add, overflow),
        Integer::Sub => binary::<T, T>(args, Width::sub, overflow),
        Integer::Mul => binary::<T, T>(args, Width::mul, overflow),
        Integer::Div => binary::<T, T>(args, Width::div, divide),
        Integer::Mod => binary::<T, T>(args, Width::rem, divide),
        Integer::Neg => unary::<T, T>(args, |v| T::Native::ZERO.sub(v), |_| out_of_range(T::Native::NAME)),
        Integer::Abs => unary::<T, T>(args, Width::abs, |_| out_of_range(T::Native::NAME)),
        Integer::And => binary::<T, T>(args, |left, right| (left & right, false), overflow),
        Integer::Or => binary::<T, T>(args, |left, right| (left | right, false), overflow),
        Integer::Xor => binary::<T, T>(args, |left, right| (left ^ right, false), overflow),
        Integer::Not => unary::<T, T>(args, |value| (!value, false), |_| out_of_range(T::Native::NAME)),
        Integer::ShiftLeft => {
            mixed::<T, Int32Type, T>(args, |v, by| (v.shift_left(by), false), |_, _| out_of_range(T::Native::NAME))
        }
        Integer::ShiftRight => {
            mixed::<T, Int32Type, T>(args, |v, by| (v.shift_right(by), false), |_, _| out_of_range(T::Native::NAME))
        }
    }
}
