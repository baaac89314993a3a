//! Which consumers of a shuffled stream get a row.
//!
//! A row goes to the participant that the hash of its keys says, and so do all rows with its keys: one key that half of
//! the rows have keeps one participant busy, for whom the others wait. Keys that the planner knows to be common are set
//! apart, in both streams of a join; the rows of one side stay where they are, those of the other are copied.
//!
//! ```text
//!                        common keys         NULL in a key       all others
//!   the side that stays  where the row is    where the row is    by hash
//!   the other one        all participants    where the row is    by hash
//! ```
//!
//! So a pair of rows meets in one participant, once. A join may give rows of the side that stays without a match, or
//! only once; of copies it may not. NULL matches nothing, wherever it is. Common keys are known by their hash: one that
//! has the hash of another is common on both sides, too.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::NullBuffer;
use datafusion::physical_plan::PhysicalExpr;

use super::key_filter::{evaluate, hashes_of};
use crate::error::Result;

/// Targets up to which it is faster to go over the rows for each.
const PASSES: usize = 8;

/// What becomes of rows with a common key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum Treatment {
    Stay = 1,
    Copy = 2,
}

/// Keys that are set apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonKeys {
    /// Sorted.
    hashes: Arc<[u64]>,
    pub treatment: Treatment,
}

impl CommonKeys {
    /// `hashes`: of either side's keys.
    pub fn new(mut hashes: Vec<u64>, treatment: Treatment) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        Self { hashes: hashes.into(), treatment }
    }

    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    fn contains(&self, hash: u64) -> bool {
        self.hashes.binary_search(&hash).is_ok()
    }
}

/// Spreads the batches of one stream over `targets` consumers.
pub struct Partitioner {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    common: Option<CommonKeys>,
    home: Home,
    /// Of the last batch, the rows for each target.
    rows: Vec<Vec<u32>>,
}

/// The target that gets what stays here.
enum Home {
    /// This participant is it.
    Own(usize),
    /// All rows of the stream are here, and others want some, too: each batch the next one.
    InTurn(usize),
}

impl Partitioner {
    /// `own`: the target that is this participant, if the others have rows of the stream, too.
    pub fn new(
        keys: Vec<Arc<dyn PhysicalExpr>>,
        common: Option<CommonKeys>,
        targets: usize,
        own: Option<usize>,
    ) -> Self {
        Self { keys, common, home: own.map_or(Home::InTurn(0), Home::Own), rows: vec![vec![]; targets] }
    }

    /// The numbers of the rows for each target, ascending.
    pub fn partition(&mut self, batch: &RecordBatch) -> Result<&[Vec<u32>]> {
        let keys = evaluate(&self.keys, batch)?;
        let hashes = hashes_of(&keys, batch.num_rows())?;
        // By the lower half of the hash: where a key is in a Bloom filter, the upper bits say.
        let targets = self.rows.len();
        let by_hash = |hash: u64| ((u64::from(hash as u32) * targets as u64) >> 32) as usize;
        let rows = &mut self.rows;
        if self.common.is_none() && targets <= PASSES {
            let wanted: Vec<_> = hashes.iter().map(|&hash| by_hash(hash)).collect();
            for (target, rows) in rows.iter_mut().enumerate() {
                select(&wanted, target, rows);
            }
            return Ok(rows);
        }
        rows.iter_mut().for_each(Vec::clear);
        match &self.common {
            None => {
                for (row, &hash) in (0..).zip(&hashes) {
                    rows[by_hash(hash)].push(row);
                }
            }
            Some(common) => {
                let home = self.home.next(targets);
                let nulls = keys
                    .iter()
                    .fold(None, |nulls, key| NullBuffer::union(nulls.as_ref(), key.logical_nulls().as_ref()));
                for (row, &hash) in (0..).zip(&hashes) {
                    if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row as usize)) {
                        rows[home].push(row);
                    } else if !common.contains(hash) {
                        rows[by_hash(hash)].push(row);
                    } else if common.treatment == Treatment::Stay {
                        rows[home].push(row);
                    } else {
                        rows.iter_mut().for_each(|rows| rows.push(row));
                    }
                }
            }
        }
        Ok(rows)
    }
}

/// The numbers of those of `targets` that are `target`. Each row is written, and stays where it counts: no branch, and
/// no row waits for the one before it.
fn select(targets: &[usize], target: usize, rows: &mut Vec<u32>) {
    rows.resize(targets.len(), 0);
    let mut count = 0;
    for (row, &to) in (0..).zip(targets) {
        rows[count] = row;
        count += usize::from(to == target);
    }
    rows.truncate(count);
}

