//! Division of numerics with PostgreSQL's digits: its scale of a quotient, rounded half away from zero
//! (numeric_div, select_div_scale and div_var of utils/adt/numeric.c).

use super::numeric_digits::{BASE, DECIMALS, Digits, POWERS, Special};
use crate::error::Error;

/// Significant digits that a quotient has at least, and decimals that it has at most.
const MIN_SIGNIFICANT_DIGITS: i32 = 16;
const MAX_DISPLAY_SCALE: i32 = 1000;

/// A numeric of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Operand {
    Special(Special),
    Finite(Digits),
}

impl Operand {
    /// Appends its payload. 22003 when the format has no room for it.
    pub fn write(&self, payload: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Special(special) => payload.extend(special.payload()),
            Self::Finite(digits) => digits.write(payload)?,
        }
        Ok(())
    }
}

/// `dividend / divisor`; None for a division by zero (22012).
pub(in crate::plan) fn divide(dividend: &Operand, divisor: &Operand) -> Option<Operand> {
    use Special::{Infinity, NaN, NegativeInfinity};
    match (dividend, divisor) {
        (Operand::Special(NaN), _) | (_, Operand::Special(NaN)) => Some(Operand::Special(NaN)),
        (Operand::Special(_), Operand::Special(_)) => Some(Operand::Special(NaN)),
        (Operand::Special(infinity), Operand::Finite(divisor)) => match (divisor.first().0, divisor.negative) {
            (0, _) => None,
            (_, false) => Some(Operand::Special(*infinity)),
            (_, true) if *infinity == Infinity => Some(Operand::Special(NegativeInfinity)),
            (_, true) => Some(Operand::Special(Infinity)),
        },
        (Operand::Finite(_), Operand::Special(_)) => Some(Operand::Finite(Digits::default())),
        (Operand::Finite(dividend), Operand::Finite(divisor)) => quotient(dividend, divisor).map(Operand::Finite),
    }
}

/// As [`divide`], of numbers.
fn quotient(dividend: &Digits, divisor: &Digits) -> Option<Digits> {
    let leading = divisor.digits.iter().take_while(|&&digit| digit == 0).count();
    let trailing = divisor.digits.iter().rev().take_while(|&&digit| digit == 0).count();
    let significant = divisor.digits.get(leading..divisor.digits.len() - trailing.min(divisor.digits.len()))?;
    if significant.is_empty() {
        return None;
    }
    let scale = scale_of_quotient(dividend, divisor);
    // The quotient is cut off one digit behind the one in which its scale ends; what is rounded sees that digit alone,
    // and half of a unit or more in it is half or more in the whole.
    let fraction = scale.div_ceil(DECIMALS) as i32 + 1;
    // The last digits of dividend and divisor count 10000^these.
    let dividend_end = dividend.weight - (dividend.digits.len() as i32 - 1);
    let divisor_end = divisor.weight - (divisor.digits.len() as i32 - 1) + trailing as i32;
    // Digits that the dividend must have more, or fewer, for an integer quotient in units of 10000^-fraction.
    let more = fraction + dividend_end - divisor_end;
    let mut digits = dividend.digits.clone();
    match usize::try_from(more) {
        Ok(more) => digits.resize(digits.len() + more, 0),
        Err(_) => digits.truncate(digits.len().saturating_sub(more.unsigned_abs() as usize)),
    }
    match significant {
        [single] => divide_short(&mut digits, u64::from(*single)),
        [high, low] => divide_short(&mut digits, u64::from(*high) * 10_000 + u64::from(*low)),
        [high, middle, low] => {
            let high = u64::from(*high) * 10_000 + u64::from(*middle);
            divide_short(&mut digits, high * 10_000 + u64::from(*low));
        }
        _ => digits = divide_long(&digits, significant),
    }
    let weight = digits.len() as i32 - 1 - fraction;
    let mut quotient = Digits { negative: dividend.negative != divisor.negative, weight, scale, digits };
    round(&mut quotient);
    Some(quotient)
}

