//! `CutExec`: what goes on of sorted rows, for DISTINCT ON and for LIMIT WITH TIES.
//!
//! ```text
//! keys           1 1 2 2 2 3
//! FirstOfEach    1   2     3      the first of the rows that are equal in all keys
//! WithTies(3)    1 1 2 2 2        the first three, and those that are equal in all keys to the last of them
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat, partition, take, take_record_batch};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
    apply_expression_roots,
};
use futures::{Stream, StreamExt};

use crate::postgres::{fields_of, properties};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    FirstOfEach,
    /// Of so many rows, 1 at least.
    WithTies(usize),
}

/// Some rows of its input, which is sorted by the keys, in their order.
#[derive(Debug)]
pub struct CutExec {
    /// Equal byte by byte; NULLs are.
    keys: Vec<Arc<dyn PhysicalExpr>>,
    cut: Cut,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CutExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, keys: Vec<Arc<dyn PhysicalExpr>>, cut: Cut) -> Self {
        let properties = properties(&input, fields_of(&input));
        Self { keys, cut, input, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    pub fn keys(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.keys
    }

    pub fn cut(&self) -> Cut {
        self.cut
    }
}

impl DisplayAs for CutExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CutExec: {:?}, keys={:?}", self.cut, self.keys)
    }
}

