//! `FirstOccurrenceExec`: which rows are the first with their keys; for aggregates with DISTINCT.
//!
//! `sum(DISTINCT a)` per g is a sum over the rows that are the first with their (g, a):
//!
//! ```text
//! Aggregate: sum(a) FILTER (first.0)  ←  FirstOccurrenceExec {(g, a)}  ←  all rows of g in one participant
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter, prep_null_mask_filter};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
    apply_expression_roots,
};
use futures::{Stream, StreamExt};

use crate::postgres::{fields_of, properties};

/// What makes rows alike.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// Alike where all are equal byte by byte; NULLs are.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows count where it is true.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
}

/// Its input, and a Boolean column for each occurrence: the row counts, and none before it was like it.
#[derive(Debug)]
pub struct FirstOccurrenceExec {
    occurrences: Vec<Occurrence>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl FirstOccurrenceExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, occurrences: Vec<Occurrence>) -> Self {
        let mut fields = fields_of(&input);
        fields.extend((0..occurrences.len()).map(|at| Field::new(format!("first.{at}"), DataType::Boolean, false)));
        let properties = properties(&input, fields);
        Self { occurrences, input, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    pub fn occurrences(&self) -> &[Occurrence] {
        &self.occurrences
    }
}

impl DisplayAs for FirstOccurrenceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FirstOccurrenceExec: {:?}", self.occurrences)
    }
}

impl ExecutionPlan for FirstOccurrenceExec {
    fn name(&self) -> &str {
        "FirstOccurrenceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let exprs = self.occurrences.iter().flat_map(|occurrence| occurrence.keys.iter().chain(&occurrence.filter));
        apply_expression_roots(exprs, visit)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.occurrences.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input_schema = self.input.schema();
        let seen = |occurrence: &Occurrence| Seen::new(occurrence, &input_schema);
        Ok(Box::pin(FirstOccurrenceStream {
            seen: self.occurrences.iter().map(seen).collect::<Result<_>>()?,
            input: self.input.execute(partition, Arc::clone(&context))?,
            schema: self.schema(),
            reservation: MemoryConsumer::new("distinct values").register(context.memory_pool()),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Without NULLs, which are false here.
fn is_true(condition: &BooleanArray) -> BooleanArray {
    // It wants NULLs to be there.
    if condition.nulls().is_some() { prep_null_mask_filter(condition) } else { condition.clone() }
}

/// The rows met so far, as one occurrence tells them apart.
struct Seen {
    occurrence: Occurrence,
    values: Box<dyn GroupValues>,
    /// By number of the value.
    met: Vec<bool>,
    groups: Vec<usize>,
}

impl Seen {
    fn new(occurrence: &Occurrence, schema: &SchemaRef) -> Result<Self> {
        let field = |(at, key): (usize, &Arc<dyn PhysicalExpr>)| {
            Ok(Field::new(format!("key.{at}"), key.data_type(schema)?, true))
        };
        let fields = occurrence.keys.iter().enumerate().map(field).collect::<Result<Vec<_>>>()?;
        let values = new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)?;
        Ok(Self { occurrence: occurrence.clone(), values, met: vec![], groups: vec![] })
    }

    fn firsts(&mut self, batch: &RecordBatch) -> Result<BooleanArray> {
        let rows = batch.num_rows();
        let array = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch)?.into_array(rows);
        let mut keys = self.occurrence.keys.iter().map(array).collect::<Result<Vec<_>>>()?;
        let counts = match &self.occurrence.filter {
            Some(condition) => {
                let counts = is_true(array(condition)?.as_boolean());
                keys = keys.iter().map(|key| Ok(filter(key, &counts)?)).collect::<Result<Vec<ArrayRef>>>()?;
                Some(counts)
            }
            None => None,
        };
        self.values.intern(&keys, &mut self.groups)?;
        self.met.resize(self.values.len(), false);
        let mut firsts = self.groups.iter().map(|&group| !std::mem::replace(&mut self.met[group], true));
        Ok(match counts {
            None => firsts.collect::<Vec<bool>>().into(),
            Some(counts) => {
                let first = |counts: bool| counts && firsts.next().unwrap_or(false);
                counts.values().iter().map(first).collect::<Vec<bool>>().into()
            }
        })
    }

    fn size(&self) -> usize {
        self.values.size() + self.met.capacity() + self.groups.capacity() * size_of::<usize>()
    }
}

struct FirstOccurrenceStream {
    seen: Vec<Seen>,
    input: SendableRecordBatchStream,
    schema: SchemaRef,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
}

impl FirstOccurrenceStream {
    fn flagged(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let _timer = self.metrics.elapsed_compute().clone();
        let _timer = _timer.timer();
        let mut columns = batch.columns().to_vec();
        for seen in &mut self.seen {
            columns.push(Arc::new(seen.firsts(batch)?));
        }
        self.reservation.try_resize(self.seen.iter().map(Seen::size).sum())?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

impl Stream for FirstOccurrenceStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = ready!(self.input.poll_next_unpin(cx)).transpose()?;
        let poll = Poll::Ready(batch.map(|batch| self.flagged(&batch)));
        self.metrics.record_poll(poll)
    }
}

impl RecordBatchStream for FirstOccurrenceStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
