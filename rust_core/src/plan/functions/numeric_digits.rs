//! A finite numeric of any size, digit by digit: for what no integer of fixed width holds.
//!
//! As PostgreSQL's NumericVar: base-10000 digits, the most significant first; digit `i` counts 10000^(weight − i),
//! and the display scale is the number of decimals shown behind the point.

use crate::error::{Error, sqlstate};
use crate::scan::numeric::{
    HEADER_INFINITY, HEADER_NAN, HEADER_NEGATIVE_INFINITY, LONG_SCALE_MASK, NEGATIVE, Parsed, SHORT, SHORT_SCALE_SHIFT,
    SHORT_SIGN, SHORT_WEIGHT_MASK,
};

/// Decimals of a digit, and its base.
pub(in crate::plan) const DECIMALS: u32 = 4;
pub(in crate::plan) const BASE: u16 = 10_000;

/// 10^0 … 10^3.
pub(in crate::plan) const POWERS: [u16; 4] = [1, 10, 100, 1000];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::plan) struct Digits {
    pub negative: bool,
    pub weight: i32,
    pub scale: u32,
    /// Zeros may stand at both ends.
    pub digits: Vec<u16>,
}

/// A numeric that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Special {
    NaN,
    Infinity,
    NegativeInfinity,
}

impl Special {
    pub fn payload(self) -> [u8; 2] {
        match self {
            Self::NaN => HEADER_NAN,
            Self::Infinity => HEADER_INFINITY,
            Self::NegativeInfinity => HEADER_NEGATIVE_INFINITY,
        }
        .to_le_bytes()
    }
}

impl Digits {
    /// `magnitude` · 10^−`scale`, the magnitude in limbs of 64 bits, the least significant first.
    pub fn new(negative: bool, magnitude: &mut [u64], scale: u32) -> Self {
        // Least significant first, until all are there.
        let mut digits = Vec::with_capacity(magnitude.len() * 5 + 2);
        let partial = scale % DECIMALS;
        if partial != 0 {
            let unit = POWERS[partial as usize];
            digits.push(divide_limbs(magnitude, u64::from(unit)) as u16 * (BASE / unit));
        }
        let mut rest = magnitude;
        while let [lower @ .., 0] = rest {
            rest = lower;
        }
        while rest.len() > 1 {
            let mut four = divide_limbs(rest, 10_000_000_000_000_000);
            for _ in 0..4 {
                digits.push((four % u64::from(BASE)) as u16);
                four /= u64::from(BASE);
            }
            while let [lower @ .., 0] = rest {
                rest = lower;
            }
        }
        let mut last = rest.first().copied().unwrap_or(0);
        while last != 0 {
            digits.push((last % u64::from(BASE)) as u16);
            last /= u64::from(BASE);
        }
        digits.reverse();
        let weight = digits.len() as i32 - 1 - scale.div_ceil(DECIMALS) as i32;
        Self { negative, weight, scale, digits }
    }

    pub fn from_i128(value: i128, scale: u32) -> Self {
        let magnitude = value.unsigned_abs();
        Self::new(value < 0, &mut [magnitude as u64, (magnitude >> 64) as u64], scale)
    }

    /// None if a digit is none.
    pub fn from_parsed(parsed: &Parsed<'_>) -> Option<Self> {
        let digits: Vec<u16> = parsed.digits.iter().map(|&digit| u16::from_le_bytes(digit)).collect();
        let valid = digits.iter().all(|&digit| digit < BASE);
        valid.then_some(Self { negative: parsed.negative, weight: parsed.weight, scale: parsed.scale, digits })
    }

    /// The first digit that is not zero, and its weight; 0 and 0 of zero.
    pub fn first(&self) -> (u16, i32) {
        let found = self.digits.iter().zip(0..).find(|(digit, _)| **digit != 0);
        found.map_or((0, 0), |(digit, index)| (*digit, self.weight - index))
    }

    /// The digits without zeros at either end, and the weight of the first.
    fn stripped(&self) -> (&[u16], i32) {
        let leading = self.digits.iter().take_while(|&&digit| digit == 0).count();
        let digits = &self.digits[leading..];
        let trailing = digits.iter().rev().take_while(|&&digit| digit == 0).count();
        match &digits[..digits.len() - trailing] {
            [] => (&[], 0),
            digits => (digits, self.weight - leading as i32),
        }
    }

