//! `CheckpointExec`: rows as they are, with a checkpoint before each batch.
//!
//! It stands between two joins. A join that finds nothing for the rows of its probe side asks for more
//! in the same poll; where that side is a join too, no leaf need be polled for a long time.
//!
//! Below a sort it also makes batches their own: an aggregate gives slices of one batch, and who keeps several of them
//! would be charged the whole for each. And it hides what is known of the rows' order: a sort that has nothing to do
//! (all keys are constants) would hand rows on before it has read all of them, which a gather of sorted shares relies
//! on (`exchange/reader.rs`).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{MutableArrayData, RecordBatch, make_array};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
};
use futures::{Stream, StreamExt};

use crate::postgres::{fields_of, properties};
use crate::session::SessionContext;

#[derive(Debug)]
pub struct CheckpointExec {
    input: Arc<dyn ExecutionPlan>,
    compact: bool,
    properties: Arc<PlanProperties>,
}

impl CheckpointExec {
    /// `compact`: for a sort.
    pub fn new(input: Arc<dyn ExecutionPlan>, compact: bool) -> Self {
        let properties = match compact {
            true => properties(&input, fields_of(&input)),
            false => Arc::clone(input.properties()),
        };
        Self { input, compact, properties }
    }

    pub fn compact(&self) -> bool {
        self.compact
    }
}

/// Bytes of others that a batch may hold on to.
const SLACK: usize = 64 * 1024;

/// The batch, with buffers of its own where it is less than half of those it has.
fn compacted(batch: RecordBatch) -> Result<RecordBatch> {
    let mut own = 0;
    for column in batch.columns() {
        own += column.to_data().get_slice_memory_size()?;
    }
    if batch.num_columns() == 0 || get_record_batch_memory_size(&batch) <= 2 * own + SLACK {
        return Ok(batch);
    }
    let copies = batch.columns().iter().map(|column| {
        let data = column.to_data();
        let mut copy = MutableArrayData::new(vec![&data], false, data.len());
        copy.try_extend(0, 0, data.len())?;
        Ok(make_array(copy.freeze()))
    });
    Ok(RecordBatch::try_new(batch.schema(), copies.collect::<Result<_>>()?)?)
}

impl DisplayAs for CheckpointExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("CheckpointExec")
    }
}

impl ExecutionPlan for CheckpointExec {
    fn name(&self) -> &str {
        "CheckpointExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.compact)))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parents: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parents, &self.children())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let session = SessionContext::of(&context)?;
        Ok(Box::pin(CheckpointStream {
            session,
            input: self.input.execute(partition, context)?,
            compact: self.compact,
        }))
    }
}

struct CheckpointStream {
    session: Arc<SessionContext>,
    input: SendableRecordBatchStream,
    compact: bool,
}

impl Stream for CheckpointStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.session.poll_checkpoint(cx));
        let batch = ready!(self.input.poll_next_unpin(cx));
        Poll::Ready(if self.compact { batch.map(|batch| compacted(batch?)) } else { batch })
    }
}

impl RecordBatchStream for CheckpointStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    #[test]
    fn rows_without_columns_stay_rows() {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1000));
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let batch = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
        assert_eq!(compacted(batch).unwrap().num_rows(), 1000);
    }

    #[test]
    fn small_parts_of_a_large_batch_are_copied() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..100_000).map(|n| (n % 7 > 0).then_some(n))));
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter((0..100_000).map(|n| (n % 5 > 0).then(|| n.to_string()))));
        let whole = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let part = whole.slice(50_003, 1000);
        assert!(get_record_batch_memory_size(&part) > 1_000_000);
        let copy = compacted(part.clone()).unwrap();
        assert_eq!(copy, part);
        assert!(get_record_batch_memory_size(&copy) < 40_000);
        let same = compacted(whole.clone()).unwrap();
        assert_eq!(get_record_batch_memory_size(&same), get_record_batch_memory_size(&whole));
    }
}