/// Enough decimals for 16 significant digits, and no fewer than either operand shows (select_div_scale).
fn scale_of_quotient(dividend: &Digits, divisor: &Digits) -> u32 {
    let ((first, weight), (divisor_first, divisor_weight)) = (dividend.first(), divisor.first());
    let weight = weight - divisor_weight - i32::from(first <= divisor_first);
    let scale = MIN_SIGNIFICANT_DIGITS - weight * DECIMALS as i32;
    let shown = dividend.scale.max(divisor.scale).min(MAX_DISPLAY_SCALE as u32);
    scale.clamp(shown as i32, MAX_DISPLAY_SCALE) as u32
}

/// Divides in place by up to 10^12, so that a remainder and a digit fit in 64 bits.
fn divide_short(digits: &mut [u16], divisor: u64) {
    let mut rest = 0u64;
    for digit in digits {
        let value = rest * u64::from(BASE) + u64::from(*digit);
        *digit = (value / divisor) as u16;
        rest = value % divisor;
    }
}

/// The integer quotient, as long as the dividend. `divisor` has two digits or more, the first not 0.
/// Knuth, The Art of Computer Programming, volume 2, algorithm D.
fn divide_long(dividend: &[u16], divisor: &[u16]) -> Vec<u16> {
    const RADIX: i64 = BASE as i64;
    let factor = RADIX / (i64::from(divisor[0]) + 1);
    let scaled = |digits: &[u16]| {
        // One digit more in front, for the carry.
        let mut product = vec![0i64; digits.len() + 1];
        let mut carry = 0;
        for (index, digit) in digits.iter().enumerate().rev() {
            let value = i64::from(*digit) * factor + carry;
            (product[index + 1], carry) = (value % RADIX, value / RADIX);
        }
        product[0] = carry;
        product
    };
    let divisor = &scaled(divisor)[1..];
    let length = divisor.len();
    let mut rest = scaled(dividend);
    let mut quotient = vec![0u16; dividend.len()];
    for at in 0..(dividend.len() + 1).saturating_sub(length) {
        // rest[at..=at + length] / divisor is the next digit.
        let head = rest[at] * RADIX + rest[at + 1];
        let mut digit = head / divisor[0];
        let mut over = head % divisor[0];
        while digit >= RADIX || digit * divisor[1] > over * RADIX + rest[at + 2] {
            digit -= 1;
            over += divisor[0];
            if over >= RADIX {
                break;
            }
        }
        let mut borrow = 0;
        for (index, part) in divisor.iter().enumerate().rev() {
            let value = rest[at + index + 1] - digit * part - borrow;
            rest[at + index + 1] = value.rem_euclid(RADIX);
            borrow = -value.div_euclid(RADIX);
        }
        rest[at] -= borrow;
        if rest[at] < 0 {
            digit -= 1;
            let mut carry = 0;
            for (index, part) in divisor.iter().enumerate().rev() {
                let value = rest[at + index + 1] + part + carry;
                (rest[at + index + 1], carry) = (value % RADIX, value / RADIX);
            }
            rest[at] += carry;
        }
        quotient[at + length - 1] = digit as u16;
    }
    quotient
}

/// Rounds half away from zero to the display scale; the digits end one behind the one in which it ends.
pub(super) fn round(value: &mut Digits) {
    let Some(behind) = value.digits.pop() else { return };
    let surplus = value.scale.next_multiple_of(DECIMALS) - value.scale;
    let unit = POWERS[surplus as usize];
    let up = match value.digits.last_mut() {
        _ if surplus == 0 => behind >= BASE / 2,
        Some(last) => {
            let cut = *last % unit;
            *last -= cut;
            cut >= unit / 2
        }
        None => false,
    };
    if !up {
        return;
    }
    let mut carry = unit;
    for digit in value.digits.iter_mut().rev() {
        *digit += carry;
        if *digit < BASE {
            return;
        }
        *digit -= BASE;
        carry = 1;
    }
    value.digits.insert(0, carry);
    value.weight += 1;
}

#[cfg(test)]
mod tests;
