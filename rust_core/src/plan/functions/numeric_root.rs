//! Square root of a numeric with PostgreSQL's digits, rounded half away from zero (sqrt_var of utils/adt/numeric.c).

use super::numeric_digits::{BASE, DECIMALS, Digits};
use super::numeric_division::round;

const RADIX: i64 = BASE as i64;

/// Of a number that is not negative, with `scale` decimals.
pub(in crate::plan) fn square_root(square: &Digits, scale: u32) -> Digits {
    // As with quotients, one digit behind the one in which the scale ends tells how to round.
    let fraction = scale.div_ceil(DECIMALS) as i32 + 1;
    let weight = square.weight.div_euclid(2);
    // Two digits of the square, those of the weights 2w + 1 and 2w, for the root's digit of weight w.
    let digit = |weight: i32| {
        let at = usize::try_from(square.weight - weight).ok();
        at.and_then(|at| square.digits.get(at)).map_or(0, |digit| i64::from(*digit))
    };
    let mut root = Vec::with_capacity((weight + fraction + 1).max(0) as usize);
    let mut rest = Vec::with_capacity(2 * root.capacity());
    for weight in (-fraction..=weight).rev() {
        rest.extend([digit(2 * weight + 1), digit(2 * weight)]);
        next_digit(&mut root, &mut rest);
    }
    let digits = root.iter().map(|&digit| digit as u16).collect();
    let mut root = Digits { negative: false, weight, scale, digits };
    round(&mut root);
    root
}

/// One step of the longhand method: `rest` is what the square of `root` leaves, with the next two digits behind it. The
/// next digit d is the largest with (2 · root · 10000 + d) · d ≤ rest.
fn next_digit(root: &mut Vec<i64>, rest: &mut Vec<i64>) {
    if rest.iter().all(|&digit| digit == 0) {
        root.push(0);
        return;
    }
    let mut twice = vec![0; root.len() + 1];
    let mut carry = 0;
    for (double, digit) in twice.iter_mut().skip(1).zip(root.iter()).rev() {
        let value = 2 * digit + carry;
        (*double, carry) = (value % RADIX, value / RADIX);
    }
    twice[0] = carry;
    // By the formula for quadratic equations, in units of the root's highest digit: a float is near enough that the digit
    // above its own is the least that can be too large.
    let unit = f64::from(BASE).powi(-(root.len() as i32));
    let half = leading(&twice) * f64::from(BASE) * unit / 2.0;
    let left = leading(rest) * unit;
    let estimate = left / (half + (half * half + left * unit).sqrt());
    let mut digit = match estimate.is_finite() {
        true => (estimate as i64 + 1).min(RADIX - 1),
        false => RADIX - 1,
    };
    while digit > 0 {
        if let Some(left) = without(rest, &twice, digit) {
            *rest = left;
            break;
        }
        digit -= 1;
    }
    root.push(digit);
}

/// About the integer of these digits.
fn leading(digits: &[i64]) -> f64 {
    digits.iter().fold(0.0, |value, &digit| value * f64::from(BASE) + digit as f64)
}

/// rest − (twice · 10000 + digit) · digit, unless that is negative.
fn without(rest: &[i64], twice: &[i64], digit: i64) -> Option<Vec<i64>> {
    let mut factors = std::iter::once(&digit).chain(twice.iter().rev());
    let mut left = rest.to_vec();
    let mut borrow = 0;
    for place in left.iter_mut().rev() {
        let value = *place - factors.next().unwrap_or(&0) * digit - borrow;
        (*place, borrow) = (value.rem_euclid(RADIX), -value.div_euclid(RADIX));
    }
    (borrow == 0 && factors.all(|&factor| factor == 0)).then_some(left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn integer(digits: &Digits) -> u128 {
        let end = digits.weight - digits.digits.len() as i32 + 1;
        assert!(end <= 0, "it ends before its point");
        let digits = &digits.digits[..digits.digits.len() - end.unsigned_abs() as usize];
        digits.iter().fold(0, |value, &digit| value * u128::from(BASE) + u128::from(digit))
    }

    #[test]
    fn roots_with_many_digits() {
        // 10^38 and 2·10^-20, to 30 decimals; what PostgreSQL shows.
        let text = |root: &Digits| root.digits.iter().map(|digit| format!("{digit:04}")).collect::<String>();
        let large = square_root(&Digits::from_i128(10i128.pow(38), 0), 2);
        assert_eq!((large.weight, text(&large).as_str()), (4, "100000000000000000000000"));
        let small = square_root(&Digits::from_i128(2, 20), 30);
        assert_eq!((small.weight, text(&small).trim_end_matches('0')), (-3, "014142135623730950488"));
        assert_eq!(square_root(&Digits::default(), 3).first().0, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn as_the_root_of_an_integer(value: u128, cut in 0u32..38, decimals in 0u32..6) {
            // The square has twice the root's decimals, so that the root is that of the integer, rounded.
            let value = (value % 10u128.pow(cut)) as i128;
            let root = square_root(&Digits::from_i128(value, 2 * decimals), decimals);
            let scaled = u128::from(10u8).pow(root.scale.next_multiple_of(DECIMALS) - root.scale);
            let shown = Digits { weight: root.weight + root.scale.div_ceil(DECIMALS) as i32, scale: 0, ..root };
            let floor = (value as u128).isqrt();
            let rounded = floor + u128::from(value as u128 - floor * floor > floor);
            prop_assert_eq!(integer(&shown) / scaled, rounded);
        }
    }
}
