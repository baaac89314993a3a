//! Exact numeric arithmetic on Decimal128, within what the declared precisions can need.
//!
//! The translator asks for the result's type first and declines what might need more than 38 digits,
//! so nothing here overflows. NaN and the infinities ([`NUMERIC_NAN`]) are checked for in every
//! operation: scaled or added they would become numbers.

use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Int16Type, Int32Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::kernel::{binary, unary, unexpected_type, wrong_arity};
use crate::error::Error;
use crate::plan::types::{MAX_DIGITS, NUMERIC_INFINITY, NUMERIC_NAN, NUMERIC_NEGATIVE_INFINITY};

#[derive(Clone, Copy, Debug)]
pub(super) enum Numeric {
    Add,
    Sub,
    Mul,
    Neg,
    /// From an integer or a numeric to a numeric of as many or more digits before and after the point.
    Cast,
}

/// Digits in front of the point and behind it.
pub(in crate::plan) fn digits(decimal: &DataType) -> Option<(i32, i32)> {
    match decimal {
        DataType::Decimal128(precision, scale) => Some((i32::from(*precision) - i32::from(*scale), i32::from(*scale))),
        _ => None,
    }
}

pub(in crate::plan) fn decimal(integral: i32, scale: i32) -> Option<DataType> {
    // An integral part of no digits is fine, but Arrow wants one digit in all.
    let precision = (integral + scale).max(1);
    (precision <= i32::from(MAX_DIGITS)).then_some(DataType::Decimal128(precision as u8, scale as i8))
}

/// The numeric that holds all values of both types, or None when 38 digits are not enough.
pub(in crate::plan) fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    let (left, right) = (digits(left)?, digits(right)?);
    decimal(left.0.max(right.0), left.1.max(right.1))
}

/// The type of a sum or difference; PostgreSQL shows the larger scale.
pub(in crate::plan) fn sum_type(left: &DataType, right: &DataType) -> Option<DataType> {
    let (left, right) = (digits(left)?, digits(right)?);
    decimal(left.0.max(right.0) + 1, left.1.max(right.1))
}

/// The type of a product; PostgreSQL shows both scales added.
pub(in crate::plan) fn product_type(left: &DataType, right: &DataType) -> Option<DataType> {
    let (left, right) = (digits(left)?, digits(right)?);
    decimal(left.0 + right.0, left.1 + right.1)
}

fn never<T>(_: T) -> Error {
    Error::internal("an operation that cannot fail has failed")
}

/// 10 to the power that brings a value of scale `from` to scale `to`.
fn factor(from: i32, to: i32) -> Result<i128> {
    u32::try_from(to - from)
        .ok()
        .and_then(|power| 10i128.checked_pow(power))
        .ok_or_else(|| Error::internal(format!("a numeric of scale {from} was to be brought to scale {to}")).into())
}

fn scaled(value: i128, factor: i128) -> i128 {
    if is_special(value) { value } else { value.wrapping_mul(factor) }
}

/// NaN or an infinity. Numbers have at most [`MAX_DIGITS`] digits.
pub(super) fn is_special(value: i128) -> bool {
    const LIMIT: u128 = 10u128.pow(MAX_DIGITS as u32);
    value.unsigned_abs() >= LIMIT
}

/// The negative of any numeric.
pub(super) fn negated(value: i128) -> i128 {
    match value {
        NUMERIC_NAN => NUMERIC_NAN,
        NUMERIC_INFINITY => NUMERIC_NEGATIVE_INFINITY,
        NUMERIC_NEGATIVE_INFINITY => NUMERIC_INFINITY,
        number => -number,
    }
}

/// A sum of which one operand at least is special (numeric_add_opt_error).
#[cold]
fn special_sum(left: i128, right: i128) -> i128 {
    match (left, right) {
        (NUMERIC_NAN, _) | (_, NUMERIC_NAN) => NUMERIC_NAN,
        (left, right) if left == negated(right) => NUMERIC_NAN,
        (left, _) if is_special(left) => left,
        (_, right) => right,
    }
}

/// A product of which one operand at least is special (numeric_mul_opt_error).
#[cold]
fn special_product(left: i128, right: i128) -> i128 {
    match (left, right) {
        (NUMERIC_NAN, _) | (_, NUMERIC_NAN) | (0, _) | (_, 0) => NUMERIC_NAN,
        (left, right) if (left < 0) == (right < 0) => NUMERIC_INFINITY,
        _ => NUMERIC_NEGATIVE_INFINITY,
    }
}

pub(super) fn invoke(op: Numeric, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
    let result = args.return_field.data_type();
    let scale_of =
        |data_type: &DataType| digits(data_type).map(|(_, scale)| scale).ok_or_else(|| unexpected_type(data_type));
    let no_error = |_, _| never(());
    match (op, types.as_slice()) {
        (Numeric::Add | Numeric::Sub, [left, right]) => {
            let scale = scale_of(result)?;
            let (left, right) = (factor(scale_of(left)?, scale)?, factor(scale_of(right)?, scale)?);
            let subtract = matches!(op, Numeric::Sub);
            let right = if subtract { -right } else { right };
            binary::<Decimal128Type, Decimal128Type>(
                args,
                |a, b| {
                    let sum = a.wrapping_mul(left).wrapping_add(b.wrapping_mul(right));
                    if is_special(a) | is_special(b) {
                        return (special_sum(a, if subtract { negated(b) } else { b }), false);
                    }
                    (sum, false)
                },
                no_error,
            )
        }
        (Numeric::Mul, [_, _]) => binary::<Decimal128Type, Decimal128Type>(
            args,
            |a, b| {
                let product = a.wrapping_mul(b);
                (if is_special(a) | is_special(b) { special_product(a, b) } else { product }, false)
            },
            no_error,
        ),
        (Numeric::Neg, [_]) => unary::<Decimal128Type, Decimal128Type>(args, |value| (negated(value), false), never),
        (Numeric::Cast, [DataType::Int16]) => from_integer::<Int16Type>(args, scale_of(result)?),
        (Numeric::Cast, [DataType::Int32]) => from_integer::<Int32Type>(args, scale_of(result)?),
        (Numeric::Cast, [DataType::Int64]) => from_integer::<Int64Type>(args, scale_of(result)?),
        (Numeric::Cast, [from]) => {
            let factor = factor(scale_of(from)?, scale_of(result)?)?;
            unary::<Decimal128Type, Decimal128Type>(args, |value| (scaled(value, factor), false), never)
        }
        (_, types) => Err(wrong_arity(types.len()).into()),
    }
}

fn from_integer<T>(args: &ScalarFunctionArgs, scale: i32) -> Result<ColumnarValue>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    let factor = factor(0, scale)?;
    unary::<T, Decimal128Type>(args, |value| (value.into().wrapping_mul(factor), false), never)
}
