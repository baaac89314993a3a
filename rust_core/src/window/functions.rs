//! The values of a function for the rows of complete partitions.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::{interleave, take};
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::frames::{Bound, Rows};
use super::{Kind, WindowFunction};
use crate::error::Error;
use crate::plan::aggregates::{Step, over_steps};

impl WindowFunction {
    pub(super) fn evaluate(&self, batch: &RecordBatch, rows: &Rows) -> Result<ArrayRef> {
        let array = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch)?.into_array(batch.num_rows());
        let args = self.args.iter().map(array).collect::<Result<Vec<_>>>()?;
        let first = || args.first().ok_or_else(|| Error::internal("a window function misses its argument"));
        Ok(match &self.kind {
            Kind::RowNumber => {
                let numbers = rows.partitions.iter().flat_map(|partition| 1..=partition.len() as i64);
                Arc::new(numbers.collect::<Int64Array>())
            }
            Kind::Rank => Arc::new(Int64Array::from(by_peers(rows, |peers| peers.before as i64 + 1))),
            Kind::DenseRank => Arc::new(Int64Array::from(by_peers(rows, |peers| peers.number as i64 + 1))),
            Kind::PercentRank => Arc::new(Float64Array::from(by_peers(rows, |peers| match peers.total {
                0 | 1 => 0.0,
                total => peers.before as f64 / (total - 1) as f64,
            }))),
            Kind::CumeDist => Arc::new(Float64Array::from(by_peers(rows, |peers| {
                (peers.before + peers.count) as f64 / peers.total as f64
            }))),
            Kind::Ntile(buckets) => {
                let numbers = rows.partitions.iter().flat_map(|partition| buckets_of(partition.len(), *buckets));
                Arc::new(numbers.collect::<Int32Array>())
            }
            Kind::Lag(distance) => lag(rows, *distance, &args)?,
            Kind::Nth(number) => {
                let skipped = usize::try_from(number - 1).map_err(|_| Error::internal("nth_value counts from 1"))?;
                let places = rows.frames(self.frame).into_iter();
                take(first()?, &places.map(|frame| place(frame.clone().nth(skipped))).collect::<UInt64Array>(), None)?
            }
            Kind::Last => {
                let places = rows.frames(self.frame).into_iter();
                take(first()?, &places.map(|frame| place(frame.last())).collect::<UInt64Array>(), None)?
            }
            Kind::Aggregate(aggregate) => {
                let filter = self.filter.as_ref().map(array).transpose()?;
                self.aggregate(aggregate, &args, filter.as_ref().map(|filter| filter.as_boolean()), rows)?
            }
        })
    }

    /// Frames that are the same for several rows are evaluated once; one that begins where the one before it does takes
    /// the rows in that are new.
    fn aggregate(
        &self,
        aggregate: &AggregateFunctionExpr,
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
        rows: &Rows,
    ) -> Result<ArrayRef> {
        if self.frame.is_growing() && self.frame.end == Bound::Unbounded && aggregate.groups_accumulator_supported() {
            let numbers = rows.partitions.iter().enumerate().flat_map(|(at, part)| std::iter::repeat_n(at, part.len()));
            let numbers: Vec<usize> = numbers.collect();
            let mut groups = aggregate.create_groups_accumulator()?;
            groups.update_batch(args, &numbers, filter, rows.partitions.len())?;
            let values = groups.evaluate(EmitTo::All)?;
            let numbers: UInt64Array = numbers.into_iter().map(|at| Some(at as u64)).collect();
            return Ok(take(&values, &numbers, None)?);
        }
        let mut steps: Vec<Step> = vec![];
        let mut numbers = Vec::with_capacity(rows.len);
        let mut last = None;
        for frame in rows.frames(self.frame) {
            if last.as_ref() != Some(&frame) {
                steps.push(match &last {
                    Some(last) if frame.start == last.start && frame.end >= last.end && !last.is_empty() => {
                        Step { fresh: false, rows: last.end..frame.end }
                    }
                    _ => Step { fresh: true, rows: frame.clone() },
                });
                last = Some(frame);
            }
            numbers.push(steps.len() as u64 - 1);
        }
        let values = over_steps(aggregate, args, filter, &steps)?;
        Ok(if steps.len() == rows.len { values } else { take(&values, &UInt64Array::from(numbers), None)? })
    }
}

/// Where peers are in their partition.
struct Peers {
    /// How many there are.
    count: usize,
    /// Rows before them.
    before: usize,
    /// Other peers before them.
    number: usize,
    /// Rows of the partition.
    total: usize,
}

/// A value for all rows that are peers.
fn by_peers<T: Copy>(rows: &Rows, value: impl Fn(Peers) -> T) -> Vec<T> {
    let mut values = Vec::with_capacity(rows.len);
    let mut peers = rows.peers.iter().peekable();
    for partition in &rows.partitions {
        let mut number = 0;
        while let Some(run) = peers.next_if(|run| run.start < partition.end) {
            let before = run.start - partition.start;
            let value = value(Peers { count: run.len(), before, number, total: partition.len() });
            values.extend(std::iter::repeat_n(value, run.len()));
            number += 1;
        }
    }
    values
}

/// The bucket of each row: the first ones have one row more where the rows do not divide.
fn buckets_of(rows: usize, buckets: i64) -> impl Iterator<Item = i32> {
    let buckets = usize::try_from(buckets).unwrap_or(1).max(1);
    let (size, larger) = (rows / buckets, rows % buckets);
    (0..rows).map(move |row| {
        let in_larger = larger * (size + 1);
        let bucket = if row < in_larger { row / (size + 1) } else { larger + (row - in_larger) / size.max(1) };
        bucket as i32 + 1
    })
}

fn lag(rows: &Rows, distance: i64, args: &[ArrayRef]) -> Result<ArrayRef> {
    let [value, rest @ ..] = args else { return Err(Error::internal("lag misses its argument").into()) };
    let from = rows.partitions.iter().flat_map(|partition| {
        partition.clone().map(move |row| {
            let at = (row as i64).checked_sub(distance).and_then(|at| usize::try_from(at).ok());
            at.filter(|at| partition.contains(at))
        })
    });
    match rest {
        [] => Ok(take(value, &from.map(place).collect::<UInt64Array>(), None)?),
        [other, ..] => {
            let choice = |(row, at): (usize, Option<usize>)| at.map_or((1, row), |at| (0, at));
            let choices: Vec<(usize, usize)> = from.enumerate().map(choice).collect();
            Ok(interleave(&[value.as_ref(), other.as_ref()], &choices)?)
        }
    }
}

fn place(row: Option<usize>) -> Option<u64> {
    row.map(|row| row as u64)
}
