//! Pages in, record batches out: the walker and one builder per column.
//!
//! Owned by the stream of a `HeapScanExec`. After an error a decoder holds a broken batch and is not used again.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::host::{Attribute, Host, Page, TypeLayout};
use crate::scan::ScanColumn;
use crate::scan::columns::{ColumnBuilder, arrow_type};
use crate::scan::tuple::{TupleWalker, corrupted};

pub struct PageDecoder {
    schema: SchemaRef,
    walker: TupleWalker,
    /// With the walker's slot that each is fed from.
    columns: Vec<(usize, ColumnBuilder)>,
    rows: usize,
}

impl PageDecoder {
    /// A decoder for `columns` of a relation with these attributes, for batches of about `batch_size` rows.
    /// Errors: XX000 when the columns are not those of the relation.
    pub fn new(
        host: &dyn Host,
        attributes: &[Attribute],
        columns: &[ScanColumn],
        schema: SchemaRef,
        batch_size: usize,
    ) -> Result<Self> {
        let mut needed = Vec::with_capacity(columns.len());
        for column in columns {
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
            needed.push((index, stored));
        }
        let walker = TupleWalker::new(attributes, &needed.iter().map(|(index, _)| *index).collect::<Vec<_>>())?;
        let columns = needed
            .into_iter()
            .map(|(index, data_type)| {
                let slot = walker.slot_of(index).ok_or_else(|| Error::internal("a needed attribute has no slot"))?;
                Ok((slot, ColumnBuilder::new(host, &attributes[index], data_type, batch_size)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { schema, walker, columns, rows: 0 })
    }

    /// Takes in the visible tuples of a page. Errors: XX001 for a page that is not what PostgreSQL writes.
    pub fn push(&mut self, host: &dyn Host, page: Page<'_>) -> Result<()> {
        let bytes = page.bytes.try_into().map_err(|_| corrupted("it has a wrong size"))?;
        self.walker.walk(bytes, page.offsets)?;
        for (slot, builder) in &mut self.columns {
            builder.append(host, bytes, &self.walker.slots()[*slot])?;
        }
        self.rows += page.offsets.len();
        Ok(())
    }

    /// Rows taken in since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of text and other by-reference values taken in since the last batch, in the largest column.
    pub fn column_bytes(&self) -> usize {
        self.columns.iter().map(|(_, builder)| builder.bytes()).max().unwrap_or(0)
    }

    /// A batch of all rows since the last one.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(|(_, builder)| builder.finish()).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }
}

fn mismatch(column: &ScanColumn) -> Error {
    Error::internal(format!("column \"{}\" of the plan is not that of its table", column.name))
}
