//! Sums and averages of numerics of any scale, which come and go as payloads.
//!
//! While a sum fits an i128 at the largest scale met so far it is one; from then on it has a column of base-10000
//! digits for each weight, without carries, as PostgreSQL's NumericSumAccum. States: the sum's payload, NULL in a group
//! without rows, specials included, so that a state is merged as a value is; for an average, the count.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BinaryBuilder, Int64Array};
use arrow::datatypes::Int64Type;
use datafusion::common::Result;

use super::exact::{Kind, average};
use super::groups::{Aggregate, Rows};
use super::{binary, column, primitive};
use crate::error::Error;
use crate::plan::functions::numeric_digits::{BASE, Digits, Special};
use crate::plan::functions::numeric_division::Operand;
use crate::scan::numeric::{self, NumericValue, power_of_ten};

#[derive(Clone, Default)]
pub(super) struct Group {
    sum: Sum,
    /// The largest display scale.
    scale: u32,
    /// NaN, or the infinity that was there; both infinities are NaN.
    special: Option<Special>,
    count: i64,
}

#[derive(Clone)]
enum Sum {
    /// In units of 10^-scale.
    Small(i128),
    Large(Box<Columns>),
}

impl Default for Sum {
    fn default() -> Self {
        Self::Small(0)
    }
}

/// Sums of signed digits; the first counts 10000^weight. 2^49 summands do not overflow one.
#[derive(Clone, Default)]
struct Columns {
    weight: i32,
    sums: VecDeque<i64>,
}

impl Columns {
    fn add(&mut self, value: &Digits) {
        let digits = &value.digits;
        if digits.is_empty() {
            return;
        }
        if self.sums.is_empty() {
            self.weight = value.weight;
        }
        while self.weight < value.weight {
            self.sums.push_front(0);
            self.weight += 1;
        }
        let above = (self.weight - value.weight) as usize;
        if self.sums.len() < above + digits.len() {
            self.sums.resize(above + digits.len(), 0);
        }
        for (sum, digit) in self.sums.iter_mut().skip(above).zip(digits) {
            *sum += if value.negative { -i64::from(*digit) } else { i64::from(*digit) };
        }
    }

    /// With the carries.
    fn digits(&self, scale: u32) -> Digits {
        const RADIX: i64 = BASE as i64;
        let carried = |sign: i64| {
            let mut digits = VecDeque::with_capacity(self.sums.len() + 4);
            let mut carry = 0;
            for sum in self.sums.iter().rev() {
                let value = sign * sum + carry;
                digits.push_front(value.rem_euclid(RADIX) as u16);
                carry = value.div_euclid(RADIX);
            }
            let mut weight = self.weight;
            while carry > 0 {
                digits.push_front((carry % RADIX) as u16);
                carry /= RADIX;
                weight += 1;
            }
            (carry == 0).then_some((weight, Vec::from(digits)))
        };
        let positive = carried(1).map(|(weight, digits)| Digits { negative: false, weight, scale, digits });
        let negative = || carried(-1).map(|(weight, digits)| Digits { negative: true, weight, scale, digits });
        positive.or_else(negative).unwrap_or_default()
    }
}

impl Group {
    fn mark(&mut self, special: Special) {
        self.special = match self.special {
            None => Some(special),
            Some(found) if found == special => Some(found),
            Some(_) => Some(Special::NaN),
        };
    }

    /// None when the payload is malformed.
    fn take(&mut self, payload: &[u8]) -> Option<()> {
        match numeric::decode_any(payload)? {
            NumericValue::NaN => self.mark(Special::NaN),
            NumericValue::Infinity { negative: false } => self.mark(Special::Infinity),
            NumericValue::Infinity { negative: true } => self.mark(Special::NegativeInfinity),
            NumericValue::Finite { unscaled, scale } => {
                if self.add_small(unscaled, scale).is_none() {
                    self.add_large(payload, scale)?;
                }
            }
        }
        Some(())
    }

    /// None when the sum is no small one any more.
    fn add_small(&mut self, unscaled: Option<i128>, scale: u32) -> Option<()> {
        let Sum::Small(sum) = &mut self.sum else { return None };
        let (mut total, mut value) = (*sum, unscaled?);
        if scale > self.scale {
            total = scaled(total, scale - self.scale)?;
        } else if scale < self.scale {
            value = scaled(value, self.scale - scale)?;
        }
        *sum = total.checked_add(value)?;
        self.scale = self.scale.max(scale);
        Some(())
    }

