//! A numeric of any scale as bytes whose order and equality are the numeric's.
//!
//! ```text
//! class              1 byte    -Infinity 00, negative 40, zero 80, positive C0, Infinity E0, NaN F0
//! of a positive one: weight    2 bytes, big-endian, biased so that it has no sign
//!                    digits    2 bytes each, big-endian, plus one; no zero digits at either end
//! of a negative one: the same, all bits inverted, and FF FF behind
//! ```
//!
//! No digit is 00 00, nor FF FF inverted: of two values of one sign where one's digits begin with all of the
//! other's, the longer is farther from zero. The display scale is not in it: 1.0 and 1.00 are one key.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::kernel::{unexpected_type, wrong_arity};
use crate::error::Error;
use crate::scan::numeric::{Kind, encode, encode_wide};

const NEGATIVE_INFINITY: u8 = 0x00;
const NEGATIVE: u8 = 0x40;
const ZERO: u8 = 0x80;
const POSITIVE: u8 = 0xC0;
const INFINITY: u8 = 0xE0;
const NAN: u8 = 0xF0;

/// `pg_numeric_order`: of a numeric's payload (Binary) or a decimal, to Binary.
pub(super) fn invoke(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let mut key = Vec::new();
    of_payloads(args, |keys, payload| append(keys, &mut key, payload))
}

/// `pg_numeric_payload`: the payload of a decimal, of a payload itself.
pub(super) fn payload(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    of_payloads(args, |payloads, payload| {
        payloads.append_option(payload);
        Ok(())
    })
}

/// What `append` makes of each payload of the only argument, a payload (Binary) or a decimal.
fn of_payloads(
    args: &ScalarFunctionArgs,
    mut append: impl FnMut(&mut BinaryBuilder, Option<&[u8]>) -> Result<()>,
) -> Result<ColumnarValue> {
    let [argument] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    if *args.return_field.data_type() != DataType::Binary {
        return Err(unexpected_type(args.return_field.data_type()).into());
    }
    match argument {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(each(array.as_ref(), &mut append)?)),
        ColumnarValue::Scalar(scalar) => {
            let made = each(scalar.to_array()?.as_ref(), &mut append)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?))
        }
    }
}

fn each(
    array: &dyn Array,
    append: &mut impl FnMut(&mut BinaryBuilder, Option<&[u8]>) -> Result<()>,
) -> Result<ArrayRef> {
    let mut made = BinaryBuilder::with_capacity(array.len(), array.len() * 11);
    match array.data_type() {
        DataType::Binary => {
            for payload in array.as_binary::<i32>() {
                append(&mut made, payload)?;
            }
        }
        DataType::Decimal128(_, scale @ 0..=38) => {
            for value in array.as_primitive::<Decimal128Type>() {
                let encoded = value.map(|value| encode(value, scale.unsigned_abs()));
                append(&mut made, encoded.as_ref().map(|encoded| encoded.payload()))?;
            }
        }
        DataType::Decimal256(_, scale @ 0..=76) => {
            for value in array.as_primitive::<Decimal256Type>() {
                let encoded = value.map(|value| encode_wide(value, scale.unsigned_abs()));
                append(&mut made, encoded.as_ref().map(|encoded| encoded.payload()))?;
            }
        }
        other => return Err(unexpected_type(other).into()),
    }
    Ok(Arc::new(made.finish()))
}

fn append(keys: &mut BinaryBuilder, key: &mut Vec<u8>, payload: Option<&[u8]>) -> Result<()> {
    match payload {
        None => keys.append_null(),
        Some(payload) => {
            key.clear();
            write(payload, key).ok_or_else(|| Error::internal("a numeric value is malformed"))?;
            keys.append_value(key);
        }
    }
    Ok(())
}

