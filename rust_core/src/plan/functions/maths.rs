//! Absolute values, roundings and roots of floats and numerics, and numerics as integers and floats.

use arrow::array::ArrowNativeTypeOp;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, i256};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::integer::out_of_range;
use super::kernel::{null, unary, unexpected_type, wrong_arity};
use super::numeric::digits;
use super::unscaled::{Decimal, Unscaled};
use crate::error::{Error, sqlstate};

#[derive(Clone, Copy, Debug)]
pub(super) enum Rounding {
    Abs,
    Floor,
    Ceil,
    /// Floats to even, numerics away from zero.
    Round,
    Trunc,
}

fn never<T>(_: T) -> Error {
    Error::internal("an operation that cannot fail has failed")
}

pub(super) fn float(rounding: Rounding, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let Some(first) = args.args.first() else { return Err(wrong_arity(0).into()) };
    match (first.data_type(), rounding) {
        (DataType::Float32, Rounding::Abs) => {
            unary::<Float32Type, Float32Type>(args, |value| (value.abs(), false), never)
        }
        (DataType::Float64, rounding) => {
            let operation = match rounding {
                Rounding::Abs => f64::abs,
                Rounding::Floor => f64::floor,
                Rounding::Ceil => f64::ceil,
                Rounding::Round => f64::round_ties_even,
                Rounding::Trunc => f64::trunc,
            };
            unary::<Float64Type, Float64Type>(args, |value| (operation(value), false), never)
        }
        (other, _) => Err(unexpected_type(&other).into()),
    }
}

pub(super) fn sqrt(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    unary::<Float64Type, Float64Type>(
        args,
        |value| (value.sqrt(), value < 0.0),
        |_| Error::new(sqlstate::INVALID_ARGUMENT_FOR_POWER_FUNCTION, "cannot take square root of a negative number"),
    )
}

/// `value` in units of `unit`, to the integer that the rounding says.
fn rounded<W: Unscaled>(rounding: Rounding, value: W, unit: W) -> W {
    let (quotient, rest) = value.divided(unit);
    let distance = if rest < W::ZERO { rest.neg_wrapping() } else { rest };
    let away = match rounding {
        Rounding::Floor => rest < W::ZERO,
        Rounding::Ceil => rest > W::ZERO,
        // At least half of the unit, where twice the distance may have no room.
        Rounding::Round => distance >= unit.sub_wrapping(distance),
        Rounding::Abs | Rounding::Trunc => false,
    };
    match away {
        true if rest < W::ZERO => quotient.sub_wrapping(W::ONE),
        true => quotient.add_wrapping(W::ONE),
        false => quotient,
    }
}

/// Of a numeric, with the digits behind the point that the second argument says (none without it).
/// The result's type has as many, and room for what rounding adds in front.
pub(super) fn numeric(rounding: Rounding, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (value, places) = match (args.args.as_slice(), rounding) {
        ([value], Rounding::Abs | Rounding::Floor | Rounding::Ceil) => (value, 0),
        ([value, ColumnarValue::Scalar(ScalarValue::Int32(Some(places)))], Rounding::Round | Rounding::Trunc) => {
            (value, *places)
        }
        ([_, ColumnarValue::Scalar(ScalarValue::Int32(None))], Rounding::Round | Rounding::Trunc) => return null(args),
        ([_, other], Rounding::Round | Rounding::Trunc) => return Err(unexpected_type(&other.data_type()).into()),
        (others, _) => return Err(wrong_arity(others.len()).into()),
    };
    let from = value.data_type();
    let args = &ScalarFunctionArgs { args: vec![value.clone()], ..args.clone() };
    match (&from, args.return_field.data_type(), rounding) {
        (DataType::Decimal128(..), DataType::Decimal128(..), Rounding::Abs) => absolute::<Decimal128Type>(args),
        (_, _, Rounding::Abs) => absolute::<Decimal256Type>(args),
        (DataType::Decimal128(..), DataType::Decimal128(..), _) => {
            to_places::<Decimal128Type, i128, Decimal128Type>(rounding, args, places)
        }
        (DataType::Decimal128(..), _, _) => to_places::<Decimal128Type, i256, Decimal256Type>(rounding, args, places),
        (_, DataType::Decimal128(..), _) => to_places::<Decimal256Type, i256, Decimal128Type>(rounding, args, places),
        _ => to_places::<Decimal256Type, i256, Decimal256Type>(rounding, args, places),
    }
}

fn absolute<T: Decimal>(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    unary::<T, T>(args, |value| (if value < T::Native::ZERO { value.negated() } else { value }, false), never)
}

