//! Least and greatest of values whose order is not that of their bytes: numerics by their payloads, char(n) without
//! its trailing blanks. The state is the value so far, as it lies.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::groups::{Aggregate, Rows};
use super::{column, unexpected};
use crate::error::Error;
use crate::plan::functions::numeric_key;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// bpcharcmp under a C collation.
    Bpchar,
    /// cmp_numerics.
    Numeric,
}

/// A value, and of a numeric the bytes that order it.
#[derive(Clone, Default)]
pub(super) struct Best {
    value: Option<Box<[u8]>>,
    key: Box<[u8]>,
}

impl Best {
    fn heap(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.len()) + self.key.len()
    }
}

/// min or max of Utf8 or Binary.
pub(super) struct Extreme {
    order: Order,
    greatest: bool,
    data_type: DataType,
    /// Bytes that the values take.
    heap: usize,
}

impl Extreme {
    pub fn new(order: Order, greatest: bool, data_type: DataType) -> Self {
        Self { order, greatest, data_type, heap: 0 }
    }

    /// Does `best` stay, with `value` there? `key` orders a numeric.
    fn stays(&self, best: &Best, value: &[u8], key: &[u8]) -> bool {
        let Some(kept) = &best.value else { return false };
        match self.order {
            // Of equals, bpchar_larger and bpchar_smaller keep the first, numeric_larger and numeric_smaller the last.
            Order::Bpchar => match trimmed(kept).cmp(trimmed(value)) {
                Ordering::Equal => true,
                order => (order == Ordering::Greater) == self.greatest,
            },
            Order::Numeric => match best.key.as_ref().cmp(key) {
                Ordering::Equal => false,
                order => (order == Ordering::Greater) == self.greatest,
            },
        }
    }

    fn take<'v>(&mut self, groups: &mut [Best], rows: &Rows<'_>, value_at: impl Fn(usize) -> &'v [u8]) -> Result<()> {
        let mut key = vec![];
        rows.each_row(groups, |best, row| {
            let value = value_at(row);
            if self.order == Order::Numeric {
                key.clear();
                numeric_key(value, &mut key).ok_or_else(|| Error::internal("a numeric value is malformed"))?;
            }
            if !self.stays(best, value, &key) {
                let before = best.heap();
                *best = Best { value: Some(value.into()), key: key.as_slice().into() };
                self.heap = self.heap - before + best.heap();
            }
            Ok(())
        })
    }
}

/// Without trailing blanks.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

impl Aggregate for Extreme {
    type Group = Best;

    fn update(&mut self, groups: &mut [Best], args: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        let values = column(args, 0)?;
        match values.data_type() {
            DataType::Utf8 => {
                let values = values.as_string::<i32>();
                self.take(groups, rows, |row| values.value(row).as_bytes())
            }
            DataType::Binary => {
                let values = values.as_binary::<i32>();
                self.take(groups, rows, |row| values.value(row))
            }
            other => Err(unexpected(other).into()),
        }
    }

    fn merge(&mut self, groups: &mut [Best], states: &[ArrayRef], rows: &Rows<'_>) -> Result<()> {
        self.update(groups, states, rows)
    }

    fn evaluate(&mut self, groups: &[Best]) -> Result<ArrayRef> {
        self.heap = self.heap.saturating_sub(groups.iter().map(Best::heap).sum());
        let bytes = groups.iter().filter_map(|best| best.value.as_ref().map(|value| value.len())).sum();
        if self.data_type == DataType::Utf8 {
            let mut texts = StringBuilder::with_capacity(groups.len(), bytes);
            for best in groups {
                let text = best.value.as_deref().map(std::str::from_utf8).transpose();
                texts.append_option(text.map_err(|_| Error::internal("a text is not UTF-8"))?);
            }
            return Ok(Arc::new(texts.finish()));
        }
        let mut values = BinaryBuilder::with_capacity(groups.len(), bytes);
        for best in groups {
            values.append_option(best.value.as_deref());
        }
        Ok(Arc::new(values.finish()))
    }

    fn state(&mut self, groups: &[Best]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(groups)?])
    }

    fn fresh(&self) -> Self {
        Self::new(self.order, self.greatest, self.data_type.clone())
    }

    fn heap(&self) -> usize {
        self.heap
    }
}
