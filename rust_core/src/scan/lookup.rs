//! Which pages of a part have the rows that joins above can use, by an index: the fewest keys first.
//!
//! Not where a condition of the scan may raise an ERROR: it has to meet all rows that it meets in PostgreSQL.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};

use crate::emit::Emitter;
use crate::error::{Error, Result};
use crate::host::{Host, Lookup};
use crate::scan::ScanColumn;
use crate::scan::exec::Scan;

/// The lookups of one part that are still to be tried.
pub(super) struct KeyLookup {
    /// Attribute numbers of the part, and distinct keys; the next one last.
    left: Vec<(u32, ArrayRef)>,
    current: Option<Datums>,
}

/// Keys as PostgreSQL has them.
struct Datums {
    attno: u32,
    values: Vec<u64>,
    /// Where those lie that are passed by reference.
    _emitter: Emitter,
}

// SAFETY: its pointers lead into its own emitter, which nobody else has.
unsafe impl Send for Datums {}

impl KeyLookup {
    /// For a scan whose columns are `columns` in the part; `None` where it has no keys to go by.
    pub fn new(scan: &Scan, columns: &[ScanColumn]) -> Result<Option<Self>> {
        let mut left = Vec::new();
        if !scan.filters.iter().any(|filter| filter.raises) {
            for keys in &scan.keys {
                let Some(list) = keys.list.distinct()? else { continue };
                let column =
                    columns.get(keys.column).ok_or_else(|| Error::internal("a key is no column of its scan"))?;
                if *list.data_type() == column.arrow_type()? {
                    left.push((column.attno, list));
                }
            }
        }
        left.sort_by_key(|(_, list)| Reverse(list.len()));
        Ok((!left.is_empty()).then_some(Self { left, current: None }))
    }

    /// Goes on. `None` when it is not over; else the blocks that are wanted, all of them when there is nothing to go by.
    pub fn step(&mut self, host: &dyn Host, scan: u32, part: u32) -> Result<Option<Option<Vec<u32>>>> {
        let datums = match &self.current {
            Some(datums) => datums,
            None => match self.left.pop() {
                Some((attno, list)) => self.current.insert(Datums::new(attno, list)?),
                None => return Ok(Some(None)),
            },
        };
        match host.scan_look_up(scan, part, datums.attno, &datums.values)? {
            Lookup::More => Ok(None),
            Lookup::Done(blocks) => Ok(Some(Some(blocks))),
            Lookup::None => {
                self.current = None;
                Ok(None)
            }
        }
    }
}

impl Datums {
    fn new(attno: u32, keys: ArrayRef) -> Result<Self> {
        let (data_type, rows) = (keys.data_type().clone(), keys.len());
        let schema = Schema::new(vec![Field::new("key", data_type.clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![keys])?;
        let mut emitter = Emitter::new(vec![data_type]);
        let emitted = emitter.emit(batch)?;
        // SAFETY: the emitter gave one column of so many values.
        let values = unsafe { std::slice::from_raw_parts(*emitted.values, rows) }.to_vec();
        Ok(Self { attno, values, _emitter: emitter })
    }
}
