//! Exact numeric arithmetic, on Decimal128 and, where more than 38 digits may be needed, on Decimal256.
//!
//! The translator asks for the result's type first and declines what might need more than 76 digits,
//! so nothing here overflows. NaN and the infinities are checked for in every operation, since scaled or added
//! they would become numbers; for a batch at a time where it has none.
//!
//! Values are mostly far smaller than their declared precision. So a batch is looked at first: where all
//! values of both operands are below powers of two (their extents) that let 64 or 128 bits hold each result, it is
//! computed there, without checks, and extended to the result's width.

use arrow::array::ArrowNativeTypeOp;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Int16Type, Int32Type, Int64Type, i256,
};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::kernel::{mixed, over_values, unary, unexpected_type, wrong_arity};
use super::unscaled::{Decimal, Unscaled};
use crate::error::Error;
use crate::plan::types::{MAX_DIGITS, MAX_WIDE_DIGITS};

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
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            Some((i32::from(*precision) - i32::from(*scale), i32::from(*scale)))
        }
        _ => None,
    }
}

pub(in crate::plan) fn decimal(integral: i32, scale: i32) -> Option<DataType> {
    // An integral part of no digits is fine, but Arrow wants one digit in all.
    let precision = u8::try_from((integral + scale).max(1)).ok()?;
    let scale = i8::try_from(scale).ok()?;
    match precision {
        narrow if narrow <= MAX_DIGITS => Some(DataType::Decimal128(precision, scale)),
        wide if wide <= MAX_WIDE_DIGITS => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

/// The numeric that holds all values of both types, or None when 76 digits are not enough.
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

fn neither<T, U>(_: T, _: U) -> Error {
    never(())
}

/// A power of ten to scale with.
#[derive(Clone, Copy)]
struct Factor {
    value: i256,
    /// It is at most two to this power.
    bits: u32,
}

impl Factor {
    /// What brings a value of scale `from` to scale `to`.
    fn new(from: i32, to: i32) -> Result<Self> {
        let value = u32::try_from(to - from).ok().and_then(i256::power_of_ten);
        let impossible = || Error::internal(format!("a numeric of scale {from} was to be brought to scale {to}"));
        let value = value.ok_or_else(impossible)?;
        Ok(Self { value, bits: 256 - value.wrapping_sub(i256::ONE).leading_zeros() })
    }

    fn negated(self) -> Self {
        Self { value: self.value.wrapping_neg(), ..self }
    }
}

/// Bounds of all values of an argument.
fn extent<T: Decimal>(argument: &ColumnarValue) -> Result<u32> {
    over_values::<T, _>(argument, T::Native::extent)
}

/// A sum of which one operand at least is special (numeric_add_opt_error).
#[cold]
fn special_sum<W: Unscaled>(left: W, right: W) -> W {
    if left == W::NAN || right == W::NAN || left == right.negated() {
        return W::NAN;
    }
    if left.is_special() { left } else { right }
}

/// A product of which one operand at least is special (numeric_mul_opt_error).
#[cold]
fn special_product<W: Unscaled>(left: W, right: W) -> W {
    if left == W::NAN || right == W::NAN || left.is_zero() || right.is_zero() {
        return W::NAN;
    }
    if (left < W::ZERO) == (right < W::ZERO) { W::INFINITY } else { W::NEGATIVE_INFINITY }
}

pub(super) fn invoke(op: Numeric, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
    let result = args.return_field.data_type();
    match (op, types.as_slice()) {
        (Numeric::Add | Numeric::Sub | Numeric::Mul, [left, right]) => match (left, right, result) {
            (DataType::Decimal128(..), DataType::Decimal128(..), DataType::Decimal128(..)) => {
                of_two::<Decimal128Type, Decimal128Type, Decimal128Type>(op, args)
            }
            (DataType::Decimal128(..), DataType::Decimal128(..), _) => {
                of_two::<Decimal128Type, Decimal128Type, Decimal256Type>(op, args)
            }
            (DataType::Decimal128(..), _, _) => of_two::<Decimal128Type, Decimal256Type, Decimal256Type>(op, args),
            (_, DataType::Decimal128(..), _) => of_two::<Decimal256Type, Decimal128Type, Decimal256Type>(op, args),
            _ => of_two::<Decimal256Type, Decimal256Type, Decimal256Type>(op, args),
        },
        (Numeric::Neg, [DataType::Decimal128(..)]) => negative::<Decimal128Type>(args),
        (Numeric::Neg, [_]) => negative::<Decimal256Type>(args),
        (Numeric::Cast, [from]) => match (from, result) {
            (DataType::Int16, _) => from_integer::<Int16Type>(args),
            (DataType::Int32, _) => from_integer::<Int32Type>(args),
            (DataType::Int64, _) => from_integer::<Int64Type>(args),
            (DataType::Decimal128(..), DataType::Decimal128(..)) => rescaled::<Decimal128Type, Decimal128Type>(args),
            (DataType::Decimal128(..), _) => rescaled::<Decimal128Type, Decimal256Type>(args),
            _ => rescaled::<Decimal256Type, Decimal256Type>(args),
        },
        (_, types) => Err(wrong_arity(types.len()).into()),
    }
}

fn of_two<I: Decimal, J: Decimal, O: Decimal>(op: Numeric, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [left, right] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    let extents = [extent::<I>(left)?, extent::<J>(right)?];
    if matches!(op, Numeric::Mul) {
        return product::<I, J, O>(args, extents);
    }
    let result = scale(args.return_field.data_type())?;
    let left = Factor::new(scale(&left.data_type())?, result)?;
    let right = Factor::new(scale(&right.data_type())?, result)?;
    let right = if matches!(op, Numeric::Sub) { right.negated() } else { right };
    sum::<I, J, O>(args, extents, [left, right])
}

fn scale(data_type: &DataType) -> Result<i32> {
    Ok(digits(data_type).map(|(_, scale)| scale).ok_or_else(|| unexpected_type(data_type))?)
}

fn product<I: Decimal, J: Decimal, O: Decimal>(args: &ScalarFunctionArgs, extents: [u32; 2]) -> Result<ColumnarValue> {
    let [left, right] = extents;
    if left <= 63 && right <= 63 {
        // One instruction multiplies.
        let product = |a: I::Native, b: J::Native| i128::from(a.low() as i64) * i128::from(b.low() as i64);
        return mixed::<I, J, O>(args, |a, b| (O::Native::of(product(a, b)), false), neither);
    }
    if left + right <= 126 {
        return mixed::<I, J, O>(args, |a, b| (O::Native::of(a.low().wrapping_mul(b.low())), false), neither);
    }
    mixed::<I, J, O>(
        args,
        |a, b| {
            let (a, b): (O::Native, O::Native) = (a.converted(), b.converted());
            let special = a.is_special() | b.is_special();
            (if special { special_product(a, b) } else { a.mul_wrapping(b) }, false)
        },
        neither,
    )
}

/// The sum of both operands, each times its factor; the second's is negative for a difference.
fn sum<I: Decimal, J: Decimal, O: Decimal>(
    args: &ScalarFunctionArgs,
    extents: [u32; 2],
    factors: [Factor; 2],
) -> Result<ColumnarValue> {
    let bits = (extents[0] + factors[0].bits).max(extents[1] + factors[1].bits);
    let [left, right] = factors.map(|factor| factor.value.as_i128());
    if bits <= 62 {
        let (left, right) = (left as i64, right as i64);
        let sum = |a: i64, b: i64| a.wrapping_mul(left).wrapping_add(b.wrapping_mul(right));
        let sum = |a: I::Native, b: J::Native| O::Native::of(sum(a.low() as i64, b.low() as i64).into());
        return mixed::<I, J, O>(args, |a, b| (sum(a, b), false), neither);
    }
    if bits <= 125 {
        let sum = |a: i128, b: i128| a.wrapping_mul(left).wrapping_add(b.wrapping_mul(right));
        return mixed::<I, J, O>(args, |a, b| (O::Native::of(sum(a.low(), b.low())), false), neither);
    }
    let [left, right] = factors.map(|factor| O::Native::from_i256(factor.value));
    let subtract = right < O::Native::ZERO;
    mixed::<I, J, O>(
        args,
        |a, b| {
            let (a, b): (O::Native, O::Native) = (a.converted(), b.converted());
            if a.is_special() | b.is_special() {
                return (special_sum(a, if subtract { b.negated() } else { b }), false);
            }
            (a.mul_wrapping(left).add_wrapping(b.mul_wrapping(right)), false)
        },
        neither,
    )
}

fn negative<T: Decimal>(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [argument] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    match extent::<T>(argument)? < T::Native::SPECIAL_EXTENT {
        true => unary::<T, T>(args, |value| (value.neg_wrapping(), false), never),
        false => unary::<T, T>(args, |value| (value.negated(), false), never),
    }
}

fn rescaled<I: Decimal, O: Decimal>(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [argument] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    let factor = Factor::new(scale(&argument.data_type())?, scale(args.return_field.data_type())?)?;
    if extent::<I>(argument)? + factor.bits <= 126 {
        let factor = factor.value.as_i128();
        return unary::<I, O>(args, |value| (O::Native::of(value.low().wrapping_mul(factor)), false), never);
    }
    let factor = O::Native::from_i256(factor.value);
    unary::<I, O>(
        args,
        |value| {
            let value: O::Native = value.converted();
            (if value.is_special() { value } else { value.mul_wrapping(factor) }, false)
        },
        never,
    )
}

fn from_integer<T>(args: &ScalarFunctionArgs) -> Result<ColumnarValue>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    let factor = Factor::new(0, scale(args.return_field.data_type())?)?;
    let narrow = factor.value.as_i128();
    match args.return_field.data_type() {
        DataType::Decimal128(..) => {
            unary::<T, Decimal128Type>(args, |value| (value.into().wrapping_mul(narrow), false), never)
        }
        _ if factor.bits <= 62 => {
            unary::<T, Decimal256Type>(args, |value| (i256::of(value.into().wrapping_mul(narrow)), false), never)
        }
        _ => {
            unary::<T, Decimal256Type>(args, |value| (i256::of(value.into()).wrapping_mul(factor.value), false), never)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, PrimitiveArray, RecordBatch};
    use datafusion::common::ScalarValue;
    use datafusion::physical_expr::PhysicalExpr;
    use datafusion::physical_expr::expressions::{Column, Literal};
    use proptest::prelude::*;

    use super::super::{Function, call};
    use super::*;

    /// What a numeric column has: its type, and its values in either width.
    type Numbers = (DataType, Vec<Option<i256>>);

    /// A number of any length, or what is none.
    fn value(precision: u8) -> impl Strategy<Value = Option<i256>> {
        let most = i256::power_of_ten(precision.into()).expect("fits").wrapping_sub(i256::ONE);
        let number = (any::<u128>(), any::<i128>(), 0u8..=255).prop_map(move |(low, high, shift)| {
            let limit = most.wrapping_add(i256::ONE);
            Some((i256::from_parts(low, high) >> shift).wrapping_rem(limit))
        });
        prop_oneof![
            20 => number,
            1 => prop::sample::select(vec![i256::NAN, i256::INFINITY, i256::NEGATIVE_INFINITY]).prop_map(Some),
            2 => prop::sample::select(vec![most, most.wrapping_neg(), i256::ZERO, i256::MINUS_ONE]).prop_map(Some),
            1 => Just(None),
        ]
    }

    fn numbers() -> impl Strategy<Value = Numbers> {
        (1u8..=60, 0u8..=38).prop_flat_map(|(precision, scale)| {
            let scale = scale.min(precision);
            let data_type = decimal((precision - scale).into(), scale.into()).expect("fits");
            (Just(data_type), prop::collection::vec(value(precision), 4))
        })
    }

    fn array((data_type, values): &Numbers) -> ArrayRef {
        match data_type {
            DataType::Decimal128(..) => {
                let values = values.iter().map(|value| value.map(|value| value.converted()));
                Arc::new(values.collect::<PrimitiveArray<Decimal128Type>>().with_data_type(data_type.clone()))
            }
            _ => Arc::new(
                values.iter().copied().collect::<PrimitiveArray<Decimal256Type>>().with_data_type(data_type.clone()),
            ),
        }
    }

    fn values(array: &ArrayRef) -> Vec<Option<i256>> {
        match array.data_type() {
            DataType::Decimal128(..) => {
                array.as_primitive::<Decimal128Type>().iter().map(|value| Some(value?.converted())).collect()
            }
            _ => array.as_primitive::<Decimal256Type>().iter().collect(),
        }
    }

    /// Special values are as those of floats, and numbers beside them count by their sign.
    fn expected(op: Function, left: i256, right: i256, factors: [i256; 2]) -> i256 {
        let float = |value: i256| match value {
            i256::NAN => f64::NAN,
            i256::INFINITY => f64::INFINITY,
            i256::NEGATIVE_INFINITY => f64::NEG_INFINITY,
            number => number.signum().as_i128() as f64,
        };
        let of_floats = match op {
            Function::NumericAdd => float(left) + float(right),
            Function::NumericSub => float(left) - float(right),
            _ => float(left) * float(right),
        };
        if !of_floats.is_finite() {
            return match of_floats {
                nan if nan.is_nan() => i256::NAN,
                infinity if infinity > 0.0 => i256::INFINITY,
                _ => i256::NEGATIVE_INFINITY,
            };
        }
        let scaled = [(left, factors[0]), (right, factors[1])].map(|(value, by)| value.checked_mul(by).expect("fits"));
        let result = match op {
            Function::NumericAdd => scaled[0].checked_add(scaled[1]),
            Function::NumericSub => scaled[0].checked_sub(scaled[1]),
            _ => left.checked_mul(right),
        };
        result.expect("fits")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn as_in_the_widest_arithmetic(left in numbers(), right in numbers()) {
            let batch = RecordBatch::try_from_iter([("l", array(&left)), ("r", array(&right))]).expect("agree");
            let column = |name: &str, at| Arc::new(Column::new(name, at)) as Arc<dyn PhysicalExpr>;
            let first = |at: usize| {
                let value = ScalarValue::try_from_array(batch.column(at), 0).expect("a scalar");
                Arc::new(Literal::new(value)) as Arc<dyn PhysicalExpr>
            };
            for (op, rule) in [
                (Function::NumericAdd, sum_type as fn(&DataType, &DataType) -> Option<DataType>),
                (Function::NumericSub, sum_type),
                (Function::NumericMul, product_type),
            ] {
                let Some(result) = rule(&left.0, &right.0) else { continue };
                let scales = [&left.0, &right.0, &result].map(|data_type| scale(data_type).expect("a numeric"));
                let factors = [scales[0], scales[1]].map(|from| match op {
                    Function::NumericMul => i256::ONE,
                    _ => Factor::new(from, scales[2]).expect("fits").value,
                });
                for (args, rows) in [
                    ([column("l", 0), column("r", 1)], [0, 1, 2, 3].map(|row| (row, row))),
                    ([first(0), column("r", 1)], [0, 1, 2, 3].map(|row| (0, row))),
                    ([column("l", 0), first(1)], [0, 1, 2, 3].map(|row| (row, 0))),
                    ([first(0), first(1)], [(0, 0); 4]),
                ] {
                    let found = call(op, args.to_vec(), result.clone()).evaluate(&batch).expect("evaluates");
                    let found = found.into_array(4).expect("an array");
                    prop_assert_eq!(found.data_type(), &result);
                    let wanted = rows.map(|(l, r)| Some(expected(op, left.1[l]?, right.1[r]?, factors)));
                    prop_assert_eq!(values(&found), wanted, "{:?} {:?} {:?}", op, left, right);
                }
            }
            // To the type that holds both, and back in sign.
            let Some(common) = common_type(&left.0, &right.0) else { return Ok(()) };
            let factor = Factor::new(scale(&left.0).expect("a numeric"), scale(&common).expect("a numeric"));
            let factor = factor.expect("fits").value;
            let cast = call(Function::Numeric, vec![column("l", 0)], common.clone());
            let negative = call(Function::NumericNeg, vec![Arc::clone(&cast)], common);
            for (expr, one) in [(cast, i256::ONE), (negative, i256::MINUS_ONE)] {
                let found = expr.evaluate(&batch).and_then(|value| value.into_array(4)).expect("evaluates");
                let wanted: Vec<_> = left.1.iter().map(|value| {
                    let value = (*value)?;
                    Some(match value.is_special() {
                        true if one == i256::ONE => value,
                        true => value.negated(),
                        false => value.checked_mul(factor).expect("fits").wrapping_mul(one),
                    })
                }).collect();
                prop_assert_eq!(values(&found), wanted, "{:?}", left);
            }
        }

        #[test]
        fn integers_of_any_scale(value: i64, scale in 0u8..=57) {
            let scalar: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Int64(Some(value))));
            let result = decimal(19, scale.into()).expect("fits");
            let batch = RecordBatch::try_from_iter([("c", array(&(DataType::Decimal128(1, 0), vec![None])))]);
            let found = call(Function::Numeric, vec![scalar], result).evaluate(&batch.expect("agrees"));
            let found = found.and_then(|value| value.into_array(1)).expect("evaluates");
            let unit = i256::power_of_ten(scale.into()).expect("fits");
            prop_assert_eq!(values(&found), [Some(i256::from(value).wrapping_mul(unit))]);
        }
    }
}
