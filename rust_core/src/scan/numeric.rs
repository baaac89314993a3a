//! PostgreSQL's numeric ⇄ a 128-bit integer at a fixed scale.
//!
//! A stored numeric is a header and base-10000 digits, most significant first; digit `i` counts
//! 10000^(weight − i). Trailing and leading zero digits are not stored, zero has none.
//!
//! ```text
//! short header   10 s dddddd wwwwwww     sign, display scale, weight (7 bits, signed)
//! long header    0s dddddddddddddd       sign, display scale; then 16 bits of weight
//! special        11 …                    NaN C000, Infinity D000, -Infinity F000
//! ```
//!
//! Within the plan a value of `numeric(p,s)` is `value · 10^s` as an i128, and NaN is [`NAN`], which
//! sorts after every number as PostgreSQL wants it. See PostgreSQL's utils/adt/numeric.c.

use arrow::datatypes::i256;

/// NaN in a Decimal128 column.
pub(crate) const NAN: i128 = i128::MAX;
/// The infinities. No column of a declared precision has them, but EXTRACT makes them of infinite dates.
pub(crate) const INFINITY: i128 = i128::MAX - 1;
pub(crate) const NEGATIVE_INFINITY: i128 = i128::MIN;
/// The same in a Decimal256, whose numbers have at most 76 digits.
pub(crate) const NAN_256: i256 = i256::MAX;
pub(crate) const INFINITY_256: i256 = i256::from_parts(u128::MAX - 1, i128::MAX);
pub(crate) const NEGATIVE_INFINITY_256: i256 = i256::MIN;
/// Digits of the widest Decimal128.
pub(crate) const MAX_PRECISION: u8 = 38;

const SIGN_MASK: u16 = 0xC000;
pub(crate) const NEGATIVE: u16 = 0x4000;
pub(crate) const SHORT: u16 = 0x8000;
const SPECIAL: u16 = 0xC000;
const SPECIAL_MASK: u16 = 0xF000;
pub(crate) const HEADER_NAN: u16 = 0xC000;
pub(crate) const HEADER_INFINITY: u16 = 0xD000;
pub(crate) const HEADER_NEGATIVE_INFINITY: u16 = 0xF000;
pub(crate) const LONG_SCALE_MASK: u16 = 0x3FFF;
pub(crate) const SHORT_SIGN: u16 = 0x2000;
pub(crate) const SHORT_SCALE_SHIFT: u32 = 7;
const SHORT_SCALE_MASK: u16 = 0x3F << SHORT_SCALE_SHIFT;
pub(crate) const SHORT_WEIGHT_MASK: u16 = 0x7F;
const MAX_SHORT_SCALE: u8 = 0x3F;

const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// 10^`exponent` where a Decimal128 can hold it.
pub fn power_of_ten(exponent: u32) -> Option<i128> {
    POWERS.get(exponent as usize).copied()
}

/// A numeric of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumericValue {
    NaN,
    Infinity {
        negative: bool,
    },
    Finite {
        /// The value times 10^scale; `None` when it has more than 38 digits.
        unscaled: Option<i128>,
        /// The display scale.
        scale: u32,
    },
}

/// Decodes a numeric whose scale is not known, such as a constant; `payload` is the value without
/// varlena header. `None` when it is malformed.
pub fn decode_any(payload: &[u8]) -> Option<NumericValue> {
    let parsed = match Kind::of(payload)? {
        Kind::NaN => return Some(NumericValue::NaN),
        Kind::Infinity { negative } => return Some(NumericValue::Infinity { negative }),
        Kind::Finite(parsed) => parsed,
    };
    let unscaled = parsed.unscaled(parsed.scale).filter(|value| fits(*value, MAX_PRECISION));
    Some(NumericValue::Finite { unscaled, scale: parsed.scale })
}

fn fits(value: i128, precision: u8) -> bool {
    POWERS.get(usize::from(precision)).is_some_and(|limit| value.unsigned_abs() < limit.unsigned_abs())
}

