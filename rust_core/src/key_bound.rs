//! `KeyBoundExec`: below the sort of a LIMIT WITH TIES, leaves out rows that cannot be among the first ones.
//!
//! ```text
//! limit 2    keys   5 3 4 3 9 3 1 3
//! bound             - 5 4 3 3 3 3 3     the second of the keys so far
//! goes on           5 3 4 3   3 1 3     no greater than the bound
//! ```
//!
//! So the sort holds some times the limit instead of all rows, however many ties there are among the others.

use std::collections::BinaryHeap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
    apply_expression_roots,
};
use futures::{Stream, StreamExt};

use crate::postgres::{fields_of, properties};

/// The rows of its input that the first `limit` in `order` and their ties are among.
#[derive(Debug)]
pub struct KeyBoundExec {
    order: LexOrdering,
    /// 1 at least.
    limit: usize,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl KeyBoundExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, order: LexOrdering, limit: usize) -> Self {
        let properties = properties(&input, fields_of(&input));
        Self { order, limit: limit.max(1), input, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    pub fn order(&self) -> &LexOrdering {
        &self.order
    }

    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl DisplayAs for KeyBoundExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBoundExec: limit={}, [{}]", self.limit, self.order)
    }
}

impl ExecutionPlan for KeyBoundExec {
    fn name(&self) -> &str {
        "KeyBoundExec"
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
        apply_expression_roots(self.order.iter().map(|key| &key.expr), visit)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.order.clone(), self.limit)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let field = |key: &PhysicalSortExpr| Ok(SortField::new_with_options(key.expr.data_type(&schema)?, key.options));
        Ok(Box::pin(KeyBoundStream {
            converter: RowConverter::new(self.order.iter().map(field).collect::<Result<_>>()?)?,
            order: self.order.clone(),
            limit: self.limit,
            first: BinaryHeap::new(),
            bytes: 0,
            reservation: MemoryConsumer::new("KeyBoundExec").register(&context.runtime_env().memory_pool),
            input: self.input.execute(partition, context)?,
            schema,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct KeyBoundStream {
    order: LexOrdering,
    limit: usize,
    converter: RowConverter,
    /// The first keys so far, the last of them on top: once there are `limit`, the bound.
    first: BinaryHeap<OwnedRow>,
    /// That they take.
    bytes: usize,
    reservation: MemoryReservation,
    input: SendableRecordBatchStream,
    schema: SchemaRef,
    metrics: BaselineMetrics,
}

impl KeyBoundStream {
    fn within(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let key = |key: &PhysicalSortExpr| key.expr.evaluate(batch)?.into_array(rows);
        let keys = self.order.iter().map(key).collect::<Result<Vec<_>>>()?;
        let keys = self.converter.convert_columns(&keys)?;
        let mut passes = Vec::with_capacity(rows);
        for key in &keys {
            if self.first.len() < self.limit {
                self.bytes += size_of::<OwnedRow>() + key.as_ref().len();
                self.first.push(key.owned());
                passes.push(true);
                continue;
            }
            // A limit is 1 at least: there is one.
            let Some(mut bound) = self.first.peek_mut() else { continue };
            let order = key.cmp(&bound.row());
            passes.push(order.is_le());
            if order.is_lt() {
                self.bytes = (self.bytes + key.as_ref().len()).saturating_sub(bound.row().as_ref().len());
                *bound = key.owned();
            }
        }
        self.reservation.try_resize(self.bytes)?;
        Ok(filter_record_batch(batch, &BooleanArray::from(passes))?)
    }
}

impl Stream for KeyBoundStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = ready!(self.input.poll_next_unpin(cx));
        let timer = self.metrics.elapsed_compute().clone();
        let timer = timer.timer();
        // An empty batch, too: whoever asks for more has its checkpoint below.
        let within = batch.map(|batch| self.within(&batch?));
        timer.done();
        self.metrics.record_poll(Poll::Ready(within))
    }
}

impl RecordBatchStream for KeyBoundStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int32Array};
    use arrow::compute::SortOptions;
    use arrow::datatypes::Int32Type;
    use datafusion::catalog::memory::MemorySourceConfig;
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_plan::common;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};

    use super::*;
    use crate::codec::JoinScanCodec;
    use crate::plan::testing::task_context;

    /// The keys that go on, which come in batches of `rows`; through the codec.
    fn run(keys: &[Option<i32>], limit: usize, options: SortOptions, rows: usize) -> Vec<Option<i32>> {
        let column: ArrayRef = Arc::new(Int32Array::from(keys.to_vec()));
        let batch = RecordBatch::try_from_iter_with_nullable([("key", column, true)]).expect("a column");
        let order = LexOrdering::new([PhysicalSortExpr::new(Arc::new(Column::new("key", 0)), options)]).expect("a key");
        let codec = JoinScanCodec { registry: Arc::default() };
        let plan = KeyBoundExec::new(Arc::new(EmptyExec::new(batch.schema())), order, limit);
        let bytes = codec.encode(Arc::new(plan)).expect("encodes");
        let plan = codec.decode(&bytes, &task_context()).expect("decodes");
        let batches = (0..keys.len()).step_by(rows).map(|at| batch.slice(at, rows.min(keys.len() - at))).collect();
        let input = MemorySourceConfig::try_new_exec(&[batches], batch.schema(), None).expect("rows");
        let plan = plan
            .replace_children(vec![input], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
            .expect("takes rows");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let context = Arc::new(task_context());
        let batches = runtime.block_on(async { common::collect(plan.execute(0, context)?).await }).expect("runs");
        batches
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().iter().collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn what_cannot_be_among_the_first_is_left_out() {
        let ascending = SortOptions { descending: false, nulls_first: false };
        let keys = [5, 3, 4, 3, 9, 3, 1, 3].map(Some);
        for rows in 1..=8 {
            assert_eq!(run(&keys, 2, ascending, rows), [5, 3, 4, 3, 3, 1, 3].map(Some));
            assert_eq!(run(&keys, 8, ascending, rows), keys);
        }
        let descending = SortOptions { descending: true, nulls_first: true };
        let keys = [Some(1), None, Some(2), None, Some(7), None];
        assert_eq!(run(&keys, 1, descending, 3), [Some(1), None, None, None]);
        let last = SortOptions { descending: true, nulls_first: false };
        assert_eq!(run(&keys, 1, last, 3), [Some(1), Some(2), Some(7)]);
    }
}