/// Writes the key of the numeric with this payload; `None` when that is malformed.
pub(in crate::plan) fn write(payload: &[u8], key: &mut Vec<u8>) -> Option<()> {
    let parsed = match Kind::of(payload)? {
        Kind::NaN => {
            key.push(NAN);
            return Some(());
        }
        Kind::Infinity { negative } => {
            key.push(if negative { NEGATIVE_INFINITY } else { INFINITY });
            return Some(());
        }
        Kind::Finite(parsed) => parsed,
    };
    // PostgreSQL stores no zero digits at the ends, but reads them.
    let leading = parsed.digits.iter().take_while(|digit| **digit == [0, 0]).count();
    let digits = &parsed.digits[leading..];
    let trailing = digits.iter().rev().take_while(|digit| **digit == [0, 0]).count();
    let digits = &digits[..digits.len() - trailing];
    if digits.is_empty() {
        key.push(ZERO);
        return Some(());
    }
    let weight = i16::try_from(parsed.weight - i32::try_from(leading).ok()?).ok()?;
    let invert = if parsed.negative { u16::MAX } else { 0 };
    key.push(if parsed.negative { NEGATIVE } else { POSITIVE });
    key.extend_from_slice(&((weight as u16 ^ 0x8000) ^ invert).to_be_bytes());
    for &digit in digits {
        let digit = u16::from_le_bytes(digit);
        if digit >= 10_000 {
            return None;
        }
        key.extend_from_slice(&((digit + 1) ^ invert).to_be_bytes());
    }
    if parsed.negative {
        key.extend_from_slice(&[0xFF, 0xFF]);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::testing::numeric_payload;
    use crate::scan::numeric;

    fn key(payload: &[u8]) -> Vec<u8> {
        let mut key = vec![];
        write(payload, &mut key).expect("is well-formed");
        key
    }

    #[test]
    fn ascending() {
        let ascending = [
            "-Infinity",
            "-100000000.5",
            "-100000000",
            "-10000",
            "-9999.9999",
            "-2",
            "-1.0001",
            "-1",
            "-0.9",
            "-0.00000001",
            "0",
            "0.00000001",
            "0.00009",
            "0.9",
            "1",
            "1.0001",
            "2",
            "9999.9999",
            "10000",
            "10000.0001",
            "100000000",
            "123456789012345678901234567890123456789012345678901234567890",
            "Infinity",
            "NaN",
        ];
        for (position, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                let order = key(&numeric_payload(left)).cmp(&key(&numeric_payload(right)));
                assert_eq!(order, position.cmp(&other), "{left} {right}");
            }
        }
    }

    #[test]
    fn the_display_scale_does_not_count() {
        for (left, right) in [("1.0", "1.000000"), ("-20", "-20.00"), ("0", "-0.000"), ("0001.5", "1.5")] {
            assert_eq!(key(&numeric_payload(left)), key(&numeric_payload(right)), "{left} {right}");
        }
    }

    #[test]
    fn malformed_values_have_no_key() {
        for bytes in [&[][..], &[0], &[0x00, 0x80, 0x10, 0x27], &[0x00, 0x80, 1]] {
            assert_eq!(write(bytes, &mut vec![]), None, "{bytes:?}");
        }
    }

    /// The order of `left · 10^-left_scale` and `right · 10^-right_scale`, of few digits.
    fn order(left: (i64, u8), right: (i64, u8)) -> Ordering {
        let wide = |(value, scale): (i64, u8)| i128::from(value) * 10i128.pow(u32::from(18 - scale));
        wide(left).cmp(&wide(right))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn as_the_values(
            left: i64, right: i64, cut in 0u32..19, other_cut in 0u32..19, scale in 0u8..=18, other_scale in 0u8..=18,
        ) {
            let (left, right) = (left % 10i64.pow(cut), right % 10i64.pow(other_cut));
            let of = |value: i64, scale| key(numeric::encode(value.into(), scale).payload());
            let found = of(left, scale).cmp(&of(right, other_scale));
            prop_assert_eq!(found, order((left, scale), (right, other_scale)));
        }

        #[test]
        fn any_digits(
            left in proptest::collection::vec(0u16..3, 0..5), right in proptest::collection::vec(0u16..3, 0..5),
            weight in -2i16..3, other_weight in -2i16..3, negative: bool, other_negative: bool,
        ) {
            // Zero digits at both ends, which the value does not see.
            let payload = |digits: &[u16], weight: i16, negative: bool| -> Vec<u8> {
                let header = [u16::from(negative) << 14, weight as u16];
                header.iter().chain(digits).flat_map(|word| word.to_le_bytes()).collect()
            };
            let value = |digits: &[u16], weight: i16, negative: bool| -> i128 {
                let sum: i128 = digits.iter().zip(0..).map(|(&digit, index)| {
                    i128::from(digit) * 10_000i128.pow((i32::from(weight) - index + 7) as u32)
                }).sum();
                if negative { -sum } else { sum }
            };
            let found = key(&payload(&left, weight, negative)).cmp(&key(&payload(&right, other_weight, other_negative)));
            prop_assert_eq!(found, value(&left, weight, negative).cmp(&value(&right, other_weight, other_negative)));
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = write(&bytes, &mut vec![]);
        }
    }
}
