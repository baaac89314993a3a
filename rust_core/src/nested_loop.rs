//! `SkipProbeExec`: a nested loop join that leaves its probe side alone where no build row is there to join with.
//!
//! ```text
//! build ──▶ CountExec ┐              the join reads all of the build side before the first
//!              │ any? ├─ join        batch of the probe side; where that was nothing, the
//! probe ──▶ GateExec  ┘              gate says that the probe side has no rows either
//! ```
//!
//! The two nodes on either side share a flag, so they are made when the join is executed and never encoded. For the
//! kinds of join that give no row without a build row.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
    replace_children_if_necessary,
};
use futures::{Stream, StreamExt};

use crate::error::Error;

#[derive(Debug)]
pub struct SkipProbeExec {
    join: Arc<dyn ExecutionPlan>,
    /// The join that was executed, whose metrics are those of this one.
    executed: OnceLock<Arc<dyn ExecutionPlan>>,
}

impl SkipProbeExec {
    /// `join` has two children: the side that it reads to the end first, then the other.
    pub fn new(join: Arc<dyn ExecutionPlan>) -> Self {
        Self { join, executed: OnceLock::new() }
    }

    pub fn join(&self) -> &Arc<dyn ExecutionPlan> {
        &self.join
    }
}

impl DisplayAs for SkipProbeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("SkipProbeExec")
    }
}

impl ExecutionPlan for SkipProbeExec {
    fn name(&self) -> &str {
        "SkipProbeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.join]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let [build, probe] = self.join.children()[..] else {
            return Err(Error::internal("a join without two inputs").into());
        };
        let any = Arc::new(AtomicBool::new(false));
        let side = |input: &Arc<dyn ExecutionPlan>, role| -> Arc<dyn ExecutionPlan> {
            Arc::new(SideExec { input: Arc::clone(input), role, any: Arc::clone(&any) })
        };
        let sides = vec![side(build, Role::Count), side(probe, Role::Gate)];
        let join = replace_children_if_necessary(Arc::clone(&self.join), sides)?;
        let stream = join.execute(partition, context)?;
        // A plan is executed once; should it be again, the first has the metrics.
        let _ = self.executed.set(join);
        Ok(stream)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.executed.get()?.metrics()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Sets the flag when a row comes.
    Count,
    /// Ends at once where the flag is not set.
    Gate,
}

/// One side of the join, for one execution.
#[derive(Debug)]
struct SideExec {
    input: Arc<dyn ExecutionPlan>,
    role: Role,
    any: Arc<AtomicBool>,
}

impl DisplayAs for SideExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SideExec: {:?}", self.role)
    }
}

impl ExecutionPlan for SideExec {
    fn name(&self) -> &str {
        "SideExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
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
        Ok(Arc::new(Self { input: children.swap_remove(0), role: self.role, any: Arc::clone(&self.any) }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(SideStream { input, role: self.role, any: Arc::clone(&self.any) }))
    }
}

struct SideStream {
    input: SendableRecordBatchStream,
    role: Role,
    any: Arc<AtomicBool>,
}

impl Stream for SideStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // One thread: the flag orders nothing else.
        if self.role == Role::Gate && !self.any.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        let polled = ready!(self.input.poll_next_unpin(cx));
        if self.role == Role::Count && matches!(&polled, Some(Ok(batch)) if batch.num_rows() > 0) {
            self.any.store(true, Ordering::Relaxed);
        }
        Poll::Ready(polled)
    }
}

impl RecordBatchStream for SideStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int32Array};
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::JoinType;
    use datafusion::physical_expr::EquivalenceProperties;
    use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
    use datafusion::physical_plan::joins::NestedLoopJoinExec;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use datafusion::physical_plan::{Partitioning, common::collect};

    use super::*;

    /// A side with some rows, which notes whether somebody reads it.
    #[derive(Debug)]
    struct Watched {
        rows: i32,
        read: Arc<AtomicBool>,
        properties: Arc<PlanProperties>,
    }

    impl Watched {
        fn side(name: &str, rows: i32) -> (Arc<dyn ExecutionPlan>, Arc<AtomicBool>) {
            let schema = Arc::new(Schema::new(vec![Field::new(name, DataType::Int32, false)]));
            let properties = Arc::new(PlanProperties::new(
                EquivalenceProperties::new(schema),
                Partitioning::UnknownPartitioning(1),
                EmissionType::Incremental,
                Boundedness::Bounded,
            ));
            let read = Arc::new(AtomicBool::new(false));
            (Arc::new(Self { rows, read: Arc::clone(&read), properties }), read)
        }
    }

    impl DisplayAs for Watched {
        fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("Watched")
        }
    }

    impl ExecutionPlan for Watched {
        fn name(&self) -> &str {
            "Watched"
        }

        fn properties(&self) -> &Arc<PlanProperties> {
            &self.properties
        }

        fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
            vec![]
        }

        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
        ) -> Result<TreeNodeRecursion> {
            Ok(TreeNodeRecursion::Continue)
        }

        fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
            Ok(self)
        }

        fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
            let (rows, read, schema) = (self.rows, Arc::clone(&self.read), self.schema());
            let values: ArrayRef = Arc::new((0..rows).collect::<Int32Array>());
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![values])?;
            let batches = futures::stream::once(async move {
                read.store(true, Ordering::Relaxed);
                Ok(batch)
            });
            Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
        }
    }

    /// The rows of a join of so many rows, and whether its probe side was read.
    fn join(join_type: JoinType, build_rows: i32) -> (usize, bool) {
        let (build, _) = Watched::side("build", build_rows);
        let (probe, read) = Watched::side("probe", 3);
        let nested = NestedLoopJoinExec::try_new(build, probe, None, &join_type, None).unwrap();
        let plan = SkipProbeExec::new(Arc::new(nested));
        let stream = plan.execute(0, Arc::new(TaskContext::default())).unwrap();
        let batches = futures::executor::block_on(collect(stream)).unwrap();
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(plan.metrics().unwrap().output_rows(), Some(rows));
        (rows, read.load(Ordering::Relaxed))
    }

    #[test]
    fn reads_the_probe_side_only_for_build_rows() {
        assert_eq!(join(JoinType::Inner, 2), (6, true));
        assert_eq!(join(JoinType::RightSemi, 2), (3, true));
        for join_type in [JoinType::Inner, JoinType::Left, JoinType::LeftSemi, JoinType::LeftAnti, JoinType::RightSemi]
        {
            assert_eq!(join(join_type, 0), (0, false), "{join_type}");
        }
    }
}
