//! Absolute values, roundings and roots of floats and numerics, and numerics as integers and floats.

use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::integer::out_of_range;
use super::kernel::{null, unary, unexpected_type, wrong_arity};
use super::numeric::{digits, is_special, negated};
use crate::error::{Error, sqlstate};
use crate::plan::types::{NUMERIC_INFINITY, NUMERIC_NAN, NUMERIC_NEGATIVE_INFINITY};
use crate::scan::numeric::power_of_ten;

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
fn rounded(rounding: Rounding, value: i128, unit: i128) -> i128 {
    let (quotient, rest) = (value / unit, value % unit);
    match rounding {
        Rounding::Floor if rest < 0 => quotient - 1,
        Rounding::Ceil if rest > 0 => quotient + 1,
        // Half of an odd unit (which is 1) never occurs.
        Rounding::Round if rest.unsigned_abs() >= unit.unsigned_abs().div_ceil(2) && rest != 0 => {
            quotient + rest.signum()
        }
        _ => quotient,
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
    let (Some((_, from_scale)), Some((_, to_scale))) = (digits(&from), digits(args.return_field.data_type())) else {
        return Err(unexpected_type(&from).into());
    };
    let args = &ScalarFunctionArgs { args: vec![value.clone()], ..args.clone() };
    if matches!(rounding, Rounding::Abs) {
        return unary::<Decimal128Type, Decimal128Type>(
            args,
            |value| (if value < 0 { negated(value) } else { value }, false),
            never,
        );
    }
    // 12.345 at 2 places: /10, *1. 1234 at -2: /100, *100. 1.5 at 4: /1, *1000. A unit beyond all
    // digits leaves nothing.
    let unit = power_of_ten(from_scale.saturating_sub(places).max(0).unsigned_abs());
    let factor = power_of_ten((to_scale - places.min(from_scale)).max(0).unsigned_abs()).unwrap_or(0);
    unary::<Decimal128Type, Decimal128Type>(
        args,
        |value| match unit {
            _ if is_special(value) => (value, false),
            Some(unit) => (rounded(rounding, value, unit).wrapping_mul(factor), false),
            None => (0, false),
        },
        never,
    )
}

/// numeric as an integer: rounded half away from zero, 22003 out of range, 0A000 for what is no number.
pub(super) fn numeric_to_integer<O>(args: &ScalarFunctionArgs, name: &str) -> Result<ColumnarValue>
where
    O: ArrowPrimitiveType,
    O::Native: TryFrom<i128>,
{
    let unit = unit(args)?;
    unary::<Decimal128Type, O>(
        args,
        |value| match O::Native::try_from(rounded(Rounding::Round, value, unit)) {
            Ok(integer) if !is_special(value) => (integer, false),
            _ => (O::default_value(), true),
        },
        |value| match value {
            NUMERIC_NAN => Error::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("cannot convert NaN to {name}")),
            value if is_special(value) => {
                Error::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("cannot convert infinity to {name}"))
            }
            _ => out_of_range(name),
        },
    )
}

/// 10 to the scale of the argument.
fn unit(args: &ScalarFunctionArgs) -> Result<i128> {
    let Some(first) = args.args.first() else { return Err(wrong_arity(0).into()) };
    let data_type = first.data_type();
    let unit = digits(&data_type).and_then(|(_, scale)| power_of_ten(scale.max(0).unsigned_abs()));
    Ok(unit.ok_or_else(|| unexpected_type(&data_type))?)
}

/// numeric as a float, rounded once: a number below 2^53 over a power of ten up to 10^22 are both
/// exact, so their quotient is; any other goes through its decimal digits, as PostgreSQL goes.
pub(super) fn numeric_to_float8(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    const EXACT: u128 = 1 << 53;
    let unit = unit(args)?;
    let scale = unit.ilog10();
    unary::<Decimal128Type, Float64Type>(
        args,
        |value| {
            let float = match value {
                NUMERIC_NAN => f64::NAN,
                NUMERIC_INFINITY => f64::INFINITY,
                NUMERIC_NEGATIVE_INFINITY => f64::NEG_INFINITY,
                value if value.unsigned_abs() <= EXACT && scale <= 22 => value as f64 / unit as f64,
                value => format!("{value}e-{scale}").parse().unwrap_or(f64::NAN),
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
        for (rounding, expected) in [
            (Floor, [-2, -2, -2, -1, 0, 0, 1, 1, 1]),
            (Ceil, [-1, -1, -1, -1, 0, 1, 2, 2, 2]),
            (Round, [-2, -2, -1, -1, 0, 0, 1, 2, 2]),
            (Trunc, [-1, -1, -1, -1, 0, 0, 1, 1, 1]),
        ] {
            let found = [-19, -15, -14, -10, 0, 4, 14, 15, 19].map(|value| rounded(rounding, value, 10));
            assert_eq!(found, expected, "{rounding:?}");
            assert_eq!(rounded(rounding, -7, 1), -7);
        }
    }
}