/// A numeric taken apart, its digits not looked at.
pub(crate) enum Kind<'a> {
    NaN,
    Infinity { negative: bool },
    Finite(Parsed<'a>),
}

pub(crate) struct Parsed<'a> {
    pub negative: bool,
    pub scale: u32,
    pub weight: i32,
    /// Two bytes each.
    pub digits: &'a [[u8; 2]],
}

impl<'a> Kind<'a> {
    pub fn of(payload: &'a [u8]) -> Option<Self> {
        let (&header, rest) = payload.split_first_chunk()?;
        let header = u16::from_le_bytes(header);
        let (negative, scale, weight, digits) = match header & SIGN_MASK {
            SPECIAL => {
                return match header & SPECIAL_MASK {
                    HEADER_NAN => Some(Kind::NaN),
                    HEADER_INFINITY => Some(Kind::Infinity { negative: false }),
                    HEADER_NEGATIVE_INFINITY => Some(Kind::Infinity { negative: true }),
                    _ => None,
                };
            }
            SHORT => (header & SHORT_SIGN != 0, short_scale(header), short_weight(header), rest),
            sign => {
                let (&weight, rest) = rest.split_first_chunk()?;
                let scale = u32::from(header & LONG_SCALE_MASK);
                (sign == NEGATIVE, scale, i32::from(i16::from_le_bytes(weight)), rest)
            }
        };
        let (digits, []) = digits.as_chunks() else { return None };
        Some(Kind::Finite(Parsed { negative, scale, weight, digits }))
    }
}

impl Parsed<'_> {
    /// The value times 10^scale; `None` when that is no integer, too large for an i128, or a digit is none.
    fn unscaled(&self, scale: u32) -> Option<i128> {
        let mut value: i128 = 0;
        // 10^exponent is what the last digit taken in counts, in units of 10^-scale.
        let mut exponent = 0;
        for (index, &digit) in (0..).zip(self.digits) {
            let digit = i128::from(u16::from_le_bytes(digit));
            if digit >= 10_000 {
                return None;
            }
            exponent = i64::from(scale) + 4 * (i64::from(self.weight) - index);
            // The digit in which the scale ends, if it ends within one: its rear places must be zero.
            let beyond = if exponent < 0 { POWERS[exponent.unsigned_abs().min(4) as usize] } else { 1 };
            if digit % beyond != 0 {
                return None;
            }
            if exponent > -4 {
                value = value.checked_mul(10_000 / beyond)?.checked_add(digit / beyond)?;
            }
        }
        if exponent > 0 && value != 0 {
            value = value.checked_mul(power_of_ten(u32::try_from(exponent).ok()?)?)?;
        }
        Some(if self.negative { -value } else { value })
    }
}

fn short_scale(header: u16) -> u32 {
    u32::from((header & SHORT_SCALE_MASK) >> SHORT_SCALE_SHIFT)
}

fn short_weight(header: u16) -> i32 {
    // The sign is bit 6.
    i32::from((header & SHORT_WEIGHT_MASK) as i16) << 25 >> 25
}

/// Decodes the numerics of one column, `numeric(precision, scale)`.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    precision: u8,
    scale: u8,
    /// 10^precision, or i64::MAX.
    fast_limit: i64,
    /// The header of a short value with the right scale, less sign and weight.
    header: u16,
    /// Base-10000 digits behind the point.
    fraction: i32,
}

impl Decoder {
    /// `scale` ≤ `precision` ≤ 38.
    pub fn new(precision: u8, scale: u8) -> Self {
        let limit = POWERS[usize::from(precision.min(MAX_PRECISION))];
        Self {
            precision,
            scale,
            fast_limit: i64::try_from(limit).unwrap_or(i64::MAX),
            header: SHORT | (u16::from(scale) << SHORT_SCALE_SHIFT),
            fraction: i32::from(scale.div_ceil(4)),
        }
    }

