//! Grouping sets: rows grouped by some of the keys at a time, the others NULL.
//!
//! DataFusion numbers the sets. A set's number has a bit for each key, the last key's the lowest, 1 where the set does
//! not have the key; above them stands how many sets like it come before it, so that equal sets keep their rows apart.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::expressions::{CaseExpr, Literal};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::aggregates::PhysicalGroupBy;

use super::GroupingSet;
use crate::error::Result;

type Expr = Arc<dyn PhysicalExpr>;

impl GroupingSet {
    fn has(&self, key: usize) -> bool {
        self.keys >> key & 1 != 0
    }
}

/// By the keys of each set.
pub(super) fn group_by(keys: Vec<(Expr, String)>, sets: &[GroupingSet], schema: &SchemaRef) -> Result<PhysicalGroupBy> {
    let null =
        |(key, name): &(Expr, String)| Ok((literal(ScalarValue::try_new_null(&key.data_type(schema)?)?), name.clone()));
    let nulls = keys.iter().map(null).collect::<Result<_>>()?;
    let missing = |set: &GroupingSet| (0..keys.len()).map(|key| !set.has(key)).collect();
    let groups = sets.iter().map(missing).collect();
    Ok(PhysicalGroupBy::new(keys, nulls, groups, true))
}

/// What becomes of the rows of a grouping by sets.
pub(super) struct Sets<'a> {
    sets: &'a [GroupingSet],
    /// Of each row, the number of its set.
    number: Expr,
    numbers: Vec<Expr>,
}

impl<'a> Sets<'a> {
    /// `number` is a column of `data_type`, next to `keys` keys.
    pub fn new(sets: &'a [GroupingSet], keys: usize, number: Expr, data_type: &DataType) -> Result<Self> {
        let numbers = sets.iter().enumerate().map(|(at, set)| {
            let before = sets[..at].iter().filter(|other| other.keys == set.keys).count() as u64;
            let missing = (0..keys).fold(0, |bits, key| bits << 1 | u64::from(!set.has(key)));
            let number = before.checked_shl(keys as u32).unwrap_or(0) | missing;
            Ok(literal(ScalarValue::UInt64(Some(number)).cast_to(data_type)?))
        });
        Ok(Self { sets, number, numbers: numbers.collect::<Result<_>>()? })
    }

    /// `value` in the sets that have a key, NULL in the others.
    pub fn where_had(&self, key: usize, value: Expr, data_type: &DataType) -> Result<Expr> {
        let null = literal(ScalarValue::try_new_null(data_type)?);
        let lacking = self.sets.iter().zip(&self.numbers).filter(|(set, _)| !set.has(key));
        self.choose(lacking.map(|(_, number)| (Arc::clone(number), Arc::clone(&null))).collect(), value)
    }

    /// The int4 that each set has at place `at` of its values.
    pub fn value(&self, at: usize) -> Result<Expr> {
        let value = |set: &GroupingSet| literal(ScalarValue::Int32(set.values.get(at).map(|&value| value as i32)));
        let mut values = self.sets.iter().map(value).rev();
        let last = values.next().unwrap_or_else(|| literal(ScalarValue::Int32(None)));
        self.choose(self.numbers.iter().cloned().zip(values.rev()).collect(), last)
    }

    fn choose(&self, branches: Vec<(Expr, Expr)>, or_else: Expr) -> Result<Expr> {
        if branches.is_empty() {
            return Ok(or_else);
        }
        Ok(Arc::new(CaseExpr::try_new(Some(Arc::clone(&self.number)), branches, Some(or_else))?))
    }
}

fn literal(value: ScalarValue) -> Expr {
    Arc::new(Literal::new(value))
}

#[cfg(test)]
mod tests;
