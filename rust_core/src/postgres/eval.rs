//! `PostgresEvalExec`: conditions and expressions of PostgreSQL's own evaluator over each batch (rung 2).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, RecordBatchStream,
};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};

use super::calls::{Answer, Evaluation, EvaluationKind, Request};
use super::properties;
use crate::error::{Error, Result};
use crate::session::SessionContext;

/// In place of an input's plan column: nothing looks at it.
pub const UNSEEN: u32 = u32::MAX;
/// It is the number of the row's group.
pub const GROUP_NUMBER: u32 = u32::MAX - 1;

/// Groups whose aggregates C is asked for at once: a value may be of many megabytes, and an answer has them all.
const FINALIZED_ROWS: usize = 256;

/// A computed column: which expression of the plan, and what it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    pub expr: u32,
    pub data_type: DataType,
    /// For display.
    pub name: String,
}

/// Rows of its input that pass all conditions; of them the columns `keep`, then the results.
#[derive(Debug)]
pub struct PostgresEvalExec {
    input: Arc<dyn ExecutionPlan>,
    inputs: Vec<u32>,
    /// The columns of `input` that the evaluation looks at.
    seen: Arc<[usize]>,
    evaluation: Arc<Evaluation>,
    results: Vec<ResultColumn>,
    keep: Vec<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PostgresEvalExec {
    /// Call number `call` of the plan. `inputs` are the plan columns of `input`'s columns, or [`UNSEEN`] or
    /// [`GROUP_NUMBER`]. Errors: XX000 when `keep` or `inputs` do not fit the input.
    pub fn try_new(
        kind: EvaluationKind,
        call: u32,
        input: Arc<dyn ExecutionPlan>,
        inputs: Vec<u32>,
        conditions: Vec<u32>,
        results: Vec<ResultColumn>,
        keep: Vec<usize>,
    ) -> Result<Self> {
        let schema = input.schema();
        if inputs.len() != schema.fields().len() || keep.iter().any(|&at| at >= inputs.len()) {
            return Err(Error::internal("an evaluation does not fit its input"));
        }
        let kept = keep.iter().map(|&at| schema.fields()[at].as_ref().clone());
        let computed = results.iter().map(|result| Field::new(&result.name, result.data_type.clone(), true));
        let properties = properties(&input, kept.chain(computed).collect());
        let seen: Vec<usize> = (0..inputs.len()).filter(|&at| inputs[at] != UNSEEN).collect();
        let evaluation = Evaluation {
            kind,
            call,
            inputs: seen.iter().map(|&at| inputs[at]).collect(),
            conditions,
            results: results.iter().map(|result| result.expr).collect(),
            types: results.iter().map(|result| result.data_type.clone()).collect(),
        };
        Ok(Self {
            input,
            inputs,
            seen: seen.into(),
            evaluation: Arc::new(evaluation),
            results,
            keep,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    pub fn evaluation(&self) -> &Evaluation {
        &self.evaluation
    }

    pub fn inputs(&self) -> &[u32] {
        &self.inputs
    }

    pub fn results(&self) -> &[ResultColumn] {
        &self.results
    }

    pub fn keep(&self) -> &[usize] {
        &self.keep
    }
}

impl DisplayAs for PostgresEvalExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation { kind, call, conditions, results, .. } = self.evaluation.as_ref();
        write!(f, "PostgresEvalExec: call={call}, conditions={conditions:?}, results={results:?}, {kind:?}")
    }
}

impl ExecutionPlan for PostgresEvalExec {
    fn name(&self) -> &str {
        "PostgresEvalExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let Evaluation { kind, call, conditions, .. } = self.evaluation.as_ref();
        let (inputs, conditions) = (self.inputs.clone(), conditions.clone());
        let input = children.swap_remove(0);
        Ok(Arc::new(Self::try_new(*kind, *call, input, inputs, conditions, self.results.clone(), self.keep.clone())?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        Ok(Box::pin(EvalStream {
            session: SessionContext::of(&context)?,
            input: self.input.execute(partition, Arc::clone(&context))?,
            evaluation: Arc::clone(&self.evaluation),
            seen: Arc::clone(&self.seen),
            keep: self.keep.clone(),
            schema: self.schema(),
            state: State::Idle,
            rest: None,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

enum State {
    /// The next batch is due.
    Idle,
    /// C is asked about a batch.
    Asked(RecordBatch, BoxFuture<'static, Result<Answer>>),
    Done,
}

struct EvalStream {
    session: Arc<SessionContext>,
    input: SendableRecordBatchStream,
    evaluation: Arc<Evaluation>,
    seen: Arc<[usize]>,
    keep: Vec<usize>,
    schema: SchemaRef,
    state: State,
    /// Of the input batch that C was asked about in part.
    rest: Option<RecordBatch>,
    metrics: BaselineMetrics,
}

impl EvalStream {
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        let batch = match self.rest.take() {
            Some(batch) => batch,
            None => match ready!(self.input.poll_next_unpin(cx)) {
                Some(Ok(batch)) => batch,
                other => return Poll::Ready(other),
            },
        };
        let rows = batch.num_rows();
        if self.evaluation.kind != EvaluationKind::Finalize || rows <= FINALIZED_ROWS {
            return Poll::Ready(Some(Ok(batch)));
        }
        self.rest = Some(batch.slice(FINALIZED_ROWS, rows - FINALIZED_ROWS));
        Poll::Ready(Some(Ok(batch.slice(0, FINALIZED_ROWS))))
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<DataFusionResult<RecordBatch>>> {
        loop {
            match &mut self.state {
                State::Done => return Poll::Ready(None),
                State::Idle => match ready!(self.poll_input(cx)) {
                    None => self.state = State::Done,
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Some(Ok(batch)) if batch.num_rows() == 0 => {}
                    Some(Ok(batch)) => {
                        let input = batch.project(&self.seen)?;
                        let request = Request::Evaluate { evaluation: Arc::clone(&self.evaluation), input };
                        self.state = State::Asked(batch, SessionContext::call(&self.session, request).boxed());
                    }
                },
                State::Asked(batch, asked) => {
                    let answer = ready!(asked.poll_unpin(cx));
                    let batch = batch.clone();
                    self.state = State::Idle;
                    let output = answer.and_then(|answer| self.output(&batch, answer));
                    match output {
                        Ok(batch) if batch.num_rows() == 0 => {}
                        output => return Poll::Ready(Some(output.map_err(DataFusionError::from))),
                    }
                }
            }
        }
    }

    fn output(&self, input: &RecordBatch, answer: Answer) -> Result<RecordBatch> {
        let kept = self.keep.iter().map(|&at| Arc::clone(input.column(at)));
        let columns = kept.chain(answer.columns).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(input.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        match answer.passed {
            Some(passed) => Ok(filter_record_batch(&batch, &passed)?),
            None => Ok(batch),
        }
    }
}

impl Stream for EvalStream {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = ready!(self.poll_batch(cx));
        match &polled {
            Some(Ok(batch)) => self.metrics.record_output(batch.num_rows()),
            _ => {
                self.state = State::Done;
                self.metrics.done();
            }
        }
        Poll::Ready(polled)
    }
}

impl RecordBatchStream for EvalStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