    /// Decimal places of the last digit behind the point that lie beyond the scale: 0 to 3. It is the
    /// `SURPLUS` of [`decode_near`](Self::decode_near).
    pub fn surplus(&self) -> u8 {
        (4 - self.scale % 4) % 4
    }

    /// The value times 10^scale, or [`NAN`]. `None` when the payload is malformed, infinite, has
    /// another display scale or more digits than the precision.
    pub fn decode(&self, payload: &[u8]) -> Option<i128> {
        match Kind::of(payload)? {
            Kind::NaN => Some(NAN),
            Kind::Infinity { .. } => None,
            Kind::Finite(parsed) if parsed.scale != u32::from(self.scale) => None,
            Kind::Finite(parsed) => parsed.unscaled(parsed.scale).filter(|value| fits(*value, self.precision)),
        }
    }

    /// As [`decode`](Self::decode) for the common case: a short header, up to four digits, up to four
    /// base-10000 places from the first digit to the scale's last. `header` is the first 2 bytes of the payload,
    /// `word` the next 8 with whatever lies behind a shorter payload, `length` the payload's own bytes.
    /// `None` says nothing but that the case is not common.
    ///
    /// No loop and no branch over the number of digits, which is what varies from row to row.
    #[inline(always)]
    pub fn decode_near<const SURPLUS: u8>(&self, header: u16, word: u64, length: usize) -> Option<i64> {
        const LANES: u64 = 0x0001_0001_0001_0001;
        const EVEN: u64 = 0x0000_FFFF_0000_FFFF;
        let digits = length.wrapping_sub(2) / 2;
        if header & (SIGN_MASK | SHORT_SCALE_MASK) != self.header || !length.is_multiple_of(2) || digits > 4 {
            return None;
        }
        // One digit per 16 bits, the last one on top, zeros below (two shifts, as one by 64 is none).
        let shift = 8 * (4 - digits as u32);
        let word = word << shift << shift;
        // A digit of 10,000 or more sets its lane's upper bit.
        if (word | word.wrapping_add(LANES * (0x8000 - 10_000))) & (LANES * 0x8000) != 0 {
            return None;
        }
        let pairs = (word & EVEN) * 10_000 + ((word >> 16) & EVEN);
        let value = (pairs & 0xFFFF_FFFF) * 100_000_000 + (pairs >> 32);
        // Digits that are not stored, up to the scale's last.
        let places = short_weight(header) + 1 + self.fraction;
        let absent = places - digits as i32;
        if !(0..=4).contains(&places) || absent < 0 {
            return None;
        }
        const SCALES: [u64; 5] = [1, 10_000, 100_000_000, 1_000_000_000_000, 10_000_000_000_000_000];
        let value = value * SCALES[absent as usize];
        // Constant divisors: 10^SURPLUS is known when this is compiled.
        let surplus = 10u64.pow(u32::from(SURPLUS));
        if !value.is_multiple_of(surplus) {
            return None;
        }
        let value = (value / surplus) as i64;
        if value >= self.fast_limit {
            return None;
        }
        Some(if header & SHORT_SIGN != 0 { -value } else { value })
    }
}

/// A numeric as PostgreSQL makes it: the payload, without varlena header.
#[derive(Clone, Copy, Debug)]
pub struct Encoded {
    bytes: [u8; Self::MAX_WIDE_SIZE],
    length: usize,
}

impl Encoded {
    /// Of [`encode`]: a header and eleven digits.
    pub(crate) const MAX_SIZE: usize = 2 + 2 * MAX_DIGITS;
    /// Of [`encode_wide`]: a long header and twenty digits.
    pub(crate) const MAX_WIDE_SIZE: usize = 4 + 2 * MAX_WIDE_DIGITS;

    pub fn payload(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, word: u16) {
        self.bytes[self.length..self.length + 2].copy_from_slice(&word.to_le_bytes());
        self.length += 2;
    }

