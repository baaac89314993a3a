//! `HeapScanExec`: this participant's share of one table, as record batches.
//!
//! ```text
//! table:   | part           | part | …     itself, or the partitions or children that are read for it
//! part:    | range | range | range | …     claimed one at a time, by any participant
//! range:   | page | page | … |             128 blocks, read by the one that claimed it
//! batches: [   ][ ] [   ][ ] [ ]           never across two ranges, unless it has conditions
//! ```
//!
//! Conditions are the tree's own on the table (`rungs.rs`), and what joins above have learnt from their build sides:
//! DataFusion's dynamic filters, which its rule FilterPushdown brings here. Where such a filter has few keys, and a part an
//! index on their column, the pages with these keys alone are read (`lookup.rs`).
//!
//! Parts lay their tuples out each in its own way, and number their attributes so; their batches are alike.
//!
//! Invariant: the host is called only from `poll_next`, so within a turn. Dropping a stream calls nothing: the
//! pins that the last pages left belong to C, which lets them go with its scan.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, RecordBatchStream,
    SendableRecordBatchStream, apply_expression_roots,
};
use futures::Stream;

use crate::error::{Error, Result, sqlstate};
use crate::host::{Claim, Host, Page, TypeLayout};
use crate::key_list::KeyList;
use crate::scan::columns::arrow_type;
use crate::scan::decoder::PageDecoder;
use crate::scan::lookup::KeyLookup;
use crate::scan::sieve::{ScanFilter, moved};
use crate::session::SessionContext;

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

/// What a scan reads and gives.
#[derive(Clone, Debug)]
pub struct Scan {
    pub columns: Vec<ScanColumn>,
    /// The columns as fields, for the conditions.
    pub input: SchemaRef,
    /// In PostgreSQL's order of evaluation.
    pub filters: Vec<ScanFilter>,
    /// Over `input`; rows that one of them drops would find no partner.
    pub runtime_filters: Vec<Arc<dyn PhysicalExpr>>,
    /// What runtime filters are told, as lists.
    pub keys: Vec<ScanKeys>,
    /// The columns that it gives.
    pub output: Vec<usize>,
    pub schema: SchemaRef,
}

/// Rows whose column is not among these keys would find no partner.
#[derive(Clone, Debug)]
pub struct ScanKeys {
    /// Of [`Scan::columns`].
    pub column: usize,
    pub list: Arc<KeyList>,
}

impl Scan {
    /// All rows, all `columns`. Errors: XX000 for a type that no plan carries.
    pub fn new(columns: Vec<ScanColumn>) -> Result<Self> {
        let output = (0..columns.len()).collect();
        Self::with_filters(columns, vec![], output)
    }

    /// Of the rows that satisfy `filters` the columns `output`. Errors: XX000 for a type that no plan carries, or a
    /// column that is not there.
    pub fn with_filters(columns: Vec<ScanColumn>, filters: Vec<ScanFilter>, output: Vec<usize>) -> Result<Self> {
        let fields = columns
            .iter()
            .map(|column| Ok(Field::new(&column.name, column.arrow_type()?, true)))
            .collect::<Result<Vec<_>>>()?;
        let input = Arc::new(Schema::new(fields));
        let schema = Arc::new(input.project(&output)?);
        Ok(Self { columns, input, filters, runtime_filters: vec![], keys: vec![], output, schema })
    }
}

