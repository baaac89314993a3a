//! Pages in, record batches out: the walker and one builder per column.
//!
//! Without conditions a page is decoded where it lies. With conditions pages are gathered into a chunk, which the sieve
//! goes through before the columns of the rows that are left are decoded (`sifting.rs`).
//!
//! Owned by the stream of a `HeapScanExec`. After an error a decoder holds a broken batch and is not used again.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};

use crate::error::{Error, Result};
use crate::host::{Attribute, Host, Page, Relation, TypeLayout};
use crate::scan::ScanColumn;
use crate::scan::columns::{ColumnBuilder, arrow_type};
use crate::scan::exec::Scan;
use crate::scan::sifting::{Layout, Sifting};
use crate::scan::tuple::{TupleWalker, corrupted};

/// A batch is also ended at so many bytes in one column of varying or wide values: a few wide rows are enough of a batch.
const BATCH_BYTES: usize = 16 << 20;

pub struct PageDecoder {
    schema: SchemaRef,
    walker: TupleWalker,
    /// With the walker's slot that each is fed from.
    columns: Vec<(usize, ColumnBuilder)>,
    sifting: Option<Sifting>,
    batch_size: usize,
    rows: usize,
}

impl PageDecoder {
    /// A decoder for the rows of `scan`, whose columns are `columns` in `relation`, in batches of about `batch_size` rows. Errors: XX000 when the columns are not those of the relation.
    pub fn new(
        host: &dyn Host,
        relation: &Relation<'_>,
        columns: &[ScanColumn],
        scan: &Scan,
        batch_size: usize,
    ) -> Result<Self> {
        let attributes = relation.attributes;
        let stored = columns.iter().map(|column| stored_as(attributes, column)).collect::<Result<Vec<_>>>()?;
        let layout = Layout { attributes: attributes.to_vec(), stored, batch_size, pins: relation.pins };
        let walker = layout.walker(&scan.output)?;
        let given = scan.output.iter().map(|&at| layout.column(host, &walker, at)).collect::<Result<_>>()?;
        let sifting = match scan.filters.is_empty() && scan.runtime_filters.is_empty() {
            true => None,
            false => Some(Sifting::new(host, scan, layout)?),
        };
        Ok(Self { schema: scan.schema.clone(), walker, columns: given, sifting, batch_size, rows: 0 })
    }

    /// Takes in the visible tuples of a page. Errors: XX001 for a page that is not what PostgreSQL writes.
    pub fn push(&mut self, host: &dyn Host, page: Page<'_>) -> Result<()> {
        if let Some(sifting) = &mut self.sifting
            && sifting.takes_pages()?
        {
            return sifting.push(&page);
        }
        let bytes = page.bytes.try_into().map_err(|_| corrupted("it has a wrong size"))?;
        self.walker.walk(bytes, page.offsets, page.next)?;
        for (slot, builder) in &mut self.columns {
            builder.append(host, bytes, self.walker.slots()[*slot].offsets())?;
        }
        self.rows += page.offsets.len();
        Ok(())
    }

    /// Must the pages that were taken in stay pinned?
    pub fn needs_pages(&self) -> bool {
        self.sifting.as_ref().is_some_and(Sifting::needs_pages)
    }

    /// Must [`sift`](Self::sift) be called before the next page? `range_ends`: the pages that come belong elsewhere.
    pub fn must_sift(&self, range_ends: bool) -> bool {
        self.sifting.as_ref().is_some_and(|sifting| sifting.is_due(range_ends))
    }

    /// Takes in the rows of the chunk that satisfy all conditions, until the batch is full; how many rows runtime filters
    /// have dropped. Errors: what a condition raises.
    pub fn sift(&mut self, host: &dyn Host) -> Result<usize> {
        let Some(mut sifting) = self.sifting.take() else { return Ok(0) };
        while !self.is_full()
            && let Some(rows) = sifting.next_page(host, &mut self.columns)?
        {
            self.rows += rows;
        }
        let without_partner = sifting.take_without_partner();
        self.sifting = Some(sifting);
        Ok(without_partner)
    }

    /// Are its rows worth a batch, though there may be more pages in the range?
    pub fn is_full(&self) -> bool {
        self.rows >= self.batch_size || self.columns.iter().any(|(_, builder)| builder.bytes() >= BATCH_BYTES)
    }

    /// Does a batch end with its range? Where most rows are dropped it would be small.
    pub fn ends_with_range(&self) -> bool {
        self.sifting.is_none()
    }

    /// Rows taken in since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A batch of all rows since the last one.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(|(_, builder)| builder.finish()).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }
}

/// Where a column is among the attributes, and its type in the plan. Errors: XX000 where it is not the plan's.
fn stored_as(attributes: &[Attribute], column: &ScanColumn) -> Result<(usize, DataType)> {
    let index = (column.attno as usize).wrapping_sub(1);
    let attribute = attributes.get(index).ok_or_else(|| mismatch(column))?;
    if attribute.attisdropped || attribute.typid != column.typid {
        return Err(mismatch(column));
    }
    let layout = TypeLayout { len: attribute.attlen, byval: attribute.attbyval, utf8: column.layout.utf8 };
    let stored = arrow_type(attribute.typid, attribute.typmod, layout)?;
    if stored != column.arrow_type()? {
        return Err(mismatch(column));
    }
    Ok((index, stored))
}

fn mismatch(column: &ScanColumn) -> Error {
    Error::internal(format!("column \"{}\" of the plan is not that of its table", column.name))
}