    fn special(header: u16) -> Self {
        let mut encoded = Self { bytes: [0; Self::MAX_WIDE_SIZE], length: 0 };
        encoded.push(header);
        encoded
    }

    /// Of base-10000 digits, the least significant first, the last digits of which hold `scale` decimals
    /// behind the point. The header is short unless the scale needs a long one.
    fn finite(negative: bool, digits: &[u16], scale: u8) -> Self {
        let leading = digits.iter().rev().take_while(|&&digit| digit == 0).count();
        let digits = &digits[..digits.len() - leading];
        let trailing = digits.iter().take_while(|&&digit| digit == 0).count();
        let (weight, negative) = match digits.len() {
            0 => (0, false),
            count => (count as i32 - 1 - i32::from(scale.div_ceil(4)), negative),
        };
        let mut encoded = Self { bytes: [0; Self::MAX_WIDE_SIZE], length: 0 };
        if scale <= MAX_SHORT_SCALE {
            encoded.push(
                SHORT
                    | if negative { SHORT_SIGN } else { 0 }
                    | (u16::from(scale) << SHORT_SCALE_SHIFT)
                    | (weight as u16 & SHORT_WEIGHT_MASK),
            );
        } else {
            encoded.push(if negative { NEGATIVE } else { 0 } | u16::from(scale));
            encoded.push(weight as u16);
        }
        for &digit in digits[trailing..].iter().rev() {
            encoded.push(digit);
        }
        encoded
    }
}

/// 39 decimals (all an i128 has) fill at most 9 whole and 2 partial digits.
const MAX_DIGITS: usize = 11;

/// 77 decimals (all an i256 has) fill at most 19 whole and 2 partial digits, or one less.
const MAX_WIDE_DIGITS: usize = 20;

/// Base-10000 digits of a value, the least significant first, as they are found.
struct Digits<const N: usize> {
    digits: [u16; N],
    count: usize,
}

impl<const N: usize> Digits<N> {
    fn push(&mut self, digit: u16) {
        self.digits[self.count] = digit;
        self.count += 1;
    }

    fn push_all(&mut self, mut rest: u128) {
        while rest > u128::from(u64::MAX) {
            self.push((rest % 10_000) as u16);
            rest /= 10_000;
        }
        let mut rest = rest as u64;
        while rest != 0 {
            self.push((rest % 10_000) as u16);
            rest /= 10_000;
        }
    }

    fn found(&self) -> &[u16] {
        &self.digits[..self.count]
    }
}

/// What the last, partial digit behind the point counts in, in units of the value; 1 where all are whole.
fn partial_unit(scale: u8) -> u64 {
    POWERS[usize::from(scale % 4)] as u64
}

/// Makes a numeric of `value` · 10^−`scale`, or a special one of its stand-in; `scale` ≤ 38. The header is always
/// short: a Decimal128's scale and weight fit it.
pub fn encode(value: i128, scale: u8) -> Encoded {
    match value {
        NAN => Encoded::special(HEADER_NAN),
        INFINITY => Encoded::special(HEADER_INFINITY),
        NEGATIVE_INFINITY => Encoded::special(HEADER_NEGATIVE_INFINITY),
        number => encode_finite(number < 0, number.unsigned_abs(), scale),
    }
}

fn encode_finite(negative: bool, mut rest: u128, scale: u8) -> Encoded {
    let mut digits = Digits { digits: [0; MAX_DIGITS], count: 0 };
    let unit = partial_unit(scale);
    if unit != 1 {
        digits.push((rest % u128::from(unit)) as u16 * (10_000 / unit) as u16);
        rest /= u128::from(unit);
    }
    digits.push_all(rest);
    Encoded::finite(negative, digits.found(), scale)
}

