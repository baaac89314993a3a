//! `HeapScanExec`: this participant's share of one table, as record batches.
//!
//! ```text
//! table:   | part           | part | …     itself, or the partitions or children that are read for it
//! part:    | range | range | range | …     claimed one at a time, by any participant
//! range:   | page | page | … |             128 blocks, read by the one that claimed it
//! batches: [   ][ ] [   ][ ] [ ]           never across two ranges
//! ```
//!
//! Parts lay their tuples out each in its own way, and number their attributes so; their batches are alike.
//!
//! Invariant: the host is called only from `poll_next`, so within a turn. Dropping a stream calls nothing: the
//! pin that the last page left belongs to C, which lets it go with its scan.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, RecordBatchStream,
    SendableRecordBatchStream,
};
use futures::Stream;

use crate::error::{Error, Result, sqlstate};
use crate::host::{Host, TypeLayout};
use crate::scan::columns::arrow_type;
use crate::scan::decoder::PageDecoder;
use crate::session::SessionContext;

/// A batch is also ended at so many bytes in one column of varying or wide values: a few wide rows are enough of a batch.
const BATCH_BYTES: usize = 16 << 20;

/// One column that a scan reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanColumn {
    /// Attribute number in the scan's table, from 1.
    pub attno: u32,
    pub typid: u32,
    pub typmod: i32,
    /// For display.
    pub name: String,
    pub layout: TypeLayout,
}

impl ScanColumn {
    pub(super) fn arrow_type(&self) -> Result<DataType> {
        arrow_type(self.typid, self.typmod, self.layout)
    }
}

/// Leaf: the visible rows of one table, or of the tables below it. One partition; with no columns its batches have only a row count.
#[derive(Debug)]
pub struct HeapScanExec {
    scan: u32,
    table: String,
    columns: Vec<ScanColumn>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl HeapScanExec {
    /// Scan number `scan` of the session reads `columns` of `table`. Errors: XX000 for a type that no plan carries.
    pub fn try_new(scan: u32, table: String, columns: Vec<ScanColumn>) -> Result<Self> {
        let fields = columns
            .iter()
            .map(|column| Ok(Field::new(&column.name, column.arrow_type()?, true)))
            .collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self { scan, table, columns, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() })
    }

    /// The scan's number in the session.
    pub fn scan(&self) -> u32 {
        self.scan
    }

    /// The table's name, for display.
    pub fn table(&self) -> &str {
        &self.table
    }

    pub fn columns(&self) -> &[ScanColumn] {
        &self.columns
    }
}

impl DisplayAs for HeapScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeapScanExec: scan={}, table={}, columns=[", self.scan, self.table)?;
        for (index, column) in self.columns.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { ", " } else { "" }, column.name)?;
        }
        f.write_str("]")
    }
}

impl ExecutionPlan for HeapScanExec {
    fn name(&self) -> &str {
        Self::static_name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if !children.is_empty() {
            return Err(Error::internal("a heap scan has no children").into());
        }
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(Error::internal(format!("a heap scan has no partition {partition}")).into());
        }
        let stream = HeapScanStream {
            session: SessionContext::of(&context)?,
            scan: self.scan,
            table: self.table.clone(),
            columns: self.columns.clone(),
            schema: self.schema(),
            batch_size: context.session_config().batch_size().max(1),
            state: State::Unopened,
            blocks: 0..0,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        Ok(Box::pin(cooperative(stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct HeapScanStream {
    session: Arc<SessionContext>,
    scan: u32,
    /// The name of the part that is read.
    table: String,
    columns: Vec<ScanColumn>,
    schema: SchemaRef,
    batch_size: usize,
    state: State,
    /// What is left of the claimed range.
    blocks: Range<u32>,
    metrics: BaselineMetrics,
}

enum State {
    /// Not polled yet: nothing has been claimed.
    Unopened,
    Reading {
        part: u32,
        decoder: Box<PageDecoder>,
    },
    /// Used up, or failed: the host is not called again.
    Done,
}

impl HeapScanStream {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        let session = Arc::clone(&self.session);
        let host = session.host().as_ref();
        loop {
            ready!(session.poll_checkpoint(cx));
            match &mut self.state {
                State::Done => return Poll::Ready(Ok(None)),
                State::Reading { decoder, .. } if decoder.rows() > 0 => {
                    let full = decoder.rows() >= self.batch_size || decoder.column_bytes() >= BATCH_BYTES;
                    if full || self.blocks.is_empty() {
                        return Poll::Ready(decoder.finish().map(Some));
                    }
                }
                State::Reading { .. } | State::Unopened => {}
            }
            if self.blocks.is_empty() {
                let claim = host.scan_claim(self.scan)?;
                if claim.blocks.is_empty() {
                    self.state = State::Done;
                    host.scan_unpin(self.scan)?;
                    return Poll::Ready(Ok(None));
                }
                self.blocks = claim.blocks;
                if !matches!(&self.state, State::Reading { part, .. } if *part == claim.part) {
                    self.open(host, claim.part)?;
                    continue;
                }
            }
            let State::Reading { decoder, .. } = &mut self.state else {
                return Poll::Ready(Err(Error::internal("a heap scan reads before it is open")));
            };
            let block = self.blocks.start;
            host.scan_page(self.scan, block, &mut |page| decoder.push(host, page))
                .map_err(|error| located(error, block, &self.table))?;
            self.blocks.start += 1;
        }
    }

    /// Gets ready for the tuples of `part`. Errors: XX000 when it lacks a column.
    fn open(&mut self, host: &dyn Host, part: u32) -> Result<()> {
        let relation = host.scan_open(self.scan, part)?;
        let columns = self
            .columns
            .iter()
            .map(|column| {
                let attno = relation.attno(column.attno).ok_or_else(|| {
                    Error::internal(format!("table \"{}\" has no column \"{}\"", relation.name, column.name))
                })?;
                Ok(ScanColumn { attno, ..column.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        let schema = Arc::clone(&self.schema);
        let decoder = PageDecoder::new(host, relation.attributes, &columns, schema, self.batch_size)?;
        self.state = State::Reading { part, decoder: Box::new(decoder) };
        self.table = relation.name.into_owned();
        Ok(())
    }
}

/// Says where a corrupted page lies.
fn located(error: Error, block: u32, table: &str) -> Error {
    match &error {
        Error::Raised { sqlstate, .. } if sqlstate == sqlstate::DATA_CORRUPTED => {
            error.with_detail(format!("Block {block} of table \"{table}\"."))
        }
        _ => error,
    }
}

impl Stream for HeapScanStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let elapsed = self.metrics.elapsed_compute().clone();
        let _timer = elapsed.timer();
        let result = ready!(self.poll_batch(cx));
        Poll::Ready(match result {
            Ok(Some(batch)) => {
                self.metrics.record_output(batch.num_rows());
                Some(Ok(batch))
            }
            Ok(None) => {
                self.metrics.done();
                None
            }
            Err(error) => {
                self.state = State::Done;
                self.metrics.done();
                Some(Err(DataFusionError::from(error)))
            }
        })
    }
}

impl RecordBatchStream for HeapScanStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