impl Home {
    fn next(&mut self, targets: usize) -> usize {
        match self {
            Self::Own(own) => *own,
            Self::InTurn(next) => {
                let home = *next;
                *next = (home + 1) % targets;
                home
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::physical_expr::expressions::Column;

    use super::super::key_filter::key_hashes;
    use super::*;

    const TARGETS: usize = 3;

    fn keys() -> Vec<Arc<dyn PhysicalExpr>> {
        vec![Arc::new(Column::new("a", 0)), Arc::new(Column::new("b", 1))]
    }

    /// Of two keys.
    type Row = (Option<i64>, Option<i64>);

    fn batch(rows: &[Row]) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Int64, true)]);
        let column =
            |of: fn(&Row) -> Option<i64>| -> Arc<dyn Array> { Arc::new(rows.iter().map(of).collect::<Int64Array>()) };
        RecordBatch::try_new(Arc::new(schema), vec![column(|row| row.0), column(|row| row.1)]).unwrap()
    }

    /// The rows that each target gets.
    fn spread(partitioner: &mut Partitioner, batch: &RecordBatch) -> Vec<Vec<Row>> {
        let column = |at| batch.column(at).as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
        let values: Vec<Row> = column(0).into_iter().zip(column(1)).collect();
        let parts = partitioner.partition(batch).unwrap();
        parts.iter().map(|rows| rows.iter().map(|&row| values[row as usize]).collect()).collect()
    }

    const COMMON: Row = (Some(7), Some(70));

    fn partitioner(treatment: Treatment, own: Option<usize>) -> Partitioner {
        let common = CommonKeys::new(key_hashes(&keys(), &batch(&[COMMON])).unwrap(), treatment);
        Partitioner::new(keys(), Some(common), TARGETS, own)
    }

    #[test]
    fn rows_with_the_same_keys_go_the_same_way() {
        let rows: Vec<_> = (0..300).map(|row| (Some(row % 100), Some(row % 2))).collect();
        let mut partitioner = Partitioner::new(keys(), None, TARGETS, Some(0));
        let parts = spread(&mut partitioner, &batch(&rows));
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 300);
        for row in &rows {
            let copies = |part: &Vec<Row>| part.iter().filter(|&other| other == row).count();
            assert!(parts.iter().map(copies).all(|count| count == 0 || count == 3), "{row:?}");
        }
        assert!(parts.iter().all(|part| part.len() > 50), "{parts:?}");
    }

    #[test]
    fn how_many_targets_there_are_does_not_matter() {
        let rows: Vec<_> = (0..300).map(|row| (Some(row), None)).collect();
        let batches = [batch(&rows), batch(&rows[..100])];
        for targets in 1..2 * PASSES {
            let mut partitioner = Partitioner::new(keys(), None, targets, Some(0));
            for batch in &batches {
                let hashes = key_hashes(&keys(), batch).unwrap();
                let parts = partitioner.partition(batch).unwrap();
                assert_eq!(parts.len(), targets);
                assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), batch.num_rows());
                for (target, rows) in (0..).zip(parts) {
                    assert!(rows.is_sorted());
                    let to = |row: &u32| (u128::from(hashes[*row as usize] as u32) * targets as u128) >> 32;
                    assert!(rows.iter().all(|row| to(row) == target));
                }
            }
        }
    }

    #[test]
    fn common_keys_stay_or_go_to_all() {
        let mut rows = vec![COMMON, (Some(7), Some(71)), COMMON, (Some(7), None), (None, Some(70)), (None, None)];
        rows.extend((100..200).map(|row| (Some(row), Some(row))));
        let rows = batch(&rows);
        let plain = spread(&mut Partitioner::new(keys(), None, TARGETS, Some(1)), &rows);
        for (treatment, elsewhere) in [(Treatment::Stay, 0), (Treatment::Copy, 2)] {
            let parts = spread(&mut partitioner(treatment, Some(1)), &rows);
            for (target, part) in parts.iter().enumerate() {
                let here = target == 1;
                assert_eq!(part.iter().filter(|&&row| row == COMMON).count(), if here { 2 } else { elsewhere });
                let is_null = |row: &&Row| row.0.is_none() || row.1.is_none();
                assert_eq!(part.iter().filter(is_null).count(), if here { 3 } else { 0 });
                let others = |part: &[Row]| -> Vec<Row> {
                    part.iter().filter(|row| **row != COMMON && !is_null(row)).copied().collect()
                };
                assert_eq!(others(part), others(&plain[target]));
            }
        }
    }

    #[test]
    fn what_only_the_leader_has_is_dealt_out() {
        let mut partitioner = partitioner(Treatment::Stay, None);
        let rows = batch(&[COMMON, (None, Some(1))]);
        for turn in 0..2 * TARGETS {
            let sizes: Vec<usize> = spread(&mut partitioner, &rows).iter().map(Vec::len).collect();
            let mut expected = vec![0; TARGETS];
            expected[turn % TARGETS] = 2;
            assert_eq!(sizes, expected);
        }
    }

    #[test]
    fn nothing_but_nulls_may_be_set_apart() {
        let common = CommonKeys::new(vec![], Treatment::Copy);
        let mut partitioner = Partitioner::new(keys(), Some(common), TARGETS, Some(2));
        let nulls = [(None, Some(1)), (Some(1), None)];
        assert_eq!(spread(&mut partitioner, &batch(&nulls)), [vec![], vec![], nulls.to_vec()]);
    }
}
