//! `PostgresLeafExec`: the rows of a plan that PostgreSQL runs in the leader. In workers it has none; streams
//! above it are asked for in the leader alone.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties, RecordBatchStream,
};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};

use super::calls::{Answer, Fetch, Request};
use crate::error::{Error, Result};
use crate::session::SessionContext;

/// One column that is taken from a leaf's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafColumn {
    /// Position in the leaf's row, from 1.
    pub position: u32,
    pub data_type: DataType,
    /// For display.
    pub name: String,
}

/// Leaf number `leaf` of the CustomScan: its child plan.
#[derive(Debug)]
pub struct PostgresLeafExec {
    fetch: Arc<Fetch>,
    title: String,
    columns: Vec<LeafColumn>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PostgresLeafExec {
    pub fn new(leaf: u32, title: String, columns: Vec<LeafColumn>) -> Self {
        let fields = columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), true));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(Schema::new(fields.collect::<Vec<_>>()))),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let fetch = Fetch {
            leaf,
            columns: columns.iter().map(|column| column.position).collect(),
            types: columns.iter().map(|column| column.data_type.clone()).collect(),
        };
        Self {
            fetch: Arc::new(fetch),
            title,
            columns,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    pub fn leaf(&self) -> u32 {
        self.fetch.leaf
    }

    /// What the leaf is, for display.
    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn columns(&self) -> &[LeafColumn] {
        &self.columns
    }
}

impl DisplayAs for PostgresLeafExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresLeafExec: leaf={}, {}, columns={:?}", self.fetch.leaf, self.title, self.fetch.columns)
    }
}

impl ExecutionPlan for PostgresLeafExec {
    fn name(&self) -> &str {
        "PostgresLeafExec"
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
            return Err(Error::internal("a leaf has no children").into());
        }
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let session = SessionContext::of(&context)?;
        let state = if session.topology.participant == 0 { State::Idle } else { State::Done };
        Ok(Box::pin(LeafStream {
            session,
            fetch: Arc::clone(&self.fetch),
            schema: self.schema(),
            state,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

enum State {
    /// More rows are due.
    Idle,
    Asked(BoxFuture<'static, Result<Answer>>),
    Done,
}

struct LeafStream {
    session: Arc<SessionContext>,
    fetch: Arc<Fetch>,
    schema: SchemaRef,
    state: State,
    metrics: BaselineMetrics,
}

impl LeafStream {
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            match &mut self.state {
                State::Done => return Poll::Ready(None),
                State::Idle => {
                    let request = Request::Fetch { fetch: Arc::clone(&self.fetch) };
                    self.state = State::Asked(SessionContext::call(&self.session, request).boxed());
                }
                State::Asked(asked) => {
                    let answer = ready!(asked.poll_unpin(cx));
                    self.state = State::Idle;
                    let Answer { rows, columns, done, .. } = match answer {
                        Ok(answer) => answer,
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    };
                    if done {
                        self.state = State::Done;
                    }
                    if rows > 0 {
                        let options = RecordBatchOptions::new().with_row_count(Some(rows));
                        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
                        return Poll::Ready(Some(batch.map_err(Error::from)));
                    }
                }
            }
        }
    }
}

impl Stream for LeafStream {
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
        Poll::Ready(polled.map(|batch| batch.map_err(DataFusionError::from)))
    }
}

impl RecordBatchStream for LeafStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