    /// Appends the payload that PostgreSQL makes of it (make_result). 22003 when its format has no room.
    pub fn write(&self, payload: &mut Vec<u8>) -> Result<(), Error> {
        let (digits, weight) = self.stripped();
        let negative = self.negative && !digits.is_empty();
        if self.scale <= 0x3F && (-64..=63).contains(&weight) {
            let sign = if negative { SHORT_SIGN } else { 0 };
            let header =
                SHORT | sign | ((self.scale as u16) << SHORT_SCALE_SHIFT) | (weight as u16 & SHORT_WEIGHT_MASK);
            payload.extend_from_slice(&header.to_le_bytes());
        } else {
            let (Ok(weight), Ok(scale)) = (i16::try_from(weight), u16::try_from(self.scale)) else {
                return Err(overflow());
            };
            if scale > LONG_SCALE_MASK {
                return Err(overflow());
            }
            let sign = if negative { NEGATIVE } else { 0 };
            payload.extend_from_slice(&(sign | scale).to_le_bytes());
            payload.extend_from_slice(&weight.to_le_bytes());
        }
        payload.extend(digits.iter().flat_map(|digit| digit.to_le_bytes()));
        Ok(())
    }
}

pub(in crate::plan) fn overflow() -> Error {
    Error::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// Divides in place, and gives the remainder.
fn divide_limbs(limbs: &mut [u64], divisor: u64) -> u64 {
    let mut rest = 0u64;
    for limb in limbs.iter_mut().rev() {
        if rest == 0 {
            (*limb, rest) = (*limb / divisor, *limb % divisor);
        } else {
            let wide = u128::from(rest) << 64 | u128::from(*limb);
            *limb = (wide / u128::from(divisor)) as u64;
            rest = (wide % u128::from(divisor)) as u64;
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scan::numeric::{Kind, encode};

    fn payload(digits: &Digits) -> Vec<u8> {
        let mut payload = vec![];
        digits.write(&mut payload).expect("fits");
        payload
    }

    #[test]
    fn large_ones_have_the_long_header() {
        // 10^300, and 1 of scale 100.
        let large = Digits { negative: true, weight: 75, scale: 0, digits: vec![1] };
        assert_eq!(payload(&large), [0x00, 0x40, 75, 0, 1, 0]);
        let scaled = Digits { negative: false, weight: 0, scale: 100, digits: vec![1] };
        assert_eq!(payload(&scaled), [100, 0, 0, 0, 1, 0]);
        let none = Digits { negative: true, weight: 9, scale: 3, digits: vec![0, 0] };
        assert_eq!(payload(&none), encode(0, 3).payload());
        assert!(Digits { weight: 40_000, ..large }.write(&mut vec![]).is_err());
        assert!(Digits { scale: 20_000, ..scaled }.write(&mut vec![]).is_err());
    }

    #[test]
    fn limbs_beyond_an_i128() {
        // 2^128 and 2^192 - 1.
        for (limbs, expected) in [
            (vec![0, 0, 1], "340282366920938463463374607431768211456"),
            (vec![u64::MAX; 3], "6277101735386680763835789423207666416102355444464034512895"),
            (vec![7, 0, 0], "7"),
        ] {
            let digits = Digits::new(false, &mut limbs.clone(), 0);
            let text: String = digits.digits.iter().map(|digit| format!("{digit:04}")).collect();
            assert_eq!(text.trim_start_matches('0'), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn as_the_encoder_of_decimals(value: i128, cut in 0u32..38, scale in 0u8..=38) {
            let value = value % 10i128.pow(cut);
            let digits = Digits::from_i128(value, scale.into());
            let encoded = encode(value, scale);
            prop_assert_eq!(&payload(&digits), encoded.payload());
            let Some(Kind::Finite(parsed)) = Kind::of(encoded.payload()) else { panic!("a number") };
            let again = Digits::from_parsed(&parsed).expect("has digits");
            prop_assert_eq!(payload(&again), encoded.payload());
        }
    }
}
