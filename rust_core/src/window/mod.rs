//! `WindowExec`: window functions over rows that come sorted by PARTITION BY and ORDER BY.
//!
//! ```text
//! WindowExec: row_number, sum(a)  ←  Sort: partition, order  ←  all rows of a partition in one participant
//! ```
//!
//! Rows are kept until their partition is complete; then all functions are evaluated over whole columns, and the rows go
//! out with a column for each function. So what is kept is the largest partition, and a batch.

mod frames;
mod functions;
mod stream;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::AggregateUDF;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties, apply_expression_roots,
};

pub use frames::{Bound, Frame};

use crate::error::Error;
use crate::postgres::{fields_of, properties};

/// What a window function gives for a row.
#[derive(Clone, Debug)]
pub enum Kind {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    /// Of so many buckets, 1 at least.
    Ntile(i64),
    /// The argument so many rows before; the second argument where there is no such row.
    Lag(i64),
    /// The argument of the so-manieth row of the frame, from 1.
    Nth(i64),
    /// The argument of the last row of the frame.
    Last,
    /// Over the rows of the frame.
    Aggregate(Arc<AggregateFunctionExpr>),
}

#[derive(Clone, Debug)]
pub struct WindowFunction {
    pub kind: Kind,
    /// Of an aggregate: its own.
    pub args: Vec<Arc<dyn PhysicalExpr>>,
    /// An aggregate's FILTER.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    pub frame: Frame,
}

impl WindowFunction {
    fn data_type(&self, input: &SchemaRef) -> Result<DataType> {
        Ok(match &self.kind {
            Kind::RowNumber | Kind::Rank | Kind::DenseRank => DataType::Int64,
            Kind::PercentRank | Kind::CumeDist => DataType::Float64,
            Kind::Ntile(_) => DataType::Int32,
            Kind::Lag(_) | Kind::Nth(_) | Kind::Last => match self.args.first() {
                Some(arg) => arg.data_type(input)?,
                None => return Err(Error::internal("a window function misses its argument").into()),
            },
            Kind::Aggregate(aggregate) => aggregate.field().data_type().clone(),
        })
    }
}

/// The functions of one window: one PARTITION BY and ORDER BY.
#[derive(Clone, Debug)]
pub struct Window {
    /// Rows that are equal in all of them, byte by byte, are one partition; NULLs are equal.
    pub partition: Vec<Arc<dyn PhysicalExpr>>,
    /// Rows of a partition that are equal in all of them are peers.
    pub order: Vec<Arc<dyn PhysicalExpr>>,
    pub functions: Vec<WindowFunction>,
}

/// Its input, and a column for each function.
#[derive(Debug)]
pub struct WindowExec {
    window: Window,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl WindowExec {
    pub fn try_new(input: Arc<dyn ExecutionPlan>, window: Window) -> Result<Self> {
        let schema = input.schema();
        let mut fields = fields_of(&input);
        for (at, function) in window.functions.iter().enumerate() {
            fields.push(Field::new(format!("window.{at}"), function.data_type(&schema)?, true));
        }
        let properties = properties(&input, fields);
        Ok(Self { window, input, properties, metrics: ExecutionPlanMetricsSet::new() })
    }

    pub fn window(&self) -> &Window {
        &self.window
    }
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowExec: {:?}", self.window)
    }
}

impl ExecutionPlan for WindowExec {
    fn name(&self) -> &str {
        "WindowExec"
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
        let Window { partition, order, functions } = &self.window;
        let of_functions = functions.iter().flat_map(|function| function.args.iter().chain(&function.filter));
        apply_expression_roots(partition.iter().chain(order).chain(of_functions), visit)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::try_new(children.swap_remove(0), self.window.clone())?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(stream::WindowStream::new(
            self.window.clone(),
            self.input.execute(partition, Arc::clone(&context))?,
            self.schema(),
            context.session_config().batch_size(),
            MemoryConsumer::new("window").register(context.memory_pool()),
            BaselineMetrics::new(&self.metrics, partition),
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// An aggregate over columns of `input`.
pub fn aggregate(
    function: Arc<AggregateUDF>,
    args: Vec<Arc<dyn PhysicalExpr>>,
    input: &SchemaRef,
) -> Result<Arc<AggregateFunctionExpr>> {
    let call = AggregateExprBuilder::new(function, args).schema(Arc::clone(input)).alias("window").build()?;
    Ok(Arc::new(call))
}

#[cfg(test)]
mod tests;