    #[cold]
    fn add_large(&mut self, payload: &[u8], scale: u32) -> Option<()> {
        let Some(numeric::Kind::Finite(parsed)) = numeric::Kind::of(payload) else { return None };
        let value = Digits::from_parsed(&parsed)?;
        if let Sum::Small(sum) = self.sum {
            let mut columns = Columns::default();
            columns.add(&Digits::from_i128(sum, self.scale));
            self.sum = Sum::Large(Box::new(columns));
        }
        if let Sum::Large(columns) = &mut self.sum {
            columns.add(&value);
        }
        self.scale = self.scale.max(scale);
        Some(())
    }

    /// Appends the payload of the sum, or of the average.
    fn write(&self, kind: Kind, payload: &mut Vec<u8>) -> Result<()> {
        let sum = match (self.special, &self.sum) {
            (Some(special), _) => Operand::Special(special),
            (None, Sum::Small(sum)) => Operand::Finite(Digits::from_i128(*sum, self.scale)),
            (None, Sum::Large(columns)) => Operand::Finite(columns.digits(self.scale)),
        };
        match kind {
            Kind::Sum => sum.write(payload)?,
            Kind::Average => average(&sum, self.count)?.write(payload)?,
        }
        Ok(())
    }

    fn heap(&self) -> usize {
        match &self.sum {
            Sum::Small(_) => 0,
            Sum::Large(columns) => size_of::<Columns>() + columns.sums.capacity() * size_of::<i64>(),
        }
    }
}

fn scaled(value: i128, decimals: u32) -> Option<i128> {
    if value == 0 { Some(0) } else { value.checked_mul(power_of_ten(decimals)?) }
}

pub(super) struct FreeNumeric {
    kind: Kind,
    /// Bytes that the large sums take.
    heap: usize,
}

impl FreeNumeric {
    pub fn new(kind: Kind) -> Self {
        Self { kind, heap: 0 }
    }

    fn payloads(groups: &[Group], kind: Kind) -> Result<BinaryArray> {
        let mut payloads = BinaryBuilder::with_capacity(groups.len(), groups.len() * 12);
        let mut payload = vec![];
        for group in groups {
            if group.count == 0 {
                payloads.append_null();
                continue;
            }
            payload.clear();
            group.write(kind, &mut payload)?;
            payloads.append_value(&payload);
        }
        Ok(payloads.finish())
    }

    fn emitted(&mut self, groups: &[Group]) {
        self.heap = self.heap.saturating_sub(groups.iter().map(Group::heap).sum());
    }

    fn add(&mut self, group: &mut Group, payload: &[u8], count: i64) -> Result<()> {
        let before = group.heap();
        group.take(payload).ok_or_else(|| Error::internal("a numeric value is malformed"))?;
        group.count += count;
        self.heap = self.heap - before + group.heap();
        Ok(())
    }
}

impl Aggregate for FreeNumeric {
    type Group = Group;

    fn update(&mut self, groups: &mut [Group], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let values = binary(column(args, 0)?)?;
        rows.each_row(groups, |group, row| self.add(group, values.value(row), 1))
    }

    fn merge(&mut self, groups: &mut [Group], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let sums = binary(column(states, 0)?)?;
        let counts = match self.kind {
            Kind::Sum => None,
            Kind::Average => Some(primitive::<Int64Type>(column(states, 1)?)?.values()),
        };
        rows.each_row(groups, |group, row| self.add(group, sums.value(row), counts.map_or(1, |counts| counts[row])))
    }

    fn evaluate(&mut self, groups: &[Group]) -> Result<ArrayRef> {
        self.emitted(groups);
        Ok(Arc::new(Self::payloads(groups, self.kind)?))
    }

    fn state(&mut self, groups: &[Group]) -> Result<Vec<ArrayRef>> {
        self.emitted(groups);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Self::payloads(groups, Kind::Sum)?)];
        if self.kind == Kind::Average {
            columns.push(Arc::new(groups.iter().map(|group| group.count).collect::<Int64Array>()));
        }
        Ok(columns)
    }

    fn fresh(&self) -> Self {
        Self::new(self.kind)
    }

    fn heap(&self) -> usize {
        self.heap
    }
}
