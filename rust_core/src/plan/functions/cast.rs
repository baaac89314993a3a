//! Casts among integers and floats, and from numeric to them, with PostgreSQL's range checks; and the date that compares as a timestamp.

use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type,
};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::float::{overflow, underflow};
use super::integer::out_of_range;
use super::kernel::{unary, unexpected_type, wrong_arity};
use super::maths;
use super::unscaled::Decimal;
use crate::error::Error;

/// The type that is cast to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
}

pub(super) fn invoke(target: Target, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let Some(first) = args.args.first() else { return Err(wrong_arity(0).into()) };
    match (first.data_type(), target) {
        (DataType::Int16, _) => from_integer::<Int16Type>(target, args),
        (DataType::Int32, _) => from_integer::<Int32Type>(target, args),
        (DataType::Int64, Target::Float4) => plain::<Int64Type, Float32Type>(args, |value| value as f32),
        (DataType::Int64, Target::Float8) => plain::<Int64Type, Float64Type>(args, |value| value as f64),
        (DataType::Int64, _) => from_integer::<Int64Type>(target, args),
        (DataType::Float32, Target::Float8) => plain::<Float32Type, Float64Type>(args, f64::from),
        (DataType::Float32, _) => from_float::<Float32Type>(target, args),
        (DataType::Float64, _) => from_float::<Float64Type>(target, args),
        (DataType::Decimal128(..), _) => from_numeric::<Decimal128Type>(target, args),
        (DataType::Decimal256(..), _) => from_numeric::<Decimal256Type>(target, args),
        (other, _) => Err(unexpected_type(&other).into()),
    }
}

fn plain<I, O>(args: &ScalarFunctionArgs, cast: impl Fn(I::Native) -> O::Native) -> Result<ColumnarValue>
where
    I: ArrowPrimitiveType,
    O: ArrowPrimitiveType,
{
    unary::<I, O>(args, |value| (cast(value), false), |_| Error::internal("a cast that cannot fail has failed"))
}

fn from_integer<I>(target: Target, args: &ScalarFunctionArgs) -> Result<ColumnarValue>
where
    I: ArrowPrimitiveType,
    I::Native: Into<i64>,
{
    match target {
        Target::Int2 => unary::<I, Int16Type>(
            args,
            |value| {
                let wide: i64 = value.into();
                (wide as i16, i64::from(wide as i16) != wide)
            },
            |_| out_of_range("smallint"),
        ),
        Target::Int4 => unary::<I, Int32Type>(
            args,
            |value| {
                let wide: i64 = value.into();
                (wide as i32, i64::from(wide as i32) != wide)
            },
            |_| out_of_range("integer"),
        ),
        Target::Int8 => plain::<I, Int64Type>(args, Into::into),
        Target::Float4 => plain::<I, Float32Type>(args, |value| {
            let wide: i64 = value.into();
            wide as f32
        }),
        Target::Float8 => plain::<I, Float64Type>(args, |value| {
            let wide: i64 = value.into();
            wide as f64
        }),
    }
}

/// Rounds half to even, as C's rint; the bounds are powers of two, so they are exact in both widths.
fn from_float<I>(target: Target, args: &ScalarFunctionArgs) -> Result<ColumnarValue>
where
    I: ArrowPrimitiveType,
    I::Native: Into<f64>,
{
    let rounded = |value: I::Native, bound: f64| {
        let wide: f64 = value.into().round_ties_even();
        (wide, !(wide >= -bound && wide < bound))
    };
    match target {
        Target::Int2 => unary::<I, Int16Type>(
            args,
            |value| {
                let (value, flag) = rounded(value, 32_768.0);
                (value as i16, flag)
            },
            |_| out_of_range("smallint"),
        ),
        Target::Int4 => unary::<I, Int32Type>(
            args,
            |value| {
                let (value, flag) = rounded(value, 2_147_483_648.0);
                (value as i32, flag)
            },
            |_| out_of_range("integer"),
        ),
        Target::Int8 => unary::<I, Int64Type>(
            args,
            |value| {
                let (value, flag) = rounded(value, 9_223_372_036_854_775_808.0);
                (value as i64, flag)
            },
            |_| out_of_range("bigint"),
        ),
        Target::Float4 => unary::<I, Float32Type>(
            args,
            |value| {
                let wide: f64 = value.into();
                let narrow = wide as f32;
                let lost = (narrow.is_infinite() & !wide.is_infinite()) | ((narrow == 0.0) & (wide != 0.0));
                (narrow, lost)
            },
            |value| if value.into() as f32 == 0.0 { underflow() } else { overflow() },
        ),
        Target::Float8 => plain::<I, Float64Type>(args, Into::into),
    }
}

fn from_numeric<I: Decimal>(target: Target, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    match target {
        Target::Int2 => maths::numeric_to_integer::<I, Int16Type>(args, "smallint"),
        Target::Int4 => maths::numeric_to_integer::<I, Int32Type>(args, "integer"),
        Target::Int8 => maths::numeric_to_integer::<I, Int64Type>(args, "bigint"),
        Target::Float8 => maths::numeric_to_float8::<I>(args),
        Target::Float4 => Err(unexpected_type(&I::DATA_TYPE).into()),
    }
}

pub(super) const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// The first day (since 2000) that no timestamp reaches: 294277-01-01.
pub(super) const TIMESTAMP_END_DAY: i32 = 109_203_528 - 2_451_545;

/// A date as a timestamp of the same order: ±infinity stay so, and a day beyond the timestamps
/// comes after all of them but before infinity, as PostgreSQL compares it (date_cmp_timestamp_internal).
pub(super) fn date_timestamp(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    plain::<Int32Type, Int64Type>(args, |day| match day {
        i32::MIN => i64::MIN,
        i32::MAX => i64::MAX,
        day if day >= TIMESTAMP_END_DAY => i64::MAX - 1,
        day => i64::from(day) * MICROSECONDS_PER_DAY,
    })
}