impl ExecutionPlan for CutExec {
    fn name(&self) -> &str {
        "CutExec"
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
        Ok(Arc::new(Self::new(children.swap_remove(0), self.keys.clone(), self.cut)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(CutStream {
            keys: self.keys.clone(),
            cut: self.cut,
            input: Some(self.input.execute(partition, context)?),
            schema: self.schema(),
            last: None,
            given: 0,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct CutStream {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    cut: Cut,
    /// `None`: no more rows go on.
    input: Option<SendableRecordBatchStream>,
    schema: SchemaRef,
    /// The keys of the last row so far; one row each.
    last: Option<Vec<ArrayRef>>,
    /// Rows that went on so far.
    given: usize,
    metrics: BaselineMetrics,
}

impl CutStream {
    fn cut(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let array = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch)?.into_array(rows);
        let keys = self.keys.iter().map(array).collect::<Result<Vec<_>>>()?;
        // Without keys all rows are alike.
        let runs = if keys.is_empty() { std::iter::once(0..rows).collect() } else { partition(&keys)?.ranges() };
        let goes_on = self.goes_on(&keys)?;
        let last = UInt32Array::from(vec![rows as u32 - 1]);
        self.last = Some(keys.iter().map(|key| take(key, &last, None)).collect::<Result<_, _>>()?);
        match self.cut {
            Cut::FirstOfEach => {
                let firsts = runs.iter().skip(usize::from(goes_on)).map(|run| run.start as u32);
                if batch.num_columns() == 0 {
                    return Ok(batch.slice(0, firsts.len()));
                }
                Ok(take_record_batch(&batch, &UInt32Array::from_iter_values(firsts))?)
            }
            Cut::WithTies(limit) => {
                // The last row that is wanted for its own sake is in here, or was in an earlier batch.
                let end = match limit.saturating_sub(self.given) {
                    0 if goes_on => runs.first().map_or(0, |run| run.end),
                    0 => 0,
                    wanted if wanted > rows => rows,
                    wanted => runs.iter().find(|run| run.end >= wanted).map_or(rows, |run| run.end),
                };
                self.given += end;
                if end < rows {
                    self.input = None;
                }
                Ok(batch.slice(0, end))
            }
        }
    }

    /// Is the first row equal to the last one before it?
    fn goes_on(&self, keys: &[ArrayRef]) -> Result<bool> {
        let Some(last) = &self.last else { return Ok(false) };
        let pair = |(last, key): (&ArrayRef, &ArrayRef)| concat(&[last.as_ref(), key.slice(0, 1).as_ref()]);
        let pairs = last.iter().zip(keys).map(pair).collect::<Result<Vec<_>, _>>()?;
        Ok(pairs.is_empty() || partition(&pairs)?.len() == 1)
    }
}

impl Stream for CutStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(input) = &mut self.input else {
                self.metrics.done();
                return Poll::Ready(None);
            };
            let batch = match ready!(input.poll_next_unpin(cx)) {
                Some(Ok(batch)) if batch.num_rows() == 0 => continue,
                Some(batch) => batch,
                None => {
                    self.input = None;
                    continue;
                }
            };
            let timer = self.metrics.elapsed_compute().clone();
            let timer = timer.timer();
            let cut = batch.and_then(|batch| self.cut(batch));
            timer.done();
            match cut {
                Ok(batch) if batch.num_rows() == 0 => {}
                cut => {
                    if cut.is_err() {
                        self.input = None;
                    }
                    return self.metrics.record_poll(Poll::Ready(Some(cut)));
                }
            }
        }
    }
}

impl RecordBatchStream for CutStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int32Array, RecordBatchOptions};
    use arrow::datatypes::{Int32Type, Schema};
    use datafusion::catalog::memory::MemorySourceConfig;
    use datafusion::physical_expr::expressions::Column;
    use datafusion::physical_plan::common;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};

    use super::*;
    use crate::codec::JoinScanCodec;
    use crate::plan::testing::task_context;

    /// The numbers of the rows that go on, which come in batches of `rows`; through the codec.
    fn run(keys: &[Option<i32>], cut: Cut, rows: usize) -> Vec<i32> {
        let key: ArrayRef = Arc::new(Int32Array::from(keys.to_vec()));
        let number: ArrayRef = Arc::new(Int32Array::from_iter_values(0..keys.len() as i32));
        let batch = RecordBatch::try_from_iter_with_nullable([("key", key, true), ("number", number, true)]);
        let batch = batch.expect("columns agree");
        let empty = Arc::new(EmptyExec::new(batch.schema()));
        let codec = JoinScanCodec { registry: Arc::default() };
        let plan = CutExec::new(empty, vec![Arc::new(Column::new("key", 0))], cut);
        let bytes = codec.encode(Arc::new(plan)).expect("encodes");
        let plan = codec.decode(&bytes, &task_context()).expect("decodes");
        let count = batch.num_rows();
        let batches = (0..count).step_by(rows).map(|at| batch.slice(at, rows.min(count - at))).collect();
        let input = MemorySourceConfig::try_new_exec(&[batches], batch.schema(), None).expect("rows");
        let plan = plan
            .replace_children(vec![input], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
            .expect("takes rows");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let context = Arc::new(task_context());
        let batches = runtime.block_on(async { common::collect(plan.execute(0, context)?).await }).expect("runs");
        batches.iter().flat_map(|batch| batch.column(1).as_primitive::<Int32Type>().values().to_vec()).collect()
    }

    /// How many of 7 rows without columns go on, which are all alike.
    fn run_without_columns(cut: Cut) -> usize {
        let options = RecordBatchOptions::new().with_row_count(Some(7));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).expect("rows");
        let batches = vec![batch.slice(0, 3), batch.slice(3, 4)];
        let input = MemorySourceConfig::try_new_exec(&[batches], batch.schema(), None).expect("rows");
        let plan = CutExec::new(input, vec![], cut);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let context = Arc::new(task_context());
        let batches = runtime.block_on(async { common::collect(plan.execute(0, context)?).await }).expect("runs");
        batches.iter().map(RecordBatch::num_rows).sum()
    }

    #[test]
    fn rows_without_columns_are_alike() {
        assert_eq!(run_without_columns(Cut::FirstOfEach), 1);
        assert_eq!(run_without_columns(Cut::WithTies(2)), 7);
    }

    const KEYS: [Option<i32>; 8] = [Some(1), Some(1), Some(2), Some(2), Some(2), Some(3), None, None];

    #[test]
    fn the_first_of_each_however_batches_are_cut() {
        for rows in 1..=8 {
            assert_eq!(run(&KEYS, Cut::FirstOfEach, rows), [0, 2, 5, 6]);
        }
        assert!(run(&[], Cut::FirstOfEach, 1).is_empty());
    }

    #[test]
    fn the_first_rows_and_their_ties() {
        for rows in 1..=8 {
            for (limit, count) in [(1, 2), (2, 2), (3, 5), (5, 5), (6, 6), (7, 8), (8, 8), (99, 8)] {
                assert_eq!(run(&KEYS, Cut::WithTies(limit), rows), (0..count).collect::<Vec<_>>(), "{limit} by {rows}");
            }
        }
    }
}
