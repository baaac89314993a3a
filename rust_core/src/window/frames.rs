//! Partitions, peers, and the frame of each row.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::compute::partition;
use datafusion::common::Result;

/// Where a frame begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At the partition's.
    Unbounded,
    /// At the current row, or at its peers'.
    Current,
    /// So many rows after the current one; before it, if less than 0. In frames of rows alone.
    Rows(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// ROWS; else RANGE or GROUPS, where peers are in a frame together.
    pub rows: bool,
    pub start: Bound,
    pub end: Bound,
}

impl Frame {
    /// Does every frame begin where its partition does?
    pub fn is_growing(&self) -> bool {
        self.start == Bound::Unbounded
    }
}

/// Some partitions, complete, one after another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub len: usize,
    pub partitions: Vec<Range<usize>>,
    /// Peers, one after another; none goes beyond a partition.
    pub peers: Vec<Range<usize>>,
}

impl Rows {
    /// Of `len` rows by what they are partitioned and ordered by; no keys: all are one.
    pub fn new(len: usize, partition_keys: &[ArrayRef], order_keys: &[ArrayRef]) -> Result<Self> {
        let partitions = runs(len, partition_keys)?;
        let mut peers = Vec::with_capacity(partitions.len());
        for partition in &partitions {
            let keys: Vec<ArrayRef> =
                order_keys.iter().map(|key| key.slice(partition.start, partition.len())).collect();
            let runs = runs(partition.len(), &keys)?;
            peers.extend(runs.into_iter().map(|run| run.start + partition.start..run.end + partition.start));
        }
        Ok(Self { len, partitions, peers })
    }

    /// The frame of each row.
    pub fn frames(&self, frame: Frame) -> Vec<Range<usize>> {
        let mut frames = Vec::with_capacity(self.len);
        let mut peers = self.peers.iter();
        let mut around = 0..0;
        for partition in &self.partitions {
            for row in partition.clone() {
                while around.end <= row {
                    around = peers.next().cloned().unwrap_or(row..row + 1);
                }
                let start = match frame.start {
                    Bound::Unbounded => partition.start,
                    Bound::Current if frame.rows => row,
                    Bound::Current => around.start,
                    Bound::Rows(offset) => within(partition, row, offset, 0),
                };
                let end = match frame.end {
                    Bound::Unbounded => partition.end,
                    Bound::Current if frame.rows => row + 1,
                    Bound::Current => around.end,
                    Bound::Rows(offset) => within(partition, row, offset, 1),
                };
                frames.push(start..end.max(start));
            }
        }
        frames
    }
}

/// `row + offset + more`, as far as the partition goes.
fn within(partition: &Range<usize>, row: usize, offset: i64, more: i64) -> usize {
    let at = (row as i64).saturating_add(offset).saturating_add(more);
    usize::try_from(at).unwrap_or(0).clamp(partition.start, partition.end)
}

/// Runs of rows that are equal in all keys.
fn runs(len: usize, keys: &[ArrayRef]) -> Result<Vec<Range<usize>>> {
    match keys {
        _ if len == 0 => Ok(vec![]),
        [] => Ok(std::iter::once(0..len).collect()),
        keys => Ok(partition(keys)?.ranges()),
    }
}
