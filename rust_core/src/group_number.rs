//! `GroupNumberExec`: which group each row is of, for aggregates that PostgreSQL computes outside of the plan's own
//! aggregation.
//!
//! ```text
//! PostgreSQL's aggregates of the groups, by number  ←  Aggregate: any number of each  ←  GroupNumberExec {keys}
//! ```
//!
//! Groups are numbered from 0 as they are first met, which is the order that the aggregation above gives them in.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{Int64Array, RecordBatch};
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

/// Its input, and an Int64 column: the number of the group.
#[derive(Debug)]
pub struct GroupNumberExec {
    /// Alike where all are equal byte by byte; NULLs are.
    keys: Vec<Arc<dyn PhysicalExpr>>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl GroupNumberExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, keys: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        let mut fields = fields_of(&input);
        fields.push(Field::new("group.number", DataType::Int64, false));
        let properties = properties(&input, fields);
        Self { keys, input, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    pub fn keys(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.keys
    }
}

impl DisplayAs for GroupNumberExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupNumberExec: {:?}", self.keys)
    }
}

impl ExecutionPlan for GroupNumberExec {
    fn name(&self) -> &str {
        "GroupNumberExec"
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
        apply_expression_roots(&self.keys, visit)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.keys.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.input.schema();
        let field = |(at, key): (usize, &Arc<dyn PhysicalExpr>)| {
            Ok(Field::new(format!("key.{at}"), key.data_type(&schema)?, true))
        };
        let fields = self.keys.iter().enumerate().map(field).collect::<Result<Vec<_>>>()?;
        Ok(Box::pin(GroupNumberStream {
            keys: self.keys.clone(),
            values: new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)?,
            groups: vec![],
            input: self.input.execute(partition, Arc::clone(&context))?,
            schema: self.schema(),
            reservation: MemoryConsumer::new("group numbers").register(context.memory_pool()),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct GroupNumberStream {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    values: Box<dyn GroupValues>,
    groups: Vec<usize>,
    input: SendableRecordBatchStream,
    schema: SchemaRef,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
}

impl GroupNumberStream {
    fn numbered(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let _timer = self.metrics.elapsed_compute().clone();
        let _timer = _timer.timer();
        let array = |key: &Arc<dyn PhysicalExpr>| key.evaluate(batch)?.into_array(batch.num_rows());
        let keys = self.keys.iter().map(array).collect::<Result<Vec<_>>>()?;
        self.values.intern(&keys, &mut self.groups)?;
        self.reservation.try_resize(self.values.size() + self.groups.capacity() * size_of::<usize>())?;
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(self.groups.iter().map(|&group| group as i64).collect::<Int64Array>()));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

impl Stream for GroupNumberStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = ready!(self.input.poll_next_unpin(cx)).transpose()?;
        let poll = Poll::Ready(batch.map(|batch| self.numbered(&batch)));
        self.metrics.record_poll(poll)
    }
}

impl RecordBatchStream for GroupNumberStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Float64Array, StringArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::Int64Type;
    use datafusion::catalog::memory::MemorySourceConfig;
    use datafusion::physical_expr::aggregate::AggregateExprBuilder;
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
    use datafusion::physical_plan::common;

    use super::*;
    use crate::codec::JoinScanCodec;
    use crate::plan::aggregates;
    use crate::plan::testing::task_context;

    /// The numbers of the groups that a plan's aggregation gives, over three batches of `rows` keys each.
    fn numbers(keys: &[ArrayRef], rows: usize) -> Vec<i64> {
        let named = keys.iter().enumerate().map(|(at, key)| (format!("k{at}"), Arc::clone(key)));
        let batch = RecordBatch::try_from_iter(named).expect("columns agree");
        let schema = batch.schema();
        let batches = (0..batch.num_rows()).step_by(rows).map(|at| batch.slice(at, rows)).collect();
        let input = MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&schema), None).expect("rows");
        let column = |at: usize| Arc::new(Column::new(&format!("k{at}"), at)) as Arc<dyn PhysicalExpr>;
        let plan = Arc::new(GroupNumberExec::new(input, (0..keys.len()).map(column).collect()));
        let schema = plan.schema();
        let number = Arc::new(Column::new("group.number", keys.len())) as Arc<dyn PhysicalExpr>;
        let call = AggregateExprBuilder::new(aggregates::any_value(), vec![number]);
        let call = Arc::new(call.schema(Arc::clone(&schema)).alias("number").build().expect("an aggregate"));
        let by = PhysicalGroupBy::new_single((0..keys.len()).map(|at| (column(at), format!("k{at}"))).collect());
        let plan = AggregateExec::try_new(AggregateMode::Single, by, vec![call], vec![None], plan, schema);
        let plan: Arc<dyn ExecutionPlan> = Arc::new(plan.expect("groups"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let found = runtime.block_on(async { common::collect(plan.execute(0, Arc::new(task_context()))?).await });
        let found = concat_batches(&plan.schema(), &found.expect("runs")).expect("batches agree");
        found.column(keys.len()).as_primitive::<Int64Type>().values().to_vec()
    }

    /// PostgreSQL's aggregates are asked for by number, one after the other.
    #[test]
    fn groups_come_in_the_order_of_their_numbers() {
        let rows = 30_000;
        let key = |row: usize| row * 7919 % 20_011;
        let text: ArrayRef = Arc::new((0..rows).map(|row| Some(format!("text {}", key(row)))).collect::<StringArray>());
        let float: ArrayRef = Arc::new((0..rows).map(|row| Some(key(row) as f64)).collect::<Float64Array>());
        let part: ArrayRef =
            Arc::new((0..rows).map(|row| (row % 7 > 0).then_some(row as i64 % 3)).collect::<Int64Array>());
        for keys in [vec![Arc::clone(&text)], vec![float], vec![Arc::clone(&part)], vec![text, part]] {
            let found = numbers(&keys, rows / 3);
            assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>());
            assert!(found.len() >= 4);
        }
    }

    #[test]
    fn a_group_is_known_again_in_other_batches() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("b"), Some("a"), None, Some("b")]));
        assert_eq!(numbers(&[text], 2), [0, 1, 2]);
    }

    #[test]
    fn it_goes_through_the_codec() {
        let batch = RecordBatch::try_from_iter([("k", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
        let schema = batch.expect("one column").schema();
        let input = Arc::new(datafusion::physical_plan::empty::EmptyExec::new(schema));
        let plan = Arc::new(GroupNumberExec::new(input, vec![Arc::new(Column::new("k", 0))]));
        let codec = JoinScanCodec::default();
        let decoded = codec.decode(&codec.encode(plan).expect("encodes"), &task_context()).expect("decodes");
        let number = decoded.downcast_ref::<GroupNumberExec>().expect("the same node");
        assert_eq!(number.keys().len(), 1);
        assert_eq!(number.schema().field(1).name(), "group.number");
    }
}