/// As [`encode`] of a Decimal256, of at most 76 digits; `scale` ≤ 76.
pub fn encode_wide(value: i256, scale: u8) -> Encoded {
    match value {
        NAN_256 => return Encoded::special(HEADER_NAN),
        INFINITY_256 => return Encoded::special(HEADER_INFINITY),
        NEGATIVE_INFINITY_256 => return Encoded::special(HEADER_NEGATIVE_INFINITY),
        _ => (),
    }
    let negative = value.is_negative();
    let (low, high) = value.wrapping_abs().to_parts();
    let mut rest = Magnitude { low, high: high.unsigned_abs() };
    if rest.high == 0 && rest.low >> 127 == 0 {
        return encode_finite(negative, rest.low, scale);
    }
    let mut digits = Digits { digits: [0; MAX_WIDE_DIGITS], count: 0 };
    let unit = partial_unit(scale);
    if unit != 1 {
        digits.push(rest.divide(unit) as u16 * (10_000 / unit) as u16);
    }
    while rest.high != 0 {
        let mut four = rest.divide(10_000_000_000_000_000);
        for _ in 0..4 {
            digits.push((four % 10_000) as u16);
            four /= 10_000;
        }
    }
    digits.push_all(rest.low);
    Encoded::finite(negative, digits.found(), scale)
}

/// An unsigned integer of 256 bits.
struct Magnitude {
    low: u128,
    high: u128,
}