/// Leaf: the visible rows of one table, or of the tables below it, that satisfy its conditions. One partition; with no
/// columns its batches have only a row count.
#[derive(Clone, Debug)]
pub struct HeapScanExec {
    number: u32,
    table: String,
    scan: Scan,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl HeapScanExec {
    /// Scan `number` of the session, of `table`.
    pub fn new(number: u32, table: String, scan: Scan) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(scan.schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self { number, table, scan, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The scan's number in the session.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The table's name, for display.
    pub fn table(&self) -> &str {
        &self.table
    }

    pub fn scan(&self) -> &Scan {
        &self.scan
    }

    /// The same, which may look keys up in an index.
    pub fn with_keys(mut self, keys: Vec<ScanKeys>) -> Self {
        self.scan.keys = keys;
        self
    }

    /// A filter on the rows that it gives, as one on its columns; `None` where it must not be evaluated here.
    fn runtime_filter(&self, filter: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() else { return Ok(None) };
        for key in dynamic.children() {
            if !has_bounds(&key.data_type(&self.scan.schema)?) {
                return Ok(None);
            }
        }
        moved(filter, |column| self.scan.output.get(column).copied()).map(Some)
    }
}

/// Types whose order is a total one in the plan, so that a smallest and a largest key bound the others.
fn has_bounds(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Date32 | DataType::Timestamp(..) | DataType::Decimal128(..) | DataType::Utf8 | DataType::Binary
        )
}

impl DisplayAs for HeapScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeapScanExec: scan={}, table={}, columns=[", self.number, self.table)?;
        for (index, column) in self.scan.columns.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { ", " } else { "" }, column.name)?;
        }
        f.write_str("]")?;
        for filter in &self.scan.filters {
            write!(f, ", {}", filter.predicate)?;
        }
        Ok(())
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
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        let Scan { filters, runtime_filters, .. } = &self.scan;
        apply_expression_roots(filters.iter().map(|filter| &filter.predicate).chain(runtime_filters), f)
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        pushed: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> DataFusionResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let mut scan = self.scan.clone();
        let mut answers = Vec::with_capacity(pushed.parent_filters.len());
        for parent in &pushed.parent_filters {
            let filter = self.runtime_filter(&parent.filter)?;
            answers.push(if filter.is_some() { PushedDown::Yes } else { PushedDown::No });
            scan.runtime_filters.extend(filter);
        }
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(answers);
        let updated = Self { scan, ..self.clone() };
        Ok(propagation.with_updated_node(Arc::new(updated) as _))
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
            number: self.number,
            table: self.table.clone(),
            scan: self.scan.clone(),
            batch_size: context.session_config().batch_size().max(1),
            state: State::Unopened,
            claim: Claim { part: 0, blocks: 0..0 },
            visible: MetricBuilder::new(&self.metrics).counter(VISIBLE_ROWS, partition),
            without_partner: MetricBuilder::new(&self.metrics).counter(WITHOUT_PARTNER, partition),
            looked_up: MetricBuilder::new(&self.metrics).counter(LOOKED_UP, partition),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        Ok(Box::pin(cooperative(stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The metric that counts the rows before any condition.
pub(crate) const VISIBLE_ROWS: &str = "visible_rows";

/// The metric that counts the rows that runtime filters have dropped.
pub(crate) const WITHOUT_PARTNER: &str = "rows_without_partner";

/// The metric that counts the pages that an index has found.
pub(crate) const LOOKED_UP: &str = "pages_looked_up";

struct HeapScanStream {
    session: Arc<SessionContext>,
    number: u32,
    /// The name of the part that is read.
    table: String,
    scan: Scan,
    batch_size: usize,
    state: State,
    /// What is left of the claimed range.
    claim: Claim,
    visible: Count,
    without_partner: Count,
    looked_up: Count,
    metrics: BaselineMetrics,
}

enum State {
    /// Not polled yet: nothing has been claimed.
    Unopened,
    /// A part was opened; which of its pages are wanted is being looked up.
    LookingUp { part: u32, decoder: Box<PageDecoder>, lookup: KeyLookup },
    Reading {
        part: u32,
        decoder: Box<PageDecoder>,
        /// Of these blocks alone, ascending.
        wanted: Option<Vec<u32>>,
    },
    /// Nothing is left to be claimed; what has been read may be.
    Ending(Box<PageDecoder>),
    /// Used up, or failed: the host is not called again.
    Done,
}

impl HeapScanStream {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        let session = Arc::clone(&self.session);
        let host = session.host().as_ref();
        loop {
            ready!(session.poll_checkpoint(cx));
            let range_ends = self.claim.blocks.is_empty();
            match &mut self.state {
                State::Done => return Poll::Ready(Ok(None)),
                State::Ending(decoder) => {
                    let last = (decoder.rows() > 0).then(|| decoder.finish()).transpose();
                    self.state = State::Done;
                    return Poll::Ready(last);
                }
                State::Reading { decoder, .. } if decoder.must_sift(range_ends) && !decoder.is_full() => {
                    self.without_partner.add(decoder.sift(host)?);
                    continue;
                }
                State::Reading { decoder, .. } if decoder.rows() > 0 => {
                    if decoder.is_full() || (range_ends && decoder.ends_with_range()) {
                        return Poll::Ready(decoder.finish().map(Some));
                    }
                }
                State::LookingUp { part, lookup, .. } => {
                    if let Some(wanted) = lookup.step(host, self.number, *part)? {
                        self.state = std::mem::replace(&mut self.state, State::Done).reading(wanted);
                    }
                    continue;
                }
                State::Reading { .. } | State::Unopened => {}
            }
            if range_ends {
                self.claim = host.scan_claim(self.number)?;
                if self.claim.blocks.is_empty() {
                    host.scan_unpin(self.number)?;
                    self.state = match std::mem::replace(&mut self.state, State::Done) {
                        State::Reading { decoder, .. } => State::Ending(decoder),
                        _ => State::Done,
                    };
                    continue;
                }
            }
            match &mut self.state {
                State::Reading { part, decoder, wanted } if *part == self.claim.part => {
                    let blocks = &mut self.claim.blocks;
                    if let Some(wanted) = wanted {
                        let next = wanted.partition_point(|&block| block < blocks.start);
                        blocks.start = wanted.get(next).map_or(blocks.end, |&block| block.min(blocks.end));
                        if blocks.start >= blocks.end {
                            continue;
                        }
                        self.looked_up.add(1);
                    }
                    let block = blocks.start;
                    let (keep, visible) = (decoder.needs_pages(), &self.visible);
                    let read = &mut |page: Page<'_>| {
                        visible.add(page.offsets.len());
                        decoder.push(host, page)
                    };
                    host.scan_page(self.number, block, keep, read)
                        .map_err(|error| located(error, block, &self.table))?;
                    self.claim.blocks.start += 1;
                }
                State::Reading { decoder, .. } if decoder.rows() > 0 => return Poll::Ready(decoder.finish().map(Some)),
                _ => self.open(host)?,
            }
        }
    }

    /// Gets ready for the tuples of the part that was claimed. Errors: XX000 when it lacks a column.
    fn open(&mut self, host: &dyn Host) -> Result<()> {
        let part = self.claim.part;
        let relation = host.scan_open(self.number, part)?;
        let columns = self
            .scan
            .columns
            .iter()
            .map(|column| {
                let attno = relation.attno(column.attno).ok_or_else(|| {
                    Error::internal(format!("table \"{}\" has no column \"{}\"", relation.name, column.name))
                })?;
                Ok(ScanColumn { attno, ..column.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        let decoder = Box::new(PageDecoder::new(host, &relation, &columns, &self.scan, self.batch_size)?);
        self.state = match KeyLookup::new(&self.scan, &columns)? {
            Some(lookup) => State::LookingUp { part, decoder, lookup },
            None => State::Reading { part, decoder, wanted: None },
        };
        self.table = relation.name.into_owned();
        Ok(())
    }
}

impl State {
    /// What comes after a lookup.
    fn reading(self, wanted: Option<Vec<u32>>) -> Self {
        match self {
            Self::LookingUp { part, decoder, .. } => Self::Reading { part, decoder, wanted },
            other => other,
        }
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
        Arc::clone(&self.scan.schema)
    }
}
