//! What numerics are in a plan, i128 and i256, as one kind of integer: the value times 10^scale, with NaN and
//! the infinities beyond all numbers.

use arrow::array::ArrowNativeTypeOp;
use arrow::datatypes::{ArrowPrimitiveType, i256};

use crate::plan::types::{
    NUMERIC_INFINITY, NUMERIC_INFINITY_256, NUMERIC_NAN, NUMERIC_NAN_256, NUMERIC_NEGATIVE_INFINITY,
    NUMERIC_NEGATIVE_INFINITY_256,
};
use crate::scan::numeric::power_of_ten;

/// An Arrow type of numerics: Decimal128 or Decimal256.
pub(super) trait Decimal: ArrowPrimitiveType<Native: Unscaled> {}

impl<T: ArrowPrimitiveType<Native: Unscaled>> Decimal for T {}

pub(super) trait Unscaled: ArrowNativeTypeOp + Ord + std::fmt::Display {
    const NAN: Self;
    const INFINITY: Self;
    const NEGATIVE_INFINITY: Self;

    /// The least [`extent`](Self::extent) of values of which one may be special.
    const SPECIAL_EXTENT: u32;

    /// The least n for which all values lie between -2^n and 2^n, -2^n included: one pass without a branch.
    fn extent(values: &[Self]) -> u32;

    /// The lower 128 bits.
    fn low(self) -> i128;

    /// A number, which is none of the special values.
    fn of(number: i128) -> Self;

    /// All the bits, whatever they mean.
    fn to_i256(self) -> i256;

    /// The lower bits, whatever they mean.
    fn from_i256(bits: i256) -> Self;

    /// None where it has more digits than a decimal of this width.
    fn power_of_ten(exponent: u32) -> Option<Self>;

    /// Quotient, towards zero, and remainder. The divisor is positive.
    fn divided(self, by: Self) -> (Self, Self);

    fn is_special(self) -> bool {
        self >= Self::INFINITY || self == Self::NEGATIVE_INFINITY
    }

    /// The negative of any numeric.
    fn negated(self) -> Self {
        match self {
            nan if nan == Self::NAN => Self::NAN,
            infinity if infinity == Self::INFINITY => Self::NEGATIVE_INFINITY,
            infinity if infinity == Self::NEGATIVE_INFINITY => Self::INFINITY,
            number => number.neg_wrapping(),
        }
    }

    /// The same in another width, which has room for it.
    fn converted<W: Unscaled>(self) -> W {
        match self {
            nan if nan == Self::NAN => W::NAN,
            infinity if infinity == Self::INFINITY => W::INFINITY,
            infinity if infinity == Self::NEGATIVE_INFINITY => W::NEGATIVE_INFINITY,
            number => W::from_i256(number.to_i256()),
        }
    }
}

impl Unscaled for i128 {
    const NAN: Self = NUMERIC_NAN;
    const INFINITY: Self = NUMERIC_INFINITY;
    const NEGATIVE_INFINITY: Self = NUMERIC_NEGATIVE_INFINITY;
    const SPECIAL_EXTENT: u32 = 127;

    fn extent(values: &[Self]) -> u32 {
        let bits = values.iter().fold(0, |bits, value| bits | (value ^ (value >> 127)));
        Self::BITS - bits.leading_zeros()
    }

    fn low(self) -> i128 {
        self
    }

    fn of(number: i128) -> Self {
        number
    }

    fn to_i256(self) -> i256 {
        i256::from_i128(self)
    }

    fn from_i256(bits: i256) -> Self {
        bits.as_i128()
    }

    fn power_of_ten(exponent: u32) -> Option<Self> {
        power_of_ten(exponent)
    }

    fn divided(self, by: Self) -> (Self, Self) {
        (self.wrapping_div(by), self.wrapping_rem(by))
    }
}

impl Unscaled for i256 {
    const NAN: Self = NUMERIC_NAN_256;
    const INFINITY: Self = NUMERIC_INFINITY_256;
    const NEGATIVE_INFINITY: Self = NUMERIC_NEGATIVE_INFINITY_256;
    const SPECIAL_EXTENT: u32 = 255;

    fn extent(values: &[Self]) -> u32 {
        let (low, high) = values.iter().fold((0, 0), |(all_low, all_high), value| {
            let (low, high) = value.to_parts();
            let sign = high >> 127;
            (all_low | (low ^ sign as u128), all_high | (high ^ sign))
        });
        if high == 0 { 128 - low.leading_zeros() } else { 256 - high.leading_zeros() }
    }

    fn low(self) -> i128 {
        self.as_i128()
    }

    fn of(number: i128) -> Self {
        Self::from_i128(number)
    }

    fn to_i256(self) -> i256 {
        self
    }

    fn from_i256(bits: i256) -> Self {
        bits
    }

    fn power_of_ten(exponent: u32) -> Option<Self> {
        power_of_ten(exponent).map(Self::from_i128).or_else(|| match exponent {
            39..=76 => Self::from_i128(10).checked_pow(exponent),
            _ => None,
        })
    }

    fn divided(self, by: Self) -> (Self, Self) {
        match (self.to_i128(), by.to_i128()) {
            (Some(value), Some(by)) => {
                let (quotient, rest) = value.divided(by);
                (Self::from_i128(quotient), Self::from_i128(rest))
            }
            _ => (self.wrapping_div(by), self.wrapping_rem(by)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_bound_all_values() {
        for (values, extent) in [
            (&[][..], 0),
            (&[0, -1], 0),
            (&[1], 1),
            (&[3, -4, 0], 2),
            (&[i64::MAX.into(), i64::MIN.into()], 63),
            (&[1 << 126], 127),
        ] {
            let wide: Vec<_> = values.iter().map(|&value| i256::from_i128(value)).collect();
            assert_eq!((i128::extent(values), i256::extent(&wide)), (extent, extent), "{values:?}");
        }
        for (bits, extent) in
            [(i256::from_parts(1 << 127, 0), 128), (i256::from_parts(0, 1), 129), (i256::from_parts(0, -1), 128)]
        {
            assert_eq!(i256::extent(&[i256::ONE, bits]), extent);
        }
        for special in [i128::NAN, i128::INFINITY, i128::NEGATIVE_INFINITY] {
            assert_eq!(i128::extent(&[1, special]), i128::SPECIAL_EXTENT);
            let wide: i256 = special.converted();
            assert_eq!(i256::extent(&[wide]), i256::SPECIAL_EXTENT);
            assert_eq!(wide.converted::<i128>(), special);
            assert_eq!(wide.negated(), special.negated().converted());
        }
        assert!(i256::extent(&[i256::power_of_ten(76).expect("fits")]) < i256::SPECIAL_EXTENT);
    }

    #[test]
    fn quotients_of_any_width() {
        let large = i256::power_of_ten(60).expect("fits");
        let (quotient, rest) = large.wrapping_neg().wrapping_sub(i256::from_i128(7)).divided(i256::from_i128(10));
        assert_eq!((quotient, rest), (i256::power_of_ten(59).expect("fits").wrapping_neg(), i256::from_i128(-7)));
        assert_eq!(i256::from_i128(-17).divided(i256::from_i128(10)), (i256::from_i128(-1), i256::from_i128(-7)));
        assert_eq!(i256::from_i128(5).divided(large), (i256::ZERO, i256::from_i128(5)));
        assert_eq!((i256::power_of_ten(77), i128::power_of_ten(39)), (None, None));
    }
}