impl Magnitude {
    /// Makes it the quotient, and gives the remainder.
    fn divide(&mut self, by: u64) -> u64 {
        let by = u128::from(by);
        let mut rest = 0;
        for half in [&mut self.high, &mut self.low] {
            let upper = (rest << 64) | (*half >> 64);
            let lower = ((upper % by) << 64) | u128::from(*half as u64);
            // Both quotients are below 2^64, since the remainders before them are below the divisor.
            *half = ((upper / by) << 64) | (lower / by);
            rest = lower % by;
        }
        rest as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(header: u16, digits: &[u16]) -> Vec<u8> {
        std::iter::once(&header).chain(digits).flat_map(|word| word.to_le_bytes()).collect()
    }

    fn short(negative: bool, scale: u16, weight: i16, digits: &[u16]) -> Vec<u8> {
        payload(0x8000 | u16::from(negative) << 13 | scale << 7 | (weight as u16 & 0x7F), digits)
    }

    fn long(negative: bool, scale: u16, weight: i16, digits: &[u16]) -> Vec<u8> {
        let words: Vec<u16> = std::iter::once(weight as u16).chain(digits.iter().copied()).collect();
        payload(u16::from(negative) << 14 | scale, &words)
    }

    fn near(decoder: &Decoder, payload: &[u8]) -> Option<i64> {
        // Garbage behind the value must not matter.
        let mut bytes = [0xEE; 10];
        let length = payload.len().min(10);
        bytes[..length].copy_from_slice(&payload[..length]);
        let header = u16::from_le_bytes([bytes[0], bytes[1]]);
        let word = u64::from_le_bytes(*bytes.last_chunk().unwrap());
        match decoder.surplus() {
            0 => decoder.decode_near::<0>(header, word, payload.len()),
            1 => decoder.decode_near::<1>(header, word, payload.len()),
            2 => decoder.decode_near::<2>(header, word, payload.len()),
            _ => decoder.decode_near::<3>(header, word, payload.len()),
        }
    }

    #[test]
    fn known_values() {
        // What PostgreSQL stores for 12345.67, -0.05, 0.00, 10000, 1e-6.
        for (scale, bytes, value) in [
            (2, short(false, 2, 1, &[1, 2345, 6700]), 1_234_567),
            (2, short(true, 2, -1, &[500]), -5),
            (2, short(false, 2, 0, &[]), 0),
            (0, short(false, 0, 1, &[1]), 10_000),
            (6, short(false, 6, -2, &[100]), 1),
            (3, short(false, 3, 0, &[7]), 7000),
        ] {
            let decoder = Decoder::new(15, scale);
            assert_eq!(decoder.decode(&bytes), Some(value));
            assert_eq!(near(&decoder, &bytes), Some(value as i64), "{value}");
            assert_eq!(encode(value, scale).payload(), bytes);
        }
    }

    #[test]
    fn long_form_reads_as_short() {
        let decoder = Decoder::new(15, 2);
        assert_eq!(decoder.decode(&long(true, 2, 1, &[1, 2345, 6700])), Some(-1_234_567));
        assert_eq!(decode_any(&long(false, 1000, 0, &[5])), Some(NumericValue::Finite { unscaled: None, scale: 1000 }));
        assert_eq!(decode_any(&long(false, 0, 8191, &[1])), Some(NumericValue::Finite { unscaled: None, scale: 0 }));
    }

    #[test]
    fn specials() {
        let decoder = Decoder::new(15, 2);
        assert_eq!(decoder.decode(&payload(0xC000, &[])), Some(NAN));
        assert_eq!(decoder.decode(&payload(0xD000, &[])), None);
        assert_eq!(near(&decoder, &payload(0xC000, &[])), None);
        assert_eq!(decode_any(&payload(0xC000, &[])), Some(NumericValue::NaN));
        assert_eq!(decode_any(&payload(0xD000, &[])), Some(NumericValue::Infinity { negative: false }));
        assert_eq!(decode_any(&payload(0xF000, &[])), Some(NumericValue::Infinity { negative: true }));
        assert_eq!(decode_any(&[]), None);
        assert_eq!(decode_any(&[0]), None);
        assert_eq!(encode(NAN, 2).payload(), payload(0xC000, &[]));
        assert_eq!(encode(INFINITY, 2).payload(), payload(0xD000, &[]));
        assert_eq!(encode(NEGATIVE_INFINITY, 2).payload(), payload(0xF000, &[]));
    }

    #[test]
    fn what_the_declared_type_cannot_be() {
        let decoder = Decoder::new(5, 2);
        for bytes in [
            short(false, 3, 0, &[7]),                     // another scale
            short(false, 2, 0, &[1000]),                  // 1000.00: six digits
            short(false, 2, -1, &[555]),                  // 0.0555: places beyond the scale
            short(false, 2, -2, &[5]),                    // 0.00000005
            short(false, 2, 0, &[1, 10_000]),             // not a digit
            short(false, 2, 20, &[1]),                    // too large
            [short(false, 2, 0, &[1]), vec![0]].concat(), // half a digit
        ] {
            assert_eq!(decoder.decode(&bytes), None);
            assert_eq!(near(&decoder, &bytes), None);
        }
        assert_eq!(decoder.decode(&short(false, 2, 0, &[999, 9900])), Some(99_999));
    }

    #[test]
    fn extremes() {
        for value in [POWERS[38] - 1, 1 - POWERS[38], INFINITY - 1, NEGATIVE_INFINITY + 1, 1, -1] {
            for scale in 0..=38 {
                let encoded = encode(value, scale);
                let Some(Kind::Finite(parsed)) = Kind::of(encoded.payload()) else { panic!("{value}") };
                assert_eq!(parsed.scale, u32::from(scale));
                if value != i128::MIN {
                    assert_eq!(parsed.unscaled(parsed.scale), Some(value), "{value} {scale}");
                }
            }
        }
    }

    /// The payload's value times 10^scale, in decimal digits.
    fn decimal(payload: &[u8]) -> String {
        let Some(Kind::Finite(parsed)) = Kind::of(payload) else { panic!("{payload:?}") };
        let digits = parsed.digits.iter().map(|digit| format!("{:04}", u16::from_le_bytes(*digit)));
        let mut text: String = digits.collect();
        let whole = 4 * (parsed.weight + 1 - parsed.digits.len() as i32) + parsed.scale as i32;
        if whole >= 0 {
            text.extend(std::iter::repeat_n('0', whole as usize));
        } else {
            assert!(text.split_off((text.len() as i32 + whole) as usize).bytes().all(|digit| digit == b'0'));
        }
        let text = text.trim_start_matches('0');
        let sign = if parsed.negative { "-" } else { "" };
        if text.is_empty() { "0".into() } else { format!("{sign}{text}") }
    }

    #[test]
    fn wide_values() {
        let nines = i256::from_string(&"9".repeat(76)).unwrap();
        let beyond = i256::from_i128(NAN);
        for value in [nines, beyond, i256::from_parts(0, 1), i256::from_i128(-POWERS[38]), i256::ONE, i256::ZERO] {
            for value in [value, value.wrapping_neg()] {
                for scale in 0..=76 {
                    let encoded = encode_wide(value, scale);
                    assert_eq!(decimal(encoded.payload()), value.to_string(), "{scale}");
                    let long = scale > 63;
                    assert_eq!(encoded.payload()[1] & 0x80 == 0, long);
                }
            }
        }
        // What PostgreSQL stores for 1e-64 and for -1e40.
        assert_eq!(encode_wide(i256::ONE, 64).payload(), long(false, 64, -16, &[1]));
        assert_eq!(
            encode_wide(i256::from_string(&format!("-1{}", "0".repeat(40))).unwrap(), 0).payload(),
            short(true, 0, 10, &[1])
        );
        assert_eq!(encode_wide(NAN_256, 2).payload(), payload(0xC000, &[]));
        assert_eq!(encode_wide(INFINITY_256, 2).payload(), payload(0xD000, &[]));
        assert_eq!(encode_wide(NEGATIVE_INFINITY_256, 70).payload(), payload(0xF000, &[]));
    }

    proptest! {
        #[test]
        fn wide_round_trip(low: u128, high: i128, cut in 0u32..=76, scale in 0u8..=76) {
            let value = i256::from_parts(low, high).wrapping_rem(i256::from_i128(10).wrapping_pow(cut));
            let encoded = encode_wide(value, scale);
            prop_assert_eq!(decimal(encoded.payload()), value.to_string());
            if let Some(narrow) = value.to_i128().filter(|value| fits(*value, 38)) && scale <= 38 {
                let short = encode(narrow, scale);
                prop_assert_eq!(encoded.payload(), short.payload());
            }
        }

        #[test]
        fn round_trip(value: i128, cut in 0u32..39, scale in 0u8..=38) {
            let value = value % POWERS[cut as usize];
            let encoded = encode(value, scale);
            let decoder = Decoder::new(38, scale);
            prop_assert_eq!(decoder.decode(encoded.payload()), Some(value));
            if let Some(fast) = near(&decoder, encoded.payload()) {
                prop_assert_eq!(i128::from(fast), value);
            }
            prop_assert_eq!(
                decode_any(encoded.payload()),
                Some(NumericValue::Finite { unscaled: Some(value), scale: u32::from(scale) })
            );
        }

        #[test]
        fn common_values_take_the_fast_path(value in -999_999_999_999i64..=999_999_999_999, scale in 0u8..=4) {
            prop_assert_eq!(near(&Decoder::new(15, scale), encode(value.into(), scale).payload()), Some(value));
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..40), precision in 1u8..=38, scale in 0u8..=38) {
            let decoder = Decoder::new(precision, scale.min(precision));
            let slow = decoder.decode(&bytes);
            if let Some(fast) = near(&decoder, &bytes) {
                prop_assert_eq!(slow, Some(fast.into()));
            }
            let _ = decode_any(&bytes);
        }

        #[test]
        fn few_digits_of_any_weight(
            negative: bool, weight in -6i16..6, scale in 0u8..=12,
            digits in proptest::collection::vec(0u16..10_010, 0..5),
        ) {
            let decoder = Decoder::new(18, scale);
            let bytes = short(negative, scale.into(), weight, &digits);
            let slow = decoder.decode(&bytes);
            if let Some(fast) = near(&decoder, &bytes) {
                prop_assert_eq!(slow, Some(fast.into()));
            }
        }
    }
}