/// Computed as W, the wider of both.
fn to_places<I: Decimal, W: Unscaled, O: Decimal>(
    rounding: Rounding,
    args: &ScalarFunctionArgs,
    places: i32,
) -> Result<ColumnarValue> {
    let [value] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    let from = value.data_type();
    let (Some((_, from_scale)), Some((_, to_scale))) = (digits(&from), digits(args.return_field.data_type())) else {
        return Err(unexpected_type(&from).into());
    };
    // 12.345 at 2 places: /10, *1. 1234 at -2: /100, *100. 1.5 at 4: /1, *1000. A unit beyond all
    // digits leaves nothing.
    let unit = W::power_of_ten(from_scale.saturating_sub(places).max(0).unsigned_abs());
    let factor =
        W::power_of_ten(to_scale.saturating_sub(places.min(from_scale)).max(0).unsigned_abs()).unwrap_or(W::ZERO);
    unary::<I, O>(
        args,
        |value| {
            let value: W = value.converted();
            let rounded = match unit {
                _ if value.is_special() => value,
                Some(unit) => rounded(rounding, value, unit).mul_wrapping(factor),
                None => W::ZERO,
            };
            (rounded.converted(), false)
        },
        never,
    )
}

/// numeric as an integer: rounded half away from zero, 22003 out of range, 0A000 for what is no number.
pub(super) fn numeric_to_integer<I, O>(args: &ScalarFunctionArgs, name: &str) -> Result<ColumnarValue>
where
    I: Decimal,
    O: ArrowPrimitiveType,
    O::Native: TryFrom<i128>,
{
    let (_, unit) = unit::<I>(args)?;
    let integer = |value: I::Native| rounded(Rounding::Round, value, unit).to_i256().to_i128();
    unary::<I, O>(
        args,
        |value| match integer(value).and_then(|integer| O::Native::try_from(integer).ok()) {
            Some(integer) if !value.is_special() => (integer, false),
            _ => (O::default_value(), true),
        },
        |value| match value {
            nan if nan == I::Native::NAN => {
                Error::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("cannot convert NaN to {name}"))
            }
            infinity if infinity.is_special() => {
                Error::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("cannot convert infinity to {name}"))
            }
            _ => out_of_range(name),
        },
    )
}

/// The scale of the argument, and 10 to it.
fn unit<I: Decimal>(args: &ScalarFunctionArgs) -> Result<(u32, I::Native)> {
    let Some(first) = args.args.first() else { return Err(wrong_arity(0).into()) };
    let data_type = first.data_type();
    let scale = digits(&data_type).map(|(_, scale)| scale.max(0).unsigned_abs());
    let unit = scale.and_then(|scale| Some((scale, I::Native::power_of_ten(scale)?)));
    Ok(unit.ok_or_else(|| unexpected_type(&data_type))?)
}

/// numeric as a float, rounded once: a number below 2^53 over a power of ten up to 10^22 are both
/// exact, so their quotient is; any other goes through its decimal digits, as PostgreSQL goes.
pub(super) fn numeric_to_float8<I: Decimal>(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    const EXACT: i128 = 1 << 53;
    let (scale, unit) = unit::<I>(args)?;
    let divisor = (scale <= 22).then_some(unit.low() as f64);
    unary::<I, Float64Type>(
        args,
        |value| {
            let float = match (value.to_i256().to_i128(), divisor) {
                (Some(value), Some(divisor)) if (-EXACT..=EXACT).contains(&value) => value as f64 / divisor,
                _ if value == I::Native::NAN => f64::NAN,
                _ if value == I::Native::INFINITY => f64::INFINITY,
                _ if value == I::Native::NEGATIVE_INFINITY => f64::NEG_INFINITY,
                _ => format!("{value}e-{scale}").parse().unwrap_or(f64::NAN),
            };
            (float, false)
        },
        never,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundings_of_units() {
        use Rounding::*;
        let most = i128::power_of_ten(38).expect("fits");
        assert_eq!([most / 2 - 1, most / 2, 1 - most].map(|value| rounded(Round, value, most)), [0, 1, -1]);
        for (rounding, expected) in [
            (Floor, [-2, -2, -2, -1, 0, 0, 1, 1, 1]),
            (Ceil, [-1, -1, -1, -1, 0, 1, 2, 2, 2]),
            (Round, [-2, -2, -1, -1, 0, 0, 1, 2, 2]),
            (Trunc, [-1, -1, -1, -1, 0, 0, 1, 1, 1]),
        ] {
            let found = [-19, -15, -14, -10, 0, 4, 14, 15, 19].map(|value: i128| rounded(rounding, value, 10));
            assert_eq!(found, expected, "{rounding:?}");
            assert_eq!(rounded(rounding, -7, 1), -7);
            let wide = [-19, -15, -14, -10, 0, 4, 14, 15, 19].map(i256::from_i128);
            let found = wide.map(|value| rounded(rounding, value, i256::from_i128(10)));
            assert_eq!(found, expected.map(i256::from_i128), "{rounding:?}");
        }
    }
}
